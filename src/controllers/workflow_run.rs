//! WorkflowRun: starts an execution once and watches it to its end.

mod end;
mod start;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, DeleteParams, Preconditions};
use kube::{Resource, ResourceExt};

use super::dereference::{LastSession, last_session_for, session_for};
use super::runner::{Done, EventWhenReady, Managed, Work, api_failure, deleted_at, fenced, report_orphan};
use super::{Context, measure};
use crate::api::v1alpha1::{
    Phase, RunDeletionPolicy, StopIntent, StopRequest, Workflow, WorkflowRun, WorkflowRunStatus,
};
use crate::aws::{AwsErrorKind, Session};
use crate::metrics::Metrics;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run::{self, Step};
use crate::plan::run_result;
use crate::status::Truth;

#[async_trait::async_trait]
impl Managed for WorkflowRun {
    type Status = WorkflowRunStatus;
    const KIND: &'static str = "WorkflowRun";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Never;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete(work, ctx).await;
        }
        if ctx.is_in_flight(&work.object.uid().unwrap_or_default()) {
            return Ok(Done::again(Requeue::After(Duration::from_secs(5))));
        }
        let status = work.object.status.clone().unwrap_or_default();
        match run::next(&work.object.spec, &status, Timestamp::now()) {
            Step::Finished => expire(work, ctx).await,
            Step::EndUnstarted(phase, reason, message) => Ok(end_unstarted(work, phase, reason, &message)),
            Step::Prepare => start::prepare(work, ctx).await,
            Step::Resume(attempt) => start::resume(work, ctx, attempt).await,
            Step::RecordStop(intent) => record_stop(work, ctx, intent).await,
            Step::Stop(arn, intent) => stop(work, ctx, &arn, intent).await,
            Step::Observe(arn) => observe(work, ctx, &arn).await,
        }
    }

    fn status_field(&mut self) -> &mut Option<WorkflowRunStatus> {
        &mut self.status
    }

    fn common(status: &mut WorkflowRunStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }

    fn measure(object: &Self, before: Option<&WorkflowRunStatus>, after: &WorkflowRunStatus, metrics: &Metrics) {
        measure::run(object, before, after, metrics);
    }
}

/// The Workflow that the run names, and a session of its binding.
async fn workflow_and_session(work: &Work<WorkflowRun>, ctx: &Context) -> Result<(Workflow, Arc<Session>), Failure> {
    let (namespace, name) = (work.namespace(), &work.object.spec.workflow_ref.name);
    let api = Api::<Workflow>::namespaced(ctx.client.clone(), &namespace);
    let found = api.get_opt(name).await.map_err(|error| api_failure(&error))?;
    let workflow = found.ok_or_else(|| {
        let message = format!("Workflow \"{name}\" does not exist in namespace \"{namespace}\". Create it; the run goes on by itself then.");
        Failure::new(Class::Waiting, "WorkflowNotFound", message)
    })?;
    let (_, session) = session_for(ctx, &namespace, &workflow.spec.trust_binding_ref.name).await?;
    Ok((workflow, session))
}

/// A session of the binding as which the run was started, whatever has become of its Workflow.
async fn session(work: &Work<WorkflowRun>, ctx: &Context) -> Result<Arc<Session>, Failure> {
    let binding = work.object.status.as_ref().map(binding_name).unwrap_or_default();
    let (_, session) = session_for(ctx, &work.namespace(), &binding).await?;
    Ok(session)
}

fn binding_name(status: &WorkflowRunStatus) -> String {
    status.attempts.last().map(|attempt| attempt.trust_binding_name.clone()).unwrap_or_default()
}

fn end_unstarted(work: &mut Work<WorkflowRun>, phase: Phase, reason: &str, message: &str) -> Done {
    let status = work.status();
    status.phase = Some(phase);
    status.finished_at = Some(Time(Timestamp::now()));
    work.conditions(|conditions| run_result::ended(conditions, phase, reason, message));
    Done::released()
}

/// The intent is in the status before AWS is asked, because it decides the phase at the end.
async fn record_stop(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, intent: StopIntent) -> Result<Done, Failure> {
    work.status().stop = Some(StopRequest { intent, recorded_at: Time(Timestamp::now()) });
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
    let session = session(work, ctx).await?;
    let reason = work.object.spec.cancel.as_ref().map_or("", |cancel| cancel.reason.as_str());
    let (error, cause) = match intent {
        StopIntent::Cancel => ("Stepbound.Cancelled", format!("Cancelled by spec.cancel. {reason}")),
        StopIntent::Timeout => ("Stepbound.TimedOut", "spec.timeout has passed.".to_owned()),
    };
    fenced(ctx)?;
    ctx.step_functions.stop_execution(&session, arn, error, cause.trim()).await?;
    observe(work, ctx, arn).await
}

/// One look. The phase changes on positive evidence only: absence proves nothing.
async fn observe(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, arn: &str) -> Result<Done, Failure> {
    let session = session(work, ctx).await?;
    let now = Timestamp::now();
    let Some(execution) = ctx.step_functions.describe_execution(&session, arn).await? else {
        let since = work.status().started_at.as_ref().map_or(now, |started| started.0);
        if run::may_be_invisible(since, now) {
            return Ok(Done::again(Requeue::After(Duration::from_secs(1))));
        }
        let message = format!("AWS shows no execution {arn}. It was deleted, or its history has expired.");
        return Err(Failure::new(Class::Waiting, "ExecutionNotFound", message));
    };
    let intent = work.status().stop.as_ref().map(|stop| stop.intent);
    if let Some(phase) = run_result::phase_of(execution.status, intent) {
        return end::finish(work, ctx, &session, &execution, phase).await;
    }
    let status = work.object.status.clone().unwrap_or_default();
    let changed = start::inline_input_changed(&work.object.spec, &status);
    work.conditions(|conditions| {
        conditions.progressing("Running", "The execution runs.");
        if changed {
            let message =
                "spec.input was changed after the start; the execution runs with the input it was started with.";
            conditions.set("InputChanged", Truth::True, "IgnoredAfterStart", message);
        }
    });
    Ok(Done::again(Requeue::After(run::poll_after(&work.object.spec, &status, now))))
}

/// Deletes a finished run whose time to live has passed.
async fn expire(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    // A change of a run that is over is looked at too, and kstatus wants to know.
    work.conditions(|_| {});
    let ttl = work.object.spec.ttl_after_finished.as_ref().and_then(crate::api::v1alpha1::DurationString::to_std);
    let finished = work.status().finished_at.clone();
    if let (Some(ttl), Some(finished)) = (ttl, finished) {
        let age = Duration::try_from(Timestamp::now().duration_since(finished.0)).unwrap_or_default();
        if age < ttl {
            return Ok(Done { requeue: Requeue::After(ttl.saturating_sub(age)), release: true });
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

/// Stops what still runs, unless it is to be left alone, and lets go.
async fn delete(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Done, Failure> {
    let status = work.object.status.clone().unwrap_or_default();
    let arn = status.execution_arn.clone().or_else(|| status.attempts.last().map(run::execution_arn));
    let over = status.phase.unwrap_or_default().is_finished() || status.adopted;
    let Some(arn) = arn.filter(|_| !over && work.object.spec.deletion_policy == RunDeletionPolicy::Stop) else {
        return Ok(Done::released());
    };
    let binding = binding_name(&status);
    let last = last_session_for(ctx, &work.namespace(), &binding, deleted_at(&work.object)).await?;
    let session = match last {
        LastSession::Usual(session) | LastSession::Held(session) => session,
        LastSession::Gone(why) => {
            report_orphan(&work.object, &arn, &why, ctx).await;
            return Ok(Done::released());
        }
    };
    fenced(ctx)?;
    match ctx.step_functions.stop_execution(&session, &arn, "Stepbound.Deleted", "The WorkflowRun was deleted.").await {
        Err(error) if !matches!(error.kind, AwsErrorKind::NotFound | AwsErrorKind::Rejected) => Err(error.into()),
        _ => Ok(Done::released()),
    }
}
