//! What a WorkflowSchedule needs: which run is due, which are to be cancelled or forgotten. The rules are CronJob's.

pub mod cron;
mod duration;
mod template;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{
    ActiveRun, ConcurrencyPolicy, Phase, WorkflowRun, WorkflowScheduleSpec, WorkflowScheduleStatus,
};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;
use cron::Cron;

/// AWS keeps the name of an execution for 90 days after its end, and as long a second start under it is refused. A day less,
/// because clocks differ.
const NAME_IS_KEPT: SignedDuration = SignedDuration::from_hours(89 * 24);
/// CronJob warns when more times than this were missed.
const MANY_MISSED: usize = 100;

/// A schedule, as far as its spec does not say it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A run that the schedule owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRun {
    /// Name of the WorkflowRun.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Whether it was asked to stop.
    pub cancelled: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl From<&WorkflowRun> for OwnedRun {
    fn from(run: &WorkflowRun) -> Self {
        let metadata = &run.metadata;
        let status = run.status.as_ref();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            phase: status.and_then(|status| status.phase).unwrap_or_default(),
            created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            finished_at: status.and_then(|status| status.finished_at.as_ref()).map(|time| time.0),
            cancelled: run.spec.cancel.is_some(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }
}

/// One scheduled time and the names that follow from it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tick {
    /// The scheduled time.
    pub scheduled: Timestamp,
    /// Name of the WorkflowRun: a second one of this minute cannot be created.
    pub run_name: String,
    /// Name of the execution: a second one of this minute cannot be started, even when the run was deleted.
    pub execution_name: String,
    /// After this the run is not started any more.
    pub start_deadline: Timestamp,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Action {
    /// Stop a run in favour of the one that is due.
    Cancel(ActiveRun, String),
    /// Create the run that is due.
    Create(Tick),
}

/// Something that is told once, by an event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct News {
    /// CamelCase reason.
    pub reason: Reason,
    /// What happened.
    pub note: String,
}

/// A run that is due and waits for others to end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// CamelCase reason.
    pub reason: Reason,
    /// What waits for what.
    pub message: String,
}

/// What is to be done, and what is then known.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Plan {
    /// To be done in this order, before the status is written.
    pub actions: Vec<Action>,
    /// Runs that have ended and are more than the limit: to be deleted once the status is written, because until then such a
    /// run is the only record that its time was dealt with.
    pub forget: Vec<ActiveRun>,
    /// The status without conditions, and without what [`created`] adds.
    pub status: WorkflowScheduleStatus,
    /// To be told.
    pub news: Vec<News>,
    /// The run that is due, while it waits.
    pub waiting: Option<Waiting>,
    /// When to look again at the latest; `None` where only a change matters.
    pub wake_at: Option<Timestamp>,
    /// Why nothing can be scheduled.
    pub failure: Option<Failure>,
}

/// Decides from what was seen.
pub fn plan(
    identity: Identity<'_>,
    spec: &WorkflowScheduleSpec,
    status: &WorkflowScheduleStatus,
    runs: &[OwnedRun],
    now: Timestamp,
) -> Plan {
    let mut plan = Plan {
        actions: Vec::new(),
        forget: too_old(spec, runs),
        status: with_runs(status, runs),
        news: Vec::new(),
        waiting: None,
        wake_at: None,
        failure: None,
    };
    if spec.suspend {
        plan.status.next_schedule_time = None;
        return plan;
    }
    match read(spec) {
        Ok((cron, zone)) => schedule(&mut plan, identity, spec, runs, &Clock { cron, zone, now }),
        Err(failure) => {
            plan.status.next_schedule_time = None;
            plan.failure = Some(failure);
        }
    }
    plan
}

/// Records in a status that the run of a tick was created, or had been before.
pub fn created(status: &mut WorkflowScheduleStatus, tick: &Tick, run: ActiveRun) {
    status.last_schedule_time = Some(Time(tick.scheduled));
    if !status.active.contains(&run) {
        status.active.push(run);
    }
    count_active(status);
}

struct Clock {
    cron: Cron,
    zone: TimeZone,
    now: Timestamp,
}

fn read(spec: &WorkflowScheduleSpec) -> Result<(Cron, TimeZone), Failure> {
    let zone = zone(spec)?;
    let read = (times(spec)?, zone);
    match template::problems(&spec.run_template).into_iter().next() {
        Some((_, failure)) => Err(failure),
        None => Ok(read),
    }
}

fn zone(spec: &WorkflowScheduleSpec) -> Result<TimeZone, Failure> {
    let Some(name) = &spec.time_zone else { return Ok(TimeZone::UTC) };
    cron::time_zone(name)
        .map_err(|problem| Failure::new(Class::Terminal, Reason::TimeZoneUnknown, format!("spec.timeZone: {problem}.")))
}

fn times(spec: &WorkflowScheduleSpec) -> Result<Cron, Failure> {
    Cron::parse(&spec.schedule).map_err(|problem| {
        let message = format!("spec.schedule \"{}\" cannot be read: {problem}.", spec.schedule);
        Failure::new(Class::Terminal, Reason::ScheduleInvalid, message)
    })
}

fn never_due(spec: &WorkflowScheduleSpec) -> Failure {
    let message = format!("spec.schedule \"{}\" names no time within the next five years.", spec.schedule);
    Failure::new(Class::Terminal, Reason::ScheduleNeverDue, message)
}

/// Why nothing of a schedule would ever run, all of it, each with the JSON pointer of its place: `TimeZoneUnknown`,
/// `ScheduleInvalid`, `ScheduleNeverDue` or `RunTemplateInvalid`.
pub fn problems(spec: &WorkflowScheduleSpec, now: Timestamp) -> Vec<(String, Failure)> {
    let (at_zone, at_schedule) =
        (|failure| ("/spec/timeZone".to_owned(), failure), |failure| ("/spec/schedule".to_owned(), failure));
    let mut found = match (zone(spec), times(spec)) {
        (Ok(zone), Ok(cron)) if cron.next(now, &zone).is_none() => vec![at_schedule(never_due(spec))],
        (zone, times) => zone.err().map(at_zone).into_iter().chain(times.err().map(at_schedule)).collect(),
    };
    found.extend(template::problems(&spec.run_template));
    found
}

/// True where the schedule asks for more than one run a minute. There is one at most: runs are named after the minute.
pub fn is_faster_than_a_minute(spec: &WorkflowScheduleSpec) -> bool {
    matches!(times(spec), Ok(Cron::Every(delay)) if delay.as_secs() < 60)
}

/// Runs beyond the limits of history, oldest first.
fn too_old(spec: &WorkflowScheduleSpec, runs: &[OwnedRun]) -> Vec<ActiveRun> {
    let beyond = |good: bool, limit: i32| {
        let ended = runs.iter().filter(|run| run.phase.is_finished() && run.phase.is_good() == good && !run.deleting);
        let mut ended: Vec<&OwnedRun> = ended.collect();
        ended.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        let excess = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        ended.into_iter().take(excess).map(reference).collect::<Vec<_>>()
    };
    let mut all = beyond(true, spec.successful_runs_history_limit);
    all.extend(beyond(false, spec.failed_runs_history_limit));
    all
}

fn reference(run: &OwnedRun) -> ActiveRun {
    ActiveRun { name: run.name.clone(), uid: run.uid.clone() }
}

fn with_runs(status: &WorkflowScheduleStatus, runs: &[OwnedRun]) -> WorkflowScheduleStatus {
    let mut status = status.clone();
    status.active = runs.iter().filter(|run| !run.phase.is_finished()).map(reference).collect();
    status.active.sort_by(|a, b| a.name.cmp(&b.name));
    count_active(&mut status);
    let succeeded = runs.iter().filter(|run| run.phase.is_good()).filter_map(|run| run.finished_at);
    let known = status.last_successful_time.as_ref().map(|time| time.0);
    status.last_successful_time = succeeded.chain(known).max().map(Time);
    status
}

fn count_active(status: &mut WorkflowScheduleStatus) {
    status.active_runs = i64::try_from(status.active.len()).ok();
}

/// What the clock asks for.
fn schedule(plan: &mut Plan, identity: Identity<'_>, spec: &WorkflowScheduleSpec, runs: &[OwnedRun], clock: &Clock) {
    note_change(&mut plan.status, spec, clock.now);
    let since = counted_since(&plan.status, identity.created_at);
    let due = clock.cron.latest(since, clock.now, &clock.zone);
    let next = match &clock.cron {
        Cron::Every(_) => clock.cron.next(due.unwrap_or(since), &clock.zone),
        Cron::Calendar(_) => clock.cron.next(clock.now, &clock.zone),
    };
    plan.status.next_schedule_time = next.map(Time);
    plan.wake_at = next;
    let Some(due) = due else {
        if next.is_none() {
            plan.failure = Some(never_due(spec));
        }
        return;
    };
    let tick = tick(identity, spec, due);
    if tick.start_deadline < clock.now {
        return miss(plan, &tick);
    }
    if runs.iter().any(|run| run.name == tick.run_name) {
        // Created before a crash, or earlier in the same minute.
        plan.status.last_schedule_time = Some(Time(due));
        return;
    }
    if spec.concurrency_policy != ConcurrencyPolicy::Allow && !plan.status.active.is_empty() {
        plan.wake_at = plan.wake_at.into_iter().chain(just_after(tick.start_deadline)).min();
        return wait(plan, spec.concurrency_policy, runs, &tick);
    }
    if clock.cron.count(since, clock.now, &clock.zone, MANY_MISSED + 1) > MANY_MISSED {
        plan.news.push(News {
            reason: Reason::TooManyMissedTimes,
            note: format!("More than {MANY_MISSED} scheduled times were missed; only the run of {due} is made up for."),
        });
    }
    plan.actions.push(Action::Create(tick));
}

/// A changed schedule does not make up for times that it would have named before it was changed.
fn note_change(status: &mut WorkflowScheduleStatus, spec: &WorkflowScheduleSpec, now: Timestamp) {
    let read = format!("{} {}", spec.schedule, spec.time_zone.as_deref().unwrap_or("UTC"));
    if status.schedule.as_ref() == Some(&read) {
        return;
    }
    if status.schedule.replace(read).is_some() {
        status.schedule_changed_at = Timestamp::from_second(now.as_second()).ok().map(Time);
    }
}

/// Times up to this one are dealt with. An object that was restored from a backup is younger than its last run.
fn counted_since(status: &WorkflowScheduleStatus, created_at: Timestamp) -> Timestamp {
    let last = status.last_schedule_time.as_ref().map_or(created_at, |time| time.0);
    status.schedule_changed_at.as_ref().map_or(last, |changed| changed.0.max(last))
}

fn tick(identity: Identity<'_>, spec: &WorkflowScheduleSpec, scheduled: Timestamp) -> Tick {
    let minute = scheduled.as_second().div_euclid(60);
    let given = spec.starting_deadline_seconds.map_or(NAME_IS_KEPT, SignedDuration::from_secs);
    Tick {
        scheduled,
        run_name: format!("{}-{minute}", identity.name),
        execution_name: format!("{}-{minute}", identity.uid),
        start_deadline: scheduled.saturating_add(given.min(NAME_IS_KEPT)).unwrap_or(Timestamp::MAX),
    }
}

fn just_after(time: Timestamp) -> Option<Timestamp> {
    time.checked_add(SignedDuration::from_millis(1)).ok()
}

fn miss(plan: &mut Plan, tick: &Tick) {
    let missed = Some(Time(tick.scheduled));
    if plan.status.last_missed_time != missed {
        plan.status.last_missed_time = missed;
        plan.news.push(News {
            reason: Reason::MissSchedule,
            note: format!(
                "The run of {} was not created: it would have had to start by {}.",
                tick.scheduled, tick.start_deadline
            ),
        });
    }
}

fn wait(plan: &mut Plan, policy: ConcurrencyPolicy, runs: &[OwnedRun], tick: &Tick) {
    let names: Vec<String> = plan.status.active.iter().map(|run| format!("\"{}\"", run.name)).collect();
    let names = names.join(", ");
    let (reason, message) = if policy == ConcurrencyPolicy::Forbid {
        (
            Reason::RunActive,
            format!("The run of {} waits until {names} has ended: concurrencyPolicy is Forbid.", tick.scheduled),
        )
    } else {
        (
            Reason::Replacing,
            format!("The run of {} waits until {names} has stopped: concurrencyPolicy is Replace.", tick.scheduled),
        )
    };
    if policy == ConcurrencyPolicy::Replace {
        let running = runs.iter().filter(|run| !run.phase.is_finished() && !run.cancelled && !run.deleting);
        let why = format!("Replaced by the run of {}.", tick.scheduled);
        plan.actions.extend(running.map(|run| Action::Cancel(reference(run), why.clone())));
    }
    plan.waiting = Some(Waiting { reason, message });
}
