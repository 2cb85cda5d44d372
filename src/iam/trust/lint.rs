//! What makes a trust policy, a session policy or a role's permissions weaker than they need be.

mod bounds;
mod federated;
mod keys;
mod principal;
mod step;
mod weakness;

use self::bounds::{bounds_app, bounds_tenant, subject_missing, takes_in, wildcard_severity};
use self::federated::federated;
use self::keys::{absent_keys, literal_wildcard, providers, takes_nobody};
use self::principal::{keeps_web_identities_out, principal};
use self::step::step_trust;
use self::weakness::{Entry, entries, weakness};
pub use self::weakness::{Severity, Weakness};
use super::operator::Operator;
use super::request::ASSUME;
use crate::iam::document::{Document, Effect, Matcher, Principals, Statement};

/// Lints a role's trust policy: whom it names, and what it asks of web identities.
pub fn lint_trust(policy: &Document) -> Vec<Weakness> {
    let numbered = policy.statements.iter().enumerate().map(|(index, statement)| (index + 1, statement));
    let allows = numbered.filter(|(_, statement)| statement.effect == Effect::Allow);
    let weak = allows.flat_map(|(number, statement)| {
        principal(number, statement)
            .into_iter()
            .chain(federated(number, statement))
            .chain(web_identity(number, statement))
            .chain(step_trust(number, statement))
    });
    unknown_operators(policy).into_iter().chain(weak).collect()
}

/// Operators that IAM does not have, whatever their statement is for: such a policy cannot be saved, and says nothing.
fn unknown_operators(policy: &Document) -> Vec<Weakness> {
    let numbered = policy.statements.iter().enumerate();
    let problems = numbered.flat_map(|(index, statement)| {
        let operators = statement.conditions.keys();
        operators.filter_map(|operator| Operator::parse(operator).problem()).map(move |problem| (index + 1, problem))
    });
    problems.map(|(number, problem)| weakness(Severity::Error, "UnknownOperator", number, problem)).collect()
}

fn allowing<'a>(policy: &'a Document, action: &'a str) -> impl Iterator<Item = (usize, &'a Statement)> {
    let numbered = policy.statements.iter().enumerate().map(|(index, statement)| (index + 1, statement));
    numbered.filter(move |(_, statement)| statement.effect == Effect::Allow && statement.names_action(action))
}

/// What is weak in what a statement asks of web identities, if it lets any in.
fn web_identity(number: usize, statement: &Statement) -> Vec<Weakness> {
    // Statements for other principals have other conditions.
    if !statement.names_action(ASSUME) || !is_federated(statement) || keeps_web_identities_out(statement) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if broad_action(statement) {
        let message = "the statement allows more than sts:AssumeRoleWithWebIdentity; name that action alone";
        found.push(weakness(Severity::Warning, "ActionTooBroad", number, message));
    }
    found.extend(conditions(number, statement));
    found.extend(absent_keys(number, statement));
    if takes_nobody(statement) {
        // What is not asked lets nobody in either.
        return found;
    }
    // A condition that does not restrict has a finding of its own.
    let is_asked = |claim: &str| entries(statement).any(|entry| entry.stands_for == claim);
    if !is_asked("sub") {
        found.extend(subject_missing(number, statement));
    }
    if !is_asked("aud") {
        let provider = providers(statement).join(" or ").replace('*', "");
        let message =
            format!("no condition on {provider}:aud, so every aud of the provider is taken; add StringEquals");
        found.push(weakness(Severity::Error, "AudienceMissing", number, message));
    }
    found
}

/// True where a provider of web identities is named, or everybody.
fn is_federated(statement: &Statement) -> bool {
    let Some(Matcher::Is(Principals::Of(kinds))) = &statement.principal else { return true };
    let named = |kind: &str, test: fn(&String) -> bool| kinds.get(kind).is_some_and(|names| names.iter().any(test));
    named("Federated", |name| !name.contains(":saml-provider/")) || named("AWS", |name| name == "*")
}

fn broad_action(statement: &Statement) -> bool {
    match &statement.actions {
        Matcher::Is(named) => named.iter().any(|action| action.contains('*')),
        Matcher::IsNot(_) => true,
    }
}

fn conditions(number: usize, statement: &Statement) -> Vec<Weakness> {
    let mut found = Vec::new();
    let is_pinned = entries(statement).any(|entry| bounds_tenant(&entry) || bounds_app(&entry));
    for entry in entries(statement).filter(|entry| matches!(entry.stands_for, "sub" | "aud" | "amr")) {
        let Entry { operator, key, stands_for: claim, values, .. } = &entry;
        let mut report = |severity, code, message: String| found.push(weakness(severity, code, number, message));
        if operator.every == Some(true) {
            report(
                Severity::Error,
                "ForAllValues",
                format!("ForAllValues holds where {key} is absent; use StringEquals"),
            );
        }
        if operator.if_exists {
            report(Severity::Error, "IfExists", format!("IfExists holds where {key} is absent; use StringEquals"));
        }
        if operator.is_negated() {
            report(
                Severity::Error,
                "Negated",
                format!("{}: everything but {} is taken; name what is taken", operator.base, values.join(", ")),
            );
        }
        if operator.base.eq_ignore_ascii_case("StringEqualsIgnoreCase") {
            report(Severity::Warning, "IgnoreCase", format!("{key} is compared without case; use StringEquals"));
        }
        if operator.takes_wildcards() && !operator.is_negated() {
            let wild = wildcards(&entry, is_pinned);
            let is_exact = wild.is_empty();
            for (severity, message) in wild {
                report(severity, wildcard_code(claim), message);
            }
            // AWS itself writes StringLike for how a user has signed in.
            if is_exact && *claim != "amr" {
                report(
                    Severity::Warning,
                    "StringLike",
                    format!("{key} has no wildcard, so StringEquals says the same and cannot become one by accident"),
                );
            }
        } else if operator.base.eq_ignore_ascii_case("Null") {
            report(
                Severity::Warning,
                "Null",
                format!("{key} is only asked to be there or not; add StringEquals for its value"),
            );
        }
    }
    found.extend(entries(statement).filter_map(|entry| literal_wildcard(number, &entry)));
    found
}

/// The values with wildcards: those that let in strangers, and those that do not.
fn wildcards(entry: &Entry<'_>, is_pinned: bool) -> Vec<(Severity, String)> {
    let of = |severity: Severity| {
        let is_wild = |value: &&String| value.contains(['*', '?']);
        let is_so = |value: &&String| is_wild(value) && wildcard_severity(entry, value, is_pinned) == severity;
        let such: Vec<&str> = entry.values.iter().filter(is_so).map(String::as_str).collect();
        let takes = if such.len() == 1 { "takes" } else { "each take" };
        let (values, claim) = (such.join(", "), entry.stands_for);
        let open =
            such.iter().find_map(|value| takes_in(entry, value)).map(|who| format!(" ({who})")).unwrap_or_default();
        let message = format!("{values} {takes} more than one {claim}{open}; use StringEquals with the exact one");
        (!such.is_empty()).then_some((severity, message))
    };
    [Severity::Error, Severity::Warning].into_iter().filter_map(of).collect()
}

fn wildcard_code(claim: &str) -> &'static str {
    if claim == "sub" { "SubjectWildcard" } else { "AudienceWildcard" }
}

/// Lints the trust policy of a role that a service assumes, an execution role for Step Functions: without the source, anybody
/// who makes the service act in another account can use the role (the confused deputy).
pub fn lint_service_trust(policy: &Document) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (number, statement) in allowing(policy, "sts:AssumeRole") {
        let is_service = match &statement.principal {
            Some(Matcher::Is(Principals::Of(kinds))) => {
                kinds.get("Service").is_some_and(|names| names.iter().any(|name| name.starts_with("states.")))
            }
            _ => false,
        };
        if !is_service {
            continue;
        }
        let asked = |key: &str| entries(statement).any(|entry| asks_source(&entry, key));
        let of_account = entries(statement).any(|entry| bounds_account(&entry));
        let is_missing = |key: &str| !asked(key) && (key == "aws:SourceArn" || !of_account);
        for (key, code) in [("aws:SourceArn", "SourceArnMissing"), ("aws:SourceAccount", "SourceAccountMissing")] {
            if is_missing(key) {
                let whose =
                    if of_account { "every state machine of the account" } else { "Step Functions of every account" };
                found.push(weakness(
                    Severity::Warning,
                    code,
                    number,
                    format!("it trusts {whose}; add a condition on {key}"),
                ));
            }
        }
    }
    found
}

/// True of a condition on the key that holds nowhere without it.
fn asks_source(entry: &Entry<'_>, key: &str) -> bool {
    entry.key.eq_ignore_ascii_case(key) && !entry.operator.if_exists && entry.operator.every != Some(true)
}

/// True of a condition on the source that names its accounts, by themselves or in ARNs.
fn bounds_account(entry: &Entry<'_>) -> bool {
    let is_account = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named = |value: &String| match value.split(':').nth(4) {
        Some(account) if asks_source(entry, "aws:SourceArn") => is_account(account),
        _ => asks_source(entry, "aws:SourceAccount") && is_account(value),
    };
    let is_null = entry.operator.base.eq_ignore_ascii_case("Null");
    !is_null && !entry.operator.is_negated() && entry.values.iter().all(named)
}

/// Lints what a session policy or a role's permissions allow.
pub fn lint_permissions(policy: &Document) -> Vec<Weakness> {
    let mut found = unknown_operators(policy);
    let statements = policy.statements.iter().enumerate().map(|(index, statement)| (index + 1, statement));
    for (number, statement) in statements.filter(|(_, statement)| statement.effect == Effect::Allow) {
        if let Matcher::IsNot(_) = statement.actions {
            let message = "NotAction with Allow grants every action that AWS adds later; name the actions";
            found.push(weakness(Severity::Error, "NotAction", number, message));
        }
        let everything = |named: &str| named == "*" || named == "*:*";
        if statement.actions.named().iter().any(|action| everything(action)) {
            found.push(weakness(
                Severity::Error,
                "ActionWildcard",
                number,
                "every action of every service; name the actions",
            ));
        }
        if matches!(&statement.actions, Matcher::Is(_)) && statement.names_action("iam:PassRole") {
            found.extend(pass_role(number, statement));
        }
    }
    found
}

fn pass_role(number: usize, statement: &Statement) -> Option<Weakness> {
    let wild = match &statement.resources {
        Some(Matcher::Is(resources)) => resources.iter().find(|one| one.contains(['*', '?'])).cloned(),
        _ => Some("NotResource".into()),
    };
    let to_states = entries(statement).any(|entry| entry.key.eq_ignore_ascii_case("iam:PassedToService"));
    let problem = match (wild, to_states) {
        (Some(wild), _) => format!(
            "iam:PassRole on {wild}: whoever writes a Workflow can act as any of these roles; name the execution roles"
        ),
        (None, false) => {
            "iam:PassRole to any service; add the condition StringEquals iam:PassedToService states.amazonaws.com"
                .into()
        }
        (None, true) => return None,
    };
    Some(weakness(Severity::Warning, "PassRoleTooBroad", number, problem))
}

#[cfg(test)]
mod tests;
