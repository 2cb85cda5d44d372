//! Fields that several types of state have.

use crate::asl::position::Node;

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
