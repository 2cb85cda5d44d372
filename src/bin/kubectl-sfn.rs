//! `kubectl sfn`: parses, dispatches and sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = stepbound::kubectl::Cli::read();
    match stepbound::kubectl::run(cli) {
        Ok(code) => code.into(),
        Err(error) => {
            stepbound::cli::say(&format!("error: {error}"));
            error.exit().into()
        }
    }
}
