//! Which claims of whose tokens are condition keys.
//!
//! Sources: IAM user guide, "IAM and AWS STS condition context keys", section "Available keys for AWS OIDC federation", whose
//! tables by provider say which claim each key is read from; service authorization reference, "AWS Security Token Service",
//! for GitLab, Buildkite and GitHub's enterprise hosts, which those tables do not have.

use super::claims::provider_of;
use crate::iam::partition::is_cognito;

/// A condition key without its provider, and the claims it is read from: the first that the token has.
pub(super) struct Key {
    /// The part after the provider's name and a colon.
    pub(super) name: &'static str,
    /// Names of claims.
    pub(super) claims: &'static [&'static str],
}

const fn key(name: &'static str, claims: &'static [&'static str]) -> Key {
    Key { name, claims }
}

/// Those of every provider that has no table of its own; `aud` is read from `azp` where the token has one.
const DEFAULT: &[Key] = &[
    key("amr", &["amr"]),
    key("aud", &["azp", "aud"]),
    key("email", &["email"]),
    key("oaud", &["aud"]),
    key("sub", &["sub"]),
];
const COGNITO: &[Key] = &[key("amr", &["amr"]), key("aud", &["aud"]), key("oaud", &["aud"]), key("sub", &["sub"])];
/// Login with Amazon gives no token that could be read; its token information names the claims so.
const AMAZON: &[Key] = &[key("app_id", &["app_id"]), key("sub", &["user_id"]), key("user_id", &["user_id"])];
const FACEBOOK: &[Key] = &[key("app_id", &["app_id"]), key("id", &["id", "user_id"])];
const GOOGLE: &[Key] = &[key(ORGANIZATION_NUMBER, &["google:organization_number"])];
const GITHUB: &[Key] = &[
    key("actor", &["actor"]),
    key("actor_id", &["actor_id"]),
    key("enterprise_id", &["enterprise_id"]),
    key("environment", &["environment"]),
    key("job_workflow_ref", &["job_workflow_ref"]),
    key("ref", &["ref"]),
    key("repository", &["repository"]),
    key("repository_id", &["repository_id"]),
    key("repository_owner_id", &["repository_owner_id"]),
    key("workflow", &["workflow"]),
];
const CIRCLECI: &[Key] = &[key("oidc.circleci.com/project-id", &["oidc.circleci.com/project-id"])];
const OCI: &[Key] = &[key("rpst_id", &["rpst_id"])];
const GITLAB: &[Key] = &[
    key("namespace_id", &["namespace_id"]),
    key("pipeline_source", &["pipeline_source"]),
    key("project_id", &["project_id"]),
    key("ref_protected", &["ref_protected"]),
    key("runner_environment", &["runner_environment"]),
    key("user_access_level", &["user_access_level"]),
    key("user_email", &["user_email"]),
    key("user_id", &["user_id"]),
    key("user_login", &["user_login"]),
];
const BUILDKITE: &[Key] = &[
    key("build_branch", &["build_branch"]),
    key("cluster_id", &["cluster_id"]),
    key("cluster_name", &["cluster_name"]),
    key("organization_id", &["organization_id"]),
    key("organization_slug", &["organization_slug"]),
    key("pipeline_id", &["pipeline_id"]),
    key("pipeline_slug", &["pipeline_slug"]),
];

/// A key of Google's whose claim AWS spells as no token is known to have it.
const ORGANIZATION_NUMBER: &str = "google/organization_number";

/// The keys of a provider, which is named as in condition keys.
pub(super) fn keys(provider: &str) -> impl Iterator<Item = &'static Key> {
    let provider = provider.to_ascii_lowercase();
    let within = |start: &str, end: &str| {
        provider.strip_prefix(start).is_some_and(|rest| rest.len() > end.len() && rest.ends_with(end))
    };
    let (all, more): (&[Key], &[Key]) = match provider.as_str() {
        "www.amazon.com" => (AMAZON, &[]),
        "graph.facebook.com" => (FACEBOOK, &[]),
        "accounts.google.com" => (DEFAULT, GOOGLE),
        "gitlab.com" => (DEFAULT, GITLAB),
        "agent.buildkite.com" => (DEFAULT, BUILDKITE),
        _ if is_cognito_host(&provider) => (COGNITO, &[]),
        _ if is_github(&provider) => (DEFAULT, GITHUB),
        _ if provider.starts_with("oidc.circleci.com/org/") => (DEFAULT, CIRCLECI),
        _ if within("idcs-", ".identity.oraclecloud.com") => (DEFAULT, OCI),
        _ if within("agent.", ".buildkite.dev") || within("agent.", ".buildkite.site") => (DEFAULT, BUILDKITE),
        _ => (DEFAULT, &[]),
    };
    all.iter().chain(more)
}

/// True of Cognito's identity pools, by the provider's name in condition keys.
pub(super) fn is_cognito_host(provider: &str) -> bool {
    is_cognito(&format!("https://{provider}"))
}

/// True of GitHub's issuers: its own, those of an enterprise, and those of hosts of `ghe.com`.
pub(super) fn is_github(provider: &str) -> bool {
    let of_host = provider.strip_prefix("token.actions.").is_some_and(|rest| rest.ends_with(".ghe.com"));
    let own = "token.actions.githubusercontent.com";
    of_host
        || provider.starts_with("github.com/enterprises/")
        || provider.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// True of the providers that every account knows without one of its own; each is a principal by its name alone (IAM user
/// guide, "AWS JSON policy elements: Principal", OIDC federated principals).
pub fn is_built_in(issuer: &str) -> bool {
    let provider = provider_of(issuer).trim_end_matches('/');
    is_cognito(issuer) || matches!(provider, "accounts.google.com" | "www.amazon.com" | "graph.facebook.com")
}

/// Which claim of every token a key of a provider stands for: `sub`, `aud`, or itself.
pub(super) fn stands_for<'a>(provider: &str, name: &'a str) -> &'a str {
    match (provider.to_ascii_lowercase().as_str(), name.to_ascii_lowercase().as_str()) {
        ("www.amazon.com", "user_id") | ("graph.facebook.com", "id") | (_, "sub") => "sub",
        ("www.amazon.com" | "graph.facebook.com", "app_id") | (_, "oaud" | "aud") => "aud",
        _ => name,
    }
}

/// Why a key that the provider has cannot be known from the claims at hand.
pub(super) fn why_unknown(provider: &str, name: &str) -> Option<&'static str> {
    match provider {
        "www.amazon.com" | "graph.facebook.com" => Some(
            "the provider's tokens hold no claims that could be read; add what it tells of the token to the claims",
        ),
        "accounts.google.com" if name.eq_ignore_ascii_case(ORGANIZATION_NUMBER) => Some(
            "AWS reads it from a claim google:organization_number, and Google's tokens are known to have the number inside of google",
        ),
        _ => None,
    }
}

/// The federated principal of an issuer: its OIDC provider in the account, or the name alone of one that every account has.
pub fn provider_arn(partition: &str, account: &str, issuer: &str) -> String {
    if is_built_in(issuer) {
        return provider_of(issuer).to_owned();
    }
    format!("arn:{partition}:iam::{account}:oidc-provider/{}", provider_of(issuer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(provider: &str) -> Vec<&'static str> {
        keys(provider).map(|key| key.name).collect()
    }

    /// IAM user guide, "Available keys for AWS OIDC federation": the tables by provider.
    #[test]
    fn each_provider_has_the_keys_of_its_own_table() {
        assert_eq!(names("issuer.example/x"), ["amr", "aud", "email", "oaud", "sub"]);
        for github in [
            "token.actions.githubusercontent.com",
            "token.actions.githubusercontent.com/acme",
            "token.actions.acme.ghe.com",
            "github.com/enterprises/acme",
        ] {
            assert!(names(github).contains(&"repository_owner_id"), "{github}");
        }
        assert!(!names("token.actions.githubusercontent.com.evil.example").contains(&"actor"));
        assert!(names("oidc.circleci.com/org/1").contains(&"oidc.circleci.com/project-id"));
        assert!(names("idcs-1a.identity.oraclecloud.com").contains(&"rpst_id"));
        assert!(!names("idcs-.identity.oraclecloud.com.example").contains(&"rpst_id"));
        assert_eq!(names("www.amazon.com"), ["app_id", "sub", "user_id"]);
        assert_eq!(names("graph.facebook.com"), ["app_id", "id"]);
        assert_eq!(names("cognito-identity.amazonaws.com"), ["amr", "aud", "oaud", "sub"]);
        assert!(names("accounts.google.com").contains(&"oaud"));
        assert!(names("gitlab.com").contains(&"project_id") && !names("gitlab.example").contains(&"project_id"));
    }

    #[test]
    fn the_four_providers_that_every_account_has_are_principals_by_name() {
        for issuer in [
            "https://accounts.google.com",
            "accounts.google.com",
            "https://www.amazon.com",
            "https://graph.facebook.com",
            "https://cognito-identity.amazonaws.com",
        ] {
            assert!(is_built_in(issuer), "{issuer}");
        }
        assert!(!is_built_in("https://token.actions.githubusercontent.com"));
    }
}
