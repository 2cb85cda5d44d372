//! Steps with roles of their own: put into the state machine, refused with their place, and bounded at every door.

use crate::bad_input::refused;
use crate::guardrails::{guardrail, starts_of, until_admission_says};
use crate::*;

const STEP: &str = "arn:aws:iam::000000000000:role/step-charge";
const ANOTHER: &str = "arn:aws:iam::000000000000:role/other";
const DEEP: &str = "/States/Each/ItemProcessor/States/Charge";

/// A Task in a Map, with these fields more.
fn deep(fields: &Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
        "Parameters": {"FunctionName": "charge"}});
    task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "Charge", "States": {"Charge": task}}}}})
}

fn with_roles(tenant: &Tenant, name: &str, roles: &Value, definition: &Value) -> Value {
    let mut workflow = tenant.workflow(name, definition);
    workflow["spec"]["stepRoles"] = roles.clone();
    workflow
}

fn submitted(tenant: &Tenant, name: &str) -> Value {
    let machine = json!({"stateMachineArn": tenant.machine_arn(name)});
    let described = tenant.bed.aws.states("DescribeStateMachine", &machine).unwrap();
    serde_json::from_str(described["definition"].as_str().unwrap()).unwrap()
}

#[test]
fn a_step_has_the_role_that_its_workflow_gives_it_and_a_wrong_one_changes_nothing() {
    let tenant = test_bed().tenant("stepping");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let role = |arn: &str, state: &str| json!([{"roleARN": arn, "states": [state]}]);
    tenant.apply(&with_roles(&tenant, "fulfil", &role(STEP, "Charge"), &deep(&json!({}))));
    let ready = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(submitted(&tenant, "fulfil").pointer(DEEP).unwrap()["Credentials"], json!({"RoleArn": STEP}));
    assert_eq!(ready["status"]["runsAs"][0]["steps"], json!({"roleARNs": [STEP]}));
    assert_eq!(ready["status"]["requiredPermissions"]["assumedRoleARNs"], json!([STEP]));
    let own = deep(&json!({"Credentials": {"RoleArn": ANOTHER}}));
    for (roles, definition, hint) in [
        (
            role(STEP, "Chrage"),
            deep(&json!({})),
            "spec.stepRoles[0].states[0]: the definition has no state \"Chrage\"; did you mean \"Charge\"?",
        ),
        (role(STEP, "Each"), deep(&json!({})), "is of Type Map"),
        (
            role(STEP, "Charge"),
            own.clone(),
            "has Credentials of its own at /States/Each/ItemProcessor/States/Charge/Credentials",
        ),
        (role("arn:aws-cn:iam::000000000000:role/step", "Charge"), deep(&json!({})), "is of partition aws-cn"),
        (
            json!([{"roleARN": STEP, "states": ["Charge"]}, {"roleARN": ANOTHER, "states": [DEEP]}]),
            deep(&json!({})),
            "already",
        ),
    ] {
        tenant.apply(&with_roles(&tenant, "fulfil", &roles, &definition));
        let said = tenant.wait_for_object(&operator, "sfn/fulfil", hint, Duration::from_secs(60), |object| {
            let stalled = condition(object, "Stalled");
            stalled.is_some_and(|stalled| stalled["message"].as_str().is_some_and(|said| said.contains(hint)))
        });
        assert_eq!(condition(&said, "Stalled").unwrap()["reason"], "StepRoleInvalid", "{hint}");
    }
    assert_eq!(submitted(&tenant, "fulfil").pointer(DEEP).unwrap()["Credentials"], json!({"RoleArn": STEP}));
    assert_eq!(count(&tenant, "UpdateStateMachine"), 0, "what is in AWS stays as it is");
    tenant.apply(&with_roles(&tenant, "fulfil", &json!([]), &own));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(submitted(&tenant, "fulfil").pointer(DEEP).unwrap()["Credentials"], json!({"RoleArn": ANOTHER}));
    tenant.delete_all(&operator);
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_no_door_leads_past_what_bounds_step_roles() {
    let tenant = test_bed().tenant("stepping-doors");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedStepRoleARNs"] = json!([STEP, ANOTHER]);
    tenant.apply(&binding);
    let with_role = deep(&json!({"Credentials": {"RoleArn": STEP}}));
    let open = deep(&json!({"Credentials": {"RoleArn.$": "$.role"}}));
    tenant.apply(&with_roles(&tenant, "listed", &json!([{"roleARN": STEP, "states": ["Charge"]}]), &deep(&json!({}))));
    tenant.apply(&tenant.workflow("without", &deep(&json!({}))));
    tenant.apply(&tenant.workflow("open", &open));
    tenant.apply(&tenant.workflow("unlisted", &deep(&json!({"Credentials": {"RoleArn": format!("{STEP}-2")}}))));
    for name in ["listed", "without"] {
        tenant.wait_for(&operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
    }
    let hint = "at /States/Each/ItemProcessor/States/Charge is known only when it runs";
    refused(&tenant, &operator, "sfn/open", "Stalled", "StepRoleNotAllowed", hint);
    refused(
        &tenant,
        &operator,
        "sfn/unlisted",
        "Stalled",
        "StepRoleNotAllowed",
        "is not among spec.allowedStepRoleARNs",
    );

    let taken_off = json!({"spec": {"allowedStepRoleARNs": [ANOTHER]}}).to_string();
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", &taken_off]);
    tenant.wait_for(&operator, "sfn/listed", "Stalled", "True", "StepRoleNotAllowed");
    tenant.apply(&workflow_run("listed", "listed", &json!({})));
    tenant.wait_for(&operator, "sfnrun/listed", "Ready", "False", "StepRoleNotAllowed");

    guardrail(
        &tenant,
        "stepping-doors",
        &json!({"requireStepRoles": true, "allowedStepRoleARNs": ["arn:aws:iam::*:role/step-*"]}),
    );
    let foreign =
        with_roles(&tenant, "foreign", &json!([{"roleARN": ANOTHER, "states": ["Charge"]}]), &deep(&json!({})));
    until_admission_says(&tenant, &foreign, "matches none of arn:aws:iam::*:role/step-*");
    let own = tenant.execution_role_arn();
    let itself = with_roles(&tenant, "itself", &json!([{"roleARN": own, "states": ["Charge"]}]), &deep(&json!({})));
    until_admission_says(&tenant, &itself, "spec.stepRoles");
    let hint = "every step needs a role of its own, and the Task at /States/Each/ItemProcessor/States/Charge has none";
    refused(&tenant, &operator, "sfn/without", "Stalled", "RefusedByGuardrail", hint);
    tenant.kubectl(&["patch", "sfn/without", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    tenant.apply(&workflow_run("late", "without", &json!({})));
    refused(
        &tenant,
        &operator,
        "sfnrun/late",
        "Ready",
        "RefusedByGuardrail",
        "is not started, because of what it runs as",
    );
    assert_eq!((starts_of(&tenant, "listed"), starts_of(&tenant, "without")), (0, 0));

    let listed_again = json!({"spec": {"allowedStepRoleARNs": [STEP]}}).to_string();
    tenant.kubectl(&["patch", "tb/orders", "--type=merge", "-p", &listed_again]);
    tenant.wait_for(&operator, "sfnrun/listed", "Started", "True", "ExecutionStarted");
    tenant.apply(&tenant.workflow("unlisted", &with_role));
    tenant.wait_for(&operator, "sfn/unlisted", "Ready", "True", "Synced");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "stepping-doors"]);
}
