use serde_json::{Value, json};

use super::*;

fn workflow(more: &Value) -> Workflow {
    let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
        "metadata": {"name": "fulfil", "generation": 3},
        "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "arn:aws:iam::111122223333:role/x",
            "aliases": [{"name": "live", "rollout": {"strategy": "Canary", "percent": 10, "interval": "10m"}}]},
        "status": {"observedGeneration": 3, "versions": [3, 4, 5], "latestVersion": {"ARN": "a:5", "number": 5}}});
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn merge(object: &mut Value, more: &Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                merge(object.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more.clone(),
    }
}

fn with_alias(alias: &Value) -> Workflow {
    let mut status =
        json!({"name": "live", "ARN": "a:live", "routes": [{"version": 4, "weight": 100}], "phase": "Stable"});
    merge(&mut status, alias);
    workflow(&json!({"status": {"aliases": [status]}}))
}

fn looked(workflow: &Workflow) -> Look {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    look(workflow, chosen(workflow, None).unwrap(), now)
}

#[test]
fn a_rollout_is_told_with_what_it_waits_for() {
    let shared = json!([{"version": 4, "weight": 90}, {"version": 5, "weight": 10}]);
    for (workflow, standing, part) in [
        (workflow(&json!({})), Standing::Waiting, "Waiting for workflow \"fulfil\" alias \"live\" to be made..."),
        (workflow(&json!({"metadata": {"generation": 4}})), Standing::Waiting, "to see the newest spec"),
        (with_alias(&json!({})), Standing::Waiting, "to begin with version 5..."),
        (
            with_alias(&json!({"routes": [{"version": 5, "weight": 100}]})),
            Standing::Done,
            "workflow \"fulfil\" alias \"live\" successfully rolled out: version 5 serves all",
        ),
        (
            with_alias(&json!({"routes": shared, "phase": "RollingOut", "target": 5, "message": "3 of 10 ended."})),
            Standing::Waiting,
            "is rolling out: 3 of 10 ended.",
        ),
        (
            with_alias(&json!({"routes": shared, "phase": "RollingOut", "target": 5})),
            Standing::Waiting,
            "version 5 gets 10 %",
        ),
        (
            with_alias(&json!({"routes": shared, "phase": "Paused", "target": 5, "message": "Held."})),
            Standing::Paused,
            "is paused: Held.",
        ),
        (
            with_alias(&json!({"phase": "RolledBack", "target": 5, "message": "Version 5 fails more often."})),
            Standing::Failed,
            "was rolled back: Version 5 fails more often.",
        ),
        (
            {
                let mut one = with_alias(&json!({}));
                one.status.as_mut().unwrap().quarantined = vec![5];
                one
            },
            Standing::Failed,
            "stays at version 4: the newest version was rolled back",
        ),
        (
            workflow(
                &json!({"status": {"conditions": [{"type": "Stalled", "status": "True", "reason": "DefinitionInvalid",
                "message": "The definition is not valid.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
            ),
            Standing::Failed,
            "goes no further: DefinitionInvalid: The definition is not valid.",
        ),
    ] {
        let look = looked(&workflow);
        assert!(look.standing == standing && look.headline.contains(part), "{look:?}");
    }
}

#[test]
fn weights_stand_by_version_with_the_times_of_steps() {
    let rolling = with_alias(&json!({"routes": [{"version": 4, "weight": 90}, {"version": 5, "weight": 10}],
        "phase": "RollingOut", "target": 5, "beganAt": "2026-01-01T00:05:00Z", "shiftedAt": "2026-01-01T00:07:00Z"}));
    assert_eq!(
        looked(&rolling).details,
        [
            "version 4     90 %",
            "version 5     10 %   new",
            "began 5m ago, weights moved 3m ago, next step in 7m at the earliest",
        ]
    );
    let mut back = with_alias(&json!({"phase": "RolledBack", "target": 5}));
    back.status.as_mut().unwrap().quarantined = vec![5];
    assert_eq!(looked(&back).details, ["version 4    100 %", "version 5      0 %   rolled back"]);
}

#[test]
fn the_alias_that_is_meant_is_the_named_one_or_the_only_one() {
    let aliases = |aliases: Value| {
        let mut one = workflow(&json!({}));
        one.spec.aliases = serde_json::from_value(aliases).unwrap();
        one
    };
    let rollout = json!({"strategy": "AllAtOnce"});
    for (list, wanted, expected) in [
        (json!([{"name": "a", "version": 1}]), None, Ok("a")),
        (json!([{"name": "a", "version": 1}, {"name": "b", "rollout": rollout}]), None, Ok("b")),
        (json!([{"name": "a", "version": 1}, {"name": "b", "rollout": rollout}]), Some("a"), Ok("a")),
        (json!([{"name": "a", "version": 1}, {"name": "b", "version": 1}]), None, Err("choose one with --alias: a, b")),
        (json!([{"name": "a", "rollout": rollout}, {"name": "b", "rollout": rollout}]), None, Err("--alias: a, b")),
        (json!([]), None, Err("has no alias; add one with a rollout")),
        (json!([{"name": "a", "version": 1}]), Some("x"), Err("has no alias \"x\"; it has a")),
    ] {
        let one = aliases(list);
        match (chosen(&one, wanted), expected) {
            (Ok(found), Ok(name)) => assert_eq!(found.name, name),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{found:?} {expected:?}"),
        }
    }
}

#[test]
fn holding_an_alias_keeps_the_others_held() {
    assert_eq!(paused(None, "live", true).as_deref(), Some("live"));
    assert_eq!(paused(Some("a, b"), "live", true).as_deref(), Some("a,b,live"));
    assert_eq!(paused(Some("live"), "live", true).as_deref(), Some("live"));
    assert_eq!(paused(Some("a,live"), "live", false).as_deref(), Some("a"));
    assert_eq!(paused(Some("live"), "live", false), None);
    assert!(is_paused(Some("a, live"), "live") && !is_paused(Some("alive"), "live") && !is_paused(None, "live"));
}

#[test]
fn what_is_promoted_is_the_version_under_way() {
    let promoted = |workflow: &Workflow| promotable(workflow, chosen(workflow, None).unwrap());
    let shared = json!([{"version": 4, "weight": 90}, {"version": 5, "weight": 10}]);
    assert_eq!(promoted(&with_alias(&json!({"routes": shared, "phase": "Paused", "target": 5}))), Ok(5));
    assert_eq!(promoted(&with_alias(&json!({"phase": "Waiting", "target": 5}))), Ok(5));
    for (workflow, part) in [
        (with_alias(&json!({"routes": [{"version": 5, "weight": 100}]})), "there is nothing to promote: version 5"),
        (
            with_alias(&json!({"phase": "RolledBack", "target": 5})),
            "version 5 of workflow \"fulfil\" alias \"live\" was rolled back",
        ),
        (workflow(&json!({})), "is not made yet"),
    ] {
        assert!(promoted(&workflow).unwrap_err().contains(part));
    }
}

#[test]
fn undoing_goes_to_the_version_before() {
    let undone = |workflow: &Workflow, asked| before(workflow, chosen(workflow, None).unwrap(), asked);
    let shared = json!([{"version": 4, "weight": 90}, {"version": 5, "weight": 10}]);
    let rolling = with_alias(&json!({"routes": shared, "phase": "RollingOut", "target": 5}));
    assert_eq!(undone(&rolling, None), Ok(4));
    let done = with_alias(&json!({"routes": [{"version": 5, "weight": 100}]}));
    assert_eq!(undone(&done, None), Ok(4));
    assert_eq!(undone(&done, Some(3)), Ok(3));
    assert!(undone(&done, Some(1)).unwrap_err().contains("has no version 1; kept are 3, 4, 5"));
    let first = with_alias(&json!({"routes": [{"version": 3, "weight": 100}]}));
    assert!(undone(&first, None).unwrap_err().contains("no version before 3"));
    let first = with_alias(&json!({"routes": [{"version": 1, "weight": 100}]}));
    assert!(undone(&first, None).unwrap_err().contains("and is the first: there is none before it"));

    let aliases = pinned(&rolling.spec.aliases, "live", 4);
    assert_eq!((aliases[0].version, aliases[0].rollout.is_none()), (Some(4), true));
    assert_eq!(pinned(&rolling.spec.aliases, "other", 4), rolling.spec.aliases);
}
