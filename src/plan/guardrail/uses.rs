//! What a definition uses, at any depth: integrations and AWS accounts.

use serde_json::{Map, Value};

use super::pattern::matches;
use crate::api::v1alpha1::WorkflowSpec;
use crate::integrations::sdk;
use crate::plan::step_roles::{Acting, Steps, pointer};

/// What a definition uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Each use of an integration, in the order of the text.
    pub integrations: Vec<Integration>,
    /// AWS accounts that it names, each with a JSON pointer to where.
    pub accounts: Vec<Account>,
    /// JSON pointers to the states whose role of `Credentials` is known only when they run.
    pub open_credentials: Vec<String>,
    /// Roles that steps act as, written out, each with a JSON pointer to where.
    pub step_roles: Vec<StepRole>,
    /// JSON pointers to the states whose role is not written out, whatever of it is known.
    pub open_steps: Vec<String>,
    /// JSON pointers to the Tasks, activities apart, that act as the execution role.
    pub without_role: Vec<String>,
}

/// A role that a step acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRole {
    /// JSON pointer to the state.
    pub path: String,
    /// The role.
    pub role_arn: String,
}

impl Uses {
    /// What the steps act as.
    pub fn steps(&self) -> Steps<'_> {
        Steps {
            roles: self
                .step_roles
                .iter()
                .map(|one| Acting { role_arn: &one.role_arn, path: Some(&one.path) })
                .collect(),
            open: self.open_steps.first().map(String::as_str),
            without: self.without_role.first().map(String::as_str),
            is_known: true,
        }
    }

    /// With the roles that the spec gives to steps, which stand in no definition that could not be prepared.
    #[must_use]
    pub fn with_roles_of(mut self, spec: &WorkflowSpec) -> Self {
        for (index, one) in spec.step_roles.iter().enumerate() {
            let (path, role_arn) = (pointer(index), one.role_arn.clone());
            self.accounts.extend(account_of_arn(&role_arn).map(|id| Account { path: path.clone(), id: id.to_owned() }));
            self.step_roles.push(StepRole { path, role_arn });
        }
        self
    }
}

/// One use of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// JSON pointer to the state or to the reader or writer of a Map.
    pub path: String,
    /// As people write it: `lambda:invoke`, `aws-sdk:s3:getObject`, `activity`.
    pub name: String,
}

/// An AWS account that a definition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// JSON pointer to the state that names it.
    pub path: String,
    /// Its twelve digits.
    pub id: String,
}

/// Everything of a definition: tasks, and what a Map reads from and writes to.
pub fn uses(definition: &Value) -> Uses {
    let mut found = Uses::default();
    machine(definition, "", &mut found);
    found
}

fn machine(value: &Value, path: &str, found: &mut Uses) {
    for (name, state) in value["States"].as_object().into_iter().flatten() {
        let path = format!("{path}/States/{}", name.replace('~', "~0").replace('/', "~1"));
        let Some(state) = state.as_object() else { continue };
        caller(state, &path, found);
        if is_without_role(state) {
            found.without_role.push(path.clone());
        }
        for part in PARTS_OF_MAP {
            if let Some(part_of_map) = state.get(part).and_then(Value::as_object) {
                caller(part_of_map, &format!("{path}/{part}"), found);
            }
        }
        for (index, branch) in state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate() {
            machine(branch, &format!("{path}/Branches/{index}"), found);
        }
        for field in INNER {
            if let Some(inner) = state.get(field) {
                machine(inner, &format!("{path}/{field}"), found);
            }
        }
    }
}

/// An activity makes no call.
fn is_without_role(state: &Map<String, Value>) -> bool {
    let is_activity =
        || state.get("Resource").and_then(Value::as_str).is_some_and(|arn| integration_name(arn) == ACTIVITY);
    state.get("Type").and_then(Value::as_str) == Some("Task") && !state.contains_key("Credentials") && !is_activity()
}

/// Fields of a Map that may call, or hand something on, by themselves.
const PARTS_OF_MAP: [&str; 3] = ["ItemReader", "ResultWriter", "ItemBatcher"];
/// Fields that hold a state machine.
const INNER: [&str; 2] = ["ItemProcessor", "Iterator"];

/// What no call and no later state gets to see. Every other field may hand its values on, those that are not known here too.
fn is_no_data(field: &str) -> bool {
    field == "Comment"
}

/// What is looked at by a rule of its own.
fn is_seen_apart(field: &str) -> bool {
    matches!(field, "Resource" | "Credentials" | "Branches") || PARTS_OF_MAP.contains(&field) || INNER.contains(&field)
}

fn caller(holder: &Map<String, Value>, path: &str, found: &mut Uses) {
    if let Some(arn) = holder.get("Resource").and_then(Value::as_str) {
        found.integrations.push(Integration { path: path.to_owned(), name: integration_name(arn) });
        accounts("Resource", arn, path, found);
    }
    if let Some(given) = holder.get("Credentials") {
        credentials(given, path, found);
    }
    let mut see = |field: &str, text: &str| accounts(field, text, path, found);
    for (field, value) in holder.iter().filter(|(field, _)| !is_no_data(field) && !is_seen_apart(field)) {
        match value.as_array().filter(|_| matches!(field.as_str(), "Choices" | "Catch" | "Retry")) {
            Some(rules) => rules.iter().for_each(|rule| texts_of_rule(rule, &mut see)),
            None => texts(field, value, &mut see),
        }
    }
}

/// Of a rule of a Choice, a Catch or a Retry, which may have a comment of its own.
fn texts_of_rule(rule: &Value, see: &mut impl FnMut(&str, &str)) {
    for (field, value) in rule.as_object().into_iter().flatten().filter(|(field, _)| !is_no_data(field)) {
        texts(field, value, see);
    }
}

/// Each text with the field that it stands in. Keys too: an expression may take them for values.
fn texts(field: &str, value: &Value, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => see(field, text),
        Value::Array(items) => items.iter().for_each(|item| texts(field, item, see)),
        Value::Object(fields) => {
            for (key, value) in fields {
                see(field, key);
                texts(key, value, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn accounts(field: &str, text: &str, path: &str, found: &mut Uses) {
    for id in accounts_in(field, text) {
        found.accounts.push(Account { path: path.to_owned(), id: id.to_owned() });
    }
}

/// The role of `Credentials` (Step Functions developer guide, "Accessing resources in other AWS accounts"): written out, or an
/// expression. Of `States.Format` with the account in its template the account is known, whatever is put into the rest.
fn credentials(given: &Value, path: &str, found: &mut Uses) {
    const FORMAT: &str = "States.Format('";
    let written = given.get("RoleArn").and_then(Value::as_str);
    let formatted = given.get("RoleArn.$").and_then(Value::as_str).and_then(|text| text.strip_prefix(FORMAT));
    match written.or(formatted).and_then(account_of_arn) {
        Some(id) => found.accounts.push(Account { path: path.to_owned(), id: id.to_owned() }),
        None => found.open_credentials.push(path.to_owned()),
    }
    match written.filter(|text| given.get("RoleArn.$").is_none() && is_role(text)) {
        Some(role) => found.step_roles.push(StepRole { path: path.to_owned(), role_arn: role.to_owned() }),
        None => found.open_steps.push(path.to_owned()),
    }
}

/// The ARN of one role, with nothing left to put in.
fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [_, _, "iam", "", account, resource] = parts[..] else { return false };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_/-".contains(letter);
    let name = resource.strip_prefix("role/").filter(|name| !name.is_empty() && name.chars().all(is_plain));
    is_account(account) && account_of_arn(text).is_some() && name.is_some()
}

/// Parameters that say whose a resource is (API references): of SQS `GetQueueUrl`; of S3; of Glue, Lake Formation and Athena; of
/// ECR; of `QuickSight`; of S3 Control, Organizations and others.
const OWNERS: [&str; 7] = [
    "QueueOwnerAWSAccountId",
    "ExpectedBucketOwner",
    "ExpectedSourceBucketOwner",
    "CatalogId",
    "RegistryId",
    "AwsAccountId",
    "AccountId",
];

/// Accounts of the ARNs in a text, of queues, and of a function that is named by account and name.
fn accounts_in<'a>(field: &str, text: &'a str) -> Vec<&'a str> {
    let arns = text.match_indices("arn:").filter_map(|(at, _)| account_of_arn(text.get(at..)?));
    let field = field.strip_suffix(".$").unwrap_or(field);
    let is_url = field.eq_ignore_ascii_case("QueueUrl");
    let urls = text
        .split(|ch: char| ch.is_whitespace() || QUOTES.contains(&ch))
        .flat_map(|word| accounts_of_queue(word, is_url));
    let owner = (OWNERS.iter().any(|owner| field.eq_ignore_ascii_case(owner)) && is_account(text)).then_some(text);
    // `123456789012:function:name` (Lambda API, `Invoke`, parameter `FunctionName`).
    let function = text.split_once(":function:").and_then(|(id, _)| is_account(id).then_some(id));
    arns.chain(urls).chain(owner).chain(function).collect()
}

/// `arn:<partition>:<service>:<region>:<account>:<resource>`.
fn account_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let whole = parts.next() == Some("arn") && parts.next()?.starts_with("aws");
    parts.nth(2).filter(|id| whole && is_account(id))
}

/// What ends a word in an expression.
const QUOTES: [char; 3] = ['\'', '"', '`'];

/// `https://sqs.<region>.amazonaws.com/<account>/<name>`, and the older `<region>.queue.amazonaws.com/…` (SQS developer guide,
/// "Queue and message identifiers"). AWS does not say how else SQS lets a queue be written: it is also known to take names and
/// paths. So whatever stands between slashes may be the account in a field that holds a queue's URL and behind a host of
/// queues.
fn accounts_of_queue(word: &str, is_url: bool) -> Vec<&str> {
    let parts: Vec<&str> = word.split(['/', '?', '#']).filter(|part| !part.is_empty()).collect();
    let of_queue = match parts[..] {
        [_] => is_url && word.contains('/'),
        _ => is_url || parts.iter().any(|part| is_host_of_queues(part)),
    };
    let mut found: Vec<&str> = parts.iter().copied().filter(|part| of_queue && is_account(part)).collect();
    // A queue may have digits for a name.
    if found.len() > 1 && found.last() == parts.last() {
        found.pop();
    }
    found
}

/// Names of hosts have no case (RFC 4343).
fn is_host_of_queues(part: &str) -> bool {
    let of_queues = |label: &str| ["sqs", "sqs-fips", "queue"].iter().any(|known| label.eq_ignore_ascii_case(known));
    part.contains('.') && part.split(['.', ':', '@']).any(of_queues)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How an activity is named among the integrations.
const ACTIVITY: &str = "activity";

/// The integration that a resource names. Source: Step Functions developer guide, "Integrating services": an optimised or
/// SDK integration is `arn:<partition>:states:::<name>` with an optional pattern such as `.sync` or `.waitForTaskToken`; a
/// Lambda function and an activity are named by their own ARN.
fn integration_name(arn: &str) -> String {
    let parts: Vec<&str> = arn.split(':').collect();
    let service = parts.get(2).copied().unwrap_or_default();
    let unplaced = parts.get(3..5).is_some_and(|place| place.iter().all(|part| part.is_empty()));
    match (service, parts.get(5).copied()) {
        ("states", Some(_)) if unplaced => {
            let name = parts[5..].join(":");
            name.split('.').next().unwrap_or_default().to_owned()
        }
        ("states", Some("activity")) => ACTIVITY.to_owned(),
        ("lambda", _) => "lambda:invoke".to_owned(),
        // Not an ARN that the guide knows: shown as it stands, so that a pattern can still name it.
        _ => arn.to_owned(),
    }
}

/// All names of an integration, in small letters. A service goes by its own name and by the prefix of its actions in IAM, with
/// or without `aws-sdk:` where it is called through the SDK. So `bedrock:*` is also what `aws-sdk:bedrockruntime:converse` is. A
/// call goes by the names of those that need the very same right: `lambda:invoke` is also what `aws-sdk:lambda:invokeAsync` is.
pub fn names_of(integration: &str) -> Vec<String> {
    let whole = integration.to_ascii_lowercase();
    let plain = whole.strip_prefix("aws-sdk:");
    let Some((service, operation)) = plain.unwrap_or(&whole).split_once(':') else { return vec![whole] };
    let mut services = vec![service.to_owned()];
    if plain.is_some() {
        services.extend(sdk::prefixes_of(service, operation));
    } else {
        services.extend(called_by(service, operation).into_iter().map(str::to_owned));
    }
    services.sort();
    services.dedup();
    let mut operations = vec![operation.to_owned()];
    if plain.is_some() {
        operations.extend(sdk::twins_of(service, operation).map(str::to_ascii_lowercase));
    }
    let calls =
        || operations.iter().flat_map(|operation| services.iter().map(move |service| format!("{service}:{operation}")));
    let of_sdk = calls().filter(|_| plain.is_some()).map(|call| format!("aws-sdk:{call}"));
    calls().chain(of_sdk).collect()
}

/// The SDK's services that an optimised integration calls: those of its IAM prefix that have the operation, or the only one of
/// the prefix (`elasticmapreduce:createCluster` is `runJobFlow` of `emr`).
fn called_by(prefix: &str, operation: &str) -> Vec<&'static str> {
    // IAM knows calls of somebody's API by another prefix than those that manage it (developer guide, "API Gateway").
    if prefix == "apigateway" {
        return vec!["execute-api"];
    }
    let all: Vec<&str> = sdk::services_of(prefix).collect();
    let having: Vec<&str> = all.iter().copied().filter(|service| sdk::has_operation(service, operation)).collect();
    if having.is_empty() && all.len() == 1 { all } else { having }
}

/// Whether a pattern names an integration that goes by these names. A pattern that names a service alone takes in all its
/// operations.
pub fn is_named(names: &[String], pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let service = format!("{pattern}:*");
    names.iter().any(|name| matches(&pattern, name) || matches(&service, name))
}
