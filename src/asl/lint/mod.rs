//! The linter: what AWS would refuse, and what works otherwise than its author means.
//!
//! The rules and their stable codes are in [`rules`]; `stepbound lint --explain CODE` and `docs/lint/` print the same.

mod choices;
mod errors;
mod expressions;
mod fields;
mod forms;
mod ignore;
mod integrations;
mod maps;
mod payload;
mod rules;
mod secrets;
mod structure;
mod tasks;
mod values;
mod variables;

use std::collections::{HashMap, HashSet};

use super::grammar::jsonata::Uses;
use super::model::{Machine, State};
use super::position::{Node, Span};

pub use ignore::{IGNORE_ANNOTATION, Ignore, UnknownCode};
pub use rules::{Basis, Rule, Scope, basis, rule, rules};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// AWS refuses the definition, or it cannot work.
    Error,
    /// It works, but probably not as it is meant.
    Warning,
}

impl Severity {
    /// In small letters, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code of the rule.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// JSON pointer to the place, from the root of the definition.
    pub path: String,
    /// What is wrong there and what to do.
    pub message: String,
    /// What to point at in the text.
    pub span: Span,
}

impl Finding {
    /// With the severity of the code's rule.
    pub fn new(code: &'static str, path: impl Into<String>, message: impl Into<String>, span: Span) -> Self {
        let severity = rule(code).map_or(Severity::Error, |rule| rule.severity);
        Self { code, severity, path: path.into(), message: message.into(), span }
    }

    /// True when it keeps the definition from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// What is known of a definition beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The machine is of the type Express.
    pub express: bool,
    /// `${Name}` may stand for a value that is not known here, as in a bare definition of a template.
    pub placeholders: bool,
    /// Partition that the state machine lives in, where it is known.
    pub partition: Option<&'static str>,
}

/// More findings than anybody reads; it bounds the work on a text that is wrong throughout.
pub(super) const MAX_FINDINGS: usize = 1000;

/// All findings about a definition, in the order of the text.
pub fn lint(root: Node<'_>, circumstances: Circumstances) -> Vec<Finding> {
    let machine = Machine::of(root);
    let mut lint = Lint { root, circumstances, findings: Vec::new(), expressions: HashMap::new() };
    if root.value().is_object() {
        lint.machine(&machine, 0);
        structure::duplicates(&mut lint, &machine);
        variables::check(&mut lint, &machine);
        secrets::check(&mut lint, root);
    } else {
        let hint = if root.value().is_string() { "; this is a text: remove the | or the quotes before it" } else { "" };
        lint.report("SB001", root, format!("a definition must be an object with StartAt and States{hint}"));
    }
    let mut findings = lint.findings;
    findings.sort_by_key(|finding| finding.span.start);
    // What two rules see alike is told once.
    let mut seen = HashSet::new();
    findings.retain(|finding| seen.insert((finding.code, finding.path.clone(), finding.message.clone())));
    findings
}

/// What the rules share.
struct Lint<'a> {
    root: Node<'a>,
    circumstances: Circumstances,
    findings: Vec<Finding>,
    expressions: Expressions<'a>,
}

/// What the expressions read that were met so far, by the values that they are.
type Expressions<'a> = HashMap<usize, Uses<'a>>;

/// The states of one machine by name.
type States<'m, 'a> = HashMap<&'a str, &'m State<'a>>;

impl<'a> Lint<'a> {
    fn machine(&mut self, machine: &Machine<'a>, depth: usize) {
        if self.is_unknown(machine.node) {
            return;
        }
        if !machine.node.value().is_object() {
            return self.report("SB001", machine.node, "a state machine must be an object with StartAt and States");
        }
        fields::machine(self, machine, depth);
        // In which language the rest is meant is not known.
        if fields::is_misspelt(machine.node, "QueryLanguage") {
            return;
        }
        if machine.too_deep {
            let message =
                format!("states are nested more than {} deep; those below are not looked at", super::model::MAX_DEPTH);
            return self.report("SB009", machine.node, message);
        }
        let states: States<'_, 'a> = machine.states.iter().map(|state| (state.name, state)).collect();
        structure::machine(self, machine, &states, depth);
        for state in &machine.states {
            self.state(machine, state, &states, depth);
        }
    }

    fn state(&mut self, machine: &Machine<'a>, state: &State<'a>, siblings: &States<'_, 'a>, depth: usize) {
        // Enough is told; the rest would cost time and be told to nobody.
        if self.is_full() || !structure::state(self, state, siblings) {
            return;
        }
        let from = self.findings.len();
        fields::state(self, machine, state);
        choices::check(self, state);
        errors::check(self, state);
        payload::check(self, state);
        tasks::check(self, state);
        maps::check(self, state);
        self.explained(from);
        for inner in state.machines() {
            self.machine(inner, depth + 1);
        }
    }

    /// Where the state has fields of the other language, its expressions are of that too, which needs no word of its own.
    fn explained(&mut self, from: usize) {
        if self.findings[from..].iter().any(|finding| finding.code == "SB018") {
            let own = self.findings.split_off(from);
            self.findings.extend(own.into_iter().filter(|finding| finding.code != "SB083"));
        }
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= MAX_FINDINGS
    }

    /// A finding about a value.
    fn report(&mut self, code: &'static str, node: Node<'a>, message: impl Into<String>) {
        self.report_at(code, node, node.mark(), message);
    }

    /// A finding about a key.
    fn report_key(&mut self, code: &'static str, node: Node<'a>, message: impl Into<String>) {
        self.report_at(code, node, node.key_span(), message);
    }

    fn report_at(&mut self, code: &'static str, node: Node<'a>, span: Span, message: impl Into<String>) {
        if !self.is_full() {
            self.findings.push(Finding::new(code, self.root.path_to(node), message, span));
        }
    }

    /// True for a value that is not known here.
    fn is_unknown(&self, node: Node<'a>) -> bool {
        node.as_str().is_some_and(|text| self.is_placeholder(text))
    }

    /// True for a text that stands for a value that is not known here.
    fn is_placeholder(&self, text: &str) -> bool {
        // In an expression only a name stands for something; the rest may be JSONata.
        let stands_for =
            if text.starts_with("{%") { super::substitute::has_name } else { super::substitute::is_template };
        self.circumstances.placeholders && stands_for(text)
    }
}

#[cfg(test)]
mod tests;
