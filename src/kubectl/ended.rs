//! What is said of a run that has ended.

use jiff::Timestamp;
use kube::ResourceExt;

use super::await_run::phase;
use super::show::print;
use super::table::printable;
use super::words::small;
use super::{Cluster, KubectlError};
use crate::api::v1alpha1::{Phase, WorkflowRun, WorkflowRunStatus};
use crate::cli::out::say;
use crate::plan::run::may_redrive;
use crate::reason::Reason;
use crate::status::{FAILED, find};

/// Prints how it ended; why, and what to do next, goes to standard error.
pub(super) fn ended(run: &WorkflowRun, cluster: &Cluster) -> Result<(), KubectlError> {
    let after = run.status.as_ref().and_then(|status| status.duration.as_ref());
    let after = after.map(|after| format!(" after {}", printable(after))).unwrap_or_default();
    let word = small(phase(run).as_str());
    print(&format!("workflowrun.stepbound.dev/{} {word}{after}\n", run.name_any()))?;
    if let Some(status) = &run.status
        && let Some(why) = why(status)
    {
        say(&why);
    }
    if let Some(next) = next(run, Timestamp::now()) {
        say(&format!("Next: {}", cluster.command(&next)));
    }
    Ok(())
}

/// Error, state and cause, in lines.
pub(super) fn why(status: &WorkflowRunStatus) -> Option<String> {
    if status.phase.is_none_or(Phase::is_good) {
        return None;
    }
    let place = status.failed_state.as_ref().map(|state| format!(" in state {}", printable(state))).unwrap_or_default();
    let error = status.error.as_deref().map(printable);
    let cause = status.cause.as_deref().map(printable);
    let told = match (error, cause) {
        (Some(error), Some(cause)) => format!("{error}{place}: {cause}"),
        (Some(one), None) | (None, Some(one)) => format!("{one}{place}"),
        (None, None) => return reason(status),
    };
    Some(told)
}

/// Why it ended, where no error of an execution says it: it may never have started.
pub(super) fn reason(status: &WorkflowRunStatus) -> Option<String> {
    if status.error.is_some() || status.cause.is_some() {
        return None;
    }
    let failed = find(&status.conditions, FAILED).filter(|failed| failed.status == "True")?;
    Some(format!("{}: {}", failed.reason, printable(&failed.message)))
}

/// The verb that helps from here.
pub(super) fn next(run: &WorkflowRun, now: Timestamp) -> Option<String> {
    let name = run.name_any();
    match phase(run) {
        Phase::Pending | Phase::Starting | Phase::Running => Some(format!("watch {name}")),
        Phase::Succeeded | Phase::Dispatched => None,
        Phase::Failed | Phase::TimedOut | Phase::Aborted => {
            let status = run.status.as_ref()?;
            let is_redrivable = status.redrive.as_ref().is_some_and(|redrive| redrive.possible)
                && may_redrive(&run.spec, status, now).is_ok();
            Some(match () {
                () if keeps_from_starting(status) => format!("describe run/{name}"),
                () if is_redrivable && phase(run) != Phase::Aborted => format!("redrive {name}"),
                () => format!("retry {name}"),
            })
        }
    }
}

/// True where the same run would end in the same way: what kept it from starting has to be mended first.
fn keeps_from_starting(status: &WorkflowRunStatus) -> bool {
    let was_for_once = [Reason::Cancelled, Reason::StartDeadlineExceeded, Reason::StartDeadlineUnreadable];
    let failed = find(&status.conditions, FAILED);
    status.started_at.is_none()
        && failed.is_some_and(|failed| was_for_once.into_iter().all(|reason| failed.reason != reason.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(status: &Value) -> WorkflowRun {
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
        .unwrap()
    }

    #[test]
    fn an_end_says_why_and_what_to_do_next() {
        let started = "2026-01-01T00:00:00Z";
        for (status, said, hint) in [
            (json!({}), None, Some("watch order")),
            (json!({"phase": "Running", "startedAt": started}), None, Some("watch order")),
            (json!({"phase": "Succeeded", "error": "old"}), None, None),
            (
                json!({"phase": "Failed", "startedAt": started, "finishedAt": started, "executionARN": "arn", "error": "Broken",
                    "cause": "no\u{1b}[2J", "failedState": "Pack", "redrive": {"count": 0, "possible": true}}),
                Some("Broken in state Pack: no\u{fffd}[2J"),
                Some("redrive order"),
            ),
            (
                json!({"phase": "Failed", "startedAt": started, "error": "Broken", "redrive": {"count": 0, "possible": false}}),
                Some("Broken"),
                Some("retry order"),
            ),
            (
                json!({"phase": "Failed", "conditions": [{"type": "Failed", "status": "True", "reason": "WorkflowNotFound",
                    "message": "There is none.", "lastTransitionTime": started}]}),
                Some("WorkflowNotFound: There is none."),
                Some("describe run/order"),
            ),
            (
                json!({"phase": "Aborted", "conditions": [{"type": "Failed", "status": "True", "reason": "Cancelled",
                    "message": "The run was cancelled before it started.", "lastTransitionTime": started}]}),
                Some("Cancelled: The run was cancelled before it started."),
                Some("retry order"),
            ),
            (json!({"phase": "Aborted", "startedAt": started, "cause": "enough"}), Some("enough"), Some("retry order")),
        ] {
            let run = run(&status);
            assert_eq!(why(run.status.as_ref().unwrap()).as_deref(), said, "{status}");
            let now = "2026-01-02T00:00:00Z".parse().unwrap();
            assert_eq!(next(&run, now).as_deref(), hint, "{status}");
        }
    }
}
