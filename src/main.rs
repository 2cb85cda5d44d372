//! Parses, dispatches and sets the exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = stepbound::cli::Cli::parse();
    match stepbound::cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            let error = anyhow::Error::from(error);
            #[allow(clippy::print_stderr)]
            {
                eprintln!("error: {error:#}");
            }
            ExitCode::from(code)
        }
    }
}
