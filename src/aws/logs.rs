//! CloudWatch Logs behind its port.

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use jiff::Timestamp;

use super::gate::config;
use super::sdk::{CALL_TIMEOUT, SdkStepFunctions};
use super::{AwsError, Caller, LogEvent, LogPage, LogRequest, Session};

/// Log groups, read as the session's role.
#[async_trait]
pub trait Logs: Send + Sync {
    /// A page of the events of a log group that match, the oldest first. An empty page with a token is not the end, and what was
    /// written a moment ago may be missing.
    async fn log_page(&self, caller: &Caller, request: &LogRequest) -> Result<LogPage, AwsError>;
}

#[async_trait]
impl Logs for SdkStepFunctions {
    async fn log_page(&self, caller: &Caller, request: &LogRequest) -> Result<LogPage, AwsError> {
        // By name, which is of the session's own account and region whatever an object names.
        let asked = self.logs(caller).filter_log_events().log_group_name(&request.group);
        let asked = asked.start_time(request.from.as_millisecond()).filter_pattern(&request.pattern);
        let call = asked.set_next_token(request.next_token.clone()).send();
        let found = self.call(caller, "logs:FilterLogEvents", &request.group, call).await?;
        let events = found.events.unwrap_or_default().into_iter().filter_map(|event| {
            Some(LogEvent { timestamp: Timestamp::from_millisecond(event.timestamp?).ok()?, message: event.message? })
        });
        Ok(LogPage { events: events.collect(), next_token: found.next_token })
    }
}

impl SdkStepFunctions {
    /// Logs are read only while results are waited for or a history is asked for, so a client is built for each look.
    fn logs(&self, session: &Session) -> Client {
        let config = config!(aws_sdk_cloudwatchlogs, self.http, session, &self.logs_endpoint, CALL_TIMEOUT);
        Client::from_conf(config.build())
    }
}
