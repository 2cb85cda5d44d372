//! What reconciles share: settings, ports, and what a process remembers between them.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use moka::future::Cache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::attribution::Attribution;
use super::authorization::{self, Authorized};
use super::execution_history::memory::Histories;
use super::guardrails::memory::Guardrails;
use super::input_schemas::memory::InputSchemas;
use super::watches::Scopes;
use super::workflow::Memory;
use crate::aws::{Activities, Alarms, Aliases, CallQuota, Executions, Iam, Logs, Queues, StateMachines, Tagging};
use crate::identity::{IssuerRules, Issuers, Sessions};
use crate::kube::{Events, Fence, Shard};
use crate::metrics::{Metrics, Objects};
use crate::outcome::{Backoff, Failure};
use crate::plan::timeline::Paths;
use crate::runs::{Relay, Tracker};

/// What the controllers need to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Id of the cluster in owner tags.
    pub cluster_id: String,
    /// Before default state machine names.
    pub name_prefix: String,
    /// Audiences that a binding may name.
    pub allowed_audiences: Vec<String>,
    /// Issuer of the cluster's own tokens, where it is known.
    pub cluster_issuer: Option<String>,
    /// Issuers that an IdentityProvider may name.
    pub issuer_rules: IssuerRules,
    /// Keys of tags by which the users of other tools mark what is theirs.
    pub foreign_owner_tags: Vec<String>,
    /// How long AWS may still route by an alias's old weights.
    pub alias_settle_time: Duration,
    /// Whether everybody is held to what a shared cluster wants.
    pub lockdown: bool,
    /// Namespaces to watch; empty means all.
    pub watch_namespaces: Vec<String>,
    /// The part of them that is worked on.
    pub shard: Shard,
    /// How often an unchanged object is compared with AWS.
    pub resync_interval: Duration,
}

/// What stands between the controllers and AWS.
#[derive(Clone)]
pub struct Ports {
    /// Sessions of bindings.
    pub sessions: Arc<dyn Sessions>,
    /// State machines.
    pub state_machines: Arc<dyn StateMachines>,
    /// Aliases.
    pub aliases: Arc<dyn Aliases>,
    /// Activities.
    pub activities: Arc<dyn Activities>,
    /// Executions.
    pub executions: Arc<dyn Executions>,
    /// Tags.
    pub tagging: Arc<dyn Tagging>,
    /// What is left of the quotas.
    pub quota: Arc<dyn CallQuota>,
    /// CloudWatch's alarms.
    pub alarms: Arc<dyn Alarms>,
    /// CloudWatch Logs.
    pub logs: Arc<dyn Logs>,
    /// Queues of events.
    pub queues: Arc<dyn Queues>,
    /// IAM.
    pub iam: Arc<dyn Iam>,
    /// Issuers of tokens.
    pub issuers: Arc<Issuers>,
    /// Hints from the queues, for every shard of this process.
    pub relay: Arc<Relay>,
}

/// Everything that a reconcile works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    ports: Ports,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Whether this process may act.
    pub fence: Fence,
    /// Settings.
    pub settings: Settings,
    /// Whose word it is who asked for what.
    pub(super) attribution: Arc<Attribution>,
    pub(super) guardrails: Guardrails,
    pub(super) input_schemas: InputSchemas,
    /// Gauges over the objects that are worked on.
    pub(super) objects: Arc<Objects>,
    pub(super) started: Instant,
    pub(super) failures: Mutex<HashMap<String, Backoff>>,
    pub(super) in_flight: Mutex<HashSet<String>>,
    seats: Seats,
    pub(super) authorized: Authorized,
    pub(super) workflows: Memory,
    pub(super) histories: Histories,
    pub(super) tracker: Tracker,
    pub(super) watches: Scopes,
    /// Where the states of versions are in their definitions, by the version's ARN: a version never changes.
    pub(super) paths: Cache<String, Arc<Paths>>,
    /// Large histories are read a few at a time.
    pub(super) large_histories: Semaphore,
    /// Runs whose history was looked at a moment ago, by UID.
    pub(super) looked_at: Cache<String, ()>,
}

/// The ports are the context's own: `ctx.executions`.
impl Deref for Context {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

impl Context {
    /// Puts the parts together.
    pub fn new(
        client: Client,
        ports: Ports,
        attribution: Arc<Attribution>,
        events: Events,
        metrics: Arc<Metrics>,
        fence: Fence,
        settings: Settings,
    ) -> Self {
        let guardrails = Guardrails::new();
        let (started, workflows) = (Instant::now(), Memory::default());
        let (failures, in_flight, authorized) = (Mutex::default(), Mutex::default(), authorization::none_yet());
        let (tracker, objects) = (Tracker::new(ports.relay.clone(), metrics.clone()), Arc::new(metrics.objects()));
        Self {
            client,
            ports,
            events,
            metrics,
            fence,
            settings,
            attribution,
            guardrails,
            input_schemas: InputSchemas::default(),
            objects,
            started,
            failures,
            in_flight,
            seats: Seats::default(),
            authorized,
            workflows,
            histories: Histories::default(),
            tracker,
            watches: Scopes::default(),
            paths: Cache::builder().max_capacity(PATHS_BYTES).weigher(|_, paths: &Arc<Paths>| paths.size()).build(),
            large_histories: Semaphore::new(LARGE_HISTORIES),
            looked_at: Cache::builder().time_to_live(LOOK_EVERY / 2).build(),
        }
    }

    /// A seat for a reconcile, where the namespace has not too many already.
    pub(super) fn seat(&self, kind: &'static str, namespace: &str) -> Option<Seat<'_>> {
        self.seats.take(kind, namespace)
    }

    /// Counts a failure of an object and gives the delay until it is looked at again.
    pub(super) fn back_off(&self, uid: &str, failure: &Failure) -> Option<Duration> {
        let Failure { class, reason, .. } = failure;
        let mut failures = self.failures.lock();
        failures.entry(uid.to_owned()).or_default().fail(*class, *reason, self.started.elapsed(), rand::random())
    }

    /// Forgets the failures of an object.
    pub(super) fn forget_failures(&self, uid: &str) {
        self.failures.lock().remove(uid);
    }

    /// Marks a call that outlives its reconcile; false when one is under way already.
    pub(super) fn begin_flight(&self, uid: &str) -> bool {
        self.in_flight.lock().insert(uid.to_owned())
    }

    pub(super) fn end_flight(&self, uid: &str) {
        self.in_flight.lock().remove(uid);
    }

    /// Whether any such call is under way.
    pub(super) fn has_flights(&self) -> bool {
        !self.in_flight.lock().is_empty()
    }

    pub(super) fn is_in_flight(&self, uid: &str) -> bool {
        self.in_flight.lock().contains(uid)
    }
}

/// How often a watched run's history is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Memory for the places of states in definitions, in bytes.
const PATHS_BYTES: u64 = 8 * 1024 * 1024;
/// How many histories of more than a page are read at once: each takes some megabytes while it is read.
const LARGE_HISTORIES: usize = 4;

/// Reconciles under way at once, for each kind.
pub(super) const CONCURRENCY: u16 = 32;

/// Of these one namespace has at most so many: whatever its objects wait for, those of others are looked at meanwhile.
const OF_ONE_NAMESPACE: u16 = 24;

/// Reconciles under way by kind and namespace.
#[derive(Default)]
struct Seats(Mutex<HashMap<(&'static str, String), u16>>);

impl Seats {
    fn take(&self, kind: &'static str, namespace: &str) -> Option<Seat<'_>> {
        let mut seats = self.0.lock();
        let key = (kind, namespace.to_owned());
        let taken = seats.entry(key.clone()).or_default();
        if *taken >= OF_ONE_NAMESPACE {
            return None;
        }
        *taken += 1;
        Some(Seat { seats: self, key })
    }
}

/// A seat, until it is dropped.
pub(super) struct Seat<'a> {
    seats: &'a Seats,
    key: (&'static str, String),
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut seats = self.seats.0.lock();
        if let Some(taken) = seats.get_mut(&self.key) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_leaves_seats_to_others_and_gives_them_back() {
        let seats = Seats::default();
        let taken: Vec<Option<Seat<'_>>> = (0..CONCURRENCY).map(|_| seats.take("TrustBinding", "greedy")).collect();
        assert_eq!(taken.iter().flatten().count(), usize::from(OF_ONE_NAMESPACE));
        assert!(seats.take("TrustBinding", "shop").is_some() && seats.take("Workflow", "greedy").is_some());
        drop(taken);
        assert!(seats.take("TrustBinding", "greedy").is_some());
        assert!(seats.0.lock().is_empty(), "what has no reconcile is not remembered");
    }
}
