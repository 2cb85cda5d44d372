//! Four eyes on a real API server: who may decide, what a decision may look like, and that nothing starts without one that counts.

use crate::attribution::{create_as, may_run, records, until_stamps_are_believed};
use crate::held::as_operator;
use crate::*;

const DAY: &str = "2099-01-01T00:00:00Z";

fn may_approve(tenant: &Tenant, user: &str, more: &[Value]) {
    let approve =
        json!({"apiGroups": ["stepbound.dev"], "resources": ["approvals"], "verbs": ["get", "list", "watch", "patch"]});
    let rules: Vec<Value> = [approve].into_iter().chain(more.iter().cloned()).collect();
    tenant.bed.control_plane.grant(user, &tenant.name, &json!(rules));
}

/// The role of the chart that approves.
fn bind_role(tenant: &Tenant, user: &str, role: &str) {
    let (name, role) = (format!("{user}-{role}"), format!("--clusterrole={}-stepbound-{role}", tenant.system));
    tenant.kubectl(&["create", "rolebinding", &name, &role, &format!("--user={user}")]);
}

fn patch_as(tenant: &Tenant, user: &str, name: &str, patch: &Value) -> Result<String, String> {
    let text = patch.to_string();
    let resource = format!("approval/{name}");
    let command = ["-n", &tenant.name, "patch", &resource, "--type=merge", "-p", &text];
    tenant.bed.control_plane.kubectl_as(user, &command, None)
}

fn decision(digest: &str, verdict: &str, by: &str) -> Value {
    json!({"spec": {"decision": {"verdict": verdict, "digest": digest, "by": by}}})
}

/// An Approval as the operator creates it, of a run that is there.
fn approval_of(tenant: &Tenant, run: &str, requester: &str) -> Value {
    let uid = tenant.get(&format!("sfnrun/{run}")).unwrap()["metadata"]["uid"].clone();
    let hash = "0".repeat(64);
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval", "metadata": {"name": format!("{run}-1"),
        "ownerReferences": [{"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "name": run, "uid": uid, "controller": true}]},
        "spec": {"request": {"runName": run, "runUID": uid, "attempt": 1, "requester": requester, "input": "{}", "inputDigest": hash,
            "targetARN": format!("{}:1", tenant.machine_arn("fulfil")), "definitionHash": hash,
            "executionRoleARN": tenant.execution_role_arn(), "stepRoleARNs": [tenant.role_arn()], "bindingUID": "b", "policyRevision": "p",
            "expiresAt": DAY, "digest": hash}}})
}

struct Attempts<'a> {
    tenant: &'a Tenant,
    rows: Vec<String>,
}

impl Attempts<'_> {
    fn refused(&mut self, what: &str, answer: Result<String, String>, words: &str) {
        let said = answer.expect_err(&format!("{what}: this was let through"));
        assert!(said.contains(words), "{what}: \"{words}\" is not in: {said}");
        self.rows.push(format!("{what:<70} {words}"));
    }

    fn patch(&mut self, what: &str, user: &str, name: &str, patch: &Value, words: &str) {
        self.refused(what, patch_as(self.tenant, user, name, patch), words);
    }
}

/// Requirement 34 of docs/security.md: what needs somebody else's approval starts only as it was approved, once, by a person in their own name who could not be the requester.
#[test]
fn requirement_34_an_approval_is_decided_once_by_a_person_in_their_own_name_and_by_nobody_else() {
    let tenant = test_bed().tenant("decided");
    let own = |approval: &Value| as_operator(&tenant, &["-n", "decided", "create", "-f", "-"], Some(approval));
    let every = json!({"apiGroups": ["stepbound.dev"], "resources": ["approvals", "approvals/status"],
        "verbs": ["create", "update", "patch", "delete", "get", "list"]});
    may_approve(&tenant, "bob", &[]);
    may_approve(&tenant, "mallory", std::slice::from_ref(&every));
    tenant.kubectl(&["create", "serviceaccount", "robot"]);
    let robots = json!([{"apiGroups": ["stepbound.dev"], "resources": ["approvals"], "verbs": ["get", "patch"]}]);
    tenant.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "robot"}, "rules": robots}));
    tenant.kubectl(&["create", "rolebinding", "robot", "--role=robot", "--serviceaccount=decided:robot"]);
    for run in ["order", "other", "robots", "third"] {
        tenant.apply(&workflow_run(run, "fulfil", &json!({})));
    }
    let mut tried = Attempts { tenant: &tenant, rows: Vec::new() };

    // Who creates.
    let wanted = approval_of(&tenant, "order", "mallory");
    tried.refused("an Approval by hand", create_as(&tenant, "mallory", &wanted), "created by the operator alone");
    let admin = tenant.try_apply(&wanted);
    tried.refused("an Approval by an administrator", admin, "created by the operator alone");
    let digest = "0".repeat(64);
    let mut decided = wanted.clone();
    decided["spec"]["decision"] = decision(&digest, "Approved", "bob")["spec"]["decision"].clone();
    tried.refused("one that is decided already, with the operator's token", own(&decided), "without a decision");
    let mut foreign = wanted.clone();
    foreign["metadata"]["ownerReferences"][0]["uid"] = tenant.get("sfnrun/other").unwrap()["metadata"]["uid"].clone();
    tried.refused("one that another run owns", own(&foreign), "as its one owner and controller");
    let mut unowned = wanted.clone();
    unowned["metadata"]["ownerReferences"] = json!([]);
    tried.refused("one that nobody owns", own(&unowned), "");
    own(&wanted).unwrap();
    own(&approval_of(&tenant, "other", "alice")).unwrap();
    let mut copied = approval_of(&tenant, "order", "alice");
    copied["metadata"]["name"] = json!("copied");
    tried.refused(
        "the Approval of another run, copied",
        create_as(&tenant, "mallory", &copied),
        "created by the operator alone",
    );

    // Who decides, and how.
    let right = |by: &str| decision(&digest, "Approved", by);
    tried.patch("one's own run", "mallory", "order-1", &right("mallory"), "cannot decide it");
    tried.patch("one's own run in another's name", "mallory", "order-1", &right("bob"), "decide in your own name");
    tried.patch("another's run in a third one's name", "mallory", "other-1", &right("bob"), "decide in your own name");
    tried.patch("another digest", "bob", "other-1", &decision(&"1".repeat(64), "Approved", "bob"), "request.digest");
    tried.patch("without the right", "alice", "other-1", &right("alice"), "cannot get resource \"approvals\"");
    let robot = tenant.bed.control_plane.kubeconfig_of("decided", "robot");
    let mut kubectl = std::process::Command::new(&tenant.bed.control_plane.kubectl);
    let by = "system:serviceaccount:decided:robot";
    kubectl.arg("--kubeconfig").arg(robot).args(["-n", "decided", "patch", "approval/other-1", "--type=merge", "-p"]);
    let answer = support::control_plane::run(kubectl.arg(right(by).to_string()), None);
    tried.refused("a service account", answer, "approved by people");
    let node = [
        "-n",
        "decided",
        "patch",
        "approval/other-1",
        "--type=merge",
        "--as=system:node:one",
        "--as-group=system:masters",
        "-p",
    ];
    let said =
        tenant.bed.control_plane.try_kubectl(&[&node[..], &[&right("system:node:one").to_string()]].concat(), None);
    tried.refused("a node", said, "approved by people");
    let patch = right("system:serviceaccount:decided-system:stepbound").to_string();
    let name = format!("--as=system:serviceaccount:{}:stepbound", tenant.system);
    let stolen = [
        "-n",
        "decided",
        "patch",
        "approval/other-1",
        "--type=merge",
        &name,
        "--as-group=system:masters",
        "-p",
        &patch,
    ];
    tried.refused(
        "the operator's account, with every right",
        tenant.bed.control_plane.try_kubectl(&stolen, None),
        "the operator ",
    );
    let plain =
        as_operator(&tenant, &["-n", "decided", "patch", "approval/other-1", "--type=merge", "-p", &patch], None);
    tried.refused("the operator's account, with its own", plain, "cannot patch resource \"approvals\"");

    // What else changes with it.
    let with = |more: Value| {
        let mut patch = right("bob");
        let (fields, more) = (patch.as_object_mut().unwrap(), more.as_object().unwrap().clone());
        for (key, value) in more {
            match fields.get_mut(&key).and_then(Value::as_object_mut) {
                Some(inner) => inner.extend(value.as_object().unwrap().clone()),
                None => drop(fields.insert(key, value)),
            }
        }
        patch
    };
    let only = "nothing of an Approval can be changed but spec.decision";
    for (what, more, words) in [
        ("a label", json!({"metadata": {"labels": {"a": "b"}}}), only),
        ("an annotation", json!({"metadata": {"annotations": {"a": "b"}}}), only),
        ("a finalizer", json!({"metadata": {"finalizers": ["a.example/b"]}}), only),
        ("no owner", json!({"metadata": {"ownerReferences": null}}), only),
        ("another role", json!({"spec": {"request": {"executionRoleARN": "admin"}}}), "request"),
        ("another requester", json!({"spec": {"request": {"requester": "carol"}}}), "request"),
    ] {
        tried.patch(&format!("a decision with {what}"), "bob", "other-1", &with(more), words);
    }
    for (what, patch, words) in [
        ("a label alone", json!({"metadata": {"labels": {"a": "b"}}}), only),
        ("the request alone", json!({"spec": {"request": {"expiresAt": "2099-02-01T00:00:00Z"}}}), "cannot be changed"),
        ("another verdict than there is", decision(&digest, "Maybe", "bob"), "Unsupported value"),
    ] {
        tried.patch(what, "bob", "other-1", &patch, words);
    }
    let replaced = approval_of(&tenant, "other", "carol").to_string();
    let replace = ["-n", "decided", "replace", "-f", "-"];
    tried.refused(
        "another request in its place",
        tenant.bed.control_plane.kubectl_as("mallory", &replace, Some(&replaced)),
        "cannot be changed",
    );
    assert_eq!(tenant.get("approval/other-1").unwrap()["spec"]["decision"], Value::Null);
    patch_as(&tenant, "bob", "other-1", &decision(&digest, "Denied", "bob")).unwrap();
    tried.patch("a decision turned round", "bob", "other-1", &right("bob"), "written once");
    tried.patch("a decision taken back", "bob", "other-1", &json!({"spec": {"decision": null}}), "written once");
    let again = patch_as(&tenant, "bob", "other-1", &decision(&digest, "Denied", "bob"));
    assert!(again.is_ok(), "the same again changes nothing: {again:?}");
    tried.patch("a label on what is decided", "bob", "other-1", &json!({"metadata": {"labels": {"a": "b"}}}), only);

    // A service account asked: whoever could be it would decide alone.
    own(&approval_of(&tenant, "robots", by)).unwrap();
    let one = |group: &str, resource: &str, verb: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    let named = |resource: &str, verb: &str| json!({"apiGroups": [""], "resources": [resource], "resourceNames": ["robot"], "verbs": [verb]});
    for (words, rule) in [
        ("create serviceaccounts/token of it", named("serviceaccounts/token", "create")),
        ("impersonate it", named("serviceaccounts", "impersonate")),
        ("create pods in namespace decided", one("", "pods", "create")),
        ("or enter them", one("", "pods/exec", "create")),
        ("create deployments", one("apps", "deployments", "create")),
        ("statefulsets", one("apps", "statefulsets", "create")),
        ("create daemonsets", one("apps", "daemonsets", "create")),
        ("jobs in namespace", one("batch", "jobs", "create")),
        ("create cronjobs", one("batch", "cronjobs", "create")),
        ("replicasets in namespace", one("apps", "replicasets", "create")),
    ] {
        may_approve(&tenant, "bob", &[rule]);
        let text = right("bob").to_string();
        let command = ["-n", "decided", "patch", "approval/robots-1", "--type=merge", "--dry-run=server", "-p", &text];
        // RBAC is read from a watch.
        let refused = wait_until(Duration::from_secs(20), words, || {
            let said = tenant.bed.control_plane.kubectl_as("bob", &command, None).err()?;
            said.contains(words).then_some(said)
        });
        tried.refused(
            &format!("a run of a service account, by somebody who may {words}"),
            Err(refused),
            "would decide alone",
        );
    }
    let administrator =
        ["-n", "decided", "patch", "approval/robots-1", "--type=merge", "--as=root", "--as-group=system:masters", "-p"];
    let said =
        tenant.bed.control_plane.try_kubectl(&[&administrator[..], &[&right("root").to_string()]].concat(), None);
    tried.refused("a run of a service account, by an administrator", said, "would decide alone");
    may_approve(&tenant, "bob", &[]);
    wait_until(Duration::from_secs(20), "bob may not act as the account", || {
        patch_as(&tenant, "bob", "robots-1", &right("bob")).ok()
    });

    for row in &tried.rows {
        println!("{row}");
    }
    assert!(tried.rows.len() >= 30, "{}", tried.rows.len());
    println!("{} attempts, each refused", tried.rows.len());

    // The garbage collector takes owners away, and what has none any more.
    for (run, how) in [("other", "foreground"), ("robots", "orphan")] {
        tenant.kubectl(&["delete", "sfnrun", run, &format!("--cascade={how}"), "--wait=false"]);
    }
    wait_until(Duration::from_secs(60), "an Approval goes with its run or without it", || {
        let orphaned = tenant.get("approval/robots-1")?["metadata"]["ownerReferences"].is_null();
        (orphaned && tenant.get("approval/other-1").is_none()).then_some(())
    });
}

/// Requirement 34 of docs/security.md: what needs somebody else's approval starts only as it was approved, once, by a person in their own name who could not be the requester.
#[test]
fn requirement_34_no_role_of_the_cluster_approves_and_view_sees_what_waits() {
    let tenant = test_bed().tenant("approvers");
    let roles = |name: &str| -> Value {
        let text = tenant.bed.control_plane.kubectl(&["get", "clusterrole", name, "-o", "json"]);
        serde_json::from_str(&text).unwrap()
    };
    let approve = roles(&format!("{}-stepbound-approve", tenant.system));
    let labels = approve["metadata"]["labels"].as_object().unwrap();
    assert!(labels.keys().all(|key| !key.contains("aggregate-to")), "{labels:?}");
    bind_role(&tenant, "bob", "approve");
    for user in ["alice", "carol"] {
        let role = if user == "alice" { "admin" } else { "view" };
        tenant.kubectl(&[
            "create",
            "rolebinding",
            &format!("{user}-{role}"),
            &format!("--clusterrole={role}"),
            &format!("--user={user}"),
        ]);
    }
    let can = |user: &str, verb: &str| {
        let ask = ["auth", "can-i", verb, "approvals.stepbound.dev", "-n", "approvers", "--as", user];
        tenant.bed.control_plane.try_kubectl(&ask, None).is_ok_and(|answer| answer.trim() == "yes")
    };
    wait_until(Duration::from_secs(30), "the roles are aggregated", || {
        (can("alice", "list") && can("carol", "list") && can("bob", "patch")).then_some(())
    });
    for user in ["alice", "carol"] {
        for verb in ["create", "update", "patch", "delete"] {
            assert!(!can(user, verb), "{user} {verb}");
        }
    }
    for verb in ["create", "update", "delete"] {
        assert!(!can("bob", verb), "{verb}");
    }
}

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

/// Requirement 34 of docs/security.md: what needs somebody else's approval starts only as it was approved, once, by a person in their own name who could not be the requester.
#[test]
fn requirement_34_nothing_starts_before_somebody_else_approves_just_that() {
    let tenant = test_bed().tenant("foureyes");
    let operator = start(&tenant);
    let control_plane = &tenant.bed.control_plane;
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

    // Approved: by somebody else, once, woken by the watch.
    let run = wait(&tenant, &operator, "order");
    assert_eq!(run["status"]["phase"], "Pending");
    let columns = tenant.kubectl(&["get", "approvals"]);
    println!("{columns}");
    assert!(columns.contains("REQUESTER") && columns.contains("DECISION") && columns.contains("alice"), "{columns}");
    let refused = approve(&tenant, "alice", "order-1").unwrap_err();
    assert!(refused.contains("cannot decide it"), "{refused}");
    assert_eq!(started(&tenant, &run), 0);
    approve(&tenant, "bob", "order-1").unwrap();
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!((&run["status"]["approvedBy"], &run["status"]["requestedBy"]), (&json!("bob"), &json!("alice")));
    assert!(run["status"]["sessionName"].as_str().unwrap().starts_with("alice-"));
    let ours = records(&operator);
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

    // Changed while it waits, after bob approved: what bob changed is bob's, and somebody else has to approve it.
    assert!(tenant.get("approval/order-1").is_some(), "what was approved stays as long as its run");
    create_as(&tenant, "alice", &workflow_run("changed", "fulfil", &json!({"input": {"a": 1}}))).unwrap();
    let run = wait(&tenant, &operator, "changed");
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
    let run = asked_anew(&tenant, &operator, "changed", &before);
    assert_eq!(
        tenant.get("approval/changed-1").unwrap()["spec"]["request"]["requester"],
        "bob",
        "whoever wrote the input asks"
    );
    let refused = approve(&tenant, "bob", "changed-1").unwrap_err();
    assert!(refused.contains("cannot decide it") && started(&tenant, &run) == 0, "{refused}");

    // Another definition: the version that was approved is not what would start.
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
    let mut next = careful(&tenant, "fulfil");
    next["spec"]["definition"]["Comment"] = json!("2");
    tenant.apply(&next);
    let run = asked_anew(&tenant, &operator, "changed", &before);
    assert!(run["status"]["approval"]["voidBefore"].as_str().unwrap().contains("would be started"), "{run:#}");
    // Deleted by hand.
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
    tenant.kubectl(&["delete", "approval", "changed-1"]);
    let run = asked_anew(&tenant, &operator, "changed", &before);
    assert_eq!(started(&tenant, &run), 0);

    // The policy is taken away: whoever may patch could decide their own. It does not count, then or later.
    let before = run["status"]["approval"]["uid"].as_str().unwrap().to_owned();
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
    let (digest, _) = asked(&tenant, "changed-1");
    // The schema refuses the requester still; in another's name it has nothing to say.
    let forged = decision(&digest, "Approved", "carol");
    wait_until(Duration::from_secs(30), "the policy is gone", || patch_as(&tenant, "bob", "changed-1", &forged).ok());
    let run = tenant.wait_for(&operator, "sfnrun/changed", "Ready", "False", "ApprovalNotEnforced");
    assert_eq!((run["status"]["phase"].as_str(), started(&tenant, &run)), (Some("Pending"), 0));
    let clean = json!({"apiVersion": binding["apiVersion"], "kind": binding["kind"], "spec": binding["spec"],
        "metadata": {"name": policy, "labels": binding["metadata"]["labels"]}});
    control_plane.apply(&clean.to_string());
    let resource = "sfnrun/changed";
    let run = tenant.wait_for_object(&operator, resource, "another Approval", Duration::from_secs(240), |run| {
        condition(run, "Ready").is_some_and(|ready| ready["reason"] == "WaitingForApproval")
            && run["status"]["approval"]["uid"] != before.as_str()
    });
    assert_eq!(started(&tenant, &run), 0, "what was decided while the policy was away counts for nothing");
    approve(&tenant, "alice", "changed-1").unwrap();
    let run = tenant.wait_for(&operator, "sfnrun/changed", "Complete", "True", "Succeeded");
    assert_eq!((&run["status"]["approvedBy"], started(&tenant, &run)), (&json!("alice"), 1));

    // Denied, and cancelled.
    create_as(&tenant, "mallory", &workflow_run("denied", "fulfil", &json!({}))).unwrap();
    wait(&tenant, &operator, "denied");
    let (digest, _) = asked(&tenant, "denied-1");
    patch_as(&tenant, "bob", "denied-1", &decision(&digest, "Denied", "bob")).unwrap();
    let run = tenant.wait_for(&operator, "sfnrun/denied", "Failed", "True", "ApprovalDenied");
    assert!(condition(&run, "Failed").unwrap()["message"].as_str().unwrap().contains("bob has denied"), "{run:#}");
    create_as(&tenant, "mallory", &workflow_run("cancelled", "fulfil", &json!({}))).unwrap();
    wait(&tenant, &operator, "cancelled");
    tenant.kubectl(&["patch", "sfnrun/cancelled", "--type=merge", "-p", r#"{"spec": {"cancel": {}}}"#]);
    let cancelled = tenant.wait_for(&operator, "sfnrun/cancelled", "Finished", "True", "Cancelled");
    assert!(tenant.get("approval/cancelled-1").is_none(), "nobody is to decide it any more");
    assert_eq!(started(&tenant, &run) + started(&tenant, &cancelled), 0);
    tenant.delete_all(&operator);
    wait_until(Duration::from_secs(30), "Approvals go with their runs", || {
        tenant.kubectl(&["get", "approvals", "-o", "name"]).trim().is_empty().then_some(())
    });
}
