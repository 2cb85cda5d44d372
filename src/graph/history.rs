//! What became of each state in a run, from the answer of `GetExecutionHistory`.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::api::v1alpha1::{Timeline, VisitResult};

/// What became of a state, the last time that it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It ended well.
    Succeeded,
    /// It failed and the error was caught.
    Caught,
    /// It was entered and has not been left.
    Running,
    /// It was ended from outside: by a stop, a time limit, or a failure beside it.
    Aborted,
    /// It failed.
    Failed,
}

impl Outcome {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Caught => "caught",
            Self::Running => "running",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// By state: the worst that became of it where it was entered several times, and how often it was entered.
    pub states: BTreeMap<String, (Outcome, usize)>,
}

/// Why a text is no history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It is no JSON.
    #[error("the history is not JSON: {0}")]
    Syntax(String),
    /// It has no events.
    #[error("the history has no list \"events\"; it is what `aws stepfunctions get-execution-history` prints")]
    NoEvents,
}

/// One entry into a state.
struct Entry {
    name: String,
    outcome: Outcome,
}

impl History {
    /// Reads the answer of `GetExecutionHistory`.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, HistoryError> {
        let value: Value = serde_json::from_str(text).map_err(|error| HistoryError::Syntax(error.to_string()))?;
        let events = value.get("events").or(Some(&value)).and_then(Value::as_array).ok_or(HistoryError::NoEvents)?;
        Ok(Self::of(events))
    }

    /// Reads events, which lead back to one another by `previousEventId`.
    pub fn of(events: &[Value]) -> Self {
        let mut sorted: Vec<&Value> = events.iter().collect();
        sorted.sort_by_key(|event| event["id"].as_u64());
        let mut entries: Vec<Entry> = Vec::new();
        // By event: the entry that it belongs to.
        let mut belongs: HashMap<u64, usize> = HashMap::new();
        let mut over = None;
        for event in sorted {
            let kind = event["type"].as_str().unwrap_or_default();
            let id = event["id"].as_u64().unwrap_or_default();
            let previous = event["previousEventId"].as_u64().unwrap_or_default();
            if kind.ends_with("StateEntered") {
                let name = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default().to_owned();
                belongs.insert(id, entries.len());
                entries.push(Entry { name, outcome: Outcome::Running });
                continue;
            }
            let of = belongs.get(&previous).copied();
            if kind.ends_with("StateExited") {
                // The exit of a Map or Parallel follows on events of states inside: it is found by its name.
                let name = event["stateExitedEventDetails"]["name"].as_str().unwrap_or_default();
                let open = entries.iter().rposition(|entry| entry.name == name && is_open(entry.outcome));
                if let Some(at) = of.filter(|at| entries[*at].name == name).or(open) {
                    let failed = entries[at].outcome == Outcome::Failed;
                    entries[at].outcome = if failed { Outcome::Caught } else { Outcome::Succeeded };
                    belongs.insert(id, at);
                }
                continue;
            }
            if let Some(at) = of {
                belongs.insert(id, at);
                entries[at].outcome = after(kind, entries[at].outcome);
            }
            over = ended(kind).or(over);
        }
        Self::closed(entries, over)
    }

    /// What a timeline tells of the states. Names of states are unique in a definition.
    pub fn of_timeline(timeline: &Timeline) -> Self {
        let mut states: BTreeMap<String, (Outcome, usize)> = BTreeMap::new();
        for visit in &timeline.visits {
            let outcome = match visit.result {
                VisitResult::Running => Outcome::Running,
                VisitResult::Succeeded => Outcome::Succeeded,
                VisitResult::Caught => Outcome::Caught,
                VisitResult::Failed | VisitResult::TimedOut => Outcome::Failed,
                VisitResult::Aborted => Outcome::Aborted,
            };
            let known = states.entry(visit.state.clone()).or_insert((outcome, 0));
            known.0 = known.0.max(outcome);
            known.1 += 1;
        }
        Self { states }
    }

    /// When the run is over no state runs any more.
    fn closed(entries: Vec<Entry>, over: Option<Outcome>) -> Self {
        let last_open = entries.iter().rposition(|entry| is_open(entry.outcome));
        let mut states: BTreeMap<String, (Outcome, usize)> = BTreeMap::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let outcome = match (entry.outcome, over) {
                // The state that a failed run ended in is the one that failed.
                (Outcome::Running, Some(Outcome::Failed)) if Some(at) == last_open => Outcome::Failed,
                (Outcome::Running, Some(Outcome::Succeeded)) => Outcome::Succeeded,
                (Outcome::Running, Some(_)) => Outcome::Aborted,
                (outcome, _) => outcome,
            };
            let known = states.entry(entry.name).or_insert((outcome, 0));
            known.0 = known.0.max(outcome);
            known.1 += 1;
        }
        Self { states }
    }
}

fn is_open(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Running | Outcome::Failed)
}

/// An event of a state changes what is known of it: a retried state has failed only until it is tried again.
fn after(kind: &str, before: Outcome) -> Outcome {
    match kind {
        "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted" | "ExecutionSucceeded" => before,
        _ if kind.ends_with("Aborted") => Outcome::Aborted,
        _ if kind.ends_with("Failed") || kind.ends_with("TimedOut") => Outcome::Failed,
        _ if kind.ends_with("Scheduled") || kind.ends_with("Started") => Outcome::Running,
        _ => before,
    }
}

fn ended(kind: &str) -> Option<Outcome> {
    match kind {
        "ExecutionSucceeded" => Some(Outcome::Succeeded),
        "ExecutionFailed" => Some(Outcome::Failed),
        "ExecutionAborted" | "ExecutionTimedOut" => Some(Outcome::Aborted),
        _ => None,
    }
}
