//! Histories of Express executions, from their log.

use super::*;

const GROUP: &str = "/aws/vendedlogs/states/shop";

/// An Express run that has ended so long ago, of a Workflow that logs so.
async fn with_logged(level: &str, started: Timestamp) -> World<Faked> {
    let world = with_run("Succeeded", Vec::new()).await;
    let logging = json!({"level": level, "includeExecutionData": true,
        "logGroupARN": format!("arn:aws:logs:eu-west-1:111122223333:log-group:{GROUP}:*")});
    let spec = json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/run",
        "type": "Express", "definition": {"StartAt": "Charge", "States": {"Charge": {"Type": "Pass", "End": true}}}, "logging": logging});
    world.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"}, "spec": spec}));
    add_run(&world, &json!({"phase": "Dispatched", "executionARN": EXPRESS, "startedAt": started.to_string()}));
    world.aws.make_log_group(GROUP);
    world
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
}

/// Writes an event of the execution to the log, as Step Functions does.
fn log(world: &World<Faked>, arn: &str, id: i64, kind: &str, started: Timestamp) {
    let at = started + jiff::SignedDuration::from_millis(id);
    let details = json!({"name": "Charge", "input": "{\"pin\":\"hunter2\"}", "inputDetails": {"truncated": false}});
    let event = json!({"id": id.to_string(), "type": kind, "details": details, "redrive_count": "0",
        "previous_event_id": (id - 1).to_string(), "event_timestamp": at.as_millisecond().to_string(), "execution_arn": arn});
    world.aws.log(GROUP, at, &event.to_string());
}

const KINDS: [&str; 4] = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"];

#[tokio::test]
async fn the_events_of_an_express_run_are_read_from_its_log_whatever_else_is_there() {
    for data in [false, true] {
        let started = ago(60);
        let mut world = with_logged("All", started).await;
        // In whatever order they came, among those of others.
        for (id, kind) in (1..).zip(KINDS).collect::<Vec<_>>().into_iter().rev() {
            log(&world, &format!("{EXPRESS}2"), id, kind, started);
            log(&world, EXPRESS, id, kind, started);
        }
        log(&world, EXPRESS, 5, "ExecutionFailed", ago(3600));
        ask(&world, "one", &json!({"includeData": data}));
        finished(&mut world, "one").await;
        assert_eq!(
            (says(&world, "one").as_str(), ids(&world, "one")),
            ("Complete True/HistoryRead", vec![vec![1, 2, 3, 4]])
        );
        let visits = status(&world, "one").timeline.unwrap().visits;
        assert_eq!(visits.iter().map(|visit| visit.state.as_str()).collect::<Vec<_>>(), ["Charge"]);
        let page = world.object(&format!("{PAGES}one-1")).unwrap();
        assert!(!page.to_string().contains("hunter2"));
        assert_eq!(
            world.object(&format!("{DATA}one-1")).is_some_and(|page| page.to_string().contains("hunter2")),
            data
        );
        assert_eq!(world.aws.calls("GetExecutionHistory") + world.aws.calls("DescribeExecution"), 0);
    }
}

#[tokio::test]
async fn what_comes_late_to_the_log_is_waited_for_and_not_for_ever() {
    let started = ago(60);
    let mut world = with_logged("All", started).await;
    ask(&world, "one", &json!({}));
    for (id, kind) in [(1, KINDS[0]), (4, KINDS[3])] {
        log(&world, EXPRESS, id, kind, started);
    }
    for _ in 0..3 {
        look_again(&mut world, "one").await;
        assert_eq!(says(&world, "one"), "Reading False/HistoryReading", "events are missing");
    }
    for (id, kind) in [(2, KINDS[1]), (3, KINDS[2])] {
        log(&world, EXPRESS, id, kind, started);
    }
    finished(&mut world, "one").await;
    assert_eq!(ids(&world, "one").concat(), [1, 2, 3, 4]);

    let started = ago(660);
    let mut world = with_logged("All", started).await;
    for (id, kind) in [(1, KINDS[0]), (4, KINDS[3])] {
        log(&world, EXPRESS, id, kind, started);
    }
    ask(&world, "one", &json!({}));
    finished(&mut world, "one").await;
    assert_eq!((says(&world, "one").as_str(), ids(&world, "one").concat()), ("Complete True/HistoryRead", vec![1, 4]));

    let mut world = with_logged("All", ago(660)).await;
    ask(&world, "one", &json!({}));
    finished(&mut world, "one").await;
    assert_eq!(says(&world, "one"), "Failed False/ExecutionNotFound");
    assert!(world.message::<ExecutionHistory>("one").contains(GROUP));
}

#[tokio::test]
async fn a_log_that_has_not_all_is_not_read() {
    for (level, words) in [("Error", "Set spec.logging.level to All"), ("None", "set spec.logging")] {
        let mut world = with_logged(level, ago(60)).await;
        ask(&world, "one", &json!({}));
        finished(&mut world, "one").await;
        assert_eq!(says(&world, "one"), "Failed False/HistoryNotSupported", "{level}");
        assert!(world.message::<ExecutionHistory>("one").contains(words), "{level}");
        assert_eq!(world.aws.calls("FilterLogEvents"), 0, "{level}");
    }
}

/// Whoever may write to the log cannot fill the operator's memory with events that wait for a first one.
#[tokio::test]
async fn events_without_those_before_them_take_little_room() {
    let started = ago(60);
    let mut world = with_logged("All", started).await;
    let text = "x".repeat(200_000);
    for id in 2..100_i64 {
        let at = started + jiff::SignedDuration::from_millis(id);
        let event = json!({"id": id.to_string(), "type": "PassStateEntered", "details": {"name": "Charge", "input": text},
            "previous_event_id": "1", "event_timestamp": at.as_millisecond().to_string(), "execution_arn": EXPRESS});
        world.aws.log(GROUP, at, &event.to_string());
    }
    ask(&world, "one", &json!({"includeData": true}));
    look_again(&mut world, "one").await;
    let reading = world.ctx.histories.take("uid-one").unwrap();
    assert!(reading.bytes_ahead() <= 8 * 1024 * 1024, "{}", reading.bytes_ahead());
}
