//! What the watches show, apart from waking reconciles. What must not wait for one is done here. Of objects that have gone
//! everything that is remembered is forgotten, whether they had our finalizer or not, and whether their end was seen or only
//! their absence from a new listing.

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;

use super::Context;
use super::runner::{Managed, is_in};
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

/// Takes in what a watch shows, once the store has it too.
pub(super) fn noted<K: Managed>(context: &Arc<Context>, store: Store<K>) -> impl FnMut(&Event<K>) + use<K> {
    let (context, mut before) = (context.clone(), Vec::new());
    let forget = {
        let context = context.clone();
        move |object: &K| {
            context.forget::<K>(object.meta().uid.as_deref().unwrap_or_default());
            K::gone(object, &context);
        }
    };
    move |event| match event {
        // What was known stays in the store until the listing has ended.
        Event::Init => before = store.state(),
        Event::InitDone => {
            let gone = std::mem::take(&mut before).into_iter().filter(|object| !is_in(&store, object));
            gone.for_each(|object| forget(&object));
        }
        Event::Delete(object) => forget(object),
        Event::Apply(object) | Event::InitApply(object) => K::seen(object, &context),
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
