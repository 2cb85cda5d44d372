//! What is new, in lines: for whoever reads no terminal.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::await_run::phase;
use super::super::table::printable;
use super::super::words::{small, took};
use crate::api::v1alpha1::{Phase, Timeline, Visit, VisitResult, WorkflowRun};

/// What was told so far.
#[derive(Default)]
pub(super) struct Told {
    phase: Option<Phase>,
    progress: Option<i64>,
    visits: HashMap<(String, Option<Timestamp>), VisitResult>,
    /// What has ended by then is of an earlier attempt.
    before: Option<Timestamp>,
}

/// When something was, and the words for it.
type Line = (Timestamp, String);

impl Told {
    /// What a run did before it was redriven is known.
    pub fn of(before: &WorkflowRun) -> Self {
        let status = before.status.as_ref();
        let visits = status.and_then(|status| status.timeline.as_ref()).map(|timeline| timeline.visits.as_slice());
        let visits = visits.unwrap_or_default().iter().map(|visit| (key(visit), visit.result)).collect();
        let ended = status.and_then(|status| status.finished_at.as_ref()).map(|time| time.0);
        Self { visits, before: ended, ..Self::default() }
    }

    /// Lines of what was not told yet, each with its time, in the order of their times. The end of the run is told by [`end`].
    ///
    /// [`end`]: Self::end
    pub fn news(&mut self, run: &WorkflowRun, timeline: Option<&Timeline>, now: Timestamp) -> String {
        let mut lines = Vec::new();
        if !phase(run).is_finished() {
            self.of_phase(run, now, &mut lines);
        }
        for visit in timeline.map(|timeline| timeline.visits.as_slice()).unwrap_or_default() {
            self.of_visit(visit, now, &mut lines);
        }
        // Branches of a Parallel are told one after the other, and were side by side.
        lines.sort_by_key(|(time, _)| *time);
        lines.into_iter().fold(String::new(), |text, line| text + &written(line))
    }

    /// The line of the run's end, once.
    pub fn end(&mut self, run: &WorkflowRun, now: Timestamp) -> String {
        if !phase(run).is_finished() || self.phase.replace(phase(run)) == Some(phase(run)) {
            return String::new();
        }
        let ended = run.status.as_ref().and_then(|status| status.finished_at.as_ref());
        written((ended.map_or(now, |time| time.0), spoken(run)))
    }

    fn of_phase(&mut self, run: &WorkflowRun, now: Timestamp, lines: &mut Vec<Line>) {
        let status = run.status.as_ref();
        let progress = status.and_then(|status| status.progress_percent);
        if self.phase.replace(phase(run)) != Some(phase(run)) {
            lines.push((begun(run).unwrap_or(now), spoken(run)));
        }
        if let Some(progress) = progress
            && self.progress.replace(progress) != Some(progress)
        {
            lines.push((now, format!("{} {progress} %", run.name_any())));
        }
    }

    fn of_visit(&mut self, visit: &Visit, now: Timestamp, lines: &mut Vec<Line>) {
        let entered = visit.entered_at.as_ref().map(|time| time.0);
        let exited = visit.exited_at.as_ref().map(|time| time.0);
        let last = self.visits.insert(key(visit), visit.result);
        if last.is_none() && exited.is_some_and(|exited| self.before.is_some_and(|before| exited <= before)) {
            return;
        }
        let state = printable(&visit.state);
        if last.is_none() {
            lines.push((entered.unwrap_or(now), format!("{state} entered")));
        }
        if visit.result != VisitResult::Running && last != Some(visit.result) {
            let length = entered.zip(exited).map(|(entered, exited)| exited.duration_since(entered));
            let length = length.map(|length| format!(" after {}", took(length))).unwrap_or_default();
            let error = visit.error.as_ref().map(|error| format!(": {}", printable(error))).unwrap_or_default();
            let (_, word, _) = super::super::words::result(visit.result);
            lines.push((exited.unwrap_or(now), format!("{state} {}{length}{error}", small(word))));
        }
    }
}

fn key(visit: &Visit) -> (String, Option<Timestamp>) {
    (visit.path.clone(), visit.entered_at.as_ref().map(|time| time.0))
}

fn spoken(run: &WorkflowRun) -> String {
    format!("{} {}", run.name_any(), phase(run).as_str())
}

/// When it came into its phase, as far as it says so: its execution's own time, not that of whoever looks.
fn begun(run: &WorkflowRun) -> Option<Timestamp> {
    let status = run.status.as_ref()?;
    let attempt = status.attempts.last();
    let time = match phase(run) {
        Phase::Pending if attempt.is_none() => run.creation_timestamp(),
        Phase::Starting => attempt.map(|attempt| attempt.recorded_at.clone()),
        // That of the first attempt says nothing of a redrive.
        Phase::Running if attempt.is_some_and(|attempt| attempt.number > 1) => {
            attempt.map(|attempt| attempt.recorded_at.clone())
        }
        Phase::Running => status.started_at.clone(),
        _ => None,
    };
    time.map(|time| time.0)
}

/// Statuses have whole seconds, so the fractions of all others are left out, or the end would be before what led to it.
fn written((time, words): Line) -> String {
    let second = Timestamp::from_second(time.as_second()).unwrap_or(time);
    format!("{second} {words}\n")
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
                "metadata": {"name": "order", "creationTimestamp": "2025-12-31T23:59:58Z"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": {"phase": phase,
                    "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:09Z"}}))
            .unwrap()
        };
        let told_as = |result: &str| -> Timeline {
            serde_json::from_value(json!({"visits": [{"path": "/States/A", "state": "A\u{7}", "result": result,
                "enteredAt": "2026-01-01T00:00:02.000000Z", "exitedAt": "2026-01-01T00:00:03.500000Z",
                "error": if result == "Failed" { Some("Broken") } else { None }}]}))
            .unwrap()
        };
        let mut told = Told::default();
        assert_eq!(told.news(&run("Pending"), None, now), "2025-12-31T23:59:58Z order Pending\n");
        assert_eq!(told.news(&run("Pending"), None, now), "");
        assert_eq!(
            told.news(&run("Running"), Some(&told_as("Running")), now),
            "2026-01-01T00:00:01Z order Running\n2026-01-01T00:00:02Z A\u{fffd} entered\n"
        );
        assert_eq!(
            told.news(&run("Failed"), Some(&told_as("Failed")), now),
            "2026-01-01T00:00:03Z A\u{fffd} failed after 1.5s: Broken\n"
        );
        assert_eq!(told.news(&run("Failed"), Some(&told_as("Failed")), now), "");
        assert_eq!(told.end(&run("Failed"), now), "2026-01-01T00:00:09Z order Failed\n");
        assert_eq!(told.end(&run("Failed"), now), "");
    }

    fn timeline(visits: &[(&str, &str, &str, &str)]) -> Timeline {
        let time = |seconds: &str| format!("2026-01-01T00:00:0{seconds}Z");
        let visit = |(state, result, from, to): &(&str, &str, &str, &str)| {
            json!({"path": format!("/States/{state}"), "state": state, "result": result, "enteredAt": time(from),
                "exitedAt": if to.is_empty() { None } else { Some(time(to)) }})
        };
        serde_json::from_value(json!({"visits": visits.iter().map(visit).collect::<Vec<_>>()})).unwrap()
    }

    fn of(status: &serde_json::Value) -> WorkflowRun {
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
        .unwrap()
    }

    #[test]
    fn the_times_of_lines_rise() {
        let now = "2026-01-01T00:00:09Z".parse().unwrap();
        let run = of(&json!({"phase": "Running", "startedAt": "2026-01-01T00:00:01Z"}));
        let side_by_side = [
            ("All", "Succeeded", "1.300000", "5.900000"),
            ("A", "Succeeded", "1.600000", "5.800000"),
            ("B", "TimedOut", "2.500000", "3.700000"),
        ];
        let mut told = Told::default();
        let ended = of(
            &json!({"phase": "Succeeded", "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:05Z"}),
        );
        let text = told.news(&run, Some(&timeline(&side_by_side)), now) + &told.end(&ended, now);
        let lines: Vec<_> = text.lines().map(|line| line.split_at(17)).map(|(_, line)| line).collect();
        assert_eq!(
            lines,
            [
                "01Z order Running",
                "01Z All entered",
                "01Z A entered",
                "02Z B entered",
                "03Z B timed out after 1.2s",
                "05Z A succeeded after 4.2s",
                "05Z All succeeded after 4.6s",
                "05Z order Succeeded",
            ]
        );
    }

    #[test]
    fn of_a_redriven_run_the_new_attempt_alone_is_news() {
        let now = "2026-01-01T00:00:09Z".parse().unwrap();
        let (first, known) = (("A", "Succeeded", "1.000000", "2.000000"), ("B", "Failed", "2.000000", "3.000000"));
        let before =
            of(&json!({"phase": "Failed", "finishedAt": "2026-01-01T00:00:03Z", "timeline": timeline(&[known])}));
        let attempts = json!([{"number": 2, "executionName": "e", "targetARN": "t", "trustBindingName": "b", "inputDigest": "d",
            "recordedAt": "2026-01-01T00:00:06Z", "redriveCount": 1, "cause": "Asked"}]);
        let run = of(&json!({"phase": "Running", "startedAt": "2026-01-01T00:00:01Z", "attempts": attempts}));
        let mut told = Told::of(&before);
        assert_eq!(told.news(&before, Some(&timeline(&[first, known])), now), "");
        let again = [first, ("B", "Running", "2.000000", "")];
        assert_eq!(told.news(&run, Some(&timeline(&again)), now), "2026-01-01T00:00:06Z order Running\n");
        let again = [first, ("B", "Succeeded", "2.000000", "7.000000"), ("C", "Running", "7.000000", "")];
        assert_eq!(
            told.news(&run, Some(&timeline(&again)), now),
            "2026-01-01T00:00:07Z B succeeded after 5.0s\n2026-01-01T00:00:07Z C entered\n"
        );
    }
}
