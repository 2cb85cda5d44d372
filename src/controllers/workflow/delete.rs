//! The end of a Workflow: drained and deleted, or let go.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::hands::machine_name;
use crate::api::v1alpha1::{Phase, Workflow, WorkflowDeletionPolicy, WorkflowRun};
use crate::controllers::dereference::{LastSession, last_session_for};
use crate::controllers::runner::{Done, Work, deleted_at, fenced, report_orphan};
use crate::controllers::{Context, owner};
use crate::iam::binding_role::session::Purpose;
use crate::kube::api_failure;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::workflow::{RELEASE_TAG, state_machine_arn};
use crate::reason::Reason;

/// Deletes or retains, and lets go once nothing of ours is left in AWS.
pub(super) async fn delete(work: &mut Work<Workflow>, ctx: &Context) -> Result<Done, Failure> {
    ctx.workflows.forget(&work.object.uid().unwrap_or_default());
    let retained = is_retained(work);
    let binding = work.object.spec.trust_binding_ref.name.clone();
    let name = machine_name(work, ctx);
    let clean = Purpose::Clean(&name);
    let last = last_session_for(ctx, &work.cause, &work.namespace(), &binding, &clean, deleted_at(&work.object)).await;
    let (caller, drain) = match last {
        Ok(LastSession::Usual(caller)) => (caller, !retained),
        Ok(LastSession::Held(caller)) => (caller, false),
        Ok(LastSession::Gone(failure)) => return Ok(let_go(work, ctx, &failure).await),
        Err(failure) if retained || (never_seen(work) && is_lasting(&failure)) => {
            return Ok(let_go(work, ctx, &failure).await);
        }
        Err(failure) => return Err(failure),
    };
    let drain = drain && !drained_long_enough(work);
    if drain && let Some(waits) = waits_for_runs(work, ctx).await? {
        return Ok(waits);
    }
    let arn = state_machine_arn(&caller.assumed_role_arn, &caller.region, &name);
    let Some(machine) = ctx.state_machines.describe_state_machine(&caller, &arn).await? else {
        return Ok(Done::released());
    };
    if machine.deleting {
        return Ok(progress(work, Reason::Deleting, "AWS deletes the state machine.", Duration::from_secs(1)));
    }
    let tags = ctx.tagging.list_tags(&caller, &arn).await?;
    if !owner(work, ctx).owns(&tags) {
        return Ok(Done::released());
    }
    fenced(ctx)?;
    if retained {
        let keys: Vec<String> = owner(work, ctx).tags().into_keys().chain([RELEASE_TAG.to_owned()]).collect();
        ctx.tagging.untag(&caller, &arn, &keys).await?;
        return Ok(Done::released());
    }
    if drain && ctx.executions.has_running_executions(&caller, &arn).await? {
        let message = "Waits for running executions to end; stop them to go on at once.";
        return Ok(progress(work, Reason::Draining, message, Duration::from_secs(2)));
    }
    ctx.state_machines.delete_state_machine(&caller, &arn).await?;
    Ok(progress(work, Reason::Deleting, "AWS deletes the state machine.", Duration::from_millis(500)))
}

/// The finalizer may have been put on at creation, before anything was asked of AWS. A Workflow that never got a session
/// must not need one to go.
fn never_seen(work: &Work<Workflow>) -> bool {
    work.object.status.as_ref().is_none_or(|status| status.state_machine_arn.is_none())
}

/// Whether trying again soon would not help.
fn is_lasting(failure: &Failure) -> bool {
    matches!(failure.class, Class::Denied | Class::Waiting | Class::Terminal)
}

/// An adopted machine is kept until somebody says otherwise after its adoption.
fn is_retained(work: &Work<Workflow>) -> bool {
    let policy = work.object.spec.deletion_policy;
    let adopted_with = work.object.status.as_ref().and_then(|status| status.adopted_with);
    policy == WorkflowDeletionPolicy::Retain || adopted_with == Some(policy)
}

fn drained_long_enough(work: &Work<Workflow>) -> bool {
    let limit = work.object.spec.drain_timeout.to_std().and_then(|limit| SignedDuration::try_from(limit).ok());
    limit.is_some_and(|limit| Timestamp::now().duration_since(deleted_at(&work.object)) > limit)
}

/// Runs that have started and not ended need this Workflow to be followed to their end: it names their binding.
async fn waits_for_runs(work: &mut Work<Workflow>, ctx: &Context) -> Result<Option<Done>, Failure> {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    let mut names = Vec::new();
    for phase in [Phase::Starting, Phase::Running] {
        let (name, phase) = (work.object.name_any(), phase.as_str());
        let selector = format!("spec.workflowRef.name={name},status.phase={phase}");
        let listed = api.list_metadata(&ListParams::default().fields(&selector).limit(5)).await;
        names.extend(listed.map_err(|error| api_failure(&error))?.iter().map(ResourceExt::name_any));
    }
    if names.is_empty() && ctx.watches.active(&work.namespace(), &work.object.name_any()) > 0 {
        names = between_attempts(work, &api).await?;
    }
    if names.is_empty() {
        return Ok(None);
    }
    let message = format!(
        "Waits for the end of WorkflowRuns, among them {}; cancel or delete them to go on at once.",
        names.join(", ")
    );
    Ok(Some(progress(work, Reason::Draining, &message, Duration::from_secs(1))))
}

/// Runs that wait for their next attempt, among the many that may wait for their first.
async fn between_attempts(work: &Work<Workflow>, api: &Api<WorkflowRun>) -> Result<Vec<String>, Failure> {
    let selector = format!("spec.workflowRef.name={},status.phase=Pending", work.object.name_any());
    let listed = api.list(&ListParams::default().fields(&selector)).await.map_err(|error| api_failure(&error))?;
    let waits = |run: &&WorkflowRun| run.status.as_ref().is_some_and(|status| status.retry_at.is_some());
    Ok(listed.iter().filter(waits).take(5).map(ResourceExt::name_any).collect())
}

fn progress(work: &mut Work<Workflow>, reason: Reason, message: &str, again: Duration) -> Done {
    work.conditions(|conditions| {
        conditions.progressing(reason, message);
    });
    Done::again(Requeue::After(again))
}

/// Lets go without AWS, and says that a state machine may remain where one was ever seen.
async fn let_go(work: &Work<Workflow>, ctx: &Context, why: &Failure) -> Done {
    if let Some(arn) = work.object.status.as_ref().and_then(|status| status.state_machine_arn.as_ref()) {
        report_orphan(work, arn, why, ctx).await;
    }
    Done::released()
}
