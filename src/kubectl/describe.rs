//! `kubectl sfn describe BINDING|WORKFLOW|RUN`

mod chain;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::kinds::{Kind, Named, name_of};
use super::objects::{self, Shown, see};
use super::pause::who_decides;
use super::show::{self, print};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{TrustBinding, Workflow, WorkflowRun};
use crate::cli::out::{colour, columns};
use crate::cli::say;
use chain::{Chain, Objects};

/// Flags of `kubectl sfn describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeFlags {
    /// binding/NAME, workflow/NAME or run/NAME; or the kind, with the name behind it
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// The name, where the kind stands alone
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// text: the chain; json: the same for scripts
    #[arg(short, long, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(flags: &DescribeFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let named = named(flags)?;
    let objects = objects(cluster, &named).await?;
    let chain = Chain::of(&objects, &cluster.namespace);
    match flags.output {
        Format::Text => {
            print(&chain.text(colour(), columns()))?;
            if let Some(how) = objects.run.as_ref().and_then(who_decides) {
                say(&how);
            }
            if let Some(next) = chain.next(&named) {
                say(&format!("Next: {}", cluster.command(&next)));
            }
        }
        Format::Json => print(&show::json(&Value::Array(chain.view())))?,
    }
    Ok(Exit::Done)
}

fn named(flags: &DescribeFlags) -> Result<Named, KubectlError> {
    let usage = || {
        KubectlError::Usage(format!(
            "{:?} is no object that is described; write binding/NAME, workflow/NAME or run/NAME",
            flags.object
        ))
    };
    match &flags.name {
        None if Kind::named(&flags.object).is_some() => {
            Err(KubectlError::Usage(format!("the name is missing: write {} NAME, or {0}/NAME", flags.object)))
        }
        None => Named::parse(&flags.object).ok_or_else(usage),
        Some(name) => {
            let kind = Kind::named(&flags.object).ok_or_else(usage)?;
            Ok(Named { kind, name: name_of(kind, name)? })
        }
    }
}

/// A run, what it hangs on as scripts see it, and the command that tells more of what is wrong.
pub(super) async fn chain_of(
    cluster: &Cluster,
    named: &Named,
) -> Result<(WorkflowRun, Vec<Value>, Option<String>), KubectlError> {
    let objects = objects(cluster, named).await?;
    let chain = Chain::of(&objects, &cluster.namespace);
    let no_run = || KubectlError::Usage(format!("{:?} is no run", named.name));
    Ok((objects.run.ok_or_else(no_run)?, chain.view(), chain.next(named)))
}

/// The object, which there has to be, and what it hangs on, as far as it may be seen.
async fn objects(cluster: &Cluster, named: &Named) -> Result<Objects, KubectlError> {
    let mut objects = Objects::default();
    let mut workflow = None;
    let mut binding = None;
    match named.kind {
        Kind::Run => {
            let run: WorkflowRun = objects::get(cluster, named.kind, &named.name).await?;
            workflow = Some(run.spec.workflow_ref.name.clone());
            // A run remembers as whom it was started, whatever became of its Workflow.
            let attempt = run.status.as_ref().and_then(|status| status.attempts.last());
            binding = attempt.map(|attempt| attempt.trust_binding_name.clone());
            objects.run = Some(run);
        }
        Kind::Workflow => {
            let found: Workflow = objects::get(cluster, named.kind, &named.name).await?;
            objects.workflow = Some((named.name.clone(), Shown::There(Box::new(found))));
        }
        Kind::Binding => {
            let found: TrustBinding = objects::get(cluster, named.kind, &named.name).await?;
            objects.binding = Some((named.name.clone(), Shown::There(Box::new(found))));
        }
        Kind::Approval => {
            return Err(KubectlError::Usage(format!(
                "an Approval hangs on its run: describe that, as in run/NAME, or look at it: kubectl sfn approve approval/{} --dry-run=client",
                named.name
            )));
        }
    }
    if let Some(name) = workflow {
        let seen = see::<Workflow>(cluster, &name).await?;
        objects.workflow = Some((name, seen));
    }
    if let Some((_, Shown::There(workflow))) = &objects.workflow {
        binding = binding.or_else(|| Some(workflow.spec.trust_binding_ref.name.clone()));
    }
    if let Some(name) = binding {
        let seen = see::<TrustBinding>(cluster, &name).await?;
        objects.binding = Some((name, seen));
    }
    Ok(objects)
}
