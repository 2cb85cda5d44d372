//! What is wrong with an `inputSchema`, and which inputs among the files do not fit theirs.

use serde_json::json;

use super::elsewhere::Doubt;
use crate::api::v1alpha1::{WorkflowRunSpec, WorkflowSpec};
use crate::input_schema::{InputSchema, unfit_examples};
use crate::outcome::{Class, Failure};
use crate::plan::input_schema::refusal;
use crate::plan::run::read_input;
use crate::reason::Reason;

/// Where the operator refuses a schema, and why.
pub(super) fn refused(spec: &WorkflowSpec) -> Option<(String, Failure)> {
    let schema = spec.input_schema.as_ref()?;
    let fault = InputSchema::compile(schema.text()).err()?;
    Some((format!("/spec/inputSchema{}", fault.pointer), refusal(&fault)))
}

/// Examples that do not fit the schema that they stand in.
pub(super) fn examples(spec: &WorkflowSpec) -> Vec<Doubt> {
    let Some(schema) = &spec.input_schema else { return Vec::new() };
    let (Ok(compiled), Ok(value)) = (InputSchema::compile(schema.text()), serde_json::from_str(schema.text())) else {
        return Vec::new();
    };
    let unfit = unfit_examples(&compiled, &value).into_iter();
    unfit
        .map(|(place, misses)| {
            let message = format!("the example does not fit its schema: {misses}");
            (format!("/spec/inputSchema{place}"), message)
        })
        .collect()
}

/// Why a run's input is refused that starts what the Workflow is now. An older version, and what an alias leads to, may have another
/// schema, which no file tells. `text` is what the ConfigMap holds that the run names.
pub(super) fn misfit(run: &WorkflowRunSpec, workflow: &WorkflowSpec, text: Option<&str>) -> Option<Failure> {
    let is_of_newest = run.workflow_ref.version.is_none() && run.workflow_ref.alias.is_none();
    let schema = workflow.input_schema.as_ref().filter(|_| is_of_newest)?;
    let compiled = InputSchema::compile(schema.text()).ok()?;
    let input = match (&run.input_from, &run.input) {
        (Some(_), None) => read_input(text?).ok()?,
        (None, input) => input.clone().unwrap_or_else(|| json!({})),
        (Some(_), Some(_)) => return None,
    };
    let misses = compiled.check(&input).err()?;
    let message =
        format!("the input does not fit spec.inputSchema of Workflow \"{}\": {misses}", run.workflow_ref.name);
    Some(Failure::new(Class::Terminal, Reason::InputInvalid, message))
}
