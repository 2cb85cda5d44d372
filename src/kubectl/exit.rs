//! Exit codes.

use std::process::ExitCode;

use crate::api::v1alpha1::Phase;

/// How a verb ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, and it went well.
    Done = 0,
    /// The run failed, or a check found an error.
    Failed = 1,
    /// It was called in a wrong way.
    Usage = 2,
    /// Refused, not found, no token that counts, or the server cannot be reached.
    Unanswered = 3,
    /// The run timed out.
    TimedOut = 4,
    /// The run was aborted.
    Aborted = 5,
    /// Whoever waited stopped waiting; the run goes on.
    GoesOn = 6,
}

impl Exit {
    /// What the phase of a run means for whoever waited for its end.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Succeeded | Phase::Dispatched => Self::Done,
            Phase::Failed => Self::Failed,
            Phase::TimedOut => Self::TimedOut,
            Phase::Aborted => Self::Aborted,
            Phase::Pending | Phase::Starting | Phase::Running => Self::GoesOn,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
