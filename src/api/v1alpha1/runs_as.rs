//! What a version of a state machine runs as.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What versions of a state machine run as: all that a Guardrail or a binding's list judges before a start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunsAs {
    /// Numbers of the versions that are alike in this, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<i64>,
    /// Set where the state machine itself, without a version, runs so too: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unversioned_since: Option<Time>,
    /// Set where the state machine itself, without a version, may still run so although it was updated, or may already run so
    /// because it is being updated: until when. AWS may start executions by the older definition for seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unversioned_until: Option<Time>,
    /// Role of their executions.
    #[serde(rename = "executionRoleARN")]
    pub execution_role_arn: String,
    /// Integrations that they use, at any depth, each once and in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<String>,
    /// AWS accounts other than the execution role's that the definition names: in ARNs, queue URLs and roles of `Credentials`.
    #[serde(rename = "accountIDs", default, skip_serializing_if = "Vec::is_empty")]
    pub account_ids: Vec<String>,
    /// JSON pointer to the first state whose role of `Credentials` is known only when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_credentials: Option<String>,
    /// What its steps act as. Absent where this was recorded before it was looked at: it is read from AWS where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<StepsRunAs>,
    /// Whether the definition, or a value in it, came from a ConfigMap.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_config_map: bool,
    /// Set where the rest is too large to be kept here: it is read from AWS before a start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omitted: bool,
}

/// What the steps of a state machine act as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepsRunAs {
    /// Roles of `Credentials` that the definition writes out, each once and in order.
    #[serde(rename = "roleARNs", default, skip_serializing_if = "Vec::is_empty")]
    pub role_arns: Vec<String>,
    /// JSON pointer to the first state whose role is not written out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// JSON pointer to the first Task, activities apart, that acts as the execution role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
}
