//! Which rule of a Choice is taken.

use std::cmp::Ordering;

use serde_json::Value;

use super::failure::Fault;
use super::path;
use super::query;
use super::sight::Sight;
use crate::asl::grammar::jsonpath;
use crate::asl::model::{Choice, Condition};
use crate::asl::position::Node;

/// Place of the first rule that holds.
///
/// # Errors
/// What cannot be compared: a path that leads nowhere, an expression without a value.
pub(super) fn taken(choice: &Choice<'_>, sight: Sight<'_>) -> Result<Option<usize>, Fault> {
    for (at, rule) in choice.choices.iter().enumerate() {
        if holds(&rule.condition, &format!("Choices[{at}]/Condition"), sight)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The model bounds how deep conditions nest.
fn holds(condition: &Condition<'_>, field: &str, sight: Sight<'_>) -> Result<bool, Fault> {
    match condition {
        Condition::And(inner) => {
            for condition in inner {
                if !holds(condition, field, sight)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(inner) => {
            for condition in inner {
                if holds(condition, field, sight)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Not(inner) => Ok(!holds(inner, field, sight)?),
        Condition::Expression(node) => match query::field(node.value(), field, sight)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(query::unexpected(node.value(), field, "boolean", &other)),
        },
        Condition::Comparison { variable, operators, .. } => comparison(*variable, operators, sight),
    }
}

fn comparison(variable: Option<Node<'_>>, operators: &[(&str, Node<'_>)], sight: Sight<'_>) -> Result<bool, Fault> {
    let path = variable.and_then(Node::as_str).unwrap_or_default();
    let value = lookup(path, sight)?;
    let Some((operator, operand)) = operators.first() else { return Ok(false) };
    if *operator == "IsPresent" {
        return Ok(value.is_some() == (operand.value() == true));
    }
    let value = value.ok_or_else(|| nowhere(path))?;
    let Some(base) = operator.strip_suffix("Path") else {
        return Ok(compare(base_of(operator), &value, operand.value()));
    };
    let path = operand.as_str().unwrap_or_default();
    let operand = lookup(path, sight)?.ok_or_else(|| nowhere(path))?;
    Ok(compare(base_of(base), &value, &operand))
}

fn lookup(text: &str, sight: Sight<'_>) -> Result<Option<Value>, Fault> {
    let query = jsonpath::query(text).map_err(|error| Fault::runtime(error.message))?;
    Ok(path::follow(&query, sight).ok())
}

fn nowhere(path: &str) -> Fault {
    Fault::Runtime(format!("Invalid path '{path}': The choice state's condition path references an invalid value."))
}

/// What is compared, and how: `NumericLessThanEquals` are numbers, and less or equal.
fn base_of(operator: &str) -> (&str, &str) {
    let kinds = ["String", "Numeric", "Boolean", "Timestamp"];
    let found = kinds.iter().find_map(|kind| Some((*kind, operator.strip_prefix(kind)?)));
    found.unwrap_or((operator, ""))
}

fn compare((kind, how): (&str, &str), value: &Value, operand: &Value) -> bool {
    let wanted = operand == true;
    let order = match kind {
        "IsNull" => return value.is_null() == wanted,
        "IsString" => return value.is_string() == wanted,
        "IsNumeric" => return value.is_number() == wanted,
        "IsBoolean" => return value.is_boolean() == wanted,
        "IsTimestamp" => return value.as_str().and_then(query::moment).is_some() == wanted,
        "Boolean" => return value.is_boolean() && value == operand,
        "String" if how == "Matches" => {
            return value.as_str().zip(operand.as_str()).is_some_and(|(text, pattern)| matches(pattern, text));
        }
        "String" => value.as_str().zip(operand.as_str()).map(|(value, operand)| value.cmp(operand)),
        "Numeric" => {
            let numbers = value.as_f64().zip(operand.as_f64());
            numbers.and_then(|(value, operand)| value.partial_cmp(&operand))
        }
        "Timestamp" => {
            let moment = |value: &Value| value.as_str().and_then(query::moment);
            moment(value).zip(moment(operand)).map(|(value, operand)| value.cmp(&operand))
        }
        _ => None,
    };
    let Some(order) = order else { return false };
    match how {
        "Equals" => order == Ordering::Equal,
        "LessThan" => order == Ordering::Less,
        "GreaterThan" => order == Ordering::Greater,
        "LessThanEquals" => order != Ordering::Greater,
        "GreaterThanEquals" => order != Ordering::Less,
        _ => false,
    }
}

/// `*` stands for any text, `\*` for itself. It goes back to the last `*` only, so the time is the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern = signs(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut met, mut last) = (0, 0, None);
    while met < text.len() {
        match pattern.get(at) {
            Some(None) => {
                last = Some((at, met));
                at += 1;
            }
            Some(Some(sign)) if *sign == text[met] => {
                at += 1;
                met += 1;
            }
            _ => {
                let Some((star, from)) = last else { return false };
                last = Some((star, from + 1));
                at = star + 1;
                met = from + 1;
            }
        }
    }
    pattern[at..].iter().all(Option::is_none)
}

/// The signs of a pattern; nothing for a star.
fn signs(pattern: &str) -> Vec<Option<char>> {
    let mut all = Vec::new();
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        all.push(match sign {
            '*' => None,
            '\\' => Some(signs.next().unwrap_or('\\')),
            sign => Some(sign),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, matched) in [
            ("log-*.txt", "log-2026.txt", true),
            ("log-*.txt", "log-.txt", true),
            ("log-*.txt", "log.txt", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("foo\\*.bar", "foo*.bar", true),
            ("foo\\*.bar", "foox.bar", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(500), &"b".repeat(5_000)));
    }
}
