//! Guardrails: what namespaces may do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::controls::{A5_15, A8_3, A8_32, CC6_1, CC6_6, CC8_1};
use super::item::{Facts, Item, Part, Section, Source, counted, place};
use super::reading::Read;
use crate::plan::guardrail::{Rule, selects};

const ALL: &[&str] = &[CC6_1, CC6_6, CC8_1, A5_15, A8_3, A8_32];

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new("guardrails", "Guardrails in force", ALL);
    section.not_read = read.guardrails.unread("Guardrails");
    section.not_read.extend(read.namespaces.unread("Namespaces, whose labels say for which a Guardrail holds"));
    let rules = &read.guardrails.objects;
    if read.guardrails.refused.is_none() {
        section.says.push(match rules.len() {
            0 => "There is no Guardrail.".to_owned(),
            1 => "There is 1 Guardrail.".to_owned(),
            many => format!("There are {many} Guardrails."),
        });
    }
    for rule in rules {
        let mut facts = Facts::default();
        let mut read_from = vec![Source::object("Guardrail", &rule.metadata)];
        if read.namespaces.refused.is_none() {
            let held =
                read.namespaces.objects.iter().filter(|one| {
                    selects(&rule.spec.namespace_selector, &one.metadata.labels.clone().unwrap_or_default())
                });
            let held: Vec<_> = held.collect();
            read_from.extend(held.iter().map(|one| Source::object("Namespace", &one.metadata)));
            facts.put("holdsFor", counted(held.len(), "namespace"));
            facts.list("namespaces", held.iter().filter_map(|one| one.metadata.name.clone()));
        }
        // A spec is a struct of texts, numbers and lists: it is always JSON.
        if let Ok(Value::Object(fields)) = serde_json::to_value(&rule.spec) {
            let says = fields.into_iter().filter(|(_, value)| !matches!(value, Value::Bool(false) | Value::Null));
            says.for_each(|(name, value)| facts.put(&name, value));
        }
        section.items.push(Item {
            subject: format!("Guardrail {}", place(&rule.metadata)),
            controls: ALL,
            facts: facts.done(),
            read_from,
        });
    }
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    (section, Vec::new())
}

/// The Guardrails that hold for a namespace; nothing where that cannot be known.
pub(super) fn of(read: &Read, namespace: &str) -> Option<Vec<Rule>> {
    if read.guardrails.refused.is_some() {
        return None;
    }
    let labels = read.namespaces.objects.iter().find(|one| one.metadata.name.as_deref() == Some(namespace));
    let labels: Option<BTreeMap<String, String>> = labels.map(|one| one.metadata.labels.clone().unwrap_or_default());
    let is_of_all = |rule: &crate::api::v1alpha1::Guardrail| {
        let selector = &rule.spec.namespace_selector;
        selector.match_labels.iter().flatten().next().is_none()
            && selector.match_expressions.iter().flatten().next().is_none()
    };
    let mut held = Vec::new();
    for rule in &read.guardrails.objects {
        let holds = match &labels {
            _ if is_of_all(rule) => true,
            Some(labels) => selects(&rule.spec.namespace_selector, labels),
            None => return None,
        };
        if holds {
            let name = rule.metadata.name.clone().unwrap_or_default();
            held.push(Rule { name, spec: rule.spec.clone() });
        }
    }
    Some(held)
}
