//! Inputs held against the schemas of what they would start.

pub(super) mod memory;

use std::sync::Arc;

use kube::ResourceExt;

use super::Context;
use crate::api::v1alpha1::Workflow;
use crate::outcome::Failure;
use crate::plan::input_schema::{expected, misfit, unusable};
use crate::plan::run;
use memory::ending;

/// Why an input does not fit what would run through this target; `None` where it does.
pub(super) async fn misfit_of(
    ctx: &Context,
    workflow: &Workflow,
    target_arn: &str,
    input: &str,
) -> Result<Option<String>, Failure> {
    let expected = expected(workflow, target_arn)?;
    if expected.is_empty() {
        return Ok(None);
    }
    let input = Arc::new(run::read_input(input)?);
    let name = workflow.name_any();
    for one in expected {
        let compiled = ctx.input_schemas.compiled(one.schema.text()).await?;
        if let Err(fault) = compiled.as_ref() {
            return Err(unusable(&name, &one, fault));
        }
        let input = input.clone();
        let checking =
            tokio::task::spawn_blocking(move || compiled.as_ref().as_ref().map_or(Ok(()), |one| one.check(&input)));
        if let Err(misses) = checking.await.map_err(|_| ending())? {
            return Ok(Some(misfit(&name, &one, &misses)));
        }
    }
    Ok(None)
}
