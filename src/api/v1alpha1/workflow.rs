//! Workflow: a state machine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alias::{Alias, AliasStatus};
use super::approval::WorkflowApproval;
use super::common::{CompactJson, ConfigMapKeyRef, DurationString, LocalRef, conditions_schema, opaque_object_schema};
use super::forms::ROLE_ARN_PATTERN;
use super::kept_schema::KeptInputSchema;
use super::runs_as::RunsAs;
use super::tool::Tool;
use super::workflow_settings::{
    AdoptionPolicy, DriftPolicy, Encryption, ExpressResults, Logging, StepRole, TimelinePolicy, Tracing, Versions,
};
use crate::iam::binding_role::values;

/// A Workflow is an AWS Step Functions state machine.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "Workflow",
    plural = "workflows",
    singular = "workflow",
    shortname = "sfn",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "WorkflowStatus",
    selectable = ".spec.trustBindingRef.name",
    doc = "A Workflow is an AWS Step Functions state machine, kept as its spec says with the identity of its TrustBinding.",
    validation = ("!self.metadata.name.contains('.')", "a Workflow's name must not contain a dot: it becomes the state machine's name, and dots there break CloudWatch logging"),
    validation = ("!has(self.spec.tool) || has(self.spec.tool.name) || size(self.metadata.name) <= 64", "names of tools have at most 64 characters, and this Workflow's has more: set spec.tool.name"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Version","type":"integer","jsonPath":".status.latestVersion.number"}"#,
    printcolumn = r#"{"name":"Runs","type":"integer","jsonPath":".status.activeRuns"}"#,
    printcolumn = r#"{"name":"ARN","type":"string","jsonPath":".status.stateMachineARN","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.definition) != has(self.definitionFrom)", "exactly one of definition and definitionFrom is needed"))]
#[x_kube(validation = ("self.trustBindingRef == oldSelf.trustBindingRef", "trustBindingRef cannot be changed; create another Workflow"))]
#[x_kube(validation = ("has(self.stateMachineName) == has(oldSelf.stateMachineName) && (!has(self.stateMachineName) || self.stateMachineName == oldSelf.stateMachineName)", "stateMachineName cannot be changed; create another Workflow"))]
#[x_kube(validation = ("self.type == oldSelf.type", "type cannot be changed: AWS has no way to turn a Standard state machine into an Express one; create another Workflow"))]
#[x_kube(validation = ("!has(self.tags) || self.tags.all(key, !key.startsWith('stepbound.dev/') && !key.lowerAscii().startsWith('aws:'))", "tag keys must not start with stepbound.dev/ or aws:"))]
#[x_kube(validation = ("!has(self.aliases) || self.aliases.filter(alias, alias.default).size() <= 1", "at most one alias is the default"))]
#[x_kube(validation = ("!has(self.aliases) || self.aliases.size() == 0 || !has(self.versions) || self.versions.publish != 'Never'", "aliases need versions: set versions.publish to OnChange"))]
#[x_kube(validation = ("!has(self.approval) || !self.approval.required || !has(self.versions) || self.versions.publish != 'Never'", "approval needs versions, because one of them is approved: set versions.publish to OnChange"))]
#[x_kube(validation = ("!has(self.logging) || self.logging.level == 'None' || has(self.logging.logGroupARN)", "logging needs logGroupARN unless its level is None"))]
#[x_kube(validation = ("!has(self.expressResults) || self.expressResults == 'Dispatched' || (self.type == 'Express' && has(self.logging) && self.logging.level == 'All' && has(self.logging.logGroupARN))", "expressResults FromLogs needs the type Express and logging of level All with a logGroupARN: success is logged at no other level"))]
#[x_kube(validation = ("!has(self.substitutions) || self.substitutions.all(key, key.matches('^[A-Za-z0-9_.-]{1,255}$'))", "names of substitutions are 1 to 255 letters, digits, and the characters _ . -"))]
pub struct WorkflowSpec {
    /// The TrustBinding whose role owns the state machine. Immutable.
    pub trust_binding_ref: LocalRef,
    /// Name in AWS; by default `<namespace>_<name>` after the operator's prefix, cut to 80 characters with a hash. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = values::NAME_PATTERN))]
    pub state_machine_name: Option<String>,
    /// Standard (a year long, exactly once) or Express (five minutes, at least once). Immutable.
    #[serde(rename = "type", default)]
    pub machine_type: StateMachineType,
    /// Role that the state machine itself acts as; same account and partition as the binding's role.
    #[serde(rename = "executionRoleARN")]
    #[schemars(
        length(max = 2048),
        regex(pattern = ROLE_ARN_PATTERN)
    )]
    pub execution_role_arn: String,
    /// Roles that steps act as instead of the execution role, one entry a role. They are put into the definition as `Credentials` of
    /// its Tasks; where the definition has its own, they must be the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["roleARN"]))]
    pub step_roles: Vec<StepRole>,
    /// The definition in Amazon States Language, written as an object. Exactly one of definition and definitionFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "opaque_object_schema")]
    pub definition: Option<CompactJson>,
    /// Where the definition stands otherwise. Exactly one of definition and definitionFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition_from: Option<DefinitionSource>,
    /// JSON Schema 2020-12 that the input of every run has to fit; any input by default. At most 32 KiB, references within it alone.
    /// A version keeps the schema that it was published with, and the newest takes over a change of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "opaque_object_schema")]
    pub input_schema: Option<CompactJson>,
    /// Makes this Workflow a tool of agents; none by default. What `inputSchema` says is what the tool takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// Values for `${Name}` in the definition, inserted as data. A name without a value is an error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub substitutions: BTreeMap<String, SubstitutionValue>,
    /// ConfigMaps whose keys are more names with values. Of a name that stands in several the last counts, and
    /// `substitutions` before all. Whoever may write them decides what is inserted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 8))]
    pub substitutions_from: Vec<SubstitutionSource>,
    /// Tags of the state machine beside the owner's; tags that somebody else set stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40))]
    pub tags: BTreeMap<String, TagValue>,
    /// Logging of executions to CloudWatch Logs; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Tracing of executions with X-Ray; off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Encryption with a key of the account's own; AWS's key by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// When versions are published and how many are kept.
    #[serde(default)]
    pub versions: Versions,
    /// Names under which executions are started, each at a version or following the newest one by a rollout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 16, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub aliases: Vec<Alias>,
    /// What happens to a change that somebody made in AWS.
    #[serde(default)]
    pub drift: DriftPolicy,
    /// What happens when a state machine of the name exists already.
    #[serde(default)]
    pub adoption: AdoptionPolicy,
    /// How long a deletion waits for running executions to end; then the state machine is deleted, which ends them.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: DurationString,
    /// What happens to the state machine when this object is deleted. An adopted one is kept until this field is changed after its adoption.
    #[serde(default)]
    pub deletion_policy: WorkflowDeletionPolicy,
    /// How many WorkflowRuns may be under way at once; further ones wait, in the order in which they were created. By default any
    /// number. A run that waits for its next attempt counts; a redrive that somebody asked for waits in the same line as the starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_concurrent_runs: Option<i64>,
    /// Whether somebody else has to approve a run before it starts. It starts the version that was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<WorkflowApproval>,
    /// Of which WorkflowRuns `status.timeline` tells what the execution did. Express executions have no history to tell it from.
    #[serde(default)]
    pub timeline: TimelinePolicy,
    /// What becomes of runs of an Express state machine that nobody waits for. `FromLogs` needs the type Express and logging of level
    /// All, and `includeExecutionData` for outputs. Whoever may write to the log group can forge a result.
    #[serde(default)]
    pub express_results: ExpressResults,
    /// Stops reconciling; what exists in AWS stays as it is.
    #[serde(default)]
    pub suspend: bool,
}

fn default_drain_timeout() -> DurationString {
    DurationString("1h".into())
}

/// The value of a substitution, inserted as it stands.
pub type SubstitutionValue = BoundedString<4096>;
/// The value of a tag.
pub type TagValue = BoundedString<256>;

/// A string with a largest length, so that rules over maps of it have a bounded cost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BoundedString<const MAX: u32>(pub String);

impl<const MAX: u32> JsonSchema for BoundedString<MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("StringUpTo{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": MAX})
    }
}

/// Where a definition stands when it is not in the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionSource {
    /// A key of a ConfigMap in this namespace that holds the definition as JSON or YAML. Whoever may write it decides what runs as the execution role.
    pub config_map_key_ref: ConfigMapKeyRef,
}

/// Where values of substitutions stand when they are not in the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubstitutionSource {
    /// A ConfigMap in this namespace.
    pub config_map_ref: LocalRef,
}

impl WorkflowSpec {
    /// True when the definition, or a value in it, stands in a ConfigMap.
    pub fn takes_from_config_maps(&self) -> bool {
        self.definition_from.is_some() || !self.substitutions_from.is_empty()
    }

    /// The ConfigMaps in which the definition or values in it stand.
    pub fn config_maps(&self) -> impl Iterator<Item = &str> {
        let definition = self.definition_from.iter().map(|from| from.config_map_key_ref.name.as_str());
        definition.chain(self.substitutions_from.iter().map(|from| from.config_map_ref.name.as_str()))
    }
}

/// The two kinds of state machine that AWS has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StateMachineType {
    /// Durable, up to a year, each execution exactly once.
    #[default]
    Standard,
    /// Up to five minutes, at high rates, without a durable history.
    Express,
}

/// What happens to the state machine when its Workflow is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowDeletionPolicy {
    /// Delete it once its running executions have ended.
    #[default]
    Delete,
    /// Keep it and remove the owner tags.
    Retain,
}

/// What is known of a Workflow's state machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// ARN of the state machine. It pins partition, account and region.
    #[serde(rename = "stateMachineARN", default, skip_serializing_if = "Option::is_none")]
    pub state_machine_arn: Option<String>,
    /// Revision of the state machine in AWS.
    #[serde(rename = "revisionID", default, skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    /// Hash of all that was last written to AWS: definition, role, logging, tracing, encryption. What differs from AWS while
    /// this is unchanged was changed there by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_hash: Option<String>,
    /// Keys of the tags that this object has set, the owner's apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_keys: Vec<String>,
    /// Set while the state machine is one that was taken over and is kept on deletion: the deletionPolicy at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_with: Option<WorkflowDeletionPolicy>,
    /// Numbers of the versions that this object has published and not removed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<i64>,
    /// The aliases and where they route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AliasStatus>,
    /// Versions that were rolled back. None is rolled out again by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<i64>,
    /// Annotations that were acted on.
    #[serde(default, skip_serializing_if = "LastHandled::is_empty")]
    pub last_handled: LastHandled,
    /// Hash of the definition that AWS has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition_hash: Option<String>,
    /// The version published last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<PublishedVersion>,
    /// What the versions, and the state machine itself, run as: role, integrations, accounts. Judged before a start; what is not
    /// here is read from AWS then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs_as: Vec<RunsAs>,
    /// The input schemas of the versions, and of the state machine itself. A version that stands in none takes any input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_schemas: Vec<KeptInputSchema>,
    /// What the execution role needs for this definition, in numbers; `stepbound policy execution-role` prints the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_permissions: Option<RequiredPermissions>,
    /// What the offline check and AWS say of the definition, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// How many WorkflowRuns are under way; at most 30 s old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_runs: Option<i64>,
    /// The state machine in the AWS console.
    #[serde(rename = "consoleURL", default, skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// `DefinitionValid`, `Synced`, `Drifted`, `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// What an execution role needs, derived from the definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredPermissions {
    /// Statements of the policy.
    pub statements: i64,
    /// Different actions in it.
    pub actions: i64,
    /// Different resources in it.
    pub resources: i64,
    /// Characters of the policy as IAM counts them; an inline policy of a role has at most 10,240.
    pub policy_characters: i64,
    /// Roles of `Credentials` that states assume; each must trust the execution role.
    #[serde(rename = "assumedRoleARNs", default, skip_serializing_if = "Vec::is_empty")]
    pub assumed_role_arns: Vec<String>,
    /// How many needs the definition leaves open, because a resource is taken from the input for example.
    pub unresolved: i64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved_details: Vec<UnresolvedPermission>,
}

/// A need that the definition leaves open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedPermission {
    /// JSON pointer to the state.
    pub path: String,
    /// What is open and what to do.
    pub message: String,
}

/// Values of annotations that ask for something once. A value that stands here was acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastHandled {
    /// `stepbound.dev/reconcile-now`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_now: Option<String>,
    /// `stepbound.dev/promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<String>,
}

impl LastHandled {
    /// True when nothing was ever asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A published, immutable version of a state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedVersion {
    /// ARN of the version.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// Its number, counted by AWS from 1.
    pub number: i64,
}

/// One finding about a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// `Error` or `Warning`.
    pub severity: String,
    /// Stable code of the rule.
    pub code: String,
    /// JSON pointer into the definition.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}
