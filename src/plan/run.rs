//! What a WorkflowRun needs next. The write-ahead records in its status make every step safe to repeat: an attempt is
//! recorded before the start, an intent before the stop.

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{Attempt, AttemptCause, Phase, RunMode, StopIntent, WorkflowRunSpec, WorkflowRunStatus};
use crate::nesting;
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Longest input that AWS takes, in bytes (`StartExecution`, parameter `input`).
pub const MAX_INPUT_BYTES: usize = 262_144;
/// AWS's answers lag: an execution that is not shown so long after its start may still exist.
const VISIBILITY: SignedDuration = SignedDuration::from_mins(5);
/// How long after its end AWS redrives an execution (`RedriveExecution`, "redrivable period").
const REDRIVABLE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Longest time that a call which was under way when its process died may still take to reach AWS.
const CALL_LANDS: SignedDuration = SignedDuration::from_secs(30);

/// The next step of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing is left but the time to live.
    Finished,
    /// It ends here without having started.
    EndUnstarted(Phase, Reason, String),
    /// Record an attempt and start.
    Prepare,
    /// The start of an attempt is recorded and nobody knows whether AWS got it.
    Resume(Attempt),
    /// A redrive is recorded and nobody knows whether AWS got it.
    Redrive(Attempt),
    /// The start of an attempt is recorded, nobody knows whether AWS got it, and the run is cancelled.
    AbandonStart(Attempt),
    /// A redrive is recorded, nobody knows whether AWS got it, and the run is cancelled.
    AbandonRedrive(Attempt),
    /// Nothing runs until the next attempt begins.
    WaitForRetry(Timestamp),
    /// Record the next attempt, by `spec.retry`.
    Retry,
    /// Record a redrive that somebody asked for.
    RecordRedrive,
    /// Say why a redrive that somebody asked for is not made.
    RefuseRedrive(String),
    /// Record the intent to stop.
    RecordStop(StopIntent),
    /// Stop, as recorded, and look.
    Stop(String, StopIntent),
    /// Look.
    Observe(String),
    /// Look for its end in this log group: AWS tells it nowhere else.
    ReadLog(String),
}

impl Step {
    /// True of what asks AWS to start or redrive.
    pub fn starts(&self) -> bool {
        matches!(self, Step::Prepare | Step::Resume(_) | Step::Redrive(_) | Step::Retry)
    }

    /// True of what somebody has asked for and what waits for neither time, turn nor AWS.
    pub fn is_due(&self) -> bool {
        matches!(self, Step::EndUnstarted(..) | Step::RefuseRedrive(_) | Step::RecordStop(_))
    }

    /// True of what answers somebody who asked for a redrive.
    pub fn answers_redrive(&self) -> bool {
        matches!(self, Step::RecordRedrive | Step::RefuseRedrive(_))
    }
}

/// Decides from the records alone. `asked` is the value of the annotation that asks for a redrive.
pub fn next(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, asked: Option<&str>, now: Timestamp) -> Step {
    let asked = status.last_handled.is_new(asked);
    let finished = status.phase.unwrap_or_default().is_finished();
    if finished && asked {
        return may_redrive(spec, status, now).map_or_else(Step::RefuseRedrive, |()| Step::RecordRedrive);
    }
    if finished {
        return Step::Finished;
    }
    let Some(attempt) = status.attempts.last().filter(|_| !status.awaits_start()) else {
        return before_start(spec, now);
    };
    if let Some(at) = &status.retry_at {
        return between_attempts(spec, status, at.0, asked, now);
    }
    if asked {
        return Step::RefuseRedrive("The execution has not ended. Ask again when it has failed.".into());
    }
    // What waits for its answer beside the reconcile is not helped by a cancel: AWS stops no Express execution.
    let cancelled = spec.cancel.is_some() && spec.mode == RunMode::Async;
    let Some(arn) = &status.execution_arn else {
        let attempt = attempt.clone();
        return if cancelled { Step::AbandonStart(attempt) } else { Step::Resume(attempt) };
    };
    if status.phase == Some(Phase::Starting) {
        let attempt = attempt.clone();
        return if cancelled { Step::AbandonRedrive(attempt) } else { Step::Redrive(attempt) };
    }
    match (&status.stop, wanted_stop(spec, status, now)) {
        (Some(stop), _) => Step::Stop(arn.clone(), stop.intent),
        (None, Some(intent)) => Step::RecordStop(intent),
        (None, None) => status.log_group_arn.clone().map_or_else(|| Step::Observe(arn.clone()), Step::ReadLog),
    }
}

fn between_attempts(
    spec: &WorkflowRunSpec,
    status: &WorkflowRunStatus,
    at: Timestamp,
    asked: bool,
    now: Timestamp,
) -> Step {
    if spec.cancel.is_some() {
        let message = "The run was cancelled while it waited for its next attempt.";
        return Step::EndUnstarted(Phase::Aborted, Reason::Cancelled, message.into());
    }
    if asked && may_redrive(spec, status, now).is_ok() {
        return Step::RecordRedrive;
    }
    if at <= now { Step::Retry } else { Step::WaitForRetry(at) }
}

/// Whether a run that has ended, or waits for its next attempt, can be redriven.
///
/// # Errors
/// Why not, and what to do instead.
pub fn may_redrive(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, now: Timestamp) -> Result<(), String> {
    const AGAIN: &str = "Create another run.";
    let ended = status.finished_at.as_ref().map_or(now, |time| time.0);
    let refused = status.redrive.as_ref().filter(|redrive| !redrive.possible);
    if spec.mode == RunMode::Sync || status.phase == Some(Phase::Dispatched) || status.log_group_arn.is_some() {
        return Err(format!("AWS redrives no Express execution. {AGAIN}"));
    }
    if status.phase == Some(Phase::Succeeded) {
        return Err(format!("The execution succeeded; there is nothing to redrive. {AGAIN}"));
    }
    if status.execution_arn.is_none() {
        return Err(format!("No execution of this run was started. {AGAIN}"));
    }
    if spec.cancel.is_some() {
        return Err(format!("spec.cancel is set and cannot be taken back. {AGAIN}"));
    }
    if status.adopted {
        return Err("The execution existed before this run, which only follows it. Redrive it in AWS.".into());
    }
    if let Some(redrive) = refused {
        let why = redrive.reason.as_deref().unwrap_or("AWS gives no reason");
        return Err(format!("{}. {AGAIN}", why.trim_end_matches('.')));
    }
    if now.duration_since(ended) > REDRIVABLE {
        return Err(format!("AWS redrives an execution for 14 days after its end, which have passed. {AGAIN}"));
    }
    Ok(())
}

/// True while a call that was recorded at this time may still be on its way to AWS.
pub fn may_still_land(recorded_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(recorded_at) < CALL_LANDS
}

/// The start deadline, once it has passed: nothing is started after it.
pub fn missed_deadline(spec: &WorkflowRunSpec, now: Timestamp) -> Option<Timestamp> {
    spec.start_deadline.as_ref()?.read().filter(|deadline| *deadline < now)
}

fn before_start(spec: &WorkflowRunSpec, now: Timestamp) -> Step {
    if spec.cancel.is_some() {
        return Step::EndUnstarted(
            Phase::Aborted,
            Reason::Cancelled,
            "The run was cancelled before it started.".into(),
        );
    }
    let Some(written) = &spec.start_deadline else { return Step::Prepare };
    match written.read() {
        Some(deadline) if deadline >= now => Step::Prepare,
        Some(deadline) => {
            let message =
                format!("The start deadline {deadline} has passed; the run was never started. Create another run.");
            Step::EndUnstarted(Phase::Failed, Reason::StartDeadlineExceeded, message)
        }
        None => {
            let message = format!(
                "spec.startDeadline {:?} cannot be read as a time; the run was never started. Create another run with a time such as 2027-01-31T12:00:00Z.",
                written.0
            );
            Step::EndUnstarted(Phase::Failed, Reason::StartDeadlineUnreadable, message)
        }
    }
}

fn wanted_stop(spec: &WorkflowRunSpec, status: &WorkflowRunStatus, now: Timestamp) -> Option<StopIntent> {
    // AWS stops no Express execution (`StopExecution`); it ends within five minutes by itself.
    if status.adopted || status.log_group_arn.is_some() {
        return None;
    }
    if spec.cancel.is_some() {
        return Some(StopIntent::Cancel);
    }
    timeout_at(spec, status).filter(|at| *at <= now).map(|_| StopIntent::Timeout)
}

/// When the run's own timeout ends it: counted from its first start, or from when somebody last asked for a redrive.
pub fn timeout_at(spec: &WorkflowRunSpec, status: &WorkflowRunStatus) -> Option<Timestamp> {
    let timeout = SignedDuration::try_from(spec.timeout.as_ref()?.to_std()?).ok()?;
    let asked = status.attempts.iter().rev().find(|attempt| attempt.cause == AttemptCause::Asked);
    let from = asked.map(|attempt| attempt.recorded_at.0).or(status.started_at.as_ref().map(|time| time.0))?;
    from.checked_add(timeout).ok()
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

/// The name in an ARN of a machine, a version, an alias or an execution of it.
pub fn machine_name(arn: &str) -> Option<&str> {
    arn.split(':').nth(6)
}

/// The machine of an execution, without a version.
pub fn machine_of_execution(execution_arn: &str) -> String {
    let below = if execution_arn.split(':').nth(5) == Some("express") { ":express:" } else { ":execution:" };
    machine_arn(execution_arn).replacen(below, ":stateMachine:", 1)
}

/// Refuses a run whose input stands in two places.
///
/// # Errors
/// `InputAmbiguous`.
pub fn check_source(spec: &WorkflowRunSpec) -> Result<(), Failure> {
    if spec.input.is_none() || spec.input_from.is_none() {
        return Ok(());
    }
    let message = "Both spec.input and spec.inputFrom are set; create a run with one of them.";
    Err(Failure::new(Class::Terminal, Reason::InputAmbiguous, message))
}

/// Refuses a run with a length of time that cannot be kept to: older definitions took any.
///
/// # Errors
/// `ValueNotAllowed`.
pub fn check_lengths(spec: &WorkflowRunSpec) -> Result<(), Failure> {
    let retry = spec.retry.as_ref();
    let backoff = retry.map(|retry| &retry.backoff);
    let lengths = [
        ("spec.timeout", spec.timeout.as_ref()),
        ("spec.ttlAfterFinished", spec.ttl_after_finished.as_ref()),
        ("spec.retry.backoff.interval", backoff.map(|backoff| &backoff.interval)),
        ("spec.retry.backoff.maxInterval", backoff.map(|backoff| &backoff.max_interval)),
    ];
    for (field, length) in lengths {
        if let Some(length) = length.filter(|length| length.to_std().is_none()) {
            let message = format!(
                "{field} is {}, and a length of time is at most 87600h. Create another run with a shorter one.",
                length.0
            );
            return Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message));
        }
    }
    Ok(())
}

/// Checks an input text.
///
/// # Errors
/// `InputInvalid` with line and column, `InputTooLarge` with the size, `NestedTooDeep`.
pub fn check_input(text: &str) -> Result<(), Failure> {
    nesting::check("The input", text)?;
    if text.starts_with('\u{feff}') {
        let message = "The input begins with a byte order mark (U+FEFF), which JSON does not have. Save the ConfigMap's value as UTF-8 without one; the run starts by itself then.";
        return Err(Failure::new(Class::Terminal, Reason::InputInvalid, message));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| no_json(&error))?;
    if text.len() > MAX_INPUT_BYTES {
        let message = format!(
            "The input has {} bytes; AWS takes at most {MAX_INPUT_BYTES}. Put the data into S3 and pass its location.",
            text.len()
        );
        return Err(Failure::new(Class::Terminal, Reason::InputTooLarge, message));
    }
    Ok(())
}

/// Reads an input text.
///
/// # Errors
/// `InputInvalid` with line and column.
pub fn read_input(text: &str) -> Result<serde_json::Value, Failure> {
    serde_json::from_str(text).map_err(|error| no_json(&error))
}

fn no_json(error: &serde_json::Error) -> Failure {
    let message = format!("The input is not JSON: {error}. Mend the ConfigMap's value; the run starts by itself then.");
    Failure::new(Class::Terminal, Reason::InputInvalid, message)
}

#[cfg(test)]
mod tests;
