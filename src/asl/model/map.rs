//! The parts of a state that runs one machine for each item, within its own execution or in child executions of their own.

use super::super::position::Node;
use super::fields::{Setting, setting};
use super::resource::Resource;

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
    pub(super) fn of(node: Node<'a>) -> Self {
        Self { node, resource: resource(node), config: node.get("ReaderConfig"), payload: payload(node) }
    }
}

impl<'a> ItemBatcher<'a> {
    pub(super) fn of(node: Node<'a>) -> Self {
        Self {
            node,
            max_items: setting(node, "MaxItemsPerBatch", "MaxItemsPerBatchPath"),
            max_input_bytes: setting(node, "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"),
            batch_input: node.get("BatchInput"),
        }
    }
}

impl<'a> ResultWriter<'a> {
    pub(super) fn of(node: Node<'a>) -> Self {
        Self { node, resource: resource(node), config: node.get("WriterConfig"), payload: payload(node) }
    }
}

fn resource(node: Node<'_>) -> Option<Resource<'_>> {
    node.get("Resource").and_then(Node::as_str).map(Resource::parse)
}

fn payload(node: Node<'_>) -> Option<Node<'_>> {
    node.get("Parameters").or_else(|| node.get("Arguments"))
}
