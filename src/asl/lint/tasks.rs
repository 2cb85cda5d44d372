//! What a Task calls, how long it may take, and whether it can be repeated.

use serde_json::Value;

use super::super::grammar::intrinsic;
use super::super::grammar::jsonata::Uses;
use super::super::model::{Arn, Kind, Pattern, QueryLanguage, Resource, State, Target, Task};
use super::super::position::Node;
use super::fields::is_misspelt;
use super::integrations;
use super::report::Lint;
use crate::integrations::sdk;

/// Keys that name what a call creates: a second call with the same name is recognised as a repetition.
const NAMES: [&str; 7] = [
    "Name",
    "JobName",
    "ClientToken",
    "ClientRequestToken",
    "IdempotencyToken",
    "MessageDeduplicationId",
    "TrainingJobName",
];

/// A Task.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let Kind::Task(task) = &state.kind else { return };
    let Some(node) = task.resource_node else {
        if is_misspelt(state.node, "Resource") {
            return;
        }
        return lint.report_key("SB007", state.node, format!("state \"{}\" is a Task without a Resource", state.name));
    };
    credentials(lint, task);
    times(lint, task);
    let Some(resource) = task.resource else { return not_text(lint, node) };
    if lint.is_placeholder(resource.text) {
        return;
    }
    called(lint, node, &resource);
    integrations::check(lint, node, state, &resource);
    if lint.circumstances.express {
        express(lint, node, state, &resource);
    }
    if resource.pattern == Pattern::WaitForTaskToken || matches!(resource.target, Target::Activity(_)) {
        waits(lint, state, task, &resource);
    }
    repeats(lint, state, task, &resource);
}

/// A template of CloudFormation puts the text there before AWS sees it.
fn not_text<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    let function = node.value().as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.keys().next());
    match function.filter(|name| *name == "Ref" || name.starts_with("Fn::")) {
        Some(name) if lint.circumstances.placeholders => {
            let message = format!(
                "Resource is a function of CloudFormation ({name}): it works in a template only, where CloudFormation puts the ARN in"
            );
            lint.report("SB028", node, message);
        }
        Some(name) => {
            let message = format!(
                "Resource is a function of CloudFormation ({name}), which nothing resolves here; write ${{Name}} and give the ARN in spec.substitutions"
            );
            lint.report("SB023", node, message);
        }
        None => lint.report("SB019", node, "Resource must be an ARN, as text"),
    }
}

/// A service of the SDK by a name with hyphens, which it has elsewhere: no name has any here.
fn meant(arn: &Arn<'_>) -> Option<String> {
    let (service, action) = arn.resource.strip_prefix("aws-sdk:")?.split_once(':')?;
    let named = sdk::named_otherwise(service, action).filter(|named| *named != service)?;
    Some(format!("; did you mean arn:{}:states:::aws-sdk:{named}:{action}?", arn.partition))
}

fn called<'a>(lint: &mut Lint<'a>, node: Node<'a>, resource: &Resource<'a>) {
    let text = resource.text;
    let partition = Arn::parse(text).map_or("aws", |arn| arn.partition);
    if partition != "aws" && !partition.starts_with("aws-") {
        let message = format!(
            "Resource \"{text}\" is in no partition of AWS: these are aws, aws-cn, aws-us-gov and others that begin so"
        );
        return lint.report("SB023", node, message);
    }
    match resource.target {
        Target::Unknown => {
            lint.report(
                "SB023",
                node,
                format!("Resource \"{text}\" is not an ARN; write for example arn:aws:states:::lambda:invoke"),
            );
        }
        Target::OtherArn(arn) if arn.service == "states" && arn.account.is_empty() => {
            let message = format!(
                "Resource \"{text}\" is not an integration: write arn:{}:states:::<service>:<action>, with .sync, .sync:2, .waitForTaskToken or nothing behind it{}",
                arn.partition,
                meant(&arn).unwrap_or_default()
            );
            lint.report("SB023", node, message);
        }
        Target::OtherArn(arn) => {
            let instead = match arn.service {
                "states" => format!("; to start it write arn:{}:states:::states:startExecution.sync:2", arn.partition),
                service => sdk::named_otherwise(service, "").map_or(String::new(), |service| {
                    format!("; its API may be called with arn:{}:states:::aws-sdk:{service}:<action>", arn.partition)
                }),
            };
            let message = format!(
                "Resource \"{text}\" is nothing that a Task can call, which is an integration, a function or an activity{instead}"
            );
            lint.report("SB023", node, message);
        }
        Target::Lambda(arn) if !is_function(arn.resource) => {
            let message = format!(
                "Resource \"{text}\" is not the ARN of a function: after its name comes nothing, or an alias, a version or $LATEST"
            );
            lint.report("SB023", node, message);
        }
        _ => {}
    }
}

/// `function:<name>`, or with a qualifier. Source: Lambda, `CreateFunction` and `Invoke`, parameter `FunctionName`.
fn is_function(resource: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    match *resource.split(':').collect::<Vec<_>>().as_slice() {
        ["function", name] => is_word(name),
        ["function", name, qualifier] => is_word(name) && (qualifier == "$LATEST" || is_word(qualifier)),
        _ => false,
    }
}

/// Source: developer guide, "Choosing workflow type": Express supports request and response only, and no activities.
fn express<'a>(lint: &mut Lint<'a>, node: Node<'a>, state: &State<'a>, resource: &Resource<'a>) {
    let what = match (resource.pattern, resource.target) {
        (_, Target::Activity(_)) => "an activity",
        (Pattern::RequestResponse, _) => return,
        (pattern, _) => pattern.suffix(),
    };
    let message = format!("state \"{}\" uses {what}, which an Express workflow cannot have", state.name);
    lint.report("SB044", node, message);
}

/// Something outside must answer, and may not.
fn waits<'a>(lint: &mut Lint<'a>, state: &State<'a>, task: &Task<'a>, resource: &Resource<'a>) {
    let is_token = resource.pattern == Pattern::WaitForTaskToken;
    if !task.timeout.is_set() && !task.heartbeat.is_set() {
        let what = if is_token { "a token wait" } else { "an activity" };
        lint.report_key(
            "SB041",
            state.node,
            format!("{what} without TimeoutSeconds or HeartbeatSeconds can hang for a year"),
        );
    }
    let payload = state.data.payload();
    // A payload of the other language, or in other letters, is told as such.
    let is_other = |key: &str| state.node.get(key).is_some() || is_misspelt(state.node, key);
    let is_elsewhere = payload.is_none() && ["Parameters", "Arguments"].into_iter().any(is_other);
    if is_token && !is_elsewhere && !payload.is_some_and(|payload| hands_on_token(payload.value())) {
        let token = match state.query_language {
            QueryLanguage::JsonPath => "$$.Task.Token",
            QueryLanguage::Jsonata => "{% $states.context.Task.Token %}",
        };
        let message = format!(
            "state \"{}\" waits for its token and gives it to nobody; put {token} into what it sends",
            state.name
        );
        lint.report_key("SB042", state.node, message);
    }
}

/// The token itself, the task, or the whole context is handed on somewhere.
fn hands_on_token(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.contains("Task.Token") || text.contains("$$.Task") || text == "$$" || text.contains("$states.context")
        }
        Value::Array(items) => items.iter().any(hands_on_token),
        Value::Object(fields) => fields.values().any(hands_on_token),
        _ => false,
    }
}

/// Source: states-language.net/spec.html, "Timeouts and heartbeats": the heartbeat must be smaller than the timeout.
fn times<'a>(lint: &mut Lint<'a>, task: &Task<'a>) {
    let seconds = |node: Option<Node<'a>>| node.and_then(|node| node.value().as_u64());
    let (timeout, heartbeat) = (seconds(task.timeout.value), seconds(task.heartbeat.value));
    if let (Some(timeout), Some(heartbeat), Some(node)) = (timeout, heartbeat, task.heartbeat.value)
        && heartbeat >= timeout
    {
        let message = format!("HeartbeatSeconds ({heartbeat}) must be smaller than TimeoutSeconds ({timeout})");
        lint.report("SB043", node, message);
    }
}

/// Source: developer guide, "Accessing resources in other AWS accounts", field `Credentials`.
fn credentials<'a>(lint: &mut Lint<'a>, task: &Task<'a>) {
    let Some(node) = task.credentials else { return };
    let is_expression = node.as_str().is_some_and(|text| text.starts_with("{%"));
    if !node.value().is_object() && !is_expression {
        return lint.report("SB019", node, "Credentials must be an object with RoleArn");
    }
    if node.value().is_object() && node.get("RoleArn").is_none() && node.get("RoleArn.$").is_none() {
        lint.report("SB047", node, "Credentials need RoleArn, the role to act as");
    }
    if task.resource.is_some_and(|resource| matches!(resource.target, Target::Optimised { service: "http", .. })) {
        let message = "an HTTP task with a role of its own: AWS does not say which of its rights are asked of that role; give both roles what it needs, or leave it to the execution role";
        lint.report("SB102", node, message);
    }
}

/// A call that is retried should be recognised by what it calls.
fn repeats<'a>(lint: &mut Lint<'a>, state: &State<'a>, task: &Task<'a>, resource: &Resource<'a>) {
    let Some(payload) = state.data.payload() else { return };
    if resource.integration().is_none() {
        return;
    }
    for (key, field) in payload.fields() {
        let Some(text) = field.as_str().filter(|_| NAMES.contains(&key.trim_end_matches(".$"))) else { continue };
        let is_random = match state.query_language {
            QueryLanguage::JsonPath => intrinsic::parse(text).is_ok_and(|call| call.is_random),
            QueryLanguage::Jsonata => lint.expressions.get(&field.id()).is_some_and(Uses::is_random),
        };
        if is_random {
            let retried = if task.retry.is_empty() { "a redrive makes" } else { "each retry makes" };
            let message = format!(
                "{key} is another one every time, so {retried} a second one; build it from the input or $$.Execution.Name"
            );
            lint.report("SB072", field, message);
        }
    }
}
