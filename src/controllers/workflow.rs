//! Workflow: keeps a state machine as its spec says.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};

use super::Context;
use super::dereference::{LastSession, config_map_value, last_session_for, session_for};
use super::runner::{Done, EventWhenReady, Managed, Work, api_failure, deleted_at, fenced, report_orphan};
use crate::api::v1alpha1::{
    Diagnostic, Phase, PublishedVersion, TrustBinding, Workflow, WorkflowDeletionPolicy, WorkflowRun, WorkflowStatus,
};
use crate::asl::{self, DefinitionError, Source};
use crate::aws::{AwsErrorKind, Session, StateMachine, Tags};
use crate::outcome::{Class, Classify, Failure, Requeue};
use crate::plan::run_result::console_url;
use crate::plan::workflow::{
    Action, Desired, Owner, check_execution_role, default_name, foreign, needs_tags, plan, state_machine_arn,
};
use crate::status::{self, Truth};

#[async_trait::async_trait]
impl Managed for Workflow {
    type Status = WorkflowStatus;
    const KIND: &'static str = "Workflow";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Recovered;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete(work, ctx).await;
        }
        if work.object.spec.suspend {
            work.conditions(|conditions| {
                conditions.ready("Suspended", "Nothing is changed in AWS while spec.suspend is true.");
            });
            return Ok(Done::again(Requeue::OnChange));
        }
        let definition = validate(work, ctx).await?;
        let (binding, session) = session_for(ctx, &work.namespace(), &work.object.spec.trust_binding_ref.name).await?;
        let desired = desired(work, ctx, &binding, definition)?;
        let machine = ctx.step_functions.describe_state_machine(&session, &desired.arn).await?;
        let tags = read_tags(work, ctx, &session, machine.as_ref()).await?;
        let actions = plan(&desired, machine.as_ref(), tags.as_ref())?;
        if !actions.is_empty() {
            work.hold(ctx).await?;
        }
        let before = machine.and_then(|machine| machine.revision_id);
        apply(work, ctx, &session, &desired, actions, before).await?;
        synced(work, &desired);
        Ok(Done::again(Requeue::After(ctx.settings.resync_interval.mul_f64(0.8 + 0.2 * rand::random::<f64>()))))
    }

    fn status_field(&mut self) -> &mut Option<WorkflowStatus> {
        &mut self.status
    }

    fn common(status: &mut WorkflowStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

/// Reads the definition and checks it offline. A definition that fails leaves in AWS what is there.
async fn validate(work: &mut Work<Workflow>, ctx: &Context) -> Result<asl::Definition, Failure> {
    let namespace = work.namespace();
    let spec = &work.object.spec;
    let substitutions = spec.substitutions.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let prepared = match (&spec.definition, &spec.definition_from) {
        (Some(value), _) => asl::prepare(Source::Object(value), &substitutions),
        (None, Some(from)) => {
            let text = config_map_value(ctx, &namespace, &from.config_map_key_ref).await?;
            asl::prepare(Source::Text(&text), &substitutions)
        }
        (None, None) => {
            let message = "Give the state machine in spec.definition or spec.definitionFrom.";
            return Err(Failure::new(Class::Terminal, "DefinitionMissing", message));
        }
    };
    work.status().diagnostics = match &prepared {
        Err(DefinitionError::Invalid(findings)) => diagnostics("Error", findings),
        Ok(definition) => diagnostics("Warning", definition.warnings()),
        Err(_) => Vec::new(),
    };
    work.conditions(|conditions| match &prepared {
        Ok(_) => {
            conditions.set("DefinitionValid", Truth::True, "Valid", "The offline check found nothing.");
        }
        Err(error) => {
            conditions.set("DefinitionValid", Truth::False, "DefinitionInvalid", &error.to_string());
        }
    });
    prepared.map_err(|error| Failure::new(Class::Terminal, "DefinitionInvalid", error.to_string()))
}

/// The first findings: a status stays small.
fn diagnostics(severity: &str, findings: &[asl::Finding]) -> Vec<Diagnostic> {
    let one = |finding: &asl::Finding| Diagnostic {
        severity: severity.into(),
        code: finding.code.into(),
        path: finding.path.clone(),
        message: finding.message.clone(),
    };
    findings.iter().take(50).map(one).collect()
}

fn owner(work: &Work<Workflow>, ctx: &Context) -> Owner {
    Owner {
        cluster: ctx.settings.cluster_id.clone(),
        namespace: work.namespace(),
        name: work.object.name_any(),
        uid: work.object.uid().unwrap_or_default(),
    }
}

fn machine_name(work: &Work<Workflow>, ctx: &Context) -> String {
    let default = || default_name(&ctx.settings.name_prefix, &work.namespace(), &work.object.name_any());
    work.object.spec.state_machine_name.clone().unwrap_or_else(default)
}

fn desired(
    work: &Work<Workflow>,
    ctx: &Context,
    binding: &TrustBinding,
    definition: asl::Definition,
) -> Result<Desired, Failure> {
    let spec = &work.object.spec;
    check_execution_role(&binding.spec.role_arn, &spec.execution_role_arn)?;
    let name = machine_name(work, ctx);
    let arn = state_machine_arn(&binding.spec.role_arn, &binding.spec.region, &name);
    let recorded = work.object.status.as_ref().and_then(|status| status.state_machine_arn.as_ref());
    if let Some(recorded) = recorded.filter(|recorded| **recorded != arn) {
        let message = format!(
            "This Workflow's state machine is {recorded}, but its binding and name now lead to {arn}; nothing was called. Restore them, or create another Workflow."
        );
        return Err(Failure::new(Class::Terminal, "LocationChanged", message));
    }
    Ok(Desired {
        name,
        arn,
        definition,
        role_arn: spec.execution_role_arn.clone(),
        machine_type: spec.machine_type,
        tags: spec.tags.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
        owner: owner(work, ctx),
    })
}

/// The tags, where the plan needs them.
async fn read_tags(
    work: &Work<Workflow>,
    ctx: &Context,
    session: &Session,
    machine: Option<&StateMachine>,
) -> Result<Option<Tags>, Failure> {
    let status = work.object.status.as_ref();
    let known = status.is_some_and(|status| status.state_machine_arn.is_some());
    let synced = status.and_then(|status| status::find(&status.conditions, "Synced"));
    let changed = synced.and_then(|synced| synced.observed_generation) != work.object.meta().generation;
    match machine {
        Some(machine) if needs_tags(Some(machine), known, changed) => {
            Ok(Some(ctx.step_functions.list_tags(session, &machine.arn).await?))
        }
        _ => Ok(None),
    }
}

async fn apply(
    work: &mut Work<Workflow>,
    ctx: &Context,
    session: &Session,
    desired: &Desired,
    actions: Vec<Action>,
    revision: Option<String>,
) -> Result<(), Failure> {
    work.status().revision_id = revision;
    for action in actions {
        fenced(ctx)?;
        match action {
            Action::Create(request) => {
                let created = ctx.step_functions.create_state_machine(session, &request).await;
                let created = match created {
                    Err(error) if error.kind == AwsErrorKind::NameTaken => {
                        let tags = ctx.step_functions.list_tags(session, &desired.arn).await.unwrap_or_default();
                        return Err(foreign(&desired.arn, &tags));
                    }
                    other => other.map_err(|error| not_synced(work, &error))?,
                };
                work.status().latest_version = created.version_arn.and_then(version);
            }
            Action::Update(request) => {
                let updated = ctx.step_functions.update_state_machine(session, &request).await;
                let updated = updated.map_err(|error| not_synced(work, &error))?;
                work.status().revision_id = updated.revision_id;
                if let Some(version) = updated.version_arn.and_then(version) {
                    work.status().latest_version = Some(version);
                }
            }
            Action::Tag(tags) => ctx.step_functions.tag(session, &desired.arn, &tags).await?,
        }
    }
    Ok(())
}

/// AWS refused a write: what was synced before keeps serving.
fn not_synced(work: &mut Work<Workflow>, error: &crate::aws::AwsError) -> Failure {
    let failure = Failure::new(error.class(), error.reason(), error.public());
    work.conditions(|conditions| {
        conditions.set("Synced", Truth::False, failure.reason, &failure.message);
    });
    failure
}

fn version(arn: String) -> Option<PublishedVersion> {
    let number = arn.rsplit(':').next()?.parse().ok()?;
    Some(PublishedVersion { arn, number })
}

fn synced(work: &mut Work<Workflow>, desired: &Desired) {
    let status = work.status();
    status.state_machine_arn = Some(desired.arn.clone());
    status.definition_hash = Some(desired.definition.hash().to_owned());
    status.console_url = Some(console_url(&desired.arn));
    work.conditions(|conditions| {
        conditions.set("Synced", Truth::True, "Synced", "The state machine is as the spec says.");
        conditions.ready("Synced", "The state machine is as the spec says.");
    });
}

/// Deletes or retains, and lets go once nothing of ours is left in AWS.
async fn delete(work: &mut Work<Workflow>, ctx: &Context) -> Result<Done, Failure> {
    let retained = work.object.spec.deletion_policy == WorkflowDeletionPolicy::Retain;
    let binding = work.object.spec.trust_binding_ref.name.clone();
    let last = last_session_for(ctx, &work.namespace(), &binding, deleted_at(&work.object)).await;
    let (session, drain) = match last {
        Ok(LastSession::Usual(session)) => (session, !retained),
        Ok(LastSession::Held(session)) => (session, false),
        Ok(LastSession::Gone(failure)) => return Ok(let_go(work, ctx, &failure).await),
        Err(failure) if retained => return Ok(let_go(work, ctx, &failure).await),
        Err(failure) => return Err(failure),
    };
    if drain && let Some(waits) = waits_for_runs(work, ctx).await? {
        return Ok(waits);
    }
    let arn = state_machine_arn(&session.assumed_role_arn, &session.region, &machine_name(work, ctx));
    let Some(machine) = ctx.step_functions.describe_state_machine(&session, &arn).await? else {
        return Ok(Done::released());
    };
    if machine.deleting {
        return Ok(progress(work, "Deleting", "AWS deletes the state machine.", Duration::from_secs(1)));
    }
    let tags = ctx.step_functions.list_tags(&session, &arn).await?;
    if !owner(work, ctx).owns(&tags) {
        return Ok(Done::released());
    }
    fenced(ctx)?;
    if retained {
        let keys: Vec<String> = owner(work, ctx).tags().into_keys().collect();
        ctx.step_functions.untag(&session, &arn, &keys).await?;
        return Ok(Done::released());
    }
    if drain && ctx.step_functions.has_running_executions(&session, &arn).await? {
        let message = "Waits for running executions to end; stop them to go on at once.";
        return Ok(progress(work, "Draining", message, Duration::from_secs(2)));
    }
    ctx.step_functions.delete_state_machine(&session, &arn).await?;
    Ok(progress(work, "Deleting", "AWS deletes the state machine.", Duration::from_millis(500)))
}

/// Runs that have started and not ended need this Workflow to be followed to their end: it names their binding.
async fn waits_for_runs(work: &mut Work<Workflow>, ctx: &Context) -> Result<Option<Done>, Failure> {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    let mut names = Vec::new();
    for phase in [Phase::Starting, Phase::Running] {
        let selector = format!("spec.workflowRef.name={},status.phase={phase:?}", work.object.name_any());
        let listed = api.list_metadata(&ListParams::default().fields(&selector).limit(5)).await;
        names.extend(listed.map_err(|error| api_failure(&error))?.iter().map(ResourceExt::name_any));
    }
    if names.is_empty() {
        return Ok(None);
    }
    let message = format!(
        "Waits for the end of WorkflowRuns, among them {}; cancel or delete them to go on at once.",
        names.join(", ")
    );
    Ok(Some(progress(work, "Draining", &message, Duration::from_secs(1))))
}

fn progress(work: &mut Work<Workflow>, reason: &str, message: &str, again: Duration) -> Done {
    work.conditions(|conditions| {
        conditions.progressing(reason, message);
    });
    Done::again(Requeue::After(again))
}

/// Lets go without AWS, and says that a state machine may remain where one was ever seen.
async fn let_go(work: &Work<Workflow>, ctx: &Context, why: &Failure) -> Done {
    if let Some(arn) = work.object.status.as_ref().and_then(|status| status.state_machine_arn.as_ref()) {
        report_orphan(&work.object, arn, why, ctx).await;
    }
    Done::released()
}
