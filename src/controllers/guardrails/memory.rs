//! What a process remembers of the Guardrails.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kube::runtime::reflector::Store;
use moka::future::Cache;

use crate::api::v1alpha1::{Guardrail, RunsAs};

/// How long the labels of a namespace are believed. They are read only where there are Guardrails.
const LABELS_LAST: Duration = Duration::from_secs(5);

/// How long it is remembered what a version runs as that was read from AWS. A version never changes, but a machine that somebody
/// deletes and makes again may have another of the same number.
const READ_LASTS: Duration = Duration::from_secs(300);

/// What is known of the Guardrails.
pub(in crate::controllers) struct Guardrails {
    pub(super) store: OnceLock<Store<Guardrail>>,
    pub(super) labels: Cache<String, Arc<BTreeMap<String, String>>>,
    /// What versions run as that no status tells of, by UID of the Workflow and ARN.
    pub(super) read: Cache<(String, String), Arc<RunsAs>>,
}

impl Guardrails {
    /// Nothing is known yet.
    pub(in crate::controllers) fn new() -> Self {
        let labels = Cache::builder().time_to_live(LABELS_LAST).max_capacity(10_000).build();
        Self {
            store: OnceLock::new(),
            labels,
            read: Cache::builder().time_to_live(READ_LASTS).max_capacity(10_000).build(),
        }
    }

    /// A state machine was made: versions of an older one of its name are not those that were read.
    pub(in crate::controllers) fn forget_read(&self) {
        self.read.invalidate_all();
    }
}
