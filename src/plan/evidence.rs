//! What is shown to an auditor: who may do what, as whom runs acted, who asked and who approved, and what is weak in it.
//!
//! It is decided from what was read, and nothing is said of what was not: each part lists what could not be read, and each item
//! names the objects and lines of files that it was read from, and the controls that it supports.

mod access;
mod approvals;
mod audit_log;
mod bindings;
mod controls;
mod files;
mod item;
mod policies;
mod providers;
mod rbac;
mod reading;
mod roles;
mod rules;
mod runs;
mod sessions;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use audit_log::{Log, LogReader};
pub use controls::{CONTROLS, Control};
pub use files::{PolicyFile, permissions, trust_policy};
pub use item::{Finding, Item, Period, Section, Severity, Source};
pub use reading::{AnyObject, Listing, Read};

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The part in which it is missing.
    pub section: &'static str,
    /// What it is, and why.
    pub what: String,
}

/// What an auditor is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Its parts.
    pub sections: Vec<Section>,
    /// What is weak, worst first.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Evidence {
    /// Whether a finding is an error.
    pub fn has_error(&self) -> bool {
        self.findings.iter().any(|one| one.severity == Severity::Error)
    }
}

/// What follows from what was read.
pub fn evidence(read: &Read) -> Evidence {
    let parts = [
        bindings::section(read),
        roles::section(read),
        providers::secrets(read),
        providers::section(read),
        rules::section(read),
        policies::section(read),
        approvals::section(read),
        access::section(read),
        runs::section(read),
        sessions::section(read),
    ];
    let (mut sections, mut findings, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (section, found) in parts {
        unread.extend(section.not_read.iter().map(|what| Unread { section: section.id, what: what.clone() }));
        sections.push(section);
        findings.extend(found);
    }
    findings.sort_by(|one: &Finding, other| {
        let key = |one: &Finding| (std::cmp::Reverse(one.severity), one.section, one.code.clone(), one.subject.clone());
        key(one).cmp(&key(other)).then_with(|| one.message.cmp(&other.message))
    });
    findings.dedup();
    Evidence { sections, findings, unread }
}
