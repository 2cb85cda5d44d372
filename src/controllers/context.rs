//! What reconciles share: settings, ports, and what a process remembers between them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::{Client, ResourceExt};
use moka::future::Cache;

use super::run_queue::RunQueues;
use super::runner::{self, Managed};
use super::{Attribution, dereference, guardrails, workflow, workflow_run};
use crate::aws::{Activities, Alarms, Aliases, CallQuota, Caller, Executions, Iam, Queues, StateMachines, Tagging};
use crate::iam::binding_role::session::Purpose;
use crate::identity::{IssuerRules, Issuers, Sessions};
use crate::kube::{Events, Fence, Shard};
use crate::metrics::{Metrics, Objects};
use crate::outcome::{Backoff, Failure};
use crate::plan::workflow::Owner;
use crate::runs::{Relay, SessionSource, Tracker};

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
    /// Queues of events.
    pub queues: Arc<dyn Queues>,
    /// IAM.
    pub iam: Arc<dyn Iam>,
    /// Issuers of tokens.
    pub issuers: Arc<Issuers>,
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
    pub(super) guardrails: guardrails::Guardrails,
    /// Gauges over the objects that are worked on.
    pub(super) objects: Arc<Objects>,
    pub(super) started: Instant,
    pub(super) failures: Mutex<HashMap<String, Backoff>>,
    pub(super) in_flight: Mutex<HashSet<String>>,
    pub(super) authorized: dereference::Authorized,
    pub(super) workflows: workflow::Memory,
    pub(super) tracker: Tracker,
    pub(super) run_queues: RunQueues,
    /// Runs whose history was looked at a moment ago, by UID.
    pub(super) looked_at: Cache<String, ()>,
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
        let Ports {
            sessions,
            state_machines,
            aliases,
            activities,
            executions,
            tagging,
            quota,
            alarms,
            queues,
            iam,
            issuers,
            relay,
        } = ports;
        let guardrails = guardrails::Guardrails::new();
        let (started, workflows) = (Instant::now(), workflow::Memory::default());
        let (failures, in_flight, authorized) = (Mutex::default(), Mutex::default(), dereference::authorized());
        let (tracker, objects) = (Tracker::new(relay, metrics.clone()), Arc::new(metrics.objects()));
        Self {
            client,
            sessions,
            state_machines,
            aliases,
            activities,
            executions,
            tagging,
            quota,
            alarms,
            queues,
            iam,
            issuers,
            events,
            metrics,
            fence,
            settings,
            attribution,
            guardrails,
            objects,
            started,
            failures,
            in_flight,
            authorized,
            workflows,
            tracker,
            run_queues: RunQueues::default(),
            looked_at: Cache::builder().time_to_live(workflow_run::LOOK_EVERY / 2).build(),
        }
    }

    /// Counts a failure of an object and gives the delay until it is looked at again.
    pub(super) fn back_off(&self, uid: &str, failure: &Failure) -> Option<Duration> {
        let Failure { class, reason, .. } = failure;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.entry(uid.to_owned()).or_default().fail(*class, reason, self.started.elapsed(), rand::random())
    }

    /// Forgets the failures of an object.
    pub(super) fn forget_failures(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Marks a call that outlives its reconcile; false when one is under way already.
    pub(super) fn begin_flight(&self, uid: &str) -> bool {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned())
    }

    pub(super) fn end_flight(&self, uid: &str) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Whether any such call is under way.
    pub(super) fn has_flights(&self) -> bool {
        !self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn is_in_flight(&self, uid: &str) -> bool {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }
}

/// Sessions for the tracker, which looks on behalf of the runs that it follows.
pub(super) struct BindingSessions(pub(super) Arc<Context>);

#[async_trait::async_trait]
impl SessionSource for BindingSessions {
    async fn session(&self, namespace: &str, binding: &str, purpose: &Purpose<'_>) -> Result<Caller, Failure> {
        runner::fenced(&self.0)?;
        let (_, session) = dereference::session_for(&self.0, &Arc::default(), namespace, binding, purpose).await?;
        Ok(session)
    }
}

/// Whose a resource of AWS is that belongs to the object.
pub(super) fn owner<K: Managed>(work: &runner::Work<K>, ctx: &Context) -> Owner {
    Owner {
        cluster: ctx.settings.cluster_id.clone(),
        namespace: work.namespace(),
        name: work.object.name_any(),
        uid: work.object.uid().unwrap_or_default(),
    }
}
