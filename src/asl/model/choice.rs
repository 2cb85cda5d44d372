//! What a Choice decides by.

use super::super::position::Node;
use super::fields::{Data, data, listed};

/// One of the `Choices`.
#[derive(Clone, Debug)]
pub struct ChoiceRule<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// When it is taken.
    pub condition: Condition<'a>,
    /// `Next`.
    pub next: Option<Node<'a>>,
    /// `Assign`, `Output`.
    pub data: Data<'a>,
}

/// When a rule is taken.
#[derive(Clone, Debug)]
pub enum Condition<'a> {
    /// JSONPath: a variable compared with a value, or with what a path leads to.
    Comparison {
        /// All of it.
        node: Node<'a>,
        /// `Variable`.
        variable: Option<Node<'a>>,
        /// Every other field that is no part of a rule; one where it is written well.
        operators: Vec<(&'a str, Node<'a>)>,
    },
    /// All hold.
    And(Vec<Condition<'a>>),
    /// One holds.
    Or(Vec<Condition<'a>>),
    /// It does not hold.
    Not(Box<Condition<'a>>),
    /// JSONata: `Condition`.
    Expression(Node<'a>),
}

/// Nesting of `And`, `Or` and `Not` beyond which nothing is read; the text itself is bounded alike.
const MAX_NESTING: usize = 128;

impl<'a> ChoiceRule<'a> {
    pub(super) fn of(node: Node<'a>) -> Self {
        Self { node, condition: Condition::of(node, 0), next: node.get("Next"), data: data(node) }
    }
}

impl<'a> Condition<'a> {
    fn of(node: Node<'a>, depth: usize) -> Self {
        let mut variable = None;
        let mut operators = Vec::new();
        for (key, field) in node.fields() {
            let inner = |field| Self::of(field, depth + 1);
            match key {
                "Condition" => return Self::Expression(field),
                "And" if depth < MAX_NESTING => return Self::And(listed(node, key).map(inner).collect()),
                "Or" if depth < MAX_NESTING => return Self::Or(listed(node, key).map(inner).collect()),
                "Not" if depth < MAX_NESTING => return Self::Not(Box::new(inner(field))),
                "Variable" => variable = Some(field),
                "Next" | "Comment" | "Assign" | "Output" => {}
                _ => operators.push((key, field)),
            }
        }
        Self::Comparison { node, variable, operators }
    }
}
