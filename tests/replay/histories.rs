//! A recorded history, played again.

use serde_json::{Map, Value, json};
use stepbound::asl::model::Machine;
use stepbound::asl::parse;
use stepbound::asl::run::{Answer, HistoryEvent, Invoke, Outcome, Program, Purpose, TaskAnswer, play};

use crate::recorded::{filled_in, is_as_recorded};

/// Types of events that a call has.
const CALLS: [&str; 3] = ["Task", "LambdaFunction", "Activity"];
/// Where the recorder sorted the events of a Parallel, it left these out.
const LEFT_OUT: [&str; 3] = ["ParallelStateSucceeded", "ParallelStateFailed", "ParallelStateExited"];

/// Recordings whose events come from something that no recording holds.
const ELSEWHERE: [(&str, &str); 2] = [
    ("test_activity_task_on_deleted", "that an activity is deleted is known to the service alone"),
    ("test_invoke_with_headers[singleStringHeader]", "what a service takes is checked against its model, not by a run"),
];

pub fn calls_services(record: &Value) -> bool {
    events(record).any(|event| CALLS.iter().any(|call| event["type"] == format!("{call}Scheduled")))
}

/// In their order; one history was recorded backwards.
fn events(record: &Value) -> impl Iterator<Item = &Value> {
    let events = record["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_backwards = events.first().is_some_and(|event| event["type"] != "ExecutionStarted");
    let (forwards, backwards) = if is_backwards { (&events[..0], events) } else { (events, &events[..0]) };
    forwards.iter().chain(backwards.iter().rev())
}

fn details(event: &Value) -> Map<String, Value> {
    let fields = event.as_object().into_iter().flatten();
    let found = fields.filter(|(key, _)| key.ends_with("EventDetails")).find_map(|(_, details)| details.as_object());
    found.cloned().unwrap_or_default()
}

/// A call of the recording: what it was made with, and what it came to.
struct Recorded {
    resource: Value,
    input: Value,
    answers: Vec<Answer>,
    is_left: bool,
}

pub fn replay(record: &Value) -> Result<(), String> {
    let case = crate::case(record);
    if let Some((_, why)) = ELSEWHERE.iter().find(|(name, _)| *name == case) {
        return Err((*why).to_owned());
    }
    let definition = filled_in(&record["definition"]).to_string();
    let parsed = parse(&definition).map_err(|error| error.to_string())?;
    let machine = Machine::of(parsed.root());
    let program = Program::of(&machine);
    let first = events(record).next().map(filled_in).unwrap_or_default();
    let role = details(&first).get("roleArn").and_then(Value::as_str).map(str::to_owned);
    let start = crate::start(&record["input"], role.as_deref(), "execution");
    let mut calls = calls(record);
    let played = play(&program, start, |invoke| answer(record, &mut calls, invoke));
    let ours: Vec<&HistoryEvent> = played.history.iter().filter(|event| event.execution == 0).collect();
    let result = compare(record, &ours);
    match (&result, &played.outcome) {
        (Err(_), Outcome::Bounded(_)) if played.calls.iter().any(|call| is_of_a_child(&played.history, call)) => {
            Err("its child executions make calls, and no recording holds what these came to".to_owned())
        }
        (Err(reason), Outcome::Bounded(bound)) => Err(format!("{bound}; {reason}")),
        _ => result,
    }
}

fn is_of_a_child(history: &[HistoryEvent], call: &Invoke) -> bool {
    call.purpose == Purpose::Task && history.iter().any(|event| event.execution > 0 && event.place == call.path)
}

/// Calls by the links of their events; where the recorder took these away, by their order.
fn calls(record: &Value) -> Vec<Recorded> {
    let all: Vec<&Value> = events(record).collect();
    let is = |event: &Value, what: &str| CALLS.iter().any(|call| event["type"] == format!("{call}{what}"));
    let mut used = vec![false; all.len()];
    let mut calls = Vec::new();
    for (at, event) in all.iter().enumerate().filter(|(_, event)| is(event, "Scheduled")) {
        let told = filled_in(&Value::Object(details(event)));
        let (mut answers, mut last) = (Vec::new(), event["id"].clone());
        let is_timed = !told["timeoutInSeconds"].is_null() || !told["heartbeatInSeconds"].is_null();
        for (place, next) in all.iter().enumerate() {
            let is_linked = if last.is_number() { place > at && next["previousEventId"] == last } else { true };
            if used[place] || !is_linked || !CALLS.iter().any(|call| next["type"].as_str().unwrap().starts_with(call)) {
                continue;
            }
            let Some(answer) = recorded_answer(next) else { continue };
            used[place] = true;
            last = if last.is_number() { next["id"].clone() } else { last };
            let is_end = !matches!(answer, Answer::Started { .. } | Answer::Submitted(_));
            // A time-out of the definition is the interpreter's to see.
            if !(is_timed && matches!(answer, Answer::TimedOut { .. })) {
                answers.push(answer);
            }
            if is_end {
                break;
            }
        }
        let input = told.get("parameters").or(told.get("input")).cloned().unwrap_or_default();
        calls.push(Recorded { resource: told["resource"].clone(), input, answers, is_left: true });
    }
    calls
}

fn recorded_answer(event: &Value) -> Option<Answer> {
    let kind = event["type"].as_str()?;
    let told = filled_in(&Value::Object(details(event)));
    let word = |key: &str| match &told[key] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let output = || match &told["output"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::String(text.clone())),
        other => other.clone(),
    };
    Some(match CALLS.iter().find_map(|call| kind.strip_prefix(call))? {
        "Started" => Answer::Started { worker: word("workerName") },
        "Submitted" => Answer::Submitted(output()),
        "Succeeded" => Answer::Succeeded(output()),
        "Failed" => Answer::Failed { error: word("error"), cause: word("cause") },
        "TimedOut" => Answer::TimedOut { cause: word("cause") },
        _ => return None,
    })
}

fn answer(record: &Value, calls: &mut [Recorded], invoke: &Invoke) -> TaskAnswer {
    match invoke.purpose {
        Purpose::ItemReader => return Answer::Succeeded(read(record)).into(),
        Purpose::ResultWriter => return Answer::Succeeded(Value::Null).into(),
        Purpose::Task | Purpose::State => {}
    }
    let resource = |call: &Recorded| call.resource.as_str().is_some_and(|resource| invoke.resource.ends_with(resource));
    let same = |call: &&mut Recorded| call.is_left && resource(call) && is_as_recorded(&call.input, &invoke.input);
    let found = match calls
        .iter()
        .position(|call| call.is_left && resource(call) && is_as_recorded(&call.input, &invoke.input))
    {
        Some(at) => calls.get_mut(at).filter(same),
        None => calls.iter_mut().find(|call| call.is_left && resource(call)),
    };
    match found {
        Some(call) => {
            call.is_left = false;
            TaskAnswer::Now(std::mem::take(&mut call.answers))
        }
        None => TaskAnswer::Never,
    }
}

/// What a Map read is in no recording, but its children hand on what they are given: so it is what the Map gave.
fn read(record: &Value) -> Value {
    if events(record).any(|event| event["type"] == "MapRunFailed") {
        return json!("{\"no\": \"list\"}");
    }
    let exit = events(record).find(|event| event["type"] == "MapStateExited");
    let given = exit.map(|event| details(event)["output"].clone()).unwrap_or_default();
    let given = match &given {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let is_batched = record["definition"].to_string().contains("ItemBatcher");
    match given {
        Value::Array(batches) if is_batched => {
            batches.iter().flat_map(|batch| batch["Items"].as_array().cloned().unwrap_or_default()).collect()
        }
        other => other,
    }
}

fn compare(record: &Value, ours: &[&HistoryEvent]) -> Result<(), String> {
    let notes = record["notes"].to_string();
    let is_sorted = notes.contains("sorted");
    let theirs: Vec<(String, Value)> = events(record)
        .map(|event| (event["type"].as_str().unwrap_or_default().to_owned(), Value::Object(details(event))))
        .filter(|(kind, _)| !is_sorted || !LEFT_OUT.contains(&kind.as_str()))
        .collect();
    let ours: Vec<(String, Value)> = ours
        .iter()
        .map(|event| (event.event_type.clone(), Value::Object(event.details.clone())))
        .filter(|(kind, _)| !is_sorted || !LEFT_OUT.contains(&kind.as_str()))
        .collect();
    // Which of several machines goes on first is not AWS's to say: the number of an event differs with it.
    let is_parallel = theirs.iter().any(|(kind, _)| kind.starts_with("Parallel") || kind == "MapIterationStarted");
    let is_same = |theirs: &(String, Value), ours: &(String, Value)| {
        theirs.0 == ours.0 && is_as_recorded(&numbered(&theirs.1, is_parallel), &numbered(&ours.1, is_parallel))
    };
    let differs = theirs.iter().zip(&ours).position(|(theirs, ours)| !is_same(theirs, ours));
    if differs.is_none() && theirs.len() == ours.len() {
        return Ok(());
    }
    if is_parallel {
        let mut left: Vec<_> = ours.iter().collect();
        let missing = theirs.iter().find(|theirs| match left.iter().position(|ours| is_same(theirs, ours)) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        });
        return match (missing, left.first()) {
            (None, None) => Ok(()),
            (Some(missing), _) => Err(format!("lacks {}", short(missing))),
            (None, Some(extra)) => Err(format!("has {}", short(extra))),
        };
    }
    let at = differs.unwrap_or_else(|| theirs.len().min(ours.len()));
    let show = |events: &[(String, Value)]| events.get(at).map_or("nothing".to_owned(), short);
    Err(format!("event {}: {} instead of {}", at + 1, show(&ours), show(&theirs)))
}

fn short((kind, details): &(String, Value)) -> String {
    let text = format!("{kind} {details}");
    match text.char_indices().nth(700) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Without the number of the event that a cause names.
fn numbered(details: &Value, is_parallel: bool) -> Value {
    let mut details = details.clone();
    if let Some(Value::String(cause)) = details.get_mut("cause").filter(|_| is_parallel)
        && let Some((before, after)) = cause.split_once("event id #")
    {
        *cause = format!("{before}event id #{}", after.trim_start_matches(|sign: char| sign.is_ascii_digit()));
    }
    details
}
