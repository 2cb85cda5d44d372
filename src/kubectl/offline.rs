//! `kubectl sfn graph|lint|policy|trust`: as `stepbound` has them, with objects of the cluster beside files.

use std::path::Path;

use super::kinds::{Kind, Named};
use super::objects::manifests;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::is_object_name;
use crate::cli::program::as_typed;
use crate::cli::{CliError, files, say};

/// Reads the objects that stand where files are taken, such as `workflow/fulfil`. A file of that name comes first, so that what
/// works without a cluster does with one.
pub(super) async fn read_objects(
    paths: &[&Path],
    connect: impl AsyncFnOnce() -> Result<Cluster, KubectlError>,
) -> Result<(), KubectlError> {
    let named = |path: &&Path| if path.exists() { None } else { Some((path.to_path_buf(), named(path)?)) };
    let objects: Vec<_> = paths.iter().filter_map(named).collect();
    if objects.is_empty() {
        return Ok(());
    }
    let cluster = connect().await?;
    for (path, named) in objects {
        files::know(&path, manifests(&cluster, &named).await?);
    }
    Ok(())
}

fn named(path: &Path) -> Option<Named> {
    Named::parse(path.to_str()?)
}

/// The end of an offline verb, with the exit codes of this plugin. Where the name of an object stands without its kind, which
/// is that of a file, the objects that the verb takes are named.
pub(super) fn ended(answer: Result<std::process::ExitCode, CliError>, paths: &[&Path], takes: Kind) -> Exit {
    match answer {
        Ok(code) if code == std::process::ExitCode::SUCCESS => Exit::Done,
        Ok(_) => Exit::Failed,
        Err(error) => {
            let bare = paths.iter().filter(|path| !path.exists()).filter_map(|path| path.to_str());
            let bare = bare.filter(|name| is_object_name(name) && Path::new(name).extension().is_none());
            let hint: String = bare.map(|name| format!("; did you mean {}/{name}?", takes.word())).take(1).collect();
            say(&format!("error: {}{hint}", as_typed(&error.to_string())));
            if error.exit_code() == 1 { Exit::Failed } else { Exit::Usage }
        }
    }
}
