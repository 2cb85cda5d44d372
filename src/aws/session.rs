//! As whom AWS is called.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::Gate;
use crate::cause::Cause;

/// An STS session: what a call to AWS is made with.
pub struct Session {
    /// What every call passes, with the credentials behind it.
    pub gate: Arc<Gate>,
    /// When they end.
    pub expires_at: Timestamp,
    /// From when on a use takes a fresh session instead: 80 % of the life.
    pub refresh_at: Timestamp,
    /// Region of every call.
    pub region: String,
    /// Account that STS answered for.
    pub account_id: String,
    /// ARN of the role without the session.
    pub assumed_role_arn: String,
    /// Name of the session in CloudTrail.
    pub session_name: String,
    /// How much of the room that a session's token has for policy and session tags is used, in percent
    /// (`AssumeRoleWithWebIdentity`, `SessionTokenUtilization`, before that `PackedPolicySize`).
    pub packed_policy_percent: Option<i32>,
    /// What audit records say of it.
    pub origin: SessionOrigin,
}

/// As whom AWS is called, for whose sake, and at whose request.
#[derive(Clone)]
pub struct Caller {
    /// The session that signs.
    pub session: Arc<Session>,
    /// The object for whose sake it is.
    pub cause: Arc<Cause>,
    /// Who asked for just this call, where the API server's word for it can be had. Whoever asked for the object did not ask for
    /// all that is done for its sake: another may delete it.
    pub requester: Option<String>,
    /// Who approved just this call, where it needed that.
    pub approver: Option<String>,
}

impl Caller {
    /// For the sake of an object, and nobody's request.
    pub fn new(session: Arc<Session>, cause: &Arc<Cause>) -> Self {
        Self { session, cause: cause.clone(), requester: None, approver: None }
    }
}

impl Deref for Caller {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Session {
    /// True while it may be used and AWS takes it, as far as is known.
    pub fn is_good_at(&self, time: Timestamp) -> bool {
        time < self.expires_at && self.gate.is_open()
    }
}

/// Where a session comes from, for audit records and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOrigin {
    /// Namespace of binding and service account.
    pub namespace: String,
    /// Name of the TrustBinding.
    pub binding: String,
    /// UID of the service account.
    pub service_account_uid: String,
    /// Id of the token that was traded (`jti`), which the Kubernetes audit log shows too.
    pub token_id: String,
    /// Issuer of the token.
    pub issuer: String,
    /// Subject of the token.
    pub subject: String,
    /// Audience of the token.
    pub audience: String,
    /// User after whom the session is named, where it is not named after the binding.
    pub requester: Option<String>,
    /// Authorized party of the token, where it has one.
    pub authorized_party: Option<String>,
}
