//! How states are left: with an output, or by an error that is retried, caught, or ends the machine around it.

use serde_json::{Value, json};

use super::data::{self, Left};
use super::engine::{Beside, Details, Engine, MAX_PAYLOAD, details, payload};
use super::event::{Effect, Outcome, Way};
use super::failure::{Failure, Fault, QUERY, RUNTIME};
use super::state::{Message, Parent, Phase, ScopeId, Timer};
use super::value::size;
use crate::asl::model::{self, Catcher, Kind, Retrier};
use crate::asl::position::Node;

/// Bytes of all variables of a machine.
const MAX_VARIABLES: usize = 10 << 20;

impl<'m> Engine<'_, 'm> {
    /// The state's work is done: what it gives becomes its output, and the run goes on.
    pub(super) fn finish(&mut self, scope: ScopeId, result: &Value) {
        let Some(state) = self.state(scope) else { return };
        let way = if state.next.is_some() { Way::Next } else { Way::End };
        self.finish_as(scope, result, &state.data, state.next, way);
    }

    /// As [`Self::finish`], with the fields of a rule in place of the state's.
    pub(super) fn finish_as(
        &mut self,
        scope: ScopeId,
        result: &Value,
        shape: &model::Data<'m>,
        next: Option<Node<'m>>,
        way: Way,
    ) {
        let Some(state) = self.state(scope) else { return };
        let input = self.input(scope);
        let has_result = matches!(state.kind, Kind::Task(_) | Kind::Map(_) | Kind::Parallel(_));
        let beside = Beside { result: has_result.then_some(result), ..Beside::default() };
        match self.look(scope, &input, beside, |sight| data::leave(state, shape, result, sight)) {
            Ok(left) => self.leave(scope, left, next.and_then(Node::as_str), way),
            Err(fault) => self.fault(scope, fault),
        }
    }

    /// Leaves a state for the next; where there is none, the machine ends.
    pub(super) fn leave(&mut self, scope: ScopeId, left: Left, next: Option<&str>, way: Way) {
        let Some(state) = self.state(scope) else { return };
        let Some(text) = self.text(&left.output) else { return };
        let assigned = left.assigned.unwrap_or_default();
        let assigned_bytes: usize = assigned.values().map(size).sum();
        if text.len() > MAX_PAYLOAD || assigned_bytes > MAX_PAYLOAD {
            return self.uncaught_or(scope, Failure::too_large(state.name));
        }
        let mut told = details([("name", json!(state.name))]);
        payload(&mut told, "output", text);
        if !assigned.is_empty() {
            let texts = assigned.iter().map(|(name, value)| (name.clone(), json!(value.to_string())));
            told.insert("assignedVariables".to_owned(), Value::Object(texts.collect()));
            told.insert("assignedVariablesDetails".to_owned(), json!({"truncated": false}));
        }
        self.emit(scope, &format!("{}StateExited", state.type_name()), told);
        self.take_way(scope, way);
        let Some(own) = self.scope(scope) else { return };
        own.visit = None;
        own.variable_bytes += assigned_bytes;
        for (name, value) in assigned {
            let before = own.variables.insert(name, value);
            own.variable_bytes -= before.as_ref().map_or(0, size);
        }
        if own.variable_bytes > MAX_VARIABLES {
            return self.bound(format!("the variables of a machine hold more than {MAX_VARIABLES} bytes"));
        }
        match next {
            Some(next) => {
                self.run.queue.push_back(Message::Enter { scope, state: next.to_owned(), input: left.output });
            }
            None => self.close(scope, Ok(left.output)),
        }
    }

    fn take_way(&mut self, scope: ScopeId, way: Way) {
        let path = self.place(scope);
        self.effects.push(Effect::Take { path, way });
    }

    /// A Task's result or output that is too large can be caught; what a catcher makes cannot be caught again.
    fn uncaught_or(&mut self, scope: ScopeId, failure: Failure) {
        let is_caught = self.visit(scope).is_some_and(|visit| matches!(visit.phase, Phase::Waiting));
        if is_caught { self.uncaught(scope, failure) } else { self.failed(scope, failure) }
    }

    /// A field of the visited state cannot be worked out.
    pub(super) fn fault(&mut self, scope: ScopeId, fault: Fault) {
        if let Some(failure) = self.told(scope, fault) {
            self.failed(scope, failure);
        }
    }

    /// The failure of a fault; nothing where it ends the execution or the run.
    fn told(&mut self, scope: ScopeId, fault: Fault) -> Option<Failure> {
        let state = self.state(scope)?;
        let (entered, before) = self.visit(scope).map(|visit| (visit.entered, visit.before))?;
        let whose = |what: &str| {
            format!(
                "An error occurred while executing the state '{}' (entered at the event id #{entered}). {what}",
                state.name
            )
        };
        match fault {
            Fault::Bound(why) => {
                self.bound(why);
                None
            }
            Fault::Runtime(what) => {
                let failure = Failure { is_fatal: true, ..Failure::new(RUNTIME, whose(&what)) };
                self.fail_execution(scope, failure);
                None
            }
            Fault::Query(what, location) => {
                let cause = whose(&what);
                let mut told =
                    details([("cause", json!(cause)), ("error", json!(QUERY)), ("state", json!(state.name))]);
                told.extend(location.map(|location| ("location".to_owned(), json!(location))));
                self.scope(scope)?.last_event = before;
                self.emit(scope, "EvaluationFailed", told);
                Some(Failure::new(QUERY, cause))
            }
            Fault::Named(error, what) => Some(Failure::new(error, whose(&what))),
        }
    }

    /// The visited state has failed: it is tried again, or the error is caught, or its machine fails.
    pub(super) fn failed(&mut self, scope: ScopeId, failure: Failure) {
        let Some(state) = self.state(scope) else { return };
        let (retriers, catchers) = state.error_handling();
        let names = |node: Option<Node<'_>>| node.is_some_and(|names| failure.is_one_of(names.value()));
        if let Some(at) = retriers.iter().position(|retrier| names(retrier.error_equals))
            && self.try_again(scope, at, &retriers[at])
        {
            return;
        }
        match catchers.iter().position(|catcher| names(catcher.error_equals)) {
            Some(at) => self.catch(scope, at, &catchers[at], &failure),
            None => self.uncaught(scope, failure),
        }
    }

    /// Sets the timer for another attempt; false where there have been enough.
    fn try_again(&mut self, scope: ScopeId, at: usize, retrier: &Retrier<'_>) -> bool {
        let number = |node: Option<Node<'_>>, other: f64| node.and_then(|node| node.value().as_f64()).unwrap_or(other);
        let Some(visit) = self.visit(scope) else { return true };
        let done = visit.retries.get(at).copied().unwrap_or_default();
        if f64::from(done) >= number(retrier.max_attempts, 3.0) {
            return false;
        }
        visit.retries[at] += 1;
        visit.attempt += 1;
        visit.phase = Phase::Waiting;
        let entered = visit.entered;
        let backoff = number(retrier.backoff_rate, 2.0).powf(f64::from(done));
        let most = number(retrier.max_delay_seconds, f64::INFINITY);
        let mut delay = (number(retrier.interval_seconds, 1.0) * backoff).min(most);
        if retrier.jitter_strategy.and_then(Node::as_str) == Some("FULL") {
            #[allow(clippy::cast_precision_loss)] // a share of the delay
            let share = self.run.random.below(1 << 20) as f64 / f64::from(1 << 20);
            delay = (delay * share * 1000.0).round() / 1000.0;
        }
        // No event tells of it, and jitter may leave no time between attempts.
        self.run.used.events += 1;
        if self.run.used.events >= self.run.limits.events {
            self.bound(format!("the run has more than {} events and attempts", self.run.limits.events));
            return true;
        }
        self.take_way(scope, Way::Retry(at));
        let until = self.run.after(delay);
        self.run.set_timer(until, Timer::Retry(scope, entered));
        true
    }

    fn catch(&mut self, scope: ScopeId, at: usize, catcher: &Catcher<'m>, failure: &Failure) {
        let Some(state) = self.state(scope) else { return };
        self.tell_failed(scope);
        let (input, error) = (self.input(scope), failure.output());
        let beside = Beside { error: Some(&error), ..Beside::default() };
        let left = self.look(scope, &input, beside, |sight| data::leave(state, &catcher.data, &error, sight));
        if let Some(visit) = self.visit(scope) {
            visit.phase = Phase::Waiting;
        }
        match left {
            Ok(left) => self.leave(scope, left, catcher.next.and_then(Node::as_str), Way::Catch(at)),
            Err(fault) => {
                if let Some(failure) = self.told(scope, fault) {
                    self.close(scope, Err(failure));
                }
            }
        }
    }

    fn uncaught(&mut self, scope: ScopeId, failure: Failure) {
        self.tell_failed(scope);
        self.close(scope, Err(failure));
    }

    fn tell_failed(&mut self, scope: ScopeId) {
        let Some(state) = self.state(scope) else { return };
        if matches!(state.kind, Kind::Map(_) | Kind::Parallel(_)) {
            self.emit(scope, &format!("{}StateFailed", state.type_name()), Details::new());
        }
    }

    /// A machine is at its end.
    pub(super) fn close(&mut self, scope: ScopeId, result: Result<Value, Failure>) {
        let Some(parent) = self.run.scopes.get(&scope).map(|scope| scope.parent) else { return };
        match parent {
            Some(parent) if parent.is_seen => self.close_inner(scope, parent, result),
            parent => {
                match &result {
                    Ok(output) => {
                        let Some(text) = self.text(output) else { return };
                        let mut told = Details::new();
                        payload(&mut told, "output", text);
                        self.emit(scope, "ExecutionSucceeded", told);
                    }
                    Err(failure) => {
                        self.emit(scope, "ExecutionFailed", error_details(failure));
                    }
                }
                self.closed(scope, parent, result);
            }
        }
    }

    /// A branch or an iteration ends with an event of its own, or with the state that it failed in.
    fn close_inner(&mut self, scope: ScopeId, parent: Parent, result: Result<Value, Failure>) {
        let Some(outer) = self.state(parent.scope) else { return };
        let last = self.run.scopes.get(&scope).map_or(0, |scope| scope.last_event);
        let mut after = last;
        if matches!(outer.kind, Kind::Map(_)) {
            let ended = if result.is_ok() { "MapIterationSucceeded" } else { "MapIterationFailed" };
            let told = details([("name", json!(outer.name)), ("index", json!(parent.slot))]);
            let id = self.emit_aside(scope, ended, told);
            after = if result.is_ok() { id } else { last };
        } else if result.is_err() && self.state(scope).is_some_and(|state| matches!(state.kind, Kind::Task(_))) {
            // As recorded: the task that failed is told as aborted too.
            self.emit_aside(scope, "TaskStateAborted", Details::new());
        }
        self.run.scopes.remove(&scope);
        if let Some(outer) = self.scope(parent.scope) {
            outer.last_event = after;
            self.run.queue.push_back(Message::Ended { parent, child: scope, result });
        }
    }

    fn closed(&mut self, scope: ScopeId, parent: Option<Parent>, result: Result<Value, Failure>) {
        let Some(parent) = parent else {
            return self.end(match result {
                Ok(output) => Outcome::Succeeded(output),
                Err(Failure { error, cause, .. }) => Outcome::Failed { error, cause },
            });
        };
        self.run.scopes.remove(&scope);
        // Whatever ends a child execution is a failure like any other to the Map that started it.
        let result = result.map_err(|failure| Failure { is_fatal: false, ..failure });
        self.run.queue.push_back(Message::Ended { parent, child: scope, result });
    }

    /// Ends the execution that a scope is of, whatever is around it.
    pub(super) fn fail_execution(&mut self, scope: ScopeId, failure: Failure) {
        let Some(own) = self.run.scopes.get(&scope) else { return };
        let (execution, previous) = (own.execution, own.last_event);
        let root = self.run.executions[execution].scope;
        self.emit_after(scope, execution, previous, "ExecutionFailed", error_details(&failure));
        self.drop_inside(root);
        let parent = self.run.scopes.get(&root).and_then(|scope| scope.parent);
        self.closed(root, parent, Err(failure));
    }

    /// Ends the execution as a whole, from outside.
    pub(super) fn end_execution(&mut self, kind: &str, outcome: Outcome, told: Details) {
        let last = self.run.executions[0].events;
        self.emit_after(0, 0, last, kind, told);
        self.end(outcome);
    }

    /// The machines inside the visited state are no longer run; no event tells of it.
    pub(super) fn drop_inside(&mut self, scope: ScopeId) {
        let mut open = self.run.inside(scope);
        while let Some(scope) = open.pop() {
            open.extend(self.run.inside(scope));
            self.run.scopes.remove(&scope);
        }
    }

    /// The machines inside the visited state are stopped, which events tell. The model bounds how deep they nest.
    pub(super) fn abort_inside(&mut self, scope: ScopeId) {
        let inside = self.run.inside(scope);
        let Some(outer) = self.state(scope) else { return };
        for inner in inside {
            self.abort_inside(inner);
            let parent = self.run.scopes.get(&inner).and_then(|scope| scope.parent);
            let kind = self.state(inner).map(model::State::type_name).unwrap_or_default();
            match parent {
                Some(parent) if parent.is_seen => {
                    if matches!(kind, "Task" | "Wait" | "Map" | "Parallel") {
                        self.emit_aside(inner, &format!("{kind}StateAborted"), Details::new());
                    }
                    if matches!(outer.kind, Kind::Map(_)) {
                        let told = details([("name", json!(outer.name)), ("index", json!(parent.slot))]);
                        self.emit_aside(inner, "MapIterationAborted", told);
                    }
                }
                _ => {
                    self.emit_aside(inner, "ExecutionAborted", Details::new());
                }
            }
            self.run.scopes.remove(&inner);
        }
    }
}

pub(super) fn error_details(failure: &Failure) -> Details {
    let fields = [("error", &failure.error), ("cause", &failure.cause)];
    fields.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))).collect()
}
