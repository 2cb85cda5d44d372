//! A picture of a run for a terminal: its graph, coloured as it goes, and its timeline beside or below it.

use std::fmt::Write as _;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::await_run::phase;
use super::super::list::duration;
use super::super::pause::{waits_for, who_decides};
use super::super::size::Size;
use super::super::table::{clip, pad, printable, width, wrap};
use super::super::timeline::lines;
use super::super::words::paint_phase;
use crate::api::v1alpha1::{Timeline, VisitResult, WorkflowRun};
use crate::graph::{Flow, History, terminal};

/// Between graph and timeline.
const GAP: usize = 3;
/// A timeline is not put into less beside a graph.
const NARROWEST: usize = 28;
/// Rows below which states come before the word that the graph is left out.
const LEAST: usize = 6;

/// What there is to see.
pub(super) struct Scene {
    pub run: WorkflowRun,
    /// What an ExecutionHistory tells.
    pub followed: Option<Timeline>,
    /// Why no more is seen.
    pub note: Option<String>,
    flow: Option<Flow>,
}

impl Scene {
    pub fn new(run: WorkflowRun, flow: Option<Flow>) -> Self {
        Self { run, followed: None, note: None, flow }
    }

    /// That of the run is for good, and written with its end.
    pub fn timeline(&self) -> Option<&Timeline> {
        let own = self.run.status.as_ref().and_then(|status| status.timeline.as_ref());
        own.or(self.followed.as_ref())
    }

    /// True once nothing of it can change any more.
    pub fn is_told_to_its_end(&self) -> bool {
        let own = self.run.status.as_ref().and_then(|status| status.timeline.as_ref());
        let runs = |timeline: &Timeline| timeline.visits.iter().any(|visit| visit.result == VisitResult::Running);
        own.is_some_and(|own| !runs(own))
    }

    /// Lines that fit the terminal. What does not fit beside is put below, and what does not fit at all is left out: the
    /// graph first, then the oldest states.
    pub fn frame(&self, size: Size, now: Timestamp, colour: bool) -> Vec<String> {
        // The only reason that is told is told in full.
        let head = self.head(now, colour);
        let most = size.rows.saturating_sub(2).max(1);
        let told = head.iter().skip(1).flat_map(|line| wrap(line, size.columns, 2)).take(most);
        let mut frame: Vec<String> = head.iter().take(1).cloned().chain(told).collect();
        let mut room = size.rows.saturating_sub(frame.len() + usize::from(self.note.is_some()) + 1);
        let times = self.timeline().map(|timeline| lines(timeline, now, colour)).unwrap_or_default();
        let graph = self.graph(size, colour);
        if self.flow.is_some() && (graph.is_empty() || graph.len() > room) && room >= LEAST {
            let workflow = &self.run.spec.workflow_ref.name;
            let why = format!("The graph does not fit: kubectl sfn graph workflow/{}", printable(workflow));
            let told = wrap(&why, size.columns, 2);
            room = room.saturating_sub(told.len() + 1);
            frame.extend(told);
            frame.push(String::new());
        }
        let widest = graph.iter().map(|line| width(line)).max().unwrap_or(0);
        match () {
            () if graph.is_empty() || graph.len() > room => frame.extend(last(times, room)),
            () if widest + GAP + NARROWEST <= size.columns => frame.extend(beside(&graph, &last(times, room), widest)),
            () => {
                let room = room - graph.len();
                frame.extend(graph);
                if room > 1 && !times.is_empty() {
                    frame.push(String::new());
                    frame.extend(last(times, room - 1));
                }
            }
        }
        frame.extend(self.note.clone());
        frame.iter().map(|line| clip(line, size.columns)).collect()
    }

    fn head(&self, now: Timestamp, colour: bool) -> Vec<String> {
        let status = self.run.status.clone().unwrap_or_default();
        let mut head = format!("{}  {}", self.run.name_any(), paint_phase(phase(&self.run), colour));
        if let Some(duration) = duration(&self.run, now) {
            let _ = write!(head, "  {}", printable(&duration));
        }
        if let Some(percent) = status.progress_percent {
            let _ = write!(head, "  {percent} %");
        }
        let mut lines = vec![head];
        lines.extend(waits_for(&self.run));
        lines.extend(who_decides(&self.run));
        lines.push(String::new());
        lines
    }

    /// Nothing where it is wider than the terminal.
    fn graph(&self, size: Size, colour: bool) -> Vec<String> {
        let Some(flow) = &self.flow else { return Vec::new() };
        let history = self.timeline().map(History::of_timeline);
        let drawing = terminal(flow, history.as_ref(), colour);
        let lines: Vec<String> = drawing.text.lines().map(str::to_owned).collect();
        let fits = drawing.note.is_none() && lines.iter().all(|line| width(line) <= size.columns);
        if fits { lines } else { Vec::new() }
    }
}

/// The last ones, as many as there is room for.
fn last(mut lines: Vec<String>, room: usize) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(room))
}

fn beside(graph: &[String], times: &[String], widest: usize) -> Vec<String> {
    let rows = graph.len().max(times.len());
    let row = |index: usize| {
        let left = graph.get(index).map_or("", String::as_str);
        let right = times.get(index).map_or("", String::as_str);
        format!("{}{right}", pad(left, widest + GAP)).trim_end().to_owned()
    };
    (0..rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl;
    use serde_json::json;

    fn scene() -> Scene {
        let run = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}},
            "status": {"phase": "Running", "startedAt": "2026-01-01T00:00:01Z"}}))
        .unwrap();
        let text = r#"{"StartAt": "Pick", "States": {"Pick": {"Type": "Pass", "Next": "Pack"}, "Pack": {"Type": "Pass", "End": true}}}"#;
        let definition = asl::as_it_is(asl::parse(text).unwrap(), &std::collections::BTreeMap::default(), &[]);
        let mut scene = Scene::new(run, Some(Flow::of(&definition.machine())));
        scene.followed = Some(
            serde_json::from_value(json!({"visits": [
                {"path": "/States/Pick", "state": "Pick", "result": "Succeeded",
                    "enteredAt": "2026-01-01T00:00:01.000000Z", "exitedAt": "2026-01-01T00:00:02.000000Z"},
                {"path": "/States/Pack", "state": "Pack", "enteredAt": "2026-01-01T00:00:02.000000Z",
                    "error": "an error of many words that goes on and on"},
            ]}))
            .unwrap(),
        );
        scene
    }

    #[test]
    fn a_picture_fits_its_terminal() {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let frame = |columns: usize, rows: usize| scene().frame(Size { columns, rows }, now, false);
        // Beside.
        let wide = frame(120, 50);
        assert_eq!(wide[0], "order  Running  9s");
        let joined = wide.iter().find(|line| line.contains("✔ Pick  1.0s")).unwrap();
        assert!(joined.find("✔ Pick") > Some(8), "{wide:#?}");
        // Below.
        let narrow = frame(36, 50);
        assert!(narrow.contains(&"✔ Pick  1.0s".to_owned()), "{narrow:#?}");
        assert!(narrow.iter().any(|line| line.contains('┌')), "{narrow:#?}");
        // Without the graph.
        let low = frame(40, 8);
        assert!(
            low.iter().all(|line| !line.contains('┌')) && low.iter().any(|line| line.contains("… Pack")),
            "{low:#?}"
        );
        let tiny = frame(10, 4);
        assert!(tiny.last().unwrap().starts_with("… Pack"), "the newest is kept: {tiny:#?}");
        for (columns, rows) in [(120, 50), (80, 24), (40, 50), (36, 50), (40, 8), (10, 4), (1, 1)] {
            let lines = frame(columns, rows);
            assert!(lines.len() <= rows.max(3), "{rows}: {lines:#?}");
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:#?}");
        }
    }

    #[test]
    fn a_graph_that_is_left_out_is_told_and_a_reason_is_not_cut() {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let low = scene().frame(Size { columns: 80, rows: 10 }, now, false);
        assert!(low.contains(&"The graph does not fit: kubectl sfn graph workflow/fulfil".to_owned()), "{low:#?}");
        let high = scene().frame(Size { columns: 80, rows: 50 }, now, false);
        assert!(!high.iter().any(|line| line.contains("does not fit")), "{high:#?}");
        let mut scene = scene();
        scene.run.status = serde_json::from_value(json!({"phase": "Pending", "conditions": [{"type": "Ready",
            "status": "False", "reason": "AliasNotFound", "message": "Workflow \"fulfil\" has no alias \"live\". Add it to spec.aliases.",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
        .unwrap();
        let frame = scene.frame(Size { columns: 40, rows: 24 }, now, false);
        let told = frame[1..4].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        assert!(
            told.starts_with("AliasNotFound: Workflow \"fulfil\" has no alias \"live\". Add it to spec.aliases."),
            "{frame:#?}"
        );
    }

    #[test]
    fn states_are_coloured_on_request_alone() {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let text = |colour: bool| scene().frame(Size { columns: 80, rows: 50 }, now, colour).join("\n");
        assert!(text(true).contains("\u{1b}[32m") && text(true).contains("\u{1b}[34m"));
        assert!(!text(false).contains('\u{1b}'));
    }

    #[test]
    fn a_run_that_waits_says_for_what() {
        let mut scene = scene();
        scene.run.status = serde_json::from_value(json!({"phase": "Pending", "conditions": [{"type": "Ready",
            "status": "False", "reason": "Queued", "message": "It is third.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
        .unwrap();
        let frame = scene.frame(Size { columns: 80, rows: 24 }, "2026-01-01T00:00:10Z".parse().unwrap(), false);
        assert_eq!(&frame[..3], ["order  Pending", "Queued: It is third.", ""]);
    }
}
