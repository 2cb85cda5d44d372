//! What goes into a run, and what comes out of it.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::asl::model::Pattern;

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The input of the execution.
    pub input: Value,
    /// When it begins, in the time that its driver keeps.
    pub at: Timestamp,
    /// Where random numbers and ids begin: the same seed gives the same run.
    pub seed: u64,
    /// What the execution is called.
    pub identity: Identity,
    /// Variables that are set before the first state, by name.
    pub variables: std::collections::BTreeMap<String, Value>,
    /// The context object as it is, in place of the one that the run has: for a state that is tested alone.
    pub context: Option<Value>,
    /// What it may use up.
    pub limits: Limits,
}

/// 2026-01-01T00:00:00Z: moments of the past, which definitions have, do not hold up a run that begins then.
const DEFAULT_START: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Start {
    /// With this input; everything else as for a test.
    pub fn with_input(input: Value) -> Self {
        Self {
            input,
            at: DEFAULT_START,
            seed: 0,
            identity: Identity::default(),
            variables: std::collections::BTreeMap::new(),
            context: None,
            limits: Limits::default(),
        }
    }
}

/// What an execution and its machine are called; the context object shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the execution.
    pub name: String,
    /// ARN of the execution.
    pub execution: String,
    /// Name of the machine.
    pub machine_name: String,
    /// ARN of the machine.
    pub machine: String,
    /// ARN of the role that it runs as.
    pub role: String,
    /// Where its services are called.
    pub region: String,
}

impl Default for Identity {
    fn default() -> Self {
        let of = |kind: &str, name: &str| format!("arn:aws:states:us-east-1:123456789012:{kind}:{name}");
        Self {
            name: "test".to_owned(),
            execution: of("execution", "Machine:test"),
            machine_name: "Machine".to_owned(),
            machine: of("stateMachine", "Machine"),
            role: "arn:aws:iam::123456789012:role/Machine".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }
}

/// What a run may use up. Whoever is at one of these ends as [`Outcome::Bounded`]: it is a bound of ours and none of AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events of the execution and of all its child executions together.
    pub events: u64,
    /// Bytes of payload in them.
    pub bytes: u64,
    /// What working out its fields may take: about a unit a byte that is put together, 256 a step of an expression. The
    /// default is some seconds of a processor.
    pub work: u64,
    /// Seconds from the start to the end, in the driver's time.
    pub seconds: i64,
    /// Machines that run at the same time: branches, iterations, child executions.
    pub scopes: usize,
    /// Levels of objects and lists in a payload.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 200_000, bytes: 256 << 20, work: 4 << 30, seconds: 366 * 86_400, scopes: 20_000, depth: 200 }
    }
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has come to this moment: what was to sleep until then goes on.
    Time(Timestamp),
    /// A call has come to something.
    Answer {
        /// When.
        at: Timestamp,
        /// Which call.
        task: TaskId,
        /// To what.
        answer: Answer,
    },
    /// Somebody stops the execution.
    Stop {
        /// When.
        at: Timestamp,
        /// The error that is given.
        error: Option<String>,
        /// The cause that is given.
        cause: Option<String>,
    },
}

/// A call that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(super) u64);

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A worker has taken it: activities only, which begin with this. It may be left out.
    Started {
        /// The name that it gives itself.
        worker: Option<String>,
    },
    /// The job was started, or the message with the token was sent: `.sync` and `.waitForTaskToken`. It may be left out.
    Submitted(Value),
    /// A sign of life.
    Heartbeat,
    /// It is done.
    Succeeded(Value),
    /// It failed.
    Failed {
        /// Name of the error.
        error: Option<String>,
        /// What is said of it.
        cause: Option<String>,
    },
    /// It took too long, by the clock of whoever was called.
    TimedOut {
        /// What is said of it.
        cause: Option<String>,
    },
}

/// What is to be done outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Call this; its answer is awaited.
    Invoke(Box<Invoke>),
    /// Come back with [`Event::Time`] at this moment, if nothing else happens before. A later one takes the place of an earlier.
    Sleep {
        /// The moment.
        until: Timestamp,
    },
    /// A sign of life of this call is awaited until then.
    Heartbeat {
        /// Which call.
        task: TaskId,
        /// The moment after which it has failed.
        until: Timestamp,
    },
    /// A state has been left or is tried again, in this way; the history does not tell by which rule, catcher or retrier.
    Take {
        /// The state.
        path: Place,
        /// The way.
        way: Way,
    },
    /// This is now part of the history.
    Emit(HistoryEvent),
}

/// How a state goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// To its `Next`.
    Next,
    /// Nowhere: its machine ends.
    End,
    /// Where this of its `Choices` leads.
    Choice(usize),
    /// To its `Default`.
    Default,
    /// Where this of its `Catch` leads.
    Catch(usize),
    /// Once more, as this of its `Retry` says.
    Retry(usize),
}

/// A call.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// By which its answer is known.
    pub task: TaskId,
    /// Where in the definition, and in which iteration.
    pub path: Place,
    /// What it is made for.
    pub purpose: Purpose,
    /// `Resource` as it is written; empty for [`Purpose::State`].
    pub resource: String,
    /// What is waited for.
    pub pattern: Pattern,
    /// What is handed over.
    pub input: Value,
    /// 0, and one more for each time that the state is tried again.
    pub attempt: u32,
    /// The token that a call with `.waitForTaskToken` hands on.
    pub token: Option<String>,
    /// `Credentials`, the role to act as.
    pub credentials: Option<Value>,
}

/// What a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is the work of a Task.
    Task,
    /// It reads the items of a Map: the text of the object is awaited, or a list of items.
    ItemReader,
    /// It writes the results of a Map.
    ResultWriter,
    /// It stands for a whole Map or Parallel, see [`Program::answered`](super::Program::answered): its result is awaited.
    State,
}

/// Where a state is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// JSON pointer of the state in the definition.
    pub pointer: String,
    /// Its name.
    pub state: String,
    /// Index of the iteration of each Map around it, outermost first.
    pub iterations: Vec<usize>,
}

/// An event as `GetExecutionHistory` gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// Whose history it is of: 0 for the execution itself, a further number for each child execution of a distributed Map.
    pub execution: usize,
    /// Counted from 1.
    pub id: u64,
    /// The event that it follows; 0 where it follows none.
    pub previous_id: u64,
    /// When it happened.
    pub timestamp: Timestamp,
    /// `TaskStateEntered`, for example.
    pub event_type: String,
    /// The state that it is of.
    pub place: Place,
    /// What is told in the field of [`Self::details_key`].
    pub details: Map<String, Value>,
}

impl HistoryEvent {
    /// The field that its details are in: one for all types of state.
    pub fn details_key(&self) -> String {
        let kind = self.event_type.as_str();
        let shared = [("StateEntered", "stateEntered"), ("StateExited", "stateExited")];
        let name = shared.iter().find(|(end, _)| kind.ends_with(end)).map_or_else(
            || {
                let mut letters = kind.chars();
                let first = letters.next().unwrap_or_default().to_ascii_lowercase();
                format!("{first}{}", letters.as_str())
            },
            |(_, name)| (*name).to_owned(),
        );
        format!("{name}EventDetails")
    }

    /// As the API gives it.
    pub fn to_json(&self) -> Value {
        let mut event = json!({"id": self.id, "previousEventId": self.previous_id,
            "timestamp": self.timestamp.to_string(), "type": self.event_type});
        if !self.details.is_empty() {
            event[self.details_key()] = Value::Object(self.details.clone());
        }
        event
    }

    /// A detail that is text.
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.details.get(key)?.as_str()
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It ended well.
    Succeeded(Value),
    /// It failed.
    Failed {
        /// Name of the error.
        error: Option<String>,
        /// What is said of it.
        cause: Option<String>,
    },
    /// It took longer than the machine's `TimeoutSeconds`.
    TimedOut {
        /// Name of the error.
        error: Option<String>,
        /// What is said of it.
        cause: Option<String>,
    },
    /// Somebody stopped it.
    Aborted {
        /// The error that was given.
        error: Option<String>,
        /// The cause that was given.
        cause: Option<String>,
    },
    /// It is at a bound of ours, or the definition is none that AWS takes: nothing is known of how it would go on.
    Bounded(Bound),
}

/// Why a run is not played to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound(pub(super) String);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
