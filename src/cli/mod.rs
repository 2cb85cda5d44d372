//! One file a verb.

mod crds;
mod operator;

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
    /// Run the operator: watch Stepbound's resources and keep AWS as they say
    Operator(Box<crate::config::Flags>),
    /// Print the custom resource definitions, or write them to a folder
    Crds(crds::CrdsFlags),
}

/// What a verb can fail with.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The verb `crds`.
    #[error(transparent)]
    Crds(#[from] crds::CrdsError),
    /// The verb `operator`.
    #[error(transparent)]
    Operator(#[from] operator::OperatorError),
}

/// Runs the verb to its end.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.verb {
        Verb::Operator(flags) => Ok(operator::run(*flags)?),
        Verb::Crds(flags) => Ok(crds::run(&flags)?),
    }
}
