//! This operator's share of AWS's quotas, kept before a call is made: a throttled call costs the account's other users too.
//! Source: the service quotas page of Step Functions, "Quotas related to API action throttling".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Regions with larger quotas for some calls.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
/// Part of each bucket that is kept for tenants that have not called for a while, so that one that applies a thousand
/// objects does not make another wait for its first.
const RESERVE: f64 = 0.1;
/// How long ago a tenant's last call must be for it to use the reserve.
const NEWCOMER_AFTER: Duration = Duration::from_secs(10);

/// Size of a bucket and how much flows into it each second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quota {
    burst: f64,
    per_second: f64,
}

/// The quota of an operation, `states:CreateStateMachine` for example, in a region.
fn quota_of(operation: &str, region: &str) -> Quota {
    let large = LARGE_REGIONS.contains(&region);
    let (burst, per_second) = match operation.trim_start_matches("states:") {
        "StartExecution" if large => (1300.0, 300.0),
        "StartExecution" => (800.0, 150.0),
        "StopExecution" if large => (1000.0, 200.0),
        "StopExecution" => (500.0, 25.0),
        "DescribeExecution" if large => (300.0, 15.0),
        "DescribeExecution" => (250.0, 10.0),
        "ListExecutions" if large => (200.0, 5.0),
        "ListExecutions" => (100.0, 2.0),
        "GetExecutionHistory" => (400.0, 20.0),
        "DescribeStateMachine" => (200.0, 20.0),
        "TagResource" | "UntagResource" | "DescribeStateMachineAlias" => (200.0, 1.0),
        // CloudWatch's own quota, of the account and region.
        "cloudwatch:DescribeAlarms" => (9.0, 9.0),
        // Synchronous starts are bounded by the account's capacity, not by a rate of calls.
        "StartSyncExecution" => (6000.0, 6000.0),
        _ => (100.0, 1.0),
    };
    Quota { burst, per_second }
}

/// One bucket of tokens.
struct Bucket {
    quota: Quota,
    tokens: f64,
    filled_at: Instant,
    last_calls: HashMap<String, Instant>,
}

impl Bucket {
    fn new(quota: Quota, now: Instant) -> Self {
        Self { quota, tokens: quota.burst, filled_at: now, last_calls: HashMap::new() }
    }

    /// Time until the tenant may call, zero where it may now.
    fn wait(&mut self, tenant: &str, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * self.quota.per_second;
        self.tokens = (self.tokens + gained).min(self.quota.burst);
        self.filled_at = now;
        let last = self.last_calls.get(tenant);
        let newcomer = last.is_none_or(|last| now.saturating_duration_since(*last) > NEWCOMER_AFTER);
        let needed = if newcomer { 1.0 } else { 1.0 + self.quota.burst * RESERVE };
        Duration::from_secs_f64(((needed - self.tokens) / self.quota.per_second).max(0.0))
    }

    fn take(&mut self, tenant: &str, now: Instant) -> Duration {
        let wait = self.wait(tenant, now);
        if wait.is_zero() {
            self.tokens -= 1.0;
            self.last_calls.retain(|_, last| now.saturating_duration_since(*last) <= NEWCOMER_AFTER);
            self.last_calls.insert(tenant.to_owned(), now);
        }
        wait
    }
}

/// Who calls what, where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) operation: &'a str,
    /// Namespace and binding: those share fairly.
    pub(super) tenant: &'a str,
}

/// The buckets of every account and region.
pub(super) struct Quotas {
    share: f64,
    buckets: Mutex<HashMap<(String, String, String), Bucket>>,
}

impl Quotas {
    /// `share` is the part of each default quota that may be used; above 1 where AWS has raised them.
    pub(super) fn new(share: f64) -> Self {
        Self { share, buckets: Mutex::default() }
    }

    /// Takes a token; the time until there is one where there is none.
    pub(super) fn take(&self, call: Call<'_>, now: Instant) -> Result<(), Duration> {
        self.with(call, now, |bucket| bucket.take(call.tenant, now))
    }

    /// Whether there is a token, without taking it.
    pub(super) fn peek(&self, call: Call<'_>, now: Instant) -> Result<(), Duration> {
        self.with(call, now, |bucket| bucket.wait(call.tenant, now))
    }

    fn with(&self, call: Call<'_>, now: Instant, ask: impl FnOnce(&mut Bucket) -> Duration) -> Result<(), Duration> {
        let key = (call.account.to_owned(), call.region.to_owned(), call.operation.to_owned());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert_with(|| {
            let Quota { burst, per_second } = quota_of(call.operation, call.region);
            Bucket::new(Quota { burst: burst * self.share, per_second: per_second * self.share }, now)
        });
        let wait = ask(bucket);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(tenant: &str) -> Call<'_> {
        Call { account: "1", region: "eu-west-1", operation: "states:CreateStateMachine", tenant }
    }

    #[test]
    fn a_share_of_the_burst_is_used_and_then_its_share_of_the_rate() {
        let (quotas, start) = (Quotas::new(0.5), Instant::now());
        let granted = (0..100).filter(|_| quotas.take(create("a"), start).is_ok()).count();
        assert_eq!(granted, 45, "half of 100, without the reserve");
        let later = (1..=20).filter(|s| quotas.take(create("a"), start + Duration::from_secs(*s)).is_ok()).count();
        assert_eq!(later, 10);
        assert!(quotas.take(create("a"), start).is_err());
    }

    #[test]
    fn another_tenants_first_call_does_not_wait_for_a_thousand_of_ours() {
        let (quotas, start) = (Quotas::new(0.5), Instant::now());
        while quotas.take(create("a"), start).is_ok() {}
        assert_eq!(quotas.peek(create("b"), start), Ok(()));
        assert_eq!(quotas.take(create("b"), start), Ok(()));
        assert!(quotas.take(create("b"), start).is_err(), "its second waits as ours do");
        assert!(quotas.peek(create("c"), start).is_ok());
    }

    #[test]
    fn accounts_regions_and_operations_have_buckets_of_their_own() {
        let (quotas, start) = (Quotas::new(1.0), Instant::now());
        while quotas.take(create("a"), start).is_ok() {}
        for other in [
            Call { account: "2", ..create("a") },
            Call { region: "us-east-1", ..create("a") },
            Call { operation: "states:UpdateStateMachine", ..create("a") },
        ] {
            assert_eq!(quotas.take(other, start), Ok(()), "{other:?}");
        }
    }
}
