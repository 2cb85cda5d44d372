//! Maps in both modes.

use serde_json::Value;

use super::super::model::{
    ItemBatcher, ItemReader, Kind, MapState, Mode, Pattern, QueryLanguage, Resource, ResultWriter, State, Target,
};
use super::super::position::Node;
use super::fields::is_misspelt;
use super::report::Lint;

/// Longest label, which becomes part of an ARN.
const MAX_LABEL: usize = 40;

/// A Map's mode, and what it may have in it.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let Kind::Map(map) = &state.kind else { return };
    label(lint, map);
    match map.mode() {
        Mode::Distributed => distributed(lint, state, map),
        Mode::Inline if is_inline(map) => inline(lint, map),
        Mode::Inline => {}
    }
    ignored(lint, state.node);
    if let Some(item_reader) = &map.item_reader {
        reader(lint, item_reader);
    }
    if let Some(item_batcher) = &map.item_batcher {
        batcher(lint, item_batcher);
    }
    if let Some(result_writer) = &map.result_writer {
        writer(lint, result_writer, state.query_language);
    }
}

/// Source: developer guide, "Using Map state in Distributed mode", field `Label`.
fn label<'a>(lint: &mut Lint<'a>, map: &MapState<'a>) {
    let Some((node, label)) = map.label.and_then(|node| Some((node, node.as_str()?))) else { return };
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !"?*<>{}[]:;,\\|^~$#%&`\"".contains(c);
    let length = label.chars().count();
    if length == 0 || length > MAX_LABEL || !label.chars().all(allowed) {
        let message = format!(
            "a Label has 1 to {MAX_LABEL} characters, without spaces and ? * < > {{ }} [ ] : ; , \\ | ^ ~ $ # % & ` \""
        );
        lint.report("SB060", node, message);
    }
}

fn distributed<'a>(lint: &mut Lint<'a>, state: &State<'a>, map: &MapState<'a>) {
    if lint.circumstances.express {
        let message = format!("state \"{}\" is a distributed Map, which an Express workflow cannot have", state.name);
        lint.report_key("SB044", state.node, message);
    }
    let config = map.processor.as_ref().and_then(|processor| processor.config);
    if let Some(config) =
        config.filter(|config| config.node.get("ExecutionType").is_none() && !is_misspelt(config.node, "ExecutionType"))
    {
        lint.report("SB021", config.node, "a distributed Map needs ProcessorConfig.ExecutionType: STANDARD or EXPRESS");
    }
}

fn inline<'a>(lint: &mut Lint<'a>, map: &MapState<'a>) {
    let only = [
        ("ItemReader", map.item_reader.map(|reader| reader.node)),
        ("ItemBatcher", map.item_batcher.map(|batcher| batcher.node)),
        ("ResultWriter", map.result_writer.map(|writer| writer.node)),
        ("Label", map.label),
    ];
    for (field, node) in only {
        if let Some(node) = node {
            let message =
                format!("{field} belongs to a distributed Map; set ProcessorConfig.Mode to DISTRIBUTED, or remove it");
            lint.report_key("SB062", node, message);
        }
    }
}

/// A mode that is no word of AWS's, and a machine that is missing, are told as such.
fn is_inline(map: &MapState<'_>) -> bool {
    let Some(processor) = &map.processor else { return false };
    let Some(config) = processor.config else { return !is_misspelt(processor.node, "ProcessorConfig") };
    let is_word = |mode: Node<'_>| mode.as_str() == Some("INLINE");
    config.node.value().is_object() && config.node.get("Mode").is_none_or(is_word) && !is_misspelt(config.node, "Mode")
}

/// Two fields of a Map that say the same: which one counts, and which is ignored.
const COUNTS_ALONE: [(&str, &str); 4] = [
    ("ItemReader", "ItemsPath"),
    ("ItemReader", "Items"),
    ("ItemSelector", "Parameters"),
    ("ItemProcessor", "Iterator"),
];

/// AWS takes both of such fields and uses one.
fn ignored<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    for (counts, ignored) in COUNTS_ALONE {
        if let (Some(_), Some(field)) = (node.get(counts), node.get(ignored)) {
            lint.report_key(
                "SB063",
                field,
                format!("{ignored} is ignored, because {counts} is there; remove one of them"),
            );
        }
    }
}

/// Source: developer guide, "`ItemReader` (Map)".
fn reader<'a>(lint: &mut Lint<'a>, reader: &ItemReader<'a>) {
    called(lint, reader.node, "ItemReader", &["getObject", "listObjectsV2"]);
    let Some(config) = reader.config else { return };
    word(lint, config, "Transformation", &["NONE", "LOAD_AND_FLATTEN"]);
    word(lint, config, "ManifestType", &["ATHENA_DATA", "S3_INVENTORY"]);
    word(lint, config, "CSVDelimiter", &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]);
    let given = config.get("CSVHeaderLocation").and_then(Node::as_str) == Some("GIVEN");
    match config.get("CSVHeaders") {
        None if given && is_misspelt(config, "CSVHeaders") => {}
        None if given => lint.report("SB021", config, "CSVHeaderLocation GIVEN needs the field CSVHeaders"),
        Some(headers) if !headers.value().as_array().is_some_and(|list| list.iter().all(Value::is_string)) => {
            lint.report("SB019", headers, "CSVHeaders must be an array of text");
        }
        _ => {}
    }
}

/// Source: states-language.net/spec.html, "Batching Items": at least one of the two limits.
fn batcher<'a>(lint: &mut Lint<'a>, batcher: &ItemBatcher<'a>) {
    let is_told = ["MaxItemsPerBatch", "MaxInputBytesPerBatch"].iter().any(|field| is_misspelt(batcher.node, field));
    let is_set = batcher.max_items.is_set() || batcher.max_input_bytes.is_set();
    if batcher.node.value().is_object() && !is_set && !is_told {
        let message = "ItemBatcher needs MaxItemsPerBatch or MaxInputBytesPerBatch, or both";
        lint.report("SB021", batcher.node, message);
    }
    for limit in [batcher.max_items.value, batcher.max_input_bytes.value].into_iter().flatten() {
        if limit.value().as_f64() == Some(0.0) {
            lint.report("SB064", limit, "a batch of nothing; write a limit of at least 1, or remove it");
        }
    }
}

/// Source: developer guide, "`ResultWriter` (Map)", "Required field combinations".
fn writer<'a>(lint: &mut Lint<'a>, writer: &ResultWriter<'a>, language: QueryLanguage) {
    called(lint, writer.node, "ResultWriter", &["putObject"]);
    let payload = match language {
        QueryLanguage::JsonPath => "Parameters",
        QueryLanguage::Jsonata => "Arguments",
    };
    let has_resource = writer.node.get("Resource").is_some();
    let missing = match (has_resource, writer.payload.is_some(), writer.config.is_some()) {
        (true, true, _) | (false, false, true) => None,
        (true, false, _) => Some(format!("ResultWriter with a Resource needs {payload}, which say the bucket")),
        (false, true, _) => {
            Some(format!("ResultWriter with {payload} needs a Resource: arn:aws:states:::s3:putObject"))
        }
        (false, false, false) => {
            Some(format!("ResultWriter needs WriterConfig, or Resource with {payload}, or all three"))
        }
    };
    if let Some(message) = missing.filter(|_| writer.node.value().is_object()) {
        lint.report("SB021", writer.node, message);
    }
    if let Some(config) = writer.config {
        word(lint, config, "Transformation", &["NONE", "COMPACT", "FLATTEN"]);
    }
}

/// Items are read and results are written with these actions of S3 alone.
fn called<'a>(lint: &mut Lint<'a>, node: Node<'a>, what: &str, actions: &[&str]) {
    let Some(field) = node.get("Resource") else { return };
    let text = field.as_str().unwrap_or_default();
    let target = Resource::parse(text);
    let is_known = target.pattern == Pattern::RequestResponse
        && matches!(target.target, Target::Optimised { service: "s3", action } if actions.contains(&action));
    if !is_known && !lint.is_placeholder(text) {
        let known: Vec<String> = actions.iter().map(|action| format!("arn:aws:states:::s3:{action}")).collect();
        lint.report("SB023", field, format!("the Resource of {what} is {}", known.join(" or ")));
    }
}

fn word<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: &str, words: &[&str]) {
    let Some(value) = node.get(field) else { return };
    let text = value.as_str().unwrap_or_default();
    if !words.contains(&text) && !lint.is_placeholder(text) {
        lint.report("SB019", value, format!("{field} must be one of {}", words.join(", ")));
    }
}
