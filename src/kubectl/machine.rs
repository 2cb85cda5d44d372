//! The state machine of a Workflow, from the API server: its definition, and what its role needs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{Cluster, KubectlError};
use crate::api::v1alpha1::{LogLevel, Workflow};
use crate::asl::model::Arn;
use crate::asl::{self, Definition};
use crate::iam::execution_role::{Derived, Surroundings, derive};
use crate::plan::step_roles::wanted;

/// The definition of a Workflow with its values put in, and what of it could not be read.
pub(super) async fn definition(
    cluster: &Cluster,
    namespace: &str,
    workflow: &Workflow,
) -> Result<(Definition, Vec<String>), String> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let (spec, mut notes) = (&workflow.spec, Vec::new());
    let mut substitutions: BTreeMap<String, String> = BTreeMap::new();
    for from in &spec.substitutions_from {
        match data(&maps, &from.config_map_ref.name).await {
            Ok(data) => substitutions.extend(data),
            Err(why) => notes.push(format!("Values are missing from the definition: {why}.")),
        }
    }
    substitutions.extend(spec.substitutions.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    let text = match (&spec.definition, &spec.definition_from) {
        (Some(definition), _) => definition.text().to_owned(),
        (None, Some(from)) => {
            let from = &from.config_map_key_ref;
            let found = data(&maps, &from.name).await?.remove(&from.key);
            found.ok_or_else(|| format!("ConfigMap \"{}\" has no key \"{}\"", from.name, from.key))?
        }
        (None, None) => return Err("the Workflow has no definition".to_owned()),
    };
    let parsed = asl::parse(&text).map_err(|error| format!("the definition cannot be read: {error}"))?;
    Ok((asl::as_it_is(parsed, &substitutions, &wanted(spec)), notes))
}

async fn data(maps: &Api<ConfigMap>, name: &str) -> Result<BTreeMap<String, String>, String> {
    let found = maps.get_opt(name).await;
    let found = found.map_err(|error| KubectlError::of(&format!("get ConfigMap \"{name}\""), error).to_string())?;
    Ok(found.ok_or_else(|| format!("there is no ConfigMap \"{name}\""))?.data.unwrap_or_default())
}

/// What the execution role needs; `None` where it is not known in which region the machine is.
pub(super) fn needs(workflow: &Workflow, region: Option<&str>, definition: &Definition) -> Option<Derived> {
    let spec = &workflow.spec;
    let machine = workflow.status.as_ref().and_then(|status| status.state_machine_arn.as_deref()).and_then(Arn::parse);
    let role = Arn::parse(&spec.execution_role_arn)?;
    let here = Surroundings {
        partition: role.partition.to_owned(),
        region: machine.map(|arn| arn.region).or(region)?.to_owned(),
        account: role.account.to_owned(),
        name: machine.and_then(|arn| arn.resource.strip_prefix("stateMachine:")).map(str::to_owned),
        execution_role_arn: Some(spec.execution_role_arn.clone()),
        logging: spec.logging.as_ref().is_some_and(|logging| logging.level != LogLevel::None),
        tracing: spec.tracing.as_ref().is_some_and(|tracing| tracing.enabled),
        kms_key_id: spec.encryption.as_ref().map(|encryption| encryption.kms_key_id.clone()),
        resources: BTreeMap::new(),
    };
    Some(derive(&definition.machine(), &here))
}
