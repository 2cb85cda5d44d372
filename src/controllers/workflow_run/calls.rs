//! What is asked of AWS for a run, and what it shows. These values are made here alone, so no step can tell of what did not
//! happen.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::v1alpha1::Attempt;
use crate::aws::{AwsError, Caller, Execution, ListedExecution, StartExecution};
use crate::controllers::Context;
use crate::plan::express_log::{self, LoggedEnd, LoggedOutput};
use crate::plan::retry::{self, RedriveStep};
use crate::plan::run::machine_of_execution;
use crate::runs::{Evidence, Followed};

/// AWS has started an execution.
pub(super) struct Started {
    arn: String,
    at: Timestamp,
}

impl Started {
    /// ARN of the execution, and when it started.
    pub(super) fn parts(self) -> (String, Timestamp) {
        (self.arn, self.at)
    }
}

/// An execution as AWS has shown it.
pub(super) struct Shown(Arc<Execution>);

impl Deref for Shown {
    type Target = Execution;

    fn deref(&self) -> &Execution {
        &self.0
    }
}

impl Shown {
    fn new(execution: Execution) -> Self {
        Self(Arc::new(execution))
    }

    /// What is there has been started.
    pub(super) fn started(&self) -> Started {
        Started { arn: self.arn.clone(), at: self.started_at }
    }

    /// That a recorded redrive was made; otherwise what it needs.
    pub(super) fn redriven(&self, attempt: &Attempt) -> Result<Redriven, RedriveStep> {
        match retry::redrive_step(attempt, self) {
            RedriveStep::Made => Ok(Redriven(attempt.redrive_count)),
            step => Err(step),
        }
    }
}

/// AWS has taken the redrive of this number.
pub(super) struct Redriven(i64);

impl Redriven {
    pub(super) fn count(&self) -> i64 {
        self.0
    }
}

/// What is known of an execution that is followed.
pub(super) enum Seen {
    /// Its description.
    Described(Shown),
    /// A list shows it, without output or error.
    Listed(Shown),
    /// The log has its end, and why it has no output where it ought to have one.
    Logged(Shown, Option<&'static str>),
    /// AWS showed none, or its log no end, long after the start.
    Missing,
    /// No end yet.
    Nothing,
}

/// What the tracker has found.
pub(super) fn seen(ctx: &Context, followed: &Followed) -> Seen {
    match ctx.tracker.evidence(&followed.execution_arn, followed.redrive_count) {
        Some(Evidence::Described(execution)) => Seen::Described(Shown(execution)),
        Some(Evidence::Listed(listed)) => Seen::Listed(Shown::new(as_listed(listed, followed.machine.arn.clone()))),
        Some(Evidence::Logged(end)) => {
            Seen::Logged(Shown::new(as_logged(&end, followed)), express_log::no_output(&end))
        }
        Some(Evidence::Missing) => Seen::Missing,
        Some(Evidence::Refused(_) | Evidence::Allowed) | None => Seen::Nothing,
    }
}

fn as_logged(end: &LoggedEnd, followed: &Followed) -> Execution {
    let output = if let LoggedOutput::Whole(text) = &end.output { Some(text.clone()) } else { None };
    Execution {
        arn: end.execution_arn.clone(),
        state_machine_arn: machine_of_execution(&end.execution_arn),
        version_arn: None,
        alias_arn: None,
        trace_header: None,
        status: end.status,
        started_at: followed.started_at,
        stopped_at: Some(end.at.max(followed.started_at)),
        redrive_count: 0,
        redrivable: Some(Err("AWS redrives no Express execution".to_owned())),
        input: None,
        output,
        error: end.error.clone(),
        cause: end.cause.clone(),
    }
}

fn as_listed(listed: ListedExecution, state_machine_arn: String) -> Execution {
    Execution {
        arn: listed.arn,
        state_machine_arn,
        version_arn: listed.version_arn,
        alias_arn: None,
        trace_header: None,
        status: listed.status,
        started_at: listed.started_at,
        stopped_at: listed.stopped_at,
        redrive_count: listed.redrive_count,
        redrivable: None,
        input: None,
        output: None,
        error: None,
        cause: None,
    }
}

/// The execution, or `None` where AWS does not show it (yet).
pub(super) async fn describe(ctx: &Context, caller: &Caller, arn: &str) -> Result<Option<Shown>, AwsError> {
    Ok(ctx.executions.describe_execution(caller, arn).await?.map(Shown::new))
}

/// Starts an execution.
pub(super) async fn start(ctx: &Context, caller: &Caller, request: &StartExecution) -> Result<Started, AwsError> {
    let answer = ctx.executions.start_execution(caller, request).await?;
    Ok(Started { arn: answer.arn, at: answer.started_at })
}

/// Starts an Express execution and waits for its end.
pub(super) async fn start_sync(ctx: &Context, caller: &Caller, request: &StartExecution) -> Result<Shown, AwsError> {
    ctx.executions.start_sync_execution(caller, request).await.map(Shown::new)
}

/// Asks for a recorded redrive.
pub(super) async fn redrive(
    ctx: &Context,
    caller: &Caller,
    arn: &str,
    token: &str,
    attempt: &Attempt,
) -> Result<Redriven, AwsError> {
    ctx.executions.redrive_execution(caller, arn, token).await?;
    Ok(Redriven(attempt.redrive_count))
}
