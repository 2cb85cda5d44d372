//! Redrives and histories as AWS has them. The emulator knows no redrive and links no events.
//!
//! `RedriveExecution`: the same ARN goes on from the state that failed, with that state's input and the same definition; what
//! had succeeded is not run again. Here a fresh execution that begins at that state runs behind the same ARN. A Parallel or
//! Map runs whole again, where AWS runs only the branches that failed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::states::{Answer, machine_of};
use super::visibility::epoch_seconds;
use super::{Shared, error_json};

/// A client token is good for 15 minutes, and only the last 10 are remembered (`RedriveExecution`, `clientToken`).
const TOKEN_LASTS: Duration = Duration::from_secs(15 * 60);
const TOKENS: usize = 10;

/// An execution that was redriven.
#[derive(Clone)]
pub(super) struct Redriven {
    /// The description of the first attempt.
    first: Value,
    /// Where its attempts ran in the emulator; the last is the current one.
    attempts: Vec<String>,
    /// How the attempt before the last redrive had ended.
    ended: Value,
    date: Value,
    tokens: Vec<(String, Instant)>,
}

impl Redriven {
    pub(super) fn runs_as(&self) -> &str {
        self.attempts.last().unwrap()
    }

    fn count(&self) -> usize {
        self.attempts.len() - 1
    }
}

impl Shared {
    pub(super) async fn redrive(&self, request: &Value) -> Answer {
        // One at a time, as AWS decides on one execution.
        let _one_at_a_time = self.redriving.lock().await;
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let token = request["clientToken"].as_str().unwrap_or_default();
        let earlier = self.redrives.lock().unwrap().get(arn).cloned();
        if let Some(known) = &earlier {
            let mut recent = known.tokens.iter().rev().take(TOKENS);
            if recent.any(|(used, at)| used == token && at.elapsed() < TOKEN_LASTS) {
                return (200, json!({"redriveDate": known.date}).to_string());
            }
        }
        let actual = self.runs_as(arn).unwrap_or_else(|| arn.to_owned());
        let (status, found) = self.as_root("DescribeExecution", &json!({"executionArn": actual})).await;
        if status != 200 {
            return (400, error_json("ExecutionDoesNotExist", &format!("Execution Does Not Exist: '{arn}'")));
        }
        if let Some(reason) = self.not_redrivable(arn, &found) {
            return (400, error_json("ExecutionNotRedrivable", &reason));
        }
        let fresh = self.go_on(arn, &actual).await;
        let (_, running) = self.as_root("DescribeExecution", &json!({"executionArn": fresh})).await;
        let mut redriven = earlier.unwrap_or_else(|| Redriven {
            first: found.clone(),
            attempts: vec![actual],
            ended: Value::Null,
            date: Value::Null,
            tokens: Vec::new(),
        });
        redriven.attempts.push(fresh);
        redriven.ended = found;
        redriven.date = running["startDate"].clone();
        redriven.tokens.push((token.to_owned(), Instant::now()));
        let date = redriven.date.clone();
        self.redrives.lock().unwrap().insert(arn.to_owned(), redriven);
        (200, json!({"redriveDate": date}).to_string())
    }

    /// Starts what is left of an execution, from the state that it failed in.
    async fn go_on(&self, arn: &str, actual: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let events = self.upstream_events(actual).await;
        let entered = events.iter().rfind(|event| event["stateEnteredEventDetails"].is_object());
        let ran_on = machine_of(actual).replace(":execution:", ":stateMachine:");
        let (_, mut machine) = self.as_root("DescribeStateMachine", &json!({"stateMachineArn": ran_on})).await;
        if let Some(version) = self.version_of(arn) {
            machine = version;
        }
        let mut definition: Value = serde_json::from_str(machine["definition"].as_str().unwrap()).unwrap();
        // One that was stopped before its first state begins anew.
        let mut input = events[0]["executionStartedEventDetails"]["input"].clone();
        if let Some(details) = entered.map(|event| &event["stateEnteredEventDetails"]) {
            definition["StartAt"] = details["name"].clone();
            input = details["input"].clone();
        }
        let name = format!("redrive-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"name": name, "definition": definition.to_string(), "roleArn": machine["roleArn"]});
        let (_, created) = self.as_root("CreateStateMachine", &body).await;
        let start = json!({"stateMachineArn": created["stateMachineArn"], "input": input});
        let (_, started) = self.as_root("StartExecution", &start).await;
        started["executionArn"].as_str().unwrap().to_owned()
    }

    /// Why AWS would not redrive an execution (`DescribeExecution`, `redriveStatusReason`).
    fn not_redrivable(&self, arn: &str, found: &Value) -> Option<String> {
        if let Some(status @ ("RUNNING" | "SUCCEEDED")) = found["status"].as_str() {
            return Some(format!("Execution is {status} and cannot be redriven"));
        }
        let refused = self.refused_redrives.lock().unwrap();
        let input = found["input"].as_str().unwrap_or_default();
        refused.iter().find(|(text, _)| arn.contains(text) || input.contains(text)).map(|(_, why)| why.clone())
    }

    /// A description as AWS gives it of an execution that may have been redriven.
    pub(super) fn with_redrives(&self, execution: &mut Value) {
        let arn = execution["executionArn"].as_str().unwrap_or_default().to_owned();
        self.count_redrives(execution);
        if let Some(known) = self.redrives.lock().unwrap().get(&arn) {
            execution["input"] = known.first["input"].clone();
        }
        match self.not_redrivable(&arn, execution) {
            Some(reason) => {
                execution["redriveStatus"] = json!("NOT_REDRIVABLE");
                execution["redriveStatusReason"] = json!(reason);
            }
            None => execution["redriveStatus"] = json!("REDRIVABLE"),
        }
    }

    /// What a list says of redrives too.
    pub(super) fn count_redrives(&self, execution: &mut Value) {
        let arn = execution["executionArn"].as_str().unwrap_or_default();
        let lag = self.lag_of(arn);
        let redrives = self.redrives.lock().unwrap();
        let known = redrives.get(arn);
        execution["redriveCount"] = json!(known.map_or(0, Redriven::count));
        if let Some(known) = known {
            execution["redriveDate"] = known.date.clone();
            if known.date.as_f64().is_some_and(|date| date + lag > epoch_seconds()) {
                // The redrive itself is not shown yet.
                execution["redriveCount"] = json!(known.count() - 1);
                for field in ["status", "stopDate", "output", "error", "cause"] {
                    execution[field] = known.ended[field].clone();
                }
            }
            execution["startDate"] = known.first["startDate"].clone();
            execution["name"] = known.first["name"].clone();
        }
    }

    async fn upstream_events(&self, actual: &str) -> Vec<Value> {
        let mut request = json!({"executionArn": actual, "maxResults": 1000});
        let mut events = Vec::new();
        loop {
            let (_, history) = self.as_root("GetExecutionHistory", &request).await;
            events.extend(history["events"].as_array().cloned().unwrap_or_default());
            if history["nextToken"].is_null() {
                return events;
            }
            request["nextToken"] = history["nextToken"].clone();
        }
    }

    /// The whole history: a redrive appends to it and does not enter the state anew (`RedriveExecution`), events are linked by
    /// `previousEventId`, and a distributed Map tells its Map Run (`MapRunStarted`).
    pub(super) async fn events(&self, arn: &str) -> Vec<Value> {
        if let Some(told) = self.told_history(arn) {
            return told;
        }
        let known = self.redrives.lock().unwrap().get(arn).cloned();
        let attempts = match &known {
            Some(known) => known.attempts.clone(),
            None => vec![self.runs_as(arn).unwrap_or_else(|| arn.to_owned())],
        };
        let mut events = Vec::new();
        for (number, actual) in attempts.iter().enumerate() {
            let mut own = self.upstream_events(actual).await;
            if number > 0 {
                let redriven = json!({"type": "ExecutionRedriven", "timestamp": own[0]["timestamp"],
                    "executionRedrivenEventDetails": {"redriveCount": number}});
                own.splice(..own.len().min(2), [redriven]);
            }
            let (_, listed) = self.as_root("ListMapRuns", &json!({"executionArn": actual})).await;
            let mut runs = listed["mapRuns"].as_array().cloned().unwrap_or_default().into_iter();
            for event in own {
                let begins_map = event["type"] == "MapStateEntered";
                let at = event["timestamp"].clone();
                events.push(event);
                if let Some(run) = begins_map.then(|| runs.next()).flatten() {
                    events.push(json!({"type": "MapStateStarted", "timestamp": at}));
                    events.push(json!({"type": "MapRunStarted", "timestamp": at,
                        "mapRunStartedEventDetails": {"mapRunArn": run["mapRunArn"]}}));
                }
            }
        }
        if let Some(definition) = self.definition_of(arn).await {
            name_what_failed_inside(&mut events, &definition);
        }
        for (index, event) in events.iter_mut().enumerate() {
            event["id"] = json!(index + 1);
            event["previousEventId"] = json!(if index < 2 { 0 } else { index });
        }
        events
    }

    async fn definition_of(&self, arn: &str) -> Option<Value> {
        let machine = if let Some(version) = self.version_of(arn) {
            version
        } else {
            let machine = machine_of(arn).replace(":execution:", ":stateMachine:");
            self.as_root("DescribeStateMachine", &json!({"stateMachineArn": machine})).await.1
        };
        serde_json::from_str(machine["definition"].as_str()?).ok()
    }
}

/// AWS writes events of the states inside a Parallel and of its failure (`GetExecutionHistory`); the emulator writes those of
/// their tasks alone. Of an execution that a Parallel has ended the state that failed inside is written down here.
fn name_what_failed_inside(events: &mut Vec<Value>, definition: &Value) {
    if events.last().is_none_or(|end| end["type"] != "ExecutionFailed") {
        return;
    }
    let Some(at) = events.iter().rposition(|event| event["stateEnteredEventDetails"].is_object()) else { return };
    if events[at]["type"] != "ParallelStateEntered" {
        return;
    }
    let parallel = &definition["States"][events[at]["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default()];
    let error = events.last().unwrap()["executionFailedEventDetails"]["error"].clone();
    let inside =
        parallel["Branches"].as_array().into_iter().flatten().filter_map(|branch| branch["States"].as_object());
    let mut states: Vec<(String, Value)> =
        inside.flatten().map(|(name, state)| (name.clone(), state.clone())).collect();
    // A Fail state is known by its error; else it was a task.
    states.sort_by_key(|(_, state)| (state["Error"] != error, state["Type"] != "Task"));
    let Some((name, state)) = states.into_iter().next() else { return };
    let (kind, time) = (state["Type"].as_str().unwrap_or_default(), events[at]["timestamp"].clone());
    let entered =
        json!({"type": format!("{kind}StateEntered"), "timestamp": time, "stateEnteredEventDetails": {"name": name}});
    events.insert(events.len() - 1, json!({"type": "ParallelStateFailed", "timestamp": time}));
    events.splice((at + 1)..=at, [json!({"type": "ParallelStateStarted", "timestamp": time}), entered]);
}
