//! Whether a new version does as well as the old one, judged from executions that really ran.

use std::time::Duration;

/// How the executions of one version went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Executions that succeeded.
    pub succeeded: u32,
    /// Executions that failed or timed out. Stopped ones count for nothing: a person or this operator stopped them.
    pub failed: u32,
    /// How long those that succeeded took, in any order.
    pub durations: Vec<Duration>,
    /// For how long the oldest one has been running.
    pub oldest_open: Option<Duration>,
}

impl Tally {
    /// Executions that ended by themselves.
    pub fn ended(&self) -> u32 {
        self.succeeded + self.failed
    }

    /// Share of failures, 0 where nothing has ended.
    fn failure_rate(&self) -> f64 {
        if self.ended() == 0 { 0.0 } else { f64::from(self.failed) / f64::from(self.ended()) }
    }

    /// The duration that 99 of 100 do not exceed.
    fn p99(&self) -> Option<Duration> {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        sorted.get(index).copied()
    }
}

/// How many executions of the two versions of a rollout ended by themselves, and how many of them badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Failed, and ended in all, of the old version.
    pub old: (u32, u32),
    /// The same of the new one.
    pub new: (u32, u32),
}

impl Counts {
    /// Of the tallies of both.
    pub fn of(old: &Tally, new: &Tally) -> Self {
        Self { old: (old.failed, old.ended()), new: (new.failed, new.ended()) }
    }

    /// For people: `1 of 4 ended executions of version 5 failed, of version 4 2 of 90`.
    pub fn told(&self, old: i64, new: i64) -> String {
        let ((old_failed, old_ended), (new_failed, new_ended)) = (self.old, self.new);
        format!(
            "{new_failed} of {new_ended} ended executions of version {new} failed, of version {old} {old_failed} of {old_ended}"
        )
    }
}

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As good as the old one: go on.
    Good,
    /// Worse beyond doubt: roll back.
    Bad,
    /// Not enough has ended to say.
    TooFew,
    /// Worse so far, but it may be chance.
    Doubtful,
    /// Executions are open for far longer than the old version's take.
    Slow,
}

/// How much longer than the old version's 99th percentile an execution may be open before it holds a rollout.
const FAR_BEYOND: u32 = 2;
/// Quantile of the normal distribution for 95 % confidence.
const Z: f64 = 1.96;

/// Lower bound of the Wilson score interval: the failure rate is at least this with 97.5 % confidence.
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
pub fn wilson_lower_bound(failed: u32, ended: u32) -> f64 {
    if ended == 0 {
        return 0.0;
    }
    let (n, rate) = (f64::from(ended), f64::from(failed) / f64::from(ended));
    let centre = rate + Z * Z / (2.0 * n);
    let spread = Z * ((rate * (1.0 - rate) + Z * Z / (4.0 * n)) / n).sqrt();
    ((centre - spread) / (1.0 + Z * Z / n)).max(0.0)
}

/// Compares. A rate of failures is bad when it is above the limit and above the old version's own rate.
pub fn judge(old: &Tally, new: &Tally, max_failure_percent: i64, min_executions: i64) -> Verdict {
    #[allow(clippy::cast_precision_loss)] // 0 to 100
    let limit = (max_failure_percent as f64 / 100.0).max(old.failure_rate());
    if wilson_lower_bound(new.failed, new.ended()) > limit {
        return Verdict::Bad;
    }
    if i64::from(new.ended()) < min_executions {
        return Verdict::TooFew;
    }
    if new.failure_rate() > limit {
        return Verdict::Doubtful;
    }
    match (new.oldest_open, old.p99()) {
        (Some(open), Some(usual)) if open > usual.saturating_mul(FAR_BEYOND) + Duration::from_secs(1) => Verdict::Slow,
        _ => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(succeeded: u32, failed: u32) -> Tally {
        Tally { succeeded, failed, durations: vec![Duration::from_secs(2); succeeded as usize], oldest_open: None }
    }

    #[test]
    fn the_bound_is_that_of_the_literature() {
        for (failed, ended, expected) in [(0, 10, 0.0), (1, 10, 0.017_9), (5, 10, 0.236_6), (10, 10, 0.722_5)] {
            let bound = wilson_lower_bound(failed, ended);
            assert!((bound - expected).abs() < 0.001, "{failed} of {ended}: {bound}");
        }
    }

    #[test]
    fn a_version_is_judged_by_what_ended() {
        let old = tally(100, 0);
        assert_eq!(judge(&old, &tally(10, 0), 5, 10), Verdict::Good);
        assert_eq!(judge(&old, &tally(9, 0), 5, 10), Verdict::TooFew);
        assert_eq!(judge(&old, &tally(9, 1), 5, 10), Verdict::Doubtful);
        assert_eq!(judge(&old, &tally(5, 5), 5, 10), Verdict::Bad);
        assert_eq!(judge(&old, &tally(0, 2), 5, 10), Verdict::Bad, "two of two need no further proof");
        assert_eq!(judge(&tally(5, 5), &tally(5, 5), 5, 10), Verdict::Good, "the old one is no better");
        let slow = Tally { oldest_open: Some(Duration::from_secs(60)), ..tally(10, 0) };
        assert_eq!(judge(&old, &slow, 5, 10), Verdict::Slow);
        assert_eq!(judge(&Tally::default(), &slow, 5, 10), Verdict::Good, "nothing to compare with");
    }
}
