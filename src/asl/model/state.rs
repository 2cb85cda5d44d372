//! The eight types of state.

use super::super::position::Node;
use super::choice::ChoiceRule;
use super::map::MapState;
use super::resource::Resource;
use super::{Machine, QueryLanguage};

/// A state.
#[derive(Clone, Debug)]
pub struct State<'a> {
    /// Its name.
    pub name: &'a str,
    /// All of it.
    pub node: Node<'a>,
    /// The language that it is written in: its own, else its machine's.
    pub query_language: QueryLanguage,
    /// `Comment`.
    pub comment: Option<&'a str>,
    /// `Next`.
    pub next: Option<Node<'a>>,
    /// True for `"End": true`.
    pub end: bool,
    /// What goes in and what comes out.
    pub data: Data<'a>,
    /// What is of its type alone.
    pub kind: Kind<'a>,
}

/// The fields that shape what goes into a state and what comes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Data<'a> {
    /// `InputPath`, JSONPath.
    pub input_path: Option<Node<'a>>,
    /// `Parameters`, JSONPath: a payload template.
    pub parameters: Option<Node<'a>>,
    /// `Arguments`, JSONata.
    pub arguments: Option<Node<'a>>,
    /// `ResultSelector`, JSONPath: a payload template.
    pub result_selector: Option<Node<'a>>,
    /// `ResultPath`, JSONPath.
    pub result_path: Option<Node<'a>>,
    /// `OutputPath`, JSONPath.
    pub output_path: Option<Node<'a>>,
    /// `Output`, JSONata.
    pub output: Option<Node<'a>>,
    /// `Assign`: variables for the states that follow.
    pub assign: Option<Node<'a>>,
}

impl<'a> Data<'a> {
    /// What is handed to a task or branch: `Parameters` or `Arguments`, whichever the language has.
    pub fn payload(&self) -> Option<Node<'a>> {
        self.parameters.or(self.arguments)
    }
}

/// The types of state.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// Does work.
    Task(Box<Task<'a>>),
    /// Hands on.
    Pass(Pass<'a>),
    /// Decides.
    Choice(Choice<'a>),
    /// Waits.
    Wait(Wait<'a>),
    /// Ends well.
    Succeed,
    /// Ends in failure.
    Fail(Fail<'a>),
    /// Runs branches at the same time.
    Parallel(Parallel<'a>),
    /// Runs one machine for each item.
    Map(Box<MapState<'a>>),
    /// The `Type` is missing or not one of these.
    Unknown,
}

/// A number that is written as such, as a path, or as an expression.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// The field itself: a number, or JSONata that gives one.
    pub value: Option<Node<'a>>,
    /// The field with the suffix `Path`, JSONPath.
    pub path: Option<Node<'a>>,
}

impl Setting<'_> {
    /// True when it is given in one form or the other.
    pub fn is_set(&self) -> bool {
        self.value.is_some() || self.path.is_some()
    }
}

/// A state that does work.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// `Resource` as it stands.
    pub resource_node: Option<Node<'a>>,
    /// `Resource` in its parts, where it is a text.
    pub resource: Option<Resource<'a>>,
    /// `Credentials`: the role that the task acts as, in this or another account.
    pub credentials: Option<Node<'a>>,
    /// `TimeoutSeconds`, `TimeoutSecondsPath`.
    pub timeout: Setting<'a>,
    /// `HeartbeatSeconds`, `HeartbeatSecondsPath`.
    pub heartbeat: Setting<'a>,
    /// `Retry`.
    pub retry: Vec<Retrier<'a>>,
    /// `Catch`.
    pub catch: Vec<Catcher<'a>>,
}

/// A state that hands on.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// `Result`, JSONPath.
    pub result: Option<Node<'a>>,
}

/// A state that decides.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// `Choices`, the first that holds is taken.
    pub choices: Vec<ChoiceRule<'a>>,
    /// `Default`.
    pub default: Option<Node<'a>>,
}

/// A state that waits.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// `Seconds`, `SecondsPath`.
    pub seconds: Setting<'a>,
    /// `Timestamp`, `TimestampPath`.
    pub timestamp: Setting<'a>,
}

/// A state that ends in failure.
#[derive(Clone, Copy, Debug)]
pub struct Fail<'a> {
    /// `Error`, `ErrorPath`.
    pub error: Setting<'a>,
    /// `Cause`, `CausePath`.
    pub cause: Setting<'a>,
}

/// A state that runs branches at the same time.
#[derive(Clone, Debug)]
pub struct Parallel<'a> {
    /// `Branches`.
    pub branches: Vec<Machine<'a>>,
    /// `Retry`.
    pub retry: Vec<Retrier<'a>>,
    /// `Catch`.
    pub catch: Vec<Catcher<'a>>,
}

/// What to try again, and when.
#[derive(Clone, Copy, Debug)]
pub struct Retrier<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `ErrorEquals`.
    pub error_equals: Option<Node<'a>>,
    /// `IntervalSeconds`, 1 by default.
    pub interval_seconds: Option<Node<'a>>,
    /// `MaxAttempts`, 3 by default.
    pub max_attempts: Option<Node<'a>>,
    /// `BackoffRate`, 2.0 by default.
    pub backoff_rate: Option<Node<'a>>,
    /// `MaxDelaySeconds`.
    pub max_delay_seconds: Option<Node<'a>>,
    /// `JitterStrategy`: `FULL` or `NONE`.
    pub jitter_strategy: Option<Node<'a>>,
}

/// Where to go on after an error.
#[derive(Clone, Copy, Debug)]
pub struct Catcher<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `ErrorEquals`.
    pub error_equals: Option<Node<'a>>,
    /// `Next`.
    pub next: Option<Node<'a>>,
    /// `ResultPath`, `Output` and `Assign` of the catcher.
    pub data: Data<'a>,
}

impl<'a> State<'a> {
    pub(super) fn of(name: &'a str, node: Node<'a>, outer: QueryLanguage, depth: usize) -> Self {
        let query_language = QueryLanguage::of(node).unwrap_or(outer);
        Self {
            name,
            node,
            query_language,
            comment: node.get("Comment").and_then(Node::as_str),
            next: node.get("Next"),
            end: node.get("End").is_some_and(|end| end.value() == true),
            data: data(node),
            // States inside take the language of the definition, not of the state that holds them.
            kind: kind(node, outer, depth),
        }
    }

    /// `Type` as it is written.
    pub fn type_name(&self) -> &'a str {
        self.node.get("Type").and_then(Node::as_str).unwrap_or_default()
    }

    /// `Retry` and `Catch` of the types that have them.
    pub fn error_handling(&self) -> (&[Retrier<'a>], &[Catcher<'a>]) {
        match &self.kind {
            Kind::Task(task) => (&task.retry, &task.catch),
            Kind::Parallel(parallel) => (&parallel.retry, &parallel.catch),
            Kind::Map(map) => (&map.retry, &map.catch),
            _ => (&[], &[]),
        }
    }

    /// The machines inside this state.
    pub fn machines(&self) -> &[Machine<'a>] {
        match &self.kind {
            Kind::Parallel(parallel) => &parallel.branches,
            Kind::Map(map) => map.processor.as_slice(),
            _ => &[],
        }
    }

    /// Every place of this state that names a state to go on with: `Next`, `Default`, choices, catchers.
    pub fn transitions(&self) -> Vec<Node<'a>> {
        let mut targets: Vec<Node<'a>> = self.next.into_iter().collect();
        if let Kind::Choice(choice) = &self.kind {
            targets.extend(choice.choices.iter().filter_map(|rule| rule.next));
            targets.extend(choice.default);
        }
        targets.extend(self.error_handling().1.iter().filter_map(|catcher| catcher.next));
        targets
    }
}

pub(super) fn data(node: Node<'_>) -> Data<'_> {
    let mut data = Data::default();
    for (key, field) in node.fields() {
        let place = match key {
            "InputPath" => &mut data.input_path,
            "Parameters" => &mut data.parameters,
            "Arguments" => &mut data.arguments,
            "ResultSelector" => &mut data.result_selector,
            "ResultPath" => &mut data.result_path,
            "OutputPath" => &mut data.output_path,
            "Output" => &mut data.output,
            "Assign" => &mut data.assign,
            _ => continue,
        };
        *place = Some(field);
    }
    data
}

pub(super) fn setting<'a>(node: Node<'a>, value: &str, path: &str) -> Setting<'a> {
    Setting { value: node.get(value), path: node.get(path) }
}

fn kind(node: Node<'_>, language: QueryLanguage, depth: usize) -> Kind<'_> {
    match node.get("Type").and_then(Node::as_str) {
        Some("Task") => {
            let resource_node = node.get("Resource");
            Kind::Task(Box::new(Task {
                resource_node,
                resource: resource_node.and_then(Node::as_str).map(Resource::parse),
                credentials: node.get("Credentials"),
                timeout: setting(node, "TimeoutSeconds", "TimeoutSecondsPath"),
                heartbeat: setting(node, "HeartbeatSeconds", "HeartbeatSecondsPath"),
                retry: retriers(node),
                catch: catchers(node),
            }))
        }
        Some("Pass") => Kind::Pass(Pass { result: node.get("Result") }),
        Some("Choice") => Kind::Choice(Choice {
            choices: listed(node, "Choices").map(ChoiceRule::of).collect(),
            default: node.get("Default"),
        }),
        Some("Wait") => Kind::Wait(Wait {
            seconds: setting(node, "Seconds", "SecondsPath"),
            timestamp: setting(node, "Timestamp", "TimestampPath"),
        }),
        Some("Succeed") => Kind::Succeed,
        Some("Fail") => {
            Kind::Fail(Fail { error: setting(node, "Error", "ErrorPath"), cause: setting(node, "Cause", "CausePath") })
        }
        Some("Parallel") => Kind::Parallel(Parallel {
            branches: listed(node, "Branches").map(|branch| Machine::within(branch, language, depth + 1)).collect(),
            retry: retriers(node),
            catch: catchers(node),
        }),
        Some("Map") => Kind::Map(Box::new(MapState::of(node, language, depth))),
        _ => Kind::Unknown,
    }
}

pub(super) fn listed<'a>(node: Node<'a>, field: &str) -> impl Iterator<Item = Node<'a>> {
    node.get(field).into_iter().flat_map(Node::items)
}

pub(super) fn retriers(node: Node<'_>) -> Vec<Retrier<'_>> {
    listed(node, "Retry").map(retrier).collect()
}

fn retrier(node: Node<'_>) -> Retrier<'_> {
    let mut retrier = Retrier {
        node,
        error_equals: None,
        interval_seconds: None,
        max_attempts: None,
        backoff_rate: None,
        max_delay_seconds: None,
        jitter_strategy: None,
    };
    for (key, field) in node.fields() {
        let place = match key {
            "ErrorEquals" => &mut retrier.error_equals,
            "IntervalSeconds" => &mut retrier.interval_seconds,
            "MaxAttempts" => &mut retrier.max_attempts,
            "BackoffRate" => &mut retrier.backoff_rate,
            "MaxDelaySeconds" => &mut retrier.max_delay_seconds,
            "JitterStrategy" => &mut retrier.jitter_strategy,
            _ => continue,
        };
        *place = Some(field);
    }
    retrier
}

pub(super) fn catchers(node: Node<'_>) -> Vec<Catcher<'_>> {
    listed(node, "Catch").map(catcher).collect()
}

fn catcher(node: Node<'_>) -> Catcher<'_> {
    Catcher { node, error_equals: node.get("ErrorEquals"), next: node.get("Next"), data: data(node) }
}
