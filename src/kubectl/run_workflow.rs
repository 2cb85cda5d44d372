//! `kubectl sfn run`

mod fit;
mod input;
mod manifest;
mod set;

use std::time::Duration;

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;
use tokio::time::timeout;

use super::await_run::{Goal, until};
use super::cluster::typed;
use super::ended::ended;
use super::kinds::{Kind, name_of};
use super::show::{self, print};
use super::waiting::{Waiting, may_watch, wait_for};
use super::{Cluster, Exit, KubectlError, target};
use crate::api::v1alpha1::{DurationString, GROUP, OutputStore, RunMode, WorkflowRef, WorkflowRun};
use crate::cli::out::say;
use crate::plan::run::MAX_INPUT_BYTES;
use crate::printable;
pub(super) use manifest::Wanted;

/// So long a dry run of the client waits for a word of the API server.
const SOON: Duration = Duration::from_secs(2);

/// Flags of `kubectl sfn run`.
#[derive(Debug, Args)]
pub(super) struct RunFlags {
    /// The Workflow
    #[arg(value_name = "WORKFLOW")]
    workflow: String,
    /// The input: JSON, or @file, or - for standard input; {} by default
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// A value in the input, such as a.b=1,c[0]=x: numbers, true, false and null are taken for what they are (repeatable)
    #[arg(long, value_name = "PATH=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The same, and every value is a text (repeatable)
    #[arg(long, value_name = "PATH=VALUE", allow_hyphen_values = true)]
    set_string: Vec<String>,
    /// Run what this alias leads to
    #[arg(long, value_name = "ALIAS", conflicts_with = "version")]
    alias: Option<String>,
    /// Run this published version
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    version: Option<i64>,
    /// Name of the WorkflowRun
    #[arg(long, value_name = "NAME", conflicts_with = "generate_name")]
    name: Option<String>,
    /// Beginning of its name, to which the API server adds five characters; by default the Workflow's name and -
    #[arg(long, value_name = "PREFIX")]
    generate_name: Option<String>,
    /// Labels of the WorkflowRun, such as team=a,tier=test (repeatable)
    #[arg(short = 'l', long, value_name = "KEY=VALUE", value_delimiter = ',')]
    labels: Vec<String>,
    /// Started and watched; or, for Express, started and waited for in one call
    #[arg(long, value_enum, ignore_case = true)]
    mode: Option<Mode>,
    /// Stop the run when it takes longer than this, such as 2h
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Create nothing: show what would be created, or ask the API server whether it would take it
    #[arg(long, value_enum, default_value_t = DryRun::None, num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: DryRun,
    #[command(flatten)]
    waiting: Waiting,
    /// How the run is printed; `output` waits for it and prints what it gave alone
    #[arg(short, long)]
    output: Option<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Async,
    Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Create it
    None,
    /// Send nothing, and say where the Workflow is not there
    Client,
    /// Ask the API server, which keeps nothing of it
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// The WorkflowRun as JSON
    Json,
    /// The WorkflowRun as YAML
    Yaml,
    /// Its `kind/name`
    Name,
    /// What the execution gave, as JSON
    Output,
}

pub(super) async fn run(flags: &RunFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let longest = flags.waiting.check()?;
    if flags.output == Some(Shown::Output) && (flags.waiting.draws() || flags.dry_run != DryRun::None) {
        let why = "-o output is for pipes: it goes with neither --watch nor --dry-run";
        return Err(KubectlError::Usage(why.into()));
    }
    let value = manifest(flags, &cluster.namespace)?;
    let object: DynamicObject =
        serde_json::from_value(value).map_err(|error| KubectlError::Print(error.to_string()))?;
    if flags.dry_run == DryRun::Client {
        note_what_is_missing(flags, cluster).await?;
        shown(flags.output, &object, " (dry run)")?;
        return Ok(Exit::Done);
    }
    if flags.dry_run == DryRun::None {
        if flags.output == Some(Shown::Output) {
            may_watch(cluster).await?;
        } else {
            flags.waiting.is_allowed(cluster).await?;
        }
    }
    check_target(cluster, &reference(flags)?, &object).await?;
    let parameters = PostParams { dry_run: flags.dry_run == DryRun::Server, ..PostParams::default() };
    let made = cluster.as_they_are::<WorkflowRun>().create(&parameters, &object).await;
    let made = made.map_err(|error| KubectlError::of(&format!("run Workflow \"{}\"", flags.workflow), error))?;
    let name = made.name_any();
    if flags.dry_run == DryRun::Server {
        shown(flags.output, &made, " (server dry run)")?;
        return Ok(Exit::Done);
    }
    match flags.output {
        Some(Shown::Output) => output(cluster, &name, longest).await,
        // Whoever reads it gets the run as it ends, and nothing else.
        Some(output) if flags.waiting.is_asked() && !flags.waiting.draws() && output != Shown::Name => {
            let (exit, _) = until(cluster, &name, Goal::Finished, longest).await?;
            shown(Some(output), &cluster.get::<WorkflowRun>(&name).await?, "")?;
            Ok(exit)
        }
        output => {
            shown(output, &made, "")?;
            if output.is_some() && !flags.waiting.is_asked() {
                return Ok(Exit::Done);
            }
            wait_for(cluster, &name, &flags.waiting, None).await
        }
    }
}

/// Refuses a run of what is not there, and one whose input does not fit.
pub(super) async fn check_target(
    cluster: &Cluster,
    reference: &WorkflowRef,
    run: &DynamicObject,
) -> Result<(), KubectlError> {
    match target::check(cluster, reference).await? {
        Some(workflow) => fit::check(&workflow, run),
        None => Ok(()),
    }
}

/// Asks nobody, but reads the files that the flags name.
fn manifest(flags: &RunFlags, namespace: &str) -> Result<Value, KubectlError> {
    let mut values = set::Values::of(flags.input.as_deref().map(input::read).transpose()?);
    for text in &flags.set {
        values.put(text, set::typed).map_err(|why| set_refused("--set", text, &why))?;
    }
    for text in &flags.set_string {
        values.put(text, set::text).map_err(|why| set_refused("--set-string", text, &why))?;
    }
    let input = values.whole().map_err(|why| KubectlError::Usage(format!("--set: {why}")))?;
    if let Some(input) = &input {
        check_input(input)?;
    }
    if let Some(timeout) = &flags.timeout
        && DurationString(timeout.clone()).to_std().is_none()
    {
        return Err(KubectlError::Usage(format!(
            "--timeout {timeout:?} is no duration of at most 87600h; write 30s, 90m or 2h"
        )));
    }
    let name = flags.name.as_deref().map(|name| name_of(Kind::Run, name)).transpose()?;
    let wanted = Wanted {
        workflow: &name_of(Kind::Workflow, &flags.workflow)?,
        alias: flags.alias.as_deref(),
        version: flags.version,
        name: name.as_deref(),
        generate_name: flags.generate_name.as_deref(),
        labels: manifest::labels(&flags.labels).map_err(KubectlError::Usage)?,
        mode: flags.mode.map(|mode| if mode == Mode::Sync { RunMode::Sync } else { RunMode::Async }),
        timeout: flags.timeout.as_deref(),
        input,
    };
    Ok(wanted.object(namespace))
}

fn set_refused(flag: &str, text: &str, why: &str) -> KubectlError {
    KubectlError::Usage(format!("{flag} {text:?}: {why}"))
}

/// What the operator would refuse is not sent.
pub(super) fn check_input(input: &Value) -> Result<(), KubectlError> {
    let text = input.to_string();
    if text.len() > MAX_INPUT_BYTES {
        return Err(KubectlError::Usage(format!(
            "the input has {} bytes and AWS takes at most {MAX_INPUT_BYTES}: put what is large into S3 and pass where it is",
            text.len()
        )));
    }
    crate::nesting::check("the input", &text).map_err(|failure| KubectlError::Usage(failure.message))
}

/// Says that there is no such Workflow, where that is known soon: what is printed may be for another cluster.
async fn note_what_is_missing(flags: &RunFlags, cluster: &Cluster) -> Result<(), KubectlError> {
    if let Ok(Ok(Some(why))) = timeout(SOON, target::missing(cluster, &reference(flags)?)).await {
        say(&format!("note: {why}"));
    }
    Ok(())
}

fn reference(flags: &RunFlags) -> Result<WorkflowRef, KubectlError> {
    let name = name_of(Kind::Workflow, &flags.workflow)?;
    Ok(WorkflowRef { name, alias: flags.alias.clone(), version: flags.version })
}

fn shown(output: Option<Shown>, object: &DynamicObject, how: &str) -> Result<(), KubectlError> {
    let name = match &object.metadata.name {
        Some(_) => show::name("WorkflowRun", object),
        None => format!("workflowrun.{GROUP}/{}<generated>", object.metadata.generate_name.clone().unwrap_or_default()),
    };
    match output {
        Some(Shown::Json) => print(&show::json(&show::value(object)?)),
        Some(Shown::Yaml) => print(&show::yaml(&show::value(object)?)?),
        Some(Shown::Name) => print(&format!("{name}\n")),
        Some(Shown::Output) => Ok(()),
        None => print(&format!("{name} created{how}\n")),
    }
}

/// Prints what the run gave, and nothing else on standard output.
async fn output(cluster: &Cluster, name: &str, longest: Option<Duration>) -> Result<Exit, KubectlError> {
    let (exit, _) = until(cluster, name, Goal::Finished, longest).await?;
    if exit == Exit::GoesOn {
        return Ok(exit);
    }
    let run: WorkflowRun = typed(cluster.get::<WorkflowRun>(name).await?)?;
    if exit != Exit::Done {
        // The word of its end must not be taken for what it gave.
        if let Some(why) = run.status.as_ref().and_then(super::ended::why) {
            say(&why);
        }
        say(&format!("WorkflowRun \"{name}\" has no output. Next: {}", cluster.command(&format!("get {name}"))));
        return Ok(exit);
    }
    if let Some(text) = kept_output(cluster, &run).await? {
        print(&printable::json(&format!("{text}\n")))?;
        return Ok(exit);
    }
    let Some(bytes) = run.status.as_ref().and_then(|status| status.output_bytes) else {
        return ended(&run, cluster).map(|()| exit);
    };
    Err(KubectlError::Refused(format!(
        "WorkflowRun \"{name}\" succeeded, and its output of {bytes} bytes is not kept: a status keeps 16 KiB. Let the last state write it to S3, or create runs with spec.output.store ConfigMap"
    )))
}

/// What the execution gave, as JSON, where it is kept.
pub(super) async fn kept_output(cluster: &Cluster, run: &WorkflowRun) -> Result<Option<String>, KubectlError> {
    if let Some(output) = run.status.as_ref().and_then(|status| status.output.as_ref()) {
        return Ok(Some(output.to_string()));
    }
    if run.spec.output.store != OutputStore::ConfigMap {
        return Ok(None);
    }
    let map = format!("{}-output", run.name_any());
    let stored = cluster.api::<ConfigMap>().get(&map).await;
    let stored = stored.map_err(|error| KubectlError::of(&format!("get ConfigMap \"{map}\""), error))?;
    Ok(stored.data.as_ref().and_then(|data| data.get("output.json")).map(|text| text.trim_end().to_owned()))
}
