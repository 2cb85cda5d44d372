//! Further attempts: retries by `spec.retry`, and redrives that somebody asked for. Each is recorded before AWS is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{admit, end, observe, refusal, session, start};
use crate::api::v1alpha1::{Attempt, AttemptCause, Phase, REDRIVE_REQUESTED_BY, RetryStrategy, Workflow, WorkflowRun};
use crate::aws::{AwsError, AwsErrorKind};
use crate::controllers::Context;
use crate::controllers::attribution::stamped;
use crate::controllers::dereference::session_as;
use crate::controllers::named::named;
use crate::controllers::runner::{Done, Work, fenced, publish};
use crate::digest::sha256_hex;
use crate::iam::binding_role::session::Purpose;
use crate::kube::events::EventType;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::retry::{self, RedriveStep};
use crate::plan::run;
use crate::reason::Reason;
use crate::status::{Conditions, RECONCILING, STALLED};

/// How long to wait for AWS to show what is known to have happened.
const SHOWN_LATER: Duration = Duration::from_secs(1);

/// The next attempt, by `spec.retry`.
pub(super) async fn retry(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>) -> Result<Done, Failure> {
    let uid = work.object.uid().unwrap_or_default();
    let status = work.object.status.clone().unwrap_or_default();
    let strategy = work.object.spec.retry.as_ref().map(|retry| retry.strategy);
    let next = retry::next_attempt(&work.object.spec, &status, &uid, Timestamp::now());
    let (Some(attempt), Some(strategy)) = (next, strategy) else {
        let message = "The run waits for another attempt and has no spec.retry. Create another run.";
        return Ok(super::end_unstarted(work, Phase::Failed, Reason::RetryMissing, message));
    };
    match strategy {
        RetryStrategy::Redrive => redrive(work, ctx, attempt, None).await,
        RetryStrategy::Restart => restart(work, ctx, attempt).await,
    }
}

/// Everything is resolved before the attempt is recorded, because an Express start that was recorded is never repeated.
async fn restart(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, attempt: Attempt) -> Result<Done, Failure> {
    // spec.retry asks for it and no person does, so it is made as the binding.
    let (workflow, found) = super::workflow_and_binding(work, ctx).await?;
    let rules = admit::allowed(work, ctx, &workflow, &found, &attempt.target_arn).await?;
    let purpose = Purpose::Run(run::machine_name(&attempt.target_arn).unwrap_or_default());
    let caller = found.session(ctx, &work.cause, &purpose).await?;
    let input = start::input(work, ctx).await?;
    if sha256_hex(input.as_bytes()) != attempt.input_digest {
        let message = "The execution failed, and its input was changed since; it is not tried again with another input. Create another run.";
        return Ok(super::end_unstarted(work, Phase::Failed, Reason::InputChanged, message));
    }
    if let Some(later) = admit::waits(work, ctx, &rules).await {
        return Ok(later);
    }
    record(work, ctx, attempt.clone(), None).await?;
    start::start(work, ctx, workflow.spec.machine_type, caller, &attempt, &input).await
}

async fn redrive(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    attempt: Attempt,
    asked: Option<String>,
) -> Result<Done, Failure> {
    session(work, ctx).await?;
    let rules = match admit::may_redrive(work, ctx, &attempt, None).await {
        Ok(rules) => rules,
        Err(failure) => {
            return match failure.class {
                Class::Conflict | Class::Transient => Err(failure),
                // What somebody asked for is answered; a retry waits until it may.
                _ if asked.is_some() => refuse(work, ctx, &failure.message).await,
                _ => Err(failure),
            };
        }
    };
    if asked.is_some() {
        // One that had ended has given its slot up; a retry by spec.retry has it still.
        let workflow = named::<Workflow>(ctx, &work.namespace(), &work.object.spec.workflow_ref.name).await?;
        if let Some(workflow) = workflow
            && let Some(later) = admit::in_line(work, ctx, &workflow).await
        {
            return Ok(later);
        }
    }
    if let Some(later) = admit::waits(work, ctx, &rules).await {
        return Ok(later);
    }
    record(work, ctx, attempt.clone(), asked).await?;
    go_on(work, ctx, attempt).await
}

/// Records an attempt and, where somebody asked for it, that this was handled: in one write, and not before all that it needs
/// is there.
async fn record(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    attempt: Attempt,
    asked: Option<String>,
) -> Result<(), Failure> {
    let message = format!("Attempt {} is being started.", attempt.number);
    work.add_finalizer(ctx).await?;
    let status = work.status();
    retry::begin(status, attempt);
    if asked.is_some() {
        status.last_handled.redrive = asked;
    }
    let refused = status.refusal.is_some();
    work.conditions(|conditions| {
        not_ended(conditions);
        if !refused {
            conditions.progressing(Reason::Starting, &message);
        }
    });
    work.write(ctx).await
}

fn not_ended(conditions: &mut Conditions) {
    for kind in ["Finished", "Complete", "Failed", STALLED, RECONCILING] {
        conditions.remove(kind);
    }
}

/// A redrive that somebody asked for.
pub(super) async fn redrive_as_asked(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>) -> Result<Done, Failure> {
    let token = work.object.redrive_asked().map(str::to_owned);
    let next = retry::redrive_attempt(work.status(), AttemptCause::Asked, Timestamp::now());
    let Some(mut attempt) = next else {
        return refuse(work, ctx, "No execution of this run was started. Create another run.").await;
    };
    attempt.requested_by = stamped(ctx, &work.object, REDRIVE_REQUESTED_BY).await?;
    let done = redrive(work, ctx, attempt, token).await;
    if work.object.wants_redrive() && done.as_ref().is_err_and(|failure| failure.class != Class::Conflict) {
        ctx.watches.step_aside(&work.object);
    }
    done
}

/// Says why a redrive that somebody asked for is not made; the same token does not ask again.
pub(super) async fn refuse(work: &mut Work<WorkflowRun>, ctx: &Context, why: &str) -> Result<Done, Failure> {
    let token = work.object.redrive_asked().map(str::to_owned);
    let status = work.status();
    status.last_handled.redrive = token;
    let finished = status.phase.unwrap_or_default().is_finished();
    work.write(ctx).await?;
    publish(&work.object, EventType::Warning, Reason::RedriveRefused, why, ctx).await;
    Ok(Done { release: finished, ..Done::again(Requeue::After(SHOWN_LATER)) })
}

/// A redrive was recorded, and the process that recorded it did not come to write what became of it.
pub(super) async fn resume(work: &mut Work<WorkflowRun>, ctx: &Context, attempt: Attempt) -> Result<Done, Failure> {
    start::still_as_seen(work, ctx).await?;
    go_on(work, ctx, attempt).await
}

/// Asks for the recorded redrive, where AWS shows that it was not made yet.
async fn go_on(work: &mut Work<WorkflowRun>, ctx: &Context, attempt: Attempt) -> Result<Done, Failure> {
    let looks = session(work, ctx).await?;
    let arn = work.status().execution_arn.clone().unwrap_or_else(|| run::execution_arn(&attempt));
    let later = Done::again(Requeue::After(SHOWN_LATER));
    let Some(found) = ctx.executions.describe_execution(&looks, &arn).await? else {
        return Ok(later);
    };
    match retry::redrive_step(&attempt, &found) {
        RedriveStep::Made => return under_way(work, ctx, &attempt).await,
        RedriveStep::NotShownYet => return Ok(later),
        RedriveStep::Ask => {}
    }
    // It was recorded after its turn, and has its slot.
    admit::may_redrive(work, ctx, &attempt, Some(&found)).await?;
    let requester = attempt.requested_by.clone();
    let purpose = Purpose::Run(run::machine_name(&attempt.target_arn).unwrap_or_default());
    let caller =
        session_as(ctx, &work.cause, &work.namespace(), &attempt.trust_binding_name, &purpose, requester).await?;
    fenced(ctx)?;
    let token = format!("{}-{}", work.object.uid().unwrap_or_default(), attempt.redrive_count);
    match ctx.executions.redrive_execution(&caller, &arn, &token).await {
        Ok(()) => under_way(work, ctx, &attempt).await,
        Err(error) if is_running(&error) && run::may_be_invisible(attempt.recorded_at.0, Timestamp::now()) => Ok(later),
        Err(error) if error.kind == AwsErrorKind::NotRedrivable => {
            end::not_redriven(work, ctx, &found, &error.message).await
        }
        Err(error) => Err(refusal::record(work, ctx, error, None).await),
    }
}

/// Somebody else has redriven it at the same time, and a description will show it.
fn is_running(error: &AwsError) -> bool {
    error.kind == AwsErrorKind::NotRedrivable && error.message.contains("RUNNING")
}

async fn under_way(work: &mut Work<WorkflowRun>, ctx: &Context, attempt: &Attempt) -> Result<Done, Failure> {
    let status = work.status();
    (status.phase, status.refusal) = (Some(Phase::Running), None);
    let message = format!("The execution goes on from where it failed, by redrive {}.", attempt.redrive_count);
    work.conditions(|conditions| {
        conditions.progressing(Reason::Running, &message);
    });
    work.write(ctx).await?;
    Ok(observe::follow(work, ctx))
}
