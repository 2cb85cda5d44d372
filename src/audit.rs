//! The audit log: a line for every assumed role, every call to AWS and everything let go, on the log target `audit`.
//! docs/audit.md describes the fields.
//!
//! `token_id` is the `jti` of the minted token, which the Kubernetes audit log has as issued credential; `session_name`
//! and `request_id` are those of CloudTrail. Secrets have no way in: only these fields are taken, each up to a length, so
//! that no object or answer can make a record larger than [`MAX_BYTES`].

use std::borrow::Cow;

use crate::aws::{Caller, SessionOrigin};
use crate::cause::Cause;

/// Target of the audit lines in the log.
pub const TARGET: &str = "audit";
/// A record's fields take at most so many bytes as JSON.
pub const MAX_BYTES: usize = 8192;

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

/// A role was assumed, or refused; for a session that is named after somebody, because that person asked for a call.
pub fn assumption(
    cause: &Cause,
    origin: &SessionOrigin,
    session_name: &str,
    role_arn: &str,
    request_id: &str,
    outcome: &str,
) {
    tracing::info!(
        target: TARGET,
        api = "sts:AssumeRoleWithWebIdentity",
        target_arn = &*field(role_arn, ARN),
        kind = cause.kind,
        namespace = &*field(&origin.namespace, NAME),
        name = &*field(&cause.name, NAME),
        uid = &*field(&cause.uid, ID),
        requester = &*field(origin.requester.as_deref().unwrap_or_default(), USER),
        git_revision = &*field(cause.git_revision.as_deref().unwrap_or_default(), REVISION),
        binding = &*field(&origin.binding, NAME),
        service_account_uid = &*field(&origin.service_account_uid, ID),
        token_id = &*field(&origin.token_id, ID),
        session_name = &*field(session_name, ID),
        role_arn = &*field(role_arn, ARN),
        request_id = &*field(request_id, ID),
        outcome = &*field(outcome, ID),
        "role assumption"
    );
}

/// A call was made.
pub fn call(caller: &Caller, api: &str, target_arn: &str, request_id: &str, outcome: &str) {
    let Caller { session, cause, requester, approver } = caller;
    let origin = &session.origin;
    tracing::info!(
        target: TARGET,
        api,
        target_arn = &*field(target_arn, ARN),
        kind = cause.kind,
        namespace = &*field(&origin.namespace, NAME),
        name = &*field(&cause.name, NAME),
        uid = &*field(&cause.uid, ID),
        requester = &*field(requester.as_deref().unwrap_or_default(), USER),
        approver = &*field(approver.as_deref().unwrap_or_default(), USER),
        git_revision = &*field(cause.git_revision.as_deref().unwrap_or_default(), REVISION),
        binding = &*field(&origin.binding, NAME),
        service_account_uid = &*field(&origin.service_account_uid, ID),
        token_id = &*field(&origin.token_id, ID),
        session_name = &*field(&session.session_name, ID),
        role_arn = &*field(&session.assumed_role_arn, ARN),
        request_id = &*field(request_id, ID),
        outcome = &*field(outcome, ID),
        "AWS call"
    );
}

/// An object was let go while something of it may remain in AWS.
pub fn orphaned(cause: &Cause, namespace: &str, arn: &str, why: &str) {
    tracing::warn!(
        target: TARGET,
        kind = cause.kind,
        namespace = &*field(namespace, NAME),
        name = &*field(&cause.name, NAME),
        uid = &*field(&cause.uid, ID),
        target_arn = &*field(arn, ARN),
        why = &*field(why, ID),
        outcome = "Orphaned",
        "let go"
    );
}

/// Longest fields in bytes: names of Kubernetes, ids and names of sessions, ARNs, users, revisions.
const NAME: usize = 253;
const ID: usize = 64;
const ARN: usize = 640;
const USER: usize = 256;
const REVISION: usize = 128;

/// A field as it is written: cut at a character, and without control characters, which JSON writes in six bytes each.
fn field(text: &str, longest: usize) -> Cow<'_, str> {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = &text[..end];
    if cut.contains(char::is_control) {
        return Cow::Owned(cut.replace(char::is_control, " "));
    }
    Cow::Borrowed(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_cut_at_a_character_and_has_no_control_characters() {
        assert_eq!(field("short", ID), "short");
        assert_eq!(field("éé", 3), "é");
        assert_eq!(field("a\u{0}b\nc", ID), "a b c");
    }

    /// Quotes and backslashes double in JSON, and nothing grows more.
    #[test]
    fn a_record_is_bounded_whatever_an_object_or_an_answer_holds() {
        let longest = 5 * NAME.max(ID) + 7 * ID + 2 * ARN + 2 * USER + REVISION;
        let keys_and_time = 600;
        assert!(2 * longest + keys_and_time <= MAX_BYTES, "{longest}");
        assert_eq!(field(&"\"".repeat(10_000), ARN).len(), ARN);
    }
}
