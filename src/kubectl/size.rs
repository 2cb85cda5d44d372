//! How much room the terminal has.

/// Of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub rows: usize,
}

impl Size {
    /// As it is now; that of old terminals where it is not known.
    pub fn now() -> Self {
        terminal_size::terminal_size().map_or(Self { columns: 80, rows: 24 }, |(width, height)| Self {
            columns: usize::from(width.0).max(1),
            rows: usize::from(height.0).max(1),
        })
    }
}
