//! Tags that a call gives to what it makes: services ask for their tagging action on that too (IAM user guide, "Controlling access
//! during AWS requests"; the table of integrations has which action it is).

use serde_json::Value;

use super::payload::Field;
use super::resources;
use super::task::Task;
use crate::integrations::sdk::{On, Operation};

pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    let Some(tagging) = operation.tagging() else { return };
    let action = tagging.permission.action.as_str();
    // Some calls have a rule of their own.
    let is_needed = task.needs.iter().any(|need| need.actions.iter().any(|needed| needed == action));
    if is_needed || task.payload.whole_from_input().is_some() || !gives_tags(task, tagging.field) {
        return;
    }
    match &tagging.permission.on {
        On::Formats(formats) if formats.is_empty() => elsewhere(task, action),
        On::Formats(formats) => resources::of_made(task, &tagging.permission, formats),
        On::Everything | On::AnyResource => task.need(&[action], ["*"]),
    }
}

fn gives_tags(task: &Task<'_>, field: &str) -> bool {
    let is_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    task.payload.values(field).iter().any(|field| !matches!(field, Field::Known(value) if is_nothing(value)))
}

fn elsewhere(task: &mut Task<'_>, action: &str) {
    let prefix = action.split(':').next().unwrap_or_default();
    let given = task.given(prefix, "");
    if given.is_empty() {
        task.missing(format!(
            "gives tags to what it makes and needs {action} on that too, whose ARN is not known here; give it with {}",
            task.flag("ARN")
        ));
    }
    task.need(&[action], given);
}
