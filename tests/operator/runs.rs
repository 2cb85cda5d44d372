//! Executions: started, stopped, adopted, refused.

use crate::bad_input::refused;
use crate::*;

#[test]
fn cancel_and_timeout_stop_the_execution_and_decide_the_phase() {
    let (tenant, operator) = with_workflow("stops", 120);
    tenant.apply(&workflow_run("cancelled", "fulfil", &json!({})));
    tenant.apply(&workflow_run("late", "fulfil", &json!({"timeout": "2s"})));
    tenant.wait_for(&operator, "sfnrun/cancelled", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&[
        "patch",
        "sfnrun",
        "cancelled",
        "--type=merge",
        "-p",
        r#"{"spec":{"cancel":{"reason":"not needed"}}}"#,
    ]);
    let cancelled = tenant.wait_for(&operator, "sfnrun/cancelled", "Finished", "True", "Aborted");
    assert_eq!(cancelled["status"]["phase"], "Aborted");
    let late = tenant.wait_for(&operator, "sfnrun/late", "Finished", "True", "TimedOut");
    assert_eq!(late["status"]["phase"], "TimedOut");
    assert!(executions(&tenant).iter().all(|execution| execution["status"] == "ABORTED"));
}

#[test]
fn a_run_that_cannot_start_says_why_and_changes_nothing() {
    let (tenant, operator) = with_workflow("cannot-start", 0);
    let past = json!({"executionName": "once", "startDeadline": "2020-01-01T00:00:00Z"});
    tenant.apply(&workflow_run("too-late", "fulfil", &past));
    let late = refused(&tenant, &operator, "sfnrun/too-late", "Failed", "StartDeadlineExceeded", "Create another run");
    assert_eq!(late["status"]["phase"], "Failed");
    tenant.apply(&workflow_run("sync", "fulfil", &json!({"mode": "Sync"})));
    tenant.wait_for(&operator, "sfnrun/sync", "Stalled", "True", "ModeNotSupported");
    tenant.apply(&workflow_run("large", "fulfil", &json!({"input": "x".repeat(262_144)})));
    tenant.wait_for(&operator, "sfnrun/large", "Stalled", "True", "InputTooLarge");
    tenant.apply(&workflow_run("unknown", "missing", &json!({})));
    tenant.wait_for(&operator, "sfnrun/unknown", "Ready", "False", "WorkflowNotFound");
    assert_eq!(executions(&tenant).len(), 0);
}

#[test]
fn an_execution_name_belongs_to_the_run_that_gave_it_first() {
    let (tenant, operator) = with_workflow("adoption", 120);
    let named =
        |input: u32| json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z", "input": {"a": input}});
    tenant.apply(&workflow_run("first", "fulfil", &named(1)));
    tenant.wait_for(&operator, "sfnrun/first", "Started", "True", "ExecutionStarted");
    let first = tenant.get("sfnrun/first").unwrap();
    assert!(first["status"]["adopted"].is_null(), "it is known as its own: {first:#}");
    for (name, input) in [("same", 1), ("other", 2)] {
        tenant.apply(&workflow_run(name, "fulfil", &named(input)));
        let run = format!("sfnrun/{name}");
        refused(&tenant, &operator, &run, "Stalled", "ExecutionNameTaken", "WorkflowRun \"first\"'s");
    }
    assert_eq!(executions(&tenant).len(), 1);
    // What nobody here has named is followed where it does the same, and left alone.
    let machine = format!("{}:1", tenant.machine_arn("fulfil"));
    let by_hand = json!({"stateMachineArn": machine, "name": "by-hand", "input": "{\"a\":1}"});
    tenant.bed.front.start_by_hand(&by_hand);
    let mut spec = named(1);
    (spec["executionName"], spec["timeout"]) = (json!("by-hand"), json!("1s"));
    tenant.apply(&workflow_run("follows", "fulfil", &spec));
    tenant.wait_for(&operator, "sfnrun/follows", "Started", "True", "ExecutionStarted");
    assert_eq!(tenant.get("sfnrun/follows").unwrap()["status"]["adopted"], true);
}

#[test]
fn an_express_run_gives_its_result_when_waited_for_and_is_dispatched_otherwise() {
    let (tenant, operator) = with_express("express");
    tenant.apply(&workflow_run("waited", "fulfil", &json!({"mode": "Sync", "input": {"a": 1}})));
    let waited = tenant.wait_for(&operator, "sfnrun/waited", "Complete", "True", "Succeeded");
    assert_eq!(waited["status"]["output"], json!({"a": 1}));
    tenant.apply(&workflow_run("sent", "fulfil", &json!({})));
    let sent = tenant.wait_for(&operator, "sfnrun/sent", "Finished", "True", "Dispatched");
    assert_eq!(sent["status"]["phase"], "Dispatched");
    assert_eq!((count(&tenant, "StartSyncExecution"), count(&tenant, "StartExecution")), (1, 1));
}

#[test]
fn an_express_start_without_an_answer_is_never_repeated() {
    let (tenant, operator) = with_express("express-lost");
    tenant.bed.front.inject_for("StartExecution", "express-lost_fulfil", Fault::LoseAnswer, 5);
    tenant.bed.front.inject_for("StartSyncExecution", "express-lost_fulfil", Fault::LoseAnswer, 5);
    tenant.apply(&workflow_run("sent", "fulfil", &json!({})));
    tenant.apply(&workflow_run("waited", "fulfil", &json!({"mode": "Sync"})));
    tenant.wait_for(&operator, "sfnrun/sent", "Failed", "True", "OutcomeUnknown");
    tenant.wait_for(&operator, "sfnrun/waited", "Failed", "True", "OutcomeUnknown");
    assert_eq!((count(&tenant, "StartSyncExecution"), count(&tenant, "StartExecution")), (1, 1));
}
