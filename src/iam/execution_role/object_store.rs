//! S3: calls with a version, and calls that read one object and write another.

use super::payload::Payload;
use super::task::Task;
use crate::integrations::sdk::{Operation, Permission};

/// Actions on one version of an object instead of its newest (S3 user guide, "Required permissions for Amazon S3 API
/// operations").
const VERSIONED: [(&str, &str); 9] = [
    ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
    ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    ("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"),
    ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    ("s3:GetObjectTorrent", "s3:GetObjectVersionTorrent"),
    ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
    ("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
];

/// The action, which is another one where the call names a version.
pub(super) fn versioned<'a>(payload: &Payload<'_>, action: &'a str) -> &'a str {
    let names_version = ["VersionId", "Delete..VersionId"].iter().any(|path| !payload.values(path).is_empty());
    let other = VERSIONED.iter().find(|(plain, _)| names_version && *plain == action);
    other.map_or(action, |(_, versioned)| versioned)
}

/// True where the permission is for what a copy reads, which is then said.
pub(super) fn reads_source(task: &mut Task<'_>, operation: &Operation, permission: &Permission) -> bool {
    let copies = matches!(operation.name, "CopyObject" | "UploadPartCopy");
    let reads = copies && permission.action == "s3:GetObject";
    if reads {
        source(task);
    }
    reads
}

/// What a copy reads: `bucket/key`, with `?versionId=` behind it for a version, or the ARN of an object behind an access point
/// (S3 API reference, `CopyObject`).
fn source(task: &mut Task<'_>) {
    let partition = task.here.partition.clone();
    let parts = |name: &str| task.payload.get(name).text();
    let field = task.payload.get("CopySource");
    let (source, version) = match (field.text(), parts("SourceBucket")) {
        (Some(source), _) => {
            let (object, query) =
                source.split_once('?').map_or((source.as_str(), ""), |(object, query)| (object, query));
            (Some(object.to_owned()), query.contains("versionId="))
        }
        (None, Some(bucket)) => {
            let key = parts("SourceKey").unwrap_or_else(|| "*".to_owned());
            (Some(format!("{bucket}/{key}")), parts("SourceVersionId").is_some())
        }
        (None, None) => (None, false),
    };
    let resources = match source {
        Some(arn) if arn.starts_with("arn:") => vec![arn],
        Some(object) => vec![format!("arn:{partition}:s3:::{}", decoded(object.trim_start_matches('/')))],
        None => task.given("s3", ""),
    };
    if resources.is_empty() {
        task.open(&field, "the object that it copies", "CopySource");
    }
    task.need(&[if version { "s3:GetObjectVersion" } else { "s3:GetObject" }], resources);
}

/// Keys are URL-encoded in a header.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high).zip(digit(low)).map(|(high, low)| high * 16 + low)
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
