//! IdentityProvider: looks whether its issuer may be used and answers.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use kube::{Resource, ResourceExt};

use super::Context;
use super::named::check_name;
use super::runner::{Done, EventWhenReady, Managed, Work};
use crate::api::v1alpha1::{ClientAuthentication, ClientAuthenticationType, IdentityProvider, IdentityProviderStatus};
use crate::identity::{IdentityError, WebError};
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::binding::check_pool;
use crate::plan::findings::{long_lived_secret, untied_secret};
use crate::plan::secret_grant::{self, ISSUER_ANNOTATION};
use crate::reason::Reason;
use crate::status::Truth;

#[async_trait::async_trait]
impl Managed for IdentityProvider {
    type Status = IdentityProviderStatus;
    const KIND: &'static str = "IdentityProvider";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Recovered;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return Ok(Done::released());
        }
        let (name, spec) = (work.object.name_any(), work.object.spec.clone());
        let is_secret = spec.client_authentication.method == ClientAuthenticationType::ClientSecret;
        work.status().findings = is_secret.then(|| long_lived_secret(&name)).into_iter().collect();
        let reachable = match reach(ctx, &spec.issuer, &spec.client_authentication).await {
            Ok(token_url) => secret_is_granted(work, ctx).await.map(|()| token_url),
            Err(failure) => Err(failure),
        };
        match reachable {
            Ok(token_url) => {
                work.status().token_url = token_url;
                work.conditions(|conditions| {
                    conditions.set("IssuerReachable", Truth::True, Reason::Discovered, "The issuer answers as itself.");
                    conditions.ready(Reason::Discovered, "TrustBindings can take their tokens from this issuer.");
                });
                Ok(Done::again(Requeue::After(ctx.settings.resync_interval.max(Duration::from_secs(60)))))
            }
            Err(failure) => {
                let of_secret = [Reason::SecretUnreadable, Reason::SecretNotForIssuer].contains(&failure.reason);
                work.conditions(|conditions| {
                    if of_secret {
                        conditions.set(
                            "IssuerReachable",
                            Truth::True,
                            Reason::Discovered,
                            "The issuer answers as itself.",
                        );
                        return;
                    }
                    conditions.set("IssuerReachable", Truth::False, failure.reason, &failure.message);
                });
                Err(failure)
            }
        }
    }

    fn status_field(&mut self) -> &mut Option<IdentityProviderStatus> {
        &mut self.status
    }

    fn common(status: &mut IdentityProviderStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

/// Looks at whom the Secret says it is for, without reading it. What it holds is read when it is used.
async fn secret_is_granted(work: &mut Work<IdentityProvider>, ctx: &Context) -> Result<(), Failure> {
    let Some(secret) = secret_grant::secret_of(&work.object).map(str::to_owned) else { return Ok(()) };
    let (namespace, issuer) = (work.namespace(), work.object.spec.issuer.clone());
    let takes_untied = !ctx.settings.lockdown && secret_grant::takes_untied(&work.object);
    check_name("Secret", &namespace, &secret)?;
    let api = Api::<Secret>::namespaced(ctx.client.clone(), &namespace);
    let unreadable = |problem, transient| {
        let key = work.object.spec.client_authentication.secret_key_ref.as_ref().map(|from| from.key.clone());
        let (namespace, name, key) = (namespace.clone(), secret.clone(), key.unwrap_or_default());
        Failure::from(IdentityError::SecretUnreadable { namespace, name, key, problem, transient })
    };
    let found = api.get_metadata_opt(&secret).await;
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Err(unreadable("does not exist", false)),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Err(unreadable("may not be read by the operator", false));
        }
        Err(_) => return Err(unreadable("could not be read", true)),
    };
    let granted = found.annotations().get(ISSUER_ANNOTATION).map(String::as_str);
    work.status().untied_secret = None;
    if let Err(none) = secret_grant::check(granted, &issuer, takes_untied) {
        let message = format!("{}.", none.message(&namespace, &secret, &issuer));
        return Err(Failure::new(Class::Denied, Reason::SecretNotForIssuer, message));
    }
    if granted.is_none() {
        work.status().findings.push(untied_secret(&namespace, &secret, &issuer));
        work.status().untied_secret = Some(secret);
    }
    Ok(())
}

/// Where the issuer gives tokens. Cognito identity pools have no such place: their service is part of AWS.
async fn reach(ctx: &Context, issuer: &str, client: &ClientAuthentication) -> Result<Option<String>, Failure> {
    if let Err(problem) = ctx.settings.issuer_rules.check(issuer) {
        return Err(Failure::new(Class::Terminal, Reason::IssuerNotAllowed, format!("{problem}.")));
    }
    check_pool(issuer, client)?;
    if client.method == ClientAuthenticationType::CognitoIdentityPool {
        return Ok(None);
    }
    let found = ctx.issuers.discover(issuer).await.map_err(|error| {
        let (class, reason) = match error {
            WebError::NotAllowed(_) => (Class::Terminal, Reason::IssuerNotAllowed),
            WebError::Unreachable(_) => (Class::Transient, Reason::IssuerUnreachable),
            WebError::Unusable(_) => (Class::Denied, Reason::ProviderUnusable),
        };
        Failure::new(class, reason, format!("{error}. Correct spec.issuer, or the provider."))
    })?;
    if let Some(url) = &found.token_url {
        return Ok(Some(url.to_string()));
    }
    let message = format!("The discovery document of {issuer} has no token_endpoint. Correct the provider.");
    Err(Failure::new(Class::Denied, Reason::ProviderUnusable, message))
}

#[cfg(test)]
mod tests;
