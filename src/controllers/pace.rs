//! How many runs of a namespace start in a second, where a Guardrail says so.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// How long a run waits at most before it asks whether there is an earlier turn.
const ASKS_FOR_A_TURN_AFTER: Duration = Duration::from_secs(15);

/// The pace at which the runs of each namespace start.
#[derive(Default)]
pub(super) struct Pace(HashMap<String, Turns>);

impl Pace {
    /// Lets a run of the namespace start, or says how long it is until its turn. Each waiting run has a turn of its own, so
    /// that a thousand of them are looked at once more each, and not all of them at every turn.
    pub(super) fn take(&mut self, namespace: &str, uid: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        self.0.retain(|_, turns| now.saturating_duration_since(turns.next) < Duration::from_secs(3600));
        self.0.entry(namespace.to_owned()).or_insert_with(|| Turns::new(now)).take(uid, per_second, now)
    }

    /// A run is over or gone: a turn that it was given and did not take is another's.
    pub(super) fn give_back(&mut self, namespace: &str, uid: &str) {
        if let Some(turns) = self.0.get_mut(namespace) {
            turns.give_back(uid);
        }
    }
}

/// The turns of a namespace's runs.
struct Turns {
    /// The first that nobody has.
    next: Instant,
    /// Those that were given and not taken yet, by UID.
    given: HashMap<String, Instant>,
    /// Those that were given back.
    free: BTreeSet<Instant>,
}

impl Turns {
    fn new(now: Instant) -> Self {
        Self { next: now, given: HashMap::new(), free: BTreeSet::new() }
    }

    fn take(&mut self, uid: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        let given = self.given.get(uid).copied();
        // One that was given back comes earlier, unless it has passed: what was not used is not saved up.
        self.free = self.free.split_off(&now);
        let earlier = self.free.first().copied().filter(|free| given.is_none_or(|given| *free < given));
        let turn = match (earlier, given) {
            (Some(earlier), given) => {
                self.free.remove(&earlier);
                self.free.extend(given);
                earlier
            }
            (None, Some(given)) => given,
            (None, None) => {
                let turn = self.next.max(now);
                self.next = turn + Duration::from_secs(1) / per_second.max(1);
                turn
            }
        };
        if turn <= now {
            self.given.remove(uid);
            return Ok(());
        }
        // A run that was deleted or cancelled does not come for its turn.
        self.given.retain(|_, turn| now.saturating_duration_since(*turn) < Duration::from_secs(60));
        self.given.insert(uid.to_owned(), turn);
        // Another may be given back meanwhile.
        Err((turn - now).min(ASKS_FOR_A_TURN_AFTER))
    }

    /// A run that waits goes: its turn is another's.
    fn give_back(&mut self, uid: &str) {
        self.free.extend(self.given.remove(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_namespace_start_in_turn_and_others_do_not_wait_for_them() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut take =
            |namespace: &str, uid: &str, at: u64| pace.take(namespace, uid, 5, start + Duration::from_millis(at));
        assert_eq!(take("shop", "a", 0), Ok(()));
        assert_eq!(take("shop", "b", 0), Err(Duration::from_millis(200)));
        assert_eq!(take("shop", "c", 0), Err(Duration::from_millis(400)));
        assert_eq!(take("other", "d", 0), Ok(()));
        assert_eq!(take("shop", "b", 100), Err(Duration::from_millis(100)), "asking again costs nothing");
        assert_eq!(take("shop", "c", 400), Ok(()));
        assert_eq!(take("shop", "b", 400), Ok(()));
        assert_eq!(take("shop", "e", 60_000), Ok(()), "what was not used is not saved up");
        assert_eq!(take("shop", "f", 60_000), Err(Duration::from_millis(200)));
    }

    #[test]
    fn nobody_waits_for_the_turn_of_a_run_that_has_gone() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let take = |pace: &mut Pace, uid: &str, at: u64| pace.take("shop", uid, 1, start + Duration::from_secs(at));
        assert_eq!(take(&mut pace, "first", 0), Ok(()));
        let rude: Vec<String> = (0..60).map(|number| format!("rude-{number}")).collect();
        assert!(rude.iter().all(|uid| take(&mut pace, uid, 0).is_err()));
        assert_eq!(take(&mut pace, "early", 0), Err(ASKS_FOR_A_TURN_AFTER));
        for uid in &rude {
            pace.give_back("shop", uid);
        }
        assert_eq!(take(&mut pace, "late", 0), Err(Duration::from_secs(1)));
        assert_eq!(take(&mut pace, "early", 1), Err(Duration::from_secs(1)), "it moves up");
        assert_eq!((take(&mut pace, "late", 1), take(&mut pace, "early", 2)), (Ok(()), Ok(())));
    }
}
