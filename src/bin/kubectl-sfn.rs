//! `kubectl sfn`: parses, dispatches and sets the exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = stepbound::kubectl::Cli::parse();
    match stepbound::kubectl::run(cli) {
        Ok(code) => code.into(),
        Err(error) => {
            stepbound::cli::say(&format!("error: {error}"));
            error.exit().into()
        }
    }
}
