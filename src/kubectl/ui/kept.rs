//! What is kept of each object: what the lists show, and nothing else. Of a run neither input nor output is ever read for a
//! list, so ten thousand of them fit.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Object;
use serde::{Deserialize, Serialize};

use crate::api::v1alpha1::{
    AliasStatus, ExecutionHistoryStatus, LocalRef, Phase, PublishedVersion, StateMachineType, Timestamped,
    TrustBindingSpec, TrustBindingStatus, WorkflowRef,
};
use crate::status;

/// A run as the API server is asked for it.
pub(super) type SeenRun = Object<RunSpec, RunStatus>;
/// A Workflow, likewise.
pub(super) type SeenWorkflow = Object<WorkflowSpec, WorkflowStatus>;
/// A TrustBinding, likewise.
pub(super) type SeenBinding = Object<TrustBindingSpec, TrustBindingStatus>;
/// A WorkflowSchedule, likewise.
pub(super) type SeenSchedule = Object<ScheduleSpec, ScheduleStatus>;
/// An ExecutionHistory, likewise.
pub(super) type SeenHistory = Object<HistorySpec, HistoryStatus>;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunSpec {
    workflow_ref: WorkflowRef,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunStatus {
    phase: Option<Phase>,
    started_at: Option<Timestamped>,
    finished_at: Option<Timestamped>,
    ran_milliseconds: Option<i64>,
    error: Option<String>,
    state: Option<String>,
    requested_by: Option<String>,
    #[serde(default)]
    attempts: Vec<Target>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Target {
    #[serde(rename = "targetARN")]
    arn: String,
}

/// What is kept of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub workflow: Box<str>,
    /// The version that was started last.
    pub version: Option<i64>,
    pub phase: Phase,
    pub created: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub ran: Option<i64>,
    pub by: Option<Box<str>>,
    /// Where it is or where it failed; the error; or why it waits.
    pub detail: Option<Box<str>>,
}

pub(super) fn run(seen: SeenRun) -> Run {
    let status = seen.status.unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    let waits = || status::find(&status.conditions, "Ready").map(|ready| ready.reason.clone());
    let detail = match (status.state, status.error) {
        (Some(state), Some(error)) => Some(format!("{error} in {state}")),
        (state, error) => error.or(state).or_else(|| waits().filter(|_| !phase.is_finished())),
    };
    Run {
        workflow: seen.spec.workflow_ref.name.into(),
        version: status.attempts.last().and_then(|attempt| version(&attempt.arn)),
        phase,
        created: seen.metadata.creation_timestamp.map(|time| time.0),
        started: status.started_at.map(|time| time.0),
        finished: status.finished_at.map(|time| time.0),
        ran: status.ran_milliseconds,
        by: status.requested_by.map(Into::into),
        detail: detail.map(|detail| detail.chars().take(160).collect::<String>().into()),
    }
}

/// The number at the end of a version's ARN; a state machine's own has none.
pub(super) fn version(arn: &str) -> Option<i64> {
    let (machine, number) = arn.rsplit_once(':')?;
    machine.contains(":stateMachine:").then(|| number.parse().ok())?
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowSpec {
    trust_binding_ref: LocalRef,
    #[serde(rename = "type", default)]
    machine_type: StateMachineType,
    #[serde(default)]
    suspend: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowStatus {
    latest_version: Option<PublishedVersion>,
    #[serde(default)]
    aliases: Vec<AliasStatus>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

/// What is kept of a Workflow.
#[derive(Clone, Debug)]
pub(super) struct Workflow {
    pub binding: String,
    pub express: bool,
    pub suspended: bool,
    pub version: Option<i64>,
    pub aliases: Vec<AliasStatus>,
    pub ready: Option<Condition>,
}

pub(super) fn workflow(seen: SeenWorkflow) -> Workflow {
    let status = seen.status.unwrap_or_default();
    Workflow {
        binding: seen.spec.trust_binding_ref.name,
        express: seen.spec.machine_type == StateMachineType::Express,
        suspended: seen.spec.suspend,
        version: status.latest_version.map(|version| version.number),
        aliases: status.aliases,
        ready: status::find(&status.conditions, "Ready").cloned(),
    }
}

/// What is kept of a TrustBinding.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub spec: TrustBindingSpec,
    pub status: TrustBindingStatus,
}

pub(super) fn binding(seen: SeenBinding) -> Binding {
    Binding { spec: seen.spec, status: seen.status.unwrap_or_default() }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleSpec {
    schedule: String,
    time_zone: Option<String>,
    #[serde(default)]
    suspend: bool,
    run_template: ScheduleTemplate,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ScheduleTemplate {
    spec: RunSpec,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleStatus {
    active_runs: Option<i64>,
    last_schedule_time: Option<Timestamped>,
    last_missed_time: Option<Timestamped>,
    next_schedule_time: Option<Timestamped>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

/// What is kept of a WorkflowSchedule.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub workflow: String,
    pub cron: String,
    pub zone: Option<String>,
    pub suspended: bool,
    pub active: i64,
    pub last: Option<Timestamp>,
    pub missed: Option<Timestamp>,
    pub next: Option<Timestamp>,
    pub ready: Option<Condition>,
}

pub(super) fn schedule(seen: SeenSchedule) -> Schedule {
    let status = seen.status.unwrap_or_default();
    Schedule {
        workflow: seen.spec.run_template.spec.workflow_ref.name,
        cron: seen.spec.schedule,
        zone: seen.spec.time_zone,
        suspended: seen.spec.suspend,
        active: status.active_runs.unwrap_or(0),
        last: status.last_schedule_time.map(|time| time.0),
        missed: status.last_missed_time.map(|time| time.0),
        next: status.next_schedule_time.map(|time| time.0),
        ready: status::find(&status.conditions, "Ready").cloned(),
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistorySpec {
    workflow_run_ref: LocalRef,
}

/// Of the status nothing is kept: who opens a run reads it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct HistoryStatus {}

/// What is kept of an ExecutionHistory: which run it is of.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub run: Box<str>,
}

pub(super) fn history(seen: SeenHistory) -> History {
    History { run: seen.spec.workflow_run_ref.name.into() }
}

/// What a status of an ExecutionHistory tells of its reading.
pub(super) fn reading(status: &ExecutionHistoryStatus) -> String {
    let why = status::find(&status.conditions, "Ready").filter(|ready| ready.status == "False");
    let phase = format!("{:?}", status.phase.unwrap_or_default());
    why.map_or(phase.clone(), |ready| format!("{phase}: {}", ready.message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_run_neither_input_nor_output_is_kept() {
        let big = "x".repeat(100_000);
        let object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "a", "namespace": "shop", "creationTimestamp": "2027-01-31T12:00:00Z"},
            "spec": {"workflowRef": {"name": "fulfil"}, "input": {"big": big}},
            "status": {"phase": "Failed", "output": big, "error": "Boom", "state": "Pack", "ranMilliseconds": 1500,
                "requestedBy": "anna", "attempts": [{"targetARN": "arn:aws:states:eu-west-1:1:stateMachine:shop_fulfil:7"}]}});
        let kept = run(serde_json::from_value(object).unwrap());
        assert!(format!("{kept:?}").len() < 400, "{kept:?}");
        assert_eq!(kept.detail.as_deref(), Some("Boom in Pack"));
        assert_eq!((kept.version, kept.ran, kept.phase), (Some(7), Some(1500), Phase::Failed));
    }

    #[test]
    fn a_run_that_waits_says_why() {
        let object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "a"},
            "spec": {"workflowRef": {"name": "fulfil"}},
            "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False", "reason": "WaitingForSlot",
                "message": "", "lastTransitionTime": "2027-01-31T12:00:00Z"}]}});
        assert_eq!(run(serde_json::from_value(object).unwrap()).detail.as_deref(), Some("WaitingForSlot"));
    }

    #[test]
    fn versions_are_told_from_machines() {
        let machine = "arn:aws:states:eu-west-1:1:stateMachine:shop_fulfil";
        assert_eq!(version(machine), None);
        assert_eq!(version(&format!("{machine}:12")), Some(12));
        assert_eq!(version(&format!("{machine}:live")), None);
        assert_eq!(version("x"), None);
    }
}
