//! What an ExecutionHistory reads, when it has read all of it, and what has to go to make room for it.

pub mod pace;
pub mod pages;
pub mod room;
pub mod waiting;

use jiff::{SignedDuration, Timestamp};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::v1alpha1::{
    Attempt, EventData, ExecutionHistorySpec, LogLevel, PageEvent, Phase, WorkflowRunStatus, WorkflowSpec,
};
use crate::aws::{EventPayload, HistoryEvent};
use crate::outcome::{Class, Failure};
use crate::plan::needs;
use crate::plan::timeline::Place;
use crate::reason::Reason;

/// How long a finished history stays where its spec has no length of time that can be counted.
const AN_HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How often the end of a history is looked for after its run has ended: AWS may show its last events late.
const LOOKS_FOR_THE_END: u32 = 5;
/// AWS may not show an execution at once.
const SHOWN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Where what a run did can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing has happened yet.
    NotStarted,
    /// `GetExecutionHistory` of this execution.
    History(String),
    /// The log of this Express execution, in the log group of this ARN.
    Log(String, String),
    /// Nowhere, now or later.
    Nowhere(Failure),
}

/// What an Express state machine logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// All that its executions do, to the log group of this ARN.
    All(String),
    /// Some of it.
    Some(String),
    /// Nothing.
    Nothing,
}

impl Logged {
    /// By what the run says and, of one that does not look there for its own end, by what its Workflow says.
    pub fn of(run: &WorkflowRunStatus, workflow: Option<&WorkflowSpec>) -> Self {
        let group = |spec: &WorkflowSpec| {
            let logging = spec.logging.as_ref().filter(|logging| logging.level != LogLevel::None);
            logging.and_then(|logging| logging.log_group_arn.clone())
        };
        match run.log_group_arn.as_deref().or_else(|| workflow.and_then(needs::complete_log)) {
            Some(all) => Self::All(all.to_owned()),
            None => workflow.and_then(group).map_or(Self::Nothing, Self::Some),
        }
    }
}

/// Where what a run did can be read. `recorded` is the execution that was read before: a history stays with it. `logged` is what
/// an Express run logs.
pub fn source(run: &str, status: &WorkflowRunStatus, recorded: Option<&str>, logged: Logged) -> Source {
    let terminal = |reason, message| Source::Nowhere(Failure::new(Class::Terminal, reason, message));
    match recorded.or(status.execution_arn.as_deref()) {
        Some(arn) if is_express(arn, status) => match logged {
            Logged::All(group) => Source::Log(arn.to_owned(), group),
            Logged::Some(group) => terminal(Reason::HistoryNotSupported, express(run, Some(&group))),
            Logged::Nothing => terminal(Reason::HistoryNotSupported, express(run, None)),
        },
        Some(arn) => Source::History(arn.to_owned()),
        None if status.phase.unwrap_or_default().is_finished() => {
            let message = format!(
                "WorkflowRun \"{run}\" has ended and was never started, so there is no history. Its own status says why."
            );
            terminal(Reason::RunNotStarted, message)
        }
        None => Source::NotStarted,
    }
}

/// True of an Express execution: its ARN says so, and so does a run that was handed over without a word of its end.
pub fn is_express(arn: &str, run: &WorkflowRunStatus) -> bool {
    arn.split(':').nth(5) == Some("express") || run.phase == Some(Phase::Dispatched)
}

/// The attempt whose execution this is: the newest of its name, since a redrive goes on under the same.
pub fn attempt_of<'a>(run: &'a WorkflowRunStatus, arn: &str) -> Option<&'a Attempt> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    run.attempts.iter().rev().find(|attempt| attempt.execution_name == name).or(run.attempts.last())
}

fn express(run: &str, log_group: Option<&str>) -> String {
    let place = match log_group {
        Some(group) => format!(
            "Its Workflow does not log all: the log group {group} has errors alone. Set spec.logging.level to All to have the histories of later runs."
        ),
        None => "Its Workflow logs to no group either; set spec.logging to have later runs logged.".to_owned(),
    };
    format!(
        "WorkflowRun \"{run}\" ran on an Express state machine, and Step Functions keeps no history of those. {place}"
    )
}

/// The run has gone, or another one has its name.
pub fn run_gone(run: &str) -> Failure {
    let message = format!(
        "WorkflowRun \"{run}\" was deleted before its history was read to the end. What was read until then is in the pages."
    );
    Failure::new(Class::Terminal, Reason::RunNotFound, message)
}

/// There is no such run yet.
pub fn no_run(run: &str, namespace: &str) -> Failure {
    let message = format!(
        "WorkflowRun \"{run}\" does not exist in namespace \"{namespace}\". It is waited for for a minute, as where one manifest has both."
    );
    Failure::new(Class::Waiting, Reason::RunNotFound, message)
}

/// AWS shows no history of an execution. One that was started a moment ago may be shown later.
pub fn not_shown(arn: &str, status: &WorkflowRunStatus, now: Timestamp) -> Failure {
    let is_new = status.started_at.as_ref().is_some_and(|at| now.duration_since(at.0) < SHOWN_AFTER);
    if is_new {
        let message = format!("AWS does not show execution {arn} yet. It is looked for again by itself.");
        return Failure::new(Class::Transient, Reason::ExecutionNotFound, message);
    }
    let message = format!(
        "AWS has no execution {arn} any more: it keeps a history for 90 days after the end. What was read before is in the pages."
    );
    Failure::new(Class::Terminal, Reason::ExecutionNotFound, message)
}

/// The log has nothing of an Express execution, so long after its start that nothing comes any more.
pub fn not_logged(arn: &str, group: &str) -> Failure {
    let message = format!(
        "The log group {group} has no event of execution {arn}, ten minutes after its start. The version that ran may log to another group or not at all, or what was logged has expired."
    );
    Failure::new(Class::Terminal, Reason::ExecutionNotFound, message)
}

/// What follows once all events were read that AWS has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is nothing more.
    Complete,
    /// More may have happened in a moment.
    LookAgain,
    /// The execution has ended and the run has not: it may be redriven, and the run tells.
    WaitForRun,
}

/// What follows. `ended` where the newest event is the end of the execution; `looks` counts those since the run was seen to
/// have ended.
pub fn next(follow: bool, run: &WorkflowRunStatus, arn: &str, ended: bool, looks: u32) -> Next {
    let another_attempt = run.execution_arn.as_deref().is_some_and(|now| now != arn);
    if !follow || another_attempt {
        return Next::Complete;
    }
    match (run.phase.unwrap_or_default().is_finished(), ended) {
        (true, true) => Next::Complete,
        (true, false) if looks >= LOOKS_FOR_THE_END => Next::Complete,
        (_, false) => Next::LookAgain,
        (false, true) => Next::WaitForRun,
    }
}

/// True of the event with which an execution ends.
pub fn is_end(event_type: &str) -> bool {
    matches!(event_type, "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" | "ExecutionTimedOut")
}

/// An event as a page tells it, and its data apart from it.
pub fn told(event: HistoryEvent, place: Place) -> (PageEvent, Option<EventData>) {
    let data = event.data.map(|payload| {
        let EventPayload { input, output, parameters, cause, truncated } = *payload;
        EventData { id: event.id, input, output, parameters, cause, truncated }
    });
    let event = PageEvent {
        id: event.id,
        previous_event_id: event.previous_id,
        event_type: event.event_type,
        timestamp: MicroTime(event.timestamp),
        // Of a log the entry of a state may be missing, and its exit names it all the same.
        state: place.state.or(event.name),
        path: place.path,
        iteration: event.index.map(i64::from).or(place.iteration),
        resource: event.resource,
        error: event.error,
        cause: event.cause,
    };
    (event, data)
}

/// When a history that was finished then is deleted.
pub fn expires_at(spec: &ExecutionHistorySpec, finished: Timestamp) -> Timestamp {
    let ttl = spec.ttl_after_finished.to_std().and_then(|length| SignedDuration::try_from(length).ok());
    finished.checked_add(ttl.unwrap_or(AN_HOUR)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
