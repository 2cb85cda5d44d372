//! What AWS refuses, in classes of our own.

use crate::iam::trust::denial_hint;
use crate::outcome::{Class, Classify, bounded};
use crate::reason::Reason;

/// A refusal or failure of AWS, free of request ids and times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {code}: {message}")]
pub struct AwsError {
    /// What went wrong, as far as it changes what we do.
    pub kind: AwsErrorKind,
    /// `service:Operation`, for example `states:CreateStateMachine`.
    pub operation: &'static str,
    /// AWS's code, or one of ours where no answer came.
    pub code: String,
    /// AWS's message, sanitised.
    pub message: String,
}

/// Code where no answer came in time.
pub(super) const TIMEOUT: &str = "Timeout";
/// Code where there was no connection.
pub(super) const UNCONNECTED: &str = "ConnectionFailed";

/// The kinds of failure that lead to different actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AwsErrorKind {
    /// Throttled; come back later.
    Throttled,
    /// Not called: this operator's share of the quota is used up for now.
    Queued,
    /// 5xx, timeout or reset: it may or may not have been applied.
    Unavailable,
    /// IAM or STS says no.
    AccessDenied,
    /// The machine's own key is disabled, or is to be deleted.
    KeyUnusable,
    /// AWS cannot assume the execution role (yet), or may not be told to.
    RoleNotAssumable,
    /// The definition is refused.
    InvalidDefinition,
    /// The input is refused.
    InvalidInput,
    /// Another machine or owner has that name.
    NameTaken,
    /// The machine is being deleted.
    Deleting,
    /// An execution of that name exists.
    ExecutionExists,
    /// The execution runs, has succeeded, or is too old or too long to be redriven.
    NotRedrivable,
    /// It does not exist.
    NotFound,
    /// The session has expired; take a new one.
    SessionExpired,
    /// A quota of the account is used up.
    LimitExceeded,
    /// Any other refusal of the request.
    Rejected,
}

impl AwsErrorKind {
    /// Label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            AwsErrorKind::Throttled => "throttled",
            AwsErrorKind::Queued => "queued",
            AwsErrorKind::Unavailable => "unavailable",
            AwsErrorKind::AccessDenied => "access_denied",
            AwsErrorKind::KeyUnusable => "key_unusable",
            AwsErrorKind::RoleNotAssumable => "role_not_assumable",
            AwsErrorKind::InvalidDefinition => "invalid_definition",
            AwsErrorKind::InvalidInput => "invalid_input",
            AwsErrorKind::NameTaken => "name_taken",
            AwsErrorKind::Deleting => "deleting",
            AwsErrorKind::ExecutionExists => "execution_exists",
            AwsErrorKind::NotRedrivable => "not_redrivable",
            AwsErrorKind::NotFound => "not_found",
            AwsErrorKind::SessionExpired => "session_expired",
            AwsErrorKind::LimitExceeded => "limit_exceeded",
            AwsErrorKind::Rejected => "rejected",
        }
    }
}

impl AwsError {
    /// True where no answer came: no connection, or none in time.
    pub fn is_silence(&self) -> bool {
        matches!(self.code.as_str(), TIMEOUT | UNCONNECTED)
    }

    /// What the reader is to do about it.
    fn next_step(&self) -> &'static str {
        match self.kind {
            AwsErrorKind::Throttled
            | AwsErrorKind::Queued
            | AwsErrorKind::Unavailable
            | AwsErrorKind::SessionExpired
            | AwsErrorKind::Deleting => "It is tried again by itself.",
            AwsErrorKind::AccessDenied => {
                "Allow it in the policies of the binding's role; it is tried again by itself."
            }
            AwsErrorKind::KeyUnusable => {
                "Enable the state machine's key, or give the Workflow another; it is tried again by itself."
            }
            AwsErrorKind::RoleNotAssumable => {
                "The execution role has to trust states.amazonaws.com; AWS needs up to two minutes to know a new role, and it is tried again by itself."
            }
            AwsErrorKind::LimitExceeded => "Ask AWS for a higher quota, or make room; it is tried again by itself.",
            AwsErrorKind::InvalidDefinition => "Correct the definition.",
            AwsErrorKind::InvalidInput => "Create another run with a correct input.",
            AwsErrorKind::NameTaken | AwsErrorKind::ExecutionExists => "Choose another name.",
            AwsErrorKind::NotRedrivable => "Create another run.",
            AwsErrorKind::NotFound => "Create it, or correct its name.",
            AwsErrorKind::Rejected => "Correct the object's spec.",
        }
    }
}

impl Classify for AwsError {
    fn class(&self) -> Class {
        match self.kind {
            AwsErrorKind::Throttled
            | AwsErrorKind::Queued
            | AwsErrorKind::Unavailable
            | AwsErrorKind::SessionExpired
            | AwsErrorKind::Deleting => Class::Transient,
            AwsErrorKind::AccessDenied
            | AwsErrorKind::KeyUnusable
            | AwsErrorKind::RoleNotAssumable
            | AwsErrorKind::LimitExceeded => Class::Denied,
            AwsErrorKind::NotFound => Class::Waiting,
            AwsErrorKind::InvalidDefinition
            | AwsErrorKind::InvalidInput
            | AwsErrorKind::NameTaken
            | AwsErrorKind::ExecutionExists
            | AwsErrorKind::NotRedrivable
            | AwsErrorKind::Rejected => Class::Terminal,
        }
    }

    fn reason(&self) -> Reason {
        match self.kind {
            AwsErrorKind::Throttled => Reason::Throttled,
            AwsErrorKind::Queued => Reason::WaitingForQuota,
            AwsErrorKind::Unavailable => Reason::AWSUnavailable,
            AwsErrorKind::AccessDenied => Reason::AccessDenied,
            AwsErrorKind::KeyUnusable => Reason::KeyUnusable,
            AwsErrorKind::RoleNotAssumable => Reason::WaitingForIAM,
            AwsErrorKind::InvalidDefinition => Reason::DefinitionRejected,
            AwsErrorKind::InvalidInput => Reason::InputRejected,
            AwsErrorKind::NameTaken => Reason::StateMachineNameTaken,
            AwsErrorKind::Deleting => Reason::StateMachineDeleting,
            AwsErrorKind::ExecutionExists => Reason::ExecutionNameTaken,
            AwsErrorKind::NotRedrivable => Reason::NotRedrivable,
            AwsErrorKind::NotFound => Reason::NotFound,
            AwsErrorKind::SessionExpired => Reason::SessionExpired,
            AwsErrorKind::LimitExceeded => Reason::LimitExceeded,
            AwsErrorKind::Rejected => Reason::Rejected,
        }
    }

    fn public(&self) -> String {
        let Self { operation, code, message, .. } = self;
        if self.kind == AwsErrorKind::Queued {
            return format!("{operation} waits for its turn: {message}. It goes on by itself.");
        }
        let next = denial_hint(message).unwrap_or_else(|| self.next_step());
        let said = if self.is_silence() { "AWS did not answer" } else { "AWS refused" };
        bounded(&format!("{said} {operation}: {code}: {}. {next}", message.trim_end_matches('.')))
    }
}
