//! Walks the actions of a plan.

use kube::ResourceExt;
use kube::api::{Api, ListParams};

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{Diagnostic, PublishedVersion, Workflow, WorkflowRun};
use crate::aws::{AwsError, AwsErrorKind, CreateStateMachine, DefinitionDiagnostic, Session, UpdateStateMachine};
use crate::controllers::Context;
use crate::controllers::runner::{Work, api_failure, fenced};
use crate::outcome::{Classify, Failure};
use crate::plan::workflow::{Action, Desired, Observed, Plan, foreign, prunable};
use crate::status::Truth;

/// How long after its end an unsuccessful execution can be redriven (`RedriveExecution`).
const REDRIVABLE: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) async fn apply(
    work: &mut Work<Workflow>,
    ctx: &Context,
    session: &Session,
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Failure> {
    work.status().revision_id = observed.machine.as_ref().and_then(|machine| machine.revision_id.clone());
    if plan.actions.is_empty() {
        return Ok(());
    }
    work.hold(ctx).await?;
    if let Some(keys) = &plan.record_tag_keys {
        work.status().tag_keys.clone_from(keys);
        work.write(ctx).await?;
    }
    for action in &plan.actions {
        fenced(ctx)?;
        match action {
            Action::Create(request) => create(work, ctx, session, desired, request).await?,
            Action::Update(request) => update(work, ctx, session, desired, request).await?,
            Action::Publish(description) => {
                let revision = work.status().revision_id.clone();
                let published =
                    ctx.step_functions.publish_version(session, &desired.arn, revision.as_deref(), description).await;
                let arn = published.map_err(|error| not_synced(work, &error))?;
                remember_version(work, Some(arn));
            }
            Action::Tag(tags) => ctx.step_functions.tag(session, &desired.arn, tags).await?,
            Action::Untag(keys) => ctx.step_functions.untag(session, &desired.arn, keys).await?,
        }
    }
    Ok(())
}

async fn create(
    work: &mut Work<Workflow>,
    ctx: &Context,
    session: &Session,
    desired: &Desired,
    request: &CreateStateMachine,
) -> Result<(), Failure> {
    let created = match ctx.step_functions.create_state_machine(session, request).await {
        Err(error) if error.kind == AwsErrorKind::NameTaken => {
            let tags = ctx.step_functions.list_tags(session, &desired.arn).await.unwrap_or_default();
            return Err(foreign(&desired.arn, &tags, &desired.foreign_marks));
        }
        Err(error) => return Err(refused(work, ctx, session, desired, &error).await),
        Ok(created) => created,
    };
    if request.version_description.is_none() {
        // Without a version's description another owner's identical creation is answered as if it were ours.
        let tags = ctx.step_functions.list_tags(session, &desired.arn).await?;
        if !desired.owner.owns(&tags) {
            return Err(foreign(&desired.arn, &tags, &desired.foreign_marks));
        }
    }
    ctx.workflows.wrote(&desired.owner.uid);
    work.status().versions.clear();
    remember_version(work, created.version_arn);
    Ok(())
}

async fn update(
    work: &mut Work<Workflow>,
    ctx: &Context,
    session: &Session,
    desired: &Desired,
    request: &UpdateStateMachine,
) -> Result<(), Failure> {
    let updated = match ctx.step_functions.update_state_machine(session, request).await {
        Err(error) => return Err(refused(work, ctx, session, desired, &error).await),
        Ok(updated) => updated,
    };
    ctx.workflows.wrote(&desired.owner.uid);
    work.status().revision_id = updated.revision_id;
    remember_version(work, updated.version_arn);
    Ok(())
}

fn remember_version(work: &mut Work<Workflow>, arn: Option<String>) {
    let number = arn.as_ref().and_then(|arn| arn.rsplit(':').next()?.parse().ok());
    let (Some(arn), Some(number)) = (arn, number) else { return };
    let status = work.status();
    status.latest_version = Some(PublishedVersion { arn, number });
    if !status.versions.contains(&number) {
        status.versions.push(number);
    }
}

/// AWS refused a write: what was synced before keeps serving. Of a definition that it refuses AWS is asked for all that is
/// wrong with it; where that may not be asked, its one message has to do.
async fn refused(
    work: &mut Work<Workflow>,
    ctx: &Context,
    session: &Session,
    desired: &Desired,
    error: &AwsError,
) -> Failure {
    if error.kind == AwsErrorKind::InvalidDefinition {
        let asked = ctx.step_functions.validate_definition(session, desired.definition.text(), desired.machine_type);
        match asked.await {
            Ok(found) => work.status().diagnostics = found.iter().take(50).map(diagnostic).collect(),
            Err(error) => tracing::warn!(%error, "cannot ask AWS what is wrong with the definition"),
        }
    }
    not_synced(work, error)
}

fn diagnostic(found: &DefinitionDiagnostic) -> Diagnostic {
    Diagnostic {
        severity: if found.error { "Error" } else { "Warning" }.into(),
        code: found.code.clone(),
        path: found.location.clone(),
        message: found.message.clone(),
    }
}

fn not_synced(work: &mut Work<Workflow>, error: &AwsError) -> Failure {
    let failure = Failure::new(error.class(), error.reason(), error.public());
    work.conditions(|conditions| {
        conditions.set("Synced", Truth::False, failure.reason, &failure.message);
    });
    failure
}

/// Removes versions beyond those to keep. One that an open or redrivable run uses stays, as does one that AWS says an alias
/// routes to.
pub(super) async fn prune(work: &mut Work<Workflow>, ctx: &Context, session: &Session) -> Result<(), Failure> {
    let retain = work.object.spec.versions.retain;
    let (versions, Some(latest)) = (work.status().versions.clone(), work.status().latest_version.clone()) else {
        return Ok(());
    };
    if prunable(&versions, retain, |_| false).is_empty() {
        return Ok(());
    }
    let machine = latest.arn.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let mut used = used_targets(work, ctx).await?;
    let routed = work.status().aliases.iter().flat_map(|alias| &alias.routes).map(|route| route.version);
    used.extend(routed.map(|version| format!("{machine}{version}")));
    for number in prunable(&versions, retain, |number| used.contains(&format!("{machine}{number}"))) {
        fenced(ctx)?;
        match ctx.step_functions.delete_version(session, &format!("{machine}{number}")).await {
            Err(error) if error.code == "ConflictException" => {}
            other => {
                other?;
                work.status().versions.retain(|version| *version != number);
            }
        }
    }
    Ok(())
}

async fn used_targets(work: &Work<Workflow>, ctx: &Context) -> Result<Vec<String>, Failure> {
    let selector = format!("spec.workflowRef.name={}", work.object.name_any());
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    let runs = api.list(&ListParams::default().fields(&selector)).await.map_err(|error| api_failure(&error))?;
    let now = Timestamp::now();
    let in_use = runs.into_iter().filter_map(|run| run.status).filter(|status| match &status.finished_at {
        None => true,
        Some(end) => !status.phase.unwrap_or_default().is_good() && now.duration_since(end.0) < REDRIVABLE,
    });
    Ok(in_use.filter_map(|status| Some(status.attempts.last()?.target_arn.clone())).collect())
}
