//! What a Workflow says of its state machine beside the definition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forms::{LOG_GROUP_PATTERN, ROLE_ARN_PATTERN};
use crate::iam::binding_role::values;

/// Which events of an execution go to CloudWatch Logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogLevel {
    /// All events.
    All,
    /// Errors.
    Error,
    /// Fatal errors.
    Fatal,
    /// None.
    #[default]
    None,
}

/// Logging of executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Which events are logged.
    pub level: LogLevel,
    /// Log inputs and outputs of states too.
    #[serde(default)]
    pub include_execution_data: bool,
    /// ARN of the log group; `:*` is added where it is missing. Needed unless the level is None. Names that begin with `/aws/vendedlogs/states/` keep the account's log resource policy small.
    #[serde(rename = "logGroupARN", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = LOG_GROUP_PATTERN))]
    pub log_group_arn: Option<String>,
}

/// A role that steps act as instead of the execution role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRole {
    /// The role, of the partition of `executionRoleARN` and of any account. It must trust the execution role, which must be allowed
    /// `sts:AssumeRole` on it; `stepbound policy step-roles` prints both.
    #[serde(rename = "roleARN")]
    #[schemars(length(max = 2048), regex(pattern = ROLE_ARN_PATTERN))]
    pub role_arn: String,
    /// The Tasks that act as it, at any depth: each by its name, or by a JSON pointer where several have the name, such as
    /// `/States/Each/ItemProcessor/States/Charge`. An activity makes no call and has none.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "set"))]
    pub states: Vec<StateName>,
}

/// Name of a state, or a JSON pointer to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct StateName(#[schemars(length(min = 1, max = 1024))] pub String);

/// Tracing of executions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Send traces to X-Ray.
    pub enabled: bool,
}

/// Encryption of definition and executions with a key of the account's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Id, ARN, alias or ARN of an alias of the KMS key.
    #[serde(rename = "kmsKeyID")]
    #[schemars(length(min = 1, max = 320), regex(pattern = values::KEY_PATTERN))]
    pub kms_key_id: String,
    /// How long a data key is used, 60 to 900 seconds.
    #[serde(default = "default_reuse_period")]
    #[schemars(range(min = 60, max = 900))]
    pub kms_data_key_reuse_period_seconds: i32,
}

fn default_reuse_period() -> i32 {
    300
}

/// When versions are published and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Whether every change is published as a version. With Never there are none, and runs use the state machine itself.
    #[serde(default)]
    pub publish: PublishPolicy,
    /// How many versions are kept. One that an alias routes to, or that an open or redrivable run uses, is kept beyond them.
    #[serde(default = "default_retain")]
    #[schemars(range(min = 1, max = 900))]
    pub retain: i64,
}

impl Default for Versions {
    fn default() -> Self {
        Self { publish: PublishPolicy::default(), retain: default_retain() }
    }
}

fn default_retain() -> i64 {
    10
}

/// When a version is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PublishPolicy {
    /// With every change.
    #[default]
    OnChange,
    /// Never.
    Never,
}

/// What happens to a change that somebody made in AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// It is undone, and told.
    #[default]
    Correct,
    /// It is told.
    Report,
}

/// Of which runs the status tells what the execution did, state by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TimelinePolicy {
    /// Of those that did not succeed.
    #[default]
    Failed,
    /// Of all: one more call of AWS for each run that succeeds, and up to 4 KiB more in its status.
    Always,
}

/// What becomes of a run of an Express state machine that nobody waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExpressResults {
    /// It ends `Dispatched` once AWS has taken the start.
    #[default]
    Dispatched,
    /// Its end is read from the log group that the state machine logs to: the role needs `logs:FilterLogEvents` on that.
    FromLogs,
}

/// What happens when a state machine of the name exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// It is left alone.
    #[default]
    Never,
    /// It is taken over where it carries nobody's owner mark.
    IfUnowned,
}
