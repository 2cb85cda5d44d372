//! What is in AWS.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::{
    AlarmState, CreateStateMachine, Execution, ExecutionStatus, HistoryEvent, LogEvent, MapRunCounts, Message, Routes,
    StateMachine, Tags,
};

/// Code and message of a refusal.
pub(super) type Refused = (&'static str, String);

/// A state machine and what belongs to it.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) now: StateMachine,
    /// As it was created.
    pub(super) created: CreateStateMachine,
    pub(super) versions: BTreeMap<i64, Version>,
    /// Numbers are never given twice (`PublishStateMachineVersion`).
    pub(super) last_version: i64,
    pub(super) revisions: usize,
    /// How many looks still show it once it is deleted.
    pub(super) shown_deleting: usize,
}

#[derive(Clone)]
pub(super) struct Version {
    pub(super) machine: StateMachine,
}

/// An execution and what only AWS knows of it.
#[derive(Clone)]
pub(super) struct Ran {
    pub(super) execution: Execution,
    pub(super) tokens: Vec<String>,
    pub(super) events: Vec<HistoryEvent>,
}

/// How an execution ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// With this output.
    Well(&'static str),
    /// With this error.
    Failed(&'static str),
    /// Out of its own time.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) aliases: BTreeMap<String, Routes>,
    pub(super) executions: BTreeMap<String, Ran>,
    pub(super) activities: BTreeSet<String>,
    pub(super) tags: BTreeMap<String, Tags>,
    pub(super) alarms: BTreeMap<String, AlarmState>,
    pub(super) roles: BTreeMap<String, String>,
    pub(super) queues: BTreeMap<String, Vec<Message>>,
    /// By the name of the group.
    pub(super) logs: BTreeMap<String, Vec<LogEvent>>,
    pub(super) map_runs: BTreeMap<String, MapRunCounts>,
    /// Executions that AWS does not redrive, by ARN, and why.
    pub(super) not_redrivable: BTreeMap<String, String>,
    /// How a synchronous start ends.
    pub(super) sync_end: Option<Ended>,
    pub(super) starts: usize,
    /// What looks show instead of what is there, and how many more do.
    pub(super) shown: Option<(usize, Box<State>)>,
}

impl State {
    /// What a look shows, where that is not what is there.
    pub(super) fn as_shown(&mut self, is_look: bool) -> Option<State> {
        let (left, shown) = self.shown.as_mut().filter(|(left, _)| is_look && *left > 0)?;
        *left -= 1;
        Some((**shown).clone())
    }

    /// The machine, where it exists and is not being deleted.
    pub(super) fn machine(&mut self, arn: &str) -> Result<&mut Machine, Refused> {
        match self.machines.get_mut(arn) {
            None => Err(no_machine(arn)),
            Some(machine) if machine.now.deleting => {
                Err(("StateMachineDeleting", format!("State Machine is being deleted: '{arn}'")))
            }
            Some(machine) => Ok(machine),
        }
    }
}

impl Ran {
    pub(super) fn end(&mut self, ended: Ended) {
        let execution = &mut self.execution;
        execution.stopped_at = Some(Timestamp::now());
        execution.status = match ended {
            Ended::Well(output) => {
                execution.output = Some(output.to_owned());
                ExecutionStatus::Succeeded
            }
            Ended::Failed(error) => {
                (execution.error, execution.cause) = (Some(error.to_owned()), Some("because".to_owned()));
                ExecutionStatus::Failed
            }
            Ended::TimedOut => ExecutionStatus::TimedOut,
            Ended::Aborted => ExecutionStatus::Aborted,
        };
    }
}

pub(super) fn no_machine(arn: &str) -> Refused {
    ("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
}

pub(super) fn no_resource(arn: &str) -> Refused {
    ("ResourceNotFound", format!("Resource not found: '{arn}'"))
}

pub(super) fn no_execution(arn: &str) -> Refused {
    ("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

/// The machine's ARN, without a version or alias.
pub(super) fn machine_of(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

/// The number behind a version's ARN.
pub(super) fn number_of(arn: &str) -> Option<i64> {
    arn.split(':').nth(7)?.parse().ok()
}
