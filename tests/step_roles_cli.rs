//! `stepbound policy step-roles` as people run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const EXEC: &str = "arn:aws:iam::111122223333:role/exec";
const PAY: &str = "arn:aws:iam::111122223333:role/pay";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stepbound")).args(["policy", "step-roles"]).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(folder: &Path, name: &str, value: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Charge calls a function, Tell a topic, in a Map.
fn workflow(folder: &Path, roles: &Value) -> String {
    let charge = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "charge"}, "Next": "Each"});
    let tell = json!({"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": true,
        "Parameters": {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": "m"}});
    let each = json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "Tell", "States": {"Tell": tell}}});
    let spec = json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": EXEC, "stepRoles": roles,
        "definition": {"StartAt": "Charge", "States": {"Charge": charge, "Each": each}}});
    file(
        folder,
        "workflow.json",
        &json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "fulfil", "namespace": "shop"}, "spec": spec}),
    )
}

#[test]
fn each_role_is_printed_with_its_permissions_and_its_trust_policy_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = workflow(folder.path(), &json!([{"roleARN": PAY, "states": ["Charge"]}]));
    let place = ["--region", "eu-west-1"];
    let told = out(&run(&[&[workflow.as_str()], &place[..]].concat()));
    assert!(told.starts_with(&format!("## {PAY}, of Charge\n# Charge: Lambda, request-response\n")), "{told}");
    assert!(told.contains("\"sts:ExternalId\"") && told.contains("stateMachine:shop_fulfil:*"), "{told}");
    assert!(told.contains(&format!("## {EXEC}, instead of what its steps need\n")), "{told}");
    let printed = |form: &str| {
        let ran = run(&[&[workflow.as_str(), "-o", form], &place[..]].concat());
        assert!(ran.status.success() && err(&ran).is_empty(), "{}", err(&ran));
        out(&ran)
    };
    let all: Value = serde_json::from_str(&printed("json")).unwrap();
    assert_eq!(
        all["stepRoles"][0]["states"],
        json!([{"of": "Workflow shop/fulfil", "name": "Charge", "path": "/States/Charge"}])
    );
    let left = all["executionRoles"][0]["policy"]["Statement"].as_array().unwrap();
    let actions: Vec<&Value> = left.iter().map(|statement| &statement["Action"]).collect();
    assert_eq!(actions, [&json!("sns:Publish"), &json!("sts:AssumeRole")], "{left:?}");
    assert_eq!(left[1]["Resource"], PAY);
    assert_eq!(stepbound::asl::parse(&printed("yaml")).unwrap().value, all);
    assert!(printed("terraform").contains("resource \"aws_iam_role\" \"step_1\""));
    let template: Value = serde_json::from_str(&printed("cloudformation")).unwrap();
    assert_eq!(template["Resources"]["StepRole1"]["Properties"]["RoleName"], "pay");
}

#[test]
fn a_proposal_fits_the_spec_and_leaves_nothing_shared() {
    let folder = tempfile::tempdir().unwrap();
    let bare = workflow(folder.path(), &json!([]));
    let ran = run(&[&bare, "--region", "eu-west-1", "--split"]);
    let told = out(&ran);
    assert!(told.starts_with("# Workflow shop/fulfil: 2 sets of steps that share no service and no resource\n#   Charge: lambda\n#   Tell: sns\n"), "{told}{}", err(&ran));
    let roles = stepbound::asl::parse(&told).unwrap().value["stepRoles"].clone();
    assert_eq!(roles[0], json!({"roleARN": "arn:aws:iam::111122223333:role/shop_fulfil-lambda", "states": ["Charge"]}));
    let with = workflow(folder.path(), &roles);
    let told = out(&run(&[&with, "--region", "eu-west-1"]));
    assert!(told.contains("role/shop_fulfil-sns, of Tell") && !told.contains("nothing in common"), "{told}");
    let one = workflow(folder.path(), &json!([{"roleARN": PAY, "states": ["Charge", "Tell"]}]));
    let told = out(&run(&[&one, "--region", "eu-west-1"]));
    assert!(told.contains("is shared by steps that need nothing in common, so each can do what the others need: Charge (lambda) | Tell (sns)"), "{told}");
    assert_eq!(run(&[&bare, "--region", "eu-west-1", "--split", "-o", "terraform"]).status.code(), Some(2));
}

#[test]
fn what_a_role_lacks_and_what_it_has_too_much_is_told_role_by_role() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = workflow(folder.path(), &json!([{"roleARN": PAY, "states": ["Charge"]}]));
    let policy = |name: &str, statements: &Value| {
        file(folder.path(), name, &json!({"Version": "2012-10-17", "Statement": statements}))
    };
    let function = "arn:aws:lambda:eu-west-1:111122223333:function:charge";
    let exact = policy(
        "exact.json",
        &json!([{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": [function, format!("{function}:*")]}]),
    );
    let wide = policy("wide.json", &json!([{"Effect": "Allow", "Action": ["lambda:*", "s3:*"], "Resource": "*"}]));
    let compare = |given: &[String]| {
        let mut arguments = vec![workflow.as_str(), "--region", "eu-west-1"];
        for one in given {
            arguments.extend(["--compare", one.as_str()]);
        }
        run(&arguments)
    };
    let ran = compare(&[format!("pay={exact}")]);
    assert_eq!((out(&ran), ran.status.code()), (format!("## {PAY}\nthe policy is exactly what is needed\n"), Some(0)));
    let ran = compare(&[format!("{PAY}={wide}")]);
    assert!(out(&ran).contains("excess:  s3:*  (statement 1)") && ran.status.success(), "{}", out(&ran));
    let ran = compare(&[format!("exec={wide}"), format!("pay={exact}")]);
    let told = out(&ran);
    assert_eq!(ran.status.code(), Some(1), "the execution role lacks sns:Publish and sts:AssumeRole");
    assert!(told.contains("missing: sts:AssumeRole") && told.contains("missing: sns:Publish"), "{told}");
    assert!(told.contains(&format!("it may do lambda:InvokeFunction on {function}, {function}:* itself, which step Charge does as {PAY}; take it out")), "{told}");
    let ran = compare(&[format!("other={exact}")]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(err(&ran).contains(&format!("with a role of these by its name or ARN: {PAY}, {EXEC}")), "{}", err(&ran));
}

/// As a role of a step it would be written with a trust policy that names itself, in place of its own.
#[test]
fn an_execution_role_is_not_written_anew_as_the_role_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = workflow(folder.path(), &json!([{"roleARN": EXEC, "states": ["Charge"]}]));
    for form in ["terraform", "cloudformation"] {
        let ran = run(&[&workflow, "--region", "eu-west-1", "-o", form]);
        assert_eq!((ran.status.code(), out(&ran).as_str()), (Some(2), ""), "{form}");
        assert!(
            err(&ran).contains(&format!("Charge act as {EXEC}, which is an execution role itself")),
            "{}",
            err(&ran)
        );
    }
    let told = out(&run(&[&workflow, "--region", "eu-west-1"]));
    assert!(told.contains("# note: this is an execution role itself"), "{told}");
}

#[test]
fn a_proposal_sorts_by_service_what_it_does_not_know_and_leaves_out_what_has_its_role() {
    let folder = tempfile::tempdir().unwrap();
    let task = |resource: &str, fields: &Value| {
        let mut task = json!({"Type": "Task", "Resource": format!("arn:aws:states:::{resource}"), "End": true});
        task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        task
    };
    let topic = "arn:aws:sns:eu-west-1:111122223333:t";
    let states = json!({
        "Known": task("sns:publish", &json!({"Parameters": {"TopicArn": topic, "Message": "m"}, "Next": "Open"})),
        "Open": task("sns:publish", &json!({"Parameters": {"TopicArn.$": "$.topic", "Message": "m"}, "Next": "Call"})),
        "Call": task("aws-sdk:dynamodb:getItem", &json!({"Parameters": {"TableName.$": "$.t", "Key": {}}, "Next": "Own"})),
        "Own": task("sqs:sendMessage", &json!({"Credentials": {"RoleArn": PAY},
            "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "MessageBody": "m"}})),
    });
    let mut definition = json!({"StartAt": "Known", "States": states});
    for name in ["Known", "Open", "Call"] {
        definition["States"][name].as_object_mut().unwrap().remove("End");
    }
    let workflow = file(
        folder.path(),
        "w.json",
        &json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w", "namespace": "shop"},
            "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": EXEC, "definition": definition}}),
    );
    let ran = run(&[&workflow, "--region", "eu-west-1", "--split"]);
    let told = out(&ran);
    assert!(told.contains("#   Known, Open: sns\n#   Call: dynamodb\n"), "{told}{}", err(&ran));
    assert!(told.contains("# note: not all that Open, Call use is known"), "{told}");
    assert!(told.contains("# note: Own act as a role by Credentials of the definition"), "{told}");
    let roles = stepbound::asl::parse(&told).unwrap().value["stepRoles"].clone();
    let named: Vec<&Value> = roles.as_array().unwrap().iter().map(|role| &role["states"]).collect();
    assert_eq!(named, [&json!(["Known", "Open"]), &json!(["Call"])]);
}
