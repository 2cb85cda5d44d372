//! Whether an operator holds its Lease, as others see it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

/// Name of the Lease of an operator without shards, which the replicas of one with shards keep together.
pub const LEASE: &str = "stepbound";

/// The lease of the operator, or of one of its shards.
pub fn is_ours(name: &str) -> bool {
    let shard = name.strip_prefix(LEASE).and_then(|rest| rest.strip_prefix('-'));
    name == LEASE || shard.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
}

/// True while its holder may still act.
pub fn is_held(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(15);
    let lasts = SignedDuration::try_from(Duration::from_secs(seconds)).unwrap_or(SignedDuration::MAX);
    let held = spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty());
    held && renewed(lease).is_some_and(|renewed| now.duration_since(renewed) < lasts)
}

/// When it was last renewed.
pub fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

/// Since when no operator works, where none of these Leases is held. Clocks differ: one that was renewed within a minute may
/// be held by somebody whose clock is behind.
pub fn silent_since(leases: &[Lease], now: Timestamp) -> Option<Timestamp> {
    let ours = || leases.iter().filter(|lease| lease.metadata.name.as_deref().is_some_and(is_ours));
    let newest = ours().filter_map(renewed).max()?;
    let is_old = now.duration_since(newest) > SignedDuration::from_mins(1);
    (is_old && !ours().any(|lease| is_held(lease, now))).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(name: &str, holder: &str, renewed: &str) -> Lease {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}, "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}}))
        .unwrap()
    }

    #[test]
    fn a_lease_counts_while_its_holder_may_still_act() {
        let now: Timestamp = "2026-01-01T00:00:20Z".parse().unwrap();
        assert!(is_held(&lease("stepbound", "a", "2026-01-01T00:00:10.000000Z"), now));
        assert!(!is_held(&lease("stepbound", "a", "2026-01-01T00:00:01.000000Z"), now));
        assert!(!is_held(&lease("stepbound", "", "2026-01-01T00:00:10.000000Z"), now));
        assert!(is_ours("stepbound") && is_ours("stepbound-3") && !is_ours("stepbound-other"));
    }

    #[test]
    fn no_operator_works_once_none_has_renewed_its_lease_for_a_minute() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let old = lease("stepbound", "a", "2026-01-01T00:10:00.000000Z");
        let young = lease("stepbound", "b", "2026-01-01T00:59:55.000000Z");
        let others = lease("stepbound-other", "b", "2026-01-01T00:59:55.000000Z");
        assert_eq!(silent_since(&[], now), None, "nothing is known");
        assert_eq!(silent_since(&[old.clone(), others], now), renewed(&old));
        assert_eq!(silent_since(&[old, young], now), None, "one of several works");
        assert_eq!(
            silent_since(&[lease("stepbound", "", "2026-01-01T00:59:30.000000Z")], now),
            None,
            "just handed over"
        );
    }
}
