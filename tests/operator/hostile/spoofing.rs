//! Something passed off as something else: one object under two names, a comma that makes one role two, and words under the name of
//! another.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::*;

pub(super) fn attempts(suite: &mut Suite<'_>) {
    names(suite);
    commas(suite);
    words(suite);
}

/// The client puts a name into the path as it is.
fn names(suite: &mut Suite<'_>) {
    use Layer::Schema;
    let tenant = suite.tenant;
    let schedule = |name: &str| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "named"},
        "spec": {"schedule": "0 0 1 1 *", "runTemplate": {"spec": {"workflowRef": {"name": name}}}}})
    };
    for (what, name) in [
        ("a query", "fulfil?"),
        ("a fragment", "fulfil#x"),
        ("a path", "../workflows/fulfil"),
        ("encoded", "%2e%2e/fulfil"),
        ("two words", "own name"),
        ("a comma", "fulfil,"),
    ] {
        let run = |spec: Value| workflow_run("named", "fulfil", &spec);
        let workflow = || tenant.workflow("named", &waiting(0));
        let activity = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "named"},
            "spec": {"trustBindingRef": {"name": name}}});
        let mut mapped = workflow();
        mapped["spec"].as_object_mut().unwrap().remove("definition");
        let key = json!({"configMapKeyRef": {"name": name, "key": "k"}});
        for (of, object) in [
            ("a run's Workflow", run(json!({"workflowRef": {"name": name}}))),
            ("a run's input", run(json!({"inputFrom": key}))),
            ("a schedule's Workflow", schedule(name)),
            ("a Workflow's binding", with(workflow(), "/spec/trustBindingRef/name", json!(name))),
            ("a definition's ConfigMap", with(mapped, "/spec/definitionFrom", key.clone())),
            (
                "the ConfigMap of substitutions",
                with(workflow(), "/spec/substitutionsFrom", json!([{"configMapRef": {"name": name}}])),
            ),
            ("an Activity's binding", activity),
            ("a binding's provider", with(tenant.binding("named"), "/spec/identityProviderRef", json!({"name": name}))),
            ("a binding's account", with(tenant.binding("named"), "/spec/serviceAccountName", json!(name))),
        ] {
            suite.object(&format!("{of} by a name that is {what}"), &object, Schema, "should match");
        }
    }
}

/// A role's name may have commas, and so may a list of roles.
fn commas(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let consent = format!("stepbound.dev/allowed-role-arns={},readonly", tenant.role_arn());
    tenant.kubectl(&["annotate", "--overwrite", "sa", "greedy", &consent]);
    let binding = with(tenant.binding("comma"), "/spec/serviceAccountName", json!("greedy"));
    suite.condition(
        "consent to the role NAME,readonly taken for consent to NAME",
        &binding,
        (Layer::Operator, "Authorized", "ConsentMissing"),
        "does not say that it acts as",
    );
    tenant.kubectl(&["delete", "tb", "comma"]);
    tenant.kubectl(&["annotate", "sa", "greedy", "stepbound.dev/allowed-role-arns-"]);
}

/// Somebody cancels, and another writes why.
fn words(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    tenant.apply(&workflow_run("words", "absent", &json!({})));
    let patch =
        |patch: &'static str| ["-n", tenant.name.as_str(), "patch", "sfnrun/words", "--type=merge", "-p", patch];
    let first = patch(r#"{"spec": {"cancel": {"reason": "wrong order"}}}"#);
    tenant.bed.control_plane.kubectl(&first);
    // The same again is no change.
    tenant.bed.control_plane.kubectl_as("mallory", &first, None).unwrap();
    for (what, change) in [
        ("another reason under the name of who cancelled", r#"{"spec": {"cancel": {"reason": "I was told to"}}}"#),
        ("a reason taken away from who cancelled", r#"{"spec": {"cancel": {"reason": ""}}}"#),
        ("a cancel taken back", r#"{"spec": {"cancel": null}}"#),
    ] {
        suite.command(what, &patch(change), None, Layer::Cel, "neither taken back nor changed");
    }
}
