//! The quickstart under exactly the policy that is derived from its definition.

use std::process::Command;

use serde_json::{Value, json};

use crate::start;
use crate::support::processes::wait_until;
use crate::support::{Tenant, test_bed, workflow_run};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");

/// What the command line derives for the manifests of the quickstart.
fn derived() -> Value {
    let flags = ["policy", "execution-role", QUICKSTART, "--output", "json"];
    let ran = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(flags).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn allow(tenant: &Tenant, policy: &Value) {
    let role = format!("{}-exec", tenant.name);
    let document = policy.to_string();
    let inline = [("RoleName", role.as_str()), ("PolicyName", "inline"), ("PolicyDocument", &document)];
    tenant.bed.aws.iam("PutRolePolicy", &inline);
    // The front remembers a role for a moment.
    std::thread::sleep(std::time::Duration::from_millis(400));
}

/// The quickstart's workflow, as the tenant's.
fn workflow(tenant: &Tenant) -> Value {
    let text = std::fs::read_to_string(format!("{QUICKSTART}/2-workflow.yaml")).unwrap();
    let manifest = stepbound::asl::parse(&text).unwrap().value;
    let mut workflow = tenant.workflow("fulfil", &manifest["spec"]["definition"]);
    workflow["spec"]["substitutions"] = manifest["spec"]["substitutions"].clone();
    workflow
}

#[test]
fn the_quickstart_runs_under_exactly_the_derived_execution_policy_and_fails_without_any_one_statement() {
    let policy = derived();
    let tenant = test_bed().tenant("least");
    let source = std::fs::read_to_string(format!("{QUICKSTART}/aws/charge_card.py")).unwrap();
    tenant.bed.aws.create_lambda("charge-card", &source, &tenant.execution_role_arn(), &tenant.bed.binaries);
    allow(&tenant, &policy);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&workflow(&tenant));
    let ready = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let required = &ready["status"]["requiredPermissions"];
    assert_eq!(
        (&required["statements"], &required["actions"], &required["resources"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(required["unresolved"], 0, "{required}");

    let input = json!({"input": {"orderId": 4711, "amount": 12.5, "items": ["book", "pen"]}});
    tenant.apply(&workflow_run("exact", "fulfil", &input));
    let run = tenant.wait_for(&operator, "sfnrun/exact", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"]["charged"], 12.5);

    let statements = policy["Statement"].as_array().unwrap();
    for without in 0..statements.len() {
        let mut fewer = statements.clone();
        fewer.remove(without);
        // IAM takes no policy without a statement.
        if fewer.is_empty() {
            fewer.push(json!({"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}));
        }
        allow(&tenant, &json!({"Version": "2012-10-17", "Statement": fewer}));
        let name = format!("without-{without}");
        tenant.apply(&workflow_run(&name, "fulfil", &input));
        let failed = wait_until(std::time::Duration::from_secs(40), &name, || {
            let run = tenant.get(&format!("sfnrun/{name}"))?;
            (run["status"]["phase"] == "Failed").then_some(run)
        });
        assert_eq!(failed["status"]["error"], "Order.Refused", "the refusal is caught and ends the order: {failed}");
    }
    tenant.delete_all(&operator);
}
