//! What is wrong with a value of a manifest, in words: what it is, what is wanted, what to write.

use std::fmt::Write;

use serde_json::Value;

use crate::api::v1alpha1::{DURATION_PATTERN, Form, form};
use crate::asl::Parsed;
use crate::asl::lint::Finding;

/// Ends what is said of a value that quotes would make a text. Where versions of YAML differ, its text in quotes follows.
const IN_QUOTES: &str = "put it in quotes";

/// A value that has another type than its schema wants.
pub(super) fn of_type(value: &Value, schema: &Value, name: &str) -> String {
    let wanted = schema["type"].as_str().unwrap_or_default();
    match wanted {
        "string" if schema["pattern"] == DURATION_PATTERN => of_duration(value, name),
        "string" => no_text(name, value),
        "object" => of_object(value, schema, name),
        "array" => format!(
            "{name} is {}, and a list is wanted: write each of its entries behind \"- \", or all of them in [ ]",
            what(value)
        ),
        "boolean" => format!("{name} is {}, and true or false is wanted, without quotes", what(value)),
        _ if value.is_number() => format!("{name} is {}, and a whole number is wanted", what(value)),
        _ => format!("{name} is {}, and a number is wanted, without quotes", what(value)),
    }
}

/// What a value is, where a text is wanted.
pub(super) fn no_text(name: &str, value: &Value) -> String {
    let remedy = if value.is_object() || value.is_array() || value.is_null() {
        "write one".to_owned()
    } else {
        IN_QUOTES.to_owned()
    };
    format!("{name} is {}, and a text is wanted; {remedy}", what(value))
}

/// Of a scalar that is no text to kubectl and is refused as such, the doubt is part of the refusal: told once, with its text.
pub(super) fn with_doubts(document: &Parsed, findings: &mut Vec<Finding>) {
    for scalar in &document.ambiguous {
        let is_doubt = |found: &Finding| found.code == "SB010" && found.span == scalar.span;
        let Some(doubt) = findings.iter().position(is_doubt) else { continue };
        let path = findings[doubt].path.clone();
        let is_refusal =
            |found: &&mut Finding| found.is_error() && found.path == path && found.message.ends_with(IN_QUOTES);
        let Some(refusal) = findings.iter_mut().find(is_refusal) else { continue };
        let why = "for kubectl reads YAML 1.1, in which";
        let _ = write!(refusal.message, ": \"{0}\", {why} {0} is no text", scalar.text);
        findings.remove(doubt);
    }
}

/// A number has no unit; people mean seconds.
fn of_duration(value: &Value, name: &str) -> String {
    let wanted = format!("{name} is {}, and a length of time is wanted, which has a unit", what(value));
    match value.as_f64().and_then(in_seconds) {
        Some(text) => format!("{wanted}: write \"{text}\" if these are seconds (units are h, m, s and ms)"),
        None => format!("{wanted}: write for example \"90s\", \"5m\" or \"1h30m\""),
    }
}

/// So many seconds as a length of time; nothing for what is none, or is finer than milliseconds.
fn in_seconds(seconds: f64) -> Option<String> {
    let whole = |number: f64| (0.0..1e12).contains(&number) && number.fract() == 0.0;
    if whole(seconds) {
        return Some(format!("{seconds}s"));
    }
    let milliseconds = seconds * 1000.0;
    whole(milliseconds).then(|| format!("{milliseconds}ms"))
}

fn of_object(value: &Value, schema: &Value, name: &str) -> String {
    let fields: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let with = if fields.is_empty() { String::new() } else { format!(" with {}", fields.join(" and ")) };
    let wanted = format!("{name} is {}, and an object{with} is wanted", what(value));
    // The text of a definition can be had from a ConfigMap alone.
    let elsewhere = match name {
        "definition" => "; a definition as a text, of JSON too, stands in a ConfigMap, which definitionFrom names",
        _ => "",
    };
    match value.as_str() {
        Some(text) if text.contains('\n') || text.trim_start().starts_with('{') => {
            format!(
                "{wanted}: remove the | (or >, or the quotes) before it, so that its lines are read as YAML{elsewhere}"
            )
        }
        Some(text) if fields.len() == 1 => format!("{wanted}: write {name}: {{{}: {text}}}", fields[0]),
        _ => format!("{wanted}{elsewhere}"),
    }
}

/// A value by its type, and itself where it is short.
fn what(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(truth) => format!("the boolean {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// A text that does not fit its pattern.
pub(super) fn of_pattern(name: &str, text: &str, pattern: &str) -> String {
    let broken = form(pattern).map_or_else(|| format!("is not as it must be: {pattern}"), Form::broken);
    let meant = if pattern == DURATION_PATTERN { duration_meant(text) } else { None };
    match meant {
        Some(meant) => format!("{name} \"{text}\" {broken}. Write \"{meant}\" if that is meant"),
        None => format!("{name} \"{text}\" {broken}"),
    }
}

/// `90` for seconds, and days, which no unit stands for.
fn duration_meant(text: &str) -> Option<String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().ok()?;
    match unit.trim_start() {
        "" | "s" | "sec" | "second" | "seconds" => Some(format!("{number}s")),
        "m" | "min" | "minute" | "minutes" => Some(format!("{number}m")),
        "h" | "hour" | "hours" => Some(format!("{number}h")),
        "d" | "day" | "days" => Some(format!("{}h", number.checked_mul(24)?)),
        _ => None,
    }
}

/// A text that is too short or too long.
pub(super) fn of_length(name: &str, length: u64, schema: &Value) -> Option<String> {
    let (least, most) = (schema["minLength"].as_u64(), schema["maxLength"].as_u64());
    let example = || {
        let form = schema["pattern"].as_str().and_then(form);
        form.map_or_else(String::new, |form| format!("; write {}, for example {}", form.words, form.example))
    };
    if let Some(most) = most.filter(|most| length > *most) {
        return Some(format!("{name} has {length} characters; at most {most} are taken"));
    }
    let least = least.filter(|least| length < *least)?;
    if length == 0 {
        return Some(format!("{name} is empty{}", example()));
    }
    Some(format!("{name} has {length} characters; at least {least} are wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::FORMS;
    use serde_json::json;

    #[test]
    fn a_number_where_a_length_of_time_is_wanted_is_told_with_its_unit() {
        let schema = json!({"type": "string", "pattern": DURATION_PATTERN});
        for (value, meant) in [
            (json!(90), "write \"90s\" if"),
            (json!(0), "write \"0s\" if"),
            (json!(1.5), "write \"1500ms\" if"),
            (json!(-1), "write for example \"90s\""),
            (json!(0.000_1), "write for example \"90s\""),
            (json!(true), "write for example \"90s\""),
            (json!({"a": 1}), "write for example \"90s\""),
        ] {
            let told = of_type(&value, &schema, "timeout");
            assert!(told.starts_with("timeout is ") && told.contains(meant), "{told}");
        }
        for (text, meant) in
            [("90", Some("90s")), ("90 s", Some("90s")), ("1d", Some("24h")), ("5 minutes", Some("5m"))]
        {
            assert_eq!(duration_meant(text).as_deref(), meant, "{text}");
        }
        assert_eq!(duration_meant("PT5M"), None);
    }

    #[test]
    fn what_does_not_fit_a_form_is_told_in_words_without_the_pattern() {
        for form in FORMS {
            let told = of_pattern("field", " ", form.pattern);
            assert!(told.contains(form.words) && told.contains(form.example), "{told}");
            assert!(!told.contains("[A-Z") && !told.contains('^'), "{told}");
        }
    }

    #[test]
    fn a_text_where_an_object_is_wanted_is_told_what_to_write() {
        let reference = json!({"type": "object", "required": ["name"]});
        let told = of_type(&json!("shop"), &reference, "trustBindingRef");
        assert!(told.ends_with("write trustBindingRef: {name: shop}"), "{told}");
        let told = of_type(&json!("StartAt: A\nStates: {}\n"), &json!({"type": "object"}), "definition");
        assert!(told.contains("remove the |") && told.contains("definitionFrom"), "{told}");
    }
}
