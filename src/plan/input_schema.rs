//! Which schema an input has to fit, and what becomes of one that does not.
//!
//! A version keeps the schema that it was published with, as the Workflow's status remembers it. The newest version has that of the
//! spec for as long as it is what the spec describes, so a schema can be mended without another version.

use crate::api::v1alpha1::{CompactJson, KeptInputSchema, Workflow, WorkflowRef, WorkflowStatus};
use crate::input_schema::{Fault, Misses};
use crate::outcome::{Class, Failure};
use crate::plan::guardrail::{Runs, what_runs};
use crate::plan::run::machine_arn;
use crate::plan::target::target;
use crate::reason::Reason;

/// Most bytes of all schemas that a status keeps, together. One of the largest is a quarter of it.
const MAX_KEPT: usize = 128 * 1024;

/// What a schema is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A version.
    Version(i64),
    /// The state machine itself.
    Machine,
}

impl Of {
    fn is_in(self, record: &KeptInputSchema) -> bool {
        match self {
            Self::Version(number) => record.versions.contains(&number),
            Self::Machine => record.unversioned,
        }
    }

    fn put(self, record: &mut KeptInputSchema) {
        match self {
            Self::Version(number) => {
                record.versions.push(number);
                record.versions.sort_unstable();
            }
            Self::Machine => record.unversioned = true,
        }
    }

    fn take(self, record: &mut KeptInputSchema) {
        match self {
            Self::Version(number) => record.versions.retain(|version| *version != number),
            Self::Machine => record.unversioned = false,
        }
    }
}

/// A schema that is none, as a Workflow tells it.
pub fn refusal(fault: &Fault) -> Failure {
    let message = format!(
        "spec.inputSchema is not taken: {fault}. What is in AWS stays as it is, and runs are checked by the schema before."
    );
    Failure::new(Class::Terminal, Reason::InputSchemaInvalid, message)
}

/// Remembers the schema of a version or of the state machine, or that it has none. Where all are too large together, the oldest is
/// not kept, those of versions that are `routed` to last.
pub fn remember(records: &mut Vec<KeptInputSchema>, of: Of, schema: Option<&CompactJson>, routed: &[i64]) {
    let known = records.iter().find(|record| of.is_in(record));
    if known.map(|record| record.schema.as_ref()) == schema.map(Some) {
        return;
    }
    forget(records, of);
    let Some(schema) = schema else { return };
    let alike = records.iter().position(|record| record.schema.as_ref() == Some(schema));
    let mut record = alike.map_or_else(
        || KeptInputSchema { schema: Some(schema.clone()), ..KeptInputSchema::default() },
        |at| records.remove(at),
    );
    of.put(&mut record);
    // The newest stands last.
    records.push(record);
    while records.iter().map(size).sum::<usize>() > MAX_KEPT {
        let old = &records[..records.len() - 1];
        let is_kept = |record: &&KeptInputSchema| record.schema.is_some();
        let is_routed = |record: &KeptInputSchema| record.versions.iter().any(|version| routed.contains(version));
        let unused = old.iter().position(|record| is_kept(&record) && !is_routed(record));
        let Some(at) = unused.or_else(|| old.iter().position(|record| is_kept(&record))) else { return };
        let gone = records.remove(at);
        omit(records, gone);
    }
}

fn omit(records: &mut Vec<KeptInputSchema>, gone: KeptInputSchema) {
    let at = records.iter().position(|record| record.schema.is_none());
    let mut rest = at.map_or_else(KeptInputSchema::default, |at| records.remove(at));
    rest.versions.extend(gone.versions);
    rest.versions.sort_unstable();
    rest.unversioned |= gone.unversioned;
    records.insert(0, rest);
}

/// Forgets a version that is gone.
pub fn forget(records: &mut Vec<KeptInputSchema>, of: Of) {
    for record in records.iter_mut() {
        of.take(record);
    }
    records.retain(|record| record.unversioned || !record.versions.is_empty());
}

fn size(record: &KeptInputSchema) -> usize {
    record.schema.as_ref().map_or(0, |schema| schema.text().len())
}

/// A schema that an input has to fit, and what has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected<'a> {
    /// The number of the version; `None` for the state machine itself.
    pub version: Option<i64>,
    /// The schema.
    pub schema: &'a CompactJson,
}

impl Expected<'_> {
    /// Whose it is, in words.
    pub fn whose(&self, workflow: &str) -> String {
        let version = self.version.map(|number| format!("version {number} of ")).unwrap_or_default();
        format!("spec.inputSchema of {version}Workflow \"{workflow}\"")
    }
}

/// The schemas that an input has to fit to be started through this target: of an alias those of all versions that it may start.
/// What this Workflow has not published has none.
///
/// # Errors
/// `InputSchemaUnknown` where one was not kept, and `AliasUnknown` where nobody knows where an alias routes.
pub fn expected<'a>(workflow: &'a Workflow, target_arn: &str) -> Result<Vec<Expected<'a>>, Failure> {
    let Some(status) = workflow.status.as_ref().filter(|status| is_of(status, target_arn)) else {
        return Ok(Vec::new());
    };
    if status.input_schemas.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: Vec<Expected<'a>> = Vec::new();
    for runs in what_runs(target_arn, &status.aliases)? {
        let of = runs.version.map_or(Of::Machine, Of::Version);
        let Some(record) = status.input_schemas.iter().find(|record| of.is_in(record)) else { continue };
        let schema = record.schema.as_ref().ok_or_else(|| runs.refused(unknown(workflow, &runs)))?;
        if !found.iter().any(|one| one.schema == schema) {
            found.push(Expected { version: runs.version, schema });
        }
    }
    Ok(found)
}

/// The same before a run is created, as far as it can be said then. Of a Workflow that is not delivered yet what it asks for counts;
/// the operator checks every run again.
pub fn expected_of<'a>(workflow: &'a Workflow, wanted: &WorkflowRef) -> Vec<Expected<'a>> {
    if let Ok(target_arn) = target(workflow, wanted) {
        return expected(workflow, &target_arn).unwrap_or_default();
    }
    let is_newest = wanted.version.is_none() && wanted.alias.is_none();
    let schema = workflow.spec.input_schema.iter().filter(|_| is_newest);
    schema.map(|schema| Expected { version: None, schema }).collect()
}

fn is_of(status: &WorkflowStatus, target_arn: &str) -> bool {
    !status.input_schemas.is_empty() && status.state_machine_arn.as_deref() == Some(machine_arn(target_arn).as_str())
}

fn unknown(workflow: &Workflow, runs: &Runs) -> Failure {
    let message = format!(
        "Workflow \"{}\" has an inputSchema for {} that its status had no room to keep, so nobody can say which input fits. Run a newer version.",
        workflow.metadata.name.as_deref().unwrap_or_default(),
        runs.arn
    );
    Failure::new(Class::Waiting, Reason::InputSchemaUnknown, message)
}

/// An input that does not fit, told as the end of a run.
pub fn misfit(workflow: &str, expected: &Expected<'_>, misses: &Misses) -> String {
    let whose = expected.whose(workflow);
    format!("The input does not fit {whose}: {misses}. Create another run with an input that fits.")
}

/// A kept schema that this version of the program does not take.
pub fn unusable(workflow: &str, expected: &Expected<'_>, fault: &Fault) -> Failure {
    let version = expected.version.map(|number| format!(" of version {number}")).unwrap_or_default();
    let message = format!(
        "The inputSchema{version} of Workflow \"{workflow}\" is not taken: {fault}. Mend spec.inputSchema, and run the newest version."
    );
    Failure::new(Class::Waiting, Reason::InputSchemaInvalid, message)
}

#[cfg(test)]
mod tests;
