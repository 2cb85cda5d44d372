//! Where an execution is, and where it failed, read from the newest events of its history.
//!
//! Events are linked by `previousEventId`. Under Parallel and Map the links branch, so where an event stands follows from
//! the event that it follows, not from the one written before it. States are entered and left by name; what runs inside a
//! Parallel or Map that has ended has ended with it, though AWS does not write so for each branch.
//! Source: `GetExecutionHistory`, and recorded histories of the service.

use std::collections::HashMap;

use super::event_meaning::{Container, Meaning, is_failure, meaning, reports_for_inside};
use crate::aws::HistoryEvent;

/// How many current states a status names.
const MAX_STATES: usize = 20;

/// A state that was entered, or an iteration of a Map.
#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    name: String,
    index: Option<i32>,
    container: Option<Container>,
    open: bool,
    /// An event says that it was left, so a failure in it was caught.
    left: bool,
}

impl Node {
    fn is_state(&self) -> bool {
        self.index.is_none()
    }
}

/// A history, as far as it was read.
#[derive(Debug, Default)]
pub struct History<'a> {
    events: HashMap<i64, &'a HistoryEvent>,
    newest: Option<&'a HistoryEvent>,
    nodes: Vec<Node>,
    /// Where each event stands: the innermost state or iteration.
    places: HashMap<i64, Option<usize>>,
}

impl<'a> History<'a> {
    /// Reads events in any order; older ones may be missing.
    pub fn read(events: &'a [HistoryEvent]) -> Self {
        let mut ordered: Vec<&HistoryEvent> = events.iter().collect();
        ordered.sort_by_key(|event| event.id);
        let mut history = Self { newest: ordered.last().copied(), ..Self::default() };
        for event in ordered {
            let place = history.follow(event);
            history.places.insert(event.id, place);
            history.events.insert(event.id, event);
        }
        history
    }

    fn follow(&mut self, event: &HistoryEvent) -> Option<usize> {
        let here = self.places.get(&event.previous_id).copied().flatten();
        let name = event.name.as_deref().unwrap_or_default();
        match meaning(&event.event_type) {
            Meaning::Entered(container) => Some(self.enter(here, name, None, container)),
            Meaning::Exited => {
                if let Some(left) = self.upwards(here, |node| node.is_state() && node.name == name) {
                    self.close(left, true);
                    self.nodes[left].left = true;
                    return self.nodes[left].parent;
                }
                // It was entered before what was read, and all that stands here is inside it.
                for inner in self.path(here) {
                    self.nodes[inner].open = false;
                }
                None
            }
            Meaning::IterationStarted => {
                let map = self.upwards(here, |node| node.is_state() && node.name == name);
                Some(self.enter(map, name, Some(event.index.unwrap_or_default()), None))
            }
            Meaning::IterationEnded => {
                let same = |node: &Node| node.index == Some(event.index.unwrap_or_default()) && node.name == name;
                // Where an iteration is aborted AWS links the event to the failure of another one.
                let found =
                    self.upwards(here, same).or_else(|| self.nodes.iter().rposition(|node| node.open && same(node)));
                let Some(iteration) = found else { return here };
                self.close(iteration, true);
                self.nodes[iteration].parent
            }
            Meaning::InsideEnded(kind) => {
                let Some(container) = self.upwards(here, |node| node.container == Some(kind) && node.open) else {
                    return here;
                };
                self.close(container, false);
                Some(container)
            }
            Meaning::Begins => {
                for node in self.path(here) {
                    self.nodes[node].open = true;
                }
                here
            }
            // Some failures are linked to nothing and name their state.
            Meaning::Other if here.is_none() && event.name.is_some() => {
                self.nodes.iter().rposition(|node| node.open && node.is_state() && node.name == name)
            }
            Meaning::ExecutionEnded | Meaning::Other => here,
        }
    }

    fn enter(&mut self, parent: Option<usize>, name: &str, index: Option<i32>, container: Option<Container>) -> usize {
        self.nodes.push(Node { parent, name: name.to_owned(), index, container, open: true, left: false });
        self.nodes.len() - 1
    }

    /// A node and all that contain it, from inside out.
    fn path(&self, from: Option<usize>) -> Vec<usize> {
        std::iter::successors(from, |node| self.nodes[*node].parent).collect()
    }

    fn upwards(&self, from: Option<usize>, test: impl Fn(&Node) -> bool) -> Option<usize> {
        self.path(from).into_iter().find(|node| test(&self.nodes[*node]))
    }

    /// Closes all that is inside a node, and the node itself where `too` is set.
    fn close(&mut self, node: usize, too: bool) {
        for inner in 0..self.nodes.len() {
            if inner != node && self.nodes[inner].open && self.path(Some(inner)).contains(&node) {
                self.nodes[inner].open = false;
            }
        }
        self.nodes[node].open &= !too;
    }

    fn has_ended(&self) -> bool {
        self.newest.is_some_and(|event| meaning(&event.event_type) == Meaning::ExecutionEnded)
    }

    /// States that were entered and not left and have none such inside them, each once, in the order of entry.
    pub fn current_states(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if self.has_ended() {
            return names;
        }
        for node in self.open_leaves() {
            let name = &self.nodes[node].name;
            if !names.contains(name) && names.len() < MAX_STATES {
                names.push(name.clone());
            }
        }
        names
    }

    fn open_leaves(&self) -> Vec<usize> {
        let mut has_inside = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            if node.open && node.is_state() {
                for outer in self.path(Some(index)).into_iter().skip(1) {
                    has_inside[outer] = true;
                }
            }
        }
        let leaf = |index: &usize| self.nodes[*index].open && self.nodes[*index].is_state() && !has_inside[*index];
        (0..self.nodes.len()).filter(leaf).collect()
    }

    /// The Map Run that the execution waits for, where it does.
    pub fn map_run(&self) -> Option<&str> {
        let leaves = if self.has_ended() { Vec::new() } else { self.open_leaves() };
        let mut started: Vec<&&HistoryEvent> = self
            .events
            .values()
            .filter(|event| event.map_run_arn.is_some())
            .filter(|event| self.places[&event.id].is_some_and(|place| leaves.contains(&place)))
            .collect();
        started.sort_by_key(|event| event.id);
        started.last().and_then(|event| event.map_run_arn.as_deref())
    }

    /// The innermost state that failed, of an execution that has ended without success: where the links from its end lead,
    /// past what only reports for what is inside.
    pub fn failed_state(&self) -> Option<&str> {
        let end = self.newest.filter(|_| self.has_ended())?;
        if end.event_type == "ExecutionSucceeded" {
            return None;
        }
        let mut last_id = end.id;
        let mut event = self.events.get(&end.previous_id);
        while let Some(found) = event.filter(|found| found.id < last_id) {
            if found.event_type == "EvaluationFailed" && found.name.is_some() {
                return found.name.as_deref();
            }
            if !reports_for_inside(&found.event_type) {
                if let Some(state) = self.upwards(self.places[&found.id], Node::is_state) {
                    return Some(&self.nodes[self.failed_inside(state).unwrap_or(state)].name);
                }
                if meaning(&found.event_type) == Meaning::Exited {
                    return None;
                }
            }
            last_id = found.id;
            event = self.events.get(&found.previous_id);
        }
        self.deepest_failure()
    }

    /// The innermost state inside another that failed and was not left. The end may be linked to a branch that ended well.
    fn failed_inside(&self, container: usize) -> Option<usize> {
        self.nodes[container].container?;
        let deepest = self.failures().filter(|(_, state)| {
            *state != container && !self.nodes[*state].left && self.path(Some(*state)).contains(&container)
        });
        let (_, state) = deepest.max_by_key(|(event, state)| (self.path(Some(*state)).len(), event.id))?;
        Some(state)
    }

    /// Failures since the last redrive, each with the state that it is in.
    fn failures(&self) -> impl Iterator<Item = (&HistoryEvent, usize)> {
        let redriven = self.events.values().filter(|event| event.event_type == "ExecutionRedriven");
        let since = redriven.map(|event| event.id).max().unwrap_or(0);
        let failed = self.events.values().filter(move |event| event.id > since && is_failure(&event.event_type));
        failed.filter_map(|event| Some((*event, self.upwards(self.places[&event.id], Node::is_state)?)))
    }

    /// For an end that is linked to nothing that was read.
    fn deepest_failure(&self) -> Option<&str> {
        let (_, state) = self.failures().max_by_key(|(event, state)| (self.path(Some(*state)).len(), event.id))?;
        Some(&self.nodes[state].name)
    }

    /// True when older events would tell more.
    pub fn needs_older(&self) -> bool {
        let Some(newest) = self.newest else { return false };
        let answered = match meaning(&newest.event_type) {
            Meaning::ExecutionEnded => newest.event_type == "ExecutionSucceeded" || self.failed_state().is_some(),
            Meaning::Exited => true,
            _ => self.places[&newest.id].is_some(),
        };
        !answered && !self.reaches_the_beginning(newest)
    }

    fn reaches_the_beginning(&self, newest: &HistoryEvent) -> bool {
        let mut event = newest;
        while event.previous_id != 0 {
            match self.events.get(&event.previous_id) {
                // Ids fall on the way back, so that an answer in a circle ends the walk.
                Some(older) if older.id < event.id => event = older,
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
