//! Further attempts: retries, redrives that somebody asked for, and what is kept of an end.

use crate::crashes::killed;
use crate::*;

/// Fails so often for each key, then succeeds.
const FLAKY: &str = r#"
import os, tempfile
class Flaky(Exception): pass
def handler(event, context):
    path = os.path.join(tempfile.gettempdir(), "stepbound-flaky-" + event["key"])
    count = len(open(path).read()) if os.path.exists(path) else 0
    with open(path, "a") as file: file.write("x")
    if count < event["failures"]: raise Flaky("not yet")
    return {"calls": count + 1}
"#;

/// A tenant whose workflow calls a function that fails at first.
fn flaky(name: &str) -> (Tenant, Process) {
    static CREATED: std::sync::Once = std::sync::Once::new();
    let tenant = test_bed().tenant(name);
    CREATED.call_once(|| {
        tenant.bed.aws.create_lambda("flaky", FLAKY, &tenant.execution_role_arn(), &tenant.bed.binaries);
    });
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let function = "arn:aws:lambda:eu-west-1:000000000000:function:flaky";
    let definition = json!({"StartAt": "Before", "States": {
        "Before": {"Type": "Pass", "Next": "Work"}, "Work": {"Type": "Task", "Resource": function, "End": true}}});
    tenant.apply(&tenant.workflow("fulfil", &definition));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn failing(tenant: &Tenant, name: &str, failures: u32, more: &Value) -> Value {
    let key = format!("{}-{}-{name}", std::process::id(), tenant.name);
    let mut spec = json!({"input": {"key": key, "failures": failures}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    workflow_run(name, "fulfil", &spec)
}

fn retry(strategy: &str, limit: u32) -> Value {
    json!({"retry": {"strategy": strategy, "limit": limit, "backoff": {"interval": "200ms", "factor": 1}}})
}

fn attempts(run: &Value, field: &str) -> Vec<Value> {
    run["status"]["attempts"].as_array().unwrap().iter().map(|attempt| attempt[field].clone()).collect()
}

/// Redrives that AWS made.
fn redrives(tenant: &Tenant) -> Vec<i64> {
    executions_as_aws_lists(tenant).iter().map(|execution| execution["redriveCount"].as_i64().unwrap()).collect()
}

fn executions_as_aws_lists(tenant: &Tenant) -> Vec<Value> {
    tenant.bed.front.executions(&tenant.machine_arn("fulfil"))
}

fn ask(tenant: &Tenant, run: &str, token: &str) {
    tenant.kubectl(&["annotate", run, "--overwrite", &format!("stepbound.dev/redrive={token}")]);
}

fn message(object: &Value, kind: &str) -> String {
    condition(object, kind).unwrap()["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_redriven_until_it_succeeds_in_the_same_execution() {
    let (tenant, operator) = flaky("redriven");
    tenant.apply(&failing(&tenant, "order", 2, &retry("Redrive", 3)));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"calls": 3}));
    assert_eq!(attempts(&run, "redriveCount"), [Value::Null, json!(1), json!(2)]);
    assert_eq!(attempts(&run, "cause"), [Value::Null, json!("Retry"), json!("Retry")]);
    let failed: Vec<bool> = attempts(&run, "error").iter().map(Value::is_string).collect();
    assert_eq!(failed, [true, true, false]);
    assert_eq!(run["status"]["redrive"]["count"], 2);
    assert_eq!(redrives(&tenant), [2], "one execution, redriven twice");
    assert!(run["status"]["error"].is_null() && run["status"]["failedState"].is_null());
    let history = tenant.bed.front.history(run["status"]["executionARN"].as_str().unwrap());
    let entered = |name: &str| history.iter().filter(|event| event["stateEnteredEventDetails"]["name"] == name).count();
    assert_eq!(entered("Before"), 1, "what had succeeded is not run again");
}

#[test]
fn a_restart_is_another_execution_with_a_name_of_its_own() {
    let (tenant, operator) = flaky("restarted");
    tenant.apply(&failing(&tenant, "order", 1, &retry("Restart", 1)));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let uid = run["metadata"]["uid"].as_str().unwrap();
    assert_eq!(attempts(&run, "executionName"), [json!(uid), json!(format!("{uid}-2"))]);
    assert!(run["status"]["executionARN"].as_str().unwrap().ends_with(&format!("{uid}-2")));
    assert_eq!(redrives(&tenant), [0, 0]);
    tenant.apply(&failing(&tenant, "hopeless", 9, &retry("Restart", 1)));
    let failed = tenant.wait_for(&operator, "sfnrun/hopeless", "Failed", "True", "ExecutionFailed");
    assert!(message(&failed, "Failed").contains("all 2 attempts"), "{failed:#}");
    assert_eq!(
        (failed["status"]["failedState"].as_str(), failed["status"]["state"].as_str()),
        (Some("Work"), Some("Work"))
    );
    assert_eq!((redrives(&tenant).len(), failed["status"]["error"].is_string()), (4, true));
}

#[test]
fn neither_cancel_nor_timeout_nor_an_error_that_is_not_listed_is_tried_again() {
    let (tenant, operator) = with_workflow("not-retried", 120);
    let mut late = retry("Restart", 3);
    late["timeout"] = json!("2s");
    tenant.apply(&workflow_run("late", "fulfil", &late));
    tenant.apply(&workflow_run("cancelled", "fulfil", &retry("Redrive", 3)));
    tenant.wait_for(&operator, "sfnrun/cancelled", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&[
        "patch",
        "sfnrun",
        "cancelled",
        "--type=merge",
        "-p",
        r#"{"spec":{"cancel":{"reason":"enough"}}}"#,
    ]);
    let cancelled = tenant.wait_for(&operator, "sfnrun/cancelled", "Finished", "True", "Aborted");
    let late = tenant.wait_for(&operator, "sfnrun/late", "Finished", "True", "TimedOut");
    assert!(message(&late, "Finished").contains("not tried again"), "{late:#}");
    ask(&tenant, "sfnrun/cancelled", "1");
    wait_until(Duration::from_secs(60), "the token is handled", || {
        let run = tenant.get("sfnrun/cancelled")?;
        (run["status"]["lastHandled"]["redrive"] == "1").then_some(())
    });
    assert_eq!(attempts(&cancelled, "number"), [json!(1)]);
    assert_eq!(redrives(&tenant), [0, 0]);
    let (tenant, operator) = flaky("not-listed");
    let mut spec = retry("Restart", 3);
    spec["retry"]["onErrors"] = json!(["Other"]);
    tenant.apply(&failing(&tenant, "order", 1, &spec));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Failed", "True", "ExecutionFailed");
    assert!(message(&run, "Failed").contains("onErrors"), "{run:#}");
    assert_eq!(redrives(&tenant), [0]);
}

#[test]
fn a_failed_run_is_redriven_when_asked_and_once_by_each_token() {
    let (tenant, operator) = flaky("asked");
    tenant.apply(&failing(&tenant, "order", 1, &json!({})));
    let failed = tenant.wait_for(&operator, "sfnrun/order", "Failed", "True", "ExecutionFailed");
    assert_eq!(failed["status"]["redrive"], json!({"count": 0, "possible": true}));
    // The answer is lost: it is asked for again with the same token, which AWS knows.
    tenant.bed.front.inject_for("RedriveExecution", "asked_fulfil", Fault::LoseAnswer, 3);
    ask(&tenant, "sfnrun/order", "1");
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"calls": 2}));
    assert!(condition(&run, "Failed").is_none() && condition(&run, "Stalled").is_none());
    assert_eq!(attempts(&run, "cause"), [Value::Null, json!("Asked")]);
    ask(&tenant, "sfnrun/order", "2");
    let refused = wait_until(Duration::from_secs(60), "an event", || {
        let events =
            tenant.kubectl(&["get", "events.events.k8s.io", "--field-selector=reason=RedriveRefused", "-o", "json"]);
        let events: Value = serde_json::from_str(&events).unwrap();
        events["items"][0]["note"].as_str().map(str::to_owned)
    });
    assert!(refused.contains("succeeded") && refused.contains("Create another run"), "{refused}");
    assert_eq!(redrives(&tenant), [1]);
}

#[test]
fn a_redrive_is_made_once_however_the_operator_is_killed() {
    let (tenant, mut operator) = flaky("redrive-killed");
    for (round, fault) in
        [Some(Fault::Delay(Duration::from_millis(400))), Some(Fault::DelayAnswer(Duration::from_millis(400))), None]
            .into_iter()
            .enumerate()
    {
        if let Some(fault) = fault {
            tenant.bed.front.inject_for("RedriveExecution", "redrive-killed_fulfil", fault, 1);
        }
        tenant.apply(&failing(&tenant, &format!("order-{round}"), 1, &retry("Redrive", 3)));
        let before = count_redrives(&tenant);
        wait_until(Duration::from_secs(90), "the redrive reaches AWS", || {
            (count_redrives(&tenant) > before).then_some(())
        });
        killed(&tenant, operator);
        operator = start(&tenant);
    }
    for round in 0..3 {
        let run = tenant.wait_for(&operator, &format!("sfnrun/order-{round}"), "Complete", "True", "Succeeded");
        assert_eq!(attempts(&run, "number"), [json!(1), json!(2)]);
    }
    assert_eq!(redrives(&tenant), [1, 1, 1]);
}

fn count_redrives(tenant: &Tenant) -> usize {
    let calls = tenant.bed.front.calls_about(&format!("{}_fulfil", tenant.name));
    calls.iter().filter(|call| call.operation == "RedriveExecution").count()
}

#[test]
fn what_aws_would_not_redrive_or_retry_is_said_with_its_reason() {
    let (tenant, operator) = flaky("not-redrivable");
    tenant.bed.front.refuse_redrive("not-redrivable_fulfil", "Execution history event limit exceeded");
    tenant.apply(&failing(&tenant, "full", 1, &retry("Redrive", 3)));
    let full = tenant.wait_for(&operator, "sfnrun/full", "Failed", "True", "ExecutionFailed");
    assert!(message(&full, "Failed").contains("AWS cannot redrive it: Execution history event limit"), "{full:#}");
    let expected = json!({"count": 0, "possible": false, "reason": "Execution history event limit exceeded"});
    assert_eq!(full["status"]["redrive"], expected);
    let (express, operator) = with_express("express-retry");
    express.apply(&workflow_run("sent", "fulfil", &retry("Restart", 1)));
    let sent = express.wait_for(&operator, "sfnrun/sent", "Stalled", "True", "RetryNotSupported");
    assert!(message(&sent, "Stalled").contains("mode Sync"), "{sent:#}");
    let mut redriven = retry("Redrive", 1);
    redriven["mode"] = json!("Sync");
    express.apply(&workflow_run("waited", "fulfil", &redriven));
    express.wait_for(&operator, "sfnrun/waited", "Stalled", "True", "RetryNotSupported");
    assert_eq!(count(&express, "StartExecution") + count(&express, "StartSyncExecution"), 0);
}

#[test]
fn an_express_run_that_failed_is_restarted_and_one_whose_outcome_is_unknown_is_not() {
    let tenant = test_bed().tenant("express-restart");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let failing = json!({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "E", "Cause": "c"}}});
    let mut workflow = tenant.workflow("fulfil", &failing);
    workflow["spec"]["type"] = json!("Express");
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let mut spec = retry("Restart", 2);
    spec["mode"] = json!("Sync");
    tenant.apply(&workflow_run("known", "fulfil", &spec));
    let known = tenant.wait_for(&operator, "sfnrun/known", "Failed", "True", "ExecutionFailed");
    assert_eq!((attempts(&known, "number").len(), count(&tenant, "StartSyncExecution")), (3, 3), "{known:#}");
    tenant.bed.front.inject_for("StartSyncExecution", "express-restart_fulfil", Fault::LoseAnswer, 1);
    tenant.apply(&workflow_run("unknown", "fulfil", &spec));
    tenant.wait_for(&operator, "sfnrun/unknown", "Failed", "True", "OutcomeUnknown");
    assert_eq!(count(&tenant, "StartSyncExecution"), 4);
}

#[test]
fn a_stop_with_a_key_of_the_accounts_own_needs_no_right_to_it() {
    let tenant = test_bed().tenant("own-key");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let key = "arn:aws:kms:eu-west-1:000000000000:key/11111111-2222-3333-4444-555555555555";
    let mut workflow = tenant.workflow("fulfil", &waiting(120));
    workflow["spec"]["encryption"] = json!({"kmsKeyID": key});
    tenant.apply(&workflow);
    tenant.apply(&workflow_run("order", "fulfil", &json!({"timeout": "1s"})));
    tenant.wait_for(&operator, "sfnrun/order", "Finished", "True", "TimedOut");
    let calls = tenant.bed.front.calls_about("own-key_fulfil");
    let stop = calls.iter().find(|call| call.operation == "StopExecution").unwrap();
    assert!(!stop.body.contains("cause") && !stop.body.contains("error"), "{}", stop.body);
}

#[test]
fn what_a_run_was_created_with_cannot_be_changed() {
    let (tenant, operator) = with_workflow("immutable", 120);
    tenant.apply(&workflow_run("order", "fulfil", &retry("Redrive", 3)));
    tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    for (patch, said) in [
        (json!({"retry": {"limit": 4}}), "retry cannot be changed"),
        (json!({"retry": null}), "retry cannot be changed"),
        (json!({"timeout": "1h"}), "timeout cannot be changed"),
        (json!({"workflowRef": {"version": 1}}), "workflowRef cannot be changed"),
        (json!({"output": {"store": "None"}}), "mode, deletionPolicy and output cannot be changed"),
        (json!({"executionName": "x", "startDeadline": "2099-01-01T00:00:00Z"}), "executionName cannot be changed"),
    ] {
        let patch = json!({"spec": patch}).to_string();
        let command = ["-n", &tenant.name, "patch", "sfnrun", "order", "--type=merge", "-p", &patch];
        let refused = tenant.bed.control_plane.try_kubectl(&command, None).unwrap_err();
        assert!(refused.contains(said), "{patch}: {refused}");
    }
    tenant.kubectl(&[
        "patch",
        "sfnrun",
        "order",
        "--type=merge",
        "-p",
        r#"{"spec":{"ttlAfterFinished":"1s","cancel":{}}}"#,
    ]);
    wait_until(Duration::from_secs(60), "the run goes by itself", || {
        tenant.get("sfnrun/order").is_none().then_some(())
    });
}

fn output_run(name: &str, store: &str, input: &Value) -> Value {
    workflow_run(name, "fulfil", &json!({"input": input, "output": {"store": store}}))
}

#[test]
fn an_output_goes_where_it_is_wanted_and_never_over_what_is_there() {
    let (tenant, operator) = with_workflow("outputs", 0);
    tenant.apply(&output_run("small", "Status", &json!({"a": 1})));
    tenant.apply(&output_run("large", "Status", &json!({"a": "x".repeat(16 * 1024)})));
    tenant.apply(&output_run("none", "None", &json!({"a": 1})));
    tenant.apply(&output_run("mapped", "ConfigMap", &json!({"a": "y".repeat(100_000)})));
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"theirs": "x"}});
    tenant.apply(&map("taken-output"));
    tenant.apply(&output_run("taken", "ConfigMap", &json!({"a": 1})));
    let done = |name: &str| {
        tenant.wait_for(&operator, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded")["status"].clone()
    };
    assert_eq!(done("small")["output"], json!({"a": 1}));
    let large = done("large");
    assert!(large["output"].is_null() && large["outputBytes"].as_i64().unwrap() > 16 * 1024, "{large:#}");
    assert_eq!(large["outputDigest"].as_str().unwrap().len(), 64);
    assert!(done("none")["output"].is_null());

    // Without the right to it the run ends as usual, and the output follows once the right is there.
    let mapped = tenant.wait_for(&operator, "sfnrun/mapped", "OutputStored", "False", "Forbidden");
    assert_eq!(mapped["status"]["phase"], "Succeeded");
    assert!(message(&mapped, "OutputStored").contains("outputs.configMaps"));
    assert!(tenant.get("configmap/mapped-output").is_none());
    tenant.let_outputs_be_stored();
    for run in ["sfnrun/mapped", "sfnrun/taken"] {
        tenant.kubectl(&["annotate", run, "look=again"]);
    }
    tenant.wait_for(&operator, "sfnrun/mapped", "OutputStored", "True", "Stored");
    let stored = tenant.get("configmap/mapped-output").unwrap();
    let output: Value = serde_json::from_str(stored["data"]["output.json"].as_str().unwrap()).unwrap();
    assert_eq!(output["a"].as_str().unwrap().len(), 100_000);
    assert_eq!(stored["metadata"]["ownerReferences"][0]["name"], "mapped");
    tenant.wait_for(&operator, "sfnrun/taken", "OutputStored", "False", "ConfigMapExists");
    assert_eq!(tenant.get("configmap/taken-output").unwrap()["data"], json!({"theirs": "x"}));
    let long = "x".repeat(247);
    let refused = tenant.try_apply(&output_run(&long, "ConfigMap", &json!({}))).unwrap_err();
    assert!(refused.contains("at most 246 characters"), "{refused}");
}
