//! One file a verb.

mod crds;
mod operator;
mod release;

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
    /// Let go of objects before an uninstall; what they made in AWS stays and is listed
    Release(Box<release::ReleaseFlags>),
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
    /// The verb `release`.
    #[error(transparent)]
    Release(#[from] release::ReleaseError),
}

/// Runs the verb to its end.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.verb {
        Verb::Operator(flags) => Ok(operator::run(*flags)?),
        Verb::Crds(flags) => Ok(crds::run(&flags)?),
        Verb::Release(flags) => Ok(release::run(&flags)?),
    }
}
