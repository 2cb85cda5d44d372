//! Reads what a spec names: binding, service account, ConfigMap, session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, PartialObjectMeta};
use kube::{Resource, ResourceExt};
use moka::future::Cache;

use super::Context;
use super::runner::api_failure;
use crate::api::v1alpha1::{Attribution, ConfigMapKeyRef, TrustBinding};
use crate::aws::Session;
use crate::identity::{IdentityError, SessionKey};
use crate::outcome::{Class, Failure};
use crate::plan::consent;

/// How long a binding's consent is believed after it was looked at. A burst of reconciles then costs one look; a
/// withdrawal or suspension holds everything within it.
const CONSENT_LASTS: Duration = Duration::from_millis(500);

/// How long a session is used for cleaning up after its account, right or namespace has gone.
const CLEAN_UP_LASTS: SignedDuration = SignedDuration::from_mins(15);

/// Bindings that were authorized a moment ago, by namespace and name.
pub(super) type Authorized = Cache<(String, String), (Arc<TrustBinding>, SessionKey)>;

/// An empty memory of authorized bindings.
pub(super) fn authorized() -> Authorized {
    Cache::builder().time_to_live(CONSENT_LASTS).max_capacity(10_000).build()
}

/// Why there is no session.
#[derive(Clone, Debug)]
pub(super) struct NoSession {
    /// What to report.
    pub(super) failure: Failure,
    /// True when binding, account, right or namespace is gone, so that waiting does not help something that is being
    /// deleted.
    pub(super) gone: bool,
}

impl From<Failure> for NoSession {
    fn from(failure: Failure) -> Self {
        Self { failure, gone: false }
    }
}

impl From<NoSession> for Failure {
    fn from(none: NoSession) -> Self {
        none.failure
    }
}

/// The binding of a Workflow and a session of it. Consent is looked at every time, or was a moment ago.
pub(super) async fn session_for(
    ctx: &Context,
    namespace: &str,
    binding: &str,
) -> Result<(Arc<TrustBinding>, Arc<Session>), NoSession> {
    let place = (namespace.to_owned(), binding.to_owned());
    let look = look_up(ctx, namespace, binding);
    let (found, key) = ctx.authorized.try_get_with(place, look).await.map_err(|none| (*none).clone())?;
    let session = session_with(ctx, &key).await?;
    Ok((found, session))
}

/// A session of the binding that carries the name of whoever asked, where that is known and the binding wants it.
pub(super) async fn session_as(
    ctx: &Context,
    namespace: &str,
    binding: &str,
    requester: Option<String>,
) -> Result<Arc<Session>, NoSession> {
    let place = (namespace.to_owned(), binding.to_owned());
    let look = look_up(ctx, namespace, binding);
    let (found, mut key) = ctx.authorized.try_get_with(place, look).await.map_err(|none| (*none).clone())?;
    if found.spec.attribution == Attribution::Requester {
        key.requester = requester;
    }
    session_with(ctx, &key).await
}

async fn look_up(ctx: &Context, namespace: &str, binding: &str) -> Result<(Arc<TrustBinding>, SessionKey), NoSession> {
    let api = Api::<TrustBinding>::namespaced(ctx.client.clone(), namespace);
    let Some(found) = api.get_opt(binding).await.map_err(|error| api_failure(&error))? else {
        let message = format!(
            "TrustBinding \"{binding}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        return Err(NoSession { failure: Failure::new(Class::Waiting, "BindingNotFound", message), gone: true });
    };
    let key = authorized_key(ctx, &found).await?;
    Ok((Arc::new(found), key))
}

/// The session of an authorized binding.
pub(super) async fn session_with(ctx: &Context, key: &SessionKey) -> Result<Arc<Session>, NoSession> {
    ctx.sessions.session(key).await.map_err(|error| {
        let gone = matches!(
            error,
            IdentityError::NamespaceTerminating { .. }
                | IdentityError::ServiceAccountMissing { .. }
                | IdentityError::MintForbidden { .. }
        );
        NoSession { failure: error.into(), gone }
    })
}

/// A session for cleaning up after what is being deleted.
pub(super) enum LastSession {
    /// As usual.
    Usual(Arc<Session>),
    /// Account, right or namespace are gone; this one is still held from before.
    Held(Arc<Session>),
    /// None can be had any more: what is in AWS has to be left there.
    Gone(Failure),
}

/// For what is being deleted since `deleted`: a session as usual, else one that is still held from before its account
/// went, for at most [`CLEAN_UP_LASTS`].
pub(super) async fn last_session_for(
    ctx: &Context,
    namespace: &str,
    binding: &str,
    deleted: Timestamp,
) -> Result<LastSession, Failure> {
    let none = match session_for(ctx, namespace, binding).await {
        Ok((_, session)) => return Ok(LastSession::Usual(session)),
        Err(none) if none.gone => none,
        Err(none) => return Err(none.failure),
    };
    if Timestamp::now().duration_since(deleted) > CLEAN_UP_LASTS {
        return Ok(LastSession::Gone(none.failure));
    }
    let api = Api::<TrustBinding>::namespaced(ctx.client.clone(), namespace);
    let found = api.get_opt(binding).await.map_err(|error| api_failure(&error))?;
    let held = match found.and_then(|binding| binding.uid()) {
        Some(uid) => ctx.sessions.held(&uid).await,
        None => None,
    };
    Ok(held.map_or(LastSession::Gone(none.failure), LastSession::Held))
}

/// The binding is in use, its audience allowed, its account exists and consents. Otherwise its sessions are dropped.
pub(super) async fn authorized_key(ctx: &Context, binding: &TrustBinding) -> Result<SessionKey, NoSession> {
    let (namespace, name) = (binding.namespace().unwrap_or_default(), binding.name_any());
    let uid = binding.uid().unwrap_or_default();
    let spec = &binding.spec;
    if spec.suspend {
        ctx.sessions.forget(&uid).await;
        let message = format!("TrustBinding \"{name}\" is suspended. Set spec.suspend to false to go on.");
        return Err(Failure::new(Class::Waiting, "Suspended", message).into());
    }
    if !ctx.settings.allowed_audiences.contains(&spec.audience) {
        let message = format!(
            "Audience \"{}\" is not among those that the operator allows ({}). Use one of them, or start the operator with --allowed-audience {0}.",
            spec.audience,
            ctx.settings.allowed_audiences.join(", ")
        );
        return Err(Failure::new(Class::Terminal, "AudienceNotAllowed", message).into());
    }
    let accounts = Api::<PartialObjectMeta<ServiceAccount>>::namespaced(ctx.client.clone(), &namespace);
    let account = accounts.get_opt(&spec.service_account_name).await.map_err(|error| NoSession {
        // The right to read accounts can go before the objects do: it is a Role of the namespace.
        gone: matches!(&error, kube::Error::Api(status) if status.code == 403),
        failure: api_failure(&error),
    })?;
    let Some(account) = account else {
        let error =
            IdentityError::ServiceAccountMissing { namespace, service_account: spec.service_account_name.clone() };
        return Err(NoSession { failure: error.into(), gone: true });
    };
    let annotations = account.meta().annotations.as_ref();
    if let Err(failure) = consent::check(annotations, &namespace, &spec.service_account_name, &spec.role_arn) {
        ctx.sessions.forget(&uid).await;
        return Err(failure.into());
    }
    let duration = spec.session_duration.to_std().map_or(3600, |duration| duration.as_secs());
    Ok(SessionKey {
        namespace,
        binding: name,
        binding_uid: uid,
        binding_generation: binding.meta().generation.unwrap_or_default(),
        service_account: spec.service_account_name.clone(),
        service_account_uid: account.uid().unwrap_or_default(),
        role_arn: spec.role_arn.clone(),
        audience: spec.audience.clone(),
        region: spec.region.clone(),
        duration_seconds: u32::try_from(duration).unwrap_or(u32::MAX),
        requester: None,
    })
}

/// All keys of a ConfigMap with their values.
pub(super) async fn config_map(
    ctx: &Context,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| api_failure(&error))?;
    let map = found.ok_or_else(|| {
        let message = format!(
            "ConfigMap \"{name}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        Failure::new(Class::Waiting, "ConfigMapNotFound", message)
    })?;
    Ok(map.data.unwrap_or_default())
}

/// The value of a key of a ConfigMap.
pub(super) async fn config_map_value(
    ctx: &Context,
    namespace: &str,
    from: &ConfigMapKeyRef,
) -> Result<String, Failure> {
    config_map(ctx, namespace, &from.name).await?.remove(&from.key).ok_or_else(|| {
        let message = format!(
            "ConfigMap \"{}\" in namespace \"{namespace}\" has no key \"{}\". Add it; this goes on by itself then.",
            from.name, from.key
        );
        Failure::new(Class::Waiting, "ConfigMapKeyNotFound", message)
    })
}
