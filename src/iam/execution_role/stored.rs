//! What services read from S3 and write there in the name of the caller, as the fields of a call say.

use super::object_store;
use super::payload::{Field, Payload, policy_text};
use super::task::Task;
use crate::iam::partition;
use crate::integrations::sdk::Operation;

const READ: &str = "the object in S3 that is read";
const WRITTEN: &str = "where in S3 its answer is written";

/// Sources: the developer guides of the services, on the rights that the caller of each needs.
pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    match (operation.service, operation.name) {
        ("textract" | "rekognition", _) => {
            for place in task.payload.objects("S3Object") {
                read(task, place, ["Bucket", "Name", "Version"]);
            }
            for place in task.payload.objects("OutputConfig") {
                let prefix = if operation.service == "textract" { "S3Prefix" } else { "S3KeyPrefix" };
                write(task, place, ["S3Bucket", prefix], "/", &["s3:PutObject"]);
            }
        }
        ("lambda", "UpdateFunctionCode") => code(task, Ok(task.payload)),
        ("lambda", "CreateFunction") => task.payload.objects("Code").into_iter().for_each(|place| code(task, place)),
        ("lambda", "PublishLayerVersion") => {
            task.payload.objects("Content").into_iter().for_each(|place| code(task, place));
        }
        ("bedrockruntime" | "bedrockagentruntime", _) => {
            urls(task, ".S3Location.Uri", "s3:GetObject");
            folders(task, "OutputDataConfig.S3OutputDataConfig.S3Uri");
        }
        ("transcribe", _) => transcripts(task),
        ("cloudformation", _) => urls(task, "TemplateURL+StackPolicyURL", "s3:GetObject"),
        ("polly", "StartSpeechSynthesisTask") => {
            write(task, Ok(task.payload), ["OutputS3BucketName", "OutputS3KeyPrefix"], "", &["s3:PutObject"]);
            if !task.payload.get("SnsTopicArn").is_absent() {
                let topic = task.resource("SnsTopicArn", "sns", "", "its topic");
                task.need(&["sns:Publish"], topic);
            }
        }
        ("dynamodb", "ExportTableToPointInTime") => {
            let actions = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"];
            write(task, Ok(task.payload), ["S3Bucket", "S3Prefix"], "/", &actions);
        }
        ("dynamodb", "ImportTable") => import(task),
        _ => {}
    }
}

/// The code of a function or layer.
fn code(task: &mut Task<'_>, place: Result<Payload<'_>, String>) {
    read(task, place, ["S3Bucket", "S3Key", "S3ObjectVersion"]);
}

/// An object that is read, by the fields of its bucket, key and version.
fn read(task: &mut Task<'_>, place: Result<Payload<'_>, String>, [bucket, key, version]: [&str; 3]) {
    let field = place.as_ref().map_or_else(|path| Field::FromInput(path.clone()), |place| place.get(bucket));
    let has_version = place.as_ref().is_ok_and(|place| !place.get(version).is_absent());
    let action = if has_version { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let Some(name) = field.text() else { return elsewhere(task, &field, READ, bucket, &[action]) };
    let key = place.ok().and_then(|place| place.get(key).text()).unwrap_or_else(|| {
        object_store::any_key(task);
        "*".to_owned()
    });
    let object = object_store::bucket(task, &name).map(|bucket| bucket.object(&key));
    task.need(&[action], object);
}

/// Objects that are written below a prefix, by the fields of bucket and prefix.
fn write(
    task: &mut Task<'_>,
    place: Result<Payload<'_>, String>,
    [bucket, prefix]: [&str; 2],
    sign: &str,
    actions: &[&str],
) {
    let field = place.as_ref().map_or_else(|path| Field::FromInput(path.clone()), |place| place.get(bucket));
    let Some(name) = field.text() else { return elsewhere(task, &field, WRITTEN, bucket, actions) };
    let below = place.ok().and_then(|place| place.get(prefix).text());
    let keys = match below.as_deref().map(|prefix| prefix.trim_end_matches('/')) {
        None | Some("") => "*".to_owned(),
        Some(prefix) => format!("{prefix}{sign}*"),
    };
    let objects = object_store::bucket(task, &name).map(|bucket| bucket.object(&keys));
    task.need(actions, objects);
}

/// A place that the call does not write out: what was given from outside. A call that has no such field reads and writes nothing.
fn elsewhere(task: &mut Task<'_>, field: &Field<'_>, what: &str, name: &str, actions: &[&str]) {
    if field.is_absent() {
        return;
    }
    let given = task.given("s3", "");
    if given.is_empty() {
        task.open(field, what, name);
    }
    task.need(actions, given);
}

/// Objects by the URLs that a path of fields leads to: those that end in a slash stand for all below.
fn urls(task: &mut Task<'_>, path: &str, action: &str) {
    for field in task.payload.values(path) {
        let what = if action == "s3:PutObject" { WRITTEN } else { READ };
        let Some(url) = field.raw() else {
            elsewhere(task, &field, what, path, &[action]);
            continue;
        };
        // What lies elsewhere is no matter of S3.
        let Some((bucket, key)) = at(&url) else { continue };
        let (bucket, key) = (policy_text(&bucket), policy_text(&key));
        let is_folder = key.is_empty() || key.ends_with('/');
        let key = if is_folder { format!("{key}*") } else { key };
        let object = object_store::bucket(task, &bucket).map(|bucket| bucket.object(&key));
        task.need(&[action], object);
    }
}

/// Where a service writes objects of its own below the URL that a field has, with a slash at its end or without (Bedrock user
/// guide, `StartAsyncInvoke`: the answer is `s3://bucket/prefix/invocation/output.mp4`).
fn folders(task: &mut Task<'_>, path: &str) {
    for field in task.payload.values(path) {
        let Some(url) = field.raw() else {
            elsewhere(task, &field, WRITTEN, path, &["s3:PutObject"]);
            continue;
        };
        let Some((bucket, key)) = at(&url) else { continue };
        let below = match key.trim_end_matches('/') {
            "" => "*".to_owned(),
            prefix => format!("{}/*", policy_text(prefix)),
        };
        let objects = object_store::bucket(task, &policy_text(&bucket)).map(|bucket| bucket.object(&below));
        task.need(&["s3:PutObject"], objects);
    }
}

/// Bucket and key of a URL: `s3://bucket/key`, `https://bucket.s3.region.amazonaws.com/key` or
/// `https://s3.region.amazonaws.com/bucket/key` (S3 user guide, "Virtual hosting of general purpose buckets").
fn at(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    if scheme == "s3" {
        return Some((host.to_owned(), path.to_owned()));
    }
    let labels = partition::endpoint_labels(host)?;
    let is_s3 = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-']);
    if labels.strip_prefix("s3").is_some_and(is_s3) {
        let (bucket, key) = path.split_once('/')?;
        return Some((bucket.to_owned(), key.to_owned()));
    }
    let (bucket, rest) = labels.rsplit_once(".s3")?;
    is_s3(rest).then(|| (bucket.to_owned(), path.to_owned()))
}

/// Transcribe reads and writes in the name of the caller, unless a role is handed over; it tests that it can write with an
/// object of its own (developer guide, "Amazon Transcribe identity-based policy examples").
fn transcripts(task: &mut Task<'_>) {
    if !task.payload.values(".DataAccessRoleArn").is_empty() {
        return;
    }
    for path in [".MediaFileUri", ".RedactedMediaFileUri", "VocabularyFileUri", "VocabularyFilterFileUri"] {
        urls(task, path, "s3:GetObject");
    }
    write(task, Ok(task.payload), ["OutputBucketName", ""], "", &["s3:PutObject"]);
    if task.payload.get("OutputLocation").raw().is_some_and(|url| url.rsplit('.').next() == Some("json")) {
        urls(task, "OutputLocation", "s3:PutObject");
    } else {
        // Without the name of a file it is a folder (Transcribe API reference, `StartCallAnalyticsJob`, parameter `OutputLocation`).
        folders(task, "OutputLocation");
    }
}

/// The import lists its bucket and reads what lies below the prefix (`DynamoDB` developer guide, "Table import").
fn import(task: &mut Task<'_>) {
    let (bucket, prefix) = ("S3BucketSource.S3Bucket", "S3BucketSource.S3KeyPrefix");
    let field = task.payload.get(bucket);
    let Some(name) = field.text() else { return elsewhere(task, &field, READ, bucket, &["s3:GetObject"]) };
    let Some(found) = object_store::bucket(task, &name) else { return };
    let prefix = task.payload.get(prefix).text().unwrap_or_default();
    task.need(&["s3:GetObject"], [found.object(&format!("{prefix}*"))]);
    task.need(&["s3:ListBucket"], [found.arn()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_s3_has_a_bucket_and_a_key() {
        let parts = |url: &str| at(url).map(|(bucket, key)| format!("{bucket} {key}"));
        for url in [
            "s3://a.b/k/l",
            "https://a.b.s3.amazonaws.com/k/l",
            "https://a.b.s3.eu-west-1.amazonaws.com/k/l?versionId=1",
            "https://a.b.s3-eu-west-1.amazonaws.com/k/l",
            "https://s3.eu-west-1.amazonaws.com/a.b/k/l",
            "https://s3-eu-west-1.amazonaws.com/a.b/k/l",
            "https://s3.cn-north-1.amazonaws.com.cn/a.b/k/l",
        ] {
            assert_eq!(parts(url).as_deref(), Some("a.b k/l"), "{url}");
        }
        for url in ["https://example.com/a/k", "https://sqs.eu-west-1.amazonaws.com/a/k", "s3", "ssm-doc://x"] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
