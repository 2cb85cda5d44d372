//! Runs, sessions and approvals, from objects and from the audit log.

use super::*;

fn attempt(more: &Value) -> Value {
    let mut attempt = json!({"number": 1, "executionName": "e", "targetARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3",
        "trustBindingName": "orders", "inputDigest": "d", "recordedAt": "2026-01-11T00:00:00Z"});
    attempt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    attempt
}

fn run(name: &str, status: &Value) -> Value {
    let mut whole = json!({"phase": "Succeeded", "output": "PAYLOAD", "error": "PAYLOAD", "cause": "PAYLOAD"});
    whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    object(
        "WorkflowRun",
        name,
        &json!({"spec": {"workflowRef": {"name": "fulfil"}, "input": {"a": "PAYLOAD"}}, "status": whole}),
    )
}

fn approval(more: &Value) -> Value {
    let mut request = json!({"runName": "approved", "runUID": "uid-approved", "attempt": 1, "requester": "alice", "input": "\"PAYLOAD\"", "inputDigest": "d",
        "targetARN": "arn", "definitionHash": "h", "executionRoleARN": EXEC, "bindingUID": "b", "policyRevision": "r",
        "expiresAt": "2026-01-12T00:00:00Z", "digest": ""});
    let typed: crate::api::v1alpha1::ApprovalRequest = serde_json::from_value(request.clone()).unwrap();
    request["digest"] = json!(crate::plan::approval::digest(&typed));
    let mut spec =
        json!({"decision": {"verdict": "Approved", "digest": request["digest"], "by": "bob"}, "request": request});
    for (key, value) in more.as_object().unwrap() {
        spec["decision"][key] = value.clone();
    }
    object("Approval", "approved-1", &json!({"spec": spec}))
}

/// Some of each, for whoever wants everything.
pub(super) fn all() -> Vec<Value> {
    vec![
        run("order", &json!({"requestedBy": "alice", "attempts": [attempt(&json!({"requestedBy": "alice"}))]})),
        run("nobody", &json!({"attempts": [attempt(&json!({}))]})),
        approval(&json!({})),
    ]
}

fn record(at: &str, more: &Value) -> String {
    let mut record = json!({"timestamp": at, "level": "INFO", "target": "audit", "message": "AWS call", "api": "states:StartExecution",
        "kind": "WorkflowRun", "namespace": "shop", "name": "order", "uid": "uid-order", "requester": "alice", "approver": "", "binding": "orders",
        "token_id": "t1", "session_name": "alice-1", "role_arn": ROLE, "request_id": "r1", "outcome": "Success"});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record.to_string()
}

fn log_of(lines: &[String]) -> Log {
    let mut reader = LogReader::new("operator.log".into(), period(), None);
    for line in lines {
        reader.line(line);
    }
    reader.done("d1".into())
}

pub(super) fn log() -> Log {
    let assumed = json!({"message": "role assumption", "api": "sts:AssumeRoleWithWebIdentity"});
    log_of(&[
        "starting".to_owned(),
        json!({"timestamp": "2026-01-11T00:00:00Z", "target": "stepbound", "message": "ready"}).to_string(),
        record("2026-01-11T00:00:00Z", &assumed),
        record("2026-01-11T00:00:10Z", &json!({})),
        record("2026-01-11T00:10:00Z", &json!({"name": "gone", "uid": "uid-gone", "request_id": "r2"})),
        record("2025-12-01T00:00:00Z", &json!({"name": "before", "uid": "uid-before", "request_id": "r3"})),
    ])
}

fn with(objects: &[Value], logs: Vec<Log>) -> Evidence {
    let mut read = read(objects);
    read.logs = logs;
    evidence(&read)
}

/// `WorkflowRun shop/order: object and audit log`
fn known(evidence: &Evidence) -> Vec<String> {
    let line = |item: &Item| format!("{}: {}", item.subject, item.facts["knownBy"].as_str().unwrap());
    section(evidence, "runs").items.iter().map(line).collect()
}

#[test]
fn runs_are_joined_by_uid_and_what_one_alone_knows_is_told() {
    let evidence = with(&all(), vec![log()]);
    assert_eq!(
        known(&evidence),
        [
            "WorkflowRun shop/gone: audit log alone",
            "WorkflowRun shop/nobody: object alone",
            "WorkflowRun shop/order: object and audit log"
        ]
    );
    let runs = section(&evidence, "runs");
    assert_eq!(
        runs.says[0],
        "3 runs of the period: 1 known by object and audit log, 1 by object alone, 1 by audit log alone."
    );
    assert!(
        runs.says[1]
            .contains("audit records from 2025-12-01T00:00:00Z to 2026-01-11T00:10:00Z; 3 records of the period"),
        "{}",
        runs.says[1]
    );
    let lines = &runs.items[2].read_from;
    assert!(
        lines.contains(&Source::File { name: "operator.log".into(), sha256: "d1".into(), line: Some(4) }),
        "{lines:?}"
    );
    // A record that two files hold counts once, and another run of the name is another.
    let mut again = all();
    again[0]["metadata"]["uid"] = json!("uid-another");
    let evidence = with(&again, vec![log(), log()]);
    assert_eq!(known(&evidence).len(), 4);
    assert!(
        section(&evidence, "runs").items.iter().all(|item| item.facts.get("auditRecords").is_none_or(|all| all
            .as_array()
            .unwrap()
            .len()
            == 1))
    );
}

#[test]
fn without_a_log_that_is_said() {
    let evidence = with(&all(), vec![]);
    let unread: Vec<&str> =
        evidence.unread.iter().filter(|one| one.what.contains("--audit-log")).map(|one| one.section).collect();
    assert_eq!(unread, ["runs", "sessions"]);
    assert_eq!(known(&evidence).len(), 2);
}

#[test]
fn runs_outside_of_the_period_are_not_told() {
    let mut late = run("late", &json!({"attempts": [attempt(&json!({"recordedAt": "2026-02-01T00:00:00Z"}))]}));
    late["metadata"]["creationTimestamp"] = json!("2026-02-01T00:00:00Z");
    let mut over = run("over", &json!({"finishedAt": "2026-01-01T00:00:00Z"}));
    over["metadata"]["creationTimestamp"] = json!("2025-12-31T00:00:00Z");
    assert_eq!(known(&with(&[late, over], vec![])), ["WorkflowRun shop/over: object alone"]);
}

#[test]
fn sessions_are_counted_with_how_long_they_were_used_and_asked_for() {
    let evidence = with(&[binding()], vec![log()]);
    let sessions = section(&evidence, "sessions");
    let facts = &sessions.items[0].facts;
    assert_eq!(
        (&facts["assumed"], &facts["longestUse"], &facts["lengthAskedForNow"]),
        (&json!(1), &json!("600s"), &json!("1h"))
    );
    assert_eq!(facts["requester"], "alice");
}

#[test]
fn a_log_that_is_no_log_is_passed_over_line_by_line() {
    let log = log_of(&[
        String::new(),
        "{".into(),
        r#"{"target":"audit","timestamp":"soon"}"#.into(),
        r#"{"target":"audit","uid":5}"#.into(),
        "[]".into(),
    ]);
    let evidence = with(&[], vec![log]);
    assert!(
        section(&evidence, "runs").not_read[0].starts_with("2 lines of operator.log"),
        "{:?}",
        section(&evidence, "runs").not_read
    );
}

fn found(objects: &[Value], logs: Vec<Log>) -> Vec<String> {
    codes(&with(objects, logs)).into_iter().filter(|one| !one.contains("NoAdmission")).collect()
}

#[test]
fn a_run_without_a_proven_requester_is_found_once_a_workflow() {
    let nobody = |name: &str| run(name, &json!({"attempts": [attempt(&json!({}))]}));
    let evidence = with(&[nobody("a"), nobody("b"), run("waiting", &json!({"phase": "Pending"}))], vec![]);
    let finding = evidence.findings.iter().find(|one| one.code == "RequesterUnknown").unwrap();
    assert!(finding.message.starts_with("2 started runs without"), "{}", finding.message);
    assert_eq!((finding.subject.as_str(), finding.severity), ("Workflow shop/fulfil", Severity::Warning));
    assert!(finding.controls.contains(&"SOC 2 CC8.1"));
    // The log knows who asked.
    let start = record("2026-01-11T00:00:10Z", &json!({"uid": "uid-a", "name": "a"}));
    let objects = [run("a", &json!({"requestedBy": "alice", "attempts": [attempt(&json!({"requestedBy": "alice"}))]}))];
    assert_eq!(found(&objects, vec![log_of(&[start])]), Vec::<String>::new());
}

#[test]
fn a_requester_or_approver_that_object_and_log_tell_differently_is_an_error() {
    let objects =
        [run("order", &json!({"requestedBy": "alice", "attempts": [attempt(&json!({"requestedBy": "alice"}))]}))];
    let start = |more: &Value| vec![log_of(&[record("2026-01-11T00:00:10Z", more)])];
    assert_eq!(found(&objects, start(&json!({}))), Vec::<String>::new());
    assert_eq!(found(&objects, start(&json!({"requester": "mallory"}))), ["Error RequesterDiffers"]);
    assert_eq!(found(&objects, start(&json!({"approver": "bob"}))), ["Error ApproverDiffers"]);
    // A record cuts long names.
    let long = "a".repeat(300);
    let objects = [run("order", &json!({"requestedBy": long, "attempts": [attempt(&json!({"requestedBy": long}))]}))];
    assert_eq!(found(&objects, start(&json!({"requester": long[..256]}))), Vec::<String>::new());
    assert_eq!(found(&objects, start(&json!({"requester": "a"}))), ["Error RequesterDiffers"]);
}

#[test]
fn an_attempt_without_the_approval_that_it_needs_is_found() {
    let asked = json!({"requestedBy": "alice"});
    let by = |approver: &str| {
        run(
            "order",
            &json!({"requestedBy": "alice", "attempts": [attempt(&json!({"requestedBy": "alice", "approvedBy": approver}))]}),
        )
    };
    let none = run("order", &json!({"requestedBy": "alice", "attempts": [attempt(&asked)]}));
    let retried = attempt(&json!({"requestedBy": "alice", "cause": "Retry"}));
    let needs = workflow(&json!({"approval": {"required": true}}));
    let mut later = needs.clone();
    later["metadata"]["managedFields"] =
        json!([{"time": "2026-01-20T00:00:00Z"}, {"time": "2026-01-21T00:00:00Z", "subresource": "status"}]);
    let rule = object("Guardrail", "four-eyes", &json!({"spec": {"namespaceSelector": {}, "requireApproval": true}}));
    for (objects, expected) in [
        (vec![workflow(&json!({})), none.clone()], vec![]),
        (vec![needs.clone(), none.clone()], vec!["Error ApprovalMissing"]),
        (vec![rule, workflow(&json!({})), none.clone()], vec!["Error ApprovalMissing"]),
        (vec![later, none], vec!["Warning ApprovalMissing"]),
        (vec![needs.clone(), by("bob")], vec![]),
        (vec![needs.clone(), by("alice")], vec!["Error SelfApproved"]),
        (vec![needs, run("order", &json!({"requestedBy": "alice", "attempts": [retried]}))], vec![]),
    ] {
        assert_eq!(found(&objects, vec![]), expected, "{objects:?}");
    }
}

#[test]
fn an_approval_that_the_api_server_would_have_refused_is_an_error() {
    let other = "0".repeat(64);
    for (decision, expected) in [
        (json!({}), vec![]),
        (json!({"by": "alice"}), vec!["Error SelfApproved"]),
        (json!({"by": "system:serviceaccount:a:b"}), vec!["Error ApprovedByAccount"]),
        (json!({"digest": other}), vec!["Error ApprovalDigestDiffers"]),
    ] {
        assert_eq!(found(&[approval(&decision)], vec![]), expected, "{decision}");
    }
    let told = with(&[approval(&json!({}))], vec![]);
    let item = &section(&told, "approvals").items[0];
    assert_eq!((&item.facts["decidedBy"], &item.facts["requester"]), (&json!("bob"), &json!("alice")));
    assert!(!item.facts.contains_key("input"), "{item:?}");
}
