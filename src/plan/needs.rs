//! What Workflows and Activities ask of their binding beyond the names that the namespace gives them: the session policy of a
//! binding follows from it.

use std::collections::BTreeSet;

use crate::api::v1alpha1::{Activity, Workflow};

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
}

impl Needing for Workflow {
    fn need(&self) -> Option<(&str, Need)> {
        let spec = &self.spec;
        let rollouts = spec.aliases.iter().filter_map(|alias| alias.rollout.as_ref());
        let need = Need {
            name: spec.state_machine_name.clone(),
            key: spec.encryption.as_ref().map(|encryption| encryption.kms_key_id.clone()),
            alarms: rollouts.into_iter().any(|rollout| !rollout.alarms.is_empty()),
        };
        Some((&spec.trust_binding_ref.name, need))
    }
}

impl Needing for Activity {
    fn need(&self) -> Option<(&str, Need)> {
        let key = self.spec.encryption.as_ref().map(|encryption| encryption.kms_key_id.clone());
        Some((&self.spec.trust_binding_ref.name, Need { name: self.spec.name.clone(), key, alarms: false }))
    }
}
