//! State machines from files: Workflow manifests with what stands beside them, and bare definitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::files;
use super::lint::held;
use crate::api::v1alpha1::{GROUP, TrustBinding, Workflow};
use crate::asl::{self, Definition, DefinitionError, Parsed, Places, StepRole, SyntaxError};
use crate::nesting::{self, Cutter};
use crate::plan::step_roles::wanted;

/// Why files give no state machines.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file cannot be read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// The path as given.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is neither JSON nor YAML.
    #[error("{name}: {source}")]
    Syntax {
        /// The path as given.
        name: String,
        /// Where and what.
        source: SyntaxError,
    },
    /// A manifest does not fit the schema of its kind.
    #[error(
        "{name}: {what} does not fit its schema: {problem}\nRun `stepbound lint` to see every problem with its place."
    )]
    Manifest {
        /// The path as given.
        name: String,
        /// Kind and name.
        what: String,
        /// What does not fit.
        problem: String,
    },
    /// A definition is not valid.
    #[error(
        "{what}: {}\nRun `stepbound lint` to see every problem with its place.",
        why.to_string().replace(" in .status.diagnostics", "")
    )]
    Definition {
        /// Which.
        what: String,
        /// What is wrong. Not the source of this error, which says all of it.
        why: DefinitionError,
    },
    /// The definition of a Workflow stands elsewhere.
    #[error(
        "{what} takes its definition from ConfigMap \"{config_map}\", key \"{key}\", which is not among the files; give its file too"
    )]
    Elsewhere {
        /// Which Workflow.
        what: String,
        /// The ConfigMap.
        config_map: String,
        /// Its key.
        key: String,
    },
    /// No file holds a state machine.
    #[error(
        "there is no state machine: {0}; give a definition, an object with StartAt and States, or the manifest of a Workflow of apiVersion {GROUP}/v1alpha1"
    )]
    Nothing(String),
    /// No Workflow has the role that was asked for.
    #[error("no Workflow among the files uses {0}; correct --execution-role, or give the file of its Workflow")]
    OfRole(String),
}

/// A state machine and what is known of it.
#[derive(Debug)]
pub struct Loaded {
    /// What to call it: `Workflow shop/fulfil`, or the file.
    pub what: String,
    /// The definition with its substitutions put in; a name without a value stands in it as it is written.
    pub definition: Definition,
    /// The Workflow that it is of.
    pub workflow: Option<Workflow>,
    /// The binding of that Workflow, where it is among the files.
    pub binding: Option<TrustBinding>,
}

/// Reads files, folders (their YAML and JSON files) and `-`. `substitutions` are put into bare definitions, and into
/// Workflows over their own.
///
/// # Errors
/// The first thing that cannot be read or is not valid; and when nothing is found.
pub fn load(paths: &[PathBuf], substitutions: &BTreeMap<String, String>) -> Result<Vec<Loaded>, InputError> {
    read(paths, substitutions, Objects::default())
}

/// As [`load`], for whoever only looks at them: what is wrong with a definition is among its warnings, and of what is nested too deep
/// the outer part is there.
///
/// # Errors
/// As [`load`], but for definitions that are not valid.
pub fn load_as_it_is(paths: &[PathBuf], substitutions: &BTreeMap<String, String>) -> Result<Vec<Loaded>, InputError> {
    read(paths, substitutions, Objects { as_it_is: true, ..Objects::default() })
}

fn read(
    paths: &[PathBuf],
    substitutions: &BTreeMap<String, String>,
    mut objects: Objects,
) -> Result<Vec<Loaded>, InputError> {
    for path in paths {
        if path.is_dir() {
            let before = objects.held.len();
            folder(path, &mut objects)?;
            if objects.held.len() == before {
                objects.held.push(format!("{} has no .yaml, .yml or .json file", path.display()));
            }
        } else {
            let text = files::read(path).map_err(failed(path))?;
            let name = if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.display().to_string() };
            objects.read(&name, &text, true)?;
        }
    }
    let held = std::mem::take(&mut objects.held);
    let loaded = objects.machines(substitutions)?;
    if loaded.is_empty() {
        let more = if held.len() > NAMED { ", …" } else { "" };
        return Err(InputError::Nothing(held[..held.len().min(NAMED)].join(", ") + more));
    }
    Ok(loaded)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> InputError {
    let name = path.display().to_string();
    move |source| InputError::Read { name, source }
}

/// In the order of names, without what is hidden.
fn folder(path: &Path, objects: &mut Objects) -> Result<(), InputError> {
    let entries =
        std::fs::read_dir(path).map_err(failed(path))?.collect::<Result<Vec<_>, _>>().map_err(failed(path))?;
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let known = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if path.is_dir() && !hidden {
            folder(&path, objects)?;
        } else if known {
            let text = files::read_found(&path).map_err(failed(&path))?.unwrap_or_default();
            objects.read(&path.display().to_string(), &text, false)?;
        }
    }
    Ok(())
}

/// What the files hold.
#[derive(Default)]
struct Objects {
    /// Whether definitions are taken that are not valid.
    as_it_is: bool,
    workflows: Vec<(String, Workflow)>,
    bindings: Vec<TrustBinding>,
    config_maps: Vec<ConfigMap>,
    definitions: Vec<(String, Parsed)>,
    /// What each file holds, for whoever finds no state machine in them.
    held: Vec<String>,
}

/// So many files are named.
const NAMED: usize = 4;

impl Objects {
    /// A file that was named must be readable; one that was found in a folder may be of another kind.
    fn read(&mut self, name: &str, text: &str, named: bool) -> Result<(), InputError> {
        let parsed = self.parse(text);
        let documents = parsed.as_deref().unwrap_or_default();
        self.held.push(format!("{name} {}", held(text, documents).0));
        match parsed {
            Ok(documents) => documents.into_iter().try_for_each(|document| {
                let is_definition = document.value.get("kind").is_none();
                if !is_definition {
                    return self.add(name, document.value);
                }
                self.definition(name, document);
                Ok(())
            }),
            Err(_) if !named && !text.contains("stepbound.dev/") && !text.contains("StartAt") => Ok(()),
            Err(source) => Err(InputError::Syntax { name: name.to_owned(), source }),
        }
    }

    fn parse(&self, text: &str) -> Result<Vec<Parsed>, SyntaxError> {
        match asl::parse_all(text) {
            Err(error) if error.is_too_deep && self.as_it_is => cut(text),
            parsed => parsed,
        }
    }

    fn add(&mut self, name: &str, value: Value) -> Result<(), InputError> {
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        let ours = value["apiVersion"].as_str().is_some_and(|version| version.starts_with("stepbound.dev/"));
        match kind.as_str() {
            "Workflow" if ours => self.workflows.push((name.to_owned(), typed(name, value)?)),
            "TrustBinding" if ours => self.bindings.push(typed(name, value)?),
            "ConfigMap" => self.config_maps.push(typed(name, value)?),
            list if list.ends_with("List") => {
                let items = value["items"].as_array().cloned().unwrap_or_default();
                items.into_iter().try_for_each(|item| self.add(name, item))?;
            }
            "" => {
                let places = Places::of(&value);
                self.definition(name, Parsed { value, places, ..Parsed::default() });
            }
            _ => {}
        }
        Ok(())
    }

    fn definition(&mut self, name: &str, document: Parsed) {
        if document.value.get("StartAt").is_some() || document.value.get("States").is_some() {
            self.definitions.push((name.to_owned(), document));
        }
    }

    fn machines(self, substitutions: &BTreeMap<String, String>) -> Result<Vec<Loaded>, InputError> {
        let mut loaded = Vec::new();
        for (file, workflow) in &self.workflows {
            loaded.push(self.of_workflow(file, workflow, substitutions)?);
        }
        for (file, document) in self.definitions {
            let definition = if self.as_it_is {
                asl::as_it_is(document, substitutions, &[])
            } else {
                asl::prepare_parsed(document, substitutions)
                    .map_err(|why| InputError::Definition { what: file.clone(), why })?
            };
            loaded.push(Loaded { what: file, definition, workflow: None, binding: None });
        }
        Ok(loaded)
    }

    fn of_workflow(
        &self,
        file: &str,
        workflow: &Workflow,
        more: &BTreeMap<String, String>,
    ) -> Result<Loaded, InputError> {
        let namespace = workflow.namespace();
        let place = namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let what = format!("Workflow {place}{}", workflow.name_any());
        let spec = &workflow.spec;
        let mut substitutions: BTreeMap<String, String> = BTreeMap::new();
        for from in &spec.substitutions_from {
            let found = self.config_map(namespace.as_ref(), &from.config_map_ref.name);
            substitutions.extend(found.and_then(|map| map.data.clone()).unwrap_or_default());
        }
        substitutions.extend(spec.substitutions.iter().map(|(name, value)| (name.clone(), value.0.clone())));
        substitutions.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        let text = match (&spec.definition, &spec.definition_from) {
            (Some(definition), _) => definition.text().to_owned(),
            (None, Some(from)) => {
                let from = &from.config_map_key_ref;
                let data = self.config_map(namespace.as_ref(), &from.name).and_then(|map| map.data.as_ref());
                let found = data.and_then(|data| data.get(&from.key)).cloned();
                let (config_map, key) = (from.name.clone(), from.key.clone());
                found.ok_or_else(|| InputError::Elsewhere { what: what.clone(), config_map, key })?
            }
            (None, None) => String::new(),
        };
        let definition = self
            .prepared(&text, &substitutions, &wanted(spec))
            .map_err(|why| InputError::Definition { what: format!("{file}: {what}"), why })?;
        let binding = self
            .bindings
            .iter()
            .find(|binding| binding.name_any() == spec.trust_binding_ref.name && binding.namespace() == namespace);
        Ok(Loaded { what, definition, workflow: Some(workflow.clone()), binding: binding.cloned() })
    }

    fn prepared(
        &self,
        text: &str,
        substitutions: &BTreeMap<String, String>,
        step_roles: &[StepRole<'_>],
    ) -> Result<Definition, DefinitionError> {
        if !self.as_it_is {
            return asl::prepare_template(text, substitutions, step_roles);
        }
        let document = self.parse(text)?.into_iter().next().unwrap_or_default();
        Ok(asl::as_it_is(document, substitutions, step_roles))
    }

    fn config_map(&self, namespace: Option<&String>, name: &str) -> Option<&ConfigMap> {
        self.config_maps.iter().find(|map| map.name_any() == name && map.namespace().as_ref() == namespace)
    }
}

/// A text without what is nested too deep in it.
fn cut(text: &str) -> Result<Vec<Parsed>, SyntaxError> {
    if !text.trim_start().starts_with('{') {
        return asl::parse_cut(text, nesting::MARK);
    }
    let kept = Cutter::default().cut(text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec());
    asl::parse_all(&String::from_utf8_lossy(&kept))
}

fn typed<T: DeserializeOwned>(file: &str, value: Value) -> Result<T, InputError> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let what = format!("{} {}", text(&value["kind"]), text(&value["metadata"]["name"]));
    serde_json::from_value(value).map_err(|error| InputError::Manifest {
        name: file.to_owned(),
        what,
        problem: error.to_string(),
    })
}
