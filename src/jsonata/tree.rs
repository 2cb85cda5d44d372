//! What is evaluated: the tree of the grammar with what the reference implementation works out beforehand.

use std::sync::{Arc, OnceLock};

pub(super) use crate::asl::grammar::jsonata::ast::Operator;

use super::pattern::Pattern;
use super::signature::Signature;

/// The places, among an expression's labels, of what `%` stands for.
pub(super) type Slot = usize;

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    /// The byte where it begins.
    pub at: usize,
    pub predicates: Vec<Node>,
    pub group: Option<Vec<(Node, Node)>>,
    /// `[]` behind it.
    pub keeps_array: bool,
    /// An array that a path takes as one item.
    pub is_cons: bool,
    /// Names are bound on the way, so that items travel with what they are bound to.
    pub is_tuple: bool,
    /// As a step of a path: `@$name`, `#$name`, what is in brackets, and what a later `%` calls its input.
    pub focus: Option<Box<str>>,
    pub index: Option<Box<str>>,
    pub stages: Vec<Stage>,
    pub ancestor: Option<Slot>,
    /// While the tree is made: what `%` inside still looks for.
    pub seeking: Vec<Slot>,
}

#[derive(Debug)]
pub(super) enum Stage {
    Filter(Node),
    Index(Box<str>),
}

#[derive(Debug)]
pub(super) enum Kind {
    Text(Arc<str>),
    Number(f64),
    Boolean(bool),
    Null,
    Regex(Box<Regex>),
    Variable(Box<str>),
    Name(Arc<str>),
    Wildcard,
    Descendants,
    Parent(Slot),
    Path { steps: Vec<Node>, keeps_array: bool },
    Sort(Vec<(bool, Node)>),
    Negative(Box<Node>),
    Array(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Binary(Operator, Box<Node>, Box<Node>),
    Apply(Box<Node>, Box<Node>),
    Bind(Box<str>, Box<Node>),
    Condition(Box<Node>, Box<Node>, Option<Box<Node>>),
    Block(Vec<Node>),
    Call(Box<Node>, Vec<Node>),
    Partial(Box<Node>, Vec<Option<Node>>),
    Lambda(Box<Lambda>),
    Transform(Box<(Node, Node, Option<Node>)>),
}

/// `/pattern/flags`, which is compiled when it is first used.
#[derive(Debug)]
pub(super) struct Regex {
    pub pattern: String,
    pub ignores_case: bool,
    pub is_multiline: bool,
    pub compiled: OnceLock<Result<Pattern, String>>,
}

/// `function($a)<s:s>{ … }`
#[derive(Debug)]
pub(super) struct Lambda {
    pub parameters: Vec<Box<str>>,
    pub signature: Option<Signature>,
    pub body: Node,
}

impl Node {
    pub(super) fn new(kind: Kind, at: usize) -> Self {
        Self {
            kind,
            at,
            predicates: Vec::new(),
            group: None,
            keeps_array: false,
            is_cons: false,
            is_tuple: false,
            focus: None,
            index: None,
            stages: Vec::new(),
            ancestor: None,
            seeking: Vec::new(),
        }
    }

    /// The name that is called, for messages: the variable's or the first step's.
    pub(super) fn name(&self) -> &str {
        match &self.kind {
            Kind::Variable(name) => name,
            Kind::Name(name) => name,
            Kind::Path { steps, .. } => steps.first().map_or("", Self::name),
            _ => "",
        }
    }
}

/// The sign of an operator, for messages.
pub(super) fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Remainder => "%",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        _ => "",
    }
}
