//! Where an execution is, and where it failed. Histories have a quota of their own, so they are read only for runs that
//! somebody watches and for those that failed, and what cannot be read is left out.

use jiff::Timestamp;

use super::result::Run;
use super::session::Looks;
use crate::api::v1alpha1::{Phase, WorkflowRun, asked};
use crate::aws::{AwsError, Caller, HistoryEvent, HistoryRequest};
use crate::controllers::Context;
use crate::controllers::context::LOOK_EVERY;
use crate::controllers::runner::Done;
use crate::outcome::Requeue;
use crate::plan::history::History;

/// Asks for progress: until the time that it names, or while it stands where it names none.
const WATCH: &str = "stepbound.dev/watch";
/// Events of a page: where an execution is follows from few of them.
const PAGE: i32 = 200;
/// How many pages of a history are read at most.
const MAX_PAGES: usize = 5;

/// The newest events of an execution, the newest first.
pub(super) struct Newest {
    pub(super) events: Vec<HistoryEvent>,
    /// There are no older ones.
    pub(super) whole: bool,
}

impl Newest {
    /// The innermost state that failed; `None` where the history does not tell.
    pub(super) fn failed_state(&self) -> Option<String> {
        History::read(&self.events).failed_state().map(str::to_owned)
    }
}

/// As many of the newest events as it takes to tell where the execution is, or where it failed.
pub(super) async fn newest(ctx: &Context, caller: &Caller, arn: &str, page: i32) -> Result<Newest, AwsError> {
    let mut newest = Newest { events: Vec::new(), whole: false };
    let mut request =
        HistoryRequest { arn: arn.to_owned(), newest_first: true, max_events: page, ..HistoryRequest::default() };
    for _ in 0..MAX_PAGES {
        let page = ctx.executions.history_page(caller, &request).await?;
        newest.events.extend(page.events);
        newest.whole = page.next_token.is_none();
        request.next_token = page.next_token;
        if newest.whole || !History::read(&newest.events).needs_older() {
            break;
        }
    }
    Ok(newest)
}

/// Tells where a running execution is, while somebody watches.
pub(super) async fn follow(run: &mut Run<'_>, looks: &Looks, arn: &str) {
    if run.known().phase != Some(Phase::Running) {
        return;
    }
    if !is_watched(run, Timestamp::now()) {
        run.progress(None);
        return;
    }
    let (ctx, uid) = (run.ctx, run.uid());
    if ctx.looked_at.get(&uid).await.is_some() {
        return;
    }
    ctx.looked_at.insert(uid, ()).await;
    match look(ctx, &looks.caller, arn).await {
        Ok(at) => run.progress(Some(at)),
        Err(error) => tracing::debug!(%error, "the progress is not known"),
    }
}

/// A watched run is looked at again soon from its start on: our own writes of its status wake nobody.
pub(super) fn look_again_soon(run: &WorkflowRun, done: Done) -> Done {
    let running = run.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Running));
    if !running || done.release || !is_watched(run, Timestamp::now()) {
        return done;
    }
    let requeue = match done.requeue {
        Requeue::After(delay) => delay.min(LOOK_EVERY),
        Requeue::OnChange => LOOK_EVERY,
    };
    Done { requeue: Requeue::After(requeue), ..done }
}

async fn look(ctx: &Context, caller: &Caller, arn: &str) -> Result<(Vec<String>, Option<i64>), AwsError> {
    let newest = newest(ctx, caller, arn, PAGE).await?;
    let history = History::read(&newest.events);
    let states = history.current_states();
    let Some(map_run) = history.map_run() else { return Ok((states, None)) };
    let counts = ctx.executions.map_run_counts(caller, map_run).await?;
    let percent = counts.filter(|counts| counts.total > 0).map(|counts| counts.ended() * 100 / counts.total);
    Ok((states, percent))
}

fn is_watched(run: &WorkflowRun, now: Timestamp) -> bool {
    asked(run, WATCH).is_some_and(|until| until.parse::<Timestamp>().map_or(true, |until| now < until))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::api::v1alpha1::WorkflowRunStatus;

    fn run(watch: Option<&str>) -> WorkflowRun {
        let annotations = watch.map(|value| json!({WATCH: value}));
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "r", "annotations": annotations}, "spec": {"workflowRef": {"name": "w"}}}))
        .unwrap()
    }

    #[test]
    fn a_watched_run_is_looked_at_again_soon_from_its_start_on() {
        let after =
            |run: &WorkflowRun| look_again_soon(run, Done::again(Requeue::After(Duration::from_secs(600)))).requeue;
        let mut watched = run(Some("true"));
        assert_eq!(after(&watched), Requeue::After(Duration::from_secs(600)), "it has not started");
        watched.status = Some(WorkflowRunStatus { phase: Some(Phase::Running), ..WorkflowRunStatus::default() });
        assert_eq!(after(&watched), Requeue::After(LOOK_EVERY));
        watched.metadata.annotations = None;
        assert_eq!(after(&watched), Requeue::After(Duration::from_secs(600)));
    }

    #[test]
    fn a_watch_ends_at_the_time_that_it_names() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(!is_watched(&run(None), now));
        assert!(is_watched(&run(Some("true")), now));
        assert!(is_watched(&run(Some("2026-01-01T00:00:01Z")), now));
        assert!(!is_watched(&run(Some("2026-01-01T00:00:00Z")), now));
    }
}
