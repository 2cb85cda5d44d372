//! Ends of Express runs, read from the log group that their Workflow logs to: what counts there, and what does not.

use crate::*;

pub(crate) fn log_group(name: &str) -> String {
    format!("/aws/vendedlogs/states/{name}")
}

fn log_group_arn(name: &str) -> String {
    format!("arn:aws:logs:eu-west-1:000000000000:log-group:{}:*", log_group(name))
}

pub(crate) fn from_logs(tenant: &Tenant, definition: &Value) -> Value {
    let mut workflow = tenant.workflow("fulfil", definition);
    workflow["spec"]["type"] = json!("Express");
    workflow["spec"]["expressResults"] = json!("FromLogs");
    workflow["spec"]["logging"] =
        json!({"level": "All", "includeExecutionData": true, "logGroupARN": log_group_arn(&tenant.name)});
    workflow
}

/// A tenant whose Express Workflow has its results read from the log.
fn with_logged(name: &str, definition: &Value) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&from_logs(&tenant, definition));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn sweeps(tenant: &Tenant) -> usize {
    let calls = tenant.bed.front.calls_about(&log_group(&tenant.name));
    calls.iter().filter(|call| call.operation == "FilterLogEvents").count()
}

fn runs(tenant: &Tenant, names: impl Iterator<Item = String>) {
    let items: Vec<Value> = names
        .map(|name| {
            let mut run = workflow_run(&name, "fulfil", &json!({"input": {"run": name}}));
            run["metadata"]["namespace"] = json!(tenant.name);
            run
        })
        .collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
}

#[test]
fn twenty_express_runs_have_their_results_from_a_few_readings_of_the_log_and_none_is_read_at_rest() {
    const RUNS: usize = 20;
    let (tenant, operator) = with_logged("sweeps", &waiting(1));
    tenant.bed.front.delay_log(&log_group("sweeps"), Duration::from_secs(3));
    assert_eq!(sweeps(&tenant), 0, "nothing is waited for");
    runs(&tenant, (0..RUNS).map(|number| format!("run-{number}")));
    for number in 0..RUNS {
        let name = format!("run-{number}");
        let run = tenant.wait_for(&operator, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded");
        assert_eq!(run["status"]["output"], json!({"run": name}));
        assert_eq!(run["status"]["logGroupARN"], log_group_arn("sweeps"));
    }
    let calls = sweeps(&tenant);
    assert!((1..=15).contains(&calls), "{calls} calls for {RUNS} runs");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(sweeps(&tenant), calls, "nothing is waited for any more");
    let asked = tenant.bed.front.calls_about(":express:sweeps_fulfil:");
    assert!(asked.iter().all(|call| call.operation == "FilterLogEvents"), "AWS tells nothing else of them: {asked:?}");
}

#[test]
fn an_express_run_that_fails_is_told_with_its_error_and_one_without_data_without_output() {
    let choice = json!({"StartAt": "Which", "States": {
        "Which": {"Type": "Choice", "Choices": [{"Variable": "$.bad", "BooleanEquals": true, "Next": "Bad"}], "Default": "Good"},
        "Good": {"Type": "Pass", "End": true},
        "Bad": {"Type": "Fail", "Error": "Declined", "Cause": "no money"}}});
    let (tenant, operator) = with_logged("logged-ends", &choice);
    tenant.apply(&workflow_run("bad", "fulfil", &json!({"input": {"bad": true}})));
    let bad = tenant.wait_for(&operator, "sfnrun/bad", "Failed", "True", "ExecutionFailed");
    assert_eq!((&bad["status"]["error"], &bad["status"]["cause"]), (&json!("Declined"), &json!("no money")));
    let mut without = from_logs(&tenant, &choice);
    without["spec"]["logging"]["includeExecutionData"] = json!(false);
    tenant.apply(&without);
    let generation = tenant.get("sfn/fulfil").unwrap()["metadata"]["generation"].clone();
    tenant.wait_for_object(&operator, "sfn/fulfil", "the change in AWS", Duration::from_secs(60), |workflow| {
        workflow["status"]["observedGeneration"] == generation
            && condition(workflow, "Ready").is_some_and(|ready| ready["status"] == "True")
    });
    tenant.apply(&workflow_run("good", "fulfil", &json!({"input": {"bad": false}})));
    let good = tenant.wait_for(&operator, "sfnrun/good", "Complete", "True", "Succeeded");
    assert!(good["status"]["output"].is_null(), "{good:#}");
    assert_eq!(condition(&good, "OutputStored").unwrap()["reason"], "OutputNotLogged");
}

/// Whoever may write to the log group can forge a result, and nobody else: not with another execution's ARN, not with one that
/// begins alike, and not with a time before the start.
/// Requirement 32 of docs/security.md: an end that is read from a log counts for just the execution that it names, and the log is read in a session that can read it alone.
#[test]
fn requirement_32_an_event_of_another_execution_ends_no_run_and_a_restart_in_between_loses_none() {
    let (tenant, operator) = with_logged("logged-forged", &waiting(8));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"a": 1}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    let arn = run["status"]["executionARN"].as_str().unwrap().to_owned();
    let now = || jiff::Timestamp::now().as_millisecond();
    let event = |arn: &str, at: i64| {
        json!({"id": "5", "type": "ExecutionFailed", "details": {"error": "Forged"}, "redrive_count": "0",
            "previous_event_id": "4", "event_timestamp": at.to_string(), "execution_arn": arn})
    };
    let other = arn.replace(":logged-forged_fulfil:", ":logged-forged_other:");
    for forged in [
        event(&other, now()),
        event(&format!("{arn}0"), now()),
        event(&arn[..arn.len() - 1], now()),
        event(&arn, now() - 3_600_000),
        event(&arn, now() + 3_600_000),
        json!({"type": "ExecutionFailed", "execution_arn": arn}),
        json!({"type": "TaskFailed", "event_timestamp": now().to_string(), "execution_arn": arn}),
    ] {
        tenant.bed.front.write_log(&log_group("logged-forged"), &forged);
    }
    let before = sweeps(&tenant);
    wait_until(Duration::from_secs(30), "the log is read", || (sweeps(&tenant) >= before + 2).then_some(()));
    assert_eq!(tenant.get("sfnrun/order").unwrap()["status"]["phase"], "Running");
    crate::crashes::killed(&tenant, operator);
    let operator = start(&tenant);
    let done = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(done["status"]["output"], json!({"a": 1}));
    assert_eq!(count(&tenant, "StartExecution"), 1, "a restart starts nothing again");
}

#[test]
fn an_express_run_of_which_the_log_tells_nothing_ends_as_unknown_and_never_before_its_time() {
    let (tenant, operator) = with_logged("logged-lost", &waiting(0));
    tenant.bed.front.lose_log("logged-lost_fulfil");
    // As if it had started almost ten minutes ago.
    tenant.bed.front.started_earlier("logged-lost_fulfil", Duration::from_secs(585));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(tenant.get("sfnrun/order").unwrap()["status"]["phase"], "Running", "a log may be late");
    let run = tenant.wait_for(&operator, "sfnrun/order", "Failed", "True", "OutcomeUnknown");
    assert!(
        condition(&run, "Ready").unwrap()["message"].as_str().unwrap().contains(&log_group("logged-lost")),
        "{run:#}"
    );
}

/// Requirement 32 of docs/security.md: an end that is read from a log counts for just the execution that it names, and the log is read in a session that can read it alone.
/// The session reads that one group and can do nothing else; without the right in the role the run says what is missing.
#[test]
fn requirement_32_a_log_is_read_in_a_session_that_can_read_it_alone() {
    let (tenant, operator) = with_logged("logged-narrow", &waiting(0));
    let mut other = from_logs(&tenant, &waiting(0));
    other["metadata"]["name"] = json!("other");
    let foreign = "arn:aws:logs:eu-west-1:000000000000:log-group:/payroll:*";
    other["spec"]["logging"]["logGroupARN"] = json!(foreign);
    tenant.apply(&other);
    tenant.wait_for(&operator, "sfn/other", "Ready", "True", "Synced");
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.apply(&workflow_run("curious", "other", &json!({})));
    let curious = tenant.wait_for(&operator, "sfnrun/curious", "Ready", "False", "AccessDenied");
    let message = condition(&curious, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("logs:FilterLogEvents"), "{message}");
    assert_eq!(curious["status"]["phase"], "Running");
    let of_logs: Vec<Value> = tenant
        .bed
        .front
        .session_policies(&tenant.role_arn())
        .into_iter()
        .flatten()
        .filter(|policy| policy.to_string().contains("logs:"))
        .collect();
    assert_eq!(of_logs.len(), 2, "one for each group: {of_logs:#?}");
    for policy in &of_logs {
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!((statements.len(), &statements[0]["Action"]), (1, &json!("logs:FilterLogEvents")), "{policy:#}");
        let text = policy.to_string();
        assert!(text.contains(&log_group("logged-narrow")) != text.contains("/payroll"), "{policy:#}");
    }
}
