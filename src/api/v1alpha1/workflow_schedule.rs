//! WorkflowSchedule: runs by the clock.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{Timestamped, conditions_schema};
use super::forms::{SCHEDULE_PATTERN, ZONE_PATTERN};
use super::workflow_run::WorkflowRunSpec;

/// A WorkflowSchedule starts WorkflowRuns by the clock.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "WorkflowSchedule",
    plural = "workflowschedules",
    singular = "workflowschedule",
    shortname = "sfncron",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "WorkflowScheduleStatus",
    selectable = ".spec.runTemplate.spec.workflowRef.name",
    validation = ("self.metadata.name.size() <= 52", "a WorkflowSchedule's name has at most 52 characters: the scheduled minute is added to it for the names of its runs"),
    doc = "A WorkflowSchedule creates WorkflowRuns by the clock, with the fields and the behaviour of a CronJob.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"Timezone","type":"string","jsonPath":".spec.timeZone"}"#,
    printcolumn = r#"{"name":"Suspend","type":"boolean","jsonPath":".spec.suspend"}"#,
    printcolumn = r#"{"name":"Active","type":"integer","jsonPath":".status.activeRuns"}"#,
    printcolumn = r#"{"name":"Last Schedule","type":"date","jsonPath":".status.lastScheduleTime"}"#,
    printcolumn = r#"{"name":"Next Schedule","type":"string","jsonPath":".status.nextScheduleTime","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!self.schedule.contains('TZ')", "cannot use TZ or CRON_TZ in schedule, use timeZone instead"))]
#[x_kube(validation = ("!has(self.runTemplate.metadata) || !has(self.runTemplate.metadata.annotations) || self.runTemplate.metadata.annotations.all(key, !key.startsWith('stepbound.dev/'))", "annotations of runTemplate must not start with stepbound.dev/"))]
#[x_kube(validation = ("!has(self.runTemplate.metadata) || !has(self.runTemplate.metadata.labels) || self.runTemplate.metadata.labels.all(key, !key.startsWith('stepbound.dev/'))", "labels of runTemplate must not start with stepbound.dev/"))]
pub struct WorkflowScheduleSpec {
    /// When to run, in Cron format: `minute hour day-of-month month day-of-week`, or @yearly, @monthly, @weekly, @daily,
    /// @hourly, or `@every 1h30m`. As a CronJob reads it.
    #[schemars(
        length(min = 1, max = 256),
        regex(
            pattern = SCHEDULE_PATTERN
        )
    )]
    pub schedule: String,
    /// Time zone of the schedule by its name in the IANA database, `Europe/Berlin` for example; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = ZONE_PATTERN)
    )]
    pub time_zone: Option<String>,
    /// Starts no further runs while true; those that were started go on. Runs that were missed meanwhile count as missed.
    #[serde(default)]
    pub suspend: bool,
    /// What happens when a run is due while another of this schedule has not ended.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// A run that could not be created within so many seconds after its time is missed. Without it the latest one that was
    /// missed is made up for, however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// How many runs that ended well are kept.
    #[serde(default = "three")]
    #[schemars(range(min = 0))]
    pub successful_runs_history_limit: i32,
    /// How many runs that failed are kept.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub failed_runs_history_limit: i32,
    /// The runs that are created.
    pub run_template: RunTemplate,
}

fn three() -> i32 {
    3
}

fn one() -> i32 {
    1
}

/// What a schedule does when a run is due while another has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Starts it beside the other.
    #[default]
    Allow,
    /// Starts it when the other has ended, unless its starting deadline has passed by then.
    Forbid,
    /// Cancels the other and starts it once that has stopped.
    Replace,
}

/// The runs that a schedule creates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunTemplate {
    /// Labels and annotations of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// What the runs do. Their execution name and start deadline follow from the schedule.
    #[schemars(schema_with = "template_spec_schema")]
    pub spec: WorkflowRunSpec,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels of the runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40))]
    pub labels: BTreeMap<String, LabelValue>,
    /// Annotations of the runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40))]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

/// Value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(#[schemars(length(max = 63))] pub String);

/// Value of an annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AnnotationValue(#[schemars(length(max = 4096))] pub String);

/// Fields of a run that its schedule decides.
const DECIDED_BY_SCHEDULE: [&str; 3] = ["executionName", "startDeadline", "cancel"];

/// The spec of a run without what the schedule decides, and without the rules that keep a run as it was created: a template
/// may be changed.
fn template_spec_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = WorkflowRunSpec::json_schema(generator).to_value();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !DECIDED_BY_SCHEDULE.contains(&name.as_str()));
    }
    drop_rules_of_created_runs(&mut schema);
    schema["description"] =
        "What the runs do. Their execution name and start deadline follow from the schedule.".into();
    Schema::try_from(schema).unwrap_or_default()
}

fn drop_rules_of_created_runs(schema: &mut Value) {
    const RULES: &str = "x-kubernetes-validations";
    let concerns_created = |rule: &Value| {
        let text = rule["rule"].as_str().unwrap_or_default();
        text.contains("oldSelf") || DECIDED_BY_SCHEDULE.iter().any(|field| text.contains(&format!("self.{field}")))
    };
    match schema {
        Value::Object(fields) => {
            if let Some(rules) = fields.get_mut(RULES).and_then(Value::as_array_mut) {
                rules.retain(|rule| !concerns_created(rule));
            }
            if fields.get(RULES).is_some_and(|rules| rules.as_array().is_some_and(Vec::is_empty)) {
                fields.remove(RULES);
            }
            fields.values_mut().for_each(drop_rules_of_created_runs);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_rules_of_created_runs),
        _ => {}
    }
}

/// A run of a schedule that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveRun {
    /// Name of the WorkflowRun.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What is known of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowScheduleStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Runs that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<ActiveRun>,
    /// How many runs have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_runs: Option<i64>,
    /// The scheduled time of the latest run that was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamped>,
    /// When the latest run that succeeded ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Timestamped>,
    /// The latest scheduled time for which no run was or will be created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed_time: Option<Timestamped>,
    /// The next scheduled time; absent while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Timestamped>,
    /// The schedule and time zone that the times above follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When schedule or time zone were last changed: scheduled times before it do not count as missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_changed_at: Option<Timestamped>,
    /// `Ready`; `Waiting` while a run that is due waits for another to end; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
