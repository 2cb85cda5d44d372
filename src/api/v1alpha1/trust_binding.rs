//! TrustBinding: which service account may act as which IAM role.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::binding_settings::{
    BindingEvents, ExecutionRoleArn, Finding, SessionPolicy, StateMachineNames, StepRoleArn, TrustedIdentity,
};
use super::common::{DEFAULT_AUDIENCE, DurationString, LocalRef, conditions_schema};
use super::forms::{OBJECT_NAME_PATTERN, REGION_PATTERN, ROLE_ARN_PATTERN};

/// A TrustBinding says which service account of this namespace acts as which IAM role.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "TrustBinding",
    plural = "trustbindings",
    singular = "trustbinding",
    shortname = "tb",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "TrustBindingStatus",
    doc = "A TrustBinding says which service account of this namespace may act as which IAM role, without any stored key.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.accountID"}"#,
    printcolumn = r#"{"name":"Role","type":"string","jsonPath":".spec.roleARN","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.serviceAccountName == oldSelf.serviceAccountName", "serviceAccountName cannot be changed; create another TrustBinding"))]
#[x_kube(validation = ("self.roleARN == oldSelf.roleARN", "roleARN cannot be changed; create another TrustBinding"))]
#[x_kube(validation = ("self.region == oldSelf.region", "region cannot be changed; create another TrustBinding"))]
#[x_kube(validation = ("self.serviceAccountName != 'default'", "the account 'default' is shared by every pod that names none; create a service account of its own"))]
#[x_kube(validation = ("!self.sessionDuration.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}s|[0-9]{1,12}ms)+$') || (duration(self.sessionDuration) >= duration('15m') && duration(self.sessionDuration) <= duration('12h'))", "sessionDuration must be between 15m and 12h"))]
pub struct TrustBindingSpec {
    /// Service account, in this namespace, that acts as the role. Never `default`. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME_PATTERN))]
    pub service_account_name: String,
    /// ARN of the IAM role to assume: exact, no wildcard, any partition. Immutable.
    #[serde(rename = "roleARN")]
    #[schemars(
        length(max = 2048),
        regex(pattern = ROLE_ARN_PATTERN)
    )]
    pub role_arn: String,
    /// AWS region of the STS endpoint and of every state machine of this binding, of the same partition as `roleARN`. Immutable.
    #[schemars(length(max = 32), regex(pattern = REGION_PATTERN))]
    pub region: String,
    /// Audience of the minted token: what the IAM identity provider lists as client id. Others than the default only where the operator allows them.
    #[serde(default = "default_audience")]
    #[schemars(length(min = 1, max = 255))]
    pub audience: String,
    /// How long a session lasts, 15m to 12h and at most the role's own maximum.
    #[serde(default = "default_session_duration")]
    pub session_duration: DurationString,
    /// What a session may do at most, whatever its role may: `Derived` (what Stepbound itself calls for this namespace's state machines), `None` (all that the role may), or a policy of your own, at most 2,048 characters.
    #[serde(default)]
    pub session_policy: SessionPolicy,
    /// Execution roles that a Workflow of this binding may name, of the account and partition of `roleARN`. Empty: any that the role may pass.
    #[serde(rename = "allowedExecutionRoleARNs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_execution_role_arns: Vec<ExecutionRoleArn>,
    /// Roles that steps of this binding's Workflows may act as, of the partition of `roleARN` and of any account; with a list, each is written out in the definition. Empty: any that the execution role may assume. A list bounds what Workflows name: an execution role reaches every role that it may assume.
    #[serde(rename = "allowedStepRoleARNs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_step_role_arns: Vec<StepRoleArn>,
    /// Names, beside the default ones, that Workflows and Activities of this binding may give their state machines and activities; `*` stands for any characters. Empty: names that begin as the default ones do, `<namespace>_` after the operator's prefix. What was made under another name before an operator that asks for this goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_state_machine_names: Vec<StateMachineNames>,
    /// An IdentityProvider of this namespace whose token is shown to STS instead of the cluster's own. It may be changed: the new one is tried before the old one is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider_ref: Option<LocalRef>,
    /// Where AWS sends changes of executions, so that they are known without asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BindingEvents>,
    /// Whose name the STS session carries in which a run is started, cancelled or redriven.
    #[serde(default)]
    pub attribution: Attribution,
    /// Stops the operator's use of this binding at once. It revokes nothing that AWS has already issued.
    #[serde(default)]
    pub suspend: bool,
}

/// Whose name an STS session carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Attribution {
    /// Whoever asked, where the API server's word for it can be had: CloudTrail then shows the person or the pipeline.
    #[default]
    Requester,
    /// The binding, always.
    Binding,
}

/// What is known of a TrustBinding. Nothing in it changes from one session to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustBindingStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// UID of the service account when a token was last minted for it.
    #[serde(rename = "serviceAccountUID", default, skip_serializing_if = "Option::is_none")]
    pub service_account_uid: Option<String>,
    /// Issuer that the minted token names (`iss`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Subject that the minted token names (`sub`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Audience that the minted token names (`aud`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// ARN of the assumed role, without the session's name.
    #[serde(rename = "assumedRoleARN", default, skip_serializing_if = "Option::is_none")]
    pub assumed_role_arn: Option<String>,
    /// AWS account that STS answered for.
    #[serde(rename = "accountID", default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Name of the STS session, as CloudTrail shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// The trust policy that the role needs for this binding, as JSON, ready to paste.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<String>,
    /// Identities that the trust policy names: the one in use first, then those on their way in or out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<TrustedIdentity>,
    /// What makes this binding weaker than it could be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Value of the annotation stepbound.dev/reconcile-now that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reconcile_now: Option<String>,
    /// `Authorized`, `TokenMinted`, `RoleAssumed`, `LeastPrivilege`, `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

fn default_audience() -> String {
    DEFAULT_AUDIENCE.into()
}

fn default_session_duration() -> DurationString {
    DurationString("1h".into())
}
