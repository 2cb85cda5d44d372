//! What of a TrustBinding and of an IdentityProvider can be refused by reading it alone.

use crate::api::v1alpha1::{ClientAuthentication, ClientAuthenticationType, SessionPolicyChoice, TrustBindingSpec};
use crate::iam::binding_role::session::MAX_SESSION_POLICY;
use crate::iam::document::Document;
use crate::iam::partition::{agree, cognito_issuer};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Whether role and region are of one partition.
///
/// # Errors
/// `RegionOfAnotherPartition`.
pub fn check_region(spec: &TrustBindingSpec) -> Result<(), Failure> {
    agree(&spec.role_arn, &spec.region).map_err(|problem| {
        let message = format!(
            "{problem}. Credentials of one partition are good for nothing in another, and both fields are immutable: create another TrustBinding whose role and region are of one partition."
        );
        Failure::new(Class::Terminal, Reason::RegionOfAnotherPartition, message)
    })
}

/// The session policy that a binding asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// What Stepbound itself calls.
    Derived,
    /// None: all that the role may.
    Nothing,
    /// This document.
    Own(&'a str),
}

/// The session policy, where it is one of the words or a document that STS takes.
///
/// # Errors
/// `SessionPolicyInvalid`.
pub fn wanted_policy(spec: &TrustBindingSpec) -> Result<Wanted<'_>, Failure> {
    let invalid = |problem: String| {
        let message = format!("spec.sessionPolicy {problem}. Write Derived, None, or a policy document.");
        Err(Failure::new(Class::Terminal, Reason::SessionPolicyInvalid, message))
    };
    match spec.session_policy.choice() {
        SessionPolicyChoice::None => Ok(Wanted::Nothing),
        SessionPolicyChoice::Derived => Ok(Wanted::Derived),
        SessionPolicyChoice::Unknown(text) => invalid(format!("is {}", text.chars().take(80).collect::<String>())),
        SessionPolicyChoice::Inline(text) => match (Document::parse(text), text.chars().count()) {
            (Err(error), _) => invalid(format!("is no policy: {error}")),
            // MalformedPolicyDocument; and a session that may do nothing is of no use to anybody.
            (Ok(policy), _) if policy.statements.is_empty() => {
                invalid("has no statement: AWS takes no such policy, and it would allow nothing".into())
            }
            (Ok(_), fits) if fits <= MAX_SESSION_POLICY => Ok(Wanted::Own(text)),
            (Ok(_), size) => invalid(format!("has {size} characters, and STS takes at most {MAX_SESSION_POLICY}")),
        },
    }
}

/// Whether a Cognito identity pool goes with the issuer of its region.
///
/// # Errors
/// `IssuerNotCognito`.
pub fn check_pool(issuer: &str, client: &ClientAuthentication) -> Result<(), Failure> {
    if client.method != ClientAuthenticationType::CognitoIdentityPool {
        return Ok(());
    }
    let pool = client.identity_pool.as_ref().map(|pool| pool.id.as_str()).unwrap_or_default();
    let region = pool.split(':').next().unwrap_or_default();
    let message = match cognito_issuer(region) {
        Some(known) if known == issuer => return Ok(()),
        Some(known) => format!(
            "A Cognito identity pool of region {region} has the issuer {known}; spec.issuer is {issuer}. Create another IdentityProvider with it."
        ),
        None => format!(
            "Region {region} is of a partition without Cognito identity pools. Use another provider, or the cluster's own tokens."
        ),
    };
    Err(Failure::new(Class::Terminal, Reason::IssuerNotCognito, message))
}
