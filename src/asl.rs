//! Amazon States Language: reading a definition, putting values in, checking it before AWS sees it.

mod doubts;
pub mod grammar;
mod json;
pub mod lint;
pub mod model;
mod parsed;
mod position;
pub mod run;
mod scalar;
mod source;
mod step_roles;
mod substitute;
mod yaml;
mod yaml_errors;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::digest::short_hex;

use doubts::outside_of_texts;
pub use doubts::{doubts, with_placeholders, without_use};
pub use lint::{Circumstances, Finding, Ignore, Severity};
pub use parsed::{Ambiguous, Parsed, SyntaxError, Tagged};
pub use position::{Lines, Node, Places, Span};
pub use source::{not_json, parse, parse_all, parse_cut, parse_whole, to_yaml};
pub use step_roles::{Misplaced, StepRole, with_step_roles};
pub use substitute::{has_directive, substitute, unresolved};

/// Largest definition that AWS takes, in bytes (`CreateStateMachine`, parameter `definition`).
pub const MAX_DEFINITION_BYTES: usize = 1_048_576;

/// A definition in the bytes that are submitted. It passed the offline check, but for what [`as_it_is`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    text: String,
    hash: String,
    value: Value,
    places: Places,
    warnings: Vec<Finding>,
}

impl Definition {
    /// What is submitted: compact JSON with the keys in the author's order, the same bytes every time.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// First 16 hexadecimal digits of the SHA-256 of the submitted bytes.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The definition as a tree.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// A cursor at the root, with the places in the text that it was read from.
    pub fn root(&self) -> Node<'_> {
        Node::root(&self.value, &self.places)
    }

    /// With what CloudFormation puts in for its pseudo parameters, by name: `AWS::Region`.
    #[must_use]
    pub fn with_pseudo_parameters(&self, values: &[(&str, &str)]) -> Self {
        let Self { mut value, places, warnings, .. } = self.clone();
        substitute::put_pseudo_parameters(&mut value, values);
        defined(Read { value, places, findings: warnings, open: Vec::new(), misplaced: Vec::new() })
    }

    /// The definition as types.
    pub fn machine(&self) -> model::Machine<'_> {
        model::Machine::of(self.root())
    }

    /// What is doubtful in it and does not keep it from being used.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// True when the other text means the same JSON, whatever its spacing and the order of its keys.
    pub fn equivalent(&self, other: &str) -> bool {
        serde_json::from_str::<Value>(other).is_ok_and(|other| same(&self.value, &other))
    }
}

/// Equality of JSON as data: numbers by value, objects without regard to order.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// Why a definition is not submitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It does not parse.
    #[error("The definition does not parse: {0}")]
    Syntax(#[from] SyntaxError),
    /// A `${Name}` without a value, and what else is wrong.
    #[error("The definition uses {} without a value; add it to spec.substitutions", .0.join(", "))]
    UnresolvedSubstitutions(Vec<String>, Vec<Finding>),
    /// Structure that AWS would refuse.
    #[error("The definition is not valid: {}", first(.0))]
    Invalid(Vec<Finding>),
    /// A role for a step that cannot have it, with what else is wrong.
    #[error("{}", first_misplaced(.0))]
    StepRoles(Vec<Misplaced>, Vec<Finding>),
    /// Larger than AWS takes.
    #[error("The definition has {0} bytes; AWS takes at most {MAX_DEFINITION_BYTES}")]
    TooLarge(usize),
}

impl DefinitionError {
    /// What is wrong, worst first, as the linter tells it.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) | Self::UnresolvedSubstitutions(_, findings) => findings.clone(),
            Self::StepRoles(misplaced, findings) => {
                let told = misplaced
                    .iter()
                    .map(|one| Finding::new("SB094", one.pointer(), one.message.clone(), Span::default()));
                told.chain(findings.iter().cloned()).collect()
            }
            Self::Syntax(error) => vec![Finding::new("SB025", "/", error.to_string(), Span::default())],
            Self::TooLarge(_) => vec![Finding::new("SB026", "/", self.to_string(), Span::default())],
        }
    }
}

fn first(findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.is_error());
    let Some(finding) = errors.next() else { return String::new() };
    let more = match errors.count() {
        0 => String::new(),
        count => format!(" (and {count} more in .status.diagnostics)"),
    };
    format!("{} at {}{more}", finding.message, finding.path)
}

fn first_misplaced(misplaced: &[Misplaced]) -> String {
    let Some(first) = misplaced.first() else { return String::new() };
    let more = match misplaced.len() - 1 {
        0 => String::new(),
        count => format!(" (and {count} more in .status.diagnostics)"),
    };
    format!("{first}{more}")
}

/// Reads a definition of a Standard machine from JSON or YAML, puts the substitutions in and checks it.
///
/// # Errors
/// The first stage that fails, with everything that it found.
pub fn prepare(text: &str, substitutions: &BTreeMap<String, String>) -> Result<Definition, DefinitionError> {
    prepare_with(text, substitutions, &[], Circumstances::default(), &Ignore::default())
}

/// As [`prepare`], with the roles of its steps, what is known of the machine and what not to tell.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_with(
    text: &str,
    substitutions: &BTreeMap<String, String>,
    step_roles: &[StepRole<'_>],
    circumstances: Circumstances,
    ignore: &Ignore,
) -> Result<Definition, DefinitionError> {
    let mut read = read(text, parse_whole, substitutions, step_roles, Stage::Final, circumstances)?;
    if !read.open.is_empty() {
        read.findings.extend(unresolved(Node::root(&read.value, &read.places), substitutions));
    }
    ignore.apply(&mut read.findings);
    read.findings.sort_by_key(|finding| finding.severity);
    if !read.open.is_empty() {
        return Err(DefinitionError::UnresolvedSubstitutions(read.open, read.findings));
    }
    finish(read)
}

/// As [`prepare`], for what needs no values: a `${Name}` without one stays, and is no mistake.
///
/// # Errors
/// As [`prepare`], but for names without a value.
pub fn prepare_template(
    text: &str,
    substitutions: &BTreeMap<String, String>,
    step_roles: &[StepRole<'_>],
) -> Result<Definition, DefinitionError> {
    finish(sorted(read(text, parse, substitutions, step_roles, Stage::Template, Circumstances::default())?))
}

/// As [`prepare_template`], of a text that was read already. A value behind a tag of CloudFormation is a `${Name}` too.
///
/// # Errors
/// As [`prepare_template`].
pub fn prepare_parsed(parsed: Parsed, substitutions: &BTreeMap<String, String>) -> Result<Definition, DefinitionError> {
    let (outside, parsed) = without_doubts(parsed);
    finish(sorted(looked_at(parsed, &outside, substitutions, &[], Stage::Template, Circumstances::default())))
}

/// As [`prepare_parsed`], for whoever only looks at it: what is wrong is among its warnings, and a step has the role that it can have.
pub fn as_it_is(parsed: Parsed, substitutions: &BTreeMap<String, String>, step_roles: &[StepRole<'_>]) -> Definition {
    let (outside, parsed) = without_doubts(parsed);
    defined(sorted(looked_at(parsed, &outside, substitutions, step_roles, Stage::Template, Circumstances::default())))
}

/// Where a template stands outside of texts, and the text with placeholders there.
fn without_doubts(mut parsed: Parsed) -> (Vec<(Span, String)>, Parsed) {
    let outside = outside_of_texts(&parsed);
    parsed.value = with_placeholders(parsed.root(), &parsed);
    parsed.unquoted.clear();
    parsed.tagged.clear();
    (outside, parsed)
}

fn sorted(mut read: Read) -> Read {
    read.findings.sort_by_key(|finding| finding.severity);
    read
}

/// Whether anything may still be put into a definition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// By this tool or another: `${AWS::Region}` stands for what CloudFormation puts in.
    Template,
    /// Nothing: it is submitted as it is.
    Final,
}

/// A definition that was read and checked.
struct Read {
    value: Value,
    places: Places,
    findings: Vec<Finding>,
    /// Names without a value, as they are written.
    open: Vec<String>,
    /// Roles of steps that cannot have them.
    misplaced: Vec<Misplaced>,
}

fn read(
    text: &str,
    parse: impl Fn(&str) -> Result<Parsed, SyntaxError>,
    substitutions: &BTreeMap<String, String>,
    step_roles: &[StepRole<'_>],
    stage: Stage,
    circumstances: Circumstances,
) -> Result<Read, DefinitionError> {
    if text.len() > MAX_DEFINITION_BYTES {
        return Err(DefinitionError::TooLarge(text.len()));
    }
    let parsed = parse(text)?;
    let outside = outside_of_texts(&parsed);
    Ok(looked_at(parsed, &outside, substitutions, step_roles, stage, circumstances))
}

/// `outside` are the places where a template stands outside of texts.
fn looked_at(
    mut parsed: Parsed,
    outside: &[(Span, String)],
    substitutions: &BTreeMap<String, String>,
    step_roles: &[StepRole<'_>],
    stage: Stage,
    circumstances: Circumstances,
) -> Read {
    let mut value = std::mem::take(&mut parsed.value);
    let outcome = substitute::apply(&mut value, substitutions);
    for (span, path) in outside {
        if substitute::put_outside(&mut value, path) {
            parsed.unquoted.retain(|unquoted| unquoted != span);
        }
    }
    if outside.iter().any(|(_, path)| value.pointer(path).is_some_and(|put| put.is_array() || put.is_object())) {
        // No text has the parts of what was put in.
        parsed.places = Places::of(&value);
    }
    let mut misplaced = Vec::new();
    if !step_roles.is_empty() {
        (value, parsed.places, misplaced) = with_step_roles(Node::root(&value, &parsed.places), step_roles);
    }
    let root = Node::root(&value, &parsed.places);
    let placeholders = circumstances.placeholders
        || !outcome.unresolved.is_empty()
        || !parsed.unquoted.is_empty()
        || (stage == Stage::Template && substitute::has_template(&value));
    let mut findings = lint::lint(root, Circumstances { placeholders, ..circumstances });
    doubts(root, &parsed, None, circumstances.placeholders, &mut findings);
    findings.extend(substitutions.keys().filter(|name| !outcome.used.contains(*name)).map(|name| without_use(name)));
    let places = parsed.places;
    Read { value, places, findings, open: outcome.unresolved.into_iter().collect(), misplaced }
}

fn finish(read: Read) -> Result<Definition, DefinitionError> {
    if !read.misplaced.is_empty() {
        return Err(DefinitionError::StepRoles(read.misplaced, read.findings));
    }
    if read.findings.iter().any(Finding::is_error) {
        return Err(DefinitionError::Invalid(read.findings));
    }
    let definition = defined(read);
    if definition.text.len() > MAX_DEFINITION_BYTES {
        return Err(DefinitionError::TooLarge(definition.text.len()));
    }
    Ok(definition)
}

fn defined(read: Read) -> Definition {
    let Read { value, places, findings, open: _, misplaced: _ } = read;
    let text = value.to_string();
    let hash = short_hex(text.as_bytes(), 8);
    Definition { text, hash, value, places, warnings: findings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reordered_definition_is_equivalent_and_a_changed_one_is_not() {
        let value = json!({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": true}}});
        let definition = prepare(&value.to_string(), &BTreeMap::new()).unwrap();
        assert!(
            definition
                .equivalent(r#"{ "States": {"A": {"End": true, "Seconds": 1.0, "Type": "Wait"}}, "StartAt": "A" }"#)
        );
        assert!(
            !definition.equivalent(r#"{"States": {"A": {"End": true, "Seconds": 2, "Type": "Wait"}}, "StartAt": "A"}"#)
        );
        assert!(!definition.equivalent("not json"));
    }

    #[test]
    fn what_is_doubtful_is_told_and_used_all_the_same() {
        let text = "StartAt: A\nStates:\n  A: {Type: Pass, Result: off, End: true}\n";
        let unused = BTreeMap::from([("Nobody".to_owned(), "x".to_owned())]);
        let definition = prepare(text, &unused).unwrap();
        let codes: Vec<_> = definition.warnings().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["SB010", "SB011"]);
        assert!(definition.text().contains("\"Result\":false"));
    }

    #[test]
    fn a_template_is_checked_without_the_values_of_its_names() {
        let template = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Fn}", "End": true}}}"#;
        let definition = prepare_template(template, &BTreeMap::new(), &[]).unwrap();
        assert!(definition.text().contains("${Fn}"));
        assert!(matches!(prepare(template, &BTreeMap::new()), Err(DefinitionError::UnresolvedSubstitutions(..))));
        let wrong = template.replace("\"End\"", "\"Ende\"");
        assert!(matches!(prepare_template(&wrong, &BTreeMap::new(), &[]), Err(DefinitionError::Invalid(_))));
    }

    #[test]
    fn names_of_cloud_formation_alone_make_a_template_too() {
        for resource in
            ["arn:${AWS::Partition}:states:::sqs:sendMessage", "arn:${AWS::Partition}:states:::${ var.a[0] }"]
        {
            let template = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": resource, "End": true,
                "Parameters": {"QueueUrl": "https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/q", "MessageBody": "m"}}}});
            let text = template.to_string();
            let definition = prepare_template(&text, &BTreeMap::new(), &[]).unwrap();
            let parsed = parse_all(&text).unwrap().remove(0);
            assert_eq!(prepare_parsed(parsed.clone(), &BTreeMap::new()), Ok(definition.clone()));
            assert!(!as_it_is(parsed, &BTreeMap::new(), &[]).warnings().iter().any(Finding::is_error));
            // What is submitted has no such names left to be put in.
            assert!(matches!(prepare(&text, &BTreeMap::new()), Err(DefinitionError::Invalid(_))));
            let here =
                [("AWS::Partition", "aws-cn"), ("AWS::Region", "cn-north-1"), ("AWS::URLSuffix", "amazonaws.com.cn")];
            let filled = definition.with_pseudo_parameters(&here);
            assert!(filled.text().contains("\"arn:aws-cn:states:::"), "{}", filled.text());
            assert!(filled.text().contains("https://sqs.cn-north-1.amazonaws.com.cn/${AWS::AccountId}/q"));
            assert_ne!(filled.hash(), short_hex(text.as_bytes(), 8));
        }
    }

    #[test]
    fn the_same_definition_from_yaml_and_json_gives_the_same_bytes() {
        let yaml = "# a comment\nStartAt: A\nStates:\n  A: {Type: Succeed}\n";
        let json = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
        let read = |text| prepare(text, &BTreeMap::new()).unwrap();
        assert_eq!(read(yaml).text(), read(json).text());
        assert_eq!(read(yaml).hash(), read(json).hash());
    }
}
