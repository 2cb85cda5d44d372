//! What a run starts: an alias, a version, or the state machine itself.

use crate::api::v1alpha1::{Workflow, WorkflowRef, WorkflowStatus};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;
use crate::status::{READY, find, is_true};

/// The ARN to start. Only once the Workflow is as its spec says, so that nobody runs what they have just replaced.
///
/// # Errors
/// `WorkflowNotReady` and `AliasNotFound`, which pass by themselves.
pub fn target(workflow: &Workflow, wanted: &WorkflowRef) -> Result<String, Failure> {
    let none = WorkflowStatus::default();
    let status = workflow.status.as_ref().unwrap_or(&none);
    let in_sync = is_true(&status.conditions, "Synced") && workflow.metadata.deletion_timestamp.is_none();
    let Some(machine) = status.state_machine_arn.clone().filter(|_| in_sync) else {
        let (name, namespace) = (name(workflow), workflow.metadata.namespace.clone().unwrap_or_default());
        let ready = find(&status.conditions, READY).filter(|ready| ready.status == "False");
        let why = ready.map(|ready| format!(" ({})", ready.reason)).unwrap_or_default();
        let message = format!(
            "Workflow \"{name}\" is not ready{why}. The run starts by itself once it is: kubectl get sfn {name} -n {namespace}"
        );
        return Err(Failure::new(Class::Waiting, Reason::WorkflowNotReady, message));
    };
    if let Some(version) = wanted.version {
        return Ok(format!("{machine}:{version}"));
    }
    if let Some(alias) = wanted.alias.as_ref().or_else(|| default_alias(workflow)) {
        let known = status.aliases.iter().find(|known| known.name == *alias);
        return known.map(|known| known.arn.clone()).ok_or_else(|| {
            let message = format!(
                "Workflow \"{}\" has no alias \"{alias}\". Add it to spec.aliases; the run starts by itself then.",
                name(workflow)
            );
            Failure::new(Class::Waiting, Reason::AliasNotFound, message)
        });
    }
    Ok(newest_good(status).map_or_else(|| machine.clone(), |version| format!("{machine}:{version}")))
}

fn name(workflow: &Workflow) -> &str {
    workflow.metadata.name.as_deref().unwrap_or_default()
}

/// The alias that a run goes by which names none.
pub fn default_alias(workflow: &Workflow) -> Option<&String> {
    let aliases = &workflow.spec.aliases;
    let only = aliases.first().filter(|_| aliases.len() == 1);
    aliases.iter().find(|alias| alias.default).or(only).map(|alias| &alias.name)
}

fn newest_good(status: &WorkflowStatus) -> Option<i64> {
    let latest = status.latest_version.as_ref().map(|version| version.number);
    let known = status.versions.iter().copied().chain(latest);
    known.filter(|version| !status.quarantined.contains(version)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workflow(spec: &serde_json::Value, status: &serde_json::Value) -> Workflow {
        let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "namespace": "n"},
            "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "r"},
            "status": {"stateMachineARN": "arn:m", "conditions": [{"type": "Synced", "status": "True", "reason": "Synced",
                "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let fields = |value: &serde_json::Value| value.as_object().unwrap().clone();
        object["spec"].as_object_mut().unwrap().extend(fields(spec));
        object["status"].as_object_mut().unwrap().extend(fields(status));
        serde_json::from_value(object).unwrap()
    }

    fn to(
        spec: &serde_json::Value,
        status: &serde_json::Value,
        wanted: &serde_json::Value,
    ) -> Result<String, &'static str> {
        let mut reference = json!({"name": "w"});
        reference.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
        let reference = serde_json::from_value(reference).unwrap();
        target(&workflow(spec, status), &reference).map_err(|failure| failure.reason.as_str())
    }

    #[test]
    fn the_default_is_an_alias_then_the_newest_good_version_then_the_machine() {
        let none = json!({});
        assert_eq!(to(&none, &none, &json!({})), Ok("arn:m".into()));
        let versions = json!({"latestVersion": {"ARN": "arn:m:3", "number": 3}, "versions": [1, 2, 3]});
        assert_eq!(to(&none, &versions, &json!({})), Ok("arn:m:3".into()));
        let quarantined =
            json!({"latestVersion": {"ARN": "arn:m:3", "number": 3}, "versions": [1, 2, 3], "quarantined": [3]});
        assert_eq!(to(&none, &quarantined, &json!({})), Ok("arn:m:2".into()));
        let routed = json!({"aliases": [{"name": "live", "ARN": "arn:m:live", "routes": [], "phase": "Stable"}]});
        let one = json!({"aliases": [{"name": "live", "version": 1}]});
        assert_eq!(to(&one, &routed, &json!({})), Ok("arn:m:live".into()));
        assert_eq!(to(&one, &routed, &json!({"version": 2})), Ok("arn:m:2".into()));
        let two = json!({"aliases": [{"name": "a", "version": 1}, {"name": "live", "version": 1, "default": true}]});
        assert_eq!(to(&two, &routed, &json!({})), Ok("arn:m:live".into()));
        assert_eq!(to(&two, &routed, &json!({"alias": "a"})), Err("AliasNotFound"));
    }
}
