//! What AWS refuses is asked for again after a pause that the status keeps, however often the run is woken in between.

use std::time::Duration;

use jiff::Timestamp;

use super::Context;
use crate::api::v1alpha1::{TrustBinding, Workflow, WorkflowRun};
use crate::aws::{AwsError, AwsErrorKind};
use crate::controllers::named::named;
use crate::controllers::runner::{Done, Work};
use crate::outcome::{Class, Classify, Failure, Requeue};
use crate::plan::refusal::{self, Refused};
use crate::plan::run::Step;

/// Records what AWS refused of the last attempt, and gives the failure to tell. `unanswered_at` is a time since which the
/// execution may have been started all the same.
pub(super) async fn record(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    error: AwsError,
    unanswered_at: Option<Timestamp>,
) -> Failure {
    let no_answer = error.kind == AwsErrorKind::Unavailable;
    let unanswered_at = unanswered_at.or(no_answer.then(Timestamp::now));
    note(work, ctx, error.class(), unanswered_at).await;
    error.into()
}

/// Records a refusal of a class, and gives the pause until it is asked for again.
pub(super) async fn note(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    class: Class,
    unanswered_at: Option<Timestamp>,
) -> Duration {
    let (now, jitter, longest) = (Timestamp::now(), rand::random(), ctx.settings.resync_interval);
    // Where it cannot be read now, the pause alone decides.
    let seen = seen(work, ctx).await.unwrap_or_default();
    let pause = refusal::record(work.status(), Refused { class, seen, unanswered_at, now, jitter, longest });
    if work.status().awaits_start() {
        ctx.watches.step_aside(&work.object);
    }
    pause
}

/// Holds back a start or redrive whose pause has not passed, unless what it depends on has changed.
pub(super) async fn holds(work: &Work<WorkflowRun>, ctx: &Context, step: &Step) -> Result<Option<Done>, Failure> {
    let Some(status) = work.object.status.as_ref().filter(|_| step.starts()) else { return Ok(None) };
    let (Some(left), Some(refusal)) = (refusal::pause_left(status, Timestamp::now()), &status.refusal) else {
        return Ok(None);
    };
    if !refusal.seen.is_empty() && seen(work, ctx).await? != refusal.seen {
        return Ok(None);
    }
    Ok(Some(Done::again(Requeue::After(left))))
}

/// Digest of what a start of the run depends on, as the API server has it now.
async fn seen(work: &Work<WorkflowRun>, ctx: &Context) -> Result<String, Failure> {
    let namespace = work.namespace();
    let workflow = named::<Workflow>(ctx, &namespace, &work.object.spec.workflow_ref.name).await?;
    let recorded = work.object.status.as_ref().map(super::binding_name).filter(|name| !name.is_empty());
    let binding = recorded.or_else(|| workflow.as_ref().map(|workflow| workflow.spec.trust_binding_ref.name.clone()));
    let binding = match binding {
        Some(name) => named::<TrustBinding>(ctx, &namespace, &name).await?,
        None => None,
    };
    Ok(refusal::seen(workflow.as_ref(), binding.as_ref()))
}
