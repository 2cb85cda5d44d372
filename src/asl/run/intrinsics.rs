//! The intrinsic functions of JSONPath: `States.Format('{}', $.name)`.
//!
//! Source: developer guide of Step Functions, "Intrinsic functions", and recordings of AWS.

use std::collections::HashSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::digest::digest;
use super::path;
use super::sight::Sight;
use crate::asl::grammar::intrinsic::{Argument, Tree};
use crate::asl::same;

/// Longest text that is encoded, decoded or hashed.
const MAX_TEXT: usize = 10_000;
/// Longest list that `States.ArrayRange` makes.
const MAX_RANGE: usize = 1_000;

/// Makes a call and those inside it; the grammar bounds how deep they nest.
///
/// # Errors
/// Why the function does not take what it is given.
pub(super) fn call(tree: &Tree, sight: Sight<'_>) -> Result<Value, String> {
    let mut arguments = Vec::with_capacity(tree.arguments.len());
    for argument in &tree.arguments {
        let value = match argument {
            Argument::Path(query) => path::follow(query, sight)?,
            Argument::Call(inner) => call(inner, sight)?,
            // Braces are read with the values that take their place.
            Argument::Text(text, _) if tree.name == "Format" && arguments.is_empty() => Value::String(text.clone()),
            Argument::Text(text, _) => Value::String(unescaped(text)),
            Argument::Number(number) => Value::Number(number.clone()),
            Argument::Word(word) => serde_json::from_str(word).unwrap_or_default(),
        };
        sight.spend(&value)?;
        arguments.push(value);
    }
    let value = function(tree.name, &arguments, sight)?;
    sight.spend(&value)?;
    Ok(value)
}

fn unescaped(text: &str) -> String {
    let mut signs = text.chars();
    let mut plain = String::new();
    while let Some(sign) = signs.next() {
        plain.extend(if sign == '\\' { signs.next() } else { Some(sign) });
    }
    plain
}

fn function(name: &str, arguments: &[Value], sight: Sight<'_>) -> Result<Value, String> {
    match (name, arguments) {
        ("Array", items) => Ok(Value::Array(items.to_vec())),
        ("ArrayContains", [items, wanted]) => Ok(json!(list(items)?.iter().any(|item| same(item, wanted)))),
        ("ArrayGetItem", [items, index]) => {
            let at = usize::try_from(whole(index)?).ok();
            let found = at.and_then(|at| list(items).ok()?.get(at));
            found.cloned().ok_or_else(|| "The array index is out of bounds".to_owned())
        }
        ("ArrayLength", [items]) => Ok(json!(list(items)?.len())),
        ("ArrayPartition", [items, size]) => {
            let size = usize::try_from(whole(size)?).ok().filter(|size| *size > 0);
            let size = size.ok_or("the size of the parts must be a positive number")?;
            Ok(Value::Array(list(items)?.chunks(size).map(|part| Value::Array(part.to_vec())).collect()))
        }
        ("ArrayRange", [first, last, step]) => range(whole(first)?, whole(last)?, whole(step)?),
        ("ArrayUnique", [items]) => {
            let mut seen = HashSet::new();
            Ok(list(items)?.iter().filter(|item| seen.insert(canonical(item))).cloned().collect())
        }
        ("Base64Encode", [data]) => Ok(json!(STANDARD.encode(short(data)?))),
        ("Base64Decode", [data]) => {
            let bytes = STANDARD.decode(short(data)?).map_err(|error| error.to_string())?;
            Ok(json!(String::from_utf8_lossy(&bytes)))
        }
        ("Format", [template, values @ ..]) => format(text(template)?, values, sight),
        ("Hash", [data, algorithm]) => {
            let data = match data {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let hex = digest(text(algorithm)?, short(&json!(data))?.as_bytes());
            hex.map(Value::String).ok_or_else(|| format!("there is no algorithm {algorithm}"))
        }
        ("JsonMerge", [Value::Object(first), Value::Object(second), _]) => {
            let fields = first.iter().chain(second).map(|(key, value)| (key.clone(), value.clone()));
            Ok(Value::Object(fields.collect::<Map<_, _>>()))
        }
        ("JsonToString", [data]) => Ok(json!(data.to_string())),
        ("MathAdd", [first, second]) => Ok(json!(whole(first)?.saturating_add(whole(second)?))),
        ("MathRandom", [first, end, seed @ ..]) => random(whole(first)?, whole(end)?, seed, sight),
        ("StringSplit", [data, signs]) => {
            let signs = text(signs)?;
            let parts = text(data)?.split(|sign| signs.contains(sign)).filter(|part| !part.is_empty());
            Ok(parts.map(|part| json!(part)).collect())
        }
        ("StringToJson", [data]) => match text(data)?.trim() {
            // As recorded: no text is null.
            "" => Ok(Value::Null),
            data => serde_json::from_str(data).map_err(|error| error.to_string()),
        },
        ("UUID", _) => Ok(json!(sight.shared.random.borrow_mut().uuid())),
        _ => Err("it does not take these arguments".to_owned()),
    }
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| "the argument must be an array".to_owned())
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "the argument must be a string".to_owned())
}

fn short(value: &Value) -> Result<&str, String> {
    let text = text(value)?;
    if text.chars().count() > MAX_TEXT {
        return Err(format!("the argument must have at most {MAX_TEXT} characters"));
    }
    Ok(text)
}

/// Rounded as Java does: a half goes up, which recordings of `States.MathAdd` show for negative numbers too.
#[allow(clippy::cast_possible_truncation)]
fn whole(value: &Value) -> Result<i64, String> {
    if let Some(whole) = value.as_i64() {
        return Ok(whole);
    }
    let number = value.as_f64().ok_or_else(|| "the argument must be a number".to_owned())?;
    Ok((number + 0.5).floor() as i64)
}

fn range(first: i64, last: i64, step: i64) -> Result<Value, String> {
    if step == 0 {
        return Err("the step must not be 0".to_owned());
    }
    let mut items = Vec::new();
    let mut at = Some(first);
    while let Some(now) = at.filter(|now| if step > 0 { *now <= last } else { *now >= last }) {
        if items.len() == MAX_RANGE {
            return Err(format!("the array has more than {MAX_RANGE} items"));
        }
        items.push(json!(now));
        at = now.checked_add(step);
    }
    Ok(Value::Array(items))
}

fn random(first: i64, end: i64, seed: &[Value], sight: Sight<'_>) -> Result<Value, String> {
    let width = end.checked_sub(first).and_then(|width| u64::try_from(width).ok()).filter(|width| *width > 0);
    let width = width.ok_or("the end must be larger than the start")?;
    let drawn = match seed.first() {
        Some(seed) => super::random::Random::seeded(whole(seed)?.cast_unsigned()).below(width),
        None => sight.shared.random.borrow_mut().below(width),
    };
    Ok(json!(first.saturating_add_unsigned(drawn)))
}

fn format(template: &str, values: &[Value], sight: Sight<'_>) -> Result<Value, String> {
    let mut values = values.iter();
    let mut formatted = String::new();
    let mut signs = template.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => formatted.extend(signs.next()),
            '{' if signs.peek() == Some(&'}') => {
                signs.next();
                let value = values.next().ok_or("the template has more {} than there are values")?;
                plain(value, &mut formatted);
                sight.spend_bytes(formatted.len())?;
            }
            sign => formatted.push(sign),
        }
    }
    if values.next().is_some() {
        return Err("the template has fewer {} than there are values".to_owned());
    }
    Ok(Value::String(formatted))
}

/// As Java prints values, which a recording shows of an object: `{Id=arn, Name=x}`.
fn plain(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => into.push_str(text),
        Value::Object(fields) => {
            into.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                let _ = write!(into, "{}{key}=", if at > 0 { ", " } else { "" });
                plain(value, into);
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at > 0 { ", " } else { "" });
                plain(item, into);
            }
            into.push(']');
        }
        other => {
            let _ = write!(into, "{other}");
        }
    }
}

/// The same text for values that are the same.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map(|number| number.to_string()).unwrap_or_default(),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key:?}:{}", canonical(value))).collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}
