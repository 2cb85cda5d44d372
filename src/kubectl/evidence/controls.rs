//! The evidence by its controls.

use serde_json::{Value, json};

use crate::plan::evidence::{CONTROLS, Evidence, Finding};

/// Each control with the items and findings of each part that speak of it.
pub(super) fn controls(evidence: &Evidence) -> Vec<Value> {
    let of = |control: &'static str| {
        let sections = evidence.sections.iter().filter_map(move |section| {
            let items = section.items.iter().filter(|item| item.controls.contains(&control)).count();
            let is_its = |one: &&Finding| one.section == section.id && one.controls.contains(&control);
            let findings = evidence.findings.iter().filter(is_its).count();
            (items + findings > 0).then(|| json!({"section": section.id, "items": items, "findings": findings}))
        });
        sections.collect::<Vec<_>>()
    };
    CONTROLS.iter().map(|one| json!({"control": one.id, "about": one.about, "shownBy": of(one.id)})).collect()
}
