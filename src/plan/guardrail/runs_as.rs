//! What versions run as, as a Workflow's status remembers it. What is not remembered is read from AWS before a start.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::uses::uses;
use crate::api::v1alpha1::{RunsAs, StepsRunAs};

/// Most integrations, accounts and roles of steps of a record that a status keeps, together.
const MAX_NAMES: usize = 64;
/// Longest name of an integration, and of a place, that a status keeps, in characters.
const MAX_NAME: usize = 256;
/// Most characters of all records of a status, together.
const MAX_RECORDS: usize = 6_000;

/// What a machine or version with this role and definition runs as.
pub fn runs_as(execution_role_arn: &str, definition: &Value, from_config_map: bool) -> RunsAs {
    let used = uses(definition);
    let own = execution_role_arn.split(':').nth(4);
    let integrations: BTreeSet<String> = used.integrations.into_iter().map(|one| one.name).collect();
    let roles: BTreeSet<String> = used.step_roles.into_iter().map(|one| one.role_arn).collect();
    let steps = StepsRunAs {
        role_arns: roles.into_iter().collect(),
        open: used.open_steps.into_iter().next(),
        without: used.without_role.into_iter().next(),
    };
    let accounts: BTreeSet<String> = used.accounts.into_iter().map(|one| one.id).collect();
    RunsAs {
        versions: Vec::new(),
        unversioned_since: None,
        unversioned_until: None,
        execution_role_arn: execution_role_arn.to_owned(),
        integrations: integrations.into_iter().collect(),
        account_ids: accounts.into_iter().filter(|id| Some(id.as_str()) != own).collect(),
        open_credentials: used.open_credentials.into_iter().next(),
        steps: Some(steps),
        from_config_map,
        omitted: false,
    }
}

/// Remembers what a version runs as. Of one that is too large to keep only that it came from a ConfigMap, which AWS cannot tell; the
/// rest is read from AWS when it is started.
pub fn remember_version(records: &mut Vec<RunsAs>, number: i64, runs_as: &RunsAs) {
    for record in records.iter_mut() {
        record.versions.retain(|version| *version != number);
    }
    with(records, runs_as, |record| record.versions.push(number));
}

/// Remembers what the state machine itself runs as, without a version, from `now` on unless it already did. What it ran as before
/// counts for the `settle_time` too: "Executions started immediately after calling `UpdateStateMachine` may use the previous state
/// machine definition and roleArn" (`UpdateStateMachine`).
pub fn remember_machine(records: &mut Vec<RunsAs>, runs_as: &RunsAs, now: Timestamp, settle_time: Duration) {
    if of_machine(records).zip(kept(runs_as)).is_some_and(|(known, kept)| says_as_much(known, &kept)) {
        return;
    }
    leave_machine(records, now, settle_time);
    with(records, runs_as, |record| {
        record.unversioned_since = Some(Time(now));
        record.unversioned_until = None;
    });
}

/// Before the state machine is written: until the answer is there, nobody knows which of the two it runs as.
pub fn update_machine(records: &mut Vec<RunsAs>, asked: &RunsAs, now: Timestamp, settle_time: Duration) {
    leave_machine(records, now, settle_time);
    with(records, asked, |record| record.unversioned_until = Some(until(now, settle_time)));
}

/// Nobody knows what the state machine itself runs as.
pub fn forget_machine(records: &mut Vec<RunsAs>) {
    for record in records.iter_mut() {
        record.unversioned_since = None;
    }
    records.retain(is_of_something);
}

/// What it runs as now, and where that is not known all that it may run as, is what it may run as for a while.
fn leave_machine(records: &mut [RunsAs], now: Timestamp, settle_time: Duration) {
    let known = of_machine(records).is_some();
    for record in records.iter_mut() {
        if record.unversioned_since.take().is_some() || !known && record.unversioned_until.is_some() {
            record.unversioned_until = Some(until(now, settle_time));
        }
    }
}

fn until(now: Timestamp, settle_time: Duration) -> Time {
    Time(now.checked_add(settle_time).unwrap_or(Timestamp::MAX))
}

/// Forgets what AWS does not start any more. Gives the time until there is more to forget.
pub fn settle_machine(records: &mut Vec<RunsAs>, now: Timestamp) -> Option<Duration> {
    of_machine(records)?;
    for record in records.iter_mut() {
        record.unversioned_until = record.unversioned_until.take().filter(|until| now < until.0);
    }
    records.retain(is_of_something);
    let ends = records.iter().filter_map(|record| record.unversioned_until.as_ref()).min()?;
    Duration::try_from(ends.0.duration_since(now)).ok()
}

/// What the state machine itself may run as beside what it is known to run as.
pub fn of_moving_machine(records: &[RunsAs], now: Timestamp) -> impl Iterator<Item = &RunsAs> {
    let known = of_machine(records).is_some();
    records.iter().filter(move |record| record.unversioned_until.as_ref().is_some_and(|until| !known || now < until.0))
}

fn is_of_something(record: &RunsAs) -> bool {
    !record.versions.is_empty() || record.unversioned_since.is_some() || record.unversioned_until.is_some()
}

/// Forgets versions that are gone.
pub fn forget_version(records: &mut Vec<RunsAs>, number: i64) {
    for record in records.iter_mut() {
        record.versions.retain(|version| *version != number);
    }
    records.retain(is_of_something);
}

/// What a version runs as, where it is remembered.
pub fn of_version(records: &[RunsAs], number: i64) -> Option<&RunsAs> {
    records.iter().find(|record| record.versions.contains(&number))
}

/// What the state machine itself runs as, where it is remembered.
pub fn of_machine(records: &[RunsAs]) -> Option<&RunsAs> {
    records.iter().find(|record| record.unversioned_since.is_some())
}

/// What is kept of a record: all, or where it is too large that it came from a ConfigMap.
fn kept(runs_as: &RunsAs) -> Option<RunsAs> {
    let whole = fits(runs_as).then(|| content(runs_as));
    whole.or_else(|| runs_as.from_config_map.then(from_config_map))
}

fn from_config_map() -> RunsAs {
    RunsAs { from_config_map: true, omitted: true, ..RunsAs::default() }
}

/// Adds what a record from a ConfigMap is of to the one that keeps no more than that.
fn omit(records: &mut Vec<RunsAs>, record: RunsAs) {
    let mut rest = records.iter().position(|one| one.omitted).map_or_else(from_config_map, |at| records.remove(at));
    rest.versions.extend(record.versions);
    rest.versions.sort_unstable();
    rest.unversioned_since = rest.unversioned_since.or(record.unversioned_since);
    rest.unversioned_until = rest.unversioned_until.max(record.unversioned_until);
    records.insert(0, rest);
}

/// Adds to the record that is alike, or as a new one. Oldest records go first where all together are too large.
fn with(records: &mut Vec<RunsAs>, runs_as: &RunsAs, add: impl FnOnce(&mut RunsAs)) {
    records.retain(is_of_something);
    let Some(kept) = kept(runs_as) else { return };
    let at = records.iter().position(|record| is_like(record, &kept));
    let mut record = at.map_or(kept, |at| records.remove(at));
    add(&mut record);
    // The newest stands last.
    records.push(record);
    while records.iter().map(size).sum::<usize>() > MAX_RECORDS {
        let oldest = records.iter().position(|record| !record.omitted).filter(|at| at + 1 < records.len());
        let Some(oldest) = oldest.map(|at| records.remove(at)) else { return };
        if oldest.from_config_map {
            omit(records, oldest);
        }
    }
}

fn is_like(one: &RunsAs, other: &RunsAs) -> bool {
    content(one) == content(other)
}

/// Whether a record says the same, but for what was not looked at when it was written: since when it is so must not be lost.
fn says_as_much(known: &RunsAs, kept: &RunsAs) -> bool {
    let steps = kept.steps.as_ref().filter(|_| known.steps.is_some());
    is_like(known, &RunsAs { steps: steps.cloned(), ..kept.clone() })
}

/// A record without what it is of.
fn content(record: &RunsAs) -> RunsAs {
    RunsAs { versions: Vec::new(), unversioned_since: None, unversioned_until: None, ..record.clone() }
}

fn fits(record: &RunsAs) -> bool {
    let names = record.integrations.iter().chain(&record.open_credentials);
    let names = names.chain(record.steps.iter().flat_map(places));
    let roles = record.steps.as_ref().map_or(0, |steps| steps.role_arns.len());
    record.integrations.len() + record.account_ids.len() + roles <= MAX_NAMES
        && names.into_iter().all(|name| name.chars().count() <= MAX_NAME)
        && size(record) <= MAX_RECORDS
}

fn places(steps: &StepsRunAs) -> impl Iterator<Item = &String> {
    steps.open.iter().chain(&steps.without)
}

/// About how many characters it takes.
fn size(record: &RunsAs) -> usize {
    let names = record.integrations.iter().chain(&record.account_ids).chain(&record.open_credentials);
    let steps = record.steps.iter().flat_map(|steps| steps.role_arns.iter().chain(places(steps)));
    let names: usize = names.chain(steps).map(|name| name.len() + 4).sum();
    names + record.execution_role_arn.len() + 5 * record.versions.len() + 80
}
