//! `kubectl sfn cancel`

use clap::Args;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::await_run::phase;
use super::show::print;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::WorkflowRun;
use crate::cli::out::say;

/// Flags of `kubectl sfn cancel`.
#[derive(Debug, Args)]
pub(super) struct CancelFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    /// Why, for people and for the execution's history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(super) async fn run(flags: &CancelFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let run = cluster.typed::<WorkflowRun>(&flags.run).await?;
    let name = run.name_any();
    if phase(&run).is_finished() {
        let phase = phase(&run).as_str();
        print(&format!("workflowrun.stepbound.dev/{name} has ended already ({phase}); nothing is changed\n"))?;
        return Ok(Exit::Done);
    }
    if run.spec.cancel.is_some() {
        print(&format!("workflowrun.stepbound.dev/{name} is being cancelled already; nothing is changed\n"))?;
    } else {
        let patch = json!({"spec": {"cancel": {"reason": flags.reason}}});
        let api = cluster.as_they_are::<WorkflowRun>();
        let answer = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        answer.map_err(|error| KubectlError::of(&format!("cancel WorkflowRun \"{name}\""), error))?;
        print(&format!("workflowrun.stepbound.dev/{name} is being cancelled\n"))?;
    }
    say(&format!("Next: {}", cluster.command(&format!("wait {name}"))));
    Ok(Exit::Done)
}
