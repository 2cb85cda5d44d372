//! `stepbound policy`

mod binding_role;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use kube::ResourceExt;

use super::input::{InputError, Loaded, load};
use super::out::{print, say};
use super::{files, flags};
use crate::api::v1alpha1::LogLevel;
use crate::asl::model::Arn;
use crate::asl::to_yaml;
use crate::iam::document::{Document, DocumentError};
use crate::iam::execution_role::{Derived, ENCRYPTION, Surroundings, derive, pseudo_parameters};
use crate::iam::partition;
use crate::plan::workflow::default_name;
use crate::similar::nearest;

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
    /// Show what the role of a TrustBinding needs, and the session policy that follows from it
    BindingRole(binding_role::BindingRoleFlags),
}

/// Flags of `stepbound policy execution-role`.
#[derive(Debug, clap::Args)]
pub struct ExecutionRoleFlags {
    /// Workflow manifests or definitions (files, folders, - for standard input); a TrustBinding or ConfigMap among them is used
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Account of the state machine; by default that of the Workflow's executionRoleARN
    #[arg(long, value_name = "ID", value_parser = flags::account)]
    account: Option<String>,
    /// Region of the state machine; by default that of the Workflow's TrustBinding
    #[arg(long, value_parser = flags::region)]
    region: Option<String>,
    /// Partition of the account; by default that of the Workflow's executionRoleARN, else aws
    #[arg(long, value_parser = flags::partition)]
    partition: Option<String>,
    /// Name of the state machine; by default as the operator names it
    #[arg(long)]
    name: Option<String>,
    /// Namespace of manifests that name none
    #[arg(long, short)]
    namespace: Option<String>,
    /// The execution role of bare definitions, and where several Workflows are given, the role to speak of
    #[arg(long, value_name = "ARN", value_parser = flags::role_arn)]
    execution_role: Option<String>,
    /// A resource that a state takes from its input (repeatable)
    #[arg(long = "resource", value_name = "STATE=ARN", value_parser = resource)]
    resources: Vec<(String, String)>,
    /// A value for ${NAME} in the definition (repeatable)
    #[arg(long = "substitution", value_name = "NAME=VALUE", value_parser = pair)]
    substitutions: Vec<(String, String)>,
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
            Which::ExecutionRole(flags) => flags.files.iter().map(PathBuf::as_path).collect(),
            Which::BindingRole(flags) => vec![flags.file()],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

/// Why no policy is printed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The manifest gives no binding, or the answer cannot be written.
    #[error(transparent)]
    BindingRole(#[from] super::trust::TrustError),
    /// The files give no state machine.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Account or region is known from nowhere.
    #[error("{what}: the {missing} is not known; give it with --{missing}{hint}")]
    Location {
        /// Which state machine.
        what: String,
        /// `account` or `region`.
        missing: &'static str,
        /// Where it could be known from.
        hint: &'static str,
    },
    /// The region is of another partition than the rest.
    #[error(
        "{what}: region {region} is of partition {of_region}, but the partition is {partition}, of --partition or the execution role; correct one of them"
    )]
    Partition {
        /// Which state machine.
        what: String,
        /// The region.
        region: String,
        /// Its partition.
        of_region: String,
        /// The partition otherwise.
        partition: String,
    },
    /// The policy to compare with cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The policy to compare with is none.
    #[error("{}: {source}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DocumentError,
    },
    /// Workflows of several execution roles cannot become one policy.
    #[error("the Workflows given use {} execution roles; choose one with --execution-role:\n  {}", .0.len(), .0.join("\n  "))]
    SeveralRoles(Vec<String>),
    /// A resource is given for a state that there is not.
    #[error("--resource names the state \"{name}\", which no definition given has{}", nearest.as_ref().map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default())]
    NoState {
        /// The name as given.
        name: String,
        /// The nearest name of a state.
        nearest: Option<String>,
    },
    /// The policy cannot be written as YAML.
    #[error("the policy cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// Nothing can be printed.
    #[error("cannot write to standard output: {0}")]
    Write(std::io::Error),
}

impl PolicyError {
    /// 1 where the answer is that there is no such policy.
    pub(crate) fn exit_code(&self) -> u8 {
        if let Self::BindingRole(error) = self { error.exit_code() } else { 2 }
    }
}

/// `NAME=VALUE`, neither empty.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = parts.ok_or_else(|| "must be NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `STATE=ARN`, or `STATE=https://…` for what an HTTP Task calls. The name of a state may have a sign of equality.
fn resource(text: &str) -> Result<(String, String), String> {
    let begins = ["=arn:", "=https://"].iter().filter_map(|begin| text.find(begin)).min();
    let Some((state, resource)) =
        begins.map(|at| (&text[..at], &text[at + 1..])).filter(|(state, _)| !state.is_empty())
    else {
        return Err("must be STATE=ARN: the name of a state, and an ARN (arn:…) or an endpoint (https://…)".into());
    };
    if resource.starts_with("arn:") && Arn::parse(resource).is_none() {
        return Err(format!("\"{resource}\" is no ARN: an ARN is arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"));
    }
    Ok((state.to_owned(), resource.to_owned()))
}

pub(crate) fn run(flags: &PolicyFlags) -> Result<ExitCode, PolicyError> {
    match &flags.which {
        Which::ExecutionRole(flags) => execution_role(flags),
        Which::BindingRole(flags) => {
            binding_role::run(flags)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn execution_role(flags: &ExecutionRoleFlags) -> Result<ExitCode, PolicyError> {
    let substitutions: BTreeMap<String, String> = flags.substitutions.iter().cloned().collect();
    let loaded = of_one_role(load(&flags.files, &substitutions)?, flags)?;
    states_exist(&loaded, flags)?;
    let mut all = Derived::default();
    let mut machines = Vec::new();
    for one in &loaded {
        let here = surroundings(one, flags)?;
        let definition = one.definition.with_pseudo_parameters(&pseudo_parameters(&here));
        let derived = derive(&definition.machine(), &here);
        all.needs.extend(derived.needs.iter().cloned());
        all.findings.extend(derived.findings.iter().cloned());
        all.targets.extend(derived.targets.iter().cloned());
        machines.push((one.what.clone(), derived));
    }
    if let Some(path) = &flags.compare {
        let text = files::read(path).map_err(|source| PolicyError::Read { path: path.clone(), source })?;
        let policy = Document::parse(&text).map_err(|source| PolicyError::Document { path: path.clone(), source })?;
        let role_known = loaded.iter().all(|one| one.workflow.is_some()) || flags.execution_role.is_some();
        let compared = view::Compared::of(&all, &policy, role_known.then_some(loaded.len()));
        write(&compared.text())?;
        return Ok(if compared.lacks_nothing() { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    match flags.output {
        Output::Text => write(&view::text(&machines))?,
        Output::Json => {
            findings_to_stderr(&all);
            write(&format!("{}\n", all.document().pretty()))?;
        }
        Output::Yaml => {
            findings_to_stderr(&all);
            write(&to_yaml(&all.document().to_value())?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A resource of a state that there is not would be dropped without a word.
fn states_exist(loaded: &[Loaded], flags: &ExecutionRoleFlags) -> Result<(), PolicyError> {
    let mut states: Vec<String> = vec![ENCRYPTION.to_owned()];
    for one in loaded {
        states.extend(one.definition.machine().walk().iter().map(|visit| visit.state.name.to_owned()));
    }
    match flags.resources.iter().find(|(name, _)| !states.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let nearest = nearest(name, states.iter().map(String::as_str)).map(str::to_owned);
            Err(PolicyError::NoState { name: name.clone(), nearest })
        }
    }
}

/// The document on standard output is for machines; what it lacks is for people.
fn findings_to_stderr(derived: &Derived) {
    for finding in &derived.findings {
        say(&view::finding(finding));
    }
}

fn write(text: &str) -> Result<(), PolicyError> {
    print(text).map_err(PolicyError::Write)
}

/// The Workflows that use the role in question: the one that was asked for, else the only one.
fn of_one_role(mut loaded: Vec<Loaded>, flags: &ExecutionRoleFlags) -> Result<Vec<Loaded>, PolicyError> {
    let role_of = |one: &Loaded| one.workflow.as_ref().map(|workflow| workflow.spec.execution_role_arn.clone());
    if let Some(role) = &flags.execution_role {
        loaded.retain(|one| role_of(one).is_none_or(|used| used == *role));
        if loaded.is_empty() {
            return Err(InputError::OfRole(role.clone()).into());
        }
        return Ok(loaded);
    }
    let mut roles: Vec<String> = loaded.iter().filter_map(role_of).collect();
    roles.sort();
    roles.dedup();
    if roles.len() > 1 { Err(PolicyError::SeveralRoles(roles)) } else { Ok(loaded) }
}

/// What the flags, the Workflow and its binding say of where the machine lives.
fn surroundings(one: &Loaded, flags: &ExecutionRoleFlags) -> Result<Surroundings, PolicyError> {
    let spec = one.workflow.as_ref().map(|workflow| &workflow.spec);
    let role = spec.map(|spec| spec.execution_role_arn.clone()).or_else(|| flags.execution_role.clone());
    let of_role = role.as_deref().and_then(Arn::parse);
    let missing = |missing, hint| PolicyError::Location { what: one.what.clone(), missing, hint };
    let account = flags.account.clone().or_else(|| of_role.map(|arn| arn.account.to_owned()));
    let of_binding = || one.binding.as_ref().map(|binding| binding.spec.region.clone());
    // What the cluster has of a Workflow knows it too.
    let status = one.workflow.as_ref().and_then(|workflow| workflow.status.as_ref());
    let made = status.and_then(|status| Arn::parse(status.state_machine_arn.as_deref()?));
    let of_status = || made.map(|arn| arn.region.to_owned());
    let region = flags.region.clone().or_else(of_binding).or_else(of_status);
    let named = spec.and_then(|spec| spec.state_machine_name.clone());
    let by_default = one.workflow.as_ref().and_then(|workflow| {
        let namespace = workflow.namespace().or_else(|| flags.namespace.clone())?;
        Some(default_name("", &namespace, &workflow.name_any()))
    });
    let mut resources: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (state, arn) in &flags.resources {
        resources.entry(state.clone()).or_default().push(arn.clone());
    }
    let of_region = || partition::of_region(region.as_deref()?).map(|partition| partition.id.to_owned());
    let of_role = || of_role.map(|arn| arn.partition.to_owned());
    let of_region = of_region();
    let partition = flags.partition.clone().or_else(of_role).or_else(|| of_region.clone());
    let partition = partition.unwrap_or_else(|| "aws".into());
    if let (Some(region), Some(of_region)) = (&region, of_region)
        && of_region != partition
        && partition::by_id(&partition).is_some()
    {
        let (what, region) = (one.what.clone(), region.clone());
        return Err(PolicyError::Partition { what, region, of_region, partition });
    }
    Ok(Surroundings {
        partition,
        region: region.ok_or_else(|| missing("region", ", or give the file of its TrustBinding too"))?,
        account: account.ok_or_else(|| missing("account", ""))?,
        name: flags.name.clone().or(named).or(by_default),
        execution_role_arn: role,
        logging: spec.and_then(|spec| spec.logging.as_ref()).is_some_and(|logging| logging.level != LogLevel::None),
        tracing: spec.and_then(|spec| spec.tracing.as_ref()).is_some_and(|tracing| tracing.enabled),
        kms_key_id: spec.and_then(|spec| spec.encryption.as_ref()).map(|encryption| encryption.kms_key_id.clone()),
        resources,
    })
}
