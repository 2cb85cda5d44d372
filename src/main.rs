//! Parses, dispatches and sets the exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = stepbound::cli::Cli::parse();
    match stepbound::cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            stepbound::cli::say(&format!("error: {}", told(&anyhow::Error::from(error))));
            ExitCode::from(code)
        }
    }
}

/// An error with its causes, but for those whose words it has in its own.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        known if told.contains(&known) => told,
        first if told.is_empty() => first,
        more => format!("{told}: {more}"),
    })
}
