//! What a Workflow needs done in AWS.

mod desired;
mod difference;
mod owner;
mod permissions;
#[cfg(test)]
mod tests;

pub use desired::{Desired, is_from_config_map};
pub use difference::summary;
pub use owner::{
    CLUSTER_TAG, NAMESPACE_TAG, Owner, RELEASE_TAG, activity_arn, check_execution_role, check_key, check_name,
    default_name, foreign, name_pattern, names_of, owner_of, state_machine_arn,
};
pub use permissions::required_permissions;

use serde::Serialize;

use super::{lockdown, tags};
use crate::api::v1alpha1::{AdoptionPolicy, DriftPolicy, PublishPolicy};
use crate::aws::{CreateStateMachine, StateMachine, Tags, UpdateStateMachine};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// What is known of the machine.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The machine, where there is one.
    pub machine: Option<StateMachine>,
    /// Its tags, where they were read.
    pub tags: Option<Tags>,
    /// Hash of what was last written for this object.
    pub applied_hash: Option<String>,
    /// Keys of the tags that this object has set.
    pub tag_keys: Vec<String>,
    /// Whether a version has been published for this object.
    pub has_version: bool,
    /// Whether the newest version is known to have come from a ConfigMap although the object now has it all itself.
    pub version_from_config_map: bool,
}

/// One call to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Create the machine.
    Create(CreateStateMachine),
    /// Update it.
    Update(UpdateStateMachine),
    /// Publish a version of what it is, with this description.
    Publish(String),
    /// Set tags on it.
    Tag(Tags),
    /// Remove tags from it.
    Untag(Vec<String>),
}

/// What is to be done and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Calls, in this order.
    pub actions: Vec<Action>,
    /// What somebody else has changed in AWS.
    pub drift: Vec<String>,
    /// True when a machine that exists is taken over.
    pub adopts: bool,
    /// True when it carries the tags of another owner, who lets it go.
    pub from_another_owner: bool,
    /// Keys of tags to be on record before the calls. A creation brings its tags along, so its keys are on record with it.
    pub record_tag_keys: Option<Vec<String>>,
}

/// True when the tags have to be read: before the first write to a machine that was found existing, after the spec
/// changed, and when it is time again. Reading them costs one of a single call a second, so a resync does not.
pub fn needs_tags(machine: Option<&StateMachine>, known_as_ours: bool, spec_changed: bool, due: bool) -> bool {
    machine.is_some_and(|machine| !machine.deleting) && (!known_as_ours || spec_changed || due)
}

/// Decides.
///
/// # Errors
/// When the machine must not be touched: it is somebody else's, of another type, or being deleted.
pub fn plan(desired: &Desired, observed: &Observed) -> Result<Plan, Failure> {
    let Some(machine) = &observed.machine else {
        return Ok(Plan { actions: vec![Action::Create(creation(desired))], ..Plan::default() });
    };
    if machine.deleting {
        let message =
            format!("State machine {} is still being deleted by AWS; it is created again afterwards.", machine.arn);
        return Err(Failure::new(Class::Transient, Reason::StateMachineDeleting, message));
    }
    let adopts = adopts(desired, machine, observed.tags.as_ref())?;
    if machine.machine_type != desired.machine_type {
        let message = format!(
            "State machine {} is of type {:?} and AWS cannot change a type. Create a Workflow of another name with type {:?}.",
            machine.arn, machine.machine_type, desired.machine_type
        );
        return Err(Failure::new(Class::Terminal, Reason::TypeMismatch, message));
    }
    let differences = difference::differences(desired, machine);
    let drifted = !adopts && observed.applied_hash.as_deref() == Some(desired.hash().as_str());
    let record_tag_keys = observed.tags.as_ref().and_then(|_| desired.tag_keys_to_record(&observed.tag_keys));
    let from_another_owner = adopts && observed.tags.as_ref().is_some_and(owner::can_agree);
    let mut plan = Plan { adopts, from_another_owner, record_tag_keys, ..Plan::default() };
    // The mark comes first: a machine that is being taken over is ours before it is changed.
    plan.actions.extend(observed.tags.as_ref().map(|tags| tag_actions(desired, observed, tags)).unwrap_or_default());
    if drifted && !differences.is_empty() {
        plan.drift.clone_from(&differences);
    }
    let leave = drifted && desired.drift == DriftPolicy::Report;
    if !differences.is_empty() && !leave {
        plan.actions.push(Action::Update(UpdateStateMachine {
            arn: machine.arn.clone(),
            definition: desired.definition.text().to_owned(),
            role_arn: desired.role_arn.clone(),
            settings: desired.settings.clone(),
            version_description: desired.published_description(),
        }));
    } else if publishes(desired, observed, !differences.is_empty()) {
        plan.actions.push(Action::Publish(desired.version_description()));
    }
    Ok(plan)
}

/// Whether the machine is published as it is: for the first version, and to learn whether the newest is just this, since AWS answers
/// with the version that a revision has already (`PublishStateMachineVersion`: "idempotent"). An update whose answer nobody has
/// may have made it as it is to be, with a version that is not known here.
fn publishes(desired: &Desired, observed: &Observed, differs: bool) -> bool {
    let unanswered = observed.applied_hash.as_deref() != Some(desired.hash().as_str());
    let wanted = !observed.has_version || (observed.version_from_config_map || unanswered) && !differs;
    wanted && desired.publish == PublishPolicy::OnChange
}

fn creation(desired: &Desired) -> CreateStateMachine {
    CreateStateMachine {
        name: desired.name.clone(),
        definition: desired.definition.text().to_owned(),
        role_arn: desired.role_arn.clone(),
        machine_type: desired.machine_type,
        settings: desired.settings.clone(),
        version_description: desired.published_description(),
        tags: desired.all_tags(),
    }
}

/// Whether the machine is taken over; refuses one that is not ours and may not be.
fn adopts(desired: &Desired, machine: &StateMachine, tags: Option<&Tags>) -> Result<bool, Failure> {
    let Some(tags) = tags.filter(|tags| !desired.owner.owns(tags)) else { return Ok(false) };
    let asked = desired.take_over_from.as_deref();
    let allowed = match owner_of(tags, &desired.foreign_marks) {
        Some(owner) => asked == Some(owner.as_str()) && owner_agrees(desired, tags),
        None => desired.adoption == AdoptionPolicy::IfUnowned,
    };
    if allowed && desired.lockdown {
        return Err(lockdown::take_over(&machine.arn));
    }
    if allowed { Ok(true) } else { Err(foreign(&machine.arn, tags, &desired.foreign_marks, &desired.owner, asked)) }
}

/// Asking for a machine is not enough: its owner has let it go to this Workflow by a tag, or whoever asks has a right where the
/// owner is. That right only the API server of the owner's own cluster can look up.
fn owner_agrees(desired: &Desired, tags: &Tags) -> bool {
    let has_right = desired.take_over_is_checked && owner::is_in_cluster(tags, &desired.owner.cluster);
    owner::can_agree(tags) && (desired.owner.is_let_have(tags) || has_right)
}

/// The owner's mark goes along with every tag that is set, so that IAM can ask for it, and the consent of an earlier owner goes
/// once it was used.
fn tag_actions(desired: &Desired, observed: &Observed, present: &Tags) -> Vec<Action> {
    let (mut missing, mut gone) = tags::changes(desired.all_tags(), &observed.tag_keys, present);
    if !missing.is_empty() {
        missing.extend(desired.owner.tags());
    }
    if desired.owner.is_let_have(present) {
        gone.push(RELEASE_TAG.to_owned());
    }
    let tag = (!missing.is_empty()).then_some(Action::Tag(missing));
    let untag = (!gone.is_empty()).then_some(Action::Untag(gone));
    tag.into_iter().chain(untag).collect()
}

/// Log groups of other names each take a line of the account's one resource policy for logs, which is soon full
/// (developer guide, "Logging using CloudWatch Logs", resource policy size).
pub fn log_group_warning(arn: &str) -> Option<String> {
    const FREE: &str = "/aws/vendedlogs/states/";
    let name = arn.split(":log-group:").nth(1)?.trim_end_matches(":*");
    (!name.starts_with(FREE)).then(|| {
        format!("log group {name} takes room in the account's resource policy for logs, which AWS refuses to exceed; name it {FREE}…")
    })
}

/// Versions to remove: the oldest beyond those to keep, without those that are used. `versions` is oldest first.
pub fn prunable(versions: &[i64], retain: i64, used: impl Fn(i64) -> bool) -> Vec<i64> {
    let excess = versions.len().saturating_sub(usize::try_from(retain).unwrap_or(usize::MAX));
    versions.iter().take(excess).copied().filter(|version| !used(*version)).collect()
}
