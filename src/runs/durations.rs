//! How long executions of a machine take, from those that have ended.

/// How many of the latest durations are remembered.
pub(super) const REMEMBERED: usize = 64;
/// So many samples weigh as much as knowing nothing does.
const DOUBT: f64 = 4.0;
/// Seconds after a start within which an end is as likely as any: below it a tenth of the age is no interval.
const YOUNG: f64 = 2.5;

/// The latest durations, in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    sorted: Vec<f32>,
    arrived: std::collections::VecDeque<f32>,
}

impl Durations {
    /// An execution took so many seconds.
    #[allow(clippy::cast_possible_truncation)] // a duration needs no double precision
    pub(super) fn learn(&mut self, seconds: f64) {
        let seconds = seconds.max(0.0) as f32;
        if self.arrived.len() == REMEMBERED
            && let Some(oldest) = self.arrived.pop_front()
            && let Ok(at) = self.sorted.binary_search_by(|one| one.total_cmp(&oldest))
        {
            self.sorted.remove(at);
        }
        self.arrived.push_back(seconds);
        let at = self.sorted.partition_point(|one| one.total_cmp(&seconds).is_lt());
        self.sorted.insert(at, seconds);
    }

    /// How likely an execution that ran at age `from` has ended at age `to`. `blur` is how long AWS may show one as running
    /// after its end, so that one seen to run shortly after its likely end is still likely to have ended.
    ///
    /// What is known of others weighs more with each sample. Without samples an end is as likely within each tenth of the
    /// age, which looks at short executions soon and at long ones rarely.
    pub(super) fn chance(&self, from: f64, to: f64, blur: f64) -> f64 {
        let unknown = ((to + YOUNG) / (from + YOUNG)).ln().clamp(0.0, 1.0);
        let (samples, before) = (count(self.sorted.len()), self.within((from - blur).max(0.0)));
        // It has outlived every sample: they say nothing of it.
        if before >= samples {
            return unknown;
        }
        // The next may well outlive them all, so they count as one more than they are.
        let known = (self.within(to) - before) / (samples + 1.0 - before);
        let weight = samples / (samples + DOUBT);
        weight * known + (1.0 - weight) * unknown
    }

    /// How many of the samples took at most so long.
    #[allow(clippy::cast_possible_truncation)] // a duration needs no double precision
    fn within(&self, seconds: f64) -> f64 {
        count(self.sorted.partition_point(|one| *one <= seconds as f32))
    }
}

#[allow(clippy::cast_precision_loss)] // at most 64
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[f64]) -> Durations {
        let mut durations = Durations::default();
        for seconds in samples {
            durations.learn(*seconds);
        }
        durations
    }

    #[test]
    fn without_samples_an_end_is_expected_within_a_tenth_of_the_age() {
        let none = Durations::default();
        assert!((0.09..0.11).contains(&none.chance(0.0, 0.26, 0.0)), "a new one is looked at within 250 ms");
        assert!((0.09..0.11).contains(&none.chance(1000.0, 1105.0, 0.0)));
        assert!(none.chance(10.0, 10.0, 5.0) == 0.0);
    }

    #[test]
    fn an_end_is_expected_when_those_before_ended() {
        let known = of(&[60.0; 64]);
        assert!(known.chance(10.0, 50.0, 0.0) < 0.12, "{}", known.chance(10.0, 50.0, 0.0));
        assert!(known.chance(10.0, 60.5, 0.0) > 0.9);
        assert!(known.chance(60.5, 60.6, 0.0) < 0.01, "it has outlived them");
        assert!(known.chance(60.5, 61.5, 3.0) > 0.9, "AWS may not show the end yet");
    }

    #[test]
    fn a_few_samples_do_not_make_an_end_likely() {
        let few = of(&[40.0, 50.0, 55.0, 60.0]);
        assert!(few.chance(59.0, 61.0, 2.0) < 0.5, "{}", few.chance(59.0, 61.0, 2.0));
        let many: Vec<f64> = (0..64).map(|index| f64::from(index) * 10.0).collect();
        assert!(of(&many).chance(625.0, 635.0, 2.0) < 0.5, "the last of many, all different");
    }

    #[test]
    fn the_latest_samples_replace_the_oldest() {
        let mut durations = of(&[10.0; 64]);
        for _ in 0..64 {
            durations.learn(100.0);
        }
        assert!(durations.chance(0.0, 50.0, 0.0) < 0.2);
        assert_eq!(durations.sorted.len(), 64);
    }
}
