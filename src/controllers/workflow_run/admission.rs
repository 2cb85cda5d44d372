//! Whether something may start or go on now: whether it may at all, whose turn it is, and for whom it is asked.

use std::time::Duration;

use kube::ResourceExt;

use super::approval::Approved;
use super::result::Run;
use super::session::{self, Asked, Looks};
use crate::api::v1alpha1::{Attempt, REQUESTED_BY, RunsAs, TrustBinding, Workflow};
use crate::aws::{Caller, Execution};
use crate::controllers::authorization::Authorization;
use crate::controllers::guardrails;
use crate::controllers::named::named;
use crate::controllers::runner::{Done, publish};
use crate::kube::events::EventType;
use crate::outcome::{Failure, Requeue};
use crate::plan::guardrail::{self, Limits, Rule, Runs, Start};
use crate::plan::queue::Turn;
use crate::plan::run::execution_arn;
use crate::reason::Reason;

/// How often a run that waits for a slot of its Workflow is looked at: its message tells its position.
const RENEWED_EVERY: Duration = Duration::from_secs(300);
/// How often one that waits for a slot of its namespace asks again, so that its position in the line is not forgotten.
const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The Guardrails of the run's namespace.
pub(super) async fn rules(run: &Run<'_>) -> Result<Vec<Rule>, Failure> {
    guardrails::rules(run.ctx, &run.namespace()).await
}

/// Refuses to start what a Guardrail or the binding's list does not allow, judged by what will really run. `by` is what the run
/// goes by: the target itself, or the alias by which a version was chosen that was approved.
pub(super) async fn allowed(
    run: &Run<'_>,
    workflow: &Workflow,
    found: &Authorization,
    rules: &[Rule],
    target_arn: &str,
    by: &str,
) -> Result<(), Failure> {
    let aliases = workflow.status.as_ref().map(|status| status.aliases.as_slice()).unwrap_or_default();
    let runs = || guardrail::what_runs(target_arn, aliases);
    guardrails::may_start(run.ctx, run.cause(), rules, workflow, found, by, runs).await
}

/// What an attempt goes by.
pub(super) fn goes_by(attempt: &Attempt) -> &str {
    attempt.alias_arn.as_deref().unwrap_or(&attempt.target_arn)
}

/// Refuses to redrive an execution where a Guardrail or the binding's list does not allow what it runs: what it was started
/// as, whatever its Workflow has become.
pub(super) async fn may_redrive(
    run: &Run<'_>,
    looks: &Looks,
    attempt: &Attempt,
    found: Option<&Execution>,
) -> Result<Vec<Rule>, Failure> {
    let namespace = run.namespace();
    let rules = guardrails::rules(run.ctx, &namespace).await?;
    let binding = &looks.binding.binding.spec;
    let mut runs = Vec::new();
    if guardrail::needs_runs_as(&rules, binding) {
        let described;
        let execution = if let Some(found) = found {
            found
        } else {
            let arn = run.known().execution_arn.unwrap_or_else(|| execution_arn(attempt));
            described = run.ctx.executions.describe_execution(&looks.caller, &arn).await?;
            described.as_ref().ok_or_else(|| guardrail::unknown(&arn, "AWS does not show the execution"))?
        };
        let with_steps = guardrail::are_bounded(&rules, binding);
        runs.push(execution_runs_as(run, &looks.caller, execution, with_steps).await?);
    }
    let target_arn = goes_by(attempt);
    guardrail::may_start(&Start { namespace: &namespace, rules: &rules, binding, target_arn, runs: &runs })?;
    Ok(rules)
}

/// What an execution runs as. Without a version it runs what the state machine was when it began.
async fn execution_runs_as(
    run: &Run<'_>,
    looks: &Caller,
    execution: &Execution,
    with_steps: bool,
) -> Result<(String, RunsAs), Failure> {
    let workflow = named::<Workflow>(run.ctx, &run.namespace(), &run.spec.workflow_ref.name).await?;
    let arn = execution.version_arn.as_ref().unwrap_or(&execution.state_machine_arn);
    let unknown = || guardrail::unknown(&execution.arn, "the state machine may have been changed since it began");
    let runs = Runs::of(arn).ok_or_else(unknown)?;
    let runs_as = guardrails::runs_as(run.ctx, looks, workflow.as_ref(), &runs, with_steps).await?;
    let since = runs_as.unversioned_since.as_ref().map(|since| since.0);
    if runs.version.is_none() && since.is_none_or(|since| since > execution.started_at) {
        return Err(unknown());
    }
    Ok((runs.arn, runs_as))
}

/// Waits for its turn, and says when it asks again: where its Workflow has as many runs under way as `spec.maxConcurrentRuns`
/// says, where its namespace has as many as a Guardrail says, or has started as many in this second. Everything goes by this
/// before it is recorded: a first start, a further attempt, a redrive. A retry by `spec.retry` has the slot of its Workflow still,
/// and names none.
pub(super) async fn turn(
    run: &mut Run<'_>,
    workflow: Option<&Workflow>,
    rules: &[Rule],
) -> Result<Option<Done>, Failure> {
    if let Some(workflow) = workflow
        && let Turn::Waits { position, waiting, active } = run.ctx.watches.turn(run, workflow)
    {
        let max = workflow.spec.max_concurrent_runs.unwrap_or_default();
        let message = format!(
            "Position {position} of {waiting}: Workflow \"{}\" has {active} runs under way and allows {max} (spec.maxConcurrentRuns).",
            workflow.name_any()
        );
        run.waits_in_line();
        // The end of another run wakes it.
        return Ok(Some(queued(run, &message, RENEWED_EVERY).await));
    }
    if !run.is_over() {
        // Its end must be seen from here on: it frees what it gets.
        run.hold().await?;
    }
    let Limits { concurrent, per_second } = guardrail::limits(rules);
    if let Some((max, name)) = concurrent
        && let Err(position) = run.ctx.watches.slot(run, max)
    {
        let message =
            format!("Position {position}: Guardrail \"{name}\" lets this namespace have {max} runs under way at once.");
        return Ok(Some(queued(run, &message, ASKS_AGAIN_AFTER).await));
    }
    let Some((per_second, name)) = per_second else { return Ok(None) };
    let Err(wait) = run.ctx.watches.pace(run, per_second) else { return Ok(None) };
    let message = format!("Guardrail \"{name}\" lets this namespace start {per_second} runs a second.");
    Ok(Some(queued(run, &message, wait).await))
}

/// The status of a run that has ended tells how, until it goes on; so an event tells that it waits.
async fn queued(run: &mut Run<'_>, message: &str, again: Duration) -> Done {
    let over = run.is_over();
    if over {
        publish(&**run, EventType::Normal, Reason::RedriveQueued, message, run.ctx).await;
    } else {
        run.waits(Reason::Queued, message);
    }
    Done { release: over, ..Done::again(Requeue::After(again)) }
}

/// Who asked for a run is told while it waits too. With its start it is decided anew: what is believed now may not be by then.
pub(super) async fn tell_requester(run: &mut Run<'_>) -> Result<(), Failure> {
    let requester = run.ctx.attribution.stamped(&**run, REQUESTED_BY).await?;
    run.asked_for_by(requester);
    Ok(())
}

/// A session for the start: of whoever asked for the run, as far as that can be believed. Both are kept in the status. Who asked
/// for what was approved was proven before somebody else was asked.
pub(super) async fn session_of_requester(
    run: &mut Run<'_>,
    binding: &TrustBinding,
    target_arn: &str,
    approved: Option<&Approved>,
) -> Result<Caller, Failure> {
    let (requester, by) = match approved {
        Some(approved) => (Some(approved.requester.clone()), Some(approved.by.clone())),
        None => (run.ctx.attribution.stamped(&**run, REQUESTED_BY).await?, None),
    };
    let asked = Asked { requester: requester.clone(), approver: by.clone() };
    let caller = session::starts(run, &binding.name_any(), target_arn, asked).await?;
    run.asked_for_by(requester);
    if let Some(by) = by {
        run.approved_by(by);
    }
    run.starts_in(caller.session_name.clone());
    Ok(caller)
}
