//! Log groups.

use async_trait::async_trait;
use jiff::Timestamp;

use super::super::{AwsError, Caller, LogEvent, LogPage, LogRequest, Logs};
use super::state::State;
use super::{Does, FakeAws};

/// Events of a page. AWS has larger ones; small ones show what is lost between them.
const PAGE: usize = 3;

impl FakeAws {
    /// A log group exists, without an event.
    pub(crate) fn make_log_group(&self, group: &str) {
        self.state().logs.entry(group.into()).or_default();
    }

    /// Somebody writes to a log group.
    pub(crate) fn log(&self, group: &str, timestamp: Timestamp, message: &str) {
        let event = LogEvent { timestamp, message: message.into() };
        self.state().logs.entry(group.into()).or_default().push(event);
    }
}

#[async_trait]
impl Logs for FakeAws {
    /// The pattern is not read: whoever asks has to choose among what comes.
    async fn log_page(&self, caller: &Caller, request: &LogRequest) -> Result<LogPage, AwsError> {
        let look = |state: &mut State| {
            let missing = || ("ResourceNotFoundException", "The specified log group does not exist.".to_owned());
            let group = state.logs.get(&request.group).ok_or_else(missing)?;
            let mut found: Vec<LogEvent> =
                group.iter().filter(|event| event.timestamp >= request.from).cloned().collect();
            found.sort_by_key(|event| event.timestamp);
            let from: usize = request.next_token.as_ref().map_or(0, |token| token.parse().unwrap());
            let next_token = (from + PAGE < found.len()).then(|| (from + PAGE).to_string());
            Ok(LogPage { events: found.into_iter().skip(from).take(PAGE).collect(), next_token })
        };
        self.call(caller, "logs:FilterLogEvents", &request.group, Does::Look, look).await
    }
}
