//! What the watches show, apart from waking reconciles. What must not wait for one is done here. Of objects that have gone
//! everything that is remembered is forgotten, whether they had our finalizer or not, and whether their end was seen or only
//! their absence from a new listing.

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;

use super::Context;
use super::intake::{Change, namespaced_name};
use super::runner::Managed;
use super::watches::Watched;
use crate::api::v1alpha1::WorkflowRun;
use crate::runs::Past;

impl Context {
    /// Forgets what is remembered of an object by its UID.
    pub(super) fn forget<K: Managed>(&self, uid: &str) {
        self.forget_failures(uid);
        self.objects.forget(K::KIND, uid);
        self.workflows.forget(uid);
        self.histories.forget(uid);
    }
}

impl<K: Managed> Watched<K> {
    /// Takes in what has become of an object of this kind.
    pub(super) fn take_in(&self, change: &Change<K>, ctx: &Context) {
        let object = change.object();
        let (namespace, name) = namespaced_name(object);
        match change {
            Change::Applied { .. } => {
                self.index().put(&namespace, &name, object.needs());
                if change.is_news() {
                    ctx.objects.queued(K::KIND, object.meta().uid.as_deref().unwrap_or_default());
                    self.wake(&namespace, &name);
                }
                K::seen(object, ctx);
            }
            Change::Gone(_) => {
                if self.store.get(&ObjectRef::from_obj(object)).is_none() {
                    self.index().remove(&namespace, &name);
                }
                ctx.forget::<K>(object.meta().uid.as_deref().unwrap_or_default());
                K::gone(object, ctx);
            }
        }
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
