//! Whom a statement names: everybody, everybody but some, or a provider in a spelling that none has.

use super::super::operator::Operator;
use super::super::request::{ASSUME, SET_SOURCE_IDENTITY, TAG_SESSION};
use super::bounds::bounds_web_identity;
use super::weakness::{Entry, Severity, Weakness, entries, weakness};
use crate::iam::document::{Matcher, Principals, Statement};

/// The actions of a trust policy that give a session of the role (service authorization reference, "AWS Security Token Service").
const ASSUMING: [&str; 3] = ["sts:AssumeRole", ASSUME, "sts:AssumeRoleWithSAML"];
/// Those that add to a session which another statement has to give.
const ADDING: [&str; 3] = [TAG_SESSION, SET_SOURCE_IDENTITY, "sts:SetContext"];

/// Condition keys of the caller whose values an outsider cannot choose (IAM user guide, "AWS global condition context keys").
/// The first of them are in no request with a web identity.
const BOUNDING: [&str; 15] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:userid",
    "sts:ExternalId",
    "aws:SourceIp",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceVpcArn",
    "aws:VpceOrgID",
];
/// How many of them are.
const NOT_OF_WEB_IDENTITIES: usize = 10;

/// What is weak about whom an Allow statement of a trust policy names.
pub(super) fn principal(number: usize, statement: &Statement) -> Vec<Weakness> {
    let names_any = |actions: &[&str]| actions.iter().any(|action| statement.names_action(action));
    let assumes = names_any(&ASSUMING);
    if !assumes && !names_any(&ADDING) {
        return Vec::new();
    }
    match &statement.principal {
        Some(Matcher::IsNot(_)) => {
            let is_open = assumes && !entries(statement).any(|entry| is_bound(&entry));
            let severity = if is_open { Severity::Error } else { Severity::Warning };
            let message = format!(
                "NotPrincipal with Allow lets in everybody who is not named; name {} in Principal",
                wanted(statement)
            );
            vec![weakness(severity, "NotPrincipal", number, message)]
        }
        Some(Matcher::Is(Principals::Everybody)) => {
            everybody(number, statement, "\"*\"", assumes).into_iter().collect()
        }
        Some(Matcher::Is(Principals::Of(kinds))) => {
            let wild = kinds.iter().filter_map(|(kind, names)| {
                if names.iter().any(|name| name == "*") {
                    return everybody(number, statement, &format!("{kind} \"*\""), assumes);
                }
                names.iter().any(|name| name.contains('*')).then(|| {
                    let message = format!(
                        "Principal {kind} holds a wildcard, which does not stand for a part of a name; name {}",
                        wanted(statement)
                    );
                    weakness(Severity::Error, "PrincipalWildcard", number, message)
                })
            });
            let schemes = kinds.get("Federated").into_iter().flatten().filter_map(|name| with_scheme(number, name));
            wild.chain(schemes).collect()
        }
        None => Vec::new(),
    }
}

/// What to name in place of everybody.
fn wanted(statement: &Statement) -> &'static str {
    match (statement.names_action(ASSUME), statement.names_action("sts:AssumeRole")) {
        (true, false) => "the provider's ARN in Federated",
        (false, true) => "the accounts or roles in AWS, or the service in Service",
        _ => "the roles in AWS, or the provider's ARN in Federated",
    }
}

/// Everybody is let in, unless a condition says of whom it holds.
fn everybody(number: usize, statement: &Statement, who: &str, assumes: bool) -> Option<Weakness> {
    let report = |severity, message| Some(weakness(severity, "PrincipalWildcard", number, message));
    let wanted = wanted(statement);
    let bounds: Vec<Entry<'_>> = entries(statement).filter(is_bound).collect();
    // A single identity is no less than its ARN in Principal would be.
    let is_exact = |entry: &Entry<'_>| {
        ["aws:PrincipalArn", "aws:userid"].iter().any(|key| entry.key.eq_ignore_ascii_case(key))
            && !entry.values.iter().any(|value| value.contains(['*', '?']))
    };
    if bounds.iter().any(is_exact) {
        return None;
    }
    if !bounds.is_empty() {
        let said = |entry: &Entry<'_>| format!("{} is {}", entry.key, entry.values.join(" or "));
        let bound = bounds.iter().map(said).collect::<Vec<_>>().join(" and ");
        return report(
            Severity::Warning,
            format!(
                "Principal {who} lets in everybody for whom {bound}; name {wanted} where that is more than is meant"
            ),
        );
    }
    if !assumes {
        let message = format!(
            "Principal {who} lets everybody who assumes the role add session tags or a source identity; it assumes nothing by itself; name {wanted}"
        );
        return report(Severity::Warning, message);
    }
    report(
        Severity::Error,
        format!("Principal {who} lets in everybody who calls, of every account or identity provider; name {wanted}"),
    )
}

/// True of a condition that no outsider meets, with credentials of AWS or with a token.
fn is_bound(entry: &Entry<'_>) -> bool {
    bounds_caller(entry) || bounds_web_identity(entry)
}

/// True of a condition that holds for callers of certain values only, and for nobody without the key.
fn bounds_caller(entry: &Entry<'_>) -> bool {
    let Operator { if_exists, every, base } = entry.operator;
    let is_listed = BOUNDING.iter().any(|key| entry.key.eq_ignore_ascii_case(key));
    let compares = !base.eq_ignore_ascii_case("Null") && entry.operator.problem().is_none();
    let asks = is_listed && compares && !if_exists && every != Some(true) && !entry.operator.is_negated();
    asks && !entry.values.is_empty() && entry.values.iter().all(|value| bounds_to(entry, value))
}

/// True of a value that an outsider's request cannot have.
fn bounds_to(entry: &Entry<'_>, value: &str) -> bool {
    if entry.key.eq_ignore_ascii_case("aws:SourceIp") {
        return !value.ends_with("/0");
    }
    if !entry.operator.takes_wildcards() {
        return true;
    }
    let is_wild = |text: &str| text.contains(['*', '?']);
    if entry.key.to_ascii_lowercase().ends_with("arn") {
        let mut parts = value.splitn(6, ':').skip(4);
        let (account, resource) = (parts.next().unwrap_or("*"), parts.next().unwrap_or("*"));
        // ARNs of buckets have no account, and names that are unique.
        return if account.is_empty() { !resource.starts_with(['*', '?']) } else { !is_wild(account) };
    }
    // `o-example/r-1/*`, `AROAEXAMPLE:*`
    !is_wild(value.split(['/', ':']).next().unwrap_or(value))
}

/// True where everybody is named, and a condition asks for what no request with a web identity has: others are meant.
pub(super) fn keeps_web_identities_out(statement: &Statement) -> bool {
    let names_provider = matches!(&statement.principal, Some(Matcher::Is(Principals::Of(kinds)))
        if kinds.get("Federated").is_some_and(|names| names.iter().any(|name| name != "*")));
    let keys = &BOUNDING[..NOT_OF_WEB_IDENTITIES];
    let asks = |entry: Entry<'_>| keys.iter().any(|key| entry.key.eq_ignore_ascii_case(key)) && bounds_caller(&entry);
    !names_provider && entries(statement).any(asks)
}

/// IAM names providers without the scheme of their issuer (IAM user guide, "Create an OpenID Connect identity provider in IAM").
fn with_scheme(number: usize, name: &str) -> Option<Weakness> {
    let (before, after) = name.split_once("://")?;
    let cut = before.rfind('/').map_or(0, |slash| slash + 1);
    let message = format!(
        "{name} is no provider's name, so nobody gets in by it: IAM leaves the scheme out; write {}{after}",
        &before[..cut]
    );
    Some(weakness(Severity::Error, "ProviderWithScheme", number, message))
}
