//! `stepbound policy binding-role`

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::trust::TrustError;
use crate::cli::trust::manifest::{Manifest, namespace};
use crate::iam::binding_role::BindingScope;

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
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Every action with its resources and what it is for
    Text,
    /// The policy that the role needs
    Json,
    /// The session policy that the operator derives
    Session,
}

/// Prints what the role of a binding needs so that Stepbound can work with it.
pub(in crate::cli) fn run(flags: &BindingRoleFlags) -> Result<(), TrustError> {
    let manifest = Manifest::read(&flags.file)?;
    let binding = manifest.binding(&flags.file, flags.binding.as_deref())?;
    let namespace = namespace(binding, flags.namespace.as_deref())?;
    let scope = manifest.scope(binding, namespace, &flags.name_prefix);
    let text = match flags.output {
        Output::Text => table(&scope),
        Output::Json => scope.policy().pretty(),
        Output::Session => scope.session_policy().map_err(|error| TrustError::Verdict(error.to_string()))?,
    };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'))?;
    Ok(())
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
