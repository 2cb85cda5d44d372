//! Tables, and jobs that move and change data.

use super::payload::{Field, Payload};
use super::task::Task;

pub(super) fn dynamodb(task: &mut Task<'_>, action: &str) -> bool {
    let needed = match action {
        "getItem" => "dynamodb:GetItem",
        "putItem" => "dynamodb:PutItem",
        "updateItem" => "dynamodb:UpdateItem",
        "deleteItem" => "dynamodb:DeleteItem",
        _ => return false,
    };
    let table = task.resource("TableName", "dynamodb", "table/", "its table");
    task.need(&[needed], table);
    true
}

/// The items of a transaction, each with the action that its table has to allow (`DynamoDB` developer guide, "Using IAM
/// with `DynamoDB` transactions").
const ITEMS: [(&str, &str); 5] = [
    ("ConditionCheck", "dynamodb:ConditionCheckItem"),
    ("Delete", "dynamodb:DeleteItem"),
    ("Get", "dynamodb:GetItem"),
    ("Put", "dynamodb:PutItem"),
    ("Update", "dynamodb:UpdateItem"),
];

/// A transaction; false where its items are not written out.
pub(super) fn transaction(task: &mut Task<'_>) -> bool {
    let items = task.payload.items("TransactItems").unwrap_or_default();
    if items.iter().any(|item| item.whole_from_input().is_some()) {
        return false;
    }
    for item in &items {
        for (kind, action) in ITEMS {
            if !item.get(kind).is_absent() {
                let tables = table_of(task, item, kind);
                task.need(&[action], tables);
            }
        }
    }
    !items.is_empty()
}

fn table_of(task: &mut Task<'_>, item: &Payload<'_>, kind: &str) -> Vec<String> {
    let field = match item.get(kind) {
        open @ Field::FromInput(_) => open,
        _ => item.get(&format!("{kind}.TableName")),
    };
    match field.text() {
        Some(arn) if arn.starts_with("arn:") => vec![arn],
        Some(name) => vec![task.here.arn("dynamodb", &format!("table/{name}"))],
        None => {
            let given = task.given("dynamodb", "table/");
            if given.is_empty() {
                task.open(&field, "the table of an item", "TableName");
            }
            given
        }
    }
}

/// A table is restored with the rights of the caller to read and write it (`DynamoDB` developer guide, "Using IAM with `DynamoDB` backup
/// and restore").
pub(super) fn restored(task: &mut Task<'_>, operation: &str) {
    if matches!(operation, "RestoreTableFromBackup" | "RestoreTableToPointInTime") {
        let table = task.resource("TargetTableName", "dynamodb", "table/", "the table that it restores");
        let actions = ["BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"];
        let actions = actions.map(|action| format!("dynamodb:{action}"));
        task.need(&actions.each_ref().map(String::as_str), table);
    }
}

pub(super) fn glue(task: &mut Task<'_>, action: &str) -> bool {
    if action != "startJobRun" {
        return false;
    }
    let job = task.resource("JobName", "glue", "job/", "its job");
    task.need(&["glue:StartJobRun"], job.clone());
    if task.is_sync() {
        task.need(&["glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"], job);
    }
    true
}

pub(super) fn databrew(task: &mut Task<'_>, action: &str) -> bool {
    if action != "startJobRun" {
        return false;
    }
    let job = task.resource("Name", "databrew", "job/", "its job");
    task.need(&["databrew:StartJobRun"], job.clone());
    if task.is_sync() {
        task.need(&["databrew:ListJobRuns", "databrew:StopJobRun"], job);
    }
    true
}

pub(super) fn mediaconvert(task: &mut Task<'_>, action: &str) -> bool {
    if action != "createJob" {
        return false;
    }
    let mut resources = match task.payload.get("Queue") {
        field if field.is_absent() => vec![task.here.arn("mediaconvert", "queues/Default")],
        _ => task.resource("Queue", "mediaconvert", "queues/", "its queue"),
    };
    if !task.payload.get("JobTemplate").is_absent() {
        resources.extend(task.resource("JobTemplate", "mediaconvert", "jobTemplates/", "its job template"));
    }
    task.need(&["mediaconvert:CreateJob"], resources);
    task.pass_role("Role", "mediaconvert.amazonaws.com", "the role of the job");
    if task.is_sync() {
        let jobs = task.here.arn("mediaconvert", "jobs/*");
        task.need(&["mediaconvert:GetJob", "mediaconvert:CancelJob"], [jobs]);
    }
    task.managed_rule("StepFunctionsGetEventsForMediaConvertJobRule");
    true
}

/// A place in S3, as `s3://bucket/prefix`.
pub(super) struct Location {
    bucket: String,
    prefix: String,
}

impl Location {
    pub(super) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    pub(super) fn bucket(&self, partition: &str) -> String {
        format!("arn:{partition}:s3:::{}", self.bucket)
    }

    /// Everything below it.
    pub(super) fn objects(&self, partition: &str) -> String {
        format!("{}/{}*", self.bucket(partition), self.prefix)
    }

    /// It alone.
    pub(super) fn object(&self, partition: &str) -> String {
        format!("{}/{}", self.bucket(partition), self.prefix)
    }
}
