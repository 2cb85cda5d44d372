//! Objects as they are printed: JSON, YAML, names; and where the plugin may write colours.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::KubectlError;
use crate::api::v1alpha1::GROUP;
use crate::asl::to_yaml;
use crate::cli::out;
use crate::printable;

/// Writes to standard output.
pub(super) fn print(text: &str) -> Result<(), KubectlError> {
    out::print(text).map_err(KubectlError::Write)
}

/// Writes what goes on to be told. Where nobody reads any more, as behind `head`, there is nothing to go on for.
pub(super) fn tell(text: &str) -> Result<(), KubectlError> {
    let is_read = out::is_read(text).map_err(KubectlError::Write)?;
    if is_read { Ok(()) } else { Err(KubectlError::Unread) }
}

/// Writes what moves about on a terminal: see [`out::draw`].
pub(super) fn draw(text: &str) -> Result<(), KubectlError> {
    let is_read = out::draw(text).map_err(KubectlError::Write)?;
    if is_read { Ok(()) } else { Err(KubectlError::Unread) }
}

/// An object as the API has it, without the book-keeping of its fields, as kubectl shows it.
pub(super) fn value(object: &DynamicObject) -> Result<Value, KubectlError> {
    let mut value = serde_json::to_value(object).map_err(|error| KubectlError::Print(error.to_string()))?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    Ok(value)
}

/// Objects as one list of the kind that `kubectl get -o json` prints.
pub(super) fn list(objects: &[DynamicObject]) -> Result<Value, KubectlError> {
    let items = objects.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}))
}

pub(super) fn json(value: &Value) -> String {
    printable::json(&format!("{value:#}\n"))
}

pub(super) fn yaml(value: &Value) -> Result<String, KubectlError> {
    to_yaml(value).map_err(|error| KubectlError::Print(error.to_string()))
}

/// `workflowrun.stepbound.dev/order`
pub(super) fn name(kind: &str, object: &DynamicObject) -> String {
    format!("{}.{GROUP}/{}", kind.to_lowercase(), object.name_any())
}
