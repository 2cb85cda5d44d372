//! What a text holds in which there is nothing to check, for whoever gave it.

use serde_json::Value;

use crate::asl::{Node, Parsed};

const WANTED: &str =
    "wanted is a definition, an object with StartAt and States, or a manifest of apiVersion stepbound.dev/v1alpha1";
/// So many of its objects or fields are named.
const NAMED: usize = 4;

pub(super) fn in_folder(files: usize) -> String {
    let files = if files == 1 { "its one file holds".to_owned() } else { format!("none of its {files} files holds") };
    let of_ours = if files.starts_with("its") { "nothing of ours" } else { "anything of ours" };
    format!("nothing in this folder was checked: {files} {of_ours}; {WANTED}")
}

pub(super) fn in_text(text: &str, documents: &[Parsed]) -> String {
    let (what, hint) = held(text, documents);
    format!("nothing here was checked: it {what}; {WANTED}{hint}")
}

/// What a text holds, as in "holds a list", and what to do to have it used.
pub(in crate::cli) fn held(text: &str, documents: &[Parsed]) -> (String, &'static str) {
    let roots = documents.iter().map(Parsed::root).filter(|root| !root.value().is_null());
    let held: Vec<Held> = roots.map(of_root).collect();
    let what = match held.first() {
        None if text.trim().is_empty() => "is empty".to_owned(),
        None => "holds no value".to_owned(),
        Some(_) => {
            let more = if held.len() > NAMED { ", …" } else { "" };
            let names: Vec<&str> = held.iter().take(NAMED).map(|one| one.what.as_str()).collect();
            format!("holds {}{more}", names.join(", "))
        }
    };
    (what, held.iter().find_map(|one| one.hint).unwrap_or_default())
}

/// A value, and what to do to have what is in it checked.
struct Held {
    what: String,
    hint: Option<&'static str>,
}

fn of_root(root: Node<'_>) -> Held {
    let text = |name: &str| root.get(name).and_then(Node::as_str);
    let plain = |what: &str| Held { what: what.to_owned(), hint: None };
    if let Some(kind) = text("kind") {
        let version =
            text("apiVersion").map_or(" without an apiVersion".to_owned(), |version| format!(" of {version}"));
        let hint = (kind == "ConfigMap")
            .then_some(". A ConfigMap is looked at where a Workflow that is given too names it: give its file as well");
        return Held { what: format!("{kind}{version}"), hint };
    }
    match root.value() {
        Value::Array(_) => plain("a list"),
        Value::Object(fields) if fields.is_empty() => plain("an empty object"),
        Value::Object(_) => of_fields(root),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain("a single value"),
    }
}

fn of_fields(root: Node<'_>) -> Held {
    let is_resource =
        |node: Node<'_>| node.get("Type").and_then(Node::as_str).is_some_and(|name| name.starts_with("AWS::"));
    let is_template = root.get("Resources").is_some_and(|all| all.fields().any(|(_, one)| is_resource(one)));
    if is_template {
        let hint = ". Of a CloudFormation template lint the file that DefinitionUri or DefinitionS3Location names, or the Definition in a file of its own";
        return Held { what: "a CloudFormation template".into(), hint: Some(hint) };
    }
    let names: Vec<&str> = root.fields().map(|(name, _)| name).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    let what = format!("an object with {}{more}", names[..names.len().min(NAMED)].join(", "));
    let hint = (root.get("stateMachineArn").is_some() && root.get("definition").is_some())
        .then_some(". Of what `aws stepfunctions describe-state-machine` prints lint the definition alone: add --query definition --output text");
    Held { what, hint }
}
