//! Reads hints from queues: one reader a queue, whichever of its bindings may read it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::sessions::SessionSource;
use super::{Hint, hint_of};
use crate::aws;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::Failure;

/// How long a binding rests after it could not read a queue, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// How often it is looked whether a queue has other bindings, while all of them rest.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

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
        let mut wanted = self.wanted.lock();
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
        let wanted = self.wanted.lock();
        wanted.iter().filter(|(_, url)| *url == queue_url).map(|(binding, _)| binding.clone()).collect()
    }

    fn urls(&self) -> Vec<String> {
        let wanted = self.wanted.lock();
        let mut urls: Vec<String> = wanted.values().cloned().collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// Reads every queue that is named, for ever.
    pub(super) async fn run(
        &self,
        messages: Arc<dyn aws::Queues>,
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
        messages: &Arc<dyn aws::Queues>,
        sessions: &Arc<dyn SessionSource>,
        hint: impl Fn(Hint) + Copy,
    ) -> String {
        let mut turns = Turns::default();
        loop {
            let Some((binding, rests_until)) = turns.next(self.bindings_of(&url)) else { return url };
            let now = Instant::now();
            if rests_until > now {
                // Another binding may come meanwhile.
                tokio::time::sleep((rests_until - now).min(LOOKS_EVERY)).await;
                continue;
            }
            match receive(&url, &binding, messages, sessions, hint).await {
                Ok(()) => turns.has_read(binding),
                Err(failure) => {
                    turns.has_failed(&binding, Instant::now());
                    let (namespace, binding) = binding;
                    tracing::warn!(
                        queue = url,
                        namespace,
                        binding,
                        reason = %failure.reason,
                        message = failure.message,
                        "cannot read events; executions are listed all the same"
                    );
                }
            }
        }
    }
}

/// Which binding reads a queue next. Whoever has read it goes on, and each rests for its own failures alone: whoever names a queue
/// without the right to read it holds up nobody.
#[derive(Default)]
struct Turns {
    /// Failures in a row, and until when the binding rests for them.
    failed: HashMap<Binding, (u32, Instant)>,
    last: Option<Binding>,
}

impl Turns {
    /// The next of these bindings, and when it may be asked.
    fn next(&mut self, bindings: Vec<Binding>) -> Option<(Binding, Instant)> {
        self.failed.retain(|binding, _| bindings.contains(binding));
        let now = Instant::now();
        let due = |binding: &Binding| self.failed.get(binding).map_or(now, |(_, until)| *until);
        let order = |binding: &Binding| (due(binding).max(now), self.last.as_ref() != Some(binding));
        bindings.into_iter().min_by_key(order).map(|binding| {
            let due = due(&binding);
            (binding, due)
        })
    }

    fn has_read(&mut self, binding: Binding) {
        self.failed.remove(&binding);
        self.last = Some(binding);
    }

    fn has_failed(&mut self, binding: &Binding, now: Instant) {
        let failures = self.failed.get(binding).map_or(0, |(failures, _)| *failures);
        let rest = REST.0.saturating_mul(1 << failures.min(8)).min(REST.1);
        self.failed.insert(binding.clone(), (failures.saturating_add(1), now + rest));
    }
}

/// One round: waits for messages, hands on their hints and deletes them. A message that could not be deleted comes again,
/// which is a hint that finds nothing.
async fn receive(
    url: &str,
    (namespace, binding): &Binding,
    messages: &Arc<dyn aws::Queues>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(namespace: &str) -> Binding {
        (namespace.to_owned(), "orders".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn bindings_that_may_not_read_a_queue_hold_up_nobody_who_may() {
        let evil: Vec<Binding> = (0..50).map(|number| binding(&format!("evil-{number}"))).collect();
        let all = || evil.iter().cloned().chain([binding("shop")]).collect::<Vec<_>>();
        let mut turns = Turns::default();
        let begun = Instant::now();
        let (mut reads, mut tries) = (0, 0);
        while begun.elapsed() < Duration::from_secs(3600) {
            let (next, due) = turns.next(all()).unwrap();
            tokio::time::sleep_until(due).await;
            tries += 1;
            if next == binding("shop") {
                // A long poll that finds nothing.
                tokio::time::sleep(Duration::from_secs(20)).await;
                turns.has_read(next);
                reads += 1;
            } else {
                turns.has_failed(&next, Instant::now());
            }
        }
        assert!(reads >= 179, "{reads} of 180 reads of an hour, {tries} tries");
        assert_eq!(tries - reads, 50, "whoever may read goes on, and the others are asked once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_binding_rests_longer_with_each_failure_and_another_takes_its_turn_meanwhile() {
        let mut turns = Turns::default();
        let mut rests = Vec::new();
        for _ in 0..10 {
            let (next, due) = turns.next(vec![binding("shop")]).unwrap();
            rests.push((due.saturating_duration_since(Instant::now())).as_secs());
            tokio::time::sleep_until(due).await;
            turns.has_failed(&next, Instant::now());
        }
        assert_eq!(rests, [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        let (next, due) = turns.next(vec![binding("shop"), binding("web")]).unwrap();
        assert_eq!((next, due), (binding("web"), Instant::now()));
        assert_eq!(turns.next(vec![]), None);
        assert!(turns.failed.is_empty(), "what is named no more is forgotten");
    }
}
