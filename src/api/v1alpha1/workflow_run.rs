//! WorkflowRun: an execution.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approval::RunApproval;
use super::common::{
    ConfigMapKeyRef, DurationString, REDRIVE, Timestamped, WrittenTime, any_json_schema, asked, conditions_schema,
    some_value,
};
use super::forms::{EXECUTION_PATTERN, OBJECT_NAME_PATTERN};
use super::retry::{AttemptCause, RedriveStatus, Retry};
use super::timeline::Timeline;

/// Executions of runs without a name are named after the run's UID, further attempts with `-` and their number. No other run
/// may name such a one. Names of a schedule's runs end in eight digits.
const NO_UID: &str = "!self.matches('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(-[0-9]{1,7})?$')";
const NO_UID_MESSAGE: &str =
    "executionName must not look like a UID: executions are named so of runs that give no name. Choose another name";

/// A WorkflowRun is one execution of a Workflow.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "WorkflowRun",
    plural = "workflowruns",
    singular = "workflowrun",
    shortname = "sfnrun",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "WorkflowRunStatus",
    selectable = ".status.phase",
    selectable = ".spec.workflowRef.name",
    selectable = ".status.requestedBy",
    doc = "A WorkflowRun is one execution of a Workflow: started once, watched to its end, with its result in the status.",
    validation = ("!has(self.spec.output) || self.spec.output.store != 'ConfigMap' || size(self.metadata.name) <= 246", "the output goes to a ConfigMap named <run>-output, so the name of the run must have at most 246 characters"),
    printcolumn = r#"{"name":"Workflow","type":"string","jsonPath":".spec.workflowRef.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Duration","type":"string","jsonPath":".status.duration"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.executionName) == has(self.startDeadline)", "executionName and startDeadline go together: a name is unique only for 90 days after its execution closed"))]
#[x_kube(validation = ("self.workflowRef == oldSelf.workflowRef", "workflowRef cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("has(self.inputFrom) == has(oldSelf.inputFrom) && (!has(self.inputFrom) || self.inputFrom == oldSelf.inputFrom)", "inputFrom cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("has(self.executionName) == has(oldSelf.executionName) && (!has(self.executionName) || self.executionName == oldSelf.executionName)", "executionName cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("has(self.startDeadline) == has(oldSelf.startDeadline) && (!has(self.startDeadline) || self.startDeadline == oldSelf.startDeadline)", "startDeadline cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("has(self.timeout) == has(oldSelf.timeout) && (!has(self.timeout) || self.timeout == oldSelf.timeout)", "timeout cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("self.mode == oldSelf.mode && self.deletionPolicy == oldSelf.deletionPolicy && self.output == oldSelf.output", "mode, deletionPolicy and output cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("has(self.retry) == has(oldSelf.retry) && (!has(self.retry) || self.retry == oldSelf.retry)", "retry cannot be changed; create another WorkflowRun"))]
#[x_kube(validation = ("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)", "a cancel can be neither taken back nor changed: it is of who asked for it first; create another WorkflowRun"))]
pub struct WorkflowRunSpec {
    /// The Workflow to run, and which of it. Immutable.
    pub workflow_ref: WorkflowRef,
    /// Input of the execution, any JSON value; `{}` by default. At most 262,144 bytes. Not together with inputFrom.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_value")]
    #[schemars(schema_with = "any_json_schema")]
    pub input: Option<serde_json::Value>,
    /// Where the input stands otherwise. Read once, before the start. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_from: Option<InputSource>,
    /// Name of the execution, to run this once by startDeadline; by default it is named after this object's UID. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = EXECUTION_PATTERN))]
    #[schemars(extend("x-kubernetes-validations" = [{"rule": NO_UID, "message": NO_UID_MESSAGE}]))]
    pub execution_name: Option<String>,
    /// After this time the run is not started any more. Goes with executionName. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<WrittenTime>,
    /// Async, or Sync for an Express state machine whose result is wanted (at most once, five minutes). Immutable.
    #[serde(default)]
    pub mode: RunMode,
    /// The run is stopped when it takes longer than this from its first start on, all attempts included. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationString>,
    /// What happens when the execution fails; by default the run fails with it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Set it to stop the execution. Once set it can be neither taken back nor changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// What happens to a running execution when this object is deleted. Immutable.
    #[serde(default)]
    pub deletion_policy: RunDeletionPolicy,
    /// Deletes this object so long after its end. Not for objects kept in Git: they would be created and run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<DurationString>,
    /// Where the output goes. Immutable.
    #[serde(default)]
    pub output: OutputPolicy,
}

/// What is run: by default the alias that is marked as default, else the only alias, else the newest version that was not
/// rolled back, else the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.alias) || !has(self.version)", "message": "name an alias or a version, not both"},
]))]
pub struct WorkflowRef {
    /// Name of the Workflow, in this namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME_PATTERN))]
    pub name: String,
    /// Alias of it to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub alias: Option<String>,
    /// Number of the version of it to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
}

/// Where an input stands when it is not in the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputSource {
    /// A key of a ConfigMap in this namespace that holds the input as JSON.
    pub config_map_key_ref: ConfigMapKeyRef,
}

/// How the execution is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunMode {
    /// Started and watched. An Express execution is only started: AWS tells nothing of its end.
    #[default]
    Async,
    /// Started and waited for in one call. Express only, at most once: no answer means OutcomeUnknown.
    Sync,
}

/// A request to stop the execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Why, for people and for the execution's history.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// What happens to a running execution when its WorkflowRun is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunDeletionPolicy {
    /// Stop it.
    #[default]
    Stop,
    /// Let it run.
    Orphan,
}

/// What is done with the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputPolicy {
    /// Where the output is kept.
    #[serde(default)]
    pub store: OutputStore,
}

/// Where an output is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutputStore {
    /// In the status up to 16 KiB; a larger one only as digest and size.
    #[default]
    Status,
    /// In the ConfigMap `<run>-output`, key `output.json`, owned by the run. The operator needs the right to create it: the chart's value
    /// `outputs.configMaps`.
    ConfigMap,
    /// Nowhere; digest and size only.
    None,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Not started yet.
    #[default]
    Pending,
    /// The attempt is recorded; the start may or may not have reached AWS.
    Starting,
    /// The execution runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It failed, or was never started and never will be.
    Failed,
    /// It ran out of time, its own or the state machine's.
    TimedOut,
    /// It was stopped.
    Aborted,
    /// Handed to an Express state machine; AWS tells nothing of its end.
    Dispatched,
}

impl Phase {
    /// Every phase, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Aborted,
        Self::Dispatched,
    ];

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Starting => "Starting",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::TimedOut => "TimedOut",
            Phase::Aborted => "Aborted",
            Phase::Dispatched => "Dispatched",
        }
    }

    /// True when nothing more will happen to the execution as far as Stepbound can know.
    pub fn is_finished(self) -> bool {
        !matches!(self, Phase::Pending | Phase::Starting | Phase::Running)
    }
}

impl Phase {
    /// True of an end that nobody would want to repeat.
    pub fn is_good(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Dispatched)
    }
}

/// One start or redrive of an execution, recorded before it is asked of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counted from 1.
    pub number: i64,
    /// Name of the execution in AWS.
    pub execution_name: String,
    /// What is started: the ARN of a version, or of the state machine.
    #[serde(rename = "targetARN")]
    pub target_arn: String,
    /// The TrustBinding as which it is started, watched and stopped.
    pub trust_binding_name: String,
    /// SHA-256 of the input, in hexadecimal.
    pub input_digest: String,
    /// When the attempt was recorded.
    pub recorded_at: Timestamped,
    /// 0 for a start; n for redrive n of the execution, which is asked for only while AWS counts n-1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrive_count: i64,
    /// What it follows from.
    #[serde(default, skip_serializing_if = "AttemptCause::is_run")]
    pub cause: AttemptCause,
    /// Who asked for just this attempt, as the API server knew them: for the run, or for a redrive. Absent for what `spec.retry`
    /// begins, and where the API server's word cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who approved just this attempt. Absent where it needed no approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// ARN of the alias by which the version was chosen that was approved.
    #[serde(rename = "aliasARN", default, skip_serializing_if = "Option::is_none")]
    pub alias_arn: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamped>,
    /// The error with which it ended, cut to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Why an execution is being stopped. Recorded before AWS is asked, because it decides the phase at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StopIntent {
    /// Somebody set `spec.cancel`; the run ends `Aborted`.
    Cancel,
    /// `spec.timeout` has passed; the run ends `TimedOut`.
    Timeout,
}

/// A recorded intent to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopRequest {
    /// What asked for it.
    pub intent: StopIntent,
    /// When it was recorded.
    pub recorded_at: Timestamped,
    /// Who set `spec.cancel`, as the API server knew them; absent where its word for it cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

/// A start or redrive that AWS has not taken yet, and when it is asked for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// How often it was refused in a row.
    pub times: i64,
    /// It is not asked for again before this time, unless its Workflow or TrustBinding changes.
    pub next_try_at: Timestamped,
    /// Digest of Workflow and TrustBinding as they were at the refusal.
    pub seen: String,
    /// Since when the execution may have been started all the same, because AWS gave no clear answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_at: Option<Timestamped>,
}

/// What is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRunStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the run stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// ARN of the execution.
    #[serde(rename = "executionARN", default, skip_serializing_if = "Option::is_none")]
    pub execution_arn: Option<String>,
    /// Log group in which the end of an Express execution is looked for: the one that its Workflow logged to at the start.
    #[serde(rename = "logGroupARN", default, skip_serializing_if = "Option::is_none")]
    pub log_group_arn: Option<String>,
    /// True when the execution is not known to be this run's own: it existed before, or carries another's mark. It is followed, and
    /// never stopped, redriven or started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Every start and redrive, oldest first; at most the last 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What AWS refused last, until it takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When the next attempt begins, while the run waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamped>,
    /// The intent to stop, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopRequest>,
    /// When AWS started the first execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamped>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamped>,
    /// How long its executions ran, for people: the waits between attempts are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The same in milliseconds, of the attempts that have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_milliseconds: Option<i64>,
    /// The output, up to 16 KiB, as the JSON value it is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_value")]
    #[schemars(schema_with = "any_json_schema")]
    pub output: Option<serde_json::Value>,
    /// SHA-256 of the output, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_digest: Option<String>,
    /// Size of the output in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<i64>,
    /// Error name of a failed execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Cause of a failed execution, cut to 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The state in which it failed: the innermost one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_state: Option<String>,
    /// What the execution did, written with its end: at most 16 KiB where it failed, 4 KiB otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Who asked for the run, as the API server knew them; absent where its word for it cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who approved the last start that needed an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The Approval that the run waits for, or by which it was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<RunApproval>,
    /// Name of the STS session in which the execution was started, as CloudTrail shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// The states in which the execution is, at most 20. Only while somebody watches: annotation `stepbound.dev/watch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub current_states: Vec<String>,
    /// How many percent of its items the current distributed Map has finished. Only while somebody watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<i64>,
    /// The current states or the failed one, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Redrives of the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<RedriveStatus>,
    /// Annotations that were acted on.
    #[serde(default, skip_serializing_if = "RunLastHandled::is_empty")]
    pub last_handled: RunLastHandled,
    /// The execution in the AWS console.
    #[serde(rename = "consoleURL", default, skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// `Started`, `Finished`, `Complete`, `Failed`, `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

impl WorkflowRunStatus {
    /// True while nothing was started: no attempt is recorded, or AWS has refused the first and nothing of it can run.
    pub fn awaits_start(&self) -> bool {
        self.attempts.is_empty() || (self.attempts.len() == 1 && self.attempts[0].number == 1 && self.is_refused())
    }

    /// True while the last attempt is one that AWS has refused, so that nothing of it can run.
    pub fn is_refused(&self) -> bool {
        self.phase == Some(Phase::Pending) && self.refusal.is_some() && self.execution_arn.is_none()
    }
}

impl WorkflowRun {
    /// The value by which a redrive is asked for.
    pub fn redrive_asked(&self) -> Option<&str> {
        asked(self, REDRIVE)
    }

    /// True when a redrive was asked for and neither made nor refused yet.
    pub fn wants_redrive(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.last_handled.is_new(self.redrive_asked()))
    }
}

/// Values of annotations that ask for something once. A value that stands here was acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunLastHandled {
    /// `stepbound.dev/redrive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<String>,
}

impl RunLastHandled {
    /// True of a value that asks for a redrive and was not acted on.
    pub fn is_new(&self, redrive: Option<&str>) -> bool {
        redrive.is_some() && redrive != self.redrive.as_deref()
    }

    /// True when nothing was ever asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
