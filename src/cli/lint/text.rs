//! For people.

use std::fmt::Write;

use super::input::Source;
use super::report::{Located, Report};
use crate::asl::Lines;
use crate::asl::lint::{Severity, rule};
use crate::cli::program::as_typed;

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";
/// Characters of a source line that are shown before and after the mark: minified JSON is one long line.
const AROUND: usize = 60;

pub(super) fn print(report: &Report, sources: &[Source], quiet: bool, colour: bool) -> String {
    let paint = |code: &'static str, text: &str| if colour { format!("{code}{text}{PLAIN}") } else { text.to_owned() };
    let mut out = String::new();
    for found in &report.findings {
        let (finding, error) = (&found.finding, found.finding.is_error());
        if quiet && !error {
            continue;
        }
        let severity = format!("{}[{}]", finding.severity.name(), finding.code);
        let severity = paint(if error { RED } else { YELLOW }, &severity);
        let place = paint(BOLD, &format!("{}:{}:{}:", found.file, found.line, found.column));
        let _ = writeln!(out, "{place} {severity}: {}", finding.message);
        if finding.severity == Severity::Error {
            frame(&mut out, found, sources, &paint);
        }
    }
    differences(&mut out, report);
    if !quiet {
        if report.findings.is_empty() {
            table(&mut out, report);
        }
        let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
        let (errors, warnings) = (count(report.errors(), "error"), count(report.warnings(), "warning"));
        let checked = match report.definitions.len() {
            0 => ", no definition in it".to_owned(),
            _ => String::new(),
        };
        let passed_over = match report.passed_over {
            0 => String::new(),
            files => format!(" ({files} of them passed over: nothing of ours)"),
        };
        let _ = writeln!(out, "{}{passed_over}{checked}, {errors}, {warnings}", count(report.files, "file"));
    }
    out
}

fn frame(out: &mut String, found: &Located, sources: &[Source], paint: &impl Fn(&'static str, &str) -> String) {
    // A folder has no lines.
    let Some(source) = sources.iter().find(|source| source.name == found.file) else { return };
    let text = source.text.as_str();
    let line: Vec<char> = Lines::of(text).line(found.line).chars().collect();
    let from = (found.column - 1).saturating_sub(AROUND).min(line.len());
    let to = (found.column - 1 + found.width + AROUND).min(line.len());
    let shown: String = line[from..to].iter().map(|c| if *c == '\t' { ' ' } else { *c }).collect();
    let number = found.line.to_string();
    let space = " ".repeat(number.len());
    let bar = paint(BLUE, "|");
    let indent = " ".repeat((found.column - 1).saturating_sub(from));
    let label = rule(found.finding.code).map_or("", |rule| rule.label);
    let mark = paint(RED, &format!("{} {label}", "^".repeat(found.width.clamp(1, 2 * AROUND))));
    let _ = writeln!(out, "{space} {bar}");
    let _ = writeln!(out, "{} {bar} {shown}", paint(BLUE, &number));
    let _ = writeln!(out, "{space} {bar} {indent}{mark}");
    let equals = paint(BLUE, "=");
    let path = &found.finding.path;
    match &found.subject {
        Some(subject) => {
            let _ = writeln!(out, "{space} {equals} {subject}, at {path}");
        }
        None => {
            let _ = writeln!(out, "{space} {equals} at {path}");
        }
    }
    let help = as_typed(&format!("stepbound lint --explain {}", found.finding.code));
    let _ = writeln!(out, "{space} {equals} help: {help}");
}

/// Where AWS was asked: where the two do not agree, or that they do.
fn differences(out: &mut String, report: &Report) {
    let asked = report.definitions.iter().filter(|definition| definition.asked).count();
    for one in &report.differences {
        let whose = one.subject.as_ref().map(|subject| format!(", {subject}")).unwrap_or_default();
        let place = format!("{}{whose}, at {}", one.file, if one.path.is_empty() { "/" } else { &one.path });
        let (one_side, other) = if one.refused_by_aws { ("AWS", "the linter") } else { ("the linter", "AWS") };
        let _ = writeln!(out, "difference: {place}: {one_side} refuses it ({}), and {other} does not", one.code);
    }
    if asked > 0 && report.differences.is_empty() {
        let all = if asked == 1 { "the one definition".to_owned() } else { format!("all {asked} definitions") };
        let _ = writeln!(out, "AWS decides the same of {all} that it was asked about");
    }
}

/// What was checked, where nothing was found.
fn table(out: &mut String, report: &Report) {
    if report.definitions.is_empty() {
        return;
    }
    let rows = report.definitions.iter().map(|definition| {
        let subject = definition.subject.as_ref().map_or("definition".to_owned(), ToString::to_string);
        [definition.file.clone(), subject, definition.states.to_string()]
    });
    let head = ["FILE", "DEFINITION", "STATES"].map(str::to_owned);
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    for [file, subject, states] in &rows {
        let _ = writeln!(out, "{file:first$}   {subject:second$}   {states}");
    }
}
