//! The watches and controllers of a namespace, or of all, at work.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Config as ControllerConfig, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::context::CONCURRENCY;
use super::index::Needed;
use super::intake::{Change, Listing};
use super::runner::{self, Managed};
use super::watches::{Watched, Watches};
use super::{Context, gone};
use crate::api::v1alpha1::WorkflowRun;
use crate::runs::{Past, forget_finished, without_settled};

/// A namespace, or all of them, and what its watches and controllers work with.
pub(super) struct Scope {
    pub(super) context: Arc<Context>,
    /// The namespace; `None` for all.
    pub(super) namespace: Option<String>,
    pub(super) watches: Arc<Watches>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Scope {
    pub(super) fn new(context: &Arc<Context>, namespace: Option<&str>, stop: &watch::Receiver<bool>) -> Self {
        let watches = context.watches.add(namespace);
        Self { context: context.clone(), namespace: namespace.map(str::to_owned), watches, stop: stop.clone() }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let client = self.context.client.clone();
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// What happens to the objects of this shard, without what nobody here reads. Those of others are dropped here, before anything
    /// is stored of them.
    pub(super) fn events<K>(&self) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + use<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let shard = self.context.settings.shard;
        let events = watcher(self.api::<K>(), watcher::Config::default()).default_backoff().filter(move |event| {
            let own = match event {
                Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                    shard.has(object.meta().namespace.as_deref().unwrap_or_default())
                }
                Ok(Event::Init | Event::InitDone) | Err(_) => true,
            };
            ready(own)
        });
        events.modify(|object: &mut K| forget_bulk(object.meta_mut()))
    }

    /// The same of runs, which the queue sees first. One that has ended and needs nothing more is not held in memory: there may be a
    /// hundred thousand.
    pub(super) fn run_events(&self) -> impl Stream<Item = Result<Event<WorkflowRun>, watcher::Error>> + Send + use<> {
        let (mut past, context, watches) = (Some(Past::default()), self.context.clone(), self.watches.clone());
        let events = self.events::<WorkflowRun>().inspect_ok(move |event| {
            for (namespace, name) in watches.queue.note(event) {
                watches.runs.wake(&namespace, &name);
            }
            gone::learn(&mut past, event, &context);
        });
        events.modify(forget_finished).filter_map(|event| ready(event.map(without_settled).transpose()))
    }

    /// Drains the watch of a kind into its store until the stop. Each change is told, after its own controller was woken.
    pub(super) fn watch<K: Managed>(
        &self,
        of: fn(&Watches) -> &Watched<K>,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        tell: fn(&Watches, &Context, &Change<K>),
    ) -> BoxFuture<'static, ()> {
        let (context, watches, mut stop) = (self.context.clone(), self.watches.clone(), self.stop.clone());
        let work = async move {
            let kind = of(&watches);
            let Some(mut intake) = kind.intake() else { return };
            let mut events = events.boxed();
            while let Some(event) = next(&mut events, &mut stop, K::KIND).await {
                for change in intake.take_in(event) {
                    kind.take_in(&change, &context);
                    if !change.is_known() {
                        tell(&watches, &context, &change);
                    }
                }
            }
        };
        work.boxed()
    }

    /// Wakes whatever needs an object of a kind of Kubernetes' own that has changed or gone. Its metadata is enough, and nothing of
    /// it is kept; `seen` gets its annotations, or `None` where it has gone.
    pub(super) fn watch_metadata<K>(&self, needed: fn(String) -> Needed, seen: SeenMetadata) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
    {
        let (context, watches, mut stop) = (self.context.clone(), self.watches.clone(), self.stop.clone());
        let mut events = self.events::<PartialObjectMeta<K>>().boxed();
        let work = async move {
            let mut listing = Listing::default();
            while let Some(event) = next(&mut events, &mut stop, &K::kind(&())).await {
                for ((namespace, name), annotations) in
                    listing.take_in(event, || watches.needed(&needed(String::new())))
                {
                    seen(&context, &watches, (&namespace, &name), annotations.as_ref());
                    watches.changed(&namespace, &needed(name));
                }
            }
        };
        work.boxed()
    }

    /// The controller of a kind, woken by its watches and by `woken`.
    pub(super) fn drive<K: Managed>(
        &self,
        of: fn(&Watches) -> &Watched<K>,
        woken: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    ) -> BoxFuture<'static, ()> {
        let watched = of(&self.watches);
        let Some(line) = watched.line() else { return futures::future::ready(()).boxed() };
        let (context, store, mut stop) = (self.context.clone(), watched.store.clone(), self.stop.clone());
        let stopped = async move {
            // An error means that the sender is gone, which is a stop too.
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        let reconcile = move |object, context| runner::reconcile::<K>(object, context, store.clone());
        Controller::for_stream(futures::stream::pending(), watched.store.clone())
            .with_config(ControllerConfig::default().concurrency(CONCURRENCY))
            .reconcile_on(line)
            .reconcile_on(woken)
            .graceful_shutdown_on(stopped)
            .run(reconcile, runner::never_fails, context)
            .for_each(|result| async move {
                if let Err(error) = result {
                    tracing::debug!(%error, kind = K::KIND, "the controller skipped an object");
                }
            })
            .boxed()
    }
}

/// Sees an object that has changed, by namespace and name, with its annotations, or with `None` where it has gone.
type SeenMetadata = fn(&Context, &Watches, (&str, &str), Option<&BTreeMap<String, String>>);

/// The next event of a watch; `None` at the stop.
pub(super) async fn next<K>(
    events: &mut BoxStream<'_, Result<Event<K>, watcher::Error>>,
    stop: &mut watch::Receiver<bool>,
    kind: &str,
) -> Option<Event<K>> {
    loop {
        tokio::select! {
            // An error means that the sender is gone, which is a stop too.
            _ = stop.wait_for(|stopped| *stopped) => return None,
            event = events.next() => match event? {
                Ok(event) => return Some(event),
                Err(error) => tracing::warn!(%error, kind, "cannot watch; it is tried again, and what is known so far holds"),
            },
        }
    }
}

/// What the API server keeps for others' use and nobody here reads. The applied configuration is the whole spec again.
fn forget_bulk(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
