//! What is read of the cluster, with the rights of whoever asks. A refusal is an answer; that the API server is not reached is none.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::v1alpha1::{ClientAuthenticationType, Guardrail, Workflow};
use crate::kubectl::cluster::all as every;
use crate::kubectl::{Cluster, KubectlError, machine};
use crate::plan::evidence::{AnyObject, Listing, Read};
use crate::printable::indented;

/// Reads everything, and says as whom.
pub(super) async fn all(cluster: &Cluster, read: &mut Read) -> Result<Option<String>, KubectlError> {
    let asked_as = asked_as(cluster).await?;
    let client = &cluster.client;
    read.namespaces = namespaces(cluster, read).await?;
    read.bindings = within(cluster, read).await?;
    read.providers = within(cluster, read).await?;
    read.workflows = within(cluster, read).await?;
    read.runs = within(cluster, read).await?;
    read.approvals = within(cluster, read).await?;
    read.guardrails = listed(cluster.as_they_are_everywhere::<Guardrail>(), "guardrails").await?;
    read.roles = within::<Role>(cluster, read).await?;
    read.role_bindings = within::<RoleBinding>(cluster, read).await?;
    read.cluster_roles = listed(cluster.as_they_are_everywhere::<ClusterRole>(), "clusterroles").await?;
    read.cluster_role_bindings =
        listed(cluster.as_they_are_everywhere::<ClusterRoleBinding>(), "clusterrolebindings").await?;
    let admission = |kind: &str| {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        let plural =
            if kind.kind.ends_with('y') { "validatingadmissionpolicies" } else { "validatingadmissionpolicybindings" };
        (Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural)), plural)
    };
    let (api, what) = admission("ValidatingAdmissionPolicy");
    read.policies = listed::<AnyObject>(api, what).await?;
    let (api, what) = admission("ValidatingAdmissionPolicyBinding");
    read.policy_bindings = listed::<AnyObject>(api, what).await?;
    secrets(cluster, read).await?;
    needs(cluster, read).await;
    Ok(asked_as)
}

/// Those of a kind in the namespace that is asked about, or in all.
async fn within<K>(cluster: &Cluster, read: &Read) -> Result<Listing<K>, KubectlError>
where
    K: Resource + DeserializeOwned,
    K::DynamicType: Default,
{
    let what = K::plural(&K::DynamicType::default()).into_owned();
    let api = if read.namespace.is_some() { cluster.as_they_are::<K>() } else { cluster.as_they_are_everywhere::<K>() };
    listed(api, &what).await
}

async fn listed<K: DeserializeOwned>(api: Api<DynamicObject>, what: &str) -> Result<Listing<K>, KubectlError> {
    let objects = match every(&api, &ListParams::default()).await {
        Ok(objects) => objects,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Ok(Listing::refused(indented(status.message.trim_end())));
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Ok(Listing::refused("the cluster does not know this kind".to_owned()));
        }
        Err(error) => return Err(KubectlError::of(&format!("list {what}"), error)),
    };
    let mut listing = Listing::of(Vec::with_capacity(objects.len()));
    for object in objects {
        let name = object.namespace().map_or_else(|| object.name_any(), |one| format!("{one}/{}", object.name_any()));
        match serde_json::to_value(object).and_then(serde_json::from_value) {
            Ok(object) => listing.objects.push(object),
            // An error of serde repeats parts of what it read.
            Err(_) => listing
                .unreadable
                .push(format!("{what} {name}: it is not as this program knows the kind; a newer one may read it")),
        }
    }
    Ok(listing)
}

/// Namespaces with their labels; of one alone where one alone is asked about.
async fn namespaces(cluster: &Cluster, read: &Read) -> Result<Listing<Namespace>, KubectlError> {
    let Some(name) = &read.namespace else {
        return listed(cluster.as_they_are_everywhere::<Namespace>(), "namespaces").await;
    };
    match Api::<Namespace>::all(cluster.client.clone()).get_opt(name).await {
        Ok(found) => Ok(Listing::of(found.into_iter().collect())),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            Ok(Listing::refused(indented(status.message.trim_end())))
        }
        Err(error) => Err(KubectlError::of(&format!("get namespace {name:?}"), error)),
    }
}

/// The user that the API server takes whoever asks for.
async fn asked_as(cluster: &Cluster) -> Result<Option<String>, KubectlError> {
    let api = Api::<SelfSubjectReview>::all(cluster.client.clone());
    match api.create(&PostParams::default(), &SelfSubjectReview::default()).await {
        Ok(review) => Ok(review.status.and_then(|status| status.user_info?.username)),
        Err(kube::Error::Api(status)) if [403, 404].contains(&status.code) => Ok(None),
        Err(error) => Err(KubectlError::of("ask who you are", error)),
    }
}

/// Who wrote the Secrets that providers name, and when. Their values are not asked for.
async fn secrets(cluster: &Cluster, read: &mut Read) -> Result<(), KubectlError> {
    for provider in &read.providers.objects {
        let client = &provider.spec.client_authentication;
        let Some(reference) =
            client.secret_key_ref.as_ref().filter(|_| client.method == ClientAuthenticationType::ClientSecret)
        else {
            continue;
        };
        let namespace = provider.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
        let found = match api.get_metadata(&reference.name).await {
            Ok(found) => Ok(found.metadata),
            Err(kube::Error::Api(status)) if [403, 404].contains(&status.code) => {
                Err(indented(status.message.trim_end()))
            }
            Err(error) => return Err(KubectlError::of(&format!("get Secret {:?}", reference.name), error)),
        };
        read.secrets.insert((namespace, reference.name.clone()), found);
    }
    Ok(())
}

/// What Workflows need of roles whose permissions were given.
async fn needs(cluster: &Cluster, read: &mut Read) {
    let is_given =
        |workflow: &&Workflow| read.role_policies.iter().any(|file| file.role_arn == workflow.spec.execution_role_arn);
    let mut needs = std::collections::BTreeMap::new();
    for workflow in read.workflows.objects.iter().filter(is_given) {
        let (namespace, name) = (workflow.namespace().unwrap_or_default(), workflow.name_any());
        let is_its = |one: &&crate::api::v1alpha1::TrustBinding| {
            one.namespace().as_ref() == Some(&namespace) && one.name_any() == workflow.spec.trust_binding_ref.name
        };
        let region = read.bindings.objects.iter().find(is_its).map(|one| one.spec.region.as_str());
        let derived = match machine::definition(cluster, &namespace, workflow).await {
            Ok((definition, notes)) if notes.is_empty() => machine::needs(workflow, region, &definition)
                .ok_or_else(|| "the region of its state machine is not known".to_owned()),
            Ok((_, notes)) => Err(notes.join(" ")),
            Err(why) => Err(indented(&why)),
        };
        needs.insert((namespace, name), derived);
    }
    read.needs = needs;
}
