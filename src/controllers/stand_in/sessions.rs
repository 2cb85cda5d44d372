//! Sessions that no STS gave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::broadcast;

use super::ROLE;
use crate::aws::{Caller, Credentials, Epoch, Gate, Session, SessionOrigin};
use crate::cause::Cause;
use crate::identity::{IdentityError, SessionKey, Sessions};

/// One session for everything, named after whoever asked, until it is refused.
pub(in crate::controllers) struct AnySession {
    changes: broadcast::Sender<(String, String)>,
    refused: Mutex<Option<IdentityError>>,
    /// Only keys with this provider are refused, where one is named.
    refused_provider: Mutex<Option<String>>,
    held: AtomicBool,
    failing: AtomicBool,
    forgotten: Mutex<Vec<String>>,
}

impl Default for AnySession {
    fn default() -> Self {
        Self {
            changes: broadcast::Sender::new(1),
            refused: Mutex::default(),
            refused_provider: Mutex::default(),
            held: AtomicBool::default(),
            failing: AtomicBool::default(),
            forgotten: Mutex::default(),
        }
    }
}

impl AnySession {
    /// There is no session any more, or there is one again.
    pub(in crate::controllers) fn refuse(&self, error: Option<IdentityError>) {
        *self.refused.lock() = error;
    }

    /// There is none with tokens of this provider.
    pub(in crate::controllers) fn refuse_provider(&self, provider: &str, error: IdentityError) {
        *self.refused_provider.lock() = Some(provider.to_owned());
        self.refuse(Some(error));
    }

    /// One is still held from before.
    pub(in crate::controllers) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Whether the last attempt to get one failed, elsewhere.
    pub(in crate::controllers) fn fails_elsewhere(&self, fails: bool) {
        self.failing.store(fails, Ordering::SeqCst);
    }

    /// Names of bindings whose sessions were given up.
    pub(in crate::controllers) fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().clone()
    }
}

#[async_trait::async_trait]
impl Sessions for AnySession {
    async fn session(&self, key: &SessionKey, _: &Cause) -> Result<Arc<Session>, IdentityError> {
        let refused = self.refused.lock().clone();
        let of = self.refused_provider.lock().clone();
        let meant = of.is_none() || of.as_deref() == key.provider.as_ref().map(|provider| provider.name.as_str());
        match refused.filter(|_| meant) {
            Some(error) => Err(error),
            None => Ok(Arc::new(session(key.requester.clone()))),
        }
    }
    async fn held(&self, _: &str, _: Option<&str>) -> Option<Arc<Session>> {
        self.held.load(Ordering::SeqCst).then(|| Arc::new(session(None)))
    }
    fn epoch(&self, _: &str, _: &str) -> Epoch {
        Epoch::default()
    }
    fn confirm(&self, _: &mut SessionKey) {}
    fn forget(&self, _: &str, binding: &str) {
        self.forgotten.lock().push(binding.to_owned());
    }
    fn is_failing(&self, _: &str, _: &str) -> bool {
        self.failing.load(Ordering::SeqCst)
    }
    fn changes(&self) -> broadcast::Receiver<(String, String)> {
        self.changes.subscribe()
    }
}

/// Somebody who calls AWS by the way.
pub(crate) fn caller() -> Caller {
    Caller::new(Arc::new(session(None)), &Arc::default())
}

fn session(requester: Option<String>) -> Session {
    let credentials = Credentials {
        access_key_id: "ASIASESSION".into(),
        secret_access_key: SecretString::from("secret"),
        session_token: SecretString::from("token"),
    };
    Session {
        gate: Gate::new(credentials, Epoch::default()),
        expires_at: Timestamp::MAX,
        refresh_at: Timestamp::MAX,
        packed_policy_percent: None,
        region: "eu-west-1".into(),
        account_id: "111122223333".into(),
        assumed_role_arn: ROLE.into(),
        session_name: requester.clone().unwrap_or_else(|| "shop.orders".into()),
        origin: SessionOrigin {
            namespace: "shop".into(),
            binding: "orders".into(),
            service_account_uid: "account".into(),
            token_id: "token".into(),
            issuer: "https://issuer.example".into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            requester,
            authorized_party: None,
        },
    }
}
