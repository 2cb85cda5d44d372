//! Whose an execution is: names that belong to one run, and what proves that an execution is a run's own.
//!
//! A run that gives no name has its executions named after its UID, which nobody else can name. A name that a run gives may
//! have been used before, by another run or by somebody in AWS, and AWS answers a start under it with the execution that is
//! there already. So such an answer is compared with what was recorded before the start, and with a mark that the start carries.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::SignedDuration;

use super::run::{execution_arn, machine_arn};
use crate::api::v1alpha1::{Attempt, WorkflowRun};
use crate::aws::Execution;
use crate::digest::sha256_hex;
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Clocks differ: an execution that started so little before its attempt was recorded may still be this run's own.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Characters of the digest in a mark: 96 bits, which is what X-Ray gives an id.
const MARK: usize = 24;
/// The number of an attempt has fewer digits than the minute in the name of a schedule's execution.
const MOST_DIGITS: usize = 7;

/// True when executions of that name are the run's own by their name alone: its UID, or its UID and the number of an attempt.
pub fn is_own_name(uid: &str, execution_name: &str) -> bool {
    !uid.is_empty() && execution_name.strip_prefix(uid).is_some_and(|rest| rest.is_empty() || is_attempt(rest))
}

/// True of names that only a run which gives none has: they look like a UID. The schema refuses them; this holds for objects
/// from before that.
pub fn is_reserved(execution_name: &str) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let Some((uid, rest)) = execution_name.split_at_checked(36) else { return false };
    let looks_like_one =
        uid.bytes().enumerate().all(|(at, c)| if DASHES.contains(&at) { c == b'-' } else { c.is_ascii_hexdigit() });
    looks_like_one && (rest.is_empty() || is_attempt(rest))
}

fn is_attempt(rest: &str) -> bool {
    let number = rest.strip_prefix('-').unwrap_or_default();
    (1..=MOST_DIGITS).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// The mark with which an attempt is started: the root of an X-Ray trace, made of the time at which it was recorded and a digest
/// that nobody can give another run. AWS keeps it and describes the execution with it (`StartExecution` and `DescribeExecution`,
/// field `traceHeader`).
pub fn mark(uid: &str, attempt: &Attempt) -> String {
    let seconds = u32::try_from(attempt.recorded_at.0.as_second()).unwrap_or_default();
    let digest = sha256_hex(format!("{uid}/{}", attempt.number).as_bytes());
    format!("1-{seconds:08x}-{}", &digest[..MARK])
}

/// The mark in a trace header.
fn mark_of(header: &str) -> Option<&str> {
    header.split(';').find_map(|field| field.trim().strip_prefix("Root="))
}

/// How an execution that exists under an attempt's name relates to the run `uid`: false where it is the run's own, true where
/// it is only followed. `input` is the attempt's, where it is at hand; its digest is recorded in any case.
///
/// # Errors
/// `ExecutionNameTaken` when input, machine, version or alias differ: it is somebody else's.
pub fn adopt(uid: &str, attempt: &Attempt, input: Option<&str>, found: &Execution) -> Result<bool, Failure> {
    let text = found.input.as_deref();
    let same_input = text.is_some_and(|other| {
        sha256_hex(other.as_bytes()) == attempt.input_digest || input.is_some_and(|input| same_json(input, other))
    });
    if !same_input || !same_target(&attempt.target_arn, found) {
        let what = if same_input { "another target" } else { "another input" };
        return Err(taken(&found.arn, &format!("exists with {what}; it was not touched")));
    }
    if is_own_name(uid, &attempt.execution_name) {
        return Ok(false);
    }
    let in_time = attempt.recorded_at.0.duration_since(found.started_at) <= CLOCK_SKEW;
    let marked = found.trace_header.as_deref().and_then(mark_of) == Some(mark(uid, attempt).as_str());
    Ok(!(in_time && marked))
}

fn taken(execution: &str, why: &str) -> Failure {
    let message = format!("Execution {execution} {why}. Create a run with another spec.executionName.");
    Failure::new(Class::Terminal, Reason::ExecutionNameTaken, message)
}

fn same_json(a: &str, b: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || (read(a).is_some() && read(a) == read(b))
}

/// AWS describes an execution with the version, and with the alias, by which it was started (`DescribeExecution`, fields
/// `stateMachineVersionArn` and `stateMachineAliasArn`).
fn same_target(target_arn: &str, found: &Execution) -> bool {
    let machine = machine_arn(target_arn);
    let (version, alias) = (found.version_arn.as_deref(), found.alias_arn.as_deref());
    let qualifier = target_arn.strip_prefix(&machine).and_then(|rest| rest.strip_prefix(':'));
    found.state_machine_arn == machine
        && match qualifier {
            None => version.is_none() && alias.is_none(),
            Some(number) if number.bytes().all(|c| c.is_ascii_digit()) => {
                version == Some(target_arn) && alias.is_none()
            }
            Some(_) => alias == Some(target_arn),
        }
}

/// Namespace and name of a run.
type NamespacedName = (String, String);

/// The names that runs gave to executions, by the ARN that such an execution has. Names after a UID are left out: nobody else can
/// give them.
#[derive(Debug, Default)]
pub struct Names {
    /// The runs that have recorded a name, by UID.
    by_execution: HashMap<String, BTreeMap<String, NamespacedName>>,
    by_run: HashMap<String, String>,
    /// UIDs seen since a listing began.
    listed: Option<HashSet<String>>,
    complete: bool,
}

impl Names {
    /// A listing of all runs begins.
    pub fn begin_listing(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// It has ended: what it did not show is gone.
    pub fn end_listing(&mut self) {
        let listed = self.listed.take().unwrap_or_default();
        let gone: Vec<String> = self.by_run.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        for uid in gone {
            self.forget(&uid);
        }
        self.complete = true;
    }

    /// A run as it is now.
    pub fn see(&mut self, run: &WorkflowRun) {
        let Some(uid) = run.metadata.uid.clone() else { return };
        let (Some(_), Some(status)) = (&run.spec.execution_name, &run.status) else {
            // What was claimed for it stays: its attempt is about to be written.
            self.note_listed(uid);
            return;
        };
        let never_ran = status.phase.unwrap_or_default().is_finished() && status.execution_arn.is_none();
        if never_ran {
            self.forget(&uid);
            return;
        }
        if let Some(execution) = named_execution(run) {
            let place =
                (run.metadata.namespace.clone().unwrap_or_default(), run.metadata.name.clone().unwrap_or_default());
            self.insert(&uid, execution, place);
        }
        self.note_listed(uid);
    }

    fn note_listed(&mut self, uid: String) {
        if let Some(listed) = &mut self.listed {
            listed.insert(uid);
        }
    }

    fn insert(&mut self, uid: &str, execution: String, place: NamespacedName) {
        self.forget(uid);
        self.by_execution.entry(execution.clone()).or_default().insert(uid.to_owned(), place);
        self.by_run.insert(uid.to_owned(), execution);
    }

    /// A run is gone.
    pub fn forget(&mut self, uid: &str) {
        let Some(execution) = self.by_run.remove(uid) else { return };
        if let Some(runs) = self.by_execution.get_mut(&execution) {
            runs.remove(uid);
            if runs.is_empty() {
                self.by_execution.remove(&execution);
            }
        }
    }

    /// Gives the name of an execution to a run before it is recorded: to the first that asks, so that of two that ask at once
    /// one gets it.
    ///
    /// # Errors
    /// `ExecutionNameTaken` where another run has it; a passing one before all runs were seen.
    pub fn claim(&mut self, uid: &str, place: NamespacedName, execution: &str) -> Result<(), Failure> {
        if !self.complete {
            return Err(Failure::new(Class::Conflict, Reason::RunsUnknown, "the runs have not all been seen yet"));
        }
        let others = self.by_execution.get(execution).into_iter().flatten();
        if let Some((_, (namespace, name))) = others.into_iter().find(|(other, _)| *other != uid) {
            // Names of another namespace are nobody's business here.
            let whose =
                if *namespace == place.0 { format!("WorkflowRun \"{name}\"") } else { "another run".to_owned() };
            return Err(taken(execution, &format!("is {whose}'s, which gave the name first")));
        }
        self.insert(uid, execution.to_owned(), place);
        Ok(())
    }
}

/// ARN of the execution under the name that a run gives, once an attempt is recorded.
fn named_execution(run: &WorkflowRun) -> Option<String> {
    let name = run.spec.execution_name.clone()?;
    let last = run.status.as_ref()?.attempts.last()?;
    Some(execution_arn(&Attempt { execution_name: name, ..last.clone() }))
}

#[cfg(test)]
mod tests;
