//! As whom AWS is asked for a run. What a reconcile needs of it is fetched once and passed down.

use std::sync::Arc;

use super::result::Run;
use crate::api::v1alpha1::{Attempt, WorkflowRunStatus};
use crate::aws::Caller;
use crate::controllers::authorization::Authorization;
use crate::controllers::dereference::{session_as, session_for};
use crate::iam::binding_role::session::Purpose;
use crate::outcome::Failure;
use crate::plan::run;

/// Who looks at the execution: the binding as which it was started, whatever has become of its Workflow. A look is nobody's
/// request.
pub(super) struct Looks {
    pub(super) binding: Arc<Authorization>,
    pub(super) caller: Caller,
}

/// Who asked for a call, and who approved it.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) requester: Option<String>,
    pub(super) approver: Option<String>,
}

impl From<&Attempt> for Asked {
    fn from(attempt: &Attempt) -> Self {
        Self { requester: attempt.requested_by.clone(), approver: attempt.approved_by.clone() }
    }
}

/// A session to see the execution.
pub(super) async fn looks(run: &Run<'_>) -> Result<Looks, Failure> {
    let status = run.known();
    let (name, purpose) = (binding_name(&status), Purpose::Observe(machine(&status)));
    let (binding, caller) = session_for(run.ctx, run.cause(), &run.namespace(), &name, &purpose).await?;
    Ok(Looks { binding, caller })
}

/// A session to start what a target is, or let it go on, in the name of whoever asked for it. That of a recorded attempt is as it
/// was recorded, so that its repeat is the same call.
pub(super) async fn starts(run: &Run<'_>, binding: &str, target_arn: &str, asked: Asked) -> Result<Caller, Failure> {
    let purpose = Purpose::Run(run::machine_name(target_arn).unwrap_or_default());
    let Asked { requester, approver } = asked;
    let caller = session_as(run.ctx, run.cause(), &run.namespace(), binding, &purpose, requester).await?;
    Ok(Caller { approver, ..caller })
}

/// Name of the state machine that the run's last attempt starts.
pub(super) fn machine(status: &WorkflowRunStatus) -> Option<&str> {
    run::machine_name(&status.attempts.last()?.target_arn)
}

/// Name of the binding as which the run's last attempt is started.
pub(super) fn binding_name(status: &WorkflowRunStatus) -> String {
    status.attempts.last().map(|attempt| attempt.trust_binding_name.clone()).unwrap_or_default()
}
