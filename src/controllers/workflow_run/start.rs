//! The start of a recorded attempt: safe to repeat, or never repeated.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::result::{Recorded, Run};
use super::session::Asked;
use super::{admission, approval, calls, end, input, logged, observe, own, refusal, session};
use crate::api::v1alpha1::{Attempt, Phase, RunMode, StateMachineType, Workflow};
use crate::aws::{AwsErrorKind, Caller, StartExecution};
use crate::controllers::authorization::Authorization;
use crate::controllers::input_schemas::misfit_of;
use crate::controllers::runner::{Done, fenced};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::ownership::mark;
use crate::plan::run;
use crate::reason::Reason;

/// How often a synchronous start that is under way is looked at: it takes up to five minutes.
const LOOKS_AGAIN: Duration = Duration::from_secs(60);

/// Starts it.
pub(super) async fn start(
    run: &mut Run<'_>,
    workflow: &Workflow,
    caller: Caller,
    attempt: &Recorded,
    input: &str,
) -> Result<Done, Failure> {
    match (workflow.spec.machine_type, run.spec.mode) {
        (StateMachineType::Standard, _) => start_standard(run, &caller, attempt, input, None).await,
        (StateMachineType::Express, RunMode::Async) => dispatch(run, workflow, &caller, attempt, input).await,
        (StateMachineType::Express, RunMode::Sync) => Ok(start_sync(run, caller, attempt, input)),
    }
}

/// It was recorded, and the process that recorded it did not come to write what became of it.
pub(super) async fn resume(run: &mut Run<'_>, attempt: Attempt) -> Result<Done, Failure> {
    let attempt = run.recorded(attempt).await?;
    let (workflow, found) = input::workflow_and_binding(run).await?;
    if workflow.spec.machine_type == StateMachineType::Express {
        return Ok(unknown(run));
    }
    let input = input::read(run).await?;
    let mut refused = match may_resume(run, &workflow, &found, &attempt).await {
        Ok(()) => None,
        Err(failure) if matches!(failure.class, Class::Conflict | Class::Transient) => return Err(failure),
        Err(failure) => Some(failure),
    };
    let is_same = input::is_of(&input, &attempt);
    let misfit = match misfit_of(run.ctx, &workflow, &attempt.target_arn, &input).await {
        Ok(misfit) => misfit.filter(|_| is_same),
        Err(failure) if matches!(failure.class, Class::Conflict | Class::Transient) => return Err(failure),
        Err(failure) => {
            refused = refused.or(Some(failure));
            None
        }
    };
    let missed = run::missed_deadline(&run.spec, Timestamp::now());
    if refused.is_none() && misfit.is_none() && missed.is_none() && is_same {
        let (binding, asked) = (found.binding.name_any(), Asked::from(&*attempt));
        let caller = session::starts(run, &binding, &attempt.target_arn, asked).await?;
        return start_standard(run, &caller, &attempt, &input, Some(attempt.recorded_at.0)).await;
    }
    // Neither what is refused or too late by now nor another input is started under the recorded attempt; what it had started may be
    // there.
    let looks = session::looks(run).await?.caller;
    if !run::may_be_invisible(missed.unwrap_or(attempt.recorded_at.0), Timestamp::now())
        && calls::describe(run.ctx, &looks, &run::execution_arn(&attempt)).await?.is_none()
    {
        if let Some(deadline) = missed {
            let message = format!(
                "The start deadline {deadline} has passed and AWS, which had not answered the start, shows no execution; it was not started again. Create another run."
            );
            return Ok(run.ends_unstarted(Phase::Failed, Reason::StartDeadlineExceeded, &message));
        }
        if let Some(failure) = refused {
            if failure.reason == Reason::ApprovalTimedOut {
                return Ok(run.ends_unstarted(Phase::Failed, failure.reason, &failure.message));
            }
            return Err(failure);
        }
        if let Some(why) = misfit {
            let message = format!("AWS shows no execution of the recorded attempt, and none is started. {why}");
            return Ok(run.ends_unstarted(Phase::Failed, Reason::InputInvalid, &message));
        }
        let message = "The input was changed after the start was recorded, and AWS shows no execution; it was not started with another input. Create another run.";
        return Ok(run.ends_unstarted(Phase::Failed, Reason::InputChanged, message));
    }
    Box::pin(own::take(run, &looks, &attempt, None)).await
}

/// Whether a recorded start may still be made, as Guardrails, the binding's list and its approval say.
async fn may_resume(
    run: &Run<'_>,
    workflow: &Workflow,
    found: &Authorization,
    attempt: &Attempt,
) -> Result<(), Failure> {
    let rules = admission::rules(run).await?;
    admission::allowed(run, workflow, found, &rules, &attempt.target_arn, admission::goes_by(attempt)).await?;
    Box::pin(approval::still(run, Some(workflow), &rules, found, attempt)).await
}

/// Of a start of an Express execution that was recorded and not answered.
pub(super) fn unknown(run: &mut Run<'_>) -> Done {
    let message = "The operator ended between recording the start and its answer. An Express start is never repeated, so whether it ran is not known; look at the state machine's logs.";
    run.ends_unstarted(Phase::Failed, Reason::OutcomeUnknown, message)
}

fn request(run: &Run<'_>, attempt: &Recorded, input: &str) -> StartExecution {
    StartExecution {
        target_arn: attempt.target_arn.clone(),
        name: attempt.execution_name.clone(),
        input: input.to_owned(),
        trace_root: mark(&run.uid(), attempt),
    }
}

/// Safe to repeat: AWS answers a repeat of a running execution with the first answer, and refuses one that has closed.
/// `unanswered` is since when an earlier call may have started it.
async fn start_standard(
    run: &mut Run<'_>,
    caller: &Caller,
    attempt: &Recorded,
    input: &str,
    unanswered: Option<Timestamp>,
) -> Result<Done, Failure> {
    fenced(run.ctx)?;
    match calls::start(run.ctx, caller, &request(run, attempt, input)).await {
        Ok(started) if own::by_name(run, attempt) => run.runs(started, false),
        Err(error) if error.kind != AwsErrorKind::ExecutionExists => {
            return Err(refusal::record(run, error, unanswered).await);
        }
        Ok(_) | Err(_) => {
            // A look is nobody's request, so it is made as the binding.
            let looks = session::looks(run).await?.caller;
            return Box::pin(own::take(run, &looks, attempt, Some(input))).await;
        }
    }
    run.write().await?;
    Ok(observe::follow(run))
}

/// AWS tells nothing of an Express execution after its start, unless its log does.
async fn dispatch(
    run: &mut Run<'_>,
    workflow: &Workflow,
    caller: &Caller,
    attempt: &Recorded,
    input: &str,
) -> Result<Done, Failure> {
    fenced(run.ctx)?;
    match calls::start(run.ctx, caller, &request(run, attempt, input)).await {
        Ok(started) => logged::handed_over(run, workflow, started).await,
        Err(error) => end::express_failed(run, error).await,
    }
}

/// Takes up to five minutes, so it runs beside the reconcile. A process that finds the attempt recorded and has no such
/// call under way reports `OutcomeUnknown`.
fn start_sync(run: &mut Run<'_>, caller: Caller, attempt: &Recorded, input: &str) -> Done {
    let (ctx, uid, object) = (run.ctx.clone(), run.uid(), (**run).clone());
    let request = request(run, attempt, input);
    if ctx.begin_flight(&uid) {
        tokio::spawn(async move {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            if fenced(&ctx).is_ok() {
                let answer = calls::start_sync(&ctx, &caller, &request).await;
                end::record_sync(object, &ctx, answer).await;
            }
            ctx.end_flight(&uid);
            ctx.tracker.wake(&namespace, &name);
        });
    }
    Done::again(Requeue::After(LOOKS_AGAIN))
}
