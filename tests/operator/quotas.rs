//! Within AWS's quotas, without one tenant standing in another's way.

use crate::*;

#[test]
fn a_mass_of_workflows_converges_within_the_quota_and_lets_another_tenants_first_one_pass() {
    // A fifth of the quota: 18 creations at once, then one in five seconds, which the slowest machine does not fall behind.
    const WORKFLOWS: usize = 26;
    let tenant = test_bed().tenant("quotas");
    tenant.bed.front.meter("quotas_");
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    let operator = tenant.operator(binary, &[("STEPBOUND_AWS_QUOTA_SHARE", "0.2")]);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.binding("second"));
    tenant.wait_for(&operator, "tb/second", "Ready", "True", "RoleAssumed");
    let items: Vec<Value> = (0..WORKFLOWS)
        .map(|index| {
            let mut workflow = tenant.workflow(&format!("mass-{index}"), &waiting(0));
            workflow["metadata"]["namespace"] = json!(tenant.name);
            workflow
        })
        .collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    let waits = || {
        let listed: Value = serde_json::from_str(&tenant.kubectl(&["get", "sfn", "-o", "json"])).unwrap();
        let waits =
            |object: &&Value| condition(object, "Ready").is_some_and(|ready| ready["reason"] == "WaitingForQuota");
        listed["items"].as_array().unwrap().iter().find(waits).cloned()
    };
    let queued = wait_until(Duration::from_secs(60), "a workflow that waits for the quota", waits);
    assert!(condition(&queued, "Stalled").is_none(), "{queued}");
    let mut first = tenant.workflow("first", &waiting(0));
    first["spec"]["trustBindingRef"]["name"] = json!("second");
    tenant.apply(&first);
    tenant.wait_for(&operator, "sfn/first", "Ready", "True", "Synced");
    assert!(waits().is_some(), "the first of another binding did not wait for all of the mass");
    tenant.kubectl(&["wait", "--for=condition=Ready", "sfn", "--all", "--timeout=2400s"]);
    let calls = tenant.bed.front.calls_about("quotas_");
    assert!(
        calls.iter().all(|call| call.status == 200 || call.operation == "DescribeStateMachine"),
        "none was throttled"
    );
    let warnings = tenant.kubectl(&["get", "events", "--field-selector=type=Warning", "-o", "yaml"]);
    assert!(warnings.contains("items: []"), "{warnings}");
    for (operation, most) in [("CreateStateMachine", 1), ("ListTagsForResource", 0)] {
        let made: Vec<_> = calls.iter().filter(|call| call.operation == operation).collect();
        assert!(made.len() <= most * (WORKFLOWS + 1), "{} {operation}: {made:?}\n{}", made.len(), operator.log_text());
    }
    assert!(calls.len() <= 3 * (WORKFLOWS + 1), "{} calls", calls.len());
}
