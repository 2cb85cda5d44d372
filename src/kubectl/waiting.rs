//! What verbs that start something do afterwards: wait for it, draw it, or say how.

use std::time::Duration;

use clap::Args;

use super::await_run::{Goal, until};
use super::cluster::duration;
use super::ended::ended;
use super::{Cluster, Exit, KubectlError, refused, watch};
use crate::api::v1alpha1::WorkflowRun;
use crate::cli::out::say;

/// Flags of verbs that start something.
#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// Wait for its end; the exit code says how it ended
    #[arg(long)]
    wait: bool,
    /// Draw it until its end; the exit code says how it ended
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// How long at most, such as 10m; 0 is for ever
    #[arg(long, value_name = "DURATION", default_value = "0")]
    wait_timeout: String,
}

impl Waiting {
    /// Before anything is created.
    pub fn check(&self) -> Result<Option<Duration>, KubectlError> {
        duration("--wait-timeout", &self.wait_timeout)
    }

    pub fn is_asked(&self) -> bool {
        self.wait || self.watch
    }

    pub fn draws(&self) -> bool {
        self.watch
    }
}

/// Waits as the flags say. Of a run that is redriven it is given how it was before: what it did then is no news.
pub(super) async fn wait_for(
    cluster: &Cluster,
    name: &str,
    waiting: &Waiting,
    before: Option<&WorkflowRun>,
) -> Result<Exit, KubectlError> {
    let longest = waiting.check()?;
    if waiting.watch {
        return watch::follow(cluster, name, longest, before).await;
    }
    if !waiting.wait {
        say(&format!("Next: {}", cluster.command(&format!("watch {name}"))));
        return Ok(Exit::Done);
    }
    let (exit, last) = until(cluster, name, Goal::Finished, longest).await?;
    if let Some(run) = last.filter(|_| exit != Exit::GoesOn) {
        refused::check(&run, before, cluster).await?;
        ended(&run, cluster)?;
    }
    Ok(exit)
}
