//! How ends are found: by lists where there are many, by hints where there is a queue, and never before AWS shows them.

use crate::*;

/// A tenant whose binding reads a queue that its executions' changes are sent to.
pub(crate) fn with_events(name: &str, seconds: u32) -> (Tenant, Process, String) {
    let tenant = test_bed().tenant(name);
    let queue = tenant.bed.aws.queue(&format!("{name}-events"));
    tenant.bed.aws.send_changes_to(name, &format!("{name}-events"));
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    let url = format!("https://sqs.eu-west-1.amazonaws.com/000000000000/{name}-events");
    binding["spec"]["events"] = json!({"queueURL": url});
    tenant.apply(&binding);
    tenant.apply(&tenant.workflow("fulfil", &waiting(seconds)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator, queue)
}

fn forged(execution_arn: &str) -> String {
    json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": execution_arn, "status": "SUCCEEDED"}})
    .to_string()
}

#[test]
fn an_event_tells_of_an_end_and_a_forged_one_of_nothing() {
    let (tenant, operator, queue) = with_events("events", 12);
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"a": 1}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    let arn = run["status"]["executionARN"].as_str().unwrap().to_owned();
    for message in [forged(&arn), forged(&format!("{arn}x")), "not even JSON".into(), "{}".into()] {
        tenant.bed.aws.send(&queue, &message);
    }
    wait_until(Duration::from_secs(60), "the messages were read", || {
        let calls = tenant.bed.front.calls_about("events-events");
        let deleted = calls.iter().filter(|call| call.operation.starts_with("DeleteMessage")).count();
        (deleted > 0).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(tenant.get("sfnrun/order").unwrap()["status"]["phase"], "Running", "a forged end is no end");
    let before = tenant.bed.front.calls_about(&arn).len();
    let done = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(done["status"]["output"], json!({"a": 1}));
    assert!(tenant.bed.front.calls_about(&arn).len() > before, "the end was confirmed");
    wait_until(Duration::from_secs(60), "messages that were read are deleted", || {
        (tenant.bed.aws.waiting_in(&queue) == 0).then_some(())
    });
}

#[test]
fn a_queue_is_read_again_after_a_restart_that_finds_its_binding_settled() {
    let (tenant, operator, queue) = with_events("events-again", 0);
    crate::crashes::killed(&tenant, operator);
    // The emulator gives messages to the dead process until its last long poll has ended.
    std::thread::sleep(Duration::from_secs(21));
    let operator = start(&tenant);
    tenant.bed.aws.send(&queue, "not even JSON");
    wait_until(Duration::from_secs(60), "the queue is read", || (tenant.bed.aws.waiting_in(&queue) == 0).then_some(()));
    assert!(operator.is_running());
}

#[test]
fn a_queue_that_may_not_be_read_delays_nothing() {
    let tenant = test_bed().tenant("no-queue");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    binding["spec"]["events"] = json!({"queueURL": "https://sqs.eu-west-1.amazonaws.com/000000000000/others"});
    tenant.apply(&binding);
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    wait_until(Duration::from_secs(60), "the refusal is told", || {
        operator.log_text().contains("cannot read events").then_some(())
    });
}

#[test]
fn many_runs_of_a_machine_are_found_by_lists_when_aws_shows_them_and_not_before() {
    const RUNS: usize = 40;
    let (tenant, operator) = with_workflow("listed", 4);
    tenant.bed.front.lag("listed_fulfil", Duration::from_secs(3));
    let items: Vec<Value> = (0..RUNS)
        .map(|index| {
            let mut run = workflow_run(&format!("run-{index}"), "fulfil", &json!({"input": {"index": index}}));
            run["metadata"]["namespace"] = json!(tenant.name);
            run
        })
        .collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    for index in 0..RUNS {
        let run = tenant.wait_for(&operator, &format!("sfnrun/run-{index}"), "Complete", "True", "Succeeded");
        assert_eq!(run["status"]["output"], json!({"index": index}));
    }
    assert_eq!(executions(&tenant).len(), RUNS);
    assert!(count(&tenant, "ListExecutions") >= 1, "the machine was listed");
}

#[test]
fn a_phase_does_not_wait_for_its_output() {
    const RUNS: usize = 24;
    let tenant = test_bed().tenant("late-outputs");
    // Descriptions: 15 at once, then three in four seconds.
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    let operator = tenant.operator(binary, &[("STEPBOUND_AWS_QUOTA_SHARE", "0.05")]);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(3)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let items: Vec<Value> = (0..RUNS)
        .map(|index| {
            let mut run = workflow_run(&format!("run-{index}"), "fulfil", &json!({"input": {"index": index}}));
            run["metadata"]["namespace"] = json!(tenant.name);
            run
        })
        .collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    let runs = || -> Vec<Value> {
        let listed: Value = serde_json::from_str(&tenant.kubectl(&["get", "sfnrun", "-o", "json"])).unwrap();
        listed["items"].as_array().unwrap().clone()
    };
    wait_until(Duration::from_secs(60), "a run that has ended and waits for its output", || {
        runs().into_iter().find(|run| {
            let owed = condition(run, "OutputStored").is_some_and(|one| one["status"] == "Unknown");
            owed && run["status"]["phase"] == "Succeeded" && run["status"]["output"].is_null()
        })
    });
    wait_until(Duration::from_secs(90), "every output", || {
        let done = |run: &Value| run["status"]["output"]["index"].is_u64() && condition(run, "OutputStored").is_none();
        runs().iter().all(done).then_some(())
    });
}
