//! Where a run is: the machines that are being run, and what each waits for.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::event::{Identity, Limits, Outcome, Start, TaskId};
use super::failure::Failure;
use super::random::Random;
use super::value::size;

/// Where a run is. It is the driver's to keep, and to hand to the next [`step`](super::step).
#[derive(Clone, Debug)]
pub struct State {
    pub(super) now: Timestamp,
    pub(super) started: Timestamp,
    pub(super) identity: Identity,
    /// The context object, where the driver gives it.
    pub(super) shown: Option<Value>,
    pub(super) limits: Limits,
    pub(super) random: Random,
    pub(super) scopes: BTreeMap<ScopeId, Scope>,
    pub(super) last_scope: ScopeId,
    pub(super) executions: Vec<Execution>,
    /// What goes on by itself, in order.
    pub(super) queue: VecDeque<Message>,
    pub(super) timers: BTreeMap<(Timestamp, u64), Timer>,
    pub(super) last_timer: u64,
    pub(super) calls: BTreeMap<TaskId, ScopeId>,
    pub(super) last_call: u64,
    pub(super) used: Used,
    pub(super) outcome: Option<Outcome>,
}

pub(super) type ScopeId = u64;

/// What has been used of the limits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) work: u64,
}

/// An execution: the one that was started, or a child of a distributed Map.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    pub(super) input: Value,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) started: Timestamp,
    /// Events of it so far.
    pub(super) events: u64,
    /// The machine that it runs.
    pub(super) scope: ScopeId,
    pub(super) is_express: bool,
}

/// A machine that is being run: the execution's, a branch, an iteration.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) machine: usize,
    pub(super) execution: usize,
    pub(super) parent: Option<Parent>,
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) variable_bytes: usize,
    /// `$$.Map.Item` of an iteration.
    pub(super) item: Option<Value>,
    pub(super) iterations: Vec<usize>,
    pub(super) last_event: u64,
    pub(super) visit: Option<Visit>,
}

/// Who waits for a machine inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    pub(super) scope: ScopeId,
    /// Which branch or iteration it is.
    pub(super) slot: usize,
    /// It sees the variables of its parent. A child execution does not.
    pub(super) is_seen: bool,
}

/// A state that has been entered and not been left.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) state: usize,
    pub(super) input: Value,
    /// Id of the event that it was entered with, and of the event before.
    pub(super) entered: u64,
    pub(super) before: u64,
    pub(super) at: Timestamp,
    /// How often each retrier has been used.
    pub(super) retries: Vec<u32>,
    pub(super) attempt: u32,
    pub(super) token: Option<String>,
    pub(super) phase: Phase,
}

/// What a state waits for.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is about to begin.
    Begun,
    /// It waits for a moment: a Wait, or a state before its next attempt.
    Waiting,
    /// It waits for a call.
    Calling(Box<Calling>),
    /// It waits for its branches.
    Branches(Box<Branches>),
    /// It waits for its iterations.
    Iterations(Box<Iterations>),
}

/// A call of a state.
#[derive(Clone, Debug)]
pub(super) struct Calling {
    pub(super) task: TaskId,
    pub(super) told: Told,
    /// What it is called by when its result is too large.
    pub(super) resource: String,
    pub(super) heartbeat: Option<f64>,
    /// The heartbeat that counts: those before it were answered.
    pub(super) beat: u64,
    pub(super) is_started: bool,
}

/// How the events of a call are named, and what all of them tell.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// `LambdaFunction…`, with the ARN of the function.
    Lambda(String),
    /// `Activity…`.
    Activity(String),
    /// `Task…`, with `resourceType` and `resource`.
    Service(String, String),
    /// By no event.
    Untold,
}

/// The branches of a Parallel.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    pub(super) results: Vec<Option<Value>>,
    pub(super) open: BTreeMap<usize, ScopeId>,
}

/// The iterations of a Map.
#[derive(Clone, Debug, Default)]
pub(super) struct Iterations {
    /// What each is given, or what its `ItemSelector` is worked out from.
    pub(super) items: VecDeque<Value>,
    /// Keys of the items, where they are fields of an object.
    pub(super) keys: VecDeque<String>,
    pub(super) next: usize,
    pub(super) most_at_once: usize,
    pub(super) open: BTreeMap<usize, ScopeId>,
    pub(super) results: BTreeMap<usize, Value>,
    pub(super) failed: usize,
    pub(super) total: usize,
    pub(super) run: Option<Distributed>,
    /// The call that reads the items or writes the results.
    pub(super) call: Option<TaskId>,
}

/// What a distributed Map has beside its iterations.
#[derive(Clone, Debug)]
pub(super) struct Distributed {
    pub(super) arn: String,
    pub(super) tolerated_count: Option<f64>,
    pub(super) tolerated_percentage: Option<f64>,
    pub(super) label: String,
}

/// What is to happen at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// A Wait is over.
    Wake(ScopeId, u64),
    /// A state is tried again.
    Retry(ScopeId, u64),
    /// A call has taken too long.
    Timeout(ScopeId, TaskId),
    /// A call has been silent for too long.
    Heartbeat(ScopeId, TaskId, u64),
    /// The execution has taken too long.
    Execution,
}

/// What goes on by itself.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Enter { scope: ScopeId, state: String, input: Value },
    Begin { scope: ScopeId },
    Ended { parent: Parent, child: ScopeId, result: Result<Value, Failure> },
}

impl State {
    pub(super) fn new(start: Start, is_express: bool) -> Self {
        let execution = Execution {
            input: start.input,
            name: start.identity.name.clone(),
            arn: start.identity.execution.clone(),
            started: start.at,
            events: 0,
            scope: 0,
            is_express,
        };
        let scope = Scope {
            machine: 0,
            execution: 0,
            parent: None,
            variable_bytes: start.variables.values().map(size).sum(),
            variables: start.variables,
            item: None,
            iterations: Vec::new(),
            last_event: 0,
            visit: None,
        };
        Self {
            now: start.at,
            started: start.at,
            identity: start.identity,
            shown: start.context,
            limits: start.limits,
            random: Random::seeded(start.seed),
            scopes: BTreeMap::from([(0, scope)]),
            last_scope: 0,
            executions: vec![execution],
            queue: VecDeque::new(),
            timers: BTreeMap::new(),
            last_timer: 0,
            calls: BTreeMap::new(),
            last_call: 0,
            used: Used::default(),
            outcome: None,
        }
    }

    /// What the run came to, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The moment that it has come to.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When it goes on by itself, if nothing else happens.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn set_timer(&mut self, at: Timestamp, timer: Timer) {
        self.last_timer += 1;
        self.timers.insert((at, self.last_timer), timer);
    }

    /// Not beyond the end of what a time can be, which is far behind every bound.
    pub(super) fn after(&self, seconds: f64) -> Timestamp {
        let bounded = if seconds.is_finite() { seconds.clamp(0.0, 1e10) } else { 1e10 };
        let duration = jiff::SignedDuration::from_secs_f64(bounded);
        self.now.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// The machines that run inside the visited state of a scope.
    pub(super) fn inside(&self, scope: ScopeId) -> Vec<ScopeId> {
        match self.scopes.get(&scope).and_then(|scope| scope.visit.as_ref()).map(|visit| &visit.phase) {
            Some(Phase::Branches(branches)) => branches.open.values().copied().collect(),
            Some(Phase::Iterations(iterations)) => iterations.open.values().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// A variable that is seen from here.
    pub(super) fn variable(&self, scope: ScopeId, name: &str) -> Option<&Value> {
        self.seen(scope).find_map(|scope| scope.variables.get(name))
    }

    /// All variables that are seen from here.
    pub(super) fn variables(&self, scope: ScopeId) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for (name, value) in self.seen(scope).flat_map(|scope| &scope.variables) {
            if !all.contains_key(name) {
                all.insert(name.clone(), value.clone());
            }
        }
        all
    }

    /// A scope and those whose variables it sees, from the inside out.
    fn seen(&self, scope: ScopeId) -> impl Iterator<Item = &Scope> {
        std::iter::successors(self.scopes.get(&scope), |scope| {
            let parent = scope.parent.filter(|parent| parent.is_seen)?;
            self.scopes.get(&parent.scope)
        })
    }

    /// The context object as a state of this scope sees it.
    pub(super) fn context(&self, scope: ScopeId, name: &str, has_retries: bool) -> Value {
        if let Some(shown) = &self.shown {
            return shown.clone();
        }
        let Some(own) = self.scopes.get(&scope) else { return Value::Null };
        let execution = &self.executions[own.execution];
        let mut told = Map::new();
        told.insert("Id".into(), json!(execution.arn));
        told.insert("Input".into(), execution.input.clone());
        told.insert("StartTime".into(), json!(time(execution.started)));
        told.insert("Name".into(), json!(execution.name));
        told.insert("RoleArn".into(), json!(self.identity.role));
        // Recordings of Express executions have no such count.
        if !execution.is_express {
            told.insert("RedriveCount".into(), json!(0));
        }
        let machine = json!({"Id": self.identity.machine, "Name": self.identity.machine_name});
        let mut context = Map::from_iter([("Execution".into(), Value::Object(told)), ("StateMachine".into(), machine)]);
        if let Some(visit) = &own.visit {
            let mut state = Map::new();
            state.insert("Name".into(), json!(name));
            state.insert("EnteredTime".into(), json!(time(visit.at)));
            if has_retries {
                state.insert("RetryCount".into(), json!(visit.attempt));
            }
            context.insert("State".into(), Value::Object(state));
            if let Some(token) = &visit.token {
                context.insert("Task".into(), json!({"Token": token}));
            }
        }
        if let Some(item) = self.seen(scope).find_map(|scope| scope.item.as_ref()) {
            context.insert("Map".into(), json!({"Item": item}));
        }
        Value::Object(context)
    }
}

/// As AWS writes times: with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
