//! Who is woken by what: a reverse index from what objects of a kind need to the objects, kept as their watch shows them.

use std::collections::{BTreeSet, HashMap};

/// What an object needs by the name of another in its namespace. A change of that wakes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Needed {
    /// A ConfigMap whose values it takes.
    ConfigMap(String),
    /// A `ServiceAccount` that has to consent.
    ServiceAccount(String),
    /// An IdentityProvider that issues its tokens.
    IdentityProvider(String),
    /// A TrustBinding that it works as.
    TrustBinding(String),
    /// A Workflow that it waits for.
    Workflow(String),
    /// A WorkflowRun whose history it is.
    WorkflowRun(String),
    /// An Approval that it waits for.
    Approval(String),
}

impl Needed {
    fn name(&self) -> &str {
        match self {
            Self::ConfigMap(name)
            | Self::ServiceAccount(name)
            | Self::IdentityProvider(name)
            | Self::TrustBinding(name)
            | Self::Workflow(name)
            | Self::WorkflowRun(name)
            | Self::Approval(name) => name,
        }
    }
}

/// What the objects of one namespace need.
#[derive(Debug, Default, PartialEq, Eq)]
struct Namespace {
    needs: HashMap<String, Vec<Needed>>,
    needed_by: HashMap<Needed, BTreeSet<String>>,
}

impl Namespace {
    fn remove(&mut self, name: &str) {
        for needed in self.needs.remove(name).into_iter().flatten() {
            let Some(names) = self.needed_by.get_mut(&needed) else { continue };
            names.remove(name);
            if names.is_empty() {
                self.needed_by.remove(&needed);
            }
        }
    }
}

/// What the objects of a kind need, by namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    namespaces: HashMap<String, Namespace>,
}

impl Index {
    /// Notes what an object needs from now on.
    pub(super) fn put(&mut self, namespace: &str, name: &str, needs: Vec<Needed>) {
        if self.needs_of(namespace, name).is_some_and(|known| *known == needs) {
            return;
        }
        let entry = self.namespaces.entry(namespace.to_owned()).or_default();
        entry.remove(name);
        for needed in &needs {
            entry.needed_by.entry(needed.clone()).or_default().insert(name.to_owned());
        }
        entry.needs.insert(name.to_owned(), needs);
    }

    /// Forgets an object that has gone.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(entry) = self.namespaces.get_mut(namespace) else { return };
        entry.remove(name);
        if entry.needs.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    fn needs_of(&self, namespace: &str, name: &str) -> Option<&Vec<Needed>> {
        self.namespaces.get(namespace)?.needs.get(name)
    }

    /// Names of the objects that need this, in order.
    pub(super) fn who_needs(&self, namespace: &str, needed: &Needed) -> Vec<String> {
        let names = self.namespaces.get(namespace).and_then(|entry| entry.needed_by.get(needed));
        names.into_iter().flatten().cloned().collect()
    }

    /// Names of all objects of a namespace.
    pub(super) fn names(&self, namespace: &str) -> Vec<String> {
        self.namespaces.get(namespace).into_iter().flat_map(|entry| entry.needs.keys().cloned()).collect()
    }

    /// The namespaces that have objects.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.namespaces.keys().cloned().collect()
    }

    /// What any object needs of the kind of this one, by namespace and name.
    pub(super) fn needed(&self, like: &Needed) -> Vec<(String, String)> {
        let of_kind = |needed: &&Needed| std::mem::discriminant(*needed) == std::mem::discriminant(like);
        let all = self.namespaces.iter().flat_map(|(namespace, entry)| {
            entry.needed_by.keys().filter(of_kind).map(|needed| (namespace.clone(), needed.name().to_owned()))
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_found_by_what_it_needs_now_and_not_by_what_it_needed() {
        let (map, binding) = (Needed::ConfigMap("m".into()), Needed::TrustBinding("m".into()));
        let mut index = Index::default();
        index.put("shop", "a", vec![map.clone(), binding.clone()]);
        index.put("shop", "b", vec![map.clone()]);
        index.put("other", "a", vec![map.clone()]);
        assert_eq!(index.who_needs("shop", &map), ["a", "b"]);
        assert_eq!(index.who_needs("shop", &binding), ["a"], "a name is one of a kind");
        index.put("shop", "a", vec![binding.clone()]);
        assert_eq!(index.who_needs("shop", &map), ["b"]);
        index.remove("shop", "a");
        assert_eq!(index.who_needs("shop", &binding), [""; 0]);
        assert_eq!(index.names("shop"), ["b"]);
        index.remove("shop", "b");
        index.remove("shop", "b");
        assert_eq!(index.namespaces(), ["other"], "nothing is kept of a namespace without objects");
    }

    proptest! {
        #[test]
        fn it_says_what_a_scan_would_say(steps in prop::collection::vec((0..3_u8, 0..4_u8, prop::option::of(prop::collection::btree_set(0..4_u8, 0..3))), 0..60)) {
            let mut index = Index::default();
            let mut scanned: HashMap<(String, String), Vec<Needed>> = HashMap::new();
            for (namespace, name, needs) in steps {
                let (namespace, name) = (namespace.to_string(), name.to_string());
                if let Some(needs) = needs {
                    let needs: Vec<Needed> = needs.into_iter().map(|one| Needed::Workflow(one.to_string())).collect();
                    index.put(&namespace, &name, needs.clone());
                    scanned.insert((namespace, name), needs);
                } else {
                    index.remove(&namespace, &name);
                    scanned.remove(&(namespace, name));
                }
            }
            for namespace in 0..3_u8 {
                let namespace = namespace.to_string();
                for needed in 0..4_u8 {
                    let needed = Needed::Workflow(needed.to_string());
                    let mut found: Vec<String> = scanned.iter()
                        .filter(|((of, _), needs)| *of == namespace && needs.contains(&needed))
                        .map(|((_, name), _)| name.clone()).collect();
                    found.sort();
                    prop_assert_eq!(index.who_needs(&namespace, &needed), found);
                }
                let count = scanned.keys().filter(|(of, _)| *of == namespace).count();
                prop_assert_eq!(index.names(&namespace).len(), count);
            }
        }
    }
}
