//! What is left after objects, folders and namespaces are deleted: nothing, or a word of it.

use std::path::PathBuf;

use crate::crashes::killed;
use crate::*;

/// What the operator meets when the deletion is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Operator {
    /// It has done all the work before.
    Running,
    /// It was killed and has just been started again.
    Restarted,
    /// It is down, and started only when account, role and binding are on their way out.
    Down,
}

/// A team's whole folder with an execution that runs; deleted as a folder or with its namespace.
fn everything_goes(name: &str, namespace: bool, operator: Operator) {
    let tenant = test_bed().tenant(name);
    let folder = folder(&tenant);
    let mut process = start(&tenant);
    tenant.kubectl(&["apply", "-f", folder.to_str().unwrap()]);
    tenant.wait_for(&process, "sfnrun/order", "Started", "True", "ExecutionStarted");
    let began = std::time::Instant::now();
    if operator != Operator::Running {
        killed(&tenant, process);
        if operator == Operator::Down {
            delete(&tenant, &folder, namespace, "--wait=false");
        }
        process = start(&tenant);
    }
    delete(&tenant, &folder, namespace, "--timeout=60s");
    assert!(began.elapsed() < Duration::from_secs(60), "took {:?}", began.elapsed());
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    let gone = tenant.bed.aws.states("DescribeStateMachine", &machine).is_err();
    if operator == Operator::Running {
        assert!(gone, "the session at hand was enough to remove the machine");
    }
    let log = process.log_text();
    assert!(gone || log.contains(r#""outcome":"Orphaned""#), "what remains in AWS is told:\n{log}");
    if !gone && !namespace {
        let told = tenant.kubectl(&["get", "events", "--field-selector=reason=Orphaned", "-o", "json"]);
        assert!(told.contains(&tenant.machine_arn("fulfil")), "the event names the machine: {told}");
    }
}

fn delete(tenant: &Tenant, folder: &Path, namespace: bool, wait: &str) {
    if namespace {
        tenant.bed.control_plane.kubectl(&["delete", "namespace", &tenant.name, wait, "--ignore-not-found"]);
    } else {
        tenant.kubectl(&["delete", "-f", folder.to_str().unwrap(), wait, "--ignore-not-found"]);
    }
}

/// Account, binding, workflow and run as files, in the order in which a team numbers them.
fn folder(tenant: &Tenant) -> PathBuf {
    let folder = tenant.bed.control_plane.folder.join(format!("{}-folder", tenant.name));
    std::fs::create_dir_all(&folder).unwrap();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "orders", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}});
    let workflow = tenant.workflow("fulfil", &waiting(300));
    let run = workflow_run("order", "fulfil", &json!({}));
    for (file, object) in
        [("1-account", account), ("2-binding", tenant.binding("orders")), ("3-workflow", workflow), ("4-run", run)]
    {
        std::fs::write(folder.join(format!("{file}.json")), object.to_string()).unwrap();
    }
    folder
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_deleted_folder_goes_within_a_minute_with_its_machine() {
    everything_goes("folder", false, Operator::Running);
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_deleted_folder_goes_within_a_minute_after_a_restart() {
    everything_goes("folder-restarted", false, Operator::Restarted);
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_folder_deleted_while_the_operator_is_down_goes_within_a_minute() {
    everything_goes("folder-down", false, Operator::Down);
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_deleted_namespace_goes_within_a_minute_with_its_machine() {
    everything_goes("namespace", true, Operator::Running);
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_deleted_namespace_goes_within_a_minute_after_a_restart() {
    everything_goes("namespace-restarted", true, Operator::Restarted);
}

/// Requirement 17 of docs/security.md: deletions end when account, right or namespace are gone.
#[test]
fn requirement_17_a_namespace_deleted_while_the_operator_is_down_goes_within_a_minute() {
    everything_goes("namespace-down", true, Operator::Down);
}

#[test]
fn a_workflow_waits_for_its_runs_and_a_binding_for_its_workflow() {
    let (tenant, operator) = with_workflow("order", 6);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&["delete", "tb/orders", "sfn/fulfil", "--wait=false"]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "False", "InUse");
    let draining = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "False", "Draining");
    assert!(draining.to_string().contains("among them order"));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.kubectl(&["wait", "--for=delete", "tb/orders", "sfn/fulfil", "--timeout=30s"]);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "the machine is gone too");
}
