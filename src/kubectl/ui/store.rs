//! What the page knows: one watch a kind, with the user's own rights, and of each object what lists show. What the user may not
//! see is not here, and why not is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::kept::{self, Binding, History, Run, Schedule, Workflow};
use crate::api::v1alpha1 as api;
use crate::kubectl::{Cluster, KubectlError};

/// Objects asked for at once: a run may have an input of 256 KiB, which is dropped as it is read.
const A_PAGE: u32 = 200;
/// When it is tried again to read what could not be read.
const AGAIN: Duration = Duration::from_secs(15);
/// Changes that a page may lag behind before it is told to look at everything.
const LAG: usize = 256;

/// Namespace and name.
pub(super) type Key = (Arc<str>, Arc<str>);

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Workflows,
    Runs,
    Bindings,
    Schedules,
    Histories,
}

impl Kind {
    /// As pages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workflows => "workflows",
            Self::Runs => "runs",
            Self::Bindings => "bindings",
            Self::Schedules => "schedules",
            Self::Histories => "histories",
        }
    }

    fn resource(self) -> ApiResource {
        match self {
            Self::Workflows => ApiResource::erase::<api::Workflow>(&()),
            Self::Runs => ApiResource::erase::<api::WorkflowRun>(&()),
            Self::Bindings => ApiResource::erase::<api::TrustBinding>(&()),
            Self::Schedules => ApiResource::erase::<api::WorkflowSchedule>(&()),
            Self::Histories => ApiResource::erase::<api::ExecutionHistory>(&()),
        }
    }
}

/// Something changed: one object, or anything of a kind.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub kind: Kind,
    /// The object; of a history, its run.
    pub key: Option<Key>,
}

/// How far a kind can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// All objects were read once.
    pub complete: bool,
    /// The only namespace that is looked into.
    pub within: Option<String>,
    /// What keeps the kind, or changes of it, from being read.
    pub trouble: Option<String>,
}

/// The objects of a kind.
pub(super) struct Shelf<T> {
    held: RwLock<(BTreeMap<Key, Arc<T>>, Sight)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { held: RwLock::new((BTreeMap::new(), Sight::default())) }
    }
}

impl<T> Shelf<T> {
    /// All that match, by namespace and name.
    pub fn all(&self, keep: impl Fn(&Key, &T) -> bool) -> Vec<(Key, Arc<T>)> {
        let held = self.held.read();
        held.0.iter().filter(|(key, one)| keep(key, one)).map(|(key, one)| (key.clone(), Arc::clone(one))).collect()
    }

    /// One of them.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.held.read().0.get(&(Arc::from(namespace), Arc::from(name))).cloned()
    }

    /// How far the kind can be read.
    pub fn sight(&self) -> Sight {
        self.held.read().1.clone()
    }

    fn see(&self, change: impl FnOnce(&mut Sight)) {
        change(&mut self.held.write().1);
    }
}

/// All that is known.
pub(super) struct Store {
    pub workflows: Shelf<Workflow>,
    pub runs: Shelf<Run>,
    pub bindings: Shelf<Binding>,
    pub schedules: Shelf<Schedule>,
    pub histories: Shelf<History>,
    version: AtomicU64,
    changes: broadcast::Sender<Change>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            workflows: Shelf::default(),
            runs: Shelf::default(),
            bindings: Shelf::default(),
            schedules: Shelf::default(),
            histories: Shelf::default(),
            version: AtomicU64::new(0),
            changes: broadcast::channel(LAG).0,
        }
    }
}

impl Store {
    /// Watches every kind until what is returned is dropped.
    pub fn watch(self: &Arc<Self>, cluster: &Cluster, within: bool) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let scope = || Scope { cluster: cluster.clone(), within };
        tasks.spawn(keep(Arc::clone(self), scope(), Kind::Workflows, |store| &store.workflows, kept::workflow, own));
        tasks.spawn(keep(Arc::clone(self), scope(), Kind::Runs, |store| &store.runs, kept::run, own));
        tasks.spawn(keep(Arc::clone(self), scope(), Kind::Bindings, |store| &store.bindings, kept::binding, own));
        tasks.spawn(keep(Arc::clone(self), scope(), Kind::Schedules, |store| &store.schedules, kept::schedule, own));
        let of_run = |key: &Key, one: &History| (Arc::clone(&key.0), Arc::from(&*one.run));
        tasks.spawn(keep(Arc::clone(self), scope(), Kind::Histories, |store| &store.histories, kept::history, of_run));
        tasks
    }

    /// Counts changes: a page that shows this one shows all up to it.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Every kind and how far it can be read.
    pub fn sights(&self) -> [(Kind, Sight); 5] {
        [
            (Kind::Workflows, self.workflows.sight()),
            (Kind::Runs, self.runs.sight()),
            (Kind::Bindings, self.bindings.sight()),
            (Kind::Schedules, self.schedules.sight()),
            (Kind::Histories, self.histories.sight()),
        ]
    }

    fn tell(&self, kind: Kind, key: Option<Key>) {
        self.version.fetch_add(1, Ordering::AcqRel);
        // Nobody may be looking.
        let _ = self.changes.send(Change { kind, key });
    }
}

struct Scope {
    cluster: Cluster,
    /// Only in the cluster's namespace, because that was asked for.
    within: bool,
}

fn own<T>(key: &Key, _: &T) -> Key {
    key.clone()
}

/// Keeps a shelf as the API server has it. `about` says which object's page shows it.
async fn keep<K, T>(
    store: Arc<Store>,
    scope: Scope,
    kind: Kind,
    shelf: fn(&Store) -> &Shelf<T>,
    project: fn(K) -> T,
    about: fn(&Key, &T) -> Key,
) where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let resource = kind.resource();
    loop {
        match look::<K>(&scope, kind, &resource).await {
            Ok((api, within)) => {
                shelf(&store).see(|sight| sight.within = within);
                follow(&store, kind, shelf(&store), api, project, about).await;
            }
            Err(why) => {
                let mut held = shelf(&store).held.write();
                let is_new = held.1.trouble.as_ref() != Some(&why) || !held.0.is_empty();
                // What may not be seen any more is not here any more.
                *held = (BTreeMap::new(), Sight { trouble: Some(why), ..Sight::default() });
                drop(held);
                if is_new {
                    store.tell(kind, None);
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Where the user may list: everywhere, else in the namespace of the kubeconfig.
async fn look<K>(scope: &Scope, kind: Kind, resource: &ApiResource) -> Result<(Api<K>, Option<String>), String>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope> + Clone + Debug + DeserializeOwned,
{
    let Cluster { client, namespace, .. } = &scope.cluster;
    let one = ListParams::default().limit(1);
    if !scope.within {
        let everywhere: Api<K> = Api::all_with(client.clone(), resource);
        match everywhere.list_metadata(&one).await {
            Ok(_) => return Ok((everywhere, None)),
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(error) => return Err(KubectlError::of(&format!("list {}", kind.name()), error).to_string()),
        }
    }
    let within: Api<K> = Api::namespaced_with(client.clone(), namespace, resource);
    match within.list_metadata(&one).await {
        Ok(_) => Ok((within, Some(namespace.clone()))),
        Err(error) => {
            let asked = format!("list {} in namespace \"{namespace}\"", kind.name());
            Err(KubectlError::of(&asked, error).to_string())
        }
    }
}

/// Until the watch is refused.
async fn follow<K, T>(
    store: &Store,
    kind: Kind,
    shelf: &Shelf<T>,
    api: Api<K>,
    project: fn(K) -> T,
    about: fn(&Key, &T) -> Key,
) where
    K: Resource<DynamicType = ApiResource> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().page_size(A_PAGE);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        let taken = |object: K| {
            let key: Key = (object.namespace().unwrap_or_default().into(), object.name_any().into());
            (key, Arc::new(project(object)))
        };
        match event {
            Ok(watcher::Event::Init) => listed = BTreeMap::new(),
            Ok(watcher::Event::InitApply(object)) => {
                let (key, one) = taken(object);
                let mut held = shelf.held.write();
                // The first listing is shown as it comes.
                if !held.1.complete {
                    held.0.insert(key.clone(), Arc::clone(&one));
                }
                drop(held);
                listed.insert(key, one);
            }
            Ok(watcher::Event::InitDone) => {
                let mut held = shelf.held.write();
                held.0 = std::mem::take(&mut listed);
                (held.1.complete, held.1.trouble) = (true, None);
                drop(held);
                store.tell(kind, None);
            }
            Ok(watcher::Event::Apply(object)) => {
                let (key, one) = taken(object);
                let about = about(&key, &one);
                let mut held = shelf.held.write();
                held.0.insert(key, one);
                held.1.trouble = None;
                drop(held);
                store.tell(kind, Some(about));
            }
            Ok(watcher::Event::Delete(object)) => {
                let (key, one) = taken(object);
                shelf.held.write().0.remove(&key);
                store.tell(kind, Some(about(&key, &one)));
            }
            Err(error) => {
                let (why, refused) = trouble(kind, error);
                shelf.see(|sight| sight.trouble = Some(why));
                store.tell(kind, None);
                if refused {
                    return;
                }
            }
        }
    }
}

/// What a failed watch means, and whether the API server has refused it.
fn trouble(kind: Kind, error: watcher::Error) -> (String, bool) {
    let asked = format!("watch {}", kind.name());
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            let refused = matches!(&error, kube::Error::Api(status) if status.code == 403 || status.code == 404);
            (KubectlError::of(&asked, error).to_string(), refused)
        }
        other => (format!("cannot {asked}: {other}"), false),
    }
}
