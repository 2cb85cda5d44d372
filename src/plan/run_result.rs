//! What the end of an execution means for its run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{OutputStore, Phase, RedriveStatus, StopIntent, WorkflowRunStatus};
use crate::aws::{Execution, ExecutionStatus};
use crate::digest::sha256_hex;
use crate::iam::arn::Arn;
use crate::iam::partition;
use crate::reason::Reason;
use crate::status::{Conditions, FAILED, RECONCILING, STALLED, Truth};

/// Largest output that a status holds, in bytes.
pub const MAX_STATUS_OUTPUT: usize = 16 * 1024;
/// Longest cause that a status holds, in characters.
const MAX_CAUSE: usize = 4096;
/// How many states are told to people in one line.
const STATES_IN_A_LINE: usize = 3;

/// The phase that an ended execution gives its run, or `None` while it runs. A stop that was asked for and happened
/// gives the phase of its intent.
pub fn phase_of(status: ExecutionStatus, intent: Option<StopIntent>) -> Option<Phase> {
    Some(match (status, intent) {
        (ExecutionStatus::Running, _) => return None,
        (ExecutionStatus::Succeeded, _) => Phase::Succeeded,
        (ExecutionStatus::Failed, _) => Phase::Failed,
        (ExecutionStatus::TimedOut, _) | (ExecutionStatus::Aborted, Some(StopIntent::Timeout)) => Phase::TimedOut,
        (ExecutionStatus::Aborted, _) => Phase::Aborted,
    })
}

/// The phase of an execution that has ended, whoever ended it.
pub fn phase_at_the_end(status: ExecutionStatus) -> Phase {
    phase_of(status, None).unwrap_or(Phase::Failed)
}

/// Writes the end of an execution into the status. The run began with its first execution.
pub fn record(status: &mut WorkflowRunStatus, execution: &Execution, phase: Phase, store: OutputStore) {
    let ended = execution.stopped_at.unwrap_or(execution.started_at);
    let started = status.started_at.get_or_insert(Time(execution.started_at)).0;
    status.phase = Some(phase);
    status.finished_at = Some(Time(ended));
    let ran = ended.duration_since(started).as_millis();
    status.duration = Some(for_people(status.ran_milliseconds.map_or(ran, i128::from)));
    status.refusal = None;
    record_failure(status, execution);
    if let Some(output) = &execution.output {
        status.output_digest = Some(sha256_hex(output.as_bytes()));
        status.output_bytes = i64::try_from(output.len()).ok();
        if store == OutputStore::Status && output.len() <= MAX_STATUS_OUTPUT {
            status.output = serde_json::from_str(output).ok();
        }
    }
}

/// Writes why an execution failed into the status, if it did.
pub fn record_failure(status: &mut WorkflowRunStatus, execution: &Execution) {
    status.error.clone_from(&execution.error);
    status.cause = execution.cause.as_deref().map(bounded_cause);
}

/// A cause as a status holds it.
pub fn bounded_cause(cause: &str) -> String {
    cause.chars().take(MAX_CAUSE).collect()
}

/// Writes what AWS says of redrives, of an execution that ended without success or was ever redriven.
pub fn record_redrive(status: &mut WorkflowRunStatus, execution: &Execution) {
    let succeeded = execution.status == ExecutionStatus::Succeeded;
    if succeeded && execution.redrive_count == 0 {
        return;
    }
    let (possible, reason) = match &execution.redrivable {
        Some(Ok(())) => (true, None),
        Some(Err(reason)) => (false, Some(reason.clone())),
        None => (!succeeded, None),
    };
    status.redrive = Some(RedriveStatus { count: i64::from(execution.redrive_count), possible, reason });
}

/// Conditions of a run that has ended, in whatever way.
pub fn ended(conditions: &mut Conditions, phase: Phase, reason: Reason, message: &str) {
    conditions.set("Finished", Truth::True, reason, message);
    let complete = matches!(phase, Phase::Succeeded | Phase::Dispatched);
    if complete {
        conditions.set("Complete", Truth::True, reason, message).ready(reason, message);
    } else {
        conditions.set(FAILED, Truth::True, reason, message);
        conditions.set("Ready", Truth::False, reason, message);
        conditions.set(STALLED, Truth::True, reason, message).remove(RECONCILING);
    }
}

/// Reason of the condition that tells of an end.
pub fn reason_of(phase: Phase) -> Reason {
    match phase {
        Phase::Succeeded => Reason::Succeeded,
        Phase::TimedOut => Reason::TimedOut,
        Phase::Aborted => Reason::Aborted,
        Phase::Dispatched => Reason::Dispatched,
        _ => Reason::ExecutionFailed,
    }
}

/// Tells where a running execution is.
pub fn tell_progress(status: &mut WorkflowRunStatus, current: Vec<String>, percent: Option<i64>) {
    let shown = current.iter().take(STATES_IN_A_LINE).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if current.len() > STATES_IN_A_LINE { ", …" } else { "" };
    let percent_shown = percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    status.state = (!current.is_empty()).then(|| format!("{shown}{more}{percent_shown}"));
    status.current_states = current;
    status.progress_percent = percent;
}

/// Takes back what is told only of a running execution.
pub fn forget_progress(status: &mut WorkflowRunStatus) {
    status.current_states.clear();
    status.progress_percent = None;
    status.state.clone_from(&status.failed_state);
}

/// A duration as kubectl writes it: `850ms`, `2s`, `3m20s`, `5h2m`.
pub fn for_people(milliseconds: i128) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The execution, or the state machine, in the AWS console of its partition.
pub fn console_url(arn: &str) -> String {
    let kind = if arn.contains(":execution:") { "executions/details" } else { "statemachines/view" };
    Arn::parse(arn).map(|parts| partition::console(&parts, &format!("{kind}/{arn}"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::status::{find, is_true};

    #[test]
    fn the_recorded_intent_decides_the_phase_of_a_stopped_execution_only() {
        use ExecutionStatus as Status;
        assert_eq!(phase_of(Status::Running, Some(StopIntent::Cancel)), None);
        assert_eq!(phase_of(Status::Aborted, Some(StopIntent::Timeout)), Some(Phase::TimedOut));
        assert_eq!(phase_of(Status::Aborted, Some(StopIntent::Cancel)), Some(Phase::Aborted));
        assert_eq!(phase_of(Status::Aborted, None), Some(Phase::Aborted));
        assert_eq!(phase_of(Status::Succeeded, Some(StopIntent::Cancel)), Some(Phase::Succeeded));
        assert_eq!(phase_of(Status::TimedOut, None), Some(Phase::TimedOut));
    }

    #[test]
    fn every_end_is_finished_and_only_a_good_one_is_complete_and_ready() {
        for (phase, good) in [
            (Phase::Succeeded, true),
            (Phase::Dispatched, true),
            (Phase::Failed, false),
            (Phase::Aborted, false),
            (Phase::TimedOut, false),
        ] {
            let mut conditions = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
            ended(&mut conditions, phase, Reason::Rejected, "");
            let list = conditions.finish();
            assert!(is_true(&list, "Finished"));
            assert_eq!(is_true(&list, "Complete"), good);
            assert_eq!(is_true(&list, "Ready"), good);
            assert_eq!(find(&list, "Stalled").is_some(), !good);
        }
    }

    #[test]
    fn durations_read_well() {
        let span = for_people;
        assert_eq!([span(850), span(2100), span(200_000), span(18_120_000)], ["850ms", "2s", "3m20s", "5h2m"]);
    }

    #[test]
    fn the_console_is_that_of_the_partition() {
        let arn = "arn:aws-cn:states:cn-north-1:1:execution:m:n";
        assert_eq!(
            console_url(arn),
            format!(
                "https://cn-north-1.console.amazonaws.cn/states/home?region=cn-north-1#/v2/executions/details/{arn}"
            )
        );
    }

    #[test]
    fn people_are_told_the_first_states_and_the_percentage() {
        let mut status = WorkflowRunStatus::default();
        tell_progress(&mut status, vec!["Each".into()], Some(40));
        assert_eq!(status.state.as_deref(), Some("Each (40 %)"));
        tell_progress(&mut status, ["A", "B", "C", "D"].map(str::to_owned).to_vec(), None);
        assert_eq!(status.state.as_deref(), Some("A, B, C, …"));
        assert_eq!((status.current_states.len(), status.progress_percent), (4, None));
        status.failed_state = Some("B".into());
        forget_progress(&mut status);
        assert_eq!((status.state.as_deref(), status.current_states.len()), (Some("B"), 0));
    }
}
