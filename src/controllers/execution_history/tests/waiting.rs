//! Histories that have not begun: they hold no place, and their wait has an end.

use super::kept::show;
use super::*;

/// It was created so long ago.
fn created_ago(world: &World<Faked>, name: &str, seconds: i64) {
    let at = (Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).to_string();
    world.change("executionhistories", name, &json!({"metadata": {"creationTimestamp": at}}));
}

#[tokio::test]
async fn what_waits_holds_no_place() {
    type Change = fn(&World<Faked>);
    let cases: [(&str, Change, &str); 3] = [
        ("runs that are not there", |_| {}, "RunNotFound"),
        (
            "a run that was not started",
            |world| {
                world.change("workflowruns", "other", &json!({"status": {"executionARN": null, "phase": "Pending"}}));
            },
            "RunNotStarted",
        ),
        (
            "a run whose binding is not there",
            |world| {
                let attempts = json!([{"number": 1, "executionName": "order", "targetARN": MACHINE, "trustBindingName": "none",
                "inputDigest": "", "recordedAt": "2026-01-01T00:00:00Z"}]);
                world.change("workflowruns", "other", &json!({"status": {"attempts": attempts}}));
            },
            "BindingNotFound",
        ),
    ];
    for (what, change, reason) in cases {
        let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
        let mut intake = world.ctx.watches.of("shop").unwrap().histories.intake().unwrap();
        if reason != "RunNotFound" {
            let order = world.object("/apis/stepbound.dev/v1alpha1/namespaces/shop/workflowruns/order").unwrap();
            world.add("workflowruns", &with(order, &json!({"metadata": {"name": "other", "uid": "other"}})));
            change(&world);
        }
        for number in 0..12 {
            ask(&world, &format!("h-{number:02}"), &json!({"workflowRunRef": {"name": "other"}}));
        }
        show(&world, &mut intake);
        for number in 0..12 {
            look_again(&mut world, &format!("h-{number:02}")).await;
            show(&world, &mut intake);
            assert_eq!(says(&world, &format!("h-{number:02}")), format!("Pending False/{reason}"), "{what}");
        }
        show(&world, &mut intake);
        ask(&world, "mine", &json!({}));
        show(&world, &mut intake);
        look_again(&mut world, "mine").await;
        assert_eq!(says(&world, "mine"), "Complete True/HistoryRead", "{what}");
    }
}

#[tokio::test]
async fn a_wait_has_an_end_and_its_time_counts() {
    for (run, seconds, reason) in [(None, 61, "RunNotFound"), (Some("Pending"), 86_401, "RunNotStarted")] {
        let mut world = with_run("Pending", events(1, 2, 0)).await;
        match run {
            Some(phase) => add_run(&world, &json!({"phase": phase})),
            None => world.remove::<WorkflowRun>("order"),
        }
        ask(&world, "one", &json!({"ttlAfterFinished": "5m"}));
        created_ago(&world, "one", seconds - 10);
        look_again(&mut world, "one").await;
        assert_eq!(says(&world, "one"), format!("Pending False/{reason}"));
        created_ago(&world, "one", seconds);
        look_again(&mut world, "one").await;
        assert_eq!(says(&world, "one"), format!("Failed False/{reason}"));
        assert_eq!(world.says::<ExecutionHistory>("one", "Stalled"), format!("True/{reason}"));
        let found = status(&world, "one");
        let kept = found.expires_at.unwrap().0.duration_since(found.finished_at.unwrap().0);
        assert_eq!(kept.as_secs(), 300, "{reason}");
    }
}

#[tokio::test]
async fn who_is_refused_all_the_time_is_refused_for_good() {
    let world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
    ask(&world, "one", &json!({}));
    world.aws.fail_next("GetExecutionHistory", "AccessDeniedException");
    world.wake_object::<ExecutionHistory>("one").await;
    assert_eq!(says(&world, "one"), "Pending False/AccessDenied");
    let an_hour_ago = Timestamp::now() - jiff::SignedDuration::from_hours(1);
    world.ctx.histories.with_begun(|begun| begun.refused.insert("uid-one".into(), an_hour_ago));
    world.aws.fail_next("GetExecutionHistory", "AccessDeniedException");
    world.wake_object::<ExecutionHistory>("one").await;
    assert_eq!(says(&world, "one"), "Failed False/AccessDenied");
    assert!(world.message::<ExecutionHistory>("one").contains("create another one"));
}

#[tokio::test]
async fn of_many_wishes_a_hundred_wait_and_the_rest_go_in_a_minute() {
    let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
    let mut intake = world.ctx.watches.of("shop").unwrap().histories.intake().unwrap();
    let name = |number: usize| format!("none-{number:04}");
    for number in 0..300 {
        let run = format!("run-{number}");
        ask(&world, &name(number), &json!({"workflowRunRef": {"name": run}, "ttlAfterFinished": "8760h"}));
    }
    show(&world, &mut intake);
    for number in 0..300 {
        world.wake_object::<ExecutionHistory>(&name(number)).await;
    }
    show(&world, &mut intake);
    let waits =
        |world: &World<Faked>| (0..300).filter(|number| says(world, &name(*number)).starts_with("Pending")).count();
    assert_eq!(waits(&world), 100);
    assert_eq!(says(&world, &name(299)), "Failed False/TooManyHistories");
    let turned_away = status(&world, &name(299));
    let kept = turned_away.expires_at.unwrap().0.duration_since(turned_away.finished_at.unwrap().0);
    assert_eq!(kept.as_secs(), 60, "whatever it asks for");
    ask(&world, "mine", &json!({}));
    show(&world, &mut intake);
    look_again(&mut world, "mine").await;
    assert_eq!(says(&world, "mine"), "Complete True/HistoryRead");
}
