//! The quickstart with a role for each step, under exactly the policies and trust policies that are derived from its manifest.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::least_privilege::{allow, workflow};
use crate::start;
use crate::support::processes::{Process, wait_until};
use crate::support::{REGION, Tenant, test_bed, workflow_run};

const CHARGE: &str = "arn:aws:iam::000000000000:role/stepwise-charge";
const PACK: &str = "arn:aws:iam::000000000000:role/stepwise-pack";

/// The quickstart, whose inner step packs by a function too, and a role for each of the two.
fn with_roles(tenant: &Tenant) -> Value {
    let mut workflow = workflow(tenant);
    let pack = "/spec/definition/States/Prepare/Branches/1/States/Pick/ItemProcessor/States/Pack";
    *workflow.pointer_mut(pack).unwrap() = json!({"Type": "Task", "End": true, "Parameters": {"amount": 1},
        "Resource": "arn:aws:lambda:eu-west-1:000000000000:function:stepwise-pack-item"});
    // Functions of one account serve the tests of others too.
    workflow["spec"]["substitutions"]["ChargeCard"] =
        json!("arn:aws:lambda:eu-west-1:000000000000:function:stepwise-charge-card");
    workflow["spec"]["stepRoles"] =
        json!([{"roleARN": CHARGE, "states": ["Charge"]}, {"roleARN": PACK, "states": ["Pack"]}]);
    workflow
}

/// What the command line derives for the manifest.
fn derived(tenant: &Tenant, workflow: &Value) -> Value {
    let mut workflow = workflow.clone();
    workflow["metadata"]["namespace"] = json!(tenant.name);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, workflow.to_string().as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepbound"));
    let ran =
        command.args(["policy", "step-roles", "--region", REGION, "-o", "json"]).arg(file.path()).output().unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn trust(tenant: &Tenant, role: &str, policy: &Value) {
    let name = format!("{}-{role}", tenant.name);
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", &name), ("PolicyDocument", &policy.to_string())]);
    std::thread::sleep(Duration::from_millis(400));
}

fn ends(tenant: &Tenant, name: &str, workflow: &str) -> Value {
    let input = json!({"input": {"orderId": 4711, "amount": 12.5, "items": ["book", "pen"]}});
    tenant.apply(&workflow_run(name, workflow, &input));
    wait_until(Duration::from_secs(90), name, || {
        let run = tenant.get(&format!("sfnrun/{name}"))?;
        matches!(run["status"]["phase"].as_str(), Some("Succeeded" | "Failed")).then_some(run)
    })
}

fn fails(tenant: &Tenant, name: &str, why: &str) {
    let run = ends(tenant, name, "fulfil");
    assert_eq!(run["status"]["phase"], "Failed", "{why}: {run}");
}

/// A policy without one of its statements. IAM takes none without a statement.
fn without(policy: &Value, index: usize) -> Value {
    let mut fewer = policy["Statement"].as_array().unwrap().clone();
    fewer.remove(index);
    if fewer.is_empty() {
        fewer.push(json!({"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}));
    }
    json!({"Version": "2012-10-17", "Statement": fewer})
}

fn started(tenant: &Tenant, all: &Value) -> Process {
    for name in ["stepwise-charge-card", "stepwise-pack-item"] {
        let source = format!("{}/examples/quickstart/aws/charge_card.py", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(source).unwrap();
        tenant.bed.aws.create_lambda(name, &source, &tenant.execution_role_arn(), &tenant.bed.binaries);
    }
    for role in all["stepRoles"].as_array().unwrap() {
        let name = role["roleARN"].as_str().unwrap().rsplit('/').next().unwrap();
        tenant.bed.aws.create_role(name, &role["trust"], Some(&role["policy"]));
    }
    allow(tenant, "exec", &all["executionRoles"][0]["policy"]);
    let operator = start(tenant);
    tenant.apply(&tenant.binding("orders"));
    operator
}

#[test]
fn the_quickstart_with_a_role_for_each_step_runs_under_exactly_the_derived_policies_and_fails_without_any_one_statement()
 {
    let tenant = test_bed().tenant("stepwise");
    let manifest = with_roles(&tenant);
    let all = derived(&tenant, &manifest);
    assert_eq!(all["stepRoles"].as_array().unwrap().len(), 2, "{all:#}");
    let left = all["executionRoles"][0]["policy"].to_string();
    assert!(left.contains("sts:AssumeRole") && !left.contains("lambda"), "{left}");
    let operator = started(&tenant, &all);
    tenant.apply(&manifest);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    let run = ends(&tenant, "exact", "fulfil");
    assert_eq!(run["status"]["phase"], "Succeeded", "{run}");
    assert_eq!(run["status"]["output"]["charged"], 12.5);

    for (role, short) in all["stepRoles"].as_array().unwrap().iter().zip(["charge", "pack"]) {
        for index in 0..role["policy"]["Statement"].as_array().unwrap().len() {
            allow(&tenant, short, &without(&role["policy"], index));
            fails(&tenant, &format!("without-{short}-{index}"), "a statement of the step's role is missing");
        }
        allow(&tenant, short, &role["policy"]);
        trust(&tenant, short, &without(&role["trust"], 0));
        fails(&tenant, &format!("untrusted-{short}"), "the role trusts nobody");
        let mut narrow = role["trust"].clone();
        narrow["Statement"][0]["Condition"]["StringLike"]["sts:ExternalId"] =
            json!([format!("{}-other", tenant.machine_arn("fulfil"))]);
        trust(&tenant, short, &narrow);
        fails(&tenant, &format!("elsewhere-{short}"), "the role trusts another state machine");
        trust(&tenant, short, &role["trust"]);
    }
    // In one account a trust policy that names the execution role needs no statement of it.
    allow(&tenant, "exec", &without(&all["executionRoles"][0]["policy"], 0));
    assert_eq!(ends(&tenant, "by-trust", "fulfil")["status"]["phase"], "Succeeded");
    allow(&tenant, "exec", &all["executionRoles"][0]["policy"]);

    let mut alone = manifest.clone();
    alone["metadata"]["name"] = json!("alone");
    alone["spec"].as_object_mut().unwrap().remove("stepRoles");
    tenant.apply(&alone);
    tenant.wait_for(&operator, "sfn/alone", "Ready", "True", "Synced");
    let run = ends(&tenant, "alone", "alone");
    assert_eq!(run["status"]["phase"], "Failed", "the execution role alone can do none of the steps' calls: {run}");
    assert_eq!(run["status"]["error"], "Order.Refused");
    drop(operator);
}
