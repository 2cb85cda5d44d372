//! What a process remembers of input schemas: each compiled once.

use std::sync::Arc;

use moka::future::Cache;

use crate::digest::sha256_hex;
use crate::input_schema::{Fault, InputSchema};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Memory for compiled schemas, in bytes, about.
const COMPILED_BYTES: u64 = 32 * 1024 * 1024;
/// What a fault takes.
const FAULT_BYTES: u32 = 1024;

type Compiled = Arc<Result<InputSchema, Fault>>;

/// Compiled schemas by the digest of their text: what many versions and Workflows share is compiled once.
pub(in crate::controllers) struct InputSchemas(Cache<String, Compiled>);

impl Default for InputSchemas {
    fn default() -> Self {
        let weight =
            |_: &String, compiled: &Compiled| compiled.as_ref().as_ref().map_or(FAULT_BYTES, InputSchema::weight);
        Self(Cache::builder().max_capacity(COMPILED_BYTES).weigher(weight).build())
    }
}

impl InputSchemas {
    /// Compiles it beside the reconciles, which share a few threads, unless that was done before.
    pub(in crate::controllers) async fn compiled(&self, text: &str) -> Result<Compiled, Failure> {
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
pub(super) fn ending() -> Failure {
    Failure::new(Class::Conflict, Reason::NotLeading, "the process is ending")
}
