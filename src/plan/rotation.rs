//! Which identity a binding uses while its provider is changed: the new one is tried first, and the old one stays trusted
//! until the last session that it was traded for has ended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{IdentityPhase, TrustedIdentity};

/// The provider that sessions are taken from: the active one, else the one that the spec names.
pub fn provider_in_use<'a>(identities: &'a [TrustedIdentity], named: Option<&'a str>) -> Option<&'a str> {
    active(identities).map_or(named, |active| active.provider.as_deref())
}

/// True while the spec names another provider than the one in use.
pub fn is_rotating(identities: &[TrustedIdentity], named: Option<&str>) -> bool {
    active(identities).is_some_and(|active| active.provider.as_deref() != named)
}

fn active(identities: &[TrustedIdentity]) -> Option<&TrustedIdentity> {
    identities.iter().find(|one| one.phase == IdentityPhase::Active)
}

fn same(a: &TrustedIdentity, b: &TrustedIdentity) -> bool {
    let key = |one: &TrustedIdentity| {
        (
            one.provider.clone(),
            one.issuer.clone(),
            one.subject.clone(),
            one.audience.clone(),
            one.authorized_party.clone(),
        )
    };
    key(a) == key(b)
}

/// STS took this identity: it becomes the active one. The one before retires when the last session of it has ended.
pub fn took(
    identities: &[TrustedIdentity],
    taken: TrustedIdentity,
    last_session_ends: Timestamp,
) -> Vec<TrustedIdentity> {
    let taken = TrustedIdentity { phase: IdentityPhase::Active, retires_at: None, ..taken };
    let was_active = active(identities).is_some_and(|active| same(active, &taken));
    let mut next = vec![taken.clone()];
    for one in identities.iter().filter(|one| !same(one, &taken)) {
        match one.phase {
            IdentityPhase::Active => next.push(TrustedIdentity {
                phase: IdentityPhase::Retiring,
                retires_at: Some(Time(whole_second(last_session_ends))),
                ..one.clone()
            }),
            IdentityPhase::Retiring => next.push(one.clone()),
            // While the old one goes on working, what is tried beside it stays named.
            IdentityPhase::Probing if was_active => next.push(one.clone()),
            IdentityPhase::Probing => {}
        }
    }
    next
}

/// STS did not take this identity, or was not asked yet: it is named in the trust policy so that it can be. `named` is the
/// provider that the spec names; what was tried before for another is dropped.
pub fn tried(identities: &[TrustedIdentity], tried: TrustedIdentity) -> Vec<TrustedIdentity> {
    if identities.iter().any(|one| one.phase == IdentityPhase::Active && same(one, &tried)) {
        return identities.to_vec();
    }
    let tried = TrustedIdentity { phase: IdentityPhase::Probing, retires_at: None, ..tried };
    let is_kept = |one: &&TrustedIdentity| one.phase != IdentityPhase::Probing && !same(one, &tried);
    let mut next: Vec<TrustedIdentity> = identities.iter().filter(is_kept).cloned().collect();
    let place = next.iter().position(|one| one.phase == IdentityPhase::Retiring).unwrap_or(next.len());
    next.insert(place, tried);
    next
}

/// Nothing is tried any more: the spec names the provider in use.
pub fn settle(identities: &[TrustedIdentity]) -> Vec<TrustedIdentity> {
    let has_active = active(identities).is_some();
    identities.iter().filter(|one| !(has_active && one.phase == IdentityPhase::Probing)).cloned().collect()
}

/// Lets go of identities whose time has come. While the active one does not work nothing is let go: an old one may be
/// what worked last.
pub fn retire(identities: &[TrustedIdentity], now: Timestamp, active_works: bool) -> Vec<TrustedIdentity> {
    let is_over = |one: &TrustedIdentity| {
        one.phase == IdentityPhase::Retiring && one.retires_at.as_ref().is_some_and(|at| at.0 <= now)
    };
    identities.iter().filter(|one| !(active_works && is_over(one))).cloned().collect()
}

/// Time until the next identity can be let go.
pub fn next_retirement(identities: &[TrustedIdentity], now: Timestamp) -> Option<Duration> {
    let times = identities.iter().filter_map(|one| one.retires_at.as_ref());
    let wait = times.map(|at| at.0.duration_since(now).max(SignedDuration::from_secs(1))).min()?;
    Duration::try_from(wait).ok()
}

/// A status holds times of whole seconds.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second() + 1).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(provider: Option<&str>) -> TrustedIdentity {
        TrustedIdentity {
            provider: provider.map(str::to_owned),
            provider_generation: None,
            issuer: format!("https://{}", provider.unwrap_or("cluster")),
            subject: "s".into(),
            audience: "a".into(),
            authorized_party: None,
            phase: IdentityPhase::Active,
            retires_at: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn phases(identities: &[TrustedIdentity]) -> Vec<(Option<&str>, IdentityPhase)> {
        identities.iter().map(|one| (one.provider.as_deref(), one.phase)).collect()
    }

    #[test]
    fn the_new_one_is_tried_before_the_old_one_is_left_and_the_old_one_stays_for_its_sessions() {
        let first = took(&[], identity(None), at(0));
        assert_eq!(provider_in_use(&first, Some("keycloak")), None);
        assert!(is_rotating(&first, Some("keycloak")));
        let probing = tried(&first, identity(Some("keycloak")));
        assert_eq!(phases(&probing), [(None, IdentityPhase::Active), (Some("keycloak"), IdentityPhase::Probing)]);
        assert_eq!(provider_in_use(&probing, Some("keycloak")), None, "sessions are still those of the cluster");
        let switched = took(&probing, identity(Some("keycloak")), at(3600));
        assert_eq!(phases(&switched), [(Some("keycloak"), IdentityPhase::Active), (None, IdentityPhase::Retiring)]);
        assert!(!is_rotating(&switched, Some("keycloak")));
        assert_eq!(retire(&switched, at(3600), true).len(), 2, "a session may last until then");
        assert_eq!(retire(&switched, at(3602), false).len(), 2, "the old one may be what worked last");
        assert_eq!(phases(&retire(&switched, at(3602), true)), [(Some("keycloak"), IdentityPhase::Active)]);
        assert_eq!(next_retirement(&switched, at(3000)), Some(Duration::from_secs(601)));
    }

    #[test]
    fn a_change_of_mind_drops_what_was_only_tried_and_comes_back_to_what_retires() {
        let probing = tried(&took(&[], identity(None), at(0)), identity(Some("a")));
        let other = tried(&probing, identity(Some("b")));
        assert_eq!(phases(&other), [(None, IdentityPhase::Active), (Some("b"), IdentityPhase::Probing)]);
        let still = took(&other, identity(None), at(0));
        assert_eq!(phases(&still), phases(&other), "the old one goes on working meanwhile");
        let back = settle(&still);
        assert_eq!(phases(&back), [(None, IdentityPhase::Active)]);
        let switched = took(&back, identity(Some("a")), at(100));
        let returned = took(&switched, identity(None), at(200));
        assert_eq!(phases(&returned), [(None, IdentityPhase::Active), (Some("a"), IdentityPhase::Retiring)]);
    }

    proptest! {
        #[test]
        fn whatever_happens_one_identity_is_active_and_none_that_may_have_sessions_is_lost(
            steps in prop::collection::vec((0..4usize, any::<bool>(), any::<bool>()), 1..40)
        ) {
            let providers = [None, Some("a"), Some("b"), Some("c")];
            let mut identities = took(&[], identity(None), at(0));
            for (second, (provider, works, retires)) in steps.into_iter().enumerate() {
                let now = at(second.try_into().unwrap());
                let before = identities.clone();
                let candidate = identity(providers[provider]);
                identities = if works { took(&identities, candidate, now + SignedDuration::from_secs(5)) } else { tried(&identities, candidate) };
                if retires { identities = retire(&identities, now, works); }
                prop_assert_eq!(identities.iter().filter(|one| one.phase == IdentityPhase::Active).count(), 1);
                prop_assert!(identities.iter().filter(|one| one.phase == IdentityPhase::Probing).count() <= 1);
                for one in before.iter().filter(|one| one.phase != IdentityPhase::Probing) {
                    let over = one.retires_at.as_ref().is_some_and(|at| at.0 <= now) && works && retires;
                    prop_assert!(over || identities.iter().any(|kept| same(kept, one)), "lost {:?}", one);
                }
            }
        }
    }
}
