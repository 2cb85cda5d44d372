//! Input schemas, compiled once each, and inputs held against them.

use std::sync::Arc;

use kube::ResourceExt;
use moka::future::Cache;

use super::Context;
use crate::api::v1alpha1::Workflow;
use crate::digest::sha256_hex;
use crate::input_schema::{Fault, InputSchema};
use crate::outcome::{Class, Failure};
use crate::plan::input_schema::{expected, misfit, unusable};
use crate::plan::run;
use crate::reason::Reason;

/// Memory for compiled schemas, in bytes, about.
const COMPILED_BYTES: u64 = 32 * 1024 * 1024;
/// What a fault takes.
const FAULT_BYTES: u32 = 1024;

type Compiled = Arc<Result<InputSchema, Fault>>;

/// Compiled schemas by the digest of their text: what many versions and Workflows share is compiled once.
pub(super) struct InputSchemas(Cache<String, Compiled>);

impl Default for InputSchemas {
    fn default() -> Self {
        let weight =
            |_: &String, compiled: &Compiled| compiled.as_ref().as_ref().map_or(FAULT_BYTES, InputSchema::weight);
        Self(Cache::builder().max_capacity(COMPILED_BYTES).weigher(weight).build())
    }
}

impl InputSchemas {
    /// Compiles it beside the reconciles, which share a few threads, unless that was done before.
    pub(super) async fn compiled(&self, text: &str) -> Result<Compiled, Failure> {
        // The digest is made here and never believed of a status: a schema counts for nobody but those who wrote it.
        let digest = sha256_hex(text.as_bytes());
        let compiling = async {
            let text = text.to_owned();
            tokio::task::spawn_blocking(move || Arc::new(InputSchema::compile(&text))).await
        };
        self.0.try_get_with(digest, compiling).await.map_err(|_| ending())
    }
}

/// A task of which nothing is known ends with its process.
fn ending() -> Failure {
    Failure::new(Class::Conflict, Reason::NotLeading, "the process is ending")
}

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
