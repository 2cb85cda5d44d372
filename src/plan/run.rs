//! What a WorkflowRun needs next. The write-ahead records in its status make every step safe to repeat: an attempt is
//! recorded before the start, an intent before the stop.

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{Attempt, Phase, StopIntent, WorkflowRunSpec, WorkflowRunStatus};
use crate::aws::Execution;
use crate::outcome::{Class, Failure};

/// Longest input that AWS takes, in bytes (`StartExecution`, parameter `input`).
pub const MAX_INPUT_BYTES: usize = 262_144;
/// AWS's answers lag: an execution that is not shown so long after its start may still exist.
const VISIBILITY: SignedDuration = SignedDuration::from_mins(5);
/// Clocks differ: an execution that started so little before its attempt was recorded is still this run's own.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The next step of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing is left but the time to live.
    Finished,
    /// It ends here without having started.
    EndUnstarted(Phase, &'static str, String),
    /// Record an attempt and start.
    Prepare,
    /// An attempt is recorded and nobody knows whether AWS got it.
    Resume(Attempt),
    /// Record the intent to stop.
    RecordStop(StopIntent),
    /// Stop, as recorded, and look.
    Stop(String, StopIntent),
    /// Look.
    Observe(String),
}

/// Decides from the records alone.
pub fn next(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, now: Timestamp) -> Step {
    if status.phase.unwrap_or_default().is_finished() {
        return Step::Finished;
    }
    let Some(attempt) = status.attempts.last() else {
        return before_start(spec, now);
    };
    let Some(arn) = &status.execution_arn else {
        return Step::Resume(attempt.clone());
    };
    match (&status.stop, wanted_stop(spec, status, now)) {
        (Some(stop), _) => Step::Stop(arn.clone(), stop.intent),
        (None, Some(intent)) => Step::RecordStop(intent),
        (None, None) => Step::Observe(arn.clone()),
    }
}

fn before_start(spec: &WorkflowRunSpec, now: Timestamp) -> Step {
    if spec.cancel.is_some() {
        return Step::EndUnstarted(Phase::Aborted, "Cancelled", "The run was cancelled before it started.".into());
    }
    match &spec.start_deadline {
        Some(deadline) if deadline.0 < now => {
            let message =
                format!("The start deadline {} has passed; the run was never started. Create another run.", deadline.0);
            Step::EndUnstarted(Phase::Failed, "StartDeadlineExceeded", message)
        }
        _ => Step::Prepare,
    }
}

fn wanted_stop(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, now: Timestamp) -> Option<StopIntent> {
    if status.adopted {
        return None;
    }
    if spec.cancel.is_some() {
        return Some(StopIntent::Cancel);
    }
    timeout_at(spec, status).filter(|at| *at <= now).map(|_| StopIntent::Timeout)
}

/// When the run's own timeout ends it.
pub fn timeout_at(spec: &WorkflowRunSpec, status: &WorkflowRunStatus) -> Option<Timestamp> {
    let timeout = SignedDuration::try_from(spec.timeout.as_ref()?.to_std()?).ok()?;
    status.started_at.as_ref()?.0.checked_add(timeout).ok()
}

/// True while absence of an execution proves nothing yet.
pub fn may_be_invisible(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) < VISIBILITY
}

/// ARN of the execution that an attempt starts: known before AWS answers.
pub fn execution_arn(attempt: &Attempt) -> String {
    let machine = machine_arn(&attempt.target_arn);
    format!("{}:{}", machine.replacen(":stateMachine:", ":execution:", 1), attempt.execution_name)
}

/// The machine's ARN, without a version.
pub fn machine_arn(target_arn: &str) -> String {
    target_arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

/// The machine of an execution, without a version.
pub fn machine_of_execution(execution_arn: &str) -> String {
    machine_arn(execution_arn).replacen(":execution:", ":stateMachine:", 1)
}

/// How an execution that exists under the attempt's name relates to the run.
///
/// # Errors
/// `ExecutionNameTaken` when input or target differ: it is somebody else's.
pub fn adopt(spec: &WorkflowRunSpec, attempt: &Attempt, input: &str, found: &Execution) -> Result<bool, Failure> {
    let same_input = found.input.as_deref().is_some_and(|other| same_json(input, other));
    let same_machine = found.state_machine_arn == machine_arn(&attempt.target_arn);
    if !(same_input && same_machine) {
        let what = if same_machine { "another input" } else { "another target" };
        return Err(Failure::new(
            Class::Terminal,
            "ExecutionNameTaken",
            format!(
                "Execution {} exists with {what}; it was not touched. Create a run with another spec.executionName.",
                found.arn
            ),
        ));
    }
    let older = attempt.recorded_at.0.duration_since(found.started_at) > CLOCK_SKEW;
    Ok(spec.execution_name.is_some() && older)
}

fn same_json(a: &str, b: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || (read(a).is_some() && read(a) == read(b))
}

/// Checks an input text.
///
/// # Errors
/// `InputInvalid` with line and column, `InputTooLarge` with the size.
pub fn check_input(text: &str) -> Result<(), Failure> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let message =
            format!("The input is not JSON: {error}. Mend the ConfigMap's value; the run starts by itself then.");
        return Err(Failure::new(Class::Terminal, "InputInvalid", message));
    }
    if text.len() > MAX_INPUT_BYTES {
        let message = format!(
            "The input has {} bytes; AWS takes at most {MAX_INPUT_BYTES}. Put the data into S3 and pass its location.",
            text.len()
        );
        return Err(Failure::new(Class::Terminal, "InputTooLarge", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::{Cancel, DurationString, LocalRef, StopRequest};
    use crate::aws::ExecutionStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spec() -> WorkflowRunSpec {
        serde_json::from_value(serde_json::json!({"workflowRef": LocalRef { name: "w".into() }})).unwrap()
    }

    fn attempt() -> Attempt {
        Attempt {
            number: 1,
            execution_name: "name".into(),
            target_arn: "arn:aws:states:r:1:stateMachine:m:3".into(),
            trust_binding_name: "b".into(),
            input_digest: "d".into(),
            recorded_at: Time(at(1000)),
        }
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
        assert_eq!(next(&spec(), &status, at(2000)), Step::Resume(attempt()));
        assert_eq!(next(&cancelled, &status, at(2000)), Step::Resume(attempt()));
    }

    #[test]
    fn an_intent_to_stop_is_recorded_before_the_stop() {
        let mut spec = spec();
        spec.timeout = Some(DurationString("60s".into()));
        let mut status = running();
        assert_eq!(next(&spec, &status, at(1059)), Step::Observe("arn:e".into()));
        assert_eq!(next(&spec, &status, at(1060)), Step::RecordStop(StopIntent::Timeout));
        status.stop = Some(StopRequest { intent: StopIntent::Timeout, recorded_at: Time(at(1060)) });
        spec.cancel = Some(Cancel::default());
        assert_eq!(next(&spec, &status, at(1061)), Step::Stop("arn:e".into(), StopIntent::Timeout));
    }

    #[test]
    fn an_adopted_execution_is_never_stopped() {
        let mut spec = spec();
        spec.cancel = Some(Cancel::default());
        let status = WorkflowRunStatus { adopted: true, ..running() };
        assert_eq!(next(&spec, &status, at(5000)), Step::Observe("arn:e".into()));
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_run_unstarted() {
        let mut spec = spec();
        spec.start_deadline = Some(Time(at(100)));
        let status = WorkflowRunStatus::default();
        assert_eq!(next(&spec, &status, at(100)), Step::Prepare);
        assert!(matches!(next(&spec, &status, at(101)), Step::EndUnstarted(Phase::Failed, "StartDeadlineExceeded", _)));
        assert!(matches!(next(&spec, &running(), at(101)), Step::Observe(_)));
    }

    #[test]
    fn an_execution_is_adopted_only_with_the_same_input_and_target() {
        let found = |input: &str, machine: &str, started: i64| Execution {
            arn: "arn:e".into(),
            state_machine_arn: machine.into(),
            version_arn: None,
            status: ExecutionStatus::Running,
            started_at: at(started),
            stopped_at: None,
            redrive_count: 0,
            input: Some(input.into()),
            output: None,
            error: None,
            cause: None,
        };
        let machine = "arn:aws:states:r:1:stateMachine:m";
        let mut named = spec();
        named.execution_name = Some("name".into());
        let judge = |spec: &WorkflowRunSpec, found: &Execution| adopt(spec, &attempt(), r#"{"a":1}"#, found);
        assert_eq!(judge(&named, &found(r#"{ "a": 1 }"#, machine, 100)), Ok(true));
        assert_eq!(judge(&named, &found(r#"{"a":1}"#, machine, 1001)), Ok(false));
        assert_eq!(judge(&spec(), &found(r#"{"a":1}"#, machine, 100)), Ok(false));
        assert!(judge(&named, &found(r#"{"a":2}"#, machine, 1001)).is_err());
        assert!(judge(&named, &found(r#"{"a":1}"#, "arn:aws:states:r:1:stateMachine:n", 1001)).is_err());
    }

    #[test]
    fn the_execution_arn_is_known_before_the_start() {
        assert_eq!(execution_arn(&attempt()), "arn:aws:states:r:1:execution:m:name");
    }

    #[test]
    fn an_input_that_aws_would_refuse_is_refused_here() {
        assert!(check_input("{\"a\": [1, 2]}").is_ok() && check_input("null").is_ok());
        assert_eq!(check_input("{\n oops}").unwrap_err().reason, "InputInvalid");
        assert!(check_input("{\n oops}").unwrap_err().message.contains("line 2"));
        let largest = format!("\"{}\"", "x".repeat(MAX_INPUT_BYTES - 2));
        assert!(check_input(&largest).is_ok());
        assert_eq!(check_input(&format!(" {largest}")).unwrap_err().reason, "InputTooLarge");
    }
}
