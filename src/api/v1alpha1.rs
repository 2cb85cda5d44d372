//! Version `v1alpha1` of the group `stepbound.dev`.

mod activity;
mod alias;
mod approval;
mod binding_settings;
mod common;
mod execution_history;
mod forms;
mod guardrail;
mod identity_provider;
mod kept_schema;
mod retry;
mod runs_as;
mod timeline;
mod tool;
mod trust_binding;
mod workflow;
mod workflow_run;
mod workflow_schedule;
mod workflow_settings;

pub use activity::{Activity, ActivitySpec, ActivityStatus};
pub use alias::{Alias, AliasStatus, OnRollback, Rollout, RolloutPhase, RolloutStrategy, Route};
pub use approval::{Approval, ApprovalDecision, ApprovalRequest, ApprovalSpec, RunApproval, Verdict, WorkflowApproval};
pub use binding_settings::{
    BindingEvents, ExecutionRoleArn, Finding, IdentityPhase, SessionPolicy, SessionPolicyChoice, StateMachineNames,
    StepRoleArn, TrustedIdentity,
};
pub use common::{
    CANCEL_REQUESTED_BY, CompactJson, ConfigMapKeyRef, DEFAULT_AUDIENCE, DurationString, FIELD_MANAGER, FINALIZER,
    GIT_REVISION, LENGTH_RULE, LocalRef, REDRIVE, REDRIVE_REQUESTED_BY, REQUESTED_BY, SCHEDULE_LABEL, SCHEDULED_AT,
    Timestamped, WrittenTime, asked, is_annotation_key, is_label_value, is_object_name, is_qualified_name,
};
pub use execution_history::{
    EventData, ExecutionDataPage, ExecutionDataPageSpec, ExecutionHistory, ExecutionHistoryPage,
    ExecutionHistoryPageSpec, ExecutionHistorySpec, ExecutionHistoryStatus, HistoryPhase, PageEvent,
};
pub use forms::{
    ACCOUNT_PATTERN, DURATION_PATTERN, FORMS, Form, OBJECT_NAME_PATTERN, REGION_PATTERN, ROLE_ARN_PATTERN, form,
};
pub use guardrail::{Guardrail, GuardrailSpec};
pub use identity_provider::{
    ClientAuthentication, ClientAuthenticationType, IdentityPool, IdentityProvider, IdentityProviderSpec,
    IdentityProviderStatus, SecretKeyRef, SubjectToken,
};
pub use kept_schema::KeptInputSchema;
pub use retry::{AttemptCause, Backoff, RedriveStatus, Retry, RetryStrategy};
pub use runs_as::{RunsAs, StepsRunAs};
pub use timeline::{Iterations, Timeline, Visit, VisitResult};
pub use tool::{OWN_TOOLS, Tool};
pub use trust_binding::{Attribution, TrustBinding, TrustBindingSpec, TrustBindingStatus};
pub use workflow::{
    BoundedString, DefinitionSource, Diagnostic, LastHandled, PublishedVersion, RequiredPermissions, StateMachineType,
    SubstitutionSource, UnresolvedPermission, Workflow, WorkflowDeletionPolicy, WorkflowSpec, WorkflowStatus,
};
pub use workflow_run::{
    Attempt, Cancel, InputSource, OutputPolicy, OutputStore, Phase, Refusal, RunDeletionPolicy, RunLastHandled,
    RunMode, StopIntent, StopRequest, WorkflowRef, WorkflowRun, WorkflowRunSpec, WorkflowRunStatus,
};
pub use workflow_schedule::{
    ActiveRun, AnnotationValue, ConcurrencyPolicy, LabelValue, RunTemplate, TemplateMetadata, WorkflowSchedule,
    WorkflowScheduleSpec, WorkflowScheduleStatus,
};

pub use workflow_settings::{
    AdoptionPolicy, DriftPolicy, Encryption, ExpressResults, LogLevel, Logging, PublishPolicy, StateName, StepRole,
    TimelinePolicy, Tracing, Versions,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// The group of every kind.
pub const GROUP: &str = "stepbound.dev";

/// All definitions, in the order in which they are installed.
///
/// # Errors
/// When a generated schema cannot be read back, which a test rules out.
pub fn custom_resource_definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [
        TrustBinding::crd(),
        Workflow::crd(),
        WorkflowRun::crd(),
        WorkflowSchedule::crd(),
        Activity::crd(),
        IdentityProvider::crd(),
        Guardrail::crd(),
        ExecutionHistory::crd(),
        ExecutionHistoryPage::crd(),
        ExecutionDataPage::crd(),
        Approval::crd(),
    ]
    .into_iter()
    .map(as_installed)
    .collect()
}

/// The definition as it is installed.
fn as_installed(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    if let Some(versions) = value.pointer_mut("/spec/versions").and_then(|versions| versions.as_array_mut()) {
        for version in versions {
            if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                without_nulls(schema);
                give_unobserved_status(schema);
            }
        }
    }
    serde_json::from_value(value)
}

/// A field that is left out is the only way to say nothing. Of one that may be null the API server would keep the null, and
/// every rule and policy that asks whether it is there would be told yes. Only free JSON has a null of its own.
fn without_nulls(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.get("x-kubernetes-preserve-unknown-fields") != Some(&Value::Bool(true)) {
        schema.remove("nullable");
    }
    for within in ["items", "additionalProperties"] {
        schema.get_mut(within).into_iter().for_each(without_nulls);
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(without_nulls);
}

/// Gives each status the default `{observedGeneration: -1}`: tools that follow kstatus take an object without a status
/// for current, so a new object would count as ready before anyone looked at it.
fn give_unobserved_status(schema: &mut Value) {
    if let Some(status) = schema.pointer_mut("/properties/status") {
        status["default"] = serde_json::json!({"observedGeneration": -1});
    }
}
