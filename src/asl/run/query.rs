//! Expressions in JSONata, and how AWS words what is wrong with their values.

use serde_json::Value;

use super::failure::Fault;
use super::sight::Sight;
use crate::asl::grammar::jsonata::{Text, classify};
use crate::jsonata::{Env, Expression, Limits};

/// Units of work that a step of an expression is counted as.
const A_STEP: u64 = 256;
/// The code of whatever takes more than an evaluation may, which is a bound of ours.
const LIMIT: &str = "U1001";

/// The value of an expression that a field holds.
///
/// # Errors
/// It has none, or cannot be evaluated.
pub(super) fn evaluate(expression: &str, field: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    let whose = format!("The JSONata expression '{expression}' specified for the field '{field}'");
    let wrong = |words: String| Fault::Query(format!("{whose} {words}"), Some(field.to_owned()));
    let left = sight.state.limits.work.saturating_sub(sight.state.used.work) / A_STEP;
    let mut limits = Limits::default();
    limits.steps = limits.steps.min(left.max(1_000));
    let now = sight.state.now.as_millisecond();
    let mut env = Env { seed: sight.shared.random.borrow_mut().next(), now, limits };
    let read;
    let parsed = if let Some(parsed) = sight.shared.expressions.get(expression) {
        parsed
    } else {
        read = Expression::parse(expression);
        &read
    };
    let mut steps = 0;
    let value = match parsed {
        // `$` stands for nothing: a state's input is in `$states`.
        Ok(parsed) => parsed.evaluate_counted(None, sight.variables(), &mut env, &mut steps),
        Err(error) => Err(error.clone()),
    };
    sight.work(steps * A_STEP);
    let value = value.map_err(|error| match error.code {
        LIMIT => Fault::Bound(format!("{whose} {}", error.message)),
        code => wrong(format!("threw an error during evaluation. {code}: {}", error.message)),
    })?;
    let value = value.ok_or_else(|| wrong("returned nothing (undefined).".to_owned()))?;
    sight.spend(&value).map_err(Fault::Bound)?;
    Ok(value)
}

/// What a field holds: an expression's value, or a literal.
pub(super) fn field(held: &Value, field: &str, sight: Sight<'_>) -> Result<Value, Fault> {
    match held.as_str().map(classify) {
        Some(Text::Expression(expression, _)) => evaluate(expression.trim(), field, sight),
        _ => Ok(held.clone()),
    }
}

/// The field's value is of another type than it takes.
pub(super) fn unexpected(held: &Value, field: &str, expected: &str, value: &Value) -> Fault {
    let expression = match held.as_str().map(classify) {
        Some(Text::Expression(expression, _)) => expression.trim().to_owned(),
        _ => held.to_string(),
    };
    let words = format!(
        "The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. Expected '{expected}', but was '{}' for value: {value}",
        type_of(value)
    );
    Fault::Query(words, Some(field.to_owned()))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The moment of a text as ISO 8601 has them, with an offset.
pub(super) fn moment(text: &str) -> Option<jiff::Timestamp> {
    let is_extended = text.as_bytes().get(10).is_some_and(|sign| matches!(sign, b'T' | b't'));
    text.parse().ok().filter(|_| is_extended)
}
