//! A world whose AWS follows its own rules.

use std::sync::{Arc, OnceLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use serde_json::{Value, json};

use super::objects::{Objects, merge};
use super::{
    AnySession, Begun, GROUP, INSTALLATION, Managed, POLICIES, Ports, ROLE, Settings, World, begin, issuers,
    put_account, put_guardrail, settings,
};
use crate::aws::LogEvent;
use crate::aws::fake::{FakeAws, Life};
use crate::identity::Issuers;
use crate::plan::{approval, attribution, express_log};
use crate::runs::Evidence;
use crate::status::find;

/// AWS that follows its own rules, and the sessions with which it is called.
pub(in crate::controllers) struct Faked {
    pub(in crate::controllers) aws: Arc<FakeAws>,
    pub(in crate::controllers) sessions: Arc<AnySession>,
    settings: Settings,
}

impl std::ops::Deref for Faked {
    type Target = FakeAws;

    fn deref(&self) -> &FakeAws {
        &self.aws
    }
}

/// With a service account that consents and its binding `orders`, and nothing else.
impl World<Faked> {
    pub(in crate::controllers) async fn fake() -> Self {
        Self::fake_with(|_| {}, None).await
    }

    /// With other settings, and a Guardrail where one is given.
    pub(in crate::controllers) async fn fake_with(set: impl FnOnce(&mut Settings), rails: Option<&Value>) -> Self {
        let life = Arc::<Life>::default();
        let objects = Objects::of(life.clone());
        let (aws, sessions) = (FakeAws::new(life), Arc::<AnySession>::default());
        let mut settings = settings();
        set(&mut settings);
        put_account(&objects, Some(ROLE));
        if let Some(rails) = rails {
            put_guardrail(&objects, rails);
        }
        let faked = Faked { aws, sessions, settings };
        let Begun { ctx, watches, stop } = begin(&objects, faked.ports(), faked.settings.clone()).await;
        let world = Self { aws: faked, objects, ctx, watches, stop };
        world.add_binding(&json!({}));
        world
    }

    /// Installs the admission policies of the chart, long before all else, for a process that knows of them.
    pub(in crate::controllers) async fn install_policies(&mut self) {
        let attribution = attribution::installed_by_the_chart(&INSTALLATION);
        for (plural, name, spec) in attribution.into_iter().chain(approval::installed_by_the_chart(&INSTALLATION)) {
            self.put_policy(plural, &name, &spec, 1);
        }
        self.restart().await;
    }

    /// A policy or its binding, as it is after so many changes of its spec.
    pub(in crate::controllers) fn put_policy(&self, plural: &str, name: &str, spec: &Value, generation: i64) {
        let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "Policy", "spec": spec,
            "metadata": {"name": name, "uid": format!("{plural}-{name}"), "generation": generation,
                "creationTimestamp": "2025-12-01T00:00:00Z"}});
        self.objects.put(&format!("{POLICIES}{plural}/{name}"), policy);
    }

    /// Takes away what is at a path of the API server.
    pub(in crate::controllers) fn take_away(&self, path: &str) -> Option<Value> {
        self.objects.by_path.lock().remove(path)
    }

    /// Another process goes on, which remembers nothing.
    pub(in crate::controllers) async fn restart(&mut self) {
        // Nobody may be left to hear it.
        let _ = self.stop.send(true);
        self.aws.life.begin();
        let begun = begin(&self.objects, self.aws.ports(), self.aws.settings.clone()).await;
        (self.ctx, self.watches, self.stop) = (begun.ctx, begun.watches, begun.stop);
        for run in self.names::<crate::api::v1alpha1::WorkflowRun>() {
            self.watches.queue.note(&watcher::Event::Apply(self.run(&run)));
        }
    }

    /// Wakes an object until nothing changes any more, and passes the pauses that it keeps in its status.
    pub(in crate::controllers) async fn settle<K: Managed>(&mut self, name: &str) {
        let mut quiet = 0;
        for _ in 0..20 {
            let before = self.aws.life.tries();
            self.pass_pauses::<K>(name);
            if self.wake_object::<K>(name).await.is_none() {
                self.restart().await;
            }
            // AWS may still be at something that was asked of it.
            quiet = if self.aws.life.tries() == before { quiet + 1 } else { 0 };
            if quiet == 2 || self.is_gone::<K>(name) {
                return;
            }
        }
    }

    /// Wakes an object, where it is there. Comes back with nothing when the process has ended meanwhile.
    pub(in crate::controllers) async fn wake_object<K: Managed>(&self, name: &str) -> Option<Action> {
        let Some(object) = self.find_object::<K>(&K::plural(&()), name).filter(|_| !self.is_gone::<K>(name)) else {
            return Some(Action::await_change());
        };
        if K::KIND == "WorkflowRun" {
            self.watches.queue.note(&watcher::Event::Apply(self.run(name)));
        }
        tokio::select! {
            biased;
            () = self.aws.life.ended() => None,
            action = self.reconcile(object) => Some(action),
        }
    }

    fn pass_pauses<K: Managed>(&self, name: &str) {
        let path = format!("{GROUP}/{}/{name}", K::plural(&()));
        let Some(mut object) = self.objects.by_path.lock().get(&path).cloned() else { return };
        let mut passed = false;
        for place in ["/status/refusal/nextTryAt", "/status/retryAt"] {
            if let Some(at) = object.pointer_mut(place).filter(|at| !at.is_null()) {
                *at = json!("2026-01-01T00:00:00Z");
                passed = true;
            }
        }
        if passed {
            self.objects.put(&path, object);
        }
    }

    /// Changes a spec as its author would.
    pub(in crate::controllers) fn change_spec<K: Managed>(&self, name: &str, spec: &Value) {
        let generation = self.get::<K>(name).meta().generation.unwrap_or_default() + 1;
        self.change(&K::plural(&()), name, &json!({"metadata": {"generation": generation}, "spec": spec}));
    }

    pub(in crate::controllers) fn annotate<K: Managed>(&self, name: &str, key: &str, value: &str) {
        self.change(&K::plural(&()), name, &json!({"metadata": {"annotations": {key: value}}}));
    }

    /// Asks for the deletion of an object.
    pub(in crate::controllers) fn delete<K: Managed>(&self, name: &str) {
        self.delete_at::<K>(name, jiff::Timestamp::now());
    }

    /// The same, asked for some time ago.
    pub(in crate::controllers) fn delete_at<K: Managed>(&self, name: &str, at: jiff::Timestamp) {
        self.change(&K::plural(&()), name, &json!({"metadata": {"deletionTimestamp": at.to_string()}}));
    }

    /// Removes an object whatever holds it.
    pub(in crate::controllers) fn remove<K: Managed>(&self, name: &str) {
        self.objects.by_path.lock().remove(&format!("{GROUP}/{}/{name}", K::plural(&())));
    }

    /// Takes the service account's consent away, or the account.
    pub(in crate::controllers) fn withdraw_consent(&self) {
        put_account(&self.objects, None);
    }

    pub(in crate::controllers) fn remove_account(&self) {
        self.objects.by_path.lock().remove("/api/v1/namespaces/shop/serviceaccounts/orders");
    }

    /// Puts an object of another group there.
    pub(in crate::controllers) fn put(&self, path: &str, object: &Value) {
        self.objects.put(path, object.clone());
    }

    /// What a ConfigMap holds; nothing where there is none.
    pub(in crate::controllers) fn data_of(&self, config_map: &str) -> Value {
        let path = format!("/api/v1/namespaces/shop/configmaps/{config_map}");
        self.objects.by_path.lock().get(&path).map(|map| map["data"].clone()).unwrap_or_default()
    }

    /// The next requests of a method to a path that ends so are answered with a code.
    pub(in crate::controllers) fn refuse(&self, method: &'static str, path_ends: &str, code: u16, times: usize) {
        self.objects.refuse(method, path_ends, code, times);
    }

    /// After so many more writes the next one is refused.
    pub(in crate::controllers) fn refuse_write(&self, writes: usize, code: u16) {
        self.objects.refuse_write(writes, code);
    }

    /// Lets the tracker have what AWS describes of an execution.
    pub(in crate::controllers) fn show(&self, arn: &str) {
        if let Some(execution) = self.aws.execution(arn) {
            self.ctx.tracker.found(execution);
        }
    }

    /// Lets the tracker have the end of an Express execution that it found in a log.
    pub(in crate::controllers) fn show_logged_end(&self, arn: &str, kind: &str, details: &Value) {
        let timestamp = jiff::Timestamp::now();
        let message = json!({"type": kind, "details": details, "execution_arn": arn,
            "event_timestamp": timestamp.as_millisecond().to_string()});
        let end = express_log::end(&LogEvent { timestamp, message: message.to_string() }).unwrap();
        self.ctx.tracker.saw(arn, Evidence::Logged(Arc::new(end)));
    }

    /// A condition of an object.
    pub(in crate::controllers) fn condition<K: Managed>(&self, name: &str, kind: &str) -> Option<Condition> {
        let mut object = self.get::<K>(name);
        let status = object.status_field().as_mut()?;
        find(K::common(status).0, kind).cloned()
    }

    /// Status and reason of a condition in one word: `True/Synced`; empty where there is none.
    pub(in crate::controllers) fn says<K: Managed>(&self, name: &str, kind: &str) -> String {
        let condition = self.condition::<K>(name, kind);
        condition.map(|one| format!("{}/{}", one.status, one.reason)).unwrap_or_default()
    }

    /// The message of `Ready`.
    pub(in crate::controllers) fn message<K: Managed>(&self, name: &str) -> String {
        self.condition::<K>(name, "Ready").map(|ready| ready.message).unwrap_or_default()
    }

    /// Reasons of the events so far.
    pub(in crate::controllers) fn reasons(&self) -> Vec<String> {
        self.events().into_iter().map(|(_, reason, _)| reason).collect()
    }

    /// Bindings that were authorized a moment ago are looked at again.
    pub(in crate::controllers) async fn forget_authorized(&self) {
        self.ctx.authorized.invalidate(&("shop".to_owned(), "orders".to_owned())).await;
    }
}

impl Faked {
    /// Reading the certificates of the machine takes longer than all else, so those that ask no issuer share it.
    fn issuers(&self) -> Arc<Issuers> {
        static SHARED: OnceLock<Arc<Issuers>> = OnceLock::new();
        if self.settings.issuer_rules.allowed.is_empty() { SHARED.get_or_init(issuers).clone() } else { issuers() }
    }

    fn ports(&self) -> Ports {
        let aws = &self.aws;
        Ports {
            sessions: self.sessions.clone(),
            state_machines: aws.clone(),
            aliases: aws.clone(),
            activities: aws.clone(),
            executions: aws.clone(),
            tagging: aws.clone(),
            quota: aws.clone(),
            alarms: aws.clone(),
            logs: aws.clone(),
            queues: aws.clone(),
            iam: aws.clone(),
            relay: Arc::default(),
            issuers: self.issuers(),
        }
    }
}

/// An object merged with what a test wants of it.
pub(in crate::controllers) fn with(mut base: Value, more: &Value) -> Value {
    merge(&mut base, more);
    base
}
