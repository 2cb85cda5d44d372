//! `kubectl sfn redrive`

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;

use super::await_run::phase;
use super::flags::kubectl;
use super::show::print;
use super::table::printable;
use super::waiting::{Waiting, wait_for};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Phase, REDRIVE, WorkflowRun};
use crate::plan::run::may_redrive;
use crate::reason::Reason;

/// The clocks of those who ask and of those who answer are taken to differ by no more.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(30);
/// How often, and after which pause, the operator's answer is looked for.
const TRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(500);

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

/// Fails where the run stands as before it was asked to be redriven: the operator has refused.
pub(super) async fn check(
    run: &WorkflowRun,
    before: Option<&WorkflowRun>,
    cluster: &Cluster,
) -> Result<(), KubectlError> {
    if before.is_none_or(|before| attempt(before) != attempt(run)) {
        return Ok(());
    }
    let name = run.name_any();
    let retry = cluster.command(&format!("retry {name}"));
    let why = match said(run, cluster).await {
        Some(why) => again(&why, &retry),
        None => format!("see its event: {}", kubectl(&format!("describe workflowrun {name} -n {}", cluster.namespace))),
    };
    Err(KubectlError::Refused(format!("WorkflowRun \"{name}\" was not redriven, the operator refused: {why}")))
}

/// The number of what was started last.
fn attempt(run: &WorkflowRun) -> Option<i64> {
    Some(run.status.as_ref()?.attempts.last()?.number)
}

/// The operator's answer to what was asked, as far as its events may be read. It is written after the status.
async fn said(run: &WorkflowRun, cluster: &Cluster) -> Option<String> {
    let asked: Option<Timestamp> = run.redrive_asked().and_then(|asked| asked.parse().ok());
    let since = asked.and_then(|asked| asked.checked_sub(CLOCKS_DIFFER).ok());
    let reason = Reason::RedriveRefused.as_str();
    let of_run = ListParams::default().fields(&format!("involvedObject.name={},reason={reason}", run.name_any()));
    for _ in 0..TRIES {
        let events = cluster.api::<Event>().list(&of_run).await.ok()?.items;
        let time = |event: &Event| event.event_time.as_ref().map(|time| time.0);
        let answers = events.into_iter().filter(|event| time(event) >= since);
        if let Some(answer) = answers.max_by_key(time).and_then(|event| event.message) {
            return Some(printable(&answer));
        }
        sleep(PAUSE).await;
    }
    None
}

/// The operator's words, with the command where they say to create another run.
pub(super) fn again(why: &str, retry: &str) -> String {
    match why.strip_suffix("Create another run.") {
        Some(before) => format!("{before}Create another run: {retry}"),
        None => why.to_owned(),
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

    #[test]
    fn a_word_to_create_another_run_names_the_command() {
        assert_eq!(
            again("No. Create another run.", "kubectl sfn retry a"),
            "No. Create another run: kubectl sfn retry a"
        );
        assert_eq!(again("Redrive it in AWS.", "kubectl sfn retry a"), "Redrive it in AWS.");
    }
}
