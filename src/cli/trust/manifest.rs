//! Bindings in manifests: several documents of YAML or JSON, of which the TrustBindings matter.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::answer::{TrustError, content, read};
use crate::api::v1alpha1::{Activity, Finding, GROUP, IdentityProvider, TrustBinding, TrustedIdentity, Workflow};
use crate::asl;
use crate::cli::files;
use crate::iam::binding_role::BindingScope;
use crate::iam::binding_role::session::Writing;
use crate::iam::binding_role::values::{self, Key};
use crate::iam::trust::{Severity, TrustedToken};
use crate::outcome::Failure;
use crate::plan::binding::{check_region, wanted_policy};
use crate::plan::findings::{Facts, findings};
use crate::plan::needs::{Needed, Needing};
use crate::plan::workflow::names_of;

/// What a manifest says of identity.
#[derive(Default)]
pub(in crate::cli) struct Manifest {
    bindings: Vec<TrustBinding>,
    workflows: Vec<Workflow>,
    activities: Vec<Activity>,
    /// What is wrong with the Workflows and Activities that do not fit their schemas: it matters to whom they matter.
    broken: Vec<String>,
    providers: Vec<IdentityProvider>,
    /// Kind and name of whatever was read.
    held: Vec<String>,
    /// How many files were read, and whether none has anything in it.
    files: usize,
    is_empty: bool,
}

/// So many of the objects that a file holds are named where none is the one that is wanted.
const NAMED: usize = 4;

impl Manifest {
    /// Reads a file, or the YAML and JSON files of a folder. Objects of other kinds are passed over, and in a folder what cannot
    /// be read and is not ours.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, TrustError> {
        let mut manifest = Self::default();
        for file in manifests(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })? {
            let Some(text) = manifest_text(&file, path)? else { continue };
            manifest.files += 1;
            match manifest.add(&file, &text) {
                Err(TrustError::Content { .. }) if file != path && !text.contains(GROUP) => {}
                added => added?,
            }
        }
        manifest.with_bindings(path, "")
    }

    /// Reads what a file was found to hold.
    pub(in crate::cli) fn of_text(path: &Path, text: &str) -> Result<Self, TrustError> {
        let mut manifest = Self { files: 1, ..Self::default() };
        manifest.add(path, text)?;
        manifest.with_bindings(path, ", or a policy as JSON")
    }

    /// `or` is what else is taken where this is read.
    fn with_bindings(self, path: &Path, or: &str) -> Result<Self, TrustError> {
        if !self.bindings.is_empty() {
            return Ok(self);
        }
        let more = if self.held.len() > NAMED { ", …" } else { "" };
        let held = match (self.held.len(), self.files) {
            (0, 0) => "has no .yaml, .yml or .json file".to_owned(),
            (0, _) if self.is_empty => "is empty".to_owned(),
            (0, _) => "holds no TrustBinding, but nothing at all".to_owned(),
            (count, _) => format!("holds no TrustBinding, but {}{more}", self.held[..count.min(NAMED)].join(", ")),
        };
        let problem = format!("{held}; give the manifest of apiVersion {GROUP}/v1alpha1 and kind TrustBinding{or}");
        Err(content(path, &problem))
    }

    fn add(&mut self, path: &Path, text: &str) -> Result<(), TrustError> {
        self.is_empty = text.trim().is_empty() && (self.is_empty || self.files <= 1);
        let documents = asl::parse_all(text).map_err(|error| content(path, &error))?;
        documents.into_iter().try_for_each(|document| self.object(path, document.value))
    }

    fn object(&mut self, path: &Path, mut value: Value) -> Result<(), TrustError> {
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        if kind.ends_with("List") && value["items"].is_array() {
            let Value::Array(items) = value["items"].take() else { return Ok(()) };
            return items.into_iter().try_for_each(|item| self.object(path, item));
        }
        self.held.extend(described(&value));
        let version = value["apiVersion"].as_str().unwrap_or_default();
        let is_ours = version.split_once('/').is_some_and(|(group, _)| group == GROUP);
        match kind.as_str() {
            "TrustBinding" if is_ours => self.bindings.push(typed(path, value)?),
            "Workflow" if is_ours => keep(&mut self.workflows, &mut self.broken, path, value),
            "Activity" if is_ours => keep(&mut self.activities, &mut self.broken, path, value),
            "IdentityProvider" if is_ours => self.providers.push(typed(path, value)?),
            _ => {}
        }
        Ok(())
    }

    /// All bindings.
    pub(super) fn bindings(&self) -> &[TrustBinding] {
        &self.bindings
    }

    /// The one binding that is meant.
    pub(in crate::cli) fn binding(&self, path: &Path, name: Option<&str>) -> Result<&TrustBinding, TrustError> {
        let named = |binding: &&TrustBinding| name.is_none_or(|name| binding.metadata.name.as_deref() == Some(name));
        let mut found = self.bindings.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(content(path, &format!("holds no TrustBinding \"{}\"", name.unwrap_or_default()))),
            (Some(_), Some(_)) => Err(content(path, &"holds several TrustBindings; name one with --binding")),
        }
    }

    /// What makes each binding weaker than it could be, as far as the manifest tells.
    pub(in crate::cli) fn findings(&self) -> Vec<(String, Finding)> {
        self.bindings.iter().flat_map(|binding| self.findings_of(binding)).collect()
    }

    fn findings_of(&self, binding: &TrustBinding) -> Vec<(String, Finding)> {
        let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
        let scope = Self::session_scope(binding, &Place { namespace, name_prefix: "", cluster: None });
        let named = binding.spec.identity_provider_ref.as_ref().map(|named| named.name.as_str());
        let is_named = |provider: &&IdentityProvider| {
            provider.metadata.name.as_deref() == named && provider.metadata.namespace == binding.metadata.namespace
        };
        let provider = self.providers.iter().find(is_named).filter(|_| named.is_some());
        let provider = provider.map(|one| (named.unwrap_or_default(), one.spec.client_authentication.method));
        let facts = Facts { spec: &binding.spec, scope: &scope, provider, rendered: None, trust: None, execution: &[] };
        let refused = [check_region(&binding.spec), wanted_policy(&binding.spec).map(drop)];
        let refused = refused.into_iter().filter_map(Result::err).map(refusal);
        refused.chain(findings(&facts)).map(|finding| (subject(binding), finding)).collect()
    }

    /// What the binding's role is for, as far as the manifest tells.
    pub(in crate::cli) fn scope(
        &self,
        path: &Path,
        binding: &TrustBinding,
        place: &Place<'_>,
    ) -> Result<BindingScope, TrustError> {
        self.all_fit(path)?;
        let needs = self.of_binding(binding).filter_map(|object| object.need());
        let mut needed = Needed::default();
        needs.for_each(|(_, need)| needed.add(&need));
        let mut scope = Self::session_scope(binding, place);
        let (partition, account) = scope.location();
        let keys = needed.keys.iter().map(|key| Key::read(key, partition, &scope.region, account));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| content(path, &error))?;
        let names = needed.names.iter().map(|name| values::name(name).map(str::to_owned));
        let names = names.collect::<Result<Vec<_>, _>>().map_err(|error| content(path, &error))?;
        let groups = needed
            .log_groups
            .iter()
            .map(|group| values::log_group(partition, &scope.region, account, group).map(|_| group.clone()));
        let log_groups = groups.collect::<Result<Vec<_>, _>>().map_err(|error| content(path, &error))?;
        scope.names.extend(names);
        Ok(BindingScope { keys, alarms: needed.alarms, log_groups, ..scope })
    }

    /// What the binding's sessions are made from.
    pub(in crate::cli) fn session_scope(binding: &TrustBinding, place: &Place<'_>) -> BindingScope {
        BindingScope {
            role_arn: binding.spec.role_arn.clone(),
            region: binding.spec.region.clone(),
            namespace: place.namespace.to_owned(),
            cluster: place.cluster.map(str::to_owned),
            names: names_of(place.name_prefix, place.namespace, &binding.spec),
            execution_roles: binding.spec.allowed_execution_role_arns.iter().map(|arn| arn.0.clone()).collect(),
            queue_url: binding.spec.events.as_ref().map(|events| events.queue_url.clone()),
            alarms: false,
            log_groups: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// What the objects of the binding are written with, by kind and name.
    pub(in crate::cli) fn written(
        &self,
        path: &Path,
        binding: &TrustBinding,
        place: &Place<'_>,
    ) -> Result<Vec<(String, Writing)>, TrustError> {
        self.all_fit(path)?;
        let objects = self.of_binding(binding);
        Ok(objects.filter_map(|object| object.writing(place.name_prefix, place.namespace)).collect())
    }

    /// What a role needs is not known while one of its objects cannot be read.
    fn all_fit(&self, path: &Path) -> Result<(), TrustError> {
        self.broken.first().map_or(Ok(()), |problem| Err(content(path, problem)))
    }

    /// What could not be read beside the bindings, for whoever does not need it.
    pub(in crate::cli) fn notes(&self) -> impl Iterator<Item = String> {
        let note = |problem| format!("note: not looked at: {problem}");
        self.broken.iter().map(note)
    }

    fn of_binding<'a>(&'a self, binding: &'a TrustBinding) -> impl Iterator<Item = &'a dyn Needing> {
        let name = binding.metadata.name.as_deref().unwrap_or_default();
        let workflows = self.workflows.iter().map(|one| one as &dyn Needing);
        let all = workflows.chain(self.activities.iter().map(|one| one as &dyn Needing));
        all.filter(move |object| object.need().is_some_and(|(of, _)| of == name))
    }
}

/// `TrustBinding shop/orders`.
pub(super) fn subject(binding: &TrustBinding) -> String {
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let namespace = binding.metadata.namespace.iter().map(|namespace| format!("{namespace}/"));
    format!("TrustBinding {}{name}", namespace.collect::<String>())
}

/// Whose a manifest is.
pub(in crate::cli) struct Place<'a> {
    /// The namespace.
    pub(in crate::cli) namespace: &'a str,
    /// What the operator puts before default names.
    pub(in crate::cli) name_prefix: &'a str,
    /// Id of the cluster, where it is known.
    pub(in crate::cli) cluster: Option<&'a str>,
}

/// The file itself, or the manifests in a folder, by name.
pub(super) fn manifests(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let is_manifest =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
    let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).filter(is_manifest).collect();
    files.sort();
    Ok(files)
}

/// A file that was named must be text; one that was found in a folder may be anything that is not ours.
fn manifest_text(file: &Path, given: &Path) -> Result<Option<String>, TrustError> {
    if file == given {
        return read(file).map(Some);
    }
    files::read_found(file).map_err(|source| TrustError::Read { path: file.to_owned(), source })
}

/// What a document is, for whoever gave it; nothing for one without a value.
fn described(value: &Value) -> Option<String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    Some(match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) => {
            format!("{kind} {name} ({})", text("/apiVersion").unwrap_or("without an apiVersion"))
        }
        (Some(kind), None) => format!("a {kind}"),
        (None, _) if value.get("StartAt").is_some() || value.get("States").is_some() => "a definition".into(),
        (None, _) if value.is_null() => return None,
        (None, _) if value.is_string() => "a text".into(),
        (None, _) => "something that is no manifest".into(),
    })
}

fn typed<T: serde::de::DeserializeOwned>(path: &Path, value: Value) -> Result<T, TrustError> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    serde_json::from_value(value).map_err(|error| {
        content(path, &format!("{kind} \"{name}\": {error}; `stepbound lint` tells every problem with its place"))
    })
}

fn keep<T: serde::de::DeserializeOwned>(all: &mut Vec<T>, broken: &mut Vec<String>, path: &Path, value: Value) {
    match typed(path, value) {
        Ok(one) => all.push(one),
        Err(error) => broken.push(match error {
            TrustError::Content { problem, .. } => problem,
            other => other.to_string(),
        }),
    }
}

/// What the operator refuses of a binding whose manifest fits.
fn refusal(failure: Failure) -> Finding {
    Finding { severity: Severity::Error.text().into(), code: failure.reason.as_str().into(), message: failure.message }
}

/// The tokens that a binding shows: those of its status where it has one, which knows the subjects of other providers, else
/// the cluster's.
pub(super) fn tokens(
    binding: &TrustBinding,
    namespace: &str,
    issuer: Option<&str>,
) -> Result<Vec<TrustedToken>, TrustError> {
    let known = binding.status.as_ref().map(|status| status.identities.as_slice()).unwrap_or_default();
    if !known.is_empty() {
        let token = |one: &TrustedIdentity| TrustedToken {
            issuer: one.issuer.clone(),
            subject: one.subject.clone(),
            audience: one.audience.clone(),
            authorized_party: one.authorized_party.clone(),
        };
        return Ok(known.iter().map(token).collect());
    }
    if let Some(provider) = &binding.spec.identity_provider_ref {
        return Err(TrustError::Usage(format!(
            "the subject of IdentityProvider \"{}\" is known once a token was given: apply the binding and read .status.trustPolicy, or give --issuer, --subject and --audience",
            provider.name
        )));
    }
    let Some(issuer) = issuer else {
        return Err(TrustError::Usage(
            "give the cluster's issuer with --issuer; kubectl get --raw /.well-known/openid-configuration tells it"
                .into(),
        ));
    };
    Ok(vec![TrustedToken {
        issuer: issuer.to_owned(),
        subject: format!("system:serviceaccount:{namespace}:{}", binding.spec.service_account_name),
        audience: binding.spec.audience.clone(),
        authorized_party: None,
    }])
}

/// Namespace of a binding: its own, else the flag's.
pub(in crate::cli) fn namespace<'a>(binding: &'a TrustBinding, flag: Option<&'a str>) -> Result<&'a str, TrustError> {
    binding
        .metadata
        .namespace
        .as_deref()
        .or(flag)
        .ok_or_else(|| TrustError::Usage("the TrustBinding names no namespace; give it with --namespace".into()))
}
