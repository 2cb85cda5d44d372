//! Whether a run that failed is tried again, and when; and what the next attempt is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::run::timeout_at;
use crate::api::v1alpha1::{
    Attempt, AttemptCause, Backoff, DurationString, Phase, Retry, RetryStrategy, RunMode, StateMachineType, Workflow,
    WorkflowRunSpec, WorkflowRunStatus,
};
use crate::aws::{Execution, ExecutionStatus};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// How many attempts a status keeps.
const KEPT_ATTEMPTS: usize = 20;
/// Longest error of an attempt that a status keeps, in characters.
const MAX_ATTEMPT_ERROR: usize = 256;

/// What follows from the end of an execution.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub enum AfterEnd {
    /// The run ends with it. The text says why it is not tried again, where `spec.retry` might have made one expect it.
    Ends(Option<String>),
    /// The next attempt begins at this time.
    Retries(Timestamp),
}

/// Decides, at `now`, after an execution that ended with `phase`.
pub fn after_end(
    spec: &WorkflowRunSpec,
    status: &WorkflowRunStatus,
    execution: &Execution,
    phase: Phase,
    now: Timestamp,
) -> AfterEnd {
    let Some(retry) = spec.retry.as_ref().filter(|_| !phase.is_good()) else { return AfterEnd::Ends(None) };
    let used = retries(status);
    let at = saturating_add(now, wait(&retry.backoff, used));
    let refusal = if status.stop.is_some() || spec.cancel.is_some() {
        Some("a run that was cancelled or ran out of time is not tried again".to_owned())
    } else if execution.status == ExecutionStatus::Aborted {
        Some("somebody stopped the execution in AWS".to_owned())
    } else if status.adopted {
        Some("the execution is not of this run: it existed before".to_owned())
    } else if used >= retry.limit {
        Some(format!("all {} attempts of spec.retry are used up", retry.limit + 1))
    } else if !matches(retry, execution.error.as_deref()) {
        Some("spec.retry.onErrors does not list the error".to_owned())
    } else if let (RetryStrategy::Redrive, Some(Err(reason))) = (retry.strategy, &execution.redrivable) {
        Some(format!("AWS cannot redrive it: {reason}"))
    } else if timeout_at(spec, status).is_some_and(|end| end <= at) {
        Some("spec.timeout leaves no time for another attempt".to_owned())
    } else {
        None
    };
    refusal.map_or(AfterEnd::Retries(at), |why| AfterEnd::Ends(Some(why)))
}

/// Retries since the run began or was last asked to go on.
fn retries(status: &WorkflowRunStatus) -> i64 {
    let own = status.attempts.iter().rev().take_while(|attempt| attempt.cause == AttemptCause::Retry);
    i64::try_from(own.count()).unwrap_or(i64::MAX)
}

/// As `ErrorEquals` of a state reads names (Amazon States Language, "Error names"): `States.ALL` is any error, and
/// `States.TaskFailed` any but `States.Timeout`.
fn matches(retry: &Retry, error: Option<&str>) -> bool {
    let names: Vec<&str> = retry.on_errors.iter().map(|name| name.0.as_str()).collect();
    let one = |name: &str| match name {
        "States.ALL" => true,
        "States.TaskFailed" => error != Some("States.Timeout"),
        name => Some(name) == error,
    };
    names.is_empty() || names.into_iter().any(one)
}

/// The wait before the retry after `used` earlier ones.
fn wait(backoff: &Backoff, used: i64) -> Duration {
    let length = |text: &DurationString| text.to_std().unwrap_or(Duration::MAX);
    let factor = u32::try_from(backoff.factor).unwrap_or(1);
    let grown = (0..used).try_fold(length(&backoff.interval), |wait, _| wait.checked_mul(factor));
    grown.unwrap_or(Duration::MAX).min(length(&backoff.max_interval))
}

fn saturating_add(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// The attempt after the last one, by `spec.retry`. A restart runs what the last attempt ran, under a name of its own; one that
/// AWS has refused is still the next.
pub fn next_attempt(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, uid: &str, now: Timestamp) -> Option<Attempt> {
    let last = status.attempts.last()?;
    let strategy = spec.retry.as_ref()?.strategy;
    if strategy == RetryStrategy::Restart && status.is_refused() && last.number > 1 {
        return Some(last.clone());
    }
    match strategy {
        RetryStrategy::Redrive => redrive_attempt(status, AttemptCause::Retry, now),
        RetryStrategy::Restart => {
            let number = last.number + 1;
            Some(Attempt {
                number,
                execution_name: format!("{uid}-{number}"),
                redrive_count: 0,
                ..following(last, AttemptCause::Retry, now)
            })
        }
    }
}

/// A redrive of the last execution: one above what AWS last counted, so that it is asked for once.
pub fn redrive_attempt(status: &WorkflowRunStatus, cause: AttemptCause, now: Timestamp) -> Option<Attempt> {
    let last = status.attempts.last()?;
    let counted = status.redrive.as_ref().map_or(0, |redrive| redrive.count);
    Some(Attempt {
        number: last.number + 1,
        redrive_count: counted.max(last.redrive_count) + 1,
        ..following(last, cause, now)
    })
}

/// What a recorded redrive needs, by what AWS shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum RedriveStep {
    /// It was made, or is needed no more.
    Made,
    /// AWS shows a state from before what is known.
    NotShownYet,
    /// It was not made: ask for it.
    Ask,
}

/// Redrive n is asked for only while AWS counts n-1 and shows an end.
pub fn redrive_step(attempt: &Attempt, found: &Execution) -> RedriveStep {
    let counted = i64::from(found.redrive_count);
    if counted >= attempt.redrive_count || found.status == ExecutionStatus::Succeeded {
        RedriveStep::Made
    } else if counted + 1 < attempt.redrive_count || found.status == ExecutionStatus::Running {
        RedriveStep::NotShownYet
    } else {
        RedriveStep::Ask
    }
}

fn following(last: &Attempt, cause: AttemptCause, now: Timestamp) -> Attempt {
    Attempt {
        cause,
        recorded_at: Time(now),
        requested_by: None,
        approved_by: None,
        finished_at: None,
        error: None,
        ..last.clone()
    }
}

/// Records an attempt and takes back what the status says of an end.
pub fn begin(status: &mut WorkflowRunStatus, attempt: Attempt) {
    if attempt.redrive_count == 0 {
        status.execution_arn = None;
        status.console_url = None;
        status.redrive = None;
    }
    if status.attempts.last().is_some_and(|last| last.number == attempt.number) {
        // It was refused and is asked for again.
        status.attempts.pop();
    } else {
        status.refusal = None;
    }
    status.attempts.push(attempt);
    let surplus = status.attempts.len().saturating_sub(KEPT_ATTEMPTS);
    status.attempts.drain(..surplus);
    status.phase = Some(Phase::Starting);
    status.retry_at = None;
    status.stop = None;
    status.finished_at = None;
    status.duration = None;
    status.timeline = None;
    for field in [&mut status.error, &mut status.cause, &mut status.failed_state, &mut status.state] {
        *field = None;
    }
}

/// Says of the last attempt how it ended, and counts how long it ran. Told twice it counts once.
pub fn close_attempt(status: &mut WorkflowRunStatus, execution: &Execution) {
    let ran_before = ran(status);
    let first_start = status.started_at.as_ref().map(|time| time.0);
    let Some(last) = status.attempts.last_mut() else { return };
    let ended = execution.stopped_at.unwrap_or(execution.started_at);
    if last.finished_at.is_none() {
        let began = if last.redrive_count > 0 {
            last.recorded_at.0
        } else if last.number > 1 {
            execution.started_at
        } else {
            first_start.unwrap_or(execution.started_at)
        };
        status.ran_milliseconds = Some(ran_before.saturating_add(milliseconds(began, ended)));
    }
    last.finished_at = Some(Time(ended));
    last.error = execution.error.as_ref().map(|error| error.chars().take(MAX_ATTEMPT_ERROR).collect());
}

/// How long the attempts that have ended ran. Where that was not counted, by a release before it was, the attempts tell it.
fn ran(status: &WorkflowRunStatus) -> i64 {
    status.ran_milliseconds.unwrap_or_else(|| {
        let ended = status.attempts.iter().filter_map(|one| Some((one.recorded_at.0, one.finished_at.as_ref()?.0)));
        ended.map(|(began, ended)| milliseconds(began, ended)).sum()
    })
}

fn milliseconds(began: Timestamp, ended: Timestamp) -> i64 {
    i64::try_from(ended.duration_since(began).as_millis()).unwrap_or(i64::MAX).max(0)
}

/// Whether the way in which a run is started and tried again exists for the type of its state machine.
///
/// # Errors
/// `ModeNotSupported`, `RetryNotSupported`.
pub fn check_mode(spec: &WorkflowRunSpec, machine_type: StateMachineType) -> Result<(), Failure> {
    let strategy = spec.retry.as_ref().map(|retry| retry.strategy);
    let (reason, message) = match (machine_type, spec.mode, strategy) {
        (StateMachineType::Standard, RunMode::Sync, _) => (
            Reason::ModeNotSupported,
            "mode Sync needs an Express Workflow; AWS has no synchronous start for a Standard one. Create a run with mode Async: it is watched to its end too.",
        ),
        (StateMachineType::Express, _, Some(RetryStrategy::Redrive)) => (
            Reason::RetryNotSupported,
            "AWS redrives no Express execution. Create a run with retry.strategy Restart and mode Sync, or let the states themselves retry.",
        ),
        (StateMachineType::Express, RunMode::Async, Some(RetryStrategy::Restart)) => (
            Reason::RetryNotSupported,
            "AWS tells nothing of the end of an Express execution that is not waited for, so it cannot be tried again. Create a run with mode Sync.",
        ),
        _ => return Ok(()),
    };
    Err(Failure::new(Class::Terminal, reason, message))
}

/// Why a run is not restarted by the version of its first attempt: AWS counts the versions of a new state machine from 1 again, so
/// that of a Workflow that was created since may be another.
pub fn is_of_an_earlier_workflow(workflow: &Workflow, status: &WorkflowRunStatus, target_arn: &str) -> Option<String> {
    let is_version = target_arn.rsplit(':').next().is_some_and(|last| last.parse::<u64>().is_ok());
    let (created, first) = (workflow.metadata.creation_timestamp.as_ref()?, status.attempts.first()?);
    (is_version && created.0 > first.recorded_at.0).then(|| {
        let name = workflow.metadata.name.as_deref().unwrap_or_default();
        format!(
            "Workflow {name} was deleted and created anew since the first attempt, so {target_arn} may be another version; it is not tried again. Create another run."
        )
    })
}

#[cfg(test)]
mod tests;
