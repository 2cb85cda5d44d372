//! `kubectl sfn approve|deny` against the real API server, its policies and the operator: what people ask for, others decide.

use crate::attribution::{create_as, may_run, until_stamps_are_believed};
use crate::kubectl_verbs::{Ended, sfn};
use crate::*;

/// The chart's role that approves, and rights beside it.
fn may_approve(tenant: &Tenant, user: &str, more: &[Value]) {
    let (name, role) = (format!("{user}-approve"), format!("--clusterrole={}-stepbound-approve", tenant.system));
    if tenant.get(&format!("rolebinding/{name}")).is_none() {
        tenant.kubectl(&["create", "rolebinding", &name, &role, &format!("--user={user}")]);
    }
    if !more.is_empty() {
        tenant.bed.control_plane.grant(user, &tenant.name, &json!(more));
    }
}

/// A tenant whose Workflow wants approvals, with alice, who runs, and a minute-old policy.
fn four_eyes(name: &str) -> Option<(Tenant, Process)> {
    let tenant = test_bed().tenant(name);
    if !tenant.bed.stamps() {
        println!("passed over: this API server has no MutatingAdmissionPolicy, so nobody is known to have asked");
        return None;
    }
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["approval"] = json!({"required": true, "timeout": "4h"});
    workflow["spec"]["versions"] = json!({"publish": "OnChange"});
    workflow["spec"]["aliases"] = json!([{"name": "live", "default": true, "rollout": {"strategy": "AllAtOnce"}}]);
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    may_run(&tenant, "alice");
    until_stamps_are_believed(&tenant);
    Some((tenant, operator))
}

/// A run that alice asks for and that waits.
fn asked(tenant: &Tenant, operator: &Process, name: &str) -> Value {
    create_as(
        tenant,
        "alice",
        &workflow_run(name, "fulfil", &json!({"input": {"orderId": 4711, "note": "a\u{1b}[2Jb"}})),
    )
    .unwrap();
    tenant.wait_for(operator, &format!("sfnrun/{name}"), "Ready", "False", "WaitingForApproval")
}

/// A right holds a moment after it was given.
fn until(what: &str, ask: impl Fn() -> Ended, words: &str) -> Ended {
    wait_until(Duration::from_secs(60), what, || {
        Some(ask()).filter(|ended| (ended.out.clone() + &ended.said).contains(words))
    })
}

fn decision(tenant: &Tenant, run: &Value) -> Value {
    let name = run["status"]["approval"]["name"].as_str().unwrap();
    tenant.get(&format!("approval/{name}")).unwrap()["spec"]["decision"].clone()
}

#[test]
fn what_somebody_asks_for_another_approves_or_denies_from_the_command_line() {
    let Some((tenant, operator)) = four_eyes("four-eyes-cli") else { return };
    let run = asked(&tenant, &operator, "order");
    let waits = sfn(&tenant, "alice", &["wait", "order", "--timeout", "1s"]);
    assert!(
        waits.code == 6 && waits.said.contains("kubectl sfn approve order -n four-eyes-cli, or deny"),
        "{}",
        waits.said
    );

    // Without the right it is said who has it; with it nobody approves their own.
    let refused = sfn(&tenant, "bob", &["approve", "order", "--yes"]);
    assert!(
        refused.code == 3 && refused.said.contains("kubectl auth can-i get approvals.stepbound.dev"),
        "{}",
        refused.said
    );
    may_approve(&tenant, "alice", &[]);
    let own = until(
        "alice's role holds",
        || sfn(&tenant, "alice", &["approve", "order", "--yes"]),
        "alice asked for the run",
    );
    assert_eq!(own.code, 3, "{}", own.said);

    // Bob sees Approvals alone, and that is enough.
    may_approve(&tenant, "bob", &[]);
    let dry = until(
        "bob's role holds",
        || sfn(&tenant, "bob", &["approve", "order", "--dry-run=server"]),
        "(server dry run)",
    );
    assert_eq!(dry.code, 0, "{}", dry.said);
    assert_eq!(decision(&tenant, &run), Value::Null, "a dry run decides nothing");
    for shown in
        ["Asked by:      alice\n", "\"orderId\": 4711", "\"note\": \"a\\u001b[2Jb\"", &tenant.execution_role_arn()]
    {
        assert!(dry.out.contains(shown), "{shown}: {}", dry.out);
    }
    let version = format!("Runs:          {}:1\n", tenant.machine_arn("fulfil"));
    assert!(dry.out.contains(&version), "{}", dry.out);
    let approved = sfn(&tenant, "bob", &["approve", "run/order", "--yes"]);
    assert!(approved.code == 0 && approved.out.ends_with(" approved\n"), "{}{}", approved.out, approved.said);
    println!("{}{}{}", waits.said, approved.out, approved.said);
    assert_eq!(decision(&tenant, &run)["by"], "bob");
    assert_eq!(sfn(&tenant, "alice", &["wait", "order", "--timeout", "60s"]).code, 0);
    let shown = sfn(&tenant, "alice", &["get", "order"]);
    assert!(
        shown.out.contains("Requested by:  alice\n") && shown.out.contains("Approved by:   bob\n"),
        "{}",
        shown.out
    );
    let again = sfn(&tenant, "bob", &["approve", "order", "--yes"]);
    assert!(again.code == 0 && again.out.contains("approved already, by bob; nothing is changed"), "{}", again.said);

    let run = asked(&tenant, &operator, "refused");
    let denied = sfn(&tenant, "bob", &["deny", "refused", "--yes", "-o", "name"]);
    assert!(
        denied.code == 0 && denied.out.starts_with("approval.stepbound.dev/refused"),
        "{}{}",
        denied.out,
        denied.said
    );
    assert_eq!(decision(&tenant, &run)["verdict"], "Denied");
    let ended = sfn(&tenant, "alice", &["wait", "refused", "--timeout", "60s"]);
    assert!(ended.code == 1 && ended.said.contains("ApprovalDenied: bob has denied"), "{}", ended.said);
    let late = sfn(&tenant, "bob", &["approve", "refused", "--yes"]);
    assert!(late.code == 3 && late.said.contains("bob has denied it already"), "{}", late.said);

    asked(&tenant, &operator, "cancelled");
    assert_eq!(sfn(&tenant, "alice", &["cancel", "cancelled", "--reason", "no"]).code, 0);
    let gone = sfn(&tenant, "bob", &["approve", "cancelled", "--yes"]);
    tenant.wait_for(&operator, "sfnrun/cancelled", "Failed", "True", "Cancelled");
    // Who may not see the run may decide just before it is taken back, and nothing follows from it.
    assert!(gone.code == 3 || gone.out.ends_with(" approved\n"), "{}{}", gone.out, gone.said);
    let run = tenant.get("sfnrun/cancelled").unwrap();
    assert!(run["status"]["executionARN"].is_null(), "{run}");
    tenant.delete_all(&operator);
}

#[test]
fn a_run_of_a_service_account_is_approved_by_nobody_who_could_be_it() {
    let Some((tenant, operator)) = four_eyes("four-eyes-robot") else { return };
    tenant.kubectl(&["create", "serviceaccount", "robot"]);
    let account = format!("system:serviceaccount:{}:robot", tenant.name);
    let rules = json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "verbs": ["get", "create"]}]);
    tenant.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "robot"}, "rules": rules}));
    let to = format!("--serviceaccount={}:robot", tenant.name);
    tenant.kubectl(&["create", "rolebinding", "robot", "--role=robot", &to]);
    until("the role holds", || sfn(&tenant, &account, &["run", "fulfil", "--name", "order"]), "order created");
    tenant.wait_for(&operator, "sfnrun/order", "Ready", "False", "WaitingForApproval");
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]});
    may_approve(&tenant, "carol", &[pods]);
    let could = until("carol's role holds", || sfn(&tenant, "carol", &["approve", "order", "--yes"]), "may act as");
    assert_eq!(could.code, 3, "{}", could.said);
    assert!(could.said.contains("create pods in namespace four-eyes-robot"), "{}", could.said);
    assert!(
        could.said.contains("Let somebody decide who may not") && !could.said.contains("ValidatingAdmissionPolicy"),
        "{}",
        could.said
    );
    may_approve(&tenant, "bob", &[]);
    until("bob's role holds", || sfn(&tenant, "bob", &["approve", "order", "--yes"]), "approved\n");
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.delete_all(&operator);
}
