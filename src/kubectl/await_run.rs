//! Waits for what becomes of a run, by the API's watch.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Error, watcher};
use tokio::time::{Instant, sleep, sleep_until};

use super::flags::kubectl;
use super::stop::{Why, asked_to_end, back_to_run, say_stopped, unread};
use super::token_file::token_error;
use super::words::{since, written};
use super::{Cluster, Exit, KubectlError, pause};
use crate::api::v1alpha1::{Phase, WorkflowRun};
use crate::cli::out::say;
use crate::kube::held::{LEASE, silent_since};

/// So long without any news, and it is asked whether the operator works.
const QUIET: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Goal {
    /// Its execution has begun
    Started,
    /// It has ended
    Finished,
}

/// What is seen of one object.
#[derive(Debug)]
pub(super) enum Seen<K> {
    Is(Box<K>),
    /// It was deleted.
    Gone,
}

/// Where a run stands for whoever waits; none while the wait goes on.
pub(super) fn reached(run: &WorkflowRun, goal: Goal) -> Option<Exit> {
    let phase = phase(run);
    let has_begun = run.status.as_ref().is_some_and(|status| status.started_at.is_some());
    match goal {
        _ if phase.is_finished() && !run.wants_redrive() => Some(match goal {
            Goal::Started if has_begun => Exit::Done,
            _ => Exit::of(phase),
        }),
        Goal::Started if phase == Phase::Running => Some(Exit::Done),
        _ => None,
    }
}

pub(super) fn phase(run: &WorkflowRun) -> Phase {
    run.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

/// Waits, and tells meanwhile what the run waits for. Gives how it stands, with the run as it was seen last. A signal, the end
/// of the time and a reader that has gone leave the run going.
pub(super) async fn until(
    cluster: &Cluster,
    name: &str,
    goal: Goal,
    longest: Option<Duration>,
) -> Result<(Exit, Option<WorkflowRun>), KubectlError> {
    let mut stop = pin!(asked_to_end());
    let mut unread = pin!(unread());
    let mut runs = pin!(seen(cluster.api::<WorkflowRun>(), name));
    let mut silence = pin!(tell_of_a_silent_operator(cluster));
    let deadline = longest.map(|longest| Instant::now() + longest);
    let (mut is_told, mut last, mut waits) = (false, None, pause::Told::default());
    let why = loop {
        tokio::select! {
            one = runs.next() => match one {
                Some(Ok(Seen::Is(run))) => {
                    if let Some(exit) = reached(&run, goal) {
                        return Ok((exit, Some(*run)));
                    }
                    waits.look(&run);
                    last = Some(*run);
                }
                Some(Ok(Seen::Gone)) => return Err(gone(cluster, name)),
                Some(Err(error)) => return Err(unseen(cluster, name, error)),
                None => return Err(KubectlError::Refused(format!("the watch of WorkflowRun \"{name}\" has ended; {}", back_to_run(cluster, name)))),
            },
            () = &mut silence, if !is_told => is_told = true,
            () = at(deadline) => break Why::After(longest.unwrap_or_default()),
            () = &mut stop => break Why::Signal,
            // What has ended already is told, whoever reads it.
            () = &mut unread, if last.is_some() => return Err(KubectlError::Unread),
        }
    };
    say_stopped(why, &waits.standing(name), &back_to_run(cluster, name));
    Ok((Exit::GoesOn, last))
}

/// Why it is not seen any more, which does not stop it.
pub(super) fn unseen(cluster: &Cluster, name: &str, error: kube::Error) -> KubectlError {
    let may_not_look =
        token_error(&error).is_some() || matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
    match KubectlError::of(&format!("watch WorkflowRun \"{name}\""), error) {
        KubectlError::Refused(why) if may_not_look => {
            KubectlError::Refused(format!("{why}\nThe run goes on. {}", back_to_run(cluster, name)))
        }
        error => error,
    }
}

pub(super) fn gone(cluster: &Cluster, name: &str) -> KubectlError {
    KubectlError::Refused(format!(
        "WorkflowRun \"{name}\" was deleted meanwhile, in namespace \"{}\"; its execution was stopped unless its deletionPolicy is Orphan",
        cluster.namespace
    ))
}

pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What becomes of one object. What the API server refuses ends it; where it is away it is asked again.
pub(super) fn seen<K>(api: Api<K>, name: &str) -> impl Stream<Item = Result<Seen<K>, kube::Error>> + use<K>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Clone,
{
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut was_there = false;
    let mut is_told = false;
    watcher(api, only).default_backoff().filter_map(move |event| {
        let news = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                (was_there, is_told) = (true, false);
                Some(Ok(Seen::Is(Box::new(object))))
            }
            Ok(watcher::Event::Init) => {
                was_there = false;
                None
            }
            Ok(watcher::Event::InitDone) => (!was_there).then_some(Ok(Seen::Gone)),
            Ok(watcher::Event::Delete(_)) => Some(Ok(Seen::Gone)),
            Err(error) => match refused(error) {
                Ok(error) => Some(Err(error)),
                Err(away) => {
                    if !std::mem::replace(&mut is_told, true) {
                        say(&format!("The API server does not answer, and is asked again: {away}"));
                    }
                    None
                }
            },
        };
        futures::future::ready(news)
    })
}

/// What asking again would not change; else why nothing came. A token file is looked at for as long as its last token serves, so
/// what is told of it then is its end.
fn refused(error: Error) -> Result<kube::Error, String> {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) if token_error(&error).is_some() => Ok(error),
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
            if matches!(status.code, 400..=404) =>
        {
            Ok(kube::Error::Api(status))
        }
        Error::WatchError(status) if matches!(status.code, 400..=404) => Ok(kube::Error::Api(status)),
        other => Err(other.to_string()),
    }
}

/// Ends once it has said that nobody works, which takes a while of quiet; where that cannot be known it never ends.
pub(super) async fn tell_of_a_silent_operator(cluster: &Cluster) {
    sleep(QUIET).await;
    let leases: Api<Lease> = Api::all(cluster.client.clone());
    let one = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    loop {
        // Whoever may not read leases is told nothing: it may be that all is well.
        let Ok(leases) = leases.list(&one).await else { return std::future::pending().await };
        let now = Timestamp::now();
        if let Some(silent) = silent_since(&leases.items, now) {
            say(&format!(
                "Nothing will happen until Stepbound's operator works again: it was last seen {} ago, at {}. Look at it: {}",
                since(silent, now),
                written(silent),
                kubectl("get pods -A -l app.kubernetes.io/name=stepbound")
            ));
            return;
        }
        sleep(QUIET).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &serde_json::Value) -> WorkflowRun {
        serde_json::from_value(serde_json::json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "order", "annotations": {"stepbound.dev/redrive": "2"}},
            "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
        .unwrap()
    }

    #[test]
    fn a_wait_ends_with_what_the_phase_means() {
        let at = |phase: &str, more: serde_json::Value| {
            let mut status = serde_json::json!({"phase": phase, "lastHandled": {"redrive": "2"}});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let run = run(&status);
            (reached(&run, Goal::Started), reached(&run, Goal::Finished))
        };
        let nothing = serde_json::json!({});
        let begun = serde_json::json!({"startedAt": "2026-01-01T00:00:00Z"});
        assert_eq!(at("Pending", nothing.clone()), (None, None));
        assert_eq!(at("Starting", nothing.clone()), (None, None));
        assert_eq!(at("Running", begun.clone()), (Some(Exit::Done), None));
        assert_eq!(at("Succeeded", begun.clone()), (Some(Exit::Done), Some(Exit::Done)));
        assert_eq!(at("Dispatched", begun.clone()), (Some(Exit::Done), Some(Exit::Done)));
        assert_eq!(at("Failed", begun.clone()), (Some(Exit::Done), Some(Exit::Failed)));
        assert_eq!(at("Failed", nothing.clone()), (Some(Exit::Failed), Some(Exit::Failed)), "never started");
        assert_eq!(at("TimedOut", nothing.clone()), (Some(Exit::TimedOut), Some(Exit::TimedOut)));
        assert_eq!(at("Aborted", nothing), (Some(Exit::Aborted), Some(Exit::Aborted)));
        // A redrive was asked for and not begun.
        let asked = serde_json::json!({"lastHandled": {"redrive": "1"}});
        assert_eq!(at("Failed", asked), (None, None));
    }
}
