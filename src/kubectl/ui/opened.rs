//! Opens the browser. The address has a token in it, and what a program is started with can be read by every user of the
//! machine: so the browser is shown a file that only this user can read, which leads there.

use std::fs::OpenOptions;
use std::io::{Result, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use parking_lot::Mutex;

use super::door::random;
use crate::cli::out::say;

/// The file, until the page was opened.
#[derive(Default)]
pub(super) struct Opened(Mutex<Option<PathBuf>>);

impl Opened {
    /// Opens the address in whichever browser the system would use.
    pub fn open(url: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("kubectl-sfn-{}.html", random(16)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let leads = format!(
            "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={url}\"><title>kubectl sfn</title>\n"
        );
        options.open(&path)?.write_all(leads.as_bytes())?;
        let opened = Self(Mutex::new(Some(path.clone())));
        let program = match std::env::consts::OS {
            "macos" => "open",
            "windows" => "explorer",
            _ => "xdg-open",
        };
        let mut command = Command::new(program);
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = command.spawn() {
            say(&format!("note: no browser was opened ({program}: {error}); open the address yourself"));
            opened.done();
        }
        Ok(opened)
    }

    /// The browser has been there: nobody needs the file any more.
    pub fn done(&self) {
        if let Some(path) = self.0.lock().take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            say(&format!("note: cannot remove {}: {error}", path.display()));
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.done();
    }
}
