//! What verbs that start something do afterwards: wait for it, draw it, or say how.

use std::time::Duration;

use clap::Args;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;

use super::await_run::{Goal, until};
use super::cluster::duration;
use super::ended::ended;
use super::{Cluster, Exit, KubectlError, refused, watch};
use crate::api::v1alpha1::{GROUP, WorkflowRun};
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

    /// Whoever waits has to be allowed to: this is told before anything is created, and not after.
    pub async fn is_allowed(&self, cluster: &Cluster) -> Result<(), KubectlError> {
        if self.is_asked() { may_watch(cluster).await } else { Ok(()) }
    }

    pub fn is_asked(&self) -> bool {
        self.wait || self.watch
    }

    pub fn draws(&self) -> bool {
        self.watch
    }
}

/// Refuses where the API server says that runs may not be listed or watched. Where it says nothing, the wait itself will tell; and
/// of a run that may not be created it tells more once that is tried, such as whom it takes whoever asks for.
pub(super) async fn may_watch(cluster: &Cluster) -> Result<(), KubectlError> {
    if !may(cluster, "create").await {
        return Ok(());
    }
    for verb in ["list", "watch"] {
        if !may(cluster, verb).await {
            let asked = "wait for a run, so none was created; without waiting it needs no such right";
            return Err(KubectlError::lacks(asked, verb, "workflowruns", &cluster.namespace));
        }
    }
    Ok(())
}

/// Whether the user may do this to runs, as far as the API server says so.
async fn may(cluster: &Cluster, verb: &str) -> bool {
    let asked = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.into()),
                resource: Some("workflowruns".into()),
                verb: Some(verb.into()),
                namespace: Some(cluster.namespace.clone()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &asked).await;
    answer.ok().and_then(|review| review.status).is_none_or(|status| status.allowed)
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
