//! Reads hints from queues: one reader a queue, whichever of its bindings may read it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

use super::tracker::SessionSource;
use super::{Hint, hint_of};
use crate::aws::MessageQueues;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::Failure;

/// How long a queue is left alone after it could not be read, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Namespace and name of a binding.
type Binding = (String, String);

/// Which binding names which queue.
#[derive(Debug, Default)]
pub(super) struct Queues {
    wanted: Mutex<BTreeMap<Binding, String>>,
    changed: Notify,
}

impl Queues {
    /// Reads the queue as the binding; another, or none, from now on.
    pub(super) fn listen(&self, namespace: &str, binding: &str, queue_url: Option<&str>) {
        let key = (namespace.to_owned(), binding.to_owned());
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match queue_url {
            Some(url) => wanted.insert(key, url.to_owned()),
            None => wanted.remove(&key),
        };
        if before.as_deref() != queue_url {
            self.changed.notify_one();
        }
    }

    /// The bindings of a queue, in order.
    fn bindings_of(&self, queue_url: &str) -> Vec<Binding> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().filter(|(_, url)| *url == queue_url).map(|(binding, _)| binding.clone()).collect()
    }

    fn urls(&self) -> Vec<String> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut urls: Vec<String> = wanted.values().cloned().collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// Reads every queue that is named, for ever.
    pub(super) async fn run(
        &self,
        messages: Arc<dyn MessageQueues>,
        sessions: Arc<dyn SessionSource>,
        hint: impl Fn(Hint) + Copy,
    ) {
        let mut readers = FuturesUnordered::new();
        let mut read: HashSet<String> = HashSet::new();
        loop {
            for url in self.urls() {
                if read.insert(url.clone()) {
                    readers.push(self.read(url, &messages, &sessions, hint));
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(url) = readers.next(), if !readers.is_empty() => {
                    read.remove(&url);
                }
            }
        }
    }

    /// Reads one queue until no binding names it.
    async fn read(
        &self,
        url: String,
        messages: &Arc<dyn MessageQueues>,
        sessions: &Arc<dyn SessionSource>,
        hint: impl Fn(Hint) + Copy,
    ) -> String {
        let mut failures = 0_u32;
        loop {
            let bindings = self.bindings_of(&url);
            if bindings.is_empty() {
                return url;
            }
            // The next binding takes its turn where one may not read.
            let binding = &bindings[failures as usize % bindings.len()];
            match receive(&url, binding, messages, sessions, hint).await {
                Ok(()) => failures = 0,
                Err(failure) => {
                    let rest = REST.0.saturating_mul(1 << failures.min(8)).min(REST.1);
                    failures = failures.saturating_add(1);
                    let (namespace, binding) = binding;
                    tracing::warn!(
                        queue = url,
                        namespace,
                        binding,
                        reason = failure.reason,
                        message = failure.message,
                        "cannot read events; executions are listed all the same"
                    );
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }
}

/// One round: waits for messages, hands on their hints and deletes them. A message that could not be deleted comes again,
/// which is a hint that finds nothing.
async fn receive(
    url: &str,
    (namespace, binding): &Binding,
    messages: &Arc<dyn MessageQueues>,
    sessions: &Arc<dyn SessionSource>,
    hint: impl Fn(Hint),
) -> Result<(), Failure> {
    let session = sessions.session(namespace, binding, &Purpose::Listen).await?;
    let received = messages.receive(&session, url).await?;
    received.iter().filter_map(|message| hint_of(&message.body)).for_each(hint);
    let receipts: Vec<String> = received.into_iter().map(|message| message.receipt).collect();
    if !receipts.is_empty() {
        messages.delete(&session, url, &receipts).await?;
    }
    Ok(())
}
