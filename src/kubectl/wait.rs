//! `kubectl sfn wait`

use clap::Args;
use kube::ResourceExt;

use super::await_run::{Goal, phase, until};
use super::cluster::duration;
use super::ended::ended;
use super::show::print;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::WorkflowRun;

/// Flags of `kubectl sfn wait`.
#[derive(Debug, Args)]
pub(super) struct WaitFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    /// What is waited for
    #[arg(long = "for", value_enum, default_value_t = Goal::Finished)]
    goal: Goal,
    /// How long at most, such as 10m; 0 is for ever
    #[arg(long, value_name = "DURATION", default_value = "0")]
    timeout: String,
}

pub(super) async fn run(flags: &WaitFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let longest = duration("--timeout", &flags.timeout)?;
    // Says at once that there is none, and which may be meant.
    let name = cluster.typed::<WorkflowRun>(&flags.run).await?.name_any();
    let (exit, last) = until(cluster, &name, flags.goal, longest).await?;
    let Some(run) = last.filter(|_| exit != Exit::GoesOn) else { return Ok(exit) };
    if phase(&run).is_finished() {
        ended(&run, cluster)?;
    } else {
        print(&format!("workflowrun.stepbound.dev/{name} started\n"))?;
    }
    Ok(exit)
}
