//! What all types of state are run with: what they can see, their events, how they are entered.

use serde_json::{Map, Value, json};

use super::event::{Bound, Effect, HistoryEvent, Outcome, Place};
use super::failure::{Failure, Fault, RUNTIME};
use super::program::Program;
use super::sight::{Shared, Sight};
use super::state::{Message, Phase, Scope, ScopeId, State, Visit};
use super::value::{is_deeper, size};
use crate::asl::model::{self, Kind};
use crate::asl::position::Node;

/// Events of a Standard execution; the last can only be its end.
const MAX_HISTORY: u64 = 25_000;
/// Bytes of a result, an output, the variables that one state sets.
pub(super) const MAX_PAYLOAD: usize = 262_144;

/// A run while it goes on.
pub(super) struct Engine<'p, 'm> {
    pub(super) program: &'p Program<'m>,
    pub(super) run: State,
    pub(super) effects: Vec<Effect>,
}

/// Fields of an event.
pub(super) type Details = Map<String, Value>;

pub(super) fn details<const N: usize>(fields: [(&str, Value); N]) -> Details {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A payload with what the API says of it.
pub(super) fn payload(details: &mut Details, key: &str, text: String) {
    details.insert(key.to_owned(), Value::String(text));
    details.insert(format!("{key}Details"), json!({"truncated": false}));
}

/// What an expression can see beside its state's input.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    pub(super) item: Option<&'a Value>,
    pub(super) result: Option<&'a Value>,
    pub(super) error: Option<&'a Value>,
}

impl<'m> Engine<'_, 'm> {
    pub(super) fn scope(&mut self, scope: ScopeId) -> Option<&mut Scope> {
        self.run.scopes.get_mut(&scope)
    }

    pub(super) fn visit(&mut self, scope: ScopeId) -> Option<&mut Visit> {
        self.scope(scope)?.visit.as_mut()
    }

    /// The state that is being visited.
    pub(super) fn state(&self, scope: ScopeId) -> Option<&'m model::State<'m>> {
        let scope = self.run.scopes.get(&scope)?;
        Some(self.program.state(scope.machine, scope.visit.as_ref()?.state))
    }

    /// The input of the state that is being visited.
    pub(super) fn input(&self, scope: ScopeId) -> Value {
        let visit = self.run.scopes.get(&scope).and_then(|scope| scope.visit.as_ref());
        visit.map(|visit| visit.input.clone()).unwrap_or_default()
    }

    pub(super) fn place(&self, scope: ScopeId) -> Place {
        let Some(own) = self.run.scopes.get(&scope) else { return Place::default() };
        let (shown, visit) = match (&own.visit, own.parent) {
            (Some(visit), _) => (own, visit),
            (None, Some(parent)) => match self.run.scopes.get(&parent.scope) {
                Some(Scope { visit: Some(visit), .. }) => (&self.run.scopes[&parent.scope], visit),
                _ => return Place::default(),
            },
            (None, None) => return Place::default(),
        };
        Place {
            pointer: self.program.pointer(shown.machine, visit.state),
            state: self.program.state(shown.machine, visit.state).name.to_owned(),
            iterations: own.iterations.clone(),
        }
    }

    /// Works something out with what the visited state can see; `data` is what its paths begin from.
    pub(super) fn look<R>(
        &mut self,
        scope: ScopeId,
        data: &Value,
        beside: Beside<'_>,
        work: impl FnOnce(Sight<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let Some(state) = self.state(scope) else { return Err(Fault::Bound("a state is gone".to_owned())) };
        let has_retries = matches!(state.kind, Kind::Task(_) | Kind::Map(_) | Kind::Parallel(_));
        let expressions = &self.program.expressions;
        let mut shared = Shared::new(state.name, has_retries, self.run.random.clone(), expressions);
        shared.item = beside.item.cloned();
        shared.result = beside.result;
        shared.error = beside.error;
        let result = work(Sight { data, scope, state: &self.run, shared: &shared });
        let (random, work) = shared.end();
        self.run.random = random;
        self.run.used.work = self.run.used.work.saturating_add(work);
        if self.run.used.work > self.run.limits.work {
            return Err(Fault::Bound("paths, functions and expressions take more work than a run may".to_owned()));
        }
        result
    }

    /// Adds an event to the history that the scope belongs to. Its id; 0 where the run has ended before.
    pub(super) fn emit(&mut self, scope: ScopeId, kind: &str, details: Details) -> u64 {
        let id = self.emit_aside(scope, kind, details);
        if let Some(scope) = self.scope(scope) {
            scope.last_event = id;
        }
        id
    }

    /// An event that no later one follows.
    pub(super) fn emit_aside(&mut self, scope: ScopeId, kind: &str, details: Details) -> u64 {
        let Some((execution, previous)) = self.run.scopes.get(&scope).map(|own| (own.execution, own.last_event)) else {
            return 0;
        };
        self.emit_after(scope, execution, previous, kind, details)
    }

    pub(super) fn emit_after(
        &mut self,
        scope: ScopeId,
        execution: usize,
        previous: u64,
        kind: &str,
        details: Details,
    ) -> u64 {
        if self.run.outcome.is_some() {
            return 0;
        }
        let own = &mut self.run.executions[execution];
        let is_end =
            matches!(kind, "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted");
        if !own.is_express && own.events + 1 >= MAX_HISTORY && !is_end {
            let cause = format!("The execution reached the maximum number of history events ({MAX_HISTORY}).");
            self.fail_execution(scope, Failure { is_fatal: true, ..Failure::new(RUNTIME, cause) });
            return 0;
        }
        own.events += 1;
        let id = own.events;
        self.run.used.events += 1;
        self.run.used.bytes += details.values().map(|value| size(value) as u64).sum::<u64>();
        let (place, timestamp) = (self.place(scope), self.run.now);
        let event_type = kind.to_owned();
        self.effects.push(Effect::Emit(HistoryEvent {
            execution,
            id,
            previous_id: previous,
            timestamp,
            event_type,
            place,
            details,
        }));
        let limits = self.run.limits;
        if self.run.used.events >= limits.events {
            self.bound(format!("the run has more than {} events", limits.events));
        } else if self.run.used.bytes >= limits.bytes {
            self.bound(format!("the events of the run hold more than {} bytes", limits.bytes));
        }
        id
    }

    /// The run is not played on.
    pub(super) fn bound(&mut self, why: String) {
        self.end(Outcome::Bounded(Bound(why)));
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.run.outcome.is_none() {
            self.run.outcome = Some(outcome);
            self.run.queue.clear();
            self.run.timers.clear();
            self.run.calls.clear();
            self.run.scopes.clear();
        }
    }

    /// The JSON of a payload, unless it is deeper than a run may make it.
    pub(super) fn text(&mut self, value: &Value) -> Option<String> {
        let most = self.run.limits.depth;
        if is_deeper(value, most) {
            self.bound(format!("a payload is nested more than {most} levels deep"));
            return None;
        }
        Some(value.to_string())
    }

    pub(super) fn enter(&mut self, scope: ScopeId, name: &str, input: Value) {
        let Some(machine) = self.run.scopes.get(&scope).map(|scope| scope.machine) else { return };
        let Some(state) = self.program.find(machine, name) else {
            return self.bound(format!("there is no state \"{name}\" where the definition leads to it"));
        };
        let kind = self.program.state(machine, state).type_name();
        let Some(text) = self.text(&input) else { return };
        let mut details = details([("name", json!(name))]);
        payload(&mut details, "input", text);
        let before = self.run.scopes.get(&scope).map_or(0, |scope| scope.last_event);
        let (now, retriers) = (self.run.now, self.program.state(machine, state).error_handling().0.len());
        if let Some(scope) = self.scope(scope) {
            scope.visit = Some(Visit {
                state,
                input,
                entered: 0,
                before,
                at: now,
                retries: vec![0; retriers],
                attempt: 0,
                token: None,
                phase: Phase::Begun,
            });
        }
        let entered = self.emit(scope, &format!("{kind}StateEntered"), details);
        if let Some(visit) = self.visit(scope) {
            visit.entered = entered;
            self.run.queue.push_back(Message::Begin { scope });
        }
    }

    /// A machine inside the visited state begins.
    pub(super) fn open(&mut self, scope: Scope) -> Option<ScopeId> {
        if self.run.scopes.len() >= self.run.limits.scopes {
            self.bound(format!("more than {} machines run at the same time", self.run.limits.scopes));
            return None;
        }
        self.run.last_scope += 1;
        let id = self.run.last_scope;
        self.run.scopes.insert(id, scope);
        Some(id)
    }

    /// Where a machine begins.
    pub(super) fn begin_at(&mut self, scope: ScopeId, input: Value) {
        let Some(machine) = self.run.scopes.get(&scope).map(|scope| scope.machine) else { return };
        match self.program.machines[machine].machine.start_at.and_then(Node::as_str) {
            Some(state) => self.run.queue.push_back(Message::Enter { scope, state: state.to_owned(), input }),
            None => self.bound("a machine has no StartAt".to_owned()),
        }
    }
}
