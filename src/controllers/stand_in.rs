//! For tests of reconciles: an API server that keeps objects in memory, AWS that answers as it is told, and a context on both.

#![allow(missing_docs)]

mod objects;
mod over_fake;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::runtime::{reflector, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::runner::Managed;
use super::watches::Watches;
use super::{Attribution, Context, Ports, Settings, guardrails, runner};
use crate::api::v1alpha1::WorkflowRun;
use crate::aws::stand_in::{Seen, StandIn};
use crate::aws::{SdkQueues, SdkStepFunctions, http_client};
use crate::identity::{IssuerRules, Issuers, Reach, Web};
use crate::kube::{Events, Fence, Shard};
use crate::plan::attribution::Installation;
use crate::plan::run;
use objects::{Objects, client, merge};
pub(super) use over_fake::{Faked, with};
pub(super) use sessions::AnySession;
pub(crate) use sessions::caller;

const GROUP: &str = "/apis/stepbound.dev/v1alpha1/namespaces/shop";
pub(super) const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_orders";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/";
const INSTALLATION: Installation<'static> =
    Installation { prefix: "system-stepbound", operator: "system:serviceaccount:system:stepbound", namespaces: &[] };
const ROLE: &str = "arn:aws:iam::111122223333:role/shop";

/// A namespace `shop`, AWS of some kind, and a process that works on both.
pub(super) struct World<A = StandIn> {
    pub(super) ctx: Arc<Context>,
    pub(super) aws: A,
    objects: Arc<Objects>,
    watches: Arc<Watches>,
    stop: watch::Sender<bool>,
}

/// With the Workflow `orders`, and AWS whose calls a test answers with status and body.
impl World<StandIn> {
    pub(super) async fn new(machine_type: &str, aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::with(machine_type, Arc::default(), aws).await
    }

    /// With a Guardrail `limits` for the namespace.
    pub(super) async fn guarded(
        machine_type: &str,
        rails: &Value,
        aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let objects = Arc::new(Objects::default());
        put_guardrail(&objects, rails);
        Self::with(machine_type, objects, aws).await
    }

    async fn with(
        machine_type: &str,
        objects: Arc<Objects>,
        aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let aws = StandIn::start(aws).await;
        let adapter = Arc::new(SdkStepFunctions::new(http_client(), &aws.endpoints(), Arc::default(), 1.0));
        let ports = Ports {
            sessions: Arc::new(AnySession::default()),
            state_machines: adapter.clone(),
            aliases: adapter.clone(),
            activities: adapter.clone(),
            executions: adapter.clone(),
            tagging: adapter.clone(),
            quota: adapter.clone(),
            alarms: adapter.clone(),
            logs: adapter.clone(),
            queues: Arc::new(SdkQueues::new(http_client(), None, Arc::default())),
            iam: adapter,
            relay: Arc::default(),
            issuers: issuers(),
        };
        put_account(&objects, Some(ROLE));
        let begun = begin(&objects, ports, settings()).await;
        let world = Self { aws, objects, ctx: begun.ctx, watches: begun.watches, stop: begun.stop };
        world.add_binding(&json!({}));
        world.add_workflow(machine_type);
        world
    }

    /// How often AWS was asked for an operation.
    pub(super) fn calls(&self, operation: &str) -> usize {
        self.aws.seen().iter().filter(|seen| seen.operation() == operation).count()
    }

    fn add_workflow(&self, machine_type: &str) {
        let condition = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": "Synced", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        self.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"},
            "spec": {"trustBindingRef": {"name": "orders"}, "type": machine_type,
                "executionRoleARN": "arn:aws:iam::111122223333:role/run", "definition": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}},
            "status": {"observedGeneration": 1, "stateMachineARN": MACHINE, "conditions": [condition("Ready"), condition("Synced")]}}));
    }
}

impl<A> World<A> {
    /// Puts the binding `orders` there, with more of its spec.
    pub(super) fn add_binding(&self, spec: &Value) {
        let mut whole =
            json!({"serviceAccountName": "orders", "roleARN": ROLE, "region": "eu-west-1", "sessionPolicy": "None"});
        merge(&mut whole, spec);
        self.add("trustbindings", &json!({"kind": "TrustBinding", "metadata": {"name": "orders"}, "spec": whole}));
    }

    /// Puts an object of ours into the namespace.
    pub(super) fn add(&self, plural: &str, object: &Value) {
        let mut object = object.clone();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        object["apiVersion"] = json!("stepbound.dev/v1alpha1");
        let mut metadata = json!({"namespace": "shop", "uid": format!("{plural}-{name}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z"});
        merge(&mut metadata, &object["metadata"]);
        object["metadata"] = metadata;
        self.objects.put(&format!("{GROUP}/{plural}/{name}"), object);
    }

    /// Puts a run there, with more of its spec.
    pub(super) fn add_run(&self, name: &str, spec: &Value) {
        let mut whole = json!({"workflowRef": {"name": "orders"}});
        merge(&mut whole, spec);
        self.add("workflowruns", &json!({"kind": "WorkflowRun", "metadata": {"name": name}, "spec": whole}));
    }

    /// Puts a ConfigMap there, with the run that its owner reference names, as the API group of the reference has it.
    pub(super) fn add_config_map(&self, name: &str, data: &Value, owner: Option<(&str, &str)>) {
        let owner = owner.map(|(group, run)| {
            json!([{"apiVersion": format!("{group}/v1alpha1"), "kind": "WorkflowRun", "name": run,
            "uid": format!("workflowruns-{run}"), "controller": true}])
        });
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": "shop", "ownerReferences": owner}});
        self.objects.put(&format!("/api/v1/namespaces/shop/configmaps/{name}"), map);
    }

    /// Changes an object as somebody else would.
    pub(super) fn change(&self, plural: &str, name: &str, patch: &Value) {
        let key = format!("{GROUP}/{plural}/{name}");
        let mut object = self.objects.by_path.lock()[&key].clone();
        merge(&mut object, patch);
        self.objects.put(&key, object);
    }

    pub(super) fn run(&self, name: &str) -> WorkflowRun {
        let objects = self.objects.by_path.lock();
        serde_json::from_value(objects[&format!("{GROUP}/workflowruns/{name}")].clone()).unwrap()
    }

    /// Wakes a run and waits for all that follows from it.
    pub(super) async fn wake(&self, name: &str) {
        self.wake_with(self.run(name)).await;
    }

    /// Wakes a run that the watch shows as it is given.
    pub(super) async fn wake_with(&self, run: WorkflowRun) {
        self.watches.queue.note(&watcher::Event::Apply(run.clone()));
        self.reconcile(run).await;
    }

    /// Reconciles an object that the watch shows as it is given, and waits for all that follows from it.
    async fn reconcile<K: Managed>(&self, object: K) -> Action {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Apply(object.clone()));
        let name = object.name_any();
        let action = Box::pin(runner::reconcile(Arc::new(object), self.ctx.clone(), store)).await.unwrap();
        while self.ctx.has_flights() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if K::KIND == WorkflowRun::KIND {
            self.sleeps_on_nothing(&name, &action);
        }
        action
    }

    /// Nobody wakes a run for what its last reconcile has already seen.
    fn sleeps_on_nothing(&self, name: &str, action: &Action) {
        let sleeps = [Action::await_change(), Action::requeue(Duration::from_secs(600))].contains(action);
        let Some(seen) = self.find_object::<WorkflowRun>("workflowruns", name).filter(|_| sleeps) else { return };
        let status = seen.status.clone().unwrap_or_default();
        let next = run::next(&seen.spec, &status, seen.redrive_asked(), jiff::Timestamp::now());
        assert!(
            !next.is_due() || seen.metadata.deletion_timestamp.is_some(),
            "{name} sleeps, and what comes next is {next:?}"
        );
    }

    /// What is at a path of the API server.
    pub(super) fn object(&self, path: &str) -> Option<Value> {
        self.objects.by_path.lock().get(path).filter(|object| !objects::is_gone(object)).cloned()
    }

    /// Reconciles an object that the watch shows as it is given.
    pub(super) async fn reconcile_as_seen<K: Managed>(&self, object: K) {
        self.reconcile(object).await;
    }

    /// An object as the API server has it.
    pub(super) fn get<K: Managed>(&self, name: &str) -> K {
        self.find_object(&K::plural(&()), name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    fn find_object<K: Managed>(&self, plural: &str, name: &str) -> Option<K> {
        let found = self.objects.by_path.lock().get(&format!("{GROUP}/{plural}/{name}")).cloned()?;
        Some(serde_json::from_value(found).unwrap())
    }

    /// Names of the objects of a kind.
    pub(super) fn names<K: Managed>(&self) -> Vec<String> {
        let prefix = format!("{GROUP}/{}/", K::plural(&()));
        let objects = self.objects.by_path.lock();
        let there = objects.iter().filter(|(_, object)| !objects::is_gone(object));
        there.filter_map(|(path, _)| path.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// True once nothing holds an object that is being deleted.
    pub(super) fn is_gone<K: Managed>(&self, name: &str) -> bool {
        self.find_object::<K>(&K::plural(&()), name)
            .is_none_or(|object| object.meta().deletion_timestamp.is_some() && object.finalizers().is_empty())
    }

    /// Wakes a run with what AWS describes of its execution, as the tracker does.
    pub(super) async fn find(&self, name: &str) {
        let arn = self.run(name).status.unwrap().execution_arn.unwrap();
        let described = self.ctx.executions.describe_execution(&caller(), &arn).await;
        self.ctx.tracker.found(described.unwrap().unwrap());
        self.wake(name).await;
    }

    /// The next requests to the API server fail.
    pub(super) fn refuse_requests(&self, count: usize) {
        self.objects.refused.store(count, Ordering::SeqCst);
    }

    /// Type, reason and note of each event.
    pub(super) fn events(&self) -> Vec<(String, String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let events = self.objects.events.lock();
        events.iter().map(|event| (text(event, "type"), text(event, "reason"), text(event, "note"))).collect()
    }
}

/// A process that has begun its work.
struct Begun {
    ctx: Arc<Context>,
    watches: Arc<Watches>,
    stop: watch::Sender<bool>,
}

/// Begins to work on objects, and knows the Guardrails once this comes back.
async fn begin(objects: &Arc<Objects>, ports: Ports, settings: Settings) -> Begun {
    let client: Client = client(objects.clone());
    // As the chart says it where its policies are installed.
    let installed = objects.by_path.lock().keys().any(|path| path.starts_with(POLICIES));
    let (prefix, operator) = if installed { (INSTALLATION.prefix, INSTALLATION.operator) } else { ("", "") };
    let attribution = Attribution::new(client.clone(), Vec::new(), prefix.to_owned(), operator.to_owned());
    let attribution = Arc::new(attribution);
    let events = Events::new(client.clone(), "test".into());
    let ctx = Arc::new(Context::new(client, ports, attribution, events, Arc::default(), Fence::open(), settings));
    let watches = ctx.watches.add(None);
    watches.queue.note(&watcher::Event::Init);
    watches.queue.note(&watcher::Event::InitDone);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(guardrails::keep(ctx.clone(), stopped));
    while guardrails::rules(&ctx, "shop").await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Begun { ctx, watches, stop }
}

fn put_guardrail(objects: &Objects, rails: &Value) {
    let mut spec = json!({"namespaceSelector": {}});
    merge(&mut spec, rails);
    let rail = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Guardrail", "metadata": {"name": "limits"}, "spec": spec});
    objects.put("/apis/stepbound.dev/v1alpha1/guardrails/limits", rail);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    objects.put("/api/v1/namespaces/shop", namespace);
}

/// Puts the service account there, with the role that it names.
fn put_account(objects: &Objects, role: Option<&str>) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "orders", "namespace": "shop",
        "uid": "account", "annotations": {"eks.amazonaws.com/role-arn": role.unwrap_or_default()}}});
    objects.put("/api/v1/namespaces/shop/serviceaccounts/orders", account);
}

fn issuers() -> Arc<Issuers> {
    Arc::new(Issuers::new(Web::new(Reach { plain_http: true, private_addresses: true }).unwrap()))
}

fn settings() -> Settings {
    Settings {
        cluster_id: "test".into(),
        name_prefix: String::new(),
        allowed_audiences: vec!["sts.amazonaws.com".into()],
        cluster_issuer: None,
        issuer_rules: IssuerRules { allowed: Vec::new(), forbidden_audiences: Vec::new() },
        foreign_owner_tags: Vec::new(),
        alias_settle_time: Duration::ZERO,
        lockdown: false,
        watch_namespaces: Vec::new(),
        shard: Shard::WHOLE,
        resync_interval: Duration::from_secs(600),
    }
}
