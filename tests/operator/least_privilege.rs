//! The quickstart under exactly the policies that are derived from its manifests.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::start;
use crate::support::processes::wait_until;
use crate::support::{Tenant, test_bed, waiting, workflow_run};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");

/// What the command line derives for the manifests of the quickstart.
fn derived() -> Value {
    let flags = ["policy", "execution-role", QUICKSTART, "--output", "json"];
    let ran = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(flags).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

pub(crate) fn allow(tenant: &Tenant, role: &str, policy: &Value) {
    let role = format!("{}-{role}", tenant.name);
    let document = policy.to_string();
    let inline = [("RoleName", role.as_str()), ("PolicyName", "inline"), ("PolicyDocument", &document)];
    tenant.bed.aws.iam("PutRolePolicy", &inline);
    // The front remembers a role for a moment.
    std::thread::sleep(Duration::from_millis(400));
}

/// The quickstart's workflow, as the tenant's.
pub(crate) fn workflow(tenant: &Tenant) -> Value {
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
    allow(&tenant, "exec", &policy);
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
        allow(&tenant, "exec", &json!({"Version": "2012-10-17", "Statement": fewer}));
        let name = format!("without-{without}");
        tenant.apply(&workflow_run(&name, "fulfil", &input));
        let failed = wait_until(Duration::from_secs(90), &name, || {
            let run = tenant.get(&format!("sfnrun/{name}"))?;
            (run["status"]["phase"] == "Failed").then_some(run)
        });
        assert_eq!(failed["status"]["error"], "Order.Refused", "the refusal is caught and ends the order: {failed}");
    }
    tenant.delete_all(&operator);
}

/// What the command line derives for the binding's role of a tenant, its execution role listed.
fn derived_binding(tenant: &Tenant) -> (Value, Value) {
    let mut binding = tenant.binding("orders");
    binding["metadata"]["namespace"] = json!(tenant.name);
    binding["spec"]["allowedExecutionRoleARNs"] = json!([tenant.execution_role_arn()]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, binding.to_string().as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
    let ran = command.args(["policy", "binding-role", "--output", "json"]).arg(file.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    (binding, serde_json::from_slice(&ran.stdout).unwrap())
}

/// One life of the quickstart's workflow that uses what the binding's role is for: create, run, fail, look at the history,
/// cancel, delete. True when all of it works.
fn lives(tenant: &Tenant, name: &str) -> bool {
    let failing = json!({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken"}}});
    let (good, bad, slow) = (format!("{name}-good"), format!("{name}-bad"), format!("{name}-slow"));
    tenant.apply(&tenant.workflow(&good, &waiting(0)));
    tenant.apply(&tenant.workflow(&bad, &failing));
    tenant.apply(&tenant.workflow(&slow, &waiting(60)));
    for workflow in [&good, &bad, &slow] {
        tenant.apply(&workflow_run(workflow, workflow, &json!({})));
    }
    let within = |what: &str, met: &dyn Fn() -> bool| {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_secs(8) {
            if met() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        println!("without it not: {what}");
        false
    };
    let status = |run: &str| tenant.get(&format!("sfnrun/{run}")).unwrap_or_default()["status"].clone();
    let cancel = || tenant.kubectl(&["patch", "sfnrun", &slow, "--type=merge", "-p", r#"{"spec":{"cancel":{}}}"#]);
    within("a run succeeds", &|| status(&good)["phase"] == "Succeeded")
        && within("a failed state is named", &|| status(&bad)["failedState"] == "A")
        && within("a run starts", &|| status(&slow)["phase"] == "Running")
        && !cancel().is_empty()
        && within("a run is cancelled", &|| status(&slow)["phase"] == "Aborted")
}

#[test]
fn workflows_live_under_exactly_the_derived_binding_policy_and_not_without_what_they_use_of_it() {
    let tenant = test_bed().tenant("narrow");
    let (binding, policy) = derived_binding(&tenant);
    allow(&tenant, "binding", &policy);
    let operator = start(&tenant);
    tenant.apply(&binding);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert!(lives(&tenant, "exact"), "{policy:#}");
    let statements = policy["Statement"].as_array().unwrap();
    // What a life without activities, keys, queues, alarms and refused definitions does not use.
    let unused = ["activity:", "mapRun:"];
    let mut used = 0;
    for (number, statement) in statements.iter().enumerate() {
        let text = statement.to_string();
        let reads = text.contains("states:ValidateStateMachineDefinition") || text.contains("iam:GetRole");
        // A denial is not for living; the attempts of a hostile tenant need it.
        let denies = statement["Effect"] == "Deny";
        if reads || denies || unused.iter().any(|kind| text.contains(kind) && !text.contains(":stateMachine:")) {
            continue;
        }
        used += 1;
        let fewer: Vec<Value> =
            statements.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, one)| one.clone()).collect();
        allow(&tenant, "binding", &json!({"Version": "2012-10-17", "Statement": fewer}));
        assert!(!lives(&tenant, &format!("without-{number}")), "nothing needs {statement:#}");
    }
    assert!(used >= 3, "state machines, executions and the execution role: {policy:#}");
    allow(&tenant, "binding", &policy);
    drop(operator);
}
