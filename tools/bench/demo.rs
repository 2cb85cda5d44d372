//! `make demo`: the quickstart on this machine, from an empty control plane to a refused stranger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use support::{Tenant, condition, processes::Process, test_bed};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");

fn main() {
    let started = Instant::now();
    let step = |text: &str| println!("\n[{:5.1} s] {text}", started.elapsed().as_secs_f64());
    step("Starting etcd, API server, controller manager and the AWS emulator");
    let bed = test_bed();
    step("Creating the roles and the Lambda function in AWS");
    let mut tenant = bed.account_for("shop");
    // As the documentation has it.
    "stepbound-system".clone_into(&mut tenant.system);
    bed.control_plane.kubectl(&["create", "namespace", &tenant.system]);
    let source = std::fs::read_to_string(format!("{QUICKSTART}/aws/charge_card.py")).unwrap();
    bed.aws.create_lambda("charge-card", &source, &tenant.execution_role_arn(), &bed.binaries);
    bed.control_plane.kubectl(&["create", "namespace", "shop"]);
    step("Installing the chart with Helm and starting the operator as the chart's own account");
    tenant.install();
    let operator = tenant.operator(&operator_binary(), &[]);
    step("kubectl apply -f examples/quickstart/");
    print!("{}", bed.control_plane.kubectl(&["apply", "-f", QUICKSTART]));
    let run = tenant.wait_for(&operator, "sfnrun/order-4711", "Complete", "True", "Succeeded");
    step("kubectl get tb,sfn,sfnrun -n shop");
    print!("{}", tenant.kubectl(&["get", "tb,sfn,sfnrun"]));
    tell(&tenant, &run);
    stranger(&tenant, &operator, &step);
    if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        println!("\nEverything stays up until you press Enter. In another terminal:");
        println!("  export KUBECONFIG={}\n  kubectl get tb,sfn,sfnrun -n shop", bed.control_plane.admin.display());
        let _ = std::io::stdin().read_line(&mut String::new());
    }
    step("kubectl delete -f examples/quickstart/");
    bed.control_plane.kubectl(&["delete", "-f", QUICKSTART, "--timeout=60s"]);
    step("Done: nothing is left in AWS or in the cluster");
    drop(operator);
    bed.stop();
}

/// The operator's binary is built beside this example's folder.
fn operator_binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    here.parent().unwrap().parent().unwrap().join("stepbound")
}

fn tell(tenant: &Tenant, run: &Value) {
    let workflow = tenant.get("sfn/fulfil").unwrap();
    println!("\nState machine  {}", workflow["status"]["stateMachineARN"].as_str().unwrap());
    println!("Execution      {}", run["status"]["executionARN"].as_str().unwrap());
    let history =
        tenant.bed.aws.states("GetExecutionHistory", &json!({"executionArn": run["status"]["executionARN"]})).unwrap();
    let events = history["events"].as_array().unwrap();
    let states: Vec<&str> =
        events.iter().filter_map(|event| event["stateEnteredEventDetails"]["name"].as_str()).collect();
    println!("States         {}", states.join(" -> "));
    println!("Output         {}", run["status"]["output"]);
}

/// The same binding with an account that the role does not trust.
fn stranger(tenant: &Tenant, operator: &Process, step: &dyn Fn(&str)) {
    step("The same, with a service account that the role does not trust");
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "stranger", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}}));
    let grant = [
        "create",
        "role",
        "stranger-token",
        "--verb=create",
        "--resource=serviceaccounts/token",
        "--resource-name=stranger",
    ];
    tenant.kubectl(&grant);
    let account = format!("--serviceaccount={}:stepbound", tenant.system);
    tenant.kubectl(&["create", "rolebinding", "stranger-token", "--role=stranger-token", &account]);
    let mut binding = tenant.binding("stranger");
    binding["spec"]["serviceAccountName"] = json!("stranger");
    tenant.apply(&binding);
    let mut workflow = tenant.get("sfn/fulfil").unwrap();
    workflow["metadata"] = json!({"name": "strange"});
    workflow.as_object_mut().unwrap().remove("status");
    workflow["spec"]["trustBindingRef"]["name"] = json!("stranger");
    tenant.apply(&workflow);
    tenant.apply(&support::workflow_run(
        "strange",
        "strange",
        &json!({"input": {"orderId": 1, "amount": 1, "items": []}}),
    ));
    tenant.wait_for(operator, "sfnrun/strange", "Ready", "False", "WorkflowNotReady");
    let refused = tenant.wait_for(operator, "tb/stranger", "RoleAssumed", "False", "AccessDenied");
    println!("{}", condition(&refused, "RoleAssumed").unwrap()["message"].as_str().unwrap());
    tenant.kubectl(&["delete", "sfnrun/strange", "sfn/strange", "--timeout=60s"]);
    tenant.kubectl(&["delete", "tb/stranger", "--timeout=60s"]);
}
