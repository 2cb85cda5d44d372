//! What the log of an Express state machine tells: how its executions ended, and what they did. Step Functions keeps nothing of them itself, and
//! writes to the log as well as it can: late, and perhaps not at all. Whoever may write to the log group can write the same.
//! Source: Step Functions developer guide, "Logging using CloudWatch Logs".

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::api::v1alpha1::Phase;
use crate::aws::{EventPayload, ExecutionStatus, HistoryEvent, LogEvent};
use crate::printable::{printable, printable_lines};

/// Longest time that an Express execution runs (service quotas, "Maximum execution time").
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// How late an end may come to the log before it is no longer waited for.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// Events of one execution at most: many times what five minutes hold. Ids beyond are nobody's.
const MOST_EVENTS: i64 = 1_000_000;
/// How far the clocks are apart of whoever tells the start and whoever writes the log.
pub const SKEW: SignedDuration = SignedDuration::from_secs(1);

/// The events with which executions end, as a filter pattern of CloudWatch Logs.
pub const ENDS: &str = r#"{ ($.type = "ExecutionSucceeded") || ($.type = "ExecutionFailed") || ($.type = "ExecutionTimedOut") || ($.type = "ExecutionAborted") }"#;

/// Name of the log group of this ARN.
pub fn group_name(arn: &str) -> &str {
    arn.splitn(7, ':').nth(6).map(|name| name.strip_suffix(":*").unwrap_or(name)).unwrap_or_default()
}

/// When the end of an execution is no longer waited for. A log that was read to its end after that and has none will have none.
pub fn gives_up_at(started_at: Timestamp) -> Timestamp {
    started_at.checked_add(LONGEST + LATE).unwrap_or(Timestamp::MAX)
}

/// What the log has of an output.
#[derive(Clone, PartialEq, Eq)]
pub enum LoggedOutput {
    /// All of it.
    Whole(String),
    /// A part, of which nothing is taken: AWS cuts what makes an event larger than 248 KB.
    Cut,
    /// A text that is no JSON, of which nothing is taken.
    NotJson,
    /// Nothing: the state machine does not log data, or there is none.
    Nothing,
}

/// Outputs are data: their text is for nobody but their run.
impl std::fmt::Debug for LoggedOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole(…)",
            Self::Cut => "Cut",
            Self::NotJson => "NotJson",
            Self::Nothing => "Nothing",
        })
    }
}

/// How an execution ended, as its log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEnd {
    /// ARN of the execution.
    pub execution_arn: String,
    /// How.
    pub status: ExecutionStatus,
    /// When.
    pub at: Timestamp,
    /// Output of one that succeeded.
    pub output: LoggedOutput,
    /// Error of one that did not.
    pub error: Option<String>,
    /// Its cause.
    pub cause: Option<String>,
}

/// The events of an execution, as a filter pattern; `None` where its ARN has what would be more than a text in one.
pub fn of_execution(arn: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_-./+".contains(&byte);
    arn.bytes().all(is_plain).then(|| format!(r#"{{ $.execution_arn = "{arn}" }}"#))
}

/// An event of an execution's history, as its log has it; what went in and out only `with_data`. `None` where it is no event of
/// just this execution since its start.
pub fn history_event(logged: &LogEvent, arn: &str, started_at: Timestamp, with_data: bool) -> Option<HistoryEvent> {
    let event: LogLine = serde_json::from_str(&logged.message).ok()?;
    let timestamp = Timestamp::from_millisecond(number(&event.event_timestamp)?).ok()?;
    let since = started_at.checked_sub(SKEW).unwrap_or(Timestamp::MIN);
    if event.execution_arn != arn || timestamp < since {
        return None;
    }
    let details = event.details;
    let truncated = details.output_details.truncated || details.input_details.truncated;
    let resource = match (details.resource_type, details.resource) {
        (Some(kind), Some(resource)) => Some(format!("{kind}:{resource}")),
        (_, resource) => resource,
    };
    let cause = details.cause.map(|cause| printable_lines(&cause));
    let bounded = cause.as_deref().map(|cause| cause.chars().take(HistoryEvent::MAX_CAUSE).collect());
    let data = EventPayload {
        input: text(details.input),
        output: text(details.output),
        parameters: text(details.parameters),
        cause,
        truncated,
    };
    Some(HistoryEvent {
        id: number(&event.id).filter(|id| (1..=MOST_EVENTS).contains(id))?,
        previous_id: number(&event.previous_event_id).unwrap_or_default(),
        timestamp,
        event_type: event.event_type,
        name: details.name.or(details.state),
        index: number(&details.index).and_then(|index| index.try_into().ok()),
        length: number(&details.length).and_then(|length| length.try_into().ok()),
        map_run_arn: details.map_run_arn,
        resource,
        error: details.error.map(|error| printable(&error)),
        cause: bounded,
        data: Some(data).filter(|data| with_data && *data != EventPayload::default()).map(Box::new),
    })
}

/// An event as Step Functions writes it. Its numbers are texts.
#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    previous_event_id: Value,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    details: Payload,
    event_timestamp: Value,
    execution_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    input: Value,
    #[serde(default)]
    input_details: Cut,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    output_details: Cut,
    #[serde(default)]
    parameters: Value,
    name: Option<String>,
    state: Option<String>,
    #[serde(default)]
    index: Value,
    #[serde(default)]
    length: Value,
    map_run_arn: Option<String>,
    resource_type: Option<String>,
    resource: Option<String>,
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Default, Deserialize)]
struct Cut {
    #[serde(default)]
    truncated: bool,
}

/// A number, written as one or as a text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A text, or what else stands in its place as JSON.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// The end that an event tells of; `None` where it tells of none, or is not of Step Functions' form.
pub fn end(logged: &LogEvent) -> Option<LoggedEnd> {
    let event: LogLine = serde_json::from_str(&logged.message).ok()?;
    let status = match event.event_type.as_str() {
        "ExecutionSucceeded" => ExecutionStatus::Succeeded,
        "ExecutionFailed" => ExecutionStatus::Failed,
        "ExecutionTimedOut" => ExecutionStatus::TimedOut,
        "ExecutionAborted" => ExecutionStatus::Aborted,
        _ => return None,
    };
    let Payload { output, output_details, error, cause, .. } = event.details;
    let output = match text(output).filter(|_| status == ExecutionStatus::Succeeded) {
        _ if output_details.truncated => LoggedOutput::Cut,
        Some(output) if serde_json::from_str::<IgnoredAny>(&output).is_err() => LoggedOutput::NotJson,
        Some(output) => LoggedOutput::Whole(output),
        None => LoggedOutput::Nothing,
    };
    Some(LoggedEnd {
        execution_arn: event.execution_arn,
        status,
        at: Timestamp::from_millisecond(number(&event.event_timestamp)?).ok()?,
        output,
        error: error.map(|error| printable(&error)),
        cause: cause.map(|cause| printable_lines(&cause)),
    })
}

/// True of the end of an execution that started then: both the event and the log have a time since the start. `now` is when it
/// was read.
pub fn is_of(end: &LoggedEnd, logged_at: Timestamp, started_at: Timestamp, now: Timestamp) -> bool {
    let since = started_at.checked_sub(SKEW).unwrap_or(Timestamp::MIN);
    let until = now.checked_add(SKEW).unwrap_or(Timestamp::MAX);
    [end.at, logged_at].iter().all(|at| (since..=until).contains(at))
}

/// Why a run that ended well has no output; `None` where it has one, or cannot have.
pub fn no_output(end: &LoggedEnd) -> Option<&'static str> {
    match end.output {
        _ if end.status != ExecutionStatus::Succeeded => None,
        LoggedOutput::Whole(_) => None,
        LoggedOutput::Cut => {
            Some("The log has a part of the output alone: AWS cuts what makes an event larger than 248 KB.")
        }
        LoggedOutput::NotJson => Some(
            "The log has an output that is no JSON, which Step Functions does not write: somebody else wrote it, or changes what is logged.",
        ),
        LoggedOutput::Nothing => {
            Some("The log has no output: set logging.includeExecutionData of the Workflow to have that of later runs.")
        }
    }
}

/// What is told of a run of which the log has no end.
pub fn unknown(group: &str) -> (Phase, String) {
    let message = format!(
        "The log {group} has no end of the execution, ten minutes after its start; an Express execution takes five at most. Whether it ran is not known. The version that ran may log to another group or not at all; look there before you create another run."
    );
    (Phase::Failed, message)
}

/// What is told of a run whose log can never be read.
pub fn unreadable(group: &str, why: &str) -> (Phase, String) {
    let message = format!(
        "The log {group} cannot be read, so how the execution ended is not known; an Express execution takes five minutes at most. {why} Look into the log before you create another run."
    );
    (Phase::Failed, message)
}

#[cfg(test)]
mod tests;
