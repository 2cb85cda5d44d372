//! The rules: codes, severities and what is told of each. A code keeps its meaning for ever; one that goes is not used again.

mod basis;
mod data;
mod errors;
mod rule;
mod source;
mod structure;
mod tasks;

pub use basis::{Basis, basis};
pub use rule::{Rule, Scope, Severity};

/// Every rule, by code.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [structure::RULES, source::RULES, data::RULES, tasks::RULES, errors::RULES].into_iter().flatten()
}

/// The rule of a code, in either case.
pub fn rule(code: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.code.eq_ignore_ascii_case(code))
}
