//! Whose right is asked before something is written that spends it: a binding, another's state machine, a Secret.

use crate::admission::{may_edit, using};
use crate::attribution::{create_as, may_run};
use crate::*;

fn patch_as(tenant: &Tenant, user: &str, resource: &str, patch: &Value) -> Result<String, String> {
    let patch = patch.to_string();
    let command = ["-n", &tenant.name, "patch", resource, "--type=merge", "-p", &patch];
    tenant.bed.control_plane.kubectl_as(user, &command, None)
}

fn activity(binding: &str) -> Value {
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "approve"},
        "spec": {"trustBindingRef": {"name": binding}}})
}

/// What a refusal prints, run by a shell as an administrator would run it.
pub(crate) fn run_as_printed(tenant: &Tenant, refused: &str, from: &str) {
    let control_plane = &tenant.bed.control_plane;
    let commands = &refused[refused.find(from).unwrap()..];
    let kubectl = format!("{} --kubeconfig {}", control_plane.kubectl.display(), control_plane.admin.display());
    let commands = commands.trim().replace("kubectl ", &format!("{kubectl} "));
    let mut shell = std::process::Command::new("sh");
    support::control_plane::run(shell.arg("-ec").arg(&commands), None)
        .unwrap_or_else(|error| panic!("{error}: {commands}"));
}

/// Requirement 23 of docs/security.md: `use` on a binding.
#[test]
fn requirement_23_who_may_not_use_a_binding_may_not_write_what_acts_through_it() {
    let tenant = test_bed().tenant("using");
    may_edit(&tenant, "alice", &[using("orders")]);
    may_edit(&tenant, "bob", &[using("another")]);
    let workflow = tenant.workflow("fulfil", &waiting(0));
    let refused = create_as(&tenant, "bob", &workflow).unwrap_err();
    assert!(refused.contains("ValidatingAdmissionPolicy 'using-system-stepbound-use'"), "{refused}");
    assert!(refused.contains("user bob may not use TrustBinding using/orders"), "{refused}");
    assert!(
        create_as(&tenant, "bob", &activity("orders")).unwrap_err().contains("may not use TrustBinding using/orders")
    );
    // The binding does not exist yet: one folder may hold both.
    create_as(&tenant, "alice", &workflow).unwrap();

    // Each change counts, and each annotation that asks for something; what says nothing to AWS does not.
    for change in [
        json!({"spec": {"definition": waiting(1)}}),
        json!({"spec": {"suspend": true}}),
        json!({"metadata": {"annotations": {"stepbound.dev/promote": "live"}}}),
        json!({"metadata": {"annotations": {"stepbound.dev/pause": "live"}}}),
        json!({"metadata": {"annotations": {"stepbound.dev/release-to": "far/using/fulfil"}}}),
    ] {
        let refused = patch_as(&tenant, "bob", "sfn/fulfil", &change).unwrap_err();
        assert!(refused.contains("may not use TrustBinding using/orders"), "{change}: {refused}");
        patch_as(&tenant, "alice", "sfn/fulfil", &change).unwrap();
    }
    for free in
        [json!({"labels": {"team": "a"}}), json!({"annotations": {"stepbound.dev/reconcile-now": "1", "note": "b"}})]
    {
        patch_as(&tenant, "bob", "sfn/fulfil", &json!({"metadata": free})).unwrap();
    }
    // Somebody who only runs spends what alice has set up.
    tenant.bed.control_plane.kubectl(&["-n", "using", "delete", "role,rolebinding", "bob"]);
    may_run(&tenant, "bob");
    create_as(&tenant, "bob", &workflow_run("order", "fulfil", &json!({}))).unwrap();
    // What is printed gives the right for this binding alone.
    may_edit(&tenant, "mallory", &[]);
    let refused = create_as(&tenant, "mallory", &activity("orders")).unwrap_err();
    run_as_printed(&tenant, &refused, "echo '");
    wait_until(Duration::from_secs(60), "the Role holds", || create_as(&tenant, "mallory", &activity("orders")).ok());
    let mut other = tenant.workflow("other", &waiting(0));
    other["spec"]["trustBindingRef"]["name"] = json!("payments");
    assert!(create_as(&tenant, "mallory", &other).unwrap_err().contains("may not use TrustBinding using/payments"));
}

/// Requirement 23 of docs/security.md: `use` on a binding.
/// The chart's roles, as people are given them: writing is apart from using, and Kubernetes' own editors have both.
#[test]
fn requirement_23_the_charts_roles_tell_writing_from_using() {
    let tenant = test_bed().tenant("user-roles");
    let bind = |user: &str, role: &str| {
        let name = format!("{user}-{role}");
        tenant.kubectl(&["create", "rolebinding", &name, &format!("--clusterrole={role}"), &format!("--user={user}")]);
    };
    bind("alice", "edit");
    bind("bob", "user-roles-system-stepbound-edit");
    let can = |user: &str, what: &[&str]| {
        let question = [&["auth", "can-i", "-n", "user-roles"], what].concat();
        tenant.bed.control_plane.kubectl_as(user, &question, None).is_ok()
    };
    wait_until(Duration::from_secs(60), "roles are aggregated", || {
        can("alice", &["use", "trustbindings/orders"]).then_some(())
    });
    assert!(can("bob", &["create", "workflows"]) && can("bob", &["take-over", "workflows/fulfil"]));
    assert!(!can("bob", &["use", "trustbindings/orders"]) && !can("alice", &["create", "trustbindings"]));
    create_as(&tenant, "alice", &tenant.workflow("fulfil", &waiting(0))).unwrap();
    let refused = create_as(&tenant, "bob", &tenant.workflow("other", &waiting(0))).unwrap_err();
    assert!(refused.contains("may not use TrustBinding user-roles/orders"), "{refused}");
    bind("bob", "user-roles-system-stepbound-use");
    wait_until(Duration::from_secs(60), "the role holds", || {
        create_as(&tenant, "bob", &tenant.workflow("other", &waiting(0))).ok()
    });
}

/// Requirement 23 of docs/security.md: `use` on a binding.
/// A Workflow whose author has no right any more is kept, changed in AWS, run and deleted as before.
#[test]
fn requirement_23_what_exists_goes_on_without_its_authors_right() {
    let (tenant, operator) = with_workflow("from-before", 0);
    may_edit(&tenant, "bob", &[]);
    create_as(&tenant, "bob", &workflow_run("order", "fulfil", &json!({}))).unwrap();
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    patch_as(&tenant, "bob", "sfn/fulfil", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    tenant
        .bed
        .control_plane
        .kubectl_as("bob", &["-n", "from-before", "delete", "sfn/fulfil", "--timeout=40s"], None)
        .unwrap();
    tenant.delete_all(&operator);
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
#[test]
fn requirement_24_taking_over_needs_a_right_where_the_owner_is() {
    let tenant = test_bed().tenant("takers");
    test_bed().control_plane.kubectl(&["create", "namespace", "owners"]);
    may_edit(&tenant, "alice", &[using("orders")]);
    let from = |owner: &str| {
        let mut workflow = tenant.workflow("fulfil", &waiting(0));
        workflow["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": owner});
        workflow
    };
    let dry = |object: &Value| {
        let command = ["-n", "takers", "create", "--dry-run=server", "-f", "-"];
        tenant.bed.control_plane.kubectl_as("alice", &command, Some(&object.to_string()))
    };
    let refused = dry(&from("test/owners/fulfil")).unwrap_err();
    assert!(refused.contains("user alice may not take over state machines of test/owners/fulfil"), "{refused}");
    assert!(
        dry(&from("ack/owners"))
            .unwrap_err()
            .contains("needs the verb take-over on workflows.stepbound.dev in namespace owners")
    );
    // Of another cluster: the owner's tag decides.
    dry(&from("elsewhere/owners/fulfil")).unwrap();
    for words in
        ["whoever set the tag team", "", "test/owners", "test/owners/", "test//fulfil", "test/Owners/fulfil", "a/b/c/"]
    {
        assert!(dry(&from(words)).unwrap_err().contains("it is the owner as the refusal names it"), "{words}");
    }
    // An annotation that comes later counts too, and one that goes does not.
    create_as(&tenant, "alice", &tenant.workflow("fulfil", &waiting(0))).unwrap();
    let annotate = |owner: &str| json!({"metadata": {"annotations": {"stepbound.dev/take-over-from": owner}}});
    let refused_later = patch_as(&tenant, "alice", "sfn/fulfil", &annotate("test/owners/fulfil")).unwrap_err();
    assert!(refused_later.contains("may not take over"), "{refused_later}");

    run_as_printed(&tenant, &refused, "kubectl create role ");
    wait_until(Duration::from_secs(60), "the Role holds", || {
        patch_as(&tenant, "alice", "sfn/fulfil", &annotate("test/owners/fulfil")).ok()
    });
    assert!(dry(&from("test/owners/other")).unwrap_err().contains("may not take over"), "one name was given");
    patch_as(
        &tenant,
        "alice",
        "sfn/fulfil",
        &json!({"metadata": {"annotations": {"stepbound.dev/take-over-from": null}}}),
    )
    .unwrap();
    tenant.bed.control_plane.kubectl(&["-n", "owners", "delete", "role,rolebinding", "--all"]);
    tenant.apply(&from("test/owners/fulfil"));
    wait_until(Duration::from_secs(60), "the right has gone", || dry(&from("test/owners/fulfil")).err());
    // Somebody else has asked: whoever lets it happen by another change needs the right too. A label is free.
    let suspend = json!({"spec": {"suspend": true}});
    let refused_still = patch_as(&tenant, "alice", "sfn/fulfil", &suspend).unwrap_err();
    assert!(refused_still.contains("may not take over"), "{refused_still}");
    patch_as(&tenant, "alice", "sfn/fulfil", &json!({"metadata": {"labels": {"team": "a"}}})).unwrap();
    let without =
        json!({"metadata": {"annotations": {"stepbound.dev/take-over-from": null}}, "spec": {"suspend": true}});
    patch_as(&tenant, "alice", "sfn/fulfil", &without).unwrap();
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
/// Where the chart does not know the cluster's id every owner may be of this cluster, so the right is asked for each.
#[test]
fn requirement_24_without_a_known_cluster_every_owner_is_asked() {
    let tenant = test_bed().tenant_with("nameless", &json!({"clusterID": ""}));
    may_edit(&tenant, "alice", &[using("orders")]);
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": "elsewhere/owners/fulfil"});
    let dry = ["-n", "nameless", "create", "--dry-run=server", "-f", "-"];
    // A policy holds a moment after it was installed.
    wait_until(Duration::from_secs(60), "the policy holds", || {
        let refused = tenant.bed.control_plane.kubectl_as("alice", &dry, Some(&workflow.to_string())).err()?;
        refused.contains("user alice may not take over state machines of elsewhere/owners/fulfil").then_some(())
    });
}

/// Requirement 28 of docs/security.md: a Secret only for who may read it, and only to its issuer.
#[test]
fn requirement_28_who_may_not_read_a_secret_may_not_have_it_sent() {
    let tenant = test_bed().tenant("secretive");
    let own = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["own"], "verbs": ["get"]});
    may_edit(&tenant, "alice", &[own]);
    let provider = |name: &str, secret: &str| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": name},
            "spec": {"issuer": "https://issuer.example", "clientAuthentication": {"type": "ClientSecret", "clientID": "c",
                "secretKeyRef": {"name": secret, "key": "secret"}}}})
    };
    let refused = create_as(&tenant, "alice", &provider("theirs", "others")).unwrap_err();
    assert!(refused.contains("user alice may not read Secret secretive/others, so it may not have the operator send it to https://issuer.example"), "{refused}");
    create_as(&tenant, "alice", &provider("mine", "own")).unwrap();
    let change = json!({"spec": {"clientAuthentication": {"secretKeyRef": {"name": "others"}}}});
    let changed = patch_as(&tenant, "alice", "idp/mine", &change).unwrap_err();
    assert!(changed.contains("may not read Secret secretive/others"), "{changed}");
    patch_as(&tenant, "alice", "idp/mine", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    run_as_printed(&tenant, &refused, "kubectl create role ");
    wait_until(Duration::from_secs(60), "the Role holds", || {
        create_as(&tenant, "alice", &provider("theirs", "others")).ok()
    });
}
