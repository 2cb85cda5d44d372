//! The one gate before every call of AWS, of whatever service.
//!
//! A session's credentials are behind its gate. Nothing but the SDK's signer gets at them, and it asks anew for each attempt:
//! no call, page or retry can be signed once the gate is closed, whoever makes it. `call` asks before anything is built
//! or recorded, so that a call which is not made costs no token of the quota and leaves no audit line.

use std::fmt::{Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::{AwsError, AwsErrorKind};

/// The time in which a binding is used as it was authorized. It ends when the binding is suspended or deleted, when its account
/// withdraws its consent, and when role or account become others; whatever was begun in it is not used then.
#[derive(Clone, Default)]
pub struct Epoch(Arc<CancellationToken>);

impl Epoch {
    /// Ends it for all who hold it.
    pub fn end(&self) {
        self.0.cancel();
    }

    /// True once it has ended; it never begins again.
    pub fn is_over(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for its end.
    pub async fn over(&self) {
        self.0.cancelled().await;
    }

    /// True where nobody else holds it.
    pub(crate) fn is_held_here_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Debug for Epoch {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_over() { "over" } else { "current" })
    }
}

/// An epoch says how long a session may be used and nothing of what it is, so it takes no part in comparing keys.
impl PartialEq for Epoch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Epoch {}

impl Hash for Epoch {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Credentials of an assumed role, on their way behind a [`Gate`]. Kept in memory only; neither printable nor serialisable.
pub struct Credentials {
    /// Not a secret by itself: CloudTrail shows it.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: SecretString,
    /// The session token.
    pub session_token: SecretString,
}

/// Credentials, and whether they may be used.
pub struct Gate {
    credentials: Credentials,
    epoch: Epoch,
    /// AWS says that the session is no longer good.
    expired: AtomicBool,
}

impl Gate {
    /// A gate that is open until the epoch is over.
    pub fn new(credentials: Credentials, epoch: Epoch) -> Arc<Self> {
        Arc::new(Self { credentials, epoch, expired: AtomicBool::new(false) })
    }

    /// True while calls may be made.
    pub fn is_open(&self) -> bool {
        !self.expired.load(Ordering::Relaxed) && !self.epoch.is_over()
    }

    /// Id of the credentials, which is no secret: CloudTrail shows it.
    pub fn access_key_id(&self) -> &str {
        &self.credentials.access_key_id
    }

    /// # Errors
    /// While the gate is closed: the call is not to be made.
    pub(super) fn check(&self, operation: &'static str) -> Result<(), AwsError> {
        if self.is_open() { Ok(()) } else { Err(given_up(operation)) }
    }

    /// Waits until the binding's epoch is over, for what lasts long.
    pub(super) async fn closed(&self) {
        self.epoch.over().await;
    }

    /// Signs as long as the gate is open.
    pub(super) fn signer(self: &Arc<Self>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Signer(self.clone()))
    }

    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }
}

struct Signer(Arc<Gate>);

impl Debug for Signer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl ProvideCredentials for Signer {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if !self.0.is_open() {
            return future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(Closed)));
        }
        let credentials = &self.0.credentials;
        future::ProvideCredentials::ready(Ok(SdkCredentials::new(
            credentials.access_key_id.clone(),
            credentials.secret_access_key.expose_secret(),
            Some(credentials.session_token.expose_secret().to_owned()),
            None,
            "stepbound",
        )))
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("the session was given up")]
pub(super) struct Closed;

/// Configuration of a service's client that signs through the session's gate. Built by hand: nothing of the environment, of profiles
/// or of instance metadata is looked at.
macro_rules! config {
    ($service:ident, $http:expr, $session:expr, $endpoint:expr, $timeout:expr) => {{
        use $service::config::{BehaviorVersion, IdentityCache, Region, retry::RetryConfig, timeout::TimeoutConfig};
        let config = $service::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new($session.region.clone()))
            .http_client($http.clone())
            .credentials_provider($session.gate.signer())
            // The signer is asked anew for each attempt.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(TimeoutConfig::builder().operation_timeout($timeout).build());
        match $endpoint {
            Some(endpoint) => config.endpoint_url(endpoint.as_str().trim_end_matches('/')),
            None => config,
        }
    }};
}
pub(super) use config;

/// The binding was suspended or deleted, its consent withdrawn, or AWS called the session expired, after somebody took it in
/// hand.
pub(super) fn given_up(operation: &'static str) -> AwsError {
    AwsError {
        kind: AwsErrorKind::SessionExpired,
        operation,
        code: "SessionGivenUp".into(),
        message: "the session was given up, and no request was made with it any more".into(),
    }
}
