//! A run of an Express state machine whose end is read from the log: AWS tells it nowhere else. It is looked for by the tracker,
//! together with the ends of all others that log there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::calls::{self, Seen};
use super::end;
use super::result::Run;
use super::session::binding_name;
use crate::api::v1alpha1::{Workflow, WorkflowRunStatus};
use crate::controllers::runner::Done;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::{express_log, needs, run_result};
use crate::reason::Reason;
use crate::runs::{Followed, MachineKey};

/// The tracker wakes a run when its end was found, or comes no more. This is for what no one foresaw.
const LONGEST: Duration = Duration::from_secs(600);

/// AWS has taken the start: the run ends with it, or waits for its end where its Workflow wants that.
pub(super) async fn handed_over(
    run: &mut Run<'_>,
    workflow: &Workflow,
    started: calls::Started,
) -> Result<Done, Failure> {
    let Some(group) = needs::results_from(&workflow.spec) else { return Ok(run.dispatched(started)) };
    run.is_logged(started, group);
    run.write().await?;
    let status = run.known();
    Ok(wait(run, &status, group))
}

/// Takes in the end that was found, or has it looked for.
pub(super) async fn look(run: &mut Run<'_>, group: &str) -> Result<Done, Failure> {
    let status = run.known();
    let followed = followed(run, &status, group);
    match calls::seen(run.ctx, &followed) {
        Seen::Logged(shown, lacks) => {
            let phase = run_result::phase_at_the_end(shown.status);
            return end::logged(run, &shown, phase, lacks).await;
        }
        Seen::Missing => {
            let (phase, message) = express_log::unknown(group);
            return Ok(run.ends_unstarted(phase, Reason::OutcomeUnknown, &message));
        }
        Seen::Described(_) | Seen::Listed(_) | Seen::Nothing => {}
    }
    let refusal = run.ctx.tracker.refusal(&followed.machine);
    let left = express_log::gives_up_at(followed.started_at).duration_since(Timestamp::now());
    match refusal {
        // Nobody can mend that: the log is that of the start.
        Some(refusal) if refusal.class == Class::Terminal && !left.is_positive() => {
            let (phase, message) = express_log::unreadable(group, &refusal.message);
            Ok(run.ends_unstarted(phase, Reason::OutcomeUnknown, &message))
        }
        // A refused group is asked for again after a rest, and the run is woken once it is read.
        Some(refusal) => {
            let message = format!("{} The log is tried again within a minute.", refusal.message);
            let refusal = Failure { message, ..refusal };
            let again = if left.is_positive() { left.unsigned_abs().min(LONGEST) } else { LONGEST };
            wait(run, &status, group);
            Ok(Done { partly_failed: Some(refusal), ..Done::again(Requeue::After(again)) })
        }
        None => Ok(wait(run, &status, group)),
    }
}

fn wait(run: &mut Run<'_>, status: &WorkflowRunStatus, group: &str) -> Done {
    run.ctx.tracker.await_end(followed(run, status, group));
    run.waits_for_log(group);
    Done::again(Requeue::After(LONGEST))
}

fn followed(run: &Run<'_>, status: &WorkflowRunStatus, group: &str) -> Followed {
    let machine = MachineKey { namespace: run.namespace(), binding: binding_name(status), arn: group.to_owned() };
    Followed {
        machine: Arc::new(machine),
        run: run.name_any(),
        execution_arn: status.execution_arn.clone().unwrap_or_default(),
        started_at: status.started_at.as_ref().map_or_else(Timestamp::now, |time| time.0),
        redrive_count: 0,
        stopping: false,
    }
}
