//! The certificate of what is served over TLS: of a folder, read again when its files change, or one made at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

/// Names of the files in the folder, as a Secret of the type `kubernetes.io/tls` has them.
const FILES: [&str; 2] = ["tls.crt", "tls.key"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file of the folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should. What it holds is not told: one of the two is a key.
    #[error("{} holds no {what} in PEM", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not go together, or TLS takes no such key.
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// A certificate cannot be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// A certificate that is up to date.
pub struct Certificate {
    folder: Option<PathBuf>,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// What the files were when they were read, usable or not.
    stamp: Vec<Option<(SystemTime, u64)>>,
}

impl Certificate {
    /// The certificate of the folder; without one a certificate of its own, which nobody can verify.
    ///
    /// # Errors
    /// When the folder holds no usable certificate.
    pub async fn new(folder: Option<PathBuf>) -> Result<Self, CertificateError> {
        let (stamp, config) = match &folder {
            Some(folder) => (stamp(folder).await, read(folder).await?),
            None => (Vec::new(), own()?),
        };
        Ok(Self { folder, current: Mutex::new(Current { config, stamp }) })
    }

    /// Looks whether the files have changed, which costs less than the handshake that follows. Files that cannot be used
    /// leave the certificate as it is.
    pub(super) async fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().await;
        if let Some(folder) = &self.folder {
            let now = stamp(folder).await;
            if now != current.stamp {
                match read(folder).await {
                    Ok(config) => current.config = config,
                    Err(error) => tracing::warn!(%error, "the certificate stays as it was"),
                }
                current.stamp = now;
            }
        }
        current.config.clone().into()
    }
}

async fn stamp(folder: &Path) -> Vec<Option<(SystemTime, u64)>> {
    let mut stamp = Vec::new();
    for name in FILES {
        let metadata = tokio::fs::metadata(folder.join(name)).await.ok();
        stamp.push(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))));
    }
    stamp
}

async fn read(folder: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
    let [certificate, key] = FILES.map(|name| folder.join(name));
    let content = async |path: &PathBuf| {
        tokio::fs::read(path).await.map_err(|source| CertificateError::Read { path: path.clone(), source })
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&content(&certificate).await?).flatten().collect();
    if chain.is_empty() {
        return Err(CertificateError::Content { path: certificate, what: "certificate" });
    }
    let read = PrivateKeyDer::from_pem_slice(&content(&key).await?);
    config(chain, read.map_err(|_| CertificateError::Content { path: key, what: "private key" })?)
}

fn own() -> Result<Arc<ServerConfig>, CertificateError> {
    let made = rcgen::generate_simple_self_signed(["stepbound".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    config(vec![made.cert.der().clone()], key.into())
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    }

    async fn serial(certificate: &Certificate) -> usize {
        Arc::as_ptr(certificate.acceptor().await.config()) as usize
    }

    #[tokio::test]
    async fn a_changed_certificate_is_read_and_a_broken_one_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a");
        let certificate = Certificate::new(Some(folder.path().to_owned())).await.unwrap();
        let first = serial(&certificate).await;
        assert_eq!(first, serial(&certificate).await, "nothing changed");
        std::fs::write(folder.path().join("tls.crt"), "soon").unwrap();
        assert_eq!(first, serial(&certificate).await, "what cannot be used is not taken");
        std::fs::remove_file(folder.path().join("tls.crt")).unwrap();
        assert_eq!(first, serial(&certificate).await);
        write(folder.path(), "other-name");
        assert_ne!(first, serial(&certificate).await);
    }

    #[tokio::test]
    async fn a_folder_without_a_usable_certificate_is_named_and_a_key_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = async || Certificate::new(Some(folder.path().to_owned())).await.err().unwrap().to_string();
        assert!(said().await.contains("tls.crt"));
        write(folder.path(), "a");
        std::fs::write(folder.path().join("tls.key"), "-----BEGIN SECRET-----\nhidden").unwrap();
        let told = said().await;
        assert!(told.contains("tls.key holds no private key") && !told.contains("hidden"), "{told}");
        std::fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(said().await.contains("cannot read"));
        Certificate::new(None).await.unwrap();
    }
}
