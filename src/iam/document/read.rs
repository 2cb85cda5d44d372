//! From JSON to a document. Whatever IAM would refuse is refused with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Conditions, Document, Effect, Matcher, Patterns, Principals, Statement, VERSION};

/// Why a text is no policy document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON.
    #[error("the policy is not JSON: {0}")]
    Syntax(String),
    /// It is JSON of another shape.
    #[error("{place}: {problem}")]
    Shape {
        /// Where: `Statement 2`, counted from 1, and the element.
        place: String,
        /// What is wrong and what is expected.
        problem: String,
    },
}

fn shape(place: &str, problem: impl Into<String>) -> DocumentError {
    DocumentError::Shape { place: place.to_owned(), problem: problem.into() }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When the text is no JSON, or no policy.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let value: Value = serde_json::from_str(text).map_err(|error| DocumentError::Syntax(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads what somebody has in a file: a document, or one that is URL-encoded.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn parse_file(text: &str) -> Result<Self, DocumentError> {
        Self::parse(decoded(text).as_deref().unwrap_or(text))
    }

    /// A document that stands in a text, as IAM's API answers it (`GetRole`: "URL-encoded compliant with RFC 3986"), or as JSON within
    /// JSON; any other value as it is.
    pub fn unwrapped(value: &Value) -> Cow<'_, Value> {
        let Some(text) = value.as_str() else { return Cow::Borrowed(value) };
        let decoded = decoded(text);
        let read = serde_json::from_str(decoded.as_deref().unwrap_or(text)).ok();
        read.filter(Value::is_object).map_or(Cow::Borrowed(value), Cow::Owned)
    }

    /// Reads a document that is JSON already.
    ///
    /// # Errors
    /// When it is no policy.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        evaluated(value, "policy")?;
        let fields =
            value.as_object().ok_or_else(|| shape("policy", "must be an object with Version and Statement"))?;
        only(fields, &["Version", "Id", "Statement"], "policy")?;
        let version = match fields.get("Version") {
            // A document without a version is read as one of 2008 (IAM user guide, "Version").
            None => "2008-10-17",
            Some(Value::String(version)) if version == VERSION || version == "2008-10-17" => version,
            Some(other) => return Err(shape("Version", format!("{other} is no version; use \"{VERSION}\""))),
        };
        let statements = match fields.get("Statement") {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(shape("Statement", "is missing; it must be a statement or a list of statements")),
        };
        let numbered = statements.into_iter().enumerate();
        let statements = numbered
            .map(|(index, one)| statement(one, &format!("Statement {}", index + 1)))
            .collect::<Result<_, _>>()?;
        Ok(Self { version: version.to_owned(), id: text_of(fields, "Id", "policy")?, statements })
    }
}

/// A text with `%7B` and the like for its signs, without them.
fn decoded(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('"');
    if !text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7b")) {
        return None;
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

/// Refuses a value that CloudFormation would put another into.
fn evaluated(value: &Value, place: &str) -> Result<(), DocumentError> {
    let fields = value.as_object().filter(|fields| fields.len() == 1);
    let function =
        fields.and_then(|fields| fields.keys().next()).filter(|name| *name == "Ref" || name.starts_with("Fn::"));
    match function {
        None => Ok(()),
        Some(name) => Err(shape(
            place,
            format!(
                "is a function of CloudFormation ({name}), which nothing evaluates here; write the value that it gives, or read the policy from AWS once the stack has made it (aws iam get-role)"
            ),
        )),
    }
}

fn statement(value: &Value, place: &str) -> Result<Statement, DocumentError> {
    evaluated(value, place)?;
    let fields = value.as_object().ok_or_else(|| shape(place, "must be an object"))?;
    let known =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    only(fields, &known, place)?;
    let effect = match fields.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(shape(place, "Effect must be \"Allow\" or \"Deny\"")),
    };
    let actions =
        patterns(fields, "Action", "NotAction", place)?.ok_or_else(|| shape(place, "needs Action or NotAction"))?;
    let principal = match either(fields, "Principal", "NotPrincipal", place)? {
        None => None,
        Some(Matcher::Is(value)) => Some(Matcher::Is(principals(value, &format!("{place}, Principal"))?)),
        Some(Matcher::IsNot(value)) => Some(Matcher::IsNot(principals(value, &format!("{place}, NotPrincipal"))?)),
    };
    Ok(Statement {
        sid: text_of(fields, "Sid", place)?,
        effect,
        principal,
        actions,
        resources: patterns(fields, "Resource", "NotResource", place)?,
        conditions: conditions(fields.get("Condition"), &format!("{place}, Condition"))?,
    })
}

fn only(fields: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), DocumentError> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(shape(place, format!("\"{key}\" is no element of it; it has {}", known.join(", ")))),
    }
}

fn text_of(fields: &Map<String, Value>, name: &str, place: &str) -> Result<Option<String>, DocumentError> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(shape(place, format!("{name} must be a string"))),
    }
}

fn either<'a>(
    fields: &'a Map<String, Value>,
    is: &str,
    is_not: &str,
    place: &str,
) -> Result<Option<Matcher<&'a Value>>, DocumentError> {
    match (fields.get(is), fields.get(is_not)) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(Matcher::Is(value))),
        (None, Some(value)) => Ok(Some(Matcher::IsNot(value))),
        (Some(_), Some(_)) => Err(shape(place, format!("has both {is} and {is_not}; it may have one of them"))),
    }
}

fn patterns(
    fields: &Map<String, Value>,
    is: &str,
    is_not: &str,
    place: &str,
) -> Result<Option<Patterns>, DocumentError> {
    Ok(match either(fields, is, is_not, place)? {
        None => None,
        Some(Matcher::Is(value)) => Some(Matcher::Is(texts(value, &format!("{place}, {is}"))?)),
        Some(Matcher::IsNot(value)) => Some(Matcher::IsNot(texts(value, &format!("{place}, {is_not}"))?)),
    })
}

fn principals(value: &Value, place: &str) -> Result<Principals, DocumentError> {
    evaluated(value, place)?;
    match value {
        Value::String(text) if text == "*" => Ok(Principals::Everybody),
        Value::Object(kinds) => {
            only(kinds, &["AWS", "Federated", "Service", "CanonicalUser"], place)?;
            let kinds = kinds.iter().map(|(kind, names)| Ok((kind.clone(), texts(names, place)?)));
            Ok(Principals::Of(kinds.collect::<Result<_, DocumentError>>()?))
        }
        _ => Err(shape(place, "must be \"*\" or an object of AWS, Federated, Service, CanonicalUser")),
    }
}

fn conditions(value: Option<&Value>, place: &str) -> Result<Conditions, DocumentError> {
    let Some(value) = value else { return Ok(Conditions::new()) };
    evaluated(value, place)?;
    let operators = value.as_object().ok_or_else(|| shape(place, "must be an object of operators"))?;
    let mut conditions = Conditions::new();
    for (operator, keys) in operators {
        let place = format!("{place}, {operator}");
        evaluated(keys, &place)?;
        let keys = keys.as_object().ok_or_else(|| shape(&place, "must be an object of condition keys"))?;
        let values: Result<BTreeMap<_, _>, DocumentError> =
            keys.iter().map(|(key, values)| Ok((key.clone(), scalars(values, &place)?))).collect();
        conditions.insert(operator.clone(), values?);
    }
    Ok(conditions)
}

/// A string or a list of strings.
fn texts(value: &Value, place: &str) -> Result<Vec<String>, DocumentError> {
    let text = |value: &Value| {
        evaluated(value, place)?;
        value.as_str().map(str::to_owned).ok_or_else(|| shape(place, "must hold strings alone"))
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

/// Values of a condition: IAM takes numbers and booleans there too and reads them as text.
fn scalars(value: &Value, place: &str) -> Result<Vec<String>, DocumentError> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => {
            evaluated(other, place)?;
            Err(shape(place, "must hold strings, numbers or booleans"))
        }
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}
