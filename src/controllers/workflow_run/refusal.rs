//! What AWS refuses is asked for again after a pause that the status keeps, however often the run is woken in between.

use std::time::Duration;

use jiff::Timestamp;

use super::result::Run;
use super::session::binding_name;
use crate::api::v1alpha1::{TrustBinding, Workflow, WorkflowRunStatus};
use crate::aws::{AwsError, AwsErrorKind};
use crate::controllers::named::named;
use crate::controllers::runner::Done;
use crate::outcome::{Class, Classify, Failure, Requeue};
use crate::plan::refusal::{self, Refused};
use crate::plan::run::Step;

/// Records what AWS refused of the last attempt, and gives the failure to tell. `unanswered_at` is a time since which the
/// execution may have been started all the same.
pub(super) async fn record(run: &mut Run<'_>, error: AwsError, unanswered_at: Option<Timestamp>) -> Failure {
    let no_answer = error.kind == AwsErrorKind::Unavailable;
    let unanswered_at = unanswered_at.or(no_answer.then(Timestamp::now));
    note(run, error.class(), unanswered_at).await;
    error.into()
}

/// Records a refusal of a class, and gives the pause until it is asked for again.
pub(super) async fn note(run: &mut Run<'_>, class: Class, unanswered_at: Option<Timestamp>) -> Duration {
    let (now, jitter, longest) = (Timestamp::now(), rand::random(), run.ctx.settings.resync_interval);
    // Where it cannot be read now, the pause alone decides.
    let seen = seen(run).await.unwrap_or_default();
    let pause = run.refused(Refused { class, seen, unanswered_at, now, jitter, longest });
    if run.status.as_ref().is_some_and(WorkflowRunStatus::awaits_start) {
        run.ctx.watches.step_aside(run);
    }
    pause
}

/// Holds back a start or redrive whose pause has not passed, unless what it depends on has changed.
pub(super) async fn holds(run: &Run<'_>, step: &Step) -> Result<Option<Done>, Failure> {
    let Some(status) = run.status.as_ref().filter(|_| step.starts()) else { return Ok(None) };
    let (Some(left), Some(refusal)) = (refusal::pause_left(status, Timestamp::now()), &status.refusal) else {
        return Ok(None);
    };
    if !refusal.seen.is_empty() && seen(run).await? != refusal.seen {
        return Ok(None);
    }
    Ok(Some(Done::again(Requeue::After(left))))
}

/// Digest of what a start of the run depends on, as the API server has it now.
async fn seen(run: &Run<'_>) -> Result<String, Failure> {
    let namespace = run.namespace();
    let workflow = named::<Workflow>(run.ctx, &namespace, &run.spec.workflow_ref.name).await?;
    let recorded = run.status.as_ref().map(binding_name).filter(|name| !name.is_empty());
    let binding = recorded.or_else(|| workflow.as_ref().map(|workflow| workflow.spec.trust_binding_ref.name.clone()));
    let binding = match binding {
        Some(name) => named::<TrustBinding>(run.ctx, &namespace, &name).await?,
        None => None,
    };
    Ok(refusal::seen(workflow.as_ref(), binding.as_ref()))
}
