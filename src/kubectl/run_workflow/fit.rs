//! Whether the input of a run fits, told before the run is created.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;

use super::super::KubectlError;
use crate::api::v1alpha1::{Workflow, WorkflowRef};
use crate::input_schema::InputSchema;
use crate::plan::input_schema::expected_of;

/// Holds the input against the schemas of all versions that the run may start.
pub(super) fn check(workflow: &Workflow, run: &DynamicObject) -> Result<(), KubectlError> {
    let spec = &run.data["spec"];
    let Ok(wanted) = serde_json::from_value::<WorkflowRef>(spec["workflowRef"].clone()) else { return Ok(()) };
    let empty = json!({});
    let input = spec.get("input").unwrap_or(&empty);
    let name = workflow.name_any();
    for expected in expected_of(workflow, &wanted) {
        // One that is not taken is the Workflow's to tell; such a run waits.
        let Ok(schema) = InputSchema::compile(expected.schema.text()) else { continue };
        if let Err(misses) = schema.check(input) {
            let lines: Vec<String> = misses.lines().map(|line| format!("  {line}")).collect();
            let whose = expected.whose(&name);
            return Err(KubectlError::Usage(format!(
                "the input does not fit {whose}, so no run was created:\n{}",
                lines.join("\n")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn workflow(status: &Value) -> Workflow {
        let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "orders"},
            "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "r",
                "inputSchema": {"required": ["id"], "properties": {"id": {"type": "string"}}}}});
        object["status"] = status.clone();
        serde_json::from_value(object).unwrap()
    }

    fn told(workflow: &Workflow, reference: &Value, input: &Value) -> String {
        let run = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "run"},
            "spec": {"workflowRef": reference, "input": input}});
        check(workflow, &serde_json::from_value(run).unwrap())
            .map_or_else(|error| error.to_string(), |()| "taken".into())
    }

    #[test]
    fn an_input_that_does_not_fit_is_told_before_a_run_is_created() {
        let new = workflow(&json!({}));
        let (latest, older) = (json!({"name": "orders"}), json!({"name": "orders", "version": 1}));
        assert_eq!(
            told(&new, &latest, &json!({"id": 5})),
            "the input does not fit spec.inputSchema of Workflow \"orders\", so no run was created:\n  /id must be of type string (/properties/id/type)"
        );
        assert_eq!(told(&new, &latest, &json!({"id": "a"})), "taken");
        assert_eq!(
            told(&new, &older, &json!({})),
            "taken",
            "what a version expects that is not published yet nobody knows"
        );
        let published = workflow(&json!({"stateMachineARN": "arn:aws:states:eu-west-1:1:stateMachine:m",
            "versions": [1, 2], "conditions": [{"type": "Synced", "status": "True", "reason": "Synced", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "inputSchemas": [{"versions": [1], "schema": {"type": "array"}}, {"versions": [2], "schema": {"required": ["id"]}}]}));
        assert!(told(&published, &older, &json!({"id": "a"})).contains("of version 1 of Workflow \"orders\""));
        assert!(told(&published, &latest, &json!({})).ends_with("  the input needs \"id\" (/required)"));
        assert_eq!(told(&published, &latest, &json!({"id": 1})), "taken");
    }
}
