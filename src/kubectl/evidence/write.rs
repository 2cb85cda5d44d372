//! The folder: written whole or not at all.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::digest::sha256_hex;
use crate::kubectl::KubectlError;

/// What lists the files; who replaces a folder looks for it, so that no other is ever lost.
const MANIFEST: &str = "manifest.json";

/// What was written.
pub(super) struct Written {
    pub files: usize,
}

/// What stands at the folder's path.
enum There {
    Nothing,
    Empty,
    Ours,
}

/// Refuses a place that must not be written to, before anything is read.
pub(super) fn check(folder: &Path, force: bool) -> Result<(), KubectlError> {
    there(folder, force).map(|_| ())
}

fn there(folder: &Path, force: bool) -> Result<There, KubectlError> {
    let usage = |why: &str| {
        Err(KubectlError::Usage(format!("{} {why}; name another folder with --output-dir", folder.display())))
    };
    let meta = match fs::symlink_metadata(folder) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(There::Nothing),
        Err(error) => return usage(&format!("cannot be looked at: {error}")),
    };
    if !meta.is_dir() {
        return usage("is no folder");
    }
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return usage(&format!("cannot be read: {error}")),
    };
    if entries.next().is_none() {
        return Ok(There::Empty);
    }
    let manifest = fs::read_to_string(folder.join(MANIFEST)).ok();
    let manifest = manifest.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let is_ours = manifest
        .is_some_and(|value| value["writtenBy"].as_str().is_some_and(|by| by.starts_with("kubectl sfn evidence ")));
    match (is_ours, force) {
        (true, true) => Ok(There::Ours),
        (true, false) => usage("holds evidence already, which --force writes over"),
        (false, _) => usage("holds something that is no evidence"),
    }
}

/// Writes the files beside, with a manifest of their digests, and puts them into place together.
pub(super) fn folder(
    folder: &Path,
    mut texts: Vec<(String, String)>,
    mut manifest: Value,
    force: bool,
) -> Result<Written, KubectlError> {
    texts.sort();
    let files: Vec<Value> = texts
        .iter()
        .map(|(name, text)| json!({"name": name, "sha256": sha256_hex(text.as_bytes()), "bytes": text.len()}))
        .collect();
    manifest["files"] = json!(files);
    texts.push((MANIFEST.to_owned(), format!("{manifest:#}\n")));
    let (beside, old) = (beside(folder, "new")?, beside(folder, "old")?);
    let failed = |error: std::io::Error| {
        KubectlError::Usage(format!("cannot write {}: {error}; nothing was left there", folder.display()))
    };
    let done = write(&beside, &texts).map_err(failed).and_then(|()| {
        let there = there(folder, force)?;
        put(&beside, folder, &there, &old).map_err(failed)
    });
    if done.is_err() {
        // What is half written is nobody's; that it cannot be removed changes nothing about the failure.
        let _ = fs::remove_dir_all(&beside);
    }
    done.map(|()| Written { files: texts.len() })
}

/// A folder beside another that nobody else writes to.
fn beside(folder: &Path, what: &str) -> Result<PathBuf, KubectlError> {
    let Some(name) = folder.file_name().filter(|name| !name.is_empty()) else {
        return Err(KubectlError::Usage(format!(
            "{} is no name of a folder; name one with --output-dir",
            folder.display()
        )));
    };
    Ok(folder.with_file_name(format!(".{}.{what}-{}", name.to_string_lossy(), std::process::id())))
}

fn write(folder: &Path, texts: &[(String, String)]) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    // Who may do what is for whoever asked alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    builder.create(folder)?;
    for (name, text) in texts {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn put(new: &Path, folder: &Path, there: &There, old: &Path) -> std::io::Result<()> {
    match there {
        There::Nothing => fs::rename(new, folder),
        There::Empty => {
            fs::remove_dir(folder)?;
            fs::rename(new, folder)
        }
        There::Ours => {
            fs::rename(folder, old)?;
            if let Err(error) = fs::rename(new, folder) {
                fs::rename(old, folder)?;
                return Err(error);
            }
            fs::remove_dir_all(old)
        }
    }
}
