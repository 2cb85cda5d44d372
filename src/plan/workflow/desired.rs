//! What a Workflow wants of its state machine.

use super::owner::{Owner, RELEASE_TAG};
use crate::api::v1alpha1::{AdoptionPolicy, DriftPolicy, PublishPolicy, StateMachineType};
use crate::asl::Definition;
use crate::aws::{MachineSettings, Tags};
use crate::digest::short_hex;
use crate::plan::tags;

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
    /// Logging, tracing, encryption.
    pub settings: MachineSettings,
    /// The user's tags.
    pub tags: Tags,
    /// Whose it is.
    pub owner: Owner,
    /// Whether changes are published as versions.
    pub publish: PublishPolicy,
    /// What to do about changes made in AWS.
    pub drift: DriftPolicy,
    /// What to do about a machine that exists already.
    pub adoption: AdoptionPolicy,
    /// Revision in Git that the spec is of, where somebody says so.
    pub git_revision: Option<String>,
    /// Whether the definition, or a value in it, stands in a ConfigMap.
    pub from_config_map: bool,
    /// The exact owner, `<cluster>/<namespace>/<name>` or `ack/<namespace>`, from which the machine may be taken over where
    /// that owner agrees.
    pub take_over_from: Option<String>,
    /// Whether the API server has asked whoever wrote that for the verb `take-over` in the owner's namespace, where that is in
    /// this cluster.
    pub take_over_is_checked: bool,
    /// Who may take the machine over from this Workflow.
    pub release_to: Option<String>,
    /// Keys of tags by which the users of other tools mark what is theirs.
    pub foreign_marks: Vec<String>,
    /// Whether nothing may be taken over or adopted.
    pub lockdown: bool,
}

/// What stands in the description of a version whose definition, or a value in it, came from a ConfigMap. A version outlives the
/// object that published it, and what a Guardrail forbids is then known from nowhere else.
const FROM_CONFIG_MAP: &str = ":from-config-map";

/// Whether a version's description says that its definition, or a value in it, came from a ConfigMap.
pub fn is_from_config_map(description: &str) -> bool {
    description.starts_with("stepbound:") && description.contains(FROM_CONFIG_MAP)
}

impl Desired {
    /// Hash of all that an update writes.
    pub fn hash(&self) -> String {
        let whole = format!("{}\n{}\n{:?}", self.definition.text(), self.role_arn, self.settings);
        short_hex(whole.as_bytes(), 8)
    }

    /// Makes a creation or version ours alone: another owner's identical request has another description.
    pub fn version_description(&self) -> String {
        // Longest that AWS takes (`PublishStateMachineVersion`, parameter `description`).
        const LONGEST: usize = 256;
        let mark = if self.from_config_map { FROM_CONFIG_MAP } else { "" };
        let own = format!("stepbound:{}:{}{mark}", self.owner.uid, self.definition.hash());
        let whole = self.git_revision.iter().fold(own, |own, revision| format!("{own}:{revision}"));
        whole.chars().take(LONGEST).collect()
    }

    pub(super) fn published_description(&self) -> Option<String> {
        (self.publish == PublishPolicy::OnChange).then(|| self.version_description())
    }

    pub(super) fn all_tags(&self) -> Tags {
        let release = self.release_to.clone().map(|whom| (RELEASE_TAG.to_owned(), whom));
        self.tags.clone().into_iter().chain(self.owner.tags()).chain(release).collect()
    }

    /// Keys of the tags that this object sets, the owner's apart.
    pub fn tag_keys(&self) -> impl Iterator<Item = String> + '_ {
        self.tags.keys().cloned().chain(self.release_to.is_some().then(|| RELEASE_TAG.to_owned()))
    }

    /// Keys to be on record once these tags are set, where the record lacks some.
    pub fn tag_keys_to_record(&self, recorded: &[String]) -> Option<Vec<String>> {
        let keys: Vec<String> = self.tag_keys().collect();
        tags::to_record(recorded, keys.iter())
    }
}
