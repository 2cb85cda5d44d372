//! This operator's share of AWS's quotas, kept before a call is made: a throttled call costs the account's other users too.
//! Source: the service quotas page of Step Functions, "Quotas related to API action throttling".

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Regions with larger quotas for some calls.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
/// Part of each bucket that is kept for tenants that have not called for a while, so that one that applies a thousand
/// objects does not make another wait for its first.
const RESERVE: f64 = 0.1;
/// How long ago a tenant's last call must be for it to use the reserve.
const NEWCOMER_AFTER: Duration = Duration::from_secs(10);
/// The least pace after throttling, as a part of the quota.
const SLOWEST: f64 = 0.1;
/// The least size of a bucket: a small part of a small quota, as one of many shards has it, still makes a call now and then.
const LEAST_BURST: f64 = 1.5;
/// How much of the pace comes back in a second.
const RECOVERY: f64 = 0.05;
/// After so long without a call a bucket is as if it were new, and is forgotten where there are this many.
const FORGET: (Duration, usize) = (Duration::from_secs(3600), 256);
/// The pace is halved at most so often: calls that were under way together are refused together.
const SLOW_ONCE: Duration = Duration::from_secs(5);

/// Size of a bucket and how much flows into it each second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quota {
    burst: f64,
    per_second: f64,
}

impl Quota {
    /// Size of the bucket of a part of the quota.
    fn size(self, share: f64) -> f64 {
        (self.burst * share).max(LEAST_BURST)
    }
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
        "TagResource" | "UntagResource" | "DescribeStateMachineAlias" | "DescribeMapRun" => (200.0, 1.0),
        // IAM publishes no rate; this leaves most of what is seen in practice to others.
        "iam:GetRole" => (100.0, 10.0),
        // CloudWatch's own quota, of the account and region.
        "cloudwatch:DescribeAlarms" => (9.0, 9.0),
        // CloudWatch Logs' quota, of the account and region, which AWS does not raise; in some regions it is larger.
        "logs:FilterLogEvents" => (5.0, 5.0),
        // Synchronous starts are bounded by the account's capacity, not by a rate of calls.
        "StartSyncExecution" => (6000.0, 6000.0),
        _ => (100.0, 1.0),
    };
    Quota { burst, per_second }
}

/// One bucket of tokens. `pace` falls when AWS throttles in spite of us, because others use the quota too, and comes back
/// by itself: a part of the quota, from [`SLOWEST`] to 1.
struct Bucket {
    quota: Quota,
    tokens: f64,
    filled_at: Instant,
    pace: f64,
    slowed_at: Option<Instant>,
    last_calls: HashMap<String, Instant>,
}

impl Bucket {
    fn new(quota: Quota, share: f64, now: Instant) -> Self {
        let tokens = quota.size(share);
        Self { quota, tokens, filled_at: now, pace: 1.0, slowed_at: None, last_calls: HashMap::new() }
    }

    fn fill(&mut self, share: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.pace = (self.pace + passed * RECOVERY).min(1.0);
        let gained = passed * self.quota.per_second * share * self.pace;
        self.tokens = (self.tokens + gained).min(self.quota.size(share));
        self.filled_at = now;
    }

    /// Time until the call may be made, zero where it may now.
    fn wait(&mut self, call: Call<'_>, share: f64, now: Instant) -> Duration {
        self.fill(share, now);
        let last = self.last_calls.get(call.tenant);
        let newcomer = last.is_none_or(|last| now.saturating_duration_since(*last) > NEWCOMER_AFTER);
        let kept = call.priority.kept_back() + if newcomer { 0.0 } else { RESERVE };
        let needed = 1.0 + self.quota.size(share) * kept;
        Duration::from_secs_f64(((needed - self.tokens) / (self.quota.per_second * share * self.pace)).max(0.0))
    }

    fn take(&mut self, call: Call<'_>, share: f64, now: Instant) -> Duration {
        let wait = self.wait(call, share, now);
        if wait.is_zero() {
            self.tokens -= 1.0;
            self.last_calls.retain(|_, last| now.saturating_duration_since(*last) <= NEWCOMER_AFTER);
            self.last_calls.insert(call.tenant.to_owned(), now);
        }
        wait
    }

    /// AWS has refused a call that we had a token for: its own bucket is empty.
    fn throttled(&mut self, share: f64, now: Instant) {
        self.fill(share, now);
        if self.slowed_at.is_none_or(|last| now.saturating_duration_since(last) >= SLOW_ONCE) {
            self.slowed_at = Some(now);
            self.pace = (self.pace / 2.0).max(SLOWEST);
            self.tokens = 0.0;
        }
    }
}

/// What a call is for. Where a bucket runs low the first go on and the last wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// What somebody asked for: start, stop, create, update.
    Change,
    /// Whether executions have ended.
    Observe,
    /// Outputs of executions that are known to have ended.
    Output,
    /// Whether somebody else has changed what we keep.
    Drift,
}

impl Priority {
    /// Part of a bucket that is left to those before.
    fn kept_back(self) -> f64 {
        match self {
            Self::Change => 0.0,
            Self::Observe => 0.02,
            Self::Output => 0.06,
            Self::Drift => 0.2,
        }
    }
}

/// Who calls what, where, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) operation: &'a str,
    /// Namespace and binding: those share fairly.
    pub(super) tenant: &'a str,
    pub(super) priority: Priority,
}

/// The buckets of every account and region.
pub(super) struct Quotas {
    state: Mutex<State>,
}

struct State {
    share: f64,
    buckets: HashMap<(String, String, String), Bucket>,
}

impl Quotas {
    /// `share` is the part of each default quota that may be used; above 1 where AWS has raised them.
    pub(super) fn new(share: f64) -> Self {
        Self { state: Mutex::new(State { share, buckets: HashMap::new() }) }
    }

    /// Changes the share: the cluster's is divided among the shards that this process holds.
    pub(super) fn set_share(&self, share: f64) {
        self.state.lock().share = share;
    }

    /// Takes a token; the time until there is one where there is none.
    pub(super) fn take(&self, call: Call<'_>, now: Instant) -> Result<(), Duration> {
        let wait = self.with(call, now, |bucket, share| bucket.take(call, share, now));
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Time until there is a token, zero where there is one, without taking it.
    pub(super) fn wait(&self, call: Call<'_>, now: Instant) -> Duration {
        self.with(call, now, |bucket, share| bucket.wait(call, share, now))
    }

    /// Halves the pace of a bucket that AWS found empty, at most once every [`SLOW_ONCE`].
    pub(super) fn throttled(&self, call: Call<'_>, now: Instant) {
        self.with(call, now, |bucket, share| bucket.throttled(share, now));
    }

    fn with<T>(&self, call: Call<'_>, now: Instant, act: impl FnOnce(&mut Bucket, f64) -> T) -> T {
        // Redrives and starts of Standard executions share a bucket.
        let operation =
            if call.operation == "states:RedriveExecution" { "states:StartExecution" } else { call.operation };
        let key = (call.account.to_owned(), call.region.to_owned(), operation.to_owned());
        let mut state = self.state.lock();
        let share = state.share;
        if state.buckets.len() >= FORGET.1 && !state.buckets.contains_key(&key) {
            // Accounts and regions come from the specs of tenants.
            state.buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled_at) < FORGET.0);
        }
        let bucket =
            state.buckets.entry(key).or_insert_with(|| Bucket::new(quota_of(operation, call.region), share, now));
        act(bucket, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(tenant: &str) -> Call<'_> {
        Call {
            account: "1",
            region: "eu-west-1",
            operation: "states:CreateStateMachine",
            tenant,
            priority: Priority::Change,
        }
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
        assert_eq!(quotas.wait(create("b"), start), Duration::ZERO);
        assert_eq!(quotas.take(create("b"), start), Ok(()));
        assert!(quotas.take(create("b"), start).is_err(), "its second waits as ours do");
        assert!(quotas.wait(create("c"), start).is_zero());
    }

    #[test]
    fn buckets_of_accounts_that_are_not_called_any_more_are_forgotten() {
        let (quotas, start) = (Quotas::new(1.0), Instant::now());
        let accounts: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        for account in &accounts {
            assert_eq!(quotas.take(Call { account, ..create("a") }, start), Ok(()));
        }
        let later = start + FORGET.0;
        assert_eq!(quotas.take(Call { account: "another", ..create("a") }, later), Ok(()));
        assert_eq!(quotas.state.lock().buckets.len(), 1);
    }

    #[test]
    fn redrives_and_starts_share_a_bucket() {
        let (quotas, start) = (Quotas::new(0.01), Instant::now());
        let redrive = Call { operation: "states:RedriveExecution", ..create("a") };
        while quotas.take(redrive, start).is_ok() {}
        assert!(quotas.take(Call { operation: "states:StartExecution", ..redrive }, start).is_err());
    }

    #[test]
    fn a_small_part_of_a_small_quota_is_slow_and_not_nothing() {
        let (quotas, start) = (Quotas::new(0.03), Instant::now());
        let read = Call { operation: "logs:FilterLogEvents", priority: Priority::Observe, ..create("a") };
        let ticks = (0..600).map(|second| start + Duration::from_secs(second));
        let granted = ticks.filter(|at| quotas.take(read, *at).is_ok()).count();
        assert!((80..=91).contains(&granted), "0.15 a second for ten minutes: {granted}");
        let drift = Call { priority: Priority::Drift, ..read };
        assert_eq!(quotas.take(drift, start + Duration::from_secs(700)), Ok(()));
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

    #[test]
    fn what_is_asked_for_goes_on_when_observing_outputs_and_drift_must_wait() {
        use Priority::{Change, Drift, Observe, Output};
        let (quotas, start) = (Quotas::new(1.0), Instant::now());
        let call = |priority| Call { priority, ..create("a") };
        let mut left = Vec::new();
        for granted in 0..200 {
            for priority in [Drift, Output, Observe, Change] {
                if !left.contains(&priority) && !quotas.wait(call(priority), start).is_zero() {
                    left.push(priority);
                    assert!((70..=90).contains(&granted), "{priority:?} after {granted}");
                }
            }
            if quotas.take(call(Change), start).is_err() {
                break;
            }
        }
        assert_eq!(left, [Drift, Output, Observe, Change]);
    }

    #[test]
    fn throttling_halves_the_pace_once_and_it_comes_back_by_itself() {
        let (quotas, start) = (Quotas::new(1.0), Instant::now());
        let describe = Call { operation: "states:DescribeExecution", ..create("a") };
        let granted = |from: Instant| {
            let ticks = (0..100).map(|tick| from + Duration::from_millis(tick * 100));
            ticks.filter(|at| quotas.take(describe, *at).is_ok()).count()
        };
        while quotas.take(describe, start).is_ok() {}
        let usual = granted(start);
        let later = start + Duration::from_secs(60);
        while quotas.take(describe, later).is_ok() {}
        quotas.throttled(describe, later);
        quotas.throttled(describe, later);
        let fresh = Call { tenant: "b", ..describe };
        assert!(quotas.wait(fresh, later) < Duration::from_millis(200), "half of 15 a second, not a quarter");
        assert!(!quotas.wait(fresh, later).is_zero(), "nothing is left of the burst");
        let slowed = granted(later + Duration::from_secs(1));
        assert!(slowed < usual, "{slowed} of {usual}");
        let recovered = later + Duration::from_secs(300);
        assert!((0..200).filter(|_| quotas.take(describe, recovered).is_ok()).count() == 200);
    }

    #[test]
    fn a_share_that_changes_counts_from_then_on() {
        let (quotas, start) = (Quotas::new(1.0), Instant::now());
        assert_eq!(quotas.take(create("a"), start), Ok(()));
        quotas.set_share(0.1);
        let granted = (0..100).filter(|_| quotas.take(create("a"), start).is_ok()).count();
        assert_eq!(granted, 9, "a tenth of 100, without the reserve");
    }
}
