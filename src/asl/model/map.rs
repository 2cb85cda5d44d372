//! A state that runs one machine for each item, within its own execution or in child executions of their own.

use super::super::position::Node;
use super::resource::Resource;
use super::state::{Catcher, Retrier, Setting, catchers, retriers, setting};
use super::{Machine, QueryLanguage};

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

/// `ProcessorConfig`.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorConfig<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `Mode`.
    pub mode: Mode,
    /// `ExecutionType` of child executions.
    pub execution_type: Option<ExecutionType>,
}

/// Where the runs of a Map take place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Within the execution.
    #[default]
    Inline,
    /// Each in a child execution.
    Distributed,
}

/// The type of child executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionType {
    /// `STANDARD`.
    Standard,
    /// `EXPRESS`.
    Express,
}

/// `ItemReader`.
#[derive(Clone, Copy, Debug)]
pub struct ItemReader<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `Resource`, for example `arn:aws:states:::s3:getObject`.
    pub resource: Option<Resource<'a>>,
    /// `ReaderConfig`.
    pub config: Option<Node<'a>>,
    /// `Parameters` or `Arguments`: bucket and key.
    pub payload: Option<Node<'a>>,
}

/// `ItemBatcher`.
#[derive(Clone, Copy, Debug)]
pub struct ItemBatcher<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `MaxItemsPerBatch`, `MaxItemsPerBatchPath`.
    pub max_items: Setting<'a>,
    /// `MaxInputBytesPerBatch`, `MaxInputBytesPerBatchPath`.
    pub max_input_bytes: Setting<'a>,
    /// `BatchInput`: what every batch gets beside its items.
    pub batch_input: Option<Node<'a>>,
}

/// `ResultWriter`.
#[derive(Clone, Copy, Debug)]
pub struct ResultWriter<'a> {
    /// All of it.
    pub node: Node<'a>,
    /// `Resource`, for example `arn:aws:states:::s3:putObject`; none where results are only transformed.
    pub resource: Option<Resource<'a>>,
    /// `WriterConfig`: transformation and format.
    pub config: Option<Node<'a>>,
    /// `Parameters` or `Arguments`: bucket and prefix.
    pub payload: Option<Node<'a>>,
}

impl<'a> MapState<'a> {
    pub(super) fn of(node: Node<'a>, language: QueryLanguage, depth: usize) -> Self {
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

impl<'a> ProcessorConfig<'a> {
    pub(super) fn of(node: Node<'a>) -> Self {
        let mode = match node.get("Mode").and_then(Node::as_str) {
            Some("DISTRIBUTED") => Mode::Distributed,
            _ => Mode::Inline,
        };
        let execution_type = match node.get("ExecutionType").and_then(Node::as_str) {
            Some("STANDARD") => Some(ExecutionType::Standard),
            Some("EXPRESS") => Some(ExecutionType::Express),
            _ => None,
        };
        Self { node, mode, execution_type }
    }
}

impl<'a> ItemReader<'a> {
    fn of(node: Node<'a>) -> Self {
        Self { node, resource: resource(node), config: node.get("ReaderConfig"), payload: payload(node) }
    }
}

impl<'a> ItemBatcher<'a> {
    fn of(node: Node<'a>) -> Self {
        Self {
            node,
            max_items: setting(node, "MaxItemsPerBatch", "MaxItemsPerBatchPath"),
            max_input_bytes: setting(node, "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"),
            batch_input: node.get("BatchInput"),
        }
    }
}

impl<'a> ResultWriter<'a> {
    fn of(node: Node<'a>) -> Self {
        Self { node, resource: resource(node), config: node.get("WriterConfig"), payload: payload(node) }
    }
}

fn resource(node: Node<'_>) -> Option<Resource<'_>> {
    node.get("Resource").and_then(Node::as_str).map(Resource::parse)
}

fn payload(node: Node<'_>) -> Option<Node<'_>> {
    node.get("Parameters").or_else(|| node.get("Arguments"))
}
