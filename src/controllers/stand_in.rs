//! For tests of reconciles: an API server that keeps objects in memory, AWS that answers as it is told, and a context on both.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::{reflector, watcher};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use super::watches::Watches;
use super::{Attribution, Context, Ports, Settings, guardrails, runner};
use crate::api::v1alpha1::WorkflowRun;
use crate::audit::Cause;
use crate::aws::stand_in::{Seen, StandIn};
use crate::aws::{
    Caller, Clients, Credentials, Epoch, Gate, SdkQueues, SdkStepFunctions, Session, SessionOrigin, http_client,
};
use crate::identity::{IdentityError, IssuerRules, Issuers, Reach, SessionKey, Sessions, Web};
use crate::kube::{Events, Fence, Shard};

const GROUP: &str = "/apis/stepbound.dev/v1alpha1/namespaces/shop";
pub(super) const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_orders";
const ROLE: &str = "arn:aws:iam::111122223333:role/shop";

/// Objects by path.
#[derive(Default)]
struct Objects {
    by_path: Mutex<BTreeMap<String, Value>>,
    versions: AtomicU64,
    /// Requests that are answered with an error before anything is looked at.
    refused: AtomicUsize,
    events: Mutex<Vec<Value>>,
}

impl Objects {
    fn put(&self, path: &str, mut object: Value) -> Value {
        object["metadata"]["resourceVersion"] = json!(self.versions.fetch_add(1, Ordering::SeqCst).to_string());
        self.by_path.lock().unwrap().insert(path.to_owned(), object.clone());
        object
    }

    fn answer(&self, method: &Method, path: &str, sent: Value) -> (u16, Value) {
        if path.contains("/apis/events.k8s.io/") {
            self.events.lock().unwrap().push(sent.clone());
            return (201, sent);
        }
        if self.refused.load(Ordering::SeqCst) > 0 {
            self.refused.fetch_sub(1, Ordering::SeqCst);
            return failure(500);
        }
        if *method == Method::POST {
            let place = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap_or_default());
            let taken = self.by_path.lock().unwrap().contains_key(&place);
            return if taken { failure(409) } else { (201, self.put(&place, sent)) };
        }
        let object_path = path.trim_end_matches("/status");
        let Some(mut known) = self.by_path.lock().unwrap().get(object_path).cloned() else {
            return if path.ends_with("guardrails") {
                (
                    200,
                    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "GuardrailList",
                    "metadata": {"resourceVersion": "1"}, "items": []}),
                )
            } else {
                failure(404)
            };
        };
        let version = patched(&sent, "/metadata/resourceVersion").unwrap_or(&sent["metadata"]["resourceVersion"]);
        if !version.is_null() && *version != known["metadata"]["resourceVersion"] {
            return failure(409);
        }
        match *method {
            Method::PUT => known["status"] = sent["status"].clone(),
            Method::PATCH if sent.is_array() => {
                known["status"] = patched(&sent, "/status").cloned().unwrap_or_default();
            }
            Method::PATCH => merge(&mut known, &sent),
            Method::DELETE => {
                self.by_path.lock().unwrap().remove(object_path);
                return (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
            }
            _ => return (200, known),
        }
        (200, self.put(object_path, known))
    }
}

/// The value that a JSON patch puts at a place.
fn patched<'a>(patch: &'a Value, place: &str) -> Option<&'a Value> {
    patch.as_array()?.iter().find(|operation| operation["path"] == place).map(|operation| &operation["value"])
}

fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().unwrap() {
        if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else {
            into[key] = value.clone();
        }
    }
}

fn failure(code: u16) -> (u16, Value) {
    (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code}))
}

/// One session for everything, named after whoever asked.
struct AnySession {
    changes: broadcast::Sender<(String, String)>,
}

#[async_trait::async_trait]
impl Sessions for AnySession {
    async fn session(&self, key: &SessionKey, _: &Cause) -> Result<Arc<Session>, IdentityError> {
        Ok(Arc::new(session(key.requester.clone())))
    }
    async fn held(&self, _: &str, _: Option<&str>) -> Option<Arc<Session>> {
        None
    }
    fn epoch(&self, _: &str, _: &str) -> Epoch {
        Epoch::default()
    }
    fn confirm(&self, _: &mut SessionKey) {}
    fn forget(&self, _: &str, _: &str) {}
    fn is_failing(&self, _: &str, _: &str) -> bool {
        false
    }
    fn changes(&self) -> broadcast::Receiver<(String, String)> {
        self.changes.subscribe()
    }
}

/// Somebody who calls AWS by the way.
pub(super) fn caller() -> Caller {
    Caller::new(Arc::new(session(None)), &Arc::default())
}

fn session(requester: Option<String>) -> Session {
    let credentials = Credentials {
        access_key_id: "ASIASESSION".into(),
        secret_access_key: SecretString::from("secret"),
        session_token: SecretString::from("token"),
    };
    Session {
        gate: Gate::new(credentials, Epoch::default()),
        clients: Clients::default(),
        expires_at: Timestamp::MAX,
        refresh_at: Timestamp::MAX,
        packed_policy_percent: None,
        region: "eu-west-1".into(),
        account_id: "111122223333".into(),
        assumed_role_arn: ROLE.into(),
        session_name: requester.clone().unwrap_or_else(|| "shop.orders".into()),
        origin: SessionOrigin {
            namespace: "shop".into(),
            binding: "orders".into(),
            service_account_uid: "account".into(),
            token_id: "token".into(),
            issuer: "https://issuer.example".into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            requester,
            authorized_party: None,
        },
    }
}

/// A namespace `shop` with the Workflow `orders`, and whatever a test puts there.
pub(super) struct World {
    pub(super) ctx: Arc<Context>,
    pub(super) aws: StandIn,
    objects: Arc<Objects>,
    watches: Arc<Watches>,
    _stop: watch::Sender<bool>,
}

impl World {
    /// `aws` answers its calls with status and body.
    pub(super) async fn new(machine_type: &str, aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::with(machine_type, Objects::default(), aws).await
    }

    /// With a Guardrail `limits` for the namespace.
    pub(super) async fn guarded(
        machine_type: &str,
        rails: &Value,
        aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let objects = Objects::default();
        let mut spec = json!({"namespaceSelector": {}});
        merge(&mut spec, rails);
        let rails = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "GuardrailList", "items": [
            {"apiVersion": "stepbound.dev/v1alpha1", "kind": "Guardrail", "metadata": {"name": "limits"}, "spec": spec}]});
        objects.put("/apis/stepbound.dev/v1alpha1/guardrails", rails);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        objects.put("/api/v1/namespaces/shop", namespace);
        Self::with(machine_type, objects, aws).await
    }

    async fn with(
        machine_type: &str,
        objects: Objects,
        aws: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let objects = Arc::new(objects);
        let aws = StandIn::start(aws).await;
        let client = serve(objects.clone()).await;
        let (stop, stopped) = watch::channel(false);
        let ctx = context(client, &aws);
        let watches = ctx.watches.add(None);
        watches.queue.note(&watcher::Event::Init);
        watches.queue.note(&watcher::Event::InitDone);
        let world = Self { ctx: ctx.clone(), aws, objects, watches, _stop: stop };
        world.add(
            "trustbindings",
            &json!({"kind": "TrustBinding", "metadata": {"name": "orders"},
            "spec": {"serviceAccountName": "orders", "roleARN": ROLE, "region": "eu-west-1", "sessionPolicy": "None"}}),
        );
        world.add_workflow(machine_type);
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "orders", "namespace": "shop",
            "uid": "account", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}});
        world.objects.put("/api/v1/namespaces/shop/serviceaccounts/orders", account);
        tokio::spawn(guardrails::keep(ctx, stopped));
        while guardrails::rules(&world.ctx, "shop").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world
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
        let mut object = self.objects.by_path.lock().unwrap()[&key].clone();
        merge(&mut object, patch);
        self.objects.put(&key, object);
    }

    pub(super) fn run(&self, name: &str) -> WorkflowRun {
        let objects = self.objects.by_path.lock().unwrap();
        serde_json::from_value(objects[&format!("{GROUP}/workflowruns/{name}")].clone()).unwrap()
    }

    /// Wakes a run and waits for all that follows from it.
    pub(super) async fn wake(&self, name: &str) {
        self.wake_with(self.run(name)).await;
    }

    /// Wakes a run that the watch shows as it is given.
    pub(super) async fn wake_with(&self, run: WorkflowRun) {
        let (store, mut writer) = reflector::store();
        let seen = watcher::Event::Apply(run.clone());
        self.watches.queue.note(&seen);
        writer.apply_watcher_event(&seen);
        Box::pin(runner::reconcile(Arc::new(run), self.ctx.clone(), store)).await.unwrap();
        while self.ctx.has_flights() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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

    /// How often AWS was asked for an operation.
    pub(super) fn calls(&self, operation: &str) -> usize {
        self.aws.seen().iter().filter(|seen| seen.operation() == operation).count()
    }

    /// Type, reason and note of each event.
    pub(super) fn events(&self) -> Vec<(String, String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let events = self.objects.events.lock().unwrap();
        events.iter().map(|event| (text(event, "type"), text(event, "reason"), text(event, "note"))).collect()
    }
}

fn context(client: Client, aws: &StandIn) -> Arc<Context> {
    let endpoints = aws.endpoints();
    let adapter = Arc::new(SdkStepFunctions::new(http_client(), &endpoints, Arc::default(), 1.0));
    let ports = Ports {
        sessions: Arc::new(AnySession { changes: broadcast::Sender::new(1) }),
        state_machines: adapter.clone(),
        aliases: adapter.clone(),
        activities: adapter.clone(),
        executions: adapter.clone(),
        tagging: adapter.clone(),
        quota: adapter.clone(),
        alarms: adapter.clone(),
        queues: Arc::new(SdkQueues::new(http_client(), None, Arc::default())),
        iam: adapter,
        relay: Arc::default(),
        issuers: Arc::new(Issuers::new(Web::new(Reach { plain_http: true, private_addresses: true }).unwrap())),
    };
    let settings = Settings {
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
    };
    let attribution = Arc::new(Attribution::new(String::new(), String::new()));
    let events = Events::new(client.clone(), "test".into());
    Arc::new(Context::new(client, ports, attribution, events, Arc::default(), Fence::open(), settings))
}

async fn serve(objects: Arc<Objects>) -> Client {
    let router = Router::new().fallback(move |request: Request| {
        let objects = objects.clone();
        async move {
            let (parts, body) = request.into_parts();
            if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
                return Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())
                    .into_response();
            }
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let (code, answer) =
                objects.answer(&parts.method, parts.uri.path(), serde_json::from_slice(&body).unwrap_or_default());
            let answer: Response = (StatusCode::from_u16(code).unwrap(), answer.to_string()).into_response();
            answer
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Client::try_from(kube::Config::new(format!("http://127.0.0.1:{port}").parse().unwrap())).unwrap()
}
