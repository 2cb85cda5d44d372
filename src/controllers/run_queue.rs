//! The one line in which runs wait, fed by their watch: whose turn it is in each Workflow and each namespace, and which names
//! they gave to executions. Whom a change lets start is said, to be woken.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, MutexGuard};

use super::intake::NamespacedName;
use super::pace::Pace;
use crate::api::v1alpha1::{Workflow, WorkflowRun};
use crate::outcome::Failure;
use crate::plan::ownership::Names;
use crate::plan::queue::{Key, Queues, Turn};
use crate::plan::slots::{Asks, Seen, Slots};

/// How many runs behind the next one are woken with it, so that those near the front know their position.
const NEIGHBOURS: usize = 10;

/// The runs of one watch that wait or are under way.
#[derive(Default)]
pub(super) struct RunQueue {
    queues: Mutex<Queues>,
    /// By namespace, where a Guardrail counts.
    slots: Mutex<HashMap<String, Slots>>,
    pace: Mutex<Pace>,
    names: Mutex<Names>,
}

impl RunQueue {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slots>> {
        self.slots.lock()
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock()
    }

    fn note_name(&self, event: &Event<WorkflowRun>) {
        let mut names = self.names();
        match event {
            Event::Init => names.begin_listing(),
            Event::InitDone => names.end_listing(),
            Event::InitApply(run) | Event::Apply(run) => names.see(run),
            Event::Delete(run) => names.forget(run.metadata.uid.as_deref().unwrap_or_default()),
        }
    }

    /// Takes in what the watch shows. Gives the runs that it may let start.
    pub(super) fn note(&self, event: &Event<WorkflowRun>) -> Vec<NamespacedName> {
        self.note_name(event);
        let mut queues = self.queues();
        let changed = match event {
            Event::Init => {
                queues.begin_listing();
                return Vec::new();
            }
            Event::InitDone => queues.end_listing(),
            Event::InitApply(run) | Event::Apply(run) => queues.see(run).into_iter().collect(),
            Event::Delete(run) => run.uid().and_then(|uid| queues.forget(&uid)).into_iter().collect(),
        };
        changed.iter().flat_map(|key| first(&queues, key, NEIGHBOURS + 1)).collect()
    }

    /// The waiting runs that a change of their Workflow may help: with a limit, as many as may start and those near them.
    pub(super) fn helped_by(&self, workflow: &Workflow) -> Option<Vec<NamespacedName>> {
        let max = limit(workflow)?;
        let namespace = workflow.namespace().unwrap_or_default();
        let key = (namespace.clone(), workflow.name_any());
        let queues = self.queues();
        let free = max.saturating_sub(queues.active(&key));
        let names = queues.first(&key, free.saturating_add(NEIGHBOURS)).into_iter().chain(queues.aside(&key));
        Some(names.map(|name| (namespace.clone(), name)).collect())
    }

    /// Whether a run of a Workflow may start now.
    pub(super) fn turn(&self, run: &WorkflowRun, workflow: &Workflow) -> Turn {
        let key = (run.namespace().unwrap_or_default(), workflow.name_any());
        self.queues().turn(&key, &run.uid().unwrap_or_default(), limit(workflow).unwrap_or(usize::MAX))
    }

    /// Gives a run a slot among those under way in its namespace, or its position among those that wait for one.
    pub(super) fn slot(&self, run: &WorkflowRun, max: u32) -> Result<(), usize> {
        let (namespace, uid, name) =
            (run.namespace().unwrap_or_default(), run.uid().unwrap_or_default(), run.name_any());
        let created = run.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
        let asks = Asks { uid: &uid, name: &name, created };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (queues, none) = (self.queues(), Seen::default());
        let seen = queues.seen(&namespace).unwrap_or(&none);
        self.slots().entry(namespace.clone()).or_default().take(asks, max, seen, Timestamp::now())
    }

    /// Lets a run start in this second, or says how long it is until its turn.
    pub(super) fn pace(&self, run: &WorkflowRun, per_second: u32) -> Result<(), Duration> {
        let (namespace, uid) = (run.namespace().unwrap_or_default(), run.uid().unwrap_or_default());
        self.pace.lock().take(&namespace, &uid, per_second, Instant::now())
    }

    /// A run could not start: its slot is another's.
    pub(super) fn give_slot_back(&self, run: &WorkflowRun) {
        if let Some(slots) = self.slots().get_mut(&run.namespace().unwrap_or_default()) {
            slots.give_back(&run.uid().unwrap_or_default());
        }
    }

    /// A run is over or gone. Gives the name of a run of the namespace that waits for a slot.
    pub(super) fn end(&self, run: &WorkflowRun) -> Option<String> {
        let (namespace, uid) = (run.namespace().unwrap_or_default(), run.uid().unwrap_or_default());
        self.pace.lock().give_back(&namespace, &uid);
        let (mut slots, now) = (self.slots(), Timestamp::now());
        let next = slots.get_mut(&namespace)?.end(&uid, now);
        // Namespaces go, and Guardrails that counted in them.
        slots.retain(|_, slots| !slots.is_forgotten(now));
        next
    }

    /// Gives the name of an execution to a run, unless another has it.
    pub(super) fn claim(&self, run: &WorkflowRun, execution_arn: &str) -> Result<(), Failure> {
        let name = (run.namespace().unwrap_or_default(), run.name_any());
        self.names().claim(&run.uid().unwrap_or_default(), name, execution_arn)
    }

    /// A run that cannot start lets others pass. Gives those that may start by that.
    pub(super) fn step_aside(&self, run: &WorkflowRun) -> Vec<NamespacedName> {
        let key = (run.namespace().unwrap_or_default(), run.spec.workflow_ref.name.clone());
        let mut queues = self.queues();
        let helps = queues.step_aside(&key, &run.uid().unwrap_or_default());
        if helps { first(&queues, &key, 1) } else { Vec::new() }
    }

    /// How many runs of a Workflow are under way.
    pub(super) fn active(&self, key: &Key) -> usize {
        self.queues().active(key)
    }
}

fn first(queues: &Queues, key: &Key, count: usize) -> Vec<NamespacedName> {
    queues.first(key, count).into_iter().map(|name| (key.0.clone(), name)).collect()
}

fn limit(workflow: &Workflow) -> Option<usize> {
    workflow.spec.max_concurrent_runs.and_then(|max| usize::try_from(max).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str, workflow: &str, created: i64) -> WorkflowRun {
        let created = Timestamp::from_second(created).unwrap().to_string();
        let object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": created},
            "spec": {"workflowRef": {"name": workflow}}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn runs_of_all_workflows_wait_in_one_line_for_the_slots_of_their_namespace() {
        let line = RunQueue::default();
        let (a, b, c) = (run("a", "v", 1), run("b", "w", 2), run("c", "v", 3));
        for run in [&a, &b, &c] {
            line.note(&Event::Apply(run.clone()));
        }
        assert_eq!((line.slot(&a, 1), line.slot(&c, 1), line.slot(&b, 1)), (Ok(()), Err(1), Err(1)));
        assert_eq!(line.slot(&c, 1), Err(2), "in order of creation");
        line.give_slot_back(&a);
        assert_eq!(line.slot(&b, 1), Ok(()), "one that could not start holds up nobody");
        assert_eq!((line.slot(&a, 1), line.end(&b)), (Err(1), Some("a".to_owned())), "the first is woken by an end");
        line.note(&Event::Delete(a));
        assert_eq!(line.slot(&c, 1), Ok(()), "who has gone waits no more");
    }

    #[test]
    fn a_turn_in_this_second_is_anothers_where_its_run_has_ended() {
        let line = RunQueue::default();
        let (a, b, c) = (run("a", "v", 1), run("b", "v", 2), run("c", "v", 3));
        assert_eq!(line.pace(&a, 1), Ok(()));
        let (second, third) = (line.pace(&b, 1).unwrap_err(), line.pace(&c, 1).unwrap_err());
        assert!(second < third, "{second:?} {third:?}");
        assert_eq!(line.end(&b), None);
        assert!(line.pace(&c, 1).unwrap_err() < third.saturating_sub(Duration::from_millis(500)));
    }
}
