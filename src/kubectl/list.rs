//! `kubectl sfn list`

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;

use super::table::Table;
use super::words::since;
use super::{Cluster, Exit, KubectlError, Output};
use crate::api::v1alpha1::WorkflowRun;
use crate::cli::out::{print, say};

/// Flags of `kubectl sfn list`.
#[derive(Debug, Args)]
pub(super) struct ListFlags {
    /// Runs of this Workflow alone
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<String>,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How they are printed
    #[arg(short, long)]
    output: Option<Output>,
}

pub(super) async fn run(flags: &ListFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let api = if flags.all_namespaces { cluster.everywhere::<WorkflowRun>() } else { cluster.api() };
    let mut asked = ListParams::default();
    if let Some(workflow) = &flags.workflow {
        asked = asked.fields(&format!("spec.workflowRef.name={workflow}"));
    }
    let runs = api.list(&asked).await.map_err(|error| KubectlError::of("list runs", error))?;
    if runs.items.is_empty() {
        say(&format!("No runs found in namespace \"{}\".", cluster.namespace));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["NAME", "WORKFLOW", "PHASE", "AGE"]);
    let now = Timestamp::now();
    for run in &runs {
        let phase = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
        let age = run.creation_timestamp().map(|time| since(time.0, now)).unwrap_or_default();
        table.row(vec![run.name_any(), run.spec.workflow_ref.name.clone(), phase.as_str().to_owned(), age]);
    }
    print(&table.text()).map_err(KubectlError::Write)?;
    Ok(Exit::Done)
}
