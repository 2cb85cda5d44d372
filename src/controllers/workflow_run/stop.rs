//! Stopping what runs: because somebody cancels it, because its time is over, or because the run is deleted.

use std::time::Duration;

use jiff::Timestamp;

use super::result::Run;
use super::session::{self, binding_name, machine};
use super::{admission, approval, observe, own};
use crate::api::v1alpha1::{
    CANCEL_REQUESTED_BY, Phase, RunDeletionPolicy, RunMode, StopIntent, Workflow, WorkflowRunSpec, WorkflowRunStatus,
};
use crate::aws::{AwsError, AwsErrorKind};
use crate::controllers::dereference::{LastSession, last_session_for, session_as};
use crate::controllers::named::named_at_the_end;
use crate::controllers::runner::{Done, deleted_at, fenced, report_orphan};
use crate::iam::binding_role::session::Purpose;
use crate::outcome::{Failure, Requeue};
use crate::plan::run;
use crate::reason::Reason;

/// When a call that may still land is looked for again.
pub(super) const LANDS_LATER: Duration = Duration::from_secs(1);

/// The intent is in the status before AWS is asked, because it decides the phase at the end.
pub(super) async fn record(run: &mut Run<'_>, intent: StopIntent) -> Result<Done, Failure> {
    let unrecorded = match intend(run, intent).await {
        Err(failure) if failure.reason == Reason::ObjectTooLarge => Some(failure),
        other => other.map(|()| None)?,
    };
    let arn = run.known().execution_arn.unwrap_or_default();
    let Some(failure) = unrecorded else { return stop(run, &arn, intent).await };
    // Whoever makes an object too large keeps it from being written, and nothing from being stopped.
    ask(run, &arn, intent).await??;
    Err(failure)
}

/// Records the intent, once.
pub(super) async fn intend(run: &mut Run<'_>, intent: StopIntent) -> Result<(), Failure> {
    if run.known().stop.is_some() {
        return Ok(());
    }
    let requested_by = match intent {
        StopIntent::Cancel => run.ctx.attribution.stamped(&**run, CANCEL_REQUESTED_BY).await?,
        StopIntent::Timeout => None,
    };
    run.record_stop(intent, requested_by).await
}

/// Ends what has not started or does not start again. Who cancelled it is told as of one that is stopped.
pub(super) async fn end_unstarted(
    run: &mut Run<'_>,
    phase: Phase,
    reason: Reason,
    message: &str,
) -> Result<Done, Failure> {
    approval::withdraw(run).await?;
    if reason == Reason::Cancelled {
        let by = run.ctx.attribution.stamped(&**run, CANCEL_REQUESTED_BY).await?;
        run.cancelled(by);
        if run.known().requested_by.is_none() {
            admission::tell_requester(run).await?;
        }
    }
    Ok(run.ends_unstarted(phase, reason, message))
}

/// Stops it as recorded, and looks.
pub(super) async fn stop(run: &mut Run<'_>, arn: &str, intent: StopIntent) -> Result<Done, Failure> {
    ask(run, arn, intent).await??;
    let looks = session::looks(run).await?;
    observe::look(run, &looks, arn).await
}

/// Asks AWS to stop it, as whoever cancelled it, and gives the answer.
pub(super) async fn ask(run: &Run<'_>, arn: &str, intent: StopIntent) -> Result<Result<(), AwsError>, Failure> {
    let status = run.known();
    let canceller = status.stop.as_ref().and_then(|stop| stop.requested_by.clone());
    let (name, purpose) = (binding_name(&status), Purpose::Observe(machine(&status)));
    let caller = session_as(run.ctx, run.cause(), &run.namespace(), &name, &purpose, canceller).await?;
    let reason = run.spec.cancel.as_ref().map_or("", |cancel| cancel.reason.as_str());
    let (error, cause) = match intent {
        StopIntent::Cancel => ("Stepbound.Cancelled", format!("Cancelled by spec.cancel. {reason}")),
        StopIntent::Timeout => ("Stepbound.TimedOut", "spec.timeout has passed.".to_owned()),
    };
    let why = (!has_own_key(run).await?).then_some((error, cause.trim()));
    fenced(run.ctx)?;
    Ok(run.ctx.executions.stop_execution(&caller, arn, why).await)
}

/// Whether the state machine has a key of the account's own, with which AWS would encrypt error and cause of a stop. Where its
/// Workflow is gone nobody knows, and then they are left out too: they stand in the run.
async fn has_own_key(run: &Run<'_>) -> Result<bool, Failure> {
    let found = named_at_the_end::<Workflow>(run.ctx, &run.namespace(), &run.spec.workflow_ref.name).await?;
    Ok(found.is_none_or(|workflow| workflow.spec.encryption.is_some()))
}

/// For a run that is deleted: stops what still runs, unless it is to be left alone, and lets go.
pub(super) async fn delete(run: &mut Run<'_>) -> Result<Done, Failure> {
    let (ctx, status) = (run.ctx, run.known());
    let arn = status.execution_arn.clone().or_else(|| status.attempts.last().map(run::execution_arn));
    let unstarted = status.retry_at.is_some() || status.is_refused();
    // AWS stops no Express execution.
    let over = run.is_over() || status.adopted || unstarted || status.log_group_arn.is_some();
    if let Some(arn) = &arn {
        ctx.tracker.forget(arn);
    }
    let Some(arn) = arn.filter(|_| !over && run.spec.deletion_policy == RunDeletionPolicy::Stop) else {
        return Ok(Done::released());
    };
    let (name, purpose) = (binding_name(&status), Purpose::Observe(machine(&status)));
    let last = last_session_for(ctx, run.cause(), &run.namespace(), &name, &purpose, deleted_at(&**run)).await?;
    let caller = match last {
        LastSession::Usual(caller) | LastSession::Held(caller) => caller,
        LastSession::Gone(why) => {
            report_orphan(run.work(), &arn, &why, ctx).await;
            return Ok(Done::released());
        }
    };
    let unproven = status.attempts.last().filter(|last| status.execution_arn.is_none() && !own::by_name(run, last));
    if let Some(attempt) = unproven {
        match own::to_stop(run, &caller, attempt, deleted_at(&**run)).await? {
            own::ToStop::Yes => {}
            own::ToStop::No => return Ok(Done::released()),
            own::ToStop::NotKnownYet => return Ok(Done::again(Requeue::After(LANDS_LATER))),
        }
    }
    let why = (!has_own_key(run).await?).then_some(("Stepbound.Deleted", "The WorkflowRun was deleted."));
    fenced(ctx)?;
    match ctx.executions.stop_execution(&caller, &arn, why).await {
        Err(error) if !matches!(error.kind, AwsErrorKind::NotFound | AwsErrorKind::Rejected) => Err(error.into()),
        _ if may_still_start(&run.spec, &status, deleted_at(&**run)) => Ok(Done::again(Requeue::After(LANDS_LATER))),
        _ => Ok(Done::released()),
    }
}

/// True while a start or redrive whose answer nobody has may still reach AWS; it is stopped again then. It may have been repeated
/// until the run was deleted.
fn may_still_start(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, deleted_at: Timestamp) -> bool {
    let under_way = status.phase == Some(Phase::Starting) && spec.mode == RunMode::Async;
    under_way && !status.attempts.is_empty() && run::may_still_land(deleted_at, Timestamp::now())
}
