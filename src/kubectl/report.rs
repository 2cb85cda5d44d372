//! `kubectl sfn report RUN`

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;

use super::kinds::{Kind, name_of};
use super::objects::{self, Shown, see, workflow_manifests};
use super::show::print;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Workflow, WorkflowRun};
use crate::cli::input::load_as_it_is;
use crate::cli::{files, say};
use crate::graph::{Flow, History, svg};
use page::{Drawn, page};

/// Flags of `kubectl sfn report`.
#[derive(Debug, Args)]
#[command(
    after_help = "The file needs nothing beside it, runs no script and loads nothing: it can be mailed, attached and kept."
)]
pub(super) struct ReportFlags {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Write the file here instead of to standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Leave input and output out
    #[arg(long)]
    without_data: bool,
}

pub(super) async fn run(flags: &ReportFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let name = name_of(Kind::Run, &flags.run)?;
    let run: WorkflowRun = objects::get(cluster, Kind::Run, &name).await?;
    let drawn = drawn(cluster, &run).await?;
    let text = page(&run, &cluster.namespace, &drawn, !flags.without_data, Timestamp::now());
    let text = text.map_err(|error| KubectlError::Print(error.to_string()))?;
    let Some(path) = &flags.output_file else {
        print(&text)?;
        return Ok(Exit::Done);
    };
    std::fs::write(path, text).map_err(|error| {
        KubectlError::Usage(format!("cannot write {}: {error}; name another file with --output-file", path.display()))
    })?;
    say(&format!("Written: {}", path.display()));
    Ok(Exit::Done)
}

/// The drawing of the run's Workflow, as it is now, with what is to be said of it.
async fn drawn(cluster: &Cluster, run: &WorkflowRun) -> Result<Drawn, KubectlError> {
    let name = &run.spec.workflow_ref.name;
    let workflow = match see::<Workflow>(cluster, name).await? {
        Shown::There(workflow) => workflow,
        Shown::Missing => {
            return Ok(Drawn::none(format!("Workflow \"{name}\" is not there any more, so nothing is drawn.")));
        }
        Shown::Hidden(why) => {
            return Ok(Drawn::none(format!("Nothing is drawn, since the Workflow may not be seen: {why}")));
        }
    };
    let path = Path::new("the cluster").join(&cluster.namespace).join(workflow.name_any());
    files::know(&path, workflow_manifests(cluster, &workflow).await?);
    let loaded = load_as_it_is(std::slice::from_ref(&path), &BTreeMap::new());
    let loaded = match loaded.map(|mut loaded| loaded.pop()) {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ok(Drawn::none(format!("Workflow \"{name}\" has no definition, so nothing is drawn."))),
        Err(error) => return Ok(Drawn::none(format!("Nothing is drawn: {error}"))),
    };
    let timeline = run.status.as_ref().and_then(|status| status.timeline.as_ref());
    let flow = Flow::of(&loaded.definition.machine());
    let drawing = svg(&flow, &loaded.what, timeline.map(History::of_timeline).as_ref());
    let mut notes = vec!["The definition is the one that the Workflow has now.".to_owned()];
    notes.extend(another_version(run, &workflow));
    notes.extend(drawing.note);
    Ok(Drawn { drawing: drawing.text, notes })
}

/// Said where the run is known to be of another version than the newest.
fn another_version(run: &WorkflowRun, workflow: &Workflow) -> Option<String> {
    let target = &run.status.as_ref()?.attempts.last()?.target_arn;
    let ran: i64 = target.rsplit(':').next()?.parse().ok()?;
    let newest = workflow.status.as_ref()?.latest_version.as_ref()?.number;
    (ran != newest).then(|| format!("The run is of version {ran}; the drawing is of version {newest}."))
}
