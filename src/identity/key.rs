//! What makes a session what it is.

use std::sync::Arc;

use crate::api::v1alpha1::ClientAuthentication;
use crate::aws::Epoch;

/// Everything that makes a session what it is. Change any of it, but the epoch, and it is another session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Namespace of binding and service account.
    pub namespace: String,
    /// Name of the TrustBinding.
    pub binding: String,
    /// UID of the TrustBinding.
    pub binding_uid: String,
    /// Generation of the TrustBinding.
    pub binding_generation: i64,
    /// Name of the service account.
    pub service_account: String,
    /// UID of the service account.
    pub service_account_uid: String,
    /// Role to assume.
    pub role_arn: String,
    /// Issuer of the token; empty where the cluster's is not known.
    pub issuer: String,
    /// Where the token comes from, when not from the cluster itself.
    pub provider: Option<Arc<ExternalProvider>>,
    /// Audience of the token.
    pub audience: String,
    /// Region of the STS endpoint.
    pub region: String,
    /// Name of the session in CloudTrail.
    pub session_name: String,
    /// Length of the session in seconds.
    pub duration_seconds: u32,
    /// User after whom the session is named; `None` names it after the binding.
    pub requester: Option<String>,
    /// The session policy, as JSON: what the session may do at most.
    pub policy: Option<Arc<str>>,
    /// Epoch of the binding in which its consent was looked at.
    pub epoch: Epoch,
}

impl SessionKey {
    /// Subject of the service account's own token.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

/// A provider as a session's key has it: change any of it and it is another session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalProvider {
    /// Name of the IdentityProvider, in the binding's namespace.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// Issuer of its tokens.
    pub issuer: String,
    /// How the account proves itself.
    pub authentication: ClientAuthentication,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// Whether its Secret may be used although that names no issuer.
    pub takes_untied_secret: bool,
}

impl ExternalProvider {
    /// Who is asked for its tokens, for what may be shared with others that ask there: the issuer, and in which region where
    /// it is Cognito, which has one name for all.
    pub(super) fn asked_at(&self) -> String {
        let pool = self.authentication.identity_pool.as_ref();
        pool.map_or_else(|| self.issuer.clone(), |pool| format!("{} in {}", self.issuer, pool_region(&pool.id)))
    }

    /// The audience that its token must have to be traded: what the binding asks for, or the id of a Cognito pool.
    pub fn token_audience<'a>(&'a self, asked: &'a str) -> &'a str {
        self.authentication.identity_pool.as_ref().map_or(asked, |pool| &pool.id)
    }
}

/// Region of an identity pool, which stands before its id.
pub(super) fn pool_region(pool: &str) -> &str {
    pool.split(':').next().unwrap_or_default()
}
