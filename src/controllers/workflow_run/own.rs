//! Whether the execution under a name that a run gave is the run's own. AWS answers a start with the execution that is there
//! already, so the answer alone proves nothing: the execution is described, and judged by what was recorded before.

use jiff::Timestamp;

use super::calls;
use super::result::Run;
use super::{observe, refusal};
use crate::api::v1alpha1::{Attempt, StateMachineType};
use crate::aws::Caller;
use crate::controllers::runner::Done;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::ownership::{adopt, is_own_name, is_reserved};
use crate::plan::run;
use crate::reason::Reason;

/// Gives the run the execution name that it asks for, before anything is recorded.
pub(super) fn claim(run: &Run<'_>, machine_type: StateMachineType, target_arn: &str) -> Result<(), Failure> {
    let Some(name) = &run.spec.execution_name else { return Ok(()) };
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
    run.ctx.watches.claim(run, &format!("{machine}:{name}"))
}

/// True where the name alone tells that an execution is the run's own.
pub(super) fn by_name(run: &Run<'_>, attempt: &Attempt) -> bool {
    is_own_name(&run.uid(), &attempt.execution_name)
}

/// AWS has an execution under the attempt's name: it is taken as the run's own, or followed, or refused.
pub(super) async fn take(
    run: &mut Run<'_>,
    looks: &Caller,
    attempt: &Attempt,
    input: Option<&str>,
) -> Result<Done, Failure> {
    let arn = run::execution_arn(attempt);
    let shown = match calls::describe(run.ctx, looks, &arn).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return not_shown_yet(run).await,
        Err(error) => return Err(refusal::record(run, error, Some(Timestamp::now())).await),
    };
    let judged = if by_name(run, attempt) { Ok(()) } else { run.ctx.watches.claim(run, &arn) };
    match judged.and_then(|()| adopt(&run.uid(), attempt, input, &shown)) {
        Ok(adopted) => run.runs(shown.started(), adopted),
        Err(failure) if failure.class == Class::Conflict => return Err(failure),
        Err(failure) => {
            run.not_refused();
            refusal::note(run, failure.class, None).await;
            return Err(failure);
        }
    }
    run.write().await?;
    Ok(observe::follow(run))
}

/// AWS's answers lag: that it shows no execution proves nothing yet.
async fn not_shown_yet(run: &mut Run<'_>) -> Result<Done, Failure> {
    let pause = refusal::note(run, Class::Transient, Some(Timestamp::now())).await;
    run.waits(Reason::Starting, "AWS does not show the execution yet. It is looked at again by itself.");
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

/// Looks at what runs under the name of an attempt whose start nobody has an answer of, and which was repeated until the run was
/// deleted.
pub(super) async fn to_stop(
    run: &Run<'_>,
    looks: &Caller,
    attempt: &Attempt,
    deleted_at: Timestamp,
) -> Result<ToStop, Failure> {
    let input = run.spec.input.as_ref().map(ToString::to_string);
    match calls::describe(run.ctx, looks, &run::execution_arn(attempt)).await? {
        Some(shown) if adopt(&run.uid(), attempt, input.as_deref(), &shown) == Ok(false) => Ok(ToStop::Yes),
        None if run::may_still_land(deleted_at, Timestamp::now()) => Ok(ToStop::NotKnownYet),
        Some(_) | None => Ok(ToStop::No),
    }
}
