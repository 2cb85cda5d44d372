//! What is found: wrong with a schema, or missed by an input.

use std::fmt;

/// What is wrong with a schema, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    pub(super) fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(formatter, "the schema {}", self.message),
            pointer => write!(formatter, "{pointer} {}", self.message),
        }
    }
}

/// One place of an input that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// JSON pointer into the input.
    pub pointer: String,
    /// What was expected there. The value that stands there is not told.
    pub expected: String,
    /// JSON pointer into the schema to the keyword that expects it.
    pub keyword: String,
}

impl fmt::Display for Miss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the input" } else { self.pointer.as_str() };
        write!(formatter, "{place} {}", self.expected)?;
        if self.keyword.is_empty() { Ok(()) } else { write!(formatter, " ({})", self.keyword) }
    }
}

/// The places of an input that do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misses {
    /// The first of them.
    pub first: Vec<Miss>,
    /// How many more there are; `None` where they were not counted.
    pub more: Option<usize>,
}

impl Misses {
    /// Each told by itself.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = match self.more {
            Some(0) => None,
            Some(more) => Some(format!("and {more} more")),
            None => Some("and perhaps more".to_owned()),
        };
        self.first.iter().map(Miss::to_string).chain(more)
    }
}

impl fmt::Display for Misses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines().collect::<Vec<_>>().join("; "))
    }
}
