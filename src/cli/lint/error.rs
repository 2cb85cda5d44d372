//! Why nothing could be checked.

#[cfg(feature = "operator")]
use super::aws::AwsLintError;
use crate::asl::lint::UnknownCode;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// A code that no rule has.
    #[error(transparent)]
    UnknownCode(#[from] UnknownCode),
    /// A file or folder.
    #[error("cannot read {name}: {source}")]
    Read {
        /// Its path, or `standard input`.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without anything to read.
    #[error("there is no .yaml, .yml or .json file in {0}; correct the path")]
    NoFiles(String),
    /// AWS.
    #[cfg(feature = "operator")]
    #[error(transparent)]
    Aws(#[from] AwsLintError),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
    /// The custom resource definitions.
    #[error("a generated schema is not valid: {0}")]
    Schema(#[from] serde_json::Error),
}

impl LintError {
    /// 3 where trying again may help: AWS was not reached, or had no answer for now.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            #[cfg(feature = "operator")]
            Self::Aws(AwsLintError::NoAnswer { .. }) => 3,
            _ => 2,
        }
    }
}
