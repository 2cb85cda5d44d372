//! WorkflowSchedule: creates runs by the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};

use super::Context;
use super::named::named;
use super::owners::controls;
use super::runner::{Done, EventWhenReady, Managed, Work, fenced, publish};
use crate::api::v1alpha1::{
    ActiveRun, FIELD_MANAGER, REQUESTED_BY, SCHEDULE_LABEL, SCHEDULED_AT, WorkflowRun, WorkflowSchedule,
    WorkflowScheduleStatus,
};
use crate::kube::api_failure;
use crate::kube::events::EventType;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::schedule::{self, Action, Identity, OwnedRun, Plan, Tick, Waiting, cron};
use crate::reason::Reason;
use crate::status::{Truth, find};

/// Present while a run that is due waits for another to end.
const WAITING: &str = "Waiting";

#[async_trait::async_trait]
impl Managed for WorkflowSchedule {
    type Status = WorkflowScheduleStatus;
    const KIND: &'static str = "WorkflowSchedule";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Recovered;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        // Its runs go with it: they have it as their owner.
        if work.object.meta().deletion_timestamp.is_some() {
            return Ok(Done::released());
        }
        let runs = owned_runs(work, ctx).await?;
        let (name, uid) = (work.object.name_any(), work.object.uid().unwrap_or_default());
        let created_at = work.object.creation_timestamp().map_or_else(Timestamp::now, |time| time.0);
        let identity = Identity { name: &name, uid: &uid, created_at };
        let before = work.object.status.clone().unwrap_or_default();
        let plan = schedule::plan(identity, &work.object.spec, &before, &runs, Timestamp::now());
        *work.status() = plan.status.clone();
        for action in &plan.actions {
            act(work, ctx, action).await?;
        }
        conclude(work, &plan);
        work.write(ctx).await?;
        for news in &plan.news {
            publish(&work.object, EventType::Warning, news.reason, &news.note, ctx).await;
        }
        tell_waiting(work, &before.conditions, plan.waiting.as_ref(), ctx).await;
        for run in &plan.forget {
            delete(work, ctx, run).await?;
        }
        match plan.failure {
            Some(failure) => Err(failure),
            None => Ok(Done::release_and_look(wake(plan.wake_at, ctx.settings.resync_interval))),
        }
    }

    fn status_field(&mut self) -> &mut Option<WorkflowScheduleStatus> {
        &mut self.status
    }

    fn common(status: &mut WorkflowScheduleStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

fn runs_api(work: &Work<WorkflowSchedule>, ctx: &Context) -> Api<WorkflowRun> {
    Api::namespaced(ctx.client.clone(), &work.namespace())
}

/// The runs of this schedule as the API server has them now: a watch may not show yet what was created a moment ago, and
/// then two would run where one may. They have the schedule as their controller, as an admission policy lets nobody else write it. One that is known as active is looked for by its name too,
/// and it is the schedule's by its UID until it has ended, whatever became of its label and owner.
async fn owned_runs(work: &Work<WorkflowSchedule>, ctx: &Context) -> Result<Vec<OwnedRun>, Failure> {
    let api = runs_api(work, ctx);
    let labelled = ListParams::default().labels(&format!("{SCHEDULE_LABEL}={}", work.object.name_any()));
    let listed = api.list(&labelled).await.map_err(|error| api_failure(&error))?;
    let mut runs: Vec<OwnedRun> =
        listed.items.iter().filter(|run| controls(&work.object, *run)).map(OwnedRun::from).collect();
    let known = work.object.status.iter().flat_map(|status| &status.active);
    let unseen: Vec<&ActiveRun> = known.filter(|known| runs.iter().all(|run| run.uid != known.uid)).collect();
    for known in unseen {
        let found = named::<WorkflowRun>(ctx, &work.namespace(), &known.name).await?;
        let known = found.iter().filter(|run| run.uid().as_ref() == Some(&known.uid));
        let of_ours = |run: &WorkflowRun| controls(&work.object, run) || !is_finished(run);
        runs.extend(known.filter(|run| of_ours(run)).map(OwnedRun::from));
    }
    Ok(runs)
}

fn is_finished(run: &WorkflowRun) -> bool {
    run.status.as_ref().and_then(|status| status.phase).unwrap_or_default().is_finished()
}

async fn act(work: &mut Work<WorkflowSchedule>, ctx: &Context, action: &Action) -> Result<(), Failure> {
    fenced(ctx)?;
    match action {
        Action::Cancel(run, why) => cancel(work, ctx, run, why).await,
        Action::Create(tick) => create(work, ctx, tick).await,
    }
}

/// Asks a run of ours to stop. One that has gone meanwhile needs it no more.
async fn cancel(work: &Work<WorkflowSchedule>, ctx: &Context, run: &ActiveRun, why: &str) -> Result<(), Failure> {
    let patch = serde_json::json!({"metadata": {"uid": run.uid}, "spec": {"cancel": {"reason": why}}});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    match runs_api(work, ctx).patch(&run.name, &parameters, &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        // Somebody was first, and a cancel is not changed: then it is as wanted.
        Err(kube::Error::Api(status)) if status.code == 422 && is_cancelled(work, ctx, run).await? => Ok(()),
        Err(error) => Err(api_failure(&error)),
        Ok(_) => Ok(()),
    }
}

async fn is_cancelled(work: &Work<WorkflowSchedule>, ctx: &Context, run: &ActiveRun) -> Result<bool, Failure> {
    let found = named::<WorkflowRun>(ctx, &work.namespace(), &run.name).await?;
    Ok(found.is_none_or(|found| found.uid().as_deref() != Some(&run.uid) || found.spec.cancel.is_some()))
}

async fn create(work: &mut Work<WorkflowSchedule>, ctx: &Context, tick: &Tick) -> Result<(), Failure> {
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    // Who asked for the run is who asked for the schedule, as far as that can be believed.
    let requester = Box::pin(ctx.attribution.stamped(&work.object, REQUESTED_BY)).await?;
    let run = match runs_api(work, ctx).create(&parameters, &run_of(work, tick, requester)).await {
        Ok(run) => run,
        Err(kube::Error::Api(status)) if status.code == 409 => return taken(work, ctx, tick).await,
        Err(error) => return Err(api_failure(&error)),
    };
    schedule::created(work.status(), tick, reference(&run));
    Ok(())
}

/// A run of the name is there: ours from before, or somebody else's, which is left alone, and the time is missed.
async fn taken(work: &mut Work<WorkflowSchedule>, ctx: &Context, tick: &Tick) -> Result<(), Failure> {
    let Some(run) = named::<WorkflowRun>(ctx, &work.namespace(), &tick.run_name).await? else {
        return Err(Failure::new(Class::Conflict, Reason::Conflict, "a run of the name was there and is gone again"));
    };
    if controls(&work.object, &run) {
        schedule::created(work.status(), tick, reference(&run));
        return Ok(());
    }
    let status = work.status();
    status.last_schedule_time = Some(Time(tick.scheduled));
    status.last_missed_time = Some(Time(tick.scheduled));
    let note = format!(
        "The run of {} was not created: WorkflowRun \"{}\" exists and is not this schedule's. Delete it, or name the schedule otherwise.",
        tick.scheduled, tick.run_name
    );
    publish(&work.object, EventType::Warning, Reason::RunNameTaken, &note, ctx).await;
    Ok(())
}

fn reference(run: &WorkflowRun) -> ActiveRun {
    ActiveRun { name: run.name_any(), uid: run.uid().unwrap_or_default() }
}

/// The run of a tick, as the template says.
fn run_of(work: &Work<WorkflowSchedule>, tick: &Tick, requester: Option<String>) -> WorkflowRun {
    let object = &work.object;
    let template = object.spec.run_template.metadata.clone().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = template.labels.into_iter().map(|(key, value)| (key, value.0)).collect();
    labels.insert(SCHEDULE_LABEL.into(), object.name_any());
    let mut annotations: BTreeMap<String, String> =
        template.annotations.into_iter().map(|(key, value)| (key, value.0)).collect();
    let zone = object.spec.time_zone.as_deref().map_or(Ok(TimeZone::UTC), cron::time_zone).unwrap_or(TimeZone::UTC);
    let local = tick.scheduled.display_with_offset(zone.to_offset(tick.scheduled));
    annotations.insert(SCHEDULED_AT.into(), local.to_string());
    if let Some(requester) = requester {
        annotations.insert(REQUESTED_BY.into(), requester);
    }
    let mut spec = object.spec.run_template.spec.clone();
    spec.execution_name = Some(tick.execution_name.clone());
    spec.start_deadline = Some(tick.start_deadline.into());
    let metadata = ObjectMeta {
        name: Some(tick.run_name.clone()),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: object.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    WorkflowRun { metadata, spec, status: None }
}

async fn delete(work: &Work<WorkflowSchedule>, ctx: &Context, run: &ActiveRun) -> Result<(), Failure> {
    fenced(ctx)?;
    let only_this = Preconditions { uid: Some(run.uid.clone()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    match runs_api(work, ctx).delete(&run.name, &parameters).await {
        // Gone already, or another of the name is there.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(api_failure(&error)),
        Ok(_) => Ok(()),
    }
}

fn conclude(work: &mut Work<WorkflowSchedule>, plan: &Plan) {
    let suspended = work.object.spec.suspend;
    work.conditions(|conditions| {
        match &plan.waiting {
            Some(waiting) => conditions.set(WAITING, Truth::True, waiting.reason, &waiting.message),
            None => conditions.remove(WAITING),
        };
        if let Some(failure) = &plan.failure {
            conditions.failed(failure);
        } else if suspended {
            conditions.ready(Reason::Suspended, "No run is created while spec.suspend is true.");
        } else {
            conditions.ready(Reason::Scheduled, "Runs are created by the clock.");
        }
    });
}

/// One event when a run begins to wait, and none while it goes on waiting.
async fn tell_waiting(work: &Work<WorkflowSchedule>, before: &[Condition], waiting: Option<&Waiting>, ctx: &Context) {
    let Some(waiting) = waiting else { return };
    if find(before, WAITING).is_none_or(|condition| condition.message != waiting.message) {
        publish(&work.object, EventType::Normal, waiting.reason, &waiting.message, ctx).await;
    }
}

/// At the next time, and now and then before it: a clock that was set is then noticed.
fn wake(at: Option<Timestamp>, longest: Duration) -> Requeue {
    let Some(at) = at else { return Requeue::OnChange };
    let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    // Timers count in milliseconds, and one that comes too early would only look twice.
    Requeue::After(left.saturating_add(Duration::from_millis(2)).min(longest))
}

#[cfg(test)]
mod tests;
