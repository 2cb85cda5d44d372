//! Four eyes with an operator: nothing starts without a decision that counts, and what was approved starts once.

use crate::approvals::{decision, may_approve, patch_as};
use crate::attribution::{create_as, may_run, records, until_stamps_are_believed};
use crate::*;

fn careful(tenant: &Tenant, name: &str) -> Value {
    let mut workflow = tenant.workflow(name, &waiting(0));
    workflow["spec"]["approval"] = json!({"required": true, "timeout": "1h"});
    workflow
}

fn started(tenant: &Tenant, run: &Value) -> usize {
    let uid = run["metadata"]["uid"].as_str().unwrap();
    tenant.bed.front.calls_about(uid).into_iter().filter(|call| call.operation == "StartExecution").count()
}

fn asked(tenant: &Tenant, name: &str) -> (String, String) {
    let approval = tenant.get(&format!("approval/{name}")).unwrap();
    let text = |pointer: &str| approval.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/spec/request/digest"), text("/metadata/uid"))
}

fn approve(tenant: &Tenant, user: &str, name: &str) -> Result<String, String> {
    let (digest, _) = asked(tenant, name);
    patch_as(tenant, user, name, &decision(&digest, "Approved", user))
}

fn wait(tenant: &Tenant, operator: &Process, run: &str) -> Value {
    tenant.wait_for(operator, &format!("sfnrun/{run}"), "Ready", "False", "WaitingForApproval")
}

/// Waits until a run asks for another approval than the one that has this UID.
fn asked_anew(tenant: &Tenant, operator: &Process, run: &str, before: &str) -> Value {
    let resource = format!("sfnrun/{run}");
    tenant.wait_for_object(operator, &resource, "another Approval", Duration::from_secs(60), |run| {
        let uid = &run["status"]["approval"]["uid"];
        uid.is_string() && uid != before
    })
}

/// By somebody else, once, woken by the watch.
fn is_approved(tenant: &Tenant, operator: &Process) {
    let run = wait(tenant, operator, "order");
    assert_eq!(run["status"]["phase"], "Pending");
    let columns = tenant.kubectl(&["get", "approvals"]);
    println!("{columns}");
    assert!(columns.contains("REQUESTER") && columns.contains("DECISION") && columns.contains("alice"), "{columns}");
    let refused = approve(tenant, "alice", "order-1").unwrap_err();
    assert!(refused.contains("cannot decide it"), "{refused}");
    assert_eq!(started(tenant, &run), 0);
    approve(tenant, "bob", "order-1").unwrap();
    let run = tenant.wait_for(operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!((&run["status"]["approvedBy"], &run["status"]["requestedBy"]), (&json!("bob"), &json!("alice")));
    assert!(run["status"]["sessionName"].as_str().unwrap().starts_with("alice-"));
    let ours = records(operator);
    let start =
        ours.iter().find(|one| one["api"] == "states:StartExecution" && one["uid"] == run["metadata"]["uid"]).unwrap();
    assert_eq!((&start["requester"], &start["approver"]), (&json!("alice"), &json!("bob")));
    let events = tenant.kubectl(&[
        "get",
        "events.events.k8s.io",
        "-o",
        "jsonpath={range .items[*]}{.reason} {.note}{\"\\n\"}{end}",
    ]);
    assert!(events.contains("ApprovalGranted bob has approved what alice asked for"), "{events}");
}

/// Changed while it waits: what bob writes is asked for by bob, and another definition or a deletion voids it. Gives the UID of the last Approval.
fn is_changed(tenant: &Tenant, operator: &Process) -> String {
    let control_plane = &tenant.bed.control_plane;
    assert!(tenant.get("approval/order-1").is_some(), "what was approved stays as long as its run");
    create_as(tenant, "alice", &workflow_run("changed", "fulfil", &json!({"input": {"a": 1}}))).unwrap();
    let run = wait(tenant, operator, "changed");
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
    let forge = ["-n", "foureyes", "annotate", "--overwrite", "sfnrun/changed", "stepbound.dev/requested-by=mallory"];
    let refused = control_plane.kubectl_as("alice", &forge, None).unwrap_err();
    assert!(refused.contains("is written by the API server"), "{refused}");
    let removed = ["-n", "foureyes", "annotate", "sfnrun/changed", "stepbound.dev/requested-by-"];
    let refused = control_plane.kubectl_as("alice", &removed, None).unwrap_err();
    assert!(refused.contains("is written by the API server"), "{refused}");
    let input = ["-n", "foureyes", "patch", "sfnrun/changed", "--type=merge", "-p", r#"{"spec": {"input": {"a": 2}}}"#];
    let refused = control_plane.kubectl_as("bob", &input, None).unwrap_err();
    assert!(refused.contains("spec.input cannot be changed"), "{refused}");
    control_plane.kubectl(&[
        "delete",
        "validatingadmissionpolicybinding",
        &format!("{}-stepbound-inputs", tenant.system),
    ]);
    wait_until(Duration::from_secs(30), "an input can be changed", || {
        control_plane.kubectl_as("bob", &input, None).ok()
    });
    let run = asked_anew(tenant, operator, "changed", &before);
    assert_eq!(
        tenant.get("approval/changed-1").unwrap()["spec"]["request"]["requester"],
        "bob",
        "whoever wrote the input asks"
    );
    let refused = approve(tenant, "bob", "changed-1").unwrap_err();
    assert!(refused.contains("cannot decide it") && started(tenant, &run) == 0, "{refused}");

    // Another definition: the version that was approved is not what would start.
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
    let mut next = careful(tenant, "fulfil");
    next["spec"]["definition"]["Comment"] = json!("2");
    tenant.apply(&next);
    let run = asked_anew(tenant, operator, "changed", &before);
    assert!(run["status"]["approval"]["voidBefore"].as_str().unwrap().contains("would be started"), "{run:#}");
    // Deleted by hand.
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
    tenant.kubectl(&["delete", "approval", "changed-1"]);
    let run = asked_anew(tenant, operator, "changed", &before);
    assert_eq!(started(tenant, &run), 0);
    run["status"]["approval"]["uid"].as_str().unwrap().to_owned()
}

/// The policy is taken away: whoever may patch could decide their own. It does not count, then or later.
fn without_the_policy(tenant: &Tenant, operator: &Process, before: &str) {
    let control_plane = &tenant.bed.control_plane;
    let policy = format!("{}-stepbound-approvals", tenant.system);
    let binding: Value = serde_json::from_str(&control_plane.kubectl(&[
        "get",
        "validatingadmissionpolicybinding",
        &policy,
        "-o",
        "json",
    ]))
    .unwrap();
    control_plane.kubectl(&["delete", "validatingadmissionpolicybinding", &policy]);
    let (digest, _) = asked(tenant, "changed-1");
    // The schema refuses the requester still; in another's name it has nothing to say.
    let forged = decision(&digest, "Approved", "carol");
    wait_until(Duration::from_secs(30), "the policy is gone", || patch_as(tenant, "bob", "changed-1", &forged).ok());
    let run = tenant.wait_for(operator, "sfnrun/changed", "Ready", "False", "ApprovalNotEnforced");
    assert_eq!((run["status"]["phase"].as_str(), started(tenant, &run)), (Some("Pending"), 0));
    let clean = json!({"apiVersion": binding["apiVersion"], "kind": binding["kind"], "spec": binding["spec"],
        "metadata": {"name": policy, "labels": binding["metadata"]["labels"]}});
    control_plane.apply(&clean.to_string());
    let resource = "sfnrun/changed";
    let run = tenant.wait_for_object(operator, resource, "another Approval", Duration::from_secs(240), |run| {
        condition(run, "Ready").is_some_and(|ready| ready["reason"] == "WaitingForApproval")
            && run["status"]["approval"]["uid"] != before
    });
    assert_eq!(started(tenant, &run), 0, "what was decided while the policy was away counts for nothing");
    approve(tenant, "alice", "changed-1").unwrap();
    let run = tenant.wait_for(operator, "sfnrun/changed", "Complete", "True", "Succeeded");
    assert_eq!((&run["status"]["approvedBy"], started(tenant, &run)), (&json!("alice"), 1));
}

/// Denied, and cancelled.
fn is_denied_or_cancelled(tenant: &Tenant, operator: &Process) {
    create_as(tenant, "mallory", &workflow_run("denied", "fulfil", &json!({}))).unwrap();
    wait(tenant, operator, "denied");
    let (digest, _) = asked(tenant, "denied-1");
    patch_as(tenant, "bob", "denied-1", &decision(&digest, "Denied", "bob")).unwrap();
    let run = tenant.wait_for(operator, "sfnrun/denied", "Failed", "True", "ApprovalDenied");
    assert!(condition(&run, "Failed").unwrap()["message"].as_str().unwrap().contains("bob has denied"), "{run:#}");
    create_as(tenant, "mallory", &workflow_run("cancelled", "fulfil", &json!({}))).unwrap();
    wait(tenant, operator, "cancelled");
    tenant.kubectl(&["patch", "sfnrun/cancelled", "--type=merge", "-p", r#"{"spec": {"cancel": {}}}"#]);
    let cancelled = tenant.wait_for(operator, "sfnrun/cancelled", "Finished", "True", "Cancelled");
    assert!(tenant.get("approval/cancelled-1").is_none(), "nobody is to decide it any more");
    assert_eq!(started(tenant, &run) + started(tenant, &cancelled), 0);
}

/// Requirement 34 of docs/security.md: what needs somebody else's approval starts only as it was approved, once, by a person in their own name who could not be the requester.
#[test]
fn requirement_34_nothing_starts_before_somebody_else_approves_just_that() {
    let tenant = test_bed().tenant("foureyes");
    let operator = start(&tenant);
    for user in ["alice", "bob"] {
        let runs = json!({"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "verbs": ["get", "list", "create", "update", "patch"]});
        may_approve(&tenant, user, &[runs]);
    }
    may_run(&tenant, "mallory");
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&careful(&tenant, "fulfil"));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    until_stamps_are_believed(&tenant);
    create_as(&tenant, "alice", &workflow_run("order", "fulfil", &json!({"input": {"a": 1}}))).unwrap();
    if !tenant.bed.stamps() {
        println!("This API server stamps nobody: nothing that needs an approval can start.");
        let run = tenant.wait_for(&operator, "sfnrun/order", "Stalled", "True", "RequesterUnknown");
        assert_eq!((run["status"]["phase"].as_str(), started(&tenant, &run)), (Some("Pending"), 0));
        assert!(tenant.get("approval/order-1").is_none());
        return;
    }

    is_approved(&tenant, &operator);
    let before = is_changed(&tenant, &operator);
    without_the_policy(&tenant, &operator, &before);
    is_denied_or_cancelled(&tenant, &operator);
    tenant.delete_all(&operator);
    wait_until(Duration::from_secs(30), "Approvals go with their runs", || {
        tenant.kubectl(&["get", "approvals", "-o", "name"]).trim().is_empty().then_some(())
    });
}
