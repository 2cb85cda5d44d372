//! The calls about what an execution does and how it goes on, for the port's one implementation.

use aws_sdk_sfn::types::HistoryEvent as SdkEvent;

use super::sdk::SdkStepFunctions;
use super::{AwsError, AwsErrorKind, HistoryEvent, HistoryPage, MapRunCounts, Session};

/// Events that one page of a history has.
const PAGE: i32 = 200;

impl SdkStepFunctions {
    /// Idempotent for the same token, which AWS remembers for 15 minutes.
    pub(super) async fn redrive(&self, session: &Session, arn: &str, token: &str) -> Result<(), AwsError> {
        let call = self.client(session).redrive_execution().execution_arn(arn).client_token(token).send();
        self.call(session, "states:RedriveExecution", arn, call).await.map(drop)
    }

    /// Error and cause are encrypted with the machine's key; without them a stop needs no right to it.
    pub(super) async fn stop(&self, session: &Session, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError> {
        let (error, cause) = why.map_or((None, None), |(error, cause)| (Some(error.into()), Some(cause.into())));
        let request = self.client(session).stop_execution().execution_arn(arn);
        let call = request.set_error(error).set_cause(cause).send();
        self.call(session, "states:StopExecution", arn, call).await.map(drop)
    }

    pub(super) async fn history_page(
        &self,
        session: &Session,
        arn: &str,
        older: Option<&str>,
    ) -> Result<HistoryPage, AwsError> {
        let request = self.client(session).get_execution_history().execution_arn(arn);
        let request = request.reverse_order(true).max_results(PAGE).include_execution_data(false);
        let call = request.set_next_token(older.map(str::to_owned)).send();
        let page = self.call(session, "states:GetExecutionHistory", arn, call).await?;
        Ok(HistoryPage { events: page.events.into_iter().map(event).collect(), older: page.next_token })
    }

    pub(super) async fn counts_of_map_run(
        &self,
        session: &Session,
        arn: &str,
    ) -> Result<Option<MapRunCounts>, AwsError> {
        let call = self.client(session).describe_map_run().map_run_arn(arn).send();
        let found = match self.call(session, "states:DescribeMapRun", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(found.item_counts.map(|counts| MapRunCounts {
            ended: counts.succeeded + counts.failed + counts.timed_out + counts.aborted,
            total: counts.total,
        }))
    }
}

fn event(event: SdkEvent) -> HistoryEvent {
    let iteration = event
        .map_iteration_started_event_details
        .or(event.map_iteration_succeeded_event_details)
        .or(event.map_iteration_failed_event_details)
        .or(event.map_iteration_aborted_event_details);
    let index = iteration.as_ref().map(|iteration| iteration.index);
    let entered = event.state_entered_event_details.map(|details| details.name);
    let exited = event.state_exited_event_details.map(|details| details.name);
    let evaluated = event.evaluation_failed_event_details.map(|details| details.state);
    let started = event.map_run_started_event_details.and_then(|details| details.map_run_arn);
    let redriven = event.map_run_redriven_event_details.and_then(|details| details.map_run_arn);
    HistoryEvent {
        id: event.id,
        previous_id: event.previous_event_id,
        event_type: event.r#type.as_str().to_owned(),
        name: entered.or(exited).or(evaluated).or(iteration.and_then(|iteration| iteration.name)),
        index,
        map_run_arn: started.or(redriven),
    }
}
