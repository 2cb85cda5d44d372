//! Owner tags of what is let go, taken off as the identity of its own binding.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, DynamicObject};
use kube::{Client, ResourceExt};

use super::{ReleaseError, ReleaseFlags};
use crate::api::v1alpha1::TrustBinding;
use crate::aws::{SdkStepFunctions, Session, StepFunctions, http_client};
use crate::config::Endpoints;
use crate::identity::{Exchanger, Minter, SessionCache, SessionKey, Sessions};
use crate::metrics::Metrics;
use crate::plan::workflow::Owner;

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
        let sessions = SessionCache::new(Minter::new(client.clone()), exchanger, metrics.clone());
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

    async fn session(&self, namespace: &str, binding: &str) -> Result<Arc<Session>, String> {
        let bindings = Api::<TrustBinding>::namespaced(self.client.clone(), namespace);
        let found = bindings.get(binding).await.map_err(|error| format!("TrustBinding \"{binding}\": {error}"))?;
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
            audience: found.spec.audience.clone(),
            region: found.spec.region.clone(),
            duration_seconds: 900,
            requester: None,
        };
        self.sessions.session(&key).await.map_err(|error| error.to_string())
    }
}
