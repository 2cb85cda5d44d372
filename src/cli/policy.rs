//! `stepbound policy`

mod answer;
mod binding_role;
mod machines;
mod step_roles;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::asl::to_yaml;
use crate::iam::execution_role::Derived;
use crate::printable::json;
use answer::{document, findings_to_stderr, write};
use machines::{MachineFlags, of_one_role, states_exist};

pub use answer::PolicyError;
pub(super) use machines::pair;

/// Flags of `stepbound policy`.
#[derive(Debug, clap::Args)]
pub struct PolicyFlags {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, clap::Subcommand)]
enum Which {
    /// Derive what the execution role of state machines needs, with the state that needs it; or compare a policy with it
    ExecutionRole(ExecutionRoleFlags),
    /// Derive what each role that steps act as needs, for its steps alone, with its trust policy; or propose such roles
    StepRoles(step_roles::StepRolesFlags),
    /// Show what the role of a TrustBinding needs, and the session policy that follows from it
    BindingRole(binding_role::BindingRoleFlags),
}

/// Flags of `stepbound policy execution-role`.
#[derive(Debug, clap::Args)]
pub struct ExecutionRoleFlags {
    #[command(flatten)]
    machines: MachineFlags,
    /// A policy document to compare with what is needed; exits with 1 where it lacks something
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// text: every need with its reason; json, yaml: the policy document
    #[arg(long, short, default_value = "text")]
    output: Output,
}

#[cfg(feature = "kubectl")]
impl PolicyFlags {
    /// The files that are read as manifests.
    pub(crate) fn files(&self) -> Vec<&std::path::Path> {
        match &self.which {
            Which::ExecutionRole(flags) => flags.machines.files.iter().map(PathBuf::as_path).collect(),
            Which::StepRoles(flags) => flags.machines.files.iter().map(PathBuf::as_path).collect(),
            Which::BindingRole(flags) => vec![flags.file()],
        }
    }

    /// True where bindings are asked about, and not definitions.
    pub(crate) fn is_of_bindings(&self) -> bool {
        matches!(self.which, Which::BindingRole(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

pub(crate) fn run(flags: &PolicyFlags) -> Result<ExitCode, PolicyError> {
    match &flags.which {
        Which::ExecutionRole(flags) => execution_role(flags),
        Which::StepRoles(flags) => step_roles::run(flags),
        Which::BindingRole(flags) => {
            binding_role::run(flags)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn execution_role(flags: &ExecutionRoleFlags) -> Result<ExitCode, PolicyError> {
    let loaded = of_one_role(flags.machines.load()?, &flags.machines)?;
    states_exist(&loaded, &flags.machines)?;
    let mut all = Derived::default();
    let mut machines = Vec::new();
    for one in &loaded {
        let derived = flags.machines.derived(one)?;
        all.needs.extend(derived.needs.iter().cloned());
        all.findings.extend(derived.findings.iter().cloned());
        all.targets.extend(derived.targets.iter().cloned());
        machines.push((one.what.clone(), derived));
    }
    if let Some(path) = &flags.compare {
        let policy = document(path)?;
        let role_known = loaded.iter().all(|one| one.workflow.is_some()) || flags.machines.execution_role.is_some();
        let compared = view::Compared::of(&all, &policy, role_known.then_some(loaded.len()));
        write(&compared.text())?;
        return Ok(if compared.lacks_nothing() { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    match flags.output {
        Output::Text => write(&view::text(&machines))?,
        Output::Json => {
            findings_to_stderr(&all);
            write(&json(&format!("{}\n", all.document().pretty())))?;
        }
        Output::Yaml => {
            findings_to_stderr(&all);
            write(&to_yaml(&all.document().to_value())?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
