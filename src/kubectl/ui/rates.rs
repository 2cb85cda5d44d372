//! How the runs of a workflow went.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::kept::Run;
use super::told::took;
use crate::api::v1alpha1::Phase;

/// Counts of runs, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub succeeded: usize,
    pub failed: usize,
    pub aborted: usize,
    pub open: usize,
    durations: Vec<i64>,
}

impl Rates {
    pub fn add(&mut self, run: &Run) {
        match run.phase {
            Phase::Succeeded => {
                self.succeeded += 1;
                self.durations.extend(run.ran);
            }
            Phase::Failed | Phase::TimedOut => self.failed += 1,
            // Somebody stopped it, or nobody knows: it says nothing of the workflow.
            Phase::Aborted | Phase::Dispatched => self.aborted += 1,
            Phase::Pending | Phase::Starting | Phase::Running => self.open += 1,
        }
    }

    /// Runs of any phase.
    pub fn all(&self) -> usize {
        self.succeeded + self.failed + self.aborted + self.open
    }

    /// Share of the runs that ended by themselves, in percent; `None` where none has.
    pub fn success(&self) -> Option<String> {
        let ended = self.succeeded + self.failed;
        let tenths = (self.succeeded * 1000).checked_div(ended)?;
        Some(if tenths.is_multiple_of(10) {
            format!("{}%", tenths / 10)
        } else {
            format!("{}.{}%", tenths / 10, tenths % 10)
        })
    }

    /// How long half of the runs that succeeded took at most.
    pub fn median(&mut self) -> Option<String> {
        let middle = self.durations.len().checked_sub(1)? / 2;
        let (_, median, _) = self.durations.select_nth_unstable(middle);
        Some(took(SignedDuration::from_millis(*median)))
    }
}

/// By the name that `of` gives; runs for which it gives none are left out.
pub(super) fn rates<'a, K: Ord>(
    runs: impl Iterator<Item = &'a Run>,
    of: impl Fn(&Run) -> Option<K>,
) -> BTreeMap<K, Rates> {
    let mut all: BTreeMap<K, Rates> = BTreeMap::new();
    for run in runs {
        if let Some(key) = of(run) {
            all.entry(key).or_default().add(run);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_what_ended_by_itself() {
        let mut rates = Rates::default();
        assert_eq!((rates.success(), rates.median()), (None, None));
        let run = |phase, ran| Run {
            workflow: "fulfil".into(),
            version: None,
            phase,
            created: None,
            started: None,
            finished: None,
            ran,
            by: None,
            detail: None,
        };
        for (phase, ran) in [
            (Phase::Succeeded, Some(3000)),
            (Phase::Succeeded, Some(1000)),
            (Phase::Succeeded, Some(2000)),
            (Phase::Failed, Some(9000)),
            (Phase::Aborted, Some(9000)),
            (Phase::Running, None),
        ] {
            rates.add(&run(phase, ran));
        }
        assert_eq!(rates.success().as_deref(), Some("75%"));
        assert_eq!(rates.median().as_deref(), Some("2.0s"));
        assert_eq!((rates.all(), rates.open), (6, 1));
    }
}
