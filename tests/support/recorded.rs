//! Recordings of AWS, and the signs that their recorder put in the place of what differs from run to run.

#![allow(dead_code)] // each of those who share it takes a part

use std::path::PathBuf;

use serde_json::Value;

use crate::corpus;

/// The folder that `STEPBOUND_RECORDINGS` names, else `recordings` of the corpus.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("STEPBOUND_RECORDINGS").map(PathBuf::from);
    named.or_else(|| corpus::folder().map(|folder| folder.join("recordings")))
}

/// With what stands for the signs, such as `<region>`.
pub fn filled_in(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(fill_in(text)),
        Value::Array(items) => Value::Array(items.iter().map(filled_in).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (fill_in(key), filled_in(value))).collect())
        }
        other => other.clone(),
    }
}

fn fill_in(text: &str) -> String {
    if text == "activity_arn" {
        return "arn:aws:states:us-east-1:111111111111:activity:filled-in".to_owned();
    }
    let mut filled = text.replace("<partition>", "aws").replace("<region>", "us-east-1");
    while let Some(start) = filled.find('<') {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
        let Some(end) = filled[start..].find('>').map(|length| start + length) else { break };
        let word = &filled[start + 1..end];
        if word.is_empty() || !word.chars().all(is_word) {
            break;
        }
        filled = format!("{}{}{}", &filled[..start], word.replace(':', "-"), &filled[end + 1..]);
    }
    filled
}

/// True where a value is what was recorded: numbers by value, objects without regard to order, JSON in a text as JSON, and
/// anything in the place of a sign.
pub fn is_as_recorded(recorded: &Value, ours: &Value) -> bool {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            let has = |(key, value): (&String, &Value)| {
                let filled = fill_in(key);
                ours.get(key).or_else(|| ours.get(&filled)).is_some_and(|ours| is_as_recorded(value, ours))
            };
            recorded.len() == ours.len() && recorded.iter().all(has)
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            recorded.len() == ours.len()
                && recorded.iter().zip(ours).all(|(recorded, ours)| is_as_recorded(recorded, ours))
        }
        (Value::String(recorded), Value::String(ours)) => {
            fill_in(recorded) == *ours
                || fill_in(recorded) == fill_in(ours)
                || is_a_sign(recorded)
                || recorded.ends_with("EventDetails.output")
                || matches(recorded, ours)
                || as_json(recorded).zip(as_json(ours)).is_some_and(|(recorded, ours)| is_as_recorded(&recorded, &ours))
        }
        // A text that is JSON was recorded as such.
        (Value::Object(_) | Value::Array(_) | Value::Number(_), Value::String(ours)) => {
            as_json(ours).is_some_and(|ours| is_as_recorded(recorded, &ours))
        }
        (recorded, ours) => stepbound::asl::same(recorded, ours),
    }
}

fn is_a_sign(text: &str) -> bool {
    matches!(text, "date" | "datetime" | "timestamp" | "start-date" | "stop-date" | "start-time" | "entered-time")
        || matches!(text, "map_run_arn" | "a_task_token")
}

fn as_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| !value.is_string() || text.starts_with('"'))
}

/// Each sign stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains('<') {
        return false;
    }
    // A sign may be inside of another.
    let (mut parts, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (at, sign) in pattern.char_indices() {
        match sign {
            '<' if depth == 0 => {
                parts.push(&pattern[from..at]);
                depth = 1;
            }
            '<' => depth += 1,
            '>' if depth > 0 => {
                depth -= 1;
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[from..]);
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let Some(mut text) = text.strip_prefix(first).and_then(|text| text.strip_suffix(last)) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}
