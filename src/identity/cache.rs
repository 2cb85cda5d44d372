//! Sessions in memory: one flight for each key, refreshed on use, and a pause after a failure so that one binding that
//! fails neither hammers STS nor takes the place of others.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use tokio::sync::{Mutex, Semaphore, broadcast};
use tokio::time::Instant;

use super::gate::Gates;
use super::pace::Pace;
use super::{Exchanger, IdentityError, Minter, Providers, SessionKey, Sessions, WebIdentityToken};
use crate::aws::Session;
use crate::metrics::Metrics;
use crate::outcome::{Class, Classify};

/// Exchanges under way at once, over all bindings.
const CONCURRENT_EXCHANGES: usize = 16;
/// Exchanges that may follow each other at once: the bindings of a small cluster at the start of the operator.
const BURST: u32 = 100;
/// Exchanges a second after that, a twelfth of what STS gives an account and region.
const PER_SECOND: u32 = 50;
/// Longest wait for a turn, and for a place among those under way.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a first failure; it doubles to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a mended policy is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Changes that may wait to be listened to. A listener that is further behind misses some, and hears of the binding at its
/// next look.
const CHANGES: usize = 10_000;
/// Codes of STS that speak of the issuer rather than of the role.
const ISSUER_CODES: [&str; 2] = ["InvalidIdentityToken", "IDPCommunicationError"];

/// How long a session must still be good for to be given out after a refresh that failed.
const LAST_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// What is known of one key.
#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    failure: Option<Failure>,
}

/// The last failure of a key and the pause that it leads to.
struct Failure {
    error: IdentityError,
    until: Instant,
    in_a_row: u32,
}

impl Slot {
    /// The session, while it need not be renewed.
    fn current(&self, now: Timestamp) -> Option<Arc<Session>> {
        self.session.clone().filter(|session| now < session.refresh_at && session.is_good_at(now))
    }

    /// The failure, while its pause lasts.
    fn paused(&self) -> Option<IdentityError> {
        self.failure.as_ref().filter(|failure| Instant::now() < failure.until).map(|failure| failure.error.clone())
    }

    /// Remembers a failure. Being turned away is no failure of the key's own and costs it no pause.
    fn fail(&mut self, error: &IdentityError) {
        if *error == IdentityError::RateLimited {
            return;
        }
        let earlier = self.failure.as_ref().map_or(0, |failure| failure.in_a_row);
        let pause = FIRST_PAUSE.saturating_mul(1 << earlier.min(5)).min(LONGEST_PAUSE);
        let until = Instant::now() + pause;
        self.failure = Some(Failure { error: error.clone(), until, in_a_row: earlier.saturating_add(1) });
    }

    /// What to do about an error: a session that is still good bridges one that passes by itself. A refusal counts at
    /// once, since it may be that somebody took the role away.
    fn bridge(&self, error: IdentityError, now: Timestamp) -> Result<Arc<Session>, IdentityError> {
        let good = |session: &Arc<Session>| session.is_good_at(now + LAST_MINUTE);
        match self.session.clone().filter(good) {
            Some(session) if error.class() == Class::Transient => Ok(session),
            _ => Err(error),
        }
    }
}

/// Tells the time.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The cache of sessions. Nothing of it is ever written anywhere.
pub struct SessionCache {
    minter: Minter,
    providers: Providers,
    exchanger: Exchanger,
    metrics: Arc<Metrics>,
    slots: Cache<SessionKey, Arc<Mutex<Slot>>>,
    places: Semaphore,
    pace: Pace,
    gates: Gates,
    clock: Clock,
    /// UIDs of bindings whose last attempt failed.
    failing: StdMutex<HashSet<String>>,
    changes: broadcast::Sender<(String, String)>,
}

impl SessionCache {
    /// An empty cache.
    pub fn new(minter: Minter, providers: Providers, exchanger: Exchanger, metrics: Arc<Metrics>) -> Self {
        let slots = Cache::builder().max_capacity(100_000).time_to_idle(Duration::from_secs(13 * 3600)).build();
        let (places, pace) = (Semaphore::new(CONCURRENT_EXCHANGES), Pace::new(BURST, PER_SECOND));
        let (failing, changes) = (StdMutex::default(), broadcast::Sender::new(CHANGES));
        let (gates, clock): (Gates, Clock) = (Gates::default(), Arc::new(Timestamp::now));
        Self { minter, providers, exchanger, metrics, slots, places, pace, gates, clock, failing, changes }
    }

    async fn fresh(&self, key: &SessionKey) -> Result<Session, IdentityError> {
        // Before a turn is taken: an issuer that is down must not use up those of the others.
        let gate = key.provider.as_ref().map(|provider| self.gates.of(&provider.issuer));
        let _gate_place = match &gate {
            Some(gate) => Some(gate.enter(PLACE_TIMEOUT).await?),
            None => None,
        };
        if !self.pace.turn(PLACE_TIMEOUT).await {
            return Err(IdentityError::RateLimited);
        }
        let place = tokio::time::timeout(PLACE_TIMEOUT, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(IdentityError::RateLimited) };
        let session = match self.trade(key).await {
            // The token can expire on the way when this machine's clock or the network lags: one more is worth it.
            Err(IdentityError::Exchange(error)) if error.cause.code == "ExpiredTokenException" => self.trade(key).await,
            other => other,
        };
        if let Some(gate) = gate {
            gate.report(&session);
        }
        session
    }

    async fn trade(&self, key: &SessionKey) -> Result<Session, IdentityError> {
        let token = self.token(key).await;
        self.metrics.token_mint(token.as_ref().err().map_or("success", mint_outcome));
        let token = token?;
        let (issuer, key_id) = (token.claims.iss.clone(), token.key_id.clone());
        let started = Instant::now();
        let mut session = self.exchanger.exchange(key, token, (self.clock)()).await;
        let outcome = match &session {
            Ok(_) => "success",
            Err(IdentityError::Exchange(error)) => error.cause.kind.label(),
            Err(_) => "unexpected_answer",
        };
        self.metrics.aws_call("sts:AssumeRoleWithWebIdentity", outcome, started.elapsed());
        if let Err(IdentityError::Exchange(error)) = &mut session
            && ISSUER_CODES.contains(&error.cause.code.as_str())
        {
            error.issuer_problem = self.providers.issuers.preflight(&issuer, &key_id).await.err();
        }
        session
    }

    async fn token(&self, key: &SessionKey) -> Result<WebIdentityToken, IdentityError> {
        match &key.provider {
            None => self.minter.mint(key, &key.audience).await,
            Some(provider) => self.providers.token(key, provider).await,
        }
    }

    /// Remembers whether a binding's attempts fail, and tells when that changes.
    fn note(&self, key: &SessionKey, fails: bool) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = if fails { failing.insert(key.binding_uid.clone()) } else { failing.remove(&key.binding_uid) };
        drop(failing);
        if changed {
            // An error means that nobody listens, as in a tool that runs no controllers.
            let _ = self.changes.send((key.namespace.clone(), key.binding.clone()));
        }
    }

    /// Keys of one binding, of whatever generation.
    fn keys_of(&self, binding_uid: &str) -> Vec<Arc<SessionKey>> {
        self.slots.iter().map(|(key, _)| key).filter(|key| key.binding_uid == binding_uid).collect()
    }
}

/// Label of a token that was not given.
fn mint_outcome(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::MintForbidden { .. } => "forbidden",
        IdentityError::NamespaceTerminating { .. } => "namespace_terminating",
        IdentityError::ServiceAccountMissing { .. } => "account_missing",
        IdentityError::UnexpectedToken { .. } => "unexpected_token",
        _ => "failed",
    }
}

#[async_trait]
impl Sessions for SessionCache {
    async fn session(&self, key: &SessionKey) -> Result<Arc<Session>, IdentityError> {
        let slot = self.slots.get_with_by_ref(key, async { Arc::default() }).await;
        let mut slot = slot.lock().await;
        let current = slot.current((self.clock)());
        self.metrics.session_cache(current.is_some());
        if let Some(session) = current {
            return Ok(session);
        }
        if let Some(error) = slot.paused() {
            return slot.bridge(error, (self.clock)());
        }
        match self.fresh(key).await {
            Ok(session) => {
                let session = Arc::new(session);
                *slot = Slot { session: Some(session.clone()), failure: None };
                self.note(key, false);
                Ok(session)
            }
            Err(error) => {
                slot.fail(&error);
                if error != IdentityError::RateLimited {
                    self.note(key, true);
                }
                slot.bridge(error, (self.clock)())
            }
        }
    }

    async fn held(&self, binding_uid: &str) -> Option<Arc<Session>> {
        let mut held: Option<Arc<Session>> = None;
        for key in self.keys_of(binding_uid) {
            let Some(slot) = self.slots.get(&*key).await else { continue };
            let session = slot.lock().await.session.clone();
            let valid = session.filter(|session| session.is_good_at((self.clock)()));
            // What is cleaned up is nobody's request, so a session that carries no requester's name comes first.
            let rank = |session: &Arc<Session>| (session.origin.requester.is_none(), session.expires_at);
            held = held.into_iter().chain(valid).max_by_key(rank);
        }
        held
    }

    async fn forget(&self, binding_uid: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(binding_uid);
        for key in self.keys_of(binding_uid) {
            let slot = self.slots.get(&*key).await;
            self.slots.invalidate(&*key).await;
            // Whoever has the session in hand must not use it any more either. A slot that is locked is under way to a
            // session that nobody has yet; consent is looked at again before that one is used.
            if let Some(session) = slot.and_then(|slot| slot.try_lock().ok()?.session.clone()) {
                session.ended.store(true, Ordering::Relaxed);
            }
        }
    }

    async fn is_failing(&self, binding_uid: &str) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(binding_uid)
    }

    fn changes(&self) -> broadcast::Receiver<(String, String)> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests;
