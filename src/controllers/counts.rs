//! How many runs of each Workflow are under way, kept in its status.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::watch;

use super::Context;
use super::intake::NamespacedName;
use super::runner::fenced;
use super::watches::Watches;
use crate::api::v1alpha1::{FIELD_MANAGER, Workflow};

/// How often `status.activeRuns` of one Workflow is written at most.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// For how long changes are gathered before counts are compared: runs come and go many at a time.
const GATHER: Duration = Duration::from_secs(3);

/// Keeps `status.activeRuns` of the Workflows of a watch, each written at most every [`COUNT_EVERY`], until `stop` turns
/// true. It is apart from their reconcile, which would ask AWS.
pub(super) async fn keep(ctx: Arc<Context>, watches: Arc<Watches>, mut stop: watch::Receiver<bool>) {
    let mut written: HashMap<NamespacedName, Instant> = HashMap::new();
    let mut open: HashSet<NamespacedName> = HashSet::new();
    loop {
        let gathered = async {
            if open.is_empty() {
                watches.touched.some().await;
            }
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            // An error means that the sender is gone, which is a stop too.
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = gathered => {}
        }
        open.extend(watches.touched.take());
        written.retain(|_, at| at.elapsed() < COUNT_EVERY);
        let due: Vec<NamespacedName> = open.iter().filter(|name| !written.contains_key(*name)).cloned().collect();
        for name in due {
            match difference(&ctx, &watches, &name) {
                None => {
                    open.remove(&name);
                }
                // Another writes it, or this process again once it knows that it may.
                Some(_) if fenced(&ctx).is_err() => {}
                Some(active) => {
                    // It stays open: what was written is compared with what the watch shows then.
                    written.insert(name.clone(), Instant::now());
                    write(&ctx, &name, active).await;
                }
            }
        }
    }
}

/// The number of runs under way of a Workflow, where its status says another.
fn difference(ctx: &Context, watches: &Watches, (namespace, name): &NamespacedName) -> Option<i64> {
    let workflow = watches.workflows.store.get(&ObjectRef::<Workflow>::new(name).within(namespace))?;
    let known = workflow.status.as_ref().and_then(|status| status.active_runs).unwrap_or(0);
    let active = ctx.watches.active(namespace, &workflow.name_any());
    (active != known).then_some(active)
}

async fn write(ctx: &Context, (namespace, name): &NamespacedName, active: i64) {
    let patch = serde_json::json!({"status": {"activeRuns": active}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let api = Api::<Workflow>::namespaced(ctx.client.clone(), namespace);
    if let Err(error) = api.patch_status(name, &parameters, &Patch::Merge(&patch)).await {
        tracing::debug!(%error, namespace, name, "cannot write the number of active runs yet");
    }
}
