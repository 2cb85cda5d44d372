//! The queues of runs, fed by their watch, and who is woken when one more may start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::Context;
use super::runner::fenced;
use super::watches::{Scopes, Watches};
use crate::api::v1alpha1::{FIELD_MANAGER, Workflow, WorkflowRun};
use crate::outcome::Failure;
use crate::plan::ownership::Names;
use crate::plan::queue::{Key, Queues, Turn};

/// How many runs behind the next one are woken with it, so that those near the front know their position.
const NEIGHBOURS: usize = 10;
/// How often `status.activeRuns` of one Workflow is written at most.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// How often the counts are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(3);

/// Namespace and name of a run.
type Run = (String, String);

/// The queues of the runs of one watch, and the names that they gave to executions. Whom a change lets start is said, to be woken.
#[derive(Default)]
pub(super) struct RunQueue {
    queues: Mutex<Queues>,
    names: Mutex<Names>,
}

impl RunQueue {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock()
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
    pub(super) fn note(&self, event: &Event<WorkflowRun>) -> Vec<Run> {
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
    pub(super) fn helped_by(&self, workflow: &Workflow) -> Option<Vec<Run>> {
        let max = limit(workflow)?;
        let namespace = workflow.namespace().unwrap_or_default();
        let key = (namespace.clone(), workflow.name_any());
        let queues = self.queues();
        let free = max.saturating_sub(queues.active(&key));
        let names = queues.first(&key, free.saturating_add(NEIGHBOURS)).into_iter().chain(queues.aside(&key));
        Some(names.map(|name| (namespace.clone(), name)).collect())
    }
}

fn first(queues: &Queues, key: &Key, count: usize) -> Vec<Run> {
    queues.first(key, count).into_iter().map(|name| (key.0.clone(), name)).collect()
}

impl Scopes {
    /// Whether a run of a Workflow may start now.
    pub(super) fn turn(&self, run: &WorkflowRun, workflow: &Workflow) -> Turn {
        let namespace = run.namespace().unwrap_or_default();
        let max = limit(workflow).unwrap_or(usize::MAX);
        let key = (namespace.clone(), workflow.name_any());
        let Some(watches) = self.of(&namespace) else { return Turn::Now };
        watches.queue.queues().turn(&key, &run.uid().unwrap_or_default(), max)
    }

    /// Gives the name of an execution to a run, unless another has it.
    pub(super) fn claim(&self, run: &WorkflowRun, execution_arn: &str) -> Result<(), Failure> {
        let namespace = run.namespace().unwrap_or_default();
        let Some(watches) = self.of(&namespace) else { return Ok(()) };
        watches.queue.names().claim(&run.uid().unwrap_or_default(), (namespace, run.name_any()), execution_arn)
    }

    /// A run that cannot start lets others pass.
    pub(super) fn step_aside(&self, run: &WorkflowRun) {
        let namespace = run.namespace().unwrap_or_default();
        let key = (namespace.clone(), run.spec.workflow_ref.name.clone());
        let Some(watches) = self.of(&namespace) else { return };
        let mut queues = watches.queue.queues();
        if queues.step_aside(&key, &run.uid().unwrap_or_default()) {
            for (namespace, name) in first(&queues, &key, 1) {
                watches.runs.wake(&namespace, &name);
            }
        }
    }

    /// How many runs of a Workflow are under way.
    pub(super) fn active(&self, namespace: &str, workflow: &str) -> i64 {
        let key = (namespace.to_owned(), workflow.to_owned());
        let count = self.of(namespace).map_or(0, |watches| watches.queue.queues().active(&key));
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

fn limit(workflow: &Workflow) -> Option<usize> {
    workflow.spec.max_concurrent_runs.and_then(|max| usize::try_from(max).ok())
}

/// Keeps `status.activeRuns` of the Workflows of a watch, each written at most every [`COUNT_EVERY`], until `stop` turns
/// true. It is apart from their reconcile, which would ask AWS.
pub(super) async fn keep_counts(ctx: Arc<Context>, watches: Arc<Watches>, mut stop: watch::Receiver<bool>) {
    let mut written: HashMap<String, Instant> = HashMap::new();
    loop {
        let stopped = stop.wait_for(|stopped| *stopped);
        if tokio::time::timeout(COMPARE_EVERY, stopped).await.is_ok() {
            return;
        }
        written.retain(|_, at| at.elapsed() < COUNT_EVERY);
        for workflow in watches.workflows.store.state() {
            let uid = workflow.uid().unwrap_or_default();
            let (namespace, name) = (workflow.namespace().unwrap_or_default(), workflow.name_any());
            let active = ctx.watches.active(&namespace, &name);
            let known = workflow.status.as_ref().and_then(|status| status.active_runs).unwrap_or(0);
            if active == known || written.contains_key(&uid) || fenced(&ctx).is_err() {
                continue;
            }
            written.insert(uid, Instant::now());
            let patch = serde_json::json!({"status": {"activeRuns": active}});
            let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
            let api = Api::<Workflow>::namespaced(ctx.client.clone(), &namespace);
            if let Err(error) = api.patch_status(&name, &parameters, &Patch::Merge(&patch)).await {
                tracing::debug!(%error, namespace, name, "cannot write the number of active runs yet");
            }
        }
    }
}
