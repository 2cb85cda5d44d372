//! A gate before each external issuer: few requests at once, and none for a while after it did not answer, so that an
//! issuer that is down takes neither the places nor the turns of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::IdentityError;

/// Requests to one issuer under way at once.
const PLACES: usize = 4;
/// Failures in a row after which an issuer is left alone.
const PATIENCE: u32 = 3;
/// First rest of an issuer that does not answer; it doubles to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(2);
/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The gates of all issuers.
#[derive(Default)]
pub(super) struct Gates {
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// The gate of one issuer.
pub(super) struct Gate {
    issuer: String,
    places: Arc<Semaphore>,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Gates {
    pub(super) fn of(&self, issuer: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let places = Arc::new(Semaphore::new(PLACES));
            Arc::new(Gate { issuer: issuer.to_owned(), places, rest: Mutex::default() })
        };
        gates.entry(issuer.to_owned()).or_insert_with(new).clone()
    }
}

impl Gate {
    /// A place, after at most `longest`; an error at once while the issuer rests.
    pub(super) async fn enter(&self, longest: Duration) -> Result<OwnedSemaphorePermit, IdentityError> {
        self.check()?;
        let place = tokio::time::timeout(longest, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(IdentityError::RateLimited) };
        // It may have begun to rest while this one waited.
        self.check()?;
        Ok(place)
    }

    /// Remembers whether the issuer answered.
    pub(super) fn report<T>(&self, outcome: &Result<T, IdentityError>) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(outcome, Err(IdentityError::ProviderUnavailable { .. })) {
            *rest = Rest::default();
            return;
        }
        rest.in_a_row = rest.in_a_row.saturating_add(1);
        if let Some(beyond) = rest.in_a_row.checked_sub(PATIENCE) {
            let pause = FIRST_REST.saturating_mul(1 << beyond.min(5)).min(LONGEST_REST);
            rest.until = Some(Instant::now() + pause);
        }
    }

    fn check(&self) -> Result<(), IdentityError> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.until.is_none_or(|until| Instant::now() >= until) {
            return Ok(());
        }
        let message = "it did not answer several times in a row and is asked again shortly".into();
        Err(IdentityError::ProviderUnavailable { issuer: self.issuer.clone(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Result<(), IdentityError> {
        Err(IdentityError::ProviderUnavailable { issuer: "i".into(), message: "down".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_is_down_is_left_alone_longer_and_longer() {
        let gates = Gates::default();
        let gate = gates.of("i");
        let longest = Duration::from_secs(1);
        for _ in 0..PATIENCE {
            drop(gate.enter(longest).await.unwrap());
            gate.report(&down());
        }
        assert!(gate.enter(longest).await.is_err());
        assert!(gates.of("another").enter(longest).await.is_ok());
        tokio::time::advance(FIRST_REST).await;
        drop(gate.enter(longest).await.unwrap());
        gate.report(&down());
        tokio::time::advance(FIRST_REST).await;
        assert!(gate.enter(longest).await.is_err(), "the rest has doubled");
        tokio::time::advance(FIRST_REST).await;
        drop(gate.enter(longest).await.unwrap());
        gate.report(&Ok(()));
        assert!(gate.enter(longest).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_at_one_issuer_at_once() {
        let gate = Gates::default().of("i");
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(gate.enter(Duration::ZERO).await.unwrap());
        }
        assert_eq!(gate.enter(Duration::from_secs(1)).await.err(), Some(IdentityError::RateLimited));
    }
}
