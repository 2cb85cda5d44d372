//! Statements that let nobody in, because whom they name and what they allow do not go together, or because no provider is named so.

use super::super::provider::{is_built_in, is_cognito_host};
use super::super::request::ASSUME;
use super::weakness::{Severity, Weakness, weakness};
use crate::iam::document::{Matcher, Principals, Statement};

const SAML: &str = "sts:AssumeRoleWithSAML";
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// What is wrong with the providers that an Allow statement names, or with its lack of them.
pub(super) fn federated(number: usize, statement: &Statement) -> Vec<Weakness> {
    let Some(Matcher::Is(Principals::Of(kinds))) = &statement.principal else { return Vec::new() };
    let names: Vec<&str> = kinds.get("Federated").into_iter().flatten().map(String::as_str).collect();
    let mut found: Vec<Weakness> = names.iter().filter_map(|name| of_no_provider(number, name)).collect();
    let others: Vec<&str> = kinds.keys().map(String::as_str).filter(|kind| *kind != "Federated").collect();
    let is_open = kinds.values().flatten().any(|name| name == "*");
    if is_open {
        return found;
    }
    let has = |action: &str| statement.names_action(action);
    let (saml, oidc): (Vec<&str>, Vec<&str>) = names.iter().copied().partition(|name| name.contains(":saml-provider/"));
    let mut report =
        |severity, message: String| found.push(weakness(severity, "ActionOfOtherPrincipals", number, message));
    // Where the statement is for others too, they get in by it.
    let severity = if others.is_empty() { Severity::Error } else { Severity::Warning };
    for (providers, wanted, whose) in [(&oidc, ASSUME, "a token"), (&saml, SAML, "a SAML assertion")] {
        let allowed = [ASSUME_ROLE, ASSUME, SAML].into_iter().find(|action| has(action));
        if let (Some(first), Some(allowed), false) = (providers.first(), allowed, has(wanted)) {
            report(severity, format!("nobody gets in by {first}: {allowed} is not for it; {whose} needs {wanted}"));
        }
    }
    let is_of_tokens = has(ASSUME) && !has(ASSUME_ROLE) && !has(SAML);
    if is_of_tokens && names.is_empty() {
        let message = format!(
            "nobody gets in: it names {}, and {ASSUME} is for tokens, whose provider is named in Federated",
            others.join(", ")
        );
        report(Severity::Error, message);
    }
    found
}

/// A name in Federated by which no token comes (IAM user guide, "AWS JSON policy elements: Principal", "OIDC federated principals":
/// an ARN of a provider of the account, or the name alone of one that every account has).
fn of_no_provider(number: usize, name: &str) -> Option<Weakness> {
    let report = |severity, code, message: String| Some(weakness(severity, code, number, message));
    if name.contains(['*', '?']) || name.contains("://") {
        return None;
    }
    match name.split_once(":oidc-provider/") {
        // AWS documents the name alone; no source says that a provider made under such a name is refused.
        Some((_, provider)) if is_built_in(provider) || is_cognito_host(provider) => report(
            Severity::Warning,
            "ProviderBuiltIn",
            format!(
                "probably nobody gets in by {name}: AWS has this provider built in, and its principal is {provider} without an ARN"
            ),
        ),
        None if !name.starts_with("arn:") && !is_built_in(name) && !is_cognito_host(name) => report(
            Severity::Error,
            "ProviderWithoutARN",
            format!(
                "{name} is no provider's name, so nobody gets in by it; write arn:aws:iam::ACCOUNT:oidc-provider/{name}"
            ),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::iam::document::Document;
    use crate::iam::trust::lint_trust;

    fn codes(action: &Value, principal: &Value) -> Vec<&'static str> {
        let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Principal": principal,
            "Condition": {"StringEquals": {"i.example:sub": "s", "i.example:aud": "a"}}}});
        let found = lint_trust(&Document::parse(&policy.to_string()).unwrap());
        found.into_iter().map(|one| one.code).filter(|code| *code != "KeyOfAnotherProvider").collect()
    }

    #[test]
    fn a_statement_by_which_nobody_gets_in_is_told() {
        let (role, token, saml) =
            (json!("sts:AssumeRole"), json!("sts:AssumeRoleWithWebIdentity"), json!("sts:AssumeRoleWithSAML"));
        let provider = "arn:aws:iam::111122223333:oidc-provider/i.example";
        let saml_provider = "arn:aws:iam::111122223333:saml-provider/x";
        let google = "arn:aws:iam::111122223333:oidc-provider/accounts.google.com";
        let other = "ActionOfOtherPrincipals";
        for (action, principal, expected) in [
            (&token, json!({"Federated": provider}), vec![]),
            (&role, json!({"Federated": provider}), vec![other]),
            (&saml, json!({"Federated": provider}), vec![other]),
            (&saml, json!({"Federated": saml_provider}), vec![]),
            (&role, json!({"Federated": saml_provider}), vec![other]),
            (&token, json!({"Federated": saml_provider}), vec![other]),
            (&role, json!({"Federated": provider, "AWS": "arn:aws:iam::111122223333:role/a"}), vec![other]),
            (
                &json!(["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"]),
                json!({"Federated": provider, "AWS": "arn:aws:iam::111122223333:role/a"}),
                vec![],
            ),
            (&json!("sts:TagSession"), json!({"Federated": provider}), vec![]),
            (&token, json!({"AWS": "arn:aws:iam::111122223333:root"}), vec![other]),
            (&token, json!({"Service": "states.amazonaws.com"}), vec![other]),
            (&role, json!({"Service": "states.amazonaws.com"}), vec![]),
            (&token, json!({"Federated": google}), vec!["ProviderBuiltIn"]),
            (&token, json!({"Federated": "token.actions.githubusercontent.com"}), vec!["ProviderWithoutARN"]),
        ] {
            assert_eq!(codes(action, &principal), expected, "{action} {principal}");
        }
    }
}
