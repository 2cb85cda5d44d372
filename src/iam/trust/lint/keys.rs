//! Conditions that no request can meet, or that say nothing: their key is in none, or their value is written as none is.

use super::super::operator::{Operator, holds};
use super::super::provider::keys;
use super::weakness::{Entry, Severity, Weakness, entries, weakness};
use crate::iam::document::{Matcher, Principals, Statement};

/// Why a key is in no request that the statement is for.
enum Absence {
    Scheme,
    AnotherProvider(String),
    NotGiven(String),
}

/// Conditions on keys that are in no request: they never hold, or always with `IfExists` and the like.
pub(super) fn absent_keys(number: usize, statement: &Statement) -> Vec<Weakness> {
    let providers = providers(statement);
    let absent = entries(statement).filter_map(|entry| absence(&entry, &providers).map(|why| (entry, why)));
    absent
        .map(|(entry, why)| {
            let key = entry.key;
            let (code, said) = match why {
                Absence::Scheme => {
                    let name = key.split_once("://").map_or(key, |(_, name)| name);
                    ("KeyWithScheme", format!("{key} is in no request: condition keys have no scheme; write {name}"))
                }
                Absence::AnotherProvider(providers) => (
                    "KeyOfAnotherProvider",
                    format!("{key} is a key of another provider than the statement's ({providers})"),
                ),
                Absence::NotGiven(names) => (
                    "KeyNotGiven",
                    format!("{key} is in no request: IAM gives only {names} of this provider, not {}", entry.claim),
                ),
            };
            let comes = if never_holds(&entry) {
                "the condition never holds, and nobody gets in"
            } else {
                "the condition always holds, and says nothing"
            };
            weakness(Severity::Error, code, number, format!("{said}; {comes}"))
        })
        .collect()
}

/// True where a condition never holds, so that no other one matters.
pub(super) fn takes_nobody(statement: &Statement) -> bool {
    let providers = providers(statement);
    entries(statement).any(|entry| never_holds(&entry) && absence(&entry, &providers).is_some())
}

/// True of a condition that does not hold where its key is absent.
fn never_holds(entry: &Entry<'_>) -> bool {
    holds(entry.written, entry.values, None) == Ok(false)
}

fn absence(entry: &Entry<'_>, providers: &[String]) -> Option<Absence> {
    let (host, claim) = split(entry.key);
    if host.contains("://") {
        return Some(Absence::Scheme);
    }
    let is_tag = host.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if is_tag || !host.contains('.') || providers.is_empty() || providers.iter().any(|one| one.contains('*')) {
        return None;
    }
    if !providers.iter().any(|one| one.eq_ignore_ascii_case(host)) {
        return Some(Absence::AnotherProvider(providers.join(", ")));
    }
    let names: Vec<&str> = keys(host).map(|key| key.name).collect();
    let is_given = names.iter().any(|name| name.eq_ignore_ascii_case(claim));
    (!is_given).then(|| Absence::NotGiven(names.join(", ")))
}

/// A key's provider and claim. The colon of a scheme or a port is the provider's.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once(':').unwrap_or(("", key))
}

/// The providers that a statement names, as condition keys have them; none where it names everybody.
pub(super) fn providers(statement: &Statement) -> Vec<String> {
    let Some(Matcher::Is(Principals::Of(kinds))) = &statement.principal else { return Vec::new() };
    if kinds.get("AWS").is_some_and(|names| names.iter().any(|name| name == "*")) {
        return Vec::new();
    }
    let provider = |name: &String| {
        let name = name.split_once("oidc-provider/").map_or(name.as_str(), |(_, provider)| provider);
        name.split_once("://").map_or(name, |(_, name)| name).to_owned()
    };
    kinds.get("Federated").into_iter().flatten().map(provider).collect()
}

/// Values with `*` or `?` under an operator that compares them as they stand (IAM user guide, "IAM JSON policy elements:
/// Condition operators": `StringEquals` is exact matching). Audiences are free text, and their `?` may be that of an address.
pub(super) fn literal_wildcard(number: usize, entry: &Entry<'_>) -> Option<Weakness> {
    let Operator { base, .. } = entry.operator;
    let compares = ["StringEquals", "StringEqualsIgnoreCase"].iter().any(|one| base.eq_ignore_ascii_case(one));
    let (host, claim) = split(entry.key);
    let is_claim = host.contains('.') && keys(host).any(|key| key.name.eq_ignore_ascii_case(claim));
    if !compares || !is_claim {
        return None;
    }
    let marks: &[char] = if entry.stands_for == "aud" { &['*'] } else { &['*', '?'] };
    // `${*}` and `${?}` are the characters themselves.
    let is_wild = |value: &&String| value.replace("${*}", "").replace("${?}", "").contains(marks);
    let wild: Vec<&str> = entry.values.iter().filter(is_wild).map(String::as_str).collect();
    if wild.is_empty() {
        return None;
    }
    let (value, these) = (wild.join(", "), if wild.len() == 1 { "this value" } else { "these values" });
    let is_all = entry.values.iter().all(|value| is_wild(&value));
    let (severity, who) = match (entry.stands_for, is_all) {
        ("sub", true) => (Severity::Error, "nobody gets in".to_owned()),
        ("sub", false) => (Severity::Warning, format!("nobody gets in by {these}")),
        // Audiences and names of workflows may have them.
        (claim, _) => (Severity::Warning, format!("nobody gets in by it whose {claim} is not written so")),
    };
    let message = format!(
        "{base} takes * and ? of {value} for themselves, so {who}; write the exact {}, or StringLike where a wildcard is meant",
        entry.stands_for
    );
    Some(weakness(severity, "WildcardTakenLiterally", number, message))
}
