//! `kubectl sfn diff -f FILE`

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use kube::ResourceExt;
use serde_json::Value;

use super::kinds::{Kind, name_of};
use super::objects::{Shown, config_maps, see, workflow_manifests};
use super::show::{self, print};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{LogLevel, StateMachineType, TrustBinding, Workflow, WorkflowSpec};
use crate::asl::model::Arn;
use crate::asl::{self, Circumstances, Definition};
use crate::cli::input::{Loaded, load_as_it_is};
use crate::cli::out::colour;
use crate::cli::{files, say};
use crate::graph::{Flow, terminal};
use crate::iam::execution_role::Surroundings;
use crate::iam::partition;
use crate::plan::changes::{Change, Side, changes, values};
use crate::plan::workflow::default_name;
use words::Difference;

/// Flags of `kubectl sfn diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing differs; 1 something does; above 1 there is no answer.")]
pub(super) struct DiffFlags {
    /// Manifests of Workflows, or a definition (- for standard input; repeatable)
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The Workflow of a definition that is no manifest
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Draw the definition before and after
    #[arg(long)]
    graph: bool,
    /// text: for people; json: for scripts
    #[arg(short, long, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(flags: &DiffFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let mut told = Vec::new();
    for after in given(flags, cluster).await? {
        told.push(compared(flags, cluster, &after).await?);
    }
    match flags.output {
        Format::Text => {
            let text: String = told.iter().map(|one| one.text(colour())).collect();
            print(&text)?;
        }
        Format::Json => {
            let all: Vec<Value> = told.iter().map(Difference::view).collect();
            print(&show::json(&Value::Array(all)))?;
        }
    }
    Ok(if told.iter().all(Difference::is_empty) { Exit::Done } else { Exit::Failed })
}

/// What the files hold, with the ConfigMaps of the cluster that they do not have themselves.
async fn given(flags: &DiffFlags, cluster: &Cluster) -> Result<Vec<Loaded>, KubectlError> {
    let mut paths = Vec::new();
    for path in &flags.files {
        let read = |error| KubectlError::Usage(format!("cannot read {}: {error}", path.display()));
        let text = files::read(path).map_err(read)?;
        let beside = maps_beside(&text, cluster).await?;
        files::know(path, text);
        paths.push(path.clone());
        if !beside.is_empty() {
            let name = PathBuf::from(format!("ConfigMaps of the cluster beside {}", path.display()));
            files::know(&name, beside);
            paths.push(name);
        }
    }
    load_as_it_is(&paths, &BTreeMap::new()).map_err(|error| KubectlError::Usage(error.to_string()))
}

/// Manifests of the ConfigMaps that the text's Workflows name and that are not in it. They have the namespace as the text writes it,
/// or none, since that is how they are found.
async fn maps_beside(text: &str, cluster: &Cluster) -> Result<String, KubectlError> {
    let documents = asl::parse_all(text).unwrap_or_default();
    let objects: Vec<&Value> = documents.iter().flat_map(|document| items(&document.value)).collect();
    let name = |object: &Value| object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let known: BTreeSet<String> = of_kind("ConfigMap").filter_map(|object| name(object)).collect();
    let mut found = Vec::new();
    for object in of_kind("Workflow") {
        let Ok(workflow) = serde_json::from_value::<Workflow>((*object).clone()) else { continue };
        let named: BTreeSet<&str> = workflow.spec.config_maps().filter(|map| !known.contains(*map)).collect();
        for map in config_maps(&in_namespace(cluster, &workflow), &named).await? {
            let mut map = asl::parse(&map).map(|parsed| parsed.value).unwrap_or_default();
            match (workflow.namespace(), map.pointer_mut("/metadata").and_then(Value::as_object_mut)) {
                (None, Some(metadata)) => drop(metadata.remove("namespace")),
                (Some(namespace), Some(metadata)) => drop(metadata.insert("namespace".into(), namespace.into())),
                (_, None) => {}
            }
            found.push(format!("{map}\n"));
        }
    }
    Ok(found.join("---\n"))
}

/// The objects of a document: itself, or the items of a List.
fn items(document: &Value) -> Vec<&Value> {
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match document["items"].as_array().filter(|_| is_list) {
        Some(all) => all.iter().flat_map(items).collect(),
        None => vec![document],
    }
}

/// The cluster, with the namespace that the manifest names.
fn in_namespace(cluster: &Cluster, workflow: &Workflow) -> Cluster {
    let mut cluster = cluster.clone();
    if let Some(namespace) = workflow.namespace() {
        cluster.namespace = namespace;
    }
    cluster
}

async fn compared(flags: &DiffFlags, cluster: &Cluster, after: &Loaded) -> Result<Difference, KubectlError> {
    let cluster = after.workflow.as_ref().map_or_else(|| cluster.clone(), |workflow| in_namespace(cluster, workflow));
    let name = match (&after.workflow, &flags.workflow) {
        (Some(workflow), _) => name_of(Kind::Workflow, &workflow.name_any())?,
        (None, Some(name)) => name_of(Kind::Workflow, name)?,
        (None, None) => {
            let message = format!("{} is a definition alone; say with --workflow of which Workflow it is", after.what);
            return Err(KubectlError::Usage(message));
        }
    };
    let whose = format!("Workflow {}/{name}", cluster.namespace);
    let before = match see::<Workflow>(&cluster, &name).await? {
        Shown::There(workflow) => Some(loaded(&cluster, &workflow).await?),
        Shown::Missing => None,
        Shown::Hidden(why) => return Err(KubectlError::hidden(&format!("get {whose}"), &why)),
    };
    let nothing = asl::as_it_is(asl::Parsed::default(), &BTreeMap::new(), &[]);
    let (old, spec) = before.as_ref().map_or((&nothing, None), |one| (&one.definition, spec_of(one)));
    let new_spec = spec_of(after).or(spec);
    let region = region(&cluster, before.as_ref(), after).await;
    let here_before = spec.and_then(|spec| surroundings(spec, region.as_deref(), &cluster.namespace, &name));
    let here_after = new_spec.and_then(|spec| surroundings(spec, region.as_deref(), &cluster.namespace, &name));
    let found = changes(
        &Side {
            definition: old,
            circumstances: circumstances(old, spec.or(new_spec)),
            // A Workflow that is not there yet needs nothing so far.
            here: here_before.as_ref().or(here_after.as_ref().filter(|_| before.is_none())),
        },
        &Side {
            definition: &after.definition,
            circumstances: circumstances(&after.definition, new_spec),
            here: here_after.as_ref(),
        },
    );
    let settings = match (spec, spec_of(after)) {
        (Some(old), Some(new)) => settings(old, new)?,
        _ => Vec::new(),
    };
    let drawings = flags.graph.then(|| {
        let draw = |definition: &Definition| terminal(&Flow::of(&definition.machine()), None, colour()).text;
        (before.as_ref().map(|one| draw(&one.definition)), draw(&after.definition))
    });
    Ok(Difference { whose, file: after.what.clone(), is_new: before.is_none(), found, settings, drawings })
}

fn spec_of(one: &Loaded) -> Option<&WorkflowSpec> {
    one.workflow.as_ref().map(|workflow| &workflow.spec)
}

/// The Workflow of the cluster, read as a file would be.
async fn loaded(cluster: &Cluster, workflow: &Workflow) -> Result<Loaded, KubectlError> {
    let path = Path::new("the cluster").join(&cluster.namespace).join(workflow.name_any());
    files::know(&path, workflow_manifests(cluster, workflow).await?);
    let loaded = load_as_it_is(std::slice::from_ref(&path), &BTreeMap::new());
    let mut loaded = loaded.map_err(|error| KubectlError::Refused(error.to_string()))?;
    loaded.pop().ok_or_else(|| KubectlError::Refused(format!("Workflow \"{}\" has no definition", workflow.name_any())))
}

fn circumstances(definition: &Definition, spec: Option<&WorkflowSpec>) -> Circumstances {
    Circumstances {
        express: spec.is_some_and(|spec| spec.machine_type == StateMachineType::Express),
        placeholders: definition.text().contains("${"),
        partition: spec.and_then(|spec| partition::of_arn(&spec.execution_role_arn)),
    }
}

/// The region of the binding of either side, or of the state machine that there is.
async fn region(cluster: &Cluster, before: Option<&Loaded>, after: &Loaded) -> Option<String> {
    let of_binding = |one: &Loaded| one.binding.as_ref().map(|binding| binding.spec.region.clone());
    if let Some(region) = of_binding(after).or_else(|| before.and_then(of_binding)) {
        return Some(region);
    }
    let status = before.and_then(|one| one.workflow.as_ref()?.status.as_ref()?.state_machine_arn.clone());
    if let Some(arn) = status.as_deref().and_then(Arn::parse) {
        return Some(arn.region.to_owned());
    }
    let binding = &after.workflow.as_ref()?.spec.trust_binding_ref.name;
    match see::<TrustBinding>(cluster, binding).await {
        Ok(Shown::There(binding)) => Some(binding.spec.region),
        Ok(Shown::Missing) => None,
        Ok(Shown::Hidden(why)) => {
            say(&format!("note: permissions are not compared, since the region is not known: {why}"));
            None
        }
        Err(error) => {
            say(&format!("note: permissions are not compared, since the region is not known: {error}"));
            None
        }
    }
}

fn surroundings(spec: &WorkflowSpec, region: Option<&str>, namespace: &str, name: &str) -> Option<Surroundings> {
    let role = Arn::parse(&spec.execution_role_arn)?;
    Some(Surroundings {
        partition: role.partition.to_owned(),
        region: region?.to_owned(),
        account: role.account.to_owned(),
        name: Some(spec.state_machine_name.clone().unwrap_or_else(|| default_name("", namespace, name))),
        execution_role_arn: Some(spec.execution_role_arn.clone()),
        logging: spec.logging.as_ref().is_some_and(|logging| logging.level != LogLevel::None),
        tracing: spec.tracing.as_ref().is_some_and(|tracing| tracing.enabled),
        kms_key_id: spec.encryption.as_ref().map(|encryption| encryption.kms_key_id.clone()),
        resources: BTreeMap::new(),
    })
}

/// What differs in the spec beside the definition. What a manifest leaves out has its default, as the API server would put it in.
fn settings(old: &WorkflowSpec, new: &WorkflowSpec) -> Result<Vec<Change>, KubectlError> {
    let value = |spec: &WorkflowSpec| {
        let mut value = serde_json::to_value(spec).map_err(|error| KubectlError::Print(error.to_string()))?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("definition");
        }
        Ok::<Value, KubectlError>(value)
    };
    Ok(values(&value(old)?, &value(new)?))
}
