//! The linter: what AWS would refuse, and what works otherwise than its author means.
//!
//! The rules and their stable codes are in [`rules`]; `stepbound lint --explain CODE` and `docs/lint/` print the same.

mod choices;
mod errors;
mod expressions;
mod fields;
mod finding;
mod forms;
mod ignore;
mod integrations;
mod maps;
mod payload;
mod report;
mod rules;
mod secrets;
mod structure;
mod tasks;
mod values;
mod variables;

use std::collections::{HashMap, HashSet};

use super::model::{Machine, State};
use super::position::Node;
use report::{Lint, States};

pub use finding::Finding;
pub use ignore::{IGNORE_ANNOTATION, Ignore, UnknownCode};
pub use report::Circumstances;
pub(super) use report::MAX_FINDINGS;
pub use rules::{Basis, Rule, Scope, Severity, basis, rule, rules};

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
}

#[cfg(test)]
mod tests;
