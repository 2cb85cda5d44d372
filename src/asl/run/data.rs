//! How data goes through a state: what its work is given, and what becomes of the result.

use serde_json::{Map, Value};

use super::failure::Fault;
use super::path;
use super::query;
use super::sight::Sight;
use super::template;
use crate::asl::grammar::jsonpath;
use crate::asl::model::{Data, QueryLanguage, Setting, State};
use crate::asl::position::Node;

/// What a state leaves: its output, and the variables that it sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Left {
    pub(super) output: Value,
    pub(super) assigned: Option<Map<String, Value>>,
}

/// `InputPath`; all of the input where there is none.
pub(super) fn input(state: &State<'_>, sight: Sight<'_>) -> Result<Value, Fault> {
    match (state.query_language, state.data.input_path) {
        (QueryLanguage::JsonPath, Some(path)) => field_path(path, sight),
        _ => Ok(sight.data.clone()),
    }
}

/// `null` stands for no data.
fn field_path(node: Node<'_>, sight: Sight<'_>) -> Result<Value, Fault> {
    match node.as_str() {
        Some(text) => template::path(text, sight),
        None => Ok(Value::Object(Map::new())),
    }
}

/// `Parameters` or `Arguments`; the data itself where there are none.
pub(super) fn payload(state: &State<'_>, sight: Sight<'_>) -> Result<Value, Fault> {
    let (node, field) = match state.query_language {
        QueryLanguage::JsonPath => (state.data.parameters, "Parameters"),
        QueryLanguage::Jsonata => (state.data.arguments, "Arguments"),
    };
    match node {
        Some(node) => template::fill(node.value(), state.query_language, field, sight),
        None => Ok(sight.data.clone()),
    }
}

/// From a result to what the state leaves. `sight` has the state's own input as its data.
pub(super) fn leave(state: &State<'_>, data: &Data<'_>, result: &Value, sight: Sight<'_>) -> Result<Left, Fault> {
    match state.query_language {
        QueryLanguage::Jsonata => {
            let fill = |node: Option<Node<'_>>, field| {
                node.map(|node| template::fill(node.value(), QueryLanguage::Jsonata, field, sight)).transpose()
            };
            let assigned = fill(data.assign, "Assign")?.and_then(fields);
            let output = fill(data.output, "Output")?;
            Ok(Left { output: output.unwrap_or_else(|| result.clone()), assigned })
        }
        QueryLanguage::JsonPath => {
            let result = match data.result_selector {
                Some(selector) => {
                    template::fill(selector.value(), state.query_language, "ResultSelector", sight.with(result))?
                }
                None => result.clone(),
            };
            let assign = data
                .assign
                .map(|assign| template::fill(assign.value(), state.query_language, "Assign", sight.with(&result)));
            let assigned = assign.transpose()?.and_then(fields);
            let combined = combine(data, sight.data, result)?;
            let output = match data.output_path {
                Some(path) => field_path(path, sight.with(&combined))?,
                None => combined,
            };
            Ok(Left { output, assigned })
        }
    }
}

fn fields(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// `ResultPath`: what the input becomes with the result in it.
fn combine(data: &Data<'_>, input: &Value, result: Value) -> Result<Value, Fault> {
    let Some(node) = data.result_path else { return Ok(result) };
    let Some(text) = node.as_str() else { return Ok(input.clone()) };
    let query = jsonpath::query(text).map_err(|error| Fault::runtime(error.message))?;
    let mut combined = input.clone();
    if path::put(&mut combined, &query.segments, result).is_err() {
        let words = format!("Unable to apply Reference Path {text} to input {input}");
        return Err(Fault::Named("States.ResultPathMatchFailure", words));
    }
    Ok(combined)
}

/// A number that a field or its `Path` gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) value: Value,
    /// The path that it is from.
    pub(super) path: Option<String>,
}

/// What a setting is set to; `field` is its name without `Path`.
pub(super) fn setting(
    setting: Setting<'_>,
    language: QueryLanguage,
    field: &str,
    sight: Sight<'_>,
) -> Result<Option<Given>, Fault> {
    match (language, setting.value, setting.path) {
        (QueryLanguage::JsonPath, _, Some(path)) => {
            let text = path.as_str().unwrap_or_default();
            Ok(Some(Given { value: template::path(text, sight)?, path: Some(text.to_owned()) }))
        }
        (QueryLanguage::Jsonata, Some(node), _) => {
            Ok(Some(Given { value: query::field(node.value(), field, sight)?, path: None }))
        }
        (_, Some(node), _) => Ok(Some(Given { value: node.value().clone(), path: None })),
        (_, None, _) => Ok(None),
    }
}

/// A setting that is a whole number. A text of digits is one too, as recorded of `MaxConcurrencyPath`.
pub(super) fn whole(
    set: Setting<'_>,
    language: QueryLanguage,
    field: &str,
    sight: Sight<'_>,
) -> Result<Option<i64>, Fault> {
    let Some(given) = setting(set, language, field, sight)? else { return Ok(None) };
    let number = number(&given.value).filter(|number| number.fract() == 0.0);
    #[allow(clippy::cast_possible_truncation)] // seconds and counts are far smaller, and larger ones end at the largest
    match number {
        Some(number) => Ok(Some(number as i64)),
        None => Err(not_a(&given, set, field, "integer", "valid integer")),
    }
}

/// A setting that is a number.
pub(super) fn decimal(
    set: Setting<'_>,
    language: QueryLanguage,
    field: &str,
    sight: Sight<'_>,
) -> Result<Option<f64>, Fault> {
    let Some(given) = setting(set, language, field, sight)? else { return Ok(None) };
    match number(&given.value) {
        Some(number) => Ok(Some(number)),
        None => Err(not_a(&given, set, field, "number", "valid float")),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number: &f64| number.is_finite())
}

fn not_a(given: &Given, set: Setting<'_>, field: &str, kind: &str, words: &str) -> Fault {
    let Some(path) = &given.path else {
        let held = set.value.map_or(&Value::Null, Node::value);
        return query::unexpected(held, field, kind, &given.value);
    };
    let shown = match &given.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Fault::Runtime(format!("The {field}Path field refers to value \"{shown}\" which is not a {words}: {path}"))
}
