//! What CloudFormation would put in: plain values where the template has them, `${Name}` otherwise.

use serde_json::{Map, Value};

use crate::asl::Parsed;

/// The tree with the long forms of what stands behind tags: `{"Ref": "A"}` for `!Ref A`.
pub(super) fn long_forms(parsed: &Parsed) -> Value {
    let root = parsed.root();
    let mut value = parsed.value.clone();
    // Inner values first, so that the paths of outer ones hold.
    for tagged in parsed.tagged.iter().rev() {
        let Some(node) = root.starting_at(tagged.span.start) else { continue };
        if let Some(place) = value.pointer_mut(&root.path_to(node)) {
            let tag = tagged.tag.trim_start_matches('!');
            let name = if matches!(tag, "Ref" | "Condition") { tag.to_owned() } else { format!("Fn::{tag}") };
            *place = Value::Object(Map::from_iter([(name, place.take())]));
        }
    }
    value
}

/// A value of a template as text: with `${Name}` for what is not known here.
///
/// # Errors
/// The function that nobody but CloudFormation can evaluate.
pub(super) fn text(value: &Value, parameters: Option<&Value>) -> Result<String, String> {
    let (name, argument) = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Number(number) => return Ok(number.to_string()),
        Value::Bool(truth) => return Ok(truth.to_string()),
        Value::Object(fields) if fields.len() == 1 => fields.iter().next().ok_or("nothing")?,
        other => return Err(format!("a value that is no text: {}", short(other))),
    };
    match (name.as_str(), argument) {
        ("Ref", Value::String(name)) => Ok(default_of(parameters, name).unwrap_or_else(|| format!("${{{name}}}"))),
        ("Fn::GetAtt", Value::String(name)) => Ok(format!("${{{name}}}")),
        ("Fn::GetAtt", Value::Array(parts)) => {
            let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            Ok(format!("${{{}}}", parts.join(".")))
        }
        ("Fn::Sub", Value::String(text)) => Ok(with_defaults(text.clone(), parameters)),
        ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(text), Value::Object(values)] => {
                let mut text = text.clone();
                for (name, value) in values {
                    text = text.replace(&format!("${{{name}}}"), &self::text(value, parameters)?);
                }
                Ok(with_defaults(text, parameters))
            }
            _ => Err("Fn::Sub of an unknown form".into()),
        },
        ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(between), Value::Array(parts)] => {
                let parts = parts.iter().map(|part| self::text(part, parameters)).collect::<Result<Vec<_>, _>>()?;
                Ok(parts.join(between))
            }
            _ => Err("Fn::Join of an unknown form".into()),
        },
        (name, _) => Err(format!("{name}, which CloudFormation alone evaluates")),
    }
}

/// The text with the defaults of the parameters that it names.
fn with_defaults(text: String, parameters: Option<&Value>) -> String {
    let named = parameters.and_then(Value::as_object).into_iter().flatten();
    named.fold(text, |text, (name, _)| match default_of(parameters, name) {
        Some(default) => text.replace(&format!("${{{name}}}"), &default),
        None => text,
    })
}

/// Parameters of the template that the resource names and whose defaults are taken: `Stage = prod`.
pub(super) fn defaults_taken(resource: &Value, parameters: Option<&Value>) -> Vec<String> {
    let text = resource.to_string();
    let named = parameters.and_then(Value::as_object).into_iter().flatten();
    let taken = named.filter(|(name, _)| {
        text.contains(&format!("{{\"Ref\":\"{name}\"}}")) || text.contains(&format!("${{{name}}}"))
    });
    taken.filter_map(|(name, _)| Some(format!("{name} = {}", default_of(parameters, name)?))).collect()
}

/// The default of a parameter of the template.
fn default_of(parameters: Option<&Value>, name: &str) -> Option<String> {
    parameters?.get(name)?.get("Default")?.as_str().map(str::to_owned)
}

/// A definition that a template writes as an object, with texts for what CloudFormation puts in.
///
/// # Errors
/// As [`text`].
pub(super) fn definition(value: &Value, parameters: Option<&Value>) -> Result<Value, String> {
    match value {
        Value::Object(fields) => {
            let only = fields.keys().next().filter(|_| fields.len() == 1);
            if only.is_some_and(|name| name == "Ref" || name.starts_with("Fn::")) {
                return text(value, parameters).map(Value::String);
            }
            let fields = fields.iter().map(|(key, value)| Ok((key.clone(), definition(value, parameters)?)));
            Ok(Value::Object(fields.collect::<Result<_, String>>()?))
        }
        Value::Array(items) => {
            Ok(Value::Array(items.iter().map(|item| definition(item, parameters)).collect::<Result<_, _>>()?))
        }
        plain => Ok(plain.clone()),
    }
}

/// A value in a few words.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain("...".chars()).collect() }
}
