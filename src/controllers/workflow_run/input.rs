//! What a run names: a Workflow, with the binding of that, and an input.

use std::sync::Arc;

use super::result::Run;
use crate::api::v1alpha1::{Attempt, Workflow, WorkflowRunSpec, WorkflowRunStatus};
use crate::controllers::authorization::Authorization;
use crate::controllers::dereference::{ReadFor, authorized_binding, config_map_value};
use crate::controllers::named::named;
use crate::digest::sha256_hex;
use crate::outcome::{Class, Failure};
use crate::plan::run;
use crate::reason::Reason;

/// The Workflow that the run names, and its binding.
pub(super) async fn workflow_and_binding(run: &Run<'_>) -> Result<(Workflow, Arc<Authorization>), Failure> {
    let (namespace, name) = (run.namespace(), &run.spec.workflow_ref.name);
    let workflow = named::<Workflow>(run.ctx, &namespace, name).await?.ok_or_else(|| {
        let message = format!("Workflow \"{name}\" does not exist in namespace \"{namespace}\". Create it; the run goes on by itself then.");
        Failure::new(Class::Waiting, Reason::WorkflowNotFound, message)
    })?;
    let binding = authorized_binding(run.ctx, &namespace, &workflow.spec.trust_binding_ref.name).await?;
    Ok((workflow, binding))
}

/// The input, wherever it stands.
pub(super) async fn read(run: &Run<'_>) -> Result<String, Failure> {
    run::check_source(&run.spec)?;
    let text = match (&run.spec.input, &run.spec.input_from) {
        (Some(value), _) => value.to_string(),
        (None, Some(from)) => {
            config_map_value(run.ctx, &run.namespace(), &from.config_map_key_ref, ReadFor::Input).await?
        }
        (None, None) => "{}".to_owned(),
    };
    run::check_input(&text)?;
    Ok(text)
}

/// Whether an input is the one that an attempt was recorded with.
pub(super) fn is_of(input: &str, attempt: &Attempt) -> bool {
    sha256_hex(input.as_bytes()) == attempt.input_digest
}

/// True when the object's own input is not the one that the execution was started with.
pub(super) fn changed(spec: &WorkflowRunSpec, status: &WorkflowRunStatus) -> bool {
    let inline = spec.input.as_ref().map(ToString::to_string);
    inline.is_some_and(|inline| !status.attempts.last().is_some_and(|attempt| is_of(&inline, attempt)))
}
