//! Values that a call is certain to fail with: those whose form the service documents and looks at. What is not written out is not
//! looked at.
//!
//! Sources, all in the API references: SQS `SendMessage`, parameter `QueueUrl`; SNS `Publish`, `TopicArn`; Step Functions
//! `StartExecution`, `stateMachineArn`; `DynamoDB`, data type `AttributeValue`; developer guide, "Call HTTPS APIs in Step Functions
//! workflows", field `Method`.

use serde_json::Value;

use super::super::model::{QueryLanguage, State};
use super::super::position::Node;
use super::report::Lint;

/// Fields of `DynamoDB`'s calls that hold attribute values by name.
const ATTRIBUTES: [&str; 4] = ["Key", "Item", "ExpressionAttributeValues", "ExclusiveStartKey"];
/// Types of an attribute value. Calls of the SDK write `Bool`, `Nul` and `Ss` where `DynamoDB` has `BOOL`, `NULL` and `SS`.
const TYPES: [&str; 11] = ["s", "n", "b", "ss", "ns", "bs", "m", "l", "null", "nul", "bool"];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];

/// Looks at what is written out in the payload of a call.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>, service: &str, action: &str) {
    let Some(payload) = state.data.payload() else { return };
    match service {
        "sqs" => queue(lint, state, payload),
        "sns" => arn(lint, state, payload, "TopicArn"),
        "states" | "sfn" => arn(lint, state, payload, "StateMachineArn"),
        "http" if action == "invoke" => method(lint, state, payload),
        "dynamodb" => {
            for name in ATTRIBUTES {
                let values = payload.get(name).into_iter().flat_map(Node::fields);
                values.for_each(|(key, value)| attribute(lint, state, name, key, value));
            }
        }
        _ => {}
    }
}

/// A text that stands for itself.
fn literal<'a>(lint: &Lint<'a>, state: &State<'a>, node: Node<'a>) -> Option<&'a str> {
    let is_expression = |text: &&str| state.query_language == QueryLanguage::Jsonata && text.starts_with("{%");
    node.as_str().filter(|text| !is_expression(text) && !lint.is_placeholder(text))
}

fn queue<'a>(lint: &mut Lint<'a>, state: &State<'a>, payload: Node<'a>) {
    let Some(node) = payload.get("QueueUrl") else { return };
    if let Some(text) = literal(lint, state, node).filter(|text| text.starts_with("arn:")) {
        let message = format!(
            "QueueUrl \"{text}\" is the ARN of the queue, and SQS takes its URL: https://sqs.<region>.amazonaws.com/<account>/<name>; each execution fails here"
        );
        lint.report("SB084", node, message);
    }
}

fn arn<'a>(lint: &mut Lint<'a>, state: &State<'a>, payload: Node<'a>, name: &str) {
    let Some(node) = payload.get(name) else { return };
    if let Some(text) = literal(lint, state, node).filter(|text| !text.starts_with("arn:")) {
        lint.report("SB084", node, format!("{name} \"{text}\" is no ARN; each execution fails here"));
    }
}

fn method<'a>(lint: &mut Lint<'a>, state: &State<'a>, payload: Node<'a>) {
    let Some(node) = payload.get("Method") else { return };
    let Some(text) = literal(lint, state, node) else { return };
    let capitals = text.to_ascii_uppercase();
    if text != capitals && METHODS.contains(&capitals.as_str()) {
        let message = format!("Method is one of {}, in capitals; write \"{capitals}\"", METHODS.join(", "));
        lint.report("SB084", node, message);
    }
}

fn attribute<'a>(lint: &mut Lint<'a>, state: &State<'a>, field: &str, key: &str, node: Node<'a>) {
    let in_paths = state.query_language == QueryLanguage::JsonPath;
    if in_paths && key.ends_with(".$") || lint.is_placeholder(key) {
        return;
    }
    let is_type = |key: &str| {
        let name = if in_paths { key.strip_suffix(".$").unwrap_or(key) } else { key };
        TYPES.contains(&name.to_ascii_lowercase().as_str()) || lint.is_placeholder(name)
    };
    let instead = match node.value() {
        Value::String(_) if literal(lint, state, node).is_none() => return,
        Value::Object(fields) if fields.is_empty() || fields.keys().any(|key| is_type(key)) => return,
        Value::String(text) => format!("{{\"S\": \"{text}\"}}"),
        Value::Number(number) => format!("{{\"N\": \"{number}\"}}"),
        Value::Bool(value) => format!("{{\"BOOL\": {value}}}"),
        Value::Null => "{\"NULL\": true}".to_owned(),
        Value::Array(_) => "{\"L\": […]}, with an attribute value for each item".to_owned(),
        Value::Object(_) => "{\"M\": {…}}, with an attribute value for each field".to_owned(),
    };
    let message = format!(
        "\"{key}\" of {field} is no attribute value of DynamoDB, which names its type; write {instead}; each execution fails here"
    );
    lint.report("SB084", node, message);
}
