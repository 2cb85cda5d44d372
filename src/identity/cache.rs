//! Sessions in memory: one flight for each key, refreshed on use, and a pause after a failure so that one binding that
//! fails neither hammers STS nor takes the place of others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use moka::future::Cache;
use tokio::sync::{Mutex, Semaphore};

use super::{Exchanger, IdentityError, Minter, SessionKey, Sessions};
use crate::aws::Session;
use crate::metrics::Metrics;

/// Exchanges under way at once, over all bindings.
const CONCURRENT_EXCHANGES: usize = 16;
/// Longest wait for a place among them.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a first failure; it doubles to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a mended policy is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of one key.
#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    failure: Option<(IdentityError, Instant, u32)>,
}

/// The cache of sessions. Nothing of it is ever written anywhere.
pub struct SessionCache {
    minter: Minter,
    exchanger: Exchanger,
    metrics: Arc<Metrics>,
    slots: Cache<SessionKey, Arc<Mutex<Slot>>>,
    places: Semaphore,
}

impl SessionCache {
    /// An empty cache.
    pub fn new(minter: Minter, exchanger: Exchanger, metrics: Arc<Metrics>) -> Self {
        let slots = Cache::builder().max_capacity(100_000).time_to_idle(Duration::from_secs(13 * 3600)).build();
        Self { minter, exchanger, metrics, slots, places: Semaphore::new(CONCURRENT_EXCHANGES) }
    }

    async fn fresh(&self, key: &SessionKey) -> Result<Session, IdentityError> {
        let place = tokio::time::timeout(PLACE_TIMEOUT, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(IdentityError::RateLimited) };
        match self.trade(key).await {
            // The token can expire on the way when this machine's clock or the network lags: one more is worth it.
            Err(IdentityError::Exchange(error)) if error.cause.code == "ExpiredTokenException" => self.trade(key).await,
            other => other,
        }
    }

    async fn trade(&self, key: &SessionKey) -> Result<Session, IdentityError> {
        let token = self.minter.mint(key).await;
        self.metrics.token_mint(if token.is_ok() { "success" } else { "error" });
        let started = Instant::now();
        let session = self.exchanger.exchange(key, token?).await;
        let outcome = if session.is_ok() { "success" } else { "error" };
        self.metrics.aws_call("sts:AssumeRoleWithWebIdentity", outcome, started.elapsed());
        session
    }

    /// Keys of one binding, of whatever generation.
    fn keys_of(&self, binding_uid: &str) -> Vec<Arc<SessionKey>> {
        self.slots.iter().map(|(key, _)| key).filter(|key| key.binding_uid == binding_uid).collect()
    }
}

#[async_trait]
impl Sessions for SessionCache {
    async fn session(&self, key: &SessionKey) -> Result<Arc<Session>, IdentityError> {
        let slot = self.slots.get_with_by_ref(key, async { Arc::default() }).await;
        let mut slot = slot.lock().await;
        let cached = slot.session.clone().filter(|session| Timestamp::now() < session.refresh_at);
        self.metrics.session_cache(cached.is_some());
        if let Some(session) = cached {
            return Ok(session);
        }
        if let Some((error, until, _)) = &slot.failure
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.fresh(key).await {
            Ok(session) => {
                let session = Arc::new(session);
                *slot = Slot { session: Some(session.clone()), failure: None };
                Ok(session)
            }
            Err(error) => {
                let failures = slot.failure.as_ref().map_or(0, |(_, _, failures)| *failures);
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(5)).min(LONGEST_PAUSE);
                slot.failure = Some((error.clone(), Instant::now() + pause, failures + 1));
                Err(error)
            }
        }
    }

    async fn held(&self, binding_uid: &str) -> Option<Arc<Session>> {
        let mut held = None;
        for key in self.keys_of(binding_uid) {
            let Some(slot) = self.slots.get(&*key).await else { continue };
            let session = slot.lock().await.session.clone();
            let valid = session.filter(|session| Timestamp::now() < session.expires_at);
            held = valid.or(held);
        }
        held
    }

    async fn forget(&self, binding_uid: &str) {
        for key in self.keys_of(binding_uid) {
            self.slots.invalidate(&*key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::key;
    use super::*;

    /// Requirement 11: change any field and it is another session.
    #[test]
    fn any_field_that_differs_is_another_key() {
        let changes: [fn(&mut SessionKey); 10] = [
            |key| key.namespace.push('x'),
            |key| key.binding.push('x'),
            |key| key.binding_uid.push('x'),
            |key| key.binding_generation += 1,
            |key| key.service_account.push('x'),
            |key| key.service_account_uid.push('x'),
            |key| key.role_arn.push('x'),
            |key| key.audience.push('x'),
            |key| key.region.push('x'),
            |key| key.duration_seconds += 1,
        ];
        for change in changes {
            let mut changed = key();
            change(&mut changed);
            assert_ne!(changed, key());
        }
    }
}
