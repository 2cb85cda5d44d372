//! The types of the ports.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::api::v1alpha1::{LogLevel, StateMachineType};

/// Tags of an AWS resource.
pub type Tags = BTreeMap<String, String>;

/// What a state machine has beside definition, role and type, as AWS has it where nothing was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MachineSettings {
    /// Which events are logged.
    pub log_level: LogLevel,
    /// Whether inputs and outputs are logged.
    pub log_execution_data: bool,
    /// ARN of the log group, with its `:*`.
    pub log_group_arn: Option<String>,
    /// Whether traces are sent.
    pub tracing: bool,
    /// Id of the account's own key and the seconds for which a data key is used.
    pub encryption: Option<(String, i32)>,
}

/// State of a CloudWatch alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Within its threshold.
    Ok,
    /// Beyond its threshold.
    Alarm,
    /// There is not enough to say, for example no traffic.
    InsufficientData,
}

/// What AWS says of a definition when asked to validate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionDiagnostic {
    /// Whether the definition cannot be used because of it.
    pub error: bool,
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
    /// Where: a JSON pointer.
    pub location: String,
}

/// A state machine as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMachine {
    /// Its ARN.
    pub arn: String,
    /// The definition as it was submitted.
    pub definition: String,
    /// Role of its executions.
    pub role_arn: String,
    /// Standard or Express.
    pub machine_type: StateMachineType,
    /// Logging, tracing, encryption.
    pub settings: MachineSettings,
    /// Set once it was updated.
    pub revision_id: Option<String>,
    /// True while AWS deletes it.
    pub deleting: bool,
    /// Of a version: what it was published with.
    pub description: Option<String>,
}

/// A creation, made unique by `version_description` so that only our own earlier attempt matches it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CreateStateMachine {
    /// Name of the machine.
    pub name: String,
    /// Definition, byte for byte the same on a repeat.
    pub definition: String,
    /// Role of its executions.
    pub role_arn: String,
    /// Standard or Express.
    pub machine_type: StateMachineType,
    /// Logging, tracing, encryption.
    pub settings: MachineSettings,
    /// Description of the first version; `None` publishes none.
    pub version_description: Option<String>,
    /// Tags, owner's included.
    pub tags: Tags,
}

/// What creation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedStateMachine {
    /// ARN of the machine.
    pub arn: String,
    /// ARN of the published version.
    pub version_arn: Option<String>,
}

/// An update that publishes a version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UpdateStateMachine {
    /// ARN of the machine.
    pub arn: String,
    /// New definition.
    pub definition: String,
    /// New role.
    pub role_arn: String,
    /// New logging, tracing and encryption; AWS wants definition and role beside a new encryption, so all are sent.
    pub settings: MachineSettings,
    /// Description of the version; `None` publishes none.
    pub version_description: Option<String>,
}

/// What an update answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedStateMachine {
    /// The new revision.
    pub revision_id: Option<String>,
    /// ARN of the published version.
    pub version_arn: Option<String>,
}

/// A start.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StartExecution {
    /// ARN of a version or of the machine.
    pub target_arn: String,
    /// Name of the execution.
    pub name: String,
    /// Input, JSON text.
    pub input: String,
    /// Root of the X-Ray trace that the execution is, by which its run knows it again.
    pub trace_root: String,
}

/// What a start answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedExecution {
    /// ARN of the execution.
    pub arn: String,
    /// When it started.
    pub started_at: Timestamp,
}

/// States of an execution that AWS tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutionStatus {
    /// Not ended.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ran out of its own time.
    TimedOut,
    /// Stopped.
    Aborted,
}

/// Versions behind an alias, by ARN, with the percent of new executions that each gets.
pub type Routes = Vec<(String, i64)>;

/// An execution as AWS lists it: without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedExecution {
    /// Its ARN.
    pub arn: String,
    /// Version that it was started by, where it was.
    pub version_arn: Option<String>,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// How often it was redriven.
    pub redrive_count: i32,
}

/// One page of a list of executions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// Machine, version or alias.
    pub arn: String,
    /// Only those that stand so; all without.
    pub status: Option<ExecutionStatus>,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// What a list answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionPage {
    /// The executions.
    pub executions: Vec<ListedExecution>,
    /// Where the next page begins; `None` where this is the last.
    pub next_token: Option<String>,
}

/// An execution as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Machine, without a version.
    pub state_machine_arn: String,
    /// Version that it was started by, where it was.
    pub version_arn: Option<String>,
    /// Alias that it was started by, where it was.
    pub alias_arn: Option<String>,
    /// X-Ray's header that it was started with.
    pub trace_header: Option<String>,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
    /// How often it was redriven.
    pub redrive_count: i32,
    /// Input, where AWS tells it.
    pub input: Option<String>,
    /// Output, of one that succeeded.
    pub output: Option<String>,
    /// Error of one that failed.
    pub error: Option<String>,
    /// Cause of one that failed.
    pub cause: Option<String>,
    /// `Ok` where AWS would redrive it, else why not; `None` where AWS does not say.
    pub redrivable: Option<Result<(), String>>,
}

/// What is asked of the history of an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryRequest {
    /// ARN of the execution.
    pub arn: String,
    /// From the end backwards instead of from the beginning.
    pub newest_first: bool,
    /// Also what went in and out of the states. Not to be set without the right of whoever asks to see it.
    pub include_data: bool,
    /// Most events of the page: AWS gives at most 1,000.
    pub max_events: i32,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// One event of an execution's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryEvent {
    /// Counted from 1.
    pub id: i64,
    /// The event that it follows; 0 where it follows none.
    pub previous_id: i64,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Type as AWS names it, `TaskStateEntered` for example.
    pub event_type: String,
    /// Name of the state that is entered or left or whose evaluation failed, or of the Map of an iteration.
    pub name: Option<String>,
    /// Index of an iteration.
    pub index: Option<i32>,
    /// How many items the Map has that begins.
    pub length: Option<i32>,
    /// ARN of a Map Run that is started or redriven.
    pub map_run_arn: Option<String>,
    /// What is called: an ARN, or service and action as in `sqs:sendMessage`.
    pub resource: Option<String>,
    /// Name of the error that it tells of.
    pub error: Option<String>,
    /// The first [`HistoryEvent::MAX_CAUSE`] characters of the error's cause.
    pub cause: Option<String>,
    /// What went in and out; only where it was asked for, and only of events that have any.
    pub data: Option<Box<EventPayload>>,
}

impl HistoryEvent {
    /// Longest cause that an event keeps, in characters: thousands of events are held at once.
    pub const MAX_CAUSE: usize = 256;
}

/// What went in and out in an event. Not to be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EventPayload {
    /// What the state or execution was given.
    pub input: Option<String>,
    /// What it gave.
    pub output: Option<String>,
    /// What a task was called with.
    pub parameters: Option<String>,
    /// The error's cause, whole.
    pub cause: Option<String>,
    /// AWS has cut something of it off.
    pub truncated: bool,
}

impl fmt::Debug for EventPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventPayload(…)")
    }
}

/// A page of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The events, in the order that was asked for.
    pub events: Vec<HistoryEvent>,
    /// Where the next page begins; `None` where this is the last.
    pub next_token: Option<String>,
}

/// What is asked of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Name of the log group, in the session's account and region.
    pub group: String,
    /// Events since then, by their own time.
    pub from: Timestamp,
    /// Which events: a filter pattern of CloudWatch Logs.
    pub pattern: String,
    /// Where the page before ended.
    pub next_token: Option<String>,
}

/// One event of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Its time, as whoever wrote it says.
    pub timestamp: Timestamp,
    /// What was written.
    pub message: String,
}

impl fmt::Debug for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogEvent({}, …)", self.timestamp)
    }
}

/// A page of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The events, the oldest first.
    pub events: Vec<LogEvent>,
    /// Where the next page begins; `None` where this is the last.
    pub next_token: Option<String>,
}

/// How many items of a Map Run have ended, how, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapRunCounts {
    /// Ended well.
    pub succeeded: i64,
    /// Failed, timed out or aborted.
    pub failed: i64,
    /// Begun and not ended.
    pub running: i64,
    /// All.
    pub total: i64,
}

impl MapRunCounts {
    /// Succeeded, failed, timed out or aborted.
    pub fn ended(&self) -> i64 {
        self.succeeded + self.failed
    }
}

/// A message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What was sent.
    pub body: String,
    /// What it is deleted by.
    pub receipt: String,
}
