//! The end of a Workflow.

use jiff::{SignedDuration, Timestamp};

use super::*;

/// What is there when the deletion is asked for.
async fn deleted(spec: &Value, prepare: impl AsyncFnOnce(&mut World<Faked>)) -> World<Faked> {
    let mut world = made(spec).await;
    prepare(&mut world).await;
    world.forget_authorized().await;
    if world.get::<Workflow>("orders").metadata.deletion_timestamp.is_none() {
        world.delete::<Workflow>("orders");
    }
    world.wake_object::<Workflow>("orders").await;
    world
}

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

#[tokio::test]
async fn a_machine_goes_with_its_workflow_once_aws_has_deleted_it() {
    let mut world = deleted(&json!({}), async |_| {}).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/Deleting");
    assert!(!world.is_gone::<Workflow>("orders"));
    world.settle::<Workflow>("orders").await;
    assert!(world.is_gone::<Workflow>("orders") && !world.aws.has(MACHINE));
    assert_eq!(world.aws.calls("DeleteStateMachine"), 1);
}

#[tokio::test]
async fn a_machine_that_is_to_stay_keeps_all_but_our_tags() {
    let mut world = deleted(&json!({"deletionPolicy": "Retain", "tags": {"team": "shop"}}), async |_| {}).await;
    assert!(world.is_gone::<Workflow>("orders") && world.aws.has(MACHINE));
    let kept: Vec<String> = world.aws.tags(MACHINE).into_keys().collect();
    assert_eq!(kept, ["team"]);
    // One that was adopted stays until somebody says otherwise.
    world = World::fake().await;
    world.aws.add_machine(MACHINE, &machine_of_others(&[]));
    add(&world, &json!({"adoption": "IfUnowned"}));
    world.settle::<Workflow>("orders").await;
    world.delete::<Workflow>("orders");
    world.settle::<Workflow>("orders").await;
    assert!(world.is_gone::<Workflow>("orders") && world.aws.calls("DeleteStateMachine") == 0);
}

#[tokio::test]
async fn an_adopted_machine_is_deleted_where_somebody_said_so_since() {
    let mut world = World::fake().await;
    world.aws.add_machine(MACHINE, &machine_of_others(&[]));
    add(&world, &json!({"adoption": "IfUnowned", "deletionPolicy": "Retain"}));
    world.settle::<Workflow>("orders").await;
    change(&mut world, &json!({"deletionPolicy": "Delete"})).await;
    world.delete::<Workflow>("orders");
    world.settle::<Workflow>("orders").await;
    assert!(world.is_gone::<Workflow>("orders") && !world.aws.has(MACHINE));
}

#[tokio::test]
async fn what_runs_is_waited_for_as_long_as_the_drain_may_take() {
    let run = |world: &World<Faked>, phase: &str| {
        world.add_run("open", &json!({}));
        world.change("workflowruns", "open", &json!({"status": {"phase": phase}}));
    };
    let cases: [(&str, &str); 4] = [("Starting", "open"), ("Running", "open"), ("Succeeded", ""), ("Pending", "")];
    for (phase, waits) in cases {
        let world = deleted(&json!({}), async |world| run(world, phase)).await;
        let expected = if waits.is_empty() { "False/Deleting" } else { "False/Draining" };
        assert_eq!(world.says::<Workflow>("orders", "Ready"), expected, "{phase}");
        assert!(world.message::<Workflow>("orders").contains(waits), "{phase}");
    }
    let world = deleted(&json!({"drainTimeout": "30m"}), async |world| {
        run(world, "Running");
        world.delete_at::<Workflow>("orders", ago(31));
    })
    .await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/Deleting", "its time has passed");
}

#[tokio::test]
async fn a_run_between_two_attempts_is_waited_for() {
    let world = deleted(&json!({}), async |world| {
        world.add_run("again", &json!({"retry": {"strategy": "Restart", "limit": 1}}));
        let attempt = json!({"number": 1, "executionName": "e", "inputDigest": "d", "targetARN": MACHINE,
            "trustBindingName": "orders", "recordedAt": "2026-01-01T00:00:00Z"});
        let status = json!({"phase": "Pending", "retryAt": "2099-01-01T00:00:00Z", "attempts": [attempt]});
        world.change("workflowruns", "again", &json!({"status": status}));
        world.restart().await;
    })
    .await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/Draining");
    assert!(world.message::<Workflow>("orders").contains("again"));
}

#[tokio::test]
async fn an_execution_of_others_is_waited_for_too() {
    let mut world = deleted(&json!({}), async |world| {
        world.aws.start_by_hand(MACHINE, "by-hand", "{}");
    })
    .await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/Draining");
    world.aws.end(&world.aws.executions()[0], crate::aws::fake::Ended::Well("{}"));
    world.settle::<Workflow>("orders").await;
    assert!(world.is_gone::<Workflow>("orders"));
}

#[tokio::test]
async fn a_machine_that_is_gone_or_another_s_is_let_go_untouched() {
    let gone = deleted(&json!({}), async |world| world.aws.remove_machine(MACHINE)).await;
    let others =
        deleted(&json!({}), async |world| world.aws.set_tag(MACHINE, "stepbound.dev/cluster", "another")).await;
    for world in [gone, others] {
        assert!(world.is_gone::<Workflow>("orders"));
        assert_eq!(world.aws.changes(), ["CreateStateMachine"]);
    }
}

#[tokio::test]
async fn without_a_session_it_is_let_go_where_nobody_can_get_one_any_more() {
    type Take = fn(&World<Faked>);
    let no_account: Take = |world| world.remove_account();
    let held: Take = |world| {
        world.remove_account();
        world.aws.sessions.hold();
    };
    let held_too_long: Take = |world| {
        world.remove_account();
        world.aws.sessions.hold();
        world.delete_at::<Workflow>("orders", ago(16));
    };
    let no_binding: Take = |world| world.remove::<TrustBinding>("orders");
    let suspended: Take = |world| world.change("trustbindings", "orders", &json!({"spec": {"suspend": true}}));
    let (delete, retain) = (json!({}), json!({"deletionPolicy": "Retain"}));
    // Whether it is let go, whether that is told as an orphan, and whether the machine is asked to go.
    let cases = [
        ("no account", no_account, &delete, (true, true, false)),
        ("no account, a session held", held, &delete, (false, false, true)),
        ("a session held for too long", held_too_long, &delete, (true, true, false)),
        ("no binding", no_binding, &delete, (true, true, false)),
        ("suspended", suspended, &delete, (false, false, false)),
        ("suspended, and it stays", suspended, &retain, (true, true, false)),
    ];
    for (what, take, spec, expected) in cases {
        let world = deleted(spec, async |world| take(world)).await;
        let orphaned = world.reasons().contains(&"Orphaned".to_owned());
        let found = (world.is_gone::<Workflow>("orders"), orphaned, world.aws.calls("DeleteStateMachine") > 0);
        assert_eq!(found, expected, "{what}: {}", world.message::<Workflow>("orders"));
    }
}

#[tokio::test]
async fn a_workflow_that_never_got_a_session_needs_none_to_go() {
    let mut world = World::fake().await;
    world.withdraw_consent();
    add(&world, &json!({}));
    world.change("workflows", "orders", &json!({"metadata": {"finalizers": ["stepbound.dev/finalizer"]}}));
    world.delete::<Workflow>("orders");
    world.settle::<Workflow>("orders").await;
    assert!(world.is_gone::<Workflow>("orders") && world.reasons().is_empty());
}
