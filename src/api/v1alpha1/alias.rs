//! Aliases of a Workflow and how a new version reaches them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{DurationString, Timestamped};
use super::forms::ALIAS_PATTERN;

/// A name under which executions are started, and the version or rollout behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.version) != has(self.rollout)", "message": "an alias needs either version or rollout"},
]))]
pub struct Alias {
    /// Name of the alias, not of digits alone.
    #[schemars(length(min = 1, max = 80), regex(pattern = ALIAS_PATTERN))]
    pub name: String,
    /// Runs that name neither alias nor version use this one. At most one alias is the default.
    #[serde(default)]
    pub default: bool,
    /// Number of the version that the alias stays at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    /// How a newly published version takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// How a new version takes over from the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.strategy == 'AllAtOnce' || (has(self.percent) && has(self.interval))", "message": "Canary and Linear need percent and interval"},
    {"rule": "self.strategy != 'AllAtOnce' || !has(self.alarms) || self.alarms.size() == 0", "message": "alarms need a strategy that takes time: Canary or Linear"},
]))]
pub struct Rollout {
    /// How the traffic moves.
    pub strategy: RolloutStrategy,
    /// Share of new executions that the new version gets first (Canary), or more with each step (Linear).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub percent: Option<i64>,
    /// Time between steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationString>,
    /// Failures that the new version may have, in percent of its executions. The old version's own rate counts where it is higher.
    #[serde(default = "default_max_failure_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_failure_percent: i64,
    /// Executions of the new version that must have ended before a step is taken.
    #[serde(default = "default_min_executions")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_executions: i64,
    /// A rollout that has not proven itself for so long is rolled back.
    #[serde(default = "default_analysis_timeout")]
    pub analysis_timeout: DurationString,
    /// Names of CloudWatch alarms in the binding's account and region. A rollout does not begin while one of them is in
    /// alarm or does not exist, and is rolled back when that happens under way. `INSUFFICIENT_DATA` holds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub alarms: Vec<String>,
    /// What happens to running executions of a version that is rolled back.
    #[serde(default)]
    pub on_rollback: OnRollback,
}

fn default_max_failure_percent() -> i64 {
    5
}

fn default_min_executions() -> i64 {
    10
}

fn default_analysis_timeout() -> DurationString {
    DurationString("24h".into())
}

/// How traffic moves to a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutStrategy {
    /// At once.
    AllAtOnce,
    /// A first share, then all.
    Canary,
    /// In equal steps.
    Linear,
}

/// What happens to running executions of a version that is rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRollback {
    /// They run on.
    #[default]
    Leave,
    /// They are stopped.
    Stop,
}

/// What is known of an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AliasStatus {
    /// Its name.
    pub name: String,
    /// Its ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// Where it routes, the older version first.
    pub routes: Vec<Route>,
    /// Versions that AWS was asked to route to and has not yet answered for: executions may start as these too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<i64>,
    /// Versions that it routed to until a moment ago: for some seconds executions may still start as these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<i64>,
    /// Where its rollout stands.
    pub phase: RolloutPhase,
    /// Number of the version that is being rolled out, or was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i64>,
    /// When the rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamped>,
    /// When the weights were last moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifted_at: Option<Timestamped>,
    /// Why it stands where it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A share of new executions that goes to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Number of the version.
    pub version: i64,
    /// Percent of new executions.
    pub weight: i64,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RolloutPhase {
    /// One version serves all.
    #[default]
    Stable,
    /// A new version waits for the rollout's alarms to be quiet before it gets its first executions.
    Waiting,
    /// Two versions share, and the new one is watched.
    RollingOut,
    /// Held by the annotation `stepbound.dev/pause`.
    Paused,
    /// The new version failed; the old one serves all.
    RolledBack,
}
