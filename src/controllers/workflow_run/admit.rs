//! Whether a run may start now, and as whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::v1alpha1::{REQUESTED_BY, TrustBinding, Workflow, WorkflowRun};
use crate::aws::Session;
use crate::controllers::attribution::stamped;
use crate::controllers::dereference::session_as;
use crate::controllers::runner::{Done, Work};
use crate::controllers::{Context, guardrails};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::guardrail::{self, Limits, REFUSED, Rule};
use crate::status::{READY, find};

/// Refuses what a Guardrail forbids.
pub(super) async fn allowed(
    work: &Work<WorkflowRun>,
    ctx: &Context,
    workflow: &Workflow,
    binding: &TrustBinding,
    target_arn: &str,
) -> Result<Vec<Rule>, Failure> {
    let namespace = work.namespace();
    let rules = guardrails::rules(ctx, &namespace).await?;
    guardrail::check_binding(&rules, &namespace, &binding.spec)?;
    guardrail::check_target(&rules, &namespace, target_arn)?;
    let ready = workflow.status.as_ref().and_then(|status| find(&status.conditions, READY));
    match ready.filter(|ready| ready.reason == REFUSED) {
        Some(ready) => {
            let message = format!("Workflow \"{}\" is refused: {}", workflow.name_any(), ready.message);
            Err(Failure::new(Class::Waiting, REFUSED, message))
        }
        None => Ok(rules),
    }
}

/// Waits where the namespace has as many runs under way as it may, or has started as many in this second.
pub(super) fn waits(work: &mut Work<WorkflowRun>, ctx: &Context, rules: &[Rule]) -> Option<Done> {
    let Limits { concurrent, per_second } = guardrail::limits(rules);
    if let Some((max, name)) = concurrent
        && let Err(position) = ctx.guardrails.take_place(&work.object, max)
    {
        let message =
            format!("Position {position}: Guardrail \"{name}\" lets this namespace have {max} runs under way at once.");
        // The end of another run wakes it.
        return Some(queued(work, &message, ASKS_AGAIN_AFTER));
    }
    let (per_second, name) = per_second?;
    let (namespace, uid) = (work.namespace(), work.object.uid().unwrap_or_default());
    let wait = ctx.guardrails.take_turn(&namespace, &uid, per_second, Instant::now()).err()?;
    let message = format!("Guardrail \"{name}\" lets this namespace start {per_second} runs a second.");
    Some(queued(work, &message, wait))
}

/// A run that waits for a place asks again so often, so that its place in the line is not forgotten.
const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(30);

fn queued(work: &mut Work<WorkflowRun>, message: &str, again: Duration) -> Done {
    work.conditions(|conditions| {
        conditions.progressing("Queued", message);
    });
    Done::again(Requeue::After(again))
}

/// A run is over or gone: the first that waits for its place is looked at.
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
) -> Result<Arc<Session>, Failure> {
    let requester = stamped(ctx, &work.object, REQUESTED_BY).await?;
    let session = session_as(ctx, &work.namespace(), &binding.name_any(), requester.clone()).await?;
    let status = work.status();
    status.requested_by = requester;
    status.session_name = Some(session.session_name.clone());
    Ok(session)
}
