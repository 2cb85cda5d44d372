//! A door for each host that is asked over the network: STS of a region, an issuer. Each has slots of its own, so that one that is
//! slow or dead takes none of another's, and is left alone for a while after it did not answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::IdentityError;
use super::slots::{Slot, Slots};
use crate::iam::partition;

/// Longest wait for a slot.
pub(super) const SLOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests without an answer in a row after which one that used to answer is left alone.
const PATIENCE: u32 = 3;
/// First rest of one that does not answer; it doubles to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(2);
/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How many of one namespace may wait at doors that lead nowhere as far as is known: a quarter of the reconciles under way, so
/// that the names of hosts that do not exist hold up none of another tenant's.
const DOUBTFUL: usize = 8;
/// How long a door is remembered after its last use, and from how many on some are forgotten.
const MEMORY: (Duration, usize) = (Duration::from_secs(600), 64);

/// What is behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// STS of a region.
    Region,
    /// An issuer of tokens.
    Issuer,
}

/// The doors of one kind, by name.
pub(super) struct Doors {
    behind: Behind,
    slots: usize,
    by_name: Mutex<HashMap<String, Arc<Door>>>,
    doubtful: Arc<Mutex<HashMap<String, usize>>>,
}

/// One door.
pub(super) struct Door {
    behind: Behind,
    name: String,
    /// A region that AWS's own tables have, or an issuer, which the installer has allowed.
    known: bool,
    slots: Slots,
    /// One at a time goes where nobody knows whether there is an answer.
    probe: Slots,
    health: Mutex<Health>,
    doubtful: Arc<Mutex<HashMap<String, usize>>>,
}

struct Health {
    answers: bool,
    silent_in_a_row: u32,
    rests_until: Option<Instant>,
    used: Instant,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer, a refusal too.
    Answer,
    /// No connection, or no answer in time.
    Silence,
    /// It was not asked in the end.
    Nothing,
}

/// Leave to ask, until it is dropped.
pub(super) struct Way {
    _slot: Slot,
    _doubt: Option<Doubt>,
}

/// One of a namespace's waits at doors that lead nowhere as far as is known.
struct Doubt {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    namespace: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

impl Doors {
    /// `slots` requests at once behind each.
    pub(super) fn new(behind: Behind, slots: usize) -> Self {
        Self { behind, slots, by_name: Mutex::default(), doubtful: Arc::default() }
    }

    pub(super) fn of(&self, name: &str) -> Arc<Door> {
        let mut doors = locked(&self.by_name);
        if let Some(door) = doors.get(name) {
            return door.clone();
        }
        if doors.len() >= MEMORY.1 {
            // Names come from the specs of tenants.
            doors.retain(|_, door| Arc::strong_count(door) > 1 || locked(&door.health).used.elapsed() < MEMORY.0);
        }
        let health = Health { answers: false, silent_in_a_row: 0, rests_until: None, used: Instant::now() };
        let door = Arc::new(Door {
            behind: self.behind,
            name: name.to_owned(),
            known: self.behind == Behind::Issuer || partition::of_region(name).is_some(),
            slots: Slots::new(self.slots),
            probe: Slots::new(1),
            health: Mutex::new(health),
            doubtful: self.doubtful.clone(),
        });
        doors.insert(name.to_owned(), door.clone());
        door
    }
}

impl Door {
    /// A slot in turn with other namespaces; an error at once while it rests.
    pub(super) async fn enter(&self, namespace: &str) -> Result<Way, IdentityError> {
        self.check()?;
        if !self.answers() {
            let doubt = self.is_doubtful().then(|| Doubt::begin(&self.doubtful, namespace)).transpose()?;
            let slot = self.probe.enter(namespace, SLOT_TIMEOUT).await.ok_or(IdentityError::RateLimited)?;
            self.check()?;
            if !self.answers() {
                return Ok(Way { _slot: slot, _doubt: doubt });
            }
        }
        let slot = self.slots.enter(namespace, SLOT_TIMEOUT).await.ok_or(IdentityError::RateLimited)?;
        // It may have begun to rest while this one waited.
        self.check()?;
        Ok(Way { _slot: slot, _doubt: None })
    }

    /// # Errors
    /// While it rests.
    pub(super) fn check(&self) -> Result<(), IdentityError> {
        let mut health = locked(&self.health);
        health.used = Instant::now();
        if health.rests_until.is_none_or(|until| Instant::now() >= until) {
            return Ok(());
        }
        Err(match self.behind {
            Behind::Region => IdentityError::RegionUnreachable { region: self.name.clone() },
            Behind::Issuer => IdentityError::ProviderUnavailable {
                issuer: self.name.clone(),
                message: "it did not answer several times and is left alone for a while".into(),
                answered: false,
            },
        })
    }

    fn answers(&self) -> bool {
        locked(&self.health).answers
    }

    fn is_doubtful(&self) -> bool {
        !self.known || locked(&self.health).silent_in_a_row > 0
    }

    /// Remembers whether there was an answer.
    pub(super) fn report(&self, heard: Heard) {
        let mut health = locked(&self.health);
        match heard {
            Heard::Nothing => {}
            Heard::Answer => (health.answers, health.silent_in_a_row, health.rests_until) = (true, 0, None),
            // Those that were under way together are silent together.
            Heard::Silence if health.rests_until.is_some_and(|until| Instant::now() < until) => {}
            Heard::Silence => {
                health.silent_in_a_row = health.silent_in_a_row.saturating_add(1);
                if health.answers && health.silent_in_a_row < PATIENCE {
                    return;
                }
                let beyond = health.silent_in_a_row.saturating_sub(if health.answers { PATIENCE } else { 1 });
                let rest = FIRST_REST.saturating_mul(1 << beyond.min(5)).min(LONGEST_REST);
                if health.answers {
                    (health.answers, health.silent_in_a_row) = (false, 1);
                }
                health.rests_until = Some(Instant::now() + rest);
            }
        }
    }
}

impl Doubt {
    fn begin(counts: &Arc<Mutex<HashMap<String, usize>>>, namespace: &str) -> Result<Self, IdentityError> {
        let mut all = locked(counts);
        let count = all.entry(namespace.to_owned()).or_default();
        if *count >= DOUBTFUL {
            return Err(IdentityError::RateLimited);
        }
        *count += 1;
        Ok(Self { counts: counts.clone(), namespace: namespace.to_owned() })
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        let mut all = locked(&self.counts);
        if let Some(count) = all.get_mut(&self.namespace) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors() -> Doors {
        Doors::new(Behind::Issuer, 4)
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_is_left_alone_longer_and_longer() {
        let doors = doors();
        let door = doors.of("i");
        drop(door.enter("a").await.unwrap());
        door.report(Heard::Answer);
        for _ in 0..PATIENCE {
            drop(door.enter("a").await.unwrap());
            door.report(Heard::Silence);
        }
        assert!(door.enter("a").await.is_err());
        assert!(doors.of("another").enter("a").await.is_ok());
        tokio::time::advance(FIRST_REST).await;
        drop(door.enter("a").await.unwrap());
        door.report(Heard::Silence);
        tokio::time::advance(FIRST_REST).await;
        assert!(door.enter("a").await.is_err(), "the rest has doubled");
        tokio::time::advance(FIRST_REST).await;
        drop(door.enter("a").await.unwrap());
        door.report(Heard::Answer);
        assert!(door.enter("a").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_never_heard_is_tried_by_one_and_rests_after_one_silence() {
        let door = doors().of("i");
        let way = door.enter("a").await.unwrap();
        assert_eq!(door.enter("a").await.err(), Some(IdentityError::RateLimited), "one at a time");
        door.report(Heard::Silence);
        drop(way);
        assert!(door.enter("b").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_behind_one_door_at_once() {
        let door = doors().of("i");
        door.report(Heard::Answer);
        let mut ways = Vec::new();
        for _ in 0..4 {
            ways.push(door.enter("a").await.unwrap());
        }
        assert_eq!(door.enter("a").await.err(), Some(IdentityError::RateLimited));
    }

    /// Requirement 29 of docs/security.md: exchanges shared fairly by namespace; what is dead holds up only what goes there.
    /// A namespace that names a thousand hosts that do not exist waits at few of them, and they are forgotten.
    #[tokio::test(start_paused = true)]
    async fn requirement_29_names_that_lead_nowhere_take_little_room() {
        let doors = Doors::new(Behind::Region, 16);
        let mut ways = Vec::new();
        let mut refused = 0;
        for number in 0..1000 {
            match doors.of(&format!("xx-dead{number}-1")).enter("mallory").await {
                Ok(way) => ways.push(way),
                Err(error) => refused += usize::from(error == IdentityError::RateLimited),
            }
        }
        assert_eq!((ways.len(), refused), (DOUBTFUL, 1000 - DOUBTFUL));
        assert!(doors.of("eu-west-1").enter("alice").await.is_ok());
        drop(ways);
        assert!(locked(&doors.doubtful).is_empty());
        tokio::time::advance(MEMORY.0).await;
        doors.of("us-east-1");
        assert_eq!(locked(&doors.by_name).len(), 1);
    }
}
