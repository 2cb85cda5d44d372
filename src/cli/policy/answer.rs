//! What `stepbound policy` reads and writes, and why it prints no policy.

use std::path::{Path, PathBuf};

use super::view;
use crate::cli::files;
use crate::cli::input::InputError;
use crate::cli::out::{print, say};
use crate::cli::trust::answer::TrustError;
use crate::iam::document::{Document, DocumentError};
use crate::iam::execution_role::Derived;

/// Why no policy is printed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The manifest gives no binding, or the answer cannot be written.
    #[error(transparent)]
    BindingRole(#[from] TrustError),
    /// The files give no state machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Account or region is known from nowhere.
    #[error("{what}: the {missing} is not known; give it with --{missing}{hint}")]
    Location {
        /// Which state machine.
        what: String,
        /// `account` or `region`.
        missing: &'static str,
        /// Where it could be known from.
        hint: &'static str,
    },
    /// The region is of another partition than the rest.
    #[error(
        "{what}: region {region} is of partition {of_region}, but the partition is {partition}, of --partition or the execution role; correct one of them"
    )]
    Partition {
        /// Which state machine.
        what: String,
        /// The region.
        region: String,
        /// Its partition.
        of_region: String,
        /// The partition otherwise.
        partition: String,
    },
    /// The policy to compare with cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The policy to compare with is none.
    #[error("{}: {source}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DocumentError,
    },
    /// Workflows of several execution roles cannot become one policy.
    #[error("the Workflows given use {} execution roles; choose one with --execution-role:\n  {}", .0.len(), .0.join("\n  "))]
    SeveralRoles(Vec<String>),
    /// A policy is given for a role that no step acts as.
    #[error("--compare {given}: write ROLE=FILE, with a role of these by its name or ARN: {}", roles.join(", "))]
    NoRole {
        /// What was given.
        given: String,
        /// Roles that there are.
        roles: Vec<String>,
    },
    /// A role is written with its trust policy.
    #[error("the roles trust the execution role, which is not known; give it with --execution-role ARN")]
    NoExecutionRole,
    /// A role that is there already, and does more than to be a step's, would be written anew.
    #[error(
        "{states} act as {role}, which is an execution role itself: writing it as the role of a step would replace the trust policy by which Step Functions assumes it. Give the steps a role of their own in spec.stepRoles, or leave them out of it"
    )]
    StepIsExecutionRole {
        /// The role.
        role: String,
        /// The steps.
        states: String,
    },
    /// A proposal is no policy.
    #[error(
        "--split proposes spec.stepRoles; print it as text, yaml or json, and the policies once the Workflow has the roles"
    )]
    SplitForm,
    /// A resource is given for a state that there is not.
    #[error("--resource names the state \"{name}\", which no definition given has{}", nearest.as_ref().map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default())]
    NoState {
        /// The name as given.
        name: String,
        /// The nearest name of a state.
        nearest: Option<String>,
    },
    /// The policy cannot be written as YAML.
    #[error("the policy cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// Nothing can be printed.
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
}

impl PolicyError {
    /// 1 where the answer is that there is no such policy.
    pub(crate) fn exit_code(&self) -> u8 {
        if let Self::BindingRole(error) = self { error.exit_code() } else { 2 }
    }
}

/// A policy document of a file.
pub(super) fn document(path: &Path) -> Result<Document, PolicyError> {
    let text = files::read(path).map_err(|source| PolicyError::Read { path: path.to_owned(), source })?;
    Document::parse_file(&text).map_err(|source| PolicyError::Document { path: path.to_owned(), source })
}

/// The document on standard output is for machines; what it lacks is for people.
pub(super) fn findings_to_stderr(derived: &Derived) {
    for finding in &derived.findings {
        say(&view::finding(finding));
    }
}

pub(super) fn write(text: &str) -> Result<(), PolicyError> {
    print(text).map_err(PolicyError::Write)
}
