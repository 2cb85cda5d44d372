//! The controllers: a thin walk from what is observed to what the plans decide.

mod activity;
mod attribution;
mod authorization;
mod context;
mod counts;
mod dereference;
mod execution_history;
mod gone;
mod guardrails;
mod identity_provider;
mod index;
mod input_schemas;
mod intake;
mod measure;
mod named;
mod owners;
mod pace;
mod paths;
mod run_queue;
mod runner;
mod scope;
pub mod sharing;
mod touched;
mod trust_binding;
mod watches;
mod workflow;
mod workflow_run;
mod workflow_schedule;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use tokio::sync::watch;

use crate::api::v1alpha1::Approval;
pub use attribution::{Attribution, own_name};
pub use context::{Context, Ports, Settings};
use dereference::BindingSessions;
use index::Needed;
use runner::owner;
use scope::Scope;

/// Runs every controller until `stop` turns true and the reconciles under way have ended.
pub async fn run(context: Arc<Context>, stop: watch::Receiver<bool>) {
    let Settings { watch_namespaces: namespaces, shard, .. } = &context.settings;
    let scopes: Vec<Option<&str>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().filter(|name| shard.has(name)).map(|name| Some(name.as_str())).collect()
    };
    let all = scopes.into_iter().flat_map(|namespace| controllers_of(&Scope::new(&context, namespace, &stop)));
    let all: Vec<BoxFuture<'static, ()>> = all.collect();
    let guardrails = guardrails::keep(context.clone(), stop.clone()).boxed();
    // None of the namespaces may be of this shard: there is nothing to do then until the stop.
    let mut stopped = stop.clone();
    let worked = async move {
        join_all(all.into_iter().chain([guardrails])).await;
        // An error means that the sender is gone, which is a stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let sessions = Arc::new(BindingSessions(context.clone()));
    let (executions, logs) = (context.executions.clone(), context.logs.clone());
    let tracked = context.tracker.run(executions, logs, context.quota.clone(), context.queues.clone(), sessions);
    tokio::select! {
        () = worked => {}
        () = tracked => {}
    }
}

/// The watches and controllers of one namespace, or of all.
fn controllers_of(scope: &Scope) -> Vec<BoxFuture<'static, ()>> {
    let sessions = trust_binding::session_changes(&scope.context, scope.namespace.as_deref());
    let found = scope.context.tracker.wakes(scope.namespace.as_deref());
    vec![
        scope.watch(|all| &all.bindings, scope.events(), |all, _, change| all.tell(Needed::TrustBinding, change)),
        scope.watch(|all| &all.providers, scope.events(), |all, _, change| all.tell(Needed::IdentityProvider, change)),
        scope.watch(|all| &all.workflows, scope.events(), |all, _, change| all.workflow_changed(change)),
        scope.watch(|all| &all.runs, scope.run_events(), |all, _, change| all.run_changed(change)),
        scope.watch(|all| &all.activities, scope.events(), |all, _, change| all.activity_changed(change)),
        scope.watch(|all| &all.schedules, scope.events(), |_, _, _| {}),
        scope.watch(|all| &all.histories, scope.events(), |all, _, change| all.history_changed(change)),
        scope.watch_metadata::<ServiceAccount>(Needed::ServiceAccount, trust_binding::account_changed),
        scope.watch_metadata::<ConfigMap>(Needed::ConfigMap, |_, _, _, _| {}),
        scope.watch_metadata::<Approval>(Needed::Approval, |_, _, _, _| {}),
        scope.drive(|all| &all.bindings, sessions),
        scope.drive(|all| &all.providers, futures::stream::pending()),
        scope.drive(|all| &all.workflows, futures::stream::pending()),
        scope.drive(|all| &all.runs, found),
        scope.drive(|all| &all.activities, futures::stream::pending()),
        scope.drive(|all| &all.schedules, futures::stream::pending()),
        scope.drive(|all| &all.histories, futures::stream::pending()),
        counts::keep(scope.context.clone(), scope.watches.clone(), scope.stop.clone()).boxed(),
    ]
}

#[cfg(test)]
mod converges;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod together;
#[cfg(test)]
pub(crate) use stand_in::caller;
