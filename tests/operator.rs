//! The operator on a real control plane, installed by real Helm, with the emulator behind our front.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use support::processes::wait_until;
use support::{condition, test_bed, waiting};

const BINARY: &str = env!("CARGO_BIN_EXE_stepbound");

#[test]
fn a_run_applied_with_kubectl_succeeds_as_its_own_service_account_and_everything_goes_again() {
    let tenant = test_bed().tenant("main-job");
    let operator = tenant.operator(Path::new(BINARY), &[]);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&tenant.run("order", "fulfil", &json!({"input": {"orderId": 4711}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"orderId": 4711}));
    assert_eq!(run["status"]["phase"], "Succeeded");
    tenant.kubectl(&["wait", "--for=condition=Finished", "sfnrun/order", "--timeout=1s"]);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["subject"], "system:serviceaccount:main-job:orders");
    let starts = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    assert_eq!(starts.iter().filter(|call| call.operation == "StartExecution").count(), 1);

    tenant.kubectl(&["delete", "tb,sfn,sfnrun", "--all", "--timeout=60s"]);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "the machine is gone too");
}
