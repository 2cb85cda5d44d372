//! `kubectl sfn completion`, and `__complete`, by which shells and kubectl ask what may come next.

mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Command, ValueEnum};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::await_run::phase;
use super::cluster::typed;
use super::flags::Connection;
use super::kinds::{Kind, name_of};
use super::show::print;
use super::table::printable;
use super::words::since;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Activity, Approval, TrustBinding, Workflow, WorkflowRun, WorkflowSchedule};
use words::{Place, What};

/// Who asks for the next word does not wait longer.
const LONGEST: Duration = Duration::from_secs(3);
/// So many names are offered.
const MOST: u32 = 500;
/// What is offered is all that there is.
const NO_FILES: u8 = 4;
/// The shell offers files.
const FILES: u8 = 0;

/// Flags of `kubectl sfn completion`.
#[derive(Debug, Args)]
pub(super) struct CompletionFlags {
    /// The shell; or kubectl, for a script named kubectl_complete-sfn on the PATH
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Kubectl,
}

/// Prints the script.
pub(super) fn run(flags: &CompletionFlags) -> Result<Exit, KubectlError> {
    let script = match flags.shell {
        Shell::Bash => include_str!("completion/kubectl-sfn.bash"),
        Shell::Zsh => include_str!("completion/kubectl-sfn.zsh"),
        Shell::Fish => include_str!("completion/kubectl-sfn.fish"),
        Shell::Kubectl => include_str!("completion/kubectl_complete-sfn.sh"),
    };
    print(script).map(|()| Exit::Done)
}

/// Prints what may stand at the place of the last word: `value<TAB>description` a line, and last `:<directive>`, as kubectl
/// reads it.
pub(super) async fn complete(command: &Command, typed: &[String]) -> Result<Exit, KubectlError> {
    let place = words::place(command, typed);
    let (mut offered, directive) = match &place.what {
        What::Words(words) => (words.clone(), NO_FILES),
        What::Names(kinds) => (names(kinds, &place).await, NO_FILES),
        What::Objects(kinds) => (objects(kinds, &place).await, NO_FILES),
        What::FilesOrObjects(kinds) if begins_a_kind(&place.begun) => (objects(kinds, &place).await, FILES),
        What::Files | What::FilesOrObjects(_) => (Vec::new(), FILES),
    };
    offered.retain(|(value, _)| value.starts_with(&place.begun));
    let lines: String = offered
        .iter()
        .map(|(value, about)| {
            let value = printable(value);
            if about.is_empty() { format!("{value}\n") } else { format!("{value}\t{}\n", printable(about)) }
        })
        .collect();
    print(&format!("{lines}:{directive}\n"))?;
    Ok(Exit::Done)
}

/// True of what may become `workflow/NAME`. A letter or two begin files as often.
fn begins_a_kind(begun: &str) -> bool {
    let is_begun = |kind: &Kind| begun.len() > 2 && kind.word().starts_with(begun);
    begun.split_once('/').map_or_else(
        || [Kind::Workflow, Kind::Binding].iter().any(is_begun),
        |(word, _)| Kind::named(word).is_some() && !std::path::Path::new(word).is_dir(),
    )
}

/// Names that may stand alone or, as `-o name` prints them, behind their kind.
async fn names(kinds: &[String], place: &Place) -> Vec<(String, String)> {
    let typed = place.begun.split_once('/').map(|(word, _)| word);
    let Some((word, kind)) = typed.and_then(|word| Some((word, Kind::named(word)?))) else {
        return known(kinds, place).await;
    };
    let is_it = |one: &&String| *one == kind.placeholder();
    behind(word, known(kinds.iter().filter(is_it), place).await)
}

/// Names behind their kinds, in the word for it that was typed.
async fn objects(kinds: &[String], place: &Place) -> Vec<(String, String)> {
    let typed = place.begun.split_once('/').map(|(word, _)| word);
    let mut found = Vec::new();
    for one in kinds {
        let Some(kind) = Kind::of_placeholder(one) else { continue };
        let word = match typed {
            Some(word) if Kind::named(word) == Some(kind) => word,
            None if kind.word().starts_with(&place.begun) => kind.word(),
            _ => continue,
        };
        found.extend(behind(word, known([one], place).await));
    }
    found
}

fn behind(word: &str, names: Vec<(String, String)>) -> Vec<(String, String)> {
    names.into_iter().map(|(name, about)| (format!("{word}/{name}"), about)).collect()
}

/// What there is. Whatever keeps it from being known, the person at the keyboard goes on without.
async fn known(kinds: impl IntoIterator<Item = &String>, place: &Place) -> Vec<(String, String)> {
    let kinds: Vec<&String> = kinds.into_iter().collect();
    if kinds.iter().any(|kind| *kind == "CONTEXT") {
        return contexts(&place.connection);
    }
    let found = tokio::time::timeout(LONGEST, async {
        let cluster = Cluster::connect(&place.connection).await.ok()?;
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(of_kind(kind, &cluster, place).await);
        }
        Some(found)
    });
    found.await.ok().flatten().unwrap_or_default()
}

fn contexts(connection: &Connection) -> Vec<(String, String)> {
    let kubeconfig = connection.kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let contexts = kubeconfig.map(|kubeconfig| kubeconfig.contexts).unwrap_or_default();
    contexts.into_iter().map(|context| (context.name, String::new())).collect()
}

async fn of_kind(kind: &str, cluster: &Cluster, place: &Place) -> Vec<(String, String)> {
    let asked = ListParams::default().limit(MOST);
    let api = match kind {
        "RUN" | "APPROVAL" if decides(&place.verb) => return waiting(kind, cluster, place).await,
        "RUN" => cluster.as_they_are::<WorkflowRun>(),
        "WORKFLOW" => cluster.as_they_are::<Workflow>(),
        "BINDING" => cluster.as_they_are::<TrustBinding>(),
        "SCHEDULE" => cluster.as_they_are::<WorkflowSchedule>(),
        "ACTIVITY" => cluster.as_they_are::<Activity>(),
        "ALIAS" => return aliases(cluster, place).await,
        "USER" => return users(cluster).await,
        "NAMESPACE" => {
            let namespaces = Api::<Namespace>::all(cluster.client.clone()).list_metadata(&asked).await;
            return namespaces.into_iter().flatten().map(|one| (one.name_any(), String::new())).collect();
        }
        _ => return Vec::new(),
    };
    let mut objects = api.list(&asked).await.map(|list| list.items).unwrap_or_default();
    objects.sort_by_key(|object| std::cmp::Reverse(object.creation_timestamp()));
    if kind == "RUN" {
        objects.retain(|object| makes_sense(&place.verb, object));
    }
    let now = Timestamp::now();
    objects.iter().map(|object| (object.name_any(), about(kind, object, now))).collect()
}

/// Whether the verb has something to do with a run. What is not known to make no sense may make some.
fn makes_sense(verb: &str, object: &DynamicObject) -> bool {
    let Ok(run) = typed::<WorkflowRun>(object.clone()) else { return true };
    match verb {
        "cancel" => !phase(&run).is_finished() && run.spec.cancel.is_none(),
        "redrive" => {
            let never = run.status.as_ref().and_then(|status| status.redrive.as_ref()).is_some_and(|one| !one.possible);
            phase(&run).is_finished() && !phase(&run).is_good() && !run.wants_redrive() && !never
        }
        _ => true,
    }
}

/// True of a verb by which somebody decides.
fn decides(verb: &str) -> bool {
    ["approve", "deny"].contains(&verb)
}

/// What waits for an approval: runs, told from Approvals, since whoever approves may not be allowed to see runs; behind their kind
/// the Approvals themselves.
async fn waiting(kind: &str, cluster: &Cluster, place: &Place) -> Vec<(String, String)> {
    if kind == "APPROVAL" && !place.begun.contains('/') {
        return Vec::new();
    }
    let approvals = cluster.as_they_are::<Approval>().list(&ListParams::default().limit(MOST)).await;
    let now = Timestamp::now();
    let known = approvals.into_iter().flatten().filter_map(|object| typed::<Approval>(object).ok());
    let waits = known.filter(|one| one.spec.decision.is_none() && now < one.spec.request.expires_at.0);
    let told = |one: Approval| {
        let name = if kind == "RUN" { one.spec.request.run_name.clone() } else { one.name_any() };
        (name, format!("{} asks, open for {}", one.spec.request.requester, since(now, one.spec.request.expires_at.0)))
    };
    waits.map(told).collect()
}

/// The aliases of the Workflow that was typed before.
async fn aliases(cluster: &Cluster, place: &Place) -> Vec<(String, String)> {
    let Some(name) = place.given.first().and_then(|name| name_of(Kind::Workflow, name).ok()) else { return Vec::new() };
    let workflow = cluster.api::<Workflow>().get(&name).await;
    let aliases = workflow.into_iter().flat_map(|workflow| workflow.spec.aliases);
    aliases.map(|alias| (alias.name, if alias.default { "the default".to_owned() } else { String::new() })).collect()
}

/// Who has asked for the runs that there are.
async fn users(cluster: &Cluster) -> Vec<(String, String)> {
    let runs = cluster.as_they_are::<WorkflowRun>().list(&ListParams::default().limit(MOST)).await;
    let of = |run: DynamicObject| run.data.pointer("/status/requestedBy")?.as_str().map(str::to_owned);
    let users: BTreeSet<String> = runs.into_iter().flatten().filter_map(of).collect();
    users.into_iter().map(|user| (user, String::new())).collect()
}

/// What tells an object from others of its kind.
fn about(kind: &str, object: &DynamicObject, now: Timestamp) -> String {
    let text = |pointer: &str| object.data.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
    let age = object.creation_timestamp().map(|time| format!("{} ago", since(time.0, now))).unwrap_or_default();
    match kind {
        "RUN" => format!("{} {} {age}", text("/status/phase"), text("/spec/workflowRef/name")).trim_start().to_owned(),
        "BINDING" => text("/spec/roleARN").to_owned(),
        _ => age,
    }
}
