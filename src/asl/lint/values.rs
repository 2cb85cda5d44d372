//! What each field holds.
//!
//! Sources: states-language.net/spec.html and the Step Functions developer guide, for forms and ranges.

use serde_json::Value;

use super::super::grammar::{intrinsic, jsonpath};
use super::super::model::QueryLanguage;
use super::super::position::Node;
use super::expressions::{self, States};
use super::report::{Lint, inside};

/// The largest number of seconds that a field takes.
const MAX_SECONDS: u64 = 99_999_999;

/// The form of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Text that stands for itself.
    Plain,
    /// Text, or in JSONata an expression.
    Text,
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in a range, or in JSONata an expression.
    Whole(u64, u64),
    /// A number of at least 1.
    Rate,
    /// A number from 0 to 100, or in JSONata an expression.
    Percentage,
    /// A path or null.
    InputPath,
    /// A Reference Path from the data, or null.
    ResultPath,
    /// A path that should lead to one place.
    Path,
    /// A path or an intrinsic function.
    PathOrCall,
    /// A time as in RFC 3339, or in JSONata an expression.
    Time,
    /// An array or an object, or in JSONata an expression.
    Items,
    Object,
    Array,
    /// JSONata: an expression or a truth value.
    Condition,
    /// Looked at elsewhere.
    Anything,
}

/// Field names mean the same wherever they stand.
fn form(field: &str) -> Form {
    match field {
        "Comment" | "Version" | "Label" | "StartAt" | "Next" | "Default" | "CSVDelimiter" | "ItemsPointer" => {
            Form::Plain
        }
        "Error" | "Cause" => Form::Text,
        "End" => Form::Flag,
        "TimeoutSeconds" | "HeartbeatSeconds" | "IntervalSeconds" => Form::Whole(1, MAX_SECONDS),
        "Seconds" | "MaxAttempts" => Form::Whole(0, MAX_SECONDS),
        "MaxDelaySeconds" => Form::Whole(1, 31_622_400),
        "BackoffRate" => Form::Rate,
        "JitterStrategy" => Form::Word(&["FULL", "NONE"]),
        "Mode" => Form::Word(&["INLINE", "DISTRIBUTED"]),
        "ExecutionType" => Form::Word(&["STANDARD", "EXPRESS"]),
        "InputType" => Form::Word(&["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"]),
        "CSVHeaderLocation" => Form::Word(&["FIRST_ROW", "GIVEN"]),
        "OutputType" => Form::Word(&["JSON", "JSONL"]),
        "MaxConcurrency" | "ToleratedFailureCount" | "MaxItemsPerBatch" => Form::Whole(0, u64::MAX),
        "ToleratedFailurePercentage" => Form::Percentage,
        "MaxItems" => Form::Whole(0, 100_000_000),
        "MaxInputBytesPerBatch" => Form::Whole(0, 262_144),
        "InputPath" | "OutputPath" => Form::InputPath,
        "ResultPath" => Form::ResultPath,
        "ErrorPath" | "CausePath" => Form::PathOrCall,
        "Timestamp" => Form::Time,
        "Items" => Form::Items,
        "Condition" => Form::Condition,
        "States" | "ProcessorConfig" | "ReaderConfig" | "WriterConfig" => Form::Object,
        "Choices" | "Branches" | "Retry" | "Catch" => Form::Array,
        "SecondsPath"
        | "TimestampPath"
        | "TimeoutSecondsPath"
        | "HeartbeatSecondsPath"
        | "ItemsPath"
        | "MaxItemsPath"
        | "MaxConcurrencyPath"
        | "ToleratedFailureCountPath"
        | "ToleratedFailurePercentagePath"
        | "MaxItemsPerBatchPath"
        | "MaxInputBytesPerBatchPath" => Form::Path,
        _ => Form::Anything,
    }
}

/// The value of a field has the field's form.
pub(super) fn check<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: &str, language: QueryLanguage) {
    let form = form(field);
    if form == Form::Anything {
        return;
    }
    let text = node.as_str();
    if text.is_some_and(|text| lint.is_placeholder(text)) {
        return;
    }
    if let Some(text) = text.filter(|_| language == QueryLanguage::Jsonata && takes_expression(form))
        && expressions::check(lint, node, text, States::InputOnly)
    {
        return;
    }
    let wrong = |what: &str| format!("{field} must be {what}");
    match form {
        Form::Plain | Form::Text if text.is_none() => lint.report("SB019", node, wrong("text")),
        Form::Flag if !node.value().is_boolean() => lint.report("SB019", node, wrong("true or false")),
        Form::Object if !node.value().is_object() => lint.report("SB019", node, wrong("an object")),
        Form::Array if !node.value().is_array() => lint.report("SB019", node, wrong("an array")),
        Form::Items if !node.value().is_array() && !node.value().is_object() => {
            lint.report("SB019", node, wrong("an array, an object, or an expression {% … %}"));
        }
        Form::Condition if !node.value().is_boolean() => lint.report("SB019", node, wrong("an expression {% … %}")),
        Form::Word(words) if !text.is_some_and(|text| words.contains(&text)) => {
            lint.report("SB019", node, wrong(&format!("one of {}", words.join(", "))));
        }
        Form::Whole(least, most) => whole(lint, node, field, language, (least, most)),
        Form::Rate if node.value().as_f64().is_none_or(|rate| rate < 1.0) => {
            lint.report("SB019", node, wrong("a number of at least 1.0"));
        }
        Form::Percentage if node.value().as_f64().is_none_or(|number| !(0.0..=100.0).contains(&number)) => {
            lint.report("SB019", node, wrong("a number from 0 to 100"));
        }
        Form::Time if !text.is_some_and(is_timestamp) => {
            lint.report("SB019", node, wrong("a time as in RFC 3339, such as 2016-03-14T01:59:00Z"));
        }
        Form::InputPath | Form::ResultPath if node.value().is_null() => {}
        Form::InputPath | Form::ResultPath | Form::Path | Form::PathOrCall => path(lint, node, field, form),
        _ => {}
    }
}

fn takes_expression(form: Form) -> bool {
    matches!(form, Form::Text | Form::Whole(..) | Form::Percentage | Form::Time | Form::Items | Form::Condition)
}

fn whole<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: &str, language: QueryLanguage, (least, most): (u64, u64)) {
    let number = node.value().as_u64().or_else(|| whole_float(node.value()));
    if number.is_some_and(|number| (least..=most).contains(&number)) {
        return;
    }
    let range = match most {
        u64::MAX => format!("a whole number of at least {least}"),
        _ => format!("a whole number from {least} to {most}"),
    };
    let or = if language == QueryLanguage::Jsonata { ", or an expression {% … %}" } else { "" };
    lint.report("SB019", node, format!("{field} must be {range}{or}"));
}

/// `1.0` is a whole number to AWS.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole_float(value: &Value) -> Option<u64> {
    let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float))?;
    Some(float as u64)
}

fn path<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: &str, form: Form) {
    let Some(text) = node.as_str() else {
        let or_null = if matches!(form, Form::InputPath | Form::ResultPath) { " or null" } else { "" };
        return lint.report("SB019", node, format!("{field} must be a path{or_null}"));
    };
    if form == Form::PathOrCall && intrinsic::is_call(text) {
        return call(lint, node, text);
    }
    match jsonpath::parse(text) {
        Err(error) => {
            let span = inside(node, error.at);
            let call = if intrinsic::is_call(text) { "; an intrinsic function cannot stand here" } else { "" };
            lint.report_at("SB034", node, span, format!("{field} \"{text}\" is not a path: {}{call}", error.message));
        }
        Ok(path) if form == Form::ResultPath && (path.root != jsonpath::Root::Data || !path.is_reference) => {
            let message = format!(
                "ResultPath \"{text}\" must lead from $ to one place: no variable, no context object, no operator"
            );
            lint.report("SB034", node, message);
        }
        Ok(path) if form == Form::Path && !path.is_reference => {
            let message =
                format!("{field} \"{text}\" can lead to several places; the specification wants a path to one");
            lint.report("SB032", node, message);
        }
        Ok(_) => {}
    }
}

/// An intrinsic function.
pub(super) fn call<'a>(lint: &mut Lint<'a>, node: Node<'a>, text: &str) {
    if let Err(error) = intrinsic::parse(text) {
        lint.report_at("SB035", node, inside(node, error.at), error.message);
    }
}

/// `2016-03-14T01:59:00Z`: with upper case T and Z, as the specification wants it.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 20 && bytes[10] == b'T';
    let offset = text.ends_with('Z') || bytes.len() >= 25 && matches!(bytes[bytes.len() - 6], b'+' | b'-');
    shape && offset && text.parse::<jiff::Timestamp>().is_ok()
}
