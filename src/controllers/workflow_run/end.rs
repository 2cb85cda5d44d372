//! The end: output, error and conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use super::progress;
use super::start::{ended_reason, express_failed, final_phase, mark_started};
use crate::api::v1alpha1::{FIELD_MANAGER, OutputStore, Phase, WorkflowRun};
use crate::aws::{AwsError, Caller, Execution};
use crate::controllers::Context;
use crate::controllers::dereference::output_name;
use crate::controllers::runner::{Done, Work, api_failure, controls, fenced, ready_of, tell};
use crate::outcome::{Failure, Requeue};
use crate::plan::retry::{self, AfterEnd};
use crate::plan::run_result;
use crate::reason::Reason;
use crate::runs::OUTPUT_STORED;
use crate::status::Truth;

/// How often it is tried again to store such an output.
pub(super) const OWED_OUTPUT_EVERY: Duration = Duration::from_secs(300);

/// How often the result of a synchronous start is offered to the API server before it is given up.
const RECORD_TRIES: u32 = 20;

/// Writes down how an execution ended, and when it is tried again if it is.
pub(super) async fn finish(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    caller: &Caller,
    execution: &Execution,
    phase: Phase,
) -> Result<Done, Failure> {
    if matches!(phase, Phase::Failed | Phase::TimedOut) {
        work.status().failed_state = progress::failed_state(ctx, caller, &execution.arn).await;
    }
    conclude(work, ctx, execution, phase).await
}

async fn conclude(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    execution: &Execution,
    phase: Phase,
) -> Result<Done, Failure> {
    let now = Timestamp::now();
    progress::forget(work.status());
    retry::close_attempt(work.status(), execution);
    run_result::record_redrive(work.status(), execution);
    let status = work.object.status.clone().unwrap_or_default();
    match retry::after_end(&work.object.spec, &status, execution, phase, now) {
        AfterEnd::Retries(at) => Ok(wait_for_retry(work, execution, phase, at, now)),
        AfterEnd::Ends(why) => {
            record(work, ctx, execution, phase, why.as_deref()).await?;
            Ok(Done::release_and_look(ttl_requeue(work)))
        }
    }
}

/// A recorded redrive that AWS does not make: the run has ended as it had before.
pub(super) async fn not_redriven(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    execution: &Execution,
    why: &str,
) -> Result<Done, Failure> {
    let phase = run_result::phase_of(execution.status, None).unwrap_or(Phase::Failed);
    run_result::record_redrive(work.status(), execution);
    if let Some(redrive) = &mut work.status().redrive {
        (redrive.possible, redrive.reason) = (false, Some(why.to_owned()));
    }
    let why = format!("AWS did not redrive it: {}", why.trim_end_matches('.'));
    record(work, ctx, execution, phase, Some(&why)).await?;
    Ok(Done::release_and_look(ttl_requeue(work)))
}

fn wait_for_retry(
    work: &mut Work<WorkflowRun>,
    execution: &Execution,
    phase: Phase,
    at: Timestamp,
    now: Timestamp,
) -> Done {
    let status = work.status();
    status.phase = Some(Phase::Pending);
    status.retry_at = Some(Time(at));
    run_result::record_failure(status, execution);
    let next = status.attempts.last().map_or(0, |attempt| attempt.number) + 1;
    let message = format!("{} Attempt {next} begins at {}.", what_happened(work, execution, phase), seconds(at));
    work.conditions(|conditions| {
        conditions.progressing(Reason::RetryScheduled, &message);
    });
    Done::again(Requeue::After(Duration::try_from(at.duration_since(now)).unwrap_or_default()))
}

/// A time to the second, as people read it.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn ttl_requeue(work: &Work<WorkflowRun>) -> Requeue {
    let ttl = work.object.spec.ttl_after_finished.as_ref().and_then(crate::api::v1alpha1::DurationString::to_std);
    ttl.map_or(Requeue::OnChange, Requeue::After)
}

async fn record(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    execution: &Execution,
    phase: Phase,
    not_tried_again: Option<&str>,
) -> Result<(), Failure> {
    let store = work.object.spec.output.store;
    run_result::record(work.status(), execution, phase, store);
    progress::forget(work.status());
    if let (OutputStore::ConfigMap, Some(output)) = (store, &execution.output) {
        store_output(work, ctx, output).await?;
    }
    let happened = what_happened(work, execution, phase);
    let message = match not_tried_again {
        Some(why) => format!("{happened} It is not tried again: {why}."),
        None => happened,
    };
    work.conditions(|conditions| run_result::ended(conditions, phase, ended_reason(phase), &message));
    Ok(())
}

fn what_happened(work: &mut Work<WorkflowRun>, execution: &Execution, phase: Phase) -> String {
    if execution.error.is_none() && execution.cause.is_none() {
        return format!("The execution ended {phase:?}.");
    }
    let state = work.status().failed_state.as_ref().map(|name| format!(" in state \"{name}\"")).unwrap_or_default();
    let (error, cause) = (execution.error.as_deref(), execution.cause.as_deref().map(run_result::bounded_cause));
    format!(
        "The execution ended {phase:?}{state}: {}: {}",
        error.unwrap_or("no error name"),
        cause.as_deref().unwrap_or("no cause")
    )
}

/// Tries once more to store the output; AWS keeps it for 90 days.
pub(super) async fn store_owed_output(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<(), Failure> {
    let caller = super::session(work, ctx).await?;
    let arn = work.status().execution_arn.clone().unwrap_or_default();
    let found = ctx.executions.describe_execution(&caller, &arn).await?;
    if let Some(output) = found.and_then(|execution| execution.output) {
        return store_output(work, ctx, &output).await;
    }
    work.conditions(|conditions| {
        conditions.set(OUTPUT_STORED, Truth::False, Reason::Expired, "AWS no longer has the output.");
    });
    Ok(())
}

/// Keeps the output in `<run>-output`; a ConfigMap of that name that is not the run's own is left alone.
async fn store_output(work: &mut Work<WorkflowRun>, ctx: &Context, output: &str) -> Result<(), Failure> {
    fenced(ctx)?;
    let name = output_name(&work.object.name_any());
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &work.namespace());
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: work.object.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("output.json".to_owned(), output.to_owned())])),
        ..ConfigMap::default()
    };
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let (stored, reason, message) = match api.create(&parameters, &map).await {
        Ok(_) => (true, Reason::Stored, String::new()),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let existing = api.get_opt(&name).await.map_err(|error| api_failure(&error))?;
            // Whoever may write ConfigMaps can name the run as the owner of theirs.
            let own = existing.is_some_and(|there| controls(&work.object, &there) && there.data == map.data);
            let message = format!(
                "ConfigMap \"{name}\" exists and is not this run's output; it was left alone and the output was not stored. Remove it and create another run."
            );
            (own, Reason::ConfigMapExists, message)
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let message = format!(
                "The operator may not create ConfigMap \"{name}\": set outputs.configMaps to true in the chart's values. It is tried again every {} minutes; AWS keeps the output for 90 days.",
                OWED_OUTPUT_EVERY.as_secs() / 60
            );
            (false, Reason::Forbidden, message)
        }
        Err(error) => return Err(api_failure(&error)),
    };
    work.conditions(|conditions| {
        if stored {
            let message = format!("The output is in ConfigMap \"{name}\", key output.json.");
            conditions.set(OUTPUT_STORED, Truth::True, Reason::Stored, &message);
        } else {
            conditions.set(OUTPUT_STORED, Truth::False, reason, &message);
        }
    });
    Ok(())
}

/// Writes the answer of a synchronous start. It exists nowhere else, so it is offered until it is taken. Each try begins with
/// the run as the API server has it: what a try that failed had changed is dropped.
pub(super) async fn record_sync(mut run: WorkflowRun, ctx: &Arc<Context>, answer: Result<Execution, AwsError>) {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &run.namespace().unwrap_or_default());
    for attempt in 1..=RECORD_TRIES {
        let written = write_sync(Work::new(run.clone()), ctx, answer.clone()).await;
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

async fn write_sync(
    mut work: Work<WorkflowRun>,
    ctx: &Context,
    answer: Result<Execution, AwsError>,
) -> Result<(), Failure> {
    let before = ready_of(&mut work);
    let refused = match answer {
        Ok(execution) => {
            let phase = final_phase(execution.status);
            mark_started(&mut work, execution.arn.clone(), execution.started_at);
            conclude(&mut work, ctx, &execution, phase).await?;
            None
        }
        Err(error) => express_failed(&mut work, ctx, error).await.err(),
    };
    tell(&mut work, before, refused.as_ref(), ctx).await
}
