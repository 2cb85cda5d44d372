//! Tokens of service accounts: minted for one audience and ten minutes, used once, never stored.

use std::time::Duration;

use kube::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroize;

use super::{IdentityError, SessionKey};
use crate::api::v1alpha1::is_object_name;
use crate::aws::sanitised;
use crate::iam::trust::Claims;
use crate::outcome::bounded;
use crate::reason::Reason;

/// Longest wait for the API server, the client's own retries included.
const MINT_TIMEOUT: Duration = Duration::from_secs(10);
/// Life of a minted token in seconds: the shortest that the API server gives.
const TOKEN_SECONDS: u32 = 600;

/// A minted token. It cannot be printed or written, and its memory is cleared when it is dropped.
pub struct WebIdentityToken {
    text: SecretString,
    /// What the token says of itself.
    pub claims: Claims,
    /// Id of the key that signed it.
    pub key_id: String,
}

impl WebIdentityToken {
    /// The token itself, for the exchange only.
    pub(super) fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// A token that was given, the one of a job in CI for example; `None` for what is no token in three parts.
    pub fn given(text: SecretString) -> Option<Self> {
        let (key_id, claims) = Claims::of_token(text.expose_secret())?;
        Some(Self { text, claims, key_id })
    }

    /// Takes a token apart without verifying it: that is the work of whoever it is shown to.
    pub(super) fn read(text: SecretString) -> Result<Self, IdentityError> {
        Self::given(text).ok_or_else(|| IdentityError::MintFailed {
            message: "its answer is not a token in three parts".into(),
            transient: false,
        })
    }

    /// Refuses a token that is for another account or for more than the one audience.
    fn check(self, key: &SessionKey, audience: &str) -> Result<Self, IdentityError> {
        let subject = key.subject();
        if self.claims.sub != subject {
            return Err(unexpected("sub", &subject, &self.claims.sub));
        }
        self.check_audience(audience)
    }

    /// Refuses a provider's token of another issuer, without a subject, or for more than the one audience.
    pub(super) fn check_external(self, issuer: &str, audience: &str) -> Result<Self, IdentityError> {
        if self.claims.iss != issuer {
            return Err(unexpected("iss", issuer, &self.claims.iss));
        }
        if self.claims.sub.is_empty() {
            return Err(unexpected("sub", "a subject", "nothing"));
        }
        self.check_audience(audience)
    }

    fn check_audience(self, audience: &str) -> Result<Self, IdentityError> {
        if self.claims.aud.0 == [audience] {
            return Ok(self);
        }
        let actual = if self.claims.aud.0.is_empty() { "none".to_owned() } else { self.claims.aud.0.join(", ") };
        Err(unexpected("aud", audience, &actual))
    }
}

fn unexpected(claim: &'static str, expected: &str, actual: &str) -> IdentityError {
    let actual = actual.chars().take(255).collect();
    IdentityError::UnexpectedToken { claim, expected: expected.to_owned(), actual }
}

/// Asks the API server for tokens.
#[derive(Clone)]
pub struct Minter {
    client: Client,
}

impl Minter {
    /// Mints with the operator's own rights.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A token of the key's account for one audience.
    pub async fn mint(&self, key: &SessionKey, audience: &str) -> Result<WebIdentityToken, IdentityError> {
        if !is_object_name(&key.namespace) || !is_object_name(&key.service_account) {
            return Err(missing(key));
        }
        let body = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": TOKEN_SECONDS},
        });
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", key.namespace, key.service_account);
        let request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|error| IdentityError::MintFailed { message: error.to_string(), transient: false })?;
        // As text: the typed call logs an answer that it cannot read, and the answer is the token.
        let answer = tokio::time::timeout(MINT_TIMEOUT, self.client.request_text(request)).await;
        let answer = answer
            .map_err(|_| IdentityError::MintFailed { message: "it did not answer in time".into(), transient: true })?;
        let mut answer = answer.map_err(|error| refused(key, &error))?;
        let token = token_of(&answer);
        answer.zeroize();
        let token = token.ok_or_else(|| IdentityError::MintFailed {
            message: "its answer holds no token".into(),
            transient: false,
        })?;
        WebIdentityToken::read(token)?.check(key, audience)
    }
}

fn missing(key: &SessionKey) -> IdentityError {
    IdentityError::ServiceAccountMissing {
        namespace: key.namespace.clone(),
        service_account: key.service_account.clone(),
    }
}

fn token_of(answer: &str) -> Option<SecretString> {
    #[derive(Deserialize)]
    struct Answer {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        token: String,
    }
    serde_json::from_str::<Answer>(answer).ok().map(|answer| answer.status.token.into())
}

fn refused(key: &SessionKey, error: &kube::Error) -> IdentityError {
    let kube::Error::Api(status) = error else {
        return IdentityError::MintFailed { message: "the API server could not be reached".into(), transient: true };
    };
    let terminating = status
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == Reason::NamespaceTerminating));
    match status.code {
        403 if terminating => IdentityError::NamespaceTerminating { namespace: key.namespace.clone() },
        403 => IdentityError::MintForbidden {
            namespace: key.namespace.clone(),
            service_account: key.service_account.clone(),
        },
        404 => missing(key),
        code => IdentityError::MintFailed {
            message: bounded(&sanitised(&status.message)),
            transient: code >= 500 || code == 429,
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    pub(crate) fn key() -> SessionKey {
        SessionKey {
            namespace: "shop".into(),
            binding: "orders".into(),
            binding_uid: "uid".into(),
            binding_generation: 1,
            service_account: "orders".into(),
            service_account_uid: "account".into(),
            role_arn: "arn:aws:iam::111122223333:role/team/shop-orders".into(),
            issuer: "https://issuer.example".into(),
            provider: None,
            audience: "sts.amazonaws.com".into(),
            region: "eu-west-1".into(),
            session_name: super::super::session_name("shop", "orders"),
            duration_seconds: 3600,
            requester: None,
            policy: None,
            epoch: crate::aws::Epoch::default(),
        }
    }

    pub(crate) fn token(claims: &serde_json::Value) -> Result<WebIdentityToken, IdentityError> {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        WebIdentityToken::read(SecretString::from(format!("e30.{payload}.canary-signature")))
    }

    /// Requirement 5 of docs/security.md: exactly one audience, never the API server's.
    #[test]
    fn requirement_05_a_token_for_another_account_or_a_second_audience_is_refused() {
        let claims = |sub: &str, aud: serde_json::Value| serde_json::json!({"iss": "https://i", "sub": sub, "aud": aud, "jti": "j"});
        let sub = "system:serviceaccount:shop:orders";
        let check =
            |claims| token(&claims).unwrap().check(&key(), "sts.amazonaws.com").map(|token| token.claims.jti.clone());
        assert_eq!(check(claims(sub, serde_json::json!(["sts.amazonaws.com"]))), Ok("j".into()));
        assert_eq!(check(claims(sub, serde_json::json!("sts.amazonaws.com"))), Ok("j".into()));
        for (sub, aud) in [
            ("system:serviceaccount:shop:other", serde_json::json!(["sts.amazonaws.com"])),
            (sub, serde_json::json!(["sts.amazonaws.com", "https://kubernetes"])),
            (sub, serde_json::json!([])),
        ] {
            assert!(matches!(check(claims(sub, aud)), Err(IdentityError::UnexpectedToken { .. })));
        }
    }

    #[test]
    fn a_providers_token_must_be_its_own_and_for_the_one_audience() {
        let check = |claims: &serde_json::Value| {
            token(claims)
                .unwrap()
                .check_external("https://i", "sts.amazonaws.com")
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&serde_json::json!({"iss": "https://i", "sub": "s", "aud": "sts.amazonaws.com"})), Ok(()));
        for (claims, claim) in [
            (serde_json::json!({"iss": "https://i/", "sub": "s", "aud": "sts.amazonaws.com"}), "iss"),
            (serde_json::json!({"iss": "https://i", "sub": "", "aud": "sts.amazonaws.com"}), "sub"),
            (serde_json::json!({"iss": "https://i", "sub": "s"}), "aud none"),
            (serde_json::json!({"iss": "https://i", "sub": "s", "aud": ["sts.amazonaws.com", "account"]}), "aud"),
        ] {
            assert!(check(&claims).unwrap_err().contains(claim), "{claims}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_refused_without_being_repeated() {
        for text in ["canary", "canary.canary", "canary.%%.canary", "a.b.c.canary"] {
            let error = WebIdentityToken::read(SecretString::from(text.to_owned())).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
