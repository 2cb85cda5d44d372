//! `stepbound policy binding-role`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::asl::to_yaml;
use crate::cli::trust::answer::{TrustError, print};
use crate::cli::trust::manifest::{Manifest, Place, namespace};
use crate::iam::binding_role::BindingScope;
use crate::iam::binding_role::session::{Kind, Purpose, Writing};
use crate::printable;

/// Flags of `stepbound policy binding-role`.
#[derive(Debug, Args)]
pub struct BindingRoleFlags {
    /// Manifest with the TrustBinding, and with its Workflows and Activities where names or keys of their own matter, or a
    /// folder of such; - is standard input
    #[arg(value_name = "FILE|DIR")]
    file: PathBuf,
    /// Name of the TrustBinding, where the manifest holds several
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// Namespace, where the manifest names none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// What the operator puts before default names (its --name-prefix)
    #[arg(long, value_name = "TEXT", default_value = "")]
    name_prefix: String,
    /// Id of the cluster in owner tags (the operator's --cluster-id); without it nothing is said of other clusters' machines
    #[arg(long, value_name = "ID")]
    cluster_id: Option<String>,
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[cfg(feature = "kubectl")]
impl BindingRoleFlags {
    /// The file that is read.
    pub(super) fn file(&self) -> &std::path::Path {
        &self.file
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Every action with its resources and what it is for
    Text,
    /// The policy that the role needs
    Json,
    /// The same as YAML, as a template of CloudFormation has it
    Yaml,
    /// The session policies that the operator derives: one to see, and to start and write one for each object
    Session,
}

/// Prints what the role of a binding needs so that Stepbound can work with it.
pub(in crate::cli) fn run(flags: &BindingRoleFlags) -> Result<(), TrustError> {
    let manifest = Manifest::read(&flags.file)?;
    let binding = manifest.binding(&flags.file, flags.binding.as_deref())?;
    let namespace = namespace(binding, flags.namespace.as_deref())?;
    let place = Place { namespace, name_prefix: &flags.name_prefix, cluster: flags.cluster_id.as_deref() };
    let text = match flags.output {
        Output::Text => table(&manifest.scope(&flags.file, binding, &place)?),
        Output::Json => manifest.scope(&flags.file, binding, &place)?.policy().pretty(),
        Output::Yaml => {
            let policy = manifest.scope(&flags.file, binding, &place)?.policy();
            to_yaml(&policy.to_value()).map_err(|error| TrustError::Verdict(error.to_string()))?
        }
        Output::Session => {
            let written = manifest.written(&flags.file, binding, &place)?;
            let groups = manifest.scope(&flags.file, binding, &place)?.log_groups;
            sessions(&Manifest::session_scope(binding, &place), &written, &groups)?
        }
    };
    print(&text)
}

/// The policies of all sessions, by what they are for and for which object.
fn sessions(scope: &BindingScope, written: &[(String, Writing)], groups: &[String]) -> Result<String, TrustError> {
    let policy = |whose: &str, purpose: &Purpose<'_>| -> Result<Value, TrustError> {
        let text = scope.session_policy(purpose).map_err(|error| TrustError::Verdict(format!("{whose}: {error}")))?;
        serde_json::from_str(&text).map_err(|error| TrustError::Verdict(format!("{whose}: {error}")))
    };
    let (mut run, mut write) = (Map::new(), Map::new());
    for (object, writing) in written {
        if matches!(writing.kind, Kind::Machine { .. }) {
            run.insert(object.clone(), policy(object, &Purpose::Run(&writing.name))?);
        }
        write.insert(object.clone(), policy(object, &Purpose::Write(writing))?);
    }
    let observe = policy("observe", &Purpose::Observe(None))?;
    let mut all = json!({"observe": observe, "run": run, "write": write});
    for group in groups {
        all["readLog"][group] = policy(group, &Purpose::ReadLog(group))?;
    }
    Ok(printable::json(&format!("{all:#}")))
}

/// One line an action and resource, under what it is for.
fn table(scope: &BindingScope) -> String {
    let mut lines = Vec::new();
    let mut last = "";
    for (operation, resources) in scope.reasons() {
        if operation.why != last {
            lines.push(format!("# {}", operation.why));
            last = operation.why;
        }
        for (number, resource) in resources.iter().enumerate() {
            let action = if number == 0 { operation.action } else { "" };
            lines.push(format!("  {action:<38} {resource}"));
        }
    }
    if scope.execution_roles.is_empty() {
        lines.push("# not narrowed: spec.allowedExecutionRoleARNs is empty, so any execution role of the account can be passed".into());
    }
    lines.join("\n")
}
