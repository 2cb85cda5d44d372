//! Gauges over objects: what is gone, or has ended, is in none.

use crate::process::get;
use crate::support::REGION;
use crate::support::ministack::ACCOUNT;
use crate::support::processes::free_port;
use crate::*;

fn value(port: u16, line: &str) -> Option<f64> {
    let text = get(port, "/metrics")?.1;
    let value = text.lines().find_map(|one| one.strip_prefix(line)).map(|value| value.trim().parse().unwrap());
    value.or(Some(0.0))
}

fn reads(port: u16, line: &str, expected: f64) {
    let what = format!("{line} is {expected}");
    wait_until(Duration::from_secs(60), &what, || (value(port, line)? - expected).abs().lt(&0.5).then_some(()));
}

#[test]
fn an_object_that_goes_without_our_finalizer_leaves_the_gauges_and_a_run_that_ended_badly_is_in_none() {
    let tenant = test_bed().tenant("gauges");
    let port = free_port();
    let operator = tenant.operator_on(port, Path::new(env!("CARGO_BIN_EXE_stepbound")), &[]);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("broken", &json!({"StartAt": "Gone", "States": {"Here": {"Type": "Succeed"}}})));
    tenant.wait_for(&operator, "sfn/broken", "Stalled", "True", "DefinitionInvalid");
    let stalled = "stepbound_stalled_objects{kind=\"Workflow\",reason=\"DefinitionInvalid\"}";
    reads(port, stalled, 1.0);
    // An admission policy may have put it on.
    tenant.kubectl(&["patch", "sfn/broken", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    tenant.kubectl(&["delete", "sfn/broken"]);
    reads(port, stalled, 0.0);

    let failing = json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3, "Next": "No"},
        "No": {"Type": "Fail", "Error": "Order.Refused"}}});
    tenant.apply(&tenant.workflow("failing", &failing));
    tenant.wait_for(&operator, "sfn/failing", "Ready", "True", "Synced");
    tenant.apply(&workflow_run("bad", "failing", &json!({})));
    let open = format!("stepbound_open_executions{{account=\"{ACCOUNT}\",region=\"{REGION}\"}}");
    reads(port, &open, 1.0);
    let ended = wait_until(Duration::from_secs(90), "the run has ended", || {
        tenant.get("sfnrun/bad").filter(|run| run["status"]["phase"] == "Failed")
    });
    let reason = condition(&ended, "Stalled").unwrap()["reason"].as_str().unwrap().to_owned();
    reads(port, &open, 0.0);
    let counted = format!("stepbound_stalled_objects{{kind=\"WorkflowRun\",reason=\"{reason}\"}}");
    assert_eq!(value(port, &counted), Some(0.0));
    assert!(operator.is_running());
}
