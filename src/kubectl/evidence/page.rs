//! The page. Every value is escaped by the template, and the policy in its head lets nothing run or load.

use std::collections::BTreeMap;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::controls::controls;
use crate::plan::evidence::{Evidence, Finding, Item, Section, Severity, Source};
use crate::printable::printable_lines;

const STYLE: &str = include_str!("style.css");
/// Rows of a part on the page; its file has all.
const ROWS: usize = 500;
/// What is too long for a cell; the file has it.
const LONG: [&str; 3] = ["attempts", "auditRecords", "uid"];

#[derive(Template)]
#[template(path = "evidence.html")]
struct Page {
    policy: String,
    about: Vec<(String, String)>,
    counts: [(&'static str, &'static str, usize); 3],
    unread: Vec<(String, String)>,
    findings: Vec<FindingRow>,
    controls: Vec<ControlRow>,
    parts: Vec<Part>,
    sources: Vec<String>,
    style: &'static str,
}

struct FindingRow {
    severity: &'static str,
    class: &'static str,
    code: String,
    subject: String,
    message: String,
    controls: String,
    sources: Vec<usize>,
}

struct ControlRow {
    id: String,
    about: String,
    parts: Vec<(String, String)>,
}

struct Part {
    id: &'static str,
    title: &'static str,
    controls: String,
    says: Vec<String>,
    not_read: Vec<String>,
    columns: Vec<String>,
    rows: Vec<TableRow>,
    blocks: Vec<Block>,
    omitted: usize,
}

struct TableRow {
    cells: Vec<String>,
    controls: String,
    sources: Vec<usize>,
}

struct Block {
    subject: String,
    facts: Vec<Fact>,
    controls: String,
    sources: Vec<usize>,
}

/// A line of a block.
struct Fact {
    name: String,
    text: String,
    is_code: bool,
}

/// Writes the page.
pub(super) fn page(evidence: &Evidence, about: &Value) -> Result<String, askama::Error> {
    let mut sources = Sources::default();
    let findings = evidence.findings.iter().map(|one| finding(one, &mut sources)).collect();
    let parts: Vec<Part> = evidence.sections.iter().map(|section| part(section, &mut sources)).collect();
    let title = |id: &str| parts.iter().find(|one| one.id == id).map_or(String::new(), |one| one.title.to_owned());
    let count = |severity| evidence.findings.iter().filter(|one| one.severity == severity).count();
    let mut facts = Vec::new();
    for (name, value) in about.as_object().into_iter().flatten() {
        facts.extend(lines(&words(name), value).into_iter().map(|line| (line.name, line.text)));
    }
    let controls = controls(evidence);
    let page = Page {
        policy: format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            STANDARD.encode(Sha256::digest(STYLE.as_bytes()))
        ),
        about: facts,
        counts: [
            ("errors", "bad", count(Severity::Error)),
            ("warnings", "warn", count(Severity::Warning)),
            ("notes", "note", count(Severity::Note)),
        ],
        unread: evidence.unread.iter().map(|one| (title(one.section), one.what.clone())).collect(),
        findings,
        controls: controls.iter().map(|one| control(one, &title)).collect(),
        parts,
        sources: sources.texts,
        style: STYLE,
    };
    page.render().map(|page| printable_lines(&page))
}

/// A control without the name of its standard.
pub(super) fn short(control: &str) -> &str {
    control.rsplit(' ').next().unwrap_or(control)
}

fn shorts(controls: &[&str]) -> String {
    controls.iter().map(|one| short(one)).collect::<Vec<_>>().join(" ")
}

/// Where things were read, each once and by number.
#[derive(Default)]
struct Sources {
    texts: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Sources {
    fn numbers(&mut self, sources: &[Source]) -> Vec<usize> {
        let number = |source: &Source| {
            let text = source.text();
            if let Some(number) = self.numbers.get(&text) {
                return *number;
            }
            self.texts.push(text.clone());
            self.numbers.insert(text, self.texts.len());
            self.texts.len()
        };
        sources.iter().map(number).collect()
    }
}

fn finding(one: &Finding, sources: &mut Sources) -> FindingRow {
    FindingRow {
        severity: one.severity.text(),
        class: match one.severity {
            Severity::Error => "bad",
            Severity::Warning => "warn",
            Severity::Note => "note",
        },
        code: one.code.clone(),
        subject: one.subject.clone(),
        message: one.message.clone(),
        controls: shorts(one.controls),
        sources: sources.numbers(&one.read_from),
    }
}

fn control(one: &Value, title: &dyn Fn(&str) -> String) -> ControlRow {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let part = |part: &Value| {
        let id = text(&part["section"]);
        let findings = part["findings"].as_u64().unwrap_or_default();
        let weak = if findings == 0 { String::new() } else { format!(", findings: {findings}") };
        (id.clone(), format!("{} (items: {}{weak})", title(&id), part["items"]))
    };
    let parts = one["shownBy"].as_array().into_iter().flatten().map(part).collect();
    ControlRow { id: text(&one["control"]), about: text(&one["about"]), parts }
}

fn part(section: &Section, sources: &mut Sources) -> Part {
    let shown = &section.items[..section.items.len().min(ROWS)];
    let mut part = Part {
        id: section.id,
        title: section.title,
        controls: section.controls.join(", "),
        says: section.says.clone(),
        not_read: section.not_read.clone(),
        columns: Vec::new(),
        rows: Vec::new(),
        blocks: Vec::new(),
        omitted: section.items.len() - shown.len(),
    };
    if section.is_table {
        let columns = columns(shown);
        part.rows = shown.iter().map(|item| row(item, &columns, sources)).collect();
        part.columns = columns.iter().map(|name| words(name)).collect();
    } else {
        part.blocks = shown.iter().map(|item| block(item, sources)).collect();
    }
    part
}

/// The names of facts that any item has, in the order in which they are met.
fn columns(items: &[Item]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for (at, name) in items.iter().flat_map(|item| item.facts.keys().enumerate()) {
        if !columns.contains(name) && !LONG.contains(&name.as_str()) {
            columns.insert(at.min(columns.len()), name.clone());
        }
    }
    columns
}

fn row(item: &Item, columns: &[String], sources: &mut Sources) -> TableRow {
    let cell = |name: &String| item.facts.get(name).map(|value| text(value, "\n")).unwrap_or_default();
    let mut cells = vec![item.subject.clone()];
    cells.extend(columns.iter().map(cell));
    TableRow { cells, controls: shorts(item.controls), sources: sources.numbers(&item.read_from) }
}

fn block(item: &Item, sources: &mut Sources) -> Block {
    Block {
        subject: item.subject.clone(),
        facts: item.facts.iter().flat_map(|(name, value)| lines(&words(name), value)).collect(),
        controls: item.controls.join(", "),
        sources: sources.numbers(&item.read_from),
    }
}

/// A value as lines of a block: what is nested has lines of its own, and a policy stays as it is.
fn lines(name: &str, value: &Value) -> Vec<Fact> {
    match value {
        Value::Object(fields) if fields.contains_key("Statement") => {
            vec![Fact { name: name.to_owned(), text: format!("{value:#}"), is_code: true }]
        }
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| lines(&format!("{name}: {}", words(key)), value)).collect()
        }
        Value::Array(values) if values.iter().any(has_policy) => {
            let numbered = values.iter().zip(1..);
            numbered.flat_map(|(value, number)| lines(&format!("{name} {number}"), value)).collect()
        }
        other => vec![Fact { name: name.to_owned(), text: text(other, "\n"), is_code: false }],
    }
}

fn has_policy(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|fields: &Map<String, Value>| fields.values().any(|value| value.get("Statement").is_some()))
}

/// A value in words; the parts of a list stand apart.
fn text(value: &Value, apart: &str) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(|value| text(value, ", ")).collect::<Vec<_>>().join(apart),
        Value::Object(fields) => {
            let one = |(name, value): (&String, &Value)| format!("{}: {}", words(name), text(value, ", "));
            fields.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// `allowedExecutionRoleARNs` as words: `allowed execution role ARNs`.
pub(super) fn words(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let is = |at: usize, test: fn(&char) -> bool| chars.get(at).is_some_and(test);
    let mut words = String::new();
    for (at, char) in chars.iter().enumerate() {
        let upper = char.is_ascii_uppercase();
        let after_small = at > 0 && is(at - 1, char::is_ascii_lowercase);
        let is_plural = is(at + 1, |next| *next == 's') && at + 2 == chars.len();
        let begins = upper && at > 0 && is(at + 1, char::is_ascii_lowercase) && !is_plural;
        if upper && (after_small || begins) {
            words.push(' ');
        }
        let is_acronym = upper
            && (is(at + 1, char::is_ascii_uppercase) || (at > 0 && is(at - 1, char::is_ascii_uppercase) && !begins));
        words.push(if is_acronym { *char } else { char.to_ascii_lowercase() });
    }
    words
}
