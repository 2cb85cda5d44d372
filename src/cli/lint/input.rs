//! What is to be checked, read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::LintError;
use crate::cli::files;

/// A text and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it, or `<stdin>`.
    pub name: String,
    /// All of it.
    pub text: String,
    /// The folder that was given, where the text was found in one: what is neither a manifest nor a definition is passed over.
    pub folder: Option<String>,
}

/// Folders that hold nothing of a project's own.
const PASSED_OVER: [&str; 3] = ["node_modules", "target", "vendor"];

pub(super) fn read(paths: &BTreeSet<&PathBuf>) -> Result<Vec<Source>, LintError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let failed = |source| LintError::Read { name: "standard input".into(), source };
            let text = files::read(path).map_err(failed)?;
            sources.push(Source { name: "<stdin>".into(), text, folder: None });
        } else if path.is_dir() {
            let before = sources.len();
            folder(path, path, &mut sources)?;
            if sources.len() == before {
                return Err(LintError::NoFiles(path.display().to_string()));
            }
        } else {
            sources.push(file(path, None)?);
        }
    }
    Ok(sources)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> LintError {
    let name = path.display().to_string();
    move |source| LintError::Read { name, source }
}

fn file(path: &Path, folder: Option<&Path>) -> Result<Source, LintError> {
    let read = match folder {
        // What is no text is no manifest.
        Some(_) => files::read_found(path).map(Option::unwrap_or_default),
        None => files::read(path),
    };
    let text = read.map_err(failed(path))?;
    let folder = folder.map(|folder| folder.display().to_string());
    Ok(Source { name: path.display().to_string(), text, folder })
}

/// In the order of names; links are not followed, so none leads in a circle.
fn folder(given: &Path, path: &Path, sources: &mut Vec<Source>) -> Result<(), LintError> {
    let entries = std::fs::read_dir(path).map_err(failed(path))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed(path))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() && !name.starts_with('.') && !PASSED_OVER.contains(&name.as_str()) {
            folder(given, &path, sources)?;
        } else if kind.is_file() && [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension)) {
            sources.push(file(&path, Some(given))?);
        }
    }
    Ok(())
}
