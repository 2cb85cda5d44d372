//! What is doubtful in a text that can be read: values that another reader takes for something else.

use serde_json::Value;

use super::lint::{Finding, MAX_FINDINGS, Severity};
use super::parsed::{Ambiguous, Parsed, Tagged};
use super::position::{Node, Span};
use super::scalar;

/// Adds what is doubtful at or below a value of the text, but for what is at or below `except`. What was found of a value whose
/// meaning nobody knows goes. `is_template` says that other tools may still put values in.
pub fn doubts(root: Node<'_>, text: &Parsed, except: Option<Node<'_>>, is_template: bool, findings: &mut Vec<Finding>) {
    let concerns = |span: &Span| root.holds(*span) && !except.is_some_and(|except| except.holds(*span));
    for span in text.unquoted.iter().filter(|span| concerns(span)).take(MAX_FINDINGS) {
        unquoted(root, *span, findings);
    }
    for tagged in text.tagged.iter().filter(|tagged| concerns(&tagged.span)).take(MAX_FINDINGS) {
        of_cloud_formation(root, tagged, is_template, findings);
    }
    let ambiguous = text.ambiguous.iter().filter(|scalar| concerns(&scalar.span)).take(MAX_FINDINGS);
    findings.extend(ambiguous.map(|scalar| read_otherwise(root, scalar)));
}

/// The tree of a template, in which a value behind a tag of CloudFormation is a placeholder: what stands there it will not be.
pub fn with_placeholders(root: Node<'_>, text: &Parsed) -> Value {
    let mut value = root.value().clone();
    for tagged in text.tagged.iter().filter(|tagged| root.holds(tagged.span)).take(MAX_FINDINGS) {
        let path = root.starting_at(tagged.span.start).map(|node| root.path_to(node)).unwrap_or_default();
        if let Some(place) = value.pointer_mut(&path) {
            *place = Value::String(placeholder(&tagged.tag, place));
        }
    }
    value
}

/// Places of the values that are no texts before a value is put in: `${…}` without quotes, and what CloudFormation resolves.
pub(super) fn outside_of_texts(text: &Parsed) -> Vec<(Span, String)> {
    let root = text.root();
    let tagged = text.tagged.iter().filter(|tagged| matches!(tagged.tag.as_str(), "!Ref" | "!GetAtt"));
    let spans = text.unquoted.iter().chain(tagged.map(|tagged| &tagged.span)).take(MAX_FINDINGS);
    spans.filter_map(|span| Some((*span, root.path_to(root.starting_at(span.start)?)))).collect()
}

/// `${Name}` with the name that the tag resolves, as far as it is one. A text behind `!Sub` has placeholders of its own.
fn placeholder(tag: &str, value: &Value) -> String {
    let is_name = |text: &&str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    match (tag, value.as_str()) {
        ("!Sub", Some(text)) => text.to_owned(),
        ("!Ref" | "!GetAtt", text) => format!("${{{}}}", text.filter(is_name).unwrap_or(&tag[1..])),
        _ => format!("${{{}}}", &tag[1..]),
    }
}

/// Versions of YAML read the scalar differently.
fn read_otherwise(root: Node<'_>, scalar: &Ambiguous) -> Finding {
    let path = root.find(scalar.span.start).map_or("/".to_owned(), |node| root.path_to(node));
    let text = &scalar.text;
    let value = match scalar::plain(text) {
        Ok(Value::Bool(truth)) => format!("the boolean {truth}"),
        Ok(value) => format!("the number {value}"),
        Err(_) => "no value".to_owned(),
    };
    let message = format!(
        "{text} is {value} to kubectl, which reads YAML 1.1, and so it is here; write \"{text}\" if the text is meant, else the value as JSON has it"
    );
    Finding::new("SB010", path, message, scalar.span)
}

fn unquoted(root: Node<'_>, span: Span, findings: &mut Vec<Finding>) {
    let node = root.find(span.start).unwrap_or(root);
    let path = root.path_to(node);
    forget(findings, &path);
    let message = format!(
        "{} stands outside of quotes: this is a template, and JSON once the value is put in (templatefile, DefinitionSubstitutions); what it will be is not known here",
        node.as_str().unwrap_or_default()
    );
    findings.push(Finding::new("SB029", path, message, span));
}

/// Takes away what was found at or below a value; true where an error was.
fn forget(findings: &mut Vec<Finding>, path: &str) -> bool {
    let mut was_error = false;
    findings.retain(|finding| {
        let rest = finding.path.strip_prefix(path.trim_end_matches('/'));
        let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        was_error |= is_below && finding.is_error();
        !is_below
    });
    was_error
}

/// Kubernetes and Step Functions get what stands behind the tag, as text. Where they refuse that, this is the reason.
fn of_cloud_formation(root: Node<'_>, tagged: &Tagged, is_template: bool, findings: &mut Vec<Finding>) {
    let node = root.starting_at(tagged.span.start).unwrap_or(root);
    let path = root.path_to(node);
    let is_refused = forget(findings, &path);
    let tag = &tagged.tag;
    let (severity, message) = if is_template {
        (
            Severity::Warning,
            format!(
                "{tag} is resolved by CloudFormation, when the definition stands in a template; in a file of its own, and everywhere else, nobody resolves it"
            ),
        )
    } else {
        let severity = if is_refused { Severity::Error } else { Severity::Warning };
        (
            severity,
            format!(
                "{tag} is resolved by CloudFormation alone; kubectl and Stepbound pass over it and read what stands behind it. Write the value itself, or in a definition ${{Name}} with a value in spec.substitutions"
            ),
        )
    };
    findings.push(Finding { severity, ..Finding::new("SB028", path, message, node.mark()) });
}

/// The finding about a value for a name that the definition does not have.
pub fn without_use(name: &str) -> Finding {
    let message =
        format!("the substitution \"{name}\" is used nowhere in the definition; remove it, or correct its name");
    Finding::new("SB011", "/", message, Span::default())
}
