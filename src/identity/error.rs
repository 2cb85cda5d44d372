//! Why there is no session.

use crate::aws::AwsError;
use crate::iam::trust::{Claims, Explanation};
use crate::outcome::{Class, Classify, bounded};
use crate::reason::Reason;

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
    /// An external provider may not be asked.
    #[error("{problem}")]
    ProviderNotAllowed {
        /// Which rule forbids it.
        problem: String,
    },
    /// An external provider refused the account.
    #[error("{issuer} refused the service account: {code}: {message}")]
    ProviderRefused {
        /// Issuer.
        issuer: String,
        /// Its code.
        code: String,
        /// Its words, sanitised.
        message: String,
    },
    /// An external provider cannot be reached for now.
    #[error("{issuer} gives no token for now: {message}")]
    ProviderUnavailable {
        /// Issuer.
        issuer: String,
        /// What happened.
        message: String,
        /// False where no answer came at all.
        answered: bool,
    },
    /// An external provider answers with what cannot be used.
    #[error("{issuer} cannot be used: {message}")]
    ProviderUnusable {
        /// Issuer.
        issuer: String,
        /// What is wrong with it.
        message: String,
    },
    /// The client's secret cannot be had.
    #[error("key {key} of Secret {namespace}/{name} {problem}")]
    SecretUnreadable {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// What is wrong, as the rest of a sentence.
        problem: &'static str,
        /// True where trying again may help by itself.
        transient: bool,
    },
    /// The client's secret is not for the issuer that it would be sent to.
    #[error("{message}")]
    SecretNotForIssuer {
        /// Which Secret, for whom it is, and how that is changed.
        message: String,
    },
    /// STS of a region did not answer lately; it was not asked.
    #[error("STS of region {region} did not answer and is left alone for a while")]
    RegionUnreachable {
        /// The region.
        region: String,
    },
    /// Too many mints or exchanges at once; the call was not made.
    #[error("too many token exchanges at once")]
    RateLimited,
    /// The binding has failed as its spec was before, and its pause has not passed.
    #[error("sessions of this TrustBinding failed a moment ago, before its spec was changed")]
    Pausing,
    /// The binding was suspended, deleted or given another role or account, or its consent withdrawn, since it was looked at.
    #[error("the TrustBinding was suspended or deleted, or its consent changed, in the meantime")]
    GivenUp,
}

impl IdentityError {
    /// True where STS refused the session policy. That may be one object's alone and says nothing of the binding.
    pub(super) fn is_of_the_policy(&self) -> bool {
        const CODES: [&str; 2] = ["PackedPolicyTooLarge", "MalformedPolicyDocument"];
        matches!(self, Self::Exchange(error) if CODES.contains(&error.cause.code.as_str()))
    }
}

/// A refusal of STS together with what our own token said, for an explanation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("STS refused role {role_arn}: {cause}")]
pub struct ExchangeError {
    /// What STS said.
    pub cause: AwsError,
    /// Role that was asked for.
    pub role_arn: String,
    /// What the token said of itself.
    pub claims: Claims,
    /// What a look at the issuer found wrong, where STS complained of the token or the issuer.
    pub issuer_problem: Option<String>,
}

impl Classify for IdentityError {
    fn class(&self) -> Class {
        match self {
            Self::NamespaceTerminating { .. } | Self::ServiceAccountMissing { .. } => Class::Waiting,
            Self::MintFailed { transient: true, .. }
            | Self::SecretUnreadable { transient: true, .. }
            | Self::ProviderUnavailable { .. }
            | Self::RegionUnreachable { .. }
            | Self::RateLimited
            | Self::Pausing
            | Self::GivenUp => Class::Transient,
            Self::MintForbidden { .. }
            | Self::MintFailed { transient: false, .. }
            | Self::ProviderRefused { .. }
            | Self::ProviderUnusable { .. }
            | Self::SecretUnreadable { transient: false, .. }
            | Self::SecretNotForIssuer { .. }
            | Self::UnexpectedToken { .. }
            | Self::UnexpectedAnswer { .. } => Class::Denied,
            Self::ProviderNotAllowed { .. } => Class::Terminal,
            Self::Exchange(error) => error.cause.class(),
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::MintForbidden { .. } => Reason::Forbidden,
            Self::NamespaceTerminating { .. } => Reason::NamespaceTerminating,
            Self::ServiceAccountMissing { .. } => Reason::ServiceAccountMissing,
            Self::MintFailed { .. } => Reason::MintFailed,
            Self::UnexpectedToken { .. } => Reason::UnexpectedToken,
            Self::UnexpectedAnswer { .. } => Reason::UnexpectedAnswer,
            Self::ProviderNotAllowed { .. } => Reason::IssuerNotAllowed,
            Self::ProviderRefused { .. } => Reason::ProviderRefused,
            Self::ProviderUnavailable { .. } => Reason::ProviderUnavailable,
            Self::ProviderUnusable { .. } => Reason::ProviderUnusable,
            Self::SecretUnreadable { .. } => Reason::SecretUnreadable,
            Self::SecretNotForIssuer { .. } => Reason::SecretNotForIssuer,
            Self::RegionUnreachable { .. } => Reason::AWSUnavailable,
            Self::RateLimited => Reason::RateLimited,
            Self::Pausing => Reason::PausingAfterFailure,
            Self::GivenUp => Reason::SessionGivenUp,
            Self::Exchange(error) => match error.cause.code.as_str() {
                "InvalidIdentityToken" => Reason::InvalidIdentityToken,
                "ExpiredTokenException" => Reason::ExpiredToken,
                "IDPCommunicationError" => Reason::IssuerUnreachable,
                "IDPRejectedClaim" => Reason::ClaimRejected,
                "RegionDisabledException" => Reason::RegionDisabled,
                "PackedPolicyTooLarge" => Reason::PackedPolicyTooLarge,
                "MalformedPolicyDocument" => Reason::SessionPolicyInvalid,
                "ValidationError" => Reason::RequestInvalid,
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
            Self::ProviderNotAllowed { problem } => format!("The IdentityProvider cannot be used: {problem}."),
            Self::ProviderRefused { .. } => {
                format!(
                    "{self}. Correct the client at the provider, or spec.clientAuthentication; it is tried again by itself."
                )
            }
            Self::ProviderUnusable { .. } => {
                format!("{self}. Correct spec.issuer of the IdentityProvider, or the provider.")
            }
            Self::SecretUnreadable { namespace, name, .. } => format!(
                "{self}. If the operator is to read it: kubectl create role stepbound-secret-{name} -n {namespace} --verb=get --resource=secrets --resource-name={name}, and a rolebinding of it to the operator's account."
            ),
            Self::SecretNotForIssuer { message } => format!("{message}. It is tried again by itself."),
            Self::Pausing => format!("{self}. It is tried again by itself within half a minute."),
            Self::ProviderUnavailable { .. }
            | Self::MintFailed { .. }
            | Self::RegionUnreachable { .. }
            | Self::RateLimited
            | Self::GivenUp => format!("{self}. It is tried again by itself."),
        })
    }
}

impl ExchangeError {
    /// The refusal with the role's trust policy, read condition by condition.
    pub fn explained(&self, explanation: &Explanation) -> String {
        let Self { cause, role_arn, claims, .. } = self;
        let said = format!("STS refused {} for role {role_arn}.", cause.operation);
        format!(
            "{said}\n{}\n{}\n{}",
            claims.told(),
            explanation.text(),
            explanation.fix("the policy in .status.trustPolicy")
        )
    }

    /// The refusal with the token's claims beside what the role must allow.
    fn public(&self) -> String {
        let Self { cause, role_arn, claims, issuer_problem } = self;
        if cause.is_silence() {
            return format!(
                "STS did not answer for role {role_arn}: {}: {}. It is tried again by itself.",
                cause.code, cause.message
            );
        }
        let said =
            format!("STS refused sts:AssumeRoleWithWebIdentity for role {role_arn}: {}: {}", cause.code, cause.message);
        let next = match cause.code.as_str() {
            "PackedPolicyTooLarge" => "AWS packs the session policy together with the session tags of the token, and both are too large together. Give the state machine, its execution role or its key's alias a shorter name, have the identity provider send fewer tags, or set a shorter spec.sessionPolicy on the TrustBinding.".to_owned(),
            "MalformedPolicyDocument" => "Correct spec.sessionPolicy.".to_owned(),
            "AccessDenied" => inferred(claims),
            _ => format!(
                "The account needs an IAM OIDC provider for {} that lists {} as client id, and AWS must be able to read its keys.",
                claims.iss,
                claims.effective_audiences().join(", ")
            ),
        };
        let problem =
            issuer_problem.as_ref().map(|problem| format!("\nSeen from here: {problem}.")).unwrap_or_default();
        format!("{said}\n{}\n{next}{problem}", claims.told())
    }
}

/// What must hold, where the role's policy cannot be read.
fn inferred(claims: &Claims) -> String {
    let provider = claims.provider();
    format!(
        "The role must allow exactly this (not checked against AWS: the role may not read itself):\n                 {provider}:sub StringEquals {}\n                 {provider}:aud StringEquals {}\nFix: put the policy in .status.trustPolicy on the role.",
        claims.sub,
        claims.effective_audiences().join(", ")
    )
}

/// The two objects that let the operator mint tokens of one account, ready to put beside it.
fn mint_grant_help(namespace: &str, service_account: &str) -> String {
    format!(
        "The operator may not create tokens for service account \"{service_account}\" in namespace \"{namespace}\". Put this beside the account, with the operator's own account as subject:\n\
         kubectl create role stepbound-token-{service_account} -n {namespace} --verb=create --resource=serviceaccounts/token --resource-name={service_account}\n\
         kubectl create rolebinding stepbound-token-{service_account} -n {namespace} --role=stepbound-token-{service_account} --serviceaccount=<operator namespace>:<operator account>"
    )
}
