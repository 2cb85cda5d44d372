//! Reads what a spec names: binding, service account, ConfigMap, session.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PartialObjectMeta;
use kube::{Resource, ResourceExt};

use super::Context;
use super::authorization::{Authorization, session_policy};
use super::named::{named, named_at_the_end};
use super::owners::refers_to;
use super::runner::fenced;
use crate::api::v1alpha1::{Attribution, ConfigMapKeyRef, IdentityProvider, TrustBinding, WorkflowRun};
use crate::aws::{Caller, Epoch};
use crate::cause::Cause;
use crate::iam::binding_role::BindingScope;
use crate::iam::binding_role::session::Purpose;
use crate::identity::{ExternalProvider, IdentityError, SessionKey, session_name};
use crate::outcome::{Class, Failure};
use crate::plan::binding::check_region;
use crate::plan::workflow::names_of;
use crate::plan::{consent, lockdown, rotation, secret_grant};
use crate::reason::Reason;
use crate::runs::SessionSource;

/// How long a session is used for cleaning up after its account, right or namespace has gone.
const CLEAN_UP_LASTS: SignedDuration = SignedDuration::from_mins(15);

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

/// The binding, once it may be used. Consent is looked at every time, or was a moment ago and its epoch has not ended since.
pub(super) async fn authorized_binding(
    ctx: &Context,
    namespace: &str,
    binding: &str,
) -> Result<Arc<Authorization>, NoSession> {
    let place = (namespace.to_owned(), binding.to_owned());
    if ctx.authorized.get(&place).await.is_some_and(|found| found.key.epoch.is_over()) {
        ctx.authorized.invalidate(&place).await;
    }
    // On the heap: few uses look, and all would make room for it.
    let look = Box::pin(look_up(ctx, namespace, binding));
    ctx.authorized.try_get_with(place, look).await.map_err(|none| (*none).clone())
}

/// A session of the binding for the purpose, and the binding. It can do what the purpose says and nothing else.
pub(super) async fn session_for(
    ctx: &Context,
    cause: &Arc<Cause>,
    namespace: &str,
    binding: &str,
    purpose: &Purpose<'_>,
) -> Result<(Arc<Authorization>, Caller), NoSession> {
    let found = authorized_binding(ctx, namespace, binding).await?;
    let caller = found.session(ctx, cause, purpose).await?;
    Ok((found, caller))
}

/// The same with the name of whoever asked, where that is known and the binding wants it.
pub(super) async fn session_as(
    ctx: &Context,
    cause: &Arc<Cause>,
    namespace: &str,
    binding: &str,
    purpose: &Purpose<'_>,
    requester: Option<String>,
) -> Result<Caller, NoSession> {
    let found = authorized_binding(ctx, namespace, binding).await?;
    let mut key = found.key_for(purpose)?;
    if found.binding.spec.attribution == Attribution::Requester {
        key.requester.clone_from(&requester);
    }
    Ok(Caller { requester, ..session_with(ctx, cause, &key).await? })
}

impl Authorization {
    /// A session of the binding for the purpose.
    pub(super) async fn session(
        &self,
        ctx: &Context,
        cause: &Arc<Cause>,
        purpose: &Purpose<'_>,
    ) -> Result<Caller, NoSession> {
        session_with(ctx, cause, &self.key_for(purpose)?).await
    }
}

/// Sessions for the tracker, which looks on behalf of the runs that it follows.
pub(super) struct BindingSessions(pub(super) Arc<Context>);

#[async_trait::async_trait]
impl SessionSource for BindingSessions {
    async fn session(&self, namespace: &str, binding: &str, purpose: &Purpose<'_>) -> Result<Caller, Failure> {
        fenced(&self.0)?;
        let (_, session) = session_for(&self.0, &Arc::default(), namespace, binding, purpose).await?;
        Ok(session)
    }
}

async fn look_up(ctx: &Context, namespace: &str, binding: &str) -> Result<Arc<Authorization>, NoSession> {
    // Taken first: what ends it from here on is not in what is read.
    let epoch = ctx.sessions.epoch(namespace, binding);
    let found = named::<TrustBinding>(ctx, namespace, binding)
        .await
        .map_err(|failure| NoSession { gone: failure.reason == Reason::ValueNotAllowed, ..NoSession::from(failure) })?;
    let Some(found) = found else {
        let message = format!(
            "TrustBinding \"{binding}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        let failure = Failure::new(Class::Waiting, Reason::BindingNotFound, message);
        return Err(NoSession { failure, error: None, gone: true });
    };
    let key = authorized_key(ctx, &found, &epoch).await?;
    let scope = binding_scope(ctx, &found);
    Ok(Arc::new(Authorization::new(found, key, scope)?))
}

/// The session of a key.
pub(super) async fn session_with(ctx: &Context, cause: &Arc<Cause>, key: &SessionKey) -> Result<Caller, NoSession> {
    let session = ctx.sessions.session(key, cause).await.map_err(|error| {
        let gone = matches!(
            error,
            IdentityError::NamespaceTerminating { .. }
                | IdentityError::ServiceAccountMissing { .. }
                | IdentityError::MintForbidden { .. }
        );
        NoSession { failure: error.clone().into(), error: Some(error), gone }
    })?;
    Ok(Caller::new(session, cause))
}

/// The key of an authorized binding for the purpose.
pub(super) fn purposeful(
    ctx: &Context,
    binding: &TrustBinding,
    key: &SessionKey,
    purpose: &Purpose<'_>,
) -> Result<SessionKey, Failure> {
    let policy = session_policy(binding, &binding_scope(ctx, binding), purpose)?.map(Arc::from);
    Ok(SessionKey { policy, ..key.clone() })
}

/// A session for cleaning up after what is being deleted.
pub(super) enum LastSession {
    /// As usual.
    Usual(Caller),
    /// Account, right or namespace are gone; this one is still held from before.
    Held(Caller),
    /// None can be had any more: what is in AWS has to be left there.
    Gone(Failure),
}

/// For what is being deleted since `deleted`: a session as usual, else one that is still held from before its account
/// went, for at most [`CLEAN_UP_LASTS`].
pub(super) async fn last_session_for(
    ctx: &Context,
    cause: &Arc<Cause>,
    namespace: &str,
    binding: &str,
    purpose: &Purpose<'_>,
    deleted: Timestamp,
) -> Result<LastSession, Failure> {
    let none = match session_for(ctx, cause, namespace, binding, purpose).await {
        Ok((_, caller)) => return Ok(LastSession::Usual(caller)),
        Err(none) if none.gone => none,
        Err(none) => return Err(none.failure),
    };
    if Timestamp::now().duration_since(deleted) > CLEAN_UP_LASTS {
        return Ok(LastSession::Gone(none.failure));
    }
    let held = match named_at_the_end::<TrustBinding>(ctx, namespace, binding).await? {
        Some(binding) => held(ctx, cause, &binding, purpose).await,
        None => None,
    };
    Ok(held.map_or(LastSession::Gone(none.failure), LastSession::Held))
}

/// A session of the binding for the purpose that is still held, whatever has become of its account.
pub(super) async fn held(
    ctx: &Context,
    cause: &Arc<Cause>,
    binding: &TrustBinding,
    purpose: &Purpose<'_>,
) -> Option<Caller> {
    let policy = session_policy(binding, &binding_scope(ctx, binding), purpose).ok()?;
    let session = ctx.sessions.held(&binding.uid()?, policy.as_deref()).await?;
    Some(Caller::new(session, cause))
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
        Err(none) if none.failure.reason == Reason::IdentityProviderNotFound && in_use != named => {
            key_with(ctx, binding, named, epoch).await
        }
        other => other,
    }
}

/// Name of the provider that the spec names.
pub(super) fn named_provider(binding: &TrustBinding) -> Option<&str> {
    binding.spec.identity_provider_ref.as_ref().map(|reference| reference.name.as_str())
}

/// The same key with tokens of a certain provider, or of the cluster. It has no policy yet: that follows from what a session
/// is for.
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
        ctx.sessions.forget(&namespace, &name);
        let message = format!("TrustBinding \"{name}\" is suspended. Set spec.suspend to false to go on.");
        return Err(Failure::new(Class::Waiting, Reason::Suspended, message).into());
    }
    if !ctx.settings.allowed_audiences.contains(&spec.audience) {
        let message = format!(
            "Audience \"{}\" is not among those that the operator allows ({}). Use one of them, or start the operator with --allowed-audience {0}.",
            spec.audience,
            ctx.settings.allowed_audiences.join(", ")
        );
        return Err(Failure::new(Class::Terminal, Reason::AudienceNotAllowed, message).into());
    }
    if ctx.settings.lockdown
        && let Err(failure) = lockdown::check_binding(spec, &ctx.settings.name_prefix, &namespace)
    {
        ctx.sessions.forget(&namespace, &name);
        return Err(failure.into());
    }
    check_region(spec)?;
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
        policy: None,
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
    let account = named::<PartialObjectMeta<ServiceAccount>>(ctx, namespace, &spec.service_account_name).await;
    let account = account.map_err(|failure| NoSession {
        // The right to read accounts can go before the objects do: it is a Role of the namespace.
        gone: failure.reason == Reason::Forbidden || failure.reason == Reason::ValueNotAllowed,
        ..NoSession::from(failure)
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
        ctx.sessions.forget(namespace, &binding.name_any());
        return Err(failure.into());
    }
    Ok(account.uid().unwrap_or_default())
}

async fn external_provider(ctx: &Context, namespace: &str, name: &str) -> Result<ExternalProvider, NoSession> {
    let found = named::<IdentityProvider>(ctx, namespace, name).await?;
    let Some(found) = found.filter(|found| found.meta().deletion_timestamp.is_none()) else {
        let message = format!(
            "IdentityProvider \"{name}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        return Err(Failure::new(Class::Waiting, Reason::IdentityProviderNotFound, message).into());
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

/// What the binding's sessions are for.
pub(super) fn binding_scope(ctx: &Context, binding: &TrustBinding) -> BindingScope {
    let namespace = binding.namespace().unwrap_or_default();
    BindingScope {
        role_arn: binding.spec.role_arn.clone(),
        region: binding.spec.region.clone(),
        names: names_of(&ctx.settings.name_prefix, &namespace, &binding.spec),
        namespace,
        cluster: Some(ctx.settings.cluster_id.clone()),
        execution_roles: binding.spec.allowed_execution_role_arns.iter().map(|arn| arn.0.clone()).collect(),
        queue_url: binding.spec.events.as_ref().map(|events| events.queue_url.clone()),
        alarms: false,
        log_groups: Vec::new(),
        keys: Vec::new(),
    }
}

/// What a ConfigMap is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFor {
    /// A definition, or a part of one: what runs.
    Definition,
    /// An input: what it runs on.
    Input,
}

/// All keys of a ConfigMap with their values.
pub(super) async fn config_map(
    ctx: &Context,
    namespace: &str,
    name: &str,
    read_for: ReadFor,
) -> Result<BTreeMap<String, String>, Failure> {
    let map = named::<ConfigMap>(ctx, namespace, name).await?.ok_or_else(|| {
        let message = format!(
            "ConfigMap \"{name}\" does not exist in namespace \"{namespace}\". Create it; this goes on by itself then."
        );
        Failure::new(Class::Waiting, Reason::ConfigMapNotFound, message)
    })?;
    if read_for == ReadFor::Definition {
        refuse_output(&map, namespace, name)?;
    }
    Ok(map.data.unwrap_or_default())
}

/// Name of the ConfigMap that keeps the output of a run.
pub(super) fn output_name(run: &str) -> String {
    format!("{run}-output")
}

/// What stands in an output, whoever may start runs decides; what runs, they must not.
fn refuse_output(map: &ConfigMap, namespace: &str, name: &str) -> Result<(), Failure> {
    let of_run = |owner: &&OwnerReference| {
        refers_to::<WorkflowRun>(owner) && owner.controller == Some(true) && output_name(&owner.name) == name
    };
    let Some(run) = map.owner_references().iter().find(of_run) else { return Ok(()) };
    let message = format!(
        "ConfigMap \"{name}\" in namespace \"{namespace}\" holds the output of WorkflowRun \"{}\", which whoever may start runs decides, so no definition is read from it. Copy what is wanted of it to a ConfigMap of another name, and name that.",
        run.name
    );
    Err(Failure::new(Class::Terminal, Reason::ConfigMapIsOutput, message))
}

/// The value of a key of a ConfigMap.
pub(super) async fn config_map_value(
    ctx: &Context,
    namespace: &str,
    from: &ConfigMapKeyRef,
    read_for: ReadFor,
) -> Result<String, Failure> {
    config_map(ctx, namespace, &from.name, read_for).await?.remove(&from.key).ok_or_else(|| {
        let message = format!(
            "ConfigMap \"{}\" in namespace \"{namespace}\" has no key \"{}\". Add it; this goes on by itself then.",
            from.name, from.key
        );
        Failure::new(Class::Waiting, Reason::ConfigMapKeyNotFound, message)
    })
}
