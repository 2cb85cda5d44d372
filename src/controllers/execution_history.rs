//! ExecutionHistory: reads what an execution did, once or until its end, into pages that go with it.

pub(super) mod memory;
mod pages;
mod read;
mod room;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::dereference::session_as;
use super::named::named;
use super::runner::{Done, EventWhenReady, Managed, Work};
use super::{Context, Needed};
use crate::api::v1alpha1::{
    ExecutionHistory, ExecutionHistoryStatus, HistoryPhase, REQUESTED_BY, Timestamped, Workflow, WorkflowRun,
    WorkflowRunStatus,
};
use crate::aws::Caller;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::execution_history::waiting::{self, WaitsFor, waits_for};
use crate::plan::execution_history::{self as plan, Logged, Source};
use crate::plan::run::machine_name;
use crate::reason::Reason;
use crate::status::{FAILED, STALLED, Truth};
use read::Came;

#[async_trait::async_trait]
impl Managed for ExecutionHistory {
    type Status = ExecutionHistoryStatus;
    const KIND: &'static str = "ExecutionHistory";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Never;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return leave(work, ctx).await;
        }
        if is_finished(&work.object) {
            return expire(work, ctx).await;
        }
        let came = match pipeline(work, ctx).await {
            Err(failure) if failure.class != Class::Conflict => return Ok(refused(work, ctx, failure)),
            came => came?,
        };
        ctx.histories.gets_on(&work.object.uid().unwrap_or_default());
        match came {
            Came::Further(done) => Ok(done),
            Came::ToItsEnd => complete(work, ctx).await,
            Came::Nowhere(failure) => Ok(fail(work, ctx, failure)),
        }
    }

    fn status_field(&mut self) -> &mut Option<ExecutionHistoryStatus> {
        &mut self.status
    }

    fn needs(&self) -> Vec<Needed> {
        vec![Needed::WorkflowRun(self.spec.workflow_run_ref.name.clone())]
    }

    fn common(status: &mut ExecutionHistoryStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

/// The run, a place among those that are kept, a session, and as much of the history as there is time for.
async fn pipeline(work: &mut Work<ExecutionHistory>, ctx: &Arc<Context>) -> Result<Came, Failure> {
    if room::is_turned_away(work, ctx) {
        return Ok(Came::Nowhere(waiting::turned_away()));
    }
    // Whether there is anything to be read is found out first: what waits for a run must not stand in the line for places.
    if is_in_line(&work.object)
        && let Some(wait) = room::has_to_wait(work, ctx)
    {
        return Ok(waits(work, Reason::TooManyHistories, room::FULL, wait));
    }
    let (namespace, name) = (work.namespace(), work.object.spec.workflow_run_ref.name.clone());
    let recorded = work.status().execution_arn.clone();
    let Some(run) = run_of(ctx, &namespace, &name).await? else {
        return Ok(match recorded {
            Some(_) => Came::Nowhere(plan::run_gone(&name)),
            None => waits_for_run(work, plan::no_run(&name, &namespace)),
        });
    };
    let status = run.status.clone().unwrap_or_default();
    let logged = logged(ctx, &namespace, &run, &status).await?;
    let (arn, group) = match plan::source(&name, &status, recorded.as_deref(), logged) {
        Source::History(arn) => (arn, None),
        Source::Log(arn, group) => (arn, Some(group)),
        Source::Nowhere(failure) => return Ok(Came::Nowhere(failure)),
        Source::NotStarted => {
            let message = format!("WorkflowRun \"{name}\" was not started yet. It is read as soon as it is.");
            return Ok(waits(work, Reason::RunNotStarted, &message, ctx.settings.resync_interval));
        }
    };
    if let Some(wait) = room::begin(work, ctx).await? {
        return Ok(waits(work, Reason::TooManyHistories, room::FULL, wait));
    }
    let machine = plan::attempt_of(&status, &arn).and_then(|attempt| machine_name(&attempt.target_arn));
    let looks = caller(work, ctx, &status, &arn, &Purpose::Observe(machine)).await?;
    let log = match group {
        Some(group) => {
            let reads = caller(work, ctx, &status, &arn, &Purpose::ReadLog(&group)).await?;
            Some((group, reads))
        }
        None => None,
    };
    read::go_on(work, ctx, &read::Of { caller: looks, run: status.clone(), arn, log }).await
}

/// True of one that was looked at before and lacks nothing but a place.
fn is_in_line(history: &ExecutionHistory) -> bool {
    history.status.is_some() && waits_for(history.status.as_ref()) == WaitsFor::Place
}

fn waits(work: &mut Work<ExecutionHistory>, reason: Reason, message: &str, wait: Duration) -> Came {
    let Some(left) = left(work, WaitsFor::Place) else {
        return Came::Nowhere(waiting::waited_too_long(&Failure::new(Class::Waiting, reason, message)));
    };
    pending(work);
    work.conditions(|conditions| {
        conditions.progressing(reason, message);
    });
    Came::Further(Done::again(Requeue::After(wait.min(left))))
}

fn waits_for_run(work: &mut Work<ExecutionHistory>, no_run: Failure) -> Came {
    let Some(left) = left(work, WaitsFor::Run) else { return Came::Nowhere(waiting::waited_too_long(&no_run)) };
    pending(work);
    Came::Further(Done { partly_failed: Some(no_run), ..Done::again(Requeue::After(left)) })
}

/// How long it may go on waiting.
fn left(work: &Work<ExecutionHistory>, waits_for: WaitsFor) -> Option<Duration> {
    let created = work.object.creation_timestamp().map(|time| time.0);
    waiting::left_of(waits_for, created, Timestamp::now()).map(SignedDuration::unsigned_abs)
}

fn pending(work: &mut Work<ExecutionHistory>) {
    work.status().phase.get_or_insert(HistoryPhase::Pending);
}

/// It was refused, and is tried again for so long. Where nothing was read yet, its place is for others meanwhile.
fn refused(work: &mut Work<ExecutionHistory>, ctx: &Context, failure: Failure) -> Done {
    let (uid, now) = (work.object.uid().unwrap_or_default(), Timestamp::now());
    pending(work);
    if work.status().phase == Some(HistoryPhase::Pending) {
        ctx.histories.leave_place(&uid);
    }
    match waiting::left_of_refusal(ctx.histories.refused_since(&uid, now), now) {
        Some(left) => Done { partly_failed: Some(failure), ..Done::again(Requeue::After(left.unsigned_abs())) },
        None => fail(work, ctx, waiting::waited_too_long(&failure)),
    }
}

/// The run. One that is under way is in memory; its end is read as the API server has it.
async fn run_of(ctx: &Context, namespace: &str, name: &str) -> Result<Option<Arc<WorkflowRun>>, Failure> {
    let place = ObjectRef::<WorkflowRun>::new(name).within(namespace);
    let known = ctx.watches.of(namespace).and_then(|watches| watches.runs.store.get(&place));
    let is_under_way = |run: &Arc<WorkflowRun>| {
        let phase = run.status.as_ref().and_then(|status| status.phase);
        run.meta().deletion_timestamp.is_none() && phase.is_some_and(|phase| !phase.is_finished())
    };
    if let Some(run) = known.filter(is_under_way) {
        return Ok(Some(run));
    }
    Ok(named::<WorkflowRun>(ctx, namespace, name).await?.map(Arc::new))
}

/// What an Express run logs.
async fn logged(
    ctx: &Context,
    namespace: &str,
    run: &WorkflowRun,
    status: &WorkflowRunStatus,
) -> Result<Logged, Failure> {
    if !status.execution_arn.as_deref().is_some_and(|arn| plan::is_express(arn, status)) {
        return Ok(Logged::Nothing);
    }
    let workflow = named::<Workflow>(ctx, namespace, &run.spec.workflow_ref.name).await?;
    Ok(Logged::of(status, workflow.as_ref().map(|workflow| &workflow.spec)))
}

/// A session of the binding as which the execution was started, in the name of whoever asked for the history.
async fn caller(
    work: &Work<ExecutionHistory>,
    ctx: &Context,
    run: &WorkflowRunStatus,
    arn: &str,
    purpose: &Purpose<'_>,
) -> Result<Caller, Failure> {
    let attempt = plan::attempt_of(run, arn);
    let binding = attempt.map(|attempt| attempt.trust_binding_name.as_str()).unwrap_or_default();
    let requester = ctx.attribution.stamped(&work.object, REQUESTED_BY).await?;
    Ok(session_as(ctx, &work.cause, &work.namespace(), binding, purpose, requester).await?)
}

fn is_finished(history: &ExecutionHistory) -> bool {
    let phase = history.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(HistoryPhase::Complete | HistoryPhase::Failed))
}

/// The end, as it is told with whatever was read.
fn finish(work: &mut Work<ExecutionHistory>, phase: HistoryPhase, now: Timestamp, expires: Timestamp) -> Duration {
    let status = work.status();
    status.phase = Some(phase);
    (status.finished_at, status.expires_at) = (Some(Timestamped { 0: now }), Some(Timestamped { 0: expires }));
    Duration::try_from(expires.duration_since(now)).unwrap_or_default()
}

/// All was read. What is remembered goes once the API server has it.
async fn complete(work: &mut Work<ExecutionHistory>, ctx: &Context) -> Result<Done, Failure> {
    let now = Timestamp::now();
    let expires = plan::expires_at(&work.object.spec, now);
    let left = finish(work, HistoryPhase::Complete, now, expires);
    let message = message(work.status());
    work.conditions(|conditions| {
        conditions.remove(FAILED).ready(Reason::HistoryRead, &message);
    });
    work.write(ctx).await?;
    ctx.histories.end_reading(&work.object.uid().unwrap_or_default());
    Ok(Done::again(Requeue::After(left)))
}

fn message(status: &ExecutionHistoryStatus) -> String {
    let (events, pages) = (status.events.unwrap_or_default(), status.pages.unwrap_or_default());
    let omitted = match status.omitted_bytes.unwrap_or_default() {
        0 => String::new(),
        bytes => format!(" {bytes} bytes that were read are left out, for want of room."),
    };
    format!("The history was read: {events} events on {pages} pages.{omitted}")
}

/// It cannot be read. It waits for nobody: another one has to be created.
fn fail(work: &mut Work<ExecutionHistory>, ctx: &Context, failure: Failure) -> Done {
    let (uid, now) = (work.object.uid().unwrap_or_default(), Timestamp::now());
    let expires = if work.status().execution_arn.is_some() {
        ctx.histories.end_reading(&uid);
        plan::expires_at(&work.object.spec, now)
    } else {
        ctx.histories.forget(&uid);
        waiting::unread_expires_at(&work.object.spec, failure.reason, room::unread_beside(work, ctx), now)
    };
    let left = finish(work, HistoryPhase::Failed, now, expires);
    work.conditions(|conditions| {
        conditions.failed(&failure).set(FAILED, Truth::True, failure.reason, &failure.message);
        conditions.set(STALLED, Truth::True, failure.reason, &failure.message);
    });
    Done { partly_failed: Some(failure), ..Done::again(Requeue::After(left)) }
}

/// Deletes a history whose time has passed; its pages go with it.
async fn expire(work: &mut Work<ExecutionHistory>, ctx: &Context) -> Result<Done, Failure> {
    let expires = work.status().expires_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let left = Duration::try_from(expires.duration_since(Timestamp::now())).unwrap_or_default();
    ctx.histories.end_reading(&work.object.uid().unwrap_or_default());
    if !left.is_zero() {
        return Ok(Done::again(Requeue::After(left)));
    }
    room::delete(ctx, &work.namespace(), &work.object.name_any(), &work.object.uid().unwrap_or_default()).await?;
    Ok(Done::again(Requeue::OnChange))
}

/// Somebody deletes it, and something holds it, or the garbage collector is told to leave the pages: they go now.
async fn leave(work: &Work<ExecutionHistory>, ctx: &Context) -> Result<Done, Failure> {
    ctx.histories.forget(&work.object.uid().unwrap_or_default());
    pages::remove_from(ctx, &work.object, 1).await?;
    Ok(Done::released())
}

#[cfg(test)]
mod tests;
