//! What the events of a watch change. What a new listing lacks counts as gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kube::api::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

/// Namespace and name.
pub(super) type NamespacedName = (String, String);

pub(super) fn namespaced_name(object: &impl ResourceExt) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// What has become of an object.
#[derive(Debug, PartialEq)]
pub(super) enum Change<K> {
    /// It is as it is now, and as it was `before`.
    Applied { object: Arc<K>, before: Option<Arc<K>> },
    /// It was deleted, or a new listing lacks it.
    Gone(Arc<K>),
}

impl<K: Resource> Change<K> {
    pub(super) fn object(&self) -> &K {
        match self {
            Self::Applied { object, .. } | Self::Gone(object) => object,
        }
    }

    /// Whether somebody asks for something else than before. Our own writes of a status do not.
    pub(super) fn is_news(&self) -> bool {
        let Self::Applied { object, before } = self else { return true };
        let asked = |object: &K| {
            let meta = object.meta();
            (meta.uid.clone(), meta.generation, meta.annotations.clone(), meta.deletion_timestamp.is_some())
        };
        before.as_ref().is_none_or(|before| asked(before) != asked(object))
    }

    /// Whether it is as it was: a new listing shows everything again.
    pub(super) fn is_known(&self) -> bool {
        let Self::Applied { object, before } = self else { return false };
        before.as_ref().is_some_and(|before| {
            before.meta().uid == object.meta().uid && before.meta().resource_version == object.meta().resource_version
        })
    }
}

/// Puts the events of a watch into a store, and says what has changed by them.
pub(super) struct Intake<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    before: Vec<Arc<K>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Intake<K> {
    pub(super) fn new(writer: Writer<K>) -> Self {
        Self { writer, before: Vec::new() }
    }

    /// What has changed, once the store has it. A listing changes nothing until it has ended.
    pub(super) fn take_in(&mut self, event: Event<K>) -> Vec<Change<K>> {
        let store = self.writer.as_reader();
        let known = |object: &K| store.get(&ObjectRef::from_obj(object));
        let before = match &event {
            Event::Apply(object) => known(object),
            Event::Init => {
                self.before = store.state();
                None
            }
            Event::InitApply(_) | Event::InitDone | Event::Delete(_) => None,
        };
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Init | Event::InitApply(_) => Vec::new(),
            Event::Apply(object) => {
                let object = known(&object).unwrap_or_else(|| Arc::new(object));
                let gone = before.clone().filter(|before| before.meta().uid != object.meta().uid).map(Change::Gone);
                gone.into_iter().chain([Change::Applied { object, before }]).collect()
            }
            Event::Delete(object) => vec![Change::Gone(Arc::new(object))],
            Event::InitDone => listed(std::mem::take(&mut self.before), store.state()),
        }
    }
}

fn listed<K: Resource>(before: Vec<Arc<K>>, now: Vec<Arc<K>>) -> Vec<Change<K>> {
    let uid = |object: &Arc<K>| object.meta().uid.clone();
    let mut before: HashMap<Option<String>, Arc<K>> = before.into_iter().map(|one| (uid(&one), one)).collect();
    let applied = now.into_iter().map(|object| (before.remove(&uid(&object)), object));
    let applied: Vec<Change<K>> = applied.map(|(before, object)| Change::Applied { object, before }).collect();
    before.into_values().map(Change::Gone).chain(applied).collect()
}

/// Which objects a listing has shown, so that those which it lacks are known to have gone.
#[derive(Default)]
pub(super) struct Listing(HashSet<NamespacedName>);

impl Listing {
    /// Whatever has changed, with its annotations, or with `None` where it has gone. `needed` gives all that anybody asks for.
    pub(super) fn take_in<K: Resource<DynamicType = ()>>(
        &mut self,
        event: Event<PartialObjectMeta<K>>,
        needed: impl FnOnce() -> Vec<NamespacedName>,
    ) -> Vec<(NamespacedName, Option<BTreeMap<String, String>>)> {
        let there = |object: PartialObjectMeta<K>| {
            (namespaced_name(&object), Some(object.metadata.annotations.unwrap_or_default()))
        };
        match event {
            Event::Init => self.0.clear(),
            Event::Apply(object) => return vec![there(object)],
            Event::Delete(object) => return vec![(namespaced_name(&object), None)],
            Event::InitApply(object) => {
                self.0.insert(namespaced_name(&object));
                return vec![there(object)];
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.0);
                return needed().into_iter().filter(|one| !listed.contains(one)).map(|one| (one, None)).collect();
            }
        }
        Vec::new()
    }
}
