//! Leader election as a fence.
//!
//! A Lease is taken and renewed by `replace` with its resourceVersion, so two candidates can never both succeed. Whether
//! another's lease has expired is judged by how long this process has seen it unchanged, never by comparing clocks. The
//! holder demotes itself once its last renewal is older than the renew deadline, which is shorter than the lease: a
//! process that was stopped and continued finds itself fenced before it can write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};

/// How long others wait after the last renewal they saw.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder still acts.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the lease is looked at.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Whether this process may act now. Cheap; ask before every effect.
#[derive(Clone, Debug)]
pub struct Fence {
    renewed: Option<Arc<Mutex<Option<Instant>>>>,
}

impl Fence {
    /// A fence that stays closed until the lease is held.
    pub fn closed() -> Self {
        Self { renewed: Some(Arc::default()) }
    }

    /// No fence: for a single process without leader election.
    pub fn open() -> Self {
        Self { renewed: None }
    }

    /// True while the last renewal is younger than the renew deadline.
    pub fn holds(&self) -> bool {
        self.renewed.as_ref().is_none_or(|renewed| {
            renewed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some_and(|instant| instant.elapsed() < RENEW_DEADLINE)
        })
    }

    fn set(&self, renewed: Option<Instant>) {
        if let Some(slot) = &self.renewed {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        }
    }
}

/// What one look at the lease leads to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is none: create it.
    Create,
    /// It is ours, free or expired: replace it.
    Replace,
    /// Somebody else holds it.
    Wait,
}

/// Decides from what was seen. `unchanged_for` is how long this process has seen the lease as it is.
fn decide(lease: Option<&Lease>, identity: &str, unchanged_for: Duration) -> Step {
    let Some(spec) = lease.map(|lease| lease.spec.clone().unwrap_or_default()) else {
        return Step::Create;
    };
    match spec.holder_identity.as_deref() {
        None | Some("") => Step::Replace,
        Some(holder) if holder == identity => Step::Replace,
        Some(_) => {
            let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let duration = seconds.map_or(LEASE_DURATION, Duration::from_secs);
            if unchanged_for >= duration { Step::Replace } else { Step::Wait }
        }
    }
}

/// One candidate for the lease.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    seen: Option<(String, Instant)>,
}

impl Elector {
    /// A candidate. `identity` must differ between processes, restarts included.
    pub fn new(api: Api<Lease>, name: &str, identity: &str, fence: Fence) -> Self {
        Self { api, name: name.to_owned(), identity: identity.to_owned(), fence, seen: None }
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
        self.fence.set(None);
    }

    /// Gives the lease up, so that a successor need not wait for its expiry.
    pub async fn release(&mut self) {
        let held = self.fence.holds();
        self.fence.set(None);
        if !held {
            return;
        }
        let released = async {
            let mut lease = self.api.get(&self.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, lease = self.name, "cannot give up the lease; a successor waits for its expiry");
        }
    }

    /// One look and at most one write; true when the lease is ours afterwards.
    async fn step(&mut self) -> Result<bool, kube::Error> {
        let started = Instant::now();
        let current = self.api.get_opt(&self.name).await?;
        let version = current.as_ref().and_then(|lease| lease.metadata.resource_version.clone()).unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => self.seen.insert((version, started)).1,
        };
        let written = match decide(current.as_ref(), &self.identity, since.elapsed()) {
            Step::Wait => return Ok(false),
            Step::Create => self.api.create(&PostParams::default(), &self.claimed(None)).await,
            Step::Replace => self.api.replace(&self.name, &PostParams::default(), &self.claimed(current)).await,
        };
        match written {
            Ok(_) => {
                // Counted from before the request: others count from when they see the write.
                self.fence.set(Some(started));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn claimed(&self, current: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = current.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        let old = lease.spec.take().unwrap_or_default();
        let ours = old.holder_identity.as_deref() == Some(self.identity.as_str());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!ours)),
            ..LeaseSpec::default()
        });
        lease
    }
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
        assert_eq!(decide(None, "a", short), Step::Create);
        assert_eq!(decide(Some(&held_by("a")), "a", short), Step::Replace);
        assert_eq!(decide(Some(&held_by("")), "a", short), Step::Replace);
        assert_eq!(decide(Some(&held_by("b")), "a", short), Step::Wait);
        assert_eq!(decide(Some(&held_by("b")), "a", Duration::from_secs(15)), Step::Replace);
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
}
