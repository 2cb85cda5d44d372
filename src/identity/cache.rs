//! Sessions in memory: one flight for each key, refreshed on use, and a pause after a failure so that one binding that
//! fails neither hammers STS nor takes the slots of others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use moka::Expiry;
use moka::future::Cache;
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use super::doors::{Behind, Doors, Heard, SLOT_TIMEOUT};
use super::epochs::Epochs;
use super::pace::Pace;
use super::pauses::Pauses;
use super::slots::{Slot, Slots};
use super::{Exchanger, ExternalProvider, IdentityError, Minter, Providers, SessionKey, Sessions, WebIdentityToken};
use crate::aws::{Epoch, Session};
use crate::cause::Cause;
use crate::metrics::Metrics;
use crate::outcome::{Class, Classify};

/// Tokens that are minted at once, over all bindings.
const CONCURRENT_MINTS: usize = 16;
/// Exchanges under way at once in a region.
const CONCURRENT_EXCHANGES: usize = 16;
/// Requests to one issuer under way at once.
const CONCURRENT_AT_ISSUER: usize = 4;
/// Exchanges that may follow each other at once: the bindings of a small cluster at the start of the operator.
const BURST: u32 = 100;
/// Exchanges a second after that, a twelfth of what STS gives an account and region.
const PER_SECOND: u32 = 50;

/// Changes that may wait to be listened to. A listener that is further behind misses some, and hears of the binding at its
/// next look.
const CHANGES: usize = 10_000;
/// Codes of STS that speak of the issuer rather than of the role.
const ISSUER_CODES: [&str; 2] = ["InvalidIdentityToken", "IDPCommunicationError"];

/// How long a session must still be good for to be given out after a refresh that failed.
const LAST_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// How long an entry is kept in which there is no session yet; a flight takes less.
const WITHOUT_SESSION: Duration = Duration::from_secs(900);

/// What the cache keeps of one key.
#[derive(Default)]
struct Kept {
    entry: Mutex<Entry>,
    /// When its session ends, by the clock that nobody sets.
    ends: parking_lot::Mutex<Option<Instant>>,
}

/// Keeps an entry for as long as its session is good: most are used in one burst and never again.
struct WhileGood;

impl WhileGood {
    fn left(kept: &Kept, now: Instant) -> Duration {
        kept.ends.lock().map_or(WITHOUT_SESSION, |ends| ends.saturating_duration_since(now))
    }
}

impl Expiry<SessionKey, Arc<Kept>> for WhileGood {
    fn expire_after_create(&self, _: &SessionKey, kept: &Arc<Kept>, at: std::time::Instant) -> Option<Duration> {
        Some(Self::left(kept, at.into()))
    }

    fn expire_after_read(
        &self,
        _: &SessionKey,
        kept: &Arc<Kept>,
        at: std::time::Instant,
        _: Option<Duration>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(Self::left(kept, at.into()))
    }
}

/// The session of one key, where there is one.
#[derive(Default)]
struct Entry(Option<Arc<Session>>);

impl Entry {
    /// The session, while it need not be renewed.
    fn current(&self, now: Timestamp) -> Option<Arc<Session>> {
        self.0.clone().filter(|session| now < session.refresh_at && session.is_good_at(now))
    }

    /// What to do about an error: a session that is still good bridges one that passes by itself. A refusal counts at
    /// once, since it may be that somebody took the role away.
    fn bridge(&self, error: IdentityError, now: Timestamp) -> Result<Arc<Session>, IdentityError> {
        let good = |session: &Arc<Session>| session.is_good_at(now + LAST_MINUTE);
        match self.0.clone().filter(good) {
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
    entries: Cache<SessionKey, Arc<Kept>>,
    mints: Slots,
    pace: Pace,
    regions: Doors,
    issuers: Doors,
    epochs: Epochs,
    pauses: Pauses,
    clock: Clock,
    changes: broadcast::Sender<(String, String)>,
}

impl SessionCache {
    /// An empty cache.
    pub fn new(minter: Minter, providers: Providers, exchanger: Exchanger, metrics: Arc<Metrics>) -> Self {
        Self {
            minter,
            providers,
            exchanger,
            metrics,
            entries: Cache::builder().max_capacity(100_000).expire_after(WhileGood).build(),
            mints: Slots::new(CONCURRENT_MINTS),
            pace: Pace::new(BURST, PER_SECOND),
            regions: Doors::new(Behind::Region, CONCURRENT_EXCHANGES),
            issuers: Doors::new(Behind::Issuer, CONCURRENT_AT_ISSUER),
            epochs: Epochs::default(),
            pauses: Pauses::default(),
            clock: Arc::new(Timestamp::now),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    async fn fresh(&self, key: &SessionKey, cause: &Cause) -> Result<Session, IdentityError> {
        match self.trade(key, cause).await {
            // The token can expire on the way when this machine's clock or the network lags: one more is worth it.
            Err(IdentityError::Exchange(error)) if error.cause.code == "ExpiredTokenException" => {
                self.trade(key, cause).await
            }
            other => other,
        }
    }

    /// No two slots are held at once but for minting in the cluster, which is quick: what is dead holds up only what goes
    /// there too.
    async fn trade(&self, key: &SessionKey, cause: &Cause) -> Result<Session, IdentityError> {
        let region = self.regions.of(&key.region);
        let (token, way) = match &key.provider {
            None => {
                let way = region.enter(&key.namespace).await?;
                let _slot = self.turn(&key.namespace).await?;
                (self.minted(self.minter.mint(key, &key.audience).await)?, way)
            }
            Some(provider) => {
                // A token that cannot be traded is not asked for.
                region.check()?;
                let token = self.external(key, provider).await?;
                (token, region.enter(&key.namespace).await?)
            }
        };
        let (issuer, key_id) = (token.claims.iss.clone(), token.key_id.clone());
        let started = Instant::now();
        let mut session = self.exchanger.exchange(key, cause, token, (self.clock)()).await;
        let silent = matches!(&session, Err(IdentityError::Exchange(error)) if error.cause.is_silence());
        region.report(if silent { Heard::Silence } else { Heard::Answer });
        drop(way);
        let outcome = match &session {
            Ok(_) => "success",
            Err(IdentityError::Exchange(error)) => error.cause.kind.label(),
            Err(_) => "unexpected_answer",
        };
        self.metrics.aws_call("sts:AssumeRoleWithWebIdentity", outcome, started.elapsed());
        if let Some(percent) = session.as_ref().ok().and_then(|session| session.packed_policy_percent) {
            self.metrics.packed_policy(percent);
        }
        if let Err(IdentityError::Exchange(error)) = &mut session
            && ISSUER_CODES.contains(&error.cause.code.as_str())
        {
            error.issuer_problem = self.providers.issuers.preflight(&issuer, &key_id).await.err();
        }
        session
    }

    async fn external(&self, key: &SessionKey, provider: &ExternalProvider) -> Result<WebIdentityToken, IdentityError> {
        let issuer = self.issuers.of(&provider.asked_at());
        // Before a turn is taken: an issuer that is down must not use up those of the others.
        let _way = issuer.enter(&key.namespace).await?;
        drop(self.turn(&key.namespace).await?);
        let token = self.minted(self.providers.token(key, provider).await);
        issuer.report(heard(&token));
        token
    }

    /// A slot among those that mint, once it is its turn.
    async fn turn(&self, namespace: &str) -> Result<Slot, IdentityError> {
        let slot = self.mints.enter(namespace, SLOT_TIMEOUT).await.ok_or(IdentityError::RateLimited)?;
        if self.pace.turn(SLOT_TIMEOUT).await { Ok(slot) } else { Err(IdentityError::RateLimited) }
    }

    /// Counts a token that was given or not.
    fn minted(&self, token: Result<WebIdentityToken, IdentityError>) -> Result<WebIdentityToken, IdentityError> {
        self.metrics.token_mint(token.as_ref().err().map_or("success", mint_outcome));
        token
    }

    /// Remembers whether a binding's attempts fail, and tells when that changes.
    fn note(&self, key: &SessionKey, fails: bool) {
        if self.epochs.note(key, fails) {
            // An error means that nobody listens, as in a tool that runs no controllers.
            let _ = self.changes.send((key.namespace.clone(), key.binding.clone()));
        }
    }

    /// The session at hand, where it bridges the error. A entry without one is not kept: specs that change and fail take no room.
    async fn bridged(
        &self,
        key: &SessionKey,
        entry: &Entry,
        error: IdentityError,
    ) -> Result<Arc<Session>, IdentityError> {
        if entry.0.is_none() {
            self.entries.invalidate(key).await;
        }
        entry.bridge(error, (self.clock)())
    }

    /// Keys of sessions for which something holds.
    fn keys(&self, holds: impl Fn(&SessionKey) -> bool) -> Vec<Arc<SessionKey>> {
        self.entries.iter().map(|(key, _)| key).filter(|key| holds(key)).collect()
    }
}

/// What is known of an issuer from an attempt to get a token of it.
fn heard(token: &Result<WebIdentityToken, IdentityError>) -> Heard {
    match token {
        Err(IdentityError::ProviderUnavailable { answered: false, .. }) => Heard::Silence,
        Ok(_)
        | Err(
            IdentityError::ProviderUnavailable { .. }
            | IdentityError::ProviderRefused { .. }
            | IdentityError::ProviderUnusable { .. }
            | IdentityError::UnexpectedToken { .. },
        ) => Heard::Answer,
        Err(_) => Heard::Nothing,
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
    async fn session(&self, key: &SessionKey, cause: &Cause) -> Result<Arc<Session>, IdentityError> {
        let kept = self.entries.get_with_by_ref(key, async { Arc::default() }).await;
        let mut entry = kept.entry.lock().await;
        // Looked at here, since it may have ended while another's flight was waited for.
        if key.epoch.is_over() {
            return Err(IdentityError::GivenUp);
        }
        let current = entry.current((self.clock)());
        self.metrics.session_cache(current.is_some());
        if let Some(session) = current {
            return Ok(session);
        }
        if let Some(error) = self.pauses.check(key) {
            return self.bridged(key, &entry, error).await;
        }
        let fresh = self.fresh(key, cause).await;
        if key.epoch.is_over() {
            // With what came of it, credentials too.
            self.entries.invalidate(key).await;
            return Err(IdentityError::GivenUp);
        }
        match fresh {
            Ok(session) => {
                let session = Arc::new(session);
                *entry = Entry(Some(session.clone()));
                let good_for = session.expires_at.duration_since((self.clock)());
                *kept.ends.lock() = Some(Instant::now() + Duration::try_from(good_for).unwrap_or_default());
                // A read is what tells the cache.
                drop(self.entries.get(key).await);
                self.pauses.worked(key);
                self.note(key, false);
                Ok(session)
            }
            Err(error) => {
                self.pauses.failed(key, &error);
                if error != IdentityError::RateLimited && !error.is_of_the_policy() {
                    self.note(key, true);
                }
                self.bridged(key, &entry, error).await
            }
        }
    }

    async fn held(&self, binding_uid: &str, policy: Option<&str>) -> Option<Arc<Session>> {
        let mut held: Option<Arc<Session>> = None;
        for key in self.keys(|key| key.binding_uid == binding_uid && key.policy.as_deref() == policy) {
            let Some(entry) = self.entries.get(&*key).await else { continue };
            let session = entry.entry.lock().await.0.clone();
            // What is cleaned up is nobody's request, so it is not done in a session that carries somebody's name.
            let of_nobody = session.filter(|session| session.origin.requester.is_none());
            let valid = of_nobody.filter(|session| session.is_good_at((self.clock)()));
            held = held.into_iter().chain(valid).max_by_key(|session| session.expires_at);
        }
        held
    }

    fn epoch(&self, namespace: &str, binding: &str) -> Epoch {
        self.epochs.of(namespace, binding)
    }

    fn confirm(&self, key: &mut SessionKey) {
        self.epochs.confirm(key);
    }

    fn forget(&self, namespace: &str, binding: &str) {
        // From here on every gate of the binding is closed, and a entry that is locked gives nothing: the rest makes room.
        if self.epochs.end(namespace, binding) {
            let (entries, keys) =
                (self.entries.clone(), self.keys(|key| key.namespace == namespace && key.binding == binding));
            tokio::spawn(async move {
                for key in keys {
                    entries.invalidate(&*key).await;
                }
            });
        }
    }

    fn is_failing(&self, namespace: &str, binding: &str) -> bool {
        self.epochs.fails(namespace, binding)
    }

    fn changes(&self) -> broadcast::Receiver<(String, String)> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests;
