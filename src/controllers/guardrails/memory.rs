//! What a process remembers of the Guardrails, and the turns of those that start by their pace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use moka::future::Cache;
use parking_lot::Mutex;

use crate::api::v1alpha1::{Guardrail, RunsAs, WorkflowRun};

/// How long the labels of a namespace are believed. They are read only where there are Guardrails.
const LABELS_LAST: Duration = Duration::from_secs(5);

/// How long it is remembered what a version runs as that was read from AWS. A version never changes, but a machine that somebody
/// deletes and makes again may have another of the same number.
const READ_LASTS: Duration = Duration::from_secs(300);

/// What is known of the Guardrails.
pub(in crate::controllers) struct Guardrails {
    pub(super) store: OnceLock<Store<Guardrail>>,
    pub(super) labels: Cache<String, Arc<BTreeMap<String, String>>>,
    /// What versions run as that no status tells of, by UID of the Workflow and ARN.
    pub(super) read: Cache<(String, String), Arc<RunsAs>>,
    turns: Mutex<HashMap<String, Turns>>,
}

impl Guardrails {
    /// Nothing is known yet.
    pub(in crate::controllers) fn new() -> Self {
        let labels = Cache::builder().time_to_live(LABELS_LAST).max_capacity(10_000).build();
        Self {
            store: OnceLock::new(),
            labels,
            read: Cache::builder().time_to_live(READ_LASTS).max_capacity(10_000).build(),
            turns: Mutex::default(),
        }
    }

    /// A state machine was made: versions of an older one of its name are not those that were read.
    pub(in crate::controllers) fn forget_read(&self) {
        self.read.invalidate_all();
    }

    /// A run is over or gone: a turn that it was given and did not take is another's.
    pub(in crate::controllers) fn give_turn_back(&self, run: &WorkflowRun) {
        let mut turns = self.turns.lock();
        if let Some(turns) = turns.get_mut(&run.namespace().unwrap_or_default()) {
            turns.give_back(&run.uid().unwrap_or_default());
        }
    }

    /// Lets a run of the namespace start, or says how long it is until its turn. Each waiting run has a turn of its own, so
    /// that a thousand of them are looked at once more each, and not all of them at every turn.
    pub(in crate::controllers) fn take_turn(
        &self,
        namespace: &str,
        uid: &str,
        per_second: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turns| now.saturating_duration_since(turns.next) < Duration::from_secs(3600));
        turns.entry(namespace.to_owned()).or_insert_with(|| Turns::new(now)).take(uid, per_second, now)
    }
}

/// How long a run waits at most before it asks whether there is an earlier turn.
const ASKS_FOR_A_TURN_AFTER: Duration = Duration::from_secs(15);

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
        let (guardrails, start) = (Guardrails::new(), Instant::now());
        let take = |namespace: &str, uid: &str, at: u64| {
            guardrails.take_turn(namespace, uid, 5, start + Duration::from_millis(at))
        };
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
        let (guardrails, start) = (Guardrails::new(), Instant::now());
        let take = |uid: &str, at: u64| guardrails.take_turn("shop", uid, 1, start + Duration::from_secs(at));
        let run = |uid: &str| -> WorkflowRun {
            let spec = serde_json::json!({"workflowRef": {"name": "w"}});
            let object = serde_json::json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": uid, "namespace": "shop", "uid": uid}, "spec": spec});
            serde_json::from_value(object).unwrap()
        };
        assert_eq!(take("first", 0), Ok(()));
        let rude: Vec<String> = (0..60).map(|number| format!("rude-{number}")).collect();
        assert!(rude.iter().all(|uid| take(uid, 0).is_err()));
        assert_eq!(take("early", 0), Err(ASKS_FOR_A_TURN_AFTER));
        rude.iter().for_each(|uid| guardrails.give_turn_back(&run(uid)));
        assert_eq!(take("late", 0), Err(Duration::from_secs(1)));
        assert_eq!(take("early", 1), Err(Duration::from_secs(1)), "it moves up");
        assert_eq!((take("late", 1), take("early", 2)), (Ok(()), Ok(())));
    }
}
