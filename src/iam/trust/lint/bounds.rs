//! What the claims of a provider bound, beside its subject.

use super::super::operator::Operator;
use super::super::provider::{is_cognito_host, is_github, keys};
use super::keys::providers;
use super::weakness::{Entry, Severity, Weakness, entries, weakness};
use crate::iam::document::Statement;

/// Providers that all customers of theirs share, and for which a trust policy must look at `sub` to be created or changed, whatever
/// else it looks at (IAM user guide, "Identity-provider controls for shared OIDC providers").
const SHARED: [&str; 4] =
    ["token.actions.githubusercontent.com", "gitlab.com", "agent.buildkite.com", "app.terraform.io"];

/// Claims that say whose a token is: those of one value are of a single tenant. Sources: GitHub docs, "OpenID Connect reference";
/// GitLab docs, "OpenID Connect (OIDC) Authentication Using ID Tokens"; Buildkite docs, "OIDC in Buildkite Pipelines"; `CircleCI`
/// docs, "Using OpenID Connect tokens in jobs"; Google, "OpenID Connect", of `email`.
fn tenant_claims(provider: &str) -> &'static [&'static str] {
    match provider {
        "gitlab.com" => &["namespace_id", "project_id"],
        "accounts.google.com" => &["email", "google/organization_number"],
        _ if is_github(provider) => &["enterprise_id", "repository", "repository_id", "repository_owner_id"],
        _ if provider.starts_with("agent.buildkite.") => {
            &["cluster_id", "organization_id", "organization_slug", "pipeline_id"]
        }
        _ if provider.starts_with("oidc.circleci.com/org/") => &["oidc.circleci.com/project-id"],
        _ => &[],
    }
}

/// Nothing is asked of the subject. What other claims bound is said, and what they leave open; nothing where a role is for all
/// users of an app, as AWS itself writes such policies.
pub(super) fn subject_missing(number: usize, statement: &Statement) -> Option<Weakness> {
    let report = |severity, message| Some(weakness(severity, "SubjectMissing", number, message));
    if entries(statement).any(|entry| bounds_app(&entry)) {
        return guests(statement).and_then(|message| report(Severity::Warning, message));
    }
    let bounds: Vec<Entry<'_>> = entries(statement).filter(bounds).collect();
    let Some(first) = bounds.first() else {
        let provider = providers(statement).join(" or ").replace('*', "");
        let message =
            format!("no condition on {provider}:sub, so every sub of the provider is taken; add StringEquals");
        return report(Severity::Error, message);
    };
    let said = |entry: &Entry<'_>| format!("{} is {}", entry.claim, entry.values.join(" or "));
    let bound = bounds.iter().map(said).collect::<Vec<_>>().join(" and ");
    let provider = provider_of(first);
    let is_tenant = bounds.iter().any(bounds_tenant);
    let is_file = bounds.iter().any(|entry| entry.claim.eq_ignore_ascii_case("job_workflow_ref"));
    let (open, what) = match is_github(&provider.to_ascii_lowercase()) {
        true if is_tenant => (
            "whatever else the job is, its branch, environment, workflow and event, does not matter",
            " with the repository and its branch or environment",
        ),
        true if is_file => (
            "that says which file the job is written in, and not whose run it is: each repository that may call it as a reusable workflow is taken",
            " with the repository and its branch or environment",
        ),
        true => (
            "that says not whose repository it is: each one of GitHub for which it holds is taken",
            " with the repository and its branch or environment",
        ),
        false => ("each token of the provider for which that holds is taken", ""),
    };
    let needs_subject = SHARED.iter().any(|shared| provider.eq_ignore_ascii_case(shared));
    let saved = if needs_subject { "; IAM takes no new or changed policy for it without :sub" } else { "" };
    let message =
        format!("no condition on :sub: bound is that {bound}; {open}{saved}; add StringEquals on {provider}:sub{what}");
    report(if is_tenant && !needs_subject { Severity::Warning } else { Severity::Error }, message)
}

/// True of a condition that names the app or the identity pool whose users get in, with one of the providers that every account
/// knows (IAM user guide, "Create a role for OpenID Connect federation (console)"; Amazon Cognito developer guide, "Role trust and
/// permissions"). Of Google that is `aud` alone: AWS compares it with the authorized party, while a token's own audience, `oaud`,
/// is what its bearer asks for.
pub(super) fn bounds_app(entry: &Entry<'_>) -> bool {
    let provider = provider_of(entry).to_ascii_lowercase();
    let names = match provider.as_str() {
        "accounts.google.com" => ["aud"].as_slice(),
        "www.amazon.com" | "graph.facebook.com" => &["app_id"],
        _ if is_cognito_host(&provider) => &["aud", "oaud"],
        _ => &[],
    };
    let is_exact = |value: &String| !(entry.operator.takes_wildcards() && value.contains(['*', '?']));
    asks(entry) && names.iter().any(|name| entry.claim.eq_ignore_ascii_case(name)) && entry.values.iter().all(is_exact)
}

/// What a role of an identity pool leaves open whose policy does not ask whether its users have signed in.
fn guests(statement: &Statement) -> Option<String> {
    let pool = entries(statement)
        .find(|entry| bounds_app(entry) && is_cognito_host(&provider_of(entry).to_ascii_lowercase()))?;
    let is_asked = entries(statement).any(|entry| entry.claim.eq_ignore_ascii_case("amr"));
    let provider = provider_of(&pool);
    (!is_asked).then(|| {
        format!("no condition on {provider}:sub or {provider}:amr, so every identity of the pool is taken, and guests where it has them; add ForAnyValue:StringLike {provider}:amr authenticated")
    })
}

fn provider_of<'a>(entry: &Entry<'a>) -> &'a str {
    entry.key.rsplit_once(':').map_or("", |(provider, _)| provider)
}

/// True of a condition that compares as text and holds nowhere without its key.
fn asks(entry: &Entry<'_>) -> bool {
    let Operator { base, if_exists, every } = entry.operator;
    let compares = base.to_ascii_lowercase().starts_with("stringequals") || entry.operator.takes_wildcards();
    compares && !if_exists && every != Some(true) && !entry.operator.is_negated()
}

/// True of a condition that lets in only one tenant's web identities, by their subject or another claim.
pub(super) fn bounds_web_identity(entry: &Entry<'_>) -> bool {
    let is_bound = |value: &String| {
        !(entry.operator.takes_wildcards() && value.contains(['*', '?']))
            || wildcard_severity(entry, value, false) == Severity::Warning
    };
    let is_subject = entry.stands_for == "sub" && provider_of(entry).contains('.');
    bounds_tenant(entry) || (is_subject && asks(entry) && entry.values.iter().all(is_bound))
}

/// True of a condition that takes certain values of a claim that IAM gives, and holds nowhere without the claim.
fn bounds(entry: &Entry<'_>) -> bool {
    let is_other = !matches!(entry.stands_for, "sub" | "aud" | "amr");
    let is_given = || {
        let provider = provider_of(entry);
        provider.contains('.') && keys(provider).any(|key| key.name.eq_ignore_ascii_case(entry.claim))
    };
    asks(entry) && is_other && entry.values.iter().all(|value| is_bound(entry, value)) && is_given()
}

/// A pattern bounds nothing, but that of a repository with an owner as it stands.
fn is_bound(entry: &Entry<'_>, value: &str) -> bool {
    let is_wild = |text: &str| entry.operator.takes_wildcards() && text.contains(['*', '?']);
    let owner = value.split_once('/').map(|(owner, _)| owner).filter(|owner| !owner.is_empty());
    let is_owned = entry.claim.eq_ignore_ascii_case("repository") && owner.is_some_and(|owner| !is_wild(owner));
    !is_wild(value) || is_owned
}

/// True of a condition that lets in those of a single tenant of the provider, whatever the subject.
pub(super) fn bounds_tenant(entry: &Entry<'_>) -> bool {
    let claims = tenant_claims(&provider_of(entry).to_ascii_lowercase());
    claims.iter().any(|claim| entry.claim.eq_ignore_ascii_case(claim)) && bounds(entry)
}

/// Starts of subjects after which a tenant stands, and what ends it: Kubernetes; GitHub, its custom claims too (docs, "OpenID
/// Connect reference"); GitLab; HCP Terraform and Buildkite; `CircleCI` (their pages on OIDC tokens).
const TENANTS: [(&str, char); 8] = [
    ("system:serviceaccount:", ':'),
    ("repo:", '/'),
    ("repository_owner:", ':'),
    ("repository_owner_id:", ':'),
    ("repository_id:", ':'),
    ("project_path:", '/'),
    ("organization:", ':'),
    ("org/", '/'),
];

/// A pattern that reaches over namespaces, or over owners of repositories, lets other tenants in, unless their owner is pinned.
/// How a user of a pool has signed in is asked beside whose they are.
pub(super) fn wildcard_severity(entry: &Entry<'_>, value: &str, is_pinned: bool) -> Severity {
    let is_bounded = match entry.stands_for {
        "sub" => is_pinned || is_of_tenant(entry, value),
        "amr" => is_pinned && value != "*",
        _ => false,
    };
    if is_bounded { Severity::Warning } else { Severity::Error }
}

/// True of a subject whose tenant stands in it without a wildcard.
fn is_of_tenant(entry: &Entry<'_>, value: &str) -> bool {
    let named = TENANTS.iter().find_map(|(start, end)| value.strip_prefix(start)?.split_once(*end));
    // Each workspace of Bitbucket has an issuer of its own, and its subjects begin with the id of the repository in braces
    // (Bitbucket Cloud docs, "Integrate Pipelines with resource servers using OIDC").
    let of_bitbucket = || {
        let is_workspace = provider_of(entry).to_ascii_lowercase().starts_with("api.bitbucket.org/2.0/workspaces/");
        value.strip_prefix('{').filter(|_| is_workspace)?.split_once('}')
    };
    let named = named.or_else(of_bitbucket).or_else(|| of_azure(entry, value));
    named.is_some_and(|(tenant, _)| !tenant.is_empty() && !tenant.contains(['*', '?']))
}

/// Each organization of `Azure DevOps` has an issuer of its own, and its subjects are `sc://ORGANIZATION/PROJECT/CONNECTION` of a service
/// connection and `p://ORGANIZATION/PROJECT/PIPELINE` of a pipeline: whose they are is the project (AWS Toolkit for `Azure DevOps` user
/// guide, "OpenID Connect"; `Azure DevOps` documentation, "Workload identity federation").
fn of_azure<'a>(entry: &Entry<'_>, value: &'a str) -> Option<(&'a str, &'a str)> {
    let is_azure = provider_of(entry).to_ascii_lowercase().starts_with("vstoken.dev.azure.com/");
    let rest = value.strip_prefix("sc://").or_else(|| value.strip_prefix("p://")).filter(|_| is_azure)?;
    rest.rsplit_once('/').filter(|(project, _)| project.contains('/'))
}

/// Whom the wildcard of a subject takes in, where the form of the subject tells (HCP Terraform documentation, "Workload identity":
/// `organization:…:project:…:workspace:…:run_phase:…`; of `Azure DevOps` see above).
pub(super) fn takes_in(entry: &Entry<'_>, value: &str) -> Option<&'static str> {
    let provider = provider_of(entry).to_ascii_lowercase();
    let value_of = |part: &str| {
        let rest = value.split_once(part)?.1;
        Some(rest.split_once(':').map_or(rest, |(value, _)| value))
    };
    let is_wild = |text: &str| text.contains(['*', '?']);
    if entry.stands_for != "sub" {
        return None;
    }
    if provider == "app.terraform.io" {
        return match (value_of("organization:"), value_of(":project:"), value_of(":workspace:")) {
            (Some(one), ..) if is_wild(one) => Some("organizations of others too"),
            (_, None, _) => Some("every workspace of the organization, whatever its project"),
            (_, Some(one), _) if is_wild(one) => Some("workspaces of other projects of the organization too"),
            (.., None) => Some("every workspace of the project"),
            (.., Some(one)) if is_wild(one) => Some("other workspaces of the project too"),
            _ => Some("each phase: a plan too, which runs what nobody has approved"),
        };
    }
    if !provider.starts_with("vstoken.dev.azure.com/") {
        return None;
    }
    Some(match of_azure(entry, value) {
        Some((project, _)) if !is_wild(project) => "each service connection or pipeline of the project",
        _ => "other projects of the organization too, where whoever may make a service connection gets in",
    })
}
