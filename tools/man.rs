//! Writes the man pages of `kubectl sfn` into a folder: one of itself and one a verb.
#![allow(clippy::print_stderr, missing_docs)]

use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

#[allow(dead_code)] // the tests write the pages themselves
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(date)) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        eprintln!("usage: man FOLDER DATE");
        return ExitCode::from(2);
    };
    match write(&folder, &date.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes the pages, as of a date such as 2026-01-31, into the folder, which is made where it is not there.
pub fn write(folder: &Path, date: &str) -> Result<()> {
    let command = stepbound::kubectl::Cli::command().name("kubectl-sfn").display_name("kubectl-sfn");
    let mut command = without_help(command);
    command.build();
    std::fs::create_dir_all(folder)?;
    pages(&command, folder, date)
}

/// `help` is a verb to clap, and no page of its own.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

fn pages(command: &Command, folder: &Path, date: &str) -> Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        pages(verb, folder, date)?;
    }
    let source = format!("stepbound {}", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).date(date).source(source).manual("kubectl sfn");
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(Error::other)?;
    // What it calls extra the manual calls notes; and breaks around an empty line are warned of.
    let text = text.replace("\n.SH EXTRA\n", "\n.SH NOTES\n").replace("\n.br\n\n.br\n", "\n.sp\n");
    std::fs::write(folder.join(page.get_filename()), text)
}
