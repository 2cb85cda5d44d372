//! Ways to a forbidden version by an alias, and honest users of aliases who are not held up.

use super::guardrails::{change, made};
use crate::attempts::{Layer, Suite};
use crate::attribution::create_as;
use crate::guardrails::{guardrail, starts_of};
use crate::*;

fn by_alias(name: &str, workflow: &str) -> Value {
    workflow_run(name, workflow, &json!({"workflowRef": {"name": workflow, "alias": "live"}}))
}

fn aliases_of(suite: &Suite<'_>, workflow: &str) -> Value {
    suite.tenant.get(&format!("sfn/{workflow}")).unwrap()["status"]["aliases"].clone()
}

pub(super) fn attempts(suite: &mut Suite<'_>) {
    let (tenant, live) = (suite.tenant, |version: u32| json!({"aliases": [{"name": "live", "version": version}]}));
    // Version 1 calls a function, version 2 does not.
    for name in ["l-dropped", "l-grown"] {
        made(suite, name, &live(1));
    }
    made(suite, "l-dropped", &json!({"definition": waiting(0), "aliases": live(1)["aliases"]}));
    let canary =
        json!({"strategy": "Canary", "percent": 10, "interval": "1h", "minExecutions": 1000, "analysisTimeout": "2h"});
    let canary = json!([{"name": "live", "rollout": canary}]);
    made(suite, "l-grown", &json!({"definition": waiting(0), "aliases": canary}));
    let shared = |object: &Value| object["status"]["aliases"][0]["routes"].as_array().is_some_and(|all| all.len() == 2);
    tenant.wait_for_object(suite.operator, "sfn/l-grown", "a canary", Duration::from_secs(90), shared);
    made(suite, "l-typo", &json!({"definition": waiting(0), "aliases": live(1)["aliases"]}));
    let text = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "l-mapped"},
        "data": {"asl": waiting(0).to_string()}});
    tenant.apply(&text);
    let mut mapped = tenant.workflow("l-mapped", &Value::Null);
    mapped["spec"].as_object_mut().unwrap().remove("definition");
    mapped["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "l-mapped", "key": "asl"}});
    tenant.apply(&mapped);
    tenant.wait_for(suite.operator, "sfn/l-mapped", "Ready", "True", "Synced");
    change(suite, "sfn/l-typo", &live(9));
    let refused = |object: &Value| condition(object, "Ready").is_some_and(|ready| ready["status"] == "False");
    tenant.wait_for_object(suite.operator, "sfn/l-typo", "a refusal by AWS", Duration::from_secs(90), refused);
    let rules = json!({"forbiddenIntegrations": ["lambda"], "forbidDefinitionFrom": true});
    guardrail(tenant, "hostile-aliases", &rules);
    tenant.wait_for(suite.operator, "sfn/l-mapped", "Stalled", "True", "RefusedByGuardrail");
    dropped(suite);
    grown(suite);
    honest(suite);
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-aliases"]);
}

/// An alias that is dropped and made again does not forget where it routed.
fn dropped(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    change(suite, "sfn/l-dropped", &json!({"aliases": []}));
    let gone = |object: &Value| object["status"]["aliases"].as_array().is_none_or(Vec::is_empty);
    tenant.wait_for_object(suite.operator, "sfn/l-dropped", "no alias", Duration::from_secs(90), gone);
    change(suite, "sfn/l-dropped", &json!({"aliases": [{"name": "live", "version": 2}]}));
    let back = |object: &Value| object["status"]["aliases"][0]["routes"][0]["version"] == 2;
    tenant.wait_for_object(suite.operator, "sfn/l-dropped", "the alias", Duration::from_secs(90), back);
    assert_eq!(aliases_of(suite, "l-dropped")[0]["left"], json!([1]), "{}", aliases_of(suite, "l-dropped"));
    let run = by_alias("l-dropped", "l-dropped");
    let waits = (Layer::Operator, "Ready", "AliasMoving");
    suite.condition("a run by an alias dropped and made again", &run, waits, "may start as");
    assert_eq!(starts_of(tenant, "l-dropped"), 0);
}

/// A forbidden version that shares an alias gets no more than its share.
fn grown(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    change(suite, "sfn/l-grown", &json!({"aliases": [{"name": "live", "version": 1}]}));
    let held = tenant.wait_for(suite.operator, "sfn/l-grown", "Stalled", "True", "RefusedByGuardrail");
    let said = condition(&held, "Stalled").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("Alias \"live\" is not moved."), "{said}");
    assert_eq!(aliases_of(suite, "l-grown")[0]["routes"].as_array().unwrap().len(), 2, "it stays");
    suite.harmless(
        "a forbidden version's share of an alias made whole",
        Layer::Operator,
        "RefusedByGuardrail: it stays",
    );
}

/// What is refused by AWS moves nothing, and whoever does what a refusal says may go on.
fn honest(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    create_as(tenant, "mallory", &by_alias("l-typo", "l-typo")).unwrap();
    tenant.wait_for(suite.operator, "sfnrun/l-typo", "Complete", "True", "Succeeded");
    let spec = json!([{"op": "remove", "path": "/spec/definitionFrom"},
        {"op": "add", "path": "/spec/definition", "value": waiting(0)}]);
    tenant.kubectl(&["patch", "sfn/l-mapped", "--type=json", "-p", &spec.to_string()]);
    tenant.wait_for(suite.operator, "sfn/l-mapped", "Ready", "True", "Synced");
    create_as(tenant, "mallory", &workflow_run("l-mapped", "l-mapped", &json!({}))).unwrap();
    tenant.wait_for(suite.operator, "sfnrun/l-mapped", "Complete", "True", "Succeeded");
}
