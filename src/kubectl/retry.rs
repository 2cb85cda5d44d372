//! `kubectl sfn retry`

use clap::Args;
use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use super::show::{self, print};
use super::waiting::{Waiting, wait_for};
use super::{Cluster, Exit, KubectlError, target};
use crate::api::v1alpha1::{WorkflowRef, WorkflowRun};

/// Flags of `kubectl sfn retry`.
#[derive(Debug, Args)]
pub(super) struct RetryFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(flags: &RetryFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    flags.waiting.check()?;
    flags.waiting.is_allowed(cluster).await?;
    let old = cluster.get::<WorkflowRun>(&flags.run).await?;
    // Of a version that was removed meanwhile, for example. What this program cannot read is for the API server to judge.
    let wanted = old.data.pointer("/spec/workflowRef").cloned().map(serde_json::from_value::<WorkflowRef>);
    if let Some(Ok(wanted)) = wanted {
        target::check(cluster, &wanted).await?;
    }
    let object: DynamicObject =
        serde_json::from_value(again(&old)).map_err(|error| KubectlError::Print(error.to_string()))?;
    let made = cluster.as_they_are::<WorkflowRun>().create(&PostParams::default(), &object).await;
    let made = made.map_err(|error| KubectlError::of(&format!("run \"{}\" again", old.name_any()), error))?;
    print(&format!("{} created\n", show::name("WorkflowRun", &made)))?;
    wait_for(cluster, &made.name_any(), &flags.waiting, None).await
}

/// The same spec under another name. A name of the execution is for once, the deadline goes with it, and a cancel was of the
/// other run. Labels are left out: by some of them a schedule or another tool knows what is its own.
fn again(old: &DynamicObject) -> Value {
    let mut spec = old.data.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        for field in ["executionName", "startDeadline", "cancel"] {
            spec.shift_remove(field);
        }
    }
    let prefix = old.metadata.generate_name.clone().unwrap_or_else(|| format!("{}-", old.name_any()));
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"generateName": prefix}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_made_again_without_what_was_for_once() {
        let old: DynamicObject = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1",
            "kind": "WorkflowRun", "metadata": {"name": "order", "uid": "u", "labels": {"stepbound.dev/schedule": "nightly"}},
            "spec": {"workflowRef": {"name": "fulfil", "version": 3}, "input": {"a": 1}, "executionName": "once",
                "startDeadline": "2026-01-01T00:00:00Z", "cancel": {"reason": "no"}, "fromTomorrow": true},
            "status": {"phase": "Failed"}}))
        .unwrap();
        let spec = json!({"workflowRef": {"name": "fulfil", "version": 3}, "input": {"a": 1}, "fromTomorrow": true});
        let metadata = json!({"generateName": "order-"});
        let kind = "WorkflowRun";
        assert_eq!(
            again(&old),
            json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
        );
    }
}
