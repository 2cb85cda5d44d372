//! What an execution did, told with the end of its run. It is read from the history at the lowest priority, and an end does not
//! wait for it: what cannot be read now is left out, and an ExecutionHistory tells it to whoever wants it later.

use std::time::Duration;

use kube::ResourceExt;

use super::calls::Shown;
use super::progress::Newest;
use super::result::Run;
use crate::api::v1alpha1::Phase;
use crate::aws::{AwsError, Caller, HistoryRequest, Priority};
use crate::controllers::{Context, paths};
use crate::plan::timeline::{MAX_EVENTS, Reader, fitted};

/// Events of a page: as many as AWS gives.
pub(super) const PAGE: i32 = 1000;
/// As many pages as a history can have.
const MAX_PAGES: usize = MAX_EVENTS / 1000;
/// Largest timeline of a run that succeeded, and of another, in bytes.
const MAX_BYTES: (usize, usize) = (4 * 1024, 16 * 1024);
/// An end is held up for so long at most.
const LONGEST: Duration = Duration::from_secs(10);
/// Map Runs that are asked for their counts: there is one such call a second.
const MAX_MAP_RUNS: usize = 5;

/// The history of an execution that has ended.
pub(super) struct History<'a> {
    /// As whom it is read.
    pub(super) looks: &'a Caller,
    /// What was read of its end already, where that was wanted, or why it could not be.
    pub(super) newest: Result<Option<Newest>, AwsError>,
}

/// Tells what the execution did, where that is wanted and can be read now.
pub(super) async fn tell(run: &mut Run<'_>, shown: &Shown, phase: Phase, history: History<'_>) {
    if phase.is_good() && !run.ctx.watches.wants_every_timeline(&run.namespace(), &run.spec.workflow_ref.name) {
        return;
    }
    if run.known().timeline.is_some() {
        // It was told with the phase, before the output was read.
        return;
    }
    let newest = match history.newest {
        Ok(newest) => newest,
        Err(error) => return left_out(run, &error),
    };
    let bytes = if phase.is_good() { MAX_BYTES.0 } else { MAX_BYTES.1 };
    match tokio::time::timeout(LONGEST, read(run.ctx, history.looks, shown, newest)).await {
        // AWS may have forgotten what it did.
        Ok(Ok(reader)) if reader.observed() == 0 => {}
        Ok(Ok(reader)) => run.did(fitted(reader.timeline(), bytes)),
        Ok(Err(error)) => left_out(run, &error),
        Err(elapsed) => left_out(run, &elapsed),
    }
}

fn left_out(run: &Run<'_>, why: &dyn std::fmt::Display) {
    tracing::debug!(run = run.name_any(), error = %why, "the timeline is left out");
}

/// Why reading has ended early.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("{0} waits for quota")]
    Quota(&'static str),
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// There is quota to spare.
fn has_quota(ctx: &Context, looks: &Caller, operation: &'static str) -> Result<(), Unread> {
    let wait = ctx.quota.quota_wait(looks, operation, Priority::Output);
    if wait.is_zero() { Ok(()) } else { Err(Unread::Quota(operation)) }
}

/// Reads each page once. What was read of the end is not read again.
async fn read(ctx: &Context, looks: &Caller, shown: &Shown, newest: Option<Newest>) -> Result<Reader, Unread> {
    let mut reader = Reader::new(paths::paths(ctx, looks, shown.version_arn.as_ref(), &shown.arn).await);
    let newest = newest.unwrap_or(Newest { events: Vec::new(), whole: false });
    if !newest.whole {
        let first_known = newest.events.last().map_or(i64::MAX, |event| event.id);
        read_until(ctx, looks, &shown.arn, first_known, &mut reader).await?;
    }
    reader.read(newest.events.iter().rev());
    let map_runs: Vec<String> = reader.map_runs().into_iter().take(MAX_MAP_RUNS).map(str::to_owned).collect();
    for map_run in map_runs {
        // Without its counts a Map is told all the same.
        if has_quota(ctx, looks, "states:DescribeMapRun").is_ok()
            && let Ok(Some(counts)) = ctx.executions.map_run_counts(looks, &map_run).await
        {
            reader.count(&map_run, counts);
        }
    }
    Ok(reader)
}

/// Reads from the beginning on, to the event of this id.
async fn read_until(
    ctx: &Context,
    looks: &Caller,
    arn: &str,
    first_known: i64,
    reader: &mut Reader,
) -> Result<(), Unread> {
    let mut request = HistoryRequest { arn: arn.to_owned(), max_events: PAGE, ..HistoryRequest::default() };
    let mut turn = None;
    for _ in 0..MAX_PAGES {
        has_quota(ctx, looks, "states:GetExecutionHistory")?;
        let page = ctx.executions.history_page(looks, &request).await?;
        reader.read(&page.events);
        request.next_token = page.next_token;
        if request.next_token.is_none() || reader.observed() + 1 >= first_known {
            break;
        }
        if turn.is_none() {
            turn = ctx.large_histories.acquire().await.ok();
        }
    }
    Ok(())
}
