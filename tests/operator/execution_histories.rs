//! Histories of executions, read for people who have no role of AWS: by whom, onto pages that nobody else writes.

use crate::attribution::create_as;
use crate::held::as_operator;
use crate::*;

fn history(name: &str, more: &Value) -> Value {
    let mut spec = json!({"workflowRunRef": {"name": "order"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "metadata": {"name": name}, "spec": spec})
}

/// Gives a user a role of the chart.
fn bind(tenant: &Tenant, user: &str, role: &str) {
    let role = format!("{}-stepbound-{role}", tenant.system);
    let name = format!("{user}-{role}");
    tenant.kubectl(&["create", "rolebinding", &name, &format!("--clusterrole={role}"), &format!("--user={user}")]);
}

fn can(tenant: &Tenant, user: &str, what: &[&str]) -> bool {
    let question = [&["auth", "can-i", "-n", &tenant.name], what].concat();
    tenant.bed.control_plane.kubectl_as(user, &question, None).is_ok()
}

fn complete(tenant: &Tenant, operator: &Process, name: &str) -> Value {
    tenant.wait_for(operator, &format!("sfnhist/{name}"), "Ready", "True", "HistoryRead")
}

/// A run that has ended, with a secret in its input.
fn with_ended_run(name: &str) -> (Tenant, Process) {
    let (tenant, operator) = with_workflow(name, 0);
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"pin": "hunter2hunter2"}})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    (tenant, operator)
}

/// Requirement 31 of docs/security.md: what went in and out of states for whoever may read it, and pages by the operator alone.
#[test]
fn requirement_31_data_is_read_for_who_may_read_it_and_for_nobody_else() {
    let (tenant, operator) = with_ended_run("told");
    tenant.apply(&history("plain", &json!({})));
    let plain = complete(&tenant, &operator, "plain");
    assert_eq!(plain["status"]["phase"], "Complete");
    let visited: Vec<&Value> =
        plain["status"]["timeline"]["visits"].as_array().unwrap().iter().map(|visit| &visit["state"]).collect();
    assert_eq!(visited, ["Wait", "Done"]);
    let page = tenant.get("executionhistorypage/plain-1").unwrap();
    let types: Vec<&str> =
        page["spec"]["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(types.contains(&"WaitStateEntered") && types.last() == Some(&"ExecutionSucceeded"), "{types:?}");
    assert!(!format!("{plain}{page}").contains("hunter2"), "nobody asked for data");
    assert!(tenant.get("executiondatapage/plain-1").is_none());

    bind(&tenant, "alice", "view");
    wait_until(Duration::from_secs(60), "the role holds", || {
        can(&tenant, "alice", &["create", "executionhistories"]).then_some(())
    });
    let asked = history("whole", &json!({"includeData": true}));
    let refused = create_as(&tenant, "alice", &asked).unwrap_err();
    assert!(refused.contains("ValidatingAdmissionPolicy 'told-system-stepbound-history-data'"), "{refused}");
    assert!(refused.contains("user alice may not read executiondatapages in namespace told"), "{refused}");
    crate::rights_of_authors::run_as_printed(&tenant, &refused, "kubectl create role ");
    wait_until(Duration::from_secs(60), "the Role holds", || create_as(&tenant, "alice", &asked).ok());
    let whole = complete(&tenant, &operator, "whole");
    assert!(!whole.to_string().contains("hunter2"), "data is on pages of its own");
    let read = ["-n", "told", "get", "executiondatapage/whole-1", "-o", "json"];
    let data = tenant.bed.control_plane.kubectl_as("alice", &read, None).unwrap();
    assert!(data.contains("hunter2hunter2"), "{data}");
    assert!(!operator.log_text().contains("hunter2"), "nor in the log");
    if tenant.bed.stamps() {
        assert_eq!(whole["metadata"]["annotations"]["stepbound.dev/requested-by"], "alice");
    }
}

/// Requirement 31 of docs/security.md: what went in and out of states for whoever may read it, and pages by the operator alone.
#[test]
fn requirement_31_view_asks_for_histories_and_sees_no_data() {
    let tenant = test_bed().tenant("viewers");
    bind(&tenant, "alice", "view");
    bind(&tenant, "bob", "data");
    wait_until(Duration::from_secs(60), "the roles hold", || {
        (can(&tenant, "alice", &["list", "executionhistories"]) && can(&tenant, "bob", &["get", "executiondatapages"]))
            .then_some(())
    });
    for verb in ["create", "get", "list", "watch", "delete"] {
        assert!(can(&tenant, "alice", &[verb, "executionhistories"]), "{verb}");
    }
    for verb in ["get", "list", "watch"] {
        assert!(can(&tenant, "alice", &[verb, "executionhistorypages"]), "{verb}");
        assert!(!can(&tenant, "alice", &[verb, "executiondatapages"]), "{verb}");
        assert!(can(&tenant, "bob", &[verb, "executiondatapages"]), "{verb}");
    }
    for role in ["view", "data", "run", "edit", "use", "bind"] {
        bind(&tenant, "mallory", role);
    }
    wait_until(Duration::from_secs(60), "the roles hold", || {
        can(&tenant, "mallory", &["use", "trustbindings"]).then_some(())
    });
    for kind in ["executionhistorypages", "executiondatapages"] {
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            assert!(!can(&tenant, "mallory", &[verb, kind]), "{verb} {kind}");
        }
    }
    assert!(!can(&tenant, "mallory", &["update", "executionhistories/status"]));
}

/// Requirement 31 of docs/security.md: what went in and out of states for whoever may read it, and pages by the operator alone.
#[test]
fn requirement_31_pages_are_written_by_the_operator_alone() {
    let (tenant, operator) = with_ended_run("forged");
    tenant.apply(&history("plain", &json!({"includeData": true})));
    complete(&tenant, &operator, "plain");
    let owner = |name: &str, uid: &Value| {
        json!([{"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "name": name,
        "uid": uid, "controller": true}])
    };
    let uid = tenant.get("sfnhist/plain").unwrap()["metadata"]["uid"].clone();
    let every = json!([{"apiGroups": ["stepbound.dev"], "resources": ["executionhistorypages", "executiondatapages", "executionhistories", "executionhistories/status"],
        "verbs": ["get", "create", "update", "patch", "delete"]}]);
    tenant.bed.control_plane.grant("mallory", "forged", &every);
    for kind in ["ExecutionHistoryPage", "ExecutionDataPage"] {
        let page = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": "plain-9", "ownerReferences": owner("plain", &uid)},
            "spec": {"number": 9}});
        let refused = create_as(&tenant, "mallory", &page).unwrap_err();
        assert!(refused.contains("ValidatingAdmissionPolicy 'forged-system-stepbound-operator-pages'"), "{refused}");
        assert!(refused.contains("pages of a history are written by the operator alone"), "{refused}");
        let resource = format!("{}/plain-1", kind.to_lowercase());
        for change in [
            json!({"spec": {"number": 2}}),
            json!({"metadata": {"ownerReferences": null}}),
            json!({"metadata": {"ownerReferences": [crate::held::owner_that_is_gone()]}}),
            json!({"metadata": {"labels": {"a": "b"}}}),
            json!({"metadata": {"annotations": {"a": "b"}}}),
        ] {
            let patch = change.to_string();
            let command = ["-n", "forged", "patch", &resource, "--type=merge", "-p", &patch];
            let refused = tenant.bed.control_plane.kubectl_as("mallory", &command, None).unwrap_err();
            assert!(refused.contains("written by the operator alone"), "{change}: {refused}");
        }
        // The operator's own account writes pages of a history, and nothing else of these kinds.
        for (name, owners) in
            [("plain-x", owner("plain", &uid)), ("other-1", owner("plain", &uid)), ("plain-8", json!([]))]
        {
            let mut page = page.clone();
            page["metadata"] = json!({"name": name, "ownerReferences": owners});
            let refused = as_operator(&tenant, &["-n", "forged", "create", "-f", "-"], Some(&page)).unwrap_err();
            assert!(refused.contains("writes pages of histories"), "{name}: {refused}");
        }
    }
    let status = json!({"status": {"timeline": {"visits": [], "observedEventID": 1}, "phase": "Pending"}}).to_string();
    let command = ["-n", "forged", "patch", "sfnhist/plain", "--subresource=status", "--type=merge", "-p", &status];
    let refused = tenant.bed.control_plane.kubectl_as("mallory", &command, None).unwrap_err();
    assert!(refused.contains("the status of executionhistories is written by the operator alone"), "{refused}");
    let spec = r#"{"spec": {"includeData": false}}"#;
    let command = ["-n", "forged", "patch", "sfnhist/plain", "--type=merge", "-p", spec];
    let refused = tenant.bed.control_plane.kubectl_as("mallory", &command, None).unwrap_err();
    assert!(refused.contains("the spec of an ExecutionHistory cannot be changed"), "{refused}");
}

/// The garbage collector is told to leave the pages: they would stay for ever, and nobody could delete them.
/// Requirement 31 of docs/security.md: what went in and out of states for whoever may read it, and pages by the operator alone.
#[test]
fn requirement_31_no_page_stays_behind() {
    let (tenant, operator) = with_ended_run("left-behind");
    let pages = || tenant.kubectl(&["get", "executionhistorypages,executiondatapages", "-o", "name"]);
    for (name, how) in
        [("orphaned", "--cascade=orphan"), ("usual", "--cascade=background"), ("waited", "--cascade=foreground")]
    {
        tenant.apply(&history(name, &json!({"includeData": true})));
        complete(&tenant, &operator, name);
        assert_eq!(pages().lines().count(), 2);
        tenant.kubectl(&["delete", &format!("sfnhist/{name}"), how, "--timeout=40s"]);
        wait_until(Duration::from_secs(90), "the pages have gone", || pages().is_empty().then_some(()));
    }
    tenant.apply(&history("short", &json!({"ttlAfterFinished": "1s"})));
    wait_until(Duration::from_secs(90), "its time has passed", || {
        (tenant.get("sfnhist/short").is_none() && pages().is_empty()).then_some(())
    });
}

#[test]
fn a_run_is_followed_to_its_end() {
    let (tenant, operator) = with_workflow("followed", 8);
    tenant.apply(&history("live", &json!({"follow": true})));
    tenant.wait_for(&operator, "sfnhist/live", "Ready", "False", "RunNotFound");
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    wait_until(Duration::from_secs(90), "its first state is told", || {
        let told = tenant.get("sfnhist/live")?;
        let visit = told["status"]["timeline"]["visits"][0].clone();
        (told["status"]["phase"] == "Reading" && visit["state"] == "Wait" && visit["result"] == "Running").then_some(())
    });
    let told = complete(&tenant, &operator, "live");
    let results: Vec<&Value> =
        told["status"]["timeline"]["visits"].as_array().unwrap().iter().map(|visit| &visit["result"]).collect();
    assert_eq!(results, ["Succeeded", "Succeeded"]);
    assert_eq!(tenant.get("sfnrun/order").unwrap()["status"]["phase"], "Succeeded");
}

#[test]
fn an_express_run_says_where_its_log_is() {
    let (tenant, operator) = with_express("unlogged");
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Ready", "True", "Dispatched");
    tenant.apply(&history("none", &json!({})));
    let told = tenant.wait_for(&operator, "sfnhist/none", "Failed", "True", "HistoryNotSupported");
    assert!(condition(&told, "Ready").unwrap()["message"].as_str().unwrap().contains("set spec.logging"), "{told}");
    tenant.kubectl(&["wait", "sfnhist/none", "--for=jsonpath={.status.phase}=Failed", "--timeout=1s"]);
}

/// Step Functions keeps no history of Express executions; their log has it.
#[test]
fn the_history_of_an_express_run_is_read_from_its_log() {
    let tenant = test_bed().tenant("logged-history");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let group = crate::express_results::log_group("logged-history");
    tenant.bed.front.delay_log(&group, Duration::from_secs(3));
    // Of a run that is only handed over, too.
    let mut workflow = crate::express_results::from_logs(&tenant, &waiting(0));
    workflow["spec"]["expressResults"] = json!("Dispatched");
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"pin": "hunter2hunter2"}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Ready", "True", "Dispatched");
    let forged = json!({"id": "2", "type": "WaitStateEntered", "details": {"name": "Forged"}, "previous_event_id": "1",
        "event_timestamp": jiff::Timestamp::now().as_millisecond().to_string(),
        "execution_arn": format!("{}0", run["status"]["executionARN"].as_str().unwrap())});
    tenant.bed.front.write_log(&group, &forged);
    tenant.apply(&history("plain", &json!({})));
    let told = complete(&tenant, &operator, "plain");
    let visited: Vec<&Value> =
        told["status"]["timeline"]["visits"].as_array().unwrap().iter().map(|visit| &visit["state"]).collect();
    assert_eq!(visited, ["Wait", "Done"]);
    let page = tenant.get("executionhistorypage/plain-1").unwrap();
    let types: Vec<&str> =
        page["spec"]["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((types.first(), types.last()), (Some(&"ExecutionStarted"), Some(&"ExecutionSucceeded")), "{types:?}");
    assert!(!format!("{told}{page}").contains("hunter2"), "nobody asked for data");
    tenant.apply(&history("whole", &json!({"includeData": true})));
    complete(&tenant, &operator, "whole");
    assert!(tenant.get("executiondatapage/whole-1").unwrap().to_string().contains("hunter2hunter2"));
    assert!(!operator.log_text().contains("hunter2"), "nor in the log");
    assert_eq!(count(&tenant, "GetExecutionHistory"), 0);
}
