//! A run that is cancelled while nobody has AWS's answer to its start or redrive: it is asked for no more, and what it may have
//! started is stopped.

use jiff::Timestamp;

use super::result::Run;
use super::stop::LANDS_LATER;
use super::{attempt, calls, end, own, session, start, stop};
use crate::api::v1alpha1::{Attempt, Phase, StateMachineType, StopIntent, Workflow};
use crate::aws::AwsErrorKind;
use crate::controllers::named::named_at_the_end;
use crate::controllers::runner::Done;
use crate::outcome::{Failure, Requeue};
use crate::plan::ownership::adopt;
use crate::plan::run;
use crate::reason::Reason;

/// A start: it is stopped by its name, which is known before AWS answers, until no call of ours can land any more.
pub(super) async fn a_start(run: &mut Run<'_>, recorded: Attempt) -> Result<Done, Failure> {
    let recorded = run.recorded(recorded).await?;
    let workflow = named_at_the_end::<Workflow>(run.ctx, &run.namespace(), &run.spec.workflow_ref.name).await?;
    if workflow.is_some_and(|workflow| workflow.spec.machine_type == StateMachineType::Express) {
        return Ok(start::unknown(run));
    }
    stop::intend(run, StopIntent::Cancel).await?;
    let (arn, by_name) = (run::execution_arn(&recorded), own::by_name(run, &recorded));
    if by_name {
        stop_what_is_there(run, &arn).await?;
    }
    let looks = session::looks(run).await?;
    let shown = calls::describe(run.ctx, &looks.caller, &arn).await?;
    let is_own = |execution| by_name || adopt(&run.uid(), &recorded, None, execution) == Ok(false);
    match shown {
        Some(shown) if is_own(&shown) => {
            run.runs(shown.started(), false);
            run.write().await?;
            stop::stop(run, &arn, StopIntent::Cancel).await
        }
        None if may_still_land(run) => Ok(Done::again(Requeue::After(LANDS_LATER))),
        // What has the name is another's, so nothing of this run can have it.
        Some(_) | None => {
            let message = "The run was cancelled before AWS had answered its start, and AWS shows no execution of it.";
            Ok(run.ends_unstarted(Phase::Aborted, Reason::Cancelled, message))
        }
    }
}

/// A redrive: where it was made it is stopped, and otherwise the run has ended as it had before.
pub(super) async fn a_redrive(run: &mut Run<'_>, recorded: Attempt) -> Result<Done, Failure> {
    let recorded = run.recorded(recorded).await?;
    stop::intend(run, StopIntent::Cancel).await?;
    let arn = run.known().execution_arn.unwrap_or_else(|| run::execution_arn(&recorded));
    stop_what_is_there(run, &arn).await?;
    let looks = session::looks(run).await?;
    let shown = calls::describe(run.ctx, &looks.caller, &arn).await?;
    match shown {
        Some(shown) => match shown.redriven(&recorded) {
            Ok(redriven) => {
                run.goes_on(&redriven);
                run.write().await?;
                stop::stop(run, &arn, StopIntent::Cancel).await
            }
            Err(_) if may_still_land(run) => Ok(Done::again(Requeue::After(LANDS_LATER))),
            Err(_) => end::not_redriven(run, &looks.caller, &shown, "the run was cancelled first").await,
        },
        None if may_still_land(run) => Ok(Done::again(Requeue::After(LANDS_LATER))),
        None => Ok(attempt::has_gone(run, &arn)),
    }
}

/// After the intent to stop was recorded nothing is asked for any more, by whichever process.
fn may_still_land(run: &Run<'_>) -> bool {
    run.known().stop.is_some_and(|stop| run::may_still_land(stop.recorded_at.0, Timestamp::now()))
}

/// AWS knows by a stop what runs before it describes it. That there is nothing, or that it has ended, is no failure.
async fn stop_what_is_there(run: &Run<'_>, arn: &str) -> Result<(), Failure> {
    match stop::ask(run, arn, StopIntent::Cancel).await? {
        Err(error) if !matches!(error.kind, AwsErrorKind::NotFound | AwsErrorKind::Rejected) => Err(error.into()),
        _ => Ok(()),
    }
}
