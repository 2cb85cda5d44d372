//! What is new, in lines: for whoever reads no terminal.

use std::collections::HashMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::await_run::phase;
use super::super::table::printable;
use super::super::words::{took, written};
use crate::api::v1alpha1::{Phase, Timeline, Visit, VisitResult, WorkflowRun};

/// What was told so far.
#[derive(Default)]
pub(super) struct Told {
    phase: Option<Phase>,
    progress: Option<i64>,
    visits: HashMap<(String, Option<Timestamp>), VisitResult>,
}

impl Told {
    /// Lines of what was not told yet, each with its time.
    pub fn news(&mut self, run: &WorkflowRun, timeline: Option<&Timeline>, now: Timestamp) -> String {
        let mut lines = String::new();
        let phase = phase(run);
        let visits = timeline.map(|timeline| timeline.visits.as_slice()).unwrap_or_default();
        // Its states come after its beginning and before its end.
        if !phase.is_finished() {
            lines.push_str(&self.of_phase(run, now));
        }
        for visit in visits {
            lines.push_str(&self.of_visit(visit, now));
        }
        if phase.is_finished() {
            lines.push_str(&self.of_phase(run, now));
        }
        lines
    }

    fn of_phase(&mut self, run: &WorkflowRun, now: Timestamp) -> String {
        let status = run.status.as_ref();
        let progress = status.and_then(|status| status.progress_percent);
        let mut lines = String::new();
        if self.phase.replace(phase(run)) != Some(phase(run)) {
            let time = match phase(run) {
                Phase::Running => status.and_then(|status| status.started_at.as_ref()),
                phase if phase.is_finished() => status.and_then(|status| status.finished_at.as_ref()),
                _ => None,
            };
            let time = time.map_or(now, |time| time.0);
            let _ = writeln!(lines, "{} {} {}", written(time), run.name_any(), phase(run).as_str());
        }
        if let Some(progress) = progress
            && self.progress.replace(progress) != Some(progress)
        {
            let _ = writeln!(lines, "{} {} {progress} %", written(now), run.name_any());
        }
        lines
    }

    fn of_visit(&mut self, visit: &Visit, now: Timestamp) -> String {
        let entered = visit.entered_at.as_ref().map(|time| time.0);
        let before = self.visits.insert((visit.path.clone(), entered), visit.result);
        let state = printable(&visit.state);
        let mut lines = String::new();
        if before.is_none() {
            let _ = writeln!(lines, "{} {state} entered", written(entered.unwrap_or(now)));
        }
        if visit.result != VisitResult::Running && before != Some(visit.result) {
            let exited = visit.exited_at.as_ref().map(|time| time.0);
            let length = entered.zip(exited).map(|(entered, exited)| exited.duration_since(entered));
            let length = length.map(|length| format!(" after {}", took(length))).unwrap_or_default();
            let error = visit.error.as_ref().map(|error| format!(": {}", printable(error))).unwrap_or_default();
            let (_, word, _) = super::super::words::result(visit.result);
            let time = written(exited.unwrap_or(now));
            let _ = writeln!(lines, "{time} {state} {}{length}{error}", word.to_lowercase());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_thing_is_told_once_and_in_its_order() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let run = |phase: &str| -> WorkflowRun {
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": {"phase": phase,
                    "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:09Z"}}))
            .unwrap()
        };
        let timeline = |result: &str| -> Timeline {
            serde_json::from_value(json!({"visits": [{"path": "/States/A", "state": "A\u{7}", "result": result,
                "enteredAt": "2026-01-01T00:00:02.000000Z", "exitedAt": "2026-01-01T00:00:03.500000Z",
                "error": if result == "Failed" { Some("Broken") } else { None }}]}))
            .unwrap()
        };
        let mut told = Told::default();
        assert_eq!(told.news(&run("Pending"), None, now), "2026-01-01T00:00:00Z order Pending\n");
        assert_eq!(told.news(&run("Pending"), None, now), "");
        assert_eq!(
            told.news(&run("Running"), Some(&timeline("Running")), now),
            "2026-01-01T00:00:01Z order Running\n2026-01-01T00:00:02Z A\u{fffd} entered\n"
        );
        assert_eq!(
            told.news(&run("Failed"), Some(&timeline("Failed")), now),
            "2026-01-01T00:00:04Z A\u{fffd} failed after 1.5s: Broken\n2026-01-01T00:00:09Z order Failed\n"
        );
        assert_eq!(told.news(&run("Failed"), Some(&timeline("Failed")), now), "");
    }
}
