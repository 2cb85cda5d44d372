//! What a weak place is, and the conditions in which it is looked for.

use crate::iam::document::Statement;
use crate::iam::trust::operator::Operator;
use crate::iam::trust::provider::stands_for;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Weaker than it need be.
    Warning,
    /// Others can get in, or the condition does nothing.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// A weak place of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in CamelCase.
    pub code: &'static str,
    /// Number of the statement, from 1.
    pub statement: usize,
    /// What it means and what to write instead.
    pub message: String,
}

pub(super) fn weakness(
    severity: Severity,
    code: &'static str,
    statement: usize,
    message: impl Into<String>,
) -> Weakness {
    Weakness { severity, code, statement, message: message.into() }
}

/// One condition of a statement.
pub(super) struct Entry<'a> {
    pub(super) operator: Operator<'a>,
    /// The operator as it stands.
    pub(super) written: &'a str,
    pub(super) key: &'a str,
    pub(super) claim: &'a str,
    /// `sub` or `aud` where the provider's key is as good as that.
    pub(super) stands_for: &'a str,
    pub(super) values: &'a [String],
}

pub(super) fn entries(statement: &Statement) -> impl Iterator<Item = Entry<'_>> {
    statement.conditions.iter().flat_map(|(operator, keys)| {
        keys.iter().map(move |(key, values)| {
            let (provider, claim) = key.rsplit_once(':').unwrap_or(("", key));
            let stands_for = stands_for(provider, claim);
            Entry { operator: Operator::parse(operator), written: operator, key, claim, stands_for, values }
        })
    })
}
