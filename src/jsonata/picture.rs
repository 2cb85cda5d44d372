//! Pictures: how numbers and times are written and read, after `XPath` 3.1.

pub(super) mod calendar;
pub(super) mod integer;
pub(super) mod iso;
pub(super) mod number;
pub(super) mod parse;
pub(super) mod time;
mod words;

/// A longer width than anything has; it bounds what a picture writes.
const MAX_WIDTH: usize = 100;
