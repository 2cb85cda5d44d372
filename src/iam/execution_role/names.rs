//! The forms in which calls name a resource, and what stands of them in its ARN.

use super::payload::Field;
use super::task::Task;
use super::template::small;
use super::{bedrock, machine_learning, organizations};
use crate::asl::model::Arn;
use crate::integrations::sdk::{Format, Permission};

/// What a call says of one kind of resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These.
    Arns(Vec<String>),
    /// A field that names it comes from the input.
    Open(String),
    /// A field that names it is left out.
    LeftOut,
    /// The fields cannot name it.
    Untold,
    /// The field names a key by this alias, which IAM does not take.
    Alias(String),
}

impl Found {
    /// What a field without a text says.
    pub(super) fn of(field: &Field<'_>) -> Self {
        match field {
            Field::FromInput(expression) => Self::Open(expression.clone()),
            _ => Self::LeftOut,
        }
    }
}

/// Partition, region and account in a format while its other parts are filled: a value may have such a name too, in a template.
const PLACES: [(&str, &str); 3] = [("${Partition}", "\u{1}"), ("${Region}", "\u{2}"), ("${Account}", "\u{3}")];

/// What a field says of a part of an ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The part.
    pub(super) text: String,
    /// Signs of places and what stands there, where the field says that.
    place: Vec<(&'static str, String)>,
}

impl Named {
    pub(super) fn here(text: impl Into<String>) -> Self {
        Self { text: text.into(), place: Vec::new() }
    }

    /// The format with this in the place of a name. A resource below another is where that one is.
    pub(super) fn put_into(&self, format: &str, name: &str) -> String {
        let arn = format.replacen(&format!("${{{name}}}"), &self.text, 1);
        self.place.iter().fold(arn, |arn, (sign, value)| arn.replace(sign, value))
    }
}

/// The format to fill.
pub(super) fn open(format: &Format) -> String {
    PLACES.iter().fold(format.arn.clone(), |arn, (place, sign)| arn.replace(place, sign))
}

/// What was filled, with the rest being where the state's calls go.
pub(super) fn placed(task: &Task<'_>, account: &str, filled: &str) -> String {
    let here = [&task.here.partition, &task.here.region, account];
    PLACES.iter().zip(here).fold(filled.to_owned(), |arn, ((_, sign), value)| arn.replace(sign, value))
}

/// The format for people to fill in: where the state's calls go is known, and each part that is missing has its name in `<>`.
pub(super) fn to_fill_in(task: &Task<'_>, format: &Format) -> String {
    placed(task, &task.here.account, &open(format)).replace("${", "<").replace('}', ">")
}

/// Fields that say whose resource it is that another field names (API reference of each service).
const OWNERS: [(&str, &str); 6] = [
    ("codeartifact", "DomainOwner"),
    ("ecr", "RegistryId"),
    ("glue", "CatalogId"),
    ("quicksight", "AwsAccountId"),
    ("s3", "AccountId"),
    ("sqs", "QueueOwnerAWSAccountId"),
];

/// The account of what a call names: its own, where no field says otherwise.
pub(super) fn account(task: &Task<'_>, prefix: &str) -> Result<String, Found> {
    let own = Ok(task.here.account.clone());
    let Some((_, owner)) = OWNERS.iter().find(|(of, _)| *of == prefix) else { return own };
    let field = task.payload.values(owner).into_iter().next().unwrap_or(Field::Absent);
    match field.text() {
        Some(text) if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(text),
        // The names of Glue's catalogs say more than the account.
        Some(_) => Err(Found::Untold),
        None if field.is_absent() => own,
        None => Err(Found::of(&field)),
    }
}

/// What a field says of a part: it may be the name itself, or an ARN that has it.
pub(super) fn read(text: &str, prefix: &str, format: &Format, name: &str) -> Result<Named, Found> {
    if prefix == "kms" && name == "KeyId" && (text.starts_with("alias/") || text.contains(":alias/")) {
        return Err(Found::Alias(text.to_owned()));
    }
    if let Some(arn) = Arn::parse(text) {
        let part = part_of(&arn, format, name).ok_or(Found::Untold)?;
        let parts = [arn.partition, arn.region, arn.account].map(str::to_owned);
        let place = PLACES.iter().map(|(_, sign)| *sign).zip(parts).filter(|(_, value)| !value.is_empty());
        return plain(&part, prefix, format, name).map(|named| Named { place: place.collect(), ..named });
    }
    plain(text, prefix, format, name)
}

fn plain(text: &str, prefix: &str, format: &Format, name: &str) -> Result<Named, Found> {
    let part = match (prefix, name) {
        // Rules of the bus that every account has are named without it (EventBridge user guide, "ARN format").
        ("events", "EventBusName") if text == "default" => return Err(Found::LeftOut),
        // The ARN of a workgroup has an id in the place of its name.
        ("redshift-data", "WorkgroupId") if !text.contains('-') || text.len() != 36 => return Err(Found::Untold),
        // Nodes that are no instances of EC2 have ids of their own.
        ("ssm", "InstanceId") if format.arn.contains(":managed-instance/") != text.starts_with("mi-") => {
            return Err(Found::LeftOut);
        }
        // What AWS owns has no account (Systems Manager user guide, "Setting up identity based policies examples"); its
        // names begin as no other may (Systems Manager API reference, `CreateDocument`).
        ("ssm", "DocumentName") if ["aws", "amazon", "amzn"].iter().any(|start| begins(text, start)) => {
            return Ok(Named { text: text.to_owned(), place: vec![(PLACES[2].1, String::new())] });
        }
        // What AWS publishes is of no account (Systems Manager user guide, "Working with public parameters").
        ("ssm", "ParameterNameWithoutLeadingSlash") if text.starts_with("/aws/service/") => {
            let text = text.split(':').next().unwrap_or_default().trim_start_matches('/');
            return Ok(Named { text: text.to_owned(), place: vec![(PLACES[2].1, String::new())] });
        }
        // The ARN of a target has an id in the place of what scales (Application Auto Scaling API reference, `TagResource`).
        ("application-autoscaling", "ResourceId") => return Err(Found::Untold),
        // A name may stand where the ARN has an id (AppConfig API reference, `StartConfigurationSession`).
        ("appconfig", "ApplicationId" | "EnvironmentId" | "ConfigurationProfileId") if !is_id_of_app_config(text) => {
            return Err(Found::Untold);
        }
        // A parameter may be asked for with its version or label behind a colon.
        ("ssm", "ParameterNameWithoutLeadingSlash") => {
            text.split(':').next().unwrap_or_default().trim_start_matches('/')
        }
        ("kms", "Alias") => text.trim_start_matches("alias/"),
        // Route 53 gives its ids with their kind: `/hostedzone/Z1`.
        ("route53", _) => text.rsplit('/').next().unwrap_or(text),
        // The models of Bedrock have their vendor before a dot, and those of an account have none.
        ("bedrock", "ResourceId") if !bedrock::fits(&format.arn, text) => return Err(Found::LeftOut),
        ("ses", "IdentityName") => address(text),
        // WAF developer guide, "Identity and access management for AWS WAF"; Performance Insights has kinds in small letters too.
        // And those for CloudFront are all in one region (WAF API reference, `Scope`).
        ("wafv2", "Scope") if text == "CLOUDFRONT" => {
            return Ok(Named { text: "global".to_owned(), place: vec![(PLACES[1].1, "us-east-1".to_owned())] });
        }
        ("pi", "ServiceType") | ("wafv2", "Scope") => return Ok(Named::here(small(text))),
        _ => text,
    };
    let begins = begin_of(format, name);
    if prefix == "organizations" && !organizations::fits(name, begins, part) {
        return Err(Found::LeftOut);
    }
    Ok(Named::here(part.strip_prefix(begins).unwrap_or(part)))
}

/// What the format has of an id before the place for the rest of it: `p-` in `policy/o-${OrganizationId}/${PolicyType}/p-${PolicyId}`.
fn begin_of<'a>(format: &'a Format, name: &str) -> &'a str {
    let before = format.arn.split(&format!("${{{name}}}")).next().unwrap_or_default();
    let begin = before.rsplit(['/', ':', '}']).next().unwrap_or_default();
    // A sign between two names is no part of either.
    if before.strip_suffix(begin).is_some_and(|before| before.ends_with('}')) { "" } else { begin }
}

/// What is named, in small letters too where the service writes the name so in its ARNs: what IAM is asked for has been seen in
/// both, and neither says whose name is meant otherwise, for such names have no case.
pub(super) fn in_both_cases(named: Named, prefix: &str, format: &Format) -> Vec<Named> {
    let is_small = match prefix {
        "rds" => SMALL_IN_RDS.iter().any(|kind| format.arn.contains(kind)),
        "sagemaker" => machine_learning::is_small(&format.arn),
        _ => false,
    };
    let lower = Named { text: small(&named.text), ..named.clone() };
    if is_small && lower != named { vec![named, lower] } else { vec![named] }
}

/// Kinds of resources whose names RDS, Neptune and `DocumentDB` store small (RDS API reference, "This parameter is stored as a
/// lowercase string").
const SMALL_IN_RDS: [&str; 10] = [
    ":cluster:",
    ":cluster-endpoint:",
    ":cluster-pg:",
    ":cluster-snapshot:",
    ":db:",
    ":global-cluster:",
    ":pg:",
    ":secgrp:",
    ":snapshot:",
    ":subgrp:",
];

/// `[a-z0-9]{4,7}` (`AppConfig` API reference, `GetApplication`).
fn is_id_of_app_config(text: &str) -> bool {
    (4..=7).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// The address of `Shop <shop@example.com>`.
pub(super) fn address(text: &str) -> &str {
    text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(address, _)| address.trim())
}

/// The names with the path that stands before them in an ARN; and where a call moves what it names, those of the new place
/// too, for it is allowed on both (IAM API reference, `CreateRole`, `UpdateUser`).
pub(super) fn with_path(task: &Task<'_>, permission: &Permission, named: Vec<Named>) -> Result<Vec<Named>, Found> {
    let action = permission.action.as_str();
    let part = |field: &str| {
        let field = task.payload.get(field);
        match field.text() {
            None if field.is_absent() => Ok(None),
            None => Err(Found::of(&field)),
            text => Ok(text),
        }
    };
    let below = |path: Option<String>, name: String| match path.as_deref().map(|path| path.trim_matches('/')) {
        None | Some("") => name,
        Some(path) => format!("{path}/{name}"),
    };
    if ["iam:Create", "iam:Tag", "iam:Upload"].iter().any(|start| action.starts_with(start)) {
        let path = part("Path")?;
        let put = |one: Named| Named { text: below(path.clone(), one.text), ..one };
        return Ok(named.into_iter().map(put).collect());
    }
    let renamed = match action {
        "iam:UpdateGroup" => "NewGroupName",
        "iam:UpdateServerCertificate" => "NewServerCertificateName",
        "iam:UpdateUser" => "NewUserName",
        _ => return Ok(named),
    };
    let (path, name) = (part("NewPath")?, part(renamed)?);
    let mut both = named;
    if let (true, Some(first)) = (path.is_some() || name.is_some(), both.first()) {
        let name = name.unwrap_or_else(|| first.text.clone());
        both.push(Named::here(below(path, name)));
    }
    Ok(both)
}

/// Kinds of resources whose names have slashes or colons of their own: `rds:shop-2030` for a snapshot that RDS made.
const WITH_SIGNS: [&str; 4] = ["cluster-snapshot:", "log-group:", "repository/", "snapshot:"];

/// The part of an ARN that stands where it stands in the format, or behind the same fixed word, or behind its own noun:
/// `cluster/packing` has `ClusterName`.
fn part_of(arn: &Arn<'_>, format: &Format, name: &str) -> Option<String> {
    let resource = arn.resource;
    let place = format!("${{{name}}}");
    let before = format.arn.split(&place).next()?;
    let of_format = format.arn.splitn(6, ':').nth(5).unwrap_or_default();
    if let Some(fixed) = of_format.strip_suffix(&place).filter(|fixed| WITH_SIGNS.contains(fixed)) {
        return resource.strip_prefix(fixed).map(str::to_owned);
    }
    if name == "EventBusName" {
        return resource.strip_prefix("event-bus/").map(str::to_owned);
    }
    let fixed = before.rsplit(['/', ':']).find(|word| !word.is_empty()).filter(|word| !word.contains('}'));
    let noun =
        ["Name", "Identifier", "Id"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_lowercase();
    let behind = |word: &str| {
        let (_, rest) =
            resource.split_once(&format!("{word}/")).or_else(|| resource.split_once(&format!("{word}:")))?;
        rest.split(['/', ':']).next().filter(|part| !part.is_empty()).map(str::to_owned)
    };
    fixed.and_then(behind).or_else(|| behind(&noun))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::sdk::{self, Known, On};

    #[test]
    fn an_address_is_read_out_of_what_stands_around_it() {
        for (text, expected) in [
            ("shop@example.com", "shop@example.com"),
            ("Shop <shop@example.com>", "shop@example.com"),
            ("\"Shop <a>, Ltd\" <shop@example.com>", "shop@example.com"),
            ("=?utf-8?B?U2hvcA==?= < shop@example.com >", "shop@example.com"),
        ] {
            assert_eq!(address(text), expected);
        }
    }

    /// Over the whole table: what an id begins with is not written twice.
    #[test]
    fn what_a_format_has_of_an_id_is_not_doubled() {
        let mut seen = 0;
        for operation in sdk::services().flat_map(sdk::operations_of) {
            let Known::Needs(permissions) = operation.known() else { continue };
            let formats = permissions.iter().filter_map(|permission| match &permission.on {
                On::Formats(formats) => Some((permission, formats)),
                _ => None,
            });
            for (permission, format) in
                formats.flat_map(|(permission, all)| all.iter().map(move |one| (permission, one)))
            {
                let prefix = permission.action.split(':').next().unwrap();
                for name in format.names() {
                    let begins = begin_of(format, name);
                    if begins.is_empty() || name == "OrganizationId" {
                        continue;
                    }
                    seen += 1;
                    let arn = read(&format!("{begins}1a2b"), prefix, format, name).unwrap().put_into(&format.arn, name);
                    assert!(arn.contains(&format!("/{begins}1a2b")), "{}: {arn}", permission.action);
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn a_part_has_what_stands_in_its_place_in_the_arn() {
        let format = |arn: &str| Format { arn: format!("arn:${{Partition}}:{arn}"), required: true, parts: None };
        for (arn, of, name, expected) in [
            (
                "rds:r:1:snapshot:rds:shop-2030",
                "rds:${Region}:${Account}:snapshot:${SnapshotName}",
                "SnapshotName",
                Some("rds:shop-2030"),
            ),
            (
                "ecr:r:1:repository/team/shop",
                "ecr:${Region}:${Account}:repository/${RepositoryName}",
                "RepositoryName",
                Some("team/shop"),
            ),
            (
                "ecs:r:1:cluster/packing",
                "ecs:${Region}:${Account}:task/${ClusterName}/${TaskId}",
                "ClusterName",
                Some("packing"),
            ),
            (
                "events:r:1:event-bus/a/b",
                "events:${Region}:${Account}:rule/${EventBusName}/${RuleName}",
                "EventBusName",
                Some("a/b"),
            ),
            ("s3:r:1:accesspoint/a", "s3:::${BucketName}", "BucketName", None),
        ] {
            let text = format!("arn:aws:{arn}");
            assert_eq!(part_of(&Arn::parse(&text).unwrap(), &format(of), name).as_deref(), expected, "{arn}");
        }
    }
}
