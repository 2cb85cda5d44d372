//! What makes a binding weaker than it could be.

use std::time::Duration;

use crate::api::v1alpha1::{ClientAuthenticationType, Finding, SessionPolicyChoice, TrustBindingSpec};
use crate::iam::binding_role::BindingScope;
use crate::iam::document::Document;
use crate::iam::trust::{Rendered, Severity, Weakness, lint_permissions, lint_service_trust, lint_trust};
use crate::plan::secret_grant::NotGranted;

/// Longest session that is of use: a session is renewed while it is used, so a longer one only lives longer when stolen.
const USEFUL: Duration = Duration::from_secs(3600);
/// Findings of a status: a status stays small.
const MOST: usize = 30;

/// What is known of a binding.
pub struct Facts<'a> {
    /// Its spec.
    pub spec: &'a TrustBindingSpec,
    /// What its sessions are for.
    pub scope: &'a BindingScope,
    /// Name of its provider and how the account proves itself there.
    pub provider: Option<(&'a str, ClientAuthenticationType)>,
    /// The trust policy that it needs.
    pub rendered: Option<&'a Rendered>,
    /// The trust policy that its role has, where it could be read.
    pub trust: Option<&'a Document>,
    /// Trust policies of its execution roles, by ARN, as far as they could be read.
    pub execution: &'a [(String, Document)],
}

/// All findings, errors first.
pub fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = of_spec(facts.spec, facts.scope);
    if let Some((name, ClientAuthenticationType::ClientSecret)) = facts.provider {
        found.push(long_lived_secret(name));
    }
    if let Some(error) = facts.rendered.and_then(|rendered| rendered.too_large) {
        found.push(finding(Severity::Warning, "TrustPolicyTooLarge", format!("{error}.")));
    }
    let role = format!("trust policy of {}", facts.spec.role_arn);
    found.extend(facts.trust.into_iter().flat_map(lint_trust).map(|one| of_weakness(&role, &one)));
    for (arn, trust) in facts.execution {
        let role = format!("trust policy of execution role {arn}");
        found.extend(lint_service_trust(trust).iter().map(|one| of_weakness(&role, one)));
    }
    found.sort_by_key(|one| (one.severity != Severity::Error.text(), one.code.clone()));
    found.truncate(MOST);
    found
}

/// A provider with a stored secret.
pub fn long_lived_secret(provider: &str) -> Finding {
    let message = format!(
        "IdentityProvider \"{provider}\" proves the account by a stored client secret, which lives until somebody changes it. Use ServiceAccountAssertion where the provider takes it."
    );
    finding(Severity::Warning, "LongLivedSecret", message)
}

/// A provider with a Secret that does not say for which issuer it is.
pub fn untied_secret(namespace: &str, secret: &str, issuer: &str) -> Finding {
    let said = NotGranted::Unsaid.remedy(namespace, secret, issuer);
    let message = format!(
        "Secret \"{secret}\" does not say for which issuer it is, and is sent to {issuer} because it always was. Say so: {said}"
    );
    finding(Severity::Warning, "SecretNotTied", message)
}

fn of_spec(spec: &TrustBindingSpec, scope: &BindingScope) -> Vec<Finding> {
    let mut found = Vec::new();
    match spec.session_policy.choice() {
        SessionPolicyChoice::None => {
            let message = "spec.sessionPolicy is None: a session may do all that the role may. Leave it out to limit sessions to what Stepbound calls.";
            found.push(finding(Severity::Warning, "NoSessionPolicy", message));
        }
        SessionPolicyChoice::Inline(text) => {
            let weak = Document::parse(text).map(|policy| lint_permissions(&policy)).unwrap_or_default();
            found.extend(weak.iter().map(|one| of_weakness("spec.sessionPolicy", one)));
        }
        SessionPolicyChoice::Derived if scope.execution_roles.is_empty() => {
            let message = "spec.allowedExecutionRoleARNs is empty: a Workflow of this binding may name any execution role that the role may pass. List those that it needs.";
            found.push(finding(Severity::Warning, "PassRoleTooBroad", message));
        }
        SessionPolicyChoice::Derived | SessionPolicyChoice::Unknown(_) => {}
    }
    if !spec.allowed_step_role_arns.is_empty() && scope.execution_roles.is_empty() {
        let message = "spec.allowedStepRoleARNs bounds what Workflows name, and spec.allowedExecutionRoleARNs is empty: an execution role reaches every role that it may assume. List the execution roles too.";
        found.push(finding(Severity::Warning, "StepRolesReachable", message));
    }
    if spec.session_duration.to_std().is_some_and(|duration| duration > USEFUL) {
        let message = format!(
            "spec.sessionDuration is {}: sessions are renewed while they are used, so more than 1h only makes a stolen one last longer. Leave it out.",
            spec.session_duration.0
        );
        found.push(finding(Severity::Warning, "SessionLongerThanNeeded", message));
    }
    found
}

fn of_weakness(place: &str, weakness: &Weakness) -> Finding {
    finding(
        weakness.severity,
        weakness.code,
        format!("{place}, statement {}: {}.", weakness.statement, weakness.message),
    )
}

fn finding(severity: Severity, code: &str, message: impl Into<String>) -> Finding {
    Finding { severity: severity.text().into(), code: code.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(spec: &serde_json::Value, provider: Option<ClientAuthenticationType>, trust: Option<&str>) -> Vec<String> {
        let mut all = json!({"serviceAccountName": "orders", "region": "eu-west-1",
            "roleARN": "arn:aws:iam::111122223333:role/r", "allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/x"]});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let spec: TrustBindingSpec = serde_json::from_value(all).unwrap();
        let execution_roles = spec.allowed_execution_role_arns.iter().map(|arn| arn.0.clone()).collect();
        let scope = BindingScope { execution_roles, ..BindingScope::default() };
        let execution = r#"{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}}"#;
        let execution = trust.map(|_| ("arn".to_owned(), Document::parse(execution).unwrap()));
        let trust = trust.map(|text| Document::parse(text).unwrap());
        let execution: Vec<_> = execution.into_iter().collect();
        let provider = provider.map(|method| ("okta", method));
        let facts = Facts {
            spec: &spec,
            scope: &scope,
            provider,
            rendered: None,
            trust: trust.as_ref(),
            execution: &execution,
        };
        findings(&facts).into_iter().map(|one| one.code).collect()
    }

    #[test]
    fn a_tight_binding_has_no_finding_and_each_weak_place_has_one() {
        let none = Vec::<String>::new();
        assert_eq!(codes(&json!({}), Some(ClientAuthenticationType::ServiceAccountAssertion), None), none);
        assert_eq!(codes(&json!({"sessionPolicy": "None"}), None, None), ["NoSessionPolicy"]);
        assert_eq!(codes(&json!({"allowedExecutionRoleARNs": []}), None, None), ["PassRoleTooBroad"]);
        assert_eq!(codes(&json!({"sessionDuration": "90m"}), None, None), ["SessionLongerThanNeeded"]);
        let steps = json!({"allowedStepRoleARNs": ["arn:aws:iam::111122223333:role/s"]});
        assert_eq!(codes(&steps, None, None), none);
        let open = json!({"allowedStepRoleARNs": ["arn:aws:iam::111122223333:role/s"], "allowedExecutionRoleARNs": []});
        assert_eq!(codes(&open, None, None), ["PassRoleTooBroad", "StepRolesReachable"]);
        assert_eq!(codes(&json!({}), Some(ClientAuthenticationType::ClientSecret), None), ["LongLivedSecret"]);
        let inline = json!({"sessionPolicy": {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}});
        assert_eq!(codes(&inline, None, None), ["ActionWildcard", "PassRoleTooBroad"]);
        let open = r#"{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": "*"}}"#;
        let found = codes(&json!({}), None, Some(open));
        assert_eq!(
            found,
            ["AudienceMissing", "PrincipalWildcard", "SubjectMissing", "SourceAccountMissing", "SourceArnMissing"]
        );
    }
}
