//! What the verbs of trust share: how files are read, how the answer is printed, and why there is none.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;

use crate::iam::document::Document;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
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
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Verdict(_)) { 1 } else { 2 }
    }
}

/// A file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<String, TrustError> {
    crate::cli::files::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })
}

/// A text as JSON, also one that is URL-encoded, as IAM's API gives documents.
pub(super) fn json_of(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let encoded = Value::String(text.to_owned());
        let value = Document::unwrapped(&encoded).into_owned();
        if value.is_object() { Ok(value) } else { Err(error) }
    })
}

pub(super) fn content(path: &Path, problem: &impl ToString) -> TrustError {
    TrustError::Content { path: path.to_owned(), problem: problem.to_string() }
}

pub(in crate::cli) fn print(text: &str) -> Result<(), TrustError> {
    Ok(crate::cli::out::print(&format!("{}\n", text.trim_end_matches('\n')))?)
}
