//! What a Workflow's execution role needs, in numbers for its status; the document itself comes from the command line.

use super::desired::Desired;
use crate::api::v1alpha1::{LogLevel, RequiredPermissions, UnresolvedPermission};
use crate::asl::model::Arn;
use crate::iam::document::Matcher;
use crate::iam::execution_role::{Surroundings, derive};

/// Most findings that a status tells: it stays small.
const MOST: usize = 20;

/// Counts what is needed and tells what could not be resolved.
pub fn required_permissions(desired: &Desired) -> RequiredPermissions {
    let Some(machine) = Arn::parse(&desired.arn) else { return RequiredPermissions::default() };
    let here = Surroundings {
        partition: machine.partition.to_owned(),
        region: machine.region.to_owned(),
        account: machine.account.to_owned(),
        name: Some(desired.name.clone()),
        execution_role_arn: Some(desired.role_arn.clone()),
        logging: desired.settings.log_level != LogLevel::None,
        tracing: desired.settings.tracing,
        kms_key_id: desired.settings.encryption.as_ref().map(|(key, _)| key.clone()),
        resources: std::collections::BTreeMap::new(),
    };
    let derived = derive(&desired.definition.machine(), &here);
    let document = derived.document();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let mut actions: Vec<&String> = document.statements.iter().flat_map(|one| one.actions.named()).collect();
    let mut resources: Vec<&String> =
        document.statements.iter().filter_map(|one| one.resources.as_ref()).flat_map(Matcher::named).collect();
    for list in [&mut actions, &mut resources] {
        list.sort();
        list.dedup();
    }
    let missing = || derived.findings.iter().filter(|finding| finding.missing);
    RequiredPermissions {
        statements: count(document.statements.len()),
        actions: count(actions.len()),
        resources: count(resources.len()),
        policy_characters: count(document.size()),
        assumed_role_arns: derived.targets.iter().map(|target| target.role_arn.clone()).take(MOST).collect(),
        unresolved: count(missing().count()),
        unresolved_details: missing()
            .take(MOST)
            .map(|finding| UnresolvedPermission { path: finding.path.clone(), message: finding.message.clone() })
            .collect(),
    }
}
