//! What a run tells of what its execution did, written with its end.

use crate::*;

/// Events as AWS writes them, numbered: to what each is linked, its type, and its details by their name.
fn history(events: &[(i64, &str, Value)]) -> Vec<Value> {
    let event = |(id, (previous, kind, details)): (i64, &(i64, &str, Value))| {
        let mut event = json!({"id": id, "previousEventId": previous, "type": kind, "timestamp": 1_800_000_000 + id});
        event.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
        event
    };
    (1..).zip(events).map(event).collect()
}

fn entered(name: &str) -> Value {
    json!({"stateEnteredEventDetails": {"name": name, "input": "{\"card\":\"4711\"}"}})
}

fn exited(name: &str) -> Value {
    json!({"stateExitedEventDetails": {"name": name, "output": "{\"card\":\"4711\"}"}})
}

fn iteration(kind: &str, index: i64) -> Value {
    json!({kind: {"name": "Each", "index": index}})
}

fn task_failed() -> Value {
    json!({"taskFailedEventDetails": {"resourceType": "sqs", "resource": "sendMessage", "error": "Declined", "cause": "no funds"}})
}

fn visits(run: &Value) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let visit = |visit: &Value| (text(&visit["path"]), text(&visit["result"]), visit["error"].clone());
    run["status"]["timeline"]["visits"].as_array().unwrap().iter().map(visit).collect()
}

fn ready(name: &str, definition: &Value, timeline: Option<&str>) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", definition);
    if let Some(timeline) = timeline {
        workflow["spec"]["timeline"] = json!(timeline);
    }
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

#[test]
fn a_run_with_a_caught_error_tells_it_where_its_workflow_wants_every_timeline() {
    let pass = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let definition = json!({"StartAt": "Fork", "States": {
        "Fork": {"Type": "Parallel", "Branches": [pass("Left"), pass("Charge")], "Next": "Mend",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Mend"}]},
        "Mend": {"Type": "Pass", "End": true}}});
    let (tenant, operator) = ready("timeline-caught", &definition, Some("Always"));
    let none = json!({});
    let events = [
        (0, "ExecutionStarted", json!({"executionStartedEventDetails": {"input": "{\"card\":\"4711\"}"}})),
        (0, "ParallelStateEntered", entered("Fork")),
        (2, "ParallelStateStarted", none.clone()),
        (3, "WaitStateEntered", entered("Left")),
        (3, "TaskStateEntered", entered("Charge")),
        (5, "TaskFailed", task_failed()),
        (6, "ParallelStateFailed", none.clone()),
        (7, "ParallelStateExited", exited("Fork")),
        (8, "PassStateEntered", entered("Mend")),
        (9, "PassStateExited", exited("Mend")),
        (10, "ExecutionSucceeded", none),
    ];
    let machine = tenant.machine_arn("fulfil").replace(":stateMachine:", ":execution:");
    tenant.bed.front.tell_history(&machine, history(&events));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let told = |path: &str, result: &str, error: Value| (path.to_owned(), result.to_owned(), error);
    assert_eq!(
        visits(&run),
        [
            told("/States/Fork", "Caught", json!("Declined")),
            told("/States/Fork/Branches/0/States/Left", "Aborted", Value::Null),
            told("/States/Fork/Branches/1/States/Charge", "Failed", json!("Declined")),
            told("/States/Mend", "Succeeded", Value::Null),
        ]
    );
    let timeline = &run["status"]["timeline"];
    assert_eq!(timeline["observedEventID"], 11);
    assert!(timeline["visits"][0]["enteredAt"].as_str().unwrap().starts_with("2027-01-15T"), "{timeline}");
    assert!(!timeline.to_string().contains("4711"), "neither inputs nor outputs: {timeline}");
}

#[test]
fn a_failed_map_tells_its_iterations_and_the_one_that_failed() {
    let inner =
        json!({"StartAt": "Pack", "States": {"Pack": {"Type": "Fail", "Error": "Declined", "Cause": "no funds"}}});
    let definition =
        json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": inner, "End": true}}});
    let (tenant, operator) = ready("timeline-map", &definition, None);
    let none = json!({});
    let events = [
        (0, "ExecutionStarted", none.clone()),
        (0, "MapStateEntered", entered("Each")),
        (2, "MapStateStarted", json!({"mapStateStartedEventDetails": {"length": 3}})),
        (3, "MapIterationStarted", iteration("mapIterationStartedEventDetails", 0)),
        (4, "TaskStateEntered", entered("Pack")),
        (5, "TaskStateExited", exited("Pack")),
        (6, "MapIterationSucceeded", iteration("mapIterationSucceededEventDetails", 0)),
        (3, "MapIterationStarted", iteration("mapIterationStartedEventDetails", 1)),
        (8, "TaskStateEntered", entered("Pack")),
        (9, "TaskFailed", task_failed()),
        (10, "MapIterationFailed", iteration("mapIterationFailedEventDetails", 1)),
        (11, "MapStateFailed", none),
        (12, "ExecutionFailed", json!({"executionFailedEventDetails": {"error": "Declined", "cause": "no funds"}})),
    ];
    let machine = tenant.machine_arn("fulfil").replace(":stateMachine:", ":execution:");
    tenant.bed.front.tell_history(&machine, history(&events));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": [1, 2, 3]})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Failed", "True", "ExecutionFailed");
    let pack = "/States/Each/ItemProcessor/States/Pack";
    let results: Vec<(String, String)> = visits(&run).into_iter().map(|(path, result, _)| (path, result)).collect();
    let told = |path: &str, result: &str| (path.to_owned(), result.to_owned());
    assert_eq!(results, [told("/States/Each", "Failed"), told(pack, "Succeeded"), told(pack, "Failed")]);
    let each = &run["status"]["timeline"]["visits"][0];
    assert_eq!(each["iterations"], json!({"total": 3, "succeeded": 1, "failed": 1, "running": 0}));
    assert_eq!((&each["error"], &each["cause"]), (&json!("Declined"), &json!("no funds")));
    assert_eq!(run["status"]["failedState"], "Pack");
    let calls = tenant.bed.front.calls_about(run["status"]["executionARN"].as_str().unwrap());
    let histories: Vec<_> = calls.iter().filter(|call| call.operation == "GetExecutionHistory").collect();
    assert_eq!(histories.len(), 1, "one page has all of it");
    assert!(histories[0].body.contains("\"includeExecutionData\":false"));
}

#[test]
fn the_history_of_a_run_that_succeeded_is_not_read() {
    let (tenant, operator) = with_workflow("timeline-none", 0);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert!(run["status"]["timeline"].is_null());
    let calls = tenant.bed.front.calls_about(run["status"]["executionARN"].as_str().unwrap());
    assert!(calls.iter().all(|call| call.operation != "GetExecutionHistory"));
}
