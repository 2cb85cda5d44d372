//! What a `GitOps` engine sees and does: kstatus by its own library over whole lives, and an environment in any order.

use std::process::Command;

use super::*;
use crate::support::REGION;
use crate::support::control_plane::{run, tool};
use crate::support::ministack::ACCOUNT;

/// What kstatus makes of the object; `None` where it is gone.
fn verdict(tenant: &Tenant, resource: &str) -> Option<(String, Value)> {
    let object = tenant.get(resource)?;
    let mut command = Command::new(tool(&tenant.bed.binaries, "gitops-verdict"));
    let answer = run(command.arg("kstatus"), Some(&object.to_string())).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    Some((answer["status"].as_str().unwrap().to_owned(), object))
}

/// Watches until kstatus comes to rest, and checks on the way that it is not at rest too early: `Current` is believed only
/// where `done` says so.
pub(crate) fn comes_to_rest(
    tenant: &Tenant,
    operator: &Process,
    resource: &str,
    done: impl Fn(&Value) -> bool,
) -> String {
    let mut last = Value::Null;
    let rested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(Duration::from_secs(90), "kstatus comes to rest", || {
            let (status, object) = verdict(tenant, resource)?;
            last = object;
            match status.as_str() {
                "Current" => {
                    assert!(done(&last), "Current too early: {last:#}");
                    Some(status)
                }
                "Failed" => Some(status),
                _ => None,
            }
        })
    }));
    rested.unwrap_or_else(|_| {
        let log = operator.log_text();
        panic!("{resource} is stuck: {last:#}\n{}", log.lines().rev().take(10).collect::<Vec<_>>().join("\n"))
    })
}

fn definition_in_aws(tenant: &Tenant) -> Value {
    let machine =
        tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    machine.map_or(Value::Null, |machine| serde_json::from_str(machine["definition"].as_str().unwrap()).unwrap())
}

#[test]
fn kstatus_is_never_current_too_early_and_never_stuck() {
    let tenant = test_bed().tenant("kstatus");
    let operator = start(&tenant);
    let is =
        |kind: &'static str| move |object: &Value| condition(object, kind).is_some_and(|one| one["status"] == "True");
    // A binding that waits for nothing, and one that is refused for good.
    tenant.apply(&tenant.binding("orders"));
    assert_eq!(comes_to_rest(&tenant, &operator, "tb/orders", is("RoleAssumed")), "Current");

    // A Workflow before its definition is there, created, changed, broken, mended and suspended.
    let definition = |seconds: u32| waiting(seconds);
    for seconds in [0, 1] {
        tenant.apply(&tenant.workflow("fulfil", &definition(seconds)));
        let there = |_: &Value| definition_in_aws(&tenant)["States"]["Wait"]["Seconds"] == seconds;
        assert_eq!(comes_to_rest(&tenant, &operator, "sfn/fulfil", there), "Current");
    }
    tenant.apply(&tenant.workflow("fulfil", &json!({"StartAt": "Nowhere", "States": {"A": {"Type": "Succeed"}}})));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfn/fulfil", |_| false), "Failed");
    tenant.apply(&tenant.workflow("fulfil", &definition(0)));
    let there = |_: &Value| definition_in_aws(&tenant)["States"]["Wait"]["Seconds"] == 0;
    assert_eq!(comes_to_rest(&tenant, &operator, "sfn/fulfil", there), "Current");
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    assert_eq!(comes_to_rest(&tenant, &operator, "sfn/fulfil", |_| true), "Current", "a suspended object is at rest");
    tenant.kubectl(&["patch", "sfn", "fulfil", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]);
    assert_eq!(comes_to_rest(&tenant, &operator, "sfn/fulfil", is("Synced")), "Current");

    // Runs: one that succeeds, one that fails, and a change of one that is over.
    let over = |object: &Value| condition(object, "Finished").is_some_and(|one| one["status"] == "True");
    tenant.apply(&workflow_run("good", "fulfil", &json!({"input": {}})));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfnrun/good", over), "Current");
    tenant.kubectl(&["patch", "sfnrun", "good", "--type=merge", "-p", r#"{"spec":{"ttlAfterFinished":"24h"}}"#]);
    assert_eq!(
        comes_to_rest(&tenant, &operator, "sfnrun/good", over),
        "Current",
        "a change of a finished run is observed"
    );
    let failing = json!({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Order.Refused"}}});
    tenant.apply(&tenant.workflow("failing", &failing));
    tenant.apply(&workflow_run("bad", "failing", &json!({"input": {}})));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfnrun/bad", |_| false), "Failed");

    // Going: terminating until gone.
    tenant.kubectl(&["delete", "sfn/fulfil", "--wait=false"]);
    wait_until(Duration::from_secs(90), "the Workflow goes", || match verdict(&tenant, "sfn/fulfil") {
        Some((status, object)) => {
            assert_eq!(status, "Terminating", "{object:#}");
            None
        }
        None => Some(()),
    });
    tenant.delete_all(&operator);
}

#[test]
fn kstatus_of_the_smaller_kinds_is_never_current_too_early_and_never_stuck() {
    let (tenant, operator) = with_workflow("kstatus-more", 0);
    let of = |kind: &str, name: &str, spec: &Value| json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});

    // An activity: created, its tags changed, one that is somebody else's.
    let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:activity:kstatus-more_approve");
    for team in ["a", "b"] {
        tenant.apply(&of(
            "Activity",
            "approve",
            &json!({"trustBindingRef": {"name": "orders"}, "tags": {"team": team}}),
        ));
        let there = |_: &Value| {
            let tags = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": arn}));
            tags.is_ok_and(|tags| tags.to_string().contains(&json!({"key": "team", "value": team}).to_string()))
        };
        assert_eq!(comes_to_rest(&tenant, &operator, "sfnact/approve", there), "Current");
    }
    tenant.bed.aws.states("CreateActivity", &json!({"name": "kstatus-more_theirs"})).unwrap();
    tenant.apply(&of("Activity", "theirs", &json!({"trustBindingRef": {"name": "orders"}})));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfnact/theirs", |_| false), "Failed");

    // A schedule: at rest once its next time is known, broken, mended, suspended.
    let template = json!({"spec": {"workflowRef": {"name": "fulfil"}}});
    let schedule = |when: &str, suspend: bool| {
        of("WorkflowSchedule", "yearly", &json!({"schedule": when, "suspend": suspend, "runTemplate": template}))
    };
    let knows_when = |object: &Value| object["status"]["nextScheduleTime"].is_string();
    tenant.apply(&schedule("0 0 1 1 *", false));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfncron/yearly", knows_when), "Current");
    tenant.apply(&schedule("0 0 31 2 *", false));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfncron/yearly", |_| false), "Failed");
    tenant.apply(&schedule("0 0 2 1 *", false));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfncron/yearly", knows_when), "Current");
    tenant.apply(&schedule("0 0 2 1 *", true));
    assert_eq!(comes_to_rest(&tenant, &operator, "sfncron/yearly", |_| true), "Current", "suspended is at rest");

    // A provider that may not be asked. One that may be: `providers::a_service_account_acts_through_keycloak…`.
    let assertion =
        json!({"issuer": "https://issuer.example", "clientAuthentication": {"type": "ServiceAccountAssertion"}});
    tenant.apply(&of("IdentityProvider", "idp", &assertion));
    assert_eq!(comes_to_rest(&tenant, &operator, "idp/idp", |_| false), "Failed");

    for resource in ["sfnact/approve", "sfnact/theirs", "sfncron/yearly", "idp/idp"] {
        tenant.kubectl(&["delete", resource, "--wait=false"]);
        wait_until(Duration::from_secs(90), "it goes", || match verdict(&tenant, resource) {
            Some((status, object)) => {
                assert_eq!(status, "Terminating", "{object:#}");
                None
            }
            None => Some(()),
        });
    }
}

/// Everything of an environment in the worst order, and pruned in the worst order: what others need goes first.
#[test]
fn a_whole_environment_is_applied_and_pruned_in_any_order() {
    let bed = test_bed();
    let tenant = bed.account_for("environment");
    bed.control_plane.kubectl(&["create", "namespace", "environment"]);
    tenant.install();
    let operator = start(&tenant);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "orders", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "definition"},
        "data": {"fulfil.json": waiting(0).to_string()}});
    let mut workflow = tenant.workflow("fulfil", &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "definition", "key": "fulfil.json"}});
    let activity = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "approve"},
        "spec": {"trustBindingRef": {"name": "orders"}}});
    let backwards = [
        workflow_run("first", "fulfil", &json!({"input": {}})),
        activity,
        workflow,
        map,
        tenant.binding("orders"),
        account,
    ];
    for object in &backwards {
        tenant.apply(object);
    }
    tenant.wait_for(&operator, "sfnrun/first", "Complete", "True", "Succeeded");
    tenant.wait_for(&operator, "sfnact/approve", "Ready", "True", "Synced");
    assert_ne!(definition_in_aws(&tenant), Value::Null);

    // As a prune without waves: all at once, the account and the binding first, in the foreground.
    for resource in
        ["serviceaccount/orders", "tb/orders", "configmap/definition", "sfnact/approve", "sfn/fulfil", "sfnrun/first"]
    {
        tenant.kubectl(&["delete", resource, "--wait=false", "--cascade=foreground"]);
    }
    wait_until(Duration::from_secs(60), "everything goes", || {
        let left = tenant.kubectl(&["get", "tb,sfn,sfnrun,sfnact", "-o", "name"]);
        left.is_empty().then_some(())
    });
    assert_eq!(definition_in_aws(&tenant), Value::Null, "the state machine went too");
    bed.control_plane.kubectl(&["delete", "namespace", "environment", "--timeout=60s"]);
}

#[test]
fn what_stepbound_writes_takes_no_field_from_whoever_applied_the_object() {
    let (tenant, operator) = with_workflow("owned-fields", 0);
    let mut run = workflow_run("order", "fulfil", &json!({"input": {"orderId": 7}}));
    run["metadata"]["labels"] = json!({"team": "shop"});
    tenant.apply(&run);
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let text = tenant.kubectl(&["get", "sfnrun/order", "--show-managed-fields", "-o", "json"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    let of = |manager: &str, subresource: &Value| {
        let mut entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
        let found = entries.find(|entry| entry["manager"] == manager && entry["subresource"] == *subresource);
        found.unwrap_or_else(|| panic!("no {manager} in {text}"))
    };
    let applied = &of("kubectl", &Value::Null)["fieldsV1"];
    assert!(applied["f:spec"]["f:workflowRef"].is_object() && applied["f:spec"]["f:input"].is_object(), "{text}");
    assert!(applied["f:metadata"]["f:labels"]["f:team"].is_object(), "{text}");
    let own = &of("stepbound", &json!("status"))["fieldsV1"];
    assert!(own["f:status"].is_object() && own["f:spec"].is_null() && own["f:metadata"].is_null(), "{text}");
    assert_eq!(
        (&object["spec"]["input"], &object["metadata"]["labels"]["team"]),
        (&json!({"orderId": 7}), &json!("shop"))
    );
    // The same applied again changes nothing, and a label that is dropped goes.
    run["metadata"]["labels"] = json!({});
    tenant.apply(&run);
    let after = tenant.get("sfnrun/order").unwrap();
    assert!(after["metadata"]["labels"]["team"].is_null(), "{after}");
    assert_eq!(after["metadata"]["generation"], object["metadata"]["generation"]);
}

#[test]
fn what_was_applied_from_the_client_stays_its_managers_own() {
    let (tenant, operator) = with_workflow("owned-annotation", 0);
    let mut run = workflow_run("order", "fulfil", &json!({"input": {"orderId": 7}}));
    run["metadata"]["namespace"] = json!(tenant.name);
    let apply =
        |run: &Value| tenant.bed.control_plane.try_kubectl(&["apply", "-f", "-"], Some(&run.to_string())).unwrap();
    apply(&run);
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let text = tenant.kubectl(&["get", "sfnrun/order", "--show-managed-fields", "-o", "json"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    let mut entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let applied = entries.find(|entry| entry["manager"] == "kubectl-client-side-apply").unwrap();
    let annotations = &applied["fieldsV1"]["f:metadata"]["f:annotations"];
    assert!(annotations["f:kubectl.kubernetes.io/last-applied-configuration"].is_object(), "{text}");
    assert!(apply(&run).contains("unchanged"));
}
