//! Slots that namespaces share fairly: whoever waits gets the next free one in turn with the other namespaces, however many
//! others of its own namespace wait too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A number of slots.
pub(super) struct Slots {
    state: Arc<Mutex<State>>,
}

struct State {
    free: usize,
    /// Namespaces of which somebody waits, the next to be served first.
    waiting: VecDeque<(String, VecDeque<oneshot::Sender<Slot>>)>,
}

/// A slot, until it is dropped.
pub(super) struct Slot {
    state: Arc<Mutex<State>>,
    taken: bool,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State { free: count, waiting: VecDeque::new() })) }
    }

    /// A slot; `None` where there is none within `longest`.
    pub(super) async fn enter(&self, namespace: &str, longest: Duration) -> Option<Slot> {
        let given = {
            let mut state = locked(&self.state);
            // Nobody waits while a slot is free: it is handed on when it is left.
            if state.free > 0 {
                state.free -= 1;
                return Some(Slot { state: self.state.clone(), taken: true });
            }
            state.wait(namespace)
        };
        tokio::time::timeout(longest, given).await.ok()?.ok()
    }
}

impl State {
    fn wait(&mut self, namespace: &str) -> oneshot::Receiver<Slot> {
        let (sender, receiver) = oneshot::channel();
        match self.waiting.iter_mut().find(|(name, _)| name == namespace) {
            Some((_, queue)) => {
                queue.retain(|one| !one.is_closed());
                queue.push_back(sender);
            }
            None => self.waiting.push_back((namespace.to_owned(), VecDeque::from([sender]))),
        }
        receiver
    }

    /// Whoever is next; their namespace is the last to be served again.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        while let Some((namespace, mut queue)) = self.waiting.pop_front() {
            queue.retain(|one| !one.is_closed());
            let next = queue.pop_front();
            if !queue.is_empty() {
                self.waiting.push_back((namespace, queue));
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.taken {
            return;
        }
        loop {
            let next = locked(&self.state).next();
            let Some(next) = next else { return };
            match next.send(Slot { state: self.state.clone(), taken: true }) {
                Ok(()) => return,
                // Gave up at this moment: the next one then.
                Err(mut slot) => slot.taken = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Requirement 29 of docs/security.md: exchanges shared fairly by namespace; what is dead holds up only what goes there.
    #[tokio::test(start_paused = true)]
    async fn requirement_29_places_go_round_the_namespaces_and_not_the_queue() {
        let slots = Arc::new(Slots::new(1));
        let held = slots.enter("a", LONG).await.unwrap();
        let order: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut waiting = Vec::new();
        for name in ["a1", "a2", "a3", "a4", "b1", "b2", "c1"] {
            let (slots, order) = (slots.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let _slot = slots.enter(&name[..1], LONG).await.unwrap();
                order.lock().push(name.to_owned());
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        futures::future::join_all(waiting).await;
        assert_eq!(*order.lock(), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_keeps_no_place() {
        let slots = Slots::new(2);
        let (first, second) = (slots.enter("a", LONG).await, slots.enter("a", LONG).await);
        for _ in 0..10_000 {
            assert!(slots.enter("a", Duration::ZERO).await.is_none());
        }
        drop((first, second));
        let (first, second) = (slots.enter("b", LONG).await, slots.enter("b", LONG).await);
        assert!(first.is_some() && second.is_some());
        assert!(slots.enter("b", Duration::from_secs(1)).await.is_none(), "there are two and no more");
    }
}
