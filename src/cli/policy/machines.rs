//! Which state machines a policy is derived for, and where they live.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::ResourceExt;

use super::answer::PolicyError;
use crate::api::v1alpha1::LogLevel;
use crate::asl::model::Arn;
use crate::cli::flags;
use crate::cli::input::{InputError, Loaded, load};
use crate::iam::execution_role::{Derived, ENCRYPTION, Surroundings, derive, pseudo_parameters};
use crate::iam::partition;
use crate::plan::workflow::default_name;
use crate::similar::nearest;

/// Which state machines, and where they live.
#[derive(Debug, clap::Args)]
pub struct MachineFlags {
    /// Workflow manifests or definitions (files, folders, - for standard input); a TrustBinding or ConfigMap among them is used
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Account of the state machine; by default that of the Workflow's executionRoleARN
    #[arg(long, value_name = "ID", value_parser = flags::account)]
    pub(super) account: Option<String>,
    /// Region of the state machine; by default that of the Workflow's TrustBinding
    #[arg(long, value_parser = flags::region)]
    pub(super) region: Option<String>,
    /// Partition of the account; by default that of the Workflow's executionRoleARN, else aws
    #[arg(long, value_parser = flags::partition)]
    pub(super) partition: Option<String>,
    /// Name of the state machine; by default as the operator names it
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Namespace of manifests that name none
    #[arg(long, short)]
    pub(super) namespace: Option<String>,
    /// The execution role of bare definitions, and where several Workflows are given, the role to speak of
    #[arg(long, value_name = "ARN", value_parser = flags::role_arn)]
    pub(super) execution_role: Option<String>,
    /// A resource that a state takes from its input (repeatable)
    #[arg(long = "resource", value_name = "STATE=ARN", value_parser = resource)]
    pub(super) resources: Vec<(String, String)>,
    /// A value for ${NAME} in the definition (repeatable)
    #[arg(long = "substitution", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) substitutions: Vec<(String, String)>,
}

impl MachineFlags {
    /// The state machines that the files hold.
    pub(super) fn load(&self) -> Result<Vec<Loaded>, PolicyError> {
        let substitutions: BTreeMap<String, String> = self.substitutions.iter().cloned().collect();
        Ok(load(&self.files, &substitutions)?)
    }

    /// What one of them needs.
    pub(super) fn derived(&self, one: &Loaded) -> Result<Derived, PolicyError> {
        let here = surroundings(one, self)?;
        let definition = one.definition.with_pseudo_parameters(&pseudo_parameters(&here));
        Ok(derive(&definition.machine(), &here))
    }
}

/// `NAME=VALUE`, neither empty.
pub(in crate::cli) fn pair(text: &str) -> Result<(String, String), String> {
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

/// A resource of a state that there is not would be dropped without a word.
pub(super) fn states_exist(loaded: &[Loaded], flags: &MachineFlags) -> Result<(), PolicyError> {
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

/// The Workflows that use the role in question: the one that was asked for, else the only one.
pub(super) fn of_one_role(mut loaded: Vec<Loaded>, flags: &MachineFlags) -> Result<Vec<Loaded>, PolicyError> {
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
pub(super) fn surroundings(one: &Loaded, flags: &MachineFlags) -> Result<Surroundings, PolicyError> {
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
