//! To which issuer a client's secret may be sent. The Secret says so itself, so that whoever may write IdentityProviders, or
//! have a `GitOps` engine write them, cannot have it sent to an issuer of their own.

use crate::api::v1alpha1::{ClientAuthenticationType, IdentityProvider};
use crate::status::{READY, is_true};

/// Annotation of a Secret with the one issuer that it is for, exactly as its tokens name it.
pub const ISSUER_ANNOTATION: &str = "stepbound.dev/issuer";

/// Why a Secret is not sent to an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// It is for another issuer.
    Other(String),
    /// It does not say for which it is.
    Unsaid,
}

impl NotGranted {
    /// What is wrong with the Secret and how it is mended.
    pub fn message(&self, namespace: &str, secret: &str, issuer: &str) -> String {
        let problem = match self {
            Self::Other(granted) => format!("is for {granted}"),
            Self::Unsaid => "does not say for which issuer it is".to_owned(),
        };
        let remedy = self.remedy(namespace, secret, issuer);
        format!(
            "Secret \"{secret}\" in namespace \"{namespace}\" {problem}, so it is not sent to {issuer}. If it is for that: {remedy}"
        )
    }

    /// The command that ties the Secret to the issuer.
    pub fn remedy(&self, namespace: &str, secret: &str, issuer: &str) -> String {
        let overwrite = if matches!(self, Self::Other(_)) { " --overwrite" } else { "" };
        format!("kubectl annotate secret {secret} -n {namespace}{overwrite} {ISSUER_ANNOTATION}={issuer}")
    }
}

/// Whether a Secret with this annotation may be sent to the issuer.
///
/// # Errors
/// The Secret is for another issuer, or says nothing and `takes_untied` is false.
pub fn check(annotation: Option<&str>, issuer: &str, takes_untied: bool) -> Result<(), NotGranted> {
    match annotation {
        Some(granted) if granted == issuer => Ok(()),
        Some(granted) => Err(NotGranted::Other(granted.to_owned())),
        None if takes_untied => Ok(()),
        None => Err(NotGranted::Unsaid),
    }
}

/// Whether the provider may go on with a Secret that names no issuer: it did before this was asked for, as its status says,
/// and has named the same Secret since. Its issuer cannot change.
pub fn takes_untied(provider: &IdentityProvider) -> bool {
    let (Some(secret), Some(status)) = (secret_of(provider), &provider.status) else { return false };
    match &status.untied_secret {
        Some(name) => name == secret,
        None => is_true(&status.conditions, READY) && status.observed_generation == provider.metadata.generation,
    }
}

/// Name of the Secret that the provider sends to its issuer.
pub fn secret_of(provider: &IdentityProvider) -> Option<&str> {
    let client = &provider.spec.client_authentication;
    let named = client.secret_key_ref.as_ref().filter(|_| client.method == ClientAuthenticationType::ClientSecret);
    named.map(|reference| reference.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Requirement 28 of docs/security.md: a Secret only for who may read it, and only to its issuer.
    #[test]
    fn requirement_28_a_secret_is_for_the_one_issuer_that_it_names() {
        let (okta, evil) = ("https://okta.example", "https://evil.example");
        assert_eq!(check(Some(okta), okta, false), Ok(()));
        for takes_untied in [false, true] {
            assert_eq!(check(Some(okta), evil, takes_untied), Err(NotGranted::Other(okta.into())));
            assert!(check(Some(""), evil, takes_untied).is_err(), "an empty annotation names nobody");
        }
        assert_eq!(check(None, okta, false), Err(NotGranted::Unsaid));
        assert_eq!(check(None, okta, true), Ok(()));
        let said = NotGranted::Other(okta.into()).message("shop", "client", evil);
        assert!(
            said.contains("kubectl annotate secret client -n shop --overwrite stepbound.dev/issuer=https://evil"),
            "{said}"
        );
    }

    /// Requirement 28 of docs/security.md: a Secret only for who may read it, and only to its issuer.
    /// A provider that worked before the upgrade goes on; a new one, or one that names another Secret, does not.
    #[test]
    fn requirement_28_only_a_provider_from_before_goes_on_with_a_secret_that_names_nobody() {
        let provider = |status: serde_json::Value| -> IdentityProvider {
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider",
                "metadata": {"name": "okta", "generation": 2}, "status": status,
                "spec": {"issuer": "https://okta.example", "clientAuthentication": {"type": "ClientSecret", "clientID": "c",
                    "secretKeyRef": {"name": "client", "key": "secret"}}}}))
            .unwrap()
        };
        let ready = |status: &str, seen: i64| {
            json!({"observedGeneration": seen, "conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
        };
        assert!(takes_untied(&provider(ready("True", 2))));
        assert!(!takes_untied(&provider(json!(null))) && !takes_untied(&provider(ready("False", 2))));
        assert!(!takes_untied(&provider(ready("True", 1))), "its spec was changed since, perhaps to another Secret");
        let marked = |secret: &str| {
            let mut status = ready("False", 1);
            status["untiedSecret"] = json!(secret);
            provider(status)
        };
        assert!(takes_untied(&marked("client")), "an issuer that is away for a while changes nothing");
        assert!(!takes_untied(&marked("another")));
    }
}
