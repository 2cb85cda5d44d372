//! What was read: objects, as far as they could be, and files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use super::audit_log::Log;
use super::files::PolicyFile;
use super::item::Period;
use crate::api::v1alpha1::{Approval, Guardrail, IdentityProvider, TrustBinding, Workflow, WorkflowRun};
use crate::iam::execution_role::Derived;

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
    pub(super) fn unread(&self, what: &str) -> Vec<String> {
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
