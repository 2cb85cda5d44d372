//! Why a verb has no answer.

use kube::config::KubeconfigError;

use super::Exit;

/// Why a verb has no answer.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// A flag's value has no meaning.
    #[error("{0}")]
    Usage(String),
    /// There is no kubeconfig, or not such a context in it.
    #[error(
        "cannot find a cluster: {0}. Name a kubeconfig with --kubeconfig or $KUBECONFIG, and a context of it with --context"
    )]
    Kubeconfig(#[from] KubeconfigError),
    /// What the kubeconfig says cannot be used.
    #[error("cannot use the kubeconfig: {0}")]
    Client(kube::Error),
    /// The API server refused, does not have it, or was not reached.
    #[error("{0}")]
    Refused(String),
    /// An object cannot be printed.
    #[error("cannot print the object: {0}")]
    Print(String),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl KubectlError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        if matches!(self, Self::Usage(_)) { Exit::Usage } else { Exit::Unanswered }
    }

    /// What the API server's answer means, for what was asked (`list runs in namespace "shop"`).
    pub(super) fn of(asked: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status)
                if status.code == 404
                    && ["could not find the requested resource", "404 page not found"]
                        .iter()
                        .any(|unknown| status.message.contains(unknown)) =>
            {
                Self::Refused(format!(
                    "cannot {asked}: the cluster does not know Stepbound's kinds. Install the definitions first: helm install stepbound-crds"
                ))
            }
            kube::Error::Api(status) => Self::Refused(format!("cannot {asked}: {}", status.message)),
            other => Self::Refused(format!("cannot {asked}: the API server cannot be reached: {other}")),
        }
    }
}
