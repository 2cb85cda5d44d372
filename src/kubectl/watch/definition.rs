//! The graph of what runs, from the Workflow as the cluster has it.

use k8s_openapi::api::core::v1::ConfigMap;

use super::super::Cluster;
use super::super::get::started_version;
use crate::api::v1alpha1::{Workflow, WorkflowRun};
use crate::asl;
use crate::graph::{Flow, Shape};

/// None where the Workflow or its definition may not be read, or is none; and where another version runs than it has now.
pub(super) async fn flow(run: &WorkflowRun, cluster: &Cluster) -> Option<Flow> {
    let workflow = cluster.api::<Workflow>().get_opt(&run.spec.workflow_ref.name).await.ok()??;
    if !is_the_newest(run, &workflow) {
        return None;
    }
    let text = match (&workflow.spec.definition, &workflow.spec.definition_from) {
        (Some(definition), _) => definition.text().to_owned(),
        (None, Some(from)) => {
            let from = &from.config_map_key_ref;
            let map = cluster.api::<ConfigMap>().get_opt(&from.name).await.ok()??;
            map.data?.remove(&from.key)?
        }
        (None, None) => return None,
    };
    let parsed = asl::parse(&text).ok()?;
    let definition = asl::as_it_is(parsed, &std::collections::BTreeMap::default(), &[]);
    let flow = Flow::of(&definition.machine());
    flow.vertices.iter().any(|vertex| vertex.shape != Shape::Missing).then_some(flow)
}

/// The definitions of older versions are in AWS alone.
fn is_the_newest(run: &WorkflowRun, workflow: &Workflow) -> bool {
    let started = run.status.as_ref().and_then(|status| started_version(&status.attempts.last()?.target_arn));
    let started = started.and_then(|number| number.parse::<i64>().ok()).or(run.spec.workflow_ref.version);
    let newest = workflow.status.as_ref().and_then(|status| status.versions.iter().copied().max());
    started.is_none_or(|started| newest.is_none_or(|newest| started == newest))
}
