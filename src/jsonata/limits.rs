//! What an evaluation may take and know.

/// How much one evaluation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts evaluated, items looked at and pieces of text written, together: a million take less than a second.
    pub steps: u64,
    /// How many evaluations may wait for each other: calls of functions that are no last act, and nesting.
    pub depth: usize,
    /// The greatest number of items of an array, and of bytes of a text and of the result.
    pub size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 5_000_000, depth: 2_000, size: 1 << 20 }
    }
}

/// What an expression knows beside its input and its variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// For `$random`, `$uuid` and `$shuffle`. An evaluation changes it, so that the next one gives other values.
    pub seed: u64,
    /// Milliseconds since 1970, for `$now` and `$millis`.
    pub now: i64,
    /// How much it may take.
    pub limits: Limits,
}
