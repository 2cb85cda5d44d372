//! Owner tags of what is let go, taken off as the identity of its own binding.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, DynamicObject};
use kube::{Client, ResourceExt};

use super::error::ReleaseError;
use super::flags::ReleaseFlags;
use crate::api::v1alpha1::{TrustBinding, is_object_name};
use crate::aws::{Caller, SdkStepFunctions, Tagging, http_client};
use crate::config::Endpoints;
use crate::identity::{
    Cognito, Exchanger, IssuerRules, Issuers, Minter, Providers, Reach, SecretReader, SessionCache, SessionKey,
    Sessions, Web, session_name,
};
use crate::metrics::Metrics;
use crate::plan::workflow::Owner;

/// Session policy: whatever the role may, this command reads and removes tags and does nothing else.
const TAGS_ALONE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["states:ListTagsForResource","states:UntagResource"],"Resource":"*"}]}"#;

/// What became of the owner tags.
pub(super) enum Mark {
    /// Taken off.
    Removed,
    /// Nothing of ours to take off, or not asked for.
    Untouched,
    /// Still there, and why.
    Left(String),
}

/// Takes owner tags off.
pub(super) struct Marks {
    client: Client,
    sessions: SessionCache,
    step_functions: SdkStepFunctions,
    cluster: String,
}

impl Marks {
    pub(super) async fn new(client: Client, flags: &ReleaseFlags) -> Result<Self, ReleaseError> {
        let cluster = match flags.cluster_id.clone().filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await?.uid().unwrap_or_default(),
        };
        let (http, metrics) = (http_client(), Arc::new(Metrics::default()));
        let exchanger = Exchanger::new(http.clone(), flags.sts_endpoint_url.clone());
        let sessions = cluster_sessions(&client, exchanger, metrics.clone())?;
        // The operator does not run, so its whole share is free; one command needs no more than that.
        let endpoints = Endpoints { step_functions: flags.sfn_endpoint_url.clone(), ..Endpoints::default() };
        let step_functions = SdkStepFunctions::new(http, &endpoints, metrics, 0.5);
        Ok(Self { client, sessions, step_functions, cluster })
    }

    /// Takes this object's owner tags off a state machine or an activity.
    pub(super) async fn remove(&self, object: &DynamicObject, kind: &str, arn: &str) -> Mark {
        if kind != "Workflow" && kind != "Activity" {
            return Mark::Untouched;
        }
        let owner = Owner {
            cluster: self.cluster.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        };
        self.try_remove(object, &owner, arn).await.unwrap_or_else(Mark::Left)
    }

    async fn try_remove(&self, object: &DynamicObject, owner: &Owner, arn: &str) -> Result<Mark, String> {
        let binding = object.data.pointer("/spec/trustBindingRef/name").and_then(|name| name.as_str());
        let session = self.session(&owner.namespace, binding.unwrap_or_default()).await?;
        let tags = self.step_functions.list_tags(&session, arn).await.map_err(|error| error.to_string())?;
        if !owner.owns(&tags) {
            return Ok(Mark::Untouched);
        }
        let keys: Vec<String> = owner.tags().into_keys().collect();
        self.step_functions.untag(&session, arn, &keys).await.map_err(|error| error.to_string())?;
        Ok(Mark::Removed)
    }

    async fn session(&self, namespace: &str, binding: &str) -> Result<Caller, String> {
        if !is_object_name(binding) {
            return Err(format!("\"{binding}\" cannot be the name of a TrustBinding"));
        }
        let bindings = Api::<TrustBinding>::namespaced(self.client.clone(), namespace);
        let found = bindings.get(binding).await.map_err(|error| format!("TrustBinding \"{binding}\": {error}"))?;
        if let Some(provider) = &found.spec.identity_provider_ref {
            return Err(format!(
                "TrustBinding \"{binding}\" takes its tokens from IdentityProvider \"{}\", which only the operator asks",
                provider.name
            ));
        }
        let name = &found.spec.service_account_name;
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let account = accounts.get_metadata(name).await;
        let account = account.map_err(|error| format!("service account \"{name}\": {error}"))?;
        let key = SessionKey {
            namespace: namespace.to_owned(),
            binding: found.name_any(),
            binding_uid: found.uid().unwrap_or_default(),
            binding_generation: found.metadata.generation.unwrap_or_default(),
            service_account: name.clone(),
            service_account_uid: account.uid().unwrap_or_default(),
            role_arn: found.spec.role_arn.clone(),
            issuer: String::new(),
            provider: None,
            audience: found.spec.audience.clone(),
            region: found.spec.region.clone(),
            session_name: session_name(namespace, binding),
            duration_seconds: 900,
            requester: None,
            policy: Some(TAGS_ALONE.into()),
            // One call of a tool that holds nothing.
            epoch: crate::aws::Epoch::default(),
        };
        let cause = Arc::default();
        let session = self.sessions.session(&key, &cause).await.map_err(|error| error.to_string())?;
        Ok(Caller::new(session, &cause))
    }
}

/// Sessions from the cluster's own tokens; no other issuer is allowed.
fn cluster_sessions(
    client: &Client,
    exchanger: Exchanger,
    metrics: Arc<Metrics>,
) -> Result<SessionCache, std::io::Error> {
    let minter = Minter::new(client.clone());
    let providers = Providers::new(
        Arc::new(Issuers::new(Web::new(Reach::default())?)),
        minter.clone(),
        SecretReader::new(client.clone()),
        Cognito::new(http_client(), None),
        IssuerRules::default(),
    );
    Ok(SessionCache::new(minter, providers, exchanger, metrics))
}
