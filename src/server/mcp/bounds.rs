//! How often one caller may call, and how many calls of it may be under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Callers that are remembered; one that has not called for a while is forgotten first.
const MAX_CALLERS: usize = 1024;
/// A caller may save so many seconds of calls.
const SAVED_SECONDS: f64 = 2.0;

/// The bounds of every caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub calls_per_second: f64,
    pub at_once: usize,
}

/// What callers have left.
#[derive(Clone)]
pub(super) struct CallBounds {
    rate: Rate,
    left: Arc<Mutex<HashMap<String, Left>>>,
}

#[derive(Debug)]
struct Left {
    calls: f64,
    at: Instant,
    under_way: usize,
}

/// Why a call is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// It calls too often; it may again after so long.
    Often(Duration),
    /// Too many of its calls are under way.
    AtOnce,
}

impl CallBounds {
    pub fn new(rate: Rate) -> Self {
        Self { rate, left: Arc::default() }
    }

    /// Takes a call, which ends when what it gives is dropped.
    pub fn take(&self, caller: &str, now: Instant) -> Result<Call, Exceeded> {
        let most = (self.rate.calls_per_second * SAVED_SECONDS).max(1.0);
        let mut all = self.left.lock();
        if all.len() >= MAX_CALLERS && !all.contains_key(caller) {
            all.retain(|_, left| left.under_way > 0 || left.refilled(self.rate, most, now) < most);
            // All have called just now, so nobody is owed a place.
            if all.len() >= MAX_CALLERS {
                return Err(Exceeded::Often(Duration::from_secs(1)));
            }
        }
        let left = all.entry(caller.to_owned()).or_insert(Left { calls: most, at: now, under_way: 0 });
        left.calls = left.refilled(self.rate, most, now);
        left.at = now;
        if left.calls < 1.0 {
            return Err(Exceeded::Often(Duration::from_secs_f64((1.0 - left.calls) / self.rate.calls_per_second)));
        }
        if left.under_way >= self.rate.at_once {
            return Err(Exceeded::AtOnce);
        }
        left.calls -= 1.0;
        left.under_way += 1;
        Ok(Call { of: caller.to_owned(), left: self.left.clone() })
    }
}

impl Left {
    fn refilled(&self, rate: Rate, most: f64, now: Instant) -> f64 {
        (self.calls + now.duration_since(self.at).as_secs_f64() * rate.calls_per_second).min(most)
    }
}

/// A call under way.
pub(super) struct Call {
    of: String,
    left: Arc<Mutex<HashMap<String, Left>>>,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(left) = self.left.lock().get_mut(&self.of) {
            left.under_way = left.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { calls_per_second: 10.0, at_once: 3 };

    #[test]
    fn a_thousand_calls_of_one_are_cut_to_its_share_and_nobody_else_notices() {
        let bounds = CallBounds::new(RATE);
        let start = Instant::now();
        let taken = (0..1000u32)
            .filter(|call| bounds.take("loud", start + Duration::from_millis(u64::from(*call))).is_ok())
            .count();
        assert!((29..=31).contains(&taken), "20 saved and 10 of this second: {taken}");
        assert!(bounds.take("quiet", start + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn calls_under_way_are_bounded_and_given_back() {
        let bounds = CallBounds::new(RATE);
        let now = Instant::now();
        let held: Vec<Call> = (0..3).map(|_| bounds.take("a", now).ok().unwrap()).collect();
        assert_eq!(bounds.take("a", now).err(), Some(Exceeded::AtOnce));
        drop(held);
        assert!(bounds.take("a", now).is_ok());
    }

    #[test]
    fn whoever_calls_too_often_is_told_when_it_may_again() {
        let bounds = CallBounds::new(RATE);
        let now = Instant::now();
        for _ in 0..20 {
            bounds.take("a", now).ok().unwrap();
        }
        assert_eq!(bounds.take("a", now).err(), Some(Exceeded::Often(Duration::from_millis(100))));
        assert!(bounds.take("a", now + Duration::from_millis(101)).is_ok());
    }

    #[test]
    fn callers_that_are_not_remembered_cost_nothing_for_ever() {
        let bounds = CallBounds::new(RATE);
        let now = Instant::now();
        for caller in 0..MAX_CALLERS {
            bounds.take(&caller.to_string(), now).ok().unwrap();
        }
        assert!(bounds.take("new", now).is_err());
        assert!(bounds.take("new", now + Duration::from_secs(3)).is_ok());
        assert_eq!(bounds.left.lock().len(), 1);
    }
}
