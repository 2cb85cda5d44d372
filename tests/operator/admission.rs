//! What the API server itself refuses, by the policies of the chart, asked by people under RBAC.

use crate::attribution::{create_as, may_run};
use crate::*;

/// Rights on our kinds, as a team gives them to those who deliver.
pub(crate) fn may_edit(tenant: &Tenant, user: &str, more: &[Value]) {
    let own = json!({"apiGroups": ["stepbound.dev"], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        "resources": ["trustbindings", "workflows", "workflowruns", "workflowschedules", "activities", "identityproviders"]});
    let rules: Vec<Value> = more.iter().cloned().chain([own]).collect();
    tenant.bed.control_plane.grant(user, &tenant.name, &json!(rules));
}

/// The right to create tokens of one account.
pub(crate) fn minting(account: &str) -> Value {
    json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [account], "verbs": ["create"]})
}

/// The right to have Workflows act through one binding.
pub(crate) fn using(binding: &str) -> Value {
    json!({"apiGroups": ["stepbound.dev"], "resources": ["trustbindings"], "resourceNames": [binding], "verbs": ["use"]})
}

/// Requirement 2 of docs/security.md: only who could create the account's token may create or change a binding to it.
#[test]
fn requirement_02_only_who_could_mint_the_token_may_bind() {
    let tenant = test_bed().tenant("minting");
    may_edit(&tenant, "alice", &[minting("orders")]);
    may_edit(&tenant, "bob", &[]);
    let refused = create_as(&tenant, "bob", &tenant.binding("orders")).unwrap_err();
    assert!(refused.contains("ValidatingAdmissionPolicy 'minting-system-stepbound-bindings'"), "{refused}");
    assert!(refused.contains("user bob may not create tokens of service account minting/orders"), "{refused}");
    let grant = "kubectl create role stepbound-bind-orders -n minting --verb=create --resource=serviceaccounts/token --resource-name=orders; \
                 kubectl create rolebinding stepbound-bind-orders-bob -n minting --role=stepbound-bind-orders --user=bob";
    assert!(refused.contains(grant), "{refused}");
    create_as(&tenant, "alice", &tenant.binding("orders")).unwrap();

    // Change counts as creation does; a label does not.
    let change =
        ["-n", "minting", "patch", "tb/orders", "--type=merge", "-p", r#"{"spec": {"sessionDuration": "2h"}}"#];
    let refused = tenant.bed.control_plane.kubectl_as("bob", &change, None).unwrap_err();
    assert!(refused.contains("may not create tokens"), "{refused}");
    tenant.bed.control_plane.kubectl_as("bob", &["-n", "minting", "label", "tb/orders", "team=a"], None).unwrap();
    tenant.bed.control_plane.kubectl_as("alice", &change, None).unwrap();

    // Another account of the namespace is another right.
    tenant.kubectl(&["create", "serviceaccount", "admin"]);
    let mut stronger = tenant.binding("stronger");
    stronger["spec"]["serviceAccountName"] = json!("admin");
    let refused = create_as(&tenant, "alice", &stronger).unwrap_err();
    assert!(refused.contains("service account minting/admin"), "{refused}");
}

/// Requirement 4 of docs/security.md: never the account `default`.
#[test]
fn requirement_04_the_account_default_is_never_bound() {
    let tenant = test_bed().tenant("shared-account");
    let mut binding = tenant.binding("shared");
    binding["spec"]["serviceAccountName"] = json!("default");
    let refused = tenant.try_apply(&binding).unwrap_err();
    assert!(refused.contains("the account 'default' is shared by every pod that names none"), "{refused}");
}

/// Requirement 1 of docs/security.md: account, binding, Workflow and run in one namespace; no namespace field.
#[test]
fn requirement_01_an_object_that_names_another_namespace_is_refused() {
    let tenant = test_bed().tenant("one-namespace");
    let mut binding = tenant.binding("orders");
    binding["spec"]["serviceAccountNamespace"] = json!("kube-system");
    let refused = tenant.try_apply(&binding).unwrap_err();
    assert!(refused.contains("serviceAccountNamespace"), "{refused}");
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["trustBindingRef"]["namespace"] = json!("kube-system");
    let refused = tenant.try_apply(&workflow).unwrap_err();
    assert!(refused.contains("trustBindingRef.namespace"), "{refused}");
}

/// Requirement 19 of docs/security.md: execution roles checked; ConfigMaps readable by their author.
#[test]
fn requirement_19_who_may_not_read_a_config_map_may_not_have_the_operator_read_it() {
    let tenant = test_bed().tenant("readers");
    let names = || (0..8).map(|number| format!("own-{number}")).chain(["own".to_owned()]);
    let own = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names().collect::<Vec<_>>(), "verbs": ["get"]});
    may_edit(&tenant, "alice", &[own, using("orders")]);
    let with_input = |name: &str, map: &str| {
        let from = json!({"inputFrom": {"configMapKeyRef": {"name": map, "key": "input"}}});
        create_as(&tenant, "alice", &workflow_run(name, "fulfil", &from))
    };
    with_input("allowed", "own").unwrap();
    let refused = with_input("denied", "others").unwrap_err();
    assert!(refused.contains("user alice may not read ConfigMap others in namespace readers, so"), "{refused}");
    let grant = "kubectl create role stepbound-read-configmap-others -n readers --verb=get --resource=configmaps --resource-name=others; kubectl create rolebinding";
    assert!(refused.contains(grant), "{refused}");
    let with_definition = |name: &str, map: &str, field: &str| {
        let mut workflow = tenant.workflow(name, &waiting(0));
        let spec = workflow["spec"].as_object_mut().unwrap();
        if field == "definitionFrom" {
            spec.remove("definition");
            spec.insert(field.into(), json!({"configMapKeyRef": {"name": map, "key": "asl"}}));
        } else {
            spec.insert(field.into(), json!([{"configMapRef": {"name": map}}]));
        }
        create_as(&tenant, "alice", &workflow)
    };
    for field in ["definitionFrom", "substitutionsFrom"] {
        let name = field.to_lowercase();
        with_definition(&name, "own", field).unwrap();
        let refused = with_definition(&format!("{name}-denied"), "others", field).unwrap_err();
        assert!(refused.contains("may not read ConfigMap others in namespace readers"), "{refused}");
    }
    as_many_as_the_schema_takes(&tenant);
    tenant.bed.control_plane.kubectl(&["delete", "namespace", "readers", "--wait=false"]);
    // Nobody runs here who would take the finalizers away.
    for object in tenant.kubectl(&["get", "sfn,sfnrun", "-o", "name"]).lines() {
        tenant.kubectl(&["patch", object, "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
    }
}

/// A definition and eight sources of substitutions: asking for each costs more than one rule may cost.
fn as_many_as_the_schema_takes(tenant: &Tenant) {
    let naming = |name: &str, sources: &[String]| {
        let mut workflow = tenant.workflow(name, &waiting(0));
        let spec = workflow["spec"].as_object_mut().unwrap();
        spec.remove("definition");
        spec.insert("definitionFrom".into(), json!({"configMapKeyRef": {"name": "own", "key": "asl"}}));
        let from = |source: &String| json!({"configMapRef": {"name": source}});
        spec.insert("substitutionsFrom".into(), sources.iter().map(from).collect());
        workflow
    };
    let all: Vec<String> = (0..8).map(|number| format!("own-{number}")).collect();
    for count in [2, 5, 8] {
        create_as(tenant, "alice", &naming(&format!("many-{count}"), &all[..count])).unwrap();
    }
    tenant.try_apply(&naming("by-administrator", &all)).unwrap();
    let system = [
        "create",
        "--dry-run=server",
        "-f",
        "-",
        "-n",
        &tenant.name,
        "--as=cluster-admin",
        "--as-group=system:masters",
    ];
    let by_engine = naming("by-engine", &all).to_string();
    tenant.bed.control_plane.try_kubectl(&system, Some(&by_engine)).unwrap();
    for place in 0..8 {
        let mut mixed = all.clone();
        mixed[place] = format!("others-{place}");
        let refused = create_as(tenant, "alice", &naming("mixed", &mixed)).unwrap_err();
        assert!(
            refused.contains(&format!("may not read ConfigMap others-{place} in namespace readers, so")),
            "{refused}"
        );
    }
    let nine: Vec<String> = (0..9).map(|number| format!("own-{number}")).collect();
    let refused = tenant.try_apply(&naming("nine", &nine)).unwrap_err();
    assert!(refused.contains("must have at most 8 items"), "{refused}");
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "nightly"},
        "spec": {"schedule": "@daily", "runTemplate": {"spec": {"workflowRef": {"name": "fulfil"},
            "inputFrom": {"configMapKeyRef": {"name": "others", "key": "input"}}}}}});
    let refused = create_as(tenant, "alice", &schedule).unwrap_err();
    assert!(refused.contains("may not read ConfigMap others in"), "{refused}");
}

/// What a run names is fixed when it is created: who stops it need not be able to read its input.
#[test]
fn a_run_is_cancelled_by_who_may_not_read_its_input() {
    let tenant = test_bed().tenant("cancellers");
    may_run(&tenant, "bob");
    tenant.apply(&workflow_run(
        "order",
        "fulfil",
        &json!({"inputFrom": {"configMapKeyRef": {"name": "others", "key": "k"}}}),
    ));
    let cancel = ["-n", "cancellers", "patch", "sfnrun/order", "--type=merge", "-p", r#"{"spec": {"cancel": {}}}"#];
    tenant.bed.control_plane.kubectl_as("bob", &cancel, None).unwrap();
}

#[test]
fn an_input_that_changes_is_refused_and_labels_are_free() {
    let tenant = test_bed().tenant("guarded-inputs");
    may_run(&tenant, "alice");
    create_as(&tenant, "alice", &workflow_run("order", "fulfil", &json!({"input": {"a": [1, null]}}))).unwrap();
    let patch = |patch: &str| {
        let command = ["-n", "guarded-inputs", "patch", "sfnrun/order", "--type=merge", "-p", patch];
        tenant.bed.control_plane.kubectl_as("alice", &command, None)
    };
    for change in [r#"{"spec": {"input": {"a": [2]}}}"#, r#"{"spec": {"input": null}}"#] {
        let refused = patch(change).unwrap_err();
        assert!(refused.contains("spec.input cannot be changed; create another WorkflowRun"), "{change}: {refused}");
    }
    patch(r#"{"metadata": {"labels": {"team": "a"}}}"#).unwrap();
    patch(r#"{"spec": {"cancel": {"reason": "no"}}}"#).unwrap();
}

/// A chart writes `annotations:` where it has none, and an apply of an empty map over a full one leaves the same: null.
#[test]
fn empty_metadata_of_an_apply_is_refused_by_no_policy() {
    let tenant = test_bed().tenant("empty-metadata");
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let reference = json!({"name": "fulfil"});
    let objects = [
        tenant.binding("orders"),
        tenant.workflow("fulfil", &waiting(0)),
        workflow_run("order", "fulfil", &json!({})),
        object("Activity", "pack", json!({"trustBindingRef": {"name": "orders"}})),
        object("ExecutionHistory", "order", json!({"workflowRunRef": {"name": "order"}})),
        object(
            "WorkflowSchedule",
            "nightly",
            json!({"schedule": "0 5 * * *", "suspend": true, "runTemplate": {"spec": {"workflowRef": reference}}}),
        ),
    ];
    let empty = [
        ("labels", json!({})),
        ("labels", Value::Null),
        ("annotations", json!({})),
        ("annotations", Value::Null),
        ("finalizers", json!([])),
        ("ownerReferences", json!([])),
        ("ownerReferences", Value::Null),
    ];
    for object in &objects {
        for (field, value) in &empty {
            let mut object = object.clone();
            object["metadata"][field] = value.clone();
            for verb in [&["create"][..], &["apply", "--server-side"]] {
                let arguments = [&["-n", tenant.name.as_str()], verb, &["--dry-run=server", "-f", "-"]].concat();
                let answer = tenant.bed.control_plane.try_kubectl(&arguments, Some(&object.to_string()));
                assert!(answer.is_ok(), "{verb:?} {field} {value} {}: {answer:?}", object["kind"]);
            }
        }
    }
}
