//! Which runs of each Workflow are under way, and whose turn it is to start, in order of creation.
//!
//! It is fed with what is watched of the runs and needs nothing else, so that it is the same after a restart. A run that has
//! been given its turn counts from then on, before its attempt is seen; so two that ask at once never get one slot.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::slots::Seen;
use crate::api::v1alpha1::{WorkflowRun, WorkflowRunStatus};

/// Namespace and name of a Workflow.
pub type Key = (String, String);

/// Order of creation; names decide within a second, which is all that a creation time tells.
type Order = (Timestamp, String);

/// Whether a run may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Turn {
    /// It may, and counts as under way from now on.
    Now,
    /// It waits.
    Waits {
        /// Its position among those that wait, counted from 1.
        position: usize,
        /// How many wait.
        waiting: usize,
        /// How many are under way.
        active: usize,
    },
}

/// Runs of one Workflow that have not ended, or are asked to go on.
#[derive(Debug, Default)]
struct Runs {
    /// Not started, or ended and asked to go on, with their UIDs.
    waiting: BTreeMap<Order, String>,
    /// Started.
    active: HashSet<String>,
    /// Given their turn; their attempt is not seen yet.
    admitted: HashSet<String>,
    /// Waiting, and unable to start for a reason of their own: they hold up nobody.
    aside: HashSet<String>,
}

impl Runs {
    fn count(&self) -> usize {
        self.active.len() + self.admitted.len()
    }

    /// Those that wait for nothing but their turn.
    fn in_line(&self) -> impl Iterator<Item = (&Order, &String)> {
        self.waiting.iter().filter(|(_, uid)| !self.aside.contains(*uid) && !self.admitted.contains(*uid))
    }

    fn forget(&mut self, order: &Order, uid: &str) -> bool {
        self.waiting.remove(order);
        self.aside.remove(uid);
        let admitted = self.admitted.remove(uid);
        self.active.remove(uid) || admitted
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty() && self.admitted.is_empty()
    }
}

/// All runs that have not ended, by Workflow.
#[derive(Debug, Default)]
pub struct Queues {
    workflows: HashMap<Key, Runs>,
    known: HashMap<String, (Key, Order)>,
    /// The same by namespace, of whatever Workflow: a Guardrail counts them so.
    namespaces: HashMap<String, Seen>,
    /// UIDs seen since a listing began.
    listed: Option<HashSet<String>>,
}

impl Queues {
    /// A listing of all runs begins; what is known stays until it has ended.
    pub fn begin_listing(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// It has ended: what it did not show is gone. Gives the Workflows in which slots became free.
    pub fn end_listing(&mut self) -> Vec<Key> {
        let listed = self.listed.take().unwrap_or_default();
        let gone: Vec<String> = self.known.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        gone.iter().filter_map(|uid| self.forget(uid)).collect()
    }

    /// A run as it is now. Gives its Workflow where a slot became free or somebody left the line.
    pub fn see(&mut self, run: &WorkflowRun) -> Option<Key> {
        let uid = run.metadata.uid.clone()?;
        if let Some(listed) = &mut self.listed {
            listed.insert(uid.clone());
        }
        let status = run.status.as_ref();
        let finished = status.and_then(|status| status.phase).unwrap_or_default().is_finished();
        let started = status.is_some_and(|status| !status.awaits_start());
        let leaves = run.metadata.deletion_timestamp.is_some() || run.spec.cancel.is_some();
        let goes_on = finished && run.wants_redrive();
        if finished && !goes_on || leaves && (!started || finished) {
            return self.forget(&uid);
        }
        let key = (run.metadata.namespace.clone()?, run.spec.workflow_ref.name.clone());
        let order = (run.metadata.creation_timestamp.as_ref()?.0, run.metadata.name.clone()?);
        let runs = self.workflows.entry(key.clone()).or_default();
        self.known.insert(uid.clone(), (key.clone(), order.clone()));
        let seen = self.namespaces.entry(key.0.clone()).or_default();
        let (of, other) = if started && !goes_on {
            (&mut seen.active, &mut seen.waiting)
        } else {
            (&mut seen.waiting, &mut seen.active)
        };
        other.remove(&uid);
        of.insert(uid.clone());
        if started && !goes_on {
            runs.forget(&order, &uid);
            runs.active.insert(uid);
            return None;
        }
        runs.waiting.insert(order, uid.clone());
        if status.is_some_and(WorkflowRunStatus::is_refused) && !runs.admitted.contains(&uid) {
            // AWS has refused it: it holds up nobody until it asks for its turn again.
            runs.aside.insert(uid.clone());
        }
        runs.active.remove(&uid).then_some(key)
    }

    /// A run is gone.
    pub fn forget(&mut self, uid: &str) -> Option<Key> {
        let (key, order) = self.known.remove(uid)?;
        if let Some(seen) = self.namespaces.get_mut(&key.0) {
            seen.active.remove(uid);
            seen.waiting.remove(uid);
            if seen.is_empty() {
                self.namespaces.remove(&key.0);
            }
        }
        let runs = self.workflows.get_mut(&key)?;
        runs.forget(&order, uid);
        if runs.is_empty() {
            self.workflows.remove(&key);
        }
        Some(key)
    }

    /// Whether a run that lacks nothing else may start, where at most `max` may be under way.
    pub fn turn(&mut self, key: &Key, uid: &str, max: usize) -> Turn {
        let order = self.known.get(uid).map(|(_, order)| order.clone());
        let (Some(runs), Some(order)) = (self.workflows.get_mut(key), order) else {
            // Not seen yet; it is about to be.
            return Turn::Waits { position: 1, waiting: 1, active: 0 };
        };
        runs.aside.remove(uid);
        if runs.admitted.contains(uid) || runs.active.contains(uid) {
            return Turn::Now;
        }
        let active = runs.count();
        let before = runs.in_line().take_while(|(other, _)| **other < order).count();
        if active + before < max {
            runs.admitted.insert(uid.to_owned());
            return Turn::Now;
        }
        Turn::Waits { position: before + 1, waiting: runs.in_line().count(), active }
    }

    /// A run cannot start for a reason of its own: it gives its slot back and lets others pass until it asks again. True
    /// where that may help one of them.
    pub fn step_aside(&mut self, key: &Key, uid: &str) -> bool {
        // It may have gone meanwhile.
        if !self.known.contains_key(uid) {
            return false;
        }
        let Some(runs) = self.workflows.get_mut(key) else { return false };
        let had_place = runs.admitted.remove(uid);
        runs.aside.insert(uid.to_owned()) || had_place
    }

    /// Names of the first runs in line.
    pub fn first(&self, key: &Key, count: usize) -> Vec<String> {
        let Some(runs) = self.workflows.get(key) else { return Vec::new() };
        runs.in_line().take(count).map(|((_, name), _)| name.clone()).collect()
    }

    /// Names of the runs that stepped aside.
    pub fn aside(&self, key: &Key) -> Vec<String> {
        let Some(runs) = self.workflows.get(key) else { return Vec::new() };
        let aside = runs.waiting.iter().filter(|(_, uid)| runs.aside.contains(*uid));
        aside.map(|((_, name), _)| name.clone()).collect()
    }

    /// What is seen of the runs of a namespace; `None` where none is under way or waits.
    pub fn seen(&self, namespace: &str) -> Option<&Seen> {
        self.namespaces.get(namespace)
    }

    /// How many runs of a Workflow are under way.
    pub fn active(&self, key: &Key) -> usize {
        self.workflows.get(key).map_or(0, Runs::count)
    }
}

#[cfg(test)]
mod tests;
