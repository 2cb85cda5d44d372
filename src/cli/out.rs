//! What the commands print, with nothing in it that a terminal obeys but our own colours. A reader that has seen enough, such as `head`, is no failure of theirs: nothing more is printed, and
//! the exit code says what it would have said.

use std::io::{ErrorKind, IsTerminal, Result, Write};

use crate::printable::shown;

/// Writes to standard output, all of it at once.
///
/// # Errors
/// When it cannot be written, as on a full disk, but not because nobody reads any more.
pub(crate) fn print(text: &str) -> Result<()> {
    is_read(text).map(drop)
}

/// Writes as [`print`] does; false where nobody reads any more, for whatever would go on for them alone.
///
/// # Errors
/// When it cannot be written, as on a full disk.
pub(crate) fn is_read(text: &str) -> Result<bool> {
    draw(&shown(text, colour()))
}

/// Writes as [`is_read`] does what moves about on a terminal, and whatever is in it is obeyed: values go into it by
/// [`printable`](crate::printable::printable).
///
/// # Errors
/// When it cannot be written, as on a full disk.
pub(crate) fn draw(text: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Writes a line to standard error. Where that cannot be written there is nobody left to tell.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", shown(line, false));
}

/// True on a terminal that knows more than letters.
pub(crate) fn can_draw() -> bool {
    let is_dumb = || std::env::var_os("TERM").is_some_and(|name| name == "dumb");
    // Consoles of Windows have to be asked to obey; elsewhere there is nothing to ask.
    let obeys = || anstyle_query::windows::enable_ansi_colors() != Some(false);
    std::io::stdout().is_terminal() && !is_dumb() && obeys()
}

/// Columns that a line may have; as many as it likes where no terminal shows it.
pub(crate) fn columns() -> usize {
    let terminal = if std::io::stdout().is_terminal() { terminal_size::terminal_size() } else { None };
    terminal.map_or(usize::MAX, |(width, _)| usize::from(width.0).max(1))
}

/// True on such a terminal, unless the user says otherwise (no-color.org).
pub(crate) fn colour() -> bool {
    can_draw() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
