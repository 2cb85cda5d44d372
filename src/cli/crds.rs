//! `stepbound crds`

mod reference;

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;

use super::out::print;
use crate::api::v1alpha1::custom_resource_definitions;

/// Flags of `stepbound crds`.
#[derive(Debug, clap::Args)]
pub struct CrdsFlags {
    /// Write one file a kind into this folder instead of printing
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Write the reference of every field into this file, as Markdown
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
}

/// Why the definitions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CrdsError {
    /// A schema cannot be written as JSON.
    #[error("a generated schema is not valid: {0}")]
    Schema(#[from] serde_json::Error),
    /// A definition cannot be written as YAML.
    #[error("a definition cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file, or `standard output`.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

pub(super) fn run(flags: &CrdsFlags) -> Result<(), CrdsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CrdsError::Write { path, source }
    };
    let definitions = custom_resource_definitions()?;
    if let Some(path) = &flags.reference {
        std::fs::write(path, reference::page(&definitions)).map_err(failed(path))?;
    }
    if flags.output_dir.is_none() && flags.reference.is_some() {
        return Ok(());
    }
    for crd in &definitions {
        let text = serde_yaml::to_string(crd)?;
        if let Some(folder) = &flags.output_dir {
            let path = folder.join(file_of(crd));
            std::fs::write(&path, text).map_err(failed(&path))?;
        } else {
            print(&format!("---\n{text}")).map_err(failed(Path::new("standard output")))?;
        }
    }
    if let Some(folder) = &flags.output_dir {
        let path = folder.join("kustomization.yaml");
        std::fs::write(&path, kustomization(&definitions)).map_err(failed(&path))?;
    }
    Ok(())
}

fn file_of(crd: &CustomResourceDefinition) -> String {
    format!("{}.yaml", crd.name_any())
}

/// The files as a base of kustomize.
fn kustomization(definitions: &[CustomResourceDefinition]) -> String {
    let mut files: Vec<String> = definitions.iter().map(file_of).collect();
    files.sort();
    let header = "# The definitions as a base of kustomize, written by `make crds`.\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
    files.iter().fold(header.to_owned(), |text, file| format!("{text}  - {file}\n"))
}
