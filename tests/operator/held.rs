//! What the operator's own account may ask of the API server, tried with its own token.

use crate::admission::using;
use crate::support::control_plane::run;
use crate::*;

/// kubectl as whoever has stolen the operator's token.
pub(crate) fn as_operator(tenant: &Tenant, args: &[&str], input: Option<&Value>) -> Result<String, String> {
    let kubeconfig = tenant.bed.control_plane.kubeconfig_of(&tenant.system, "stepbound");
    let mut kubectl = std::process::Command::new(&tenant.bed.control_plane.kubectl);
    run(kubectl.arg("--kubeconfig").arg(kubeconfig).args(args), input.map(Value::to_string).as_deref())
}

/// A reference by which the garbage collector deletes an object.
pub(crate) fn owner_that_is_gone() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "11111111-2222-3333-4444-555555555555"})
}

/// Lets the operator's account create tokens of every account, as `tokens.mode: ClusterWide` or a careless Role would: what
/// is refused then is refused by the policy.
pub(crate) fn let_it_mint_everything(tenant: &Tenant) {
    let group = "rbac.authorization.k8s.io";
    let (version, named) = (format!("{group}/v1"), json!({"name": format!("{}-mints", tenant.name)}));
    let rules = json!([{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]);
    for object in [
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": named, "rules": rules}),
        json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": named,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": named["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": "stepbound", "namespace": tenant.system}]}),
    ] {
        tenant.bed.control_plane.apply(&object.to_string());
    }
    // Somebody to mint for, as the cluster's own controllers are.
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "clusters-own", "namespace": "kube-system"}});
    tenant.bed.control_plane.apply(&account.to_string());
}

/// Requirement 30 of docs/security.md: the operator's own account is held.
#[test]
fn requirement_30_the_operators_own_token_mints_what_it_needs_and_nothing_else() {
    let issuer = "https://sso.example/realms/a";
    let tenant = test_bed().tenant_with("held", &json!({"allowedIssuers": [issuer]}));
    let_it_mint_everything(&tenant);
    let mint = |namespace: &str, account: &str, more: &[&str]| {
        as_operator(&tenant, &[&["-n", namespace, "create", "token", account], more].concat(), None)
    };
    let good = ["--audience=sts.amazonaws.com", "--duration=600s"];
    wait_until(Duration::from_secs(60), "the right is there", || mint("held", "orders", &good).ok());
    mint("held", "orders", &[&format!("--audience={issuer}"), "--duration=600s"]).unwrap();

    tenant.bed.control_plane.kubectl(&["-n", "stepbound-crds", "create", "serviceaccount", "elsewhere"]);
    let api_server = format!("--audience={}", tenant.bed.control_plane.issuer);
    let refusals: [(&str, &str, &[&str], &str); 9] = [
        ("held", "orders", &[&api_server, "--duration=600s"], "for one audience out of"),
        ("held", "orders", &["--duration=600s"], "for one audience out of"),
        (
            "held",
            "orders",
            &["--audience=sts.amazonaws.com", "--audience=other", "--duration=600s"],
            "for one audience out of",
        ),
        ("held", "orders", &["--audience=sts.amazonaws.com"], "tokens of 600 seconds"),
        ("held", "orders", &["--audience=sts.amazonaws.com", "--duration=1h"], "tokens of 600 seconds"),
        ("held", "default", &good, "of the account default"),
        ("kube-system", "clusters-own", &good, "of namespace kube-system"),
        ("held-system", "stepbound", &good, "of namespace held-system"),
        ("stepbound-crds", "elsewhere", &good, "the namespaces that it watches (held)"),
    ];
    for (namespace, account, more, words) in refusals {
        let refused = mint(namespace, account, more).unwrap_err();
        assert!(refused.contains("ValidatingAdmissionPolicy 'held-system-stepbound-operator-tokens'"), "{refused}");
        assert!(refused.contains(words), "{namespace}/{account} {more:?}: {refused}");
    }
    tenant.kubectl(&["create", "secret", "generic", "thing"]);
    let bound = ["--bound-object-kind=Secret", "--bound-object-name=thing"];
    let refused = mint("held", "orders", &[&good[..], &bound].concat()).unwrap_err();
    assert!(refused.contains("bound to no object"), "{refused}");
    // Others are not held by this: it is the operator's account alone.
    tenant.kubectl(&["create", "token", "orders"]);
}

/// Where several policies refuse, the API server gives the words of one of them, and which one changes from one reading of
/// its policies to the next. So the account gets every right that another policy asks for, as a careless Role would give it:
/// what is refused then is refused by its own policy.
fn let_it_use_bindings(tenant: &Tenant) {
    let may_use = || {
        let question = ["-n", &tenant.name, "auth", "can-i", "use", "trustbindings.stepbound.dev/orders"];
        as_operator(tenant, &question, None).ok()
    };
    assert!(may_use().is_none(), "the chart gives it no binding to use");
    let user = format!("system:serviceaccount:{}:stepbound", tenant.system);
    tenant.bed.control_plane.grant(&user, &tenant.name, &json!([using("orders")]));
    wait_until(Duration::from_secs(60), "the right is there", may_use);
}

/// Requirement 30 of docs/security.md: the operator's own account is held.
#[test]
fn requirement_30_the_operators_own_token_changes_no_spec_and_gives_no_command() {
    let tenant = test_bed().tenant("unchanged");
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    let_it_use_bindings(&tenant);
    let patch = |resource: &str, patch: &Value| {
        as_operator(&tenant, &["-n", "unchanged", "patch", resource, "--type=merge", "-p", &patch.to_string()], None)
    };
    let refused = |said: Result<String, String>, what: &dyn std::fmt::Display, words: &str| {
        let said = said.expect_err(&what.to_string());
        let policy = "ValidatingAdmissionPolicy 'unchanged-system-stepbound-operator-specs'";
        assert!(said.contains(policy) && said.contains(words), "{what}: {said}");
    };
    patch("sfn/fulfil", &json!({"metadata": {"finalizers": ["stepbound.dev/finalizer"]}})).unwrap();
    for (resource, change) in [
        ("tb/orders", json!({"spec": {"sessionDuration": "2h"}})),
        ("sfn/fulfil", json!({"spec": {"executionRoleARN": "arn:aws:iam::000000000000:role/admin"}})),
        ("sfnrun/order", json!({"spec": {"cancel": {"reason": "not of a schedule"}}})),
        ("sfnrun/order", json!({"spec": {"ttlAfterFinished": "1s"}})),
    ] {
        refused(patch(resource, &change), &change, "it changes no spec");
    }
    for (resource, key, value) in [
        // An owner of another cluster, whose tag decides: the right to take over is not asked for.
        ("sfn/fulfil", "take-over-from", "elsewhere/owners/fulfil"),
        ("sfn/fulfil", "promote", "1"),
        ("sfn/fulfil", "reconcile-now", "1"),
        ("sfnrun/order", "redrive", "1"),
        ("sfnrun/order", "requested-by", "1"),
        ("tb/orders", "reconcile-now", "1"),
    ] {
        let annotation = json!({"metadata": {"annotations": {format!("stepbound.dev/{key}"): value}}});
        refused(patch(resource, &annotation), &annotation, "the operator changes no annotation");
    }
    // The garbage collector deletes what nobody owns any more.
    for resource in ["sfn/fulfil", "sfnrun/order", "tb/orders"] {
        let change = json!({"metadata": {"ownerReferences": [owner_that_is_gone()]}});
        refused(patch(resource, &change), &resource, "the operator changes no owner reference");
    }
    let run = workflow_run("of-nobody", "fulfil", &json!({}));
    let created = as_operator(&tenant, &["-n", "unchanged", "create", "-f", "-"], Some(&run));
    refused(created, &"a run of nobody", "the operator creates runs of schedules");
    let mut of_another = run;
    of_another["metadata"]["ownerReferences"] = json!([{"apiVersion": "other.example/v1", "kind": "WorkflowSchedule",
        "name": "nightly", "uid": "11111111-2222-3333-4444-555555555555", "controller": true}]);
    let created = as_operator(&tenant, &["-n", "unchanged", "create", "-f", "-"], Some(&of_another));
    refused(created, &"a run of another group's schedule", "the operator creates runs of schedules");
}

/// Requirement 30 of docs/security.md: the operator's own account is held.
/// Everywhere but where an administrator has said so by a label.
#[test]
fn requirement_30_cluster_wide_tokens_can_be_bound_to_labelled_namespaces() {
    let tenant = test_bed().tenant_without_operator("labelled");
    test_bed().install_definitions();
    let values = json!({"operator": {"clusterID": "test"}, "tokens": {"mode": "ClusterWide", "namespaceLabels": {"stepbound.dev/tokens": "yes"}},
        "userRoles": {"create": false}});
    // Only the policy under test and the account: the others would hold for every namespace of the test bed.
    let text = tenant
        .bed
        .helm(&["template", "stepbound", support::CHART, "-n", &tenant.system, "-f", "-"], Some(&values.to_string()))
        .unwrap();
    for object in serde_yaml::Deserializer::from_str(&text) {
        let mut object: Value = serde::Deserialize::deserialize(object).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["kind"] == "ServiceAccount" || name.ends_with("-operator-tokens") {
            if object["kind"] == "ServiceAccount" {
                object["metadata"]["namespace"] = json!(tenant.system);
            }
            tenant.bed.control_plane.apply(&object.to_string());
        }
    }
    let_it_mint_everything(&tenant);
    let mint = || {
        let command =
            ["-n", "labelled", "create", "token", "orders", "--audience=sts.amazonaws.com", "--duration=600s"];
        as_operator(&tenant, &command, None)
    };
    let refused =
        wait_until(Duration::from_secs(60), "the policy holds", || mint().err().filter(|said| said.contains("labels")));
    assert!(refused.contains("kubectl label namespace labelled stepbound.dev/tokens=yes"), "{refused}");
    tenant.bed.control_plane.kubectl(&["label", "namespace", "labelled", "stepbound.dev/tokens=yes"]);
    wait_until(Duration::from_secs(60), "the label is seen", || mint().ok());
}
