//! Executions: how they are started, stopped and looked at.

use async_trait::async_trait;
use aws_sdk_sfn::config::StalledStreamProtectionConfig;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus as SdkExecutionStatus, SyncExecutionStatus};
use tracing::Instrument;

use super::events::event;
use super::sdk::{SYNC_TIMEOUT, SdkStepFunctions};
use super::sdk_types::{execution_status, redrivable, timestamp};
use super::{
    AwsError, AwsErrorKind, Caller, Execution, ExecutionPage, ExecutionStatus, HistoryPage, HistoryRequest, ListPage,
    ListedExecution, MapRunCounts, StartExecution, StartedExecution,
};
use crate::printable::{printable, printable_lines};
use crate::telemetry;

/// Executions: how they are started, stopped and looked at. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts an execution. Safe to repeat for Standard machines under the same name and input.
    async fn start_execution(&self, caller: &Caller, request: &StartExecution) -> Result<StartedExecution, AwsError>;
    /// Starts an Express execution and waits for its end. Never repeated: it is not idempotent.
    async fn start_sync_execution(&self, caller: &Caller, request: &StartExecution) -> Result<Execution, AwsError>;
    /// The execution, or `None` where AWS does not show it (yet).
    async fn describe_execution(&self, caller: &Caller, arn: &str) -> Result<Option<Execution>, AwsError>;
    /// Stops an execution; stopping one that has ended changes nothing. `why` is error and cause for its history; `None` where the
    /// machine has a key of the account's own, whose permission they would need.
    async fn stop_execution(&self, caller: &Caller, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError>;
    /// Lets a Standard execution that ended without success go on from where it failed. A repeat with the same token within 15
    /// minutes changes nothing.
    async fn redrive_execution(&self, caller: &Caller, arn: &str, token: &str) -> Result<(), AwsError>;
    /// The newest executions, at most 1,000, of a machine, version or alias; only those that run where `running` is set.
    /// Eventually consistent.
    async fn list_executions(
        &self,
        caller: &Caller,
        arn: &str,
        running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError>;
    /// A page, at most 1,000, of a machine's executions. Without a status newest start first, running ones by start or
    /// redrive, ended ones by their end. Eventually consistent.
    async fn list_page(&self, caller: &Caller, request: &ListPage) -> Result<ExecutionPage, AwsError>;
    /// True when at least one execution of the machine runs. Eventually consistent.
    async fn has_running_executions(&self, caller: &Caller, state_machine_arn: &str) -> Result<bool, AwsError>;
    /// A page of the history of a Standard execution. Express executions have none.
    async fn history_page(&self, caller: &Caller, request: &HistoryRequest) -> Result<HistoryPage, AwsError>;
    /// How far a Map Run is; `None` where there is none.
    async fn map_run_counts(&self, caller: &Caller, arn: &str) -> Result<Option<MapRunCounts>, AwsError>;
}

#[async_trait]
impl Executions for SdkStepFunctions {
    async fn start_execution(&self, caller: &Caller, request: &StartExecution) -> Result<StartedExecution, AwsError> {
        let start = self.client(caller).start_execution().state_machine_arn(&request.target_arn);
        let start = start.name(&request.name).input(&request.input);
        let start = start.trace_header(telemetry::xray_header(&request.trace_root));
        // The caller decides whether a repeat is safe: it is not for Express.
        let call = start
            .customize()
            .config_override(aws_sdk_sfn::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send();
        let call = self.call(caller, "states:StartExecution", &request.target_arn, call);
        let started = call.instrument(traced_as(&request.trace_root)).await?;
        Ok(StartedExecution { arn: started.execution_arn, started_at: timestamp(started.start_date) })
    }

    async fn start_sync_execution(&self, caller: &Caller, request: &StartExecution) -> Result<Execution, AwsError> {
        let start = self.client(caller).start_sync_execution().state_machine_arn(&request.target_arn);
        let start = start.name(&request.name).input(&request.input);
        let start = start.trace_header(telemetry::xray_header(&request.trace_root));
        let once = aws_sdk_sfn::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(SYNC_TIMEOUT).build())
            // Nothing is sent while AWS waits for the end, which is not a stalled connection.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let call = start.customize().config_override(once).send();
        let call = self.call(caller, "states:StartSyncExecution", &request.target_arn, call);
        let ended = call.instrument(traced_as(&request.trace_root)).await?;
        Ok(Execution {
            arn: ended.execution_arn,
            state_machine_arn: ended.state_machine_arn.unwrap_or_default(),
            version_arn: None,
            alias_arn: None,
            trace_header: ended.trace_header,
            status: match ended.status {
                SyncExecutionStatus::Succeeded => ExecutionStatus::Succeeded,
                SyncExecutionStatus::TimedOut => ExecutionStatus::TimedOut,
                _ => ExecutionStatus::Failed,
            },
            started_at: timestamp(ended.start_date),
            stopped_at: Some(timestamp(ended.stop_date)),
            redrive_count: 0,
            input: ended.input,
            output: ended.output,
            error: ended.error.map(|error| printable(&error)),
            cause: ended.cause.map(|cause| printable_lines(&cause)),
            redrivable: None,
        })
    }

    async fn describe_execution(&self, caller: &Caller, arn: &str) -> Result<Option<Execution>, AwsError> {
        let call = self.client(caller).describe_execution().execution_arn(arn).send();
        let found = match self.call(caller, "states:DescribeExecution", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(Some(Execution {
            arn: found.execution_arn,
            state_machine_arn: found.state_machine_arn,
            version_arn: found.state_machine_version_arn,
            alias_arn: found.state_machine_alias_arn,
            trace_header: found.trace_header,
            status: execution_status(&found.status),
            started_at: timestamp(found.start_date),
            stopped_at: found.stop_date.map(timestamp),
            redrive_count: found.redrive_count.unwrap_or_default(),
            input: found.input,
            output: found.output,
            error: found.error.map(|error| printable(&error)),
            cause: found.cause.map(|cause| printable_lines(&cause)),
            redrivable: redrivable(found.redrive_status.as_ref(), found.redrive_status_reason),
        }))
    }

    async fn stop_execution(&self, caller: &Caller, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError> {
        // Error and cause are encrypted with the machine's key; without them a stop needs no right to it.
        let (error, cause) = why.map_or((None, None), |(error, cause)| (Some(error.into()), Some(cause.into())));
        let request = self.client(caller).stop_execution().execution_arn(arn);
        let call = request.set_error(error).set_cause(cause).send();
        self.call(caller, "states:StopExecution", arn, call).await.map(drop)
    }

    async fn redrive_execution(&self, caller: &Caller, arn: &str, token: &str) -> Result<(), AwsError> {
        let call = self.client(caller).redrive_execution().execution_arn(arn).client_token(token).send();
        self.call(caller, "states:RedriveExecution", arn, call).await.map(drop)
    }

    async fn list_executions(
        &self,
        caller: &Caller,
        arn: &str,
        running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError> {
        let request = self.client(caller).list_executions().state_machine_arn(arn).max_results(1000);
        let call = request.set_status_filter(running.then_some(SdkExecutionStatus::Running)).send();
        let listed = self.call(caller, "states:ListExecutions", arn, call).await?;
        Ok(listed.executions.into_iter().map(listed_execution).collect())
    }

    async fn list_page(&self, caller: &Caller, page: &ListPage) -> Result<ExecutionPage, AwsError> {
        let request = self.client(caller).list_executions().state_machine_arn(&page.arn).max_results(1000);
        let request = request.set_status_filter(page.status.map(sdk_status)).set_next_token(page.next_token.clone());
        let listed = self.call(caller, "states:ListExecutions", &page.arn, request.send()).await?;
        let executions = listed.executions.into_iter().map(listed_execution).collect();
        Ok(ExecutionPage { executions, next_token: listed.next_token })
    }

    async fn has_running_executions(&self, caller: &Caller, state_machine_arn: &str) -> Result<bool, AwsError> {
        let request = self.client(caller).list_executions().state_machine_arn(state_machine_arn);
        let call = request.status_filter(SdkExecutionStatus::Running).max_results(1).send();
        match self.call(caller, "states:ListExecutions", state_machine_arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(false),
            // Express machines keep no list, and their executions last five minutes at most.
            Err(error) if error.code == "StateMachineTypeNotSupported" => Ok(false),
            other => Ok(!other?.executions.is_empty()),
        }
    }

    async fn history_page(&self, caller: &Caller, page: &HistoryRequest) -> Result<HistoryPage, AwsError> {
        let request = self.client(caller).get_execution_history().execution_arn(&page.arn);
        let request = request.reverse_order(page.newest_first).max_results(page.max_events);
        let request = request.include_execution_data(page.include_data).set_next_token(page.next_token.clone());
        let found = self.call(caller, "states:GetExecutionHistory", &page.arn, request.send()).await?;
        let events = found.events.into_iter().map(|one| event(one, page.include_data)).collect();
        Ok(HistoryPage { events, next_token: found.next_token })
    }

    async fn map_run_counts(&self, caller: &Caller, arn: &str) -> Result<Option<MapRunCounts>, AwsError> {
        let call = self.client(caller).describe_map_run().map_run_arn(arn).send();
        let found = match self.call(caller, "states:DescribeMapRun", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(found.item_counts.map(|counts| MapRunCounts {
            succeeded: counts.succeeded,
            failed: counts.failed + counts.timed_out + counts.aborted,
            running: counts.running,
            total: counts.total,
        }))
    }
}

fn sdk_status(status: ExecutionStatus) -> SdkExecutionStatus {
    match status {
        ExecutionStatus::Running => SdkExecutionStatus::Running,
        ExecutionStatus::Succeeded => SdkExecutionStatus::Succeeded,
        ExecutionStatus::Failed => SdkExecutionStatus::Failed,
        ExecutionStatus::TimedOut => SdkExecutionStatus::TimedOut,
        ExecutionStatus::Aborted => SdkExecutionStatus::Aborted,
    }
}

fn listed_execution(item: ExecutionListItem) -> ListedExecution {
    ListedExecution {
        arn: item.execution_arn,
        version_arn: item.state_machine_version_arn,
        status: execution_status(&item.status),
        started_at: timestamp(item.start_date),
        stopped_at: item.stop_date.map(timestamp),
        redrive_count: item.redrive_count.unwrap_or_default(),
    }
}

/// The span of a start, which names the trace of the execution in X-Ray.
fn traced_as(trace_root: &str) -> tracing::Span {
    tracing::info_span!("start", aws.xray_trace_id = trace_root)
}
