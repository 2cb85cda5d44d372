//! `kubectl sfn graph|lint|policy|trust`: as `stepbound` has them, with objects of the cluster beside files.

use std::path::Path;

use super::objects::{Named, manifests};
use super::{Cluster, Exit, KubectlError};
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

/// The end of an offline verb, with the exit codes of this plugin.
pub(super) fn ended(answer: Result<std::process::ExitCode, CliError>) -> Exit {
    match answer {
        Ok(code) if code == std::process::ExitCode::SUCCESS => Exit::Done,
        Ok(_) => Exit::Failed,
        Err(error) => {
            say(&format!("error: {error}"));
            if error.exit_code() == 1 { Exit::Failed } else { Exit::Usage }
        }
    }
}
