//! `kubectl sfn cancel`

use clap::Args;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::await_run::phase;
use super::show::print;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Phase, WorkflowRun};
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

/// What a request to stop a run met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It had ended.
    Ended(Phase),
    /// Somebody had asked before.
    Before,
    /// It is being stopped.
    Now,
}

/// Asks for the end of a run, where nobody has and it has not ended. Gives its name.
pub(super) async fn ask(cluster: &Cluster, run: &str, reason: &str) -> Result<(String, Asked), KubectlError> {
    let run = cluster.typed::<WorkflowRun>(run).await?;
    let name = run.name_any();
    if phase(&run).is_finished() {
        return Ok((name, Asked::Ended(phase(&run))));
    }
    if run.spec.cancel.is_some() {
        return Ok((name, Asked::Before));
    }
    let patch = json!({"spec": {"cancel": {"reason": reason}}});
    let api = cluster.as_they_are::<WorkflowRun>();
    let answer = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    answer.map_err(|error| KubectlError::of(&format!("cancel WorkflowRun \"{name}\""), error))?;
    Ok((name, Asked::Now))
}

pub(super) async fn run(flags: &CancelFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let (name, asked) = ask(cluster, &flags.run, &flags.reason).await?;
    let met = match asked {
        Asked::Ended(phase) => format!("has ended already ({}); nothing is changed", phase.as_str()),
        Asked::Before => "is being cancelled already; nothing is changed".to_owned(),
        Asked::Now => "is being cancelled".to_owned(),
    };
    print(&format!("workflowrun.stepbound.dev/{name} {met}\n"))?;
    if !matches!(asked, Asked::Ended(_)) {
        say(&format!("Next: {}", cluster.command(&format!("wait {name}"))));
    }
    Ok(Exit::Done)
}
