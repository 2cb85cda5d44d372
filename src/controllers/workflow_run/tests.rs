//! Reconciles of runs against an API server and AWS that answer as they are told.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::{Attempt, Workflow};
use crate::aws::stand_in::Seen;
use crate::controllers::stand_in::{MACHINE, World};
use crate::digest::sha256_hex;
use crate::status::find;

mod abandoned;
mod again;
mod approvals;
mod ends;
mod express;
mod lag;
mod life;
mod limits;
mod logged;
mod named;
mod seen;
mod told;
mod typed;

fn refusal(code: &str) -> (u16, String) {
    (400, json!({"__type": format!("com.amazonaws.states#{code}"), "message": "no"}).to_string())
}

/// Reason and message of a condition.
fn says(run: &WorkflowRun, kind: &str) -> (String, String) {
    let conditions = run.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    find(&conditions, kind).map(|one| (one.reason.clone(), one.message.clone())).unwrap_or_default()
}

#[tokio::test]
async fn a_refused_start_is_not_asked_for_anew_however_often_the_run_is_woken() {
    let cases = [
        ("Standard", json!({}), "StartExecution"),
        ("Express", json!({}), "StartExecution"),
        ("Express", json!({"mode": "Sync"}), "StartSyncExecution"),
    ];
    let mut calls = Vec::new();
    for (kind, spec, operation) in cases {
        let world = World::new(kind, |_| refusal("StateMachineDoesNotExist")).await;
        world.add_run("order", &spec);
        for _ in 0..20 {
            world.wake("order").await;
        }
        let (reason, message) = says(&world.run("order"), "Ready");
        assert_eq!(reason, "NotFound", "{message}");
        calls.push((operation, kind, world.calls(operation)));
    }
    assert!(calls.iter().all(|(_, _, count)| *count == 1), "calls of twenty reconciles: {calls:?}");
}

/// Lines of the audit log that are written while it lives.
#[derive(Clone, Default)]
struct Audited(Arc<Mutex<Vec<u8>>>);

impl Write for Audited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Audited {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        // Without one for all threads, what a thread without a subscriber meets first would never be written on any.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let lines = self.clone();
        let writer = move || lines.clone();
        tracing::subscriber::set_default(
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(writer).finish(),
        )
    }

    /// Requester and session of each call of an operation.
    fn calls(&self, api: &str) -> Vec<(String, String)> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_api = lines.filter(|line| line["target"] == "audit" && line["api"] == api);
        let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        of_api.map(|line| (field(&line, "requester"), field(&line, "session_name"))).collect()
    }
}

fn running_of_alice() -> Value {
    json!({"metadata": {"finalizers": ["stepbound.dev/finalizer"]}, "status": {"phase": "Running",
        "executionARN": "arn:aws:states:eu-west-1:111122223333:execution:shop_orders:workflowruns-order", "requestedBy": "alice",
        "startedAt": "2026-01-01T00:00:00Z",
        "attempts": [{"number": 1, "executionName": "workflowruns-order", "targetARN": MACHINE, "trustBindingName": "orders",
            "inputDigest": "d", "recordedAt": "2026-01-01T00:00:00Z"}]}})
}

/// Requirement 26 of docs/security.md: an audit record names only who asked for just that call.
#[tokio::test]
async fn requirement_26_a_deletion_by_somebody_else_names_nobody() {
    let audited = Audited::default();
    let _guard = audited.begin();
    let world = World::new("Standard", |_| (200, json!({"stopDate": 1.0}).to_string())).await;
    world.add_run("order", &json!({}));
    let mut deleted = running_of_alice();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    world.change("workflowruns", "order", &deleted);
    world.wake("order").await;
    assert_eq!(audited.calls("states:StopExecution"), [(String::new(), "shop.orders".to_owned())]);
}

#[tokio::test]
async fn the_answer_of_a_synchronous_start_is_recorded_once_however_often_its_write_fails() {
    let world = World::new("Express", |_| refusal("ThrottlingException")).await;
    world.add_run("order", &json!({"mode": "Sync", "retry": {"strategy": "Restart", "limit": 3}}));
    let attempt = |number: u32, name: &str| {
        json!({"number": number, "executionName": name, "targetARN": MACHINE,
        "trustBindingName": "orders", "inputDigest": "d", "recordedAt": "2026-01-01T00:00:00Z"})
    };
    let attempts = json!([attempt(1, "uid"), attempt(2, "uid-2"), attempt(3, "uid-3")]);
    world.change("workflowruns", "order", &json!({"status": {"phase": "Starting", "attempts": attempts}}));
    let caller = crate::controllers::stand_in::caller();
    let request = crate::aws::StartExecution {
        target_arn: MACHINE.into(),
        name: "uid-3".into(),
        input: "{}".into(),
        trace_root: "1-0-a".into(),
    };
    let answer = calls::start_sync(&world.ctx, &caller, &request).await;
    // The write and the look after it fail; the next write is taken.
    world.refuse_requests(2);
    end::record_sync(world.run("order"), &world.ctx, answer).await;
    let status = world.run("order").status.unwrap();
    let attempts: Vec<i64> = status.attempts.iter().map(|one| one.number).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(status.refusal.unwrap().times, 1);
}

/// What each refusal of a start or redrive means: the reason that is told, and whether only a person can help.
const REFUSALS: [(&str, u16, &str, bool); 22] = [
    ("ExecutionAlreadyExists", 400, "Starting", false),
    ("ExecutionDoesNotExist", 400, "NotFound", false),
    ("ExecutionLimitExceeded", 400, "LimitExceeded", false),
    ("ExecutionNotRedrivable", 400, "ExecutionFailed", true),
    ("InvalidArn", 400, "Rejected", true),
    ("InvalidExecutionInput", 400, "InputRejected", true),
    ("InvalidName", 400, "Rejected", true),
    ("KmsAccessDeniedException", 400, "AccessDenied", false),
    ("KmsInvalidStateException", 400, "KeyUnusable", false),
    ("KmsThrottlingException", 400, "Throttled", false),
    ("StateMachineDeleting", 400, "StateMachineDeleting", false),
    ("StateMachineDoesNotExist", 400, "NotFound", false),
    ("StateMachineTypeNotSupported", 400, "Rejected", true),
    ("ValidationException", 400, "Rejected", true),
    // Of every operation.
    ("AccessDeniedException", 400, "AccessDenied", false),
    ("ThrottlingException", 400, "Throttled", false),
    ("ExpiredTokenException", 400, "SessionExpired", false),
    ("ServiceUnavailable", 503, "AWSUnavailable", false),
    ("InternalFailure", 500, "AWSUnavailable", false),
    ("InvalidSignatureException", 403, "Rejected", true),
    ("OptInRequired", 403, "Rejected", true),
    ("SomethingNew", 400, "Rejected", true),
];
const OF_EVERY_OPERATION: usize = 8;

/// The codes that the SDK knows of an operation, from its own source: a new one fails the test until it has a row.
fn codes_of(operation: &str) -> Vec<String> {
    let cargo = |arguments: &[&str]| {
        let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Packages of other platforms may never have been fetched.
    let metadata = cargo(&["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|one| one["name"] == "aws-sdk-sfn").unwrap();
    let folder = std::path::Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let source = std::fs::read_to_string(folder.join(format!("src/protocol_serde/shape_{operation}.rs"))).unwrap();
    let code = |line: &str| Some(line.trim().strip_prefix('"')?.split_once("\" => crate::operation::")?.0.to_owned());
    let codes: Vec<String> = source.lines().filter_map(code).collect();
    assert!(codes.len() >= 4, "{operation}: {codes:?}");
    codes
}

fn past() -> Value {
    json!("2026-01-01T00:00:00Z")
}

/// A run that is about to make a call of AWS, by the ways that lead to one.
fn about_to_call(world: &World, way: &str) {
    let attempt = json!({"number": 1, "executionName": "workflowruns-order", "targetARN": MACHINE, "trustBindingName": "orders",
        "inputDigest": sha256_hex(b"{}"), "recordedAt": past(), "finishedAt": past(), "error": "E"});
    match way {
        "restart" | "synchronous restart" => {
            let mode = if way == "restart" { "Async" } else { "Sync" };
            world.add_run("order", &json!({"mode": mode, "retry": {"strategy": "Restart", "limit": 3}}));
            let status = json!({"phase": "Pending", "startedAt": past(), "retryAt": past(), "attempts": [attempt]});
            world.change("workflowruns", "order", &json!({"status": status}));
        }
        "redrive" => {
            world.add_run("order", &json!({}));
            let status =
                json!({"phase": "Failed", "startedAt": past(), "executionARN": execution_arn(), "attempts": [attempt]});
            let asked = json!({"annotations": {"stepbound.dev/redrive": "1"}});
            world.change("workflowruns", "order", &json!({"metadata": asked, "status": status}));
        }
        "sync" => world.add_run("order", &json!({"mode": "Sync"})),
        _ => world.add_run("order", &json!({})),
    }
}

fn execution_arn() -> String {
    MACHINE.replace(":stateMachine:", ":execution:") + ":workflowruns-order"
}

/// AWS that refuses an operation and knows an execution that failed, where there was one.
fn refuses(operation: &'static str, code: &str, http: u16) -> impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static {
    let body = json!({"__type": format!("com.amazonaws.states#{code}"), "message": "no"}).to_string();
    move |seen| match seen.operation() {
        called if called == operation => (http, body.clone()),
        "DescribeExecution" if operation == "RedriveExecution" => {
            let found = json!({"executionArn": execution_arn(), "stateMachineArn": MACHINE, "status": "FAILED", "error": "E",
                "startDate": 1.0, "stopDate": 2.0, "redriveCount": 0, "redriveStatus": "REDRIVABLE"});
            (200, found.to_string())
        }
        "DescribeExecution" => refusal("ExecutionDoesNotExist"),
        _ => (200, json!({"events": []}).to_string()),
    }
}

#[tokio::test]
async fn every_refusal_of_every_start_is_told_at_once_and_asked_again_only_when_due_or_when_something_changed() {
    let ways = [
        ("first", "Standard", "StartExecution", "start_execution"),
        ("first", "Express", "StartExecution", "start_execution"),
        ("sync", "Express", "StartSyncExecution", "start_sync_execution"),
        ("restart", "Standard", "StartExecution", "start_execution"),
        ("synchronous restart", "Express", "StartSyncExecution", "start_sync_execution"),
        ("redrive", "Standard", "RedriveExecution", "redrive_execution"),
    ];
    for (way, kind, operation, module) in ways {
        let of_operation = codes_of(module);
        for code in &of_operation {
            assert!(REFUSALS.iter().any(|(known, ..)| known == code), "{operation} may answer {code}: give it a row");
        }
        for (row, (code, http, reason, stalls)) in REFUSALS.into_iter().enumerate() {
            let of_all = row >= REFUSALS.len() - OF_EVERY_OPERATION;
            if of_all || of_operation.iter().any(|known| known == code) {
                let what = format!("{way} {kind} {operation} {code}");
                let never_repeated = kind == "Express" && reason == "AWSUnavailable";
                let reason = if never_repeated { "OutcomeUnknown" } else { reason };
                let ends = never_repeated
                    || code == "ExecutionNotRedrivable"
                    || code == "ExecutionAlreadyExists" && kind == "Express";
                if code == "ExecutionAlreadyExists" && kind == "Express" {
                    continue; // AWS does not compare names of Express executions.
                }
                let world = World::new(kind, refuses(operation, code, http)).await;
                about_to_call(&world, way);
                refused_once(&world, operation, &what, (reason, stalls || never_repeated), ends).await;
            }
        }
    }
}

/// However slow the machine is, the pause does not pass by itself.
fn pauses_for_long(world: &World) {
    let far = json!({"status": {"refusal": {"nextTryAt": "2099-01-01T00:00:00Z"}}});
    world.change("workflowruns", "order", &far);
}

async fn refused_once(world: &World, operation: &'static str, what: &str, told: (&str, bool), ends: bool) {
    world.wake("order").await;
    let run = world.run("order");
    let (reason, message) = says(&run, "Ready");
    assert_eq!(reason, told.0, "{what}: {message}");
    assert_eq!(!says(&run, "Stalled").0.is_empty(), told.1, "{what}: stalled at once where only a person can help");
    let once = world.calls(operation);
    assert!((1..=2).contains(&once), "{what}: {once}");
    if !ends {
        pauses_for_long(world);
    }
    for _ in 0..5 {
        world.wake("order").await;
    }
    assert_eq!(world.calls(operation), once, "{what}: a wake does not make AWS asked again");
    assert_eq!(says(&world.run("order"), "Ready").0, told.0, "{what}: it is still told");
    if ends {
        assert!(world.run("order").status.unwrap().phase.unwrap().is_finished(), "{what}");
        return;
    }
    if told.0 == "Throttled" {
        return; // The bucket has no token for a while, whatever changes.
    }
    world.change("workflows", "orders", &json!({"metadata": {"generation": 2}}));
    world.wake("order").await;
    assert!(world.calls(operation) > once, "{what}: a change of the Workflow does");
    let (after_change, binding) = (world.calls(operation), json!({"metadata": {"generation": 2}}));
    world.change("trustbindings", "orders", &binding);
    world.wake("order").await;
    assert!(world.calls(operation) > after_change, "{what}: a change of the binding does");
    let refused = world.run("order").status.unwrap().refusal.unwrap();
    assert_eq!(refused.times, 1, "{what}: a change begins the pauses anew");
    let (before, first) = (world.calls(operation), world.run("order").status.unwrap().attempts);
    world.change("workflowruns", "order", &json!({"status": {"refusal": {"nextTryAt": past()}}}));
    world.wake("order").await;
    assert!(world.calls(operation) > before, "{what}: and the end of the pause");
    let status = world.run("order").status.unwrap();
    assert_eq!(status.refusal.unwrap().times, 2, "{what}");
    let recorded =
        |attempts: &[Attempt]| attempts.iter().map(|one| (one.number, one.recorded_at.clone())).collect::<Vec<_>>();
    assert_eq!(
        recorded(&status.attempts),
        recorded(&first),
        "{what}: the time of the attempt is kept over all tries of it"
    );
}

#[tokio::test]
async fn a_refused_run_can_be_cancelled_and_deleted() {
    let world = World::new("Standard", refuses("StartExecution", "AccessDeniedException", 400)).await;
    world.add_run("order", &json!({}));
    world.wake("order").await;
    world.change("workflowruns", "order", &json!({"spec": {"cancel": {"reason": "enough"}}}));
    world.wake("order").await;
    let run = world.run("order");
    assert_eq!((says(&run, "Finished").0.as_str(), run.status.unwrap().phase), ("Cancelled", Some(Phase::Aborted)));
    let world = World::new("Standard", refuses("StartExecution", "AccessDeniedException", 400)).await;
    world.add_run("order", &json!({}));
    world.wake("order").await;
    world.change("workflowruns", "order", &json!({"metadata": {"deletionTimestamp": past()}}));
    world.wake("order").await;
    assert_eq!(world.calls("StopExecution"), 0, "nothing of it can run");
    assert!(world.run("order").metadata.finalizers.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_does_not_say_that_nothing_runs() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let world = World::new("Standard", move |seen| match seen.operation() {
        "StartExecution" if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => (503, "{}".into()),
        "StartExecution" => refusal("AccessDeniedException"),
        _ => refusal("ExecutionDoesNotExist"),
    })
    .await;
    world.add_run("order", &json!({}));
    world.wake("order").await;
    world.change("workflowruns", "order", &json!({"status": {"refusal": {"nextTryAt": past()}}}));
    world.wake("order").await;
    let run = world.run("order");
    assert_eq!(says(&run, "Ready").0, "AccessDenied");
    assert_eq!(run.status.unwrap().phase, Some(Phase::Starting));
}

/// AWS answers a start with the execution `found`, which it describes.
async fn answered_with(spec: &Value, found: impl Fn(&str) -> Value + Send + Sync + 'static) -> World {
    let header = Arc::new(Mutex::new(String::new()));
    let world = World::new("Standard", move |seen| {
        let sent: Value = serde_json::from_str(&seen.body).unwrap();
        match seen.operation() {
            "StartExecution" => {
                *header.lock() = sent["traceHeader"].as_str().unwrap().to_owned();
                (200, json!({"executionArn": execution_arn(), "startDate": 1.0}).to_string())
            }
            "DescribeExecution" => match found(&header.lock()) {
                Value::Null => refusal("ExecutionDoesNotExist"),
                found => (200, found.to_string()),
            },
            _ => (200, json!({"stopDate": 1.0}).to_string()),
        }
    })
    .await;
    let mut named = json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"});
    named.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    world.add_run("order", &named);
    world.wake("order").await;
    world
}

fn once(more: &Value) -> Value {
    let mut execution = json!({"executionArn": MACHINE.replace(":stateMachine:", ":execution:") + ":once", "stateMachineArn": MACHINE,
        "status": "RUNNING", "input": "{}", "startDate": Timestamp::now().as_second()});
    execution.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    execution
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[tokio::test]
async fn requirement_25_an_answer_under_a_name_that_a_run_gave_is_believed_only_when_it_is_its_own() {
    type Found = fn(&str) -> Value;
    let own = answered_with(&json!({}), |header| once(&json!({"traceHeader": header}))).await;
    assert!(!own.run("order").status.unwrap().adopted, "sent with a mark and described with it");
    let others: [(&str, Found, bool); 5] = [
        ("another's mark", |_| once(&json!({"traceHeader": "Root=1-00000000-000000000000000000000000"})), true),
        ("no mark", |_| once(&json!({})), true),
        ("an earlier start", |header| once(&json!({"traceHeader": header, "startDate": 1.0})), true),
        (
            "another version",
            |header| once(&json!({"traceHeader": header, "stateMachineVersionArn": format!("{MACHINE}:1")})),
            false,
        ),
        ("another input", |header| once(&json!({"traceHeader": header, "input": "[]"})), false),
    ];
    for (what, found, followed) in others {
        let world = answered_with(&json!({"timeout": "1ms"}), found).await;
        let status = world.run("order").status.unwrap();
        assert_eq!(status.execution_arn.is_some(), followed, "{what}");
        assert_eq!(status.adopted, followed, "{what}");
        if !followed {
            assert_eq!(says(&world.run("order"), "Ready").0, "ExecutionNameTaken", "{what}");
        }
        world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}}));
        world.wake("order").await;
        world.change("workflowruns", "order", &json!({"metadata": {"deletionTimestamp": past()}}));
        world.wake("order").await;
        assert_eq!(world.calls("StopExecution"), 0, "{what}: neither timeout, cancel nor deletion stops it");
    }
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[tokio::test]
async fn requirement_25_what_aws_does_not_show_yet_is_waited_for_and_not_stopped_unseen() {
    let world = answered_with(&json!({}), |_| Value::Null).await;
    assert_eq!(says(&world.run("order"), "Ready").0, "Starting");
    pauses_for_long(&world);
    for _ in 0..5 {
        world.wake("order").await;
    }
    assert_eq!(world.calls("StartExecution"), 1);
    let now = Timestamp::now().to_string();
    world.change("workflowruns", "order", &json!({"metadata": {"deletionTimestamp": now}}));
    world.wake("order").await;
    assert_eq!(world.calls("StopExecution"), 0);
    assert!(!world.run("order").metadata.finalizers.unwrap_or_default().is_empty(), "a start may still be on its way");
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[tokio::test]
async fn requirement_25_a_name_that_looks_like_a_uid_is_refused_by_the_operator_too() {
    let world = World::new("Standard", |_| (200, "{}".into())).await;
    let uid = "0b1c2d3e-0000-4000-8000-0123456789ab";
    for name in [uid.to_owned(), format!("{uid}-2")] {
        world.add_run("order", &json!({"executionName": name, "startDeadline": "2099-01-01T00:00:00Z"}));
        world.wake("order").await;
        assert_eq!(says(&world.run("order"), "Stalled").0, "ExecutionNameReserved");
    }
    assert_eq!(world.calls("StartExecution"), 0);
}

/// Requirement 26 of docs/security.md: an audit record names only who asked for just that call.
#[tokio::test]
async fn requirement_26_a_restart_by_the_spec_and_a_redrive_of_before_name_nobody_else() {
    let audited = Audited::default();
    let _guard = audited.begin();
    let world = World::new("Standard", refuses("StartExecution", "AccessDeniedException", 400)).await;
    about_to_call(&world, "restart");
    world.change("workflowruns", "order", &json!({"status": {"requestedBy": "alice"}}));
    world.wake("order").await;
    let nobody = (String::new(), "shop.orders".to_owned());
    assert_eq!(audited.calls("states:StartExecution"), std::slice::from_ref(&nobody));
    // Bob's redrive is recorded; carol asks for another before it was made.
    let world = World::new("Standard", refuses("RedriveExecution", "AccessDeniedException", 400)).await;
    about_to_call(&world, "redrive");
    let mut status = serde_json::to_value(world.run("order").status.unwrap()).unwrap();
    let mut second = status["attempts"][0].clone();
    second["number"] = json!(2);
    second["redriveCount"] = json!(1);
    second["cause"] = json!("Asked");
    second["requestedBy"] = json!("bob");
    status["phase"] = json!("Starting");
    status["attempts"].as_array_mut().unwrap().push(second);
    status["lastHandled"] = json!({"redrive": "1"});
    let annotations = json!({"annotations": {"stepbound.dev/redrive-requested-by": "carol"}});
    world.change("workflowruns", "order", &json!({"metadata": annotations, "status": status}));
    world.wake("order").await;
    assert_eq!(audited.calls("states:RedriveExecution"), [("bob".to_owned(), "bob".to_owned())]);
    assert!(audited.calls("states:DescribeExecution").iter().all(|call| *call == nobody));
}
