//! The audit log: a line for every assumed role and every call to AWS, on the log target `audit`.
//!
//! `token_id` is the `jti` of the minted token, which the Kubernetes audit log has as issued credential; `session_name`
//! and `request_id` are those of CloudTrail. Secrets have no way in: only these fields are taken.

use crate::aws::{Session, SessionOrigin};

/// Target of the audit lines in the log.
pub const TARGET: &str = "audit";

/// The record of a request under way. It is written in any case: dropped without an outcome, for example because the
/// reconcile ran out of time, the request is recorded as `Abandoned`, since AWS may have carried it out.
pub(crate) struct Record<W: Fn(&str, &str)> {
    write: W,
    open: bool,
}

impl<W: Fn(&str, &str)> Record<W> {
    /// `write` takes AWS's request id and the outcome.
    pub(crate) fn begin(write: W) -> Self {
        Self { write, open: true }
    }

    /// Writes the record.
    pub(crate) fn end(mut self, request_id: &str, outcome: &str) {
        self.open = false;
        (self.write)(request_id, outcome);
    }
}

impl<W: Fn(&str, &str)> Drop for Record<W> {
    fn drop(&mut self) {
        if self.open {
            (self.write)("", "Abandoned");
        }
    }
}

/// A role was assumed, or refused.
pub fn assumption(origin: &SessionOrigin, session_name: &str, role_arn: &str, request_id: &str, outcome: &str) {
    tracing::info!(
        target: TARGET,
        api = "sts:AssumeRoleWithWebIdentity",
        namespace = origin.namespace,
        binding = origin.binding,
        service_account_uid = origin.service_account_uid,
        token_id = origin.token_id,
        session_name,
        role_arn,
        request_id,
        outcome,
        "role assumption"
    );
}

/// A call was made with a session.
pub fn call(session: &Session, api: &str, target_arn: &str, request_id: &str, outcome: &str) {
    tracing::info!(
        target: TARGET,
        api,
        target_arn,
        namespace = session.origin.namespace,
        binding = session.origin.binding,
        service_account_uid = session.origin.service_account_uid,
        token_id = session.origin.token_id,
        session_name = session.session_name,
        role_arn = session.assumed_role_arn,
        request_id,
        outcome,
        "AWS call"
    );
}

/// An object was let go while something of it may remain in AWS.
pub fn orphaned(kind: &str, namespace: &str, name: &str, arn: &str, why: &str) {
    tracing::warn!(target: TARGET, kind, namespace, name, target_arn = arn, why, outcome = "Orphaned", "let go");
}
