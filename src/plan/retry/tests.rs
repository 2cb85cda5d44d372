use super::*;
use crate::api::v1alpha1::{BoundedString, Cancel, RedriveStatus, StopIntent, StopRequest};
use crate::plan::samples::{at, attempt, execution};
use proptest::prelude::*;
use serde_json::json;

fn spec(retry: &serde_json::Value) -> WorkflowRunSpec {
    serde_json::from_value(json!({"workflowRef": {"name": "w"}, "retry": retry})).unwrap()
}

fn status() -> WorkflowRunStatus {
    WorkflowRunStatus {
        phase: Some(Phase::Running),
        attempts: vec![attempt()],
        execution_arn: Some("arn:e".into()),
        started_at: Some(Time(at(1000))),
        ..WorkflowRunStatus::default()
    }
}

fn failed(error: &str) -> Execution {
    Execution {
        stopped_at: Some(at(1010)),
        error: Some(error.into()),
        redrivable: Some(Ok(())),
        ..execution(ExecutionStatus::Failed)
    }
}

fn refusal(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, execution: &Execution) -> String {
    match after_end(spec, status, execution, Phase::Failed, at(1010)) {
        AfterEnd::Ends(why) => why.unwrap_or_default(),
        AfterEnd::Retries(at) => format!("retries at {at}"),
    }
}

#[test]
fn a_failure_is_tried_again_after_a_wait_that_grows_to_its_ceiling() {
    let backoff = json!({"interval": "10s", "factor": 3, "maxInterval": "60s"});
    let spec = spec(&json!({"strategy": "Redrive", "limit": 4, "backoff": backoff}));
    let mut status = status();
    for wait in [10, 30, 60, 60] {
        let after = after_end(&spec, &status, &failed("E"), Phase::Failed, at(2000));
        assert_eq!(after, AfterEnd::Retries(at(2000 + wait)));
        let next = next_attempt(&spec, &status, "uid", at(3000)).unwrap();
        begin(&mut status, next);
    }
    assert_eq!(refusal(&spec, &status, &failed("E")), "all 5 attempts of spec.retry are used up");
}

#[test]
fn neither_cancel_nor_timeout_nor_a_stop_by_somebody_else_is_tried_again() {
    let spec = spec(&json!({"strategy": "Restart"}));
    for intent in [StopIntent::Cancel, StopIntent::Timeout] {
        let stop = Some(StopRequest { intent, recorded_at: Time(at(1005)), requested_by: None });
        let stopped = WorkflowRunStatus { stop, ..status() };
        assert!(refusal(&spec, &stopped, &failed("E")).contains("cancelled"), "{intent:?}");
    }
    let cancelled = WorkflowRunSpec { cancel: Some(Cancel::default()), ..spec.clone() };
    assert!(refusal(&cancelled, &status(), &failed("E")).contains("cancelled"));
    let aborted = Execution { status: ExecutionStatus::Aborted, ..failed("E") };
    assert!(refusal(&spec, &status(), &aborted).contains("stopped"));
    let adopted = WorkflowRunStatus { adopted: true, ..status() };
    assert!(refusal(&spec, &adopted, &failed("E")).contains("existed before"));
    let late = WorkflowRunSpec { timeout: Some(DurationString("20s".into())), ..spec };
    assert!(refusal(&late, &status(), &failed("E")).contains("no time"));
}

#[test]
fn what_aws_cannot_redrive_is_not_redriven_and_may_be_restarted() {
    let gone = Execution { redrivable: Some(Err("Execution history event limit exceeded".into())), ..failed("E") };
    let redrive = spec(&json!({"strategy": "Redrive"}));
    assert_eq!(refusal(&redrive, &status(), &gone), "AWS cannot redrive it: Execution history event limit exceeded");
    assert!(refusal(&spec(&json!({"strategy": "Restart"})), &status(), &gone).starts_with("retries"));
}

#[test]
fn errors_are_named_as_in_a_state() {
    for (names, error, tried) in [
        (vec![], "Any", true),
        (vec!["A", "B"], "B", true),
        (vec!["A"], "B", false),
        (vec!["States.ALL"], "States.Timeout", true),
        (vec!["States.TaskFailed"], "Any", true),
        (vec!["States.TaskFailed"], "States.Timeout", false),
    ] {
        let mut spec = spec(&json!({"strategy": "Restart"}));
        spec.retry.as_mut().unwrap().on_errors = names.iter().map(|name| BoundedString((*name).into())).collect();
        assert_eq!(refusal(&spec, &status(), &failed(error)).starts_with("retries"), tried, "{names:?} {error}");
    }
}

#[test]
fn a_success_and_a_run_without_retry_end_without_a_word() {
    let now = at(2000);
    let retried = spec(&json!({"strategy": "Restart"}));
    assert_eq!(after_end(&retried, &status(), &failed("E"), Phase::Succeeded, now), AfterEnd::Ends(None));
    let mut plain = retried;
    plain.retry = None;
    assert_eq!(after_end(&plain, &status(), &failed("E"), Phase::Failed, now), AfterEnd::Ends(None));
}

#[test]
fn asking_for_a_redrive_gives_a_new_budget_of_retries() {
    let spec = spec(&json!({"strategy": "Redrive", "limit": 1}));
    let mut status = status();
    let retry = next_attempt(&spec, &status, "uid", at(3000)).unwrap();
    begin(&mut status, retry);
    assert!(refusal(&spec, &status, &failed("E")).contains("used up"));
    let asked = redrive_attempt(&status, AttemptCause::Asked, at(4000)).unwrap();
    begin(&mut status, asked);
    assert!(refusal(&spec, &status, &failed("E")).starts_with("retries"));
}

#[test]
fn a_redrive_is_numbered_after_what_aws_counts() {
    let spec = spec(&json!({"strategy": "Redrive"}));
    let mut status = status();
    // Somebody has redriven it twice in the console.
    status.redrive = Some(RedriveStatus { count: 2, possible: true, reason: None });
    let next = next_attempt(&spec, &status, "uid", at(3000)).unwrap();
    assert_eq!((next.number, next.redrive_count, next.execution_name.as_str()), (2, 3, "uid"));
}

#[test]
fn redrive_n_is_asked_for_only_while_aws_counts_one_less_and_shows_an_end() {
    let second = Attempt { redrive_count: 2, ..attempt() };
    let shown = |count, status| redrive_step(&second, &Execution { redrive_count: count, status, ..failed("E") });
    assert_eq!(shown(1, ExecutionStatus::Failed), RedriveStep::Ask);
    assert_eq!(shown(1, ExecutionStatus::TimedOut), RedriveStep::Ask);
    assert_eq!(shown(1, ExecutionStatus::Running), RedriveStep::NotShownYet);
    assert_eq!(shown(0, ExecutionStatus::Failed), RedriveStep::NotShownYet);
    assert_eq!(shown(2, ExecutionStatus::Running), RedriveStep::Made);
    assert_eq!(shown(2, ExecutionStatus::Failed), RedriveStep::Made);
    assert_eq!(shown(1, ExecutionStatus::Succeeded), RedriveStep::Made);
}

#[test]
fn express_machines_are_restarted_only_where_their_end_is_known() {
    use StateMachineType::{Express, Standard};
    let check = |mode: &str, strategy: &str, machine_type| {
        let mut spec = spec(&json!({"strategy": strategy}));
        spec.mode = serde_json::from_value(json!(mode)).unwrap();
        check_mode(&spec, machine_type).map_err(|failure| failure.reason.as_str())
    };
    assert_eq!(check("Async", "Redrive", Standard), Ok(()));
    assert_eq!(check("Async", "Restart", Standard), Ok(()));
    assert_eq!(check("Sync", "Restart", Standard), Err("ModeNotSupported"));
    assert_eq!(check("Sync", "Restart", Express), Ok(()));
    assert_eq!(check("Async", "Restart", Express), Err("RetryNotSupported"));
    assert_eq!(check("Sync", "Redrive", Express), Err("RetryNotSupported"));
}

proptest! {
    /// Whatever is done in whatever order: names of executions and redrives never repeat, numbers only grow.
    #[test]
    fn no_attempt_repeats_another(choices in proptest::collection::vec(any::<bool>(), 1..60)) {
        let (restart, redrive) = (spec(&json!({"strategy": "Restart"})), spec(&json!({"strategy": "Redrive"})));
        let mut status = status();
        let mut seen = std::collections::HashSet::from([("uid".to_owned(), 0)]);
        for choice in choices {
            let spec = if choice { &restart } else { &redrive };
            let next = next_attempt(spec, &status, "uid", at(1)).unwrap();
            prop_assert!(next.number > status.attempts.last().unwrap().number);
            prop_assert!(seen.insert((next.execution_name.clone(), next.redrive_count)), "{:?}", next);
            begin(&mut status, next);
            prop_assert!(status.attempts.len() <= KEPT_ATTEMPTS);
        }
    }
}
