//! What a Workflow needs done in AWS.

use serde::Serialize;

use crate::api::v1alpha1::StateMachineType;
use crate::asl::Definition;
use crate::aws::{CreateStateMachine, StateMachine, Tags, UpdateStateMachine};
use crate::digest::short_hex;
use crate::outcome::{Class, Failure};

/// Tags that say whose a state machine is. The first three are the owner mark; the UID is for people.
pub const CLUSTER_TAG: &str = "stepbound.dev/cluster";
/// Namespace of the Workflow.
pub const NAMESPACE_TAG: &str = "stepbound.dev/namespace";
/// Name of the Workflow.
pub const NAME_TAG: &str = "stepbound.dev/name";
/// UID of the Workflow, informational: a restored object has another.
pub const UID_TAG: &str = "stepbound.dev/uid";

/// Longest name of a state machine in AWS.
const MAX_NAME: usize = 80;

/// Who owns a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Id of the cluster.
    pub cluster: String,
    /// Namespace of the Workflow.
    pub namespace: String,
    /// Name of the Workflow.
    pub name: String,
    /// UID of the Workflow.
    pub uid: String,
}

impl Owner {
    /// The tags of this owner.
    pub fn tags(&self) -> Tags {
        Tags::from([
            (CLUSTER_TAG.into(), self.cluster.clone()),
            (NAMESPACE_TAG.into(), self.namespace.clone()),
            (NAME_TAG.into(), self.name.clone()),
            (UID_TAG.into(), self.uid.clone()),
        ])
    }

    /// True when the tags carry this owner's mark.
    pub fn owns(&self, tags: &Tags) -> bool {
        let mark = [(CLUSTER_TAG, &self.cluster), (NAMESPACE_TAG, &self.namespace), (NAME_TAG, &self.name)];
        mark.iter().all(|(key, value)| tags.get(*key) == Some(*value))
    }
}

/// The default name of a state machine: prefix, namespace and name. `_` cannot stand in either, so no two objects
/// collide; a name that is too long is cut and told apart by a hash.
pub fn default_name(prefix: &str, namespace: &str, name: &str) -> String {
    let full = format!("{prefix}{namespace}_{name}");
    if full.len() <= MAX_NAME {
        return full;
    }
    let hash = short_hex(full.as_bytes(), 5);
    let kept: String = full.chars().take(MAX_NAME - hash.len() - 1).collect();
    format!("{kept}_{hash}")
}

/// ARN of a state machine beside a role: same partition and account, in the region.
pub fn state_machine_arn(role_arn: &str, region: &str, name: &str) -> String {
    let (partition, account) = location(role_arn);
    format!("arn:{partition}:states:{region}:{account}:stateMachine:{name}")
}

/// Partition and account of a role's ARN.
fn location(role_arn: &str) -> (&str, &str) {
    let mut fields = role_arn.split(':');
    (fields.nth(1).unwrap_or_default(), fields.nth(2).unwrap_or_default())
}

/// Refuses an execution role of another account or partition: AWS would too, but later and less clearly.
///
/// # Errors
/// `ExecutionRoleForeign`.
pub fn check_execution_role(binding_role: &str, execution_role: &str) -> Result<(), Failure> {
    if location(binding_role) == location(execution_role) {
        return Ok(());
    }
    let ((_, account), (_, foreign)) = (location(binding_role), location(execution_role));
    Err(Failure::new(
        Class::Terminal,
        "ExecutionRoleForeign",
        format!(
            "spec.executionRoleARN {execution_role} is of account {foreign}, but the TrustBinding's role is of account {account}. Name a role of the binding's account and partition."
        ),
    ))
}

/// What the spec asks for, resolved and checked.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Name of the machine.
    pub name: String,
    /// ARN it has or will have.
    pub arn: String,
    /// Definition to run.
    pub definition: Definition,
    /// Role of executions.
    pub role_arn: String,
    /// Standard or Express.
    pub machine_type: StateMachineType,
    /// The user's tags.
    pub tags: Tags,
    /// Whose it is.
    pub owner: Owner,
}

impl Desired {
    /// Makes a creation or version ours alone: another owner's identical request has another description.
    fn version_description(&self) -> String {
        format!("stepbound:{}:{}", self.owner.uid, self.definition.hash())
    }

    fn all_tags(&self) -> Tags {
        self.tags.clone().into_iter().chain(self.owner.tags()).collect()
    }

    fn in_sync(&self, machine: &StateMachine) -> bool {
        machine.role_arn == self.role_arn && self.definition.equivalent(&machine.definition)
    }
}

/// One call to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Create the machine.
    Create(CreateStateMachine),
    /// Update definition or role.
    Update(UpdateStateMachine),
    /// Set tags on it.
    Tag(Tags),
}

/// True when the tags have to be read: before the first write to a machine that was found existing, and after the spec
/// changed. Reading them costs one of a single call a second, so a resync does not.
pub fn needs_tags(machine: Option<&StateMachine>, known_as_ours: bool, spec_changed: bool) -> bool {
    machine.is_some_and(|machine| !machine.deleting) && (!known_as_ours || spec_changed)
}

/// Decides. `tags` are those of the machine where they were read.
///
/// # Errors
/// When the machine must not be touched: it is somebody else's, of another type, or being deleted.
pub fn plan(desired: &Desired, machine: Option<&StateMachine>, tags: Option<&Tags>) -> Result<Vec<Action>, Failure> {
    let Some(machine) = machine else {
        return Ok(vec![Action::Create(CreateStateMachine {
            name: desired.name.clone(),
            definition: desired.definition.text().to_owned(),
            role_arn: desired.role_arn.clone(),
            machine_type: desired.machine_type,
            version_description: desired.version_description(),
            tags: desired.all_tags(),
        })]);
    };
    if machine.deleting {
        let message =
            format!("State machine {} is still being deleted by AWS; it is created again afterwards.", machine.arn);
        return Err(Failure::new(Class::Transient, "StateMachineDeleting", message));
    }
    if let Some(tags) = tags
        && !desired.owner.owns(tags)
    {
        return Err(foreign(&machine.arn, tags));
    }
    if machine.machine_type != desired.machine_type {
        let message = format!(
            "State machine {} is of type {:?} and AWS cannot change a type. Create a Workflow of another name with type {:?}.",
            machine.arn, machine.machine_type, desired.machine_type
        );
        return Err(Failure::new(Class::Terminal, "TypeMismatch", message));
    }
    let mut actions = Vec::new();
    if !desired.in_sync(machine) {
        actions.push(Action::Update(UpdateStateMachine {
            arn: machine.arn.clone(),
            definition: desired.definition.text().to_owned(),
            role_arn: desired.role_arn.clone(),
            version_description: desired.version_description(),
        }));
    }
    let missing: Tags = tags.map_or_else(Tags::new, |present| {
        desired.all_tags().into_iter().filter(|(key, value)| present.get(key) != Some(value)).collect()
    });
    if !missing.is_empty() {
        actions.push(Action::Tag(missing));
    }
    Ok(actions)
}

/// The machine carries another owner's mark, or none.
pub fn foreign(arn: &str, tags: &Tags) -> Failure {
    let owner = match (tags.get(CLUSTER_TAG), tags.get(NAMESPACE_TAG), tags.get(NAME_TAG)) {
        (Some(cluster), Some(namespace), Some(name)) => format!("Workflow {namespace}/{name} of cluster {cluster}"),
        _ => "somebody else".to_owned(),
    };
    Failure::new(
        Class::Terminal,
        "StateMachineNameTaken",
        format!(
            "State machine {arn} exists and belongs to {owner}; it was not touched. Set another spec.stateMachineName in a new Workflow, or delete that machine."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::{Source, prepare};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn desired(seconds: u32, role: &str, tags: Tags) -> Desired {
        let value =
            serde_json::json!({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": seconds, "End": true}}});
        Desired {
            name: "shop_fulfil".into(),
            arn: "arn:m".into(),
            definition: prepare(Source::Object(&value), &BTreeMap::new()).unwrap(),
            role_arn: role.into(),
            machine_type: StateMachineType::Standard,
            tags,
            owner: Owner { cluster: "c".into(), namespace: "shop".into(), name: "fulfil".into(), uid: "u".into() },
        }
    }

    /// A model of AWS, just large enough to apply a plan to.
    fn apply(actions: &[Action], machine: &mut Option<StateMachine>, tags: &mut Tags) {
        for action in actions {
            match action {
                Action::Create(create) => {
                    *tags = create.tags.clone();
                    *machine = Some(StateMachine {
                        arn: "arn:m".into(),
                        definition: create.definition.clone(),
                        role_arn: create.role_arn.clone(),
                        machine_type: create.machine_type,
                        revision_id: None,
                        deleting: false,
                    });
                }
                Action::Update(update) => {
                    let machine = machine.as_mut().unwrap();
                    machine.definition.clone_from(&update.definition);
                    machine.role_arn.clone_from(&update.role_arn);
                }
                Action::Tag(more) => tags.extend(more.clone()),
            }
        }
    }

    proptest! {
        #[test]
        fn planning_again_after_applying_gives_no_actions(
            edits in prop::collection::vec((0u32..3, "[ab]", prop::collection::btree_map("[xy]", "[01]", 0..3)), 1..12)
        ) {
            let (mut machine, mut tags) = (None, Tags::new());
            for (seconds, role, user_tags) in edits {
                let desired = desired(seconds, &role, user_tags);
                let seen = machine.is_some().then(|| tags.clone());
                apply(&plan(&desired, machine.as_ref(), seen.as_ref()).unwrap(), &mut machine, &mut tags);
                prop_assert_eq!(plan(&desired, machine.as_ref(), Some(&tags)).unwrap(), vec![]);
            }
        }

        #[test]
        fn a_machine_without_our_mark_is_never_touched(tags in prop::collection::btree_map("stepbound.dev/(cluster|namespace|name)|x", "[cd]|shop|fulfil", 0..4)) {
            let desired = desired(1, "r", Tags::new());
            prop_assume!(!desired.owner.owns(&tags));
            let (mut machine, mut ignored) = (None, Tags::new());
            apply(&plan(&desired, None, None).unwrap(), &mut machine, &mut ignored);
            let refused = plan(&desired, machine.as_ref(), Some(&tags)).unwrap_err();
            prop_assert_eq!(refused.reason, "StateMachineNameTaken");
        }

        #[test]
        fn default_names_fit_and_do_not_collide(a in "[a-z0-9-]{1,63}", b in "[a-z0-9-]{1,120}", c in "[a-z0-9-]{1,120}") {
            let name = default_name("p-", &a, &b);
            prop_assert!(name.len() <= 80);
            prop_assert_eq!(b == c, name == default_name("p-", &a, &c));
        }
    }

    #[test]
    fn an_execution_role_of_another_account_or_partition_is_refused() {
        let binding = "arn:aws:iam::111122223333:role/a";
        assert!(check_execution_role(binding, "arn:aws:iam::111122223333:role/b").is_ok());
        for foreign in ["arn:aws:iam::999999999999:role/b", "arn:aws-cn:iam::111122223333:role/b"] {
            assert_eq!(check_execution_role(binding, foreign).unwrap_err().reason, "ExecutionRoleForeign");
        }
    }
}
