//! ExecutionHistory: the wish to see all of what an execution did; and the pages that answer it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{DurationString, LocalRef, Timestamped, conditions_schema};
use super::timeline::Timeline;

/// An ExecutionHistory asks for all that one execution did.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "ExecutionHistory",
    plural = "executionhistories",
    singular = "executionhistory",
    shortname = "sfnhist",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "ExecutionHistoryStatus",
    selectable = ".status.phase",
    selectable = ".spec.workflowRunRef.name",
    doc = "An ExecutionHistory asks for all that the execution of one WorkflowRun did: read once, or followed to its end, and deleted by itself.",
    validation = ("size(self.metadata.name) <= 248", "its pages are named <history>-<n>, so the name must have at most 248 characters"),
    printcolumn = r#"{"name":"Run","type":"string","jsonPath":".spec.workflowRunRef.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Events","type":"integer","jsonPath":".status.events"}"#,
    printcolumn = r#"{"name":"Pages","type":"integer","jsonPath":".status.pages"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self == oldSelf", "the spec of an ExecutionHistory cannot be changed; create another one"))]
pub struct ExecutionHistorySpec {
    /// The WorkflowRun whose execution is read.
    pub workflow_run_ref: LocalRef,
    /// Goes on until the execution has ended, and keeps `status.timeline` up to date meanwhile.
    #[serde(default)]
    pub follow: bool,
    /// Also reads what went in and out of the states, into pages of their own. Needs the right to get `executiondatapages`.
    #[serde(default)]
    pub include_data: bool,
    /// Only events of the states of these names; of all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 80)))]
    pub states: Vec<String>,
    /// Deletes this object and its pages so long after it was read.
    #[serde(default = "an_hour")]
    pub ttl_after_finished: DurationString,
}

fn an_hour() -> DurationString {
    DurationString("1h".to_owned())
}

/// How far the reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HistoryPhase {
    /// Nothing was read yet.
    #[default]
    Pending,
    /// Pages are being read, or the execution is followed.
    Reading,
    /// All was read that there is.
    Complete,
    /// It cannot be read.
    Failed,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionHistoryStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far the reading is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<HistoryPhase>,
    /// ARN of the execution that is read.
    #[serde(rename = "executionARN", default, skip_serializing_if = "Option::is_none")]
    pub execution_arn: Option<String>,
    /// What the execution did, small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// How many pages there are: `<name>-<n>` from 1, and as many of data where data was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<i64>,
    /// How many events the pages hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<i64>,
    /// How many bytes the pages hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Bytes of events and data that were read and left out, since a history keeps 4 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<i64>,
    /// When the reading ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamped>,
    /// When this object will be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamped>,
    /// `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// An ExecutionHistoryPage holds a part of the events of an ExecutionHistory.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "ExecutionHistoryPage",
    plural = "executionhistorypages",
    singular = "executionhistorypage",
    namespaced,
    derive = "PartialEq",
    doc = "An ExecutionHistoryPage holds a part of the events of an ExecutionHistory, without what went in and out. Written by the operator."
)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionHistoryPageSpec {
    /// The number of the page, from 1.
    pub number: i64,
    /// Its events, in their order.
    #[serde(default)]
    #[schemars(length(max = 5000))]
    pub events: Vec<PageEvent>,
}

/// An event of an execution, as `GetExecutionHistory` tells it, without payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageEvent {
    /// Its id.
    pub id: i64,
    /// The id of the event that it follows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub previous_event_id: i64,
    /// Its type, for example `TaskFailed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened.
    pub timestamp: MicroTime,
    /// Name of the state in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// JSON pointer of that state in the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Index of the iteration of a Map that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<i64>,
    /// What is called, for example `lambda` or `arn:aws:states:::sqs:sendMessage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The error that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first 256 characters of the error's cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// An ExecutionDataPage holds what went in and out in the events of the ExecutionHistoryPage of the same name.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "ExecutionDataPage",
    plural = "executiondatapages",
    singular = "executiondatapage",
    namespaced,
    derive = "PartialEq",
    doc = "An ExecutionDataPage holds what went in and out in the events of the ExecutionHistoryPage of the same name. Written by the operator."
)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionDataPageSpec {
    /// The number of the page, from 1.
    pub number: i64,
    /// Data of the page's events, in their order; events without any are not here.
    #[serde(default)]
    #[schemars(length(max = 5000))]
    pub data: Vec<EventData>,
}

/// What went in and out in an event. Not to be printed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventData {
    /// The id of the event.
    pub id: i64,
    /// What the state or execution was given, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What it gave, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What a task was called with, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// The error's cause, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// AWS or this page cut something of it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl fmt::Debug for EventData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EventData({}, …)", self.id)
    }
}
