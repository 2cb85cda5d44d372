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
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(count(&tenant, "UpdateStateMachine"), before, "nothing was changed in AWS, and what is there serves on");

    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
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

/// A definition whose one task calls a function that does not exist, so that its executions fail.
pub(crate) fn calling() -> Value {
    json!({"StartAt": "Call", "States": {"Call": {"Type": "Task", "End": true,
        "Resource": "arn:aws:lambda:eu-west-1:000000000000:function:absent"}}})
}

/// How often executions of a machine were asked for: started, or redriven.
pub(crate) fn starts_of(tenant: &Tenant, workflow: &str) -> usize {
    const STARTS: [&str; 3] = ["StartExecution", "StartSyncExecution", "RedriveExecution"];
    let calls = tenant.bed.front.calls_about(&format!("{}_{workflow}", tenant.name));
    calls.iter().filter(|call| STARTS.contains(&call.operation.as_str()) && call.status == 200).count()
}

/// Whether a run was refused, with the reason, or asked AWS for an execution all the same.
fn refused_or_started(tenant: &Tenant, run: &str, workflow: &str, before: usize) -> Result<String, String> {
    const REFUSALS: [&str; 4] =
        ["RefusedByGuardrail", "ExecutionRoleNotAllowed", "RedriveRefused", "ExecutionRoleForeign"];
    wait_until(Duration::from_secs(90), run, || {
        if starts_of(tenant, workflow) > before {
            return Some(Err(format!("{run} started")));
        }
        let object = tenant.get(&format!("sfnrun/{run}"))?;
        let selector = format!("--field-selector=regarding.name={run},reason=RedriveRefused");
        let refused = tenant.kubectl(&["get", "events.events.k8s.io", &selector, "-o", "name"]);
        let ready = condition(&object, "Ready").and_then(|ready| Some(ready["reason"].as_str()?.to_owned()));
        let said = if refused.is_empty() { ready? } else { "RedriveRefused".to_owned() };
        REFUSALS.contains(&said.as_str()).then_some(Ok(said))
    })
}

fn set(tenant: &Tenant, resource: &str, spec: &Value) {
    tenant.kubectl(&["patch", resource, "--type=merge", "-p", &json!({"spec": spec}).to_string()]);
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_no_door_leads_past_a_guardrail_or_a_role_list() {
    let tenant = test_bed().tenant("railed-doors");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let listed = json!({"allowedExecutionRoleARNs": [tenant.execution_role_arn()]});
    let mut binding = tenant.binding("listed");
    binding["spec"].as_object_mut().unwrap().extend(listed.as_object().unwrap().clone());
    tenant.apply(&binding);
    let made = |name: &str, more: Value| {
        let mut workflow = tenant.workflow(name, &calling());
        workflow["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tenant.apply(&workflow);
    };
    for name in ["suspended", "invalid", "versioned", "restarted", "redriven", "asked"] {
        made(name, json!({}));
    }
    made("aliased", json!({"aliases": [{"name": "old", "version": 1}]}));
    made("plain", json!({"versions": {"publish": "Never"}}));
    made("sync", json!({"type": "Express"}));
    made("listed", json!({"trustBindingRef": {"name": "listed"}, "definition": waiting(0)}));
    for name in
        ["suspended", "invalid", "versioned", "restarted", "redriven", "asked", "aliased", "plain", "sync", "listed"]
    {
        tenant.wait_for(&operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
    }
    made("versioned", json!({"definition": waiting(0)}));
    made("aliased", json!({"definition": waiting(0), "aliases": [{"name": "old", "version": 1}]}));
    for name in ["versioned", "aliased"] {
        let two = |object: &Value| object["status"]["latestVersion"]["number"] == 2;
        tenant.wait_for_object(&operator, &format!("sfn/{name}"), "version 2", Duration::from_secs(90), two);
    }
    let again = |strategy: &str| json!({"retry": {"strategy": strategy, "limit": 3, "backoff": {"interval": "15s", "factor": 1}}});
    tenant.apply(&workflow_run("restarted", "restarted", &again("Restart")));
    tenant.apply(&workflow_run("redriven", "redriven", &again("Redrive")));
    tenant.apply(&workflow_run("asked", "asked", &json!({})));
    for name in ["restarted", "redriven"] {
        let waits = |object: &Value| object["status"]["retryAt"].is_string();
        tenant.wait_for_object(&operator, &format!("sfnrun/{name}"), "wait", Duration::from_secs(90), waits);
    }
    tenant.wait_for(&operator, "sfnrun/asked", "Failed", "True", "ExecutionFailed");

    guardrail(&tenant, "railed-doors", &json!({"forbiddenIntegrations": ["lambda:invoke"]}));
    tenant.wait_for(&operator, "sfn/suspended", "Stalled", "True", "RefusedByGuardrail");
    set(&tenant, "sfn/suspended", &json!({"suspend": true}));
    set(&tenant, "sfn/invalid", &json!({"definition": {"StartAt": "Nowhere"}}));
    set(&tenant, "sfn/plain", &json!({"definition": waiting(0), "suspend": true}));
    set(&tenant, "tb/listed", &json!({"allowedExecutionRoleARNs": ["arn:aws:iam::000000000000:role/another"]}));
    tenant.wait_for(&operator, "sfn/invalid", "DefinitionValid", "False", "DefinitionInvalid");
    std::thread::sleep(Duration::from_secs(2));
    let runs = [
        ("suspended", json!({})),
        ("invalid", json!({})),
        ("versioned", json!({"workflowRef": {"name": "versioned", "version": 1}})),
        ("aliased", json!({"workflowRef": {"name": "aliased", "alias": "old"}})),
        ("plain", json!({})),
        ("sync", json!({"mode": "Sync"})),
        ("listed", json!({})),
    ];
    let before = ["restarted", "redriven", "asked"].map(|name| (name, starts_of(&tenant, name)));
    for (name, more) in &runs {
        tenant.apply(&workflow_run(name, name, more));
    }
    tenant.kubectl(&["annotate", "sfnrun/asked", "stepbound.dev/redrive=1"]);
    let all = runs.iter().map(|(name, _)| (*name, 0)).chain(before);
    let (mut refused, mut started) = (Vec::new(), Vec::new());
    for (name, before) in all {
        match refused_or_started(&tenant, name, name, before) {
            Ok(reason) => refused.push(format!("{name}: {reason}")),
            Err(what) => started.push(what),
        }
    }
    println!("refused: {refused:?}\nstarted all the same: {started:?}");
    assert!(started.is_empty(), "{started:?}");

    // What the Guardrail and the list do not forbid goes on: the new version, and all of it once they let it.
    tenant.apply(&workflow_run("new-version", "versioned", &json!({})));
    tenant.wait_for(&operator, "sfnrun/new-version", "Complete", "True", "Succeeded");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "railed-doors"]);
    tenant.wait_for(&operator, "sfnrun/suspended", "Started", "True", "ExecutionStarted");
    tenant.wait_for(&operator, "sfnrun/aliased", "Started", "True", "ExecutionStarted");
}
