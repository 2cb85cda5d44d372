//! Guardrails: at admission what CEL can see, and in the operator all of it.

use crate::bad_input::refused;
use crate::*;

/// A Guardrail for one namespace.
pub(crate) fn guardrail(tenant: &Tenant, name: &str, spec: &Value) {
    let mut whole = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.name}}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let object =
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Guardrail", "metadata": {"name": name}, "spec": whole});
    tenant.bed.control_plane.apply(&object.to_string());
}

/// The server takes up to half a minute to know the kind of a parameter and a moment for a new one.
pub(crate) fn until_admission_says(tenant: &Tenant, object: &Value, words: &str) -> String {
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(tenant.name);
    let command = ["create", "--dry-run=server", "-f", "-"];
    wait_until(Duration::from_secs(60), words, || {
        let said = tenant.bed.control_plane.try_kubectl(&command, Some(&object.to_string())).err()?;
        said.contains(words).then_some(said)
    })
}

#[test]
fn a_guardrail_refuses_at_admission_what_it_can_see_and_names_itself() {
    let tenant = test_bed().tenant("railed");
    guardrail(
        &tenant,
        "railed",
        &json!({"allowedRegions": [support::REGION], "allowedRoleARNs": ["arn:aws:iam::*:role/railed-*"],
            "allowedExecutionRoleARNs": ["arn:aws:iam::*:role/railed-exec"], "requireAlias": true,
            "forbidDefinitionFrom": true}),
    );
    let mut binding = tenant.binding("orders");
    binding["spec"]["region"] = json!("us-east-1");
    let said = until_admission_says(&tenant, &binding, "Guardrail railed for namespace railed: region us-east-1");
    assert!(said.contains("ValidatingAdmissionPolicy"), "{said}");
    let mut binding = tenant.binding("orders");
    binding["spec"]["roleARN"] = json!(tenant.role_arn().replace("railed-binding", "other-binding"));
    until_admission_says(&tenant, &binding, "matches none of arn:aws:iam::*:role/railed-*");
    until_admission_says(&tenant, &tenant.workflow("fulfil", &waiting(0)), "a Workflow needs at least one alias");
    let mut mapped = tenant.workflow("fulfil", &Value::Null);
    mapped["spec"].as_object_mut().unwrap().remove("definition");
    mapped["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "m", "key": "k"}});
    mapped["spec"]["aliases"] = json!([{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]);
    until_admission_says(&tenant, &mapped, "must not come from a ConfigMap");
    let by_version = workflow_run("order", "fulfil", &json!({"workflowRef": {"name": "fulfil", "version": 3}}));
    until_admission_says(&tenant, &by_version, "a run goes by an alias, not by a version");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "railed"]);
}

#[test]
fn the_operator_refuses_what_admission_cannot_see_and_goes_on_when_the_guardrail_lets_it() {
    let (tenant, operator) = with_workflow("railed-deep", 0);
    let before = count(&tenant, "UpdateStateMachine");
    guardrail(&tenant, "railed-deep", &json!({"forbiddenIntegrations": ["lambda:invoke"]}));
    let task = json!({"StartAt": "Call", "States": {"Call": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::aws-sdk:lambda:invoke", "Parameters": {"FunctionName": "f"}}}});
    let hidden = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": task}}});
    tenant.apply(&tenant.workflow("fulfil", &hidden));
    let hint = "Guardrail \"railed-deep\" for namespace \"railed-deep\": integration aws-sdk:lambda:invoke at /States/Each/ItemProcessor/States/Call";
    refused(&tenant, &operator, "sfn/fulfil", "Stalled", "RefusedByGuardrail", hint);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    refused(&tenant, &operator, "sfnrun/order", "Ready", "RefusedByGuardrail", "Workflow \"fulfil\" is refused");
    assert_eq!(count(&tenant, "UpdateStateMachine"), before, "nothing was changed in AWS");
    assert_eq!(count(&tenant, "StartExecution"), 0);

    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    guardrail(&tenant, "railed-deep", &json!({"allowedRegions": ["us-east-1"]}));
    refused(
        &tenant,
        &operator,
        "tb/orders",
        "Stalled",
        "RefusedByGuardrail",
        "region eu-west-1 is not among us-east-1",
    );
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "RefusedByGuardrail");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "railed-deep"]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn a_namespace_starts_no_more_runs_in_a_second_than_its_guardrail_lets_it() {
    let (tenant, operator) = with_workflow("railed-pace", 0);
    guardrail(&tenant, "railed-pace", &json!({"maxStartsPerSecond": 2}));
    std::thread::sleep(Duration::from_secs(1));
    for index in 0..9 {
        tenant.apply(&workflow_run(&format!("order-{index}"), "fulfil", &json!({})));
    }
    for index in 0..9 {
        tenant.wait_for(&operator, &format!("sfnrun/order-{index}"), "Complete", "True", "Succeeded");
    }
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    let mut starts: Vec<_> =
        calls.iter().filter(|call| call.operation == "StartExecution").map(|call| call.at).collect();
    starts.sort();
    assert_eq!(starts.len(), 9, "each is started once");
    for window in starts.windows(4) {
        // Two a second: the fourth comes a second and a half after the first, give or take what a call takes.
        assert!(window[3] - window[0] > Duration::from_millis(1200), "{starts:?}");
    }
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "railed-pace"]);
}

#[test]
fn a_namespace_has_no_more_runs_under_way_than_its_guardrail_lets_it_and_they_go_in_order() {
    let (tenant, operator) = with_workflow("railed-places", 3);
    guardrail(&tenant, "railed-places", &json!({"maxConcurrentRuns": 2}));
    std::thread::sleep(Duration::from_secs(1));
    for index in 0..6 {
        tenant.apply(&workflow_run(&format!("order-{index}"), "fulfil", &json!({})));
    }
    let mut most = 0;
    wait_until(Duration::from_secs(60), "all runs are over", || {
        let states: Vec<Value> = executions(&tenant);
        let running = states.iter().filter(|execution| execution["status"] == "RUNNING").count();
        most = most.max(running);
        let over = states.iter().filter(|execution| execution["status"] == "SUCCEEDED").count();
        (over == 6).then_some(())
    });
    assert_eq!(most, 2, "two at a time, and not fewer");
    for index in 0..6 {
        tenant.wait_for(&operator, &format!("sfnrun/order-{index}"), "Complete", "True", "Succeeded");
    }
    assert_eq!(count(&tenant, "StartExecution"), 6, "each is started once");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "railed-places"]);
}
