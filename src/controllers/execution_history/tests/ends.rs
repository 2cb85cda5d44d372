//! What cannot be read, what fails on the way, and how it goes again.

use super::*;

#[tokio::test]
async fn what_cannot_be_read_says_why_and_goes_again() {
    type Change = fn(&World<Faked>);
    let cases: [(&str, &str, Change, &str); 4] = [
        (
            "Express",
            "Dispatched",
            |world| add_run(world, &json!({"phase": "Dispatched", "executionARN": EXPRESS})),
            "HistoryNotSupported",
        ),
        (
            "never started",
            "Failed",
            |world| add_run(world, &json!({"phase": "Failed", "executionARN": null})),
            "RunNotStarted",
        ),
        ("forgotten by AWS", "Failed", |world| world.aws.forget_execution(ARN), "ExecutionNotFound"),
        ("the run has gone", "Running", |world| world.remove::<WorkflowRun>("order"), "RunNotFound"),
    ];
    for (what, phase, change, reason) in cases {
        let mut world = with_run(phase, events(1, 2, 0)).await;
        ask(&world, "one", &json!({"follow": true}));
        if phase == "Running" {
            look_again(&mut world, "one").await;
        }
        change(&world);
        finished(&mut world, "one").await;
        assert_eq!(says(&world, "one"), format!("Failed False/{reason}"), "{what}");
        for kind in ["Failed", "Stalled"] {
            assert_eq!(world.says::<ExecutionHistory>("one", kind), format!("True/{reason}"), "{what}");
        }
        assert!(status(&world, "one").expires_at.is_some(), "{what}");
        assert!(world.reasons().contains(&reason.to_owned()), "{what}: {:?}", world.reasons());
        let calls = world.aws.made().len();
        world.wake_object::<ExecutionHistory>("one").await;
        assert_eq!(world.aws.made().len(), calls, "{what}: nobody asks again");
    }
}

#[tokio::test]
async fn it_waits_for_a_run_that_is_not_there_or_was_not_started() {
    let mut world = with_run("Pending", events(1, 2, 0)).await;
    world.remove::<WorkflowRun>("order");
    ask(&world, "one", &json!({}));
    look_again(&mut world, "one").await;
    assert_eq!(world.says::<ExecutionHistory>("one", "Ready"), "False/RunNotFound");
    assert!(world.message::<ExecutionHistory>("one").contains("does not exist in namespace \"shop\""));
    add_run(&world, &json!({"phase": "Pending"}));
    look_again(&mut world, "one").await;
    assert_eq!(says(&world, "one"), "Pending False/RunNotStarted");
    assert_eq!(world.aws.calls("GetExecutionHistory"), 0);
    add_run(&world, &json!({"phase": "Running", "executionARN": ARN}));
    look_again(&mut world, "one").await;
    assert_eq!(says(&world, "one"), "Complete True/HistoryRead");
}

#[tokio::test]
async fn what_is_refused_on_the_way_is_told_and_read_later_without_a_gap() {
    type Fault = fn(&World<Faked>);
    let cases: [(&str, Fault, &str); 5] = [
        ("throttled", |world| world.aws.fail_next("GetExecutionHistory", "ThrottlingException"), "Throttled"),
        ("denied", |world| world.aws.fail_next("GetExecutionHistory", "AccessDeniedException"), "AccessDenied"),
        ("lost", |world| world.aws.lose_answer("GetExecutionHistory"), "AWSUnavailable"),
        ("a page is refused", |world| world.refuse("POST", "/executionhistorypages", 403, 1), "Forbidden"),
        ("the API server fails", |world| world.refuse("POST", "/executiondatapages", 500, 1), "APIServerError"),
    ];
    for (what, fault, reason) in cases {
        let mut world = with_run("Succeeded", [events(1, 60, 20_000), vec![end(61)]].concat()).await;
        ask(&world, "one", &json!({"includeData": true}));
        fault(&world);
        world.wake_object::<ExecutionHistory>("one").await;
        assert_eq!(world.says::<ExecutionHistory>("one", "Ready"), format!("False/{reason}"), "{what}");
        finished(&mut world, "one").await;
        assert_eq!(ids(&world, "one").concat(), (1..=61).collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test]
async fn a_token_that_holds_no_longer_is_no_end() {
    let mut world = with_run("Running", events(1, 1500, 0)).await;
    ask(&world, "one", &json!({"follow": true}));
    look_again(&mut world, "one").await;
    assert_eq!(status(&world, "one").events, Some(1500));
    world.aws.tell_events(ARN, [events(1, 1600, 0), vec![end(1601)]].concat());
    add_run(&world, &json!({"phase": "Succeeded", "executionARN": ARN}));
    world.aws.fail_next("GetExecutionHistory", "InvalidToken");
    finished(&mut world, "one").await;
    assert_eq!(ids(&world, "one").concat(), (1..=1601).collect::<Vec<_>>(), "what was read is not read twice");
}

#[tokio::test]
async fn whenever_the_process_dies_another_reads_all_of_it() {
    for change in 1..=8 {
        let mut world = with_run("Succeeded", [events(1, 60, 20_000), vec![end(61)]].concat()).await;
        ask(&world, "one", &json!({"includeData": true}));
        world.aws.life.ends_with(change);
        finished(&mut world, "one").await;
        assert_eq!(says(&world, "one"), "Complete True/HistoryRead", "dies with change {change}");
        assert_eq!(ids(&world, "one").concat(), (1..=61).collect::<Vec<_>>(), "dies with change {change}");
        assert!(world.object(&format!("{DATA}one-3")).is_some() && world.object(&format!("{DATA}one-4")).is_none());
    }
}

#[tokio::test]
async fn its_time_passes_and_it_is_deleted_and_no_other_of_its_name() {
    let mut world = with_run("Succeeded", [events(1, 2, 0), vec![end(3)]].concat()).await;
    ask(&world, "one", &json!({"ttlAfterFinished": "0s"}));
    finished(&mut world, "one").await;
    let old = world.get::<ExecutionHistory>("one");
    // Another one has taken its name since the watch showed it.
    world.change("executionhistories", "one", &json!({"metadata": {"uid": "another"}}));
    world.reconcile_as_seen(old).await;
    assert_eq!(world.names::<ExecutionHistory>(), ["one"]);
    world.change("executionhistories", "one", &json!({"metadata": {"uid": "uid-one"}}));
    world.wake_object::<ExecutionHistory>("one").await;
    assert!(world.names::<ExecutionHistory>().is_empty());
}

#[tokio::test]
async fn pages_go_with_a_history_that_somebody_holds() {
    let mut world = with_run("Succeeded", [events(1, 60, 20_000), vec![end(61)]].concat()).await;
    ask(&world, "one", &json!({"includeData": true}));
    finished(&mut world, "one").await;
    world.change("executionhistories", "one", &json!({"metadata": {"finalizers": ["orphan"]}}));
    world.delete::<ExecutionHistory>("one");
    world.wake_object::<ExecutionHistory>("one").await;
    for kind in [PAGES, DATA] {
        assert!((1..=3).all(|number| world.object(&format!("{kind}one-{number}")).is_none()), "{kind}");
    }
}
