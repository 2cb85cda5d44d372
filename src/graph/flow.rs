//! What leads where: vertices and edges of one machine, those of inner machines inside the vertex that holds them.

use std::collections::HashMap;

use serde_json::Value;

use crate::asl::Node;
use crate::asl::model::{Choice, ChoiceRule, Kind, Machine, Mode, Retrier, State, Target};

/// The graph of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its states in the author's order.
    pub vertices: Vec<Vertex>,
    /// What leads where.
    pub edges: Vec<Edge>,
    /// Index of the first state.
    pub start: Option<usize>,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vertex {
    /// Its name.
    pub name: String,
    /// What it is.
    pub shape: Shape,
    /// What it calls or does, in a few words.
    pub detail: String,
    /// Its retriers: `States.Timeout ×3`.
    pub retry: Vec<String>,
    /// True when nothing follows it.
    pub ends: bool,
    /// Machines inside it.
    pub inner: Vec<Flow>,
}

/// What a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Does work.
    Task,
    /// Hands on.
    Pass,
    /// Decides.
    Choice,
    /// Waits.
    Wait,
    /// Ends well.
    Succeed,
    /// Ends in failure.
    Fail,
    /// Runs branches at the same time.
    Parallel,
    /// Runs its processor for each item.
    Map,
    /// Something leads here, and there is no such state.
    Missing,
}

/// A way from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Index of the state it leaves.
    pub from: usize,
    /// Index of the state it reaches.
    pub to: usize,
    /// What takes it.
    pub kind: EdgeKind,
    /// The rule or the errors, in a few words; may be empty.
    pub label: String,
}

/// What takes a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// The state ended well.
    Next,
    /// A rule of a choice holds.
    Rule,
    /// No rule of a choice holds.
    Default,
    /// The state failed with an error that is caught.
    Catch,
}

impl Flow {
    /// The graph of a machine. Where a transition leads to a state that does not exist, a vertex stands for that.
    pub fn of<'a>(machine: &Machine<'a>) -> Self {
        // Of states of one name the first counts, as for whoever reads from the top.
        let numbered = machine.states.iter().enumerate().rev();
        let mut by_name: HashMap<&str, usize> = numbered.map(|(index, state)| (state.name, index)).collect();
        let mut vertices: Vec<Vertex> = machine.states.iter().map(vertex).collect();
        let mut index = |target: Option<Node<'a>>| {
            let name = target?.as_str()?;
            let found = by_name.get(name).copied();
            found.or_else(|| {
                vertices.push(missing(name));
                by_name.insert(name, vertices.len() - 1);
                by_name.get(name).copied()
            })
        };
        let start = index(machine.start_at);
        let mut edges = Vec::new();
        for (from, state) in machine.states.iter().enumerate() {
            let mut add = |to: Option<usize>, kind, label: String| {
                edges.extend(to.map(|to| Edge { from, to, kind, label }));
            };
            add(index(state.next), EdgeKind::Next, String::new());
            if let Kind::Choice(Choice { choices, default }) = &state.kind {
                for rule in choices {
                    add(index(rule.next), EdgeKind::Rule, rule_label(rule));
                }
                add(index(*default), EdgeKind::Default, "otherwise".into());
            }
            for catcher in state.error_handling().1 {
                add(index(catcher.next), EdgeKind::Catch, short(&listed(catcher.error_equals), 28));
            }
        }
        Self { vertices, edges, start }
    }

    /// All vertices, those inside others too.
    pub fn all(&self) -> Vec<&Vertex> {
        let own = self.vertices.iter();
        own.flat_map(|vertex| std::iter::once(vertex).chain(vertex.inner.iter().flat_map(Self::all))).collect()
    }
}

fn vertex(state: &State<'_>) -> Vertex {
    let (shape, detail) = match &state.kind {
        Kind::Task(task) => (Shape::Task, task.resource.map(|resource| called(resource.target)).unwrap_or_default()),
        Kind::Choice(_) => (Shape::Choice, String::new()),
        Kind::Wait(wait) => {
            let fixed = wait.seconds.value.or(wait.timestamp.value).map(|node| plain(node.value()));
            let path = wait.seconds.path.or(wait.timestamp.path).and_then(Node::as_str);
            let unit = if wait.seconds.value.is_some_and(|node| node.value().is_number()) { " s" } else { "" };
            (Shape::Wait, fixed.map(|text| text + unit).or(path.map(str::to_owned)).unwrap_or_default())
        }
        Kind::Succeed => (Shape::Succeed, String::new()),
        Kind::Fail(fail) => {
            let error = fail.error.value.or(fail.error.path);
            (Shape::Fail, error.map(|node| plain(node.value())).unwrap_or_default())
        }
        Kind::Parallel(_) => (Shape::Parallel, "all of".into()),
        Kind::Map(map) => {
            let distributed = map.mode() == Mode::Distributed;
            (Shape::Map, if distributed { "each item, distributed".into() } else { "each item".into() })
        }
        Kind::Pass(_) | Kind::Unknown => (Shape::Pass, String::new()),
    };
    let follows = state.next.is_some() || shape == Shape::Choice;
    Vertex {
        name: state.name.to_owned(),
        shape,
        detail: short(&detail, 36),
        retry: state.error_handling().0.iter().map(retried).collect(),
        ends: !follows,
        inner: state.machines().iter().map(Flow::of).collect(),
    }
}

/// A state that there is not.
fn missing(name: &str) -> Vertex {
    let (shape, detail) = (Shape::Missing, "no such state".to_owned());
    Vertex { name: name.to_owned(), shape, detail, retry: Vec::new(), ends: false, inner: Vec::new() }
}

fn called(target: Target<'_>) -> String {
    match target {
        Target::Optimised { service, action } => format!("{service}:{action}"),
        Target::Sdk { service, action } => format!("sdk {service}:{action}"),
        Target::Lambda(arn) => format!("lambda {}", arn.resource.split(':').nth(1).unwrap_or_default()),
        Target::Activity(arn) => arn.resource.replacen(':', " ", 1),
        Target::OtherArn(_) | Target::Unknown => String::new(),
    }
}

fn retried(retrier: &Retrier<'_>) -> String {
    // Three attempts are the default (Amazon States Language, "Retrying after error").
    let attempts = retrier.max_attempts.and_then(|node| node.value().as_u64()).unwrap_or(3);
    format!("{} ×{attempts}", listed(retrier.error_equals))
}

/// `States.ALL` is what everybody means by "any error".
fn listed(equals: Option<Node<'_>>) -> String {
    let names = equals.into_iter().flat_map(Node::items).filter_map(Node::as_str);
    let names: Vec<&str> = names.map(|name| if name == "States.ALL" { "any error" } else { name }).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, rest @ ..] => format!("{one} +{}", rest.len()),
    }
}

/// The rule as people read it: `$.amount > 1000`.
fn rule_label(rule: &ChoiceRule<'_>) -> String {
    short(&rule_text(rule.node.value()), 28)
}

fn rule_text(rule: &Value) -> String {
    let Some(fields) = rule.as_object() else { return String::new() };
    if let Some(condition) = fields.get("Condition").and_then(Value::as_str) {
        return condition.trim_start_matches("{%").trim_end_matches("%}").trim().to_owned();
    }
    let joined = |name: &str, word: &str| {
        let rules = fields.get(name)?.as_array()?;
        let first = rule_text(rules.first()?);
        Some(if rules.len() == 1 { first } else { format!("{first} {word} …") })
    };
    if let Some(text) = joined("And", "and").or_else(|| joined("Or", "or")) {
        return text;
    }
    if let Some(inner) = fields.get("Not") {
        return format!("not {}", rule_text(inner));
    }
    let variable = fields.get("Variable").and_then(Value::as_str).unwrap_or_default();
    let operators =
        fields.iter().find(|(name, _)| !matches!(name.as_str(), "Variable" | "Next" | "Comment" | "Output" | "Assign"));
    let Some((operator, value)) = operators else { return variable.to_owned() };
    let value = plain(value);
    match sign(operator) {
        Some(sign) => format!("{variable} {sign} {value}"),
        None => match operator.strip_prefix("Is") {
            Some(what) if value == "false" => format!("{variable} is not {}", what.to_lowercase()),
            Some(what) => format!("{variable} is {}", what.to_lowercase()),
            None => format!("{variable} {operator} {value}"),
        },
    }
}

fn sign(operator: &str) -> Option<&'static str> {
    let operator = operator.trim_end_matches("Path");
    let ends = [
        ("LessThanEquals", "≤"),
        ("GreaterThanEquals", "≥"),
        ("LessThan", "<"),
        ("GreaterThan", ">"),
        ("Equals", "="),
        ("Matches", "~"),
    ];
    ends.into_iter().find_map(|(end, sign)| operator.ends_with(end).then_some(sign))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// At most so many characters on one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}
