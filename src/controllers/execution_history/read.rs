//! Reading: a bounded number of answers in a reconcile, each turned into pages before the next is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;

use super::memory::Reading;
use super::{pages, room};
use crate::api::v1alpha1::{ExecutionHistory, ExecutionHistoryStatus, HistoryPhase, WorkflowRunStatus};
use crate::aws::{AwsErrorKind, Caller};
use crate::controllers::Context;
use crate::controllers::context::LOOK_EVERY;
use crate::controllers::paths;
use crate::controllers::runner::{Done, Work};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::execution_history::pages::Page;
use crate::plan::execution_history::{Next, attempt_of, next, not_logged, not_shown};
use crate::plan::express_log;
use crate::plan::timeline::fitted;
use crate::reason::Reason;

/// Answers that are read in one reconcile at most, and how long that may take: others want their turn.
const ANSWERS: usize = 50;
const TURN: Duration = Duration::from_secs(20);
/// Largest timeline of a status.
const TIMELINE_BYTES: usize = 32 * 1024;
/// How long until the next turn.
const NEXT_TURN: Duration = Duration::from_millis(10);

/// What a history is read of, and as whom.
pub(super) struct Of {
    pub(super) caller: Caller,
    pub(super) run: WorkflowRunStatus,
    pub(super) arn: String,
    /// Of an Express execution, its log group and who reads that.
    pub(super) log: Option<(String, Caller)>,
}

/// Where a reconcile has come to.
pub(super) enum Came {
    /// There is more to come.
    Further(Done),
    /// All was read, and stands in the status that is to be written.
    ToItsEnd,
    /// It cannot be read, now or later.
    Nowhere(Failure),
}

/// Reads on from where the last reconcile stopped, and tells how far that is.
pub(super) async fn go_on(work: &mut Work<ExecutionHistory>, ctx: &Arc<Context>, of: &Of) -> Result<Came, Failure> {
    let uid = work.object.uid().unwrap_or_default();
    let mut reading = match ctx.histories.take(&uid) {
        Some(reading) => reading,
        None => begin(work, ctx, of).await?,
    };
    let read = if rests(&reading, work, ctx, of) { Ok(()) } else { read(&mut reading, work, ctx, of).await };
    if reading.observed > 0 {
        // What may stand on a page has a place, whoever looks at it next.
        (work.status().execution_arn, work.status().phase) = (Some(of.arn.clone()), Some(HistoryPhase::Reading));
    }
    let came = match read {
        Ok(()) => after(&mut reading, work, ctx, of).await,
        Err(failure) if failure.reason == Reason::ExecutionNotFound && failure.class == Class::Terminal => {
            Ok(Came::Nowhere(failure))
        }
        Err(failure) => Err(failure),
    };
    ctx.histories.give_back(&uid, reading);
    came
}

/// A history of which nothing was read by this process. Its states are told where they are in the definition that ran.
async fn begin(work: &Work<ExecutionHistory>, ctx: &Context, of: &Of) -> Result<Reading, Failure> {
    let version = if of.log.is_some() {
        version_of(&of.run, &of.arn)
    } else {
        let execution = ctx.executions.describe_execution(&of.caller, &of.arn).await?;
        execution.and_then(|execution| execution.version_arn)
    };
    let paths = paths::paths(ctx, &of.caller, version.as_ref(), &of.arn).await;
    let another = work.object.status.as_ref().and_then(|status| status.phase) == Some(HistoryPhase::Reading);
    Ok(Reading::new(&of.arn, &work.object.spec, paths, another))
}

/// Whether it was read to the end a moment ago, so that AWS is not asked again yet: the run wakes it with each change of its own.
/// That it has ended is news.
fn rests(reading: &Reading, work: &Work<ExecutionHistory>, ctx: &Context, of: &Of) -> bool {
    let since = reading.looked_at.map(|at| ctx.started.elapsed().saturating_sub(at));
    let is_new = since.is_some_and(|since| since < LOOK_EVERY / 2);
    let is_over = of.run.phase.unwrap_or_default().is_finished();
    reading.at_end && (!work.object.spec.follow || (is_new && !(is_over && reading.looks == 0)))
}

/// Reads as much as a turn allows.
async fn read(reading: &mut Reading, work: &Work<ExecutionHistory>, ctx: &Context, of: &Of) -> Result<(), Failure> {
    let began = Instant::now();
    for _ in 0..ANSWERS {
        write_full(reading, work, ctx).await?;
        if began.elapsed() > TURN {
            return Ok(());
        }
        if let Some((group, caller)) = &of.log {
            if read_log(reading, ctx, of, group, caller).await? {
                break;
            }
            continue;
        }
        let request = reading.request();
        let _answer = if request.include_data { ctx.histories.answer().await } else { None };
        reading.looked_at = Some(ctx.started.elapsed());
        match ctx.executions.history_page(&of.caller, &request).await {
            Ok(answer) => reading.take_in(answer),
            Err(error) if error.code == "InvalidToken" && request.next_token.is_some() => {
                reading.begin_from_the_front();
            }
            Err(error) if error.kind == AwsErrorKind::NotFound => {
                return Err(not_shown(&of.arn, &of.run, Timestamp::now()));
            }
            Err(error) => return Err(error.into()),
        }
        if reading.at_end {
            reading.looks += u32::from(of.run.phase.unwrap_or_default().is_finished());
            break;
        }
    }
    write_full(reading, work, ctx).await
}

/// The version that an Express execution was started by: AWS describes none, and the attempt names it.
fn version_of(run: &WorkflowRunStatus, arn: &str) -> Option<String> {
    let target = &attempt_of(run, arn)?.target_arn;
    let number = target.split(':').nth(7)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| target.clone())
}

/// Reads a page of the log. True where it was the last for now. The log is whole with the end of the execution and all before it;
/// what does not come for long after the start will not come.
async fn read_log(
    reading: &mut Reading,
    ctx: &Context,
    of: &Of,
    group: &str,
    caller: &Caller,
) -> Result<bool, Failure> {
    let started_at = of.run.started_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let request = reading.log_request(group, started_at).ok_or_else(|| not_logged(&of.arn, group))?;
    // Whatever is asked for, what went in and out is in the answer.
    let _answer = ctx.histories.answer().await;
    reading.looked_at = Some(ctx.started.elapsed());
    let page = match ctx.logs.log_page(caller, &request).await {
        Err(error) if error.code == "InvalidParameterException" && request.next_token.is_some() => {
            reading.begin_from_the_front();
            return Ok(false);
        }
        answer => answer?,
    };
    if !reading.take_log(&page.events, page.next_token, started_at) {
        return Ok(false);
    }
    let gives_up = Timestamp::now() >= express_log::gives_up_at(started_at);
    if gives_up && !reading.ended {
        reading.take_rest_of_log();
        if reading.observed == 0 {
            return Err(not_logged(&of.arn, group));
        }
    }
    let is_over = of.run.phase.unwrap_or_default().is_finished();
    reading.at_end = gives_up || reading.ended || !is_over;
    reading.looks += u32::from(reading.at_end && is_over);
    Ok(true)
}

/// Writes the pages that are full.
async fn write_full(reading: &mut Reading, work: &Work<ExecutionHistory>, ctx: &Context) -> Result<(), Failure> {
    while let Some(page) = reading.to_write.front() {
        if room::make(ctx, &work.object, reading.written, bytes_of(page)).await? {
            pages::write(ctx, &work.object, page).await?;
            reading.written += bytes_of(page);
        } else {
            reading.cutter.leave_out(page);
        }
        reading.to_write.pop_front();
    }
    Ok(())
}

/// Writes the page that is not full yet, where it has grown.
async fn write_open(reading: &mut Reading, work: &Work<ExecutionHistory>, ctx: &Context) -> Result<(), Failure> {
    let page = reading.cutter.open();
    if page.events.len() == reading.open_events {
        return Ok(());
    }
    if !room::make(ctx, &work.object, reading.written, bytes_of(page)).await? {
        let page = page.clone();
        reading.cutter.leave_out(&page);
        return Ok(());
    }
    pages::write(ctx, &work.object, page).await?;
    let (number, bytes, events) = (page.number, bytes_of(page), page.events.len());
    reading.cutter.written();
    let is_closed = reading.cutter.open().number != number;
    reading.open_events = if is_closed { 0 } else { events };
    reading.written += if is_closed { bytes } else { 0 };
    Ok(())
}

fn bytes_of(page: &Page) -> u64 {
    u64::try_from(page.bytes()).unwrap_or(u64::MAX)
}

/// What follows from what was read.
async fn after(
    reading: &mut Reading,
    work: &mut Work<ExecutionHistory>,
    ctx: &Context,
    of: &Of,
) -> Result<Came, Failure> {
    work.status().execution_arn = Some(of.arn.clone());
    work.status().phase = Some(HistoryPhase::Reading);
    let follow = work.object.spec.follow;
    let words = if follow { "The execution is followed to its end." } else { "The history is read." };
    work.conditions(|conditions| {
        conditions.progressing(Reason::HistoryReading, words);
    });
    if !reading.at_end && of.log.is_some() {
        // What has to wait for its turn is told with what comes next.
        let _ = tell_in_turn(reading, work, ctx);
        return Ok(further(if reading.has_more_pages() { NEXT_TURN } else { rest_of_log(of) }));
    }
    if !reading.at_end {
        // What has to wait for its turn is told with what comes next.
        let _ = tell_in_turn(reading, work, ctx);
        return Ok(further(NEXT_TURN));
    }
    write_open(reading, work, ctx).await?;
    match next(follow, &of.run, &of.arn, reading.ended, reading.looks) {
        Next::Complete => {
            if reading.follows_another {
                pages::remove_from(ctx, &work.object, reading.cutter.pages() + 1).await?;
            }
            tell(reading, work.status());
            Ok(Came::ToItsEnd)
        }
        Next::LookAgain => {
            let wait = tell_in_turn(reading, work, ctx).unwrap_or(LOOK_EVERY);
            Ok(further(wait.min(LOOK_EVERY)))
        }
        Next::WaitForRun => {
            let wait = tell_in_turn(reading, work, ctx);
            Ok(further(wait.unwrap_or(ctx.settings.resync_interval)))
        }
    }
}

/// How long until a log is read again that lacks something: the longer ago the start is, the less is to be expected.
fn rest_of_log(of: &Of) -> Duration {
    let started_at = of.run.started_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let age = Duration::try_from(Timestamp::now().duration_since(started_at)).unwrap_or_default();
    (age / 10).clamp(LOOK_EVERY, 10 * LOOK_EVERY)
}

fn further(wait: Duration) -> Came {
    Came::Further(Done::again(Requeue::After(wait)))
}

/// Puts what was read into the status, where that is news and it is this history's turn; otherwise says how long it has to wait.
fn tell_in_turn(reading: &mut Reading, work: &mut Work<ExecutionHistory>, ctx: &Context) -> Option<Duration> {
    let known = work.status().timeline.as_ref().map_or(0, |timeline| timeline.observed_event_id);
    // After a restart it is read anew, and told once that is more than was told before.
    if reading.observed <= known {
        return None;
    }
    let now = ctx.started.elapsed();
    let early =
        reading.wrote_at.and_then(|at| LOOK_EVERY.checked_sub(now.saturating_sub(at))).filter(|left| !left.is_zero());
    let wait = early.map_or_else(|| ctx.histories.may_write(&work.namespace(), now).err(), Some);
    if wait.is_none() {
        reading.wrote_at = Some(now);
        tell(reading, work.status());
    }
    wait
}

/// What was read, as the status says it.
fn tell(reading: &Reading, status: &mut ExecutionHistoryStatus) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    status.timeline = Some(fitted(reading.timeline.timeline(), TIMELINE_BYTES));
    status.pages = Some(reading.cutter.pages());
    status.events = Some(reading.cutter.events());
    status.bytes = Some(number(reading.cutter.bytes()));
    status.omitted_bytes = Some(number(reading.cutter.omitted()));
}
