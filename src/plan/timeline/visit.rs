//! A state that was entered, or an iteration of a Map, as the reader keeps it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::super::event_meaning::Container;
use crate::api::v1alpha1::{Iterations, Visit, VisitResult};
use crate::aws::HistoryEvent;

/// Longest name of an error, in characters.
const MAX_ERROR: usize = 256;

/// Why work failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed {
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) timed_out: bool,
}

impl Failed {
    pub(super) fn of(event: &HistoryEvent) -> Self {
        let bounded = |text: &String, most| text.chars().take(most).collect();
        Self {
            error: event.error.as_ref().map(|error| bounded(error, MAX_ERROR)),
            cause: event.cause.as_ref().map(|cause| bounded(cause, HistoryEvent::MAX_CAUSE)),
            timed_out: event.event_type.ends_with("TimedOut"),
        }
    }

    fn result(&self) -> VisitResult {
        if self.timed_out { VisitResult::TimedOut } else { VisitResult::Failed }
    }
}

/// What only a Map has.
#[derive(Clone, Debug, Default)]
pub(super) struct OfMap {
    iterations: Iterations,
    /// Iterations that failed, which a redrive may begin again.
    failed: BTreeSet<i32>,
    /// The Map Run that its iterations are in, where they are executions of their own.
    pub(super) run: Option<String>,
    /// What that counts.
    pub(super) of_run: Option<Iterations>,
}

impl OfMap {
    pub(super) fn begins(&mut self, index: i32) {
        if self.failed.remove(&index) {
            self.iterations.failed -= 1;
        }
        self.iterations.running += 1;
        self.has_at_least_those();
    }

    pub(super) fn ends(&mut self, index: i32, well: bool) {
        self.iterations.running -= 1;
        if well {
            self.iterations.succeeded += 1;
        } else if self.failed.insert(index) {
            self.iterations.failed += 1;
        }
    }

    /// A Map that was begun before goes on where it failed, or begins anew.
    pub(super) fn is_begun(&mut self, length: i64, anew: bool) {
        if anew {
            *self = Self::default();
        }
        self.iterations.total = length.max(0);
        self.has_at_least_those();
    }

    fn has_at_least_those(&mut self) {
        let Iterations { total, succeeded, failed, running } = &mut self.iterations;
        *total = (*total).max(*succeeded + *failed + *running);
    }
}

/// A state that was entered, or an iteration.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) outer: Option<usize>,
    pub(super) depth: usize,
    pub(super) name: String,
    /// Of an iteration.
    pub(super) index: Option<i32>,
    pub(super) container: Option<Container>,
    /// Place in the definition.
    pub(super) place: Option<usize>,
    pub(super) in_iteration: bool,
    pub(super) entered: Timestamp,
    exited: Option<Timestamp>,
    result: VisitResult,
    pub(super) retries: i64,
    /// Its last failure, unless its work was tried again since.
    pub(super) failed: Option<Failed>,
    /// An event said that what is inside has failed, and its work did not begin again since.
    pub(super) has_told_inside: bool,
    pub(super) map: Option<Box<OfMap>>,
    /// What is open inside it.
    pub(super) inside: Vec<usize>,
}

impl Node {
    pub(super) fn new(outer: Option<usize>, name: &str, entered: Timestamp) -> Self {
        Self {
            outer,
            depth: 0,
            name: name.to_owned(),
            index: None,
            container: None,
            place: None,
            in_iteration: false,
            entered,
            exited: None,
            result: VisitResult::Running,
            retries: 0,
            failed: None,
            has_told_inside: false,
            map: None,
            inside: Vec::new(),
        }
    }

    pub(super) fn is_state(&self) -> bool {
        self.index.is_none()
    }

    pub(super) fn is_open(&self) -> bool {
        self.result == VisitResult::Running
    }

    pub(super) fn result(&self) -> VisitResult {
        self.result
    }

    /// It has ended: as its failure says where it failed, else as is given.
    pub(super) fn end(&mut self, otherwise: VisitResult, at: Timestamp) {
        self.result = self.failed.as_ref().map_or(otherwise, Failed::result);
        self.exited = Some(at);
    }

    /// It was left as the definition says: well, or by a catcher.
    pub(super) fn leave(&mut self, at: Timestamp) {
        self.result = if self.failed.is_some() { VisitResult::Caught } else { VisitResult::Succeeded };
        self.exited = Some(at);
    }

    pub(super) fn open_again(&mut self) {
        (self.result, self.exited, self.failed) = (VisitResult::Running, None, None);
        self.has_told_inside = false;
    }

    /// As it is told.
    pub(super) fn told(&self, path: String) -> Visit {
        let failed = self.failed.clone().filter(|_| !self.is_open()).unwrap_or_default();
        Visit {
            path,
            state: self.name.clone(),
            entered_at: Some(MicroTime(self.entered)),
            exited_at: self.exited.map(MicroTime),
            result: self.result,
            retries: self.retries,
            error: failed.error,
            cause: failed.cause,
            iterations: self.map.as_ref().map(|map| map.of_run.unwrap_or(map.iterations)),
        }
    }
}
