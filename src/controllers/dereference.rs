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
use crate::api::v1alpha1::{Attribution, ConfigMapKeyRef, IdentityProvider, SessionPolicyChoice, TrustBinding};
use crate::aws::{Epoch, Session};
use crate::iam::binding_role::{BindingScope, MAX_SESSION_POLICY};
use crate::iam::document::Document;
use crate::iam::partition;
use crate::identity::{ExternalProvider, IdentityError, SessionKey, session_name};
use crate::outcome::{Class, Failure};
use crate::plan::workflow::name_pattern;
use crate::plan::{consent, lockdown, rotation, secret_grant};

/// How long a binding's consent is believed after it was looked at. A burst of reconciles then costs one look; a
/// withdrawal or suspension that a watch tells of ends it at once.
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
    /// What the session cache said, where it was asked.
    pub(super) error: Option<IdentityError>,
    /// True when binding, account, right or namespace is gone, so that waiting does not help something that is being
    /// deleted.
    pub(super) gone: bool,
}

impl From<Failure> for NoSession {
    fn from(failure: Failure) -> Self {
        Self { failure, error: None, gone: false }
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
    let (found, key) = authorized_binding(ctx, namespace, binding).await?;
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
    let (found, mut key) = authorized_binding(ctx, namespace, binding).await?;
    if found.spec.attribution == Attribution::Requester {
        key.requester = requester;
    }
    session_with(ctx, &key).await
}

/// The binding and its key, from a moment ago where its epoch has not ended since.
async fn authorized_binding(
    ctx: &Context,
    namespace: &str,
    binding: &str,
) -> Result<(Arc<TrustBinding>, SessionKey), NoSession> {
    let place = (namespace.to_owned(), binding.to_owned());
    if ctx.authorized.get(&place).await.is_some_and(|(_, key)| key.epoch.is_over()) {
        ctx.authorized.invalidate(&place).await;
    }
    // On the heap: few uses look, and all would make room for it.
    let look = Box::pin(look_up(ctx, namespace, binding));
    ctx.authorized.try_get_with(place, look).await.map_err(|none| (*none).clone())
}

async fn look_up(ctx: &Context, namespace: &str, binding: &str) -> Result<(Arc<TrustBinding>, SessionKey), NoSession> {
    // Taken first: what ends it from here on is not in what is read.
    let epoch = ctx.sessions.epoch(namespace, binding);
    let api = Api::<TrustBinding>::namespaced(ctx.client.clone(), namespace);
    let Some(found) = api.get_opt(binding).await.map_err(|error| api_failure(&error))? else {
        let message = format!(
            "TrustBinding \"{binding}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        let failure = Failure::new(Class::Waiting, "BindingNotFound", message);
        return Err(NoSession { failure, error: None, gone: true });
    };
    let key = authorized_key(ctx, &found, &epoch).await?;
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
        NoSession { failure: error.clone().into(), error: Some(error), gone }
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

/// The key of a binding that is in use, whose audience is allowed and whose account exists and consents; otherwise its
/// sessions are dropped. While its provider is changed, that of the provider in use.
pub(super) async fn authorized_key(
    ctx: &Context,
    binding: &TrustBinding,
    epoch: &Epoch,
) -> Result<SessionKey, NoSession> {
    let identities = binding.status.as_ref().map(|status| status.identities.as_slice()).unwrap_or_default();
    let named = named_provider(binding);
    let in_use = rotation::provider_in_use(identities, named);
    match key_with(ctx, binding, in_use, epoch).await {
        // The old provider was deleted before the new one was proven: there is only the new one left.
        Err(none) if none.failure.reason == PROVIDER_MISSING && in_use != named => {
            key_with(ctx, binding, named, epoch).await
        }
        other => other,
    }
}

/// Reason of a binding whose IdentityProvider does not exist.
const PROVIDER_MISSING: &str = "IdentityProviderNotFound";

/// Name of the provider that the spec names.
pub(super) fn named_provider(binding: &TrustBinding) -> Option<&str> {
    binding.spec.identity_provider_ref.as_ref().map(|reference| reference.name.as_str())
}

/// The same key with tokens of a certain provider, or of the cluster.
pub(super) async fn key_with(
    ctx: &Context,
    binding: &TrustBinding,
    provider: Option<&str>,
    epoch: &Epoch,
) -> Result<SessionKey, NoSession> {
    let (namespace, name) = (binding.namespace().unwrap_or_default(), binding.name_any());
    let uid = binding.uid().unwrap_or_default();
    let spec = &binding.spec;
    if spec.suspend {
        ctx.sessions.forget(&namespace, &name).await;
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
    if ctx.settings.lockdown
        && let Err(failure) = lockdown::check_binding(spec)
    {
        ctx.sessions.forget(&namespace, &name).await;
        return Err(failure.into());
    }
    partition::agree(&spec.role_arn, &spec.region).map_err(|problem| {
        let message = format!(
            "{problem}. Credentials of one partition are good for nothing in another, and both fields are immutable: create another TrustBinding whose role and region are of one partition."
        );
        Failure::new(Class::Terminal, "RegionOfAnotherPartition", message)
    })?;
    let account_uid = consenting_account(ctx, binding, &namespace).await?;
    let provider = match provider {
        Some(provider) => Some(Arc::new(external_provider(ctx, &namespace, provider).await?)),
        None => None,
    };
    let issuer =
        provider.as_ref().map(|provider| provider.issuer.clone()).or_else(|| ctx.settings.cluster_issuer.clone());
    let duration = spec.session_duration.to_std().map_or(3600, |duration| duration.as_secs());
    let mut key = SessionKey {
        session_name: session_name(&namespace, &name),
        policy: session_policy(ctx, binding).await?.map(Arc::from),
        namespace,
        binding: name,
        binding_uid: uid,
        binding_generation: binding.meta().generation.unwrap_or_default(),
        service_account: spec.service_account_name.clone(),
        service_account_uid: account_uid,
        role_arn: spec.role_arn.clone(),
        issuer: issuer.unwrap_or_default(),
        provider,
        audience: spec.audience.clone(),
        region: spec.region.clone(),
        duration_seconds: u32::try_from(duration).unwrap_or(u32::MAX),
        requester: None,
        epoch: epoch.clone(),
    };
    ctx.sessions.confirm(&mut key);
    Ok(key)
}

/// UID of the binding's service account, which exists and consents.
async fn consenting_account(ctx: &Context, binding: &TrustBinding, namespace: &str) -> Result<String, NoSession> {
    let spec = &binding.spec;
    let accounts = Api::<PartialObjectMeta<ServiceAccount>>::namespaced(ctx.client.clone(), namespace);
    let account = accounts.get_opt(&spec.service_account_name).await.map_err(|error| NoSession {
        // The right to read accounts can go before the objects do: it is a Role of the namespace.
        gone: matches!(&error, kube::Error::Api(status) if status.code == 403),
        error: None,
        failure: api_failure(&error),
    })?;
    let Some(account) = account else {
        let error = IdentityError::ServiceAccountMissing {
            namespace: namespace.to_owned(),
            service_account: spec.service_account_name.clone(),
        };
        return Err(NoSession { failure: error.into(), error: None, gone: true });
    };
    let annotations = account.meta().annotations.as_ref();
    if let Err(failure) =
        consent::check(annotations, namespace, &spec.service_account_name, &spec.role_arn, ctx.settings.lockdown)
    {
        ctx.sessions.forget(namespace, &binding.name_any()).await;
        return Err(failure.into());
    }
    Ok(account.uid().unwrap_or_default())
}

async fn external_provider(ctx: &Context, namespace: &str, name: &str) -> Result<ExternalProvider, NoSession> {
    let api = Api::<IdentityProvider>::namespaced(ctx.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| api_failure(&error))?;
    let Some(found) = found.filter(|found| found.meta().deletion_timestamp.is_none()) else {
        let message = format!(
            "IdentityProvider \"{name}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        return Err(Failure::new(Class::Waiting, PROVIDER_MISSING, message).into());
    };
    Ok(ExternalProvider {
        takes_untied_secret: !ctx.settings.lockdown && secret_grant::takes_untied(&found),
        name: name.to_owned(),
        uid: found.uid().unwrap_or_default(),
        generation: found.meta().generation.unwrap_or_default(),
        issuer: found.spec.issuer,
        authentication: found.spec.client_authentication,
        scopes: found.spec.scopes,
    })
}

/// The policy that limits the binding's sessions.
async fn session_policy(ctx: &Context, binding: &TrustBinding) -> Result<Option<String>, Failure> {
    let invalid = |problem: String| {
        let message = format!("spec.sessionPolicy {problem}. Write Derived, None, or a policy document.");
        Failure::new(Class::Terminal, "SessionPolicyInvalid", message)
    };
    match binding.spec.session_policy.choice() {
        SessionPolicyChoice::None => Ok(None),
        SessionPolicyChoice::Unknown(text) => Err(invalid(format!("is {}", text.chars().take(80).collect::<String>()))),
        SessionPolicyChoice::Inline(text) => {
            Document::parse(text).map_err(|error| invalid(format!("is no policy: {error}")))?;
            match text.chars().count() {
                fits if fits <= MAX_SESSION_POLICY => Ok(Some(text.to_owned())),
                size => Err(invalid(format!("has {size} characters, and STS takes at most {MAX_SESSION_POLICY}"))),
            }
        }
        SessionPolicyChoice::Derived => binding_scope(ctx, binding).await.session_policy().map(Some).map_err(|error| {
            let message = format!(
                "{error}. List fewer roles in spec.allowedExecutionRoleARNs, split the binding, or set spec.sessionPolicy."
            );
            Failure::new(Class::Terminal, "SessionPolicyTooLarge", message)
        }),
    }
}

/// What the binding's sessions are for.
pub(super) async fn binding_scope(ctx: &Context, binding: &TrustBinding) -> BindingScope {
    let (namespace, name) = (binding.namespace().unwrap_or_default(), binding.name_any());
    let needed = ctx.needs.of(&namespace, &name).await;
    let pattern = name_pattern(&ctx.settings.name_prefix, &namespace);
    BindingScope {
        role_arn: binding.spec.role_arn.clone(),
        region: binding.spec.region.clone(),
        names: [pattern].into_iter().chain(needed.names).collect(),
        execution_roles: binding.spec.allowed_execution_role_arns.iter().map(|arn| arn.0.clone()).collect(),
        queue_url: binding.spec.events.as_ref().map(|events| events.queue_url.clone()),
        alarms: needed.alarms,
        keys: needed.keys.into_iter().collect(),
    }
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
