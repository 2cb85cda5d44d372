//! Whether a run may start now, and as whom.

use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::v1alpha1::{Attempt, REQUESTED_BY, RunsAs, TrustBinding, Workflow, WorkflowRun};
use crate::aws::{Caller, Execution};
use crate::controllers::attribution::stamped;
use crate::controllers::dereference::{Authorization, session_as, session_for};
use crate::controllers::named::named;
use crate::controllers::runner::{Done, Work, publish};
use crate::controllers::{Context, guardrails};
use crate::iam::binding_role::session::Purpose;
use crate::kube::events::EventType;
use crate::outcome::{Failure, Requeue};
use crate::plan::guardrail::{self, Limits, Rule, Runs, Start};
use crate::plan::queue::Turn;
use crate::plan::run::{execution_arn, machine_name};
use crate::reason::Reason;

/// Refuses to start what a Guardrail or the binding's list does not allow, judged by what will really run.
pub(super) async fn allowed(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    workflow: &Workflow,
    found: &Authorization,
    target_arn: &str,
) -> Result<Vec<Rule>, Failure> {
    let namespace = work.namespace();
    let rules = guardrails::rules(ctx, &namespace).await?;
    let aliases = workflow.status.as_ref().map(|status| status.aliases.as_slice()).unwrap_or_default();
    let runs = || guardrail::what_runs(target_arn, aliases);
    guardrails::may_start(ctx, &work.cause, &rules, workflow, found, target_arn, runs).await?;
    Ok(rules)
}

/// Refuses to redrive an execution where a Guardrail or the binding's list does not allow what it runs: what it was started
/// as, whatever its Workflow has become.
pub(super) async fn may_redrive(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    attempt: &Attempt,
    found: Option<&Execution>,
) -> Result<Vec<Rule>, Failure> {
    let namespace = work.namespace();
    let rules = guardrails::rules(ctx, &namespace).await?;
    let purpose = Purpose::Observe(machine_name(&attempt.target_arn));
    let (found_binding, caller) =
        session_for(ctx, &work.cause, &namespace, &attempt.trust_binding_name, &purpose).await?;
    let binding = &found_binding.binding.spec;
    let mut runs = Vec::new();
    if guardrail::needs_runs_as(&rules, binding) {
        let status = work.object.status.as_ref();
        let arn = status.and_then(|status| status.execution_arn.clone()).unwrap_or_else(|| execution_arn(attempt));
        let execution = match found {
            Some(found) => found.clone(),
            None => ctx
                .executions
                .describe_execution(&caller, &arn)
                .await?
                .ok_or_else(|| guardrail::unknown(&arn, "AWS does not show the execution"))?,
        };
        runs.push(execution_runs_as(work, ctx, &caller, &execution).await?);
    }
    let target_arn = attempt.target_arn.as_str();
    guardrail::may_start(&Start { namespace: &namespace, rules: &rules, binding, target_arn, runs: &runs })?;
    Ok(rules)
}

/// What an execution runs as. Without a version it runs what the state machine was when it began.
async fn execution_runs_as(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    caller: &Caller,
    execution: &Execution,
) -> Result<(String, RunsAs), Failure> {
    let workflow = named::<Workflow>(ctx, &work.namespace(), &work.object.spec.workflow_ref.name).await?;
    let arn = execution.version_arn.as_ref().unwrap_or(&execution.state_machine_arn);
    let unknown = || guardrail::unknown(&execution.arn, "the state machine may have been changed since it began");
    let runs = Runs::of(arn).ok_or_else(unknown)?;
    let runs_as = guardrails::runs_as(ctx, caller, workflow.as_ref(), &runs).await?;
    let since = runs_as.unversioned_since.as_ref().map(|since| since.0);
    if runs.version.is_none() && since.is_none_or(|since| since > execution.started_at) {
        return Err(unknown());
    }
    Ok((runs.arn, runs_as))
}

/// Waits for its turn where the Workflow has as many runs under way as `spec.maxConcurrentRuns` says: whatever starts, and
/// whatever goes on after its end. The end of another run wakes it; the slow look renews the position that its message tells.
pub(super) async fn in_line(work: &mut Work<WorkflowRun>, ctx: &Context, workflow: &Workflow) -> Option<Done> {
    const RENEWED_EVERY: Duration = Duration::from_secs(300);
    let Turn::Waits { position, waiting, active } = ctx.watches.turn(&work.object, workflow) else { return None };
    let max = workflow.spec.max_concurrent_runs.unwrap_or_default();
    let message = format!(
        "Position {position} of {waiting}: Workflow \"{}\" has {active} runs under way and allows {max} (spec.maxConcurrentRuns).",
        workflow.name_any()
    );
    let status = work.status();
    if !status.phase.unwrap_or_default().is_finished() {
        // It waits as if AWS had never refused it, so that its position in the line is kept.
        (status.refusal, status.attempts) = (None, Vec::new());
    }
    Some(queued(work, ctx, &message, RENEWED_EVERY).await)
}

/// Waits where the namespace has as many runs under way as it may, or has started as many in this second. Every start goes by
/// this before it is recorded: of a run, of a further attempt, of a redrive.
pub(super) async fn waits(work: &mut Work<WorkflowRun>, ctx: &Context, rules: &[Rule]) -> Option<Done> {
    let Limits { concurrent, per_second } = guardrail::limits(rules);
    if let Some((max, name)) = concurrent
        && let Err(position) = ctx.guardrails.take_slot(&work.object, max)
    {
        let message =
            format!("Position {position}: Guardrail \"{name}\" lets this namespace have {max} runs under way at once.");
        // The end of another run wakes it.
        return Some(queued(work, ctx, &message, ASKS_AGAIN_AFTER).await);
    }
    let (per_second, name) = per_second?;
    let (namespace, uid) = (work.namespace(), work.object.uid().unwrap_or_default());
    let wait = ctx.guardrails.take_turn(&namespace, &uid, per_second, Instant::now()).err()?;
    let message = format!("Guardrail \"{name}\" lets this namespace start {per_second} runs a second.");
    Some(queued(work, ctx, &message, wait).await)
}

/// A run that waits for a slot asks again so often, so that its position in the line is not forgotten.
const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The status of a run that has ended tells how, until it goes on; so an event tells that it waits.
async fn queued(work: &mut Work<WorkflowRun>, ctx: &Context, message: &str, again: Duration) -> Done {
    let finished = work.status().phase.unwrap_or_default().is_finished();
    if finished {
        publish(&work.object, EventType::Normal, Reason::RedriveQueued, message, ctx).await;
    } else {
        work.conditions(|conditions| {
            conditions.progressing(Reason::Queued, message);
        });
    }
    Done { release: finished, ..Done::again(Requeue::After(again)) }
}

/// A run is over or gone: the first that waits for a slot is looked at.
pub(super) fn free(work: &Work<WorkflowRun>, ctx: &Context) {
    if let Some(next) = ctx.guardrails.end(&work.object) {
        ctx.tracker.wake(&work.namespace(), &next);
    }
}

/// A session for the start: of whoever asked for the run, as far as that can be believed. Both are kept in the status.
pub(super) async fn session_of_requester(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    binding: &TrustBinding,
    target_arn: &str,
) -> Result<Caller, Failure> {
    let requester = stamped(ctx, &work.object, REQUESTED_BY).await?;
    let purpose = Purpose::Run(machine_name(target_arn).unwrap_or_default());
    let caller =
        session_as(ctx, &work.cause, &work.namespace(), &binding.name_any(), &purpose, requester.clone()).await?;
    let status = work.status();
    status.requested_by = requester;
    status.session_name = Some(caller.session_name.clone());
    Ok(caller)
}
