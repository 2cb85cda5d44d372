//! How many runs of a namespace may be under way at once, and whose turn it is: in order of creation.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

/// How long something is remembered that the watch of the runs has to show: a place that was given, an end, a run that
/// waits and has to ask again.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(60);

/// What the watch shows of the runs of a namespace, by UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Started and not over.
    pub active: HashSet<String>,
    /// Not started, and neither deleted nor cancelled.
    pub unstarted: HashSet<String>,
}

/// The runs of one namespace that were given a place or wait for one.
#[derive(Clone, Debug, Default)]
pub struct Places {
    given: HashMap<String, Timestamp>,
    ended: HashMap<String, Timestamp>,
    waiting: BTreeMap<(Timestamp, String), (String, Timestamp)>,
}

/// A run that asks for a place.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// Its name, which decides among those created in the same second.
    pub name: &'a str,
    /// When it was created.
    pub created: Timestamp,
}

impl Places {
    /// Gives the run a place where at most `max` may be under way; otherwise its position among those that wait.
    ///
    /// # Errors
    /// The position, counted from 1.
    pub fn take(&mut self, run: Asks<'_>, max: usize, seen: &Seen, now: Timestamp) -> Result<(), usize> {
        self.forget_old(seen, now);
        if seen.active.contains(run.uid) || self.given.contains_key(run.uid) {
            return Ok(());
        }
        let active = seen.active.iter().filter(|uid| !self.ended.contains_key(*uid)).count();
        let free = max.saturating_sub(active + self.given.len());
        let place = (run.created, run.name.to_owned());
        let before = self.waiting.range(..place.clone()).count();
        if before < free {
            self.waiting.remove(&place);
            self.given.insert(run.uid.to_owned(), now);
            return Ok(());
        }
        self.waiting.insert(place, (run.uid.to_owned(), now));
        Err(before + 1)
    }

    /// A run is over or gone. Gives the name of the run that may be helped by it.
    pub fn end(&mut self, uid: &str, now: Timestamp) -> Option<String> {
        self.given.remove(uid);
        // Nobody may ask for a place any more. One that the watch still shows as running counts as that then, which is safe.
        self.ended.retain(|_, at| is_fresh(*at, now));
        self.ended.insert(uid.to_owned(), now);
        self.waiting.keys().next().map(|(_, name)| name.clone())
    }

    /// A run that was given a place could not start.
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
        self.given.retain(|uid, at| fresh(at) && !seen.active.contains(uid));
        self.ended.retain(|uid, at| fresh(at) || seen.active.contains(uid));
        self.waiting.retain(|_, (uid, at)| fresh(at) && seen.unstarted.contains(uid));
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

    fn seen(active: &[&str], unstarted: &[&str]) -> Seen {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Seen { active: set(active), unstarted: set(unstarted) }
    }

    #[test]
    fn runs_start_in_order_of_creation_and_a_place_counts_before_it_is_seen() {
        let mut places = Places::default();
        let all = seen(&[], &["a", "b", "c"]);
        assert_eq!(places.take(asks("a", 1), 1, &all, at(10)), Ok(()));
        assert_eq!(places.take(asks("c", 3), 1, &all, at(10)), Err(1));
        assert_eq!(places.take(asks("b", 2), 1, &all, at(10)), Err(1));
        assert_eq!(places.take(asks("c", 3), 1, &all, at(10)), Err(2));
        // The watch still shows it running when it has ended.
        assert_eq!(places.end("a", at(11)), Some("b".into()));
        let late = seen(&["a"], &["b", "c"]);
        assert_eq!(places.take(asks("c", 3), 1, &late, at(11)), Err(2));
        assert_eq!(places.take(asks("b", 2), 1, &late, at(11)), Ok(()));
    }

    #[test]
    fn a_run_that_went_away_or_could_not_start_holds_up_nobody() {
        let mut places = Places::default();
        let all = seen(&[], &["a", "b", "c"]);
        assert_eq!(places.take(asks("a", 1), 1, &all, at(10)), Ok(()));
        assert_eq!(places.take(asks("b", 2), 1, &all, at(10)), Err(1));
        places.give_back("a");
        assert_eq!(places.take(asks("c", 3), 1, &seen(&[], &["a", "c"]), at(11)), Ok(()), "b was deleted");
    }

    #[test]
    fn nothing_is_kept_of_runs_that_ended_long_ago_though_nobody_asks_for_a_place() {
        let mut places = Places::default();
        for second in 0..1000 {
            places.end(&format!("r{second}"), at(second));
        }
        assert_eq!(places.ended.len(), 60);
        assert!(!places.is_forgotten(at(1000)) && places.is_forgotten(at(1060)));
    }

    proptest! {
        /// However runs ask, end and are seen late, no more than `max` have a place.
        #[test]
        fn never_more_than_allowed_are_under_way(steps in proptest::collection::vec((0usize..8, any::<bool>(), any::<bool>()), 1..200), max in 1usize..4) {
            let names: Vec<String> = (0..8).map(|index| format!("r{index}")).collect();
            let (mut places, mut running, mut shown, mut over) = (Places::default(), HashSet::new(), HashSet::new(), HashSet::new());
            for (second, (index, ends, shows)) in steps.into_iter().enumerate() {
                let (name, now) = (&names[index], at(i64::try_from(second).unwrap() / 10));
                let unstarted = names.iter().filter(|name| !running.contains(*name) && !over.contains(*name)).cloned().collect();
                let seen = Seen { active: shown.clone(), unstarted };
                if ends && running.remove(name) {
                    over.insert(name.clone());
                    places.end(name, now);
                } else if !over.contains(name) && places.take(asks(name, i64::try_from(index).unwrap()), max, &seen, now).is_ok() {
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
