//! Tokens of a Cognito identity pool that has the cluster as OpenID Connect login: `GetId`, then `GetOpenIdToken` (the
//! classic flow, which the pool has to allow). Neither call is signed.

use aws_sdk_cognitoidentity::Client;
use aws_sdk_cognitoidentity::config::retry::RetryConfig;
use aws_sdk_cognitoidentity::config::timeout::TimeoutConfig;
use aws_sdk_cognitoidentity::config::{BehaviorVersion, Region};
use aws_sdk_sfn::config::SharedHttpClient;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

use super::IdentityError;
use super::token::WebIdentityToken;
use crate::aws::{AwsError, AwsErrorKind, sdk_error};

/// Longest wait for one call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Cognito identity pools.
pub struct Cognito {
    http: SharedHttpClient,
    endpoint: Option<Url>,
}

impl Cognito {
    /// `endpoint` replaces AWS's regional endpoints.
    pub fn new(http: SharedHttpClient, endpoint: Option<Url>) -> Self {
        Self { http, endpoint }
    }

    /// A token of the pool for whom `login` names.
    pub(super) async fn token(
        &self,
        issuer: &str,
        region: &str,
        pool: &str,
        login: &WebIdentityToken,
    ) -> Result<SecretString, IdentityError> {
        let client = self.client(region);
        let provider = login.claims.provider().to_owned();
        let refused = |error: AwsError| refused(issuer, &error);
        let identity = client.get_id().identity_pool_id(pool).logins(&provider, login.expose()).send().await;
        let identity = identity.map_err(|error| refused(sdk_error("cognito-identity:GetId", &error)))?;
        let id = identity.identity_id.unwrap_or_default();
        let token = client.get_open_id_token().identity_id(id).logins(&provider, login.expose()).send().await;
        let token = token.map_err(|error| refused(sdk_error("cognito-identity:GetOpenIdToken", &error)))?;
        Ok(SecretString::from(token.token.unwrap_or_default()))
    }

    /// Built by hand: nothing of the environment, of profiles or of instance metadata is looked at.
    fn client(&self, region: &str) -> Client {
        let mut config = aws_sdk_cognitoidentity::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(self.http.clone())
            .allow_no_auth()
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(TIMEOUT).build(),
            );
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Client::from_conf(config.build())
    }
}

fn refused(issuer: &str, error: &AwsError) -> IdentityError {
    let issuer = issuer.to_owned();
    match error.kind {
        AwsErrorKind::Unavailable | AwsErrorKind::Throttled => {
            let answered = !error.is_silence();
            IdentityError::ProviderUnavailable { issuer, message: error.to_string(), answered }
        }
        _ => IdentityError::ProviderRefused {
            issuer,
            code: format!("{} {}", error.operation, error.code),
            message: error.message.clone(),
        },
    }
}
