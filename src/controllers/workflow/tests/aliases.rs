//! Where aliases route.

use super::*;
use crate::api::v1alpha1::RolloutPhase;
use crate::aws::AlarmState;
use crate::aws::fake::Ended;

fn live() -> String {
    format!("{MACHINE}:live")
}

fn all_at_once() -> Value {
    json!({"name": "live", "rollout": {"strategy": "AllAtOnce"}})
}

fn canary(more: &Value) -> Value {
    let rollout =
        json!({"strategy": "Canary", "percent": 50, "interval": "1ms", "minExecutions": 1, "maxFailurePercent": 0});
    json!({"name": "live", "rollout": with(rollout, more)})
}

fn alias(world: &World<Faked>) -> crate::api::v1alpha1::AliasStatus {
    status(world).aliases.into_iter().find(|alias| alias.name == "live").unwrap()
}

/// A Workflow whose second version is being rolled out.
async fn rolling(more: &Value) -> World<Faked> {
    let world = made(&json!({"aliases": [canary(more)]})).await;
    world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
    world.wake_object::<Workflow>("orders").await;
    world
}

/// Executions by the alias: fifty of the old version, then so many of the new, which end as told.
fn run(world: &World<Faked>, new: usize, ends: Ended) {
    for number in 0..50 + new {
        let arn = world.aws.start_by_hand(&live(), &format!("e-{number}"), "{}");
        let is_new = world.aws.execution(&arn).unwrap().version_arn.unwrap().ends_with(":2");
        assert_eq!(is_new, number >= 50);
        world.aws.end(&arn, if is_new { ends } else { Ended::Well("{}") });
    }
}

async fn look(world: &World<Faked>) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    world.wake_object::<Workflow>("orders").await;
}

#[tokio::test]
async fn an_alias_follows_its_spec() {
    let pinned = |version: i64| json!({"name": "live", "version": version});
    let cases = [
        ("all at once", all_at_once(), Some(vec![(2, 100)])),
        ("pinned", pinned(1), Some(vec![(1, 100)])),
        ("pinned to the new one", pinned(2), Some(vec![(2, 100)])),
        ("dropped", Value::Null, None),
    ];
    for (what, then, routes) in cases {
        let mut world = made(&json!({"aliases": [all_at_once()]})).await;
        assert_eq!(world.aws.routes(&live()), Some(vec![(1, 100)]), "{what}");
        let aliases: Vec<Value> = [then].into_iter().filter(|alias| !alias.is_null()).collect();
        change(&mut world, &json!({"definition": definition("2"), "aliases": aliases})).await;
        assert_eq!(world.aws.routes(&live()), routes, "{what}");
        assert_eq!(status(&world).aliases.len(), usize::from(routes.is_some()), "{what}");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{what}");
    }
}

#[tokio::test]
async fn an_alias_that_is_there_already_is_moved() {
    let mut world = made(&json!({})).await;
    change(&mut world, &json!({"definition": definition("2")})).await;
    world.aws.change_alias(&live(), Some(&[(1, 100)]));
    change(&mut world, &json!({"aliases": [all_at_once()]})).await;
    assert_eq!(world.aws.routes(&live()), Some(vec![(2, 100)]));
    assert_eq!(world.aws.changes()[2..], ["CreateStateMachineAlias", "UpdateStateMachineAlias"]);
}

#[tokio::test]
async fn a_dropped_alias_that_is_gone_already_holds_nothing_up() {
    let mut world = made(&json!({"aliases": [all_at_once()]})).await;
    world.aws.change_alias(&live(), None);
    change(&mut world, &json!({"aliases": []})).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{}", world.message::<Workflow>("orders"));
    assert!(status(&world).aliases.is_empty());
}

#[tokio::test]
async fn an_alias_that_somebody_else_moved_is_set_back_or_reported() {
    for (policy, moved) in [("Correct", Some([(1, 100)].as_slice())), ("Correct", None), ("Report", None)] {
        let mut world = made(&json!({"drift": policy, "aliases": [all_at_once()]})).await;
        change(&mut world, &json!({"definition": definition("2")})).await;
        world.aws.change_alias(&live(), moved);
        world.annotate::<Workflow>("orders", "stepbound.dev/reconcile-now", "1");
        world.restart().await;
        world.wake_object::<Workflow>("orders").await;
        let reported = policy == "Report";
        let there = world.aws.routes(&live());
        assert_eq!(there.is_some_and(|routes| routes == [(2, 100)]), !reported, "{policy} {moved:?}");
        let ready = if reported { "True/Drifted" } else { "True/Synced" };
        assert_eq!(world.says::<Workflow>("orders", "Ready"), ready, "{policy} {moved:?}");
        for look in 0..3 {
            let drifted = world.condition::<Workflow>("orders", "Drifted").unwrap();
            assert!(drifted.message.contains("aliases.live") || !reported, "look {look}: {}", drifted.message);
            world.wake_object::<Workflow>("orders").await;
        }
    }
}

#[tokio::test]
async fn a_move_that_aws_refuses_leaves_the_alias_where_it_was() {
    for (code, reason, asked) in [
        ("AccessDeniedException", "AccessDenied", false),
        ("ResourceNotFound", "NotFound", false),
        ("ValidationException", "Rejected", false),
        ("ThrottlingException", "Throttled", true),
        ("ServiceUnavailable", "AWSUnavailable", true),
    ] {
        let mut world = made(&json!({"aliases": [all_at_once()]})).await;
        world.aws.fail("UpdateStateMachineAlias", code);
        world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), format!("False/{reason}"), "{code}");
        let known = alias(&world);
        assert_eq!((known.routes[0].version, known.asked.is_empty()), (1, !asked), "{code}: it may have been moved");
        world.aws.allow("UpdateStateMachineAlias");
        world.settle::<Workflow>("orders").await;
        assert_eq!((world.aws.routes(&live()), alias(&world).asked), (Some(vec![(2, 100)]), vec![]), "{code}");
    }
}

#[tokio::test]
async fn a_new_version_takes_over_once_it_has_proven_itself() {
    let mut world = rolling(&json!({})).await;
    assert_eq!(
        (alias(&world).phase, world.aws.routes(&live())),
        (RolloutPhase::RollingOut, Some(vec![(1, 50), (2, 50)]))
    );
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
    assert_eq!(world.says::<Workflow>("orders", "Reconciling"), "True/RollingOut");
    look(&world).await;
    assert_eq!(alias(&world).phase, RolloutPhase::RollingOut, "nothing has ended yet");
    run(&world, 2, Ended::Well("{}"));
    look(&world).await;
    assert_eq!((alias(&world).phase, world.aws.routes(&live())), (RolloutPhase::Stable, Some(vec![(2, 100)])));
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Reconciling"), "");
}

#[tokio::test]
async fn a_version_that_fails_is_rolled_back_and_not_tried_again() {
    for (policy, stops) in [("Leave", 0), ("Stop", 1)] {
        let mut world = rolling(&json!({"onRollback": policy})).await;
        run(&world, 10, Ended::Failed("E"));
        let open = world.aws.start_by_hand(&format!("{MACHINE}:2"), "open", "{}");
        look(&world).await;
        assert_eq!(world.aws.routes(&live()), Some(vec![(1, 100)]), "{policy}");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/RolledBack", "{policy}");
        assert_eq!((alias(&world).phase, status(&world).quarantined), (RolloutPhase::RolledBack, vec![2]), "{policy}");
        assert_eq!(world.aws.calls("StopExecution"), stops, "{policy}");
        assert_eq!(world.aws.execution(&open).unwrap().stopped_at.is_some(), stops > 0, "{policy}");
        world.restart().await;
        world.settle::<Workflow>("orders").await;
        assert_eq!(world.aws.routes(&live()), Some(vec![(1, 100)]), "{policy}: not by itself");
        change(&mut world, &json!({"definition": definition("3")})).await;
        assert_eq!(alias(&world).target, Some(3), "{policy}: a newer version is tried");
    }
}

#[tokio::test]
async fn a_rollback_is_told_without_a_cause_where_the_key_is_the_account_s_own() {
    let mut world = rolling(&json!({"onRollback": "Stop"})).await;
    change(
        &mut world,
        &json!({"encryption": {"kmsKeyID": "alias/orders"}, "aliases": [{"name": "live", "version": 1}]}),
    )
    .await;
    drop(world);
    let mut world =
        made(&json!({"aliases": [canary(&json!({"onRollback": "Stop"}))], "encryption": {"kmsKeyID": "alias/orders"}}))
            .await;
    world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
    world.wake_object::<Workflow>("orders").await;
    run(&world, 10, Ended::Failed("E"));
    let open = world.aws.start_by_hand(&format!("{MACHINE}:2"), "open", "{}");
    look(&world).await;
    let stopped = world.aws.execution(&open).unwrap();
    assert_eq!((stopped.stopped_at.is_some(), stopped.cause), (true, None));
    world.settle::<Workflow>("orders").await;
}

#[tokio::test]
async fn somebody_may_hold_a_rollout_or_end_it() {
    let mut world = rolling(&json!({})).await;
    world.annotate::<Workflow>("orders", "stepbound.dev/pause", "other, live");
    run(&world, 2, Ended::Well("{}"));
    look(&world).await;
    assert_eq!((alias(&world).phase, world.aws.routes(&live())), (RolloutPhase::Paused, Some(vec![(1, 50), (2, 50)])));
    world.annotate::<Workflow>("orders", "stepbound.dev/promote", "live/2");
    look(&world).await;
    assert_eq!((alias(&world).phase, world.aws.routes(&live())), (RolloutPhase::Stable, Some(vec![(2, 100)])));
    assert_eq!(status(&world).last_handled.promote.as_deref(), Some("live/2"));
    // The same annotation asks for nothing any more.
    change(&mut world, &json!({"definition": definition("3")})).await;
    assert_eq!(alias(&world).target, Some(3));
    for wrong in ["live", "other/3", "live/3x", "live/1"] {
        world.annotate::<Workflow>("orders", "stepbound.dev/promote", wrong);
        look(&world).await;
        assert_eq!(alias(&world).target, Some(3), "{wrong}");
    }
}

#[tokio::test]
async fn alarms_hold_a_rollout_back_or_end_it() {
    let alarms = json!({"alarms": ["errors"]});
    // What the alarm says before the rollout, and what follows.
    let cases: [(&str, Option<AlarmState>, Option<&str>, RolloutPhase); 4] = [
        ("quiet", Some(AlarmState::Ok), None, RolloutPhase::RollingOut),
        ("against it", Some(AlarmState::Alarm), None, RolloutPhase::Waiting),
        ("none of the name", None, None, RolloutPhase::Waiting),
        ("unreadable", Some(AlarmState::Ok), Some("AccessDeniedException"), RolloutPhase::Waiting),
    ];
    for (what, before, refused, phase) in cases {
        let world = made(&json!({"aliases": [canary(&alarms)]})).await;
        if let Some(state) = before {
            world.aws.set_alarm("errors", state);
        }
        if let Some(code) = refused {
            world.aws.fail("DescribeAlarms", code);
        }
        world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(alias(&world).phase, phase, "{what}: {}", alias(&world).message);
        world.aws.allow("DescribeAlarms");
        world.aws.set_alarm("errors", AlarmState::Ok);
        look(&world).await;
        assert_eq!(alias(&world).phase, RolloutPhase::RollingOut, "{what}: it begins by itself");
        world.aws.fail_next("DescribeAlarms", "ThrottlingException");
        look(&world).await;
        assert_eq!(alias(&world).phase, RolloutPhase::RollingOut, "{what}: what is not known rolls nothing back");
        world.aws.set_alarm("errors", AlarmState::Alarm);
        look(&world).await;
        assert_eq!(alias(&world).phase, RolloutPhase::RolledBack, "{what}");
    }
}

#[tokio::test]
async fn an_alias_does_not_move_to_what_may_not_run() {
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let rails = json!({"allowedExecutionRoleARNs": [role("run")]});
    let mut world = World::fake_with(|_| {}, Some(&rails)).await;
    add(&world, &json!({"aliases": [all_at_once()]}));
    world.settle::<Workflow>("orders").await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{}", world.message::<Workflow>("orders"));
    // Version 2 was published by somebody else, as another role.
    world.aws.change_machine(MACHINE, |machine| machine.role_arn = role("root"));
    let caller = crate::controllers::stand_in::caller();
    crate::aws::StateMachines::publish_version(&*world.aws.aws, &caller, MACHINE, None, "theirs").await.unwrap();
    world.restart().await;
    change(&mut world, &json!({"aliases": [{"name": "live", "version": 2}]})).await;
    assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/RefusedByGuardrail");
    assert!(world.message::<Workflow>("orders").starts_with("Alias \"live\" is not moved."));
    assert_eq!(world.aws.routes(&live()), Some(vec![(1, 100)]));
}

#[tokio::test]
async fn an_alias_that_is_refused_keeps_no_other() {
    let other = |version: i64| json!({"name": "other", "version": version});
    // Which call is refused of the first alias, and what the spec has instead of it.
    let cases =
        [("UpdateStateMachineAlias", json!([all_at_once(), other(2)])), ("DeleteStateMachineAlias", json!([other(2)]))];
    for (operation, aliases) in cases {
        let mut world = made(&json!({"aliases": [all_at_once(), other(1)]})).await;
        world.aws.fail_next(operation, "AccessDeniedException");
        world.change_spec::<Workflow>("orders", &json!({"definition": definition("2"), "aliases": aliases}));
        world.wake_object::<Workflow>("orders").await;
        assert_eq!(world.aws.routes(&live()), Some(vec![(1, 100)]), "{operation}");
        assert_eq!(world.aws.routes(&format!("{MACHINE}:other")), Some(vec![(2, 100)]), "{operation}");
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/AccessDenied", "{operation}");
        assert_eq!(world.says::<Workflow>("orders", "Synced"), "True/Synced", "{operation}: the machine is");
        world.settle::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced", "{operation}");
    }
}
