//! What Workflows and Activities ask of their binding, kept from their watches.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use tokio::sync::watch;

use super::Context;
use super::runner::Managed;
use crate::plan::needs::{Need, Needed, Needing};

type ByObject = BTreeMap<String, Need>;

/// The memory of it.
pub(super) struct Needs {
    by_binding: Mutex<HashMap<(String, String), ByObject>>,
    /// Watches that have not shown yet what there is.
    unfilled: watch::Sender<usize>,
}

impl Default for Needs {
    fn default() -> Self {
        Self { by_binding: Mutex::default(), unfilled: watch::Sender::new(0) }
    }
}

impl Needs {
    /// Remembers what an object asks for, or that it is gone. One that went while nobody held it is forgotten at the next
    /// start: until then the session may name something that does not exist.
    pub(super) fn see(&self, namespace: &str, binding: &str, object: String, need: Need, gone: bool) {
        let mut all = self.by_binding.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (namespace.to_owned(), binding.to_owned());
        if gone || need == Need::default() {
            let empty = all.get_mut(&place).is_some_and(|objects| {
                objects.remove(&object);
                objects.is_empty()
            });
            if empty {
                all.remove(&place);
            }
        } else {
            all.entry(place).or_default().insert(object, need);
        }
    }

    /// One more watch begins; until it has shown what there is, what is remembered may lack something.
    pub(super) fn begin(&self) {
        self.unfilled.send_modify(|unfilled| *unfilled += 1);
    }

    /// A watch has shown what there is for the first time.
    pub(super) fn filled(&self) {
        self.unfilled.send_modify(|unfilled| *unfilled = unfilled.saturating_sub(1));
    }

    /// What the objects of a binding ask for, once every watch has shown what there is. The stores' own readiness cannot be
    /// waited for by many: it wakes only the last who asked.
    pub(super) async fn of(&self, namespace: &str, binding: &str) -> Needed {
        // An error means that this memory is gone, and with it whoever waits.
        let _ = self.unfilled.subscribe().wait_for(|unfilled| *unfilled == 0).await;
        let all = self.by_binding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut needed = Needed::default();
        for need in all.get(&(namespace.to_owned(), binding.to_owned())).into_iter().flat_map(BTreeMap::values) {
            needed.add(need);
        }
        needed
    }
}

/// Keeps what an object asks of its binding.
pub(super) fn see_need<K: Managed + Needing>(context: &Arc<Context>) -> impl Fn(&K) + Send + 'static {
    let context = context.clone();
    move |object| {
        let (Some((binding, need)), Some(namespace)) = (object.need(), object.namespace()) else { return };
        let gone = object.meta().deletion_timestamp.is_some() && object.finalizers().is_empty();
        context.needs.see(&namespace, binding, format!("{}/{}", K::KIND, object.name_any()), need, gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Need {
        Need { name: Some(name.into()), ..Need::default() }
    }

    #[tokio::test]
    async fn what_objects_ask_for_is_summed_up_until_they_go() {
        let needs = Needs::default();
        needs.see("shop", "orders", "Workflow/a".into(), named("legacy"), false);
        needs.see("shop", "orders", "Workflow/b".into(), Need { alarms: true, ..Need::default() }, false);
        needs.see("shop", "other", "Workflow/c".into(), named("else"), false);
        let needed = needs.of("shop", "orders").await;
        assert_eq!((needed.names.into_iter().collect::<Vec<_>>(), needed.alarms), (vec!["legacy".to_owned()], true));
        needs.see("shop", "orders", "Workflow/a".into(), named("legacy"), true);
        needs.see("shop", "orders", "Workflow/b".into(), Need::default(), false);
        assert_eq!(needs.of("shop", "orders").await, Needed::default());
        assert_eq!(needs.by_binding.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn everybody_waits_until_each_watch_has_shown_what_there_is() {
        let needs = std::sync::Arc::new(Needs::default());
        needs.begin();
        needs.begin();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let needs = needs.clone();
                tokio::spawn(async move { needs.of("shop", "orders").await })
            })
            .collect();
        needs.filled();
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|one| !one.is_finished()));
        needs.filled();
        for one in waiting {
            tokio::time::timeout(std::time::Duration::from_secs(5), one).await.unwrap().unwrap();
        }
    }
}
