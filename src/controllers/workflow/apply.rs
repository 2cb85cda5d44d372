//! Walks the actions of a plan.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, ListParams};

use jiff::{SignedDuration, Timestamp};

use super::hands::Hands;
use crate::api::v1alpha1::{Diagnostic, DriftPolicy, PublishedVersion, RunsAs, Workflow, WorkflowRun};
use crate::aws::{AwsError, AwsErrorKind, Caller, CreateStateMachine, DefinitionDiagnostic, Tags, UpdateStateMachine};
use crate::controllers::Context;
use crate::controllers::runner::{Work, fenced};
use crate::kube::api_failure;
use crate::outcome::{Classify, Failure};
use crate::plan::input_schema::{self, Of};
use crate::plan::workflow::{Action, Desired, Observed, Plan, foreign, prunable};
use crate::plan::{alias_move, guardrail};
use crate::status::Truth;

/// How long after its end an unsuccessful execution can be redriven (`RedriveExecution`).
const REDRIVABLE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Makes the calls of a plan, and remembers what the state machine and its versions run as. Gives the time until what it ran as
/// before can be forgotten.
pub(super) async fn apply(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
) -> Result<Option<Duration>, Failure> {
    work.status().revision_id = observed.machine.as_ref().and_then(|machine| machine.revision_id.clone());
    let runs_as = runs_as_after(work, desired, observed, plan);
    if !plan.actions.is_empty() {
        act(work, ctx, hands, desired, plan, runs_as.as_ref()).await?;
    }
    remember_schema(work, Of::Machine);
    if let Some(number) = work.status().latest_version.as_ref().map(|newest| newest.number) {
        remember_schema(work, Of::Version(number));
    }
    let (records, now) = (&mut work.status().runs_as, Timestamp::now());
    match runs_as {
        Some(runs_as) => guardrail::remember_machine(records, &runs_as, now, ctx.settings.alias_settle_time),
        None => guardrail::forget_machine(records),
    }
    Ok(guardrail::settle_machine(records, now))
}

/// What the state machine runs as once the plan is made: as the spec says, or as somebody else has left it. `None` where that
/// cannot be read.
fn runs_as_after(work: &Work<Workflow>, desired: &Desired, observed: &Observed, plan: &Plan) -> Option<RunsAs> {
    let left = observed.machine.as_ref().filter(|_| desired.drift == DriftPolicy::Report && !plan.drift.is_empty());
    // Who changes it in AWS does not make it another's text.
    let from_maps = work.object.spec.takes_from_config_maps();
    let Some(machine) = left else {
        return Some(guardrail::runs_as(&desired.role_arn, desired.definition.value(), from_maps));
    };
    let definition = serde_json::from_str(&machine.definition).ok()?;
    Some(guardrail::runs_as(&machine.role_arn, &definition, from_maps))
}

async fn act(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    desired: &Desired,
    plan: &Plan,
    runs_as: Option<&RunsAs>,
) -> Result<(), Failure> {
    work.add_finalizer(ctx).await?;
    if let Some(keys) = &plan.record_tag_keys {
        work.status().tag_keys.clone_from(keys);
        work.write(ctx).await?;
    }
    let caller = &hands.writer(ctx).await?;
    for action in &plan.actions {
        fenced(ctx)?;
        let published = match action {
            Action::Create(request) => create(work, ctx, caller, hands.seeing, desired, request).await?,
            Action::Update(request) => update(work, ctx, caller, desired, request, runs_as).await?,
            Action::Publish(description) => {
                let revision = work.status().revision_id.clone();
                let published =
                    ctx.state_machines.publish_version(caller, &desired.arn, revision.as_deref(), description).await;
                Some(published.map_err(|error| not_synced(work, &error))?)
            }
            Action::Tag(tags) => {
                ctx.tagging.tag(caller, &desired.arn, tags).await?;
                None
            }
            Action::Untag(keys) => {
                ctx.tagging.untag(caller, &desired.arn, keys).await?;
                None
            }
        };
        remember_version(work, published, runs_as);
    }
    Ok(())
}

async fn create(
    work: &mut Work<Workflow>,
    ctx: &Context,
    caller: &Caller,
    seeing: &Caller,
    desired: &Desired,
    request: &CreateStateMachine,
) -> Result<Option<String>, Failure> {
    let taken = |tags: &Tags| {
        let asked = desired.take_over_from.as_deref();
        foreign(&desired.arn, tags, &desired.foreign_marks, &desired.owner, asked)
    };
    // Should the answer be lost, they are recorded with the failure.
    if let Some(keys) = desired.tag_keys_to_record(&work.status().tag_keys) {
        work.status().tag_keys = keys;
    }
    let created = match ctx.state_machines.create_state_machine(caller, request).await {
        Err(error) if error.kind == AwsErrorKind::NameTaken => {
            let tags = ctx.tagging.list_tags(seeing, &desired.arn).await.unwrap_or_default();
            return Err(taken(&tags));
        }
        Err(error) => return Err(refused(work, ctx, caller, desired, &error).await),
        Ok(created) => created,
    };
    if request.version_description.is_none() {
        // Without a version's description another owner's identical creation is answered as if it were ours.
        let tags = ctx.tagging.list_tags(seeing, &desired.arn).await?;
        if !desired.owner.owns(&tags) {
            return Err(taken(&tags));
        }
    }
    ctx.workflows.wrote(&desired.owner.uid);
    ctx.guardrails.forget_read();
    work.status().versions.clear();
    work.status().runs_as.clear();
    work.status().input_schemas.clear();
    Ok(created.version_arn)
}

async fn update(
    work: &mut Work<Workflow>,
    ctx: &Context,
    caller: &Caller,
    desired: &Desired,
    request: &UpdateStateMachine,
    runs_as: Option<&RunsAs>,
) -> Result<Option<String>, Failure> {
    let known = work.status().runs_as.clone();
    if request.version_description.is_none() {
        // Without versions runs start the state machine itself, and a crash must not leave them judged by what it was.
        let (records, now) = (&mut work.status().runs_as, Timestamp::now());
        match runs_as {
            Some(asked) => guardrail::update_machine(records, asked, now, ctx.settings.alias_settle_time),
            None => guardrail::forget_machine(records),
        }
        work.write(ctx).await?;
    }
    let updated = match ctx.state_machines.update_state_machine(caller, request).await {
        Err(error) => {
            if error.kind != AwsErrorKind::Unavailable {
                work.status().runs_as = known;
            }
            return Err(refused(work, ctx, caller, desired, &error).await);
        }
        Ok(updated) => updated,
    };
    ctx.workflows.wrote(&desired.owner.uid);
    work.status().revision_id = updated.revision_id;
    Ok(updated.version_arn)
}

fn remember_version(work: &mut Work<Workflow>, arn: Option<String>, runs_as: Option<&RunsAs>) {
    let number = arn.as_ref().and_then(|arn| arn.rsplit(':').next()?.parse().ok());
    let (Some(arn), Some(number)) = (arn, number) else { return };
    let status = work.status();
    status.latest_version = Some(PublishedVersion { arn, number });
    if !status.versions.contains(&number) {
        status.versions.push(number);
    }
    if let Some(runs_as) = runs_as {
        guardrail::remember_version(&mut status.runs_as, number, runs_as);
    }
    remember_schema(work, Of::Version(number));
}

/// Remembers the spec's input schema as that of what the spec describes.
fn remember_schema(work: &mut Work<Workflow>, of: Of) {
    let schema = work.object.spec.input_schema.clone();
    let status = work.status();
    let routed: Vec<i64> = status.aliases.iter().flat_map(alias_move::may_start).collect();
    input_schema::remember(&mut status.input_schemas, of, schema.as_ref(), &routed);
}

/// AWS refused a write: what was synced before keeps serving. Of a definition that it refuses AWS is asked for all that is
/// wrong with it; where that may not be asked, its one message has to do.
async fn refused(
    work: &mut Work<Workflow>,
    ctx: &Context,
    caller: &Caller,
    desired: &Desired,
    error: &AwsError,
) -> Failure {
    if error.kind == AwsErrorKind::InvalidDefinition {
        let asked = ctx.state_machines.validate_definition(caller, desired.definition.text(), desired.machine_type);
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
pub(super) async fn prune(work: &mut Work<Workflow>, ctx: &Context, hands: &Hands<'_>) -> Result<(), Failure> {
    let retain = work.object.spec.versions.retain;
    let (versions, Some(latest)) = (work.status().versions.clone(), work.status().latest_version.clone()) else {
        return Ok(());
    };
    let (uid, excess) = (work.object.uid().unwrap_or_default(), prunable(&versions, retain, |_| false));
    let routed: Vec<i64> =
        work.status().aliases.iter().flat_map(|alias| &alias.routes).map(|route| route.version).collect();
    // An alias that moves on may leave the last use of a version.
    if excess.is_empty() || !ctx.workflows.uses_are_due(&uid, &[&excess[..], &routed].concat()) {
        return Ok(());
    }
    let machine = latest.arn.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let mut used = used_targets(work, ctx).await?;
    used.extend(routed.iter().map(|version| format!("{machine}{version}")));
    for number in prunable(&versions, retain, |number| used.contains(&format!("{machine}{number}"))) {
        fenced(ctx)?;
        let caller = hands.writer(ctx).await?;
        match ctx.state_machines.delete_version(&caller, &format!("{machine}{number}")).await {
            Err(error) if error.code == "ConflictException" => {}
            other => {
                other?;
                work.status().versions.retain(|version| *version != number);
                guardrail::forget_version(&mut work.status().runs_as, number);
                input_schema::forget(&mut work.status().input_schemas, Of::Version(number));
            }
        }
    }
    let left = prunable(&work.status().versions, retain, |_| false);
    ctx.workflows.are_used(&uid, [&left[..], &routed].concat());
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
