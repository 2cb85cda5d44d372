//! TrustBinding: proves the identity, says what the role must trust, and moves from one provider to another.

mod delete;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::broadcast;

use super::dereference::{NoSession, authorized_key, held, key_with, named_provider, purposeful, session_with};
use super::runner::{Done, EventWhenReady, Managed, Work};
use super::watches::Watches;
use super::{Context, Needed, guardrails};
use crate::api::v1alpha1::{IdentityPhase, TrustBinding, TrustBindingStatus, TrustedIdentity, asked};
use crate::aws::{Epoch, Session};
use crate::iam::binding_role::session::Purpose;
use crate::iam::trust::{Claims, render};
use crate::identity::{IdentityError, SessionKey};
use crate::outcome::{Failure, Requeue};
use crate::plan::{consent, guardrail, rotation};
use crate::reason::Reason;
use crate::status::{RECONCILING, Truth, find};

/// Asks for a look at AWS at once; any new value asks again.
const RECONCILE_NOW: &str = "stepbound.dev/reconcile-now";
/// How soon a provider that was refused is tried again.
const PROBE_AGAIN: Duration = Duration::from_secs(30);
/// Reasons that speak of the token rather than of the role.
const OF_THE_TOKEN: [Reason; 12] = [
    Reason::Forbidden,
    Reason::NamespaceTerminating,
    Reason::ServiceAccountMissing,
    Reason::MintFailed,
    Reason::UnexpectedToken,
    Reason::IdentityProviderNotFound,
    Reason::IssuerNotAllowed,
    Reason::ProviderRefused,
    Reason::ProviderUnavailable,
    Reason::ProviderUnusable,
    Reason::SecretUnreadable,
    Reason::SecretNotForIssuer,
];

#[async_trait::async_trait]
impl Managed for TrustBinding {
    type Status = TrustBindingStatus;
    const KIND: &'static str = "TrustBinding";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Always;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete::delete(work, ctx).await;
        }
        work.add_finalizer(ctx).await?;
        // Whoever is woken by this binding's next status must see this spec of it.
        ctx.authorized.invalidate(&(work.namespace(), work.object.name_any())).await;
        if work.object.spec.suspend {
            listen(work, ctx, false);
            suspend(work, ctx);
            return Ok(Done::again(Requeue::OnChange));
        }
        let known_account = work.status().service_account_uid.clone();
        let epoch = ctx.sessions.epoch(&work.namespace(), &work.object.name_any());
        let mut key = authorize(work, ctx, &epoch).await.inspect_err(|_| listen(work, ctx, false))?;
        expect_own_token(work, &key);
        if is_settled(work, ctx, &key, known_account.as_deref()) {
            listen(work, ctx, true);
            return Ok(Done::again(Requeue::After(until_next_look(work, ctx))));
        }
        let untaken = match probe(work, ctx, &epoch).await {
            Probe::Taken(new) => {
                key = *new;
                None
            }
            Probe::Refused(why) => Some(why),
            Probe::NotNeeded => None,
        };
        // The session that every object of the binding uses, so that what is proven is what will be used.
        let proof = purposeful(ctx, &work.object, &key, &Purpose::Observe(None))?;
        let session = match session_with(ctx, &work.cause, &proof).await {
            Ok(session) => session,
            Err(none) => return Err(refused(work, ctx, &proof, none).await),
        };
        proven(work, &key, &session);
        listen(work, ctx, true);
        let looked = look::evaluate(work, ctx, &key).await;
        let mut again = until_next_look(work, ctx).min(looked.look_again);
        if let Some(why) = untaken {
            still_rotating(work, &why);
            again = again.min(PROBE_AGAIN);
        }
        Ok(Done::again(Requeue::After(again)))
    }

    fn status_field(&mut self) -> &mut Option<TrustBindingStatus> {
        &mut self.status
    }

    fn needs(&self) -> Vec<Needed> {
        let provider = self.spec.identity_provider_ref.iter().map(|one| Needed::IdentityProvider(one.name.clone()));
        provider.chain([Needed::ServiceAccount(self.spec.service_account_name.clone())]).collect()
    }

    fn seen(object: &Self, ctx: &Context) {
        if object.spec.suspend {
            ctx.sessions.forget(&object.namespace().unwrap_or_default(), &object.name_any());
        }
    }

    fn gone(object: &Self, ctx: &Context) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        ctx.tracker.listen(&namespace, &name, None);
        ctx.sessions.forget(&namespace, &name);
    }

    fn common(status: &mut TrustBindingStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

/// Reads the queue of events that the binding names, while it is good.
fn listen(work: &Work<TrustBinding>, ctx: &Context, good: bool) {
    let queue_url = work.object.spec.events.as_ref().map(|events| events.queue_url.as_str());
    ctx.tracker.listen(&work.namespace(), &work.object.name_any(), queue_url.filter(|_| good));
}

/// Bindings whose sessions begin to fail, or to work again, while others use them.
pub(super) fn session_changes(
    context: &Arc<Context>,
    scope: Option<&str>,
) -> impl Stream<Item = ObjectRef<TrustBinding>> + Send + use<> {
    let (scope, shard) = (scope.map(str::to_owned), context.settings.shard);
    let changes = futures::stream::unfold(context.sessions.changes(), |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(place) => return Some((place, changes)),
                // Those that were missed are seen at their next look.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    changes.filter_map(move |(namespace, name)| {
        let is_own = scope.as_ref().is_none_or(|scope| *scope == namespace) && shard.has(&namespace);
        let found = is_own.then(|| ObjectRef::new(&name).within(&namespace));
        futures::future::ready(found)
    })
}

/// An account has changed: bindings whose role it does not name any more are given up at once. One that has gone says nothing: a
/// session that is still held cleans up after it.
pub(super) fn account_changed(
    ctx: &Context,
    watches: &Watches,
    (namespace, account): (&str, &str),
    annotations: Option<&BTreeMap<String, String>>,
) {
    if annotations.is_none() {
        return;
    }
    let consents = |binding: &TrustBinding| {
        consent::check(annotations, namespace, account, &binding.spec.role_arn, ctx.settings.lockdown).is_ok()
    };
    for name in watches.bindings.who_needs(namespace, &Needed::ServiceAccount(account.to_owned())) {
        let binding = watches.bindings.store.get(&ObjectRef::new(&name).within(namespace));
        if binding.is_none_or(|binding| !consents(&binding)) {
            ctx.sessions.forget(namespace, &name);
        }
    }
}

/// Stops everything that is done with the binding: sessions are given up, so that calls under way are the last ones.
fn suspend(work: &mut Work<TrustBinding>, ctx: &Context) {
    ctx.sessions.forget(&work.namespace(), &work.object.name_any());
    // The time of the first look, so that the policy does not change with every look.
    let known = work.object.status.as_ref().and_then(|status| find(&status.conditions, "Ready"));
    let since = known.filter(|ready| ready.reason == Reason::Suspended).map(|ready| ready.message.clone());
    let message = since.unwrap_or_else(|| {
        let second = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap_or(Timestamp::MAX);
        format!(
            "Nothing is done with this binding while spec.suspend is true. Sessions that AWS has issued stay good until they end; to revoke them too, put this inline policy on the role: {}",
            revocation(second)
        )
    });
    work.conditions(|conditions| {
        conditions.ready(Reason::Suspended, &message);
    });
}

/// Denies everything to sessions from before a time (IAM user guide, "Revoke IAM role temporary security credentials").
fn revocation(before: Timestamp) -> String {
    serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": before.to_string()}}}]})
    .to_string()
}

async fn authorize(work: &mut Work<TrustBinding>, ctx: &Context, epoch: &Epoch) -> Result<SessionKey, Failure> {
    let namespace = work.namespace();
    let rules = guardrails::rules(ctx, &namespace).await?;
    let allowed = guardrail::check_binding(&rules, &namespace, &work.object.spec);
    let key = match allowed {
        Ok(()) => authorized_key(ctx, &work.object, epoch).await,
        Err(failure) => Err(failure.into()),
    };
    // What its sessions may do must be plain before one is asked for.
    let key = match key {
        Ok(key) => match purposeful(ctx, &work.object, &key, &Purpose::Observe(None)) {
            Ok(_) => Ok(key),
            Err(failure) => Err(failure.into()),
        },
        none => none,
    };
    match key {
        Ok(key) => {
            work.status().service_account_uid = Some(key.service_account_uid.clone());
            work.conditions(|conditions| {
                conditions.set("Authorized", Truth::True, Reason::Consented, "The service account names this role.");
            });
            Ok(key)
        }
        Err(none) => {
            let of_the_token =
                OF_THE_TOKEN.contains(&none.failure.reason) && none.failure.reason != Reason::ServiceAccountMissing;
            work.conditions(|conditions| {
                let subject = if of_the_token { "TokenMinted" } else { "Authorized" };
                if !of_the_token {
                    conditions.remove("TokenMinted");
                }
                conditions.set(subject, Truth::False, none.failure.reason, &none.failure.message).remove("RoleAssumed");
            });
            Err(none.failure)
        }
    }
}

/// The cluster's own token is known before it is minted, so the policy for it can be rendered before anything works.
fn expect_own_token(work: &mut Work<TrustBinding>, key: &SessionKey) {
    if key.provider.is_none() && !key.issuer.is_empty() {
        let own = TrustedIdentity {
            provider: None,
            provider_generation: None,
            issuer: key.issuer.clone(),
            subject: key.subject(),
            audience: key.audience.clone(),
            authorized_party: None,
            phase: IdentityPhase::Probing,
            retires_at: None,
        };
        work.status().identities = rotation::tried(&work.status().identities, own);
    }
    render_trust(work);
}

/// Nothing has changed since the role was last assumed, and nothing fails: an idle binding costs no call of STS.
fn is_settled(work: &mut Work<TrustBinding>, ctx: &Context, key: &SessionKey, account: Option<&str>) -> bool {
    let (asked, generation) = (asked_now(work), work.object.meta().generation);
    let named = named_provider(&work.object).map(str::to_owned);
    let rotating = rotation::is_rotating(&work.status().identities, named.as_deref());
    let failing = ctx.sessions.is_failing(&work.namespace(), &work.object.name_any());
    let status = work.status();
    let holds = |kind: &str| {
        find(&status.conditions, kind).is_some_and(|one| one.status == "True" && one.observed_generation == generation)
    };
    let evaluated = find(&status.conditions, "LeastPrivilege").is_some_and(|one| one.reason != Reason::WaitingForQuota);
    let in_use = status.identities.iter().find(|one| one.phase == IdentityPhase::Active);
    let same_provider = in_use.is_some_and(|one| {
        one.provider_generation == key.provider.as_ref().map(|provider| provider.generation)
            && (key.issuer.is_empty() || one.issuer == key.issuer)
    });
    holds("RoleAssumed")
        && holds("Ready")
        && evaluated
        && same_provider
        && !rotating
        && !failing
        && account == Some(key.service_account_uid.as_str())
        && status.last_reconcile_now == asked
}

fn asked_now(work: &Work<TrustBinding>) -> Option<String> {
    asked(&work.object, RECONCILE_NOW).map(str::to_owned)
}

/// Lets go of identities whose time has come, and gives the time until the next look.
fn until_next_look(work: &mut Work<TrustBinding>, ctx: &Context) -> Duration {
    let now = Timestamp::now();
    work.status().identities = rotation::retire(&work.status().identities, now, true);
    render_trust(work);
    let retirement = rotation::next_retirement(&work.status().identities, now);
    retirement.map_or(ctx.settings.resync_interval, |wait| wait.min(ctx.settings.resync_interval))
}

/// What came of the provider that the spec names while another one is in use.
enum Probe {
    /// The named one is in use.
    NotNeeded,
    /// STS takes it: it is in use from now on.
    Taken(Box<SessionKey>),
    /// It does not work yet.
    Refused(Failure),
}

async fn probe(work: &mut Work<TrustBinding>, ctx: &Context, epoch: &Epoch) -> Probe {
    let named = named_provider(&work.object).map(str::to_owned);
    if !rotation::is_rotating(&work.status().identities, named.as_deref()) {
        work.status().identities = rotation::settle(&work.status().identities);
        return Probe::NotNeeded;
    }
    let held = held(ctx, &work.cause, &work.object, &Purpose::Observe(None)).await.map(|session| session.expires_at);
    let key = match key_with(ctx, &work.object, named.as_deref(), epoch).await {
        Ok(key) => key,
        Err(none) => return Probe::Refused(none.failure),
    };
    let proof = match purposeful(ctx, &work.object, &key, &Purpose::Observe(None)) {
        Ok(proof) => proof,
        Err(failure) => return Probe::Refused(failure),
    };
    match session_with(ctx, &work.cause, &proof).await {
        Ok(session) => {
            let whole = Timestamp::now() + SignedDuration::from_secs(i64::from(key.duration_seconds));
            let identities = &work.status().identities;
            let next = rotation::took(identities, identity(&key, &session), held.map_or(whole, |held| held.max(whole)));
            work.status().identities = next;
            ctx.authorized.invalidate(&(work.namespace(), work.object.name_any())).await;
            Probe::Taken(Box::new(key))
        }
        Err(none) => {
            remember_tried(work, &key, none.error.as_ref());
            Probe::Refused(none.failure)
        }
    }
}

/// The identity in use works, the one that the spec names does not yet.
fn still_rotating(work: &mut Work<TrustBinding>, why: &Failure) {
    let message = format!("The provider in use stays in use until the one that the spec names works: {}", why.message);
    work.conditions(|conditions| {
        conditions.set(RECONCILING, Truth::True, why.reason, &message);
    });
}

/// What STS was shown goes into the trust policy, so that it can be put on the role.
fn remember_tried(work: &mut Work<TrustBinding>, key: &SessionKey, error: Option<&IdentityError>) {
    if let Some(IdentityError::Exchange(error)) = error {
        let shown = identity_of(key, &error.claims);
        work.status().identities = rotation::tried(&work.status().identities, shown);
    }
    render_trust(work);
}

fn identity_of(key: &SessionKey, claims: &Claims) -> TrustedIdentity {
    TrustedIdentity {
        provider: key.provider.as_ref().map(|provider| provider.name.clone()),
        provider_generation: key.provider.as_ref().map(|provider| provider.generation),
        issuer: claims.iss.clone(),
        subject: claims.sub.clone(),
        audience: claims.aud.0.join(", "),
        authorized_party: claims.azp.clone(),
        phase: IdentityPhase::Probing,
        retires_at: None,
    }
}

fn identity(key: &SessionKey, session: &Session) -> TrustedIdentity {
    let origin = &session.origin;
    TrustedIdentity {
        provider: key.provider.as_ref().map(|provider| provider.name.clone()),
        provider_generation: key.provider.as_ref().map(|provider| provider.generation),
        issuer: origin.issuer.clone(),
        subject: origin.subject.clone(),
        audience: origin.audience.clone(),
        authorized_party: origin.authorized_party.clone(),
        phase: IdentityPhase::Active,
        retires_at: None,
    }
}

fn render_trust(work: &mut Work<TrustBinding>) {
    let role = work.object.spec.role_arn.clone();
    let status = work.status();
    let known = look::tokens(&status.identities);
    status.trust_policy = (!known.is_empty()).then(|| render(&role, &known).policy.compact());
}

/// Tells a token that was not given from a role that was not assumed.
async fn refused(work: &mut Work<TrustBinding>, ctx: &Context, key: &SessionKey, none: NoSession) -> Failure {
    remember_tried(work, key, none.error.as_ref());
    let mut failure = none.failure;
    if let Some(IdentityError::Exchange(error)) = &none.error
        && let Some(message) = look::explained(ctx, &work.cause, &work.object, key, error).await
    {
        failure = Failure::new(failure.class, failure.reason, message);
    }
    let of_the_token = OF_THE_TOKEN.contains(&failure.reason);
    work.conditions(|conditions| {
        if of_the_token {
            conditions.set("TokenMinted", Truth::False, failure.reason, &failure.message).remove("RoleAssumed");
        } else {
            conditions.set("TokenMinted", Truth::True, Reason::Minted, MINTED);
            conditions.set("RoleAssumed", Truth::False, failure.reason, &failure.message);
        }
    });
    failure
}

const MINTED: &str = "A token is given for the account.";

fn proven(work: &mut Work<TrustBinding>, key: &SessionKey, session: &Session) {
    let asked = asked_now(work);
    let status = work.status();
    status.issuer = Some(session.origin.issuer.clone());
    status.subject = Some(session.origin.subject.clone());
    status.audience = Some(session.origin.audience.clone());
    status.assumed_role_arn = Some(session.assumed_role_arn.clone());
    status.account_id = Some(session.account_id.clone());
    status.session_name = Some(session.session_name.clone());
    status.last_reconcile_now = asked;
    // A provider may come to give another subject; sessions of the earlier one may last as long as this one.
    status.identities = rotation::took(&status.identities, identity(key, session), session.expires_at);
    work.conditions(|conditions| {
        conditions.set("TokenMinted", Truth::True, Reason::Minted, MINTED);
        conditions.set("RoleAssumed", Truth::True, Reason::RoleAssumed, "STS trades the account's token for the role.");
        conditions.ready(Reason::RoleAssumed, &format!("The account acts as {}.", session.assumed_role_arn));
    });
}

#[cfg(test)]
mod tests;
