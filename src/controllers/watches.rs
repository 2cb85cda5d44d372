//! The objects of each kind, as one watch shows them, with an index of who needs what and a line to each controller. Nobody is
//! woken by a scan, and a controller that is slow holds up no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;

use super::index::{Index, Needed};
use super::intake::{Change, Intake, NamespacedName, namespaced_name};
use super::owners::refers_to;
use super::run_queue::RunQueue;
use super::touched::Touched;
use crate::api::v1alpha1::{
    Activity, ExecutionHistory, HistoryPhase, IdentityProvider, TimelinePolicy, TrustBinding, Workflow, WorkflowRun,
    WorkflowSchedule,
};
use crate::outcome::Failure;
use crate::plan::queue::Turn;

/// The objects of one kind, as its watch shows them, and the line to its controller.
pub(super) struct Watched<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// The objects.
    pub(super) store: Store<K>,
    index: Mutex<Index>,
    wakes: mpsc::UnboundedSender<ObjectRef<K>>,
    /// Each is taken once: by the task that drains the watch, and by the controller.
    writer: Mutex<Option<Writer<K>>>,
    woken: Mutex<Option<mpsc::UnboundedReceiver<ObjectRef<K>>>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Default for Watched<K> {
    fn default() -> Self {
        let ((store, writer), (wakes, woken)) = (reflector::store(), mpsc::unbounded_channel());
        let (writer, woken) = (Mutex::new(Some(writer)), Mutex::new(Some(woken)));
        Self { store, index: Mutex::default(), wakes, writer, woken }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Watched<K> {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    /// Has an object reconciled.
    pub(super) fn wake(&self, namespace: &str, name: &str) {
        // A controller that has stopped needs no waking.
        let _ = self.wakes.send(ObjectRef::new(name).within(namespace));
    }

    /// What drains the watch into the store. It can be had once.
    pub(super) fn intake(&self) -> Option<Intake<K>> {
        self.writer.lock().take().map(Intake::new)
    }

    /// The objects that are to be reconciled. It can be had once.
    pub(super) fn line(&self) -> Option<impl Stream<Item = ObjectRef<K>> + Send + use<K>> {
        let mut woken = self.woken.lock().take()?;
        Some(futures::stream::poll_fn(move |context| woken.poll_recv(context)))
    }

    fn wake_all_of(&self, namespace: &str) {
        self.index().names(namespace).iter().for_each(|name| self.wake(namespace, name));
    }

    fn wake_whoever_needs(&self, namespace: &str, needed: &Needed) {
        self.who_needs(namespace, needed).iter().for_each(|name| self.wake(namespace, name));
    }

    /// Names of the objects that need this.
    pub(super) fn who_needs(&self, namespace: &str, needed: &Needed) -> Vec<String> {
        self.index().who_needs(namespace, needed)
    }
}

/// The watches of a scope: of one namespace, or of all.
#[derive(Default)]
pub(super) struct Watches {
    pub(super) bindings: Watched<TrustBinding>,
    pub(super) workflows: Watched<Workflow>,
    pub(super) runs: Watched<WorkflowRun>,
    pub(super) activities: Watched<Activity>,
    pub(super) schedules: Watched<WorkflowSchedule>,
    pub(super) providers: Watched<IdentityProvider>,
    pub(super) histories: Watched<ExecutionHistory>,
    /// Whose turn it is among the runs of each Workflow.
    pub(super) queue: RunQueue,
    /// Workflows whose runs under way are to be counted again.
    pub(super) touched: Touched,
}

impl Watches {
    /// Wakes whatever needs what has changed or gone.
    pub(super) fn changed(&self, namespace: &str, needed: &Needed) {
        self.bindings.wake_whoever_needs(namespace, needed);
        self.workflows.wake_whoever_needs(namespace, needed);
        self.runs.wake_whoever_needs(namespace, needed);
        self.activities.wake_whoever_needs(namespace, needed);
    }

    /// The same of an object of ours.
    pub(super) fn tell<K: Resource>(&self, needed: fn(String) -> Needed, change: &Change<K>) {
        let (namespace, name) = namespaced_name(change.object());
        self.changed(&namespace, &needed(name));
    }

    /// Wakes a binding that is to go, where the last that used it may have gone.
    fn released(&self, namespace: &str, binding: &str) {
        let found = self.bindings.store.get(&ObjectRef::new(binding).within(namespace));
        if found.is_some_and(|binding| binding.meta().deletion_timestamp.is_some()) {
            self.bindings.wake(namespace, binding);
        }
    }

    /// An Activity that has gone may let its binding go.
    pub(super) fn activity_changed(&self, change: &Change<Activity>) {
        if let Change::Gone(activity) = change {
            self.released(&namespaced_name(activity.as_ref()).0, &activity.spec.trust_binding_ref.name);
        }
    }

    /// A Workflow may let runs start: with a limit as many as there are slots, and otherwise all that wait for it.
    pub(super) fn workflow_changed(&self, change: &Change<Workflow>) {
        self.touched.add(namespaced_name(change.object()));
        if let Change::Gone(workflow) = change {
            self.released(&namespaced_name(workflow.as_ref()).0, &workflow.spec.trust_binding_ref.name);
        }
        match self.queue.helped_by(change.object()) {
            Some(runs) => runs.iter().for_each(|(namespace, name)| self.runs.wake(namespace, name)),
            None => self.tell(Needed::Workflow, change),
        }
    }

    /// A run has changed, which its histories follow. One that has ended or gone lets its schedule start the next.
    pub(super) fn run_changed(&self, change: &Change<WorkflowRun>) {
        let run = change.object();
        let (namespace, name) = namespaced_name(run);
        self.touched.add((namespace.clone(), run.spec.workflow_ref.name.clone()));
        self.histories.wake_whoever_needs(&namespace, &Needed::WorkflowRun(name));
        let over = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default().is_finished();
        if over || matches!(change, Change::Gone(_)) {
            let owners = run.owner_references().iter().filter(|owner| owner.controller == Some(true));
            for schedule in owners.filter(|owner| refers_to::<WorkflowSchedule>(owner)) {
                self.schedules.wake(&namespaced_name(run).0, &schedule.name);
            }
        }
    }

    /// A history has gone: the one that has waited longest for its place may have it.
    pub(super) fn history_changed(&self, change: &Change<ExecutionHistory>) {
        let Change::Gone(gone) = change else { return };
        let namespace = gone.namespace().unwrap_or_default();
        let names = self.histories.index().names(&namespace);
        let there = names.iter().filter_map(|name| self.histories.store.get(&ObjectRef::new(name).within(&namespace)));
        let phase = |history: &ExecutionHistory| history.status.as_ref().and_then(|status| status.phase);
        let waiting = there.filter(|history| phase(history).unwrap_or_default() == HistoryPhase::Pending);
        if let Some(first) =
            waiting.min_by_key(|history| (history.creation_timestamp().map(|time| time.0), history.uid()))
        {
            self.histories.wake(&namespace, &first.name_any());
        }
    }

    /// What anything here needs of the kind of this one, by namespace and name.
    pub(super) fn needed(&self, like: &Needed) -> Vec<NamespacedName> {
        let mut found = self.bindings.index().needed(like);
        found.extend(self.workflows.index().needed(like));
        found.extend(self.runs.index().needed(like));
        found
    }

    /// Wakes whatever a Guardrail may help or hold in a namespace.
    pub(super) fn guarded(&self, namespace: &str) {
        self.bindings.wake_all_of(namespace);
        self.workflows.wake_all_of(namespace);
        self.runs.wake_all_of(namespace);
    }

    /// The namespaces in which a Guardrail may help or hold something.
    pub(super) fn namespaces(&self) -> Vec<String> {
        let mut names = self.bindings.index().namespaces();
        names.extend(self.workflows.index().namespaces());
        names.extend(self.runs.index().namespaces());
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The watches of all scopes, by namespace or, where all namespaces are watched at once, by none.
#[derive(Default)]
pub(super) struct Scopes {
    by_scope: Mutex<HashMap<Option<String>, Arc<Watches>>>,
}

impl Scopes {
    pub(super) fn add(&self, scope: Option<&str>) -> Arc<Watches> {
        let watches = Arc::new(Watches::default());
        self.lock().insert(scope.map(str::to_owned), watches.clone());
        watches
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, Arc<Watches>>> {
        self.by_scope.lock()
    }

    /// The watches that see a namespace.
    pub(super) fn of(&self, namespace: &str) -> Option<Arc<Watches>> {
        let scopes = self.lock();
        scopes.get(&Some(namespace.to_owned())).or_else(|| scopes.get(&None)).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Watches>> {
        self.lock().values().cloned().collect()
    }

    fn of_run(&self, run: &WorkflowRun) -> Option<Arc<Watches>> {
        self.of(&run.namespace().unwrap_or_default())
    }

    /// Whether a run of a Workflow may start now.
    pub(super) fn turn(&self, run: &WorkflowRun, workflow: &Workflow) -> Turn {
        self.of_run(run).map_or(Turn::Now, |watches| watches.queue.turn(run, workflow))
    }

    /// Gives a run a slot among those under way in its namespace, or its position among those that wait for one.
    pub(super) fn slot(&self, run: &WorkflowRun, max: u32) -> Result<(), usize> {
        self.of_run(run).map_or(Ok(()), |watches| watches.queue.slot(run, max))
    }

    /// Lets a run start in this second, or says how long it is until its turn.
    pub(super) fn pace(&self, run: &WorkflowRun, per_second: u32) -> Result<(), Duration> {
        self.of_run(run).map_or(Ok(()), |watches| watches.queue.pace(run, per_second))
    }

    /// A run could not start: its slot is another's.
    pub(super) fn give_slot_back(&self, run: &WorkflowRun) {
        if let Some(watches) = self.of_run(run) {
            watches.queue.give_slot_back(run);
        }
    }

    /// A run is over or gone: what it had in the line is another's, and the first that waits for a slot is looked at.
    pub(super) fn end(&self, run: &WorkflowRun) {
        let Some(watches) = self.of_run(run) else { return };
        if let Some(next) = watches.queue.end(run) {
            watches.runs.wake(&run.namespace().unwrap_or_default(), &next);
        }
    }

    /// Gives the name of an execution to a run, unless another has it.
    pub(super) fn claim(&self, run: &WorkflowRun, execution_arn: &str) -> Result<(), Failure> {
        self.of_run(run).map_or(Ok(()), |watches| watches.queue.claim(run, execution_arn))
    }

    /// A run that cannot start lets others pass.
    pub(super) fn step_aside(&self, run: &WorkflowRun) {
        let Some(watches) = self.of_run(run) else { return };
        for (namespace, name) in watches.queue.step_aside(run) {
            watches.runs.wake(&namespace, &name);
        }
    }

    /// Whether a Workflow wants to be told what its successful runs did too.
    pub(super) fn wants_every_timeline(&self, namespace: &str, workflow: &str) -> bool {
        let watches = self.of(namespace);
        let found = watches.and_then(|all| all.workflows.store.get(&ObjectRef::new(workflow).within(namespace)));
        found.is_some_and(|workflow| workflow.spec.timeline == TimelinePolicy::Always)
    }

    /// How many runs of a Workflow are under way.
    pub(super) fn active(&self, namespace: &str, workflow: &str) -> i64 {
        let key = (namespace.to_owned(), workflow.to_owned());
        let count = self.of(namespace).map_or(0, |watches| watches.queue.active(&key));
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
