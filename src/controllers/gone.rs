//! What the watches show, apart from waking reconciles. What must not wait for one is done here. Of objects that have gone
//! everything that is remembered is forgotten, whether they had our finalizer or not, and whether their end was seen or only
//! their absence from a new listing.

use jiff::Timestamp;
use kube::runtime::watcher::Event;

use super::Context;
use super::runner::Managed;
use crate::api::v1alpha1::WorkflowRun;
use crate::runs::Past;

impl Context {
    /// Forgets what is remembered of an object by its UID.
    pub(super) fn forget<K: Managed>(&self, uid: &str) {
        self.forget_failures(uid);
        self.objects.forget(K::KIND, uid);
        self.workflows.forget(uid);
    }
}

/// Learns from the first listing of the runs how long executions take.
pub(super) fn learn(past: &mut Option<Past>, event: &Event<WorkflowRun>, ctx: &Context) {
    match event {
        Event::InitApply(run) => {
            if let Some(past) = past {
                past.see(run, Timestamp::now());
            }
        }
        Event::InitDone => {
            for (machine, seconds) in past.take().into_iter().flat_map(Past::learned) {
                ctx.tracker.remember(machine, seconds);
            }
        }
        Event::Init | Event::Apply(_) | Event::Delete(_) => {}
    }
}
