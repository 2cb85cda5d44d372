//! Objects of the cluster, named as kubectl takes them: `workflow/fulfil`.

use std::collections::BTreeSet;

use kube::Resource;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, KubectlError};
use crate::api::v1alpha1::{Activity, IdentityProvider, TrustBinding, Workflow, is_object_name};
use crate::asl::to_yaml;
use crate::cli::say;
use crate::printable::indented;

/// The kinds that verbs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Binding,
    Workflow,
    Run,
}

impl Kind {
    /// As the API server has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "TrustBinding",
            Self::Workflow => "Workflow",
            Self::Run => "WorkflowRun",
        }
    }

    /// The words that kubectl takes for it, and the shorter ones of this plugin.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Binding => &["trustbinding", "trustbindings", "tb", "binding"],
            Self::Workflow => &["workflow", "workflows", "sfn"],
            Self::Run => &["workflowrun", "workflowruns", "sfnrun", "run"],
        }
    }

    /// The word of it that people type, as in `run/NAME`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Workflow => "workflow",
            Self::Run => "run",
        }
    }

    /// What the usage of verbs has in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Binding => "BINDING",
            Self::Workflow => "WORKFLOW",
            Self::Run => "RUN",
        }
    }

    /// The kind that the usage calls so.
    pub fn of_placeholder(word: &str) -> Option<Self> {
        [Self::Binding, Self::Workflow, Self::Run].into_iter().find(|kind| kind.placeholder() == word)
    }

    pub fn named(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = word.strip_suffix(".stepbound.dev").unwrap_or(&word);
        [Self::Binding, Self::Workflow, Self::Run].into_iter().find(|kind| kind.words().contains(&word))
    }
}

/// An object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub kind: Kind,
    pub name: String,
}

impl Named {
    /// Reads `KIND/NAME`; nothing where the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        let kind = Kind::named(kind)?;
        is_object_name(name).then(|| Self { kind, name: name.to_owned() })
    }
}

/// The name in `NAME` or `KIND/NAME` of an object of this kind.
pub(super) fn name_of(kind: Kind, text: &str) -> Result<String, KubectlError> {
    let name = match text.split_once('/') {
        None => text,
        Some((word, name)) if Kind::named(word) == Some(kind) => name,
        Some((word, _)) => {
            let (what, first) = (kind.as_str(), kind.words()[0]);
            return Err(KubectlError::Usage(format!("{word:?} is no {what}; name one, as in {first}/NAME or NAME")));
        }
    };
    if is_object_name(name) {
        return Ok(name.to_owned());
    }
    Err(KubectlError::Usage(format!("{name:?} is no name of an object; names have lowercase letters, digits, - and .")))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_with_the_words_that_kubectl_takes() {
        for (text, kind, name) in [
            ("workflow/fulfil", Kind::Workflow, "fulfil"),
            ("sfn/fulfil", Kind::Workflow, "fulfil"),
            ("Workflows.stepbound.dev/a.b", Kind::Workflow, "a.b"),
            ("tb/orders", Kind::Binding, "orders"),
            ("binding/orders", Kind::Binding, "orders"),
            ("run/order-1", Kind::Run, "order-1"),
        ] {
            assert_eq!(Named::parse(text), Some(Named { kind, name: name.into() }), "{text}");
        }
        for none in ["fulfil", "pod/a", "workflow/", "workflow/A", "workflow/a/b", "workflow/../x", "./workflow/a"] {
            assert_eq!(Named::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_may_stand_alone_where_its_kind_is_known() {
        assert_eq!(name_of(Kind::Run, "order").unwrap(), "order");
        assert_eq!(name_of(Kind::Run, "sfnrun/order").unwrap(), "order");
        for (kind, text, part) in [
            (Kind::Run, "workflow/fulfil", "is no WorkflowRun; name one, as in workflowrun/NAME or NAME"),
            (Kind::Workflow, "A b", "is no name of an object"),
            (Kind::Workflow, "workflow/a?b", "is no name of an object"),
        ] {
            let error = name_of(kind, text).unwrap_err();
            assert!(matches!(error, KubectlError::Usage(_)) && error.to_string().contains(part), "{error}");
        }
    }
}
