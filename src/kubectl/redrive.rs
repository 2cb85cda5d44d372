//! `kubectl sfn redrive`

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::await_run::phase;
use super::refused::again;
use super::show::print;
use super::waiting::{Waiting, wait_for};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Phase, REDRIVE, WorkflowRun};
use crate::plan::run::may_redrive;

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
    if let Some(why) = refusal(&run, Timestamp::now()) {
        return Err(KubectlError::Refused(why.told(&name, cluster)));
    }
    // Any value that is another asks for one redrive.
    let patch = json!({"metadata": {"annotations": {REDRIVE: Timestamp::now().to_string()}}});
    let api = cluster.as_they_are::<WorkflowRun>();
    let answer = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    answer.map_err(|error| KubectlError::of(&format!("redrive WorkflowRun \"{name}\""), error))?;
    print(&format!("workflowrun.stepbound.dev/{name} is being redriven\n"))?;
    wait_for(cluster, &name, &flags.waiting, Some(&run)).await
}

/// Why a run is not redriven.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// There is nothing to redrive yet, in this phase.
    NotEnded(Phase),
    /// Somebody was here before.
    AskedAlready,
    /// The operator would refuse it, in these words.
    Never(String),
}

impl Refusal {
    /// With the command that helps.
    fn told(&self, name: &str, cluster: &Cluster) -> String {
        let command = |verb: &str| cluster.command(&format!("{verb} {name}"));
        let why = match self {
            Self::NotEnded(phase) => format!(
                "it has not ended ({}). Wait for its end: {}. Stop it: {}",
                phase.as_str(),
                command("wait"),
                command("cancel")
            ),
            Self::AskedAlready => {
                format!(
                    "a redrive was asked for already and has not begun. See what becomes of it: {}",
                    command("watch")
                )
            }
            Self::Never(why) => again(why, &command("retry")),
        };
        format!("cannot redrive WorkflowRun \"{name}\": {why}")
    }
}

/// What is known to stand against it: what the operator would say. It looks again before it asks AWS.
fn refusal(run: &WorkflowRun, now: Timestamp) -> Option<Refusal> {
    let status = run.status.clone().unwrap_or_default();
    // Between two attempts nothing runs, and the next one may begin at once.
    if !phase(run).is_finished() && status.retry_at.is_none() {
        return Some(Refusal::NotEnded(phase(run)));
    }
    if run.wants_redrive() {
        return Some(Refusal::AskedAlready);
    }
    may_redrive(&run.spec, &status, now).err().map(Refusal::Never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_the_operator_would_refuse_is_told_before_anything_is_asked() {
        let now = "2026-01-20T00:00:00Z".parse().unwrap();
        let ended = json!({"phase": "Failed", "startedAt": "2026-01-19T00:00:00Z", "finishedAt": "2026-01-19T01:00:00Z",
            "executionARN": "arn"});
        let spec = json!({"workflowRef": {"name": "fulfil"}});
        let with = |base: &Value, more: Value| {
            let mut base = base.clone();
            base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            base
        };
        let never = |why: &str| Some(Refusal::Never(format!("{why} Create another run.")));
        for (spec_more, status_more, asked, why) in [
            (json!({}), json!({"redrive": {"count": 0, "possible": true}}), "", None),
            (json!({}), json!({}), "", None),
            (json!({}), json!({"phase": "Aborted"}), "", None),
            (json!({}), json!({"phase": "Pending", "retryAt": "2026-01-20T01:00:00Z"}), "", None),
            (json!({}), json!({"phase": "Running"}), "", Some(Refusal::NotEnded(Phase::Running))),
            (json!({}), json!({}), "1", Some(Refusal::AskedAlready)),
            (
                json!({"cancel": {"reason": "enough"}}),
                json!({"phase": "Aborted"}),
                "",
                never("spec.cancel is set and cannot be taken back."),
            ),
            (
                json!({}),
                json!({"phase": "Succeeded"}),
                "",
                never("The execution succeeded; there is nothing to redrive."),
            ),
            (json!({"mode": "Sync"}), json!({}), "", never("AWS redrives no Express execution.")),
            (json!({}), json!({"phase": "Dispatched"}), "", never("AWS redrives no Express execution.")),
            (json!({}), json!({"executionARN": null}), "", never("No execution of this run was started.")),
            (
                json!({}),
                json!({"redrive": {"count": 0, "possible": false, "reason": "It is too old."}}),
                "",
                never("It is too old."),
            ),
            (
                json!({}),
                json!({"finishedAt": "2026-01-05T23:00:00Z"}),
                "",
                never("AWS redrives an execution for 14 days after its end, which have passed."),
            ),
            (
                json!({}),
                json!({"adopted": true}),
                "",
                Some(Refusal::Never(
                    "The execution existed before this run, which only follows it. Redrive it in AWS.".into(),
                )),
            ),
        ] {
            let annotations = if asked.is_empty() { json!({}) } else { json!({REDRIVE: asked}) };
            let run: WorkflowRun = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1",
                "kind": "WorkflowRun", "metadata": {"name": "order", "annotations": annotations},
                "spec": with(&spec, spec_more), "status": with(&ended, status_more.clone())}))
            .unwrap();
            assert_eq!(refusal(&run, now), why, "{status_more}");
        }
    }
}
