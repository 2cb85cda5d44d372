//! One file a verb.

mod crds;

use clap::{Parser, Subcommand};

/// Runs AWS Step Functions from Kubernetes with workload identity.
#[derive(Debug, Parser)]
#[command(name = "stepbound", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the custom resource definitions, or write them to a folder
    Crds(crds::CrdsFlags),
}

/// What a verb can fail with.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The verb `crds`.
    #[error(transparent)]
    Crds(#[from] crds::CrdsError),
}

/// Runs the verb to its end.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.verb {
        Verb::Crds(flags) => Ok(crds::run(&flags)?),
    }
}
