//! The Guardrails of the cluster, kept by a watch, and what they say of a namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use moka::future::Cache;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Context;
use super::dereference::Authorization;
use super::intake::{Change, Intake};
use super::runner::api_failure;
use super::scope::next;
use crate::api::v1alpha1::{Guardrail, RunsAs, Workflow, WorkflowRun};
use crate::cause::Cause;
use crate::aws::Caller;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::{Class, Classify, Failure};
use crate::plan::guardrail::{self, Rule, Runs, Start, of_machine, of_moving_machine, of_version, selects, unknown};
use crate::plan::run::{machine_arn, machine_name};
use crate::plan::slots::{Asks, Seen, Slots};
use crate::reason::Reason;

/// How long the labels of a namespace are believed. They are read only where there are Guardrails.
const LABELS_LAST: Duration = Duration::from_secs(5);

/// How long it is remembered what a version runs as that was read from AWS. A version never changes, but a machine that somebody
/// deletes and makes again may have another of the same number.
const READ_LASTS: Duration = Duration::from_secs(300);

/// What is known of the Guardrails.
pub(super) struct Guardrails {
    store: OnceLock<Store<Guardrail>>,
    labels: Cache<String, Arc<BTreeMap<String, String>>>,
    /// What versions run as that no status tells of, by UID of the Workflow and ARN.
    read: Cache<(String, String), Arc<RunsAs>>,
    turns: Mutex<HashMap<String, Turns>>,
    slots: Mutex<HashMap<String, Slots>>,
    /// The runs of each namespace that are under way or wait, as they are watched.
    seen: Mutex<HashMap<String, Seen>>,
}

impl Guardrails {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        let labels = Cache::builder().time_to_live(LABELS_LAST).max_capacity(10_000).build();
        Self {
            store: OnceLock::new(),
            labels,
            read: Cache::builder().time_to_live(READ_LASTS).max_capacity(10_000).build(),
            turns: Mutex::default(),
            slots: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// A state machine was made: versions of an older one of its name are not those that were read.
    pub(super) fn forget_read(&self) {
        self.read.invalidate_all();
    }

    /// A run as its watch shows it.
    pub(super) fn see(&self, run: &WorkflowRun) {
        let (namespace, uid, _) = names_of(run);
        let status = run.status.as_ref();
        let over = status.and_then(|status| status.phase).unwrap_or_default().is_finished();
        let started = status.is_some_and(|status| !status.awaits_start());
        let leaves = run.meta().deletion_timestamp.is_some() || run.spec.cancel.is_some();
        let mut all = self.seen.lock();
        let seen = all.entry(namespace.clone()).or_default();
        seen.active.remove(&uid);
        seen.waiting.remove(&uid);
        if started && !over {
            seen.active.insert(uid);
        } else if !leaves && (!over || run.wants_redrive()) {
            seen.waiting.insert(uid);
        }
        if seen.is_empty() {
            all.remove(&namespace);
        }
    }

    /// A run that has gone.
    pub(super) fn forget(&self, run: &WorkflowRun) {
        let (namespace, uid, _) = names_of(run);
        let mut all = self.seen.lock();
        let Some(seen) = all.get_mut(&namespace) else { return };
        seen.active.remove(&uid);
        seen.waiting.remove(&uid);
        if seen.is_empty() {
            all.remove(&namespace);
        }
    }

    /// Gives a run a slot among those under way in its namespace, or its position among those that wait.
    pub(super) fn take_slot(&self, run: &WorkflowRun, max: u32) -> Result<(), usize> {
        let (namespace, uid, name) = names_of(run);
        let (all, none) = (self.seen.lock(), Seen::default());
        let seen = all.get(&namespace).unwrap_or(&none);
        let created = run.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
        let mut slots = self.slots.lock();
        let asks = Asks { uid: &uid, name: &name, created };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        slots.entry(namespace).or_default().take(asks, max, seen, Timestamp::now())
    }

    /// A run could not start: its slot is free again.
    pub(super) fn give_back(&self, run: &WorkflowRun) {
        let (namespace, uid, _) = names_of(run);
        let mut slots = self.slots.lock();
        if let Some(slots) = slots.get_mut(&namespace) {
            slots.give_back(&uid);
        }
    }

    /// A run is over or gone. Gives the name of a run of the namespace that waits for a slot.
    pub(super) fn end(&self, run: &WorkflowRun) -> Option<String> {
        let (namespace, uid, _) = names_of(run);
        if let Some(turns) = self.turns.lock().get_mut(&namespace) {
            turns.give_back(&uid);
        }
        let mut slots = self.slots.lock();
        let now = Timestamp::now();
        let next = slots.get_mut(&namespace)?.end(&uid, now);
        // Namespaces go, and Guardrails that counted in them.
        slots.retain(|_, slots| !slots.is_forgotten(now));
        next
    }

    /// Lets a run of the namespace start, or says how long it is until its turn. Each waiting run has a turn of its own, so
    /// that a thousand of them are looked at once more each, and not all of them at every turn.
    pub(super) fn take_turn(&self, namespace: &str, uid: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turns| now.saturating_duration_since(turns.next) < Duration::from_secs(3600));
        turns.entry(namespace.to_owned()).or_insert_with(|| Turns::new(now)).take(uid, per_second, now)
    }
}

fn names_of(run: &WorkflowRun) -> (String, String, String) {
    (run.namespace().unwrap_or_default(), run.uid().unwrap_or_default(), run.name_any())
}

/// How long a run waits at most before it asks whether there is an earlier turn.
const ASKS_FOR_A_TURN_AFTER: Duration = Duration::from_secs(15);

/// The turns of a namespace's runs.
struct Turns {
    /// The first that nobody has.
    next: Instant,
    /// Those that were given and not taken yet, by UID.
    given: HashMap<String, Instant>,
    /// Those that were given back.
    free: BTreeSet<Instant>,
}

impl Turns {
    fn new(now: Instant) -> Self {
        Self { next: now, given: HashMap::new(), free: BTreeSet::new() }
    }

    fn take(&mut self, uid: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        let given = self.given.get(uid).copied();
        // One that was given back comes earlier, unless it has passed: what was not used is not saved up.
        self.free = self.free.split_off(&now);
        let earlier = self.free.first().copied().filter(|free| given.is_none_or(|given| *free < given));
        let turn = match (earlier, given) {
            (Some(earlier), given) => {
                self.free.remove(&earlier);
                self.free.extend(given);
                earlier
            }
            (None, Some(given)) => given,
            (None, None) => {
                let turn = self.next.max(now);
                self.next = turn + Duration::from_secs(1) / per_second.max(1);
                turn
            }
        };
        if turn <= now {
            self.given.remove(uid);
            return Ok(());
        }
        // A run that was deleted or cancelled does not come for its turn.
        self.given.retain(|_, turn| now.saturating_duration_since(*turn) < Duration::from_secs(60));
        self.given.insert(uid.to_owned(), turn);
        // Another may be given back meanwhile.
        Err((turn - now).min(ASKS_FOR_A_TURN_AFTER))
    }

    /// A run that waits goes: its turn is another's.
    fn give_back(&mut self, uid: &str) {
        self.free.extend(self.given.remove(uid));
    }
}

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

/// What a version or a state machine runs as: as the Workflow's status remembers it, else as AWS describes it.
pub(super) async fn runs_as(
    ctx: &Context,
    caller: &Caller,
    workflow: Option<&Workflow>,
    runs: &Runs,
) -> Result<RunsAs, Failure> {
    let uid = workflow.and_then(ResourceExt::uid).unwrap_or_default();
    let records = records(workflow, &runs.arn);
    let known = runs.version.map_or_else(|| of_machine(records), |number| of_version(records, number));
    if let Some(whole) = known.filter(|known| !known.omitted) {
        return Ok(whole.clone());
    }
    // AWS does not tell it.
    let from_config_map = known.is_some_and(|known| known.from_config_map);
    let key = (uid, runs.arn.clone());
    if let Some(read) = ctx.guardrails.read.get(&key).await {
        return Ok(RunsAs { from_config_map, ..RunsAs::clone(&read) });
    }
    let found = match ctx.state_machines.describe_state_machine(caller, &runs.arn).await {
        Ok(found) => found.ok_or_else(|| unknown(&runs.arn, "AWS shows no such version or state machine"))?,
        Err(error) if error.class() == Class::Denied => return Err(unknown(&runs.arn, &error.public())),
        Err(error) => return Err(error.into()),
    };
    let definition = serde_json::from_str(&found.definition);
    let definition = definition.map_err(|_| unknown(&runs.arn, "AWS does not show its definition"))?;
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
    for one in runs()? {
        let runs_as = runs_as(ctx, &caller, Some(workflow), &one).await.map_err(|failure| one.refused(failure))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_namespace_start_in_turn_and_others_do_not_wait_for_them() {
        let (guardrails, start) = (Guardrails::new(), Instant::now());
        let take = |namespace: &str, uid: &str, at: u64| {
            guardrails.take_turn(namespace, uid, 5, start + Duration::from_millis(at))
        };
        assert_eq!(take("shop", "a", 0), Ok(()));
        assert_eq!(take("shop", "b", 0), Err(Duration::from_millis(200)));
        assert_eq!(take("shop", "c", 0), Err(Duration::from_millis(400)));
        assert_eq!(take("other", "d", 0), Ok(()));
        assert_eq!(take("shop", "b", 100), Err(Duration::from_millis(100)), "asking again costs nothing");
        assert_eq!(take("shop", "c", 400), Ok(()));
        assert_eq!(take("shop", "b", 400), Ok(()));
        assert_eq!(take("shop", "e", 60_000), Ok(()), "what was not used is not saved up");
        assert_eq!(take("shop", "f", 60_000), Err(Duration::from_millis(200)));
    }

    #[test]
    fn nobody_waits_for_the_turn_of_a_run_that_has_gone() {
        let (guardrails, start) = (Guardrails::new(), Instant::now());
        let take = |uid: &str, at: u64| guardrails.take_turn("shop", uid, 1, start + Duration::from_secs(at));
        let run = |uid: &str| -> WorkflowRun {
            let spec = serde_json::json!({"workflowRef": {"name": "w"}});
            let object = serde_json::json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": uid, "namespace": "shop", "uid": uid}, "spec": spec});
            serde_json::from_value(object).unwrap()
        };
        assert_eq!(take("first", 0), Ok(()));
        let rude: Vec<String> = (0..60).map(|number| format!("rude-{number}")).collect();
        assert!(rude.iter().all(|uid| take(uid, 0).is_err()));
        assert_eq!(take("early", 0), Err(ASKS_FOR_A_TURN_AFTER));
        assert!(rude.iter().all(|uid| guardrails.end(&run(uid)).is_none()));
        assert_eq!(take("late", 0), Err(Duration::from_secs(1)));
        assert_eq!(take("early", 1), Err(Duration::from_secs(1)), "it moves up");
        assert_eq!((take("late", 1), take("early", 2)), (Ok(()), Ok(())));
    }
}
