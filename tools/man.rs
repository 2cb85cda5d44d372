//! Writes the man pages of `kubectl sfn` into a folder: one of itself and one a verb.
#![allow(clippy::print_stderr, missing_docs)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: man FOLDER");
        return ExitCode::from(2);
    };
    let command = stepbound::kubectl::Cli::command().name("kubectl-sfn").display_name("kubectl-sfn");
    match std::fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(command, &folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
