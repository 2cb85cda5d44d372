//! What a rule finds.

use super::rules::{Severity, rule};
use crate::asl::position::Span;

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
