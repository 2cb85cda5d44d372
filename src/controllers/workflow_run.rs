//! WorkflowRun: starts an execution once and watches it to its end.

mod admit;
mod again;
mod end;
mod observe;
mod own;
mod progress;
mod refusal;
mod start;

pub(super) use progress::LOOK_EVERY;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, DeleteParams, Preconditions};
use kube::{Resource, ResourceExt};

use observe::observe;

use super::attribution::stamped;
use super::dereference::{Authorization, LastSession, authorized_binding, last_session_for, session_as, session_for};
use super::named::{named, named_at_the_end};
use super::runner::{Done, EventWhenReady, Managed, Work, api_failure, deleted_at, fenced, report_orphan};
use super::{Context, Needed, measure};
use crate::api::v1alpha1::{
    CANCEL_REQUESTED_BY, Phase, RunDeletionPolicy, RunMode, StopIntent, StopRequest, Workflow, WorkflowRun,
    WorkflowRunSpec, WorkflowRunStatus,
};
use crate::aws::{AwsErrorKind, Caller};
use crate::iam::binding_role::session::Purpose;
use crate::metrics::Metrics;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run::{self, Step};
use crate::plan::run_result;
use crate::reason::Reason;
use crate::runs::{awaits_right, is_settled, owes_output};

/// A run that has started is not helped by a change of its Workflow or input; one that AWS refuses may be.
pub(super) fn waits_for_start(run: &WorkflowRun) -> bool {
    run.status.as_ref().is_none_or(|status| status.awaits_start() || status.refusal.is_some())
}

#[async_trait::async_trait]
impl Managed for WorkflowRun {
    type Status = WorkflowRunStatus;
    const KIND: &'static str = "WorkflowRun";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Never;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        let done = step(work, ctx).await.map(|done| progress::look_again_soon(&work.object, done));
        let status = work.object.status.as_ref();
        let over = status.and_then(|status| status.phase).unwrap_or_default().is_finished();
        let gone = work.object.meta().deletion_timestamp.is_some() && done.as_ref().is_ok_and(|done| done.release);
        // One that is to go on keeps the slot that it was given for that.
        if gone || over && !work.object.wants_redrive() {
            admit::free(work, ctx);
        } else if done.is_err() && status.is_none_or(WorkflowRunStatus::awaits_start) {
            ctx.guardrails.give_back(&work.object);
        }
        done
    }

    fn status_field(&mut self) -> &mut Option<WorkflowRunStatus> {
        &mut self.status
    }

    fn ended_as_asked(&self) -> bool {
        self.spec.cancel.is_some() && self.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Aborted))
    }

    fn needs(&self) -> Vec<Needed> {
        let refused = self.status.as_ref().filter(|status| status.refusal.is_some());
        let refused_to =
            refused.and_then(|status| status.attempts.last()).map(|attempt| attempt.trust_binding_name.clone());
        let mut needs: Vec<Needed> = refused_to.into_iter().map(Needed::TrustBinding).collect();
        if waits_for_start(self) {
            needs.push(Needed::Workflow(self.spec.workflow_ref.name.clone()));
            let input = self.spec.input_from.iter().map(|from| from.config_map_key_ref.name.clone());
            needs.extend(input.map(Needed::ConfigMap));
        }
        needs
    }

    fn seen(object: &Self, ctx: &Context) {
        ctx.guardrails.see(object);
    }

    fn gone(object: &Self, ctx: &Context) {
        ctx.guardrails.forget(object);
        let arn = object.status.as_ref().and_then(|status| status.execution_arn.as_ref());
        // Of a run that is settled nothing is followed any more.
        if let Some(arn) = arn.filter(|_| !is_settled(object)) {
            ctx.tracker.forget(arn);
        }
    }

    fn common(status: &mut WorkflowRunStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }

    fn measure(object: &Self, before: Option<&WorkflowRunStatus>, after: &WorkflowRunStatus, metrics: &Metrics) {
        measure::run(object, before, after, metrics);
    }
}

/// The next step of the run.
async fn step(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>) -> Result<Done, Failure> {
    if work.object.meta().deletion_timestamp.is_some() {
        return delete(work, ctx).await;
    }
    if ctx.is_in_flight(&work.object.uid().unwrap_or_default()) {
        return Ok(Done::again(Requeue::After(Duration::from_secs(5))));
    }
    let mut next = next(&work.object);
    if next.answers_redrive() {
        next = decide_anew(work, ctx).await?;
    }
    if let Some(later) = refusal::holds(work, ctx, &next).await? {
        return Ok(later);
    }
    match next {
        Step::Finished if owes_output(&work.object) => observe::read_output(work, ctx).await,
        Step::Finished => rest(work, ctx).await,
        Step::EndUnstarted(phase, reason, message) => Ok(end_unstarted(work, phase, reason, &message)),
        Step::Prepare => start::prepare(work, ctx).await,
        Step::Resume(attempt) => start::resume(work, ctx, attempt).await,
        Step::Redrive(attempt) => again::resume(work, ctx, attempt).await,
        Step::WaitForRetry(at) => {
            let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            Ok(Done::again(Requeue::After(left)))
        }
        Step::Retry => again::retry(work, ctx).await,
        Step::RecordRedrive => again::redrive_as_asked(work, ctx).await,
        Step::RefuseRedrive(why) => again::refuse(work, ctx, &why).await,
        Step::RecordStop(intent) => record_stop(work, ctx, intent).await,
        Step::Stop(arn, intent) => stop(work, ctx, &arn, intent).await,
        Step::Observe(arn) => {
            let done = observe(work, ctx, &arn).await?;
            progress::follow(work, ctx, &arn).await;
            Ok(done)
        }
    }
}

/// What the run needs next, by what is known of it.
fn next(run: &WorkflowRun) -> Step {
    let status = run.status.clone().unwrap_or_default();
    run::next(&run.spec, &status, run.redrive_asked(), Timestamp::now())
}

/// The Workflow that the run names, and its binding.
async fn workflow_and_binding(
    work: &Work<WorkflowRun>,
    ctx: &Context,
) -> Result<(Workflow, Arc<Authorization>), Failure> {
    let (namespace, name) = (work.namespace(), &work.object.spec.workflow_ref.name);
    let workflow = named::<Workflow>(ctx, &namespace, name).await?.ok_or_else(|| {
        let message = format!("Workflow \"{name}\" does not exist in namespace \"{namespace}\". Create it; the run goes on by itself then.");
        Failure::new(Class::Waiting, Reason::WorkflowNotFound, message)
    })?;
    let binding = authorized_binding(ctx, &namespace, &workflow.spec.trust_binding_ref.name).await?;
    Ok((workflow, binding))
}

/// A session to see the execution, of the binding as which the run was started, whatever has become of its Workflow.
async fn session(work: &Work<WorkflowRun>, ctx: &Context) -> Result<Caller, Failure> {
    let status = work.object.status.clone().unwrap_or_default();
    let purpose = Purpose::Observe(machine(&status));
    let (_, caller) = session_for(ctx, &work.cause, &work.namespace(), &binding_name(&status), &purpose).await?;
    Ok(caller)
}

/// Name of the state machine that the run's last attempt starts.
fn machine(status: &WorkflowRunStatus) -> Option<&str> {
    run::machine_name(&status.attempts.last()?.target_arn)
}

fn binding_name(status: &WorkflowRunStatus) -> String {
    status.attempts.last().map(|attempt| attempt.trust_binding_name.clone()).unwrap_or_default()
}

fn end_unstarted(work: &mut Work<WorkflowRun>, phase: Phase, reason: Reason, message: &str) -> Done {
    let status = work.status();
    status.phase = Some(phase);
    status.finished_at = Some(Time(Timestamp::now()));
    status.refusal = None;
    work.conditions(|conditions| run_result::ended(conditions, phase, reason, message));
    Done::released()
}

/// The intent is in the status before AWS is asked, because it decides the phase at the end.
async fn record_stop(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, intent: StopIntent) -> Result<Done, Failure> {
    let requested_by = match intent {
        StopIntent::Cancel => stamped(ctx, &work.object, CANCEL_REQUESTED_BY).await?,
        StopIntent::Timeout => None,
    };
    work.status().stop = Some(StopRequest { intent, recorded_at: Time(Timestamp::now()), requested_by });
    observe::tell_stop(work);
    work.write(ctx).await?;
    let arn = work.status().execution_arn.clone().unwrap_or_default();
    stop(work, ctx, &arn, intent).await
}

async fn stop(
    work: &mut Work<WorkflowRun>,
    ctx: &Arc<Context>,
    arn: &str,
    intent: StopIntent,
) -> Result<Done, Failure> {
    let canceller = work.status().stop.as_ref().and_then(|stop| stop.requested_by.clone());
    let status = work.object.status.clone().unwrap_or_default();
    let purpose = Purpose::Observe(machine(&status));
    let caller = session_as(ctx, &work.cause, &work.namespace(), &binding_name(&status), &purpose, canceller).await?;
    let reason = work.object.spec.cancel.as_ref().map_or("", |cancel| cancel.reason.as_str());
    let (error, cause) = match intent {
        StopIntent::Cancel => ("Stepbound.Cancelled", format!("Cancelled by spec.cancel. {reason}")),
        StopIntent::Timeout => ("Stepbound.TimedOut", "spec.timeout has passed.".to_owned()),
    };
    let why = (!has_own_key(work, ctx).await?).then_some((error, cause.trim()));
    fenced(ctx)?;
    ctx.executions.stop_execution(&caller, arn, why).await?;
    observe(work, ctx, arn).await
}

/// Whether the state machine has a key of the account's own, with which AWS would encrypt error and cause of a stop. Where its
/// Workflow is gone nobody knows, and then they are left out too: they stand in the run.
async fn has_own_key(work: &Work<WorkflowRun>, ctx: &Context) -> Result<bool, Failure> {
    let name = &work.object.spec.workflow_ref.name;
    let found = named_at_the_end::<Workflow>(ctx, &work.namespace(), name).await?;
    Ok(found.is_none_or(|workflow| workflow.spec.encryption.is_some()))
}

/// What is left to do for a run that has ended.
async fn rest(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    if !awaits_right(&work.object) {
        return expire(work, ctx).await;
    }
    still_ended(work, ctx).await?;
    if awaits_right(&work.object) {
        end::store_owed_output(work, ctx).await?;
    }
    let done = expire(work, ctx).await?;
    let again = awaits_right(&work.object) && done.requeue == Requeue::OnChange;
    Ok(if again { Done { requeue: Requeue::After(end::OWED_OUTPUT_EVERY), ..done } } else { done })
}

/// Deletes a finished run whose time to live has passed.
async fn expire(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    refresh_finished(work, ctx).await?;
    let ttl = work.object.spec.ttl_after_finished.as_ref().and_then(crate::api::v1alpha1::DurationString::to_std);
    let finished = work.status().finished_at.clone();
    if let (Some(ttl), Some(finished)) = (ttl, finished) {
        let age = Duration::try_from(Timestamp::now().duration_since(finished.0)).unwrap_or_default();
        if age < ttl {
            return Ok(Done::release_and_look(Requeue::After(ttl.saturating_sub(age))));
        }
        fenced(ctx)?;
        let only_this = Preconditions { uid: work.object.uid(), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
        let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
        match api.delete(&work.object.name_any(), &parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(api_failure(&error)),
            Ok(_) => {}
        }
    }
    Ok(Done::released())
}

/// Memory holds less of a run that has ended than its status may be written from, so it is read anew, except where it only
/// waits. A failure is no news then: it must not be written into what is left.
async fn refresh_finished(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<(), Failure> {
    let run = &work.object;
    let ttl = run.spec.ttl_after_finished.as_ref().and_then(crate::api::v1alpha1::DurationString::to_std);
    let finished = run.status.as_ref().and_then(|status| status.finished_at.as_ref());
    let due = ttl.zip(finished).is_some_and(|(ttl, finished)| {
        Duration::try_from(Timestamp::now().duration_since(finished.0)).unwrap_or_default() >= ttl
    });
    let current = run.status.as_ref().is_some_and(|status| status.observed_generation == run.metadata.generation);
    if current && !due {
        return Ok(());
    }
    still_ended(work, ctx).await?;
    // A change of a run that is over is looked at too, and kstatus wants to know.
    work.conditions(|_| {});
    Ok(())
}

/// A run that has ended may have been sent on its way again since the watch showed its end.
async fn still_ended(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<(), Failure> {
    match decide_anew(work, ctx).await? {
        Step::Finished => Ok(()),
        _ => Err(Failure::new(Class::Conflict, Reason::Conflict, "the run goes on again")),
    }
}

/// Takes the run as the API server has it, whole, and decides from that. Memory may hold less of a run that has ended than its
/// status may be written from, and may lag behind what was written before: a write on condition of what was read just now
/// would not notice.
async fn decide_anew(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Step, Failure> {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    let fresh = api.get(&work.object.name_any()).await;
    let fresh = fresh.map_err(|error| Failure::new(Class::Conflict, Reason::Conflict, api_failure(&error).message))?;
    if fresh.uid() != work.object.uid() {
        return Err(Failure::new(Class::Conflict, Reason::Conflict, "the run was replaced meanwhile"));
    }
    if fresh.metadata.deletion_timestamp.is_some() {
        return Err(Failure::new(Class::Conflict, Reason::Conflict, "the run was deleted meanwhile"));
    }
    *work = Work::new(fresh);
    Ok(next(&work.object))
}

/// Stops what still runs, unless it is to be left alone, and lets go.
async fn delete(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    let status = work.object.status.clone().unwrap_or_default();
    let arn = status.execution_arn.clone().or_else(|| status.attempts.last().map(run::execution_arn));
    let unstarted = status.retry_at.is_some() || status.is_refused();
    let over = status.phase.unwrap_or_default().is_finished() || status.adopted || unstarted;
    if let Some(arn) = &arn {
        ctx.tracker.forget(arn);
    }
    let Some(arn) = arn.filter(|_| !over && work.object.spec.deletion_policy == RunDeletionPolicy::Stop) else {
        return Ok(Done::released());
    };
    let binding = binding_name(&status);
    let purpose = Purpose::Observe(machine(&status));
    let last =
        last_session_for(ctx, &work.cause, &work.namespace(), &binding, &purpose, deleted_at(&work.object)).await?;
    let caller = match last {
        LastSession::Usual(caller) | LastSession::Held(caller) => caller,
        LastSession::Gone(why) => {
            report_orphan(work, &arn, &why, ctx).await;
            return Ok(Done::released());
        }
    };
    let unproven = status.attempts.last().filter(|last| status.execution_arn.is_none() && !own::by_name(work, last));
    if let Some(attempt) = unproven {
        match own::to_stop(work, ctx, &caller, attempt).await? {
            own::ToStop::Yes => {}
            own::ToStop::No => return Ok(Done::released()),
            own::ToStop::NotKnownYet => return Ok(Done::again(Requeue::After(Duration::from_secs(1)))),
        }
    }
    let why = (!has_own_key(work, ctx).await?).then_some(("Stepbound.Deleted", "The WorkflowRun was deleted."));
    fenced(ctx)?;
    match ctx.executions.stop_execution(&caller, &arn, why).await {
        Err(error) if !matches!(error.kind, AwsErrorKind::NotFound | AwsErrorKind::Rejected) => Err(error.into()),
        _ if may_still_start(&work.object.spec, &status) => Ok(Done::again(Requeue::After(Duration::from_secs(1)))),
        _ => Ok(Done::released()),
    }
}

/// True while a start or redrive whose answer nobody has may still reach AWS; it is stopped again then.
fn may_still_start(spec: &WorkflowRunSpec, status: &WorkflowRunStatus) -> bool {
    let under_way = status.phase == Some(Phase::Starting) && spec.mode == RunMode::Async;
    let last = status.attempts.last().filter(|_| under_way);
    last.is_some_and(|attempt| run::may_still_land(attempt.recorded_at.0, Timestamp::now()))
}

#[cfg(test)]
mod tests;
