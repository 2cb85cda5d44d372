//! `GetExecutionHistory` as AWS answers it: in pages of 100 events or up to 1,000, of at most 25,000 (service quotas, "Maximum
//! execution history size"), from either end, with inputs and outputs or without.

use serde_json::{Value, json};

use super::states::Answer;
use super::{Shared, error_json};

/// Most events that AWS keeps of an execution.
const MOST: usize = 25_000;
const LARGEST_PAGE: usize = 1000;
const USUAL_PAGE: usize = 100;

impl super::Front {
    /// The history of executions whose ARN contains the text is this from now on, oldest event first, as AWS writes it: the
    /// emulator writes nothing of iterations and branches.
    pub fn tell_history(&self, text: &str, events: Vec<Value>) {
        assert!(events.len() <= MOST, "AWS keeps no more");
        self.shared.histories.lock().unwrap().push((text.to_owned(), events));
    }

    /// A page of a history, as the account's root gets it: status and answer.
    pub fn history_page(&self, request: &Value) -> (u16, Value) {
        let (shared, request) = (self.shared.clone(), request.clone());
        let (status, text) = self.ask(async move { shared.history(&request).await });
        (status, serde_json::from_str(&text).unwrap())
    }

    /// The whole history of an execution, oldest event first.
    pub fn history(&self, execution_arn: &str) -> Vec<Value> {
        let mut request = json!({"executionArn": execution_arn, "maxResults": LARGEST_PAGE});
        let mut events = Vec::new();
        loop {
            let (status, page) = self.history_page(&request);
            assert_eq!(status, 200, "{page}");
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            if page["nextToken"].is_null() {
                return events;
            }
            request["nextToken"] = page["nextToken"].clone();
        }
    }
}

impl Shared {
    pub(super) fn told_history(&self, arn: &str) -> Option<Vec<Value>> {
        let histories = self.histories.lock().unwrap();
        histories.iter().rev().find(|(text, _)| arn.contains(text)).map(|(_, events)| events.clone())
    }

    pub(super) async fn history(&self, request: &Value) -> Answer {
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let mut events = self.events(arn).await;
        if events.is_empty() {
            return (400, error_json("ExecutionDoesNotExist", &format!("Execution Does Not Exist: '{arn}'")));
        }
        // Zero stands for the usual size (`GetExecutionHistory`, `maxResults`).
        let size = match request["maxResults"].as_u64().map_or(0, |size| usize::try_from(size).unwrap()) {
            0 => USUAL_PAGE,
            size if size <= LARGEST_PAGE => size,
            _ => return (400, error_json("ValidationException", "Member must have value less than or equal to 1000")),
        };
        // A token is good for the same request alone.
        let kind = format!("{}-{size}", if request["reverseOrder"] == true { "newest" } else { "oldest" });
        let from = match request["nextToken"].as_str() {
            None => Some(0),
            Some(token) => token.strip_prefix(&kind).and_then(|rest| rest.strip_prefix('-')?.parse().ok()),
        };
        let Some(from) = from.filter(|from: &usize| *from < events.len()) else {
            return (400, error_json("InvalidToken", "Invalid Token: 'Token is invalid'"));
        };
        if request["reverseOrder"] == true {
            events.reverse();
        }
        let last = from + size >= events.len();
        let mut page: Vec<Value> = events.into_iter().skip(from).take(size).collect();
        if request["includeExecutionData"] == false {
            for details in page.iter_mut().flat_map(|event| event.as_object_mut().unwrap().values_mut()) {
                if let Some(details) = details.as_object_mut() {
                    details.remove("input");
                    details.remove("output");
                }
            }
        }
        let mut answer = json!({"events": page});
        if !last {
            answer["nextToken"] = json!(format!("{kind}-{}", from + size));
        }
        (200, answer.to_string())
    }
}
