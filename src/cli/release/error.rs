//! Why objects were not let go.

/// Why objects were not let go.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The runtime cannot start, or standard output cannot be written.
    #[error("cannot start or print: {0}")]
    System(#[from] std::io::Error),
    /// The API server cannot be found, or refused.
    #[error("the API server: {0}")]
    Cluster(Box<kube::Error>),
    /// The types of the definitions cannot be written.
    #[error("a generated schema is not valid: {0}")]
    Schema(#[from] serde_json::Error),
    /// An endpoint without TLS.
    #[error("--{0}: tokens would travel unencrypted; use https, or --insecure-endpoints on a test bed")]
    PlainHttp(&'static str),
    /// An operator would put the finalizers on again.
    #[error(
        "an operator still runs: lease {0} is held. It would put the finalizers on again. Stop it first:\n  kubectl -n {1} scale deployment -l app.kubernetes.io/name=stepbound --replicas=0\nIf it looks after other namespaces, say which lease counts with --lease-namespace."
    )]
    OperatorRuns(String, String),
    /// The check found objects.
    #[error(
        "{count} {noun} still need the operator before they can be deleted:\n{named}\nDelete them while the operator runs, and it cleans up in AWS. Or let go of them, and what they made in AWS stays as it is:\n  kubectl -n OPERATOR_NAMESPACE scale deployment -l app.kubernetes.io/name=stepbound --replicas=0\n  stepbound release --all",
        noun = if *.count == 1 { "object" } else { "objects" }
    )]
    Held {
        /// How many.
        count: usize,
        /// The first of them, a line each.
        named: String,
    },
    /// Some could not be changed.
    #[error("{0} objects could not be let go; the reasons stand above. Run the command again")]
    Left(usize),
}

impl ReleaseError {
    /// 1 where something holds an uninstall up.
    pub(in crate::cli) fn exit_code(&self) -> u8 {
        if matches!(self, Self::OperatorRuns(..) | Self::Held { .. } | Self::Left(_)) { 1 } else { 2 }
    }
}

impl From<kube::Error> for ReleaseError {
    fn from(error: kube::Error) -> Self {
        Self::Cluster(Box::new(error))
    }
}
