//! The controllers: a thin walk from what is observed to what the plans decide.

mod activity;
mod attribution;
mod context;
mod dereference;
mod gone;
mod guardrails;
mod identity_provider;
mod measure;
mod named;
mod run_queue;
mod runner;
pub mod sharing;
#[cfg(test)]
mod stand_in;
mod trust_binding;
mod workflow;
mod workflow_run;
mod workflow_schedule;

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ObjectMeta, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{Config as ControllerConfig, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::watch;

use crate::api::v1alpha1::{
    Activity, IdentityProvider, SCHEDULE_LABEL, TrustBinding, Workflow, WorkflowRun, WorkflowSchedule,
};
use crate::runs::{Past, forget_finished, without_settled};
pub use attribution::{Attribution, own_name};
use context::{BindingSessions, CONCURRENCY, owner};
pub use context::{Context, Ports, Settings};
use run_queue::RunQueue;
use runner::Managed;
use workflow_run::{is_refused_as, waits_for_start};

/// Runs every controller until `stop` turns true and the reconciles under way have ended.
pub async fn run(context: Arc<Context>, stop: watch::Receiver<bool>) {
    let Settings { watch_namespaces: namespaces, shard, .. } = &context.settings;
    let scopes: Vec<Option<&str>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().filter(|name| shard.has(name)).map(|name| Some(name.as_str())).collect()
    };
    let guardrails = guardrails::keep(context.clone(), stop.clone()).boxed();
    let all = scopes.into_iter().flat_map(|scope| controllers_of(&context, scope, &stop));
    // None of the namespaces may be of this shard: there is nothing to do then until the stop.
    let mut stopped = stop.clone();
    let worked = async move {
        join_all(all.chain([guardrails])).await;
        // An error means that the sender is gone, which is a stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let sessions = Arc::new(BindingSessions(context.clone()));
    tokio::select! {
        () = worked => {}
        () = context.tracker.run(context.executions.clone(), context.quota.clone(), context.queues.clone(), sessions) => {}
    }
}

/// The controllers of one namespace, or of all.
fn controllers_of(
    context: &Arc<Context>,
    scope: Option<&str>,
    stop: &watch::Receiver<bool>,
) -> Vec<BoxFuture<'static, ()>> {
    let client = &context.client;
    let (bindings, binding_store) = controller::<TrustBinding>(context, scope);
    let (workflows, workflow_store) = controller::<Workflow>(context, scope);
    let (queue, woken) = RunQueue::new();
    context.run_queues.add(scope, queue.clone());
    let (runs, run_store) = run_controller(context, scope, queue.clone());
    let runs = runs.reconcile_on(context.tracker.wakes(scope)).reconcile_on(woken);
    // A Guardrail may help or hold any of them.
    let bindings = bindings.reconcile_all_on(context.guardrails.changes());
    let workflows = workflows.reconcile_all_on(context.guardrails.changes());
    let runs = runs.reconcile_all_on(context.guardrails.changes());
    let (activities, activity_store) = controller::<Activity>(context, scope);
    let (providers, _) = controller::<IdentityProvider>(context, scope);
    let counts = run_queue::keep_counts(context.clone(), workflow_store.clone(), stop.clone()).boxed();

    let accounts = api::<PartialObjectMeta<ServiceAccount>>(client, scope);
    let (by_provider, seeing) = (binding_store.clone(), context.clone());
    let bindings = bindings
        .watches(accounts, watcher::Config::default(), move |account| {
            trust_binding::of_account(&seeing, &binding_store, &account)
        })
        .watches(api::<IdentityProvider>(client, scope), watcher::Config::default(), move |provider| {
            let name = provider.name_any();
            same_namespace(&by_provider, &provider, |binding| {
                dereference::named_provider(binding) == Some(name.as_str())
            })
        })
        .reconcile_on(trust_binding::session_changes(context, scope));
    let config_maps = api::<PartialObjectMeta<ConfigMap>>(client, scope);
    let (by_binding, by_config_map) = (workflow_store.clone(), workflow_store);
    let workflows = workflows
        .watches(api::<TrustBinding>(client, scope), watcher::Config::default(), move |binding| {
            let name = binding.name_any();
            same_namespace(&by_binding, &binding, |workflow| workflow.spec.trust_binding_ref.name == name)
        })
        .watches(config_maps.clone(), watcher::Config::default(), move |map| {
            let name = map.name_any();
            same_namespace(&by_config_map, &map, |workflow| workflow.spec.reads_config_map(&name))
        });
    let activities =
        activities.watches(api::<TrustBinding>(client, scope), watcher::Config::default(), move |binding| {
            let name = binding.name_any();
            same_namespace(&activity_store, &binding, |activity| activity.spec.trust_binding_ref.name == name)
        });
    context.guardrails.know_runs(scope, run_store.clone());
    let (by_workflow, by_refusing, by_input) = (run_store.clone(), run_store.clone(), run_store);
    let runs = runs
        .watches(api::<Workflow>(client, scope), watcher::Config::default(), move |workflow| {
            let name = workflow.name_any();
            queue.helped_by(&workflow).unwrap_or_else(|| {
                same_namespace(&by_workflow, &workflow, |run| {
                    waits_for_start(run) && run.spec.workflow_ref.name == name
                })
            })
        })
        .watches(api::<TrustBinding>(client, scope), watcher::Config::default(), move |binding| {
            let name = binding.name_any();
            same_namespace(&by_refusing, &binding, |run| is_refused_as(run, &name))
        })
        .watches(config_maps, watcher::Config::default(), move |map| {
            let name = map.name_any();
            same_namespace(&by_input, &map, |run| {
                waits_for_start(run)
                    && run.spec.input_from.as_ref().is_some_and(|from| from.config_map_key_ref.name == name)
            })
        });
    let (schedules, _) = controller::<WorkflowSchedule>(context, scope);
    let schedules = schedules.owns_stream(ended_runs(context, scope));
    vec![
        counts,
        drive(bindings, context.clone(), stop.clone()),
        drive(workflows, context.clone(), stop.clone()),
        drive(runs, context.clone(), stop.clone()),
        drive(activities, context.clone(), stop.clone()),
        drive(schedules, context.clone(), stop.clone()),
        drive(providers, context.clone(), stop.clone()),
    ]
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Runs of schedules that have ended or are gone: the changes that a schedule waits for.
fn ended_runs(
    context: &Context,
    scope: Option<&str>,
) -> impl Stream<Item = Result<WorkflowRun, watcher::Error>> + use<> {
    own_events::<WorkflowRun>(context, scope, watcher::Config::default().labels(SCHEDULE_LABEL)).filter_map(
        |event| async move {
            match event {
                Ok(watcher::Event::Delete(run)) => Some(Ok(run)),
                Ok(watcher::Event::Apply(run) | watcher::Event::InitApply(run)) => {
                    run.status.as_ref()?.phase?.is_finished().then_some(Ok(run))
                }
                Ok(watcher::Event::Init | watcher::Event::InitDone) => None,
                Err(error) => Some(Err(error)),
            }
        },
    )
}

/// A controller woken by what a user changes, not by our own writes of status.
fn controller<K: Managed>(context: &Arc<Context>, scope: Option<&str>) -> (Controller<K>, Store<K>) {
    let events =
        own_events(context, scope, watcher::Config::default()).modify(|object: &mut K| forget_bulk(object.meta_mut()));
    controller_of(context, events)
}

/// The same for runs, which the queue sees first. One that has ended and needs nothing more is not held in memory: there may
/// be a hundred thousand.
fn run_controller(
    context: &Arc<Context>,
    scope: Option<&str>,
    queue: Arc<RunQueue>,
) -> (Controller<WorkflowRun>, Store<WorkflowRun>) {
    let (mut past, teller) = (Some(Past::default()), context.clone());
    let events = own_events(context, scope, watcher::Config::default())
        .inspect_ok(move |event| {
            queue.note(event);
            gone::learn(&mut past, event, &teller);
        })
        .modify(|run: &mut WorkflowRun| {
            forget_bulk(&mut run.metadata);
            forget_finished(run);
        })
        .filter_map(|event| std::future::ready(event.map(without_settled).transpose()));
    controller_of(context, events)
}

fn controller_of<K: Managed>(
    context: &Arc<Context>,
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
) -> (Controller<K>, Store<K>) {
    let objects = context.objects.clone();
    let (reader, writer) = reflector::store();
    let stream = events
        .reflect(writer)
        .inspect_ok(gone::noted(context, reader.clone()))
        .applied_objects()
        .predicate_filter(predicates::generation.combine(predicates::annotations), PredicateConfig::default())
        .inspect_ok(move |object| objects.queued(K::KIND, object.meta().uid.as_deref().unwrap_or_default()));
    let controller = Controller::for_stream(stream, reader.clone());
    (controller.with_config(ControllerConfig::default().concurrency(CONCURRENCY)), reader)
}

/// What happens to the objects of this shard. Those of others are dropped here, before anything is stored of them.
fn own_events<K: Managed>(
    context: &Context,
    scope: Option<&str>,
    config: watcher::Config,
) -> impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + use<K> {
    let shard = context.settings.shard;
    watcher(api::<K>(&context.client, scope), config).default_backoff().filter(move |event| {
        let own = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object)) => {
                shard.has(object.meta().namespace.as_deref().unwrap_or_default())
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => true,
        };
        std::future::ready(own)
    })
}

/// What the API server keeps for others' use and nobody here reads. The applied configuration is the whole spec again.
fn forget_bulk(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Objects of the store in the namespace of `other` that the test picks.
fn same_namespace<K: Managed>(
    store: &Store<K>,
    other: &impl ResourceExt,
    picks: impl Fn(&K) -> bool,
) -> Vec<ObjectRef<K>> {
    let namespace = other.namespace();
    let state = store.state();
    state
        .iter()
        .filter(|object| object.namespace() == namespace && picks(object))
        .map(|object| ObjectRef::from_obj(object.as_ref()))
        .collect()
}

fn drive<K: Managed>(
    controller: Controller<K>,
    context: Arc<Context>,
    mut stop: watch::Receiver<bool>,
) -> BoxFuture<'static, ()> {
    let stopped = async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    let store = controller.store();
    let reconcile = move |object, context| runner::reconcile::<K>(object, context, store.clone());
    controller
        .graceful_shutdown_on(stopped)
        .run(reconcile, runner::never_fails, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, kind = K::KIND, "the controller skipped an object");
            }
        })
        .boxed()
}
