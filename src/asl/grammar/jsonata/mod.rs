//! JSONata 2.0.6, the version that Step Functions implements: whether an expression is of the language, and which variables
//! and functions it names. Nothing is evaluated.
//!
//! The grammar follows the reference implementation's operator precedence parser, so that both take and refuse the same.
//! Sources: docs.jsonata.org; Step Functions developer guide, "Transforming data with JSONata".

mod lexer;
mod parser;

use super::GrammarError;

/// What an expression uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses<'a> {
    /// Names of variables, without `$`, each with its place, that the expression does not bind itself.
    pub variables: Vec<(usize, &'a str)>,
    /// Functions that are called by name, without `$`, each with its place.
    pub calls: Vec<(usize, &'a str)>,
}

impl Uses<'_> {
    /// True when it gives another result each time.
    pub fn is_random(&self) -> bool {
        self.calls.iter().any(|(_, name)| matches!(*name, "uuid" | "random" | "now" | "millis"))
    }
}

/// What a text of a definition is, in a state that is written in JSONata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// It stands for itself.
    Literal,
    /// `{% … %}`: what is between the marks, and the byte where it begins.
    Expression(&'a str, usize),
    /// One mark without the other.
    HalfOpen,
}

/// Tells an expression from text. There are no spaces outside the marks in an expression.
pub fn classify(text: &str) -> Text<'_> {
    match (text.strip_prefix("{%"), text.strip_suffix("%}")) {
        (Some(_), Some(_)) if text.len() >= 4 => Text::Expression(&text[2..text.len() - 2], 2),
        (None, None) => Text::Literal,
        _ => Text::HalfOpen,
    }
}

/// Reads an expression, without the marks around it.
///
/// # Errors
/// The place where it stops to be one.
pub fn parse(text: &str) -> Result<Uses<'_>, GrammarError> {
    parser::Parser::read(text)
}

#[cfg(test)]
mod tests;
