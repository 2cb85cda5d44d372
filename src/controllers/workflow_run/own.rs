//! Whether the execution under a name that a run gave is the run's own. AWS answers a start with the execution that is there
//! already, so the answer alone proves nothing: the execution is described, and judged by what was recorded before.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Context, observe, refusal, start};
use crate::api::v1alpha1::{Attempt, StateMachineType, WorkflowRun};
use crate::aws::Caller;
use crate::controllers::runner::{Done, Work};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::ownership::{adopt, is_own_name, is_reserved};
use crate::plan::run;
use crate::reason::Reason;

/// Gives the run the execution name that it asks for, before anything is recorded.
pub(super) fn claim(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    machine_type: StateMachineType,
    target_arn: &str,
) -> Result<(), Failure> {
    let Some(name) = &work.object.spec.execution_name else { return Ok(()) };
    if is_reserved(name) {
        let message = format!(
            "spec.executionName \"{name}\" looks like a UID: executions are named so of runs that give no name. Create a run with another name."
        );
        return Err(Failure::new(Class::Terminal, Reason::ExecutionNameReserved, message));
    }
    // Names of Express executions may repeat (`StartExecution`, parameter `name`).
    if machine_type == StateMachineType::Express {
        return Ok(());
    }
    let machine = run::machine_arn(target_arn).replacen(":stateMachine:", ":execution:", 1);
    ctx.watches.claim(&work.object, &format!("{machine}:{name}"))
}

/// True where the name alone tells that an execution is the run's own.
pub(super) fn by_name(work: &Work<WorkflowRun>, attempt: &Attempt) -> bool {
    is_own_name(&work.object.uid().unwrap_or_default(), &attempt.execution_name)
}

/// Whether an execution that was found is only followed, not the run's own.
pub(super) fn is_adopted(
    work: &Work<WorkflowRun>,
    attempt: &Attempt,
    input: Option<&str>,
    found: &crate::aws::Execution,
) -> Result<bool, Failure> {
    adopt(&work.object.uid().unwrap_or_default(), attempt, input, found)
}

/// AWS has an execution under the attempt's name: it is taken as the run's own, or followed, or refused.
pub(super) async fn take(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    attempt: &Attempt,
    input: Option<&str>,
) -> Result<Done, Failure> {
    // A look is nobody's request, so it is made as the binding.
    let caller = super::session(work, ctx).await?;
    let arn = run::execution_arn(attempt);
    let found = match ctx.executions.describe_execution(&caller, &arn).await {
        Ok(Some(found)) => found,
        Ok(None) => return not_shown_yet(work, ctx).await,
        Err(error) => return Err(refusal::record(work, ctx, error, Some(Timestamp::now())).await),
    };
    let judged = if by_name(work, attempt) { Ok(()) } else { ctx.watches.claim(&work.object, &arn) };
    match judged.and_then(|()| is_adopted(work, attempt, input, &found)) {
        Ok(adopted) => start::started(work, arn, found.started_at, adopted),
        Err(failure) if failure.class == Class::Conflict => return Err(failure),
        Err(failure) => {
            // Nothing of this run can run under a name that is another's.
            work.status().refusal = None;
            refusal::note(work, ctx, failure.class, None).await;
            return Err(failure);
        }
    }
    work.write(ctx).await?;
    Ok(observe::follow(work, ctx))
}

/// AWS's answers lag: that it shows no execution proves nothing yet.
pub(super) async fn not_shown_yet(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    let pause = refusal::note(work, ctx, Class::Transient, Some(Timestamp::now())).await;
    work.conditions(|conditions| {
        conditions
            .progressing(Reason::Starting, "AWS does not show the execution yet. It is looked at again by itself.");
    });
    Ok(Done::again(Requeue::After(pause)))
}

/// Whether to stop what a run that is being deleted may have started under a name that it gave.
pub(super) enum ToStop {
    /// It is the run's own.
    Yes,
    /// It is another's, or there is none.
    No,
    /// AWS shows none, and a start may still be on its way.
    NotKnownYet,
}

/// Looks at what runs under the name of an attempt whose start nobody has an answer of.
pub(super) async fn to_stop(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    caller: &Caller,
    attempt: &Attempt,
) -> Result<ToStop, Failure> {
    let input = work.object.spec.input.as_ref().map(ToString::to_string);
    match ctx.executions.describe_execution(caller, &run::execution_arn(attempt)).await? {
        Some(found) if is_adopted(work, attempt, input.as_deref(), &found) == Ok(false) => Ok(ToStop::Yes),
        None if run::may_still_land(attempt.recorded_at.0, Timestamp::now()) => Ok(ToStop::NotKnownYet),
        Some(_) | None => Ok(ToStop::No),
    }
}
