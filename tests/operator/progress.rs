//! What is told of a running execution, and how many run at once.

use crate::crashes::killed;
use crate::*;

fn operations(tenant: &Tenant, execution: &Value, operation: &str) -> usize {
    let calls = tenant.bed.front.calls_about(execution.as_str().unwrap());
    calls.iter().filter(|call| call.operation == operation).count()
}

#[test]
fn only_a_run_that_somebody_watches_is_followed_through_its_history() {
    let (tenant, operator) = with_workflow("watched", 120);
    tenant.apply(&workflow_run("watched", "fulfil", &json!({})));
    tenant.apply(&workflow_run("unwatched", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/unwatched", "Started", "True", "ExecutionStarted");
    tenant.wait_for(&operator, "sfnrun/watched", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&["annotate", "sfnrun/watched", "stepbound.dev/watch=true"]);
    let run = wait_until(Duration::from_secs(60), "its state is told", || {
        tenant.get("sfnrun/watched").filter(|run| run["status"]["currentStates"] == json!(["Wait"]))
    });
    assert_eq!(run["status"]["state"], "Wait");
    let wide = tenant.kubectl(&["get", "sfnrun/watched", "-o", "wide"]);
    assert!(wide.contains("STATE") && wide.contains(" Wait "), "{wide}");
    tenant.kubectl(&["annotate", "sfnrun/watched", "stepbound.dev/watch-"]);
    wait_until(Duration::from_secs(60), "nothing is told any more", || {
        tenant.get("sfnrun/watched").filter(|run| run["status"]["currentStates"].is_null())
    });
    let unwatched = tenant.get("sfnrun/unwatched").unwrap();
    assert_eq!(operations(&tenant, &unwatched["status"]["executionARN"], "GetExecutionHistory"), 0);
    let calls = tenant.bed.front.calls_about(run["status"]["executionARN"].as_str().unwrap());
    let histories: Vec<_> = calls.iter().filter(|call| call.operation == "GetExecutionHistory").collect();
    assert!(!histories.is_empty());
    for call in histories {
        assert!(call.body.contains("\"includeExecutionData\":false") && call.body.contains("\"reverseOrder\":true"));
    }
}

#[test]
fn a_map_run_tells_how_far_it_is() {
    let tenant = test_bed().tenant("map-run");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let inner = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Each",
        "States": {"Each": {"Type": "Wait", "Seconds": 6, "End": true}}});
    let definition = json!({"StartAt": "All", "States": {
        "All": {"Type": "Map", "Label": "All", "MaxConcurrency": 1, "ItemProcessor": inner, "End": true}}});
    tenant.apply(&tenant.workflow("fulfil", &definition));
    let mut run = workflow_run("order", "fulfil", &json!({"input": [1, 2, 3, 4, 5]}));
    run["metadata"]["annotations"] = json!({"stepbound.dev/watch": "2099-01-01T00:00:00Z"});
    tenant.apply(&run);
    let told = tenant.wait_for_object(&operator, "sfnrun/order", "percentage", Duration::from_secs(90), |run| {
        run["status"]["progressPercent"].as_i64().is_some_and(|percent| percent > 0)
    });
    let percent = told["status"]["progressPercent"].as_i64().unwrap();
    assert!([20, 40, 60, 80].contains(&percent), "{percent}");
    assert_eq!(told["status"]["state"], format!("All ({percent} %)"));
    let done = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert!(done["status"]["progressPercent"].is_null() && done["status"]["state"].is_null());
}

/// Runs in the order in which AWS started them, and how many ran at once at most.
fn as_they_ran(tenant: &Tenant) -> (Vec<String>, usize) {
    let mut found: Vec<(String, f64, f64)> = executions(tenant)
        .iter()
        .map(|item| {
            let execution =
                tenant.bed.aws.states("DescribeExecution", &json!({"executionArn": item["executionArn"]})).unwrap();
            let input: Value = serde_json::from_str(execution["input"].as_str().unwrap()).unwrap();
            let at = |field: &str| execution[field].as_f64().unwrap();
            (input["name"].as_str().unwrap().to_owned(), at("startDate"), at("stopDate"))
        })
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let at_once = |time: f64| found.iter().filter(|(_, start, stop)| *start <= time && time < *stop).count();
    let most = found.iter().map(|(_, start, _)| at_once(*start)).max().unwrap_or(0);
    (found.iter().map(|(name, ..)| name.clone()).collect(), most)
}

#[test]
fn runs_wait_for_their_turn_in_order_of_creation_and_a_kill_changes_nothing() {
    let (tenant, mut operator) = with_workflow("queued", 5);
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"maxConcurrentRuns":2}}"#]);
    let names: Vec<String> = (0..9).map(|number| format!("run-{number}")).collect();
    let runs = names.iter().map(|name| {
        let mut run = workflow_run(name, "fulfil", &json!({"input": {"name": name}}));
        run["metadata"]["namespace"] = json!(tenant.name);
        run
    });
    let runs: Vec<Value> = runs.collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": runs}).to_string());
    let waits = wait_until(Duration::from_secs(60), "the last one waits", || {
        let run = tenant.get("sfnrun/run-8")?;
        let ready = condition(&run, "Ready")?;
        (ready["reason"] == "Queued").then(|| (run["status"]["phase"].clone(), ready["message"].clone()))
    });
    assert_eq!(waits.0, "Pending");
    let said = waits.1.as_str().unwrap();
    assert!(said.starts_with("Position ") && said.contains("allows 2 (spec.maxConcurrentRuns)"), "{said}");
    wait_until(Duration::from_secs(60), "the count is told", || {
        tenant.get("sfn/fulfil").filter(|workflow| workflow["status"]["activeRuns"] == 2)
    });
    assert_eq!(tenant.kubectl(&["get", "sfn", "fulfil", "-o", "jsonpath={.status.activeRuns}"]), "2");
    for _ in 0..2 {
        killed(&tenant, operator);
        operator = start(&tenant);
        std::thread::sleep(Duration::from_secs(3));
    }
    for name in &names {
        tenant.wait_for(&operator, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded");
    }
    let (order, most) = as_they_ran(&tenant);
    assert!(most <= 2, "{most} at once");
    assert_eq!(order.len(), 9);
    for (place, name) in order.iter().enumerate() {
        let number = names.iter().position(|other| other == name).unwrap();
        assert!(number.abs_diff(place) <= 1, "two start at a time, else in order: {order:?}");
    }
}

#[test]
fn a_run_that_cannot_start_or_is_cancelled_holds_up_nobody() {
    let (tenant, operator) = with_workflow("queue-aside", 3);
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"maxConcurrentRuns":1}}"#]);
    let missing = json!({"inputFrom": {"configMapKeyRef": {"name": "absent", "key": "x"}}});
    tenant.apply(&workflow_run("a-missing", "fulfil", &missing));
    tenant.apply(&workflow_run("b-first", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/b-first", "Started", "True", "ExecutionStarted");
    tenant.apply(&workflow_run("c-second", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/c-second", "Ready", "False", "Queued");
    tenant.apply(&workflow_run("d-third", "fulfil", &json!({})));
    tenant.kubectl(&["patch", "sfnrun", "c-second", "--type=merge", "-p", r#"{"spec":{"cancel":{"reason":""}}}"#]);
    tenant.wait_for(&operator, "sfnrun/c-second", "Finished", "True", "Cancelled");
    tenant.wait_for(&operator, "sfnrun/d-third", "Complete", "True", "Succeeded");
    tenant.apply(&workflow_run("e-waits", "fulfil", &json!({})));
    tenant.apply(&workflow_run("f-waits", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/f-waits", "Ready", "False", "Queued");
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"maxConcurrentRuns":null}}"#]);
    tenant.wait_for(&operator, "sfnrun/f-waits", "Started", "True", "ExecutionStarted");
    let missing = tenant.get("sfnrun/a-missing").unwrap();
    assert_eq!(condition(&missing, "Ready").unwrap()["reason"], "ConfigMapNotFound");
}
