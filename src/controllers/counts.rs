//! How many runs of each Workflow are under way, kept in its status.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use tokio::sync::watch;

use super::Context;
use super::runner::fenced;
use super::watches::Watches;
use crate::api::v1alpha1::{FIELD_MANAGER, Workflow};

/// How often `status.activeRuns` of one Workflow is written at most.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// How often the counts are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(3);

/// Keeps `status.activeRuns` of the Workflows of a watch, each written at most every [`COUNT_EVERY`], until `stop` turns
/// true. It is apart from their reconcile, which would ask AWS.
pub(super) async fn keep(ctx: Arc<Context>, watches: Arc<Watches>, mut stop: watch::Receiver<bool>) {
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
