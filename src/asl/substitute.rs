//! `${Name}` as in CloudFormation's `DefinitionSubstitutions`: values are inserted as data into strings of the tree, so
//! that none can break out of the string it stands in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Replaces every `${Name}` in string values; gives the names that have no value, each as it is written, once.
pub(super) fn apply(value: &mut Value, values: &BTreeMap<String, String>) -> Vec<String> {
    let mut unresolved = BTreeSet::new();
    visit(value, values, &mut unresolved);
    unresolved.into_iter().collect()
}

fn visit(value: &mut Value, values: &BTreeMap<String, String>, unresolved: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains("${") => *text = replaced(text, values, unresolved),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, values, unresolved)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, values, unresolved)),
        _ => {}
    }
}

fn replaced(text: &str, values: &BTreeMap<String, String>, unresolved: &mut BTreeSet<String>) -> String {
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
        match values.get(&from[2..end]) {
            Some(value) => result.push_str(value),
            None => {
                unresolved.insert(from[..=end].to_owned());
            }
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
        assert!(apply(&mut tree, &values()).is_empty());
        assert_eq!(
            tree,
            json!({"a": ["arn:x", "xarn:xyarn:x"], "b": "\", \"Type\": \"Fail${Fn}", "c": 1, "d": "{% $x %} $.y ${ no }"})
        );
    }

    #[test]
    fn each_missing_name_is_told_once() {
        let mut tree = json!({"a": "${B}", "b": ["${A}", "${B}"], "c": "${Unclosed"});
        assert_eq!(apply(&mut tree, &values()), ["${A}", "${B}"]);
    }
}
