//! What may stand in a policy. Every text that an object or a binding brings is read here before it is rendered, whatever
//! the schema has let through: an object may be older than the schema's pattern.

use crate::iam::arn::Arn;

/// Longest name of a state machine or an activity (`CreateStateMachine`, parameter `name`).
const MAX_NAME: usize = 80;
/// Characters of a name that are used here: AWS takes more, which log groups and metrics do not.
pub const NAME_PATTERN: &str = r"^[A-Za-z0-9_-]{1,80}$";
/// A name in which `*` stands for any characters.
pub const NAMES_PATTERN: &str = r"^[A-Za-z0-9_*-]{1,80}$";
/// What KMS takes for a key: key id, alias, key ARN or alias ARN (`DescribeKey`, parameter `KeyId`; `CreateAlias`, parameter
/// `AliasName`). A multi-Region key's id begins with `mrk-`.
pub const KEY_PATTERN: &str = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32}|alias/[A-Za-z0-9/_-]{1,250}|arn:aws[a-z-]*:kms:[a-z0-9-]{1,32}:[0-9]{12}:(key/([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32})|alias/[A-Za-z0-9/_-]{1,250}))$";

/// A value that was not put into a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}")]
pub struct NotAllowed {
    /// What it should be.
    pub what: &'static str,
    /// The value, at most its first 80 characters.
    pub value: String,
}

fn not_allowed(what: &'static str, value: &str) -> NotAllowed {
    NotAllowed { what, value: value.chars().take(80).collect() }
}

/// The name of a state machine or an activity: no wildcard, nothing that ends its part of an ARN.
///
/// # Errors
/// When it is none.
pub fn name(text: &str) -> Result<&str, NotAllowed> {
    let fits = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(in_name);
    if fits { Ok(text) } else { Err(not_allowed("name of a state machine or activity", text)) }
}

/// A pattern of such names.
///
/// # Errors
/// When it is none.
pub fn names(text: &str) -> Result<&str, NotAllowed> {
    let fits = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte == b'*' || in_name(byte));
    if fits { Ok(text) } else { Err(not_allowed("pattern of names of state machines", text)) }
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The exact ARN of an IAM role.
///
/// # Errors
/// When it is none.
pub fn role(text: &str) -> Result<&str, NotAllowed> {
    // As the schema has it: longest path of a role (`CreateRole`, parameter `Path`).
    const MAX_PATH: usize = 512;
    let path =
        of_account(text, "iam").and_then(|arn| arn.resource.strip_prefix("role/").filter(|_| arn.region.is_empty()));
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    let fits = path.is_some_and(|path| (1..=MAX_PATH).contains(&path.len()) && path.bytes().all(in_path));
    if fits { Ok(text) } else { Err(not_allowed("ARN of an IAM role", text)) }
}

/// The ARN of the queue with this URL, `https://sqs.<region>.amazonaws.com/<account>/<name>`.
///
/// # Errors
/// When it is none.
pub fn queue(partition: &str, region: &str, url: &str) -> Result<String, NotAllowed> {
    let mut parts = url.rsplit('/');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let base = name.strip_suffix(".fifo").unwrap_or(name);
    let fits = is_account(account) && (1..=MAX_NAME).contains(&base.len()) && base.bytes().all(in_name);
    if !fits {
        return Err(not_allowed("URL of an SQS queue", url));
    }
    Ok(format!("arn:{partition}:sqs:{region}:{account}:{name}"))
}

/// The name of the log group of this ARN, which is one of this account and region, with `:*` at its end or without.
///
/// # Errors
/// When it is none.
pub fn log_group<'a>(partition: &str, region: &str, account: &str, arn: &'a str) -> Result<&'a str, NotAllowed> {
    // Longest name of a log group (`CreateLogGroup`, parameter `logGroupName`).
    const LONGEST: usize = 512;
    let ours = format!("arn:{partition}:logs:{region}:{account}:log-group:");
    let name = arn.strip_prefix(&ours).map(|name| name.strip_suffix(":*").unwrap_or(name));
    let in_group = |byte: u8| byte.is_ascii_alphanumeric() || b"_/.#-".contains(&byte);
    let fits = name.filter(|name| (1..=LONGEST).contains(&name.len()) && name.bytes().all(in_group));
    fits.ok_or_else(|| not_allowed("ARN of a log group in the account and region of the TrustBinding", arn))
}

/// A KMS key as policies speak of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The key's ARN; of a key that is known by its alias alone, the ARN of every key of that account and region.
    pub resource: String,
    /// `alias/…`, where the key is known by it: IAM takes no alias as a resource, only as a condition
    /// (KMS developer guide, "Use aliases to control access to KMS keys").
    pub alias: Option<String>,
}

impl Key {
    /// Reads what [`KEY_PATTERN`] says; ids and aliases are those of this account and region.
    ///
    /// # Errors
    /// When it names no key.
    pub fn read(text: &str, partition: &str, region: &str, account: &str) -> Result<Self, NotAllowed> {
        let key = match of_account(text, "kms") {
            Some(arn) if is_region(arn.region) => {
                let (partition, region, account) = (arn.partition, arn.region, arn.account);
                match arn.resource.strip_prefix("key/") {
                    Some(id) => by_id(id, partition, region, account),
                    None => by_alias(arn.resource, partition, region, account),
                }
            }
            Some(_) => None,
            None => by_id(text, partition, region, account).or_else(|| by_alias(text, partition, region, account)),
        };
        key.ok_or_else(|| not_allowed("id, alias or ARN of a KMS key", text))
    }
}

fn by_id(id: &str, partition: &str, region: &str, account: &str) -> Option<Key> {
    let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = id.split('-').collect();
    let is_id = match parts.as_slice() {
        ["mrk", rest] => hex(rest, 32),
        [first, middle @ .., last] if middle.len() == 3 => {
            hex(first, 8) && middle.iter().all(|part| hex(part, 4)) && hex(last, 12)
        }
        _ => false,
    };
    is_id.then(|| Key { resource: format!("arn:{partition}:kms:{region}:{account}:key/{id}"), alias: None })
}

fn by_alias(text: &str, partition: &str, region: &str, account: &str) -> Option<Key> {
    let name = text.strip_prefix("alias/")?;
    let in_alias = |byte: u8| in_name(byte) || byte == b'/';
    let fits = (1..=250).contains(&name.len()) && name.bytes().all(in_alias);
    let resource = format!("arn:{partition}:kms:{region}:{account}:key/*");
    fits.then(|| Key { resource, alias: Some(text.to_owned()) })
}

/// The parts of an ARN of a service that names a partition of AWS and an account.
fn of_account<'a>(text: &'a str, service: &str) -> Option<Arn<'a>> {
    let arn = Arn::parse(text)?;
    let in_partition = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    let is_aws = arn.partition.strip_prefix("aws").is_some_and(|rest| rest.bytes().all(in_partition));
    (is_aws && arn.service == service && is_account(arn.account)).then_some(arn)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    let in_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(in_region)
}
