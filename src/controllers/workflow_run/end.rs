//! The end: output, error and conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use super::start::{ended_reason, express_failed, final_phase, mark_started};
use crate::api::v1alpha1::{FIELD_MANAGER, OutputStore, Phase, WorkflowRun};
use crate::aws::{AwsError, Execution, Session};
use crate::controllers::Context;
use crate::controllers::runner::{Done, Work, api_failure, fenced};
use crate::outcome::Failure;
use crate::plan::run_result;
use crate::status::Truth;

/// How often the result of a synchronous start is offered to the API server before it is given up.
const RECORD_TRIES: u32 = 20;

/// Writes down how an execution ended.
pub(super) async fn finish(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    session: &Session,
    execution: &Execution,
    phase: Phase,
) -> Result<Done, Failure> {
    if phase == Phase::Failed {
        // Best effort: an end without the state's name is better than none.
        let state = ctx.step_functions.failed_state(session, &execution.arn).await;
        work.status().failed_state = state.unwrap_or_else(|error| {
            tracing::debug!(%error, "the failed state is not known");
            None
        });
    }
    record(work, ctx, execution, phase).await?;
    Ok(Done { requeue: ttl_requeue(work), release: true })
}

fn ttl_requeue(work: &Work<WorkflowRun>) -> crate::outcome::Requeue {
    let ttl = work.object.spec.ttl_after_finished.as_ref().and_then(crate::api::v1alpha1::DurationString::to_std);
    ttl.map_or(crate::outcome::Requeue::OnChange, crate::outcome::Requeue::After)
}

async fn record(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    execution: &Execution,
    phase: Phase,
) -> Result<(), Failure> {
    let store = work.object.spec.output.store;
    run_result::record(work.status(), execution, phase, store);
    if let (OutputStore::ConfigMap, Some(output)) = (store, &execution.output) {
        store_output(work, ctx, output).await?;
    }
    let reason = ended_reason(phase);
    let message = match (&execution.error, &execution.cause) {
        (None, None) => format!("The execution ended {phase:?}."),
        (error, cause) => {
            let state =
                work.status().failed_state.as_ref().map(|name| format!(" in state \"{name}\"")).unwrap_or_default();
            format!(
                "The execution ended {phase:?}{state}: {}: {}",
                error.as_deref().unwrap_or("no error name"),
                cause.as_deref().unwrap_or("no cause")
            )
        }
    };
    work.conditions(|conditions| run_result::ended(conditions, phase, reason, &message));
    Ok(())
}

/// Keeps the output in `<run>-output`; a ConfigMap of that name that is not the run's own is left alone.
async fn store_output(work: &mut Work<WorkflowRun>, ctx: &Context, output: &str) -> Result<(), Failure> {
    fenced(ctx)?;
    let name = format!("{}-output", work.object.name_any());
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
    let stored = match api.create(&parameters, &map).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let existing = api.get_opt(&name).await.map_err(|error| api_failure(&error))?;
            let uid = work.object.uid();
            existing.is_some_and(|map| map.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()))
        }
        Err(error) => return Err(api_failure(&error)),
    };
    work.conditions(|conditions| {
        if stored {
            conditions.set("OutputStored", Truth::True, "Stored", &format!("The output is in ConfigMap \"{name}\", key output.json."));
        } else {
            let message = format!("ConfigMap \"{name}\" exists and does not belong to this run; it was left alone and the output was not stored.");
            conditions.set("OutputStored", Truth::False, "ConfigMapExists", &message);
        }
    });
    Ok(())
}

/// Writes the answer of a synchronous start. It exists nowhere else, so it is offered until it is taken.
pub(super) async fn record_sync(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>, answer: Result<Execution, AwsError>) {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    for attempt in 1..=RECORD_TRIES {
        let written = write_sync(work, ctx, answer.clone()).await;
        let Err(failure) = written else { return };
        tracing::warn!(
            reason = failure.reason,
            message = failure.message,
            attempt,
            "cannot record the result of a synchronous start yet"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        match api.get_opt(&work.object.name_any()).await {
            Ok(Some(fresh)) if fresh.uid() == work.object.uid() => *work = Work::new(fresh),
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

async fn write_sync(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    answer: Result<Execution, AwsError>,
) -> Result<(), Failure> {
    match answer {
        Ok(execution) => {
            let phase = final_phase(execution.status);
            mark_started(work, execution.arn.clone(), execution.started_at);
            record(work, ctx, &execution, phase).await?;
        }
        Err(error) => {
            if let Err(failure) = express_failed(work, error) {
                work.conditions(|conditions| {
                    conditions.failed(&failure);
                });
            }
        }
    }
    work.write(ctx).await
}
