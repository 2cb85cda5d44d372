//! `kubectl sfn completion`, and `__complete`, by which shells and kubectl ask what may come next.

mod words;

use std::time::Duration;

use clap::{Args, Command, ValueEnum};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::flags::Connection;
use super::show::print;
use super::table::printable;
use super::words::since;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Activity, TrustBinding, Workflow, WorkflowRun, WorkflowSchedule};
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
        What::Files => (Vec::new(), FILES),
        What::Names(kinds) => (names(kinds, &place).await, NO_FILES),
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

/// Names of objects. Whatever keeps them from being known, the person at the keyboard goes on without.
async fn names(kinds: &[String], place: &Place) -> Vec<(String, String)> {
    if kinds.iter().any(|kind| kind == "CONTEXT") {
        return contexts(&place.connection);
    }
    let found = tokio::time::timeout(LONGEST, async {
        let cluster = Cluster::connect(&place.connection).await.ok()?;
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(of_kind(kind, &cluster).await);
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

async fn of_kind(kind: &str, cluster: &Cluster) -> Vec<(String, String)> {
    let asked = ListParams::default().limit(MOST);
    let api = match kind {
        "RUN" => cluster.as_they_are::<WorkflowRun>(),
        "WORKFLOW" => cluster.as_they_are::<Workflow>(),
        "BINDING" => cluster.as_they_are::<TrustBinding>(),
        "SCHEDULE" => cluster.as_they_are::<WorkflowSchedule>(),
        "ACTIVITY" => cluster.as_they_are::<Activity>(),
        "NAMESPACE" => {
            let namespaces = Api::<Namespace>::all(cluster.client.clone()).list_metadata(&asked).await;
            return namespaces.into_iter().flatten().map(|one| (one.name_any(), String::new())).collect();
        }
        _ => return Vec::new(),
    };
    let mut objects = api.list(&asked).await.map(|list| list.items).unwrap_or_default();
    objects.sort_by_key(|object| std::cmp::Reverse(object.creation_timestamp()));
    let now = Timestamp::now();
    objects.iter().map(|object| (object.name_any(), about(kind, object, now))).collect()
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
