//! Within AWS's quotas, without one tenant standing in another's way.

use crate::*;

#[test]
fn a_mass_of_workflows_converges_within_the_quota_and_lets_another_tenants_first_one_pass() {
    let workflows: usize = std::env::var("STEPBOUND_MASS").map_or(110, |mass| mass.parse().unwrap());
    let tenant = test_bed().tenant("quotas");
    tenant.bed.front.meter("quotas_");
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.binding("second"));
    let items: Vec<Value> = (0..workflows)
        .map(|index| {
            let mut workflow = tenant.workflow(&format!("mass-{index}"), &waiting(0));
            workflow["metadata"]["namespace"] = json!(tenant.name);
            workflow
        })
        .collect();
    tenant.bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    // All are there when it begins: what the bucket gains while they are applied is not what is looked at.
    let operator = tenant.operator(binary, &[("STEPBOUND_AWS_QUOTA_SHARE", "0.9")]);
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
    let warnings = tenant.kubectl(&["get", "events", "--field-selector=type=Warning", "-o", "name"]);
    assert_eq!(warnings.trim(), "");
    for (operation, most) in [("CreateStateMachine", 1), ("ListTagsForResource", 0)] {
        let count = calls.iter().filter(|call| call.operation == operation).count();
        assert!(count <= most * (workflows + 1), "{count} {operation}");
    }
    assert!(calls.len() <= 3 * (workflows + 1), "{} calls", calls.len());
}
