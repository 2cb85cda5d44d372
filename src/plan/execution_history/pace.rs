//! How often statuses of histories are written while they are read: a bounded number in a second, and each namespace has the
//! same part of it.

use std::collections::HashMap;
use std::time::Duration;

/// Writes in a second, of all namespaces together.
const A_SECOND: u32 = 10;
/// A namespace has a part as long as it has asked within this time.
const ASKS_WITHIN: Duration = Duration::from_secs(3);

/// When each namespace has written and may write again. Times are counted from any fixed start.
#[derive(Debug, Default)]
pub struct Pace(HashMap<String, Turn>);

#[derive(Debug)]
struct Turn {
    next: Duration,
    asked: Duration,
}

impl Pace {
    /// Lets an object of the namespace write now, or says how long it is until it may ask again.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&mut self, namespace: &str, now: Duration) -> Result<(), Duration> {
        self.0.retain(|_, turn| now.saturating_sub(turn.asked) < ASKS_WITHIN || turn.next > now);
        let turn = self.0.entry(namespace.to_owned()).or_insert(Turn { next: now, asked: now });
        turn.asked = now;
        let wait = turn.next.saturating_sub(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        let parts = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let apart = Duration::from_secs(1) / A_SECOND * parts;
        if let Some(turn) = self.0.get_mut(namespace) {
            turn.next = now + apart;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each namespace writes in ten seconds, where each asks as often as it likes.
    fn writes(asks: &[(&str, u64)]) -> Vec<u32> {
        let (mut pace, mut written) = (Pace::default(), vec![0; asks.len()]);
        for now in 0..10_000 {
            for (at, (namespace, every)) in asks.iter().enumerate() {
                if now % every == 0 && pace.take(namespace, Duration::from_millis(now)).is_ok() {
                    written[at] += 1;
                }
            }
        }
        written
    }

    #[test]
    fn statuses_are_written_ten_times_a_second_and_each_namespace_has_the_same_part() {
        assert_eq!(writes(&[("shop", 1)]), [100]);
        let both = writes(&[("greedy", 1), ("shop", 10)]);
        assert!(both.iter().sum::<u32>() <= 101, "{both:?}");
        assert!(both[1] >= 45, "whoever asks more often gets no more: {both:?}");
        let many: Vec<String> = (0..50).map(|number| format!("n-{number}")).collect();
        let asks: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 7)).collect();
        let all = writes(&asks);
        assert!(all.iter().sum::<u32>() <= 150, "the first of each is let through at once: {all:?}");
        assert!(all.iter().all(|one| *one >= 2), "{all:?}");
    }

    #[test]
    fn nothing_is_kept_of_a_namespace_that_asks_no_more() {
        let mut pace = Pace::default();
        pace.take("gone", Duration::ZERO).unwrap();
        pace.take("shop", Duration::from_secs(10)).unwrap();
        assert_eq!(pace.0.len(), 1);
    }
}
