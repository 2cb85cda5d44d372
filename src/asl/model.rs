//! The Amazon States Language as types: a view of a tree that borrows all it shows, so that nothing of the tree is lost
//! and each part knows its place.
//!
//! Reading never fails. What has the wrong form is absent from the view and stays reachable as [`Node`](super::Node); the linter tells.
//! Source: states-language.net/spec.html and the Step Functions developer guide.

mod choice;
mod fields;
mod language;
mod map;
mod resource;
mod state;

pub use choice::{ChoiceRule, Condition};
pub use fields::{Catcher, Data, Retrier, Setting};
pub use language::QueryLanguage;
pub use map::{ExecutionType, ItemBatcher, ItemReader, Mode, ProcessorConfig, ResultWriter};
pub use resource::{Arn, Pattern, Resource, Target};
pub use state::{Choice, Fail, Kind, MAX_DEPTH, Machine, MapState, Parallel, Pass, State, Task, Visit, Wait};

#[cfg(test)]
mod tests;
