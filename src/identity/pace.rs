//! How fast tokens are minted and traded, over all bindings together.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// Gives turns at a steady rate, after a first burst. Turns are given in the order in which they were asked for.
pub(super) struct Pace {
    interval: Duration,
    slack: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// `burst` turns at once, then `per_second`.
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, slack: interval * burst.saturating_sub(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn; false at once, and without taking one, when it is further away than `longest`. Turns are not
    /// reserved beyond that: callers who gave up would otherwise push all others back for ever.
    pub(super) async fn turn(&self, longest: Duration) -> bool {
        let wait = {
            let mut next = self.next.lock();
            let now = Instant::now();
            let turn = (*next).max(now);
            let wait = turn.duration_since(now).saturating_sub(self.slack);
            if wait > longest {
                return false;
            }
            *next = turn + self.interval;
            wait
        };
        sleep(wait).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_the_burst_turns_come_at_the_rate() {
        let pace = Pace::new(10, 5);
        let started = Instant::now();
        for _ in 0..10 {
            assert!(pace.turn(Duration::from_secs(60)).await);
        }
        assert!(started.elapsed() < Duration::from_millis(10));
        for _ in 0..10 {
            assert!(pace.turn(Duration::from_secs(60)).await);
        }
        assert!(started.elapsed().abs_diff(Duration::from_secs(2)) < Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_turned_away_holds_nobody_up() {
        let pace = Pace::new(1, 1);
        assert!(pace.turn(Duration::ZERO).await);
        for _ in 0..1000 {
            assert!(!pace.turn(Duration::from_millis(10)).await);
        }
        assert!(pace.turn(Duration::from_secs(1)).await);
    }
}
