//! From a service account to an STS session: token, exchange, cache.

mod cache;
mod exchange;
mod pace;
mod token;

pub use cache::SessionCache;
pub use exchange::{Exchanger, session_name};
pub use token::{Minter, WebIdentityToken};

use std::sync::Arc;

use async_trait::async_trait;

use crate::aws::{AwsError, Session};
use crate::outcome::{Class, Classify, bounded};

/// Everything that makes a session what it is. Change any of it and it is another session.
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
    /// Audience of the token.
    pub audience: String,
    /// Region of the STS endpoint.
    pub region: String,
    /// Length of the session in seconds.
    pub duration_seconds: u32,
    /// User after whom the session is named; `None` names it after the binding.
    pub requester: Option<String>,
}

/// Gives sessions: from the cache, else by minting a token and trading it. Single-flight and rate-limited.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A session that is good for at least another fifth of its life, or a fresh one. Where a fresh one cannot be had for
    /// a passing reason, the one at hand for as long as it is still good.
    async fn session(&self, key: &SessionKey) -> Result<Arc<Session>, IdentityError>;
    /// A session already held for this binding (by UID) and not expired, for the clean-up of what is being deleted
    /// after its service account has gone.
    async fn held(&self, binding_uid: &str) -> Option<Arc<Session>>;
    /// Forgets every session of a binding: consent withdrawn, suspended, or AWS says the session is no longer good.
    async fn forget(&self, binding_uid: &str);
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The operator may not mint a token for the account.
    #[error("not allowed to create a token for service account {namespace}/{service_account}")]
    MintForbidden {
        /// Namespace of the account.
        namespace: String,
        /// Name of the account.
        service_account: String,
    },
    /// The namespace is being deleted; no token is given any more.
    #[error("namespace {namespace} is being deleted")]
    NamespaceTerminating {
        /// The namespace.
        namespace: String,
    },
    /// The account does not exist.
    #[error("service account {namespace}/{service_account} does not exist")]
    ServiceAccountMissing {
        /// Namespace of the account.
        namespace: String,
        /// Name of the account.
        service_account: String,
    },
    /// The API server did not give a token for another reason.
    #[error("the API server gave no token: {message}")]
    MintFailed {
        /// Sanitised message.
        message: String,
        /// True where trying again may help by itself.
        transient: bool,
    },
    /// The minted token is not what was asked for.
    #[error("the minted token has {claim} {actual} instead of {expected}")]
    UnexpectedToken {
        /// Claim that differs.
        claim: &'static str,
        /// What was asked for.
        expected: String,
        /// What the token says.
        actual: String,
    },
    /// STS refused or could not be reached.
    #[error("{0}")]
    Exchange(Box<ExchangeError>),
    /// STS answered for something else than was asked for.
    #[error("STS answered with {field} {actual} instead of {expected}")]
    UnexpectedAnswer {
        /// Field that differs.
        field: &'static str,
        /// What was asked for.
        expected: String,
        /// What STS answered.
        actual: String,
    },
    /// Too many mints or exchanges at once; the call was not made.
    #[error("too many token exchanges at once")]
    RateLimited,
}

/// A refusal of STS together with what our own token said, for an explanation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("STS refused role {role_arn}: {cause}")]
pub struct ExchangeError {
    /// What STS said.
    pub cause: AwsError,
    /// Role that was asked for.
    pub role_arn: String,
    /// `iss` of the token.
    pub issuer: String,
    /// `sub` of the token.
    pub subject: String,
    /// `aud` of the token.
    pub audience: String,
}

impl Classify for IdentityError {
    fn class(&self) -> Class {
        match self {
            Self::NamespaceTerminating { .. } | Self::ServiceAccountMissing { .. } => Class::Waiting,
            Self::MintFailed { transient: true, .. } | Self::RateLimited => Class::Transient,
            Self::MintForbidden { .. }
            | Self::MintFailed { transient: false, .. }
            | Self::UnexpectedToken { .. }
            | Self::UnexpectedAnswer { .. } => Class::Denied,
            Self::Exchange(error) => error.cause.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::MintForbidden { .. } => "Forbidden",
            Self::NamespaceTerminating { .. } => "NamespaceTerminating",
            Self::ServiceAccountMissing { .. } => "ServiceAccountMissing",
            Self::MintFailed { .. } => "MintFailed",
            Self::UnexpectedToken { .. } => "UnexpectedToken",
            Self::UnexpectedAnswer { .. } => "UnexpectedAnswer",
            Self::RateLimited => "RateLimited",
            Self::Exchange(error) => match error.cause.code.as_str() {
                "InvalidIdentityToken" => "InvalidIdentityToken",
                "ExpiredTokenException" => "ExpiredToken",
                "IDPCommunicationError" => "IssuerUnreachable",
                "IDPRejectedClaim" => "ClaimRejected",
                "RegionDisabledException" => "RegionDisabled",
                "ValidationError" => "RequestInvalid",
                _ => error.cause.reason(),
            },
        }
    }

    fn public(&self) -> String {
        bounded(&match self {
            Self::MintForbidden { namespace, service_account } => mint_grant_help(namespace, service_account),
            Self::NamespaceTerminating { namespace } => {
                format!("Namespace \"{namespace}\" is being deleted, so the API server gives no token any more.")
            }
            Self::ServiceAccountMissing { namespace, service_account } => format!(
                "Service account \"{service_account}\" does not exist in namespace \"{namespace}\". Create it: kubectl create serviceaccount {service_account} -n {namespace}"
            ),
            Self::Exchange(error) => error.public(),
            Self::UnexpectedAnswer { .. } | Self::UnexpectedToken { .. } => {
                format!("{self}. The answer was dropped and no call was made with it.")
            }
            Self::MintFailed { .. } | Self::RateLimited => format!("{self}. It is tried again by itself."),
        })
    }
}

impl ExchangeError {
    /// The refusal with the token's claims beside what the role must allow.
    fn public(&self) -> String {
        let Self { cause, role_arn, issuer, subject, audience } = self;
        let provider = issuer.trim_start_matches("https://");
        format!(
            "STS refused sts:AssumeRoleWithWebIdentity for role {role_arn}: {}: {}\n\
             The token says:  iss {issuer}\n                 sub {subject}\n                 aud {audience}\n\
             The role's trust policy must allow exactly this (not checked against AWS): {provider}:sub StringEquals {subject}, {provider}:aud StringEquals {audience}; and the account needs an IAM OIDC provider for {issuer} that lists {audience} as client id.",
            cause.code, cause.message
        )
    }
}

/// The two objects that let the operator mint tokens of one account, ready to put beside it.
fn mint_grant_help(namespace: &str, service_account: &str) -> String {
    format!(
        "The operator may not create tokens for service account \"{service_account}\" in namespace \"{namespace}\". Put this beside the account, with the operator's own account as subject:\n\
         kubectl create role stepbound-token-{service_account} -n {namespace} --verb=create --resource=serviceaccounts/token --resource-name={service_account}\n\
         kubectl create rolebinding stepbound-token-{service_account} -n {namespace} --role=stepbound-token-{service_account} --serviceaccount=<operator namespace>:<operator account>"
    )
}
