//! A machine, its states of eight types, and the machines inside of those.

use super::super::position::Node;
use super::choice::ChoiceRule;
use super::fields::{Catcher, Data, Retrier, Setting, catchers, data, listed, retriers, setting};
use super::language::QueryLanguage;
use super::map::{ItemBatcher, ItemReader, Mode, ProcessorConfig, ResultWriter};
use super::resource::Resource;

/// Deeper nesting than any real definition has; it bounds the recursion.
pub const MAX_DEPTH: usize = 64;

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

/// A state that runs one machine for each item.
#[derive(Clone, Debug)]
pub struct MapState<'a> {
    /// `ItemProcessor`, or `Iterator` as it was called before.
    pub processor: Option<Machine<'a>>,
    /// `ItemReader`: where the items of a distributed Map come from.
    pub item_reader: Option<ItemReader<'a>>,
    /// `ItemBatcher`: how many items go into a child execution.
    pub item_batcher: Option<ItemBatcher<'a>>,
    /// `ResultWriter`: where the results of a distributed Map go.
    pub result_writer: Option<ResultWriter<'a>>,
    /// `ItemSelector`: what each run gets; in older definitions `Parameters`.
    pub item_selector: Option<Node<'a>>,
    /// `Items`, JSONata.
    pub items: Option<Node<'a>>,
    /// `ItemsPath`, JSONPath.
    pub items_path: Option<Node<'a>>,
    /// `MaxConcurrency`, `MaxConcurrencyPath`.
    pub max_concurrency: Setting<'a>,
    /// `ToleratedFailureCount`, `ToleratedFailureCountPath`.
    pub tolerated_failure_count: Setting<'a>,
    /// `ToleratedFailurePercentage`, `ToleratedFailurePercentagePath`.
    pub tolerated_failure_percentage: Setting<'a>,
    /// `Label`: part of the ARN of its map runs.
    pub label: Option<Node<'a>>,
    /// `Retry`.
    pub retry: Vec<Retrier<'a>>,
    /// `Catch`.
    pub catch: Vec<Catcher<'a>>,
}

impl<'a> State<'a> {
    fn of(name: &'a str, node: Node<'a>, outer: QueryLanguage, depth: usize) -> Self {
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

impl<'a> MapState<'a> {
    fn of(node: Node<'a>, language: QueryLanguage, depth: usize) -> Self {
        let processor = node.get("ItemProcessor").or_else(|| node.get("Iterator"));
        Self {
            processor: processor.map(|inner| Machine::within(inner, language, depth + 1)),
            item_reader: node.get("ItemReader").map(ItemReader::of),
            item_batcher: node.get("ItemBatcher").map(ItemBatcher::of),
            result_writer: node.get("ResultWriter").map(ResultWriter::of),
            item_selector: node.get("ItemSelector").or_else(|| node.get("Parameters")),
            items: node.get("Items"),
            items_path: node.get("ItemsPath"),
            max_concurrency: setting(node, "MaxConcurrency", "MaxConcurrencyPath"),
            tolerated_failure_count: setting(node, "ToleratedFailureCount", "ToleratedFailureCountPath"),
            tolerated_failure_percentage: setting(node, "ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
            label: node.get("Label"),
            retry: retriers(node),
            catch: catchers(node),
        }
    }

    /// Where its runs take place.
    pub fn mode(&self) -> Mode {
        let config = self.processor.as_ref().and_then(|processor| processor.config);
        config.map(|config| config.mode).unwrap_or_default()
    }
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
