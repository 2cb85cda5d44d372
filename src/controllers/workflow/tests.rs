//! Reconciles of Workflows, as tables: what is asked of AWS, and what is told.

use serde_json::{Value, json};

use super::*;
use crate::aws::fake::UNKNOWN_RESOURCE;
use crate::aws::{CreateStateMachine, Tags};
use crate::controllers::stand_in::{Faked, MACHINE, World, with};

mod aliases;
mod delete;
mod refusals;
mod typed;

const ROLE: &str = "arn:aws:iam::111122223333:role/run";

/// A definition that is told from others by its comment.
fn definition(comment: &str) -> Value {
    json!({"StartAt": "A", "Comment": comment, "States": {"A": {"Type": "Succeed"}}})
}

fn add(world: &World<Faked>, spec: &Value) {
    let whole = with(
        json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": ROLE, "definition": definition("1")}),
        spec,
    );
    world.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"}, "spec": whole}));
}

/// A Workflow that is as its spec says.
async fn made(spec: &Value) -> World<Faked> {
    let mut world = World::fake().await;
    add(&world, spec);
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{}", world.message::<Workflow>("orders"));
    world
}

async fn change(world: &mut World<Faked>, spec: &Value) {
    world.change_spec::<Workflow>("orders", spec);
    world.settle::<Workflow>("orders").await;
}

fn status(world: &World<Faked>) -> WorkflowStatus {
    world.get::<Workflow>("orders").status.unwrap()
}

/// A machine as somebody else has made it.
fn machine_of_others(tags: &[(&str, &str)]) -> CreateStateMachine {
    CreateStateMachine {
        name: "shop_orders".into(),
        definition: definition("theirs").to_string(),
        role_arn: ROLE.into(),
        machine_type: crate::api::v1alpha1::StateMachineType::Standard,
        settings: MachineSettings::default(),
        version_description: None,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn owner_tags(cluster: &'static str, namespace: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("stepbound.dev/cluster", cluster), ("stepbound.dev/namespace", namespace), ("stepbound.dev/name", "orders")]
}

#[tokio::test]
async fn a_new_workflow_is_created_once_with_its_owner_and_a_first_version() {
    let mut world = made(&json!({"tags": {"team": "shop"}})).await;
    world.settle::<Workflow>("orders").await;
    world.restart().await;
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.aws.changes(), ["CreateStateMachine"]);
    let tags = world.aws.tags(MACHINE);
    for (key, value) in [("team", "shop"), ("stepbound.dev/cluster", "test"), ("stepbound.dev/namespace", "shop")] {
        assert_eq!(tags.get(key).map(String::as_str), Some(value));
    }
    let status = status(&world);
    assert_eq!((status.versions, status.latest_version.map(|latest| latest.number)), (vec![1], Some(1)));
    assert_eq!((status.tag_keys, status.state_machine_arn.as_deref()), (vec!["team".to_owned()], Some(MACHINE)));
    assert_eq!(world.get::<Workflow>("orders").finalizers(), ["stepbound.dev/finalizer"]);
    assert_eq!(world.says::<Workflow>("orders", "DefinitionValid"), "True/Valid");
    assert_eq!(world.says::<Workflow>("orders", "Drifted"), "False/NoDrift");
}

#[tokio::test]
async fn each_change_of_the_spec_is_made_by_its_call_and_no_other() {
    let key = "alias/orders";
    let group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/orders";
    let cases = [
        (json!({"definition": definition("2")}), vec!["UpdateStateMachine"], vec![1, 2]),
        (json!({"executionRoleARN": format!("{ROLE}-2")}), vec!["UpdateStateMachine"], vec![1, 2]),
        (json!({"tracing": {"enabled": true}}), vec!["UpdateStateMachine"], vec![1, 2]),
        (json!({"logging": {"level": "All", "logGroupARN": group}}), vec!["UpdateStateMachine"], vec![1, 2]),
        (json!({"encryption": {"kmsKeyID": key}}), vec!["UpdateStateMachine"], vec![1, 2]),
        (json!({"tags": {"team": null, "stage": "test"}}), vec!["TagResource", "UntagResource"], vec![1]),
        (json!({"tags": {"team": "other"}}), vec!["TagResource"], vec![1]),
        (json!({"deletionPolicy": "Retain"}), vec![], vec![1]),
        (json!({"substitutions": {"unused": "x"}}), vec![], vec![1]),
    ];
    for (spec, calls, versions) in cases {
        let mut world = made(&json!({"tags": {"team": "shop"}})).await;
        // As a merge patch has it, a null takes a tag away.
        if spec["tags"]["team"].is_null() && spec["tags"].is_object() {
            let mut object = serde_json::to_value(world.get::<Workflow>("orders")).unwrap();
            object["spec"]["tags"] = json!({"stage": "test"});
            object["metadata"]["generation"] = json!(2);
            world.add("workflows", &object);
            world.settle::<Workflow>("orders").await;
        } else {
            change(&mut world, &spec).await;
        }
        assert_eq!(world.aws.changes()[1..], calls, "{spec}");
        assert_eq!((status(&world).versions, world.aws.versions(MACHINE)), (versions.clone(), versions), "{spec}");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{spec}");
    }
}

#[tokio::test]
async fn without_versions_the_machine_itself_is_kept() {
    let mut world = made(&json!({"versions": {"publish": "Never"}})).await;
    change(&mut world, &json!({"definition": definition("2")})).await;
    assert_eq!(world.aws.changes(), ["CreateStateMachine", "UpdateStateMachine"]);
    assert_eq!((world.aws.versions(MACHINE), status(&world).latest_version), (vec![], None));
    change(&mut world, &json!({"versions": {"publish": "OnChange"}})).await;
    assert_eq!(world.aws.versions(MACHINE), [1], "the first version is published as soon as there are to be some");
    assert_eq!(status(&world).latest_version.map(|latest| latest.number), Some(1));
}

#[tokio::test]
async fn old_versions_are_removed_except_those_that_are_used() {
    // What uses version 1, and whether it is kept.
    let ended = |phase: &str, at: &str| {
        json!({"phase": phase, "finishedAt": at, "attempts": [{"number": 1, "executionName": "e", "inputDigest": "d",
            "targetARN": format!("{MACHINE}:1"), "trustBindingName": "orders", "recordedAt": "2026-01-01T00:00:00Z"}]})
    };
    let now = jiff::Timestamp::now().to_string();
    let cases = [
        ("nothing", None, false),
        ("an open run", Some(with(ended("Running", &now), &json!({"finishedAt": null}))), true),
        ("a run that can be redriven", Some(ended("Failed", &now)), true),
        ("a run that failed long ago", Some(ended("Failed", "2020-01-01T00:00:00Z")), false),
        ("a run that succeeded", Some(ended("Succeeded", &now)), false),
    ];
    for (what, run, kept) in cases {
        let mut world = made(&json!({"versions": {"retain": 1}})).await;
        if let Some(status) = run {
            world.add_run("used", &json!({}));
            world.change("workflowruns", "used", &json!({"status": status}));
        }
        change(&mut world, &json!({"definition": definition("2")})).await;
        let expected = if kept { vec![1, 2] } else { vec![2] };
        assert_eq!((world.aws.versions(MACHINE), status(&world).versions), (expected.clone(), expected), "{what}");
    }
    let mut routed = made(&json!({"versions": {"retain": 1}, "aliases": [{"name": "live", "version": 1}]})).await;
    change(&mut routed, &json!({"definition": definition("2")})).await;
    assert_eq!(routed.aws.versions(MACHINE), [1, 2], "an alias routes to it");
    let mut theirs = made(&json!({"versions": {"retain": 1}})).await;
    theirs.aws.change_alias(&format!("{MACHINE}:theirs"), Some(&[(1, 100)]));
    change(&mut theirs, &json!({"definition": definition("2")})).await;
    assert_eq!(theirs.says::<Workflow>("orders", "Ready"), "True/Synced", "an alias that nobody here knows holds it");
    assert_eq!(theirs.aws.versions(MACHINE), [1, 2]);
}

#[tokio::test]
async fn a_change_of_somebody_else_is_set_back_or_reported_once() {
    for (policy, ready, drifted, event, changes) in [
        ("Correct", "True/Synced", "False/Corrected", "DriftCorrected", 2),
        ("Report", "True/Drifted", "True/ChangedInAWS", "DriftFound", 1),
    ] {
        let mut world = made(&json!({"drift": policy})).await;
        world.restart().await;
        world.aws.change_machine(MACHINE, |machine| machine.definition = definition("theirs").to_string());
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), ready, "{policy}");
        assert_eq!(world.says::<Workflow>("orders", "Drifted"), drifted, "{policy}");
        assert!(world.condition::<Workflow>("orders", "Drifted").unwrap().message.contains("definition.Comment"));
        world.restart().await;
        world.settle::<Workflow>("orders").await;
        let told = world.reasons().into_iter().filter(|reason| reason == event).count();
        assert_eq!((told, world.aws.changes().len()), (1, changes), "{policy}: {:?}", world.reasons());
    }
}

#[tokio::test]
async fn nothing_is_set_back_while_aws_may_still_show_what_was_before_our_own_write() {
    let world = made(&json!({})).await;
    world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
    world.wake_object::<Workflow>("orders").await;
    world.aws.change_machine(MACHINE, |machine| machine.definition = definition("1").to_string());
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.aws.changes(), ["CreateStateMachine", "UpdateStateMachine"]);
    assert!(!world.reasons().contains(&"DriftCorrected".to_owned()), "{:?}", world.reasons());
}

#[tokio::test]
async fn a_machine_that_exists_is_taken_only_by_whoever_may_have_it() {
    let theirs = owner_tags("other", "shop");
    let let_go = || {
        let mut tags = owner_tags("other", "shop");
        tags.push(("stepbound.dev/release-to", "test/shop/orders"));
        tags
    };
    let (never, unowned) = (json!({}), json!({"adoption": "IfUnowned"}));
    let asks = Some("other/shop/orders");
    let cases = [
        ("nobody's, and not to be adopted", vec![], &never, None, false),
        ("nobody's, to be adopted", vec![("team", "x")], &unowned, None, true),
        ("another's", theirs.clone(), &unowned, None, false),
        ("another's, asked for", theirs.clone(), &unowned, asks, false),
        ("let go to this one, not asked for", let_go(), &unowned, None, false),
        ("let go to this one and asked for", let_go(), &never, asks, true),
        ("asked for from somebody else", let_go(), &never, Some("third/shop/orders"), false),
        ("of another tool", vec![("aws:cloudformation:stack-id", "x")], &unowned, None, false),
        ("its own of before", owner_tags("test", "shop"), &never, None, true),
    ];
    for (what, tags, spec, asked, taken) in cases {
        let mut world = World::fake().await;
        world.aws.add_machine(MACHINE, &machine_of_others(&tags));
        add(&world, spec);
        if let Some(owner) = asked {
            world.annotate::<Workflow>("orders", "stepbound.dev/take-over-from", owner);
        }
        world.settle::<Workflow>("orders").await;
        let expected = if taken { "True/Synced" } else { "False/StateMachineNameTaken" };
        assert_eq!(
            world.says::<Workflow>("orders", "Ready"),
            expected,
            "{what}: {}",
            world.message::<Workflow>("orders")
        );
        let tags: Tags = world.aws.tags(MACHINE);
        let owned = tags.get("stepbound.dev/cluster").map(String::as_str) == Some("test");
        assert_eq!(owned, taken, "{what}: {tags:?}");
        assert_eq!(world.aws.changes().is_empty(), !taken, "{what}: {:?}", world.aws.changes());
        assert!(!tags.contains_key("stepbound.dev/release-to") || !taken, "{what}: consent is good once");
    }
}

#[tokio::test]
async fn a_machine_of_another_type_or_under_lockdown_is_not_taken() {
    let cases = [
        ("type", json!({"type": "Express", "adoption": "IfUnowned"}), false, "TypeMismatch"),
        ("lockdown", json!({"adoption": "IfUnowned"}), true, "RefusedByLockdown"),
    ];
    for (what, spec, lockdown, reason) in cases {
        let mut world = World::fake_with(|settings| settings.lockdown = lockdown, None).await;
        if lockdown {
            allow_under_lockdown(&world);
        }
        world.aws.add_machine(MACHINE, &machine_of_others(&[]));
        add(&world, &spec);
        world.settle::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), format!("False/{reason}"), "{what}");
        assert!(world.aws.changes().is_empty(), "{what}");
    }
}

/// A binding as a shared cluster wants it.
fn allow_under_lockdown(world: &World<Faked>) {
    let role = "arn:aws:iam::111122223333:role/shop";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "orders", "namespace": "shop",
        "uid": "account", "annotations": {"stepbound.dev/allowed-role-arns": role}}});
    world.put("/api/v1/namespaces/shop/serviceaccounts/orders", &account);
    world.change(
        "trustbindings",
        "orders",
        &json!({"spec": {"sessionPolicy": "Derived", "allowedExecutionRoleARNs": [ROLE]}}),
    );
}

#[tokio::test]
async fn what_a_crash_left_is_found_again_by_its_description() {
    let mut world = World::fake().await;
    add(&world, &json!({}));
    world.aws.lose_answer("CreateStateMachine");
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/AWSUnavailable");
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
    assert_eq!((world.aws.versions(MACHINE), status(&world).versions), (vec![1], vec![1]));
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_still_becomes_the_newest_version() {
    let mut world = made(&json!({"aliases": [{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]})).await;
    world.aws.lose_answer("UpdateStateMachine");
    change(&mut world, &json!({"definition": definition("2")})).await;
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
    assert_eq!(status(&world).latest_version.map(|latest| latest.number), Some(2));
    assert_eq!(world.aws.routes(&format!("{MACHINE}:live")), Some(vec![(2, 100)]));
}

#[tokio::test]
async fn without_quota_nothing_is_asked_of_aws() {
    let mut world = World::fake().await;
    add(&world, &json!({}));
    world.aws.use_up("CreateStateMachine");
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(
        (world.says::<Workflow>("orders", "Ready").as_str(), world.aws.made().len()),
        ("False/WaitingForQuota", 0)
    );
    world.aws.allow("CreateStateMachine");
    world.settle::<Workflow>("orders").await;
    let before = world.aws.made().len();
    world.aws.use_up("DescribeStateMachine");
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.aws.made().len(), before, "drift of what rests is looked for last");
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
}

#[tokio::test]
async fn tags_are_read_again_where_somebody_asks_for_it() {
    let mut world = made(&json!({"tags": {"team": "shop"}})).await;
    let before = world.aws.calls("ListTagsForResource");
    world.wake_object::<Workflow>("orders").await;
    assert_eq!(world.aws.calls("ListTagsForResource"), before, "a resync does not read them");
    world.aws.set_tag(MACHINE, "team", "theirs");
    world.annotate::<Workflow>("orders", "stepbound.dev/reconcile-now", "1");
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.aws.tags(MACHINE)["team"], "shop");
    assert_eq!(world.aws.calls("TagResource"), 1);
    world.annotate::<Workflow>("orders", "stepbound.dev/release-to", "other/shop/orders");
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.aws.tags(MACHINE)["stepbound.dev/release-to"], "other/shop/orders");
}
