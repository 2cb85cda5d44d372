//! Payloads: what is a literal stays, what is a path, a call or an expression is worked out.

use serde_json::{Map, Value};

use super::failure::Fault;
use super::intrinsics;
use super::path;
use super::query;
use super::sight::Sight;
use crate::asl::grammar::jsonata::{Text, classify};
use crate::asl::grammar::{intrinsic, jsonpath};
use crate::asl::model::QueryLanguage;

/// Works out a payload that a field of a state holds.
///
/// # Errors
/// What cannot be worked out.
pub(super) fn fill(template: &Value, language: QueryLanguage, field: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    match language {
        QueryLanguage::JsonPath => paths(template, sight),
        QueryLanguage::Jsonata => expressions(template, field, sight),
    }
}

fn paths(template: &Value, sight: Sight<'_>) -> Result<Value, Fault> {
    match template {
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (key, value) in fields {
                match (key.strip_suffix(".$"), value) {
                    (Some(name), Value::String(text)) => {
                        filled.insert(name.to_owned(), path_or_call(text, key, sight)?);
                    }
                    _ => {
                        filled.insert(key.clone(), paths(value, sight)?);
                    }
                }
            }
            Ok(Value::Object(filled))
        }
        Value::Array(items) => items.iter().map(|item| paths(item, sight)).collect::<Result<_, _>>().map(Value::Array),
        literal => spent(literal, sight),
    }
}

fn spent(literal: &Value, sight: Sight<'_>) -> Result<Value, Fault> {
    sight.spend(literal).map_err(Fault::Bound)?;
    Ok(literal.clone())
}

/// Works out a path or a call of an intrinsic function.
///
/// # Errors
/// In the words of AWS where these are recorded: of a path that leads nowhere. Of a call they are not; the developer guide
/// has a name of its own for it, `States.IntrinsicFailure`.
pub(super) fn path_or_call(text: &str, field: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    if intrinsic::is_call(text) {
        let tree = intrinsic::tree(text).map_err(|error| Fault::runtime(error.message))?;
        return intrinsics::call(&tree, sight).map_err(|error| {
            Fault::Named("States.IntrinsicFailure", format!("The function '{text}' had the following error: {error}"))
        });
    }
    let query = jsonpath::query(text).map_err(|error| Fault::runtime(error.message))?;
    let value = path::follow(&query, sight).map_err(|_| {
        let input = sight.data;
        let words = format!(
            "The JSONPath '{text}' specified for the field '{field}' could not be found in the input '{input}'"
        );
        Fault::Runtime(words)
    })?;
    sight.spend(&value).map_err(Fault::Bound)?;
    Ok(value)
}

/// Where a field that takes a path leads.
///
/// # Errors
/// In the words of AWS, which are Jayway's.
pub(super) fn path(text: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    let query = jsonpath::query(text).map_err(|error| Fault::runtime(error.message))?;
    path::follow(&query, sight).map_err(|error| Fault::Runtime(format!("Invalid path '{text}' : {error}")))
}

fn expressions(template: &Value, field: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    match template {
        Value::String(text) => match classify(text) {
            Text::Expression(expression, _) => query::evaluate(expression.trim(), field, sight),
            Text::Literal | Text::HalfOpen => spent(template, sight),
        },
        Value::Object(fields) => {
            let fill = |(key, value): (&String, &Value)| {
                Ok((key.clone(), expressions(value, &format!("{field}/{key}"), sight)?))
            };
            fields.iter().map(fill).collect::<Result<Map<_, _>, Fault>>().map(Value::Object)
        }
        Value::Array(items) => {
            let fill = |(at, item)| expressions(item, &format!("{field}[{at}]"), sight);
            items.iter().enumerate().map(fill).collect::<Result<_, _>>().map(Value::Array)
        }
        literal => spent(literal, sight),
    }
}
