//! Workflows whose runs are to be counted again.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::intake::NamespacedName;

/// Workflows whose number of runs under way may differ from what their status says.
#[derive(Default)]
pub(super) struct Touched {
    names: Mutex<HashSet<NamespacedName>>,
    some: Notify,
}

impl Touched {
    /// Has a Workflow counted again.
    pub(super) fn add(&self, name: NamespacedName) {
        self.names.lock().insert(name);
        self.some.notify_one();
    }

    /// Waits until there are some.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }

    /// All of them, once.
    pub(super) fn take(&self) -> HashSet<NamespacedName> {
        std::mem::take(&mut *self.names.lock())
    }
}
