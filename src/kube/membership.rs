//! The replicas that share one division into shards, and the proof that no other division is at work.
//!
//! All replicas of a division keep the Lease of an operator without shards together: its holder is the division, and an
//! annotation lists the replicas. Who divides otherwise, or not at all, finds it held and waits. A replica acts only while
//! its own entry is young, so when the Lease is free nobody of the old division acts any more.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use super::lease::{Fence, LEASE, RENEW_DEADLINE, RETRY_PERIOD, Sight, Step, claimed, released, timely};

/// The replicas of the division, each with a number that it counts up.
const REPLICAS: &str = "stepbound.dev/replicas";
/// How often a replica tries again at once when another wrote first.
const TRIES: u32 = 5;

type Beats = BTreeMap<String, u64>;

/// One replica of a division.
pub struct Membership {
    api: Api<Lease>,
    division: String,
    identity: String,
    fence: Fence,
    sight: Sight,
    others: BTreeMap<String, (u64, Instant)>,
    beat: u64,
}

impl Membership {
    /// A replica that is not in yet. `identity` must differ between processes, restarts included.
    pub fn new(api: Api<Lease>, total: u32, identity: &str) -> Self {
        Self {
            api,
            division: format!("{total}-shards"),
            identity: identity.to_owned(),
            fence: Fence::closed(),
            sight: Sight::default(),
            others: BTreeMap::new(),
            beat: 0,
        }
    }

    /// Open while this replica's entry is young.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Returns once this replica is in, with the number of replicas.
    pub async fn join(&mut self) -> usize {
        loop {
            match self.step().await {
                Ok(Some(replicas)) => return replicas,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot join the replicas yet"),
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the entry until it is lost, and tells the number of replicas; then the process must end.
    pub async fn keep(&mut self, tell: impl Fn(usize)) {
        while self.fence.holds() {
            tokio::time::sleep(RETRY_PERIOD).await;
            if !self.fence.holds() {
                break;
            }
            match tokio::time::timeout(RENEW_DEADLINE, self.step()).await {
                Ok(Ok(Some(replicas))) => tell(replicas),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => tracing::warn!(%error, "cannot renew the entry among the replicas"),
                Err(_) => tracing::warn!("renewing the entry among the replicas takes too long"),
            }
        }
        self.fence.close();
    }

    /// Takes the entry out. The last one gives the Lease free, so that another division can begin.
    pub async fn leave(&mut self) {
        let held = self.fence.holds();
        self.fence.close();
        if !held {
            return;
        }
        for _ in 0..TRIES {
            match self.try_leave().await {
                Ok(()) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => pause().await,
                Err(error) => {
                    tracing::warn!(%error, "cannot leave the replicas; the others wait until the entry is too old");
                    return;
                }
            }
        }
    }

    async fn try_leave(&mut self) -> Result<(), kube::Error> {
        let mut lease = timely(self.api.get(LEASE)).await?;
        if holder(&lease) != Some(self.division.as_str()) {
            return Ok(());
        }
        let mut beats = read(&lease);
        beats.remove(&self.identity);
        self.forget_dead(&mut beats);
        write(&mut lease, &beats);
        if beats.is_empty() {
            lease = released(lease);
        }
        timely(self.api.replace(LEASE, &PostParams::default(), &lease)).await.map(drop)
    }

    /// One look and one write; the number of replicas where this one is in, `None` where another division is at work.
    async fn step(&mut self) -> Result<Option<usize>, kube::Error> {
        for _ in 1..TRIES {
            match self.try_step().await {
                Err(kube::Error::Api(status)) if status.code == 409 => pause().await,
                answer => return answer,
            }
        }
        self.try_step().await
    }

    async fn try_step(&mut self) -> Result<Option<usize>, kube::Error> {
        let started = Instant::now();
        let current = timely(self.api.get_opt(LEASE)).await?;
        let step = self.sight.decide(current.as_ref(), &self.division);
        if step == Step::Wait {
            return Ok(None);
        }
        let ours = current.as_ref().is_some_and(|lease| holder(lease) == Some(self.division.as_str()));
        let mut beats = current.as_ref().filter(|_| ours).map(read).unwrap_or_default();
        self.forget_dead(&mut beats);
        self.beat += 1;
        beats.insert(self.identity.clone(), self.beat);
        let mut lease = claimed(current, LEASE, &self.division);
        write(&mut lease, &beats);
        match step {
            Step::Create => timely(self.api.create(&PostParams::default(), &lease)).await?,
            Step::Replace | Step::Wait => timely(self.api.replace(LEASE, &PostParams::default(), &lease)).await?,
        };
        self.fence.renew(started);
        Ok(Some(beats.len()))
    }

    /// Drops the entries that were not renewed for longer than their replicas act without it.
    fn forget_dead(&mut self, beats: &mut Beats) {
        let now = Instant::now();
        self.others.retain(|identity, _| beats.contains_key(identity));
        for (identity, beat) in &*beats {
            let seen = self.others.entry(identity.clone()).or_insert((*beat, now));
            if seen.0 != *beat {
                *seen = (*beat, now);
            }
        }
        let alive = |identity: &String| {
            *identity == self.identity
                || self.others.get(identity).is_none_or(|(_, since)| since.elapsed() < RENEW_DEADLINE)
        };
        beats.retain(|identity, _| alive(identity));
    }
}

/// Those who lost a race do not meet again at once.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(rand::random_range(5..100))).await;
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn read(lease: &Lease) -> Beats {
    let text = lease.annotations().get(REPLICAS);
    // An annotation that somebody else wrote counts as none: the replicas write theirs again within seconds.
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn write(lease: &mut Lease, beats: &Beats) {
    let text = serde_json::json!(beats).to_string();
    lease.annotations_mut().insert(REPLICAS.into(), text);
}

#[cfg(test)]
mod tests;
