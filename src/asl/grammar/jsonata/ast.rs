//! What an expression is made of, each part with the bytes that it takes.
//!
//! The tree has the meaning that the reference implementation gives an expression after its second pass: steps that are
//! joined by points are one path, a text among them is a name, and predicates, bindings and groups belong to the step or
//! path that they follow.

use std::borrow::Cow;

use super::super::super::position::Span;

/// An expression, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// From its first byte to after its last one.
    pub span: Span,
    /// How many parts are nested in it, itself included. It is bounded, so that whoever descends does not overflow.
    pub(super) height: u16,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind<'a> {
    /// A text, without its quotes and with its escapes resolved. Half of a pair of surrogates becomes U+FFFD.
    Text(Cow<'a, str>),
    /// A number; a minus before it is part of it.
    Number(f64),
    /// `true`, `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// `/pattern/im`.
    Regex {
        /// Between the slashes, as it is written.
        pattern: &'a str,
        /// `i` behind it.
        ignores_case: bool,
        /// `m` behind it.
        is_multiline: bool,
    },
    /// `$name`, without the sign: empty for `$`, which is the context item, and `$` for `$$`, the whole input.
    Variable(&'a str),
    /// A field; the step of a path.
    Name(Cow<'a, str>),
    /// `*`: every field.
    Wildcard,
    /// `**`: every field at any depth.
    Descendants,
    /// `%`: what the context item is a field of.
    Parent,
    /// `a.b[0].c`
    Path(Path<'a>),
    /// `(…)[0]`: a predicate behind what is no path.
    Filter {
        /// What is filtered.
        of: Box<Expr<'a>>,
        /// What is kept: a condition, or the number of an item.
        predicate: Box<Expr<'a>>,
    },
    /// `$x{key: value}`: a group behind what is no path.
    Group {
        /// What is grouped.
        of: Box<Expr<'a>>,
        /// Keys and values.
        pairs: Vec<(Expr<'a>, Expr<'a>)>,
    },
    /// `$x[]`: an array stays one if it has one item only; behind what is no path.
    KeepArray(Box<Expr<'a>>),
    /// The order-by step of a path: `^(>price, name)`.
    Sort(Vec<SortTerm<'a>>),
    /// `-x`
    Negative(Box<Expr<'a>>),
    /// `[a, 1..3]`
    Array(Vec<Expr<'a>>),
    /// `{key: value}`
    Object(Vec<(Expr<'a>, Expr<'a>)>),
    /// Two values and what is made of them.
    Binary {
        /// What is made.
        operator: Operator,
        /// Left of it.
        left: Box<Expr<'a>>,
        /// Right of it.
        right: Box<Expr<'a>>,
    },
    /// `x ~> $f`
    Apply {
        /// What is handed on.
        left: Box<Expr<'a>>,
        /// To which function.
        right: Box<Expr<'a>>,
    },
    /// `$name := value`
    Bind {
        /// Without the sign.
        name: &'a str,
        /// What it stands for from here to the end of the block.
        value: Box<Expr<'a>>,
    },
    /// `condition ? then : otherwise`
    Condition {
        /// What is asked.
        condition: Box<Expr<'a>>,
        /// The value if it holds.
        then: Box<Expr<'a>>,
        /// The value if not; nothing where it is left out.
        otherwise: Option<Box<Expr<'a>>>,
    },
    /// `(a; b)`: the value is that of the last one.
    Block(Vec<Expr<'a>>),
    /// `$f(a, ?)`. A place that is left open, `?`, has no value; the whole is a function of those then.
    Call {
        /// The function.
        function: Box<Expr<'a>>,
        /// In the order of the text.
        arguments: Vec<Option<Expr<'a>>>,
    },
    /// `function($a, $b)<n-n:n> { body }`
    Lambda {
        /// Names, without the sign.
        parameters: Vec<&'a str>,
        /// From `<` to `>`, as it is written.
        signature: Option<&'a str>,
        /// What it gives.
        body: Box<Expr<'a>>,
    },
    /// `|pattern|update, delete|`: a function that copies a value with changes.
    Transform {
        /// The objects that are changed.
        pattern: Box<Expr<'a>>,
        /// What is put into each.
        update: Box<Expr<'a>>,
        /// Names of fields that go.
        delete: Option<Box<Expr<'a>>>,
    },
}

/// Steps that are taken one after the other, each from what the one before it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Path<'a> {
    /// At least one.
    pub steps: Vec<Step<'a>>,
    /// `{key: value}` behind the steps.
    pub group: Option<Vec<(Expr<'a>, Expr<'a>)>>,
    /// `[]` behind a step: an array stays one if it has one item only.
    pub keeps_array: bool,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// A name, or anything else that is evaluated for each item.
    pub expr: Expr<'a>,
    /// `@$name`: the item's name in the steps that follow.
    pub focus: Option<&'a str>,
    /// `#$name`: the name of the item's number in the steps that follow.
    pub index: Option<&'a str>,
    /// What follows in brackets, in the order of the text.
    pub stages: Vec<Stage<'a>>,
}

/// What is done with the items of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage<'a> {
    /// `[condition]`
    Filter(Expr<'a>),
    /// `#$name` behind a condition: the number among those that are left.
    Index(&'a str),
}

/// One of the values that a path is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortTerm<'a> {
    /// `>` before it: the greatest first.
    pub is_descending: bool,
    /// The value, for each item.
    pub expr: Expr<'a>,
}

/// Operators between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `&`
    Concatenate,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `and`
    And,
    /// `or`
    Or,
    /// `..`, in an array only
    Range,
}

impl Operator {
    /// As it is written; nothing for a sign that stands for something else, or for nothing.
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Remainder,
            "&" => Self::Concatenate,
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "in" => Self::In,
            "and" => Self::And,
            "or" => Self::Or,
            ".." => Self::Range,
            _ => return None,
        })
    }
}

impl<'a> Step<'a> {
    pub(super) fn of(expr: Expr<'a>) -> Self {
        Self { expr, focus: None, index: None, stages: Vec::new() }
    }
}

impl<'a> Expr<'a> {
    /// Steps from this expression: those that it has if it is a path, else itself as the one step.
    pub(super) fn into_path(self) -> Path<'a> {
        match self.kind {
            Kind::Path(path) => path,
            kind => {
                let keeps_array = matches!(kind, Kind::KeepArray(_));
                let steps = vec![Step::of(Self { kind, span: self.span, height: self.height })];
                Path { steps, group: None, keeps_array }
            }
        }
    }

    /// How many parts are nested in it, itself included.
    pub fn height(&self) -> usize {
        self.height.into()
    }

    /// The name of a path that is one name and nothing else.
    pub(super) fn as_plain_name(&self) -> Option<&str> {
        let Kind::Path(Path { steps, group: None, keeps_array: false }) = &self.kind else { return None };
        match steps.as_slice() {
            [Step { expr: Self { kind: Kind::Name(name), .. }, focus: None, index: None, stages }]
                if stages.is_empty() =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// Calls `visit` with each expression directly inside of this one, in the order of the text.
    pub fn each_inside<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr<'a>)) {
        match &self.kind {
            Kind::Text(_)
            | Kind::Number(_)
            | Kind::Boolean(_)
            | Kind::Null
            | Kind::Regex { .. }
            | Kind::Variable(_)
            | Kind::Name(_)
            | Kind::Wildcard
            | Kind::Descendants
            | Kind::Parent => {}
            Kind::Path(path) => {
                for step in &path.steps {
                    visit(&step.expr);
                    for stage in &step.stages {
                        if let Stage::Filter(predicate) = stage {
                            visit(predicate);
                        }
                    }
                }
                for (key, value) in path.group.iter().flatten() {
                    visit(key);
                    visit(value);
                }
            }
            Kind::Filter { of, predicate } => {
                visit(of);
                visit(predicate);
            }
            Kind::Group { of, pairs } => {
                visit(of);
                for (key, value) in pairs {
                    visit(key);
                    visit(value);
                }
            }
            Kind::KeepArray(inner) | Kind::Negative(inner) | Kind::Bind { value: inner, .. } => visit(inner),
            Kind::Sort(terms) => terms.iter().for_each(|term| visit(&term.expr)),
            Kind::Array(items) | Kind::Block(items) => items.iter().for_each(visit),
            Kind::Object(pairs) => {
                for (key, value) in pairs {
                    visit(key);
                    visit(value);
                }
            }
            Kind::Binary { left, right, .. } | Kind::Apply { left, right } => {
                visit(left);
                visit(right);
            }
            Kind::Condition { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                if let Some(otherwise) = otherwise {
                    visit(otherwise);
                }
            }
            Kind::Call { function, arguments } => {
                visit(function);
                arguments.iter().flatten().for_each(visit);
            }
            Kind::Lambda { body, .. } => visit(body),
            Kind::Transform { pattern, update, delete } => {
                visit(pattern);
                visit(update);
                if let Some(delete) = delete {
                    visit(delete);
                }
            }
        }
    }
}
