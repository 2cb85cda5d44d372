//! Tokens of providers outside the cluster. The service account proves itself to them with a token of its own where they
//! can take one, so that no secret is stored; where they cannot, with a client's secret.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::IdentityError;
use super::cognito::Cognito;
use super::issuer::{Discovery, Issuers};
use super::key::{ExternalProvider, SessionKey, pool_region};
use super::secret::SecretReader;
use super::token::{Minter, WebIdentityToken};
use super::web::{Form, WebError};
use crate::api::v1alpha1::{ClientAuthenticationType, SubjectToken};
use crate::aws::sanitised;
use crate::outcome::bounded;

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// RFC 8693, section 2.1.
const EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693, section 3.
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// RFC 8693, section 3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Gets tokens of external providers.
pub struct Providers {
    pub(super) issuers: Arc<Issuers>,
    minter: Minter,
    secrets: SecretReader,
    cognito: Cognito,
    rules: IssuerRules,
}

/// Which issuers may be asked.
#[derive(Clone, Debug, Default)]
pub struct IssuerRules {
    /// Issuers that providers may name.
    pub allowed: Vec<String>,
    /// What an assertion's audience must never be: it would be good for STS or for the API server as well.
    pub forbidden_audiences: Vec<String>,
}

impl IssuerRules {
    /// # Errors
    /// What is wrong and which flag would mend it.
    pub fn check(&self, issuer: &str) -> Result<(), String> {
        if self.forbidden_audiences.iter().any(|audience| audience == issuer) {
            return Err(format!(
                "\"{issuer}\" is an audience of STS or of this cluster and cannot be a provider as well"
            ));
        }
        if self.allowed.iter().any(|allowed| allowed == issuer) {
            return Ok(());
        }
        Err(format!(
            "issuer \"{issuer}\" is not among those that the operator allows; start it with --allowed-issuer {issuer}"
        ))
    }
}

impl Providers {
    /// Puts the parts together.
    pub fn new(
        issuers: Arc<Issuers>,
        minter: Minter,
        secrets: SecretReader,
        cognito: Cognito,
        rules: IssuerRules,
    ) -> Self {
        Self { issuers, minter, secrets, cognito, rules }
    }

    /// A token of the provider for the key's account, checked to be what was asked for.
    pub(super) async fn token(
        &self,
        key: &SessionKey,
        provider: &ExternalProvider,
    ) -> Result<WebIdentityToken, IdentityError> {
        let issuer = &provider.issuer;
        self.rules.check(issuer).map_err(|problem| IdentityError::ProviderNotAllowed { problem })?;
        let token = match provider.authentication.method {
            ClientAuthenticationType::CognitoIdentityPool => self.pool_token(key, provider).await?,
            _ => self.endpoint_token(key, provider).await?,
        };
        token.check_external(issuer, provider.token_audience(&key.audience))
    }

    async fn pool_token(
        &self,
        key: &SessionKey,
        provider: &ExternalProvider,
    ) -> Result<WebIdentityToken, IdentityError> {
        let Some(pool) = &provider.authentication.identity_pool else {
            return Err(IdentityError::ProviderNotAllowed { problem: "it names no identity pool".into() });
        };
        let login = self.minter.mint(key, &provider.issuer).await?;
        let region = pool_region(&pool.id);
        WebIdentityToken::read(self.cognito.token(&provider.issuer, region, &pool.id, &login).await?)
    }

    async fn endpoint_token(
        &self,
        key: &SessionKey,
        provider: &ExternalProvider,
    ) -> Result<WebIdentityToken, IdentityError> {
        let discovery = self.issuers.discover(&provider.issuer).await.map_err(|error| web(&provider.issuer, &error))?;
        let Some(url) = &discovery.token_url else {
            let message = "its discovery document has no token_endpoint".into();
            return Err(IdentityError::ProviderUnusable { issuer: provider.issuer.clone(), message });
        };
        let client = &provider.authentication;
        let form = match (client.method, client.subject_token) {
            (ClientAuthenticationType::ClientSecret, _) => self.with_secret(key, provider, &discovery).await?,
            (ClientAuthenticationType::TokenExchange, Some(SubjectToken::ClientCredentials)) => {
                let first = self.with_assertion(key, provider).await?;
                let subject = self.post(&provider.issuer, url, &first).await?;
                let subject = subject.access_token.unwrap_or_default();
                // The provider knows no audience of that name: its own mapping decides for whom the token is.
                self.exchange(key, provider, subject.expose_secret(), ACCESS_TOKEN_TYPE, None).await?
            }
            (ClientAuthenticationType::TokenExchange, _) => {
                let subject = self.minter.mint(key, &provider.issuer).await?;
                self.exchange(key, provider, subject.expose(), JWT_TYPE, Some(&key.audience)).await?
            }
            _ => self.with_assertion(key, provider).await?,
        };
        self.post(&provider.issuer, url, &form).await?.best(provider.token_audience(&key.audience))
    }

    /// `client_credentials` with the account's token as the client's assertion (RFC 7523, section 2.2).
    async fn with_assertion(&self, key: &SessionKey, provider: &ExternalProvider) -> Result<Form, IdentityError> {
        let assertion = self.minter.mint(key, &provider.issuer).await?;
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.expose())]);
        let scope = provider.scopes.join(" ");
        fields.extend(common(provider, &scope));
        Ok(Form::of(&fields))
    }

    /// A token exchange (RFC 8693); the client proves itself with a token of the account of its own.
    async fn exchange(
        &self,
        key: &SessionKey,
        provider: &ExternalProvider,
        subject: &str,
        subject_type: &str,
        audience: Option<&str>,
    ) -> Result<Form, IdentityError> {
        let assertion = self.minter.mint(key, &provider.issuer).await?;
        let mut fields = vec![("grant_type", EXCHANGE_GRANT)];
        fields.extend(audience.map(|audience| ("audience", audience)));
        fields.extend([("subject_token", subject), ("subject_token_type", subject_type)]);
        fields.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.expose())]);
        let scope = provider.scopes.join(" ");
        fields.extend(common(provider, &scope));
        Ok(Form::of(&fields))
    }

    /// `client_credentials` with a stored secret. Auth0 wants the audience named; others leave the parameter unread.
    async fn with_secret(
        &self,
        key: &SessionKey,
        provider: &ExternalProvider,
        discovery: &Discovery,
    ) -> Result<Form, IdentityError> {
        let client = &provider.authentication;
        let (Some(id), Some(reference)) = (&client.client_id, &client.secret_key_ref) else {
            return Err(IdentityError::ProviderNotAllowed { problem: "it names no client and secret".into() });
        };
        let secret: Zeroizing<String> = self.secrets.read(&key.namespace, reference, provider).await?;
        let scope = provider.scopes.join(" ");
        let mut fields = vec![("grant_type", "client_credentials"), ("audience", key.audience.as_str())];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        if discovery.takes_secret_in_form {
            fields.extend([("client_id", id.as_str()), ("client_secret", secret.as_str())]);
            return Ok(Form::of(&fields));
        }
        Ok(Form::of(&fields).with_basic(id, &secret))
    }

    async fn post(&self, issuer: &str, url: &Url, form: &Form) -> Result<Tokens, IdentityError> {
        let answer = self.issuers.web.post(url, form).await.map_err(|error| web(issuer, &error))?;
        if answer.status == 200 {
            return answer.json().ok_or_else(|| IdentityError::ProviderUnusable {
                issuer: issuer.to_owned(),
                message: "its token endpoint does not answer with tokens".into(),
            });
        }
        let told: OAuthError = answer.json().unwrap_or_default();
        if answer.status >= 500 || answer.status == 429 {
            let message = format!("its token endpoint answers with status {}", answer.status);
            return Err(IdentityError::ProviderUnavailable { issuer: issuer.to_owned(), message, answered: true });
        }
        let said = |text: Option<String>, otherwise: String| text.map_or(otherwise, |text| bounded(&sanitised(&text)));
        Err(IdentityError::ProviderRefused {
            issuer: issuer.to_owned(),
            code: said(told.error, format!("status {}", answer.status)),
            message: said(told.error_description, "it gives no reason".into()),
        })
    }
}

/// Client and scopes, where they are named.
fn common<'a>(provider: &'a ExternalProvider, scope: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
    let client = provider.authentication.client_id.as_deref().map(|id| ("client_id", id));
    client.into_iter().chain((!scope.is_empty()).then_some(("scope", scope)))
}

fn web(issuer: &str, error: &WebError) -> IdentityError {
    let (issuer, message) = (issuer.to_owned(), error.to_string());
    match error {
        WebError::Unreachable(_) => IdentityError::ProviderUnavailable { issuer, message, answered: false },
        WebError::NotAllowed(_) => IdentityError::ProviderNotAllowed { problem: message },
        WebError::Unusable(_) => IdentityError::ProviderUnusable { issuer, message },
    }
}

/// RFC 6749, section 5.2.
#[derive(Default, Deserialize)]
struct OAuthError {
    error: Option<String>,
    error_description: Option<String>,
}

/// RFC 6749, section 5.1, and OpenID Connect Core, section 3.1.3.3.
#[derive(Deserialize)]
struct Tokens {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<SecretString>,
    #[serde(default, deserialize_with = "secret")]
    id_token: Option<SecretString>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

impl Tokens {
    /// The access token where it is one that STS can read, else the ID token: Cognito's access tokens name no audience, and
    /// some providers give access tokens that only they can read.
    fn best(self, audience: &str) -> Result<WebIdentityToken, IdentityError> {
        let read = |token: Option<SecretString>| token.and_then(|token| WebIdentityToken::read(token).ok());
        let access = read(self.access_token).filter(|token| !token.claims.aud.0.is_empty());
        access.or_else(|| read(self.id_token)).ok_or_else(|| IdentityError::UnexpectedToken {
            claim: "aud",
            expected: audience.to_owned(),
            actual: "none: the provider gives neither an access token with an audience nor an ID token, and STS takes no other".into(),
        })
    }
}

#[cfg(test)]
mod tests;
