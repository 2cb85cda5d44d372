//! Observing: the tracker finds ends, this takes them in. A phase never waits for an output.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::calls::{self, Seen, Shown};
use super::result::Run;
use super::session::{Looks, binding_name};
use super::{end, input, progress};
use crate::api::v1alpha1::{Phase, WorkflowRunStatus};
use crate::aws::{Caller, ExecutionStatus, Priority};
use crate::controllers::runner::Done;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run;
use crate::plan::run_result;
use crate::reason::Reason;
use crate::runs::{Followed, MachineKey};
use crate::status::Truth;

/// The tracker wakes a run when its end was found. This is for what no one foresaw.
const LONGEST: Duration = Duration::from_secs(600);

/// Has the execution followed and tells where it is, or takes in the end that was found.
pub(super) async fn observe(run: &mut Run<'_>, looks: &Looks, arn: &str) -> Result<Done, Failure> {
    let done = look(run, looks, arn).await?;
    progress::follow(run, looks, arn).await;
    Ok(done)
}

/// Has the execution followed, or takes in the end that was found. The phase changes on positive evidence only: absence
/// proves nothing.
pub(super) async fn look(run: &mut Run<'_>, looks: &Looks, arn: &str) -> Result<Done, Failure> {
    let status = run.known();
    let followed = followed(run, &status, arn);
    match calls::seen(run.ctx, &followed) {
        Seen::Described(shown) => {
            if let Some(phase) = phase_of(shown.status, &status) {
                return end::finish(run, &looks.caller, &shown, phase).await;
            }
        }
        Seen::Listed(shown) => {
            if let Some(phase) = phase_of(shown.status, &status) {
                return end_of_listed(run, &looks.caller, &shown, phase, followed).await;
            }
        }
        Seen::Missing => {
            let message = format!("AWS shows no execution {arn}. It was deleted, or its history has expired.");
            return Err(Failure::new(Class::Waiting, Reason::ExecutionNotFound, message));
        }
        Seen::Logged(..) | Seen::Nothing => {}
    }
    let refusal = run.ctx.tracker.refusal(&followed.machine);
    run.ctx.tracker.follow(followed);
    refusal.map_or_else(|| Ok(runs_on(run, &status)), Err)
}

/// Has the execution followed from its start on.
pub(super) fn follow(run: &Run<'_>) -> Done {
    let status = run.known();
    if let Some(arn) = &status.execution_arn {
        run.ctx.tracker.follow(followed(run, &status, arn));
    }
    Done::again(requeue(run, &status))
}

fn runs_on(run: &mut Run<'_>, status: &WorkflowRunStatus) -> Done {
    run.still_runs(input::changed(&run.spec, status));
    Done::again(requeue(run, status))
}

/// At the run's own timeout, which nobody else tells.
fn requeue(run: &Run<'_>, status: &WorkflowRunStatus) -> Requeue {
    let left = run::timeout_at(&run.spec, status)
        .filter(|_| status.stop.is_none())
        .map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
    Requeue::After(left.map_or(LONGEST, |left| left.clamp(Duration::from_millis(10), LONGEST)))
}

fn phase_of(ended: ExecutionStatus, status: &WorkflowRunStatus) -> Option<Phase> {
    run_result::phase_of(ended, status.stop.as_ref().map(|stop| stop.intent))
}

fn followed(run: &Run<'_>, status: &WorkflowRunStatus, arn: &str) -> Followed {
    let machine =
        MachineKey { namespace: run.namespace(), binding: binding_name(status), arn: run::machine_of_execution(arn) };
    // Whether it is shown yet, and which end is its own, is a matter of the last attempt.
    let last = status.attempts.last();
    let began = last.filter(|attempt| attempt.number > 1).map(|attempt| &attempt.recorded_at);
    let redrives = last.map_or(0, |attempt| attempt.redrive_count);
    Followed {
        machine: Arc::new(machine),
        run: run.name_any(),
        execution_arn: arn.to_owned(),
        started_at: began.or(status.started_at.as_ref()).map_or_else(Timestamp::now, |time| time.0),
        redrive_count: i32::try_from(redrives).unwrap_or(i32::MAX),
        stopping: status.stop.is_some(),
    }
}

/// A list has shown the end, without output or error. They are read at once where the quota has a description to spare,
/// so that one write tells everything; otherwise the phase is told now and they follow.
async fn end_of_listed(
    run: &mut Run<'_>,
    looks: &Caller,
    listed: &Shown,
    phase: Phase,
    followed: Followed,
) -> Result<Done, Failure> {
    let ctx = run.ctx;
    if ctx.quota.quota_wait(looks, "states:DescribeExecution", Priority::Output).is_zero()
        && let Ok(Some(shown)) = calls::describe(ctx, looks, &listed.arn).await
        && shown.status == listed.status
        && shown.redrive_count == listed.redrive_count
    {
        return end::finish(run, looks, &shown, phase).await;
    }
    if run.spec.retry.is_some() && !phase.is_good() {
        // Whether it is tried again depends on the error.
        ctx.tracker.want_output(followed);
        return Ok(runs_on(run, &run.known()));
    }
    let done = end::finish(run, looks, listed, phase).await?;
    let message = "The execution has ended; its output or error is read as soon as AWS's quota allows.";
    run.output_stored(Some((Truth::Unknown, Reason::WaitingForQuota, message)));
    ctx.tracker.want_output(followed);
    Ok(done)
}

/// Writes the output or error of a run whose phase was told before, once it was read.
pub(super) async fn read_output(run: &mut Run<'_>) -> Result<Done, Failure> {
    let status = run.known();
    let (Some(arn), Some(phase)) = (status.execution_arn.clone(), status.phase) else {
        return Ok(Done::released());
    };
    let followed = followed(run, &status, &arn);
    if let Seen::Described(shown) = calls::seen(run.ctx, &followed) {
        let looks = super::session::looks(run).await?;
        run.output_stored(None);
        return end::finish(run, &looks.caller, &shown, phase).await;
    }
    run.ctx.tracker.want_output(followed);
    Ok(Done::release_and_look(Requeue::After(LONGEST)))
}
