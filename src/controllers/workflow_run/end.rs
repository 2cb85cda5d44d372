//! How an execution ended, and what follows: another attempt, or the end of the run with its output.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;

use super::calls::Shown;
use super::result::Run;
use super::timeline::History;
use super::{output, progress, refusal, timeline};
use crate::api::v1alpha1::{DurationString, OutputStore, Phase, WorkflowRun};
use crate::aws::{AwsError, AwsErrorKind, Caller};
use crate::controllers::Context;
use crate::controllers::runner::{Done, Work, ready_of, tell};
use crate::outcome::{Failure, Requeue};
use crate::plan::retry::{self, AfterEnd};
use crate::plan::run_result;
use crate::reason::Reason;
use crate::runs::owes_output;
use crate::status::Truth;

/// How often the result of a synchronous start is offered to the API server before it is given up.
const RECORD_TRIES: u32 = 20;

/// Writes down how an execution ended, and when it is tried again if it is.
pub(super) async fn finish(run: &mut Run<'_>, looks: &Caller, shown: &Shown, phase: Phase) -> Result<Done, Failure> {
    let history = History { looks, newest: newest(run, looks, shown, phase).await };
    if let Ok(Some(newest)) = &history.newest {
        run.failed_in(newest.failed_state());
    }
    conclude(run, shown, phase, Some(history)).await
}

/// What the end of the history tells is read where it tells a failed state.
async fn newest(
    run: &Run<'_>,
    looks: &Caller,
    shown: &Shown,
    phase: Phase,
) -> Result<Option<progress::Newest>, AwsError> {
    // It may have been told with the phase, before the output was read.
    if !matches!(phase, Phase::Failed | Phase::TimedOut) || run.known().timeline.is_some() {
        return Ok(None);
    }
    progress::newest(run.ctx, looks, &shown.arn, timeline::PAGE).await.map(Some)
}

/// Writes down how an execution ended by what its log says, and why that has no output where one would expect it.
pub(super) async fn logged(
    run: &mut Run<'_>,
    shown: &Shown,
    phase: Phase,
    lacks: Option<&str>,
) -> Result<Done, Failure> {
    let done = conclude(run, shown, phase, None).await?;
    if let Some(why) = lacks.filter(|_| run.spec.output.store != OutputStore::None) {
        run.output_stored(Some((Truth::False, Reason::OutputNotLogged, why)));
    }
    Ok(done)
}

/// `history` is that of an execution which has one.
async fn conclude(
    run: &mut Run<'_>,
    shown: &Shown,
    phase: Phase,
    history: Option<History<'_>>,
) -> Result<Done, Failure> {
    let now = Timestamp::now();
    run.attempt_ended(shown);
    match retry::after_end(&run.spec, &run.known(), shown, phase, now) {
        AfterEnd::Retries(at) => Ok(run.retries(shown, phase, at, now)),
        AfterEnd::Ends(why) => {
            if let Some(history) = history {
                timeline::tell(run, shown, phase, history).await;
            }
            ends(run, shown, phase, why.as_deref()).await
        }
    }
}

/// A recorded redrive that AWS does not make: the run has ended as it had before.
pub(super) async fn not_redriven(run: &mut Run<'_>, looks: &Caller, shown: &Shown, why: &str) -> Result<Done, Failure> {
    run.not_redriven(shown, why);
    let phase = run_result::phase_at_the_end(shown.status);
    timeline::tell(run, shown, phase, History { looks, newest: Ok(None) }).await;
    let why = format!("AWS did not redrive it: {}", why.trim_end_matches('.'));
    ends(run, shown, phase, Some(&why)).await
}

async fn ends(run: &mut Run<'_>, shown: &Shown, phase: Phase, not_tried_again: Option<&str>) -> Result<Done, Failure> {
    // Before anything tells an end: an output that cannot be read again is offered until it is taken.
    if let (OutputStore::ConfigMap, Some(text)) = (run.spec.output.store, &shown.output) {
        output::store(run, text).await?;
    }
    run.result(shown, phase);
    run.ended(shown, phase, not_tried_again);
    if owes_output(run) {
        return Ok(Done::release_and_look(Requeue::After(output::OWED_SOON)));
    }
    let ttl = run.spec.ttl_after_finished.as_ref().and_then(DurationString::to_std);
    Ok(Done::release_and_look(ttl.map_or(Requeue::OnChange, Requeue::After)))
}

/// A refusal of an Express start means that nothing ran, so it is asked for again; no answer means that nobody knows.
pub(super) async fn express_failed(run: &mut Run<'_>, error: AwsError) -> Result<Done, Failure> {
    if error.kind == AwsErrorKind::Unavailable {
        let message = format!(
            "AWS gave no answer to the start ({}). An Express start is never repeated, so whether it ran is not known; look at the state machine's logs.",
            error.code
        );
        return Ok(run.ends_unstarted(Phase::Failed, Reason::OutcomeUnknown, &message));
    }
    Err(refusal::record(run, error, None).await)
}

/// Writes the answer of a synchronous start. It exists nowhere else, so it is offered until it is taken. Each try begins with
/// the run as the API server has it: what a try that failed had changed is dropped.
pub(super) async fn record_sync(mut run: WorkflowRun, ctx: &Arc<Context>, answer: Result<Shown, AwsError>) {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &run.namespace().unwrap_or_default());
    for attempt in 1..=RECORD_TRIES {
        let written = write_answer(Work::new(run.clone()), ctx, &answer).await;
        let Err(failure) = written else { return };
        tracing::warn!(
            reason = %failure.reason,
            message = failure.message,
            attempt,
            "cannot record the result of a synchronous start yet"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        match api.get_opt(&run.name_any()).await {
            Ok(Some(fresh)) if fresh.uid() == run.uid() && is_starting(&fresh) => run = fresh,
            // It is gone, or the write was taken and its answer lost.
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

fn is_starting(run: &WorkflowRun) -> bool {
    run.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Starting))
}

async fn write_answer(
    mut work: Work<WorkflowRun>,
    ctx: &Arc<Context>,
    answer: &Result<Shown, AwsError>,
) -> Result<(), Failure> {
    let before = ready_of(&mut work);
    let mut run = Run::new(&mut work, ctx);
    let refused = match answer {
        Ok(shown) => {
            run.runs(shown.started(), false);
            conclude(&mut run, shown, run_result::phase_at_the_end(shown.status), None).await?;
            None
        }
        Err(error) => express_failed(&mut run, error.clone()).await.err(),
    };
    tell(&mut work, before, refused.as_ref(), ctx).await
}
