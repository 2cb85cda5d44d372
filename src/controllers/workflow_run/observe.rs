//! Observing: the tracker finds ends, this writes them down. A phase never waits for an output.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Context, binding_name, end, session, start};
use crate::api::v1alpha1::{Phase, StopIntent, WorkflowRun, WorkflowRunStatus};
use crate::aws::{Caller, Execution, ExecutionStatus, ListedExecution, Priority};
use crate::controllers::runner::{Done, Work};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run;
use crate::plan::run_result;
use crate::reason::Reason;
use crate::runs::{Evidence, Followed, MachineKey, OUTPUT_STORED};
use crate::status::Truth;

/// The tracker wakes a run when its end was found. This is for what no one foresaw.
const LONGEST: Duration = Duration::from_secs(600);

/// Has the execution followed, or writes down the end that was found. The phase changes on positive evidence only:
/// absence proves nothing.
pub(super) async fn observe(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, arn: &str) -> Result<Done, Failure> {
    let caller = session(work, ctx).await?;
    let status = work.object.status.clone().unwrap_or_default();
    let followed = followed(work, &status, arn);
    match ctx.tracker.evidence(arn, followed.redrive_count) {
        Some(Evidence::Described(execution)) => {
            if let Some(phase) = phase_of(execution.status, &status) {
                return end::finish(work, ctx, &caller, &execution, phase).await;
            }
        }
        Some(Evidence::Listed(listed)) => {
            if let Some(phase) = phase_of(listed.status, &status) {
                return end_of_listed(work, ctx, &caller, listed, phase, followed).await;
            }
        }
        Some(Evidence::Missing) => {
            let message = format!("AWS shows no execution {arn}. It was deleted, or its history has expired.");
            return Err(Failure::new(Class::Waiting, Reason::ExecutionNotFound, message));
        }
        Some(Evidence::Refused(_) | Evidence::Allowed) | None => {}
    }
    let refusal = ctx.tracker.refusal(&followed.machine);
    ctx.tracker.follow(followed);
    if let Some(failure) = refusal {
        return Err(failure);
    }
    Ok(runs_on(work, &status))
}

/// Has the execution followed from its start on.
pub(super) fn follow(work: &Work<WorkflowRun>, ctx: &Context) -> Done {
    let status = work.object.status.clone().unwrap_or_default();
    if let Some(arn) = &status.execution_arn {
        ctx.tracker.follow(followed(work, &status, arn));
    }
    Done::again(requeue(work, &status))
}

fn runs_on(work: &mut Work<WorkflowRun>, status: &WorkflowRunStatus) -> Done {
    let changed = start::inline_input_changed(&work.object.spec, status);
    tell_stop(work);
    let running = if status.adopted && work.object.spec.cancel.is_some() {
        "The execution runs. It is not of this run, so spec.cancel does not stop it; stop it in AWS."
    } else {
        "The execution runs."
    };
    work.conditions(|conditions| {
        if status.stop.is_none() {
            conditions.progressing(Reason::Running, running);
        }
        if changed {
            let message =
                "spec.input was changed after the start; the execution runs with the input it was started with.";
            conditions.set("InputChanged", Truth::True, Reason::IgnoredAfterStart, message);
        }
    });
    Done::again(requeue(work, status))
}

/// Says of a run that is to end why and for whom, until AWS shows its end.
pub(super) fn tell_stop(work: &mut Work<WorkflowRun>) {
    let Some(stop) = work.status().stop.clone() else { return };
    let message = match (stop.intent, stop.requested_by) {
        (StopIntent::Cancel, Some(user)) => format!("The execution is being stopped: {user} set spec.cancel."),
        (StopIntent::Cancel, None) => "The execution is being stopped: spec.cancel was set.".to_owned(),
        (StopIntent::Timeout, _) => "The execution is being stopped: spec.timeout has passed.".to_owned(),
    };
    work.conditions(|conditions| {
        conditions.progressing(Reason::Stopping, &message);
    });
}

/// At the run's own timeout, which nobody else tells.
fn requeue(work: &Work<WorkflowRun>, status: &WorkflowRunStatus) -> Requeue {
    let left = run::timeout_at(&work.object.spec, status)
        .filter(|_| status.stop.is_none())
        .map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
    Requeue::After(left.map_or(LONGEST, |left| left.clamp(Duration::from_millis(10), LONGEST)))
}

fn phase_of(ended: ExecutionStatus, status: &WorkflowRunStatus) -> Option<Phase> {
    run_result::phase_of(ended, status.stop.as_ref().map(|stop| stop.intent))
}

fn followed(work: &Work<WorkflowRun>, status: &WorkflowRunStatus, arn: &str) -> Followed {
    let machine =
        MachineKey { namespace: work.namespace(), binding: binding_name(status), arn: run::machine_of_execution(arn) };
    // Whether it is shown yet, and which end is its own, is a matter of the last attempt.
    let last = status.attempts.last();
    let began = last.filter(|attempt| attempt.number > 1).map(|attempt| &attempt.recorded_at);
    let redrives = last.map_or(0, |attempt| attempt.redrive_count);
    Followed {
        machine: Arc::new(machine),
        run: work.object.name_any(),
        execution_arn: arn.to_owned(),
        started_at: began.or(status.started_at.as_ref()).map_or_else(Timestamp::now, |time| time.0),
        redrive_count: i32::try_from(redrives).unwrap_or(i32::MAX),
        stopping: status.stop.is_some(),
    }
}

/// A list has shown the end, without output or error. They are read at once where the quota has a description to spare,
/// so that one write tells everything; otherwise the phase is told now and they follow.
async fn end_of_listed(
    work: &mut Work<WorkflowRun>,
    ctx: &Arc<Context>,
    caller: &Caller,
    listed: ListedExecution,
    phase: Phase,
    followed: Followed,
) -> Result<Done, Failure> {
    if ctx.quota.quota_wait(caller, "states:DescribeExecution", Priority::Output).is_zero()
        && let Ok(Some(execution)) = ctx.executions.describe_execution(caller, &listed.arn).await
        && execution.status == listed.status
        && execution.redrive_count == listed.redrive_count
    {
        return end::finish(work, ctx, caller, &execution, phase).await;
    }
    if work.object.spec.retry.is_some() && !phase.is_good() {
        // Whether it is tried again depends on the error.
        ctx.tracker.want_output(followed);
        return Ok(runs_on(work, &work.object.status.clone().unwrap_or_default()));
    }
    let execution = Execution {
        arn: listed.arn,
        state_machine_arn: followed.machine.arn.clone(),
        version_arn: listed.version_arn,
        alias_arn: None,
        trace_header: None,
        status: listed.status,
        started_at: listed.started_at,
        stopped_at: listed.stopped_at,
        redrive_count: listed.redrive_count,
        redrivable: None,
        input: None,
        output: None,
        error: None,
        cause: None,
    };
    let done = end::finish(work, ctx, caller, &execution, phase).await?;
    work.conditions(|conditions| {
        let message = "The execution has ended; its output or error is read as soon as AWS's quota allows.";
        conditions.set(OUTPUT_STORED, Truth::Unknown, Reason::WaitingForQuota, message);
    });
    ctx.tracker.want_output(followed);
    Ok(done)
}

/// Writes the output or error of a run whose phase was told before, once it was read.
pub(super) async fn read_output(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>) -> Result<Done, Failure> {
    let status = work.object.status.clone().unwrap_or_default();
    let (Some(arn), Some(phase)) = (status.execution_arn.clone(), status.phase) else {
        return Ok(Done::released());
    };
    let followed = followed(work, &status, &arn);
    if let Some(Evidence::Described(execution)) = ctx.tracker.evidence(&arn, followed.redrive_count) {
        let caller = session(work, ctx).await?;
        work.conditions(|conditions| {
            conditions.remove(OUTPUT_STORED);
        });
        return end::finish(work, ctx, &caller, &execution, phase).await;
    }
    ctx.tracker.want_output(followed);
    Ok(Done::release_and_look(Requeue::After(LONGEST)))
}
