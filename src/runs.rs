//! The execution tracker: finds out that executions have ended, within AWS's quotas.
//!
//! One `DescribeExecution` a run and sweep is far beyond the quota at some thousand runs, so executions are looked at by the
//! machine: one `ListExecutions` tells of a thousand. `schedule` decides, purely, which machine or execution is looked at
//! next; `tracker` makes the calls and wakes the runs. A queue of events may hint at what to look at first. A
//! hint proves nothing: only what AWS lists or describes ends a run, and absence from a list proves nothing either. Express
//! executions are neither listed nor described; where a Workflow wants their ends, `sweeps` reads them from its log group.

mod command;
mod durations;
mod fairness;
mod hints;
mod machine;
mod past;
mod projection;
mod queue;
mod relay;
mod schedule;
mod sessions;
#[cfg(test)]
mod simulation;
mod sweeps;
mod tracker;

pub use hints::{Hint, hint_of};
pub use past::Past;
pub use projection::{OUTPUT_STORED, awaits_right, forget_finished, is_settled, owes_output, without_settled};
pub use relay::Relay;
pub use schedule::{Describe, Found, Look, Outcome, Schedule};
pub use sessions::SessionSource;
pub use sweeps::{Sweep, Sweeps};
pub use tracker::Tracker;

use std::sync::Arc;

use jiff::Timestamp;

use crate::aws::{Execution, ListedExecution};
use crate::outcome::Failure;
use crate::plan::express_log::LoggedEnd;

/// What one session may look at: a state machine as one binding sees it, or a log group in which it has ends looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineKey {
    /// Namespace of runs and binding.
    pub namespace: String,
    /// TrustBinding whose session looks.
    pub binding: String,
    /// ARN of the machine, without a version, or of the log group.
    pub arn: String,
}

impl MachineKey {
    /// Those that share the quota fairly: the bindings.
    pub fn tenant(&self) -> (String, String) {
        (self.namespace.clone(), self.binding.clone())
    }
}

/// An execution that is followed for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Where it runs and who may look.
    pub machine: Arc<MachineKey>,
    /// Name of the WorkflowRun in the machine key's namespace.
    pub run: String,
    /// ARN of the execution.
    pub execution_arn: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How often it has been redriven when the run was last written: an end of an earlier round is no end.
    pub redrive_count: i32,
    /// True when it was asked to stop, so that its end is near.
    pub stopping: bool,
}

/// What AWS has shown of an execution that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A list shows that it has ended.
    Listed(ListedExecution),
    /// Its description: it has ended, and this is everything.
    Described(Arc<Execution>),
    /// The log has its end.
    Logged(Arc<LoggedEnd>),
    /// AWS showed none, or its log no end, long after the start.
    Missing,
    /// Its binding may not look.
    Refused(Failure),
    /// Its binding may look again.
    Allowed,
}

/// Seconds from one time to another; negative where the other is earlier.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// A time so many seconds later.
fn later(time: Timestamp, seconds: f64) -> Timestamp {
    let millis = jiff::SignedDuration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
    time.checked_add(millis).unwrap_or(Timestamp::MAX)
}
