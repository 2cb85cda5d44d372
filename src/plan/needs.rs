//! What Workflows and Activities ask of the role of their binding beyond the names that the namespace gives them: the policy of
//! the role follows from it. A session's does not: what one object asks for is no other's matter.

use std::collections::BTreeSet;

use crate::api::v1alpha1::{Activity, ActivitySpec, Encryption, Workflow, WorkflowSpec};
use crate::iam::binding_role::session::{Kind, Writing};
use crate::plan::workflow::default_name;

/// What one object asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// A name that it was given instead of the default one.
    pub name: Option<String>,
    /// The key that encrypts it.
    pub key: Option<String>,
    /// Whether a rollout of it looks at alarms.
    pub alarms: bool,
}

/// What all objects of a binding ask for together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Names that were given instead of default ones.
    pub names: BTreeSet<String>,
    /// Keys that encrypt.
    pub keys: BTreeSet<String>,
    /// Whether a rollout looks at alarms.
    pub alarms: bool,
}

impl Needed {
    /// Adds what one more object asks for.
    pub fn add(&mut self, need: &Need) {
        self.names.extend(need.name.clone());
        self.keys.extend(need.key.clone());
        self.alarms |= need.alarms;
    }
}

/// A kind that may ask something of its binding.
pub trait Needing {
    /// The binding and what is asked of it; `None` where the kind never asks.
    fn need(&self) -> Option<(&str, Need)>;
    /// The object's name and what its session to write may do, for its default name under this prefix in this namespace.
    fn writing(&self, prefix: &str, namespace: &str) -> Option<(String, Writing)>;
}

impl Needing for Workflow {
    fn need(&self) -> Option<(&str, Need)> {
        let spec = &self.spec;
        let need =
            Need { name: spec.state_machine_name.clone(), key: key(spec.encryption.as_ref()), alarms: alarms(spec) };
        Some((&spec.trust_binding_ref.name, need))
    }

    fn writing(&self, prefix: &str, namespace: &str) -> Option<(String, Writing)> {
        let own = self.metadata.name.clone()?;
        let default = || default_name(prefix, namespace, &own);
        let name = self.spec.state_machine_name.clone().unwrap_or_else(default);
        Some((own, machine(&self.spec, name)))
    }
}

impl Needing for Activity {
    fn need(&self) -> Option<(&str, Need)> {
        let key = key(self.spec.encryption.as_ref());
        Some((&self.spec.trust_binding_ref.name, Need { name: self.spec.name.clone(), key, alarms: false }))
    }

    fn writing(&self, prefix: &str, namespace: &str) -> Option<(String, Writing)> {
        let own = self.metadata.name.clone()?;
        let name = self.spec.name.clone().unwrap_or_else(|| default_name(prefix, namespace, &own));
        Some((own, activity(&self.spec, name)))
    }
}

/// What is needed to bring the state machine of this name to the spec.
pub fn machine(spec: &WorkflowSpec, name: String) -> Writing {
    let kind = Kind::Machine { execution_role: spec.execution_role_arn.clone(), alarms: alarms(spec) };
    Writing { name, kind, key: key(spec.encryption.as_ref()), from_another_owner: false }
}

/// The same of an activity.
pub fn activity(spec: &ActivitySpec, name: String) -> Writing {
    Writing { name, kind: Kind::Activity, key: key(spec.encryption.as_ref()), from_another_owner: false }
}

fn alarms(spec: &WorkflowSpec) -> bool {
    let mut rollouts = spec.aliases.iter().filter_map(|alias| alias.rollout.as_ref());
    rollouts.any(|rollout| !rollout.alarms.is_empty())
}

fn key(encryption: Option<&Encryption>) -> Option<String> {
    encryption.map(|encryption| encryption.kms_key_id.clone())
}
