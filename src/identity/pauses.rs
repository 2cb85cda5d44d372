//! Pauses after failures. They follow the binding, not the session's key: a spec that is changed once is looked at at once, and
//! one that is changed in a loop hardly gets a turn more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{IdentityError, SessionKey};

/// Pause after a first failure; it doubles to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a mended policy is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long failures are counted on after a pause has passed, and from how many bindings on that is looked at.
const MEMORY: (Duration, usize) = (Duration::from_secs(600), 256);
/// How many specs of a binding are looked at before a pause of an older one has passed, and how long it takes until one more is.
const LOOKS: (u32, Duration) = (3, Duration::from_secs(60));
/// Failures that are remembered of one binding at most.
const MOST: usize = 64;
/// Codes of STS that speak of the session policy: a binding has several, and one that is wrong holds up no other.
const POLICY_CODES: [&str; 2] = ["PackedPolicyTooLarge", "MalformedPolicyDocument"];

/// The pauses of all bindings, by UID.
#[derive(Default)]
pub(super) struct Pauses {
    of: Mutex<HashMap<String, OfBinding>>,
}

#[derive(Default)]
struct OfBinding {
    pauses: Vec<Pause>,
    looks: Looks,
}

impl OfBinding {
    /// True where nothing of it would be missed.
    fn is_over(&self, now: Instant) -> bool {
        self.pauses.iter().all(|pause| now >= pause.until + MEMORY.0) && self.looks.are_all_left(now)
    }
}

/// Looks at specs that are newer than a failure. They outlive a success, or a spec that is good every other time had any number.
#[derive(Default)]
struct Looks {
    /// The newest spec that had one: each has one at most.
    generation: Generation,
    /// When all that were taken have come back.
    back_at: Option<Instant>,
}

impl Looks {
    fn are_all_left(&self, now: Instant) -> bool {
        self.back_at.is_none_or(|back_at| back_at <= now)
    }

    /// Takes one, if there is one for the spec.
    fn take(&mut self, generation: Generation, now: Instant) -> bool {
        let (most, each) = LOOKS;
        let from = self.back_at.map_or(now, |back_at| back_at.max(now));
        let taken = generation > self.generation && from.duration_since(now) <= each * (most - 1);
        if taken {
            (self.generation, self.back_at) = (generation, Some(from + each));
        }
        taken
    }
}

/// Which spec it is: the binding's, and that of the provider whose tokens it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Generation {
    binding: i64,
    provider: i64,
}

impl Generation {
    fn of(key: &SessionKey) -> Self {
        let provider = key.provider.as_ref().map_or(0, |provider| provider.generation);
        Self { binding: key.binding_generation, provider }
    }
}

struct Pause {
    subject: Subject,
    /// Of what failed.
    generation: Generation,
    error: IdentityError,
    until: Instant,
    in_a_row: u32,
}

/// What has failed: sessions for one user, of one provider, perhaps with one policy alone.
#[derive(Clone, PartialEq, Eq)]
struct Subject {
    requester: Option<String>,
    provider: Option<String>,
    policies: Policies,
}

/// With which session policies.
#[derive(Clone, PartialEq, Eq)]
enum Policies {
    /// Whatever it is.
    Any,
    /// With this one.
    This(Option<Arc<str>>),
}

impl Subject {
    fn of(key: &SessionKey, policies: Policies) -> Self {
        let provider = key.provider.as_ref().map(|provider| provider.name.clone());
        Self { requester: key.requester.clone(), provider, policies }
    }

    /// True where a failure of this says something of the key.
    fn covers(&self, key: &SessionKey, same_spec: bool) -> bool {
        let Self { requester, provider, policies } = self;
        let same_policy = match policies {
            Policies::Any => true,
            Policies::This(policy) => *policy == key.policy,
        };
        *requester == key.requester
            && provider.as_deref() == key.provider.as_ref().map(|provider| provider.name.as_str())
            && (same_policy || !same_spec)
    }
}

impl Pauses {
    /// Why the key has to wait, if it has to. A spec that is newer than the failure takes one of the looks of its binding.
    pub(super) fn check(&self, key: &SessionKey) -> Option<IdentityError> {
        let mut all = self.of.lock();
        let OfBinding { pauses, looks } = all.get_mut(&key.binding_uid)?;
        let now = Instant::now();
        let same_spec = |pause: &&Pause| pause.generation == Generation::of(key);
        let covering =
            || pauses.iter().filter(|pause| now < pause.until && pause.subject.covers(key, same_spec(pause)));
        if let Some(pause) = covering().find(same_spec) {
            return Some(pause.error.clone());
        }
        let newest = covering().map(|pause| pause.generation).max()?;
        let generation = Generation::of(key);
        let looked_at = generation > newest && looks.take(generation, now);
        // What the spec said before may not be true of what it says now.
        (!looked_at).then_some(IdentityError::Pausing)
    }

    /// Remembers a failure. Being turned away, or given up, is no failure of the binding's own and costs it no pause.
    pub(super) fn failed(&self, key: &SessionKey, error: &IdentityError) {
        if matches!(error, IdentityError::RateLimited | IdentityError::Pausing | IdentityError::GivenUp) {
            return;
        }
        let of_policy =
            matches!(error, IdentityError::Exchange(error) if POLICY_CODES.contains(&error.cause.code.as_str()));
        let policies = if of_policy { Policies::This(key.policy.clone()) } else { Policies::Any };
        let subject = Subject::of(key, policies);
        let now = Instant::now();
        let mut all = self.of.lock();
        if all.len() >= MEMORY.1 {
            all.retain(|_, of| !of.is_over(now));
        }
        let pauses = &mut all.entry(key.binding_uid.clone()).or_default().pauses;
        let before = pauses.iter().position(|pause| pause.subject == subject).map(|at| pauses.remove(at));
        let earlier = before.filter(|pause| now < pause.until + MEMORY.0).map_or(0, |pause| pause.in_a_row);
        if pauses.len() >= MOST {
            pauses.remove(0);
        }
        let length = FIRST_PAUSE.saturating_mul(1 << earlier.min(5)).min(LONGEST_PAUSE);
        pauses.push(Pause {
            subject,
            generation: Generation::of(key),
            error: error.clone(),
            until: now + length,
            in_a_row: earlier.saturating_add(1),
        });
    }

    /// What worked need not wait any more.
    pub(super) fn worked(&self, key: &SessionKey) {
        let mut all = self.of.lock();
        if let Some(of) = all.get_mut(&key.binding_uid) {
            of.pauses.retain(|pause| !pause.subject.covers(key, true));
            if of.is_over(Instant::now()) {
                all.remove(&key.binding_uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::key;
    use super::*;

    fn denied(code: &str) -> IdentityError {
        let cause = crate::aws::AwsError {
            kind: crate::aws::AwsErrorKind::AccessDenied,
            operation: "sts:AssumeRoleWithWebIdentity",
            code: code.into(),
            message: "no".into(),
        };
        let (role_arn, claims) = (key().role_arn, serde_json::from_str("{\"iss\": \"i\", \"sub\": \"s\"}").unwrap());
        IdentityError::Exchange(Box::new(super::super::ExchangeError { cause, role_arn, claims, issuer_problem: None }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_mended_spec_is_looked_at_at_once_and_each_spec_once() {
        let pauses = Pauses::default();
        let of = |generation: i64| SessionKey { binding_generation: generation, ..key() };
        pauses.failed(&of(5), &denied("AccessDenied"));
        assert_eq!(pauses.check(&of(5)), Some(denied("AccessDenied")), "nothing was changed");
        assert_eq!(pauses.check(&of(4)), Some(IdentityError::Pausing), "an older spec, seen late");
        assert_eq!(pauses.check(&of(6)), None, "a newer one");
        let other = SessionKey { policy: Some("of another session".into()), ..of(6) };
        assert_eq!(pauses.check(&other), Some(IdentityError::Pausing), "one look for all sessions of a spec");
        pauses.failed(&of(6), &denied("AccessDenied"));
        assert_eq!(pauses.check(&of(6)), Some(denied("AccessDenied")), "its own error");
        assert_eq!(pauses.check(&of(7)), None);
        pauses.worked(&of(7));
        assert_eq!(pauses.check(&other), None, "what works holds nobody up");
    }

    #[test]
    fn a_changed_provider_is_a_newer_spec() {
        let of = |binding, provider| Generation { binding, provider };
        assert!(of(1, 3) > of(1, 2), "what was mended at the provider");
        assert!(of(2, 1) > of(1, 9), "a binding that names another one");
    }

    #[test]
    fn looks_come_back_one_a_minute() {
        let start = Instant::now();
        let mut looks = Looks::default();
        for (second, generation, taken) in [
            (0, 1, true),
            (0, 1, false),
            (0, 2, true),
            (1, 3, true),
            (2, 4, false),
            (59, 5, false),
            (60, 5, true),
            (60, 6, false),
            (61, 4, false),
            (120, 6, true),
            (1000, 7, true),
            (1000, 8, true),
            (1000, 9, true),
            (1000, 10, false),
        ] {
            let generation = Generation { binding: generation, provider: 0 };
            assert_eq!(
                looks.take(generation, start + Duration::from_secs(second)),
                taken,
                "{second} s, {generation:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_spec_that_is_good_every_other_time_has_no_more_looks() {
        let pauses = Pauses::default();
        let mut looked = 0;
        for generation in 1..=100 {
            let key = SessionKey { binding_generation: generation, ..key() };
            if pauses.check(&key).is_none() {
                looked += 1;
                if generation % 2 == 0 {
                    pauses.worked(&key);
                } else {
                    pauses.failed(&key, &denied("AccessDenied"));
                }
            }
        }
        assert_eq!(looked, 7, "three good ones after a bad one each, and the next bad one");
    }

    /// Requirement 29 of docs/security.md: exchanges shared fairly by namespace; what is dead holds up only what goes there.
    #[tokio::test(start_paused = true)]
    async fn requirement_29_a_spec_that_is_changed_in_a_loop_does_not_skip_the_pauses() {
        let pauses = Pauses::default();
        let mut tries = 0;
        let mut changed = key();
        for _ in 0..600 {
            changed.binding_generation += 1;
            changed.audience.push('x');
            if pauses.check(&changed).is_none() {
                tries += 1;
                pauses.failed(&changed, &denied("AccessDenied"));
                assert_eq!(pauses.check(&changed), Some(denied("AccessDenied")), "its own error");
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(tries, 7, "in a minute: three looks more at the beginning, after which the pauses are longer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_holds_up_what_it_speaks_of_and_nothing_else() {
        let pauses = Pauses::default();
        let large = SessionKey { policy: Some("large".into()), ..key() };
        pauses.failed(&large, &denied("PackedPolicyTooLarge"));
        assert!(pauses.check(&large).is_some());
        assert!(pauses.check(&key()).is_none(), "one Workflow's policy");
        let named = SessionKey { requester: Some("mallory".into()), ..key() };
        pauses.failed(&named, &denied("AccessDenied"));
        assert!(pauses.check(&key()).is_none(), "one user's session");
        pauses.failed(&key(), &denied("AccessDenied"));
        assert!(pauses.check(&SessionKey { policy: Some("other".into()), ..key() }).is_some(), "the role refuses");
        assert!(pauses.check(&SessionKey { binding_uid: "another".into(), ..key() }).is_none());
        pauses.worked(&key());
        assert!(pauses.check(&key()).is_none());
        assert!(pauses.check(&named).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn being_turned_away_costs_no_pause_and_old_failures_are_forgotten() {
        let pauses = Pauses::default();
        for error in [IdentityError::RateLimited, IdentityError::GivenUp, IdentityError::Pausing] {
            pauses.failed(&key(), &error);
            assert!(pauses.check(&key()).is_none());
        }
        for number in 0..1000 {
            pauses.failed(&SessionKey { binding_uid: number.to_string(), ..key() }, &denied("AccessDenied"));
        }
        tokio::time::advance(MEMORY.0 + LONGEST_PAUSE).await;
        pauses.failed(&key(), &denied("AccessDenied"));
        assert_eq!(pauses.of.lock().len(), 1);
    }
}
