//! `${Name}` as in CloudFormation's `DefinitionSubstitutions`: values are inserted as data into strings of the tree, so
//! that none can break out of the string it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::lint::Finding;
use super::position::Node;

/// What became of the names in a definition and of the values for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Names without a value, each as `${Name}`, once.
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
        for (_, name) in names(text).filter(|(_, name)| !values.contains_key(*name)) {
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

/// True when some tool puts a value into a text: `${Name}`, `${AWS::Region}`, `${ var.items[0].arn }`, `%{ if x }`.
pub(super) fn is_template(text: &str) -> bool {
    text.find("${").is_some_and(|at| text[at..].contains('}')) || has_directive(text)
}

/// True when some tool puts a value into a text of a tree. A JSONata expression has braces of its own, so only names count in it.
pub(super) fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) if text.starts_with("{%") => has_name(text),
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(fields) => fields.values().any(has_template),
        _ => false,
    }
}

/// Puts in what CloudFormation does for its pseudo parameters, each given by its name (CloudFormation user guide, "Get AWS values
/// using pseudo parameters"). `${!AWS::Region}` is text for it and stays.
pub(super) fn put_pseudo_parameters(value: &mut Value, values: &[(&str, &str)]) {
    match value {
        Value::String(text) if text.contains("${AWS::") => {
            for (name, known) in values {
                *text = text.replace(&format!("${{{name}}}"), known);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put_pseudo_parameters(item, values)),
        Value::Object(fields) => fields.values_mut().for_each(|field| put_pseudo_parameters(field, values)),
        _ => {}
    }
}

/// True when a text has a directive of Terraform's templates (Terraform documentation, "Strings and Templates").
pub fn has_directive(text: &str) -> bool {
    const WORDS: [&str; 5] = ["if", "else", "endif", "for", "endfor"];
    text.match_indices("%{").any(|(at, mark)| {
        let rest = text[at + mark.len()..].trim_start_matches('~').trim_start();
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        WORDS.contains(&word)
    })
}

/// Where each `${Name}` of a text stands, and its name. Other tools' templates have spaces around it. Anything else is the
/// author's own text, for example in a JSONata expression.
fn names(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    text.match_indices("${").filter_map(|(start, mark)| {
        let rest = text[start + mark.len()..].trim_start_matches(' ');
        let name = &rest[..rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))?];
        let after = rest[name.len()..].trim_start_matches(' ').strip_prefix('}')?;
        (!name.is_empty()).then_some((start..text.len() - after.len(), name))
    })
}

/// What is put in outside of texts is what it says, a number for example; a word stays a text. True where a value was put in.
pub(super) fn put_outside(value: &mut Value, path: &str) -> bool {
    let Some(place) = value.pointer_mut(path) else { return false };
    let Some(text) = place.as_str().filter(|text| !is_template(text)) else { return false };
    if let Ok(written) = serde_json::from_str(text) {
        *place = written;
    }
    true
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
    for (place, name) in names(text) {
        result.push_str(&text[done..place.start]);
        if let Some(value) = values.get(name) {
            result.push_str(value);
            outcome.used.insert(name.to_owned());
        } else {
            result.push_str(&text[place.clone()]);
            outcome.unresolved.insert(format!("${{{name}}}"));
        }
        done = place.end;
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
        let mut tree =
            json!({"a": ["${Fn}", "x${Fn}y${Fn}"], "b": "${Evil}", "c": 1, "d": "{% $x %} $.y ${ no: 1 } ${}"});
        let outcome = apply(&mut tree, &values());
        assert!(outcome.unresolved.is_empty());
        assert_eq!(outcome.used, BTreeSet::from(["Evil".into(), "Fn".into()]));
        assert_eq!(
            tree,
            json!({"a": ["arn:x", "xarn:xyarn:x"], "b": "\", \"Type\": \"Fail${Fn}", "c": 1, "d": "{% $x %} $.y ${ no: 1 } ${}"})
        );
    }

    #[test]
    fn spaces_of_other_tools_around_a_name_are_not_part_of_it() {
        let mut tree = json!({"a": "${ Fn }:live", "b": "${  Other}", "c": "${ two words }"});
        let outcome = apply(&mut tree, &values());
        assert_eq!(tree, json!({"a": "arn:x:live", "b": "${  Other}", "c": "${ two words }"}));
        assert_eq!(outcome.unresolved, BTreeSet::from(["${Other}".into()]));
        for text in [
            "${ Fn }",
            "arn:${AWS::Partition}:states",
            "${ var.items[0].arn }",
            "${jsonencode(x)}",
            "a%{~ if b ~}c%{ endif }",
        ] {
            assert!(is_template(text), "{text}");
        }
        assert!(!is_template("${open") && !is_template("$states.input{a: b}") && !is_template("{% $a %{'b': 1} %}"));
    }

    #[test]
    fn each_missing_name_is_told_once() {
        let mut tree = json!({"a": "${B}", "b": ["${A}", "${ B }"], "c": "${Unclosed"});
        let outcome = apply(&mut tree, &values());
        assert_eq!(outcome.unresolved, BTreeSet::from(["${A}".into(), "${B}".into()]));
        assert!(outcome.used.is_empty());
    }
}
