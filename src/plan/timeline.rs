//! What an execution did, told from all events of its history, in their order. Events come page by page and are kept by none:
//! what was read stays as visits, so a reader can go on with further events later.
//!
//! Where an event stands follows from the event that it is linked to, as in [`history`](super::history), which reads
//! backwards: for where an execution is, or where it failed, the newest events do, however long the history is.

mod fit;
mod paths;
mod reader;
mod visit;

pub use fit::fitted;
pub use paths::Paths;
pub use reader::{MAX_EVENTS, Place, Reader};

#[cfg(test)]
mod tests;
