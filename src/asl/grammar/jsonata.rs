//! JSONata 2.0.6, the version that Step Functions implements: what an expression is made of, and what it reads. Nothing is
//! evaluated.
//!
//! The grammar follows the reference implementation's operator precedence parser, so that both take and refuse the same.
//! Sources: docs.jsonata.org; Step Functions developer guide, "Transforming data with JSONata".

pub mod ast;
mod functions;
mod lexer;
mod parser;
mod path;
mod uses;

use super::GrammarError;

pub use ast::Expr;
pub use functions::is_function;
pub use uses::Uses;

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
pub fn parse(text: &str) -> Result<Expr<'_>, GrammarError> {
    let expression = parser::Parser::read(text)?;
    match uses::orphan(&expression) {
        Some(at) => Err(GrammarError::new(at, "% stands for a parent, and nothing here leads to one")),
        None => Ok(expression),
    }
}

#[cfg(test)]
mod tests;
