//! The status of a run. It is written here alone: by what is recorded before AWS is asked, and by what AWS has answered or
//! shown, of which only `calls` has the values.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::Api;

use super::calls::{Redriven, Shown, Started};
use crate::api::v1alpha1::{
    Attempt, OutputStore, Phase, RunApproval, StopIntent, StopRequest, Timeline, WorkflowRun, WorkflowRunStatus,
};
use crate::cause::Cause;
use crate::controllers::Context;
use crate::controllers::runner::{Done, Work};
use crate::kube::api_failure;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::refusal::{self, Refused};
use crate::plan::retry;
use crate::plan::run_result::{self, console_url};
use crate::reason::Reason;
use crate::runs::OUTPUT_STORED;
use crate::status::{Conditions, RECONCILING, STALLED, Truth};

/// A run under work. Whoever has it reads it as it is known; its status is changed by the methods here.
pub(super) struct Run<'a> {
    work: &'a mut Work<WorkflowRun>,
    pub(super) ctx: &'a Arc<Context>,
}

/// An attempt that the API server has: nothing is started or redriven without one.
pub(super) struct Recorded(Attempt);

impl Deref for Recorded {
    type Target = Attempt;

    fn deref(&self) -> &Attempt {
        &self.0
    }
}

impl Deref for Run<'_> {
    type Target = WorkflowRun;

    fn deref(&self) -> &WorkflowRun {
        &self.work.object
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(work: &'a mut Work<WorkflowRun>, ctx: &'a Arc<Context>) -> Self {
        Self { work, ctx }
    }

    pub(super) fn work(&self) -> &Work<WorkflowRun> {
        self.work
    }

    pub(super) fn cause(&self) -> &Arc<Cause> {
        &self.work.cause
    }

    pub(super) fn namespace(&self) -> String {
        self.work.namespace()
    }

    pub(super) fn uid(&self) -> String {
        self.work.object.uid().unwrap_or_default()
    }

    /// What is known of it.
    pub(super) fn known(&self) -> WorkflowRunStatus {
        self.status.clone().unwrap_or_default()
    }

    pub(super) fn is_over(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or_default().is_finished()
    }

    /// Goes on with the run as the API server has it.
    pub(super) fn renew(&mut self, fresh: WorkflowRun) {
        *self.work = Work::new(fresh);
    }

    /// Keeps the object until this lets it go.
    pub(super) async fn hold(&mut self) -> Result<(), Failure> {
        self.work.add_finalizer(self.ctx).await
    }

    /// Writes what was told.
    pub(super) async fn write(&mut self) -> Result<(), Failure> {
        self.work.write(self.ctx).await
    }
}

/// What is recorded before AWS is asked, and what a run says while it waits.
impl Run<'_> {
    /// Nothing of it was started.
    pub(super) fn pending(&mut self) {
        self.work.status().phase = Some(Phase::Pending);
    }

    /// It waits for its turn, or for what it says. One that waits in line does as if AWS had never refused it, so that its
    /// position is kept.
    pub(super) fn waits_in_line(&mut self) {
        if !self.is_over() {
            let status = self.work.status();
            (status.refusal, status.attempts) = (None, Vec::new());
        }
    }

    /// Says what it waits for.
    pub(super) fn waits(&mut self, reason: Reason, message: &str) {
        self.work.conditions(|conditions| {
            conditions.progressing(reason, message);
        });
    }

    /// Who asked for it, as far as that can be believed.
    pub(super) fn asked_for_by(&mut self, user: Option<String>) {
        self.work.status().requested_by = user;
    }

    /// The Approval that it has asked for.
    pub(super) fn asks_approval(&mut self, approval: RunApproval) {
        self.work.status().approval = Some(approval);
    }

    /// Who has approved what is about to start.
    pub(super) fn approved_by(&mut self, user: String) {
        self.work.status().approved_by = Some(user);
    }

    /// The session in which it starts.
    pub(super) fn starts_in(&mut self, session_name: String) {
        self.work.status().session_name = Some(session_name);
    }

    /// The first attempt. Refused where the watch has shown an older run than the API server has, one that was started or
    /// cancelled meanwhile.
    pub(super) async fn record_first(&mut self, attempt: Attempt) -> Result<Recorded, Failure> {
        let copied_along = self.redrive_asked().map(str::to_owned);
        let status = self.work.status();
        status.phase = Some(Phase::Starting);
        status.attempts = vec![attempt.clone()];
        status.last_handled.redrive = copied_along;
        // What AWS refused last stays told until it takes the start.
        if status.refusal.is_none() {
            self.waits(Reason::Starting, "The execution is being started.");
        }
        self.write().await?;
        Ok(Recorded(attempt))
    }

    /// A further attempt and, where somebody asked for it, that this was handled: in one write, and not before all that it needs
    /// is there.
    pub(super) async fn record_next(&mut self, attempt: Attempt, asked: Option<String>) -> Result<Recorded, Failure> {
        let message = format!("Attempt {} is being started.", attempt.number);
        self.hold().await?;
        let status = self.work.status();
        retry::begin(status, attempt.clone());
        if asked.is_some() {
            status.last_handled.redrive = asked;
        }
        let refused = status.refusal.is_some();
        self.work.conditions(|conditions| {
            not_ended(conditions);
            if !refused {
                conditions.progressing(Reason::Starting, &message);
            }
        });
        self.write().await?;
        Ok(Recorded(attempt))
    }

    /// That the watch shows the run as the API server has it.
    pub(super) async fn is_current(&self) -> Result<(), Failure> {
        let api = Api::<WorkflowRun>::namespaced(self.ctx.client.clone(), &self.namespace());
        let fresh = api.get_metadata(&self.name_any()).await.map_err(|error| api_failure(&error))?;
        if fresh.resource_version() != self.resource_version() {
            return Err(Failure::new(Class::Conflict, Reason::Conflict, "the run was changed meanwhile"));
        }
        Ok(())
    }

    /// An attempt that was recorded by a process which did not come to write what became of it. The watch may show it although the
    /// answer is written already; then nothing is to be resumed.
    pub(super) async fn recorded(&self, attempt: Attempt) -> Result<Recorded, Failure> {
        self.is_current().await?;
        Ok(Recorded(attempt))
    }

    /// That a redrive which somebody asked for is not made.
    pub(super) async fn record_no_redrive(&mut self) -> Result<(), Failure> {
        let token = self.redrive_asked().map(str::to_owned);
        self.work.status().last_handled.redrive = token;
        self.write().await
    }

    /// The intent to stop, which decides the phase at the end.
    pub(super) async fn record_stop(&mut self, intent: StopIntent, by: Option<String>) -> Result<(), Failure> {
        self.stops(intent, by);
        self.tell_stop();
        self.write().await
    }

    /// It was cancelled while nothing of it ran, so there is nothing to stop.
    pub(super) fn cancelled(&mut self, by: Option<String>) {
        self.stops(StopIntent::Cancel, by);
    }

    fn stops(&mut self, intent: StopIntent, by: Option<String>) {
        let recorded_at = Time(Timestamp::now());
        self.work.status().stop = Some(StopRequest { intent, recorded_at, requested_by: by });
    }

    /// Says of a run that is to end why and for whom, until AWS shows its end.
    fn tell_stop(&mut self) {
        let Some(stop) = self.work.status().stop.clone() else { return };
        let message = match (stop.intent, stop.requested_by) {
            (StopIntent::Cancel, Some(user)) => format!("The execution is being stopped: {user} set spec.cancel."),
            (StopIntent::Cancel, None) => "The execution is being stopped: spec.cancel was set.".to_owned(),
            (StopIntent::Timeout, _) => "The execution is being stopped: spec.timeout has passed.".to_owned(),
        };
        self.waits(Reason::Stopping, &message);
    }

    /// What AWS refused of the last attempt. Gives the pause until it is asked for again.
    pub(super) fn refused(&mut self, refused: Refused) -> Duration {
        refusal::record(self.work.status(), refused)
    }

    /// Nothing of this run can run under a name that is another's.
    pub(super) fn not_refused(&mut self) {
        self.work.status().refusal = None;
    }

    /// It ends without an execution that is known.
    pub(super) fn ends_unstarted(&mut self, phase: Phase, reason: Reason, message: &str) -> Done {
        let status = self.work.status();
        status.phase = Some(phase);
        status.finished_at = Some(Time(Timestamp::now()));
        status.refusal = None;
        self.work.conditions(|conditions| run_result::ended(conditions, phase, reason, message));
        Done::released()
    }

    /// A change of a run that is over is looked at too, and kstatus wants to know.
    pub(super) fn looked_at(&mut self) {
        self.work.conditions(|_| {});
    }
}

fn not_ended(conditions: &mut Conditions) {
    for kind in ["Finished", "Complete", "Failed", STALLED, RECONCILING] {
        conditions.remove(kind);
    }
}

/// What AWS has answered or shown.
impl Run<'_> {
    /// It runs.
    pub(super) fn runs(&mut self, started: Started, adopted: bool) {
        let (arn, at) = started.parts();
        let status = self.work.status();
        status.phase = Some(Phase::Running);
        status.console_url = Some(console_url(&arn));
        status.execution_arn = Some(arn);
        status.started_at.get_or_insert(Time(at));
        status.adopted = adopted;
        status.refusal = None;
        self.work.conditions(|conditions| {
            conditions.set("Started", Truth::True, Reason::ExecutionStarted, "AWS has started the execution.");
            conditions.progressing(Reason::Running, "The execution runs.");
        });
    }

    /// It was handed to an Express state machine, which tells nothing of its end.
    pub(super) fn dispatched(&mut self, started: Started) -> Done {
        self.runs(started, false);
        let message = "Handed to an Express state machine; AWS tells nothing of its end.";
        self.ends_unstarted(Phase::Dispatched, Reason::Dispatched, message)
    }

    /// It was handed to an Express state machine, whose log will tell of its end.
    pub(super) fn is_logged(&mut self, started: Started, group: &str) {
        self.runs(started, false);
        self.work.status().log_group_arn = Some(group.to_owned());
        self.waits_for_log(group);
    }

    /// Its end is not in the log yet. AWS stops no Express execution, so nobody can end it before.
    pub(super) fn waits_for_log(&mut self, group: &str) {
        let mut message = format!("The execution runs; its end is looked for in the log group {group}.");
        if self.spec.cancel.is_some() {
            message +=
                " AWS stops no Express execution, so spec.cancel does not end it; it takes five minutes at most.";
        }
        self.waits(Reason::Running, &message);
    }

    /// It goes on from where it failed.
    pub(super) fn goes_on(&mut self, redriven: &Redriven) {
        let status = self.work.status();
        (status.phase, status.refusal) = (Some(Phase::Running), None);
        let message = format!("The execution goes on from where it failed, by redrive {}.", redriven.count());
        self.waits(Reason::Running, &message);
    }

    /// It has shown no end. `changed` says that its input is another than that with which it was started.
    pub(super) fn still_runs(&mut self, changed: bool) {
        self.tell_stop();
        let status = self.work.status();
        let (stops, adopted) = (status.stop.is_some(), status.adopted);
        let running = if adopted && self.spec.cancel.is_some() {
            "The execution runs. It is not of this run, so spec.cancel does not stop it; stop it in AWS."
        } else {
            "The execution runs."
        };
        self.work.conditions(|conditions| {
            if !stops {
                conditions.progressing(Reason::Running, running);
            }
            if changed {
                let message =
                    "spec.input was changed after the start; the execution runs with the input it was started with.";
                conditions.set("InputChanged", Truth::True, Reason::IgnoredAfterStart, message);
            }
        });
    }

    /// In which states it is, and how many percent of its items a Map has finished; `None` where nobody watches.
    pub(super) fn progress(&mut self, at: Option<(Vec<String>, Option<i64>)>) {
        match at {
            Some((states, percent)) => run_result::tell_progress(self.work.status(), states, percent),
            None => run_result::forget_progress(self.work.status()),
        }
    }

    /// The state in which it failed.
    pub(super) fn failed_in(&mut self, state: Option<String>) {
        self.work.status().failed_state = state;
    }

    /// What its execution did, state by state.
    pub(super) fn did(&mut self, timeline: Timeline) {
        self.work.status().timeline = Some(timeline);
    }

    /// The end of an attempt.
    pub(super) fn attempt_ended(&mut self, shown: &Shown) {
        run_result::forget_progress(self.work.status());
        retry::close_attempt(self.work.status(), shown);
        run_result::record_redrive(self.work.status(), shown);
    }

    /// It waits for its next attempt.
    pub(super) fn retries(&mut self, shown: &Shown, phase: Phase, at: Timestamp, now: Timestamp) -> Done {
        let status = self.work.status();
        status.phase = Some(Phase::Pending);
        status.retry_at = Some(Time(at));
        run_result::record_failure(status, shown);
        let next = status.attempts.last().map_or(0, |attempt| attempt.number) + 1;
        let message = format!("{} Attempt {next} begins at {}.", what_happened(status, shown, phase), seconds(at));
        self.waits(Reason::RetryScheduled, &message);
        Done::again(Requeue::After(Duration::try_from(at.duration_since(now)).unwrap_or_default()))
    }

    /// A recorded redrive that AWS does not make.
    pub(super) fn not_redriven(&mut self, shown: &Shown, why: &str) {
        let status = self.work.status();
        run_result::record_redrive(status, shown);
        if let Some(redrive) = &mut status.redrive {
            (redrive.possible, redrive.reason) = (false, Some(why.to_owned()));
        }
    }

    /// Its end, with output or error, as far as the status holds them.
    pub(super) fn result(&mut self, shown: &Shown, phase: Phase) {
        let store: OutputStore = self.spec.output.store;
        run_result::record(self.work.status(), shown, phase, store);
        run_result::forget_progress(self.work.status());
    }

    /// Says how it has ended, and where one might have expected another attempt why there is none.
    pub(super) fn ended(&mut self, shown: &Shown, phase: Phase, not_tried_again: Option<&str>) {
        let mut message = what_happened(self.work.status(), shown, phase);
        if let Some(why) = not_tried_again {
            message = format!("{message} It is not tried again: {why}.");
        }
        self.work.conditions(|conditions| run_result::ended(conditions, phase, run_result::reason_of(phase), &message));
    }

    /// Whether its output was stored, or `None` where there is nothing to say of it.
    pub(super) fn output_stored(&mut self, told: Option<(Truth, Reason, &str)>) {
        self.work.conditions(|conditions| {
            match told {
                Some((truth, reason, message)) => conditions.set(OUTPUT_STORED, truth, reason, message),
                None => conditions.remove(OUTPUT_STORED),
            };
        });
    }
}

fn what_happened(status: &WorkflowRunStatus, shown: &Shown, phase: Phase) -> String {
    if shown.error.is_none() && shown.cause.is_none() {
        return format!("The execution ended {phase:?}.");
    }
    let state = status.failed_state.as_ref().map(|name| format!(" in state \"{name}\"")).unwrap_or_default();
    let (error, cause) = (shown.error.as_deref(), shown.cause.as_deref().map(run_result::bounded_cause));
    format!(
        "The execution ended {phase:?}{state}: {}: {}",
        error.unwrap_or("no error name"),
        cause.as_deref().unwrap_or("no cause")
    )
}

/// A time to the second, as people read it.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
