//! Nulls, empty values and metadata: what says nothing, or nothing of the spec, must not be a wish, a stamp or a hold.

use crate::attribution::{create_as, may_run, records, until_stamps_are_believed};
use crate::*;

type Answer = Result<String, String>;

fn as_user(tenant: &Tenant, user: &str, arguments: &[&str]) -> Answer {
    tenant.bed.control_plane.kubectl_as(user, &[&["-n", tenant.name.as_str()], arguments].concat(), None)
}

fn patch_as(tenant: &Tenant, user: &str, resource: &str, form: &str, patch: &Value) -> Answer {
    as_user(tenant, user, &["patch", resource, &format!("--type={form}"), "-p", &patch.to_string()])
}

fn cancel_null_as(tenant: &Tenant, user: &str, resource: &str) -> Answer {
    patch_as(tenant, user, resource, "json", &json!([{"op": "add", "path": "/spec/cancel", "value": null}]))
}

fn read(tenant: &Tenant, resource: &str) -> Value {
    serde_json::from_str(&tenant.kubectl(&["get", resource, "-o", "json"])).unwrap()
}

fn refused(answer: Answer, words: &[&str]) {
    let said = answer.expect_err(&format!("this was let through, and not refused with {words:?}"));
    for words in words {
        assert!(said.contains(words), "\"{words}\" is not in: {said}");
    }
    assert!(!said.contains("resulted in error") && !said.contains("failed expression"), "{said}");
}

/// Applied by whoever keeps the manifest under the name of a tool.
fn apply_as(tenant: &Tenant, user: &str, object: &Value) -> Answer {
    let arguments =
        ["-n", &tenant.name, "apply", "--server-side", "--validate=false", "--field-manager=tool", "-f", "-"];
    tenant.bed.control_plane.kubectl_as(user, &arguments, Some(&object.to_string()))
}

#[test]
fn a_null_is_no_cancel_and_no_stamp_by_whichever_door() {
    let (tenant, operator) = with_workflow("nulls", 3600);
    for user in ["alice", "mallory"] {
        may_run(&tenant, user);
    }
    if tenant.bed.stamps() {
        until_stamps_are_believed(&tenant);
    }
    let created = workflow_run("created", "fulfil", &json!({"cancel": null, "timeout": null}));
    create_as(&tenant, "alice", &created).unwrap();
    let applied = workflow_run("applied", "fulfil", &json!({"cancel": null, "timeout": null}));
    refused(apply_as(&tenant, "alice", &applied), &["spec.cancel", "must be of type object"]);
    create_as(&tenant, "alice", &workflow_run("patched", "fulfil", &json!({}))).unwrap();
    cancel_null_as(&tenant, "mallory", "sfnrun/patched").unwrap();
    for name in ["created", "patched"] {
        let resource = format!("sfnrun/{name}");
        let run = read(&tenant, &resource);
        assert!(run["spec"].get("cancel").is_none() && run["spec"].get("timeout").is_none(), "{run}");
        assert!(run["metadata"]["annotations"].get("stepbound.dev/cancel-requested-by").is_none(), "{run}");
        tenant.wait_for(&operator, &resource, "Started", "True", "ExecutionStarted");
        let (canceller, cancel) = if name == "patched" { ("alice", "alice's") } else { ("mallory", "mallory's") };
        patch_as(&tenant, canceller, &resource, "merge", &json!({"spec": {"cancel": {"reason": cancel}}})).unwrap();
        let stopped = tenant.wait_for(&operator, &resource, "Finished", "True", "Aborted");
        if !tenant.bed.stamps() {
            continue;
        }
        assert_eq!(stopped["metadata"]["annotations"]["stepbound.dev/cancel-requested-by"], canceller);
        assert_eq!(stopped["status"]["stop"]["requestedBy"], canceller);
        let ours = records(&operator);
        let stop = ours
            .iter()
            .find(|record| record["api"] == "states:StopExecution" && record["uid"] == stopped["metadata"]["uid"]);
        assert_eq!(stop.expect("it was stopped")["requester"], canceller);
    }
    tenant.delete_all(&operator);
}

#[test]
fn a_null_is_as_if_the_field_were_left_out_for_every_rule_and_policy() {
    let tenant = test_bed().tenant("leftout");
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["definitionFrom"] = json!(null);
    workflow["spec"]["logging"] = json!({"level": "None", "logGroupARN": null});
    let mut run = workflow_run("aliased", "fulfil", &json!({"inputFrom": null, "input": {"kept": null}}));
    run["spec"]["workflowRef"] = json!({"name": "fulfil", "alias": "live", "version": null});
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "yearly"},
        "spec": {"schedule": "0 0 1 1 *", "runTemplate": {"metadata": null, "spec": {"workflowRef": {"name": "fulfil"}, "inputFrom": null, "timeout": null}}}});
    let provider = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "pool"},
        "spec": {"issuer": "https://issuer.example", "clientAuthentication": {"type": "TokenExchange", "clientID": "c", "secretKeyRef": null}}});
    crate::admission::may_edit(
        &tenant,
        "alice",
        &[crate::admission::minting("orders"), crate::admission::using("orders")],
    );
    for object in [&workflow, &run, &schedule, &provider] {
        create_as(&tenant, "alice", object).unwrap_or_else(|why| panic!("{}: {why}", object["kind"]));
    }
    assert_eq!(read(&tenant, "sfnrun/aliased")["spec"]["input"], json!({"kept": null}), "free JSON keeps its nulls");
    let mut with_item = tenant.workflow("listed", &waiting(0));
    with_item["spec"]["aliases"] = json!([null]);
    refused(create_as(&tenant, "alice", &with_item), &["spec.aliases[0]"]);
    run["metadata"]["name"] = json!("versioned");
    run["spec"]["input"] = json!(null);
    create_as(&tenant, "alice", &run).unwrap();
    assert_eq!(read(&tenant, "sfnrun/versioned")["spec"].get("input"), Some(&json!(null)), "null is an input");
}

/// As definitions before had it, stored, and read by these.
#[test]
fn a_null_that_was_stored_before_the_upgrade_is_gone_after_it() {
    let bed = test_bed();
    let plane = &bed.control_plane;
    let mut definition: Value =
        serde_json::from_str(&plane.kubectl(&["get", "crd", "workflowruns.stepbound.dev", "-o", "json"])).unwrap();
    let annotations = json!({"api-approved.kubernetes.io": "unapproved"});
    definition["metadata"] = json!({"name": "workflowruns.before.example", "annotations": annotations});
    definition["spec"]["group"] = json!("before.example");
    definition["spec"]["names"] = json!({"kind": "WorkflowRun", "plural": "workflowruns"});
    definition.as_object_mut().unwrap().remove("status");
    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let mut before = definition.clone();
    before.pointer_mut(properties).unwrap()["cancel"]["nullable"] = json!(true);
    before.pointer_mut(properties).unwrap()["timeout"]["nullable"] = json!(true);
    plane.apply(&before.to_string());
    plane.kubectl(&["create", "namespace", "before"]);
    let mut run = workflow_run("old", "fulfil", &json!({"cancel": null, "timeout": null}));
    run["apiVersion"] = json!("before.example/v1alpha1");
    wait_until(Duration::from_secs(60), "the kind is there", || {
        plane.try_kubectl(&["-n", "before", "create", "--validate=false", "-f", "-"], Some(&run.to_string())).ok()
    });
    let resource = ["-n", "before", "get", "workflowruns.before.example/old", "-o", "json"];
    let stored: Value = serde_json::from_str(&plane.kubectl(&resource)).unwrap();
    assert!(stored["spec"].get("cancel").is_some_and(Value::is_null), "{stored}");
    plane.apply(&definition.to_string());
    wait_until(Duration::from_secs(60), "the null is gone", || {
        let now: Value = serde_json::from_str(&plane.kubectl(&resource)).unwrap();
        (now["spec"].get("cancel").is_none() && now["spec"].get("timeout").is_none()).then_some(())
    });
    // Neither is it in the object as it was, which rules of changes are told.
    let cancel = r#"{"spec": {"cancel": {"reason": "now"}}}"#;
    let patch = ["-n", "before", "patch", "workflowruns.before.example/old", "--type=merge", "-p", cancel];
    plane.try_kubectl(&patch, None).unwrap();
    plane.kubectl(&["delete", "crd", "workflowruns.before.example"]);
    plane.kubectl(&["delete", "namespace", "before", "--wait=false"]);
}

fn redriven(run: &Value) -> usize {
    run["status"]["attempts"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_redrive_is_of_whoever_wrote_its_value_and_the_empty_value_is_none() {
    let tenant = test_bed().tenant("redrive-doors");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let fails = json!({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "E", "Cause": "c"}}});
    tenant.apply(&tenant.workflow("fulfil", &fails));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    for user in ["alice", "mallory"] {
        may_run(&tenant, user);
    }
    if tenant.bed.stamps() {
        until_stamps_are_believed(&tenant);
    }
    create_as(&tenant, "alice", &workflow_run("order", "fulfil", &json!({}))).unwrap();
    tenant.wait_for(&operator, "sfnrun/order", "Finished", "True", "ExecutionFailed");
    let ask = |user: &str, value: &str| {
        as_user(&tenant, user, &["annotate", "--overwrite", "sfnrun/order", &format!("stepbound.dev/redrive{value}")])
    };
    let stays_at = |attempts: usize, what: &str| {
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(redriven(&read(&tenant, "sfnrun/order")), attempts, "{what}");
    };
    let becomes = |attempts: usize, by: &str| {
        let run = wait_until(Duration::from_secs(60), "the redrive", || {
            Some(read(&tenant, "sfnrun/order"))
                .filter(|run| redriven(run) == attempts && run["status"]["phase"] == "Failed")
        });
        if tenant.bed.stamps() {
            assert_eq!(run["status"]["attempts"][attempts - 1]["requestedBy"], by, "{run}");
        }
    };
    ask("mallory", "=").unwrap();
    stays_at(1, "the empty value asks for nothing");
    ask("alice", "=1").unwrap();
    becomes(2, "alice");
    ask("alice", "-").unwrap();
    ask("mallory", "=").unwrap();
    stays_at(2, "nothing is asked for under alice's name");
    ask("mallory", "=2").unwrap();
    becomes(3, "mallory");
    // Taken away by another and written again: it is of who writes it.
    ask("alice", "-").unwrap();
    ask("mallory", "=3").unwrap();
    becomes(4, "mallory");
    let forged = json!({"metadata": {"annotations": {"stepbound.dev/redrive-requested-by": "alice"}}});
    refused(patch_as(&tenant, "mallory", "sfnrun/order", "merge", &forged), &["redrive-requested-by"]);
    let long = json!({"metadata": {"annotations": {"stepbound.dev/redrive-requested-by": "a".repeat(9000)}}});
    refused(patch_as(&tenant, "mallory", "sfnrun/order", "merge", &long), &["redrive-requested-by"]);
    tenant.delete_all(&operator);
}

#[test]
fn a_run_of_a_schedule_cannot_be_taken_from_it() {
    let (tenant, operator) = with_workflow("detached", 3600);
    may_run(&tenant, "mallory");
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "tick"},
        "spec": {"schedule": "* * * * *", "concurrencyPolicy": "Replace", "runTemplate": {"spec": {"workflowRef": {"name": "fulfil"}}}}});
    tenant.apply(&schedule);
    let first = wait_until(Duration::from_secs(90), "a run of the schedule", || {
        let listed = tenant.kubectl(&["get", "sfnrun", "-l", "stepbound.dev/schedule=tick", "-o", "name"]);
        listed.lines().next().map(str::to_owned)
    });
    tenant.wait_for(&operator, &first, "Started", "True", "ExecutionStarted");
    let stays = "a run of a WorkflowSchedule stays its run";
    let merge = |patch: Value| patch_as(&tenant, "mallory", &first, "merge", &patch);
    refused(merge(json!({"metadata": {"ownerReferences": null}})), &[stays, "metadata.ownerReferences"]);
    refused(
        merge(json!({"metadata": {"labels": {"stepbound.dev/schedule": null}}})),
        &[stays, "stepbound.dev/schedule"],
    );
    refused(merge(json!({"metadata": {"labels": {"stepbound.dev/schedule": ""}}})), &[stays]);
    let weaker = json!([{"op": "replace", "path": "/metadata/ownerReferences/0/controller", "value": false}]);
    refused(patch_as(&tenant, "mallory", &first, "json", &weaker), &[stays]);
    let renamed = json!([{"op": "replace", "path": "/metadata/ownerReferences/0/uid", "value": "11111111-2222-3333-4444-555555555555"}]);
    refused(patch_as(&tenant, "mallory", &first, "json", &renamed), &["WorkflowSchedule"]);
    refused(merge(json!({"metadata": {"finalizers": null}})), &["stepbound.dev/finalizer"]);
    // A null as cancel stops no Replace.
    cancel_null_as(&tenant, "mallory", &first).unwrap();
    wait_until(Duration::from_secs(120), "the next run", || {
        let listed = tenant.kubectl(&["get", "sfnrun", "-l", "stepbound.dev/schedule=tick", "-o", "name"]);
        listed.lines().find(|name| *name != first).map(str::to_owned)
    });
    tenant.delete_all(&operator);
}

#[test]
fn who_may_only_ask_for_histories_can_leave_nothing_that_stays() {
    let tenant = test_bed().tenant("holding");
    let rules =
        json!([{"apiGroups": ["stepbound.dev"], "resources": ["executionhistories"], "verbs": ["create", "delete"]}]);
    tenant.bed.control_plane.grant("mallory", &tenant.name, &rules);
    let history = |metadata: Value| {
        let mut metadata = metadata;
        metadata["name"] = json!("held");
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "metadata": metadata,
            "spec": {"workflowRunRef": {"name": "none"}}})
    };
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let owner =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "11111111-2222-3333-4444-555555555555"}]);
    for (metadata, words) in [
        (json!({"finalizers": ["x.example/hold"]}), "carries no finalizers (x.example/hold)"),
        (json!({"finalizers": ["foregroundDeletion"]}), "carries no finalizers"),
        (json!({"finalizers": ["stepbound.dev/finalizer"]}), "carries no finalizers"),
        (json!({"ownerReferences": owner}), "has no owners"),
        (json!({"labels": many(17)}), "at most 16 labels"),
        (json!({"annotations": many(17)}), "at most 16 annotations"),
    ] {
        refused(create_as(&tenant, "mallory", &history(metadata)), &[words]);
    }
    create_as(&tenant, "mallory", &history(json!({"labels": many(15)}))).unwrap();
    as_user(&tenant, "mallory", &["delete", "executionhistory/held", "--wait=false"]).unwrap();
}

#[test]
fn a_run_is_not_blown_up_by_its_metadata() {
    let tenant = test_bed().tenant("blownup");
    for user in ["alice", "mallory"] {
        may_run(&tenant, user);
    }
    create_as(&tenant, "alice", &workflow_run("order", "fulfil", &json!({}))).unwrap();
    let many = |count: usize, prefix: &str| {
        (0..count).map(|n| (format!("{prefix}{n}"), json!("v"))).collect::<serde_json::Map<_, _>>()
    };
    let merge = |patch: Value| patch_as(&tenant, "mallory", "sfnrun/order", "merge", &patch);
    refused(merge(json!({"metadata": {"labels": many(65, "l")}})), &["metadata.labels", "64 are allowed"]);
    refused(merge(json!({"metadata": {"annotations": many(80, "a")}})), &["metadata.annotations", "64 are allowed"]);
    let ours = std::iter::once("stepbound.dev/finalizer".to_owned());
    let finalizers: Vec<String> = ours.chain((0..17).map(|n| format!("x.example/{n}"))).collect();
    refused(merge(json!({"metadata": {"finalizers": finalizers}})), &["metadata.finalizers", "16 are allowed"]);
    merge(json!({"metadata": {"labels": many(64, "l")}})).unwrap();
    let long = workflow_run("long", "fulfil", &json!({"input": "a".repeat(262_145)}));
    refused(create_as(&tenant, "alice", &long), &["spec.input is longer than the 262,144 bytes"]);
    // Each tool that applies has an entry of its own of what it wrote.
    let by = |manager: usize| {
        let run = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "order"},
            "spec": {"workflowRef": {"name": "fulfil"}}});
        let arguments = ["-n", "blownup", "apply", "--server-side", &format!("--field-manager=m{manager}"), "-f", "-"];
        tenant.bed.control_plane.kubectl_as("mallory", &arguments, Some(&run.to_string()))
    };
    let said = (0..40).find_map(|manager| by(manager).err()).expect("there is a bound");
    assert!(said.contains("field managers write this object, and 24 are allowed"), "{said}");
}

#[test]
fn a_refusal_helps_whatever_the_name_of_who_is_refused() {
    let tenant = test_bed().tenant("names");
    let rules = json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflows"], "verbs": ["create", "get"]}]);
    let (long, longer) = ("n".repeat(2000), "m".repeat(6000));
    let cases = [
        ("O'Brien", r"--user='O'\''Brien'"),
        ("bob smith", "--user='bob smith'"),
        ("bob", "--user=bob"),
        ("a$(id)", "--user='a$(id)'"),
        ("böb", "--user=USER"),
        (long.as_str(), "--user=USER"),
        (longer.as_str(), "--user=USER"),
    ];
    let subjects: Vec<Value> = cases
        .iter()
        .map(|(name, _)| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}))
        .collect();
    let metadata = json!({"name": "names", "namespace": "names"});
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "names"}});
    for object in [role, binding] {
        tenant.bed.control_plane.apply(&object.to_string());
    }
    let workflow = tenant.workflow("fulfil", &waiting(0)).to_string();
    for (name, words) in cases {
        let create = ["-n", "names", "create", "-f", "-", "--as", name];
        let answer = tenant.bed.control_plane.try_kubectl(&create, Some(&workflow));
        refused(answer, &["may not use TrustBinding names/orders", words]);
    }
}
