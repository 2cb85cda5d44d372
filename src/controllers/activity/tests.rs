//! Reconciles of Activities.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::controllers::stand_in::{Faked, World, with};

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:activity:shop_pack";

fn add(world: &World<Faked>, spec: &Value) {
    let whole = with(json!({"trustBindingRef": {"name": "orders"}, "tags": {"team": "shop"}}), spec);
    world.add("activities", &json!({"kind": "Activity", "metadata": {"name": "pack"}, "spec": whole}));
}

async fn made(spec: &Value) -> World<Faked> {
    let mut world = World::fake().await;
    add(&world, spec);
    world.settle::<Activity>("pack").await;
    assert_eq!(world.says::<Activity>("pack", "Ready"), "True/Synced", "{}", world.message::<Activity>("pack"));
    world
}

/// The tags of an owner of the name `pack`.
fn tags_of(cluster: &str) -> Tags {
    [("cluster", cluster), ("namespace", "shop"), ("name", "pack")]
        .map(|(key, value)| (format!("stepbound.dev/{key}"), value.to_owned()))
        .into()
}

#[tokio::test]
async fn an_activity_is_made_once_and_its_tags_are_kept() {
    let mut world = made(&json!({})).await;
    world.restart().await;
    world.settle::<Activity>("pack").await;
    assert_eq!(world.aws.changes(), ["CreateActivity"]);
    let status = world.get::<Activity>("pack").status.unwrap();
    assert_eq!((status.activity_arn.as_deref(), status.tag_keys), (Some(ARN), vec!["team".to_owned()]));
    // A tag that somebody else has changed is set back, and one that was never ours stays.
    world.aws.set_tag(ARN, "team", "theirs");
    world.aws.set_tag(ARN, "cost", "1");
    world.settle::<Activity>("pack").await;
    let mut object = serde_json::to_value(world.get::<Activity>("pack")).unwrap();
    object["spec"]["tags"] = json!({"stage": "test"});
    world.add("activities", &object);
    world.settle::<Activity>("pack").await;
    assert_eq!(world.aws.changes()[1..], ["TagResource", "TagResource", "UntagResource"]);
    let tags = world.aws.tags(ARN);
    assert_eq!(
        (tags.get("stage").map(String::as_str), tags.get("team"), tags["cost"].as_str()),
        (Some("test"), None, "1")
    );
}

#[tokio::test]
async fn an_activity_that_was_deleted_meanwhile_is_made_again() {
    let mut world = made(&json!({})).await;
    let caller = crate::controllers::stand_in::caller();
    crate::aws::Activities::delete_activity(&*world.aws.aws, &caller, ARN).await.unwrap();
    world.settle::<Activity>("pack").await;
    assert!(world.aws.has(ARN) && world.aws.calls("CreateActivity") == 2);
}

#[tokio::test]
async fn an_activity_of_somebody_else_is_not_touched() {
    for (what, tags) in [("nobody's", Tags::new()), ("another cluster's", tags_of("other"))] {
        let mut world = World::fake().await;
        world.aws.add_activity(ARN, &tags);
        add(&world, &json!({}));
        world.settle::<Activity>("pack").await;
        assert_eq!(world.says::<Activity>("pack", "Ready"), "False/ActivityNameTaken", "{what}");
        assert!(world.aws.changes().is_empty(), "{what}");
        world.change("activities", "pack", &json!({"metadata": {"finalizers": ["stepbound.dev/finalizer"]}}));
        world.delete::<Activity>("pack");
        world.settle::<Activity>("pack").await;
        assert!(world.is_gone::<Activity>("pack") && world.aws.has(ARN), "{what}");
    }
    // One that was made a moment ago is answered as if it were ours.
    let mut world = World::fake().await;
    world.aws.lag(1);
    world.aws.add_activity(ARN, &tags_of("other"));
    add(&world, &json!({}));
    world.settle::<Activity>("pack").await;
    assert_eq!(world.says::<Activity>("pack", "Ready"), "False/ActivityNameTaken");
}

#[tokio::test]
async fn what_is_refused_is_told_and_made_later() {
    let cases = [
        ("DescribeActivity", "AccessDeniedException", "AccessDenied"),
        ("CreateActivity", "ThrottlingException", "Throttled"),
        ("CreateActivity", "ActivityLimitExceeded", "Rejected"),
        ("CreateActivity", "KmsAccessDeniedException", "AccessDenied"),
        ("ListTagsForResource", "ServiceUnavailable", "AWSUnavailable"),
    ];
    for (operation, code, reason) in cases {
        let mut world = World::fake().await;
        world.aws.fail(operation, code);
        add(&world, &json!({"encryption": {"kmsKeyID": "alias/orders"}}));
        world.wake_object::<Activity>("pack").await;
        assert_eq!(world.says::<Activity>("pack", "Ready"), format!("False/{reason}"), "{operation} {code}");
        world.aws.allow(operation);
        world.settle::<Activity>("pack").await;
        assert_eq!(world.says::<Activity>("pack", "Ready"), "True/Synced", "{operation} {code}");
    }
}

#[tokio::test]
async fn what_may_not_be_is_refused_before_aws_is_asked() {
    let cases = [
        ("a name of others", json!({"name": "billing_pack"}), "NameNotAllowed"),
        ("no key", json!({"encryption": {"kmsKeyID": "*"}}), "ValueNotAllowed"),
        ("no binding", json!({"trustBindingRef": {"name": "none"}}), "BindingNotFound"),
    ];
    for (what, spec, reason) in cases {
        let world = World::fake().await;
        add(&world, &spec);
        world.wake_object::<Activity>("pack").await;
        assert_eq!(world.says::<Activity>("pack", "Ready"), format!("False/{reason}"), "{what}");
        assert!(world.aws.made().is_empty(), "{what}");
    }
    let world = World::fake_with(|_| {}, Some(&json!({"allowedRegions": ["eu-central-1"]}))).await;
    add(&world, &json!({}));
    world.wake_object::<Activity>("pack").await;
    assert_eq!(world.says::<Activity>("pack", "Ready"), "False/RefusedByGuardrail");
    assert!(world.aws.made().is_empty());
}

#[tokio::test]
async fn an_activity_goes_with_its_object_or_is_told_as_an_orphan() {
    type Take = fn(&World<Faked>);
    let ago = Timestamp::now() - SignedDuration::from_mins(16);
    let nothing: Take = |_| {};
    let no_account: Take = |world| world.remove_account();
    let held: Take = |world| {
        world.remove_account();
        world.aws.sessions.hold();
    };
    let suspended: Take = |world| world.change("trustbindings", "orders", &json!({"spec": {"suspend": true}}));
    // Whether the object goes, the activity stays, and that is told.
    let cases = [
        ("as usual", nothing, None, (true, false, false)),
        ("no account", no_account, None, (true, true, true)),
        ("a session held", held, None, (true, false, false)),
        ("a session held for too long", held, Some(ago), (true, true, true)),
        ("suspended", suspended, None, (false, true, false)),
    ];
    for (what, take, at, expected) in cases {
        let mut world = made(&json!({})).await;
        take(&world);
        world.forget_authorized().await;
        world.delete_at::<Activity>("pack", at.unwrap_or_else(Timestamp::now));
        world.settle::<Activity>("pack").await;
        let orphaned = world.reasons().contains(&"Orphaned".to_owned());
        assert_eq!((world.is_gone::<Activity>("pack"), world.aws.has(ARN), orphaned), expected, "{what}");
    }
}
