//! Why an expression has no value.

use std::fmt;

/// An expression that cannot be read or evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The reference implementation's code; `S0201` for whatever is wrong with the text, `U1001` for a limit.
    pub code: &'static str,
    /// What happened, in the reference implementation's words where it has some.
    pub message: String,
    /// The byte of the expression that it happened at.
    pub position: Option<usize>,
}

/// Stands for the name of the function that is called, until that is known.
const TOKEN: &str = "{{token}}";
const DEPTH: &str = "the recursion is too deep";

impl Error {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), position: None }
    }

    pub(super) fn syntax(at: usize, message: String) -> Self {
        Self { code: "S0201", message, position: Some(at) }
    }

    pub(super) fn limit(message: &str) -> Self {
        Self::new("U1001", message)
    }

    pub(super) fn depth() -> Self {
        Self::limit(DEPTH)
    }

    pub(super) fn is_depth(&self) -> bool {
        self.code == "U1001" && self.message == DEPTH
    }

    /// The same at this place, unless it has one.
    pub(super) fn at(mut self, position: usize) -> Self {
        self.position.get_or_insert(position);
        self
    }

    /// The same with the name of the function that was called.
    pub(super) fn of(mut self, name: &str) -> Self {
        if self.message.contains(TOKEN) {
            self.message = self.message.replacen(TOKEN, &format!("\"{name}\""), 1);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message.replace(TOKEN, "that is called"))
    }
}

impl std::error::Error for Error {}
