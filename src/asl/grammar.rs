//! The small languages inside a definition: paths, intrinsic functions, expressions. Each is checked by its grammar and
//! not evaluated. Every check reads its text once, and none nests deeper than [`MAX_NESTING`].

pub mod intrinsic;
pub mod jsonata;
pub mod jsonpath;

/// Deeper nesting than any real expression has; it bounds the recursion.
const MAX_NESTING: usize = 100;

/// Why a text is not of a grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarError {
    /// The byte of the text where it goes wrong.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
}

impl GrammarError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}
