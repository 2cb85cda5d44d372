//! Looks at the roles in IAM with the binding's own session: to explain a refusal, and to find what is weak.

use std::sync::Arc;
use std::time::Duration;

use super::super::Context;
use super::super::dereference::{binding_scope, held, purposeful, session_with};
use super::super::runner::Work;
use crate::api::v1alpha1::{TrustBinding, TrustedIdentity};
use crate::aws::{AwsErrorKind, Caller};
use crate::cause::Cause;
use crate::iam::binding_role::session::Purpose;
use crate::iam::document::Document;
use crate::iam::trust::{TrustedToken, explain, render};
use crate::identity::{ExchangeError, SessionKey};
use crate::outcome::{Classify, Failure};
use crate::plan::findings::{Facts, findings};
use crate::reason::Reason;
use crate::status::Truth;

/// How soon roles are looked at again when there was no quota for it.
const ANOTHER_TRY: Duration = Duration::from_secs(60);

/// The condition that says whether anything is weak.
const LEAST_PRIVILEGE: &str = "LeastPrivilege";

/// The tokens that the role is to trust.
pub(super) fn tokens(identities: &[TrustedIdentity]) -> Vec<TrustedToken> {
    let token = |one: &TrustedIdentity| TrustedToken {
        issuer: one.issuer.clone(),
        subject: one.subject.clone(),
        audience: one.audience.clone(),
        authorized_party: one.authorized_party.clone(),
    };
    identities.iter().map(token).collect()
}

/// What came of a look.
pub(super) struct Looked {
    /// When to look again at the latest.
    pub(super) look_again: Duration,
}

/// Why a role's policy is not known.
enum Unread {
    /// The session's role may not read it.
    NotAllowed,
    /// There is no quota for it now.
    NoQuota,
    /// Something else.
    Failed(String),
}

/// A role's trust policy, read with a session that may read this role.
async fn read(
    ctx: &Context,
    cause: &Arc<Cause>,
    binding: &TrustBinding,
    key: &SessionKey,
    role_arn: &str,
) -> Result<Document, Unread> {
    let failed = |failure: Failure| Unread::Failed(failure.message);
    let key = purposeful(ctx, binding, key, &Purpose::Inspect(role_arn)).map_err(failed)?;
    let caller = session_with(ctx, cause, &key).await.map_err(|none| failed(none.failure))?;
    read_with(ctx, &caller, role_arn).await
}

async fn read_with(ctx: &Context, caller: &Caller, role_arn: &str) -> Result<Document, Unread> {
    match ctx.iam.trust_policy(caller, role_arn).await {
        Ok(Some(text)) => Document::parse(&text).map_err(|error| Unread::Failed(error.to_string())),
        Ok(None) => Err(Unread::Failed("IAM knows no such role".into())),
        Err(error) if error.kind == AwsErrorKind::AccessDenied => Err(Unread::NotAllowed),
        Err(error) if error.kind == AwsErrorKind::Queued => Err(Unread::NoQuota),
        Err(error) => Err(Unread::Failed(error.public())),
    }
}

/// Evaluates the binding and says what is weak. The roles' own policies are part of it as far as they can be read.
pub(super) async fn evaluate(work: &mut Work<TrustBinding>, ctx: &Context, key: &SessionKey) -> Looked {
    let scope = binding_scope(ctx, &work.object);
    let trust = read(ctx, &work.cause, &work.object, key, &key.role_arn).await;
    let mut execution = Vec::new();
    if trust.is_ok() {
        for arn in &scope.execution_roles {
            // Those that cannot be read are another team's; what is known of the rest still counts.
            if let Ok(document) = read(ctx, &work.cause, &work.object, key, arn).await {
                execution.push((arn.clone(), document));
            }
        }
    }
    let rendered = render(&key.role_arn, &tokens(&work.status().identities));
    let provider = key.provider.as_ref().map(|provider| (provider.name.as_str(), provider.authentication.method));
    let found = findings(&Facts {
        spec: &work.object.spec,
        scope: &scope,
        provider,
        rendered: Some(&rendered),
        trust: trust.as_ref().ok(),
        execution: &execution,
    });
    let (truth, reason, message) = match (&trust, found.is_empty()) {
        (_, false) => {
            let mut codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
            codes.dedup();
            (Truth::False, Reason::Findings, format!("See .status.findings: {}.", codes.join(", ")))
        }
        (Ok(_), true) => (Truth::True, Reason::NoFindings, "Nothing was found that could be narrower.".to_owned()),
        (Err(Unread::NotAllowed), true) => {
            let message = "The spec has no weak place; the role's trust policy was not looked at, because the role may not read itself. Allow it iam:GetRole on its own ARN, or run stepbound trust lint on the policy.";
            (Truth::Unknown, Reason::NotEvaluated, message.to_owned())
        }
        (Err(Unread::NoQuota), true) => (
            Truth::Unknown,
            Reason::WaitingForQuota,
            "The role's trust policy is looked at when there is quota for it.".to_owned(),
        ),
        (Err(Unread::Failed(why)), true) => {
            (Truth::Unknown, Reason::NotEvaluated, format!("The role's trust policy could not be read: {why}"))
        }
    };
    work.status().findings = found;
    work.conditions(|conditions| {
        conditions.set(LEAST_PRIVILEGE, truth, reason, &message);
    });
    let look_again = if matches!(trust, Err(Unread::NoQuota)) { ANOTHER_TRY } else { Duration::MAX };
    Looked { look_again }
}

/// The refusal read against the role's own trust policy. There is no session of a role that refuses, so this needs one that
/// is still held from before; without it the refusal says what must hold and that it was not checked.
pub(super) async fn explained(
    ctx: &Context,
    cause: &Arc<Cause>,
    binding: &TrustBinding,
    key: &SessionKey,
    error: &ExchangeError,
) -> Option<String> {
    if error.cause.kind != AwsErrorKind::AccessDenied {
        return None;
    }
    let caller = held(ctx, cause, binding, &Purpose::Inspect(&key.role_arn)).await?;
    let policy = read_with(ctx, &caller, &key.role_arn).await.ok()?;
    let explanation = explain(&policy, &error.claims, &key.role_arn, Some(&key.session_name));
    Some(error.explained(&explanation))
}
