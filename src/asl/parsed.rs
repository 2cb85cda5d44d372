//! What reading a text gives, of JSON as of YAML.

use serde_json::Value;

use super::position::{Node, Places, Span};

/// Text that is neither JSON nor YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What the parser met there.
    pub message: String,
    /// True where values are nested deeper than is read here: then nothing is known of the text, not even that it is wrong.
    pub is_too_deep: bool,
}

/// A text as a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The tree, with the keys in the author's order.
    pub value: Value,
    /// Where each value of the tree stands in the text.
    pub places: Places,
    /// Plain scalars of a YAML text that versions of YAML read differently.
    pub ambiguous: Vec<Ambiguous>,
    /// Where values of a JSON text are `${…}` without quotes. As such they are texts in the tree; what they will be nobody knows.
    pub unquoted: Vec<Span>,
    /// Values of a YAML text behind a tag that CloudFormation resolves.
    pub tagged: Vec<Tagged>,
}

impl Parsed {
    /// A cursor at the root of the tree.
    pub fn root(&self) -> Node<'_> {
        Node::root(&self.value, &self.places)
    }
}

/// A plain scalar that YAML 1.1, which kubectl and we read, and YAML 1.2 take for different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// The scalar.
    pub text: String,
    /// Its bytes.
    pub span: Span,
}

/// A value behind a tag of CloudFormation. Every other reader passes over the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// `!Ref`, for example.
    pub tag: String,
    /// The bytes of the value.
    pub span: Span,
}

/// Levels of objects and lists that are read, of JSON as of YAML: deeper nesting than any real definition has. It bounds the recursion,
/// and what the operator submits it has to read again, where `serde_json` has the same bound.
pub(super) const MAX_DEPTH: usize = 127;

pub(super) fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} levels deep")
}
