//! The audit log: a line for every assumed role, every call to AWS and everything let go, on the log target `audit`.
//! docs/audit.md describes the fields.
//!
//! `token_id` is the `jti` of the minted token, which the Kubernetes audit log has as issued credential; `session_name`
//! and `request_id` are those of CloudTrail. Secrets have no way in: only these fields are taken, each up to a length, so
//! that no object or answer can make a record larger than [`MAX_BYTES`].

use std::borrow::Cow;

use crate::aws::{Session, SessionOrigin};

/// Target of the audit lines in the log.
pub const TARGET: &str = "audit";
/// A record's fields take at most so many bytes as JSON.
pub const MAX_BYTES: usize = 8192;

/// The object for whose sake a request is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Who asked for just this call, where the API server's word for it can be had. Whoever asked for the object did not ask for
    /// all that is done for its sake: another may delete it.
    pub requester: Option<String>,
    /// Revision in Git that it is of, where its annotation says so.
    pub git_revision: Option<String>,
}

tokio::task_local! {
    static CAUSE: Cause;
}

/// Runs what is done for the sake of an object.
pub async fn caused_by<T>(cause: Cause, work: impl Future<Output = T>) -> T {
    CAUSE.scope(cause, work).await
}

/// Runs what is done because somebody asked for it.
pub async fn on_behalf_of<T>(requester: Option<String>, work: impl Future<Output = T>) -> T {
    CAUSE.scope(Cause { requester, ..cause() }, work).await
}

/// The object for whose sake the running task works; an empty one where it works for many.
pub fn cause() -> Cause {
    CAUSE.try_with(Clone::clone).unwrap_or_default()
}

/// The record of a request under way. It is written in any case: dropped without an outcome, for example because the
/// reconcile ran out of time, the request is recorded as `Abandoned`, since AWS may have carried it out.
pub(crate) struct Record<W: Fn(&Cause, &str, &str)> {
    cause: Cause,
    write: W,
    open: bool,
}

impl<W: Fn(&Cause, &str, &str)> Record<W> {
    /// `write` takes the cause, AWS's request id and the outcome.
    pub(crate) fn begin(write: W) -> Self {
        Self { cause: cause(), write, open: true }
    }

    /// Writes the record.
    pub(crate) fn end(mut self, request_id: &str, outcome: &str) {
        self.open = false;
        (self.write)(&self.cause, request_id, outcome);
    }
}

impl<W: Fn(&Cause, &str, &str)> Drop for Record<W> {
    fn drop(&mut self) {
        if self.open {
            (self.write)(&self.cause, "", "Abandoned");
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

/// A call was made with a session. Its requester is whoever asked for this call, see [`on_behalf_of`].
pub fn call(cause: &Cause, session: &Session, api: &str, target_arn: &str, request_id: &str, outcome: &str) {
    let origin = &session.origin;
    tracing::info!(
        target: TARGET,
        api,
        target_arn = &*field(target_arn, ARN),
        kind = cause.kind,
        namespace = &*field(&origin.namespace, NAME),
        name = &*field(&cause.name, NAME),
        uid = &*field(&cause.uid, ID),
        requester = &*field(cause.requester.as_deref().unwrap_or_default(), USER),
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
pub fn orphaned(kind: &str, namespace: &str, name: &str, arn: &str, why: &str) {
    tracing::warn!(
        target: TARGET,
        kind,
        namespace = &*field(namespace, NAME),
        name = &*field(name, NAME),
        uid = &*field(&cause().uid, ID),
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
        let longest = 5 * NAME.max(ID) + 7 * ID + 2 * ARN + USER + REVISION;
        let keys_and_time = 600;
        assert!(2 * longest + keys_and_time <= MAX_BYTES, "{longest}");
        assert_eq!(field(&"\"".repeat(10_000), ARN).len(), ARN);
    }

    #[tokio::test]
    async fn a_cause_holds_for_what_is_done_within_and_nowhere_else() {
        assert_eq!(cause(), Cause::default());
        let of_run = Cause { kind: "WorkflowRun", name: "order".into(), ..Cause::default() };
        caused_by(of_run.clone(), async {
            assert_eq!(cause(), of_run);
            on_behalf_of(Some("alice".into()), async {
                assert_eq!(cause(), Cause { requester: Some("alice".into()), ..of_run.clone() });
            })
            .await;
            assert_eq!(cause().requester, None);
        })
        .await;
        assert_eq!(cause(), Cause::default());
    }
}
