//! WorkflowRun: starts an execution once and watches it to its end. This says what comes next; the files below do it, and each
//! knows only those below it.

mod abandon;
mod admission;
mod approval;
mod attempt;
mod calls;
mod end;
mod finished;
mod input;
mod logged;
mod observe;
mod output;
mod own;
mod progress;
mod refusal;
mod result;
mod session;
mod start;
mod stop;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use super::runner::{Done, EventWhenReady, Managed, Work};
use super::{Context, Needed, measure};
use crate::api::v1alpha1::{Phase, WorkflowRun, WorkflowRunStatus};
use crate::metrics::Metrics;
use crate::outcome::{Failure, Requeue};
use crate::plan::approval::approval_name;
use crate::plan::run::Step;
use crate::runs::{is_settled, owes_output};
use result::Run;

/// How often a run whose start is waited for is looked at.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// When the next step is taken of a run of which something is due.
const DUE: Duration = Duration::from_secs(1);

/// A run that has started is not helped by a change of its Workflow or input; one that AWS refuses may be.
pub(super) fn waits_for_start(run: &WorkflowRun) -> bool {
    run.status.as_ref().is_none_or(|status| status.awaits_start() || status.refusal.is_some())
}

#[async_trait::async_trait]
impl Managed for WorkflowRun {
    type Status = WorkflowRunStatus;
    const KIND: &'static str = "WorkflowRun";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Never;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        let done = step(&mut Run::new(work, ctx)).await.map(|done| look_again(&work.object, done));
        let run = &work.object;
        let status = run.status.as_ref();
        let over = status.and_then(|status| status.phase).unwrap_or_default().is_finished();
        let gone = run.meta().deletion_timestamp.is_some() && done.as_ref().is_ok_and(|done| done.release);
        // One that is to go on keeps the slot that it was given for that.
        if gone || over && !run.wants_redrive() {
            ctx.watches.end(run);
        } else if done.is_err() && status.is_none_or(WorkflowRunStatus::awaits_start) {
            ctx.watches.give_slot_back(run);
        }
        done
    }

    fn status_field(&mut self) -> &mut Option<WorkflowRunStatus> {
        &mut self.status
    }

    fn ended_as_asked(&self) -> bool {
        self.spec.cancel.is_some() && self.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Aborted))
    }

    fn needs(&self) -> Vec<Needed> {
        let refused = self.status.as_ref().filter(|status| status.refusal.is_some());
        let refused_to =
            refused.and_then(|status| status.attempts.last()).map(|attempt| attempt.trust_binding_name.clone());
        let mut needs: Vec<Needed> = refused_to.into_iter().map(Needed::TrustBinding).collect();
        let last = self.status.as_ref().and_then(|status| status.attempts.last());
        let next = match last {
            Some(last) if self.wants_redrive() => Some(last.number + 1),
            _ => waits_for_start(self).then_some(1),
        };
        // Known before there is one, so that whoever decides in that moment wakes it too.
        let uid = self.meta().uid.clone().unwrap_or_default();
        needs.extend(next.map(|attempt| Needed::Approval(approval_name(&self.name_any(), &uid, attempt))));
        if waits_for_start(self) {
            needs.push(Needed::Workflow(self.spec.workflow_ref.name.clone()));
            let input = self.spec.input_from.iter().map(|from| from.config_map_key_ref.name.clone());
            needs.extend(input.map(Needed::ConfigMap));
        }
        needs
    }

    fn gone(object: &Self, ctx: &Context) {
        let arn = object.status.as_ref().and_then(|status| status.execution_arn.as_ref());
        // Of a run that is settled nothing is followed any more.
        if let Some(arn) = arn.filter(|_| !is_settled(object)) {
            ctx.tracker.forget(arn);
        }
    }

    fn common(status: &mut WorkflowRunStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }

    fn measure(object: &Self, before: Option<&WorkflowRunStatus>, after: &WorkflowRunStatus, metrics: &Metrics) {
        measure::run(object, before, after, metrics);
    }
}

/// What was asked for while a step was taken is done next: the watch told it before that step, and our own writes of its
/// status wake nobody.
fn look_again(run: &WorkflowRun, done: Done) -> Done {
    let done = progress::look_again_soon(run, done);
    let is_due = !done.release && run.meta().deletion_timestamp.is_none() && finished::next(run).is_due();
    if is_due { Done { requeue: Requeue::After(DUE), ..done } } else { done }
}

/// The next step of the run.
async fn step(run: &mut Run<'_>) -> Result<Done, Failure> {
    if run.meta().deletion_timestamp.is_some() {
        return stop::delete(run).await;
    }
    if run.ctx.is_in_flight(&run.uid()) {
        return Ok(Done::again(Requeue::After(IN_FLIGHT)));
    }
    let mut next = finished::next(run);
    if next.answers_redrive() {
        next = finished::decide_anew(run).await?;
    }
    if let Some(later) = refusal::holds(run, &next).await? {
        return Ok(later);
    }
    match next {
        Step::Finished if owes_output(run) => observe::read_output(run).await,
        Step::Finished => finished::rest(run).await,
        Step::EndUnstarted(phase, reason, message) => stop::end_unstarted(run, phase, reason, &message).await,
        Step::Prepare => attempt::first(run).await,
        Step::Resume(recorded) => start::resume(run, recorded).await,
        Step::AbandonStart(recorded) => abandon::a_start(run, recorded).await,
        Step::AbandonRedrive(recorded) => abandon::a_redrive(run, recorded).await,
        Step::Redrive(recorded) => attempt::resume_redrive(run, recorded).await,
        Step::WaitForRetry(at) => {
            let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
            Ok(Done::again(Requeue::After(left)))
        }
        Step::Retry => attempt::retry(run).await,
        Step::RecordRedrive => attempt::redrive_as_asked(run).await,
        Step::RefuseRedrive(why) => attempt::refuse(run, &why).await,
        Step::RecordStop(intent) => stop::record(run, intent).await,
        Step::Stop(arn, intent) => stop::stop(run, &arn, intent).await,
        Step::ReadLog(group) => logged::look(run, &group).await,
        Step::Observe(arn) => {
            let looks = session::looks(run).await?;
            observe::observe(run, &looks, &arn).await
        }
    }
}

#[cfg(test)]
mod tests;
