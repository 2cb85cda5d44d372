//! Whether there is what a run names: a run of what is not there would wait for it without a word.

use super::cluster::typed;
use super::{Cluster, KubectlError};
use crate::api::v1alpha1::{AdoptionPolicy, Workflow, WorkflowRef};
use crate::similar::nearest;

/// Refuses a run of a Workflow, an alias or a version that is not there. Gives the Workflow, as far as it can be read.
pub(super) async fn check(cluster: &Cluster, wanted: &WorkflowRef) -> Result<Option<Workflow>, KubectlError> {
    look(cluster, wanted).await?.map_err(KubectlError::Refused)
}

/// What is not there.
pub(super) async fn missing(cluster: &Cluster, wanted: &WorkflowRef) -> Result<Option<String>, KubectlError> {
    look(cluster, wanted).await.map(Result::err)
}

/// Whoever may start runs need not be allowed to see Workflows, and one of a newer API server may be unreadable here: that is no
/// hindrance, since the operator looks at all of it again.
async fn look(cluster: &Cluster, wanted: &WorkflowRef) -> Result<Result<Option<Workflow>, String>, KubectlError> {
    let name = &wanted.name;
    let object = match cluster.as_they_are::<Workflow>().get_opt(name).await {
        Ok(Some(object)) => object,
        // The same again, with the names that there are.
        Ok(None) => match cluster.get::<Workflow>(name).await {
            Err(KubectlError::Refused(why)) => return Ok(Err(why)),
            answer => answer?,
        },
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(Ok(None)),
        Err(error) => return Err(KubectlError::of(&format!("get Workflow \"{name}\""), error)),
    };
    let Ok(workflow) = typed::<Workflow>(object) else { return Ok(Ok(None)) };
    Ok(lacks(&workflow, wanted).map_or(Ok(Some(workflow)), Err))
}

/// What the Workflow has not, and what it has. What is about to be there is waited for.
fn lacks(workflow: &Workflow, wanted: &WorkflowRef) -> Option<String> {
    let status = workflow.status.clone().unwrap_or_default();
    let name = &wanted.name;
    if let Some(alias) = &wanted.alias {
        let names: Vec<&str> = workflow.spec.aliases.iter().map(|alias| alias.name.as_str()).collect();
        let is_there = names.contains(&alias.as_str()) || status.aliases.iter().any(|known| known.name == *alias);
        return (!is_there).then(|| match (names.is_empty(), nearest(alias, names.iter().copied())) {
            (true, _) => format!("Workflow \"{name}\" has no alias; add \"{alias}\" to spec.aliases"),
            (_, Some(near)) => format!("Workflow \"{name}\" has no alias \"{alias}\"; did you mean \"{near}\"?"),
            (_, None) => format!("Workflow \"{name}\" has no alias \"{alias}\"; it has {}", names.join(", ")),
        });
    }
    let version = wanted.version?;
    let latest = status.latest_version.as_ref().map(|latest| latest.number);
    // Its newest spec may be published next, and a state machine that was taken over has versions of others.
    let may_have_more = status.observed_generation != workflow.metadata.generation
        || workflow.spec.adoption != AdoptionPolicy::Never
        || status.adopted_with.is_some();
    if may_have_more || status.versions.contains(&version) || latest == Some(version) {
        return None;
    }
    let kept: Vec<String> = status.versions.iter().map(ToString::to_string).collect();
    Some(if kept.is_empty() {
        format!("Workflow \"{name}\" has published no version")
    } else {
        format!("Workflow \"{name}\" has no version {version}; kept are {}", kept.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn lacks(more: &Value, status: &Value, wanted: &Value) -> Option<String> {
        let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "fulfil", "generation": 3}, "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "r"},
            "status": {"observedGeneration": 3}});
        let fields = |value: &Value| value.as_object().unwrap().clone();
        object["spec"].as_object_mut().unwrap().extend(fields(more));
        object["status"].as_object_mut().unwrap().extend(fields(status));
        let mut reference = json!({"name": "fulfil"});
        reference.as_object_mut().unwrap().extend(fields(wanted));
        super::lacks(&serde_json::from_value(object).unwrap(), &serde_json::from_value(reference).unwrap())
    }

    #[test]
    fn a_run_of_what_is_not_there_is_refused_and_of_what_may_come_is_not() {
        let two = json!({"aliases": [{"name": "live"}, {"name": "beta"}]});
        let versions = json!({"versions": [3, 4], "latestVersion": {"ARN": "a", "number": 4}});
        let nothing = json!({});
        for (spec, status, wanted, why) in [
            (&nothing, &nothing, json!({}), None),
            (&two, &nothing, json!({"alias": "live"}), None),
            (&two, &nothing, json!({"alias": "liv"}), Some("has no alias \"liv\"; did you mean \"live\"?")),
            (&two, &nothing, json!({"alias": "other"}), Some("has no alias \"other\"; it has live, beta")),
            (&nothing, &nothing, json!({"alias": "live"}), Some("has no alias; add \"live\" to spec.aliases")),
            (&nothing, &versions, json!({"version": 3}), None),
            (&nothing, &versions, json!({"version": 9}), Some("has no version 9; kept are 3, 4")),
            (&nothing, &nothing, json!({"version": 1}), Some("has published no version")),
            (&nothing, &json!({"observedGeneration": 2}), json!({"version": 1}), None),
            (&json!({"adoption": "IfUnowned"}), &versions, json!({"version": 1}), None),
        ] {
            let said = lacks(spec, status, &wanted);
            assert_eq!(said.is_some(), why.is_some(), "{wanted}: {said:?}");
            assert!(said.unwrap_or_default().contains(why.unwrap_or_default()), "{wanted}");
        }
    }
}
