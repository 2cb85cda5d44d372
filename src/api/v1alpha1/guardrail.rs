//! Guardrail: what namespaces may do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::forms::{ACCOUNT_PATTERN, INTEGRATIONS_PATTERN, REGION_PATTERN, ROLES_PATTERN};
use crate::iam::binding_role::values::NAMES_PATTERN;

/// A Guardrail says what the namespaces that it selects may do. Where several select a namespace, each must allow.
#[derive(CustomResource, JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "Guardrail",
    plural = "guardrails",
    singular = "guardrail",
    category = "stepbound",
    derive = "PartialEq",
    doc = "A Guardrail says what the namespaces that it selects may do: accounts, regions, roles, integrations, and how much at once. Where several select a namespace, each must allow.",
    printcolumn = r#"{"name":"Accounts","type":"string","jsonPath":".spec.allowedAccountIDs"}"#,
    printcolumn = r#"{"name":"Regions","type":"string","jsonPath":".spec.allowedRegions"}"#,
    printcolumn = r#"{"name":"Concurrent","type":"integer","jsonPath":".spec.maxConcurrentRuns"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // each is a field of its own in the manifest
pub struct GuardrailSpec {
    /// Namespaces for which this holds, by their labels; an empty selector means all.
    #[schemars(schema_with = "selector_schema")]
    pub namespace_selector: LabelSelector,
    /// AWS accounts in which roles and execution roles may be, and all that a definition names by ARN, queue URL, owner of a
    /// resource (`ExpectedBucketOwner`) or role of `Credentials`; any where the list is absent. With a list, a role of `Credentials`
    /// must be written out.
    #[serde(rename = "allowedAccountIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "accounts_schema")]
    pub allowed_account_ids: Option<Vec<String>>,
    /// AWS regions that a TrustBinding may name; any where the list is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "regions_schema")]
    pub allowed_regions: Option<Vec<String>>,
    /// Roles that a TrustBinding may name: ARNs in which `*` stands for any characters; any where the list is absent.
    #[serde(rename = "allowedRoleARNs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "role_patterns_schema")]
    pub allowed_role_arns: Option<Vec<String>>,
    /// Execution roles that a Workflow may name: ARNs in which `*` stands for any characters; any where the list is absent.
    #[serde(rename = "allowedExecutionRoleARNs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "role_patterns_schema")]
    pub allowed_execution_role_arns: Option<Vec<String>>,
    /// Roles that steps may act as: ARNs in which `*` stands for any characters; any where the list is absent. With a list, a role of
    /// `Credentials` must be written out.
    #[serde(rename = "allowedStepRoleARNs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "role_patterns_schema")]
    pub allowed_step_role_arns: Option<Vec<String>>,
    /// Every Task but an activity acts as a role of its own, at any depth, which is written out and is not the execution role.
    #[serde(default)]
    pub require_step_roles: bool,
    /// Names that state machines may have: `*` stands for any characters; any where the list is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "names_schema")]
    pub allowed_state_machine_names: Option<Vec<String>>,
    /// Every TrustBinding needs the session policy `Derived`.
    #[serde(default)]
    pub require_derived_session_policy: bool,
    /// Every Workflow needs an alias, and every run goes by one.
    #[serde(default)]
    pub require_alias: bool,
    /// Every start of a run needs the approval of somebody else than its requester.
    #[serde(default)]
    pub require_approval: bool,
    /// Integrations that no definition may use, at any depth: `aws-sdk:*`, `lambda:invoke`, `bedrock`; `*` stands for any
    /// characters, and a service alone for all its operations. A service goes by its own name and by its prefix in IAM:
    /// `bedrock` also forbids `aws-sdk:bedrockruntime`. A name without `aws-sdk:` also forbids the SDK's call of that name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "integrations_schema")]
    pub forbidden_integrations: Vec<String>,
    /// Refuses definitions and substitutions from ConfigMaps: whoever may write the ConfigMap decides what runs as the execution role.
    #[serde(default)]
    pub forbid_definition_from: bool,
    /// Runs of a namespace that may be started and not over at once; further ones wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_concurrent_runs: Option<i32>,
    /// Runs of a namespace that may be started in a second; further ones wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_starts_per_second: Option<i32>,
}

/// A label selector with bounded lists: rules of admission walk it.
fn selector_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 32, "description": "Labels that a namespace must have, each with its value.",
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "type": "array", "maxItems": 32, "description": "Conditions on labels, all of which must hold.",
                "items": {
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "maxLength": 316, "description": "Key of the label."},
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label is compared.",
                        },
                        "values": {
                            "type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 63},
                            "description": "Values for In and NotIn.",
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist have none",
                    }],
                },
            },
        },
    })
}

fn accounts_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 12, "pattern": ACCOUNT_PATTERN}})
}

fn regions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64,
        "items": {"type": "string", "maxLength": 32, "pattern": REGION_PATTERN},
    })
}

fn role_patterns_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64,
        "items": {"type": "string", "maxLength": 256, "pattern": ROLES_PATTERN},
    })
}

fn names_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64,
        "items": {"type": "string", "maxLength": 80, "pattern": NAMES_PATTERN},
    })
}

fn integrations_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64,
        "items": {"type": "string", "maxLength": 128, "pattern": INTEGRATIONS_PATTERN},
    })
}
