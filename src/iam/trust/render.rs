//! Writes the trust policy that a role needs, with the exact subject and audience, and the OIDC provider beside it.

use serde_json::{Value, json};

use super::claims::provider_of;
use super::provider::{is_built_in, provider_arn};
use super::request::ASSUME;
use crate::iam::document::{Conditions, Document, Effect, Matcher, Principals, Statement};
use crate::iam::partition::is_cognito;

/// Characters of a trust policy that an account may have without asking (IAM user guide, "IAM and STS quotas").
pub const TRUST_POLICY_SIZE: usize = 2048;
/// Characters that it may have at most, when AWS has raised the quota.
pub const LARGEST_TRUST_POLICY: usize = 4096;

/// A token that a role is to trust.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustedToken {
    /// Issuer, with its scheme.
    pub issuer: String,
    /// Subject, exact.
    pub subject: String,
    /// Audience, exact.
    pub audience: String,
    /// Authorized party, which AWS compares instead of the audience. Both are named, both exactly.
    pub authorized_party: Option<String>,
}

impl TrustedToken {
    fn audiences(&self) -> Vec<String> {
        let mut all: Vec<String> = self.authorized_party.iter().cloned().chain([self.audience.clone()]).collect();
        all.dedup();
        all
    }
}

/// A trust policy and how it stands to AWS's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The policy.
    pub policy: Document,
    /// Set where the quota of trust policies has to be raised first, or there are too many tokens for any quota.
    pub too_large: Option<RenderError>,
}

/// Why a trust policy cannot be put on a role as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// More than an account may have without asking.
    #[error(
        "the trust policy has {0} characters, and a role takes 2048 unless AWS raises the account's quota to 4096 (\"Role trust policy length\")"
    )]
    AboveDefault(usize),
    /// More than any account may have.
    #[error("the trust policy has {0} characters, and no role takes more than 4096; use fewer providers for this role")]
    AboveAll(usize),
}

/// The trust policy of a role for these tokens: one statement each.
pub fn render(role_arn: &str, tokens: &[TrustedToken]) -> Rendered {
    let (partition, account) = location(role_arn);
    let policy = Document::new(tokens.iter().map(|token| statement(partition, account, token)).collect());
    let size = policy.size();
    let too_large = match size {
        fits if fits <= TRUST_POLICY_SIZE => None,
        fits if fits <= LARGEST_TRUST_POLICY => Some(RenderError::AboveDefault(size)),
        _ => Some(RenderError::AboveAll(size)),
    };
    Rendered { policy, too_large }
}

fn statement(partition: &str, account: &str, token: &TrustedToken) -> Statement {
    let provider = provider_of(&token.issuer);
    let principal = provider_arn(partition, account, &token.issuer);
    let mut statement = Statement {
        sid: None,
        effect: Effect::Allow,
        principal: Some(Matcher::Is(Principals::Of([("Federated".to_owned(), vec![principal])].into()))),
        actions: Matcher::Is(vec![ASSUME.into()]),
        resources: None,
        conditions: Conditions::new(),
    };
    statement = statement.when("StringEquals", &format!("{provider}:sub"), [token.subject.clone()]).when(
        "StringEquals",
        &format!("{provider}:aud"),
        token.audiences(),
    );
    if is_cognito(&token.issuer) {
        // Identities that nobody logged in for have `unauthenticated`.
        let key = format!("{provider}:amr");
        statement = statement.when("ForAnyValue:StringEquals", &key, ["authenticated"]);
    }
    statement
}

/// Partition and account of a role.
fn location(role_arn: &str) -> (&str, &str) {
    let mut fields = role_arn.split(':').skip(1);
    (fields.next().unwrap_or_default(), fields.nth(2).unwrap_or_default())
}

/// Issuers that need an OIDC provider, with the client ids to list there.
fn providers(tokens: &[TrustedToken]) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for token in tokens.iter().filter(|token| !is_built_in(&token.issuer)) {
        let place = found.iter().position(|(issuer, _)| *issuer == token.issuer).unwrap_or_else(|| {
            found.push((token.issuer.clone(), Vec::new()));
            found.len() - 1
        });
        let clients = &mut found[place].1;
        for audience in token.audiences() {
            if !clients.contains(&audience) {
                clients.push(audience);
            }
        }
    }
    found
}

/// The last part of a role's ARN.
pub fn role_name(role_arn: &str) -> &str {
    role_arn.rsplit('/').next().unwrap_or_default()
}

/// Where a role stands in IAM's tree: `/` or `/team/`.
pub fn role_path(role_arn: &str) -> String {
    let inner = role_arn.split_once(":role").map_or("/", |(_, rest)| rest);
    inner.rsplit_once('/').map_or_else(|| "/".into(), |(path, _)| format!("{path}/"))
}

/// Role and OIDC providers for Terraform.
pub fn terraform(role_arn: &str, tokens: &[TrustedToken]) -> String {
    let provider = |(number, (issuer, clients)): (usize, &(String, Vec<String>))| {
        let list = clients.iter().map(|client| quoted(client)).collect::<Vec<_>>().join(", ");
        format!(
            "resource \"aws_iam_openid_connect_provider\" \"issuer{}\" {{\n  url            = {}\n  client_id_list = [{list}]\n}}\n",
            number + 1,
            quoted(issuer),
        )
    };
    let mut blocks: Vec<String> = providers(tokens).iter().enumerate().map(provider).collect();
    blocks.push(format!(
        "resource \"aws_iam_role\" \"binding\" {{\n  name               = {}\n  path               = {}\n  assume_role_policy = {}}}\n",
        quoted(role_name(role_arn)),
        quoted(&role_path(role_arn)),
        heredoc(&render(role_arn, tokens).policy.pretty()),
    ));
    blocks.join("\n")
}

/// A text of several lines in Terraform's language, which reads `${` and `%{` in a string as its own.
pub fn heredoc(text: &str) -> String {
    let text = text.replace("${", "$${").replace("%{", "%%{");
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("    {line}")).collect();
    format!("<<-EOT\n{}\n  EOT\n", lines.join("\n"))
}

/// A string of Terraform's language.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

/// Role and OIDC providers as a template of CloudFormation, in JSON.
pub fn cloud_formation(role_arn: &str, tokens: &[TrustedToken]) -> Value {
    let mut resources = serde_json::Map::new();
    for (number, (issuer, clients)) in providers(tokens).iter().enumerate() {
        let provider =
            json!({"Type": "AWS::IAM::OIDCProvider", "Properties": {"Url": issuer, "ClientIdList": clients}});
        resources.insert(format!("Issuer{}", number + 1), provider);
    }
    let mut role = json!({"Type": "AWS::IAM::Role", "Properties": {
        "RoleName": role_name(role_arn), "Path": role_path(role_arn),
        "AssumeRolePolicyDocument": render(role_arn, tokens).policy.to_value()}});
    if !resources.is_empty() {
        role["DependsOn"] = resources.keys().map(String::as_str).collect();
    }
    resources.insert("BindingRole".into(), role);
    json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::trust::{Claims, Verdict, explain, lint_trust};

    const COGNITO: &str = "https://cognito-identity.amazonaws.com";
    const ROLE: &str = "arn:aws:iam::111122223333:role/team/shop-orders";

    fn token(issuer: &str, party: Option<&str>) -> TrustedToken {
        TrustedToken {
            issuer: issuer.into(),
            subject: "system:serviceaccount:shop:orders".into(),
            audience: "sts.amazonaws.com".into(),
            authorized_party: party.map(str::to_owned),
        }
    }

    fn claims(token: &TrustedToken) -> Claims {
        let amr = is_cognito(&token.issuer).then_some(["authenticated", "issuer.example"]);
        serde_json::from_value(json!({"iss": token.issuer, "sub": token.subject, "aud": token.audience,
            "azp": token.authorized_party, "amr": amr.unwrap_or_default()}))
        .unwrap()
    }

    /// Requirement 14 of docs/security.md: trust rendered exactly, weak trust found.
    #[test]
    fn requirement_14_what_is_rendered_is_exact_and_takes_the_token_and_no_other() {
        let tokens = [
            token("https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE", None),
            token("https://tenant.eu.auth0.com/", Some("client")),
            token(COGNITO, None),
            token("https://cognito-identity.amazonaws.com.cn", None),
        ];
        let rendered = render(ROLE, &tokens);
        assert_eq!(rendered.too_large, None);
        let text = rendered.policy.compact();
        assert!(!text.contains('*') && !text.contains("Like") && text.contains("tenant.eu.auth0.com/:aud"), "{text}");
        assert_eq!(lint_trust(&rendered.policy), []);
        for one in &tokens {
            let good = explain(&rendered.policy, &claims(one), ROLE, None);
            assert_eq!(good.verdict, Verdict::Allowed, "{good:#?}");
            let other = TrustedToken { subject: format!("{}x", one.subject), ..one.clone() };
            assert_ne!(explain(&rendered.policy, &claims(&other), ROLE, None).verdict, Verdict::Allowed);
            let other = TrustedToken { audience: "other".into(), authorized_party: None, ..one.clone() };
            assert_ne!(explain(&rendered.policy, &claims(&other), ROLE, None).verdict, Verdict::Allowed);
        }
    }

    #[test]
    fn a_policy_above_the_limits_is_told() {
        let many = |count: usize| -> Vec<_> {
            (0..count)
                .map(|n| token(&format!("https://issuer-{n:03}.example/realms/a-rather-long-name"), None))
                .collect()
        };
        assert!(matches!(render(ROLE, &many(8)).too_large, Some(RenderError::AboveDefault(2049..=4096))));
        assert!(matches!(render(ROLE, &many(20)).too_large, Some(RenderError::AboveAll(4097..))));
        assert_eq!(render(ROLE, &many(3)).too_large, None);
    }

    #[test]
    fn provider_and_role_are_written_for_terraform_and_cloud_formation() {
        let tokens =
            [token("https://a.example", Some("client")), token("https://a.example", None), token(COGNITO, None)];
        let text = terraform(ROLE, &tokens);
        assert_eq!(text.matches("aws_iam_openid_connect_provider").count(), 1, "{text}");
        assert!(
            text.contains("client_id_list = [\"client\", \"sts.amazonaws.com\"]") && text.contains("\"/team/\""),
            "{text}"
        );
        let template = cloud_formation(ROLE, &tokens);
        assert_eq!(template["Resources"]["Issuer1"]["Properties"]["Url"], "https://a.example");
        assert_eq!(template["Resources"]["BindingRole"]["DependsOn"], json!(["Issuer1"]));
        assert_eq!(template["Resources"]["BindingRole"]["Properties"]["RoleName"], "shop-orders");
        assert_eq!(role_path("arn:aws:iam::1:role/r"), "/");
    }
}
