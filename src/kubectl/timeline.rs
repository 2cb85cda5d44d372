//! What a run did, in lines: the timeline of its states.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::table::{Table, pad, printable, width};
use super::words::{paint, result, took};
use crate::api::v1alpha1::{Iterations, Timeline, Visit, VisitResult};

/// States within others are this much further in.
const INDENT: &str = "  ";

/// The table of `get`, for lines of so many columns.
pub(super) fn table(timeline: &Timeline, now: Timestamp, columns: usize) -> String {
    let begin = begin(timeline);
    let mut table = Table::new(&["STATE", "RESULT", "AFTER", "DURATION", "RETRIES", "ERROR"]);
    for visit in &timeline.visits {
        let (sign, word, _) = result(visit.result);
        let entered = visit.entered_at.as_ref().map(|time| time.0);
        let after = entered.zip(begin).map(|(entered, begin)| took(entered.duration_since(begin)));
        let retries = if visit.retries > 0 { visit.retries.to_string() } else { String::new() };
        table.row(vec![
            format!("{}{}", INDENT.repeat(depth(visit)), visit.state),
            format!("{sign} {word}{}", visit.iterations.as_ref().map(counted).unwrap_or_default()),
            after.unwrap_or_default(),
            length(visit, now).map(took).unwrap_or_default(),
            retries,
            visit.error.clone().unwrap_or_default(),
        ]);
    }
    let left_out = left_out(timeline).map(|line| format!("{line}\n")).unwrap_or_default();
    format!("{}{left_out}", table.fit(columns, &["AFTER", "RETRIES"]).text())
}

/// One line a visit, as narrow as it can be.
pub(super) fn lines(timeline: &Timeline, now: Timestamp, colour: bool) -> Vec<String> {
    let name = |visit: &Visit| format!("{}{}", INDENT.repeat(depth(visit)), printable(&visit.state));
    let widest = timeline.visits.iter().map(|visit| width(&name(visit))).max().unwrap_or(0).min(24);
    let line = |visit: &Visit| {
        let (sign, _, code) = result(visit.result);
        let mut line = format!("{} {}", paint(sign, code, colour), pad(&name(visit), widest));
        if let Some(length) = length(visit, now) {
            let _ = write!(line, "  {}", took(length));
        }
        if visit.retries > 0 {
            let _ = write!(line, " ↻{}", visit.retries);
        }
        line.push_str(&visit.iterations.as_ref().map(counted).unwrap_or_default());
        if let Some(error) = &visit.error {
            let _ = write!(line, "  {}", printable(error));
        }
        line
    };
    timeline.visits.iter().map(line).chain(left_out(timeline)).collect()
}

fn begin(timeline: &Timeline) -> Option<Timestamp> {
    timeline.visits.iter().filter_map(|visit| visit.entered_at.as_ref()).map(|time| time.0).min()
}

fn left_out(timeline: &Timeline) -> Option<String> {
    (timeline.omitted > 0).then(|| format!("({} more visits are left out, for room)", timeline.omitted))
}

/// How many states of the definition are around it.
fn depth(visit: &Visit) -> usize {
    visit.path.matches("/States/").count().saturating_sub(1).min(6)
}

/// How long it took, or has taken so far.
fn length(visit: &Visit, now: Timestamp) -> Option<SignedDuration> {
    let entered = visit.entered_at.as_ref()?.0;
    let left = match visit.result {
        VisitResult::Running => now,
        _ => visit.exited_at.as_ref()?.0,
    };
    Some(left.duration_since(entered))
}

fn counted(iterations: &Iterations) -> String {
    let Iterations { total, succeeded, failed, .. } = iterations;
    let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!(" {succeeded}/{total}{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn timeline() -> Timeline {
        let at = |seconds: u32| format!("2026-01-01T00:00:{seconds:02}.500000Z");
        serde_json::from_value(json!({"observedEventID": 9, "omitted": 3, "visits": [
            {"path": "/States/Pick", "state": "Pick", "enteredAt": at(1), "exitedAt": at(3), "result": "Succeeded", "retries": 2},
            {"path": "/States/All", "state": "All", "enteredAt": at(3), "result": "Running",
                "iterations": {"total": 40, "succeeded": 12, "failed": 1, "running": 4}},
            {"path": "/States/All/ItemProcessor/States/Pack", "state": "Pa\u{7}ck", "enteredAt": at(4), "exitedAt": at(5),
                "result": "Failed", "error": "Broken"},
            {"path": "/States/Odd", "state": "Odd"},
        ]}))
        .unwrap()
    }

    #[test]
    fn a_timeline_is_an_aligned_table() {
        let now = "2026-01-01T00:00:10.5Z".parse().unwrap();
        let text = table(&timeline(), now, 80);
        let lines: Vec<&str> = text.lines().collect();
        let column = |name: &str| width(&lines[0][..lines[0].find(name).unwrap()]);
        let at = |line: &str, column: usize| line.chars().skip(column).take_while(|c| *c != ' ').collect::<String>();
        for (line, state, after, duration) in
            [(1, "Pick", "0ms", "2.0s"), (2, "All", "2.0s", "7.0s"), (3, "", "3.0s", "1.0s"), (4, "Odd", "", "")]
        {
            assert_eq!(at(lines[line], 0), state, "{text}");
            assert_eq!(at(lines[line], column("AFTER")), after, "{text}");
            assert_eq!(at(lines[line], column("DURATION")), duration, "{text}");
        }
        assert!(lines[1].contains("✔ Succeeded") && at(lines[1], column("RETRIES")) == "2", "{text}");
        assert!(lines[2].contains("… Running 12/40, 1 failed"), "{text}");
        assert!(lines[3].starts_with("  Pa\u{fffd}ck") && at(lines[3], column("ERROR")) == "Broken", "{text}");
        assert_eq!(lines[5], "(3 more visits are left out, for room)");
    }

    #[test]
    fn a_line_of_it_is_narrow() {
        let now = "2026-01-01T00:00:10.5Z".parse().unwrap();
        let lines = lines(&timeline(), now, false);
        assert_eq!(lines[0], "✔ Pick     2.0s ↻2");
        assert_eq!(lines[1], "… All      7.0s 12/40, 1 failed");
        assert_eq!(lines[2], "✘   Pa\u{fffd}ck  1.0s  Broken");
        assert!(lines.iter().all(|line| width(line) <= 40), "{lines:#?}");
        assert!(super::lines(&timeline(), now, true)[0].starts_with("\u{1b}[32m✔\u{1b}[0m "));
    }
}
