//! Attempts: the first, those by `spec.retry`, and redrives that somebody asked for. Each is recorded before AWS is asked.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::approval::{Approved, Held};
use super::calls::Redriven;
use super::result::{Recorded, Run};
use super::session::{self, Asked, Looks};
use super::{admission, approval, calls, end, input, observe, own, refusal, start};
use crate::api::v1alpha1::{Attempt, AttemptCause, Phase, REDRIVE_REQUESTED_BY, RetryStrategy, Workflow};
use crate::aws::{AwsError, AwsErrorKind, Caller};
use crate::controllers::input_schemas::misfit_of;
use crate::controllers::named::named;
use crate::controllers::runner::{Done, fenced, publish};
use crate::digest::sha256_hex;
use crate::iam::binding_role::session::Purpose;
use crate::kube::events::EventType;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::retry::{self, RedriveStep};
use crate::plan::run;
use crate::plan::target::target;
use crate::reason::Reason;

/// How long to wait for AWS to show what is known to have happened.
const SHOWN_LATER: Duration = Duration::from_secs(1);

/// A first attempt whose turn it is.
struct Ready {
    workflow: Workflow,
    caller: Caller,
    attempt: Attempt,
    input: String,
    approved: Option<Approved>,
}

/// The first: everything is resolved and its turn has come before it is recorded.
pub(super) async fn first(run: &mut Run<'_>) -> Result<Done, Failure> {
    run.pending();
    let ready = match ready(run).await {
        Ok(ControlFlow::Continue(ready)) => ready,
        Ok(ControlFlow::Break(later)) => return Ok(later),
        Err(failure) => {
            if failure.class != Class::Conflict {
                run.ctx.watches.step_aside(run);
            }
            return Err(failure);
        }
    };
    let attempt = run.record_first(ready.attempt).await?;
    approval::tell(run, ready.approved.as_ref()).await;
    start::start(run, &ready.workflow, ready.caller, &attempt, &ready.input).await
}

/// Resolves what the run names, and waits for its turn.
async fn ready(run: &mut Run<'_>) -> Result<ControlFlow<Done, Ready>, Failure> {
    admission::tell_requester(run).await?;
    let (workflow, binding) = input::workflow_and_binding(run).await?;
    let target_arn = target(&workflow, &run.spec.workflow_ref)?;
    let rules = admission::rules(run).await?;
    // Before AWS is asked for anything: what waits for an approval asks for nothing.
    let asks = match Box::pin(approval::first(run, &workflow, &binding, &target_arn, &rules)).await? {
        ControlFlow::Continue(asks) => asks,
        ControlFlow::Break(held) => return held.of_start(run).await.map(ControlFlow::Break),
    };
    admission::allowed(run, &workflow, &binding, &rules, &target_arn, &target_arn).await?;
    let machine_type = workflow.spec.machine_type;
    retry::check_mode(&run.spec, machine_type)?;
    run::check_lengths(&run.spec)?;
    let input = input::read(run).await?;
    if let Some(why) = misfit_of(run.ctx, &workflow, &target_arn, &input).await? {
        return Ok(ControlFlow::Break(run.ends_unstarted(Phase::Failed, Reason::InputInvalid, &why)));
    }
    let approved = match Box::pin(approval::pass(run, asks, &binding)).await? {
        ControlFlow::Continue(approved) => approved,
        ControlFlow::Break(later) => return Ok(ControlFlow::Break(later)),
    };
    own::claim(run, machine_type, &target_arn)?;
    if let Some(later) = admission::turn(run, Some(&workflow), &rules).await? {
        return Ok(ControlFlow::Break(later));
    }
    let target_arn = approved.as_ref().map_or(target_arn, |approved| approved.target_arn.clone());
    let caller = admission::session_of_requester(run, &binding.binding, &target_arn, approved.as_ref()).await?;
    let attempt = first_attempt(run, &workflow, target_arn, &input, approved.as_ref());
    Ok(ControlFlow::Continue(Ready { workflow, caller, attempt, input, approved }))
}

/// The first attempt. One that AWS has refused keeps the time at which it was first recorded.
fn first_attempt(
    run: &Run<'_>,
    workflow: &Workflow,
    target_arn: String,
    input: &str,
    approved: Option<&Approved>,
) -> Attempt {
    let status = run.known();
    let recorded_at = status.attempts.into_iter().next().map(|refused| refused.recorded_at);
    Attempt {
        number: 1,
        execution_name: run.spec.execution_name.clone().unwrap_or_else(|| run.uid()),
        target_arn,
        trust_binding_name: workflow.spec.trust_binding_ref.name.clone(),
        input_digest: sha256_hex(input.as_bytes()),
        recorded_at: recorded_at.unwrap_or_else(|| Time(Timestamp::now())),
        redrive_count: 0,
        cause: AttemptCause::Run,
        requested_by: status.requested_by,
        approved_by: approved.map(|approved| approved.by.clone()),
        alias_arn: approved.and_then(|approved| approved.alias_arn.clone()),
        finished_at: None,
        error: None,
    }
}

/// The next attempt, by `spec.retry`.
pub(super) async fn retry(run: &mut Run<'_>) -> Result<Done, Failure> {
    let strategy = run.spec.retry.as_ref().map(|retry| retry.strategy);
    let next = retry::next_attempt(&run.spec, &run.known(), &run.uid(), Timestamp::now());
    let (Some(attempt), Some(strategy)) = (next, strategy) else {
        let message = "The run waits for another attempt and has no spec.retry. Create another run.";
        return Ok(run.ends_unstarted(Phase::Failed, Reason::RetryMissing, message));
    };
    match strategy {
        RetryStrategy::Redrive => redrive(run, attempt, None).await,
        RetryStrategy::Restart => restart(run, attempt).await,
    }
}

/// Everything is resolved before the attempt is recorded, because an Express start that was recorded is never repeated.
async fn restart(run: &mut Run<'_>, attempt: Attempt) -> Result<Done, Failure> {
    // spec.retry asks for it and no person does, so it is made as the binding.
    let (workflow, found) = input::workflow_and_binding(run).await?;
    if let Some(why) = retry::is_of_an_earlier_workflow(&workflow, &run.known(), &attempt.target_arn) {
        return Ok(run.ends_unstarted(Phase::Failed, Reason::WorkflowReplaced, &why));
    }
    let rules = admission::rules(run).await?;
    let by = admission::goes_by(&attempt);
    admission::allowed(run, &workflow, &found, &rules, &attempt.target_arn, by).await?;
    let purpose = Purpose::Run(run::machine_name(&attempt.target_arn).unwrap_or_default());
    let caller = found.session(run.ctx, run.cause(), &purpose).await?;
    let input = input::read(run).await?;
    if !input::is_of(&input, &attempt) {
        let message = "The execution failed, and its input was changed since; it is not tried again with another input. Create another run.";
        return Ok(run.ends_unstarted(Phase::Failed, Reason::InputChanged, message));
    }
    if let Some(why) = misfit_of(run.ctx, &workflow, &attempt.target_arn, &input).await? {
        let message = format!("The execution failed and is not tried again. {why}");
        return Ok(run.ends_unstarted(Phase::Failed, Reason::InputInvalid, &message));
    }
    if let Some(later) = admission::turn(run, None, &rules).await? {
        return Ok(later);
    }
    let attempt = run.record_next(attempt, None).await?;
    start::start(run, &workflow, caller, &attempt, &input).await
}

/// A redrive that somebody asked for.
pub(super) async fn redrive_as_asked(run: &mut Run<'_>) -> Result<Done, Failure> {
    let token = run.redrive_asked().map(str::to_owned);
    let Some(mut attempt) = retry::redrive_attempt(&run.known(), AttemptCause::Asked, Timestamp::now()) else {
        return refuse(run, "No execution of this run was started. Create another run.").await;
    };
    attempt.requested_by = run.ctx.attribution.stamped(&**run, REDRIVE_REQUESTED_BY).await?;
    let done = redrive(run, attempt, token).await;
    if run.wants_redrive() && done.as_ref().is_err_and(|failure| failure.class != Class::Conflict) {
        run.ctx.watches.step_aside(run);
    }
    done
}

/// Says why a redrive that somebody asked for is not made; the same token does not ask again.
pub(super) async fn refuse(run: &mut Run<'_>, why: &str) -> Result<Done, Failure> {
    approval::withdraw(run).await?;
    run.record_no_redrive().await?;
    publish(&**run, EventType::Warning, Reason::RedriveRefused, why, run.ctx).await;
    Ok(Done { release: run.is_over(), ..Done::again(Requeue::After(SHOWN_LATER)) })
}

async fn redrive(run: &mut Run<'_>, mut attempt: Attempt, asked: Option<String>) -> Result<Done, Failure> {
    let looks = session::looks(run).await?;
    // One that had ended has given its slot up; a retry by spec.retry has it still.
    let workflow = match &asked {
        Some(_) => named::<Workflow>(run.ctx, &run.namespace(), &run.spec.workflow_ref.name).await?,
        None => None,
    };
    let asks = if asked.is_some() {
        match Box::pin(approval::redrive(run, workflow.as_ref(), &looks, &attempt)).await {
            Ok(ControlFlow::Continue(asks)) => asks,
            Ok(ControlFlow::Break(Held::Waits(later))) => return Ok(later),
            Ok(ControlFlow::Break(Held::Refused((_, message)))) => return refuse(run, &message).await,
            Err(failure) if failure.class == Class::Terminal => return refuse(run, &failure.message).await,
            Err(failure) => return Err(failure),
        }
    } else {
        None
    };
    let rules = match admission::may_redrive(run, &looks, &attempt, None).await {
        Ok(rules) => rules,
        // What somebody asked for is answered; a retry waits until it may.
        Err(failure) if asked.is_some() && !matches!(failure.class, Class::Conflict | Class::Transient) => {
            return refuse(run, &failure.message).await;
        }
        Err(failure) => return Err(failure),
    };
    let approved = match Box::pin(approval::pass(run, asks, &looks.binding)).await {
        Ok(ControlFlow::Continue(approved)) => approved,
        Ok(ControlFlow::Break(later)) => return Ok(later),
        Err(failure) if failure.class == Class::Terminal => return refuse(run, &failure.message).await,
        Err(failure) => return Err(failure),
    };
    if let Some(approved) = &approved {
        (attempt.requested_by, attempt.approved_by) = (Some(approved.requester.clone()), Some(approved.by.clone()));
        run.approved_by(approved.by.clone());
    }
    if let Some(later) = admission::turn(run, workflow.as_ref(), &rules).await? {
        return Ok(later);
    }
    let attempt = run.record_next(attempt, asked).await?;
    approval::tell(run, approved.as_ref()).await;
    go_on(run, &looks, &attempt).await
}

/// A redrive was recorded, and the process that recorded it did not come to write what became of it.
pub(super) async fn resume_redrive(run: &mut Run<'_>, attempt: Attempt) -> Result<Done, Failure> {
    let attempt = run.recorded(attempt).await?;
    let looks = session::looks(run).await?;
    go_on(run, &looks, &attempt).await
}

/// Asks for the recorded redrive, where AWS shows that it was not made yet.
async fn go_on(run: &mut Run<'_>, looks: &Looks, attempt: &Recorded) -> Result<Done, Failure> {
    let arn = run.known().execution_arn.unwrap_or_else(|| run::execution_arn(attempt));
    let (later, is_early) =
        (Done::again(Requeue::After(SHOWN_LATER)), run::may_be_invisible(attempt.recorded_at.0, Timestamp::now()));
    let Some(shown) = calls::describe(run.ctx, &looks.caller, &arn).await? else {
        return Ok(if is_early { later } else { has_gone(run, &arn) });
    };
    match shown.redriven(attempt) {
        Ok(redriven) => return under_way(run, &redriven).await,
        Err(RedriveStep::Ask) => {}
        Err(_) => return Ok(later),
    }
    // It was recorded after its turn, and has its slot.
    let rules = admission::may_redrive(run, looks, attempt, Some(&shown)).await?;
    let workflow = named::<Workflow>(run.ctx, &run.namespace(), &run.spec.workflow_ref.name).await?;
    match Box::pin(approval::still(run, workflow.as_ref(), &rules, &looks.binding, attempt)).await {
        Err(failure) if failure.reason == Reason::ApprovalTimedOut => {
            return Ok(run.ends_unstarted(Phase::Failed, failure.reason, &failure.message));
        }
        approved => approved?,
    }
    let asked = Asked::from(&**attempt);
    let caller = session::starts(run, &attempt.trust_binding_name, &attempt.target_arn, asked).await?;
    fenced(run.ctx)?;
    let token = format!("{}-{}", run.uid(), attempt.redrive_count);
    match calls::redrive(run.ctx, &caller, &arn, &token, attempt).await {
        Ok(redriven) => under_way(run, &redriven).await,
        Err(error) if is_running(&error) && is_early => Ok(later),
        Err(error) if error.kind == AwsErrorKind::NotFound && !is_early => Ok(has_gone(run, &arn)),
        Err(error) if error.kind == AwsErrorKind::NotRedrivable => {
            end::not_redriven(run, &looks.caller, &shown, &error.message).await
        }
        Err(error) => Err(refusal::record(run, error, None).await),
    }
}

/// The execution that was to be redriven is no more.
pub(super) fn has_gone(run: &mut Run<'_>, arn: &str) -> Done {
    let message = format!(
        "AWS shows no execution {arn} any more, so it is not redriven. It was deleted, or its history has expired. Create another run."
    );
    run.ends_unstarted(Phase::Failed, Reason::ExecutionNotFound, &message)
}

/// Somebody else has redriven it at the same time, and a description will show it.
fn is_running(error: &AwsError) -> bool {
    error.kind == AwsErrorKind::NotRedrivable && error.message.contains("RUNNING")
}

async fn under_way(run: &mut Run<'_>, redriven: &Redriven) -> Result<Done, Failure> {
    run.goes_on(redriven);
    run.write().await?;
    Ok(observe::follow(run))
}
