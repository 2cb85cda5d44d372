//! The operator on a real control plane, installed by real Helm, with the emulator behind our front.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::front::Fault;
use support::processes::{Process, wait_until};
use support::{Tenant, test_bed, waiting, workflow_run};

fn start(tenant: &Tenant) -> Process {
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[])
}

/// A tenant with a binding and a workflow that are ready.
fn with_workflow(name: &str, seconds: u32) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(seconds)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn executions(tenant: &Tenant) -> Vec<Value> {
    let listed = tenant.bed.aws.states("ListExecutions", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    listed.unwrap()["executions"].as_array().unwrap().clone()
}

#[test]
fn a_run_applied_with_kubectl_succeeds_as_its_own_service_account_and_everything_goes_again() {
    let tenant = test_bed().tenant("main-job");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"orderId": 4711}})));
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["output"], json!({"orderId": 4711}));
    assert_eq!(run["status"]["phase"], "Succeeded");
    tenant.kubectl(&["wait", "--for=condition=Finished", "sfnrun/order", "--timeout=1s"]);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["subject"], "system:serviceaccount:main-job:orders");
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    assert_eq!(calls.iter().filter(|call| call.operation == "StartExecution").count(), 1);

    tenant.delete_all(&operator);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "the machine is gone too");
}

#[test]
fn a_role_that_trusts_another_account_is_refused_with_the_reason_and_mends_by_itself() {
    let tenant = test_bed().tenant("refused");
    let operator = start(&tenant);
    let mut binding = tenant.binding("orders");
    let other = tenant.role_arn().replace("refused-binding", "refused-other");
    binding["spec"]["roleARN"] = json!(other);
    tenant.kubectl(&["annotate", "sa", "orders", "--overwrite", &format!("eks.amazonaws.com/role-arn={other}")]);
    tenant.bed.aws.create_role("refused-other", &json!({"Version": "2012-10-17", "Statement": []}), None);
    tenant.apply(&binding);
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    let text = refused.to_string();
    assert!(text.contains("sub system:serviceaccount:refused:orders"), "{text}");
    assert_eq!(tenant.bed.front.calls_about("refused_").len(), 0, "nothing but STS was called");

    let trusted = tenant.bed.aws.iam("GetRole", &[("RoleName", "refused-binding")]);
    let policy = trusted.split("<AssumeRolePolicyDocument>").nth(1).unwrap().split('<').next().unwrap();
    let policy = url::form_urlencoded::parse(format!("p={policy}").as_bytes()).next().unwrap().1.into_owned();
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", "refused-other"), ("PolicyDocument", &policy)]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
}

/// Requirement 3.
#[test]
fn consent_withdrawn_stops_the_binding_and_consent_given_mends_it() {
    let tenant = test_bed().tenant("consent");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.kubectl(&["annotate", "sa", "orders", "eks.amazonaws.com/role-arn-"]);
    let refused = tenant.wait_for(&operator, "tb/orders", "Authorized", "False", "ConsentMissing");
    assert!(refused.to_string().contains("kubectl annotate serviceaccount orders -n consent"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "False", "ConsentMissing");
    let arn = format!("eks.amazonaws.com/role-arn={}", tenant.role_arn());
    tenant.kubectl(&["annotate", "sa", "orders", &arn]);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

/// Requirement 9.
#[test]
fn an_account_that_was_not_granted_gets_no_token_and_the_message_says_how_to_grant_it() {
    let tenant = test_bed().tenant("ungranted");
    let operator = start(&tenant);
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "other", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}}));
    let mut binding = tenant.binding("other");
    binding["spec"]["serviceAccountName"] = json!("other");
    tenant.apply(&binding);
    let refused = tenant.wait_for(&operator, "tb/other", "TokenMinted", "False", "Forbidden");
    assert!(refused.to_string().contains("--resource=serviceaccounts/token --resource-name=other"));
    assert!(!refused.to_string().contains("RoleAssumed\",\"status\":\"True"));
}

/// Requirement 16.
#[test]
fn an_answer_of_sts_for_another_account_is_dropped() {
    let tenant = test_bed().tenant("other-account");
    let operator = start(&tenant);
    // Every other test asks STS through the same front, so the fault is taken away again as soon as it was seen.
    tenant.bed.front.inject_for("AssumeRoleWithWebIdentity", "other-account", Fault::AnotherAccount, 1);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "UnexpectedAnswer");
}

#[test]
fn a_machine_of_somebody_else_is_never_touched() {
    let tenant = test_bed().tenant("foreign");
    let operator = start(&tenant);
    let theirs =
        json!({"name": "foreign_fulfil", "definition": waiting(9).to_string(), "roleArn": tenant.execution_role_arn()});
    tenant.bed.aws.states("CreateStateMachine", &theirs).unwrap();
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    tenant.delete_all(&operator);
    let found =
        tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": tenant.machine_arn("fulfil")}));
    assert_eq!(found.unwrap()["definition"], theirs["definition"]);
}

#[test]
fn a_bad_definition_is_refused_before_aws_and_the_last_good_one_keeps_serving() {
    let (tenant, operator) = with_workflow("bad-definition", 0);
    tenant.apply(&tenant.workflow("fulfil", &json!({"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}})));
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "DefinitionInvalid");
    assert!(refused["status"]["diagnostics"][0]["message"].as_str().unwrap().contains("did you mean \"Ship\"?"));
    assert_eq!(refused["status"]["latestVersion"]["number"], 1);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn a_definition_from_a_config_map_is_waited_for_and_follows_its_changes() {
    let (tenant, operator) = with_workflow("config-map", 0);
    let mut workflow = tenant.workflow("mapped", &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "definitions", "key": "asl.yaml"}});
    workflow["spec"]["substitutions"] = json!({"Comment": "a \"quoted\" value"});
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/mapped", "Ready", "False", "ConfigMapNotFound");
    let map = |text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "definitions"}, "data": {"asl.yaml": text}});
    tenant.apply(&map("StartAt: A\nStates: ["));
    tenant.wait_for(&operator, "sfn/mapped", "DefinitionValid", "False", "DefinitionInvalid");
    tenant.apply(&map("StartAt: A\nStates:\n  A: {Type: Pass, Comment: '${Comment}', End: true}\n"));
    let ready = tenant.wait_for(&operator, "sfn/mapped", "Ready", "True", "Synced");
    assert_eq!(ready["status"]["latestVersion"]["number"], 1);
}

#[test]
fn cancel_and_timeout_stop_the_execution_and_decide_the_phase() {
    let (tenant, operator) = with_workflow("stops", 120);
    tenant.apply(&workflow_run("cancelled", "fulfil", &json!({})));
    tenant.apply(&workflow_run("late", "fulfil", &json!({"timeout": "2s"})));
    tenant.wait_for(&operator, "sfnrun/cancelled", "Started", "True", "ExecutionStarted");
    tenant.kubectl(&[
        "patch",
        "sfnrun",
        "cancelled",
        "--type=merge",
        "-p",
        r#"{"spec":{"cancel":{"reason":"not needed"}}}"#,
    ]);
    let cancelled = tenant.wait_for(&operator, "sfnrun/cancelled", "Finished", "True", "Aborted");
    assert_eq!(cancelled["status"]["phase"], "Aborted");
    let late = tenant.wait_for(&operator, "sfnrun/late", "Finished", "True", "TimedOut");
    assert_eq!(late["status"]["phase"], "TimedOut");
    assert!(executions(&tenant).iter().all(|execution| execution["status"] == "ABORTED"));
}

#[test]
fn a_run_that_cannot_start_says_why_and_changes_nothing() {
    let (tenant, operator) = with_workflow("cannot-start", 0);
    let past = json!({"executionName": "once", "startDeadline": "2020-01-01T00:00:00Z"});
    tenant.apply(&workflow_run("too-late", "fulfil", &past));
    let late = tenant.wait_for(&operator, "sfnrun/too-late", "Failed", "True", "StartDeadlineExceeded");
    assert_eq!(late["status"]["phase"], "Failed");
    tenant.apply(&workflow_run("sync", "fulfil", &json!({"mode": "Sync"})));
    tenant.wait_for(&operator, "sfnrun/sync", "Stalled", "True", "ModeNotSupported");
    tenant.apply(&workflow_run("large", "fulfil", &json!({"input": "x".repeat(262_144)})));
    tenant.wait_for(&operator, "sfnrun/large", "Stalled", "True", "InputTooLarge");
    tenant.apply(&workflow_run("unknown", "missing", &json!({})));
    tenant.wait_for(&operator, "sfnrun/unknown", "Ready", "False", "WorkflowNotFound");
    assert_eq!(executions(&tenant).len(), 0);
}

#[test]
fn an_execution_name_is_adopted_with_the_same_input_and_refused_with_another() {
    let (tenant, operator) = with_workflow("adoption", 120);
    let named =
        |input: u32| json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z", "input": {"a": input}});
    tenant.apply(&workflow_run("first", "fulfil", &named(1)));
    tenant.wait_for(&operator, "sfnrun/first", "Started", "True", "ExecutionStarted");
    tenant.apply(&workflow_run("same", "fulfil", &named(1)));
    tenant.wait_for(&operator, "sfnrun/same", "Started", "True", "ExecutionStarted");
    tenant.apply(&workflow_run("other", "fulfil", &named(2)));
    tenant.wait_for(&operator, "sfnrun/other", "Stalled", "True", "ExecutionNameTaken");
    assert_eq!(executions(&tenant).len(), 1);
}

#[test]
fn a_standard_run_has_exactly_one_execution_however_often_the_operator_is_killed() {
    let (tenant, mut operator) = with_workflow("killed", 1);
    for round in 0..20u64 {
        tenant.apply(&workflow_run(&format!("run-{round}"), "fulfil", &json!({"input": round})));
        // From before the attempt is recorded to after the execution runs.
        std::thread::sleep(Duration::from_millis(round * 6));
        operator.signal("KILL");
        drop(operator);
        // The dead one's lease would take 15 s to expire each time; here it is given free instead.
        tenant.bed.control_plane.kubectl(&["-n", &tenant.system, "delete", "lease", "stepbound", "--ignore-not-found"]);
        operator = start(&tenant);
    }
    for round in 0..20 {
        tenant.wait_for(&operator, &format!("sfnrun/run-{round}"), "Complete", "True", "Succeeded");
    }
    assert_eq!(executions(&tenant).len(), 20);
}

#[test]
fn a_start_whose_answer_is_lost_is_not_done_twice() {
    let (tenant, operator) = with_workflow("lost-answer", 1);
    tenant.bed.front.inject_for("StartExecution", "lost-answer_fulfil", Fault::LoseAnswer, 2);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(executions(&tenant).len(), 1);
}

#[test]
fn a_stopped_leader_that_wakes_after_its_lease_writes_and_starts_nothing() {
    let (tenant, first) = with_workflow("fenced", 0);
    first.signal("STOP");
    let second = start(&tenant);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&second, "sfnrun/order", "Complete", "True", "Succeeded");
    let before = tenant.get("sfnrun/order").unwrap()["metadata"]["resourceVersion"].clone();
    first.signal("CONT");
    wait_until(Duration::from_secs(10), "the first ends", || (!first.is_running()).then_some(()));
    assert!(first.log_text().contains("the lease was lost"));
    assert_eq!(executions(&tenant).len(), 1);
    assert_eq!(tenant.get("sfnrun/order").unwrap()["metadata"]["resourceVersion"], before);
}

#[test]
fn a_namespace_that_is_deleted_goes_within_a_minute_with_its_machine() {
    let (tenant, _operator) = with_workflow("namespace", 0);
    tenant.bed.control_plane.kubectl(&["delete", "namespace", "namespace", "--timeout=60s"]);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "the machine is gone too");
}

/// Requirements 6, 8 and 12.
#[test]
fn no_secret_is_written_anywhere_and_no_ambient_credential_is_used() {
    let tenant = test_bed().tenant("secrets");
    let planted = [
        ("RUST_LOG", "trace"),
        ("AWS_ACCESS_KEY_ID", "AKIAPLANTED"),
        ("AWS_SECRET_ACCESS_KEY", "planted"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &tenant.bed.front.url),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/planted", tenant.bed.front.url)),
    ];
    let operator = tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &planted);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    let secrets = tenant.bed.front.secrets();
    assert!(!secrets.is_empty());
    let (log, etcd) = (operator.log_text(), tenant.bed.control_plane.etcd_bytes());
    let etcd = String::from_utf8_lossy(&etcd);
    for secret in secrets {
        assert!(!log.contains(&secret) && !etcd.contains(&secret), "a secret was written");
    }
    assert!(tenant.bed.front.calls_about("").iter().all(|call| call.access_key != "AKIAPLANTED"));
    assert!(
        tenant.bed.front.calls_about("").iter().all(|call| !call.operation.is_empty()),
        "no metadata was asked for"
    );
}

/// A tenant with an Express workflow that is ready.
fn with_express(name: &str) -> (Tenant, Process) {
    let tenant = test_bed().tenant(name);
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["type"] = json!("Express");
    tenant.apply(&workflow);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    (tenant, operator)
}

fn count(tenant: &Tenant, operation: &str) -> usize {
    let calls = tenant.bed.front.calls_about(&tenant.machine_arn("fulfil"));
    calls.iter().filter(|call| call.operation == operation).count()
}

#[test]
fn an_express_run_gives_its_result_when_waited_for_and_is_dispatched_otherwise() {
    let (tenant, operator) = with_express("express");
    tenant.apply(&workflow_run("waited", "fulfil", &json!({"mode": "Sync", "input": {"a": 1}})));
    let waited = tenant.wait_for(&operator, "sfnrun/waited", "Complete", "True", "Succeeded");
    assert_eq!(waited["status"]["output"], json!({"a": 1}));
    tenant.apply(&workflow_run("sent", "fulfil", &json!({})));
    let sent = tenant.wait_for(&operator, "sfnrun/sent", "Finished", "True", "Dispatched");
    assert_eq!(sent["status"]["phase"], "Dispatched");
    assert_eq!((count(&tenant, "StartSyncExecution"), count(&tenant, "StartExecution")), (1, 1));
}

#[test]
fn an_express_start_without_an_answer_is_never_repeated() {
    let (tenant, operator) = with_express("express-lost");
    tenant.bed.front.inject_for("StartExecution", "express-lost_fulfil", Fault::LoseAnswer, 5);
    tenant.bed.front.inject_for("StartSyncExecution", "express-lost_fulfil", Fault::LoseAnswer, 5);
    tenant.apply(&workflow_run("sent", "fulfil", &json!({})));
    tenant.apply(&workflow_run("waited", "fulfil", &json!({"mode": "Sync"})));
    tenant.wait_for(&operator, "sfnrun/sent", "Failed", "True", "OutcomeUnknown");
    tenant.wait_for(&operator, "sfnrun/waited", "Failed", "True", "OutcomeUnknown");
    assert_eq!((count(&tenant, "StartSyncExecution"), count(&tenant, "StartExecution")), (1, 1));
}

#[test]
fn an_express_run_starts_at_most_once_however_often_the_operator_is_killed() {
    let (tenant, mut operator) = with_express("express-killed");
    for round in 0..20u64 {
        tenant.apply(&workflow_run(
            &format!("run-{round}"),
            "fulfil",
            &json!({"input": {"round": format!("<{round}>")}}),
        ));
        std::thread::sleep(Duration::from_millis(round * 6));
        operator.signal("KILL");
        drop(operator);
        tenant.bed.control_plane.kubectl(&["-n", &tenant.system, "delete", "lease", "stepbound", "--ignore-not-found"]);
        operator = start(&tenant);
    }
    for round in 0..20 {
        wait_until(Duration::from_secs(40), "the run is finished", || {
            let run = tenant.get(&format!("sfnrun/run-{round}"))?;
            matches!(run["status"]["phase"].as_str(), Some("Dispatched" | "Failed")).then_some(())
        });
        let starts = tenant.bed.front.calls_about(&format!("<{round}>"));
        assert!(
            starts.iter().filter(|call| call.operation == "StartExecution").count() <= 1,
            "round {round}: {starts:?}"
        );
    }
}

/// Requirement 17.
#[test]
fn a_deleted_folder_and_namespace_go_after_a_restart_too() {
    let (tenant, first) = with_workflow("restarted", 0);
    first.signal("KILL");
    drop(first);
    tenant.bed.control_plane.kubectl(&["-n", &tenant.system, "delete", "lease", "stepbound"]);
    let operator = start(&tenant);
    tenant.kubectl(&["delete", "sa,tb,sfn,sfnrun", "--all", "--timeout=60s"]);
    let machine = json!({"stateMachineArn": tenant.machine_arn("fulfil")});
    let gone = tenant.bed.aws.states("DescribeStateMachine", &machine).is_err();
    assert!(gone || operator.log_text().contains("Orphaned"), "the machine is gone, or its remaining is told");
    tenant.bed.control_plane.kubectl(&["delete", "namespace", "restarted", "--timeout=60s"]);
}

#[test]
fn bad_tokens_are_refused_by_the_front_for_the_right_reason() {
    let tenant = test_bed().tenant("tokens");
    let bed = tenant.bed;
    let good =
        bed.control_plane.kubectl(&["create", "token", "orders", "-n", "tokens", "--audience=sts.amazonaws.com"]);
    let wrong_audience = bed.control_plane.kubectl(&["create", "token", "orders", "-n", "tokens", "--audience=other"]);
    let mut forged: Vec<&str> = good.trim().split('.').collect();
    let signature = forged[2].chars().rev().collect::<String>();
    forged[2] = &signature;
    bed.control_plane.kubectl(&["create", "serviceaccount", "stranger", "-n", "tokens"]);
    let wrong_subject =
        bed.control_plane.kubectl(&["create", "token", "stranger", "-n", "tokens", "--audience=sts.amazonaws.com"]);
    let assume = |token: &str| bed.front.assume_role(&tenant.role_arn(), token.trim());
    assert!(assume(&good).contains("<AccessKeyId>"));
    assert!(assume(&forged.join(".")).contains("<Code>InvalidIdentityToken</Code>"));
    assert!(assume(&wrong_audience).contains("Incorrect token audience"));
    assert!(assume(&wrong_subject).contains("<Code>AccessDenied</Code>"));
    let expired = bed.control_plane.expired_token("tokens", "orders");
    assert!(assume(&expired).contains("<Code>ExpiredTokenException</Code>"));
}
