//! One step of a run: what happened goes in, what is to be done comes out.

use serde_json::json;

use super::engine::{Engine, details, payload};
use super::event::{Effect, Event, Outcome, Start};
use super::failure::{Failure, TIMEOUT};
use super::leaving::error_details;
use super::program::Program;
use super::state::{Message, Phase, ScopeId, State, Timer};
use crate::asl::model::Kind;

/// Begins a run.
pub fn start(program: &Program<'_>, start: Start) -> (State, Vec<Effect>) {
    let input = start.input.clone();
    let run = State::new(start, program.is_express);
    let mut engine = Engine { program, run, effects: Vec::new() };
    if let Some(text) = engine.text(&input) {
        let mut told = details([("roleArn", json!(engine.run.identity.role))]);
        payload(&mut told, "input", text);
        engine.emit_aside(0, "ExecutionStarted", told);
        let timeout = program.machines[0].machine.timeout_seconds.and_then(|node| node.value().as_f64());
        if let Some(timeout) = timeout {
            let until = engine.run.after(timeout);
            engine.run.set_timer(until, Timer::Execution);
        }
        engine.begin_at(0, input);
    }
    engine.go_on()
}

/// Takes a run one step further: until it waits for something outside, or has ended. A run that has ended stays as it is.
pub fn step(program: &Program<'_>, state: State, event: Event) -> (State, Vec<Effect>) {
    let mut engine = Engine { program, run: state, effects: Vec::new() };
    if engine.run.outcome.is_none() {
        engine.take(event);
    }
    engine.go_on()
}

impl Engine<'_, '_> {
    fn go_on(mut self) -> (State, Vec<Effect>) {
        while let Some(message) = self.run.queue.pop_front() {
            match message {
                Message::Enter { scope, state, input } => self.enter(scope, &state, input),
                Message::Begin { scope } => self.begin(scope),
                Message::Ended { parent, child, result } => match self.state(parent.scope).map(|state| &state.kind) {
                    Some(Kind::Map(_)) => self.iteration_ended(parent, child, result),
                    _ => self.branch_ended(parent, child, result),
                },
            }
        }
        self.forget_timers();
        if let Some(until) = self.run.wakes_at() {
            self.effects.push(Effect::Sleep { until });
        }
        (self.run, self.effects)
    }

    /// Timers of what has gone on in another way.
    fn forget_timers(&mut self) {
        while let Some((key, timer)) = self.run.timers.first_key_value().map(|(key, timer)| (*key, *timer)) {
            if self.is_awaited(timer) {
                return;
            }
            self.run.timers.remove(&key);
        }
    }

    fn is_awaited(&mut self, timer: Timer) -> bool {
        match timer {
            Timer::Wake(scope, entered) | Timer::Retry(scope, entered) => self.is_waiting(scope, entered),
            Timer::Timeout(_, task) => self.run.calls.contains_key(&task),
            Timer::Heartbeat(scope, task, beat) => self.is_silent(scope, task, beat),
            Timer::Execution => true,
        }
    }

    fn is_waiting(&mut self, scope: ScopeId, entered: u64) -> bool {
        self.visit(scope).is_some_and(|visit| visit.entered == entered && matches!(visit.phase, Phase::Waiting))
    }

    fn take(&mut self, event: Event) {
        let at = match &event {
            Event::Time(at) | Event::Answer { at, .. } | Event::Stop { at, .. } => *at,
        };
        self.run.now = self.run.now.max(at);
        if self.run.now.duration_since(self.run.started).as_secs() > self.run.limits.seconds {
            return self.bound(format!("the run takes more than {} seconds", self.run.limits.seconds));
        }
        match event {
            Event::Time(_) => {}
            Event::Answer { task, answer, .. } => {
                let Some(scope) = self.run.calls.get(&task).copied() else { return };
                match self.visit(scope).map(|visit| &visit.phase) {
                    Some(Phase::Iterations(_)) => self.run_answered(scope, task, answer),
                    _ => self.answered(scope, task, answer),
                }
            }
            Event::Stop { error, cause, .. } => {
                let told = error_details(&Failure { error: error.clone(), cause: cause.clone(), ..Failure::default() });
                return self.end_execution("ExecutionAborted", Outcome::Aborted { error, cause }, told);
            }
        }
        self.ring();
    }

    /// What was to happen by now, happens.
    fn ring(&mut self) {
        while let Some((key, timer)) = self.run.timers.first_key_value().map(|(key, timer)| (*key, *timer)) {
            if key.0 > self.run.now {
                return;
            }
            self.run.timers.remove(&key);
            match timer {
                _ if !self.is_awaited(timer) => {}
                Timer::Wake(scope, _) => self.succeed(scope),
                Timer::Retry(scope, _) => self.run.queue.push_back(Message::Begin { scope }),
                Timer::Timeout(scope, task) => self.timed_out(scope, task, None, false),
                Timer::Heartbeat(scope, task, _) => self.timed_out(scope, task, None, true),
                Timer::Execution => {
                    let failure = Failure { error: Some(TIMEOUT.to_owned()), ..Failure::default() };
                    let outcome = Outcome::TimedOut { error: failure.error.clone(), cause: None };
                    self.end_execution("ExecutionTimedOut", outcome, error_details(&failure));
                }
            }
        }
    }

    /// A state begins its work, for the first time or again.
    fn begin(&mut self, scope: ScopeId) {
        let Some(state) = self.state(scope) else { return };
        if let Some(visit) = self.visit(scope) {
            visit.phase = Phase::Begun;
        }
        let is_answered = self.run.scopes.get(&scope).is_some_and(|own| {
            own.visit.as_ref().is_some_and(|visit| self.program.is_answered(own.machine, visit.state))
        });
        match &state.kind {
            Kind::Map(_) | Kind::Parallel(_) if is_answered => self.ask(scope),
            Kind::Task(task) => self.task(scope, state, task),
            Kind::Pass(pass) => self.pass(scope, state, pass),
            Kind::Choice(choice) => self.choose(scope, state, choice),
            Kind::Wait(wait) => self.wait(scope, state, wait),
            Kind::Succeed => self.succeed(scope),
            Kind::Fail(fail) => self.fail(scope, state, fail),
            Kind::Parallel(_) => self.parallel(scope, state),
            Kind::Map(map) => self.map(scope, state, map),
            Kind::Unknown => self.bound(format!("state \"{}\" has no type that there is", state.name)),
        }
    }
}
