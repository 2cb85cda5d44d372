//! `${Name}` as in CloudFormation's `DefinitionSubstitutions`: values are inserted as data into strings of the tree, so
//! that none can break out of the string it stands in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::lint::Finding;
use super::position::Node;

/// What became of the names in a definition and of the values for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Names without a value, each as it is written, once.
    pub(super) unresolved: BTreeSet<String>,
    /// Names whose value was put in somewhere.
    pub(super) used: BTreeSet<String>,
}

/// Replaces every `${Name}` in string values that has a value; the names that were used.
pub fn substitute(value: &mut Value, values: &BTreeMap<String, String>) -> BTreeSet<String> {
    apply(value, values).used
}

/// Every `${Name}` below a value that has no value of its own.
pub fn unresolved(node: Node<'_>, values: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    look(node, node, values, &mut findings);
    findings
}

fn look<'a>(root: Node<'a>, node: Node<'a>, values: &BTreeMap<String, String>, findings: &mut Vec<Finding>) {
    if let Some(text) = node.as_str() {
        for name in names(text).filter(|name| !values.contains_key(*name)) {
            let message = format!("the definition uses ${{{name}}} without a value; add it to spec.substitutions");
            findings.push(Finding::new("SB024", root.path_to(node), message, node.mark()));
        }
    }
    node.items().for_each(|item| look(root, item, values, findings));
    node.fields().for_each(|(_, field)| look(root, field, values, findings));
}

/// True when a text has a `${Name}`.
pub(super) fn has_name(text: &str) -> bool {
    names(text).next().is_some()
}

/// The names in a text. Anything but `${Name}` is the author's own text, for example in a JSONata expression.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let name = &rest[..rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))?];
        (!name.is_empty() && rest[name.len()..].starts_with('}')).then_some(name)
    })
}

/// Replaces every `${Name}` in string values; one without a value stays.
pub(super) fn apply(value: &mut Value, values: &BTreeMap<String, String>) -> Outcome {
    let mut outcome = Outcome::default();
    visit(value, values, &mut outcome);
    outcome
}

fn visit(value: &mut Value, values: &BTreeMap<String, String>, outcome: &mut Outcome) {
    match value {
        Value::String(text) if has_name(text) => *text = replaced(text, values, outcome),
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, values, outcome)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, values, outcome)),
        _ => {}
    }
}

fn replaced(text: &str, values: &BTreeMap<String, String>, outcome: &mut Outcome) -> String {
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for name in names(text) {
        // Names are slices of the text, in its order.
        let start = name.as_ptr() as usize - text.as_ptr() as usize;
        let (from, to) = (start - 2, start + name.len() + 1);
        result.push_str(&text[done..from]);
        if let Some(value) = values.get(name) {
            result.push_str(value);
            outcome.used.insert(name.to_owned());
        } else {
            result.push_str(&text[from..to]);
            outcome.unresolved.insert(text[from..to].to_owned());
        }
        done = to;
    }
    result.push_str(&text[done..]);
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
