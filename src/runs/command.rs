//! What the tasks of the tracker are told.

use super::{Followed, MachineKey};

/// What a task is told.
pub(super) enum Command {
    Remember(MachineKey, Vec<f64>),
    Follow(Followed),
    AwaitEnd(Followed),
    WantOutput(Followed),
    Forget(String),
    Hint(String),
}

/// Account and region, which share quotas.
pub(super) type Domain = (String, String);
