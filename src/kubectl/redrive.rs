//! `kubectl sfn redrive`

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::await_run::phase;
use super::show::print;
use super::waiting::{Waiting, wait_for};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{REDRIVE, WorkflowRun};

/// Flags of `kubectl sfn redrive`.
#[derive(Debug, Args)]
pub(super) struct RedriveFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(flags: &RedriveFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    flags.waiting.check()?;
    let run = cluster.typed::<WorkflowRun>(&flags.run).await?;
    let name = run.name_any();
    if let Some(why) = refusal(&run) {
        let retry = cluster.command(&format!("retry {name}"));
        return Err(KubectlError::Refused(format!(
            "cannot redrive WorkflowRun \"{name}\": {why}. To run it again from its beginning: {retry}"
        )));
    }
    // Any value that is another asks for one redrive.
    let patch = json!({"metadata": {"annotations": {REDRIVE: Timestamp::now().to_string()}}});
    let api = cluster.as_they_are::<WorkflowRun>();
    let answer = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    answer.map_err(|error| KubectlError::of(&format!("redrive WorkflowRun \"{name}\""), error))?;
    print(&format!("workflowrun.stepbound.dev/{name} is being redriven\n"))?;
    wait_for(cluster, &name, &flags.waiting).await
}

/// What is known to stand against it. The operator looks again before it asks AWS.
fn refusal(run: &WorkflowRun) -> Option<String> {
    let phase = phase(run);
    if !phase.is_finished() {
        return Some(format!("it has not ended ({})", phase.as_str()));
    }
    if phase.is_good() {
        return Some(format!("it has not failed ({})", phase.as_str()));
    }
    if run.wants_redrive() {
        return Some("a redrive was asked for already and has not begun".into());
    }
    let redrive = run.status.as_ref()?.redrive.as_ref()?;
    let why = redrive.reason.as_deref().unwrap_or("AWS says that it cannot be");
    (!redrive.possible).then(|| why.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_redriven_is_told_before_anything_is_asked() {
        for (status, asked, why) in [
            (json!({"phase": "Failed", "redrive": {"count": 0, "possible": true}}), "", None),
            (json!({"phase": "Failed"}), "", None),
            (json!({"phase": "Aborted"}), "", None),
            (json!({"phase": "Running"}), "", Some("it has not ended (Running)")),
            (json!({"phase": "Succeeded"}), "", Some("it has not failed (Succeeded)")),
            (json!({"phase": "Failed"}), "1", Some("a redrive was asked for already and has not begun")),
            (
                json!({"phase": "Failed", "redrive": {"count": 0, "possible": false, "reason": "It is Express."}}),
                "",
                Some("It is Express"),
            ),
        ] {
            let annotations = if asked.is_empty() { json!({}) } else { json!({REDRIVE: asked}) };
            let run: WorkflowRun = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1",
                "kind": "WorkflowRun", "metadata": {"name": "order", "annotations": annotations},
                "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
            .unwrap();
            assert_eq!(refusal(&run).as_deref(), why, "{status}");
        }
    }
}
