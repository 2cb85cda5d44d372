//! Somebody who may only start runs, and wants the executions of others: to stop them, to read them, or to be taken for others.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::attribution::{create_as, may_run, records, until_stamps_are_believed};
use crate::*;

fn named(run: &str, execution: &str, more: &Value) -> Value {
    let mut spec = json!({"executionName": execution, "startDeadline": "2099-01-01T00:00:00Z", "input": {"a": 1}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    workflow_run(run, "fulfil", &spec)
}

fn status_in_aws(tenant: &Tenant, execution: &str) -> String {
    let executions = tenant.bed.front.executions(&tenant.machine_arn("fulfil"));
    let arn = format!("{}:{execution}", tenant.machine_arn("fulfil").replace(":stateMachine:", ":execution:"));
    let found = executions.iter().find(|one| one["executionArn"] == arn);
    found.unwrap_or_else(|| panic!("no {arn} in {executions:#?}"))["status"].as_str().unwrap().to_owned()
}

/// The attempts, in a namespace with the Workflow `fulfil`, whose executions wait for a minute.
pub(super) fn attempts(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    may_run(tenant, "alice");
    create_as(tenant, "alice", &workflow_run("of-alice", "fulfil", &json!({"input": {"a": 1}}))).unwrap();
    create_as(tenant, "alice", &named("named", "once", &json!({}))).unwrap();
    let victim = tenant.wait_for(suite.operator, "sfnrun/of-alice", "Started", "True", "ExecutionStarted");
    tenant.wait_for(suite.operator, "sfnrun/named", "Started", "True", "ExecutionStarted");
    let uid = victim["metadata"]["uid"].as_str().unwrap().to_owned();

    let stolen = named("evil-uid", &uid, &json!({"timeout": "1s"}));
    let looks = "must not look like a UID";
    suite.object("the execution of another's run, by its UID", &stolen, Layer::Cel, looks);
    let further = with(stolen.clone(), "/spec/executionName", json!(format!("{uid}-2")));
    suite.object("the next attempt of another's run", &further, Layer::Cel, looks);
    let capitals = with(stolen, "/spec/executionName", json!(uid.to_uppercase()));
    suite.object("another's UID in capitals", &capitals, Layer::Cel, looks);

    let taken = (Layer::Operator, "Stalled", "ExecutionNameTaken");
    let theirs = named("evil-name", "once", &json!({"timeout": "1s"}));
    suite.condition("a name that another's run gave, with its input", &theirs, taken, "WorkflowRun \"named\"");
    let deleted = ["-n", tenant.name.as_str(), "delete", "sfnrun/evil-name"];
    tenant.bed.control_plane.kubectl_as("mallory", &deleted, None).unwrap();
    assert_eq!([status_in_aws(tenant, &uid), status_in_aws(tenant, "once")], ["RUNNING", "RUNNING"]);
    suite.harmless("deleting such a run, to stop the other's execution", Layer::Operator, "the execution runs on");

    let machine = tenant.machine_arn("fulfil");
    let by_hand = |name: &str, target: &str| {
        tenant.bed.front.start_by_hand(&json!({"stateMachineArn": target, "name": name, "input": "{\"a\":1}"}));
    };
    by_hand("unqualified", &machine);
    let version = named("evil-version", "unqualified", &json!({}));
    suite.condition("an execution of another version", &version, taken, "exists with another target");
    by_hand("input", &format!("{machine}:1"));
    let input = named("evil-input", "input", &json!({"input": {"a": 2}}));
    suite.condition("an execution with another input", &input, taken, "exists with another input");

    by_hand("alike", &format!("{machine}:1"));
    followed_and_left_alone(suite, "evil-alike", "alike", "an execution that somebody started in AWS");
    create_as(tenant, "alice", &named("gone", "orphan", &json!({"deletionPolicy": "Orphan"}))).unwrap();
    tenant.wait_for(suite.operator, "sfnrun/gone", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&["delete", "sfnrun/gone"]);
    followed_and_left_alone(suite, "evil-orphan", "orphan", "an execution of a run that is gone, a moment old");

    at_once(suite);
    blamed(suite);
}

/// One with the same input and target is followed, and neither timeout, cancel, redrive nor deletion of the run does anything to it.
fn followed_and_left_alone(suite: &mut Suite<'_>, run: &str, execution: &str, what: &str) {
    let tenant = suite.tenant;
    create_as(tenant, "mallory", &named(run, execution, &json!({"timeout": "1s"}))).unwrap();
    let resource = format!("sfnrun/{run}");
    tenant.wait_for(suite.operator, &resource, "Started", "True", "ExecutionStarted");
    let patch =
        ["-n", tenant.name.as_str(), "patch", resource.as_str(), "--type=merge", "-p", r#"{"spec":{"cancel":{}}}"#];
    tenant.bed.control_plane.kubectl_as("mallory", &patch, None).unwrap();
    wait_until(Duration::from_secs(60), "the run says that it stops nothing", || {
        let found = tenant.get(&resource)?;
        assert_eq!(found["status"]["adopted"], true, "{found:#}");
        condition(&found, "Ready")?["message"].as_str()?.contains("does not stop it").then_some(())
    });
    let delete = ["-n", tenant.name.as_str(), "delete", resource.as_str()];
    tenant.bed.control_plane.kubectl_as("mallory", &delete, None).unwrap();
    assert_eq!(status_in_aws(tenant, execution), "RUNNING", "{what}");
    suite.harmless(what, Layer::Operator, "is followed only: timeout, cancel and deletion leave it running");
}

/// Of two runs that give one name at the same time one gets it, whatever their order.
fn at_once(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let mut list = json!({"apiVersion": "v1", "kind": "List", "items": []});
    for run in ["twin-a", "twin-b"] {
        list["items"].as_array_mut().unwrap().push(named(run, "twins", &json!({})));
    }
    create_as(tenant, "mallory", &list).unwrap();
    let reasons = wait_until(Duration::from_secs(60), "both are decided", || {
        let reason = |run: &str| {
            let found = tenant.get(&format!("sfnrun/{run}"))?;
            let reason = condition(&found, "Ready")?["reason"].as_str()?.to_owned();
            ["Running", "ExecutionNameTaken"].contains(&reason.as_str()).then_some(reason)
        };
        Some([reason("twin-a")?, reason("twin-b")?])
    });
    assert_ne!(reasons[0], reasons[1], "{reasons:?}");
    suite.harmless("one name for two runs at once", Layer::Operator, "ExecutionNameTaken for the second");
}

/// A run of alice's, deleted by mallory: the record of the stop names nobody.
fn blamed(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    if !tenant.bed.stamps() {
        suite.harmless("blaming somebody for a deletion", Layer::Operator, "no stamp is believed on this API server");
        return;
    }
    until_stamps_are_believed(tenant);
    create_as(tenant, "alice", &workflow_run("blamed", "fulfil", &json!({}))).unwrap();
    let run = tenant.wait_for(suite.operator, "sfnrun/blamed", "Started", "True", "ExecutionStarted");
    assert_eq!(run["status"]["requestedBy"], "alice");
    let delete = ["-n", tenant.name.as_str(), "delete", "sfnrun/blamed"];
    tenant.bed.control_plane.kubectl_as("mallory", &delete, None).unwrap();
    let all = records(suite.operator);
    let uid = &run["metadata"]["uid"];
    let stop = all.iter().find(|record| record["api"] == "states:StopExecution" && record["uid"] == *uid).unwrap();
    assert_eq!(stop["requester"], "", "{stop}");
    let own = format!("{}.orders-", tenant.name);
    assert!(stop["session_name"].as_str().unwrap().starts_with(&own), "{stop}");
    suite.harmless("blaming somebody for a deletion", Layer::Operator, "the record of the stop names nobody");
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[test]
fn requirement_25_an_execution_is_not_stolen_by_its_name() {
    let (tenant, operator) = with_workflow("thief", 60);
    crate::admission::may_edit(&tenant, "mallory", &[]);
    let mut suite = Suite::new(&tenant, &operator);
    attempts(&mut suite);
    suite.print();
}
