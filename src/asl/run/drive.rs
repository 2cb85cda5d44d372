//! A run from its start to its end, over what answers its calls, in a time that takes none.

use std::collections::VecDeque;

use super::event::{Answer, Effect, Event, HistoryEvent, Invoke, Outcome, Place, Start, Way};
use super::program::Program;
use super::step::{start, step};

/// What a run was.
#[derive(Clone, Debug)]
pub struct Played {
    /// What it came to.
    pub outcome: Outcome,
    /// Its history, and those of its child executions.
    pub history: Vec<HistoryEvent>,
    /// Its calls, in the order in which they were made.
    pub calls: Vec<Invoke>,
    /// How its states went on, in order.
    pub ways: Vec<(Place, Way)>,
}

/// How a call is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskAnswer {
    /// By these, one after the other, at once.
    Now(Vec<Answer>),
    /// By this, some seconds later.
    After(f64, Answer),
    /// Never: its time, or that of the execution, runs out.
    Never,
}

impl From<Answer> for TaskAnswer {
    fn from(answer: Answer) -> Self {
        Self::Now(vec![answer])
    }
}

/// Plays a run to its end.
///
/// Calls are answered in the order in which they are made. Where none is left to be answered, time goes on to the next
/// moment that something waits for.
pub fn play(program: &Program<'_>, begin: Start, mut answer: impl FnMut(&Invoke) -> TaskAnswer) -> Played {
    let limit = begin.limits.seconds;
    let first = begin.at;
    let (mut state, mut effects) = start(program, begin);
    let (mut history, mut calls, mut ways) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiting: VecDeque<Event> = VecDeque::new();
    let mut later: Vec<(jiff::Timestamp, Event)> = Vec::new();
    loop {
        let now = state.now();
        for effect in effects.drain(..) {
            match effect {
                Effect::Emit(event) => history.push(event),
                Effect::Take { path, way } => ways.push((path, way)),
                Effect::Sleep { .. } | Effect::Heartbeat { .. } => {}
                Effect::Invoke(call) => {
                    let task = call.task;
                    match answer(&call) {
                        TaskAnswer::Now(answers) => {
                            waiting.extend(answers.into_iter().map(|answer| Event::Answer { at: now, task, answer }));
                        }
                        TaskAnswer::After(seconds, answer) => {
                            let at = state.after(seconds);
                            later.push((at, Event::Answer { at, task, answer }));
                        }
                        TaskAnswer::Never => {}
                    }
                    calls.push(*call);
                }
            }
        }
        if let Some(outcome) = state.outcome() {
            return Played { outcome: outcome.clone(), history, calls, ways };
        }
        let next = waiting.pop_front().or_else(|| next(&mut later, state.wakes_at()));
        // With nothing left to happen, the time of the limits goes by.
        let forever =
            first.checked_add(jiff::SignedDuration::from_secs(limit.saturating_add(1))).unwrap_or(jiff::Timestamp::MAX);
        (state, effects) = step(program, state, next.unwrap_or(Event::Time(forever)));
    }
}

/// The earlier of the next late answer and the next moment that the run waits for.
fn next(later: &mut Vec<(jiff::Timestamp, Event)>, wakes: Option<jiff::Timestamp>) -> Option<Event> {
    let first = later.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(place, (at, _))| (place, *at));
    match (first, wakes) {
        (Some((place, at)), wakes) if wakes.is_none_or(|wakes| at <= wakes) => Some(later.remove(place).1),
        (_, wakes) => wakes.map(Event::Time),
    }
}
