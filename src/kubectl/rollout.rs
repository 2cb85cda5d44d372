//! `kubectl sfn rollout status|pause|resume|promote|undo`

mod state;

use clap::{Args, Subcommand};
use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::await_run::{Seen, at, seen};
use super::cluster::duration;
use super::flags::quoted;
use super::kinds::{Kind, name_of};
use super::objects;
use super::show::{print, tell};
use super::stop::{Why, asked_to_end, say_stopped, unread};
use super::table::printable;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Alias, Workflow};
use crate::cli::say;
use state::{Look, PAUSE, PROMOTE, Standing};

/// Flags of `kubectl sfn rollout`.
#[derive(Debug, Args)]
pub(super) struct RolloutFlags {
    #[command(subcommand)]
    verb: RolloutVerb,
}

#[derive(Debug, Subcommand)]
enum RolloutVerb {
    /// Show where the rollout stands, and wait for its end
    Status(StatusFlags),
    /// Hold the rollout where it is
    Pause(AliasFlags),
    /// Let a held rollout go on
    Resume(AliasFlags),
    /// Give the version that is being rolled out all executions now; one that was rolled back is not promoted
    Promote(AliasFlags),
    /// Go back to the version before, and stay there
    Undo(UndoFlags),
}

/// Which alias of which Workflow.
#[derive(Debug, Args)]
struct AliasFlags {
    /// The Workflow
    #[arg(value_name = "WORKFLOW")]
    workflow: String,
    /// The alias; by default the only one, or the only one with a rollout
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
}

#[derive(Debug, Args)]
struct StatusFlags {
    #[command(flatten)]
    of: AliasFlags,
    /// Wait for the end of the rollout
    #[arg(short, long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    watch: bool,
    /// Wait no longer than this, such as 10m; 0 is for ever
    #[arg(long, value_name = "DURATION", default_value = "0")]
    timeout: String,
}

#[derive(Debug, Args)]
struct UndoFlags {
    #[command(flatten)]
    of: AliasFlags,
    /// The version to go back to; by default the one before
    #[arg(long, value_name = "NUMBER")]
    to_version: Option<i64>,
}

pub(super) async fn run(flags: &RolloutFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    match &flags.verb {
        RolloutVerb::Status(flags) => status(flags, cluster).await,
        RolloutVerb::Pause(flags) => hold(flags, cluster, true).await,
        RolloutVerb::Resume(flags) => hold(flags, cluster, false).await,
        RolloutVerb::Promote(flags) => promote(flags, cluster).await,
        RolloutVerb::Undo(flags) => undo(flags, cluster).await,
    }
}

async fn of(flags: &AliasFlags, cluster: &Cluster) -> Result<(Workflow, Alias), KubectlError> {
    let name = name_of(Kind::Workflow, &flags.workflow)?;
    let workflow: Workflow = objects::get(cluster, Kind::Workflow, &name).await?;
    let alias = state::chosen(&workflow, flags.alias.as_deref()).map_err(KubectlError::Refused)?.clone();
    Ok((workflow, alias))
}

async fn status(flags: &StatusFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let longest = duration("--timeout", &flags.timeout)?;
    if !flags.watch {
        let (workflow, alias) = of(&flags.of, cluster).await?;
        let look = state::look(&workflow, &alias, Timestamp::now());
        print(&told(&look))?;
        if look.standing == Standing::Paused {
            hint(cluster, "resume", &workflow, &alias);
        }
        return Ok(if look.standing == Standing::Failed { Exit::Failed } else { Exit::Done });
    }
    let name = name_of(Kind::Workflow, &flags.of.workflow)?;
    let deadline = longest.map(|longest| Instant::now() + longest);
    let stop = asked_to_end();
    let mut seen_last = None;
    let why = tokio::select! {
        ended = wait_for_end(flags, cluster, &name, &mut seen_last) => return ended,
        () = unread() => return Err(KubectlError::Unread),
        () = stop => Why::Signal,
        () = at(deadline) => Why::After(longest.unwrap_or_default()),
    };
    let command = |verb: &str, alias: Option<&str>| {
        let alias = alias.map(|alias| format!(" --alias {}", quoted(alias))).unwrap_or_default();
        cluster.command(&format!("rollout {verb} {name}{alias}"))
    };
    let again = format!("See it again: {}", command("status", flags.of.alias.as_deref()));
    let (how, next) = match seen_last {
        Some((alias, Standing::Paused)) => {
            ("is paused", format!("Let it go on: {}. {again}", command("resume", Some(&alias))))
        }
        _ => ("goes on", again),
    };
    say_stopped(why, &format!("the rollout of workflow \"{name}\" {how}"), &next);
    Ok(Exit::GoesOn)
}

/// Waits, and leaves in `seen_last` the alias with how its rollout stands.
async fn wait_for_end(
    flags: &StatusFlags,
    cluster: &Cluster,
    name: &str,
    seen_last: &mut Option<(String, Standing)>,
) -> Result<Exit, KubectlError> {
    let asked = format!("watch Workflow \"{name}\" in namespace \"{}\"", cluster.namespace);
    let mut changes = std::pin::pin!(seen::<Workflow>(cluster.api(), name));
    let mut last = None;
    while let Some(change) = changes.next().await {
        let workflow = match change.map_err(|error| KubectlError::of(&asked, error))? {
            Seen::Is(workflow) => workflow,
            Seen::Gone => return Err(KubectlError::no_such("Workflow", name, &cluster.namespace, None)),
        };
        let alias = state::chosen(&workflow, flags.of.alias.as_deref()).map_err(KubectlError::Refused)?;
        let look = state::look(&workflow, alias, Timestamp::now());
        *seen_last = Some((alias.name.clone(), look.standing));
        // Times alone are no news.
        if last.as_ref() != Some(&look.headline) {
            tell(&told(&look))?;
            last = Some(look.headline);
            if look.standing == Standing::Paused {
                hint(cluster, "resume", &workflow, alias);
            }
        }
        match look.standing {
            Standing::Done => return Ok(Exit::Done),
            Standing::Failed => {
                say(&format!("Why, from the account down: {}", cluster.command(&format!("describe workflow/{name}"))));
                return Ok(Exit::Failed);
            }
            // Somebody may let it go on meanwhile.
            Standing::Waiting | Standing::Paused => {}
        }
    }
    Ok(Exit::GoesOn)
}

fn told(look: &Look) -> String {
    let details = look.details.iter().map(|line| format!("  {}\n", printable(line)));
    std::iter::once(format!("{}\n", printable(&look.headline))).chain(details).collect()
}

async fn hold(flags: &AliasFlags, cluster: &Cluster, pause: bool) -> Result<Exit, KubectlError> {
    let (workflow, alias) = of(flags, cluster).await?;
    let held = workflow.annotations().get(PAUSE).map(String::as_str);
    let word = if pause { "paused" } else { "resumed" };
    if state::is_paused(held, &alias.name) == pause {
        let already = if pause { "is already paused" } else { "is not paused" };
        let name = workflow.name_any();
        return Err(KubectlError::Refused(format!("workflow \"{name}\" alias \"{}\" {already}", alias.name)));
    }
    let value = state::paused(held, &alias.name, pause);
    // The list may have changed meanwhile.
    let version = &workflow.metadata.resource_version;
    let patch = json!({"metadata": {"resourceVersion": version, "annotations": {PAUSE: value}}});
    changed(cluster, &workflow, &patch, word).await?;
    done(&workflow, &alias, word)?;
    let next = if pause { "resume" } else { "status" };
    hint(cluster, next, &workflow, &alias);
    Ok(Exit::Done)
}

async fn promote(flags: &AliasFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let (workflow, alias) = of(flags, cluster).await?;
    let version = state::promotable(&workflow, &alias).map_err(|why| {
        let look = cluster.command(&format!("rollout status {} --alias {}", workflow.name_any(), quoted(&alias.name)));
        KubectlError::Refused(format!("{why}. See it: {look}"))
    })?;
    let value = format!("{}/{version}", alias.name);
    changed(cluster, &workflow, &json!({"metadata": {"annotations": {PROMOTE: value}}}), "promoted").await?;
    done(&workflow, &alias, &format!("promoted to version {version}"))?;
    hint(cluster, "status", &workflow, &alias);
    Ok(Exit::Done)
}

async fn undo(flags: &UndoFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let (workflow, alias) = of(&flags.of, cluster).await?;
    let version = state::before(&workflow, &alias, flags.to_version).map_err(KubectlError::Refused)?;
    let aliases = state::pinned(&workflow.spec.aliases, &alias.name, version);
    let patch =
        json!({"metadata": {"resourceVersion": workflow.metadata.resource_version}, "spec": {"aliases": aliases}});
    changed(cluster, &workflow, &patch, "rolled back").await?;
    done(&workflow, &alias, &format!("rolled back to version {version}"))?;
    say(
        "It stays there: spec.aliases now names that version instead of a rollout. Apply a corrected manifest to roll out again; where the manifest is kept in Git, change it there, or the change is undone.",
    );
    hint(cluster, "status", &workflow, &alias);
    Ok(Exit::Done)
}

async fn changed(cluster: &Cluster, workflow: &Workflow, patch: &Value, word: &str) -> Result<(), KubectlError> {
    let name = workflow.name_any();
    let asked = format!("have Workflow \"{name}\" {word} in namespace \"{}\"", cluster.namespace);
    let parameters = PatchParams { field_manager: Some("kubectl-sfn".to_owned()), ..PatchParams::default() };
    let patched = cluster.api::<Workflow>().patch(&name, &parameters, &Patch::Merge(patch)).await;
    patched.map(drop).map_err(|error| KubectlError::of(&asked, error))
}

fn done(workflow: &Workflow, alias: &Alias, word: &str) -> Result<(), KubectlError> {
    let line = format!("workflow.stepbound.dev/{} alias {} {word}\n", workflow.name_any(), printable(&alias.name));
    print(&line)
}

fn hint(cluster: &Cluster, verb: &str, workflow: &Workflow, alias: &Alias) {
    let command = format!("rollout {verb} {} --alias {}", workflow.name_any(), quoted(&alias.name));
    say(&format!("Next: {}", cluster.command(&command)));
}
