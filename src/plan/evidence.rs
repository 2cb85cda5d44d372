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
mod roles;
mod rules;
mod runs;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::v1alpha1::{Approval, Guardrail, IdentityProvider, TrustBinding, Workflow, WorkflowRun};
use crate::iam::execution_role::Derived;

pub use audit_log::{Log, LogReader};
pub use controls::{CONTROLS, Control};
pub use files::{PolicyFile, permissions, trust_policy};
pub use item::{Finding, Item, Section, Severity, Source};

/// Objects of one kind, as far as they could be read.
#[derive(Clone, Debug)]
pub struct Listing<K> {
    /// Those that were read.
    pub objects: Vec<K>,
    /// Why none could be read; then nothing is known of the kind.
    pub refused: Option<String>,
    /// Single ones that could not be read, and why.
    pub unreadable: Vec<String>,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { objects: Vec::new(), refused: None, unreadable: Vec::new() }
    }
}

impl<K> Listing<K> {
    /// All of them.
    pub fn of(objects: Vec<K>) -> Self {
        Self { objects, ..Self::default() }
    }

    /// None, for this reason.
    pub fn refused(why: String) -> Self {
        Self { refused: Some(why), ..Self::default() }
    }

    /// What is to be said of what could not be read of a kind.
    fn unread(&self, what: &str) -> Vec<String> {
        let whole = self.refused.iter().map(|why| format!("{what}: {why}"));
        whole.chain(self.unreadable.iter().cloned()).collect()
    }
}

/// A policy of admission or a binding of one, of whatever version.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AnyObject {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Its spec.
    #[serde(default)]
    pub spec: Value,
}

/// From when to when; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Period {
    /// Whether a time is part of it.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// All that was read.
#[derive(Debug)]
pub struct Read {
    /// The period that is asked about.
    pub period: Period,
    /// The namespace that is asked about; all where there is none.
    pub namespace: Option<String>,
    /// Namespaces, for their labels.
    pub namespaces: Listing<Namespace>,
    /// Bindings.
    pub bindings: Listing<TrustBinding>,
    /// Providers of identities.
    pub providers: Listing<IdentityProvider>,
    /// Metadata of the Secrets that providers name, by namespace and name, or why it could not be read.
    pub secrets: BTreeMap<(String, String), Result<ObjectMeta, String>>,
    /// Workflows.
    pub workflows: Listing<Workflow>,
    /// Runs.
    pub runs: Listing<WorkflowRun>,
    /// Approvals.
    pub approvals: Listing<Approval>,
    /// Guardrails.
    pub guardrails: Listing<Guardrail>,
    /// Roles.
    pub roles: Listing<Role>,
    /// Roles of the cluster.
    pub cluster_roles: Listing<ClusterRole>,
    /// Who has roles.
    pub role_bindings: Listing<RoleBinding>,
    /// Who has roles of the cluster in all of it.
    pub cluster_role_bindings: Listing<ClusterRoleBinding>,
    /// Admission policies.
    pub policies: Listing<AnyObject>,
    /// Their bindings.
    pub policy_bindings: Listing<AnyObject>,
    /// Trust policies as AWS has them, from files.
    pub trust_policies: Vec<PolicyFile>,
    /// Permissions of roles as AWS has them, from files.
    pub role_policies: Vec<PolicyFile>,
    /// What the definitions of Workflows need, by namespace and name, or why that could not be read.
    pub needs: BTreeMap<(String, String), Result<Derived, String>>,
    /// The operator's audit log.
    pub logs: Vec<Log>,
}

impl Read {
    /// Nothing yet.
    pub fn new(period: Period, namespace: Option<String>) -> Self {
        Self {
            period,
            namespace,
            namespaces: Listing::default(),
            bindings: Listing::default(),
            providers: Listing::default(),
            secrets: BTreeMap::new(),
            workflows: Listing::default(),
            runs: Listing::default(),
            approvals: Listing::default(),
            guardrails: Listing::default(),
            roles: Listing::default(),
            cluster_roles: Listing::default(),
            role_bindings: Listing::default(),
            cluster_role_bindings: Listing::default(),
            policies: Listing::default(),
            policy_bindings: Listing::default(),
            trust_policies: Vec::new(),
            role_policies: Vec::new(),
            needs: BTreeMap::new(),
            logs: Vec::new(),
        }
    }

    /// Whether no kind of ours could be read and no file was given.
    pub fn is_nothing(&self) -> bool {
        let refused = [
            self.bindings.refused.is_some(),
            self.providers.refused.is_some(),
            self.workflows.refused.is_some(),
            self.runs.refused.is_some(),
            self.approvals.refused.is_some(),
            self.guardrails.refused.is_some(),
            self.role_bindings.refused.is_some(),
            self.cluster_role_bindings.refused.is_some(),
        ];
        refused.into_iter().all(|one| one) && self.logs.is_empty()
    }
}

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
