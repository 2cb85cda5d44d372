//! State machines: delivered, left alone, refused.

use crate::*;

#[test]
fn a_machine_of_somebody_else_is_never_touched() {
    let tenant = test_bed().tenant("foreign");
    let operator = start(&tenant);
    let theirs =
        json!({"name": "foreign_fulfil", "definition": waiting(9).to_string(), "roleArn": tenant.execution_role_arn()});
    tenant.bed.aws.states("CreateStateMachine", &theirs).unwrap();
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    tenant.delete_all(&operator);
    let found =
        tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    assert_eq!(found.unwrap()["definition"], theirs["definition"]);
}

#[test]
fn a_bad_definition_is_refused_before_aws_and_the_last_good_one_keeps_serving() {
    let (tenant, operator) = with_workflow("bad-definition", 0);
    tenant.apply(&tenant.workflow("fulfil", &json!({"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}})));
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "DefinitionInvalid");
    assert!(refused["status"]["diagnostics"][0]["message"].as_str().unwrap().contains("did you mean \"Ship\"?"));
    assert_eq!(refused["status"]["latestVersion"]["number"], 1);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn a_definition_from_a_config_map_is_waited_for_and_follows_its_changes() {
    let (tenant, operator) = with_workflow("config-map", 0);
    let mut workflow = tenant.workflow("mapped", &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "definitions", "key": "asl.yaml"}});
    workflow["spec"]["substitutions"] = json!({"Comment": "a \"quoted\" value"});
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/mapped", "Ready", "False", "ConfigMapNotFound");
    let map = |text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "definitions"}, "data": {"asl.yaml": text}});
    tenant.apply(&map("StartAt: A\nStates: ["));
    tenant.wait_for(&operator, "sfn/mapped", "DefinitionValid", "False", "DefinitionInvalid");
    tenant.apply(&map("StartAt: A\nStates:\n  A: {Type: Pass, Comment: '${Comment}', End: true}\n"));
    let ready = tenant.wait_for(&operator, "sfn/mapped", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["latestVersion"]["number"], 1);
}
