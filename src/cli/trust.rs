//! `stepbound trust render|explain|lint`

mod explain;
mod lint;
pub(super) mod manifest;
mod render;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

/// Flags of `stepbound trust`.
#[derive(Debug, Args)]
pub struct TrustFlags {
    #[command(subcommand)]
    verb: TrustVerb,
}

#[derive(Debug, Subcommand)]
enum TrustVerb {
    /// Write the trust policy that the role of a binding needs, and the OIDC provider beside it
    Render(render::RenderFlags),
    /// Read a trust policy against a token's claims and say which condition fails
    Explain(explain::ExplainFlags),
    /// Find what is weak in trust policies, session policies and permissions
    Lint(lint::LintFlags),
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Why a verb of trust failed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Flags that do not go together.
    #[error("{0}")]
    Usage(String),
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
    /// The policy does not take the token, or has errors: printed already.
    #[error("{0}")]
    Verdict(String),
}

impl TrustError {
    /// 1 where there is an answer, and it is no.
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Verdict(_)) { 1 } else { 2 }
    }
}

pub(super) fn run(flags: &TrustFlags) -> Result<(), TrustError> {
    match &flags.verb {
        TrustVerb::Render(flags) => render::run(flags),
        TrustVerb::Explain(flags) => explain::run(flags),
        TrustVerb::Lint(flags) => lint::run(flags),
    }
}

/// A file, or standard input for `-`.
fn read(path: &Path) -> Result<String, TrustError> {
    super::files::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })
}

fn content(path: &Path, problem: &impl ToString) -> TrustError {
    TrustError::Content { path: path.to_owned(), problem: problem.to_string() }
}

pub(super) fn print(text: &str) -> Result<(), TrustError> {
    Ok(super::out::print(&format!("{}\n", text.trim_end_matches('\n')))?)
}
