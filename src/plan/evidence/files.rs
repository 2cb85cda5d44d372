//! Policies from files, as AWS's own commands print them.

use serde_json::Value;

use super::item::Source;
use crate::iam::document::Document;

/// A policy of a role from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFile {
    /// The role.
    pub role_arn: String,
    /// What it says.
    pub document: Document,
    /// The file.
    pub source: Source,
}

impl PolicyFile {
    /// A policy of a role, read from a file of this name and digest.
    pub fn new((role_arn, document): (String, Document), name: String, sha256: String) -> Self {
        Self { role_arn, document, source: Source::File { name, sha256, line: None } }
    }
}

/// Reads a trust policy: what `aws iam get-role` prints, which names its role, or a policy document of a role that is given.
///
/// # Errors
/// What is wrong with it, for people.
pub fn trust_policy(text: &str, role: Option<&str>) -> Result<(String, Document), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let own = value["Role"]["Arn"].as_str();
    let document = if value["Role"].is_object() { &value["Role"]["AssumeRolePolicyDocument"] } else { &value };
    let role = match (role, own) {
        (Some(given), Some(own)) if given != own => return Err(format!("is the role {own} and not {given}")),
        (Some(role), _) | (None, Some(role)) => role.to_owned(),
        (None, None) => {
            return Err("does not name its role; give what `aws iam get-role` prints, or write ARN=FILE".to_owned());
        }
    };
    Ok((role, Document::from_value(document).map_err(|error| error.to_string())?))
}

/// Reads permissions of a role: a policy document, or what `aws iam get-role-policy` or `get-policy-version` prints.
///
/// # Errors
/// What is wrong with it, for people.
pub fn permissions(text: &str, role: Option<&str>) -> Result<(String, Document), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let inner = [&value["PolicyDocument"], &value["PolicyVersion"]["Document"]];
    let document = inner.into_iter().find(|one| one.is_object()).unwrap_or(&value);
    let role =
        role.ok_or("does not name its role by ARN; write ARN=FILE, as in arn:aws:iam::111122223333:role/exec=FILE")?;
    Ok((role.to_owned(), Document::from_value(document).map_err(|error| error.to_string())?))
}
