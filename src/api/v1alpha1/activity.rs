//! Activity: a place where workers of your own take tasks of a state machine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::common::{LocalRef, conditions_schema};
use super::workflow::TagValue;
use super::workflow_settings::Encryption;
use crate::iam::binding_role::values;

/// An Activity is an AWS Step Functions activity.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "Activity",
    plural = "activities",
    singular = "activity",
    shortname = "sfnact",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "ActivityStatus",
    selectable = ".spec.trustBindingRef.name",
    doc = "An Activity is an AWS Step Functions activity: workers of your own take its tasks and report their results.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"ARN","type":"string","jsonPath":".status.activityARN","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.trustBindingRef == oldSelf.trustBindingRef", "trustBindingRef cannot be changed; create another Activity"))]
#[x_kube(validation = ("has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)", "name cannot be changed; create another Activity"))]
#[x_kube(validation = ("has(self.encryption) == has(oldSelf.encryption) && (!has(self.encryption) || self.encryption == oldSelf.encryption)", "encryption cannot be changed: AWS sets it when an activity is created; create another Activity"))]
#[x_kube(validation = ("!has(self.tags) || self.tags.all(key, !key.startsWith('stepbound.dev/') && !key.lowerAscii().startsWith('aws:'))", "tag keys must not start with stepbound.dev/ or aws:"))]
pub struct ActivitySpec {
    /// The TrustBinding whose role owns the activity. Immutable.
    pub trust_binding_ref: LocalRef,
    /// Name in AWS; by default `<namespace>_<name>` after the operator's prefix, cut to 80 characters with a hash. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = values::NAME_PATTERN))]
    pub name: Option<String>,
    /// Tags of the activity beside the owner's; tags that somebody else set stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40))]
    pub tags: BTreeMap<String, TagValue>,
    /// Encryption with a key of the account's own; AWS's key by default. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// What is known of an activity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivityStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// ARN of the activity, for the `Resource` of a task.
    #[serde(rename = "activityARN", default, skip_serializing_if = "Option::is_none")]
    pub activity_arn: Option<String>,
    /// Keys of the tags that this object has set, the owner's apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_keys: Vec<String>,
    /// `Synced`, `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
