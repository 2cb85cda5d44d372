//! Four eyes on a real API server: who may decide, and what a decision may look like.

use crate::attribution::create_as;
use crate::held::as_operator;
use crate::*;

const DAY: &str = "2099-01-01T00:00:00Z";

pub(crate) fn may_approve(tenant: &Tenant, user: &str, more: &[Value]) {
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

pub(crate) fn patch_as(tenant: &Tenant, user: &str, name: &str, patch: &Value) -> Result<String, String> {
    let text = patch.to_string();
    let resource = format!("approval/{name}");
    let command = ["-n", &tenant.name, "patch", &resource, "--type=merge", "-p", &text];
    tenant.bed.control_plane.kubectl_as(user, &command, None)
}

pub(crate) fn decision(digest: &str, verdict: &str, by: &str) -> Value {
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

const ROBOT: &str = "system:serviceaccount:decided:robot";

fn digest() -> String {
    "0".repeat(64)
}

/// An approval of what [`approval_of`] asks for.
fn right(by: &str) -> Value {
    decision(&digest(), "Approved", by)
}

/// Creates an Approval with the operator's own token.
fn own(tenant: &Tenant, approval: &Value) -> Result<String, String> {
    as_operator(tenant, &["-n", "decided", "create", "-f", "-"], Some(approval))
}

/// Who creates one, and what it looks like then.
fn who_creates(tried: &mut Attempts<'_>) {
    let tenant = tried.tenant;
    let wanted = approval_of(tenant, "order", "mallory");
    tried.refused("an Approval by hand", create_as(tenant, "mallory", &wanted), "created by the operator alone");
    let admin = tenant.try_apply(&wanted);
    tried.refused("an Approval by an administrator", admin, "created by the operator alone");
    let mut decided = wanted.clone();
    decided["spec"]["decision"] = decision(&digest(), "Approved", "bob")["spec"]["decision"].clone();
    tried.refused(
        "one that is decided already, with the operator's token",
        own(tenant, &decided),
        "without a decision",
    );
    let mut foreign = wanted.clone();
    foreign["metadata"]["ownerReferences"][0]["uid"] = tenant.get("sfnrun/other").unwrap()["metadata"]["uid"].clone();
    tried.refused("one that another run owns", own(tenant, &foreign), "as its one owner and controller");
    let mut unowned = wanted.clone();
    unowned["metadata"]["ownerReferences"] = json!([]);
    tried.refused("one that nobody owns", own(tenant, &unowned), "");
    own(tenant, &wanted).unwrap();
    own(tenant, &approval_of(tenant, "other", "alice")).unwrap();
    let mut copied = approval_of(tenant, "order", "alice");
    copied["metadata"]["name"] = json!("copied");
    tried.refused(
        "the Approval of another run, copied",
        create_as(tenant, "mallory", &copied),
        "created by the operator alone",
    );
}

/// Who decides, and how.
fn who_decides(tried: &mut Attempts<'_>) {
    let tenant = tried.tenant;
    tried.patch("one's own run", "mallory", "order-1", &right("mallory"), "cannot decide it");
    tried.patch("one's own run in another's name", "mallory", "order-1", &right("bob"), "decide in your own name");
    tried.patch("another's run in a third one's name", "mallory", "other-1", &right("bob"), "decide in your own name");
    tried.patch("another digest", "bob", "other-1", &decision(&"1".repeat(64), "Approved", "bob"), "request.digest");
    tried.patch("without the right", "alice", "other-1", &right("alice"), "cannot get resource \"approvals\"");
    let robot = tenant.bed.control_plane.kubeconfig_of("decided", "robot");
    let mut kubectl = std::process::Command::new(&tenant.bed.control_plane.kubectl);
    kubectl.arg("--kubeconfig").arg(robot).args(["-n", "decided", "patch", "approval/other-1", "--type=merge", "-p"]);
    let answer = support::control_plane::run(kubectl.arg(right(ROBOT).to_string()), None);
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
        as_operator(tenant, &["-n", "decided", "patch", "approval/other-1", "--type=merge", "-p", &patch], None);
    tried.refused("the operator's account, with its own", plain, "cannot patch resource \"approvals\"");
}

/// What else changes with a decision, and a decision that is there.
fn what_changes_besides(tried: &mut Attempts<'_>) {
    let tenant = tried.tenant;
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
        ("another verdict than there is", decision(&digest(), "Maybe", "bob"), "Unsupported value"),
    ] {
        tried.patch(what, "bob", "other-1", &patch, words);
    }
    let replaced = approval_of(tenant, "other", "carol").to_string();
    let replace = ["-n", "decided", "replace", "-f", "-"];
    tried.refused(
        "another request in its place",
        tenant.bed.control_plane.kubectl_as("mallory", &replace, Some(&replaced)),
        "cannot be changed",
    );
    assert_eq!(tenant.get("approval/other-1").unwrap()["spec"]["decision"], Value::Null);
    patch_as(tenant, "bob", "other-1", &decision(&digest(), "Denied", "bob")).unwrap();
    tried.patch("a decision turned round", "bob", "other-1", &right("bob"), "written once");
    tried.patch("a decision taken back", "bob", "other-1", &json!({"spec": {"decision": null}}), "written once");
    let again = patch_as(tenant, "bob", "other-1", &decision(&digest(), "Denied", "bob"));
    assert!(again.is_ok(), "the same again changes nothing: {again:?}");
    tried.patch("a label on what is decided", "bob", "other-1", &json!({"metadata": {"labels": {"a": "b"}}}), only);
}

/// A service account asked: whoever could be it would decide alone.
fn whoever_could_be_the_requester(tried: &mut Attempts<'_>) {
    let tenant = tried.tenant;
    own(tenant, &approval_of(tenant, "robots", ROBOT)).unwrap();
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
        may_approve(tenant, "bob", &[rule]);
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
    may_approve(tenant, "bob", &[]);
    wait_until(Duration::from_secs(20), "bob may not act as the account", || {
        patch_as(tenant, "bob", "robots-1", &right("bob")).ok()
    });
}

/// Requirement 34 of docs/security.md: what needs somebody else's approval starts only as it was approved, once, by a person in their own name who could not be the requester.
#[test]
fn requirement_34_an_approval_is_decided_once_by_a_person_in_their_own_name_and_by_nobody_else() {
    let tenant = test_bed().tenant("decided");
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

    who_creates(&mut tried);
    who_decides(&mut tried);
    what_changes_besides(&mut tried);
    whoever_could_be_the_requester(&mut tried);
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
