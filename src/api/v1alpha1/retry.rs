//! Retries and redrives of a WorkflowRun.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::DurationString;
use super::workflow::BoundedString;

/// What happens when the execution fails. Neither a cancelled run nor one that ran out of its own time is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How often it is tried again, the first attempt not counted.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 10))]
    pub limit: i64,
    /// Redrive goes on from where the execution failed; Restart starts another execution from the beginning.
    pub strategy: RetryStrategy,
    /// How long to wait before each further attempt.
    #[serde(default)]
    pub backoff: Backoff,
    /// Names of errors after which it is tried again, as in the `ErrorEquals` of a state: `States.ALL` is any, `States.TaskFailed`
    /// any but `States.Timeout`. By default any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "set"))]
    pub on_errors: Vec<BoundedString<256>>,
}

fn default_limit() -> i64 {
    3
}

/// How a failed execution is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetryStrategy {
    /// AWS goes on from the states that failed, in the same execution and with the same definition. Standard only.
    Redrive,
    /// Another execution from the beginning, with the same input, by the same version or alias. For an Express state machine the
    /// run must have mode Sync.
    Restart,
}

/// Waiting times that grow from attempt to attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Before the second attempt.
    #[serde(default = "default_interval")]
    pub interval: DurationString,
    /// By how much it grows each time.
    #[serde(default = "default_factor")]
    #[schemars(range(min = 1, max = 10))]
    pub factor: i64,
    /// It never grows above this.
    #[serde(default = "default_max_interval")]
    pub max_interval: DurationString,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { interval: default_interval(), factor: default_factor(), max_interval: default_max_interval() }
    }
}

fn default_interval() -> DurationString {
    DurationString("10s".into())
}

fn default_factor() -> i64 {
    2
}

fn default_max_interval() -> DurationString {
    DurationString("5m".into())
}

/// What an attempt follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AttemptCause {
    /// The run itself.
    #[default]
    Run,
    /// `spec.retry`.
    Retry,
    /// Somebody asked for it by the annotation `stepbound.dev/redrive`.
    Asked,
}

impl AttemptCause {
    /// True of the first attempt of most runs.
    pub fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

/// What is known of redrives of the execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedriveStatus {
    /// How often it was redriven, as AWS counts.
    pub count: i64,
    /// Whether it could be redriven when it ended. AWS allows it for 14 days.
    pub possible: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
