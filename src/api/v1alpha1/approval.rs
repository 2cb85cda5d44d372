//! Approval: what somebody else has to allow before a run starts.

use std::fmt;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ConfigMapKeyRef, DurationString, Timestamped};

/// A decision comes after the request: nobody creates an Approval that is decided already.
const UNDECIDED: &str = "oldSelf.hasValue() || !has(self.decision)";
const UNDECIDED_MESSAGE: &str = "an Approval is created without a decision; patch spec.decision once it is there";

/// An Approval asks somebody else to allow one start of a WorkflowRun.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "Approval",
    plural = "approvals",
    singular = "approval",
    shortname = "sfnapproval",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    selectable = ".spec.request.runName",
    doc = "An Approval asks somebody else than the requester to allow one start of a WorkflowRun. The operator creates it; whoever may patch approvals decides it, once.",
    printcolumn = r#"{"name":"Run","type":"string","jsonPath":".spec.request.runName"}"#,
    printcolumn = r#"{"name":"Requester","type":"string","jsonPath":".spec.request.requester"}"#,
    printcolumn = r#"{"name":"Decision","type":"string","jsonPath":".spec.decision.verdict"}"#,
    printcolumn = r#"{"name":"By","type":"string","jsonPath":".spec.decision.by","priority":1}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.request.expiresAt","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": UNDECIDED, "message": UNDECIDED_MESSAGE, "optionalOldSelf": true},
]))]
#[x_kube(validation = ("self.request == oldSelf.request", "request cannot be changed: it is what is approved"))]
#[x_kube(validation = ("!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)", "decision is written once and can be neither changed nor taken back"))]
#[x_kube(validation = ("!has(self.decision) || has(oldSelf.decision) || self.decision.digest == self.request.digest", "decision.digest must be request.digest: only what was looked at is decided"))]
#[x_kube(validation = ("!has(self.decision) || has(oldSelf.decision) || self.decision.by != self.request.requester", "whoever asked for the run cannot decide it; somebody else has to"))]
pub struct ApprovalSpec {
    /// What is to be allowed. Written by the operator. Immutable.
    pub request: ApprovalRequest,
    /// What somebody has decided, written once by a patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<ApprovalDecision>,
}

/// What is to be allowed: all that the start will be, frozen before anybody is asked. Not to be printed, for the input in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequest {
    /// Name of the WorkflowRun, in this namespace.
    #[schemars(length(max = 253))]
    pub run_name: String,
    /// UID of the WorkflowRun.
    #[serde(rename = "runUID")]
    #[schemars(length(max = 64))]
    pub run_uid: String,
    /// Number of the attempt that is to be made: 1 for the first start, higher for a redrive that somebody asked for.
    pub attempt: i64,
    /// Who asked for it, as the API server knew them.
    #[schemars(length(max = 1024))]
    pub requester: String,
    /// The input as JSON text, where it stands in the run and has at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub input: Option<String>,
    /// Where the input stands, if it does not stand in the run: whoever may read that may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_from: Option<ConfigMapKeyRef>,
    /// SHA-256 of the input, in hexadecimal.
    #[schemars(length(max = 64))]
    pub input_digest: String,
    /// ARN of the version that is started; of what failed where it is redriven.
    #[serde(rename = "targetARN")]
    #[schemars(length(max = 512))]
    pub target_arn: String,
    /// ARN of the execution that is redriven; absent for a start.
    #[serde(rename = "executionARN", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub execution_arn: Option<String>,
    /// SHA-256 of that version's definition as AWS has it, in hexadecimal.
    #[schemars(length(max = 64))]
    pub definition_hash: String,
    /// Role that it acts as.
    #[serde(rename = "executionRoleARN")]
    #[schemars(length(max = 2048))]
    pub execution_role_arn: String,
    /// Roles that its steps act as.
    #[serde(rename = "stepRoleARNs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512), inner(length(max = 2048)))]
    pub step_role_arns: Vec<String>,
    /// UID of the TrustBinding as which it is started.
    #[serde(rename = "bindingUID")]
    #[schemars(length(max = 64))]
    pub binding_uid: String,
    /// Which state of the admission policy was in force when this was asked: a decision counts only while it still is.
    #[schemars(length(max = 256))]
    pub policy_revision: String,
    /// Nothing is started after this time.
    pub expires_at: Timestamped,
    /// SHA-256 of all the above, in hexadecimal: of its JSON without spaces, keys in order.
    #[schemars(length(max = 64))]
    pub digest: String,
}

impl fmt::Debug for ApprovalRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApprovalRequest({} {}, {}, …)", self.run_uid, self.attempt, self.digest)
    }
}

/// What somebody has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalDecision {
    /// Whether it is allowed.
    pub verdict: Verdict,
    /// `request.digest` of what was looked at.
    #[schemars(length(min = 64, max = 64))]
    pub digest: String,
    /// Who decides: the user name as which the patch is made.
    #[schemars(length(min = 1, max = 1024))]
    pub by: String,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// It may start.
    Approved,
    /// It must not start; the run ends.
    Denied,
}

/// Whether runs of a Workflow need somebody else's approval before they start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!self.timeout.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}s|[0-9]{1,12}ms)+$') || (duration(self.timeout) >= duration('1m') && duration(self.timeout) <= duration('720h'))", "message": "timeout must be between 1m and 720h"},
]))]
pub struct WorkflowApproval {
    /// Every start needs one: the first and each redrive that somebody asks for. Where a Guardrail asks for one, `false` does not
    /// help.
    pub required: bool,
    /// How long an approval is waited for; nothing starts later. Between 1m and 720h.
    #[serde(default = "a_day")]
    pub timeout: DurationString,
}

fn a_day() -> DurationString {
    DurationString("24h".into())
}

impl Default for WorkflowApproval {
    fn default() -> Self {
        Self { required: false, timeout: a_day() }
    }
}

/// The Approval that a run needs, or was started by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunApproval {
    /// Name of the Approval, in this namespace.
    pub name: String,
    /// Its UID: another one of the name counts for nothing.
    pub uid: String,
    /// Number of the attempt that it is for.
    pub attempt: i64,
    /// Nothing is started by it after this time.
    pub expires_at: Timestamped,
    /// Why the one before it counts no more, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_before: Option<String>,
}
