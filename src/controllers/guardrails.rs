//! The Guardrails of the cluster, kept by a watch, and what they say of a namespace.

pub(super) mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::reflector;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use super::Context;
use super::authorization::Authorization;
use super::intake::{Change, Intake};
use super::scope::next;
use crate::api::v1alpha1::{Guardrail, RunsAs, Workflow};
use crate::aws::Caller;
use crate::cause::Cause;
use crate::iam::binding_role::session::Purpose;
use crate::kube::api_failure;
use crate::outcome::{Class, Classify, Failure};
use crate::plan::guardrail::{self, Rule, Runs, Start, of_machine, of_moving_machine, of_version, selects, unknown};
use crate::plan::run::{machine_arn, machine_name};
use crate::plan::workflow::is_from_config_map;
use crate::reason::Reason;

/// Keeps the Guardrails until `stop` turns true. Nothing is decided before the first listing has ended.
pub(super) async fn keep(ctx: Arc<Context>, mut stop: watch::Receiver<bool>) {
    let (reader, writer) = reflector::store();
    let mut intake = Intake::new(writer);
    let mut events =
        watcher(Api::<Guardrail>::all(ctx.client.clone()), watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = next(&mut events, &mut stop, "Guardrail").await {
        let listed = matches!(event, watcher::Event::InitDone);
        let changes = intake.take_in(event);
        if listed && ctx.guardrails.store.set(reader.clone()).is_ok() {
            // Everything waits for the first listing.
            wake(&ctx, &[]).await;
            continue;
        }
        let selectors: Vec<LabelSelector> =
            changes.iter().filter(|change| !change.is_known()).flat_map(selectors).collect();
        if !selectors.is_empty() {
            wake(&ctx, &selectors).await;
        }
    }
}

/// Which namespaces it selects, and which it selected before.
fn selectors(change: &Change<Guardrail>) -> Vec<LabelSelector> {
    let of = |guardrail: &Guardrail| guardrail.spec.namespace_selector.clone();
    match change {
        Change::Applied { object, before } => before.iter().chain([object]).map(|one| of(one)).collect(),
        Change::Gone(object) => vec![of(object)],
    }
}

/// Wakes what a Guardrail may help or hold: in the namespaces that any of these selects, or in all.
async fn wake(ctx: &Context, selectors: &[LabelSelector]) {
    for watches in ctx.watches.all() {
        for namespace in watches.namespaces() {
            let labels = ctx.guardrails.labels.try_get_with_by_ref(&namespace, labels(ctx, &namespace)).await;
            let concerned = selectors.is_empty()
                || labels.map_or(true, |labels| selectors.iter().any(|selector| selects(selector, &labels)));
            if concerned {
                watches.guarded(&namespace);
            }
        }
    }
}

/// The Guardrails that select a namespace, by name.
pub(super) async fn rules(ctx: &Context, namespace: &str) -> Result<Vec<Rule>, Failure> {
    let Some(store) = ctx.guardrails.store.get() else {
        return Err(Failure::new(Class::Conflict, Reason::GuardrailsUnknown, "the Guardrails have not been read yet"));
    };
    let all = store.state();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let labels = ctx.guardrails.labels.try_get_with_by_ref(namespace, labels(ctx, namespace)).await;
    let labels = labels.map_err(|failure| (*failure).clone())?;
    let selected = all.iter().filter(|guardrail| selects(&guardrail.spec.namespace_selector, &labels));
    let mut rules: Vec<Rule> =
        selected.map(|guardrail| Rule { name: guardrail.name_any(), spec: guardrail.spec.clone() }).collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rules)
}

async fn labels(ctx: &Context, namespace: &str) -> Result<Arc<BTreeMap<String, String>>, Failure> {
    let api = Api::<PartialObjectMeta<Namespace>>::all(ctx.client.clone());
    let found = api.get(namespace).await.map_err(|error| api_failure(&error))?;
    Ok(Arc::new(found.meta().labels.clone().unwrap_or_default()))
}

/// What a Workflow's status remembers of the state machine with this ARN, or of its version.
fn records<'a>(workflow: Option<&'a Workflow>, arn: &str) -> &'a [RunsAs] {
    let status = workflow.and_then(|workflow| workflow.status.as_ref());
    let status = status.filter(|status| status.state_machine_arn.as_deref() == Some(machine_arn(arn).as_str()));
    status.map(|status| status.runs_as.as_slice()).unwrap_or_default()
}

/// What a version or a state machine runs as: as the Workflow's status remembers it, else as AWS describes it. A status from
/// before an operator that looks at steps does not have them: they are read where they matter.
pub(super) async fn runs_as(
    ctx: &Context,
    caller: &Caller,
    workflow: Option<&Workflow>,
    runs: &Runs,
    with_steps: bool,
) -> Result<RunsAs, Failure> {
    let uid = workflow.and_then(ResourceExt::uid).unwrap_or_default();
    let records = records(workflow, &runs.arn);
    let known = runs.version.map_or_else(|| of_machine(records), |number| of_version(records, number));
    if let Some(whole) = known.filter(|known| !known.omitted && (known.steps.is_some() || !with_steps)) {
        return Ok(whole.clone());
    }
    // AWS tells it only in what the version was described with, if it was published by one who did so.
    let from_config_map = known.is_some_and(|known| known.from_config_map);
    let key = (uid, runs.arn.clone());
    if let Some(read) = ctx.guardrails.read.get(&key).await {
        return Ok(RunsAs { from_config_map: from_config_map || read.from_config_map, ..RunsAs::clone(&read) });
    }
    let found = match ctx.state_machines.describe_state_machine(caller, &runs.arn).await {
        Ok(found) => found.ok_or_else(|| unknown(&runs.arn, "AWS shows no such version or state machine"))?,
        Err(error) if error.class() == Class::Denied => return Err(unknown(&runs.arn, &error.public())),
        Err(error) => return Err(error.into()),
    };
    let definition = serde_json::from_str(&found.definition);
    let definition = definition.map_err(|_| unknown(&runs.arn, "AWS does not show its definition"))?;
    let from_config_map = from_config_map || found.description.as_deref().is_some_and(is_from_config_map);
    let read = guardrail::runs_as(&found.role_arn, &definition, from_config_map);
    if runs.version.is_some() {
        ctx.guardrails.read.insert(key, Arc::new(read.clone())).await;
    }
    Ok(read)
}

/// Whether each of these may be started through a target, as the rules and the binding's list say.
pub(super) async fn may_start(
    ctx: &Context,
    cause: &Arc<Cause>,
    rules: &[Rule],
    workflow: &Workflow,
    found: &Authorization,
    target_arn: &str,
    runs: impl FnOnce() -> Result<Vec<Runs>, Failure>,
) -> Result<(), Failure> {
    let (namespace, binding) = (workflow.namespace().unwrap_or_default(), &found.binding.spec);
    let start = Start { namespace: &namespace, rules, binding, target_arn, runs: &[] };
    guardrail::may_start(&start)?;
    if !guardrail::needs_runs_as(rules, binding) {
        return Ok(());
    }
    let caller = found.session(ctx, cause, &Purpose::Observe(machine_name(target_arn))).await?;
    let with_steps = guardrail::are_bounded(rules, binding);
    for one in runs()? {
        let runs_as =
            runs_as(ctx, &caller, Some(workflow), &one, with_steps).await.map_err(|failure| one.refused(failure))?;
        let runs = [(one.arn.clone(), runs_as)];
        guardrail::may_start(&Start { runs: &runs, ..start.clone() }).map_err(|failure| one.refused(failure))?;
        let moving = of_moving_machine(records(Some(workflow), &one.arn), Timestamp::now());
        for moving in moving.filter(|_| one.version.is_none()) {
            let runs = [(one.arn.clone(), moving.clone())];
            let checked = guardrail::may_start(&Start { runs: &runs, ..start.clone() });
            checked.map_err(|failure| guardrail::is_moving(&one.arn, &failure))?;
        }
    }
    Ok(())
}
