//! Events of a history, as AWS gives them, in our own type. Each type of event has details of its own.

use aws_sdk_sfn::types::{HistoryEvent as SdkEvent, HistoryEventExecutionDataDetails};

use super::sdk_types::timestamp;
use super::{EventPayload, HistoryEvent};
use crate::printable::{printable, printable_lines};

/// The event; what went in and out of it only `with_data`, whatever AWS has sent along.
pub(super) fn event(mut event: SdkEvent, with_data: bool) -> HistoryEvent {
    let (error, cause) = failure(&mut event);
    let resource = resource(&event);
    let bounded = cause.as_deref().map(|cause| cause.chars().take(HistoryEvent::MAX_CAUSE).collect());
    let data = with_data.then(|| payload(&mut event, cause)).filter(|data| *data != EventPayload::default());
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
        timestamp: timestamp(event.timestamp),
        event_type: event.r#type.as_str().to_owned(),
        name: entered.or(exited).or(evaluated).or(iteration.and_then(|iteration| iteration.name)),
        index,
        length: event.map_state_started_event_details.map(|details| details.length),
        map_run_arn: started.or(redriven),
        resource,
        error,
        cause: bounded,
        data: data.map(Box::new),
    }
}

/// Error and cause, of whatever failed.
fn failure(event: &mut SdkEvent) -> (Option<String>, Option<String>) {
    macro_rules! first_of {
        ($($details:ident)*) => {
            $(if let Some(details) = &mut event.$details {
                let cause = details.cause.take().map(|cause| printable_lines(&cause));
                return (details.error.take().map(|error| printable(&error)), cause);
            })*
        };
    }
    first_of! {
        activity_failed_event_details
        activity_schedule_failed_event_details
        activity_timed_out_event_details
        task_failed_event_details
        task_start_failed_event_details
        task_submit_failed_event_details
        task_timed_out_event_details
        execution_failed_event_details
        execution_aborted_event_details
        execution_timed_out_event_details
        lambda_function_failed_event_details
        lambda_function_schedule_failed_event_details
        lambda_function_start_failed_event_details
        lambda_function_timed_out_event_details
        map_run_failed_event_details
        evaluation_failed_event_details
    }
    (None, None)
}

/// What is called: of integrations service and action, else an ARN.
fn resource(event: &SdkEvent) -> Option<String> {
    macro_rules! integration {
        ($($details:ident)*) => {
            $(if let Some(details) = &event.$details {
                return Some(format!("{}:{}", details.resource_type, details.resource));
            })*
        };
    }
    integration! {
        task_scheduled_event_details
        task_started_event_details
        task_submitted_event_details
        task_succeeded_event_details
        task_failed_event_details
        task_start_failed_event_details
        task_submit_failed_event_details
        task_timed_out_event_details
    }
    let activity = event.activity_scheduled_event_details.as_ref().map(|details| &details.resource);
    let function = event.lambda_function_scheduled_event_details.as_ref().map(|details| &details.resource);
    activity.or(function).cloned()
}

/// What went in and out.
fn payload(event: &mut SdkEvent, cause: Option<String>) -> EventPayload {
    let mut data = EventPayload { cause, ..EventPayload::default() };
    macro_rules! takes {
        ($field:ident $told:ident: $($details:ident)*) => {
            $(if let Some(details) = &mut event.$details {
                data.$field = details.$field.take();
                data.truncated |= cut(details.$told.as_ref());
            })*
        };
    }
    takes! { input input_details:
    execution_started_event_details state_entered_event_details
    activity_scheduled_event_details lambda_function_scheduled_event_details }
    takes! { output output_details:
    execution_succeeded_event_details state_exited_event_details activity_succeeded_event_details
    lambda_function_succeeded_event_details task_submitted_event_details task_succeeded_event_details }
    if let Some(details) = &mut event.task_scheduled_event_details {
        data.parameters = Some(std::mem::take(&mut details.parameters)).filter(|parameters| !parameters.is_empty());
    }
    data
}

fn cut(details: Option<&HistoryEventExecutionDataDetails>) -> bool {
    details.is_some_and(|details| details.truncated)
}
