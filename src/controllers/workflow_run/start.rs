//! The start: recorded before it is asked of AWS, and then safe to repeat or never repeated.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::Api;

use super::{Context, admit, end, observe, own, refusal, workflow_and_binding};
use crate::api::v1alpha1::{
    Attempt, AttemptCause, Phase, RunMode, StateMachineType, Workflow, WorkflowRun, WorkflowRunSpec, WorkflowRunStatus,
};
use crate::aws::{AwsError, AwsErrorKind, Caller, StartExecution};
use crate::controllers::dereference::{Authorization, ReadFor, config_map_value, session_as};
use crate::controllers::runner::{Done, Work, api_failure, fenced};
use crate::digest::sha256_hex;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::guardrail::Rule;
use crate::plan::ownership::mark;
use crate::plan::retry::check_mode;
use crate::plan::run;
use crate::plan::run_result::{self, console_url};
use crate::plan::target::target;
use crate::reason::Reason;
use crate::status::Truth;

/// What a start needs.
struct Resolved {
    workflow: Workflow,
    binding: Arc<Authorization>,
    rules: Vec<Rule>,
    target_arn: String,
    input: String,
}

/// Resolves everything, waits for its turn, records the attempt and starts.
pub(super) async fn prepare(work: &mut Work<WorkflowRun>, ctx: &Arc<Context>) -> Result<Done, Failure> {
    work.status().phase = Some(Phase::Pending);
    let resolved = match resolve(work, ctx).await.and_then(|resolved| with_its_name(work, ctx, resolved)) {
        Ok(resolved) => resolved,
        Err(failure) => {
            if failure.class != Class::Conflict {
                ctx.watches.step_aside(&work.object);
            }
            return Err(failure);
        }
    };
    if let Some(later) = admit::in_line(work, ctx, &resolved.workflow).await {
        return Ok(later);
    }
    let caller = match admitted(work, ctx, &resolved).await {
        Ok(Ok(caller)) => caller,
        Ok(Err(later)) => return Ok(later),
        Err(failure) => {
            if failure.class != Class::Conflict {
                ctx.watches.step_aside(&work.object);
            }
            return Err(failure);
        }
    };
    let attempt = first_attempt(work, &resolved);
    let copied_along = work.object.redrive_asked().map(str::to_owned);
    let status = work.status();
    status.phase = Some(Phase::Starting);
    status.attempts = vec![attempt.clone()];
    status.last_handled.redrive = copied_along;
    // What AWS refused last stays told until it takes the start.
    if status.refusal.is_none() {
        work.conditions(|conditions| {
            conditions.progressing(Reason::Starting, "The execution is being started.");
        });
    }
    // Refused where the watch has shown an older run than the API server has, one that was started or cancelled meanwhile.
    work.write(ctx).await?;
    start(work, ctx, resolved.workflow.spec.machine_type, caller, &attempt, &resolved.input).await
}

/// Who starts the run whose turn it is; or when to look again.
async fn admitted(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    resolved: &Resolved,
) -> Result<Result<Caller, Done>, Failure> {
    work.add_finalizer(ctx).await?;
    if let Some(later) = admit::waits(work, ctx, &resolved.rules).await {
        return Ok(Err(later));
    }
    admit::session_of_requester(work, ctx, &resolved.binding.binding, &resolved.target_arn).await.map(Ok)
}

fn with_its_name(work: &Work<WorkflowRun>, ctx: &Context, resolved: Resolved) -> Result<Resolved, Failure> {
    own::claim(work, ctx, resolved.workflow.spec.machine_type, &resolved.target_arn)?;
    Ok(resolved)
}

/// The first attempt. One that AWS has refused keeps the time at which it was first recorded.
fn first_attempt(work: &mut Work<WorkflowRun>, resolved: &Resolved) -> Attempt {
    let uid = work.object.uid().unwrap_or_default();
    let execution_name = work.object.spec.execution_name.clone().unwrap_or(uid);
    let status = work.status();
    let recorded_at = status.attempts.first().map(|refused| refused.recorded_at.clone());
    Attempt {
        number: 1,
        execution_name,
        target_arn: resolved.target_arn.clone(),
        trust_binding_name: resolved.workflow.spec.trust_binding_ref.name.clone(),
        input_digest: sha256_hex(resolved.input.as_bytes()),
        recorded_at: recorded_at.unwrap_or_else(|| Time(Timestamp::now())),
        redrive_count: 0,
        cause: AttemptCause::Run,
        requested_by: status.requested_by.clone(),
        finished_at: None,
        error: None,
    }
}

async fn resolve(work: &mut Work<WorkflowRun>, ctx: &Context) -> Result<Resolved, Failure> {
    let (workflow, binding) = workflow_and_binding(work, ctx).await?;
    let target_arn = target(&workflow, &work.object.spec.workflow_ref)?;
    let rules = admit::allowed(work, ctx, &workflow, &binding, &target_arn).await?;
    check_mode(&work.object.spec, workflow.spec.machine_type)?;
    let input = input(work, ctx).await?;
    Ok(Resolved { workflow, binding, rules, target_arn, input })
}

/// Starts a recorded attempt.
pub(super) async fn start(
    work: &mut Work<WorkflowRun>,
    ctx: &Arc<Context>,
    machine_type: StateMachineType,
    caller: Caller,
    attempt: &Attempt,
    input: &str,
) -> Result<Done, Failure> {
    match (machine_type, work.object.spec.mode) {
        (StateMachineType::Standard, _) => start_standard(work, ctx, &caller, attempt, input, None).await,
        (StateMachineType::Express, RunMode::Async) => dispatch(work, ctx, &caller, attempt, input).await,
        (StateMachineType::Express, RunMode::Sync) => Ok(start_sync(work, ctx, caller, attempt, input)),
    }
}

/// An attempt was recorded, and the process that recorded it did not come to write what became of it.
pub(super) async fn resume(
    work: &mut Work<WorkflowRun>,
    ctx: &Arc<Context>,
    attempt: Attempt,
) -> Result<Done, Failure> {
    still_as_seen(work, ctx).await?;
    let (workflow, found) = workflow_and_binding(work, ctx).await?;
    if workflow.spec.machine_type == StateMachineType::Express {
        let message = "The operator ended between recording the start and its answer. An Express start is never repeated, so whether it ran is not known; look at the state machine's logs.";
        return Ok(super::end_unstarted(work, Phase::Failed, Reason::OutcomeUnknown, message));
    }
    let input = input(work, ctx).await?;
    let refused = match admit::allowed(work, ctx, &workflow, &found, &attempt.target_arn).await {
        Ok(_) => None,
        Err(failure) if matches!(failure.class, Class::Conflict | Class::Transient) => return Err(failure),
        Err(failure) => Some(failure),
    };
    if refused.is_none() && sha256_hex(input.as_bytes()) == attempt.input_digest {
        // As whom the start was recorded, so that its repeat is the same call.
        let requester = attempt.requested_by.clone();
        let purpose = Purpose::Run(run::machine_name(&attempt.target_arn).unwrap_or_default());
        let caller =
            session_as(ctx, &work.cause, &work.namespace(), &found.binding.name_any(), &purpose, requester).await?;
        let unanswered = Some(attempt.recorded_at.0);
        return start_standard(work, ctx, &caller, &attempt, &input, unanswered).await;
    }
    // Neither what is refused by now nor another input is started under the recorded attempt; what it had started may be there.
    let sees = super::session(work, ctx).await?;
    if !run::may_be_invisible(attempt.recorded_at.0, Timestamp::now())
        && ctx.executions.describe_execution(&sees, &run::execution_arn(&attempt)).await?.is_none()
    {
        if let Some(failure) = refused {
            return Err(failure);
        }
        let message = "The input was changed after the start was recorded, and AWS shows no execution; it was not started with another input. Create another run.";
        return Ok(super::end_unstarted(work, Phase::Failed, Reason::InputChanged, message));
    }
    Box::pin(own::take(work, ctx, &attempt, None)).await
}

pub(super) async fn input(work: &Work<WorkflowRun>, ctx: &Context) -> Result<String, Failure> {
    let spec = &work.object.spec;
    run::check_source(spec)?;
    let text = match (&spec.input, &spec.input_from) {
        (Some(value), _) => value.to_string(),
        (None, Some(from)) => {
            config_map_value(ctx, &work.namespace(), &from.config_map_key_ref, ReadFor::Input).await?
        }
        (None, None) => "{}".to_owned(),
    };
    run::check_input(&text)?;
    Ok(text)
}

/// True when the object's own input is not the one that the execution was started with.
pub(super) fn inline_input_changed(spec: &WorkflowRunSpec, status: &WorkflowRunStatus) -> bool {
    let inline = spec.input.as_ref().map(|value| sha256_hex(value.to_string().as_bytes()));
    let recorded = status.attempts.last().map(|attempt| &attempt.input_digest);
    inline.is_some() && inline.as_ref() != recorded
}

/// The watch may show an attempt whose answer is written already; then nothing is to be resumed.
pub(super) async fn still_as_seen(work: &Work<WorkflowRun>, ctx: &Context) -> Result<(), Failure> {
    let api = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &work.namespace());
    let fresh = api.get_metadata(&work.object.name_any()).await.map_err(|error| api_failure(&error))?;
    if fresh.resource_version() != work.object.resource_version() {
        return Err(Failure::new(Class::Conflict, Reason::Conflict, "the run was changed meanwhile"));
    }
    Ok(())
}

fn request(work: &Work<WorkflowRun>, attempt: &Attempt, input: &str) -> StartExecution {
    StartExecution {
        target_arn: attempt.target_arn.clone(),
        name: attempt.execution_name.clone(),
        input: input.to_owned(),
        trace_root: mark(&work.object.uid().unwrap_or_default(), attempt),
    }
}

/// Safe to repeat: AWS answers a repeat of a running execution with the first answer, and refuses one that has closed.
/// `unanswered` is since when an earlier call may have started it.
async fn start_standard(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    caller: &Caller,
    attempt: &Attempt,
    input: &str,
    unanswered: Option<Timestamp>,
) -> Result<Done, Failure> {
    fenced(ctx)?;
    let request = request(work, attempt, input);
    match ctx.executions.start_execution(caller, &request).await {
        Ok(answer) if own::by_name(work, attempt) => started(work, answer.arn, answer.started_at, false),
        Err(error) if error.kind != AwsErrorKind::ExecutionExists => {
            return Err(refusal::record(work, ctx, error, unanswered).await);
        }
        Ok(_) | Err(_) => return Box::pin(own::take(work, ctx, attempt, Some(input))).await,
    }
    work.write(ctx).await?;
    Ok(observe::follow(work, ctx))
}

pub(super) fn started(work: &mut Work<WorkflowRun>, arn: String, at: Timestamp, adopted: bool) {
    let status = work.status();
    status.phase = Some(Phase::Running);
    status.console_url = Some(console_url(&arn));
    status.execution_arn = Some(arn);
    status.started_at.get_or_insert(Time(at));
    status.adopted = adopted;
    status.refusal = None;
    work.conditions(|conditions| {
        conditions.set("Started", Truth::True, Reason::ExecutionStarted, "AWS has started the execution.");
        conditions.progressing(Reason::Running, "The execution runs.");
    });
}

/// Fire and forget: AWS tells nothing of an Express execution after its start.
async fn dispatch(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    caller: &Caller,
    attempt: &Attempt,
    input: &str,
) -> Result<Done, Failure> {
    fenced(ctx)?;
    let request = request(work, attempt, input);
    match ctx.executions.start_execution(caller, &request).await {
        Ok(answer) => {
            started(work, answer.arn, answer.started_at, false);
            let message = "Handed to an Express state machine; AWS tells nothing of its end.";
            let done = super::end_unstarted(work, Phase::Dispatched, Reason::Dispatched, message);
            Ok(done)
        }
        Err(error) => express_failed(work, ctx, error).await,
    }
}

/// A refusal means that nothing ran, so it is asked for again; no answer means that nobody knows.
pub(super) async fn express_failed(
    work: &mut Work<WorkflowRun>,
    ctx: &Context,
    error: AwsError,
) -> Result<Done, Failure> {
    if error.kind == AwsErrorKind::Unavailable {
        let message = format!(
            "AWS gave no answer to the start ({}). An Express start is never repeated, so whether it ran is not known; look at the state machine's logs.",
            error.code
        );
        return Ok(super::end_unstarted(work, Phase::Failed, Reason::OutcomeUnknown, &message));
    }
    Err(refusal::record(work, ctx, error, None).await)
}

/// Takes up to five minutes, so it runs beside the reconcile. A process that finds the attempt recorded and has no such
/// call under way reports `OutcomeUnknown`.
fn start_sync(
    work: &mut Work<WorkflowRun>,
    ctx: &Arc<Context>,
    caller: Caller,
    attempt: &Attempt,
    input: &str,
) -> Done {
    const LOOKS_AGAIN: Duration = Duration::from_secs(60);
    let uid = work.object.uid().unwrap_or_default();
    let again = Done::again(Requeue::After(LOOKS_AGAIN));
    if !ctx.begin_flight(&uid) {
        return again;
    }
    let (ctx, run, request) = (ctx.clone(), work.object.clone(), request(work, attempt, input));
    tokio::spawn(async move {
        let key = (run.namespace().unwrap_or_default(), run.name_any());
        if fenced(&ctx).is_ok() {
            let answer = ctx.executions.start_sync_execution(&caller, &request).await;
            end::record_sync(run, &ctx, answer).await;
        }
        ctx.end_flight(&uid);
        ctx.tracker.wake(&key.0, &key.1);
    });
    again
}

/// Ends a run whose execution was waited for in the call itself.
pub(super) fn ended_reason(phase: Phase) -> Reason {
    match phase {
        Phase::Succeeded => Reason::Succeeded,
        Phase::TimedOut => Reason::TimedOut,
        Phase::Aborted => Reason::Aborted,
        Phase::Dispatched => Reason::Dispatched,
        _ => Reason::ExecutionFailed,
    }
}

/// Marks the run as started by a call that has already come back.
pub(super) fn mark_started(work: &mut Work<WorkflowRun>, arn: String, at: Timestamp) {
    started(work, arn, at, false);
}

/// The phase of an execution that has ended.
pub(super) fn final_phase(status: crate::aws::ExecutionStatus) -> Phase {
    run_result::phase_of(status, None).unwrap_or(Phase::Failed)
}
