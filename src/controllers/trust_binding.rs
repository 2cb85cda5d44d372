//! TrustBinding: proves the identity and says so.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};

use super::dereference::{authorized_key, session_with};
use super::runner::{Done, EventWhenReady, Managed, Work, api_failure};
use super::{Context, guardrails};
use crate::api::v1alpha1::{Activity, Phase, TrustBinding, TrustBindingStatus, Workflow, WorkflowRun};
use crate::aws::Session;
use crate::identity::SessionKey;
use crate::outcome::{Failure, Requeue};
use crate::plan::guardrail;
use crate::status::Truth;

#[async_trait::async_trait]
impl Managed for TrustBinding {
    type Status = TrustBindingStatus;
    const KIND: &'static str = "TrustBinding";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Always;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete(work, ctx).await;
        }
        work.hold(ctx).await?;
        if work.object.spec.suspend {
            ctx.sessions.forget(&work.object.uid().unwrap_or_default()).await;
            listen(work, ctx, false);
            work.conditions(|conditions| {
                conditions.ready("Suspended", "Nothing is done with this binding while spec.suspend is true.");
            });
            return Ok(Done::again(Requeue::OnChange));
        }
        let key = authorize(work, ctx).await?;
        let session = match session_with(ctx, &key).await {
            Ok(session) => session,
            Err(none) => return Err(refused(work, none.failure)),
        };
        proven(work, &session);
        listen(work, ctx, true);
        Ok(Done::again(Requeue::After(ctx.settings.resync_interval)))
    }

    fn status_field(&mut self) -> &mut Option<TrustBindingStatus> {
        &mut self.status
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

async fn authorize(work: &mut Work<TrustBinding>, ctx: &Context) -> Result<SessionKey, Failure> {
    let namespace = work.namespace();
    let rules = guardrails::rules(ctx, &namespace).await?;
    let allowed = guardrail::check_binding(&rules, &namespace, &work.object.spec);
    let key = match allowed {
        Ok(()) => authorized_key(ctx, &work.object).await,
        Err(failure) => Err(failure.into()),
    };
    match key {
        Ok(key) => {
            work.status().service_account_uid = Some(key.service_account_uid.clone());
            work.conditions(|conditions| {
                conditions.set("Authorized", Truth::True, "Consented", "The service account names this role.");
            });
            Ok(key)
        }
        Err(none) => {
            work.conditions(|conditions| {
                conditions
                    .set("Authorized", Truth::False, none.failure.reason, &none.failure.message)
                    .remove("TokenMinted")
                    .remove("RoleAssumed");
            });
            Err(none.failure)
        }
    }
}

/// Tells a token that was not given from a role that was not assumed.
fn refused(work: &mut Work<TrustBinding>, failure: Failure) -> Failure {
    const MINTING: [&str; 5] =
        ["Forbidden", "NamespaceTerminating", "ServiceAccountMissing", "MintFailed", "UnexpectedToken"];
    let minting = MINTING.contains(&failure.reason);
    work.conditions(|conditions| {
        if minting {
            conditions.set("TokenMinted", Truth::False, failure.reason, &failure.message).remove("RoleAssumed");
        } else {
            conditions.set("TokenMinted", Truth::True, "Minted", "The API server gives tokens for the account.");
            conditions.set("RoleAssumed", Truth::False, failure.reason, &failure.message);
        }
    });
    failure
}

fn proven(work: &mut Work<TrustBinding>, session: &Session) {
    let status = work.status();
    status.issuer = Some(session.origin.issuer.clone());
    status.subject = Some(session.origin.subject.clone());
    status.audience = Some(session.origin.audience.clone());
    status.assumed_role_arn = Some(session.assumed_role_arn.clone());
    status.account_id = Some(session.account_id.clone());
    status.session_name = Some(session.session_name.clone());
    work.conditions(|conditions| {
        conditions.set("TokenMinted", Truth::True, "Minted", "The API server gives tokens for the account.");
        conditions.set("RoleAssumed", Truth::True, "RoleAssumed", "STS trades the account's token for the role.");
        conditions.ready("RoleAssumed", &format!("The account acts as {}.", session.assumed_role_arn));
    });
}

/// A binding stays while a Workflow names it, which needs it to delete its state machine, and while a run that was
/// started as it is not over.
async fn delete(work: &mut Work<TrustBinding>, ctx: &Context) -> Result<Done, Failure> {
    let users = users(work, ctx).await?;
    if users.is_empty() {
        ctx.sessions.forget(&work.object.uid().unwrap_or_default()).await;
        listen(work, ctx, false);
        return Ok(Done::released());
    }
    let names = users.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    work.conditions(|conditions| {
        conditions.progressing("InUse", &format!("Waits for what still uses it: {names}."));
    });
    Ok(Done::again(Requeue::After(std::time::Duration::from_secs(1))))
}

async fn users(work: &Work<TrustBinding>, ctx: &Context) -> Result<Vec<String>, Failure> {
    let (namespace, name) = (work.namespace(), work.object.name_any());
    let selector = ListParams::default().fields(&format!("spec.trustBindingRef.name={name}"));
    let workflows = Api::<Workflow>::namespaced(ctx.client.clone(), &namespace).list_metadata(&selector).await;
    let workflows = workflows.map_err(|error| api_failure(&error))?;
    let mut users: Vec<String> = workflows.iter().map(|workflow| format!("Workflow {}", workflow.name_any())).collect();
    let activities = Api::<Activity>::namespaced(ctx.client.clone(), &namespace).list_metadata(&selector).await;
    let activities = activities.map_err(|error| api_failure(&error))?;
    users.extend(activities.iter().map(|activity| format!("Activity {}", activity.name_any())));
    let runs = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &namespace);
    // One that waits for its next attempt is pending too.
    for phase in [Phase::Pending, Phase::Starting, Phase::Running] {
        let selector = ListParams::default().fields(&format!("status.phase={phase:?}"));
        let listed = runs.list(&selector).await.map_err(|error| api_failure(&error))?;
        let own = listed.iter().filter(|run| {
            let attempts = run.status.iter().flat_map(|status| &status.attempts);
            attempts.last().is_some_and(|attempt| attempt.trust_binding_name == name)
        });
        users.extend(own.map(|run| format!("WorkflowRun {}", run.name_any())));
    }
    Ok(users)
}
