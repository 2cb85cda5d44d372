//! What every reconcile has around it: fence, span, timer, timeout, one status write, event, requeue.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::Context;
use super::index::Needed;
use crate::api::v1alpha1::{FIELD_MANAGER, FINALIZER, GIT_REVISION};
use crate::audit;
use crate::cause::Cause;
use crate::kube::api_failure;
use crate::kube::events::EventType;
use crate::metrics::Metrics;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::workflow::Owner;
use crate::reason::Reason;
use crate::status::{Conditions, READY, STALLED, find, waits_for_person};

/// When an object is looked at again that found no seat, about.
const WAITS_FOR_A_SEAT: Duration = Duration::from_millis(500);
/// Longest reconcile. Calls that take longer by nature run beside it.
const TIMEOUT: Duration = Duration::from_secs(45);

/// What a reconcile asks for when nothing failed.
pub(super) struct Done {
    /// When to look again.
    pub(super) requeue: Requeue,
    /// True when nothing is left in AWS: the finalizer goes.
    pub(super) release: bool,
    /// What failed although the rest went on.
    pub(super) partly_failed: Option<Failure>,
}

impl Done {
    /// Look again as told; the finalizer stays.
    pub(super) fn again(requeue: Requeue) -> Self {
        Self { requeue, release: false, partly_failed: None }
    }

    /// Nothing is left in AWS; look again as told.
    pub(super) fn release_and_look(requeue: Requeue) -> Self {
        Self { release: true, ..Self::again(requeue) }
    }

    /// Nothing is left to do.
    pub(super) fn released() -> Self {
        Self::release_and_look(Requeue::OnChange)
    }
}

/// When an object that turns ready is worth an event. Each is a write to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventWhenReady {
    /// Every time: there are few such objects.
    Always,
    /// After a failure was told.
    Recovered,
    /// Never: runs that succeed are too many.
    Never,
}

/// A kind that the runner can drive.
#[async_trait::async_trait]
pub(super) trait Managed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its status.
    type Status: Clone + Default + PartialEq + Serialize + Send + Sync;
    /// Its kind, for logs and metrics.
    const KIND: &'static str;
    /// When readiness is worth an event.
    const EVENT_WHEN_READY: EventWhenReady;

    /// The pipeline of this kind. It changes the status in `work`; the runner writes it.
    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure>;
    /// The status field.
    fn status_field(&mut self) -> &mut Option<Self::Status>;
    /// True where it is not ready because somebody wanted that.
    fn ended_as_asked(&self) -> bool {
        false
    }
    /// Conditions and observed generation of a status.
    fn common(status: &mut Self::Status) -> (&mut Vec<Condition>, &mut Option<i64>);
    /// What wakes it when it changes.
    fn needs(&self) -> Vec<Needed> {
        Vec::new()
    }
    /// Does what must not wait for a reconcile: one of the same object may be under way and hold it up.
    fn seen(_object: &Self, _ctx: &Context) {}
    /// Lets go of what is kept elsewhere of an object that has gone, for whatever reason.
    fn gone(_object: &Self, _ctx: &Context) {}
    /// Counts what a written change of the status means; called once for each change.
    fn measure(_object: &Self, _before: Option<&Self::Status>, _after: &Self::Status, _metrics: &Metrics) {}
}

/// An object under work and the status that the API server has of it.
pub(super) struct Work<K: Managed> {
    /// The object, with the status as it is to become.
    pub(super) object: K,
    /// For whose sake the audit log says that something was done.
    pub(super) cause: Arc<Cause>,
    persisted: Option<K::Status>,
}

impl<K: Managed> Work<K> {
    pub(super) fn new(mut object: K) -> Self {
        let persisted = object.status_field().clone();
        let cause = Arc::new(Cause {
            kind: K::KIND,
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            git_revision: object.annotations().get(GIT_REVISION).cloned(),
        });
        Self { object, cause, persisted }
    }

    /// Namespace of the object; namespaced kinds always have one.
    pub(super) fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }

    /// The status, to be changed.
    pub(super) fn status(&mut self) -> &mut K::Status {
        self.object.status_field().get_or_insert_with(K::Status::default)
    }

    /// Changes the conditions and says which generation they speak of.
    pub(super) fn conditions(&mut self, change: impl FnOnce(&mut Conditions)) {
        let generation = self.object.meta().generation;
        let (list, observed) = K::common(self.status());
        let mut conditions = Conditions::new(list, generation, Timestamp::now());
        change(&mut conditions);
        *list = conditions.finish();
        *observed = generation;
    }

    fn api(&self, ctx: &Context) -> Api<K> {
        Api::namespaced(ctx.client.clone(), &self.namespace())
    }

    /// Writes the status where it differs from what the API server has, on condition that nobody wrote in between.
    pub(super) async fn write(&mut self, ctx: &Context) -> Result<(), Failure> {
        if *self.object.status_field() == self.persisted {
            return Ok(());
        }
        fenced(ctx)?;
        let api = self.api(ctx);
        let name = self.object.name_any();
        let version = self.object.resource_version();
        let patch = status_patch(version.as_deref(), self.object.status_field().as_ref())?;
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let written = match api.patch_status(&name, &parameters, &patch).await {
            // Charts until 0.1 let statuses be updated and not patched; after a rollback this one's last replica meets that.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                api.replace_status(&name, &PostParams::default(), &self.object).await
            }
            written => written,
        };
        let mut written: K = written.map_err(|error| api_failure(&error))?;
        self.object.meta_mut().resource_version.clone_from(&written.meta().resource_version);
        if let Some(after) = written.status_field() {
            K::measure(&self.object, self.persisted.as_ref(), after, &ctx.metrics);
        }
        // As the API server has it: an empty field may have been dropped on the way.
        self.persisted.clone_from(written.status_field());
        self.object.status_field().clone_from(written.status_field());
        Ok(())
    }

    /// Puts the finalizer on, before anything exists in AWS.
    pub(super) async fn add_finalizer(&mut self, ctx: &Context) -> Result<(), Failure> {
        if self.object.finalizers().iter().any(|name| name == FINALIZER) {
            return Ok(());
        }
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        self.patch_finalizers(ctx, finalizers).await
    }

    async fn remove_finalizer(&mut self, ctx: &Context) -> Result<(), Failure> {
        if !self.object.finalizers().iter().any(|name| name == FINALIZER) {
            return Ok(());
        }
        let finalizers = self.object.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
        match self.patch_finalizers(ctx, finalizers).await {
            Err(failure) if failure.reason == Reason::ObjectGone => Ok(()),
            other => other,
        }
    }

    async fn patch_finalizers(&mut self, ctx: &Context, finalizers: Vec<String>) -> Result<(), Failure> {
        fenced(ctx)?;
        let version = self.object.resource_version();
        let patch = serde_json::json!({"metadata": {"finalizers": finalizers, "resourceVersion": version}});
        let parameters = PatchParams::apply(FIELD_MANAGER);
        let patched = self.api(ctx).patch(&self.object.name_any(), &parameters, &Patch::Merge(&patch)).await;
        let patched = patched.map_err(|error| api_failure(&error))?;
        *self.object.meta_mut() = patched.meta().clone();
        Ok(())
    }
}

/// Puts a status in the place of the one that is there, on condition of the version. Nothing else of the object is sent: neither
/// a spec, which may hold an input of 256 KiB and is not written, nor metadata. Kubernetes 1.34 takes labels and annotations that
/// the whole object lacks, as it is kept in memory, from whoever had applied them.
fn status_patch<S: Serialize>(version: Option<&str>, status: Option<&S>) -> Result<Patch<()>, Failure> {
    let unwritable = |error| api_failure(&kube::Error::SerdeError(error));
    let operations = serde_json::json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/status", "value": serde_json::to_value(status).map_err(unwritable)?},
    ]);
    serde_json::from_value(operations).map(Patch::Json).map_err(unwritable)
}

/// Refuses to act when the lease is not held, or its last renewal is too old to be sure.
pub(super) fn fenced(ctx: &Context) -> Result<(), Failure> {
    if ctx.fence.holds() {
        return Ok(());
    }
    Err(Failure::new(Class::Conflict, Reason::NotLeading, "another replica may be leading"))
}

/// One reconcile of one object of a store.
pub(super) async fn reconcile<K: Managed>(
    object: Arc<K>,
    ctx: Arc<Context>,
    store: Store<K>,
) -> Result<Action, Infallible> {
    if !ctx.fence.holds() {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    let Some(_seat) = ctx.seat(K::KIND, &object.namespace().unwrap_or_default()) else {
        return Ok(Action::requeue(WAITS_FOR_A_SEAT.mul_f64(0.5 + rand::random::<f64>())));
    };
    let uid = object.uid().unwrap_or_default();
    let span =
        tracing::info_span!("reconcile", kind = K::KIND, namespace = object.namespace(), name = object.name_any());
    let _running = ctx.objects.reconciling(K::KIND, &uid);
    let result = measured(Work::new((*object).clone()), &ctx).instrument(span).await;
    let requeue = match result {
        Ok(requeue) => {
            ctx.forget_failures(&uid);
            requeue
        }
        // What caused a lasting failure is watched; the slow look is for what no watch shows.
        Err((failure, latest)) => {
            let retry = ctx.back_off(&uid, &failure).unwrap_or(ctx.settings.resync_interval);
            Requeue::After(if let Requeue::After(latest) = latest { retry.min(latest) } else { retry })
        }
    };
    // It may have gone meanwhile, and what was told of its end did not know what is remembered since.
    if !is_in(&store, &object) {
        ctx.forget::<K>(&uid);
    }
    Ok(match requeue {
        Requeue::OnChange => Action::await_change(),
        Requeue::After(delay) => Action::requeue(delay),
    })
}

/// Whether a store has this very object, and not another of its name.
pub(super) fn is_in<K: Managed>(store: &Store<K>, object: &K) -> bool {
    store.get(&ObjectRef::from_obj(object)).is_some_and(|found| found.meta().uid == object.meta().uid)
}

/// Within the span of the reconcile, so that its measurement can point to the trace.
/// A failure comes with when to look again at the latest, whatever the failure asks for.
async fn measured<K: Managed>(work: Work<K>, ctx: &Arc<Context>) -> Result<Requeue, (Failure, Requeue)> {
    let started = Instant::now();
    let result = tokio::time::timeout(TIMEOUT, pipeline(work, ctx)).await;
    let too_long =
        || (Failure::new(Class::Transient, Reason::Timeout, "the reconcile took too long"), Requeue::OnChange);
    let result = result.unwrap_or_else(|_| Err(too_long()));
    let class = result.as_ref().err().map_or("success", |(failure, _)| failure.class.label());
    ctx.metrics.reconcile(K::KIND, class, started.elapsed());
    result
}

async fn pipeline<K: Managed>(mut work: Work<K>, ctx: &Arc<Context>) -> Result<Requeue, (Failure, Requeue)> {
    let before = ready_of(&mut work);
    let (failure, requeue, release) = match K::reconcile(&mut work, ctx).await {
        Ok(Done { requeue, release, partly_failed }) => (partly_failed, requeue, release),
        Err(failure) => (Some(failure), Requeue::OnChange, false),
    };
    let failed = |failure| (failure, requeue);
    match failure.clone() {
        Some(conflict) if conflict.class == Class::Conflict => return Err(failed(conflict)),
        Some(failure) => add_failure(&mut work, before.as_ref(), &failure),
        None => {}
    }
    let deleted = work.object.meta().deletion_timestamp.is_some();
    // An object that is about to go needs no last status.
    if !(release && deleted) {
        write_and_announce(&mut work, before, failure.as_ref(), ctx).await.map_err(failed)?;
    }
    let uid = work.object.uid().unwrap_or_default();
    ctx.objects.stalled(K::KIND, &uid, waits_for_person(K::common(work.status()).0).filter(|_| !(release && deleted)));
    if release && let Err(refused) = work.remove_finalizer(ctx).await {
        tell_unwritten(&work, None, &refused, ctx).await;
        return Err(failed(refused));
    }
    failure.map_or(Ok(requeue), |failure| Err(failed(failure)))
}

/// Tells what a call came to that outlived its reconcile, as the end of a reconcile does.
pub(super) async fn tell<K: Managed>(
    work: &mut Work<K>,
    before: Option<(String, String)>,
    failure: Option<&Failure>,
    ctx: &Context,
) -> Result<(), Failure> {
    if let Some(failure) = failure {
        add_failure(work, before.as_ref(), failure);
    }
    write_and_announce(work, before, failure, ctx).await
}

fn add_failure<K: Managed>(work: &mut Work<K>, before: Option<&(String, String)>, failure: &Failure) {
    log_failure(failure, before);
    work.conditions(|conditions| {
        conditions.failed(failure);
    });
}

async fn write_and_announce<K: Managed>(
    work: &mut Work<K>,
    before: Option<(String, String)>,
    failure: Option<&Failure>,
    ctx: &Context,
) -> Result<(), Failure> {
    if let Err(refused) = work.write(ctx).await {
        tell_unwritten(work, failure, &refused, ctx).await;
        return Err(refused);
    }
    let failed = failure.is_some_and(Failure::is_news) || find(K::common(work.status()).0, STALLED).is_some();
    announce(work, before, failed, ctx).await;
    Ok(())
}

/// A status that the API server refuses can tell nobody, not even of that: an event does, with what the status would have said.
async fn tell_unwritten<K: Managed>(work: &Work<K>, failure: Option<&Failure>, refused: &Failure, ctx: &Context) {
    if refused.class != Class::Denied {
        return;
    }
    log_failure(refused, None);
    let untold = failure.filter(|failure| failure.is_news() && **failure != *refused);
    let (reason, note) = match untold {
        Some(untold) => (untold.reason, format!("{} {}", untold.message, refused.message)),
        None => (refused.reason, refused.message.clone()),
    };
    publish(&work.object, EventType::Warning, reason, &note, ctx).await;
}

/// A failure that begins or changes is worth a line; its repeats are for those who look closer.
fn log_failure(failure: &Failure, before: Option<&(String, String)>) {
    let Failure { class, reason, message } = failure;
    let class = class.label();
    if before.is_some_and(|(_, known)| known == reason) {
        tracing::debug!(%reason, class, message, "still not as it should be");
    } else {
        tracing::info!(%reason, class, message, "not as it should be");
    }
}

/// Status and reason of `Ready`.
pub(super) fn ready_of<K: Managed>(work: &mut Work<K>) -> Option<(String, String)> {
    let status = work.object.status_field().as_mut()?;
    let ready = find(K::common(status).0, READY)?;
    Some((ready.status.clone(), ready.reason.clone()))
}

/// One event when `Ready` turns to another status or reason; none for work that merely goes on.
async fn announce<K: Managed>(work: &mut Work<K>, before: Option<(String, String)>, failed: bool, ctx: &Context) {
    let after = ready_of(work);
    if after == before {
        return;
    }
    let Some(condition) = find(K::common(work.status()).0, READY).cloned() else { return };
    let recovered = before.is_some_and(|(status, _)| status == "False");
    let (event_type, worth_it) = match (condition.status.as_str(), K::EVENT_WHEN_READY) {
        ("True", EventWhenReady::Always) => (EventType::Normal, true),
        ("True", EventWhenReady::Recovered) => (EventType::Normal, recovered),
        ("True", EventWhenReady::Never) => (EventType::Normal, false),
        _ if work.object.ended_as_asked() => (EventType::Normal, failed),
        _ => (EventType::Warning, failed),
    };
    if let Some(reason) = Reason::named(&condition.reason).filter(|_| worth_it) {
        publish(&work.object, event_type, reason, &condition.message, ctx).await;
    }
}

/// Writes an event. Its loss is told in the log and stops nothing.
pub(super) async fn publish<K: Managed>(object: &K, event_type: EventType, reason: Reason, note: &str, ctx: &Context) {
    if let Err(error) = ctx.events.publish(object.object_ref(&()), event_type, reason, note).await {
        tracing::warn!(%error, %reason, "cannot write an event");
    }
}

/// Says that something may remain in AWS: as metric, audit record and event. In a namespace that is being deleted the
/// event is refused, which the log tells.
pub(super) async fn report_orphan<K: Managed>(work: &Work<K>, arn: &str, why: &Failure, ctx: &Context) {
    ctx.metrics.orphaned(K::KIND);
    audit::orphaned(&work.cause, &work.namespace(), arn, why.reason.as_str());
    let note = format!("{arn} may remain in AWS and has to be removed there: {}", why.message);
    publish(&work.object, EventType::Warning, Reason::Orphaned, &note, ctx).await;
}

/// When the deletion of an object was asked for.
pub(super) fn deleted_at<K: Managed>(object: &K) -> Timestamp {
    object.meta().deletion_timestamp.as_ref().map_or_else(Timestamp::now, |time| time.0)
}

/// Whose a resource of AWS is that belongs to the object.
pub(super) fn owner<K: Managed>(work: &Work<K>, ctx: &Context) -> Owner {
    Owner {
        cluster: ctx.settings.cluster_id.clone(),
        namespace: work.namespace(),
        name: work.object.name_any(),
        uid: work.object.uid().unwrap_or_default(),
    }
}

/// The runner turns every failure into a status, so the controller never sees one.
#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is the controller's
pub(super) fn never_fails<K>(_: Arc<K>, error: &Infallible, _: Arc<Context>) -> Action {
    match *error {}
}
