//! What a process remembers of state machines between reconciles. Nothing is lost with it but a few calls.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often tags are looked at when nothing else asks for it: reading them has a quota of one a second.
const TAGS_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked whether versions that were in use are not any more. Each look lists runs.
const USED_VERSIONS_EVERY: Duration = Duration::from_secs(3600);
/// How long AWS may show what was before our last write (`UpdateStateMachine` is eventually consistent).
const SETTLING: Duration = Duration::from_secs(30);

/// By UID of the Workflow.
#[derive(Default)]
pub(in crate::controllers) struct Memory {
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    tags_due: Instant,
    wrote: Option<Instant>,
    looked: bool,
    /// Versions with which nothing more could be pruned, and when that was seen.
    used: Option<(Vec<i64>, Instant)>,
}

impl Memory {
    /// True once in [`TAGS_EVERY`]. After a start the first time is spread over it, so that a thousand objects do not ask
    /// together.
    pub(super) fn tags_are_due(&self, uid: &str) -> bool {
        self.with(uid, |entry| {
            let due = Instant::now() >= entry.tags_due;
            if due {
                entry.tags_due = Instant::now() + TAGS_EVERY;
            }
            due
        })
    }

    /// Time until an object that rests is looked at again. The first time after a start is spread over the later half of the
    /// interval, and every object keeps its place from then on.
    pub(super) fn resync_after(&self, uid: &str, interval: Duration) -> Duration {
        let first = self.with(uid, |entry| !std::mem::replace(&mut entry.looked, true));
        if first { interval.mul_f64(0.5 + 0.5 * rand::random::<f64>()) } else { interval }
    }

    /// Remembers a write.
    pub(super) fn wrote(&self, uid: &str) {
        self.with(uid, |entry| entry.wrote = Some(Instant::now()));
    }

    /// True while AWS may not show our last write yet.
    pub(super) fn settles(&self, uid: &str) -> bool {
        self.with(uid, |entry| entry.wrote.is_some_and(|wrote| wrote.elapsed() < SETTLING))
    }

    /// Whether to look which versions beyond those to keep are in use. With the same `versions`, of these and of aliases, they are
    /// taken to be what they were for an hour.
    pub(super) fn uses_are_due(&self, uid: &str, versions: &[i64]) -> bool {
        self.with(uid, |entry| {
            !entry.used.as_ref().is_some_and(|(used, at)| used == versions && at.elapsed() < USED_VERSIONS_EVERY)
        })
    }

    /// With these versions nothing more can go.
    pub(super) fn are_used(&self, uid: &str, versions: Vec<i64>) {
        self.with(uid, |entry| entry.used = Some((versions, Instant::now())));
    }

    /// Forgets an object that has gone.
    pub(in crate::controllers) fn forget(&self, uid: &str) {
        self.entries.lock().remove(uid);
    }

    fn with<T>(&self, uid: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = self.entries.lock();
        let spread = || Entry {
            tags_due: Instant::now() + TAGS_EVERY.mul_f64(rand::random()),
            wrote: None,
            looked: false,
            used: None,
        };
        change(entries.entry(uid.to_owned()).or_insert_with(spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_spread_once_and_then_looked_at_every_interval() {
        let memory = Memory::default();
        let hour = Duration::from_secs(3600);
        assert!((hour / 2..=hour).contains(&memory.resync_after("a", hour)));
        assert_eq!(memory.resync_after("a", hour), hour);
        memory.forget("a");
        assert!(!memory.tags_are_due("a"), "the first hour's look at tags is spread too");
        assert!(!memory.settles("a"));
        memory.wrote("a");
        assert!(memory.settles("a"));
    }

    #[test]
    fn runs_are_listed_for_versions_in_use_once_and_again_when_there_are_others() {
        let memory = Memory::default();
        assert!(memory.uses_are_due("a", &[1, 2]));
        memory.are_used("a", vec![1, 2]);
        assert!(!memory.uses_are_due("a", &[1, 2]));
        assert!(memory.uses_are_due("a", &[1, 2, 3]) && memory.uses_are_due("b", &[1, 2]));
    }
}
