//! `${Name}` as in CloudFormation's `DefinitionSubstitutions`: values are inserted as data into strings of the tree, so
//! that none can break out of the string it stands in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What became of the names in a definition and of the values for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Names without a value, each as it is written, once.
    pub(super) unresolved: BTreeSet<String>,
    /// Names whose value was put in somewhere.
    pub(super) used: BTreeSet<String>,
}

/// Replaces every `${Name}` in string values.
pub(super) fn apply(value: &mut Value, values: &BTreeMap<String, String>) -> Outcome {
    let mut outcome = Outcome::default();
    visit(value, values, &mut outcome);
    outcome
}

fn visit(value: &mut Value, values: &BTreeMap<String, String>, outcome: &mut Outcome) {
    match value {
        Value::String(text) if text.contains("${") => *text = replaced(text, values, outcome),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, values, outcome)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, values, outcome)),
        _ => {}
    }
}

fn replaced(text: &str, values: &BTreeMap<String, String>, outcome: &mut Outcome) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        result.push_str(before);
        let end = from[2..].find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c))).map(|end| end + 2);
        // Anything but `${Name}` is the author's own text, for example in a JSONata expression.
        let Some(end) = end.filter(|end| *end > 2 && from[*end..].starts_with('}')) else {
            result.push_str("${");
            rest = &from[2..];
            continue;
        };
        let name = &from[2..end];
        if let Some(value) = values.get(name) {
            result.push_str(value);
            outcome.used.insert(name.to_owned());
        } else {
            outcome.unresolved.insert(from[..=end].to_owned());
        }
        rest = &from[end + 1..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> BTreeMap<String, String> {
        BTreeMap::from([("Fn".into(), "arn:x".into()), ("Evil".into(), "\", \"Type\": \"Fail${Fn}".into())])
    }

    #[test]
    fn values_are_data_and_are_not_looked_at_again() {
        let mut tree = json!({"a": ["${Fn}", "x${Fn}y${Fn}"], "b": "${Evil}", "c": 1, "d": "{% $x %} $.y ${ no }"});
        let outcome = apply(&mut tree, &values());
        assert!(outcome.unresolved.is_empty());
        assert_eq!(outcome.used, BTreeSet::from(["Evil".into(), "Fn".into()]));
        assert_eq!(
            tree,
            json!({"a": ["arn:x", "xarn:xyarn:x"], "b": "\", \"Type\": \"Fail${Fn}", "c": 1, "d": "{% $x %} $.y ${ no }"})
        );
    }

    #[test]
    fn each_missing_name_is_told_once() {
        let mut tree = json!({"a": "${B}", "b": ["${A}", "${B}"], "c": "${Unclosed"});
        let outcome = apply(&mut tree, &values());
        assert_eq!(outcome.unresolved, BTreeSet::from(["${A}".into(), "${B}".into()]));
        assert!(outcome.used.is_empty());
    }
}
