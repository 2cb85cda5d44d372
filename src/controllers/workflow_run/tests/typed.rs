//! Inputs that have to fit a schema: whichever door a start comes by.

use super::life::{add_workflow, arn, ended, phase, ready, see, status, woken};
use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::{Faked, with};

fn needs(name: &str) -> Value {
    json!({"type": "object", "required": [name], "properties": {name: {"type": "string", "maxLength": 3}}})
}

fn typed(name: &str, more: &Value) -> Value {
    with(json!({"inputSchema": needs(name)}), more)
}

/// Gives the Workflow another schema, as its author would: the field is one value.
async fn set_schema(world: &mut World<Faked>, more: &Value) {
    world.change("workflows", "orders", &json!({"spec": {"inputSchema": null}}));
    world.change_spec::<Workflow>("orders", more);
    world.settle::<Workflow>("orders").await;
}

fn ready_of(world: &World<Faked>, name: &str) -> (String, String) {
    says(&world.run(name), "Ready")
}

#[tokio::test]
async fn a_run_whose_input_does_not_fit_ends_before_anything_is_recorded_or_started() {
    let map = |key: &str| json!({"inputFrom": {"configMapKeyRef": {"name": "inputs", "key": key}}});
    let (standard, express) = (json!({}), json!({"type": "Express"}));
    for (what, workflow, run, told) in [
        ("inline", &standard, json!({"input": {"a": 5}}), "/a must be of type string (/properties/a/type)"),
        ("inline, too long", &standard, json!({"input": {"a": "secret"}}), "/a must have at most 3 characters"),
        ("no input", &standard, json!({}), "the input needs \"a\" (/required)"),
        ("null", &standard, json!({"input": null}), "the input must be of type object"),
        ("from a map", &standard, map("bad"), "the input needs \"a\""),
        ("Express", &express, json!({"input": {}}), "the input needs \"a\""),
        ("synchronous", &express, json!({"mode": "Sync", "input": {}}), "the input needs \"a\""),
        ("from a map, fits", &standard, map("good"), ""),
        ("fits", &standard, json!({"input": {"a": "x"}}), ""),
    ] {
        let world = ready(&typed("a", workflow)).await;
        world.add_config_map("inputs", &json!({"good": "{\"a\": \"x\"}", "bad": "{\"b\": \"secret\"}"}), None);
        world.add_run("order", &run);
        world.wake("order").await;
        let (reason, message) = ready_of(&world, "order");
        let known = status(&world);
        if told.is_empty() {
            assert_eq!((known.phase, world.aws.executions().len()), (Some(Phase::Running), 1), "{what}: {message}");
            continue;
        }
        assert_eq!((known.phase, reason.as_str()), (Some(Phase::Failed), "InputInvalid"), "{what}: {message}");
        assert!(
            message.starts_with("The input does not fit spec.inputSchema of version 1 of Workflow \"orders\": "),
            "{message}"
        );
        assert!(
            message.contains(told) && !message.contains("secret") && message.chars().count() <= 1024,
            "{what}: {message}"
        );
        assert!(known.attempts.is_empty() && world.aws.executions().is_empty(), "{what}");
        assert_eq!((world.aws.calls("StartExecution"), world.aws.calls("StartSyncExecution")), (0, 0), "{what}");
    }
}

#[tokio::test]
async fn a_run_that_does_not_fit_keeps_no_slot_from_others() {
    let world = ready(&typed("a", &json!({"maxConcurrentRuns": 1}))).await;
    world.add_run("order", &json!({"input": {"a": 1}}));
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Failed));
    // The watch shows its end.
    world.wake("order").await;
    world.add_run("second", &json!({"input": {"a": "x"}}));
    world.wake("second").await;
    assert_eq!(world.run("second").status.unwrap().phase, Some(Phase::Running));
}

#[tokio::test]
async fn a_version_is_checked_by_the_schema_that_it_was_published_with() {
    let aliases = json!({"aliases": [{"name": "old", "version": 1}, {"name": "new"}]});
    let mut world = ready(&typed("a", &aliases)).await;
    let next = json!({"StartAt": "A", "Comment": "2", "States": {"A": {"Type": "Succeed"}}});
    set_schema(&mut world, &json!({"inputSchema": needs("b"), "definition": next})).await;
    let kept = world.get::<Workflow>("orders").status.unwrap().input_schemas;
    let of: Vec<(Vec<i64>, bool)> = kept.iter().map(|one| (one.versions.clone(), one.unversioned)).collect();
    assert_eq!(of, [(vec![1], false), (vec![2], true)]);
    let (a, b) = (json!({"a": "x"}), json!({"b": "x"}));
    for (name, reference, input, starts) in [
        ("one", json!({"version": 1}), &a, true),
        ("two", json!({"version": 1}), &b, false),
        ("three", json!({"version": 2}), &b, true),
        ("four", json!({"version": 2}), &a, false),
        ("five", json!({"alias": "old"}), &a, true),
        ("six", json!({"alias": "old"}), &b, false),
        ("seven", json!({"alias": "new"}), &a, false),
    ] {
        world.add_run(name, &json!({"workflowRef": reference, "input": input}));
        world.wake(name).await;
        let (reason, message) = ready_of(&world, name);
        let phase = world.run(name).status.unwrap().phase;
        let wanted = if starts { Some(Phase::Running) } else { Some(Phase::Failed) };
        assert_eq!(phase, wanted, "{name}: {reason} {message}");
    }
}

#[tokio::test]
async fn a_changed_schema_counts_for_the_newest_version_without_another_one() {
    let mut world = ready(&typed("a", &json!({}))).await;
    set_schema(&mut world, &json!({"inputSchema": needs("b")})).await;
    assert_eq!(world.aws.versions(MACHINE), [1]);
    world.add_run("order", &json!({"input": {"b": "x"}}));
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Running));
    set_schema(&mut world, &json!({})).await;
    assert!(world.get::<Workflow>("orders").status.unwrap().input_schemas.is_empty());
    world.add_run("second", &json!({"input": 5}));
    world.wake("second").await;
    assert_eq!(world.run("second").status.unwrap().phase, Some(Phase::Running));
}

#[tokio::test]
async fn while_a_schema_is_refused_the_one_before_counts() {
    let mut world = ready(&typed("a", &json!({}))).await;
    set_schema(&mut world, &json!({"inputSchema": {"type": "strin"}})).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/InputSchemaInvalid");
    for (name, input, wanted) in [("one", json!({"a": "x"}), Phase::Running), ("two", json!({}), Phase::Failed)] {
        world.add_run(name, &json!({"input": input}));
        world.wake(name).await;
        assert_eq!(world.run(name).status.unwrap().phase, Some(wanted), "{name}: {:?}", ready_of(&world, name));
    }
}

#[tokio::test]
async fn a_version_whose_schema_was_not_kept_is_not_started() {
    let world = ready(&typed("a", &json!({}))).await;
    world.change("workflows", "orders", &json!({"status": {"inputSchemas": [{"versions": [1]}]}}));
    world.add_run("order", &json!({"input": {"a": "x"}}));
    world.wake("order").await;
    assert_eq!(ready_of(&world, "order").0, "InputSchemaUnknown");
    assert!(status(&world).attempts.is_empty() && world.aws.executions().is_empty());
}

#[tokio::test]
async fn a_restart_is_checked_as_a_first_start_is() {
    let retry = json!({"input": {"a": "x"}, "retry": {"strategy": "Restart", "limit": 1}});
    for (schema, starts) in [(needs("a"), 2), (needs("b"), 1)] {
        let mut world = ended(&retry, Ended::Failed("E")).await;
        set_schema(&mut world, &json!({"inputSchema": schema})).await;
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(world.aws.executions().len(), starts, "{:?}", ready_of(&world, "order"));
        let (reason, message) = ready_of(&world, "order");
        if starts == 1 {
            assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Failed), "InputInvalid"));
            assert!(
                message.starts_with("The execution failed and is not tried again. The input does not fit"),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn a_redrive_takes_no_other_input_and_so_is_not_checked_again() {
    let mut world = ended(&json!({"input": {"a": "x"}}), Ended::Failed("E")).await;
    set_schema(&mut world, &json!({"inputSchema": needs("b")})).await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("RedriveExecution")), (Some(Phase::Running), 1));
}

#[tokio::test]
async fn a_recorded_start_is_not_made_once_its_input_does_not_fit_any_more() {
    let lost = async || {
        let mut world = ready(&json!({})).await;
        world.add_run("order", &json!({"input": {"a": "x"}}));
        world.aws.lose_answer("StartExecution");
        world.wake("order").await;
        set_schema(&mut world, &json!({"inputSchema": needs("b")})).await;
        world
    };
    // What it had started is followed.
    let mut world = lost().await;
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(Phase::Running), 1));
    // It had started nothing.
    let mut world = lost().await;
    world.aws.forget_execution(&arn());
    let mut attempt = serde_json::to_value(&status(&world).attempts[0]).unwrap();
    attempt["recordedAt"] = past();
    world.change("workflowruns", "order", &json!({"status": {"attempts": [attempt]}}));
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    let (reason, message) = ready_of(&world, "order");
    assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Failed), "InputInvalid"), "{message}");
    assert_eq!(world.aws.calls("StartExecution"), 1);
    assert!(message.contains("the input needs \"b\""), "{message}");
}

#[tokio::test]
async fn a_schema_that_costs_too_much_with_an_input_refuses_it_and_holds_nobody() {
    let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [
        {"additionalProperties": {"$ref": "#/$defs/n"}}, {"additionalProperties": {"$ref": "#/$defs/n"}}]}}});
    let nested = (0..60).fold(json!({}), |inner, _| json!({"a": inner}));
    let world = woken(&json!({"inputSchema": schema}), &json!({"input": nested})).await;
    let (reason, message) = ready_of(&world, "order");
    assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Failed), "InputInvalid"), "{message}");
    assert!(message.contains("cannot be checked"), "{message}");
}

#[tokio::test]
async fn an_end_is_seen_of_a_run_whose_schema_changed_meanwhile() {
    let mut world = World::fake().await;
    add_workflow(&world, &typed("a", &json!({})));
    world.settle::<Workflow>("orders").await;
    world.add_run("order", &json!({"input": {"a": "x"}}));
    world.wake("order").await;
    set_schema(&mut world, &json!({"inputSchema": needs("b")})).await;
    world.aws.end(&arn(), Ended::Well("{}"));
    see(&world).await;
    assert_eq!(phase(&world), Some(Phase::Succeeded));
}
