//! Places that namespaces share fairly: whoever waits gets the next free one in turn with the other namespaces, however many
//! others of its own namespace wait too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// A number of places.
pub(super) struct Places {
    state: Arc<Mutex<State>>,
}

struct State {
    free: usize,
    /// Namespaces of which somebody waits, the next to be served first.
    waiting: VecDeque<(String, VecDeque<oneshot::Sender<Place>>)>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    state: Arc<Mutex<State>>,
    taken: bool,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State { free: count, waiting: VecDeque::new() })) }
    }

    /// A place; `None` where there is none within `longest`.
    pub(super) async fn enter(&self, namespace: &str, longest: Duration) -> Option<Place> {
        let given = {
            let mut state = locked(&self.state);
            // Nobody waits while a place is free: it is handed on when it is left.
            if state.free > 0 {
                state.free -= 1;
                return Some(Place { state: self.state.clone(), taken: true });
            }
            state.wait(namespace)
        };
        tokio::time::timeout(longest, given).await.ok()?.ok()
    }
}

impl State {
    fn wait(&mut self, namespace: &str) -> oneshot::Receiver<Place> {
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
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
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
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            return;
        }
        loop {
            let next = locked(&self.state).next();
            let Some(next) = next else { return };
            match next.send(Place { state: self.state.clone(), taken: true }) {
                Ok(()) => return,
                // Gave up at this moment: the next one then.
                Err(mut place) => place.taken = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn requirement_29_places_go_round_the_namespaces_and_not_the_queue() {
        let places = Arc::new(Places::new(1));
        let held = places.enter("a", LONG).await.unwrap();
        let order: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut waiting = Vec::new();
        for name in ["a1", "a2", "a3", "a4", "b1", "b2", "c1"] {
            let (places, order) = (places.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let _place = places.enter(&name[..1], LONG).await.unwrap();
                order.lock().unwrap().push(name.to_owned());
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        futures::future::join_all(waiting).await;
        assert_eq!(*order.lock().unwrap(), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_keeps_no_place() {
        let places = Places::new(2);
        let (first, second) = (places.enter("a", LONG).await, places.enter("a", LONG).await);
        for _ in 0..10_000 {
            assert!(places.enter("a", Duration::ZERO).await.is_none());
        }
        drop((first, second));
        let (first, second) = (places.enter("b", LONG).await, places.enter("b", LONG).await);
        assert!(first.is_some() && second.is_some());
        assert!(places.enter("b", Duration::from_secs(1)).await.is_none(), "there are two and no more");
    }
}
