//! What the commands print. A reader that has seen enough, such as `head`, is no failure of theirs: nothing more is printed, and
//! the exit code says what it would have said.

use std::io::{ErrorKind, IsTerminal, Result, Write};

/// Writes to standard output, all of it at once.
///
/// # Errors
/// When it cannot be written, as on a full disk, but not because nobody reads any more.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error. Where that cannot be written there is nobody left to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// True on a terminal, unless the user says otherwise (no-color.org).
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
