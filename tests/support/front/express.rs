//! Express executions, and what Step Functions writes of them to CloudWatch Logs: Step Functions keeps nothing of them itself. The
//! emulator runs them; it knows neither their ARNs nor their logs. Source: developer guide, "Logging using CloudWatch Logs".

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::policy::Request;
use super::states::{Answer, machine_of};
use super::visibility::epoch_seconds;
use super::{Shared, error_json};

/// Longest time that an Express execution runs (service quotas).
const LONGEST: Duration = Duration::from_secs(300);
/// What makes an event larger is cut ("Logging using CloudWatch Logs", payloads).
const MOST_BYTES: usize = 248 * 1024;
/// Events that a call looks at: it may give none of them and a token all the same (`FilterLogEvents`).
const LOOKED_AT: usize = 200;

/// How an Express state machine logs.
#[derive(Clone)]
struct Logging {
    level: String,
    data: bool,
    /// Name of the group.
    group: Option<String>,
}

/// What stands in a log group.
#[derive(Clone)]
struct Line {
    shown_at: Instant,
    /// Milliseconds of the epoch.
    timestamp: i64,
    message: String,
}

#[derive(Default)]
pub(super) struct Express {
    /// By the machine's ARN.
    machines: HashMap<String, Logging>,
    /// By the group's name.
    groups: HashMap<String, Vec<Line>>,
    lags: Vec<(String, Duration)>,
    lost: Vec<String>,
    earlier: Vec<(String, Duration)>,
}

fn of_text<T: Copy>(list: &[(String, T)], whole: &str) -> Option<T> {
    list.iter().rev().find(|(text, _)| whole.contains(text)).map(|(_, value)| *value)
}

impl super::Front {
    /// What is written to log groups whose name contains the text is shown so late from now on.
    pub fn delay_log(&self, text: &str, by: Duration) {
        self.shared.express.lock().unwrap().lags.push((text.to_owned(), by));
    }

    /// Nothing comes to the log any more of executions whose ARN contains the text: logs are written as well as AWS can.
    pub fn lose_log(&self, text: &str) {
        self.shared.express.lock().unwrap().lost.push(text.to_owned());
    }

    /// AWS says of executions whose ARN contains the text that they have started so long before, as if that time had passed.
    pub fn started_earlier(&self, text: &str, by: Duration) {
        self.shared.express.lock().unwrap().earlier.push((text.to_owned(), by));
    }

    /// Writes to a log group as anybody with the right could, now.
    pub fn write_log(&self, group: &str, message: &Value) {
        let line = Line { shown_at: Instant::now(), timestamp: milliseconds(), message: message.to_string() };
        self.shared.express.lock().unwrap().groups.entry(group.to_owned()).or_default().push(line);
    }
}

#[allow(clippy::cast_possible_truncation)]
fn milliseconds() -> i64 {
    (epoch_seconds() * 1000.0) as i64
}

/// The name of the group that a machine logs to, where it has one. Its ARN has to end in `:*` (`CloudWatchLogsLogGroup`).
fn log_group(request: &Value) -> Option<Result<String, ()>> {
    let arn = request["loggingConfiguration"]["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"].as_str()?;
    let name = arn.split_once(":log-group:").and_then(|(_, rest)| rest.strip_suffix(":*"));
    Some(name.filter(|name| !name.is_empty() && !name.contains(':')).map(str::to_owned).ok_or(()))
}

/// What AWS answers to a log group that is none (`InvalidLoggingConfiguration`).
pub(super) fn refuses_log_group(request: &Value) -> Option<Answer> {
    log_group(request)?.err().map(|()| {
        let message = "Invalid Logging Configuration: Log Destination must have a valid CloudWatch Logs log group ARN.";
        (400, error_json("InvalidLoggingConfiguration", message))
    })
}

impl Shared {
    /// Notes of a machine that is created or updated whether it is an Express one, and how that logs. Its type never changes.
    pub(super) fn note_express(&self, arn: &str, request: &Value) {
        let mut express = self.express.lock().unwrap();
        if request["type"] != "EXPRESS" && !express.machines.contains_key(arn) {
            return;
        }
        let configuration = &request["loggingConfiguration"];
        if configuration.is_null() && express.machines.contains_key(arn) {
            return;
        }
        let group = log_group(request).and_then(Result::ok);
        let logging = Logging {
            level: configuration["level"].as_str().unwrap_or("OFF").to_owned(),
            data: configuration["includeExecutionData"] == true,
            group: group.clone(),
        };
        express.machines.insert(arn.to_owned(), logging);
        if let Some(group) = group {
            express.groups.entry(group).or_default();
        }
    }

    /// Starts an execution of an Express machine; `None` of another. Each start is an execution of its own, whatever its name.
    pub(super) async fn start_express(self: &Arc<Self>, request: &Value) -> Option<Answer> {
        let machine = machine_of(request["stateMachineArn"].as_str()?);
        let logging = self.express.lock().unwrap().machines.get(&machine)?.clone();
        let (name, id) = (request["name"].as_str().unwrap_or("unnamed"), format!("{:032x}", rand::random::<u128>()));
        let arn = format!("{}:{name}:{id}", machine.replacen(":stateMachine:", ":express:", 1));
        let emulated = json!({"stateMachineArn": machine, "name": id, "input": request["input"]});
        let (status, answer) = self.as_root("StartExecution", &emulated).await;
        if status != 200 {
            return Some((status, answer.to_string()));
        }
        let earlier = of_text(&self.express.lock().unwrap().earlier, &arn).unwrap_or_default();
        let started = epoch_seconds() - earlier.as_secs_f64();
        let (shared, public) = (self.clone(), arn.clone());
        let actual = answer["executionArn"].as_str().unwrap().to_owned();
        tokio::spawn(async move { shared.write_execution(&machine, &logging, &public, &actual).await });
        Some((200, json!({"executionArn": arn, "startDate": started}).to_string()))
    }

    /// Step Functions tells nothing of Express executions, and stops none (`DescribeExecution`, `StopExecution`,
    /// `GetExecutionHistory`: "not supported by EXPRESS state machines").
    pub(super) fn refuses_express(request: &Value) -> Option<Answer> {
        let arn = request["executionArn"].as_str().filter(|arn| arn.contains(":express:"))?;
        Some((400, error_json("InvalidArn", &format!("Invalid Arn: 'Resource type not valid in this context: {arn}'"))))
    }

    /// Waits for the end and writes what it did to the log.
    async fn write_execution(&self, machine: &str, logging: &Logging, public: &str, actual: &str) {
        let limit = self.timeouts.lock().unwrap().get(machine).copied().flatten().unwrap_or(LONGEST).min(LONGEST);
        let (began, asked) = (Instant::now(), json!({"executionArn": actual}));
        let mut is_late = false;
        while self.as_root("DescribeExecution", &asked).await.1["status"] == "RUNNING" {
            if !is_late && began.elapsed() > limit {
                is_late = true;
                self.as_root("StopExecution", &json!({"executionArn": actual, "error": "States.Timeout"})).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let events = self.told_history(public).unwrap_or(self.events(actual).await);
        let lines = events.iter().filter_map(|event| logged(event, public, logging, is_late));
        let mut express = self.express.lock().unwrap();
        let Some(group) = &logging.group else { return };
        if express.lost.iter().any(|text| public.contains(text)) {
            return;
        }
        let shown_at = Instant::now() + of_text(&express.lags, group).unwrap_or_default();
        let lines: Vec<Line> = lines.map(|(timestamp, message)| Line { shown_at, timestamp, message }).collect();
        express.groups.entry(group.clone()).or_default().extend(lines);
    }

    /// `FilterLogEvents`: by the events' own time, in pages of what was looked at. IAM names the group's streams.
    pub(super) async fn filter_log(&self, headers: &HeaderMap, body: &str) -> Answer {
        let Some(session) = self.session_of(headers) else {
            return (
                400,
                error_json("UnrecognizedClientException", "The security token included in the request is invalid."),
            );
        };
        let request: Value = serde_json::from_str(body).unwrap();
        assert!(request.get("logGroupIdentifier").is_none(), "another account's group could be named so");
        let group = request["logGroupName"].as_str().unwrap_or_default();
        let resource = format!("arn:aws:logs:eu-west-1:000000000000:log-group:{group}:log-stream:");
        let (action, context) = ("logs:FilterLogEvents", BTreeMap::new());
        if !self.allowed(&session, &Request { action, resource: &resource, context: &context }).await {
            let message = format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
                session.role_arn
            );
            return (400, error_json("AccessDeniedException", &message));
        }
        let express = self.express.lock().unwrap();
        let Some(lines) = express.groups.get(group) else {
            return (400, error_json("ResourceNotFoundException", "The specified log group does not exist."));
        };
        let from = match request["nextToken"].as_str().map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => {
                return (400, error_json("InvalidParameterException", "The specified nextToken is invalid."));
            }
        };
        let since = request["startTime"].as_i64().unwrap_or(0);
        let mut shown: Vec<&Line> =
            lines.iter().filter(|line| line.shown_at <= Instant::now() && line.timestamp >= since).collect();
        shown.sort_by_key(|line| line.timestamp);
        let pattern = request["filterPattern"].as_str().unwrap_or_default();
        let page = shown.iter().skip(from).take(LOOKED_AT).filter(|line| matches(pattern, &line.message));
        let events: Vec<Value> = page
            .enumerate()
            .map(|(index, line)| {
                json!({"logStreamName": "states/fulfil/2026-01-01-00-00/0a1b2c3d", "timestamp": line.timestamp,
                    "ingestionTime": line.timestamp, "message": line.message, "eventId": format!("{from}{index:06}")})
            })
            .collect();
        let mut answer = json!({"events": events, "searchedLogStreams": []});
        if from + LOOKED_AT < shown.len() {
            answer["nextToken"] = json!((from + LOOKED_AT).to_string());
        }
        (200, answer.to_string())
    }
}

/// An event of a history as it is written to the log: its time and its text, whose numbers are texts. `None` below the level.
fn logged(event: &Value, arn: &str, logging: &Logging, is_late: bool) -> Option<(i64, String)> {
    let mut kind = event["type"].as_str().unwrap().to_owned();
    if is_late && kind == "ExecutionAborted" {
        kind = "ExecutionTimedOut".into();
    }
    // "Log levels for Step Functions execution events".
    let is_error = ["Failed", "TimedOut", "Aborted"].iter().any(|end| kind.ends_with(end));
    let is_written = match logging.level.as_str() {
        "ALL" => true,
        "ERROR" => is_error,
        "FATAL" => is_error && kind.starts_with("Execution"),
        _ => false,
    };
    let fields = event.as_object().unwrap();
    let mut details =
        fields.iter().find(|(key, _)| key.ends_with("EventDetails")).map_or(json!({}), |one| one.1.clone());
    for field in ["input", "output"] {
        let Some(text) = details[field].as_str().map(str::to_owned) else {
            details.as_object_mut().unwrap().remove(field);
            continue;
        };
        let is_cut = text.len() > MOST_BYTES;
        if !logging.data || is_cut {
            details.as_object_mut().unwrap().remove(field);
        }
        if logging.data {
            details[format!("{field}Details")] = json!({"truncated": is_cut});
        }
    }
    #[allow(clippy::cast_possible_truncation)]
    let at = (event["timestamp"].as_f64().unwrap() * 1000.0) as i64;
    let message = json!({"id": event["id"].to_string(), "type": kind, "details": details, "redrive_count": "0",
        "previous_event_id": event["previousEventId"].as_i64().unwrap_or(0).to_string(),
        "event_timestamp": at.to_string(), "execution_arn": arn});
    is_written.then(|| (at, message.to_string()))
}

/// A filter pattern for JSON: comparisons of fields with texts, of which one or, where they are joined so, all hold ("Filter
/// pattern syntax for metric filters, subscription filters, filter log events, and Live Tail").
fn matches(pattern: &str, message: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    let inner = pattern.strip_prefix("{ ").and_then(|rest| rest.strip_suffix(" }")).unwrap();
    let Ok(message) = serde_json::from_str::<Value>(message) else { return false };
    let holds = |comparison: &str| {
        let comparison = comparison.trim_matches(['(', ')']);
        let (field, value) =
            comparison.split_once(" = ").unwrap_or_else(|| panic!("the front does not know {pattern}"));
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        assert!(!value.contains('*'), "a star stands for any text");
        message[field.strip_prefix("$.").unwrap()] == value
    };
    inner.split(" || ").any(|any| any.split(" && ").all(holds))
}
