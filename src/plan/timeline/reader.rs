//! Reads events, oldest first, into visits.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::event_meaning::{Container, Meaning, is_failure, meaning};
use super::fit::Rank;
use super::paths::{Paths, outermost};
use super::visit::{Failed, Node};
use crate::api::v1alpha1::{Iterations, Timeline, VisitResult};
use crate::asl::model::MAX_DEPTH;
use crate::aws::{HistoryEvent, MapRunCounts};

/// As many events as AWS keeps of an execution (service quotas, "Maximum execution history size"); no more are read.
pub const MAX_EVENTS: usize = 25_000;
/// Most visits of a timeline.
const MAX_VISITS: usize = 100;

/// Where an event stands in a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the innermost state.
    pub state: Option<String>,
    /// JSON pointer of that state in the definition.
    pub path: Option<String>,
    /// Index of the innermost iteration of a Map.
    pub iteration: Option<i64>,
}

/// What was read of a history. Further events may be given at any time, in their order; those that were read before change
/// nothing.
#[derive(Debug)]
pub struct Reader {
    paths: Arc<Paths>,
    observed: i64,
    nodes: Vec<Node>,
    /// What is open and inside of nothing.
    open: Vec<usize>,
    /// Where each event stands: the innermost state or iteration, of which what follows is part.
    places: HashMap<i64, Option<usize>>,
    /// What the newest event is of. The end of a state is still of that state, and what follows it is not.
    newest_is_of: Option<usize>,
}

impl Reader {
    /// Nothing was read yet. Where the definition is not known, the path of a state is that of the outermost state around it.
    pub fn new(paths: Arc<Paths>) -> Self {
        Self { paths, observed: 0, nodes: Vec::new(), open: Vec::new(), places: HashMap::new(), newest_is_of: None }
    }

    /// Reads events, oldest first.
    pub fn read<'e>(&mut self, events: impl IntoIterator<Item = &'e HistoryEvent>) {
        for event in events {
            if event.id > self.observed && self.places.len() < MAX_EVENTS {
                self.newest_is_of = None;
                let place = self.follow(event);
                self.newest_is_of = self.named_by(event, self.newest_is_of.or(place));
                self.places.insert(event.id, place);
                self.observed = event.id;
            }
        }
    }

    /// What the newest event that was read is of.
    pub fn place(&self) -> Place {
        let newest = self.newest_is_of;
        let state = self.upwards(newest, Node::is_state);
        let iteration = self.upwards(newest, |node| !node.is_state());
        Place {
            state: state.map(|state| self.nodes[state].name.clone()),
            path: state.map(|state| self.path(state)),
            iteration: iteration.and_then(|iteration| self.nodes[iteration].index.map(i64::from)),
        }
    }

    /// Id of the newest event that was read.
    pub fn observed(&self) -> i64 {
        self.observed
    }

    /// Map Runs whose iterations are told, the newest first.
    pub fn map_runs(&self) -> Vec<&str> {
        self.nodes.iter().rev().filter_map(|node| node.map.as_ref()?.run.as_deref()).collect()
    }

    /// How far a Map Run is.
    pub fn count(&mut self, map_run: &str, counts: MapRunCounts) {
        let MapRunCounts { succeeded, failed, running, total } = counts;
        for map in self.nodes.iter_mut().filter_map(|node| node.map.as_mut()) {
            if map.run.as_deref() == Some(map_run) {
                map.of_run = Some(Iterations { total, succeeded, failed, running });
            }
        }
    }

    /// What was read, in at most 100 visits.
    pub fn timeline(&self) -> Timeline {
        let states = self.nodes.iter().enumerate().filter(|(_, node)| node.is_state());
        let mut told: Vec<(Rank, usize)> = states
            .map(|(index, node)| (Rank::of(node.result(), node.map.is_some(), node.in_iteration, index), index))
            .collect();
        told.sort_unstable();
        let surplus = told.len().saturating_sub(MAX_VISITS);
        let mut told: Vec<usize> = told.into_iter().skip(surplus).map(|(_, index)| index).collect();
        told.sort_unstable();
        Timeline {
            visits: told.into_iter().map(|index| self.nodes[index].told(self.path(index))).collect(),
            observed_event_id: self.observed,
            omitted: i64::try_from(surplus).unwrap_or(i64::MAX),
        }
    }

    fn path(&self, node: usize) -> String {
        let around = || self.outwards(Some(node)).last().unwrap_or(node);
        self.nodes[node].place.map_or_else(|| outermost(&self.nodes[around()].name), |at| self.paths.pointer(at))
    }

    /// What an event is of that may stand here. One that names a state is of that one, wherever its link leads.
    fn named_by(&self, event: &HistoryEvent, here: Option<usize>) -> Option<usize> {
        let Some(name) = event.name.as_deref() else { return here };
        let state = self.upwards(here, Node::is_state);
        if state.is_some_and(|state| self.nodes[state].name == name) {
            return here;
        }
        self.nodes.iter().rposition(|node| node.is_state() && node.name == name)
    }

    fn follow(&mut self, event: &HistoryEvent) -> Option<usize> {
        let here = self.places.get(&event.previous_id).copied().flatten();
        let (name, at) = (event.name.as_deref().unwrap_or_default(), event.timestamp);
        match meaning(&event.event_type) {
            Meaning::Entered(container) => Some(self.enter(here, event, container)),
            Meaning::Exited => {
                let left = self.upwards(here, |node| node.is_state() && node.name == name);
                let left = left.or_else(|| self.last_open(|node| node.is_state() && node.name == name))?;
                self.leave(left, at);
                self.newest_is_of = Some(left);
                self.nodes[left].outer
            }
            Meaning::IterationStarted => {
                let is_map = |node: &Node| node.container == Some(Container::Map) && node.name == name;
                let map = self.upwards(here, is_map).or_else(|| self.last_open(is_map));
                Some(self.begin_iteration(map, event))
            }
            Meaning::IterationEnded => self.end_iteration(here, event),
            Meaning::InsideEnded(kind) => {
                // One that has told it already stands between this event and the container around it.
                let is_it = |node: &Node| node.container == Some(kind) && node.is_open() && !node.has_told_inside;
                let Some(container) = self.upwards(here, is_it) else { return here };
                self.inside_ended(container, here, event);
                Some(container)
            }
            Meaning::Begins => {
                if let Some(state) = self.upwards(here, Node::is_state) {
                    self.begin(state, event);
                }
                here
            }
            Meaning::ExecutionEnded => {
                self.end(here, event);
                here
            }
            Meaning::Other => self.other(here, event),
        }
    }

    /// What happens within a state. Some failures are linked to nothing and name their state.
    fn other(&mut self, here: Option<usize>, event: &HistoryEvent) -> Option<usize> {
        let named = event.name.as_deref();
        let place = here.or_else(|| self.last_open(|node| node.is_state() && Some(node.name.as_str()) == named));
        let Some(state) = self.upwards(place, Node::is_state) else { return place };
        if is_failure(&event.event_type) {
            self.nodes[state].failed = Some(Failed::of(event));
        } else if event.event_type.ends_with("StateAborted") && self.nodes[state].is_open() {
            self.end_inside(state, VisitResult::Aborted, event.timestamp);
            self.settle(state, VisitResult::Aborted, event.timestamp);
        }
        place
    }

    fn enter(&mut self, here: Option<usize>, event: &HistoryEvent, container: Option<Container>) -> usize {
        // Links may lead to the state before, which is beside this one and not around it.
        let outer = self.upwards(here, |node| node.is_open() && (node.container.is_some() || !node.is_state()));
        let node = self.add(outer, event);
        self.nodes[node].container = container;
        let around = self.upwards(outer, Node::is_state);
        let inside_of = around.and_then(|around| self.nodes[around].place);
        // What is inside of a state that the definition lacks, is not looked for elsewhere in it.
        if around.is_none() || inside_of.is_some() {
            self.nodes[node].place = self.paths.find(inside_of, &self.nodes[node].name);
        }
        if is_failure(&event.event_type) {
            self.nodes[node].failed = Some(Failed::of(event));
        }
        node
    }

    fn add(&mut self, outer: Option<usize>, event: &HistoryEvent) -> usize {
        // Deeper nesting than any definition has comes from links that lead nowhere sensible.
        let outer = self.upwards(outer, |node| node.depth < 2 * MAX_DEPTH);
        let mut node = Node::new(outer, event.name.as_deref().unwrap_or_default(), event.timestamp);
        if let Some(outer) = outer.map(|outer| &self.nodes[outer]) {
            node.depth = outer.depth + 1;
            node.in_iteration = outer.in_iteration || !outer.is_state();
        }
        self.nodes.push(node);
        self.opened(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn opened(&mut self, node: usize) {
        match self.nodes[node].outer {
            Some(outer) => self.nodes[outer].inside.push(node),
            None => self.open.push(node),
        }
    }

    fn begin_iteration(&mut self, map: Option<usize>, event: &HistoryEvent) -> usize {
        if let Some(map) = map {
            self.open_again(map);
        }
        let index = event.index.unwrap_or_default();
        let iteration = self.add(map, event);
        self.nodes[iteration].index = Some(index);
        // As deep as nothing is, it may stand in another node than its Map.
        if let Some(map) = self.nodes[iteration].outer.filter(|outer| Some(*outer) == map) {
            self.nodes[map].map.get_or_insert_default().begins(index);
        }
        iteration
    }

    fn end_iteration(&mut self, here: Option<usize>, event: &HistoryEvent) -> Option<usize> {
        let name = event.name.as_deref().unwrap_or_default();
        let same = |node: &Node| node.index == Some(event.index.unwrap_or_default()) && node.name == name;
        // Where an iteration is aborted AWS links the event to the failure of another one.
        let found = self.upwards(here, same).or_else(|| self.last_open(same));
        let Some(iteration) = found else { return here };
        if self.nodes[iteration].is_open() {
            let otherwise = match event.event_type.as_str() {
                "MapIterationSucceeded" => VisitResult::Succeeded,
                "MapIterationFailed" => VisitResult::Failed,
                _ => VisitResult::Aborted,
            };
            let failed = self.end_inside(iteration, otherwise, event.timestamp);
            if otherwise == VisitResult::Failed {
                self.nodes[iteration].failed = failed.or(Some(Failed::of(event)));
            }
            self.settle(iteration, otherwise, event.timestamp);
        }
        self.newest_is_of = Some(iteration);
        self.nodes[iteration].outer
    }

    fn inside_ended(&mut self, container: usize, here: Option<usize>, event: &HistoryEvent) {
        let well = event.event_type.ends_with("Succeeded");
        let otherwise = if well { VisitResult::Succeeded } else { VisitResult::Aborted };
        let within = |node: &usize| *node != container;
        let reported = self.outwards(here).take_while(within).find_map(|node| self.nodes[node].failed.clone());
        let inside = self.end_inside(container, otherwise, event.timestamp);
        if event.event_type.ends_with("Aborted") {
            self.settle(container, VisitResult::Aborted, event.timestamp);
        } else if !well {
            self.nodes[container].has_told_inside = true;
            let known = self.nodes[container].failed.take();
            self.nodes[container].failed = reported.or(inside).or(known).or(Some(Failed::of(event)));
        }
    }

    /// Work of a state begins: for the first time, once more after a failure, or where it failed after a redrive.
    fn begin(&mut self, state: usize, event: &HistoryEvent) {
        let redriven = !self.nodes[state].is_open();
        let again = redriven || self.nodes[state].failed.is_some();
        self.open_again(state);
        let starts_map = event.event_type == "MapStateStarted" && self.nodes[state].container == Some(Container::Map);
        if starts_map && !redriven {
            self.end_inside(state, VisitResult::Aborted, event.timestamp);
        }
        let node = &mut self.nodes[state];
        (node.failed, node.has_told_inside) = (None, false);
        node.retries += i64::from(again);
        if starts_map {
            node.map.get_or_insert_default().is_begun(event.length.unwrap_or_default().into(), !redriven);
        }
        if let Some(run) = event.map_run_arn.clone() {
            node.map.get_or_insert_default().run = Some(run);
        }
    }

    /// A node and all around it are open.
    fn open_again(&mut self, node: usize) {
        let closed: Vec<usize> = self.outwards(Some(node)).filter(|node| !self.nodes[*node].is_open()).collect();
        for node in closed {
            self.nodes[node].open_again();
            self.opened(node);
            if let (Some(index), Some(map)) = (self.nodes[node].index, self.nodes[node].outer)
                && let Some(map) = &mut self.nodes[map].map
            {
                map.begins(index);
            }
        }
    }

    fn leave(&mut self, state: usize, at: Timestamp) {
        let was_open = self.nodes[state].is_open();
        let inside = self.end_inside(state, VisitResult::Aborted, at);
        if was_open {
            let node = &mut self.nodes[state];
            node.failed = node.failed.take().or(inside);
            node.leave(at);
            self.closed(state);
        }
    }

    /// It has ended, and is not among what is open any more.
    fn settle(&mut self, node: usize, otherwise: VisitResult, at: Timestamp) {
        self.nodes[node].end(otherwise, at);
        self.closed(node);
    }

    fn closed(&mut self, node: usize) {
        let outer = self.nodes[node].outer;
        let beside = outer.map_or(&mut self.open, |outer| &mut self.nodes[outer].inside);
        if let Some(at) = beside.iter().position(|one| *one == node) {
            beside.swap_remove(at);
        }
        let well = self.nodes[node].result() == VisitResult::Succeeded;
        if let (Some(index), Some(map)) = (self.nodes[node].index, outer)
            && let Some(map) = &mut self.nodes[map].map
        {
            map.ends(index, well);
        }
    }

    /// Ends all that is open inside a node, and tells of a failure in it.
    fn end_inside(&mut self, node: usize, otherwise: VisitResult, at: Timestamp) -> Option<Failed> {
        let mut first = None;
        let mut open = self.nodes[node].inside.clone();
        open.sort_unstable();
        for inner in open {
            let failed = self.end_inside(inner, otherwise, at);
            let known = self.nodes[inner].failed.take();
            self.nodes[inner].failed = known.or(failed);
            first = first.or_else(|| self.nodes[inner].failed.clone());
            self.settle(inner, otherwise, at);
        }
        first
    }

    /// The execution has ended, and with it all that was open.
    fn end(&mut self, here: Option<usize>, event: &HistoryEvent) {
        let otherwise = match event.event_type.as_str() {
            "ExecutionSucceeded" => VisitResult::Succeeded,
            "ExecutionTimedOut" => VisitResult::TimedOut,
            _ => VisitResult::Aborted,
        };
        if event.event_type == "ExecutionFailed" {
            let end = Failed { timed_out: false, ..Failed::of(event) };
            let failing: Vec<usize> = self.outwards(here).filter(|node| self.nodes[*node].is_open()).collect();
            for node in failing {
                let failed = self.nodes[node].failed.get_or_insert_with(|| end.clone());
                // A Fail state's error is told by the end alone.
                if failed.error.is_none() && failed.cause.is_none() {
                    (failed.error, failed.cause) = (end.error.clone(), end.cause.clone());
                }
            }
        }
        let mut open = self.open.clone();
        open.sort_unstable();
        for root in open {
            let inside = self.end_inside(root, otherwise, event.timestamp);
            let known = self.nodes[root].failed.take();
            self.nodes[root].failed = known.or(inside);
            self.settle(root, otherwise, event.timestamp);
        }
    }

    /// A node and all that contain it, from inside out.
    fn outwards(&self, from: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(from, |node| self.nodes[*node].outer)
    }

    fn upwards(&self, from: Option<usize>, test: impl Fn(&Node) -> bool) -> Option<usize> {
        self.outwards(from).find(|node| test(&self.nodes[*node]))
    }

    fn last_open(&self, test: impl Fn(&Node) -> bool) -> Option<usize> {
        self.nodes.iter().rposition(|node| node.is_open() && test(node))
    }
}
