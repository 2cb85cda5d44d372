//! What was expected, in words. Values of the input are not told: they may be secrets, and nobody needs them to find the place.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::found::{Fault, Miss};
use crate::similar::nearest;

/// Longest text of a schema or name of a property that is repeated, in characters.
const LONGEST: usize = 80;
/// Longest pointer that is told, in characters.
const LONGEST_POINTER: usize = 160;
/// Names of properties that are told of one place.
const NAMES: usize = 3;

pub(super) fn miss(error: &ValidationError<'_>) -> Miss {
    Miss {
        pointer: pointer(error.instance_path().as_str()),
        expected: expected(error.kind()),
        keyword: pointer(error.schema_path().as_str()),
    }
}

/// What is wrong with a schema, by the schema of schemas.
pub(super) fn fault(error: &ValidationError<'_>) -> Fault {
    if let Kind::Referencing(why) = error.kind() {
        return Fault::at(
            pointer(error.schema_path().as_str()),
            format!("cannot be resolved: {}", cut(&why.to_string())),
        );
    }
    let place = error.instance_path().as_str();
    let of_type = place.ends_with("/type").then(|| no_type(error.instance())).flatten();
    Fault::at(pointer(place), of_type.unwrap_or_else(|| expected(error.kind())))
}

/// The types that there are.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// What is wrong with the name of a type, and which is meant; nothing where it is no name.
fn no_type(value: &Value) -> Option<String> {
    let names: Vec<&str> = match value {
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let wrong = names.iter().find(|name| !TYPES.contains(name));
    let Some(wrong) = wrong else {
        return value.is_array().then(|| "must be a type, or a list of types of which none stands twice".to_owned());
    };
    let small = wrong.to_lowercase();
    let meant = match small.as_str() {
        "str" | "text" | "date" | "datetime" | "uuid" => Some("string"),
        "int" | "long" | "int32" | "int64" => Some("integer"),
        "float" | "double" | "decimal" => Some("number"),
        "bool" => Some("boolean"),
        "map" | "dict" | "struct" | "record" => Some("object"),
        "list" | "tuple" | "set" => Some("array"),
        "none" | "nil" | "undefined" => Some("null"),
        other => nearest(other, TYPES.into_iter()),
    };
    let hint = meant.map(|meant| format!("; did you mean \"{meant}\"?")).unwrap_or_default();
    Some(format!("names no type: \"{}\" is not among {}{hint}", cut(wrong), TYPES.join(", ")))
}

fn pointer(text: &str) -> String {
    shortened(text, LONGEST_POINTER)
}

fn cut(text: &str) -> String {
    shortened(text, LONGEST)
}

/// What is told reaches terminals, which obey control characters.
fn shortened(text: &str, longest: usize) -> String {
    let shown = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    if text.chars().count() <= longest {
        return shown.collect();
    }
    shown.take(longest - 1).chain(['…']).collect()
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Type { kind } => format!("must be {}", types(kind)),
        Kind::Required { property } => format!("needs {}", written(property)),
        Kind::Enum { options } => format!("must be one of {}", written(options)),
        Kind::Constant { expected_value } => format!("must be {}", written(expected_value)),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} properties"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} properties"),
        Kind::Pattern { pattern } => format!("must match the pattern {}", cut(pattern)),
        Kind::Format { format } => format!("must have the format {}", cut(format)),
        Kind::UniqueItems => "must not have an item twice".to_owned(),
        Kind::Contains => "must have as many items that fit contains as it asks for".to_owned(),
        Kind::AnyOf { context } => format!("must fit one of {} alternatives, and fits none", context.len()),
        Kind::OneOfNotValid { context } => {
            format!("must fit exactly one of {} alternatives, and fits none", context.len())
        }
        Kind::OneOfMultipleValid { context } => {
            format!("must fit exactly one of {} alternatives, and fits more", context.len())
        }
        Kind::Not { .. } => "must not be what the schema excludes by not".to_owned(),
        Kind::FalseSchema => "must not be there".to_owned(),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("must not have {}", names("property", "properties", unexpected))
        }
        Kind::UnevaluatedItems { unexpected } => format!("must not have {} of its items", unexpected.len()),
        Kind::PropertyNames { error } => format!("has a name of a property that {}", expected(error.kind())),
        other => format!("does not fit {}", other.keyword()),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => format!("of type {one}"),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| format!("{one}")).collect();
            format!("of type {}", names.join(" or "))
        }
    }
}

/// A value of the schema.
fn written(value: &Value) -> String {
    cut(&value.to_string())
}

fn names(one: &str, several: &str, unexpected: &[String]) -> String {
    let shown: Vec<String> =
        unexpected.iter().take(NAMES).map(|name| format!("\"{}\"", cut(name).replace('"', "\\\""))).collect();
    let what = if unexpected.len() == 1 { one } else { several };
    match unexpected.len().saturating_sub(NAMES) {
        0 => format!("the {what} {}", shown.join(", ")),
        more => format!("the {what} {} and {more} more", shown.join(", ")),
    }
}
