//! What differs between two definitions of a Workflow: values by path, states, findings, and what the execution role needs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::asl::lint::lint;
use crate::asl::{Circumstances, Definition, Finding, same};
use crate::iam::compare::{Missing, missing};
use crate::iam::execution_role::{self, Derived, Surroundings, derive};

/// A definition and what is known of its machine.
pub struct Side<'a> {
    /// The definition, with its substitutions put in; `null` where there is no machine.
    pub definition: &'a Definition,
    /// How it is checked.
    pub circumstances: Circumstances,
    /// Where the machine lives, where that is known: without it nothing is said of permissions.
    pub here: Option<&'a Surroundings>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// JSON pointer to it; of what is gone, as it was before.
    pub path: String,
    /// The value before; none where it is new.
    pub before: Option<Value>,
    /// The value after; none where it is gone.
    pub after: Option<Value>,
}

/// What became of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It is new.
    Added,
    /// It is no longer there.
    Gone,
    /// It is on both sides, and something of its own differs.
    Changed,
}

/// A state that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// Its name.
    pub name: String,
    /// JSON pointer to it.
    pub path: String,
    /// What became of it.
    pub became: Became,
}

/// What changes for the execution role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// What it will need and did not before.
    pub needed: Vec<Missing>,
    /// What it needed before and will not.
    pub no_longer: Vec<Missing>,
    /// What the new definition leaves open and the old one did not.
    pub open: Vec<String>,
}

impl Permissions {
    /// True where nothing changes for the role.
    pub fn is_empty(&self) -> bool {
        self.needed.is_empty() && self.no_longer.is_empty() && self.open.is_empty()
    }
}

/// All that differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Values, in the order of the new definition.
    pub values: Vec<Change>,
    /// States: those of the new definition first, then those that are gone.
    pub states: Vec<StateChange>,
    /// Findings of the linter that come.
    pub findings: Vec<Finding>,
    /// Findings that go.
    pub findings_gone: Vec<Finding>,
    /// None where it is not known where the machine lives.
    pub permissions: Option<Permissions>,
}

/// Compares.
pub fn changes(before: &Side<'_>, after: &Side<'_>) -> Changes {
    let values = values(before.definition.value(), after.definition.value());
    let (old, new) = (found(before), found(after));
    Changes {
        states: states(before.definition, after.definition, &values),
        findings: without(&new, &old),
        findings_gone: without(&old, &new),
        permissions: permissions(before, after),
        values,
    }
}

/// Values that differ, by path. Of lists what is alike at both ends is passed over, so that one new item is one change.
pub fn values(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(before, after, &mut String::new(), &mut found);
    found
}

fn compare(before: &Value, after: &Value, path: &mut String, found: &mut Vec<Change>) {
    if same(before, after) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                at(path, key, |path| match old.get(key) {
                    Some(before) => compare(before, value, path, found),
                    None => found.push(change(path, None, Some(value))),
                });
            }
            for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
                at(path, key, |path| found.push(change(path, Some(value), None)));
            }
        }
        (Value::Array(old), Value::Array(new)) => lists(old, new, path, found),
        _ => found.push(change(path, Some(before), Some(after))),
    }
}

fn lists(old: &[Value], new: &[Value], path: &mut String, found: &mut Vec<Change>) {
    let begins = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
    let ends = old[begins..].iter().rev().zip(new[begins..].iter().rev()).take_while(|(old, new)| same(old, new));
    let ends = ends.count();
    let (old, new) = (&old[begins..old.len() - ends], &new[begins..new.len() - ends]);
    for index in 0..old.len().max(new.len()) {
        at(path, &(begins + index).to_string(), |path| match (old.get(index), new.get(index)) {
            (Some(old), Some(new)) => compare(old, new, path, found),
            (old, new) => found.push(change(path, old, new)),
        });
    }
}

fn change(path: &str, before: Option<&Value>, after: Option<&Value>) -> Change {
    Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() }
}

/// With the key at the end of the path.
fn at(path: &mut String, key: &str, act: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
    act(path);
    path.truncate(length);
}

/// Name and path of every state.
fn all_states(definition: &Definition) -> Vec<(String, String)> {
    let root = definition.root();
    let machine = definition.machine();
    machine.walk().iter().map(|visit| (visit.state.name.to_owned(), root.path_to(visit.state.node))).collect()
}

fn states(before: &Definition, after: &Definition, values: &[Change]) -> Vec<StateChange> {
    let (old, new) = (all_states(before), all_states(after));
    let paths = |states: &[(String, String)]| states.iter().map(|(_, path)| path.clone()).collect::<BTreeSet<String>>();
    let (old_paths, new_paths) = (paths(&old), paths(&new));
    // Whose a change is: the innermost state around it.
    let owner = |path: &str| {
        let around = |state: &&String| path.strip_prefix(state.as_str()).is_some_and(|rest| rest.starts_with('/'));
        old_paths.union(&new_paths).filter(around).max_by_key(|state| state.len()).cloned()
    };
    // A state that is added or gone as a whole is no change of the one around it.
    let own = values.iter().filter(|change| !old_paths.contains(&change.path) && !new_paths.contains(&change.path));
    let changed: BTreeSet<String> = own.filter_map(|change| owner(&change.path)).collect();
    let state =
        |(name, path): &(String, String), became| StateChange { name: name.clone(), path: path.clone(), became };
    let of_new = new.iter().filter_map(|one| match (old_paths.contains(&one.1), changed.contains(&one.1)) {
        (false, _) => Some(state(one, Became::Added)),
        (true, true) => Some(state(one, Became::Changed)),
        (true, false) => None,
    });
    let gone = old.iter().filter(|one| !new_paths.contains(&one.1)).map(|one| state(one, Became::Gone));
    of_new.chain(gone).collect()
}

fn found(side: &Side<'_>) -> Vec<Finding> {
    if side.definition.value().is_null() {
        return Vec::new();
    }
    let mut found = lint(side.definition.root(), side.circumstances);
    found.sort_by_key(|finding| finding.severity);
    found
}

/// Findings that the others do not have, wherever in the text they stand.
fn without(findings: &[Finding], others: &[Finding]) -> Vec<Finding> {
    let is_one = |a: &Finding, b: &Finding| (a.code, &a.path, &a.message) == (b.code, &b.path, &b.message);
    findings.iter().filter(|finding| !others.iter().any(|other| is_one(finding, other))).cloned().collect()
}

fn permissions(before: &Side<'_>, after: &Side<'_>) -> Option<Permissions> {
    let (old, new) = (derived(before)?, derived(after)?);
    let (old_policy, new_policy) = (old.document(), new.document());
    let known: Vec<&String> = old.findings.iter().map(|finding| &finding.message).collect();
    let open = new.findings.iter().filter(|finding| finding.missing && !known.contains(&&finding.message));
    Some(Permissions {
        needed: missing(&new.needs, &old_policy),
        no_longer: missing(&old.needs, &new_policy),
        open: open.map(|finding| finding.message.clone()).collect(),
    })
}

fn derived(side: &Side<'_>) -> Option<Derived> {
    let here = side.here?;
    if side.definition.value().is_null() {
        return Some(Derived::default());
    }
    let definition = side.definition.with_pseudo_parameters(&execution_role::pseudo_parameters(here));
    Some(derive(&definition.machine(), here))
}

#[cfg(test)]
mod tests;
