//! Which histories are kept: so many in a namespace, so many bytes in all. The oldest that are finished go first.

use jiff::{SignedDuration, Timestamp};

/// Histories that have begun to be read, of one namespace.
pub const IN_A_NAMESPACE: usize = 10;
/// What the pages of all histories hold at most.
pub const BYTES: u64 = 64 * 1024 * 1024;
/// A history that is finished is left for whoever asked for it at least so long.
const LEFT_FOR: SignedDuration = SignedDuration::from_secs(60);

/// A history that has begun to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was finished; `None` while it is read.
    pub finished: Option<Timestamp>,
    /// What its pages hold.
    pub bytes: u64,
}

impl Kept {
    fn may_go(&self, now: Timestamp) -> bool {
        self.finished.is_some_and(|finished| now.duration_since(finished) >= LEFT_FOR)
    }
}

/// What one more needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing: there is room.
    Now,
    /// That these go.
    Without(Vec<Kept>),
    /// Others are read, or were a moment ago.
    Wait,
}

/// Whether one more may begin beside those of its namespace, of which `before` have waited for longer.
pub fn to_begin(kept: &[Kept], before: usize, now: Timestamp) -> Room {
    let there = kept.len() + before;
    let Some(excess) = (there + 1).checked_sub(IN_A_NAMESPACE).filter(|excess| *excess > 0) else { return Room::Now };
    let mut may_go: Vec<&Kept> = kept.iter().filter(|one| one.may_go(now)).collect();
    if may_go.len() < excess {
        return Room::Wait;
    }
    may_go.sort_by_key(|one| one.finished);
    // Those that have waited for longer make the room that they need themselves.
    let own = excess.saturating_sub(before).max(1);
    Room::Without(may_go.into_iter().skip(excess - own).take(own).cloned().collect())
}

/// Whether a history may write more beside all others. The namespace that holds most loses its oldest first, so that nobody is
/// pushed out by whoever asks for more.
pub fn to_write(others: &[Kept], own: u64, more: u64, most: u64, now: Timestamp) -> Room {
    let mut held: u64 = others.iter().map(|one| one.bytes).sum();
    let (mut left, mut go) = (others.to_vec(), Vec::new());
    while held + own + more > most {
        let of = |namespace: &str, all: &[Kept]| -> u64 {
            all.iter().filter(|one| one.namespace == namespace).map(|one| one.bytes).sum()
        };
        let may_go = (0..left.len()).filter(|at| left[*at].bytes > 0 && left[*at].may_go(now));
        let first = may_go.max_by_key(|at| (of(&left[*at].namespace, &left), std::cmp::Reverse(left[*at].finished)));
        let Some(first) = first else { return Room::Wait };
        held -= left[first].bytes;
        go.push(left.remove(first));
    }
    if go.is_empty() { Room::Now } else { Room::Without(go) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn kept(namespace: &str, name: &str, finished: Option<i64>, bytes: u64) -> Kept {
        Kept {
            uid: format!("{namespace}-{name}"),
            namespace: namespace.into(),
            name: name.into(),
            finished: finished.map(at),
            bytes,
        }
    }

    fn names(room: &Room) -> Vec<&str> {
        match room {
            Room::Without(go) => go.iter().map(|one| one.name.as_str()).collect(),
            Room::Now => vec!["now"],
            Room::Wait => vec!["wait"],
        }
    }

    #[test]
    fn the_eleventh_of_a_namespace_takes_the_place_of_the_oldest_that_is_finished() {
        let finished = |second: i64| kept("shop", &format!("at-{second}"), Some(second), 0);
        let reading = |number: usize| kept("shop", &format!("reading-{number}"), None, 0);
        let nine: Vec<Kept> = (0..9).map(reading).collect();
        let more = |more: &[Kept]| [nine.clone(), more.to_vec()].concat();
        for (what, kept, before, expected) in [
            ("there is room", nine.clone(), 0, vec!["now"]),
            ("somebody else has it", nine.clone(), 1, vec!["wait"]),
            ("ten are read", more(&[reading(9)]), 0, vec!["wait"]),
            ("one is finished", more(&[finished(10)]), 0, vec!["at-10"]),
            ("it was finished a moment ago", more(&[finished(950)]), 0, vec!["wait"]),
            (
                "the oldest goes",
                [(0..8).map(reading).collect(), vec![finished(20), finished(10)]].concat(),
                0,
                vec!["at-10"],
            ),
            (
                "the one before takes the oldest",
                [(0..8).map(reading).collect(), vec![finished(20), finished(10)]].concat(),
                1,
                vec!["at-20"],
            ),
            ("there are too many", (0..12).map(finished).collect(), 0, vec!["at-0", "at-1", "at-2"]),
        ] {
            assert_eq!(names(&to_begin(&kept, before, at(1000))), expected, "{what}");
        }
    }

    #[test]
    fn the_namespace_that_holds_most_loses_its_oldest_first() {
        let others = [
            kept("greedy", "old", Some(20), 40),
            kept("greedy", "older", Some(10), 40),
            kept("shop", "oldest", Some(1), 15),
            kept("greedy", "reading", None, 5),
        ];
        for (what, more, expected) in [
            ("it fits", 0, vec!["now"]),
            ("one has to go", 20, vec!["older"]),
            ("two have to go", 60, vec!["older", "old"]),
            ("all that are finished", 95, vec!["older", "old", "oldest"]),
            ("more than there is", 96, vec!["wait"]),
        ] {
            assert_eq!(names(&to_write(&others, 0, more, 100, at(1000))), expected, "{what}");
        }
        assert_eq!(names(&to_write(&others, 30, 10, 100, at(1000))), ["older"], "what it holds itself counts");
        assert_eq!(to_write(&others, 0, 20, 100, at(30)), Room::Wait, "whoever asked has a minute to read");
    }
}
