//! Who asked: stamped by the API server, believed by the operator, shown by STS, and one run joined across three logs.

use crate::*;

/// What a person who runs and cancels needs.
pub(crate) fn may_run(tenant: &Tenant, user: &str) {
    tenant.bed.control_plane.grant(
        user,
        &tenant.name,
        &json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}]),
    );
}

/// Applies an object as a person.
pub(crate) fn create_as(tenant: &Tenant, user: &str, object: &Value) -> Result<String, String> {
    let arguments = ["-n", &tenant.name, "create", "-f", "-"];
    tenant.bed.control_plane.kubectl_as(user, &arguments, Some(&object.to_string()))
}

/// Audit records of the operator.
pub(crate) fn records(operator: &Process) -> Vec<Value> {
    let log = operator.log_text();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "audit").collect()
}

fn session_of(tenant: &Tenant, operation: &str, text: &str) -> Option<String> {
    let calls = tenant.bed.front.calls_about(text);
    calls.into_iter().find(|call| call.operation == operation).map(|call| call.session_name)
}

/// Until the policies of the tenant's release are older than what is created next by the minute that is asked for.
pub(crate) fn until_stamps_are_believed(tenant: &Tenant) {
    let name = format!("{}-stepbound-attribution-guard", tenant.system);
    let times = "-o=jsonpath={.metadata.managedFields[*].time}";
    let read = tenant.bed.control_plane.kubectl(&["get", "validatingadmissionpolicy", &name, times]);
    let newest: jiff::Timestamp = read.split_whitespace().max().unwrap().parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(newest);
    std::thread::sleep(Duration::try_from(jiff::SignedDuration::from_secs(63) - age).unwrap_or_default());
}

/// An API server without `MutatingAdmissionPolicy`: nobody is named, and nobody can name somebody.
fn nothing_is_believed_without_a_stamp(tenant: &Tenant, run: &Value) {
    println!("The join is passed over: this API server has no MutatingAdmissionPolicy.");
    assert!(run["metadata"]["annotations"]["stepbound.dev/requested-by"].is_null(), "{run}");
    assert!(run["status"]["requestedBy"].is_null(), "{run}");
    assert!(run["status"]["sessionName"].as_str().unwrap().starts_with("joined.orders-"), "{run}");
    let mut run = workflow_run("forged", "fulfil", &json!({}));
    run["metadata"]["annotations"] = json!({"stepbound.dev/requested-by": "bob"});
    let refused = create_as(tenant, "alice", &run).unwrap_err();
    assert!(refused.contains("requested-by"), "{refused}");
}

/// Alice's run, deleted by mallory: neither asked for the stop as far as anybody can know, and alice least of all.
fn deleted_by_another(tenant: &Tenant, operator: &Process) {
    may_run(tenant, "mallory");
    create_as(tenant, "alice", &workflow_run("deleted", "slow", &json!({}))).unwrap();
    let run = tenant.wait_for(operator, "sfnrun/deleted", "Started", "True", "ExecutionStarted");
    assert_eq!(run["status"]["requestedBy"], "alice");
    let delete = ["-n", "joined", "delete", "sfnrun/deleted"];
    tenant.bed.control_plane.kubectl_as("mallory", &delete, None).unwrap();
    let ours = records(operator);
    let stops: Vec<&Value> = ours
        .iter()
        .filter(|record| record["api"] == "states:StopExecution" && record["uid"] == run["metadata"]["uid"])
        .collect();
    assert!(!stops.is_empty(), "it was stopped");
    for stop in stops {
        assert_eq!(stop["requester"], "", "{stop}");
        assert!(stop["session_name"].as_str().unwrap().starts_with("joined.orders-"), "{stop}");
    }
    let others =
        ours.iter().filter(|record| record["requester"] != "" && record["api"] != "sts:AssumeRoleWithWebIdentity");
    for record in others {
        let asked = ["states:StartExecution", "states:StopExecution", "states:RedriveExecution"];
        assert!(asked.iter().any(|api| record["api"] == *api), "nobody asks for {record}");
    }
}

#[test]
fn one_run_is_joined_across_the_audit_logs_of_the_cluster_the_operator_and_aws() {
    let (tenant, operator) = with_workflow("joined", 0);
    for user in ["alice", "bob"] {
        may_run(&tenant, user);
    }
    create_as(&tenant, "alice", &workflow_run("early", "fulfil", &json!({}))).unwrap();
    let early = tenant.wait_for(&operator, "sfnrun/early", "Complete", "True", "Succeeded");
    if !tenant.bed.stamps() {
        return nothing_is_believed_without_a_stamp(&tenant, &early);
    }
    assert_eq!(early["metadata"]["annotations"]["stepbound.dev/requested-by"], "alice", "stamped at once");
    assert_eq!(early["status"]["requestedBy"], Value::Null, "but not believed for a minute");
    assert!(early["status"]["sessionName"].as_str().unwrap().starts_with("joined.orders-"));

    until_stamps_are_believed(&tenant);
    let mut asked = workflow_run("waiting", "fulfil", &json!({}));
    asked["spec"]["workflowRef"]["alias"] = json!("none");
    create_as(&tenant, "alice", &asked).unwrap();
    let unstarted = tenant.wait_for(&operator, "sfnrun/waiting", "Ready", "False", "AliasNotFound");
    assert_eq!(unstarted["status"]["requestedBy"], "alice", "who asked is told before it starts");
    let mut run = workflow_run("order", "fulfil", &json!({"input": {"orderId": 4711}}));
    run["metadata"]["annotations"] = json!({"stepbound.dev/git-revision": "main@sha1:4711"});
    create_as(&tenant, "alice", &run).unwrap();
    let run = tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["requestedBy"], "alice");
    let session = run["status"]["sessionName"].as_str().unwrap();
    assert!(session.starts_with("alice-") && session.len() == 22, "{session}");

    // Ours: the start, with all that leads to the other two.
    let execution = run["status"]["attempts"][0]["executionName"].as_str().unwrap();
    let ours = records(&operator);
    let starts: Vec<&Value> = ours
        .iter()
        .filter(|record| record["api"] == "states:StartExecution" && record["uid"] == run["metadata"]["uid"])
        .collect();
    assert_eq!(starts.len(), 1, "{ours:#?}");
    let start = starts[0];
    assert_eq!(start["requester"], "alice");
    assert_eq!(
        (&start["kind"], &start["name"], &start["namespace"]),
        (&json!("WorkflowRun"), &json!("order"), &json!("joined"))
    );
    assert_eq!(start["git_revision"], "main@sha1:4711");
    assert_eq!(start["session_name"], session);

    // The cluster's: who created the run, and the token that the session was traded for.
    let theirs = tenant.bed.control_plane.audit_log();
    let created = theirs.iter().find(|event| {
        event["verb"] == "create"
            && event["objectRef"]["name"] == "order"
            && event["objectRef"]["namespace"] == "joined"
    });
    assert_eq!(created.unwrap()["user"]["username"], "alice");
    let credential = format!("JTI={}", start["token_id"].as_str().unwrap());
    let minted = theirs
        .iter()
        .find(|event| event["annotations"]["authentication.kubernetes.io/issued-credential-id"] == credential);
    let minted = minted.unwrap_or_else(|| panic!("no token {credential} in {} events", theirs.len()));
    assert_eq!(minted["user"]["username"], "system:serviceaccount:joined-system:stepbound");
    assert_eq!(
        (&minted["objectRef"]["name"], &minted["objectRef"]["subresource"]),
        (&json!("orders"), &json!("token"))
    );

    // AWS's, as the front keeps it: the same request, made in the session of that name.
    let calls = tenant.bed.front.calls_about(execution);
    let call =
        calls.iter().find(|call| start["request_id"] == call.request_id.as_str()).expect("the call of the record");
    assert_eq!((call.operation.as_str(), call.session_name.as_str()), ("StartExecution", session));
    println!("joined: WorkflowRun joined/order uid {}", run["metadata"]["uid"].as_str().unwrap());
    println!("  cluster  create by alice (audit id {})", created.unwrap()["auditID"].as_str().unwrap());
    println!("  cluster  token {} of joined/orders for {}", credential, minted["user"]["username"].as_str().unwrap());
    println!(
        "  operator {} token {} session {session} request {}",
        start["api"].as_str().unwrap(),
        start["token_id"].as_str().unwrap(),
        call.request_id
    );
    println!("  AWS      {} session {} request {}", call.operation, call.session_name, call.request_id);

    // Reading goes on as the binding; a cancel carries the name of whoever asked for it.
    let read = session_of(&tenant, "DescribeExecution", execution);
    assert!(read.is_none_or(|name| name.starts_with("joined.orders-")), "reads are nobody's request");
    tenant.kubectl(&[
        "patch",
        "sfn/fulfil",
        "--type=merge",
        "-p",
        &json!({"spec": {"definition": waiting(60)}}).to_string(),
    ]);
    tenant.apply(&tenant.workflow("slow", &waiting(60)));
    tenant.wait_for(&operator, "sfn/slow", "Ready", "True", "Synced");
    create_as(&tenant, "alice", &workflow_run("stopped", "slow", &json!({}))).unwrap();
    tenant.wait_for(&operator, "sfnrun/stopped", "Started", "True", "ExecutionStarted");
    let cancel = json!({"spec": {"cancel": {"reason": "not needed"}}}).to_string();
    let patch = ["-n", "joined", "patch", "sfnrun/stopped", "--type=merge", "-p", &cancel];
    tenant.bed.control_plane.kubectl_as("bob", &patch, None).unwrap();
    let stopped = tenant.wait_for(&operator, "sfnrun/stopped", "Finished", "True", "Aborted");
    assert_eq!(stopped["metadata"]["annotations"]["stepbound.dev/cancel-requested-by"], "bob");
    let arn = stopped["status"]["executionARN"].as_str().unwrap();
    assert!(session_of(&tenant, "StopExecution", arn).unwrap().starts_with("bob-"));
    deleted_by_another(&tenant, &operator);
    tenant.delete_all(&operator);
}
