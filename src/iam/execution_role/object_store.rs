//! S3: buckets in all forms that a call may name them in, calls with a version, calls that read one object and write another,
//! and what the fields of a call ask for beside its action.

use super::payload::{Field, Payload, policy_text};
use super::task::Task;
use crate::asl::model::Arn;
use crate::integrations::sdk::{Format, Operation, Part, Permission};

/// A bucket, as a call names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    /// By its name: its ARN.
    Named(String),
    /// By an access point: the access point's ARN.
    AccessPoint(String),
}

impl Bucket {
    /// Nothing for what IAM knows by another ARN or with other actions: directory buckets (`s3express`), access points of
    /// Outposts and Object Lambda, and aliases of access points, which policies do not take (S3 user guide, "Access points").
    pub(super) fn read(text: &str, partition: &str) -> Option<Self> {
        if let Some(arn) = Arn::parse(text) {
            let is_point = arn.service == "s3" && arn.resource.starts_with("accesspoint/");
            return is_point.then(|| Self::AccessPoint(text.to_owned()));
        }
        let is_other = ["-s3alias", "--ol-s3", "--x-s3", "--xa-s3"].iter().any(|end| text.ends_with(end));
        (!is_other && !text.starts_with("arn:")).then(|| Self::Named(format!("arn:{partition}:s3:::{text}")))
    }

    /// Its own ARN.
    pub(super) fn arn(&self) -> &str {
        let (Self::Named(arn) | Self::AccessPoint(arn)) = self;
        arn
    }

    /// The ARN of an object in it.
    pub(super) fn object(&self, key: &str) -> String {
        match self {
            Self::Named(arn) => format!("{arn}/{key}"),
            Self::AccessPoint(arn) => format!("{arn}/object/{key}"),
        }
    }
}

/// The bucket of a text; where there is none that a policy could name so, that is told.
pub(super) fn bucket(task: &mut Task<'_>, text: &str) -> Option<Bucket> {
    let found = Bucket::read(text, &task.here.partition);
    match &found {
        Some(Bucket::Named(_)) => {}
        Some(Bucket::AccessPoint(arn)) => task.note(format!(
            "reaches its bucket by an access point, and the bucket has to allow it too: by its own policy, which may leave that to {arn}, or in the policy of this role (S3 user guide, \"Configuring IAM policies for using access points\")"
        )),
        None => task.missing(format!(
            "names its bucket as \"{text}\", which IAM knows by another ARN or with other actions; add what it needs by hand"
        )),
    }
    found
}

/// The call's object is the input's to say.
pub(super) fn any_key(task: &mut Task<'_>) {
    task.note(format!(
        "takes the key of its object from the input, so all objects of the bucket are allowed; narrow it with {}",
        task.flag("arn:aws:s3:::BUCKET/KEY")
    ));
}

/// True where the call names its bucket otherwise than by the bucket's name, or objects with and without versions; what it is
/// allowed on is then said.
pub(super) fn in_other_form(
    task: &mut Task<'_>,
    operation: &Operation,
    permission: &Permission,
    formats: &[Format],
) -> bool {
    let fields = ["Bucket", "DestinationBucket"];
    let Some(text) = fields.iter().find_map(|name| task.payload.get(name).text()) else { return false };
    if !task.given("s3", "").is_empty() {
        return false;
    }
    let is_named = matches!(Bucket::read(&text, &task.here.partition), Some(Bucket::Named(_)));
    if operation.name == "DeleteObjects" && is_named {
        return deletions(task, &text);
    }
    if is_named {
        return false;
    }
    let Some(bucket) = bucket(task, &text) else { return true };
    let action = versioned(&task.payload, &permission.action).to_owned();
    let of_objects = |format: &Format| match format.parts.as_deref() {
        Some([_, Part::Field { path, .. }]) if format.names().last() == Some("ObjectName") => Some(*path),
        _ => None,
    };
    let resources = match formats.iter().find_map(of_objects) {
        Some(path) => keys(task, path).iter().map(|key| bucket.object(key)).collect(),
        None => vec![bucket.arn().to_owned()],
    };
    task.need(&[&action], resources);
    true
}

/// The keys that a path of the table leads to.
fn keys(task: &mut Task<'_>, path: &str) -> Vec<String> {
    let mut keys: Vec<String> = task.payload.values(path).iter().filter_map(Field::text).collect();
    if keys.is_empty() {
        any_key(task);
        keys.push("*".to_owned());
    }
    keys
}

/// Each object with the action that its version asks for.
fn deletions(task: &mut Task<'_>, bucket: &str) -> bool {
    let objects = task.payload.items("Delete.Objects").unwrap_or_default();
    if objects.iter().any(|object| object.whole_from_input().is_some()) {
        return false;
    }
    let (mut newest, mut versions) = (Vec::new(), Vec::new());
    for object in &objects {
        let key = object.get("Key").text().unwrap_or_else(|| {
            any_key(task);
            "*".to_owned()
        });
        let which = if object.get("VersionId").is_absent() { &mut newest } else { &mut versions };
        which.push(format!("arn:{}:s3:::{bucket}/{key}", task.here.partition));
    }
    let is_known = !objects.is_empty();
    task.need(&["s3:DeleteObject"], newest);
    task.need(&["s3:DeleteObjectVersion"], versions);
    is_known
}

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
/// (S3 API reference, `CopyObject`); or bucket and key by fields of their own, which the SDK for Java has.
fn source(task: &mut Task<'_>) {
    let parts = |name: &str| task.payload.get(name).text();
    let field = task.payload.get("CopySource");
    let (place, version) = match (field.raw(), parts("SourceBucket")) {
        (Some(source), _) => {
            let (object, query) = source.split_once('?').unwrap_or((&source, ""));
            let object = decoded(object.trim_start_matches('/'));
            let at = if object.starts_with("arn:") { object.split_once("/object/") } else { object.split_once('/') };
            let (bucket, key) = at.unwrap_or((&object, "*"));
            let key = if at.is_some() { policy_text(key) } else { key.to_owned() };
            (Some((policy_text(bucket), key)), query.contains("versionId="))
        }
        (None, Some(bucket)) => {
            let key = parts("SourceKey").unwrap_or_else(|| "*".to_owned());
            (Some((bucket, key)), !task.payload.get("SourceVersionId").is_absent())
        }
        (None, None) => (None, false),
    };
    let resources = if let Some((name, key)) = place {
        bucket(task, &name).into_iter().map(|bucket| bucket.object(&key)).collect()
    } else {
        let given = task.given("s3", "");
        if given.is_empty() {
            task.open(&field, "the object that it copies", "CopySource");
        }
        given
    };
    let keeps_tags = task.payload.get("TaggingDirective").text().as_deref() == Some("COPY");
    let (read, tags) = if version {
        ("s3:GetObjectVersion", "s3:GetObjectVersionTagging")
    } else {
        ("s3:GetObject", "s3:GetObjectTagging")
    };
    task.need(&[read], resources.clone());
    if keeps_tags {
        task.need(&[tags], resources);
    }
}

/// Fields of a call that writes an object, each with the action that it asks for beside `s3:PutObject` (S3 user guide,
/// "Required permissions for Amazon S3 API operations").
const WITH_OBJECT: [(&str, &str); 10] = [
    ("Acl", "s3:PutObjectAcl"),
    ("GrantFullControl", "s3:PutObjectAcl"),
    ("GrantRead", "s3:PutObjectAcl"),
    ("GrantReadACP", "s3:PutObjectAcl"),
    ("GrantWriteACP", "s3:PutObjectAcl"),
    ("ObjectLockLegalHoldStatus", "s3:PutObjectLegalHold"),
    ("ObjectLockMode", "s3:PutObjectRetention"),
    ("ObjectLockRetainUntilDate", "s3:PutObjectRetention"),
    ("Tagging", "s3:PutObjectTagging"),
    ("TaggingDirective", "s3:PutObjectTagging"),
];

/// The same for a bucket (S3 API reference, `CreateBucket`).
const WITH_BUCKET: [(&str, &str); 9] = [
    ("Acl", "s3:PutBucketAcl"),
    ("GrantFullControl", "s3:PutBucketAcl"),
    ("GrantRead", "s3:PutBucketAcl"),
    ("GrantReadACP", "s3:PutBucketAcl"),
    ("GrantWrite", "s3:PutBucketAcl"),
    ("GrantWriteACP", "s3:PutBucketAcl"),
    ("ObjectLockEnabledForBucket", "s3:PutBucketObjectLockConfiguration"),
    ("ObjectLockEnabledForBucket", "s3:PutBucketVersioning"),
    ("ObjectOwnership", "s3:PutBucketOwnershipControls"),
];

/// What the fields of a call ask for beside its own action, on what that is allowed on.
pub(super) fn besides(task: &mut Task<'_>, operation: &Operation) {
    let (with, own): (&[(&str, &str)], _) = match operation.name {
        "CopyObject" | "CreateMultipartUpload" | "PutObject" => (&WITH_OBJECT, "s3:PutObject"),
        "CreateBucket" => (&WITH_BUCKET, "s3:CreateBucket"),
        "DeleteObject" | "DeleteObjects" => {
            (&[("BypassGovernanceRetention", "s3:BypassGovernanceRetention")], "s3:DeleteObject")
        }
        "PutObjectRetention" => {
            (&[("BypassGovernanceRetention", "s3:BypassGovernanceRetention")], "s3:PutObjectRetention")
        }
        _ => return,
    };
    let asks = |name: &str| match task.payload.get(name) {
        Field::Absent => false,
        Field::Known(value) if value.as_bool() == Some(false) => false,
        // A bucket is private by itself.
        field => !(operation.name == "CreateBucket" && field.text().as_deref() == Some("private")),
    };
    let mut actions: Vec<&str> = with.iter().filter(|(name, _)| asks(name)).map(|(_, action)| *action).collect();
    actions.dedup();
    let is_own = |action: &String| action == own || action.strip_suffix("Version") == Some(own);
    let needs = task.needs.iter().filter(|need| need.actions.iter().any(is_own));
    let resources: Vec<String> = needs.flat_map(|need| need.resources.clone()).collect();
    if !actions.is_empty() {
        task.need(&actions, resources);
    }
    if own == "s3:PutObject" {
        // The parts of an upload are read when they are put together (S3 user guide, "Uploading with multipart upload").
        let in_parts = operation.name == "CreateMultipartUpload";
        key(task, if in_parts { &["kms:GenerateDataKey", "kms:Decrypt"] } else { &["kms:GenerateDataKey"] });
    }
}

/// S3 encrypts with a key of KMS in the name of the caller.
fn key(task: &mut Task<'_>, actions: &[&str]) {
    let name = "SsekmsKeyId";
    let field = task.payload.get(name);
    match field.text() {
        None if field.is_absent() => {}
        Some(alias) if alias.starts_with("alias/") || alias.contains(":alias/") => task.names_by_alias(&alias),
        _ => {
            let key = task.resource(name, "kms", "key/", "its key");
            task.need(actions, key);
        }
    }
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
