//! Objects of the cluster, named as kubectl takes them: `workflow/fulfil`.

use std::collections::BTreeSet;

use kube::Resource;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kinds::{Kind, Named};
use super::{Cluster, KubectlError};
use crate::api::v1alpha1::{Activity, IdentityProvider, TrustBinding, Workflow};
use crate::asl::to_yaml;
use crate::cli::say;
use crate::printable::indented;

/// An object as far as whoever asks may see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown<K> {
    /// It is there.
    There(Box<K>),
    /// There is none of the name.
    Missing,
    /// The API server refuses to show it, in these words.
    Hidden(String),
}

/// Gets an object; that it is not there, or may not be seen, is an answer too.
pub(super) async fn see<K>(cluster: &Cluster, name: &str) -> Result<Shown<K>, KubectlError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    match cluster.api::<K>().get_opt(name).await {
        Ok(Some(object)) => Ok(Shown::There(Box::new(object))),
        Ok(None) => Ok(Shown::Missing),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Shown::Hidden(indented(status.message.trim_end()))),
        Err(error) => Err(KubectlError::of(&format!("get {name:?}"), error)),
    }
}

/// Gets an object that there has to be.
pub(super) async fn get<K>(cluster: &Cluster, kind: Kind, name: &str) -> Result<K, KubectlError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    debug_assert_eq!(K::kind(&K::DynamicType::default()), kind.as_str());
    cluster.typed(name).await
}

/// A Workflow with what its definition and permissions hang on, as manifests. What may not be seen is told and left out.
pub(super) async fn workflow_manifests(cluster: &Cluster, workflow: &Workflow) -> Result<String, KubectlError> {
    let mut manifests = vec![manifest(workflow)?];
    let binding = &workflow.spec.trust_binding_ref.name;
    manifests.extend(seen(see::<TrustBinding>(cluster, binding).await?, "TrustBinding", binding)?);
    let maps: BTreeSet<&str> = workflow.spec.config_maps().collect();
    manifests.extend(config_maps(cluster, &maps).await?);
    Ok(manifests.join("---\n"))
}

/// ConfigMaps, as manifests.
pub(super) async fn config_maps(cluster: &Cluster, names: &BTreeSet<&str>) -> Result<Vec<String>, KubectlError> {
    let mut manifests = Vec::new();
    for name in names {
        let map = see::<k8s_openapi::api::core::v1::ConfigMap>(cluster, name).await?;
        manifests.extend(seen(map, "ConfigMap", name)?);
    }
    Ok(manifests)
}

/// A TrustBinding with what it is for, as manifests.
async fn binding_manifests(cluster: &Cluster, binding: &TrustBinding) -> Result<String, KubectlError> {
    let mut manifests = vec![manifest(binding)?];
    if let Some(provider) = &binding.spec.identity_provider_ref {
        let found = see::<IdentityProvider>(cluster, &provider.name).await?;
        manifests.extend(seen(found, "IdentityProvider", &provider.name)?);
    }
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let all = ListParams::default();
    match cluster.api::<Workflow>().list(&all).await {
        Ok(found) => {
            let own = found.items.iter().filter(|one| one.spec.trust_binding_ref.name == name);
            manifests.extend(own.map(manifest).collect::<Result<Vec<_>, _>>()?);
        }
        Err(error) => unseen("the Workflows of the binding", error)?,
    }
    match cluster.api::<Activity>().list(&all).await {
        Ok(found) => {
            let own = found.items.iter().filter(|one| one.spec.trust_binding_ref.name == name);
            manifests.extend(own.map(manifest).collect::<Result<Vec<_>, _>>()?);
        }
        Err(error) => unseen("the Activities of the binding", error)?,
    }
    Ok(manifests.join("---\n"))
}

/// The manifests of a named object and of what belongs to it.
pub(super) async fn manifests(cluster: &Cluster, named: &Named) -> Result<String, KubectlError> {
    match named.kind {
        Kind::Binding => binding_manifests(cluster, &get(cluster, named.kind, &named.name).await?).await,
        Kind::Workflow => workflow_manifests(cluster, &get(cluster, named.kind, &named.name).await?).await,
        Kind::Run => Err(KubectlError::Usage(format!(
            "\"run/{}\" has no definition of its own; name its Workflow, as in workflow/NAME",
            named.name
        ))),
        Kind::Approval => Err(KubectlError::Usage(format!(
            "\"approval/{}\" has no definition of its own; name the Workflow of its run, as in workflow/NAME",
            named.name
        ))),
    }
}

fn seen<K: Serialize>(seen: Shown<K>, kind: &str, name: &str) -> Result<Option<String>, KubectlError> {
    match seen {
        Shown::There(object) => Ok(Some(manifest(&*object)?)),
        Shown::Missing => {
            say(&format!("note: there is no {kind} \"{name}\""));
            Ok(None)
        }
        Shown::Hidden(why) => {
            say(&format!("note: {kind} \"{name}\" is left out: {why}"));
            Ok(None)
        }
    }
}

/// What may not be listed is told; any other failure is one.
fn unseen(what: &str, error: kube::Error) -> Result<(), KubectlError> {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            say(&format!("note: {what} are left out: {}", status.message));
            Ok(())
        }
        other => Err(KubectlError::of(&format!("list {what}"), other)),
    }
}

/// An object as somebody would have written it, with its status.
pub(super) fn manifest(object: &impl Serialize) -> Result<String, KubectlError> {
    let mut value = serde_json::to_value(object).map_err(|error| KubectlError::Print(error.to_string()))?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for of_the_server in ["managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"]
        {
            metadata.remove(of_the_server);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    to_yaml(&value).map_err(|error| KubectlError::Print(error.to_string()))
}
