//! One file a verb.

mod crds;
pub(crate) mod files;
pub(crate) mod flags;
pub(crate) mod graph;
pub(crate) mod input;
pub mod lint;
#[cfg(all(feature = "operator", feature = "kubectl"))]
mod mcp;
#[cfg(feature = "operator")]
mod operator;
pub(crate) mod out;
pub(crate) mod policy;
pub(crate) mod program;
#[cfg(feature = "operator")]
mod release;
pub(crate) mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use out::say;

/// What the exit codes of all verbs mean.
const EXIT_CODES: &str = "Exit codes: 0 done, and nothing is wrong (warnings fail with --strict alone); 1 done, and the answer is no; 2 no answer: wrong usage, or something cannot be read, written or reached, or refuses; 3 no answer for now (lint --aws): try again.";

/// Runs AWS Step Functions from Kubernetes with workload identity.
#[derive(Debug, Parser)]
#[command(name = "stepbound", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[cfg(feature = "operator")]
    /// Run the operator: watch Stepbound's resources and keep AWS as they say
    Operator(Box<crate::config::Flags>),
    /// Print the custom resource definitions, or write them to a folder
    Crds(crds::CrdsFlags),
    /// Check definitions and manifests without AWS or a cluster
    Lint(lint::LintFlags),
    /// Draw a definition: in the terminal, as SVG, Mermaid or DOT; with a run's history its states are coloured
    Graph(graph::GraphFlags),
    /// Derive the least that IAM roles need, or compare a policy with it
    Policy(policy::PolicyFlags),
    #[cfg(all(feature = "operator", feature = "kubectl"))]
    /// Let agents that run as service accounts run Workflows as tools, by the Model Context Protocol over HTTP
    Mcp(Box<mcp::McpFlags>),
    #[cfg(feature = "operator")]
    /// Let go of objects before an uninstall; what they made in AWS stays and is listed
    Release(Box<release::ReleaseFlags>),
    /// Write, explain and check trust policies
    Trust(Box<trust::TrustFlags>),
}

/// What a verb can fail with.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The verb `crds`.
    #[error(transparent)]
    Crds(#[from] crds::CrdsError),
    /// The verb `graph`.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// The verb `lint`.
    #[error(transparent)]
    Lint(#[from] lint::LintError),
    #[cfg(all(feature = "operator", feature = "kubectl"))]
    /// The verb `mcp`.
    #[error(transparent)]
    Mcp(#[from] mcp::McpError),
    #[cfg(feature = "operator")]
    /// The verb `operator`.
    #[error(transparent)]
    Operator(#[from] operator::OperatorError),
    /// The verb `policy`.
    #[error(transparent)]
    Policy(#[from] policy::PolicyError),
    #[cfg(feature = "operator")]
    /// The verb `release`.
    #[error(transparent)]
    Release(#[from] release::ReleaseError),
    /// The verb `trust`.
    #[error(transparent)]
    Trust(#[from] trust::TrustError),
}

impl CliError {
    /// As [`EXIT_CODES`] has it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Crds(_) | Self::Graph(_) => 2,
            Self::Lint(error) => error.exit_code(),
            #[cfg(all(feature = "operator", feature = "kubectl"))]
            Self::Mcp(_) => 2,
            #[cfg(feature = "operator")]
            Self::Operator(error) => error.exit_code(),
            Self::Policy(error) => error.exit_code(),
            #[cfg(feature = "operator")]
            Self::Release(error) => error.exit_code(),
            Self::Trust(error) => error.exit_code(),
        }
    }
}

/// Runs the verb to its end.
pub fn run(cli: Cli) -> Result<ExitCode, CliError> {
    match cli.verb {
        #[cfg(feature = "operator")]
        Verb::Operator(flags) => operator::run(*flags)?,
        Verb::Crds(flags) => crds::run(&flags)?,
        Verb::Lint(flags) => return Ok(lint::run(&flags)?),
        Verb::Graph(flags) => graph::run(&flags)?,
        #[cfg(all(feature = "operator", feature = "kubectl"))]
        Verb::Mcp(flags) => mcp::run(&flags)?,
        Verb::Policy(flags) => return Ok(policy::run(&flags)?),
        #[cfg(feature = "operator")]
        Verb::Release(flags) => release::run(&flags)?,
        Verb::Trust(flags) => trust::run(&flags)?,
    }
    Ok(ExitCode::SUCCESS)
}
