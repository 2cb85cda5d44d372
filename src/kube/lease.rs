//! Leader election as a fence.
//!
//! A Lease is taken and renewed by `replace` with its resourceVersion, so two candidates can never both succeed. Whether
//! another's lease has expired is judged by how long this process has seen it unchanged, never by comparing clocks. The
//! holder demotes itself once its last renewal is older than the renew deadline, which is shorter than the lease: a
//! process that was stopped and continued finds itself fenced before it can write.
//!
//! Requests take time, and each side counts from where it is safe. The holder counts its renewal from before it asked: others
//! may see the write from then on. A candidate counts what it saw from when the answer was there: until then the Lease may
//! have been written anew. So the holder's ten seconds have always ended before a candidate's fifteen have.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use super::held::LEASE;

/// How long others wait after the last renewal they saw.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder still acts.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the lease is looked at.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// Longest request about a Lease.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that is given up after [`REQUEST_TIMEOUT`]. It may be carried out all the same, later: it names the version that
/// was read, so it overwrites nothing that was written since.
pub(super) async fn timely<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, request).await;
    answer.unwrap_or_else(|_| Err(kube::Error::Service("the API server did not answer within 5 s".into())))
}

/// When a lease was last renewed.
type Renewed = Arc<Mutex<Option<Instant>>>;

/// Whether this process may act now. Cheap; ask before every effect.
#[derive(Clone, Debug)]
pub struct Fence {
    /// All of these have to be young.
    renewed: Vec<Renewed>,
}

impl Fence {
    /// A fence that stays closed until the lease is held.
    pub fn closed() -> Self {
        Self { renewed: vec![Arc::default()] }
    }

    /// No fence: for a single process without leader election.
    pub fn open() -> Self {
        Self { renewed: Vec::new() }
    }

    /// A fence that is open while both are.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { renewed: self.renewed.iter().chain(&other.renewed).cloned().collect() }
    }

    /// True while the last renewal is younger than the renew deadline.
    pub fn holds(&self) -> bool {
        self.renewed.iter().all(|renewed| renewed.lock().is_some_and(|instant| instant.elapsed() < RENEW_DEADLINE))
    }

    /// Opens it, with a renewal that began at this time.
    pub(super) fn renew(&self, began: Instant) {
        self.set(Some(began));
    }

    /// Closes it at once.
    pub(super) fn close(&self) {
        self.set(None);
    }

    fn set(&self, renewed: Option<Instant>) {
        for slot in &self.renewed {
            *slot.lock() = renewed;
        }
    }
}

/// What one look at the lease leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none: create it.
    Create,
    /// It is ours, free or expired: replace it.
    Replace,
    /// Somebody else holds it.
    Wait,
}

/// Decides from what was seen. `unchanged_for` is how long this process has seen the lease as it is, and `another` whether it
/// was somebody else's when it was last there: a lease that was deleted under its holder is waited for as one that is held.
fn decide(lease: Option<&Lease>, identity: &str, unchanged_for: Duration, another: bool) -> Step {
    let Some(lease) = lease else {
        return if another && unchanged_for < LEASE_DURATION { Step::Wait } else { Step::Create };
    };
    if !is_anothers(lease, identity) {
        return Step::Replace;
    }
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let told = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    // Whoever holds it acts until its renew deadline, whatever the lease says.
    let duration = told.map_or(LEASE_DURATION, |told| told.max(LEASE_DURATION));
    if unchanged_for >= duration { Step::Replace } else { Step::Wait }
}

fn is_anothers(lease: &Lease, identity: &str) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    holder.is_some_and(|holder| !holder.is_empty() && holder != identity)
}

/// What a process has seen of a lease: its version, and since when.
#[derive(Debug, Default)]
pub(super) struct Sight {
    seen: Option<(String, Instant)>,
    /// Somebody else held it when it was last there.
    another: bool,
}

impl Sight {
    /// Notes what an answer shows, at the time at which it is there, and decides.
    pub(super) fn decide(&mut self, lease: Option<&Lease>, identity: &str) -> Step {
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone()).unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => self.seen.insert((version, Instant::now())).1,
        };
        if let Some(lease) = lease {
            self.another = is_anothers(lease, identity);
        }
        decide(lease, identity, since.elapsed(), self.another)
    }

    /// How long it has been as it is.
    fn unchanged_for(&self) -> Duration {
        self.seen.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
}

/// One candidate for the lease.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    sight: Sight,
}

impl Elector {
    /// A candidate. `identity` must differ between processes, restarts included.
    pub fn new(api: Api<Lease>, name: &str, identity: &str, fence: Fence) -> Self {
        Self { api, name: name.to_owned(), identity: identity.to_owned(), fence, sight: Sight::default() }
    }

    /// Open while the lease is held.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Returns once this process holds the lease.
    pub async fn acquire(&mut self) {
        loop {
            match self.step().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, lease = self.name, "cannot take the lease yet"),
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews until the lease is lost, and then returns: the process must end.
    pub async fn keep(&mut self) {
        while self.fence.holds() {
            tokio::time::sleep(RETRY_PERIOD).await;
            // A renewal that arrives after the deadline must not open the fence again: another may have led meanwhile.
            if !self.fence.holds() {
                break;
            }
            match tokio::time::timeout(RENEW_DEADLINE, self.step()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "cannot renew the lease"),
                Err(_) => tracing::warn!(lease = self.name, "renewing the lease takes too long"),
            }
        }
        self.fence.close();
    }

    /// Gives the lease up, so that a successor need not wait for its expiry.
    pub async fn release(&mut self) {
        let held = self.fence.holds();
        self.fence.close();
        if !held {
            return;
        }
        let released = async {
            let lease = timely(self.api.get(&self.name)).await?;
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
            if holder == Some(self.identity.as_str()) {
                timely(self.api.replace(&self.name, &PostParams::default(), &released(lease))).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, lease = self.name, "cannot give up the lease; a successor waits for its expiry");
        }
    }

    /// One look without a write. True when the lease may be taken now; else how long it has to stay as it is until then.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn look(&mut self) -> Result<Result<(), Duration>, kube::Error> {
        let current = timely(self.api.get_opt(&self.name)).await?;
        Ok(match self.sight.decide(current.as_ref(), &self.identity) {
            Step::Wait => Err(LEASE_DURATION.saturating_sub(self.sight.unchanged_for())),
            Step::Create | Step::Replace => Ok(()),
        })
    }

    /// One look and at most one write; true when the lease is ours afterwards.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses the write.
    pub async fn step(&mut self) -> Result<bool, kube::Error> {
        let started = Instant::now();
        let current = timely(self.api.get_opt(&self.name)).await?;
        let step = self.sight.decide(current.as_ref(), &self.identity);
        let claim = claimed(current, &self.name, &self.identity);
        let written = match step {
            Step::Wait => return Ok(false),
            Step::Create => timely(self.api.create(&PostParams::default(), &claim)).await,
            Step::Replace => timely(self.api.replace(&self.name, &PostParams::default(), &claim)).await,
        };
        match written {
            Ok(_) => {
                // Counted from before the request: others count from when they see the write.
                self.fence.renew(started);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The lease with a new holder, or renewed for the one it has.
pub(super) fn claimed(current: Option<Lease>, name: &str, identity: &str) -> Lease {
    let now = MicroTime(Timestamp::now());
    let mut lease = current.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    let old = lease.spec.take().unwrap_or_default();
    let ours = old.holder_identity.as_deref() == Some(identity);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!ours)),
        ..LeaseSpec::default()
    });
    lease
}

/// The lease without a holder, so that a successor need not wait for its expiry.
pub(super) fn released(mut lease: Lease) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1);
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: &str) -> Lease {
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    #[test]
    fn a_lease_is_taken_only_when_absent_own_free_or_seen_unchanged_for_its_duration() {
        let short = Duration::from_secs(14);
        let decide = |lease: Option<&Lease>, unchanged| decide(lease, "a", unchanged, false);
        assert_eq!(decide(None, short), Step::Create);
        assert_eq!(decide(Some(&held_by("a")), short), Step::Replace);
        assert_eq!(decide(Some(&held_by("")), short), Step::Replace);
        assert_eq!(decide(Some(&held_by("b")), short), Step::Wait);
        assert_eq!(decide(Some(&held_by("b")), Duration::from_secs(15)), Step::Replace);
        let mut brief = held_by("b");
        brief.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
        assert_eq!(decide(Some(&brief), short), Step::Wait, "its holder acts until the renew deadline all the same");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_deleted_under_its_holder_is_waited_for_as_one_that_is_held() {
        let mut sight = Sight::default();
        assert_eq!(sight.decide(Some(&held_by("b")), "a"), Step::Wait);
        assert_eq!(sight.decide(None, "a"), Step::Wait);
        tokio::time::advance(LEASE_DURATION).await;
        assert_eq!(sight.decide(None, "a"), Step::Create);
        let mut own = Sight::default();
        own.decide(Some(&held_by("a")), "a");
        assert_eq!(own.decide(None, "a"), Step::Create, "the holder makes it again at once");
    }

    #[test]
    fn a_fence_closes_by_itself_at_the_renew_deadline() {
        let fence = Fence::closed();
        assert!(!fence.holds());
        fence.set(Some(Instant::now()));
        assert!(fence.holds());
        fence.set(Instant::now().checked_sub(RENEW_DEADLINE));
        assert!(!fence.holds());
        assert!(Fence::open().holds());
    }

    #[test]
    fn two_fences_hold_only_together_and_are_renewed_apart() {
        let (division, shard) = (Fence::closed(), Fence::closed());
        let both = shard.and(&division);
        shard.renew(Instant::now());
        assert!(!both.holds());
        division.renew(Instant::now());
        assert!(both.holds() && both.and(&Fence::open()).holds());
        shard.close();
        assert!(!both.holds() && division.holds());
    }
}
