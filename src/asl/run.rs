//! Running a definition: an interpreter of the Amazon States Language without a clock, a thread, input or output.
//!
//! [`start`] and [`step`] take what happened and give what is to be done: calls, sleep, and the events that
//! `GetExecutionHistory` would show. Whoever drives a run answers its calls and lets time go by; [`play`] does both for a run
//! whose calls are answered by a closure, in a time that takes none. Random numbers and ids follow from a seed, so a run is
//! the same every time.
//!
//! Everything is bounded by [`Limits`], and by what AWS bounds: a definition that is hostile, or none at all, ends as
//! [`Outcome::Bounded`]. A nested execution is a call like any other: its driver may play it with another program.
//!
//! ```ignore
//! let parsed = asl::parse(definition)?;
//! let machine = Machine::of(parsed.root());
//! let program = Program::of(&machine);
//! let played = play(&program, Start::with_input(json!({"order": 1})), |call| match call.path.state.as_str() {
//!     "Charge" => Answer::Succeeded(json!({"ok": true})).into(),
//!     _ => TaskAnswer::Never,
//! });
//! assert_eq!(played.outcome, Outcome::Succeeded(json!({"ok": true})));
//! ```

mod choice;
mod data;
mod digest;
mod distributed;
mod drive;
mod engine;
mod event;
mod failure;
mod filter;
mod intrinsics;
mod leaving;
mod map;
mod parallel;
mod path;
mod plain;
mod program;
mod query;
mod random;
mod reader;
mod sight;
mod state;
mod step;
mod task;
mod template;
mod value;

pub use drive::{Played, TaskAnswer, play};
pub use event::{
    Answer, Bound, Effect, Event, HistoryEvent, Identity, Invoke, Limits, Outcome, Place, Purpose, Start, TaskId, Way,
};
pub use program::Program;
pub use state::State;
pub use step::{start, step};

#[cfg(test)]
mod tests;
