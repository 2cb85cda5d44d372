//! What is read, and when it was read to the end.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:shop_orders:a";
const EXPRESS: &str = "arn:aws:states:eu-west-1:111122223333:express:shop_orders:a:1";

fn run(status: Value) -> WorkflowRunStatus {
    serde_json::from_value(status).unwrap()
}

fn reason(source: &Source) -> Reason {
    let Source::Nowhere(failure) = source else { panic!("{source:?}") };
    assert_eq!(failure.class, Class::Terminal);
    failure.reason
}

#[test]
fn a_standard_run_is_read_where_step_functions_keeps_it() {
    let started = run(json!({"phase": "Running", "executionARN": ARN}));
    assert_eq!(source("order", &started, None, Logged::Nothing), Source::History(ARN.into()));
    let waiting = run(json!({"phase": "Pending"}));
    assert_eq!(source("order", &waiting, None, Logged::Nothing), Source::NotStarted);
    assert_eq!(source("order", &WorkflowRunStatus::default(), None, Logged::Nothing), Source::NotStarted);
    let never = source("order", &run(json!({"phase": "Failed"})), None, Logged::Nothing);
    assert_eq!(reason(&never), Reason::RunNotStarted);
    let again = run(json!({"phase": "Running", "executionARN": format!("{ARN}-2")}));
    assert_eq!(
        source("order", &again, Some(ARN), Logged::Nothing),
        Source::History(ARN.into()),
        "it stays with what it began"
    );
}

fn workflow(logging: &Value) -> WorkflowSpec {
    serde_json::from_value(json!({"trustBindingRef": {"name": "orders"}, "type": "Express", "logging": logging,
        "executionRoleARN": "arn:aws:iam::111122223333:role/run", "definition": {}}))
    .unwrap()
}

#[test]
fn an_express_run_is_read_from_a_log_that_has_all_and_otherwise_told_what_to_set() {
    const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:orders:*";
    let status = run(json!({"phase": "Dispatched", "executionARN": EXPRESS}));
    let all = workflow(&json!({"level": "All", "logGroupARN": GROUP}));
    let from_log = Source::Log(EXPRESS.into(), GROUP.into());
    assert_eq!(source("order", &status, None, Logged::of(&status, Some(&all))), from_log);
    // A run that looks there for its own end needs no Workflow any more.
    let own = run(json!({"phase": "Running", "executionARN": EXPRESS, "logGroupARN": GROUP}));
    assert_eq!(source("order", &own, None, Logged::of(&own, None)), from_log);
    let errors = workflow(&json!({"level": "Error", "logGroupARN": GROUP}));
    let none = workflow(&json!({"level": "None"}));
    for (spec, words) in [
        (Some(&errors), "log-group:orders:* has errors alone. Set spec.logging.level to All"),
        (Some(&none), "set spec.logging to have later runs logged"),
        (None, "set spec.logging to have later runs logged"),
    ] {
        let source = source("order", &status, None, Logged::of(&status, spec));
        assert_eq!(reason(&source), Reason::HistoryNotSupported);
        let Source::Nowhere(failure) = source else { unreachable!() };
        assert!(failure.message.contains("Express") && failure.message.contains(words), "{}", failure.message);
    }
}

#[test]
fn it_is_complete_when_nothing_more_can_come() {
    let running = run(json!({"phase": "Running", "executionARN": ARN}));
    let ended = run(json!({"phase": "Failed", "executionARN": ARN}));
    let retried = run(json!({"phase": "Starting", "executionARN": format!("{ARN}-2")}));
    let between = run(json!({"phase": "Pending"}));
    for (what, follow, run, end, looks, expected) in [
        ("read once", false, &running, false, 0, Next::Complete),
        ("it runs", true, &running, false, 0, Next::LookAgain),
        ("it has ended and may be redriven", true, &running, true, 0, Next::WaitForRun),
        ("the run is over", true, &ended, true, 0, Next::Complete),
        ("the run is over and its end is not shown", true, &ended, false, 0, Next::LookAgain),
        ("nor ever will be", true, &ended, false, 5, Next::Complete),
        ("there is another attempt", true, &retried, true, 0, Next::Complete),
        ("there will be another attempt", true, &between, true, 0, Next::WaitForRun),
    ] {
        assert_eq!(next(follow, run, ARN, end, looks), expected, "{what}");
    }
}

#[test]
fn what_aws_does_not_show_may_be_new_and_is_gone_otherwise() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let started = |ago: i64| {
        let at = now - SignedDuration::from_secs(ago);
        run(json!({"phase": "Running", "executionARN": ARN, "startedAt": at.to_string()}))
    };
    assert_eq!(not_shown(ARN, &started(10), now).class, Class::Transient);
    assert_eq!(not_shown(ARN, &started(100), now).class, Class::Terminal);
    assert_eq!(not_shown(ARN, &run(json!({})), now).class, Class::Terminal);
}

#[test]
fn a_history_expires_so_long_after_it_was_finished() {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let spec = |ttl: &str| -> ExecutionHistorySpec {
        serde_json::from_value(json!({"workflowRunRef": {"name": "order"}, "ttlAfterFinished": ttl})).unwrap()
    };
    assert_eq!(expires_at(&spec("90s"), at), at + SignedDuration::from_secs(90));
    assert_eq!(expires_at(&spec("99999999999999999999h"), at), at + SignedDuration::from_hours(1));
    assert_eq!(
        expires_at(&spec("9999999999h"), at),
        at + SignedDuration::from_hours(1),
        "no length, as the schema has it"
    );
    assert_eq!(expires_at(&spec("87600h"), at), at + SignedDuration::from_hours(87_600));
    let default: ExecutionHistorySpec = serde_json::from_value(json!({"workflowRunRef": {"name": "order"}})).unwrap();
    assert_eq!(expires_at(&default, at), at + SignedDuration::from_hours(1));
}
