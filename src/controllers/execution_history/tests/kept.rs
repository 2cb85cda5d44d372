//! How many are kept, and whose pages are whose.

use kube::runtime::watcher::Event;

use super::*;

/// Shows the objects to the watch of histories, as the API server has them now.
pub(super) fn show(world: &World<Faked>, intake: &mut crate::controllers::intake::Intake<ExecutionHistory>) {
    let watches = world.ctx.watches.of("shop").unwrap();
    let listed = world.names::<ExecutionHistory>().into_iter().map(|name| Event::InitApply(world.get(&name)));
    for event in [Event::Init].into_iter().chain(listed).chain([Event::InitDone]) {
        for change in intake.take_in(event) {
            watches.histories.take_in(&change, &world.ctx);
        }
    }
}

/// Its end was so long ago.
fn finished_ago(world: &World<Faked>, name: &str, seconds: i64) {
    let at = Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    world.change("executionhistories", name, &json!({"status": {"finishedAt": at.to_string()}}));
}

#[tokio::test]
async fn of_three_hundred_histories_of_a_namespace_ten_are_kept() {
    let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
    let mut intake = world.ctx.watches.of("shop").unwrap().histories.intake().unwrap();
    let name = |number: usize| format!("h-{number:03}");
    (0..300).for_each(|number| ask(&world, &name(number), &json!({})));
    show(&world, &mut intake);
    for number in (0..300).rev() {
        look_again(&mut world, &name(number)).await;
    }
    show(&world, &mut intake);
    let read = |world: &World<Faked>| -> Vec<String> {
        world
            .names::<ExecutionHistory>()
            .into_iter()
            .filter(|name| status(world, name).phase == Some(HistoryPhase::Complete))
            .collect()
    };
    assert_eq!(read(&world), (0..10).map(name).collect::<Vec<_>>(), "those that have waited longest");
    assert_eq!(says(&world, "h-010"), "Pending False/TooManyHistories");
    assert_eq!(world.aws.calls("GetExecutionHistory"), 10);
    // Two were finished a while ago: they make room for the next two, and no more.
    finished_ago(&world, "h-004", 90);
    finished_ago(&world, "h-007", 80);
    world.restart().await;
    let mut intake = world.ctx.watches.of("shop").unwrap().histories.intake().unwrap();
    show(&world, &mut intake);
    for number in [12, 11, 10] {
        look_again(&mut world, &name(number)).await;
    }
    show(&world, &mut intake);
    for number in [12, 11, 10] {
        look_again(&mut world, &name(number)).await;
    }
    let there = read(&world);
    assert!(!there.contains(&name(4)) && !there.contains(&name(7)), "{there:?}");
    assert!(there.contains(&name(10)) && there.contains(&name(11)) && there.len() == 10, "{there:?}");
}

#[tokio::test]
async fn a_page_of_somebody_else_is_left_alone() {
    let theirs = |owners: Value| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistoryPage",
        "metadata": {"name": "one-1", "namespace": "shop", "uid": "theirs", "ownerReferences": owners}, "spec": {"number": 7}})
    };
    let owner = |kind: &str, name: &str, uid: &str, group: &str| {
        json!([{"apiVersion": format!("{group}/v1alpha1"), "kind": kind,
        "name": name, "uid": uid, "controller": true}])
    };
    for (what, owners) in [
        ("nobody's", json!([])),
        ("another history's", owner("ExecutionHistory", "two", "uid-two", "stepbound.dev")),
        ("another kind's", owner("WorkflowRun", "one", "uid-one", "stepbound.dev")),
        ("another group's", owner("ExecutionHistory", "one", "uid-one", "example.com")),
    ] {
        let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
        world.put(&format!("{PAGES}one-1"), &theirs(owners));
        ask(&world, "one", &json!({}));
        look_again(&mut world, "one").await;
        assert_eq!(world.says::<ExecutionHistory>("one", "Ready"), "False/PageExists", "{what}");
        assert!(world.message::<ExecutionHistory>("one").contains("ExecutionHistoryPage \"one-1\" exists"), "{what}");
        assert_eq!(world.object(&format!("{PAGES}one-1")).unwrap()["spec"]["number"], 7, "{what}");
        world.change("executionhistories", "one", &json!({"metadata": {"finalizers": ["orphan"]}}));
        world.delete::<ExecutionHistory>("one");
        world.wake_object::<ExecutionHistory>("one").await;
        assert!(world.object(&format!("{PAGES}one-1")).is_some(), "{what}");
    }
    // One of a history that had this name is only waiting for the garbage collector.
    let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
    world.put(&format!("{PAGES}one-1"), &theirs(owner("ExecutionHistory", "one", "uid-before", "stepbound.dev")));
    ask(&world, "one", &json!({}));
    finished(&mut world, "one").await;
    assert_eq!(ids(&world, "one"), [[1, 2, 3]]);
}

#[tokio::test]
async fn the_oldest_of_the_namespace_that_holds_most_makes_room_in_the_cluster() {
    let mut world = with_run("Succeeded", [events(1, 60, 20_000), vec![end(61)]].concat()).await;
    let mut intake = world.ctx.watches.of("shop").unwrap().histories.intake().unwrap();
    for (name, ago) in [("new", 70), ("old", 200)] {
        ask(&world, name, &json!({}));
        let at = (Timestamp::now() - jiff::SignedDuration::from_secs(ago)).to_string();
        let status = json!({"phase": "Complete", "bytes": 33 * 1024 * 1024, "finishedAt": at, "expiresAt": "2099-01-01T00:00:00Z", "conditions": []});
        world.change("executionhistories", name, &json!({"status": status}));
    }
    show(&world, &mut intake);
    ask(&world, "one", &json!({"includeData": true}));
    show(&world, &mut intake);
    finished(&mut world, "one").await;
    assert_eq!(world.names::<ExecutionHistory>(), ["new", "one"]);
    assert_eq!(status(&world, "one").omitted_bytes, Some(0));
    // Where nothing may go, what comes last is left out.
    finished_ago(&world, "new", 1);
    world.change("executionhistories", "new", &json!({"status": {"bytes": 65 * 1024 * 1024}}));
    show(&world, &mut intake);
    ask(&world, "two", &json!({"includeData": true}));
    show(&world, &mut intake);
    finished(&mut world, "two").await;
    let found = status(&world, "two");
    assert_eq!((found.pages, found.events, found.bytes), (Some(0), Some(0), Some(0)));
    assert!(found.omitted_bytes.unwrap() > 1_000_000);
}
