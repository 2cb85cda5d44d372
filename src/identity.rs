//! From a service account to an STS session: token, exchange, cache.

mod cache;
mod cognito;
mod doors;
mod epochs;
mod error;
mod exchange;
mod external;
mod issuer;
mod key;
mod pace;
mod pauses;
mod secret;
mod slots;
mod token;
mod web;

pub use cache::SessionCache;
pub use cognito::Cognito;
pub use error::{ExchangeError, IdentityError};
pub use exchange::{Exchanger, session_name};
pub use external::{IssuerRules, Providers};
pub use issuer::{Discovery, Issuers};
pub use key::{ExternalProvider, SessionKey};
pub use secret::SecretReader;
pub use token::{Minter, WebIdentityToken};
pub use web::{Reach, Web, WebError};

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::aws::{Epoch, Session};
use crate::cause::Cause;

/// Gives sessions: from the cache, else by minting a token and trading it. Single-flight and rate-limited.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A session that is good for at least another fifth of its life, or a fresh one. Where a fresh one cannot be had for
    /// a passing reason, the one at hand for as long as it is still good. None for a key whose epoch is over.
    /// `cause` is the object for whose sake it is wanted.
    async fn session(&self, key: &SessionKey, cause: &Cause) -> Result<Arc<Session>, IdentityError>;
    /// A session already held for this binding (by UID) with this policy and not expired, for the clean-up of what is
    /// being deleted after its service account has gone.
    async fn held(&self, binding_uid: &str, policy: Option<&str>) -> Option<Arc<Session>>;
    /// The current epoch of a binding. To be taken before its consent is looked at.
    fn epoch(&self, namespace: &str, binding: &str) -> Epoch;
    /// Begins another epoch where role or account of the key are others than before.
    fn confirm(&self, key: &mut SessionKey);
    /// Ends the epoch of a binding that is suspended or deleted, or whose consent was withdrawn: its sessions are forgotten, what
    /// exchanges under way bring is dropped, and no call is made any more with a session of before. All of it holds at once.
    fn forget(&self, namespace: &str, binding: &str);
    /// True when the last attempt to get a session of the binding failed.
    fn is_failing(&self, namespace: &str, binding: &str) -> bool;
    /// Bindings, by namespace and name, whose sessions begin to fail or to work again.
    fn changes(&self) -> broadcast::Receiver<(String, String)>;
}
