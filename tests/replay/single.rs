//! A state alone, as `TestState` runs it, and an execution of which only the end is recorded.

use serde_json::{Value, json};
use stepbound::asl::model::Machine;
use stepbound::asl::parse;
use stepbound::asl::run::{Answer, Effect, Event, HistoryEvent, Invoke, Outcome, Program, play, start, step};

use crate::corpus;
use crate::recorded::{filled_in, is_as_recorded};

/// What a state alone came to.
#[derive(Debug, Default)]
struct Came {
    status: &'static str,
    output: Option<Value>,
    next: Option<String>,
    error: Option<String>,
    cause: Option<String>,
}

pub fn compare(record: &Value) -> Result<(), String> {
    let request = &record["request"];
    let came = run(record)?;
    let answer = &record["answer"];
    let output = match &answer["output"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::String(text.clone())),
        other => other.clone(),
    };
    let ours = json!({"status": came.status, "next": came.next, "error": came.error, "cause": came.cause});
    let theirs = json!({"status": answer["status"], "next": answer["nextState"], "error": answer["error"], "cause": answer["cause"]});
    let is_same = is_as_recorded(&theirs, &ours)
        && (output.is_null() || came.output.as_ref().is_some_and(|ours| is_as_recorded(&output, ours)));
    if is_same {
        return Ok(());
    }
    Err(format!("{ours} {:?} instead of {theirs} {output} for {}", came.output, request["definition"]))
}

fn run(record: &Value) -> Result<Came, String> {
    let request = &record["request"];
    let mut state = filled_in(&request["definition"]);
    if state.get("Next").is_none()
        && state.get("End").is_none()
        && !matches!(state["Type"].as_str(), Some("Choice" | "Fail" | "Succeed"))
    {
        state["End"] = json!(true);
    }
    let named = request["stateName"].as_str().filter(|_| state.get("States").is_some());
    let (name, kind, machine) = if let Some(name) = named {
        let mut around = holder(&state, name).ok_or("the definition has no such state")?;
        around["QueryLanguage"] = json!(state["QueryLanguage"].as_str().unwrap_or("JSONPath"));
        around["StartAt"] = json!(name);
        (name, around["States"][name]["Type"].clone(), around)
    } else {
        let mut machine = corpus::as_machine(state);
        let tested = machine["States"].as_object_mut().and_then(|states| states.remove("Tested")).unwrap_or_default();
        let kind = tested["Type"].clone();
        machine["States"]["StateName"] = tested;
        machine["StartAt"] = json!("StateName");
        ("StateName", kind, machine)
    };
    let text = machine.to_string();
    let parsed = parse(&text).map_err(|error| error.to_string())?;
    let machine = Machine::of(parsed.root());
    let program = Program::of(&machine).express().answered([format!("/States/{name}")]);
    let input = if request["input"].is_null() { json!({}) } else { request["input"].clone() };
    let mut begin = crate::start(&input, Some("arn:aws:iam::111111111111:role/tested"), "express");
    if let Some(variables) = request["variables"].as_object() {
        begin.variables = variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    begin.context = request.get("context").cloned();
    let mut retried = request["stateConfiguration"]["retrierRetryCount"].as_u64().unwrap_or_default();
    let (mut now, mut effects) = start(&program, begin);
    let mut history: Vec<HistoryEvent> = Vec::new();
    let mut given = None;
    loop {
        let mut calls: Vec<Invoke> = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Emit(event) => history.push(event),
                Effect::Invoke(call) => calls.push(*call),
                Effect::Sleep { .. } | Effect::Heartbeat { .. } | Effect::Take { .. } => {}
            }
        }
        let exit = history.iter().find(|event| event.event_type.ends_with("StateExited"));
        if let Some(exit) = exit {
            return Ok(left(exit, &history, given));
        }
        match (now.outcome(), calls.into_iter().next()) {
            (Some(Outcome::Failed { error, cause }), _) => {
                // In an execution, AWS tells before it which state the error is of.
                let told = cause.as_ref().and_then(|cause| cause.split_once("). ")).map(|(_, told)| told.to_owned());
                let cause = told.filter(|_| record["answer"]["error"] == "States.Runtime").or_else(|| cause.clone());
                return Ok(Came { status: "FAILED", error: error.clone(), cause, ..Came::default() });
            }
            (Some(other), _) => return Err(format!("{other:?}")),
            (None, Some(call)) => {
                let answer = mocked(record);
                if let Answer::Failed { error, cause } = &answer {
                    given = Some((error.clone(), cause.clone()));
                }
                let at = now.now();
                (now, effects) = step(&program, now, Event::Answer { at, task: call.task, answer });
            }
            (None, None) if kind == "Wait" => {
                let at = now.wakes_at().ok_or("it waits for nothing")?;
                (now, effects) = step(&program, now, Event::Time(at));
            }
            (None, None) if retried > 0 => {
                retried -= 1;
                let at = now.wakes_at().ok_or("it waits for nothing")?;
                (now, effects) = step(&program, now, Event::Time(at));
            }
            (None, None) => {
                let (error, cause) = given.clone().unwrap_or_default();
                return Ok(Came { status: "RETRIABLE", error, cause, ..Came::default() });
            }
        }
    }
}

/// The machine that has a state of this name, at any depth.
fn holder(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            let has = fields.get("States").is_some_and(|states| states.get(name).is_some());
            if has { Some(value.clone()) } else { fields.values().find_map(|value| holder(value, name)) }
        }
        Value::Array(items) => items.iter().find_map(|value| holder(value, name)),
        _ => None,
    }
}

type Given = Option<(Option<String>, Option<String>)>;

fn left(exit: &HistoryEvent, history: &[HistoryEvent], given: Given) -> Came {
    let output = exit.detail("output").and_then(|text| serde_json::from_str(text).ok());
    let entered = history.iter().filter(|event| event.event_type.ends_with("StateEntered")).nth(1);
    let next = entered.and_then(|event| event.detail("name")).map(str::to_owned);
    let told = history.iter().find(|event| event.event_type == "EvaluationFailed");
    let told = told.map(|event| (event.detail("error").map(str::to_owned), event.detail("cause").map(str::to_owned)));
    match given.or(told) {
        Some((error, cause)) => Came { status: "CAUGHT_ERROR", output, next, error, cause },
        None => Came { status: "SUCCEEDED", output, next, ..Came::default() },
    }
}

/// What the request says that the state's work came to; of a real call, what the answer shows of it.
fn mocked(record: &Value) -> Answer {
    let (request, answer) = (&record["request"], &record["answer"]);
    let mock = &request["mock"];
    let word = |key: &str| mock["errorOutput"][key].as_str().map(str::to_owned);
    if mock["errorOutput"].is_object() {
        return Answer::Failed { error: word("error"), cause: word("cause") };
    }
    let failures = request["stateConfiguration"]["mapIterationFailureCount"].as_f64();
    let state = &request["definition"];
    let tolerated = state["ToleratedFailureCount"].as_f64();
    let tolerated = tolerated.or_else(|| Some(state["ToleratedFailurePercentage"].as_f64()? / 100.0 * 3.0));
    if let (Some(failures), Some(tolerated)) = (failures, tolerated)
        && failures > tolerated
    {
        let cause = Some("The specified tolerated failure threshold was exceeded".to_owned());
        return Answer::Failed { error: Some("States.ExceedToleratedFailureThreshold".to_owned()), cause };
    }
    let result = [&mock["result"], &answer["inspectionData"]["result"], &answer["output"]];
    let result = result.into_iter().find(|value| !value.is_null()).cloned().unwrap_or_default();
    Answer::Succeeded(match result {
        Value::String(text) if mock["result"].is_null() => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => filled_in(&other),
    })
}

pub fn express(record: &Value) -> Result<(), String> {
    let definition = filled_in(&record["definition"]).to_string();
    let parsed = parse(&definition).map_err(|error| error.to_string())?;
    let machine = Machine::of(parsed.root());
    let mut begin = crate::start(&record["input"], Some("sfn_role_arn"), "express");
    let theirs = match &record["answer"]["details"]["output"] {
        Value::Null => &record["answer"]["output"],
        output => output,
    };
    begin.identity.execution.push_str(":SyncExecArn_Part2_0idx");
    "SyncExecArn_Part1_0idx".clone_into(&mut begin.identity.name);
    // What its calls answered is not recorded: an error is told at the end, a result is in the output.
    let error = &theirs["Error"];
    let played = play(&Program::of(&machine).express(), begin, |_| {
        if let Some(error) = error.as_str() {
            let cause = filled_in(&theirs["Cause"]).as_str().map(str::to_owned);
            return Answer::Failed { error: Some(error.to_owned()), cause }.into();
        }
        let mut result = theirs.clone();
        result.as_object_mut().map(|fields| fields.remove("final"));
        Answer::Succeeded(filled_in(&result)).into()
    });
    match &played.outcome {
        Outcome::Succeeded(output) if is_as_recorded(theirs, output) => Ok(()),
        other => Err(format!("{other:?} instead of {theirs}")),
    }
}
