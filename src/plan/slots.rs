//! How many runs of a namespace may be under way at once, and whose turn it is: in order of creation. A run that has ended and
//! is to go on stands in the same line.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

/// How long something is remembered that the watch of the runs has to show: a slot that was given, an end, a run that
/// waits and has to ask again.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(60);

/// What the watch shows of the runs of a namespace, by UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Started and not over.
    pub active: HashSet<String>,
    /// Not started, or over and asked to go on; and neither deleted nor cancelled.
    pub waiting: HashSet<String>,
}

impl Seen {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.waiting.is_empty()
    }
}

/// The runs of one namespace that were given a slot or wait for one.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    given: HashMap<String, Timestamp>,
    ended: HashMap<String, Timestamp>,
    waiting: BTreeMap<(Timestamp, String), (String, Timestamp)>,
}

/// A run that asks for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// Its name, which decides among those created in the same second.
    pub name: &'a str,
    /// When it was created.
    pub created: Timestamp,
}

impl Slots {
    /// Gives the run a slot where at most `max` may be under way; otherwise its position among those that wait.
    ///
    /// # Errors
    /// The position, counted from 1.
    pub fn take(&mut self, run: Asks<'_>, max: usize, seen: &Seen, now: Timestamp) -> Result<(), usize> {
        self.forget_old(seen, now);
        let under_way: HashSet<&String> =
            seen.active.iter().filter(|uid| !self.ended.contains_key(*uid)).chain(self.given.keys()).collect();
        if under_way.iter().any(|uid| *uid == run.uid) {
            // It may wait for something else meanwhile, and keeps its slot as long as it asks.
            self.given.entry(run.uid.to_owned()).and_modify(|at| *at = now);
            return Ok(());
        }
        let free = max.saturating_sub(under_way.len());
        let order = (run.created, run.name.to_owned());
        let before = self.waiting.range(..order.clone()).count();
        if before < free {
            self.waiting.remove(&order);
            // It goes on: what the watch shows as running is this run again.
            self.ended.remove(run.uid);
            self.given.insert(run.uid.to_owned(), now);
            return Ok(());
        }
        self.waiting.insert(order, (run.uid.to_owned(), now));
        Err(before + 1)
    }

    /// A run is over or gone. Gives the name of the run that may be helped by it.
    pub fn end(&mut self, uid: &str, now: Timestamp) -> Option<String> {
        self.given.remove(uid);
        // Nobody may ask for a slot any more. One that the watch still shows as running counts as that then, which is safe.
        self.ended.retain(|_, at| is_fresh(*at, now));
        self.ended.insert(uid.to_owned(), now);
        self.waiting.keys().next().map(|(_, name)| name.clone())
    }

    /// A run that was given a slot could not start.
    pub fn give_back(&mut self, uid: &str) {
        self.given.remove(uid);
    }

    /// True when nothing that is remembered counts any more.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        let waiting = self.waiting.values().map(|(_, at)| at);
        !self.given.values().chain(self.ended.values()).chain(waiting).any(|at| is_fresh(*at, now))
    }

    fn forget_old(&mut self, seen: &Seen, now: Timestamp) {
        let fresh = |at: &Timestamp| is_fresh(*at, now);
        // Also of a run that is seen as active: the watch may have yet to show that it had ended before.
        self.given.retain(|_, at| fresh(at));
        // Once the watch has shown the end, what it shows as active has begun since.
        self.ended.retain(|uid, at| fresh(at) && seen.active.contains(uid));
        self.waiting.retain(|_, (uid, at)| fresh(at) && seen.waiting.contains(uid));
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn asks(name: &str, created: i64) -> Asks<'_> {
        Asks { uid: name, name, created: at(created) }
    }

    fn seen(active: &[&str], waiting: &[&str]) -> Seen {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Seen { active: set(active), waiting: set(waiting) }
    }

    #[test]
    fn runs_start_in_order_of_creation_and_a_place_counts_before_it_is_seen() {
        let mut slots = Slots::default();
        let all = seen(&[], &["a", "b", "c"]);
        assert_eq!(slots.take(asks("a", 1), 1, &all, at(10)), Ok(()));
        assert_eq!(slots.take(asks("c", 3), 1, &all, at(10)), Err(1));
        assert_eq!(slots.take(asks("b", 2), 1, &all, at(10)), Err(1));
        assert_eq!(slots.take(asks("c", 3), 1, &all, at(10)), Err(2));
        // The watch still shows it running when it has ended.
        assert_eq!(slots.end("a", at(11)), Some("b".into()));
        let late = seen(&["a"], &["b", "c"]);
        assert_eq!(slots.take(asks("c", 3), 1, &late, at(11)), Err(2));
        assert_eq!(slots.take(asks("b", 2), 1, &late, at(11)), Ok(()));
    }

    #[test]
    fn a_run_that_waits_for_something_else_keeps_its_slot_while_it_asks() {
        let mut slots = Slots::default();
        let all = seen(&[], &["a", "b"]);
        for second in (10..200).step_by(15) {
            assert_eq!(slots.take(asks("a", 1), 1, &all, at(second)), Ok(()), "{second}");
            assert_eq!(slots.take(asks("b", 2), 1, &all, at(second + 14)), Err(1), "{second}");
        }
        assert_eq!(slots.take(asks("b", 2), 1, &all, at(300)), Ok(()), "a does not ask any more");
    }

    #[test]
    fn a_run_that_went_away_or_could_not_start_holds_up_nobody() {
        let mut slots = Slots::default();
        let all = seen(&[], &["a", "b", "c"]);
        assert_eq!(slots.take(asks("a", 1), 1, &all, at(10)), Ok(()));
        assert_eq!(slots.take(asks("b", 2), 1, &all, at(10)), Err(1));
        slots.give_back("a");
        assert_eq!(slots.take(asks("c", 3), 1, &seen(&[], &["a", "c"]), at(11)), Ok(()), "b was deleted");
    }

    #[test]
    fn a_run_that_goes_on_after_its_end_waits_in_the_line_and_counts_again() {
        let mut slots = Slots::default();
        let ended = seen(&[], &["a", "b", "c"]);
        assert_eq!(slots.take(asks("a", 1), 1, &ended, at(0)), Ok(()));
        slots.end("a", at(1));
        // The watch still shows the first time that it ran, when it is asked to go on.
        let late = seen(&["a"], &["b", "c"]);
        assert_eq!(slots.take(asks("a", 1), 1, &late, at(2)), Ok(()));
        assert_eq!(slots.take(asks("b", 2), 1, &late, at(2)), Err(1), "though its end is remembered");
        assert_eq!(
            slots.take(asks("b", 2), 1, &ended, at(3)),
            Err(1),
            "the watch shows the end, and not yet what follows"
        );
        assert_eq!(slots.take(asks("b", 2), 1, &late, at(70)), Err(1), "for as long as it runs");
        slots.end("a", at(71));
        assert_eq!(slots.take(asks("b", 2), 1, &late, at(72)), Ok(()));
        assert_eq!(slots.take(asks("a", 1), 1, &seen(&["b"], &["a", "c"]), at(73)), Err(1));
        assert_eq!(slots.end("b", at(74)), Some("a".into()), "it is woken as a new run is");
    }

    #[test]
    fn an_end_that_was_shown_hides_no_later_run_of_the_same_object() {
        let mut slots = Slots::default();
        assert_eq!(slots.take(asks("a", 1), 1, &seen(&[], &["a"]), at(0)), Ok(()));
        slots.end("a", at(1));
        // It went on while no Guardrail counted.
        assert_eq!(slots.take(asks("b", 2), 0, &seen(&[], &["b"]), at(2)), Err(1));
        assert_eq!(slots.take(asks("b", 2), 1, &seen(&["a"], &["b"]), at(3)), Err(1));
    }

    #[test]
    fn nothing_is_kept_of_runs_that_ended_long_ago_though_nobody_asks_for_a_place() {
        let mut slots = Slots::default();
        for second in 0..1000 {
            slots.end(&format!("r{second}"), at(second));
        }
        assert_eq!(slots.ended.len(), 60);
        assert!(!slots.is_forgotten(at(1000)) && slots.is_forgotten(at(1060)));
    }

    proptest! {
        /// However runs ask, end, go on and are seen late, no more than `max` have a slot.
        #[test]
        fn never_more_than_allowed_are_under_way(steps in proptest::collection::vec((0usize..8, any::<bool>(), any::<bool>()), 1..200), max in 1usize..4) {
            let names: Vec<String> = (0..8).map(|index| format!("r{index}")).collect();
            let (mut slots, mut running, mut shown) = (Slots::default(), HashSet::new(), HashSet::new());
            for (second, (index, ends, shows)) in steps.into_iter().enumerate() {
                let (name, now) = (&names[index], at(i64::try_from(second).unwrap() / 10));
                let waiting = names.iter().filter(|name| !running.contains(*name)).cloned().collect();
                let seen = Seen { active: shown.clone(), waiting };
                if ends && running.remove(name) {
                    slots.end(name, now);
                } else if slots.take(asks(name, i64::try_from(index).unwrap()), max, &seen, now).is_ok() {
                    running.insert(name.clone());
                }
                if shows {
                    shown = running.clone();
                }
                prop_assert!(running.len() <= max, "{running:?}");
            }
        }
    }
}
