//! The current epoch of each binding.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use super::SessionKey;
use crate::aws::Epoch;

/// From how many bindings on those are forgotten whose epoch nobody holds.
const MANY: usize = 256;

/// What is known of the bindings, by namespace and name.
#[derive(Default)]
pub(super) struct Epochs {
    all: Mutex<HashMap<(String, String), Standing>>,
}

#[derive(Default)]
struct Standing {
    epoch: Epoch,
    /// Role, and UID of the account.
    identity: Option<(String, String)>,
    /// The last attempt to get a session failed.
    fails: bool,
}

impl Epochs {
    /// The epoch of now. To be taken before consent is looked at, so that it covers what is found.
    pub(super) fn of(&self, namespace: &str, binding: &str) -> Epoch {
        let mut all = self.lock();
        let place = (namespace.to_owned(), binding.to_owned());
        if all.len() >= MANY && !all.contains_key(&place) {
            all.retain(|_, standing| !standing.epoch.is_held_here_alone());
        }
        all.entry(place).or_default().epoch.clone()
    }

    /// Ends the epoch where role or account are others than before, and puts the next one into the key. A key whose epoch
    /// is over stays as it is.
    pub(super) fn confirm(&self, key: &mut SessionKey) {
        let mut all = self.lock();
        if key.epoch.is_over() {
            return;
        }
        let standing = all.entry((key.namespace.clone(), key.binding.clone())).or_default();
        let identity = (key.role_arn.clone(), key.service_account_uid.clone());
        if standing.identity.as_ref().is_some_and(|known| *known != identity) {
            standing.epoch.end();
            standing.epoch = Epoch::default();
            key.epoch = standing.epoch.clone();
        }
        standing.identity = Some(identity);
    }

    /// Ends the binding's epoch; false where nobody holds one.
    pub(super) fn end(&self, namespace: &str, binding: &str) -> bool {
        let ended = self.lock().remove(&(namespace.to_owned(), binding.to_owned()));
        ended.is_some_and(|standing| {
            standing.epoch.end();
            !standing.epoch.is_held_here_alone()
        })
    }

    /// Remembers whether the binding's attempts fail; true where that has changed.
    pub(super) fn note(&self, key: &SessionKey, fails: bool) -> bool {
        let mut all = self.lock();
        let standing = all.entry((key.namespace.clone(), key.binding.clone())).or_default();
        std::mem::replace(&mut standing.fails, fails) != fails
    }

    pub(super) fn fails(&self, namespace: &str, binding: &str) -> bool {
        self.lock().get(&(namespace.to_owned(), binding.to_owned())).is_some_and(|standing| standing.fails)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Standing>> {
        self.all.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::key;
    use super::*;

    /// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
    #[test]
    fn requirement_27_another_account_or_role_begins_another_epoch() {
        let epochs = Epochs::default();
        let fresh = || SessionKey { epoch: epochs.of("shop", "orders"), ..key() };
        let mut first = fresh();
        epochs.confirm(&mut first);
        let mut again = SessionKey { binding_generation: 2, audience: "other".into(), ..fresh() };
        epochs.confirm(&mut again);
        assert!(!first.epoch.is_over(), "the same role for the same account");
        let mut recreated = SessionKey { service_account_uid: "another".into(), ..fresh() };
        epochs.confirm(&mut recreated);
        assert!(first.epoch.is_over() && !recreated.epoch.is_over());
        let mut moved = SessionKey { role_arn: "another".into(), ..recreated.clone() };
        epochs.confirm(&mut moved);
        assert!(recreated.epoch.is_over() && !moved.epoch.is_over());
        let mut late = recreated;
        epochs.confirm(&mut late);
        assert!(late.epoch.is_over() && !moved.epoch.is_over(), "a look from before changes nothing");
    }

    #[test]
    fn bindings_that_nobody_uses_are_forgotten() {
        let epochs = Epochs::default();
        let held = epochs.of("shop", "held");
        for number in 0..10_000 {
            epochs.of("shop", &number.to_string());
        }
        assert!(epochs.lock().len() <= MANY + 1);
        assert!(epochs.end("shop", "held") && held.is_over());
        assert!(!epochs.end("shop", "held"), "nothing to end");
    }
}
