//! What can be done from the page, where that was allowed: with the user's own rights, and with a form of this page alone.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::site::{Asked, Site};
use super::{approval, problem};
use crate::api::v1alpha1::{
    DurationString, ExecutionHistory, ExecutionHistorySpec, LocalRef, REDRIVE, Verdict, WorkflowRun, is_object_name,
};

/// Room for what the API server adds to a name.
const LONGEST_STEM: usize = 240;

pub(super) async fn act(
    State(site): State<Arc<Site>>,
    Path((namespace, name, action)): Path<(String, String, String)>,
    body: String,
) -> Response {
    let form = Asked::read(&body);
    if !site.door.is_own_form(form.get("form").unwrap_or_default()) {
        let said = "The form is not of this page, or of one that has ended. Load the page again and try once more.";
        return problem::problem(&site, "runs", StatusCode::FORBIDDEN, "Refused", said);
    }
    if !is_object_name(&namespace) || !is_object_name(&name) {
        return problem::nowhere(&site);
    }
    let runs: Api<WorkflowRun> = Api::namespaced(site.cluster.client.clone(), &namespace);
    let done = match action.as_str() {
        "again" => again(&runs, &name).await,
        "cancel" => cancel(&runs, &name, form.get("reason").unwrap_or_default()).await,
        "redrive" => redrive(&runs, &name).await,
        "approve" => return approval::act(&site, &namespace, &name, Verdict::Approved, &form).await,
        "deny" => return approval::act(&site, &namespace, &name, Verdict::Denied, &form).await,
        "follow" => follow(&site, &namespace, &name).await,
        _ => return problem::nowhere(&site),
    };
    match done {
        Ok(leads) => Redirect::to(&format!("/runs/{namespace}/{leads}")).into_response(),
        Err(error) => problem::refused(&site, "runs", &format!("{action} run \"{name}\""), error),
    }
}

/// Creates the same run once more, under another name. What was of that one run alone stays with it.
async fn again(runs: &Api<WorkflowRun>, name: &str) -> kube::Result<String> {
    let old = runs.get(name).await?;
    let stem: String = name.chars().take(LONGEST_STEM).collect();
    let mut run = WorkflowRun::new("", old.spec);
    run.metadata = ObjectMeta { generate_name: Some(format!("{stem}-")), ..ObjectMeta::default() };
    (run.spec.cancel, run.spec.execution_name, run.spec.start_deadline) = (None, None, None);
    Ok(runs.create(&PostParams::default(), &run).await?.name_any())
}

async fn cancel(runs: &Api<WorkflowRun>, name: &str, reason: &str) -> kube::Result<String> {
    let patch = json!({"spec": {"cancel": {"reason": reason}}});
    runs.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(|run| run.name_any())
}

async fn redrive(runs: &Api<WorkflowRun>, name: &str) -> kube::Result<String> {
    let patch = json!({"metadata": {"annotations": {REDRIVE: Timestamp::now().to_string()}}});
    runs.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(|run| run.name_any())
}

/// Asks for the history without data: what the page shows needs none.
async fn follow(site: &Site, namespace: &str, run: &str) -> kube::Result<String> {
    let histories: Api<ExecutionHistory> = Api::namespaced(site.cluster.client.clone(), namespace);
    let spec = ExecutionHistorySpec {
        workflow_run_ref: LocalRef { name: run.to_owned() },
        follow: true,
        include_data: false,
        states: Vec::new(),
        ttl_after_finished: DurationString("1h".to_owned()),
    };
    let mut history = ExecutionHistory::new("", spec);
    let stem: String = run.chars().take(LONGEST_STEM).collect();
    history.metadata = ObjectMeta { generate_name: Some(format!("{stem}-")), ..ObjectMeta::default() };
    histories.create(&PostParams::default(), &history).await?;
    Ok(run.to_owned())
}
