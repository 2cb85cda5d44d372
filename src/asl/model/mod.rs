//! The Amazon States Language as types: a view of a tree that borrows all it shows, so that nothing of the tree is lost
//! and each part knows its place.
//!
//! Reading never fails. What has the wrong form is absent from the view and stays reachable as [`Node`]; the linter tells.
//! Source: states-language.net/spec.html and the Step Functions developer guide.

mod choice;
mod map;
mod resource;
mod state;

use super::position::Node;

pub use choice::{ChoiceRule, Condition};
pub use map::{ExecutionType, ItemBatcher, ItemReader, MapState, Mode, ProcessorConfig, ResultWriter};
pub use resource::{Arn, Pattern, Resource, Target};
pub use state::{Catcher, Choice, Data, Fail, Kind, Parallel, Pass, Retrier, Setting, State, Task, Wait};

/// Deeper nesting than any real definition has; it bounds the recursion.
pub const MAX_DEPTH: usize = 64;

/// How paths and expressions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryLanguage {
    /// `$.order.id`, and keys that end in `.$`.
    #[default]
    JsonPath,
    /// `{% $states.input.order.id %}`.
    Jsonata,
}

impl QueryLanguage {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonPath => "JSONPath",
            Self::Jsonata => "JSONata",
        }
    }

    /// The language that a definition or state sets for itself. AWS takes for JSONata whatever is not exactly `JSONPath`,
    /// and refuses it as well.
    fn of(node: Node<'_>) -> Option<Self> {
        let is_json_path = node.get("QueryLanguage")?.value() == "JSONPath";
        Some(if is_json_path { Self::JsonPath } else { Self::Jsonata })
    }
}

/// A state machine, or one inside a state: a branch of a Parallel, the processor of a Map.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// The language of states that set none.
    pub query_language: QueryLanguage,
    /// `StartAt`.
    pub start_at: Option<Node<'a>>,
    /// `TimeoutSeconds` of a whole execution.
    pub timeout_seconds: Option<Node<'a>>,
    /// `Comment`.
    pub comment: Option<&'a str>,
    /// `ProcessorConfig` of a Map's processor.
    pub config: Option<ProcessorConfig<'a>>,
    /// The states in the author's order.
    pub states: Vec<State<'a>>,
    /// True where states are nested deeper than [`MAX_DEPTH`]; those are left out.
    pub too_deep: bool,
}

/// A state and where it belongs.
#[derive(Clone, Debug)]
pub struct Visit<'m, 'a> {
    /// Names of the states that it is inside of, outermost first.
    pub within: Vec<&'a str>,
    /// The machine that it is a state of.
    pub machine: &'m Machine<'a>,
    /// The state.
    pub state: &'m State<'a>,
}

impl<'a> Machine<'a> {
    /// Reads a definition.
    pub fn of(node: Node<'a>) -> Self {
        Self::within(node, QueryLanguage::of(node).unwrap_or_default(), 0)
    }

    /// A machine inside a state has no language of its own: its states have that of the definition.
    fn within(node: Node<'a>, query_language: QueryLanguage, depth: usize) -> Self {
        let mut machine = Self {
            node,
            query_language,
            start_at: None,
            timeout_seconds: None,
            comment: None,
            config: None,
            states: Vec::new(),
            too_deep: depth > MAX_DEPTH,
        };
        let mut states = None;
        for (key, field) in node.fields() {
            match key {
                "StartAt" => machine.start_at = Some(field),
                "TimeoutSeconds" => machine.timeout_seconds = Some(field),
                "Comment" => machine.comment = field.as_str(),
                "ProcessorConfig" => machine.config = Some(ProcessorConfig::of(field)),
                "States" => states = Some(field),
                _ => {}
            }
        }
        if let Some(states) = states.filter(|_| !machine.too_deep) {
            let language = machine.query_language;
            machine.states = states.fields().map(|(name, node)| State::of(name, node, language, depth)).collect();
        }
        machine
    }

    /// The state of this name, of this machine only: names of inner machines are apart.
    pub fn state(&self, name: &str) -> Option<&State<'a>> {
        self.states.iter().find(|state| state.name == name)
    }

    /// Every state, those of inner machines after the state that holds them.
    pub fn walk(&self) -> Vec<Visit<'_, 'a>> {
        let mut visits = Vec::new();
        self.collect(&mut Vec::new(), &mut visits);
        visits
    }

    fn collect<'m>(&'m self, within: &mut Vec<&'a str>, visits: &mut Vec<Visit<'m, 'a>>) {
        for state in &self.states {
            visits.push(Visit { within: within.clone(), machine: self, state });
            within.push(state.name);
            for inner in state.machines() {
                inner.collect(within, visits);
            }
            within.pop();
        }
    }
}

#[cfg(test)]
mod tests;
