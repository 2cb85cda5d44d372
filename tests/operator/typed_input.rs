//! Inputs that have to fit a Workflow's schema, on a real API server.

use crate::bad_input::refused;
use crate::kubectl_verbs::sfn;
use crate::*;

fn typed(tenant: &Tenant, seconds: u32, schema: &Value) -> Value {
    let mut workflow = tenant.workflow("fulfil", &waiting(seconds));
    workflow["spec"]["inputSchema"] = schema.clone();
    workflow
}

fn needs(name: &str) -> Value {
    json!({"type": "object", "required": [name], "properties": {name: {"type": "integer"}},
        "x-kept": {"as": ["it", {"was": "written"}]}})
}

#[test]
fn an_input_has_to_fit_the_schema_of_the_version_that_runs_and_nothing_is_started_otherwise() {
    let tenant = test_bed().tenant("typed-input");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&typed(&tenant, 0, &json!({"type": "strin"})));
    refused(&tenant, &operator, "sfn/fulfil", "Stalled", "InputSchemaInvalid", "/type names no type: \"strin\"");
    assert!(
        tenant
            .bed
            .front
            .calls_about(&tenant.machine_arn("fulfil"))
            .iter()
            .all(|call| call.operation != "CreateStateMachine")
    );

    tenant.apply(&typed(&tenant, 0, &needs("orderID")));
    let made = tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(made["status"]["inputSchemas"][0]["schema"], needs("orderID"), "the API server keeps all of it");
    tenant.apply(&workflow_run("bad", "fulfil", &json!({"input": {"orderID": "secret"}})));
    let run = tenant.wait_for(&operator, "sfnrun/bad", "Failed", "True", "InputInvalid");
    let message = condition(&run, "Failed").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("/orderID must be of type integer (/properties/orderID/type)"), "{message}");
    assert!(!message.contains("secret") && run["status"].get("attempts").is_none(), "{run}");
    assert_eq!(count(&tenant, "StartExecution"), 0);
    tenant.apply(&workflow_run("good", "fulfil", &json!({"input": {"orderID": 1}})));
    tenant.wait_for(&operator, "sfnrun/good", "Complete", "True", "Succeeded");

    // The next version has another schema, and the first keeps its own.
    tenant.apply(&typed(&tenant, 1, &needs("cartID")));
    wait_until(Duration::from_secs(60), "a second version", || {
        let object: Value = serde_json::from_str(&tenant.kubectl(&["get", "sfn/fulfil", "-o", "json"])).unwrap();
        (object["status"]["inputSchemas"].as_array().is_some_and(|kept| kept.len() == 2)
            && object["status"]["latestVersion"]["number"] == 2)
            .then_some(())
    });
    let pinned = |input: Value| json!({"workflowRef": {"name": "fulfil", "version": 1}, "input": input});
    tenant.apply(&workflow_run("pinned", "fulfil", &pinned(json!({"orderID": 2}))));
    tenant.apply(&workflow_run("pinned-bad", "fulfil", &pinned(json!({"cartID": 2}))));
    tenant.wait_for(&operator, "sfnrun/pinned", "Complete", "True", "Succeeded");
    tenant.wait_for(&operator, "sfnrun/pinned-bad", "Failed", "True", "InputInvalid");
    assert_eq!(count(&tenant, "StartExecution"), 2);

    // Whoever may read the Workflow is told before there is a run.
    let rules = json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "verbs": ["create"]},
        {"apiGroups": ["stepbound.dev"], "resources": ["workflows"], "verbs": ["get"]}]);
    tenant.bed.control_plane.grant("typist", &tenant.name, &rules);
    let told = sfn(&tenant, "typist", &["run", "fulfil", "--name", "none", "--set", "cartID=x"]);
    assert!(told.code != 0 && told.said.contains("/cartID must be of type integer"), "{}", told.said);
    let created = sfn(&tenant, "typist", &["run", "fulfil", "--name", "some", "--set", "cartID=5"]);
    assert_eq!(created.code, 0, "{}", created.said);
    let runs = tenant.kubectl(&["get", "sfnrun", "-o", "name"]);
    assert!(runs.contains("/some") && !runs.contains("/none"), "{runs}");
    tenant.wait_for(&operator, "sfnrun/some", "Complete", "True", "Succeeded");
}
