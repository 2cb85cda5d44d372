//! Maps in both modes.

use serde_json::Value;

use super::super::model::{Kind, MapState, Mode, State};
use super::super::position::Node;
use super::Lint;

/// Longest label, which becomes part of an ARN.
const MAX_LABEL: usize = 40;

/// A Map's mode, and what it may have in it.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let Kind::Map(map) = &state.kind else { return };
    label(lint, map);
    match map.mode() {
        Mode::Distributed => distributed(lint, state, map),
        Mode::Inline => inline(lint, map),
    }
    if let Some(config) = map.item_reader.and_then(|reader| reader.config) {
        csv(lint, config);
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
    if let Some(config) = config.filter(|config| config.node.get("ExecutionType").is_none()) {
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

fn csv<'a>(lint: &mut Lint<'a>, config: Node<'a>) {
    let given = config.get("CSVHeaderLocation").and_then(Node::as_str) == Some("GIVEN");
    match config.get("CSVHeaders") {
        None if given => lint.report("SB021", config, "CSVHeaderLocation GIVEN needs the field CSVHeaders"),
        Some(headers) if !headers.value().as_array().is_some_and(|list| list.iter().all(Value::is_string)) => {
            lint.report("SB019", headers, "CSVHeaders must be an array of text");
        }
        _ => {}
    }
}
