//! Histories that are followed.

use super::*;

#[tokio::test]
async fn a_run_is_followed_to_its_end_and_each_event_is_read_once() {
    let mut world = with_run("Running", events(1, 3, 0)).await;
    ask(&world, "live", &json!({"follow": true}));
    look_again(&mut world, "live").await;
    assert_eq!(says(&world, "live"), "Reading False/HistoryReading");
    assert_eq!((status(&world, "live").events, ids(&world, "live")), (Some(3), vec![vec![1, 2, 3]]));
    // Nothing new: nothing is written, and AWS is not asked before its time.
    let (writes, calls) = (world.aws.life.changes(), world.aws.calls("GetExecutionHistory"));
    world.wake_object::<ExecutionHistory>("live").await;
    assert_eq!(world.aws.calls("GetExecutionHistory"), calls);
    look_again(&mut world, "live").await;
    assert_eq!((world.aws.life.changes(), world.aws.calls("GetExecutionHistory")), (writes, calls + 1));
    world.aws.tell_events(ARN, events(1, 5, 0));
    look_again(&mut world, "live").await;
    assert_eq!((status(&world, "live").events, ids(&world, "live")), (Some(5), vec![vec![1, 2, 3, 4, 5]]));
    // The execution has ended, and the run does not know it yet.
    world.aws.tell_events(ARN, [events(1, 5, 0), vec![end(6)]].concat());
    look_again(&mut world, "live").await;
    assert_eq!(says(&world, "live"), "Reading False/HistoryReading");
    add_run(&world, &json!({"phase": "Succeeded", "executionARN": ARN}));
    world.wake_object::<ExecutionHistory>("live").await;
    assert_eq!(says(&world, "live"), "Complete True/HistoryRead");
    assert_eq!((status(&world, "live").events, ids(&world, "live").concat()), (Some(6), (1..=6).collect()));
}

#[tokio::test]
async fn a_status_is_written_every_three_seconds_at_most() {
    let mut world = with_run("Running", events(1, 3, 0)).await;
    ask(&world, "live", &json!({"follow": true}));
    look_again(&mut world, "live").await;
    world.aws.tell_events(ARN, events(1, 5, 0));
    let mut reading = world.ctx.histories.take("uid-live").unwrap();
    reading.looked_at = None;
    world.ctx.histories.give_back("uid-live", reading);
    world.wake_object::<ExecutionHistory>("live").await;
    assert_eq!(status(&world, "live").events, Some(3), "it was written a moment ago");
    look_again(&mut world, "live").await;
    assert_eq!(status(&world, "live").events, Some(5));
}

#[tokio::test]
async fn a_further_attempt_is_another_execution() {
    let mut world = with_run("Running", events(1, 3, 0)).await;
    ask(&world, "live", &json!({"follow": true}));
    look_again(&mut world, "live").await;
    add_run(&world, &json!({"phase": "Running", "executionARN": format!("{ARN}-2")}));
    finished(&mut world, "live").await;
    assert_eq!(says(&world, "live"), "Complete True/HistoryRead");
    assert_eq!(status(&world, "live").execution_arn.as_deref(), Some(ARN));
}

#[tokio::test]
async fn the_end_is_looked_for_where_aws_shows_it_late_and_not_for_ever() {
    let mut world = with_run("Running", events(1, 3, 0)).await;
    ask(&world, "live", &json!({"follow": true}));
    look_again(&mut world, "live").await;
    add_run(&world, &json!({"phase": "Aborted", "executionARN": ARN}));
    let calls = world.aws.calls("GetExecutionHistory");
    look_again(&mut world, "live").await;
    assert_eq!(says(&world, "live"), "Reading False/HistoryReading");
    finished(&mut world, "live").await;
    assert_eq!(world.aws.calls("GetExecutionHistory") - calls, 5);
}

#[tokio::test]
async fn what_is_read_anew_after_a_restart_is_not_told_until_it_is_more() {
    let mut world = with_run("Running", events(1, 300, 1000)).await;
    ask(&world, "live", &json!({"follow": true, "includeData": true}));
    for id in [100, 200, 300] {
        world.aws.tell_events(ARN, events(1, id, 1000));
        look_again(&mut world, "live").await;
    }
    let before = status(&world, "live");
    assert_eq!((before.events, before.pages), (Some(300), Some(3)));
    world.restart().await;
    look_again(&mut world, "live").await;
    assert_eq!(status(&world, "live"), before, "no step back");
    world.aws.tell_events(ARN, [events(1, 300, 1000), vec![end(301)]].concat());
    add_run(&world, &json!({"phase": "Succeeded", "executionARN": ARN}));
    finished(&mut world, "live").await;
    let pages = ids(&world, "live");
    assert_eq!(pages.concat(), (1..=301).collect::<Vec<_>>(), "pages of the process before are gone");
    assert_eq!(status(&world, "live").pages, Some(i64::try_from(pages.len()).unwrap()));
}
