//! Topics, queues and event buses.

use super::payload::origin;
use super::task::Task;
use crate::iam::partition;

pub(super) fn sns(task: &mut Task<'_>, action: &str) -> bool {
    if action != "publish" {
        return false;
    }
    let to_phone = !task.payload.get("PhoneNumber").is_absent();
    let field = if task.payload.get("TargetArn").is_absent() { "TopicArn" } else { "TargetArn" };
    if to_phone && task.payload.get(field).is_absent() {
        // A text message has no ARN that IAM could know (SNS developer guide, "Sending SMS messages").
        task.need(&["sns:Publish"], ["*"]);
        task.note("sends text messages, which IAM allows to all numbers or none");
        return true;
    }
    let topic = task.resource(field, "sns", "", "its topic");
    task.need(&["sns:Publish"], topic);
    true
}

pub(super) fn sqs(task: &mut Task<'_>, action: &str) -> bool {
    if action != "sendMessage" {
        return false;
    }
    let field = task.payload.get("QueueUrl");
    let queue = field.text().and_then(|url| queue_arn(task, &url));
    let queue = queue.map_or_else(|| task.given("sqs", ""), |arn| vec![arn]);
    if queue.is_empty() {
        task.open(&field, "its queue", "QueueUrl");
    }
    task.need(&["sqs:SendMessage"], queue);
    true
}

/// `https://sqs.<region>.<partition's suffix>/<account>/<name>`, which other endpoints end in too; or the older
/// `https://<region>.queue.amazonaws.com/…`, without a region for N. Virginia (AWS General Reference, "Amazon SQS endpoints and
/// quotas").
pub(super) fn queue_arn(task: &Task<'_>, url: &str) -> Option<String> {
    let (host, path) = url.split_once("://")?.1.split_once('/')?;
    let (account, name) = path.trim_end_matches('/').rsplit_once('/')?;
    let account = account.rsplit('/').next()?;
    let mut there = task.here.clone();
    account.clone_into(&mut there.account);
    let mut labels = partition::endpoint_labels(host).unwrap_or_default().rsplit('.');
    let region = match (labels.next(), labels.next()) {
        (Some(region), Some("sqs")) | (Some("queue"), Some(region)) => Some(region),
        (Some("queue"), None) => Some("us-east-1"),
        _ => None,
    };
    if let Some(region) = region {
        region.clone_into(&mut there.region);
        if let Some(partition) = partition::of_region(region) {
            partition.id.clone_into(&mut there.partition);
        }
    }
    Some(there.arn("sqs", name))
}

pub(super) fn events(task: &mut Task<'_>, action: &str) -> bool {
    if action != "putEvents" {
        return false;
    }
    let entries = match task.payload.items("Entries") {
        Ok(entries) => entries,
        Err(expression) => {
            let buses = task.given("events", "event-bus/");
            if buses.is_empty() {
                task.missing(format!(
                    "takes its events and their buses from {}; give the bus with {}",
                    origin(&expression),
                    task.flag("ARN")
                ));
            }
            task.need(&["events:PutEvents"], buses);
            return true;
        }
    };
    let mut buses: Vec<String> = Vec::new();
    for entry in entries {
        let field = entry.get("EventBusName");
        let arns = match field.text() {
            Some(arn) if arn.starts_with("arn:") => vec![arn],
            Some(name) => vec![task.here.arn("events", &format!("event-bus/{name}"))],
            None if field.is_absent() => vec![task.here.arn("events", "event-bus/default")],
            None => {
                let given = task.given("events", "event-bus/");
                if given.is_empty() {
                    task.open(&field, "the bus of an event", "EventBusName");
                }
                given
            }
        };
        buses.extend(arns.into_iter().filter(|arn| !buses.contains(arn)).collect::<Vec<_>>());
    }
    task.need(&["events:PutEvents"], buses);
    true
}
