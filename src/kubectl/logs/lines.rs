//! Events as lines.

use std::fmt::Write as _;

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use crate::api::v1alpha1::{EventData, PageEvent};
use crate::kubectl::table::{pad, printable};
use crate::kubectl::words::paint;

/// Columns for the type of an event.
const TYPE: usize = 24;

/// `2026-01-01T00:00:00.000Z  TaskFailed  Pay  lambda  States.Timeout: …`, and below it what went in and out.
pub(super) fn text(event: &PageEvent, data: Option<&EventData>, colour: bool) -> String {
    let mut parts = vec![time(event.timestamp.0), typed(event, colour)];
    parts.extend(event.state.as_ref().map(|state| match event.iteration {
        Some(iteration) => format!("{state}[{iteration}]"),
        None => state.clone(),
    }));
    parts.extend(event.resource.clone());
    // The whole cause stands below.
    let cause = event.cause.as_ref().filter(|_| data.is_none_or(|data| data.cause.is_none()));
    parts.extend(match (&event.error, cause) {
        (Some(error), Some(cause)) => Some(format!("{error}: {cause}")),
        (Some(error), None) => Some(error.clone()),
        (None, cause) => cause.cloned(),
    });
    let shown: Vec<String> =
        parts.iter().enumerate().map(|(at, part)| if at == 1 { part.clone() } else { printable(part) }).collect();
    let mut text = format!("{}\n", shown.join("  ").trim_end());
    for (name, value) in data.into_iter().flat_map(payload) {
        let _ = writeln!(text, "    {name:<10}  {}", printable(value));
    }
    if data.is_some_and(|data| data.truncated) {
        text.push_str("    (cut off: the history has no more of it)\n");
    }
    text
}

fn payload(data: &EventData) -> impl Iterator<Item = (&'static str, &String)> {
    let all =
        [("input", &data.input), ("parameters", &data.parameters), ("output", &data.output), ("cause", &data.cause)];
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
}

fn typed(event: &PageEvent, colour: bool) -> String {
    let kind = printable(&event.event_type);
    let code = match kind.as_str() {
        kind if kind.ends_with("Failed") || kind.ends_with("TimedOut") => Some("31"),
        kind if kind.ends_with("Aborted") => Some("33"),
        kind if kind.ends_with("Succeeded") || kind.ends_with("Exited") => Some("32"),
        _ => None,
    };
    let padded = pad(&kind, TYPE);
    code.map_or_else(|| padded.clone(), |code| paint(&padded, code, colour))
}

/// To the millisecond, so that the columns align.
fn time(at: Timestamp) -> String {
    let at = at.round(Unit::Millisecond).unwrap_or(at);
    format!("{at:.3}")
}

/// The event as one line of JSON, what went in and out with it.
pub(super) fn json(event: &PageEvent, data: Option<&EventData>) -> String {
    let mut value = serde_json::to_value(event).unwrap_or_else(|_| json!({"id": event.id}));
    if let Some(fields) = value.as_object_mut() {
        for (name, text) in data.into_iter().flat_map(payload) {
            // Inputs and outputs are JSON, but for what was cut off.
            let parsed = serde_json::from_str(text).ok().filter(|_| name != "cause");
            fields.insert(name.to_owned(), parsed.unwrap_or_else(|| Value::String(text.clone())));
        }
        if data.is_some_and(|data| data.truncated) {
            fields.insert("truncated".to_owned(), Value::Bool(true));
        }
    }
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(more: &Value) -> PageEvent {
        let mut value =
            json!({"id": 5, "type": "TaskFailed", "timestamp": "2026-01-01T00:00:01.234567Z", "state": "Pay"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_event_is_a_line_and_what_went_in_and_out_stands_below() {
        let failed = event(
            &json!({"error": "States.Timeout", "cause": "too\u{1b}[2J slow", "resource": "lambda", "iteration": 2}),
        );
        assert_eq!(
            text(&failed, None, false),
            "2026-01-01T00:00:01.235Z  TaskFailed                Pay[2]  lambda  States.Timeout: too\u{fffd}[2J slow\n"
        );
        assert!(text(&failed, None, true).contains("\u{1b}[31mTaskFailed"));
        let data = EventData {
            id: 5,
            input: Some("{\"a\": 1}".into()),
            cause: Some("too slow by far".into()),
            truncated: true,
            ..EventData::default()
        };
        let lines = text(&failed, Some(&data), false);
        assert!(lines.ends_with(
            "  States.Timeout\n    input       {\"a\": 1}\n    cause       too slow by far\n    (cut off: the history has no more of it)\n"
        ), "{lines}");
        let whole = event(&json!({"timestamp": "2026-01-01T00:00:01Z", "type": "ExecutionStarted", "state": null}));
        assert_eq!(text(&whole, None, false), "2026-01-01T00:00:01.000Z  ExecutionStarted\n");
    }

    #[test]
    fn as_json_an_event_is_one_line_with_its_data() {
        let data = EventData {
            id: 5,
            input: Some("{\"a\": 1}".into()),
            output: Some("{\"cut".into()),
            ..EventData::default()
        };
        let line = json(&event(&json!({})), Some(&data));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((line.lines().count(), &value["input"]["a"], &value["output"]), (1, &json!(1), &json!("{\"cut")));
        assert_eq!(value["type"], "TaskFailed");
    }
}
