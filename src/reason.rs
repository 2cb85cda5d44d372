//! Reasons of conditions, events and metrics. What each means, and what to do, stands in `docs/runbook.md`; a test holds the two
//! together.

use std::fmt;

use serde::{Serialize, Serializer};

/// Declares the reasons, each named as it is shown.
macro_rules! reasons {
    ($($name:ident),* $(,)?) => {
        /// Why a condition is as it is, or an event was written.
        #[allow(missing_docs)] // docs/runbook.md explains each
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($name),*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The one with this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }

            /// As it is shown.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

reasons! {
    APIServerError,
    APIServerUnreachable,
    AWSUnavailable,
    Aborted,
    AccessDenied,
    ActivityNameTaken,
    AliasMoving,
    AliasNotFound,
    AliasUnknown,
    ApprovalDenied,
    ApprovalGranted,
    ApprovalNeedsVersion,
    ApprovalNotEnforced,
    ApprovalTimedOut,
    ApprovalVoid,
    AudienceNotAllowed,
    BindingNotFound,
    Cancelled,
    ChangedInAWS,
    ClaimRejected,
    ConfigMapExists,
    ConfigMapIsOutput,
    ConfigMapKeyNotFound,
    ConfigMapNotFound,
    Conflict,
    ConsentMissing,
    Consented,
    Corrected,
    DefinitionInvalid,
    DefinitionMissing,
    DefinitionRejected,
    Deleting,
    Discovered,
    Dispatched,
    Draining,
    DriftCorrected,
    DriftFound,
    Drifted,
    ExecutionFailed,
    ExecutionNameReserved,
    ExecutionNameTaken,
    ExecutionNotFound,
    ExecutionRoleForeign,
    ExecutionRoleNotAllowed,
    ExecutionStarted,
    Expired,
    ExpiredToken,
    Findings,
    Forbidden,
    GuardrailsUnknown,
    HistoryNotSupported,
    HistoryRead,
    HistoryReading,
    IdentityProviderNotFound,
    IgnoredAfterStart,
    InUse,
    InputAmbiguous,
    InputChanged,
    InputInvalid,
    InputRejected,
    InputSchemaInvalid,
    InputSchemaUnknown,
    InputTooLarge,
    InvalidIdentityToken,
    IssuerNotAllowed,
    IssuerNotCognito,
    IssuerUnreachable,
    KeyUnusable,
    LimitExceeded,
    LocationChanged,
    MintFailed,
    Minted,
    MissSchedule,
    ModeNotSupported,
    NameNotAllowed,
    NamespaceTerminating,
    NestedTooDeep,
    NoDrift,
    NoFindings,
    NotEvaluated,
    NotFound,
    NotLeading,
    NotRedrivable,
    ObjectGone,
    ObjectTooLarge,
    Orphaned,
    OutcomeUnknown,
    OutputNotLogged,
    PackedPolicyTooLarge,
    PageExists,
    PausingAfterFailure,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUnusable,
    Queued,
    RateLimited,
    RedriveQueued,
    RedriveRefused,
    RefusedByGuardrail,
    RefusedByLockdown,
    RegionDisabled,
    RegionOfAnotherPartition,
    Rejected,
    Replacing,
    RequestInvalid,
    RequesterUnknown,
    RetryMissing,
    RetryNotSupported,
    RetryScheduled,
    RoleAssumed,
    RolledBack,
    RollingOut,
    RunActive,
    RunNameTaken,
    RunNotFound,
    RunNotStarted,
    RunTemplateInvalid,
    Running,
    RunsAsUnknown,
    RunsUnknown,
    ScheduleInvalid,
    ScheduleNeverDue,
    Scheduled,
    SecretNotForIssuer,
    SecretUnreadable,
    ServiceAccountMissing,
    SessionExpired,
    SessionGivenUp,
    SessionPolicyInvalid,
    SessionPolicyTooLarge,
    StartDeadlineExceeded,
    StartDeadlineUnreadable,
    Starting,
    StateMachineDeleting,
    StateMachineMoving,
    StateMachineNameTaken,
    StepRoleInvalid,
    StepRoleNotAllowed,
    StillSynced,
    Stopping,
    Stored,
    Succeeded,
    Suspended,
    Synced,
    Throttled,
    TimeZoneUnknown,
    TimedOut,
    Timeout,
    TooManyHistories,
    TooManyMissedTimes,
    TypeMismatch,
    UnexpectedAnswer,
    UnexpectedToken,
    Updating,
    Valid,
    ValueNotAllowed,
    WaitingForApproval,
    WaitingForIAM,
    WaitingForQuota,
    WorkflowNotFound,
    WorkflowNotReady,
    WorkflowReplaced,
    WriteRefused,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A condition holds its reason as a text.
impl PartialEq<Reason> for String {
    fn eq(&self, reason: &Reason) -> bool {
        self == reason.as_str()
    }
}
