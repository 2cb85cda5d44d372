//! What makes a trust policy, a session policy or a role's permissions weaker than they need be.

use super::operator::Operator;
use super::provider::{is_github, stands_for};
use super::request::ASSUME;
use crate::iam::document::{Document, Effect, Matcher, Principals, Statement};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Weaker than it need be.
    Warning,
    /// Others can get in, or the condition does nothing.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// A weak place of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in CamelCase.
    pub code: &'static str,
    /// Number of the statement, from 1.
    pub statement: usize,
    /// What it means and what to write instead.
    pub message: String,
}

fn weakness(severity: Severity, code: &'static str, statement: usize, message: impl Into<String>) -> Weakness {
    Weakness { severity, code, statement, message: message.into() }
}

/// Lints a role's trust policy as far as it lets web identities in.
pub fn lint_trust(policy: &Document) -> Vec<Weakness> {
    let weak = allowing(policy, ASSUME).flat_map(|(number, statement)| web_identity(number, statement));
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

fn web_identity(number: usize, statement: &Statement) -> Vec<Weakness> {
    let mut found = principal(number, statement);
    if !found.iter().any(|one| one.severity == Severity::Error) && !is_federated(statement) {
        // Statements for other principals have other conditions.
        return found;
    }
    if broad_action(statement) {
        let message = "the statement allows more than sts:AssumeRoleWithWebIdentity; name that action alone";
        found.push(weakness(Severity::Warning, "ActionTooBroad", number, message));
    }
    found.extend(conditions(number, statement));
    found.extend(foreign_keys(number, statement));
    // A condition that does not restrict has a finding of its own.
    let is_asked = |claim: &str| entries(statement).any(|entry| entry.stands_for == claim);
    if !is_asked("sub") {
        found.push(subject_missing(number, statement));
    }
    if !is_asked("aud") {
        let message = "no condition on :aud, so every aud of the provider is taken; add StringEquals";
        found.push(weakness(Severity::Error, "AudienceMissing", number, message));
    }
    found
}

/// Nothing is asked of the subject. What other claims of GitHub's bound is said, and what they leave open.
fn subject_missing(number: usize, statement: &Statement) -> Weakness {
    let report = |severity, message| weakness(severity, "SubjectMissing", number, message);
    let bounds: Vec<Entry<'_>> = entries(statement).filter(bounds_github).collect();
    let Some(first) = bounds.first() else {
        let message = "no condition on :sub, so every sub of the provider is taken; add StringEquals";
        return report(Severity::Error, message.to_owned());
    };
    let said = |entry: &Entry<'_>| format!("{} is {}", entry.claim, entry.values.join(" or "));
    let bound = bounds.iter().map(said).collect::<Vec<_>>().join(" and ");
    let is_of =
        |claims: &[&str]| bounds.iter().any(|entry| claims.iter().any(|one| entry.claim.eq_ignore_ascii_case(one)));
    let is_tenant = is_of(&OWNERS) || is_of(&["repository"]);
    let open = match () {
        () if is_tenant => "whatever else the job is, its branch, environment, workflow and event, does not matter",
        () if is_of(&["job_workflow_ref"]) => {
            "that says which file the job is written in, and not whose run it is: each repository that may call it as a reusable workflow is taken"
        }
        () => "that says not whose repository it is: each one of GitHub for which it holds is taken",
    };
    let provider = first.key.rsplit_once(':').map_or("", |(provider, _)| provider);
    let needs_subject = provider.eq_ignore_ascii_case(SHARED_GITHUB);
    let saved = if needs_subject { "; IAM takes no new or changed policy for it without :sub" } else { "" };
    let message = format!(
        "no condition on :sub: bound is that {bound}; {open}{saved}; add StringEquals on {provider}:sub with the repository and its branch or environment"
    );
    report(if is_tenant && !needs_subject { Severity::Warning } else { Severity::Error }, message)
}

/// GitHub's issuer that all its customers share. A trust policy for it must look at `sub` to be created or changed, whatever else it
/// looks at (IAM user guide, "Identity-provider controls for shared OIDC providers").
const SHARED_GITHUB: &str = "token.actions.githubusercontent.com";

/// True of a condition that takes certain values of a claim of GitHub's, and holds nowhere without the claim.
fn bounds_github(entry: &Entry<'_>) -> bool {
    let provider = entry.key.rsplit_once(':').map_or("", |(provider, _)| provider);
    let Operator { if_exists, every, .. } = entry.operator;
    let is_equal = entry.operator.base.to_ascii_lowercase().starts_with("stringequals")
        || (entry.operator.takes_wildcards() && !entry.values.iter().any(|value| value.contains(['*', '?'])));
    let is_exact = is_equal && !if_exists && every != Some(true) && !entry.operator.is_negated();
    is_exact && is_github(&provider.to_ascii_lowercase()) && entry.stands_for != "aud"
}

fn is_federated(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Matcher::Is(Principals::Of(kinds))) => {
            kinds.get("Federated").is_some_and(|names| names.iter().any(|name| !name.contains(":saml-provider/")))
        }
        _ => true,
    }
}

fn principal(number: usize, statement: &Statement) -> Vec<Weakness> {
    match &statement.principal {
        Some(Matcher::IsNot(_)) => {
            let message = "NotPrincipal with Allow lets in everybody who is not named; name the provider in Principal";
            vec![weakness(Severity::Error, "NotPrincipal", number, message)]
        }
        Some(Matcher::Is(Principals::Everybody)) => {
            let message =
                "Principal \"*\" lets every identity provider and account in; name the provider's ARN in Federated";
            vec![weakness(Severity::Error, "PrincipalWildcard", number, message)]
        }
        Some(Matcher::Is(Principals::Of(kinds))) => {
            let wild = kinds.iter().filter(|(_, names)| names.iter().any(|name| name.contains('*')));
            let report = |(kind, _): (&String, _)| {
                let message = format!("Principal {kind} holds a wildcard; name the provider's ARN in Federated");
                weakness(Severity::Error, "PrincipalWildcard", number, message)
            };
            wild.map(report).collect()
        }
        None => Vec::new(),
    }
}

fn broad_action(statement: &Statement) -> bool {
    match &statement.actions {
        Matcher::Is(named) => named.iter().any(|action| action.contains('*')),
        Matcher::IsNot(_) => true,
    }
}

/// One condition of a statement.
struct Entry<'a> {
    operator: Operator<'a>,
    key: &'a str,
    claim: &'a str,
    /// `sub` or `aud` where the provider's key is as good as that.
    stands_for: &'a str,
    values: &'a [String],
}

fn entries(statement: &Statement) -> impl Iterator<Item = Entry<'_>> {
    statement.conditions.iter().flat_map(|(operator, keys)| {
        keys.iter().map(move |(key, values)| {
            let (provider, claim) = key.rsplit_once(':').unwrap_or(("", key));
            let stands_for = stands_for(provider, claim);
            Entry { operator: Operator::parse(operator), key, claim, stands_for, values }
        })
    })
}

fn conditions(number: usize, statement: &Statement) -> Vec<Weakness> {
    let mut found = Vec::new();
    let is_pinned = entries(statement).any(|entry| pins_owner(&entry));
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
            let wild = values.iter().find(|value| value.contains(['*', '?']));
            match wild {
                Some(value) => report(
                    wildcard_severity(claim, value, is_pinned),
                    wildcard_code(claim),
                    format!("{value} takes more than one {claim}; use StringEquals with the exact one"),
                ),
                None => report(
                    Severity::Warning,
                    "StringLike",
                    format!("{key} has no wildcard, so StringEquals says the same and cannot become one by accident"),
                ),
            }
        } else if operator.base.eq_ignore_ascii_case("Null") {
            report(
                Severity::Warning,
                "Null",
                format!("{key} is only asked to be there or not; add StringEquals for its value"),
            );
        }
    }
    found
}

fn wildcard_code(claim: &str) -> &'static str {
    if claim == "sub" { "SubjectWildcard" } else { "AudienceWildcard" }
}

/// Ids of GitHub that are of one tenant, and stay when names are given to others (GitHub docs, "OpenID Connect reference").
const OWNERS: [&str; 3] = ["enterprise_id", "repository_id", "repository_owner_id"];

/// True of a condition that lets in the repositories of a single tenant of GitHub, whatever the subject.
fn pins_owner(entry: &Entry<'_>) -> bool {
    bounds_github(entry) && OWNERS.iter().any(|id| entry.claim.eq_ignore_ascii_case(id))
}

/// A pattern that reaches over namespaces, or over owners of repositories, lets other tenants in, unless their owner is pinned.
fn wildcard_severity(claim: &str, value: &str, is_pinned: bool) -> Severity {
    if claim == "sub" && is_pinned {
        return Severity::Warning;
    }
    let owner = value.strip_prefix("repo:").and_then(|rest| rest.split_once('/')).map(|(owner, _)| owner);
    let namespace = value
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
        .map(|(namespace, _)| namespace);
    // HCP Terraform: `organization:O:project:…`; CircleCI: `org/O/project/…` (their pages on OIDC tokens).
    let organisation = value
        .strip_prefix("organization:")
        .and_then(|rest| rest.split_once(':'))
        .or_else(|| value.strip_prefix("org/").and_then(|rest| rest.split_once('/')))
        .map(|(organisation, _)| organisation);
    let tenant = namespace.or(owner).or(organisation);
    let bounded = tenant.is_some_and(|tenant| !tenant.contains(['*', '?']));
    if claim == "sub" && bounded { Severity::Warning } else { Severity::Error }
}

/// Conditions on keys of a provider that the statement is not for never hold, or always with `IfExists` and the like.
fn foreign_keys(number: usize, statement: &Statement) -> Vec<Weakness> {
    let Some(Matcher::Is(Principals::Of(kinds))) = &statement.principal else { return Vec::new() };
    let provider =
        |name: &String| name.split_once("oidc-provider/").map_or(name.clone(), |(_, provider)| provider.to_owned());
    let providers: Vec<String> = kinds.get("Federated").into_iter().flatten().map(provider).collect();
    if providers.iter().any(|provider| provider.contains('*')) {
        return Vec::new();
    }
    let foreign = entries(statement).filter(|entry| {
        let host = entry.key.strip_suffix(entry.claim).unwrap_or_default().trim_end_matches(':');
        host.contains('.') && !providers.iter().any(|one| one.eq_ignore_ascii_case(host))
    });
    foreign
        .map(|entry| {
            let message =
                format!("{} is a key of another provider than the statement's ({})", entry.key, providers.join(", "));
            weakness(Severity::Error, "KeyOfAnotherProvider", number, message)
        })
        .collect()
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
        for (key, code) in [("aws:SourceArn", "SourceArnMissing"), ("aws:SourceAccount", "SourceAccountMissing")] {
            let pinned = entries(statement).any(|entry| {
                entry.key.eq_ignore_ascii_case(key) && !entry.operator.if_exists && entry.operator.every != Some(true)
            });
            if !pinned {
                let message = format!("it trusts Step Functions of every account; add a condition on {key}");
                found.push(weakness(Severity::Warning, code, number, message));
            }
        }
    }
    found
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
