//! What Workflows and Activities ask of the role of their binding beyond the names that the namespace gives them: the policy of
//! the role follows from it. A session's does not: what one object asks for is no other's matter.

use std::collections::BTreeSet;

use crate::api::v1alpha1::{
    Activity, ActivitySpec, Encryption, ExpressResults, LogLevel, StateMachineType, TrustBindingSpec, Workflow,
    WorkflowSpec,
};
use crate::iam::binding_role::session::{Kind, Writing};
use crate::iam::binding_role::values;
use crate::outcome::{Class, Failure};
use crate::plan::workflow::default_name;
use crate::reason::Reason;

/// What one object asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// A name that it was given instead of the default one.
    pub name: Option<String>,
    /// The key that encrypts it.
    pub key: Option<String>,
    /// Whether a rollout of it looks at alarms.
    pub alarms: bool,
    /// The log group from which results are read.
    pub log_group: Option<String>,
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
    /// Log groups from which results are read.
    pub log_groups: BTreeSet<String>,
}

impl Needed {
    /// Adds what one more object asks for.
    pub fn add(&mut self, need: &Need) {
        self.names.extend(need.name.clone());
        self.keys.extend(need.key.clone());
        self.alarms |= need.alarms;
        self.log_groups.extend(need.log_group.clone());
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
        let need = Need {
            name: spec.state_machine_name.clone(),
            key: key(spec.encryption.as_ref()),
            alarms: alarms(spec),
            log_group: results_from(spec).map(str::to_owned),
        };
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
        Some((&self.spec.trust_binding_ref.name, Need { name: self.spec.name.clone(), key, ..Need::default() }))
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

/// The log group from which the results of runs are read, where its spec wants that.
pub fn results_from(spec: &WorkflowSpec) -> Option<&str> {
    complete_log(spec).filter(|_| spec.express_results == ExpressResults::FromLogs)
}

/// The log group that holds all that executions of an Express state machine did: success is logged at no other level than All.
pub fn complete_log(spec: &WorkflowSpec) -> Option<&str> {
    let logging = spec.logging.as_ref().filter(|logging| logging.level == LogLevel::All);
    logging?.log_group_arn.as_deref().filter(|_| spec.machine_type == StateMachineType::Express)
}

/// Refuses a log group from which the results of runs can never be read: the role of the binding is asked in its own account and
/// region, by the exact name of the group. What is only logged to is between Step Functions and its log.
///
/// # Errors
/// `ValueNotAllowed`.
pub fn check_log_group(binding: &TrustBindingSpec, spec: &WorkflowSpec) -> Result<(), Failure> {
    check_log_stream(spec)?;
    let Some(group) = results_from(spec) else { return Ok(()) };
    let part = |at: usize| binding.role_arn.split(':').nth(at).unwrap_or_default();
    let (partition, account) = (part(1), part(4));
    match values::log_group(partition, &binding.region, account, group) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!(
                "spec.logging.logGroupARN: {error}, so no result can be read from it, as spec.expressResults asks; nothing was written to AWS. Name arn:{partition}:logs:{}:{account}:log-group:<name>, without wildcards, or set spec.expressResults to Dispatched.",
                binding.region
            );
            Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message))
        }
    }
}

/// Refuses a log stream in the place of its group: Step Functions makes the streams itself.
///
/// # Errors
/// `ValueNotAllowed`.
pub fn check_log_stream(spec: &WorkflowSpec) -> Result<(), Failure> {
    let group = spec.logging.as_ref().and_then(|logging| logging.log_group_arn.as_deref());
    let Some((group, _)) = group.and_then(|arn| arn.split_once(":log-stream:")) else { return Ok(()) };
    let message = format!(
        "spec.logging.logGroupARN names a log stream, and a state machine logs to a group, in which it makes its streams itself; nothing was written to AWS. Name {group}:*."
    );
    Err(Failure::new(Class::Terminal, Reason::ValueNotAllowed, message))
}

fn alarms(spec: &WorkflowSpec) -> bool {
    let mut rollouts = spec.aliases.iter().filter_map(|alias| alias.rollout.as_ref());
    rollouts.any(|rollout| !rollout.alarms.is_empty())
}

fn key(encryption: Option<&Encryption>) -> Option<String> {
    encryption.map(|encryption| encryption.kms_key_id.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_log_is_read_where_its_workflow_wants_that_and_it_has_all() {
        let spec = |more: Value| -> WorkflowSpec {
            let mut whole = json!({"trustBindingRef": {"name": "orders"}, "definition": {}, "type": "Express",
                "executionRoleARN": "arn:aws:iam::111122223333:role/run", "expressResults": "FromLogs",
                "logging": {"level": "All", "logGroupARN": "arn:aws:logs:eu-west-1:111122223333:log-group:shop:*"}});
            for (key, value) in more.as_object().unwrap() {
                whole[key] = value.clone();
            }
            serde_json::from_value(whole).unwrap()
        };
        for (more, wanted, complete) in [
            (json!({}), true, true),
            (json!({"expressResults": "Dispatched"}), false, true),
            (json!({"type": "Standard"}), false, false),
            (json!({"logging": null}), false, false),
            (
                json!({"logging": {"level": "Error", "logGroupARN": "arn:aws:logs:eu-west-1:1:log-group:shop"}}),
                false,
                false,
            ),
        ] {
            let spec = spec(more.clone());
            assert_eq!((results_from(&spec).is_some(), complete_log(&spec).is_some()), (wanted, complete), "{more}");
        }
    }
}
