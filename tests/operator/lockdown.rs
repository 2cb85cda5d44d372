//! The one switch of a shared cluster: as the API server asks it, and as the operator does of what was there before.

use crate::*;

/// A tenant whose release is installed with `lockdown: true`.
fn locked(name: &str) -> Tenant {
    let tenant = test_bed().tenant_without_operator(name);
    tenant.bed.install_definitions();
    let mut values = tenant.values();
    values["lockdown"] = json!(true);
    let install = ["install", "stepbound", support::CHART, "-n", &tenant.system, "-f", "-"];
    tenant.bed.helm(&install, Some(&values.to_string())).unwrap();
    tenant.bed.wait_for_admission(&tenant.name);
    tenant
}

/// A binding that leaves nothing open.
fn bounded(tenant: &Tenant) -> Value {
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedExecutionRoleARNs"] = json!([tenant.execution_role_arn()]);
    binding
}

#[test]
fn lockdown_refuses_what_leaves_something_open() {
    let tenant = locked("locked");
    for (field, value, words) in [
        (
            "allowedStateMachineNames",
            json!(["locked_*", "victim_*"]),
            "allowedStateMachineNames of a TrustBinding begins with locked_",
        ),
        ("allowedExecutionRoleARNs", json!([]), "spec.allowedExecutionRoleARNs"),
        ("sessionPolicy", json!("None"), "spec.sessionPolicy of a TrustBinding is Derived"),
    ] {
        let mut open = bounded(&tenant);
        open["spec"][field] = value;
        let refused = tenant.try_apply(&open).unwrap_err();
        assert!(refused.contains("ValidatingAdmissionPolicy 'locked-system-stepbound-lockdown'"), "{refused}");
        assert!(refused.contains(words), "{refused}");
    }
    tenant.try_apply(&bounded(&tenant)).unwrap();
    let mut adopting = tenant.workflow("fulfil", &waiting(0));
    adopting["spec"]["adoption"] = json!("IfUnowned");
    assert!(tenant.try_apply(&adopting).unwrap_err().contains("set spec.adoption to Never"));
    let mut taking = tenant.workflow("fulfil", &waiting(0));
    taking["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": "elsewhere/shop/fulfil"});
    assert!(tenant.try_apply(&taking).unwrap_err().contains("remove the annotation stepbound.dev/take-over-from"));
    tenant.try_apply(&tenant.workflow("fulfil", &waiting(0))).unwrap();

    // Kubernetes' own editors write Workflows, and use a binding only where somebody gave them that one.
    tenant.kubectl(&["create", "rolebinding", "alice", "--clusterrole=locked-system-stepbound-edit", "--user=alice"]);
    let can = |what: &str| {
        let question = ["auth", "can-i", "-n", "locked", what, "trustbindings/orders"];
        tenant.bed.control_plane.kubectl_as("alice", &question, None).is_ok()
    };
    assert!(!can("use"));
    let labels = ["get", "clusterrole", "locked-system-stepbound-use", "-o", "jsonpath={.metadata.labels}"];
    assert!(!tenant.bed.control_plane.kubectl(&labels).contains("aggregate-to"));
    assert!(
        tenant
            .bed
            .control_plane
            .kubectl(&["-n", &tenant.system, "get", "networkpolicy", "-o", "name"])
            .contains("stepbound")
    );
}

/// Objects from before the switch, or from a time without admission, are judged by the operator.
#[test]
fn lockdown_holds_for_what_was_there_before() {
    let tenant = test_bed().tenant("locked-later");
    let operator = tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[("STEPBOUND_LOCKDOWN", "true")]);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    for resource in ["tb/orders", "sfn/fulfil"] {
        let refused = tenant.wait_for(&operator, resource, "Stalled", "True", "RefusedByLockdown");
        assert!(refused.to_string().contains("is empty"), "{refused:#}");
    }
    let mut wide = bounded(&tenant);
    wide["metadata"]["name"] = json!("wide");
    wide["spec"]["allowedStateMachineNames"] = json!(["victim_*"]);
    tenant.apply(&wide);
    let refused = tenant.wait_for(&operator, "tb/wide", "Stalled", "True", "RefusedByLockdown");
    assert!(refused.to_string().contains("does not begin with locked-later_"), "{refused:#}");
    assert_eq!(tenant.bed.front.calls_about("locked-later").len(), 0, "AWS was not asked, STS neither");

    // What pods act as is no consent.
    tenant.apply(&bounded(&tenant));
    let refused = tenant.wait_for(&operator, "tb/orders", "Authorized", "False", "ConsentMissing");
    assert!(refused.to_string().contains("stepbound.dev/allowed-role-arns="), "{refused:#}");
    let consent = format!("stepbound.dev/allowed-role-arns={}", tenant.role_arn());
    tenant.kubectl(&["annotate", "sa", "orders", &consent]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");

    // A machine of nobody, and a Workflow that would have it.
    let made = json!({"name": "locked-later_found", "definition": waiting(0).to_string(), "roleArn": tenant.execution_role_arn()});
    tenant.bed.aws.states("CreateStateMachine", &made).unwrap();
    let mut adopting = tenant.workflow("found", &waiting(1));
    adopting["spec"]["adoption"] = json!("IfUnowned");
    tenant.apply(&adopting);
    let refused = tenant.wait_for(&operator, "sfn/found", "Stalled", "True", "RefusedByLockdown");
    assert!(refused.to_string().contains("it was not touched"), "{refused:#}");
    let written: Vec<_> =
        tenant.bed.front.calls_about("locked-later_found").into_iter().map(|call| call.operation).collect();
    assert!(
        written.iter().all(|operation| operation.starts_with("Describe") || operation.starts_with("List")),
        "{written:?}"
    );
    tenant.kubectl(&["delete", "sfn", "found", "--timeout=30s"]);
    assert!(
        tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn("found")})).is_ok()
    );
}
