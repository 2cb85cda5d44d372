//! What an execution did, small: the states that it visited, with times and results and without any input or output.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What an execution did. At most 100 visits are told: those that ended well inside iterations are counted first, those that
/// failed last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Visits of states, in the order in which they were entered.
    #[serde(default)]
    #[schemars(schema_with = "visits_schema")]
    pub visits: Vec<Visit>,
    /// Id of the newest event of the history that this tells of.
    #[serde(rename = "observedEventID", default)]
    pub observed_event_id: i64,
    /// How many visits are left out, for room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: i64,
}

/// One visit of a state: from its entry to its exit, with the retries between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// JSON pointer of the state in the definition, for example `/States/Pick/Iterator/States/Pack`.
    pub path: String,
    /// Name of the state.
    pub state: String,
    /// When it was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered_at: Option<MicroTime>,
    /// When it was left, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exited_at: Option<MicroTime>,
    /// How it ended.
    #[serde(default)]
    pub result: VisitResult,
    /// How often its work was tried again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
    /// The error with which it ended, or that was caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first 256 characters of the error's cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Of a Map: its iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<Iterations>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VisitResult {
    /// It has not ended.
    #[default]
    Running,
    /// It was left as the definition says.
    Succeeded,
    /// It failed, and a catcher of its own took over.
    Caught,
    /// It failed.
    Failed,
    /// It ran out of time.
    TimedOut,
    /// It was stopped, with its execution or because a state beside it failed.
    Aborted,
}

/// Iterations of a Map, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Iterations {
    /// As many as there are items.
    pub total: i64,
    /// Ended well.
    pub succeeded: i64,
    /// Failed or aborted.
    pub failed: i64,
    /// Begun and not ended.
    pub running: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One value: whoever applies it replaces all of it.
fn visits_schema(generator: &mut SchemaGenerator) -> Schema {
    let visit = generator.subschema_for::<Visit>();
    json_schema!({"type": "array", "items": visit, "maxItems": 100, "x-kubernetes-list-type": "atomic"})
}
