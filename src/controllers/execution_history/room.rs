//! A place among the histories that are kept, and room for their pages.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::memory::Begun;
use crate::api::v1alpha1::{ExecutionHistory, HistoryPhase};
use crate::controllers::Context;
use crate::controllers::runner::{Work, fenced};
use crate::kube::api_failure;
use crate::outcome::Failure;
use crate::plan::execution_history::room::{BYTES, Kept, Room, to_begin, to_write};
use crate::plan::execution_history::waiting::{self, Waiting, WaitsFor, waits_for};

/// What is told of one that waits.
pub(super) const FULL: &str = "This namespace has ten histories that are read or were a moment ago. It is read once one of them was finished for a minute, which is deleted then; delete one that nobody needs to have it read at once.";
/// How often one that waits is looked at, at least.
const WAITS: Duration = Duration::from_secs(15);
/// Longer where many wait: each looks at all.
const WAITS_FOR_EACH: Duration = Duration::from_millis(20);

fn phase(history: &ExecutionHistory) -> HistoryPhase {
    history.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

/// A history that has begun, as the watch shows it.
fn kept(history: &ExecutionHistory) -> Option<Kept> {
    if phase(history) == HistoryPhase::Pending || is_unread(history) || history.meta().deletion_timestamp.is_some() {
        return None;
    }
    let status = history.status.as_ref()?;
    Some(Kept {
        uid: history.uid()?,
        namespace: history.namespace()?,
        name: history.name_any(),
        finished: status.finished_at.as_ref().map(|time| time.0),
        bytes: status.bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
    })
}

/// True of one that failed before anything was read: it has no page, so it takes no place.
fn is_unread(history: &ExecutionHistory) -> bool {
    let has_read = history.status.as_ref().is_some_and(|status| status.execution_arn.is_some());
    phase(history) == HistoryPhase::Failed && !has_read
}

/// The others that have begun: those that this process knows best, and those that it knows from the watch alone.
fn others(begun: &Begun, shown: impl Iterator<Item = Kept>, own: &str) -> Vec<Kept> {
    let stays = |one: &Kept| one.uid != own && !begun.going.contains(&one.uid);
    let shown = shown.filter(|one| !begun.kept.contains_key(&one.uid));
    begun.kept.values().cloned().chain(shown).filter(stays).collect()
}

/// The histories of a namespace, as the watch shows them.
fn shown(ctx: &Context, namespace: &str) -> Vec<Arc<ExecutionHistory>> {
    let Some(watches) = ctx.watches.of(namespace) else { return Vec::new() };
    let place = |name: &String| ObjectRef::<ExecutionHistory>::new(name).within(namespace);
    let names = watches.histories.index().names(namespace);
    names.iter().filter_map(|name| watches.histories.store.get(&place(name))).collect()
}

fn waiting(history: &ExecutionHistory, waits_for: WaitsFor) -> Waiting {
    Waiting {
        uid: history.uid().unwrap_or_default(),
        run: history.spec.workflow_run_ref.name.clone(),
        created: history.creation_timestamp().map(|time| time.0),
        waits_for,
    }
}

/// The others that wait.
fn others_waiting(shown: &[Arc<ExecutionHistory>], begun: &Begun, own: &str) -> Vec<Waiting> {
    let waits = |one: &&Arc<ExecutionHistory>| {
        let uid = one.uid().unwrap_or_default();
        phase(one) == HistoryPhase::Pending
            && uid != own
            && !begun.kept.contains_key(&uid)
            && one.meta().deletion_timestamp.is_none()
    };
    shown.iter().filter(waits).map(|one| waiting(one, waits_for(one.status.as_ref()))).collect()
}

/// Whether it has to go, since too many of its namespace wait.
pub(super) fn is_turned_away(work: &Work<ExecutionHistory>, ctx: &Context) -> bool {
    let own = waiting(&work.object, waits_for(work.object.status.as_ref()));
    let shown = shown(ctx, &work.namespace());
    if shown.len() < waiting::WAITING || phase(&work.object) != HistoryPhase::Pending {
        return false;
    }
    ctx.histories.with_begun(|begun| {
        !begun.kept.contains_key(&own.uid) && waiting::is_turned_away(&own, &others_waiting(&shown, begun, &own.uid))
    })
}

/// How many others of its namespace failed before anything was read.
pub(super) fn unread_beside(work: &Work<ExecutionHistory>, ctx: &Context) -> usize {
    let own = work.object.uid();
    shown(ctx, &work.namespace()).iter().filter(|one| one.uid() != own && is_unread(one)).count()
}

fn room(work: &Work<ExecutionHistory>, ctx: &Context, begun: &Begun) -> (Room, Duration) {
    let (namespace, own) = (work.namespace(), waiting(&work.object, WaitsFor::Place));
    if begun.kept.contains_key(&own.uid) || phase(&work.object) != HistoryPhase::Pending {
        return (Room::Now, Duration::ZERO);
    }
    let shown = shown(ctx, &namespace);
    let before = waiting::before(&own, &others_waiting(&shown, begun, &own.uid));
    let mut kept = others(begun, shown.iter().filter_map(|one| kept(one)), &own.uid);
    kept.retain(|one| one.namespace == namespace);
    let wait = WAITS_FOR_EACH.saturating_mul(u32::try_from(shown.len()).unwrap_or(u32::MAX)).max(WAITS);
    (to_begin(&kept, before, Timestamp::now()), wait)
}

/// How long it waits for a place, where it has to.
pub(super) fn has_to_wait(work: &Work<ExecutionHistory>, ctx: &Context) -> Option<Duration> {
    let (room, wait) = ctx.histories.with_begun(|begun| room(work, ctx, begun));
    (room == Room::Wait).then_some(wait)
}

/// Takes a place, and has those go whose place it is, or says how long it has to wait.
pub(super) async fn begin(work: &Work<ExecutionHistory>, ctx: &Context) -> Result<Option<Duration>, Failure> {
    let uid = work.object.uid().unwrap_or_default();
    let (room, wait) = ctx.histories.with_begun(|begun| {
        let (room, wait) = room(work, ctx, begun);
        if room != Room::Wait {
            begun.kept.entry(uid.clone()).or_insert_with(|| Kept {
                uid: uid.clone(),
                namespace: work.namespace(),
                name: work.object.name_any(),
                finished: None,
                bytes: 0,
            });
        }
        (room, wait)
    });
    match room {
        Room::Now => Ok(None),
        Room::Wait => Ok(Some(wait)),
        Room::Without(go) => {
            let gone = have_gone(ctx, &go).await;
            if gone.is_err() {
                ctx.histories.with_begun(|begun| begun.kept.remove(&uid));
            }
            gone.map(|()| None)
        }
    }
}

/// Makes room for a page of a history, of which `written` bytes are there. False where there is none.
pub(super) async fn make(ctx: &Context, history: &ExecutionHistory, written: u64, more: u64) -> Result<bool, Failure> {
    let own = history.uid().unwrap_or_default();
    let all: Vec<Kept> = ctx
        .watches
        .all()
        .iter()
        .flat_map(|watches| watches.histories.store.state())
        .filter_map(|one| kept(&one))
        .collect();
    let most = BYTES / u64::from(ctx.settings.shard.total().max(1));
    let room = ctx.histories.with_begun(|begun| {
        let others = others(begun, all.into_iter(), &own);
        let room = to_write(&others, written, more, most, Timestamp::now());
        if room != Room::Wait
            && let Some(kept) = begun.kept.get_mut(&own)
        {
            kept.bytes = written + more;
        }
        room
    });
    match room {
        Room::Now => Ok(true),
        Room::Wait => Ok(false),
        Room::Without(go) => have_gone(ctx, &go).await.map(|()| true),
    }
}

/// Deletes histories to make room. Their pages go with them, a moment later.
async fn have_gone(ctx: &Context, go: &[Kept]) -> Result<(), Failure> {
    for one in go {
        tracing::info!(namespace = one.namespace, name = one.name, "deletes a finished history to make room");
        // Before the watch can tell that it has gone, which forgets it.
        ctx.histories.with_begun(|begun| begun.going.insert(one.uid.clone()));
        let was_there = delete(ctx, &one.namespace, &one.name, &one.uid).await;
        if !matches!(was_there, Ok(true)) {
            ctx.histories.with_begun(|begun| begun.going.remove(&one.uid));
        }
        was_there?;
        ctx.histories.with_begun(|begun| begun.kept.remove(&one.uid));
    }
    Ok(())
}

/// Deletes a history, and no other of its name. False where it was gone already.
pub(super) async fn delete(ctx: &Context, namespace: &str, name: &str, uid: &str) -> Result<bool, Failure> {
    fenced(ctx)?;
    let only_this = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    let api = Api::<ExecutionHistory>::namespaced(ctx.client.clone(), namespace);
    match api.delete(name, &parameters).await {
        // It has gone, or another has its name: either way this one is no more.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(false),
        Err(error) => Err(api_failure(&error)),
        Ok(_) => Ok(true),
    }
}
