//! The operator on a real control plane, installed by real Helm, with the emulator behind our front.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod admission;
mod again;
mod approvals;
mod approved_runs;
mod attempts;
mod attribution;
mod bad_input;
mod ci_jobs;
mod ci_tokens;
mod crashes;
mod deletion;
mod documentation;
mod evidence;
mod examples;
mod execution_histories;
mod express_results;
mod gauges;
mod gitops;
mod guardrails;
mod held;
mod histories;
mod hostile;
mod identity;
mod installs;
mod installs_waiting;
mod kubectl_approvals;
mod kubectl_more;
mod kubectl_verbs;
mod least_privilege;
mod lint;
mod lockdown;
mod mcp_agent;
mod mcp_http;
mod mcp_stdio;
mod metrics;
mod nesting;
mod process;
mod progress;
mod providers;
mod quotas;
mod rights;
mod rights_of_authors;
mod rollouts;
mod runs;
mod schedules;
mod shards;
mod step_privilege;
mod step_roles;
#[path = "../support/mod.rs"]
mod support;
mod timelines;
mod tracking;
mod trust;
mod typed_input;
mod workflows;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::front::Fault;
use support::processes::{Process, wait_until};
use support::{Tenant, condition, test_bed, waiting, workflow_run};

fn start(tenant: &Tenant) -> Process {
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[])
}

/// A tenant with a binding and a workflow that are ready.
fn with_workflow(name: &str, seconds: u32) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(seconds)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn executions(tenant: &Tenant) -> Vec<Value> {
    let listed = tenant.bed.aws.states("ListExecutions", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    listed.unwrap()["executions"].as_array().unwrap().clone()
}

/// A tenant with an Express workflow that is ready.
fn with_express(name: &str) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["type"] = json!("Express");
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn count(tenant: &Tenant, operation: &str) -> usize {
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    calls.iter().filter(|call| call.operation == operation).count()
}

#[test]
fn a_run_applied_with_kubectl_succeeds_as_its_own_service_account_and_everything_goes_again() {
    let tenant = test_bed().tenant("main-job");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"orderId": 4711}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"orderId": 4711}));
    assert_eq!(run["status"]["phase"], "Succeeded");
    tenant.kubectl(&["wait", "--for=condition=Finished", "sfnrun/order", "--timeout=1s"]);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["subject"], "system:serviceaccount:main-job:orders");
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    assert_eq!(calls.iter().filter(|call| call.operation == "StartExecution").count(), 1);

    tenant.delete_all(&operator);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "the machine is gone too");
}
