//! What Guardrails among the files say of the objects beside them, where it can be shown that they select their namespace.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use serde_json::Value;

use crate::api::v1alpha1::Guardrail;
use crate::plan::guardrail::{Rule, selects};

/// The label that every namespace has, with its name (Kubernetes documentation, "Automatic labelling").
const NAME: &str = "kubernetes.io/metadata.name";

/// Guardrails, and labels of namespaces by their names.
#[derive(Default)]
pub(super) struct Guardrails {
    rules: BTreeMap<String, Guardrail>,
    namespaces: HashMap<String, BTreeMap<String, String>>,
}

impl Guardrails {
    pub(super) fn add(&mut self, guardrail: Guardrail) {
        self.rules.insert(guardrail.name_any(), guardrail);
    }

    /// A namespace of the files, which has the labels that are written there.
    pub(super) fn add_namespace(&mut self, namespace: &Value) {
        let labels = namespace["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        if let Some(name) = namespace["metadata"]["name"].as_str() {
            let labels = labels.chain([(NAME.to_owned(), name.to_owned())]).collect();
            self.namespaces.insert(name.to_owned(), labels);
        }
    }

    /// Whether it matters what labels a namespace has.
    pub(super) fn asks_for_labels(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Those that select the namespace whatever its further labels are, in the order of the operator.
    pub(super) fn of(&self, namespace: &str) -> Vec<Rule> {
        let selected = self.rules.values().filter(|one| self.is_selected(&one.spec.namespace_selector, namespace));
        selected.map(|one| Rule { name: one.name_any(), spec: one.spec.clone() }).collect()
    }

    fn is_selected(&self, selector: &LabelSelector, namespace: &str) -> bool {
        if let Some(labels) = self.namespaces.get(namespace) {
            return selects(selector, labels);
        }
        let own = (!namespace.is_empty()).then(|| (NAME.to_owned(), namespace.to_owned()));
        let keys = selector.match_labels.iter().flatten().map(|(key, _)| key);
        let mut keys = keys.chain(selector.match_expressions.iter().flatten().map(|one| &one.key));
        let is_known = keys.all(|key| key == NAME && own.is_some());
        is_known && selects(selector, &own.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
