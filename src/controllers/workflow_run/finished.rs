//! What is left to do for a run that has ended: an output that is owed, and its own deletion. Memory holds less of such a run
//! than its status may be written from, so it is read anew before anything is written.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};

use super::result::Run;
use super::{output, session};
use crate::api::v1alpha1::{DurationString, WorkflowRun};
use crate::controllers::runner::{Done, fenced};
use crate::kube::api_failure;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run::{self, Step};
use crate::reason::Reason;
use crate::runs::awaits_right;

/// What the run needs next, by what is known of it.
pub(super) fn next(run: &WorkflowRun) -> Step {
    let status = run.status.clone().unwrap_or_default();
    run::next(&run.spec, &status, run.redrive_asked(), Timestamp::now())
}

/// Takes the run as the API server has it, whole, and decides from that. Memory may hold less of a run that has ended than its
/// status may be written from, and may lag behind what was written before: a write on condition of what was read just now
/// would not notice.
pub(super) async fn decide_anew(run: &mut Run<'_>) -> Result<Step, Failure> {
    let api = Api::<WorkflowRun>::namespaced(run.ctx.client.clone(), &run.namespace());
    let conflict = |message: &str| Failure::new(Class::Conflict, Reason::Conflict, message);
    let fresh = api.get(&run.name_any()).await.map_err(|error| conflict(&api_failure(&error).message))?;
    if fresh.metadata.uid != run.metadata.uid {
        return Err(conflict("the run was replaced meanwhile"));
    }
    if fresh.metadata.deletion_timestamp.is_some() {
        return Err(conflict("the run was deleted meanwhile"));
    }
    run.renew(fresh);
    Ok(next(run))
}

/// A run that has ended may have been sent on its way again since the watch showed its end.
async fn still_ended(run: &mut Run<'_>) -> Result<(), Failure> {
    match decide_anew(run).await? {
        Step::Finished => Ok(()),
        _ => Err(Failure::new(Class::Conflict, Reason::Conflict, "the run goes on again")),
    }
}

/// What is left to do.
pub(super) async fn rest(run: &mut Run<'_>) -> Result<Done, Failure> {
    if !awaits_right(run) {
        return expire(run).await;
    }
    still_ended(run).await?;
    if awaits_right(run) {
        let looks = session::looks(run).await?;
        output::store_owed(run, &looks.caller).await?;
    }
    let done = expire(run).await?;
    let again = awaits_right(run) && done.requeue == Requeue::OnChange;
    Ok(if again { Done { requeue: Requeue::After(output::OWED_EVERY), ..done } } else { done })
}

/// How long it still lives; `None` where it is not to be deleted.
fn left(run: &WorkflowRun) -> Option<Duration> {
    let ttl = run.spec.ttl_after_finished.as_ref().and_then(DurationString::to_std)?;
    let finished = run.status.as_ref()?.finished_at.as_ref()?;
    let age = Duration::try_from(Timestamp::now().duration_since(finished.0)).unwrap_or_default();
    Some(ttl.saturating_sub(age))
}

/// Deletes a finished run whose time to live has passed.
async fn expire(run: &mut Run<'_>) -> Result<Done, Failure> {
    refresh(run).await?;
    match left(run) {
        None => return Ok(Done::released()),
        Some(left) if !left.is_zero() => return Ok(Done::release_and_look(Requeue::After(left))),
        Some(_) => {}
    }
    fenced(run.ctx)?;
    let only_this = Preconditions { uid: run.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    let api = Api::<WorkflowRun>::namespaced(run.ctx.client.clone(), &run.namespace());
    match api.delete(&run.name_any(), &parameters).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(api_failure(&error)),
        Ok(_) => {}
    }
    Ok(Done::released())
}

/// Reads it anew, except where it only waits. A failure is no news then: it must not be written into what is left.
async fn refresh(run: &mut Run<'_>) -> Result<(), Failure> {
    let current = run.status.as_ref().is_some_and(|status| status.observed_generation == run.metadata.generation);
    if current && left(run).is_none_or(|left| !left.is_zero()) {
        return Ok(());
    }
    still_ended(run).await?;
    run.looked_at();
    Ok(())
}
