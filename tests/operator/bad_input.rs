//! Every mistake gets a condition with a reason, a message that helps, one event, and changes nothing in AWS; the object
//! recovers by itself once the mistake is mended.

use crate::*;

/// Waits for the refusal of an object and checks what is said of it. `hint` is the part of the message that helps.
pub(crate) fn refused(
    tenant: &Tenant,
    operator: &Process,
    resource: &str,
    kind: &str,
    reason: &str,
    hint: &str,
) -> Value {
    let truth = if kind == "Stalled" || kind == "Failed" { "True" } else { "False" };
    let object = tenant.wait_for(operator, resource, kind, truth, reason);
    let message = condition(&object, kind).unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(hint), "{resource}: \"{hint}\" is not in: {message}");
    let name = resource.split('/').nth(1).unwrap();
    let selector = format!("--field-selector=regarding.name={name},reason={reason}");
    let count = || -> usize {
        let listed: Value =
            serde_json::from_str(&tenant.kubectl(&["get", "events.events.k8s.io", &selector, "-o", "json"])).unwrap();
        listed["items"].as_array().unwrap().len()
    };
    wait_until(Duration::from_secs(60), &format!("an event {reason} about {resource}"), || (count() > 0).then_some(()));
    assert_eq!(count(), 1, "events {reason} about {resource}");
    object
}

/// Calls that change something in AWS and mention the text.
fn changes(tenant: &Tenant, text: &str) -> Vec<String> {
    const CHANGING: [&str; 6] = [
        "CreateStateMachine",
        "UpdateStateMachine",
        "TagResource",
        "StartExecution",
        "StartSyncExecution",
        "StopExecution",
    ];
    let calls = tenant.bed.front.calls_about(text).into_iter();
    calls
        .filter(|call| call.status == 200 && CHANGING.contains(&call.operation.as_str()))
        .map(|call| call.operation)
        .collect()
}

fn patch(tenant: &Tenant, resource: &str, patch: &Value) {
    tenant.kubectl(&["patch", resource, "--type=merge", "-p", &patch.to_string()]);
}

fn config_map(tenant: &Tenant, name: &str, key: &str, text: &str) {
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}}));
}

/// A workflow whose definition stands in a ConfigMap.
fn mapped(tenant: &Tenant, name: &str, map: &str) -> Value {
    let mut workflow = tenant.workflow(name, &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": map, "key": "asl.yaml"}});
    workflow
}

#[test]
fn a_missing_binding_or_account_is_waited_for() {
    let tenant = test_bed().tenant("missing");
    let operator = start(&tenant);
    tenant.kubectl(&["delete", "sa", "orders"]);
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    refused(&tenant, &operator, "sfn/fulfil", "Ready", "BindingNotFound", "Create it");
    tenant.apply(&tenant.binding("orders"));
    refused(
        &tenant,
        &operator,
        "tb/orders",
        "Authorized",
        "ServiceAccountMissing",
        "kubectl create serviceaccount orders",
    );
    refused(&tenant, &operator, "sfn/fulfil", "Ready", "ServiceAccountMissing", "kubectl create serviceaccount orders");
    tenant.kubectl(&["create", "sa", "orders"]);
    refused(&tenant, &operator, "tb/orders", "Authorized", "ConsentMissing", "kubectl annotate serviceaccount orders");
    assert_eq!(tenant.bed.front.calls_about("missing").len(), 0, "AWS was not asked, STS neither");
    tenant.kubectl(&["annotate", "sa", "orders", &format!("eks.amazonaws.com/role-arn={}", tenant.role_arn())]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn an_audience_that_nobody_allowed_or_aws_does_not_know_is_told() {
    let audiences = json!({"allowedAudiences": ["sts.amazonaws.com", "other"]});
    let tenant = test_bed().tenant_with("audience", &audiences);
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    let operator = tenant.operator(binary, &[("STEPBOUND_ALLOWED_AUDIENCE", "sts.amazonaws.com,other")]);
    for (name, audience) in [("unlisted", "forbidden"), ("unknown", "other")] {
        let mut binding = tenant.binding(name);
        binding["spec"]["audience"] = json!(audience);
        tenant.apply(&binding);
    }
    refused(&tenant, &operator, "tb/unlisted", "Stalled", "AudienceNotAllowed", "--allowed-audience");
    let unknown =
        refused(&tenant, &operator, "tb/unknown", "RoleAssumed", "InvalidIdentityToken", "Incorrect token audience");
    assert_eq!(condition(&unknown, "TokenMinted").unwrap()["status"], "True");
    patch(&tenant, "tb/unknown", &json!({"spec": {"audience": "sts.amazonaws.com"}}));
    tenant.wait_for(&operator, "tb/unknown", "Ready", "True", "RoleAssumed");
}

#[test]
fn a_token_that_sts_finds_forged_or_expired_is_told_by_its_own_reason() {
    let tenant = test_bed().tenant("bad-token");
    let operator = start(&tenant);
    let role = "bad-token-binding";
    tenant.bed.front.inject_for("AssumeRoleWithWebIdentity", role, Fault::OtherKey, 1);
    tenant.apply(&tenant.binding("forged"));
    refused(&tenant, &operator, "tb/forged", "RoleAssumed", "InvalidIdentityToken", "does not verify");
    tenant.wait_for(&operator, "tb/forged", "Ready", "True", "RoleAssumed");
    // An expired token is minted again once before anybody is told.
    tenant.bed.front.inject_for("AssumeRoleWithWebIdentity", role, Fault::ClockAhead, 2);
    tenant.apply(&tenant.binding("expired"));
    refused(&tenant, &operator, "tb/expired", "RoleAssumed", "ExpiredToken", "Token expired");
    tenant.wait_for(&operator, "tb/expired", "Ready", "True", "RoleAssumed");
    tenant.bed.front.inject_for("AssumeRoleWithWebIdentity", role, Fault::ClockAhead, 1);
    tenant.apply(&tenant.binding("late"));
    tenant.wait_for(&operator, "tb/late", "Ready", "True", "RoleAssumed");
}

#[test]
fn a_role_of_another_account_is_refused_for_the_binding_and_for_executions() {
    let tenant = test_bed().tenant("other-accounts");
    let operator = start(&tenant);
    let theirs = "arn:aws:iam::999999999999:role/theirs";
    let both = format!("stepbound.dev/allowed-role-arns={theirs}");
    tenant.kubectl(&["annotate", "sa", "orders", &both]);
    let mut binding = tenant.binding("theirs");
    binding["spec"]["roleARN"] = json!(theirs);
    tenant.apply(&binding);
    refused(&tenant, &operator, "tb/theirs", "RoleAssumed", "AccessDenied", "The token says");
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["executionRoleARN"] = json!(theirs);
    tenant.apply(&workflow);
    refused(
        &tenant,
        &operator,
        "sfn/fulfil",
        "Stalled",
        "ExecutionRoleForeign",
        "Name a role of the binding's account",
    );
    assert_eq!(changes(&tenant, "other-accounts_fulfil"), Vec::<String>::new());
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn an_execution_role_that_may_not_be_passed_or_trusts_nobody_is_told_and_mends_by_itself() {
    let tenant = test_bed().tenant("pass-role");
    let operator = start(&tenant);
    let aws = &tenant.bed.aws;
    let trust = |service: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]})
    };
    aws.create_role("pass-role-second", &trust("states.amazonaws.com"), None);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["executionRoleARN"] = json!("arn:aws:iam::000000000000:role/pass-role-second");
    tenant.apply(&workflow);
    refused(&tenant, &operator, "sfn/fulfil", "Ready", "AccessDenied", "iam:PassRole");
    let pass = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:PassRole",
        "Resource": "arn:aws:iam::000000000000:role/pass-role-second"}]});
    let document = pass.to_string();
    let parameters = [("RoleName", "pass-role-binding"), ("PolicyName", "more"), ("PolicyDocument", document.as_str())];
    aws.iam("PutRolePolicy", &parameters);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");

    let mistrusting = trust("lambda.amazonaws.com").to_string();
    aws.iam("UpdateAssumeRolePolicy", &[("RoleName", "pass-role-second"), ("PolicyDocument", &mistrusting)]);
    // The front remembers a role for a moment.
    std::thread::sleep(Duration::from_millis(400));
    tenant.apply(&json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "second"}, "spec": workflow["spec"]}));
    refused(&tenant, &operator, "sfn/second", "Ready", "WaitingForIAM", "states.amazonaws.com");
}

#[test]
fn a_definition_that_cannot_be_used_is_refused_with_its_place_and_mends_by_itself() {
    let (tenant, operator) = with_workflow("definitions", 0);
    let cases = [
        ("unparsable", "StartAt: A\nStates:\n  A: {Type: [Pass\n", "line 4"),
        ("no-start", "States:\n  A: {Type: Succeed}\n", "StartAt is missing"),
        ("dangling", "StartAt: A\nStates:\n  A: {Type: Pass, Next: B}\n", "which does not exist"),
        ("unresolved", "StartAt: A\nStates:\n  A: {Type: Task, Resource: '${Function}', End: true}\n", "${Function}"),
    ];
    for (name, text, hint) in cases {
        config_map(&tenant, name, "asl.yaml", text);
        tenant.apply(&mapped(&tenant, name, name));
        refused(&tenant, &operator, &format!("sfn/{name}"), "Stalled", "DefinitionInvalid", hint);
        assert_eq!(changes(&tenant, &format!("definitions_{name}")), Vec::<String>::new());
    }
    tenant.apply(&mapped(&tenant, "no-key", "unparsable-not"));
    refused(&tenant, &operator, "sfn/no-key", "Ready", "ConfigMapNotFound", "Create it");
    config_map(&tenant, "unparsable-not", "other.yaml", "");
    refused(&tenant, &operator, "sfn/no-key", "Ready", "ConfigMapKeyNotFound", "has no key \"asl.yaml\"");
    for name in ["unparsable", "no-start", "dangling", "unresolved", "unparsable-not"] {
        config_map(&tenant, name, "asl.yaml", "StartAt: A\nStates:\n  A: {Type: Succeed}\n");
    }
    for name in ["unparsable", "no-start", "dangling", "unresolved", "no-key"] {
        tenant.wait_for(&operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
    }
}

#[test]
fn a_definition_that_aws_refuses_is_told_with_all_that_is_wrong_and_the_old_one_serves() {
    let (tenant, operator) = with_workflow("aws-refuses", 0);
    let nonsense = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::nonsense:run", "End": true}}});
    tenant.apply(&tenant.workflow("fulfil", &nonsense));
    let object = refused(&tenant, &operator, "sfn/fulfil", "Stalled", "DefinitionRejected", "SCHEMA_VALIDATION_FAILED");
    assert_eq!(condition(&object, "Synced").unwrap()["status"], "False");
    assert_eq!(object["status"]["diagnostics"][0]["path"], "/States/A/Resource");
    assert_eq!(object["status"]["latestVersion"]["number"], 1);
    tenant.apply(&tenant.workflow("fulfil", &waiting(2)));
    let mended = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert!(mended["status"].get("diagnostics").is_none());
}

#[test]
fn a_run_with_an_input_that_cannot_be_used_starts_once_it_is_mended() {
    let (tenant, operator) = with_workflow("inputs", 0);
    let from = json!({"inputFrom": {"configMapKeyRef": {"name": "input", "key": "order"}}});
    tenant.apply(&workflow_run("order", "fulfil", &from));
    refused(&tenant, &operator, "sfnrun/order", "Ready", "ConfigMapNotFound", "Create it");
    config_map(&tenant, "input", "order", "{\n  oops\n}");
    refused(&tenant, &operator, "sfnrun/order", "Stalled", "InputInvalid", "line 2 column 3");
    config_map(&tenant, "input", "order", &format!("\"{}\"", "x".repeat(262_143)));
    refused(&tenant, &operator, "sfnrun/order", "Stalled", "InputTooLarge", "at most 262144");
    assert_eq!(executions(&tenant).len(), 0);
    config_map(&tenant, "input", "order", "{\"orderId\": 4711}");
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"orderId": 4711}));
}

#[test]
fn a_run_waits_for_its_workflow_and_starts_by_itself() {
    let tenant = test_bed().tenant("not-ready");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    refused(&tenant, &operator, "sfnrun/order", "Ready", "WorkflowNotFound", "Create it");
    tenant.apply(&tenant.workflow("fulfil", &json!({"StartAt": "A", "States": {"B": {"Type": "Succeed"}}})));
    refused(&tenant, &operator, "sfnrun/order", "Ready", "WorkflowNotReady", "kubectl get sfn fulfil");
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
}

#[test]
fn an_input_changed_after_the_start_is_ignored_and_told() {
    let (tenant, operator) = with_workflow("changed", 6);
    // Admission refuses such a change. Where it is not installed the operator has to bear it.
    let policy = format!("{}-stepbound-inputs", tenant.system);
    tenant.bed.control_plane.kubectl(&["delete", "validatingadmissionpolicybinding", &policy]);
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"a": 1}})));
    tenant.wait_for(&operator, "sfnrun/order", "Started", "True", "ExecutionStarted");
    let change = json!({"spec": {"input": {"a": 2}}}).to_string();
    let command = ["-n", &tenant.name, "patch", "sfnrun/order", "--type=merge", "-p", &change];
    wait_until(Duration::from_secs(60), "the policy is gone", || {
        tenant.bed.control_plane.try_kubectl(&command, None).ok()
    });
    let told = tenant.wait_for(&operator, "sfnrun/order", "InputChanged", "True", "IgnoredAfterStart");
    assert_eq!(told["status"]["phase"], "Running");
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"a": 1}));
    assert_eq!(executions(&tenant).len(), 1);
}

#[test]
fn an_execution_that_runs_out_of_the_machines_own_time_ends_timed_out() {
    let (tenant, operator) = with_workflow("own-time", 0);
    let mut definition = waiting(60);
    definition["TimeoutSeconds"] = json!(1);
    tenant.apply(&tenant.workflow("slow", &definition));
    tenant.apply(&workflow_run("order", "slow", &json!({})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Failed", "True", "TimedOut");
    assert_eq!(run["status"]["phase"], "TimedOut");
}
