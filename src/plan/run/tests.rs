use super::*;
use crate::api::v1alpha1::{Cancel, DurationString, LocalRef, RedriveStatus, StopRequest};
use crate::plan::samples::{at, attempt};
use crate::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn spec() -> WorkflowRunSpec {
    serde_json::from_value(serde_json::json!({"workflowRef": LocalRef { name: "w".into() }})).unwrap()
}

fn running() -> WorkflowRunStatus {
    WorkflowRunStatus {
        phase: Some(Phase::Running),
        attempts: vec![attempt()],
        execution_arn: Some("arn:e".into()),
        started_at: Some(Time(at(1000))),
        ..WorkflowRunStatus::default()
    }
}

#[test]
fn a_recorded_attempt_is_resumed_and_never_prepared_again() {
    let mut status = WorkflowRunStatus { attempts: vec![attempt()], ..WorkflowRunStatus::default() };
    status.phase = Some(Phase::Starting);
    let mut cancelled = spec();
    cancelled.cancel = Some(Cancel::default());
    assert_eq!(next(&spec(), &status, None, at(2000)), Step::Resume(attempt()));
    assert_eq!(next(&cancelled, &status, None, at(2000)), Step::AbandonStart(attempt()));
    status.execution_arn = Some("arn:e".into());
    assert_eq!(next(&spec(), &status, None, at(2000)), Step::Redrive(attempt()));
    assert_eq!(next(&cancelled, &status, None, at(2000)), Step::AbandonRedrive(attempt()));
}

#[test]
fn an_intent_to_stop_is_recorded_before_the_stop() {
    let mut spec = spec();
    spec.timeout = Some(DurationString("60s".into()));
    let mut status = running();
    assert_eq!(next(&spec, &status, None, at(1059)), Step::Observe("arn:e".into()));
    assert_eq!(next(&spec, &status, None, at(1060)), Step::RecordStop(StopIntent::Timeout));
    status.stop = Some(StopRequest { intent: StopIntent::Timeout, recorded_at: Time(at(1060)), requested_by: None });
    spec.cancel = Some(Cancel::default());
    assert_eq!(next(&spec, &status, None, at(1061)), Step::Stop("arn:e".into(), StopIntent::Timeout));
}

#[test]
fn an_adopted_execution_is_never_stopped() {
    let mut spec = spec();
    spec.cancel = Some(Cancel::default());
    let status = WorkflowRunStatus { adopted: true, ..running() };
    assert_eq!(next(&spec, &status, None, at(5000)), Step::Observe("arn:e".into()));
}

#[test]
fn a_deadline_that_has_passed_ends_the_run_unstarted() {
    let mut spec = spec();
    spec.start_deadline = Some(at(100).into());
    let status = WorkflowRunStatus::default();
    assert_eq!(next(&spec, &status, None, at(100)), Step::Prepare);
    assert!(matches!(
        next(&spec, &status, None, at(101)),
        Step::EndUnstarted(Phase::Failed, Reason::StartDeadlineExceeded, _)
    ));
    assert!(matches!(next(&spec, &running(), None, at(101)), Step::Observe(_)));
}

#[test]
fn the_execution_arn_is_known_before_the_start() {
    let version = Attempt { target_arn: format!("{}:3", attempt().target_arn), ..attempt() };
    assert_eq!(execution_arn(&version), "arn:aws:states:r:1:execution:m:uid");
}

#[test]
fn an_input_that_aws_would_refuse_is_refused_here() {
    assert!(check_input("{\"a\": [1, 2]}").is_ok() && check_input("null").is_ok());
    assert_eq!(check_input("{\n oops}").unwrap_err().reason, Reason::InputInvalid);
    assert!(check_input("{\n oops}").unwrap_err().message.contains("line 2"));
    let largest = format!("\"{}\"", "x".repeat(MAX_INPUT_BYTES - 2));
    assert!(check_input(&largest).is_ok());
    assert_eq!(check_input(&format!(" {largest}")).unwrap_err().reason, Reason::InputTooLarge);
}

#[test]
fn a_redrive_is_recorded_before_it_is_asked_of_aws() {
    let redrive = Attempt { number: 2, redrive_count: 1, ..attempt() };
    let mut status = running();
    status.attempts.push(redrive.clone());
    status.phase = Some(Phase::Starting);
    assert_eq!(next(&spec(), &status, None, at(2000)), Step::Redrive(redrive));
    status.phase = Some(Phase::Running);
    assert_eq!(next(&spec(), &status, None, at(2000)), Step::Observe("arn:e".into()));
}

#[test]
fn between_attempts_a_cancel_ends_the_run_and_time_begins_the_next() {
    let waits = WorkflowRunStatus { phase: Some(Phase::Pending), retry_at: Some(Time(at(1100))), ..running() };
    assert_eq!(next(&spec(), &waits, None, at(1099)), Step::WaitForRetry(at(1100)));
    assert_eq!(next(&spec(), &waits, None, at(1100)), Step::Retry);
    let mut cancelled = spec();
    cancelled.cancel = Some(Cancel::default());
    assert!(matches!(next(&cancelled, &waits, None, at(1100)), Step::EndUnstarted(Phase::Aborted, ..)));
    assert_eq!(next(&spec(), &waits, Some("now"), at(1001)), Step::RecordRedrive);
}

#[test]
fn a_redrive_is_asked_for_once_by_each_token() {
    let failed = WorkflowRunStatus { phase: Some(Phase::Failed), finished_at: Some(Time(at(1010))), ..running() };
    assert_eq!(next(&spec(), &failed, None, at(2000)), Step::Finished);
    assert_eq!(next(&spec(), &failed, Some("1"), at(2000)), Step::RecordRedrive);
    let mut handled = failed.clone();
    handled.last_handled.redrive = Some("1".into());
    assert_eq!(next(&spec(), &handled, Some("1"), at(2000)), Step::Finished);
    assert_eq!(next(&spec(), &handled, Some("2"), at(2000)), Step::RecordRedrive);
    assert!(matches!(next(&spec(), &running(), Some("1"), at(1001)), Step::RefuseRedrive(_)));
}

#[test]
fn a_redrive_that_aws_would_refuse_is_refused_with_its_reason() {
    let failed = WorkflowRunStatus { phase: Some(Phase::Failed), finished_at: Some(Time(at(1010))), ..running() };
    let day = 24 * 3600;
    assert_eq!(may_redrive(&spec(), &failed, at(1010 + 14 * day)), Ok(()));
    let refused =
        |spec: &WorkflowRunSpec, status: &WorkflowRunStatus, now| may_redrive(spec, status, at(now)).unwrap_err();
    assert!(refused(&spec(), &failed, 1011 + 14 * day).contains("14 days"));
    let full = Some(RedriveStatus {
        reason: Some("Execution history event limit exceeded".into()),
        ..RedriveStatus::default()
    });
    assert!(refused(&spec(), &WorkflowRunStatus { redrive: full, ..failed.clone() }, 2000).contains("event limit"));
    let good = WorkflowRunStatus { phase: Some(Phase::Succeeded), ..failed.clone() };
    assert!(refused(&spec(), &good, 2000).contains("succeeded"));
    let unstarted = WorkflowRunStatus { execution_arn: None, ..failed.clone() };
    assert!(refused(&spec(), &unstarted, 2000).contains("was started"));
    let mut cancelled = spec();
    cancelled.cancel = Some(Cancel::default());
    assert!(refused(&cancelled, &failed, 2000).contains("spec.cancel"));
    let mut express = spec();
    express.mode = RunMode::Sync;
    assert!(refused(&express, &failed, 2000).contains("Express"));
}

#[test]
fn the_timeout_counts_from_the_first_start_and_anew_when_somebody_asks() {
    let mut spec = spec();
    spec.timeout = Some(DurationString("60s".into()));
    let mut status = running();
    status.attempts.push(Attempt { number: 2, cause: AttemptCause::Retry, recorded_at: Time(at(1030)), ..attempt() });
    assert_eq!(timeout_at(&spec, &status), Some(at(1060)));
    status.attempts.push(Attempt { number: 3, cause: AttemptCause::Asked, recorded_at: Time(at(5000)), ..attempt() });
    assert_eq!(timeout_at(&spec, &status), Some(at(5060)));
}
