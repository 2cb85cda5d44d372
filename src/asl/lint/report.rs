//! What the rules share: where they report what they find, and what is known beside the text.

use std::collections::HashMap;

use super::finding::Finding;
use crate::asl::grammar::jsonata::Uses;
use crate::asl::model::State;
use crate::asl::position::{Node, Span};
use crate::asl::substitute;

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
pub(in super::super) const MAX_FINDINGS: usize = 1000;

/// What the rules share.
pub(super) struct Lint<'a> {
    pub(super) root: Node<'a>,
    pub(super) circumstances: Circumstances,
    pub(super) findings: Vec<Finding>,
    pub(super) expressions: Expressions<'a>,
}

/// What the expressions read that were met so far, by the values that they are.
pub(super) type Expressions<'a> = HashMap<usize, Uses<'a>>;

/// The states of one machine by name.
pub(super) type States<'m, 'a> = HashMap<&'a str, &'m State<'a>>;

impl<'a> Lint<'a> {
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= MAX_FINDINGS
    }

    /// A finding about a value.
    pub(super) fn report(&mut self, code: &'static str, node: Node<'a>, message: impl Into<String>) {
        self.report_at(code, node, node.mark(), message);
    }

    /// A finding about a key.
    pub(super) fn report_key(&mut self, code: &'static str, node: Node<'a>, message: impl Into<String>) {
        self.report_at(code, node, node.key_span(), message);
    }

    pub(super) fn report_at(&mut self, code: &'static str, node: Node<'a>, span: Span, message: impl Into<String>) {
        if !self.is_full() {
            self.findings.push(Finding::new(code, self.root.path_to(node), message, span));
        }
    }

    /// True for a value that is not known here.
    pub(super) fn is_unknown(&self, node: Node<'a>) -> bool {
        node.as_str().is_some_and(|text| self.is_placeholder(text))
    }

    /// True for a text that stands for a value that is not known here.
    pub(super) fn is_placeholder(&self, text: &str) -> bool {
        // In an expression only a name stands for something; the rest may be JSONata.
        let stands_for = if text.starts_with("{%") { substitute::has_name } else { substitute::is_template };
        self.circumstances.placeholders && stands_for(text)
    }
}

/// The place of a byte of a text in the source. Exact where the text has no escapes, which is nearly always.
pub(super) fn inside(node: Node<'_>, at: usize) -> Span {
    let (span, text) = (node.span(), node.as_str().unwrap_or_default());
    match (span.end - span.start).checked_sub(text.len()) {
        // Plain in YAML, or in quotes.
        Some(quotes @ (0 | 2)) if !text.is_empty() => {
            let start = span.start + quotes / 2 + text.floor_char_boundary(at.min(text.len() - 1));
            Span::new(start, span.end - quotes / 2)
        }
        _ => span,
    }
}
