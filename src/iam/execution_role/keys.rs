//! Keys of KMS that a call names for another service. What that service does with a key in the name of the caller differs from
//! service to service, and is told instead of guessed.

use super::payload::Field;
use super::task::Task;
use crate::integrations::sdk::Operation;

pub(super) fn derive(task: &mut Task<'_>, operation: &Operation) {
    // KMS is called with the key itself, and what S3 needs to write an object is known.
    let is_known = operation.service == "kms"
        || (operation.service == "s3"
            && matches!(operation.name, "CopyObject" | "CreateMultipartUpload" | "PutObject" | "UploadPartCopy"));
    let reads = ["Get", "List", "Describe", "Delete"].iter().any(|verb| operation.name.starts_with(verb));
    if is_known || reads || task.payload.whole_from_input().is_some() {
        return;
    }
    for (name, field) in task.payload.deep() {
        if names_a_key(operation.service, name) {
            tell(task, name, &field);
        }
    }
}

/// `KmsKeyId`, `KMSMasterKeyId`, `KmsKeyArn`, `SSEKMSKeyId`, `VolumeKmsKeyId`, …
fn names_a_key(service: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["key", "keyid", "keyids", "keyarn", "keyidentifier"];
    let is_of_kms = name.find("kms").is_some_and(|at| ends.iter().any(|end| name[at + 3..].ends_with(end)));
    // The key of a parameter (Systems Manager API reference, `PutParameter`).
    is_of_kms || (service == "ssm" && name == "keyid")
}

/// Keys that AWS manages for a service are allowed to whoever may use that service (KMS developer guide, "AWS managed keys").
fn tell(task: &mut Task<'_>, name: &str, field: &Field<'_>) {
    let key = match (field.text(), field) {
        (Some(text), _) if text.is_empty() || text.starts_with("alias/aws/") || text.contains(":alias/aws/") => return,
        (Some(text), _) if text.starts_with("arn:") && !text.contains(":alias/") => text,
        (Some(text), _) if text.contains("alias/") => format!("the key behind {text}"),
        (Some(text), _) => task.here.arn("kms", &format!("key/{text}")),
        (None, Field::FromInput(expression)) => format!("the key that {expression} names"),
        (None, _) => return,
    };
    task.note(format!(
        "names a key of KMS ({name}), whose own rights are not derived: grant what the service asks for in the caller's name (kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKey* are usual, with kms:ViaService) on {key}"
    ));
}
