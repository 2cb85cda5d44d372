//! What a run tells of what its execution did.

use kube::runtime::watcher::Event;

use super::life::{arn, ended, phase, ready, see, status, woken};
use super::*;
use crate::api::v1alpha1::{Iterations, VisitResult};
use crate::aws::HistoryEvent;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::Faked;

/// A Map whose item fails.
fn mapped() -> Value {
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
        "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "MessageBody": "m"}});
    let processor = json!({"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Pack", "States": {"Pack": task}});
    json!({"definition": {"States": {"A": {"Type": "Pass", "Next": "Each"}, "Each": {"Type": "Map", "ItemProcessor": processor, "End": true}}}})
}

fn events() -> Vec<HistoryEvent> {
    let event = |id: i64, previous_id: i64, event_type: &str, name: Option<&str>| HistoryEvent {
        id,
        previous_id,
        timestamp: Timestamp::from_second(id).unwrap(),
        event_type: event_type.into(),
        name: name.map(str::to_owned),
        ..HistoryEvent::default()
    };
    let failed = |event: HistoryEvent| HistoryEvent {
        error: Some("E".into()),
        cause: Some("there is no such queue".into()),
        ..event
    };
    vec![
        event(1, 0, "ExecutionStarted", None),
        event(2, 0, "MapStateEntered", Some("Each")),
        HistoryEvent { length: Some(2), ..event(3, 2, "MapStateStarted", None) },
        HistoryEvent { index: Some(0), ..event(4, 3, "MapIterationStarted", Some("Each")) },
        event(5, 4, "TaskStateEntered", Some("Pack")),
        failed(event(6, 5, "TaskFailed", None)),
        HistoryEvent { index: Some(0), ..event(7, 6, "MapIterationFailed", Some("Each")) },
        event(8, 7, "MapStateFailed", None),
        failed(event(9, 8, "ExecutionFailed", None)),
    ]
}

/// Lets the execution of the run `order` end, with a history.
async fn ends(world: &World<Faked>, end: Ended, events: Vec<HistoryEvent>) {
    world.aws.tell_events(&arn(), events);
    world.aws.end(&arn(), end);
    see(world).await;
}

#[tokio::test]
async fn what_is_too_large_to_be_written_is_stopped_all_the_same_and_an_event_tells() {
    for (run, cancel, error) in
        [(json!({}), true, "Stepbound.Cancelled"), (json!({"timeout": "1ms"}), false, "Stepbound.TimedOut")]
    {
        let mut world = woken(&json!({}), &run).await;
        if cancel {
            world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}}));
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        world.refuse("PATCH", "/workflowruns/order/status", 413, 2);
        world.wake("order").await;
        assert_eq!(world.aws.execution(&arn()).unwrap().error.as_deref(), Some(error));
        assert!(world.reasons().contains(&"ObjectTooLarge".to_owned()), "{:?}", world.events());
        world.show(&arn());
        world.settle::<WorkflowRun>("order").await;
        assert!(phase(&world).is_some_and(Phase::is_finished), "once it is smaller");
        assert!(status(&world).stop.is_some());
    }
}

#[tokio::test]
async fn whoever_asked_for_too_large_a_run_is_told_by_an_event() {
    let world = ready(&json!({})).await;
    world.add_run("order", &json!({"input": "a".repeat(300_000)}));
    world.refuse("PATCH", "/workflowruns/order/status", 413, 9);
    world.wake("order").await;
    assert_eq!(world.reasons(), ["InputTooLarge"]);
    assert!(world.events()[0].2.contains("too large"), "{:?}", world.events());
}

#[tokio::test]
async fn who_asked_for_a_run_that_was_cancelled_before_its_start_is_told() {
    let mut world = ready(&json!({})).await;
    world.install_policies().await;
    world.add_run("order", &json!({"cancel": {}}));
    world.annotate::<WorkflowRun>("order", "stepbound.dev/requested-by", "alice");
    world.annotate::<WorkflowRun>("order", "stepbound.dev/cancel-requested-by", "alice");
    world.wake("order").await;
    let known = status(&world);
    assert_eq!((known.phase, known.requested_by.as_deref()), (Some(Phase::Aborted), Some("alice")));
}

/// So many states, one after the other.
fn long(states: i64) -> Vec<HistoryEvent> {
    let event = |id: i64, event_type: &str| HistoryEvent {
        id,
        previous_id: id - 1,
        timestamp: Timestamp::from_second(id).unwrap(),
        event_type: event_type.into(),
        name: Some("Again".into()),
        ..HistoryEvent::default()
    };
    let mut events: Vec<HistoryEvent> = (0..states)
        .flat_map(|state| [event(2 * state + 1, "PassStateEntered"), event(2 * state + 2, "PassStateExited")])
        .collect();
    events.push(event(2 * states + 1, "ExecutionFailed"));
    events
}

/// The Workflow `orders` is seen by its watch.
fn watched(world: &World<Faked>) {
    let workflow = world.get::<Workflow>("orders");
    world.ctx.watches.of("shop").unwrap().workflows.intake().unwrap().take_in(Event::Apply(workflow));
}

#[tokio::test]
async fn a_run_that_failed_tells_what_it_did_in_the_write_of_its_end() {
    let world = woken(&mapped(), &json!({})).await;
    let before = world.aws.life.tries();
    ends(&world, Ended::Failed("E"), events()).await;
    let writes = world.aws.life.tries() - before;
    let told = status(&world).timeline.unwrap();
    let visits: Vec<(&str, VisitResult)> =
        told.visits.iter().map(|visit| (visit.path.as_str(), visit.result)).collect();
    let inner = "/States/Each/ItemProcessor/States/Pack";
    assert_eq!(visits, [("/States/Each", VisitResult::Failed), (inner, VisitResult::Failed)]);
    assert_eq!(told.visits[0].iterations, Some(Iterations { total: 2, failed: 1, ..Iterations::default() }));
    assert_eq!(told.visits[1].cause.as_deref(), Some("there is no such queue"));
    assert_eq!((told.observed_event_id, status(&world).failed_state.as_deref()), (9, Some("Pack")));
    assert_eq!(world.aws.calls("GetExecutionHistory"), 1, "one page has all of it");
    let untold = woken(&mapped(), &json!({})).await;
    untold.aws.fail("GetExecutionHistory", "AccessDeniedException");
    let before = untold.aws.life.tries();
    ends(&untold, Ended::Failed("E"), events()).await;
    assert_eq!(writes, untold.aws.life.tries() - before, "nothing else is written for it");
}

#[tokio::test]
async fn a_history_that_cannot_be_read_holds_up_no_end() {
    type Take = fn(&World<Faked>);
    let cases: [(&str, Take); 4] = [
        ("no quota", |world| world.aws.use_up("GetExecutionHistory")),
        ("throttled", |world| world.aws.fail("GetExecutionHistory", "ThrottlingException")),
        ("no answer", |world| world.aws.lose_answer("GetExecutionHistory")),
        ("refused", |world| world.aws.fail("GetExecutionHistory", "AccessDeniedException")),
    ];
    for (what, take) in cases {
        let world = woken(&mapped(), &json!({})).await;
        take(&world);
        ends(&world, Ended::Failed("E"), events()).await;
        assert_eq!((phase(&world), status(&world).timeline), (Some(Phase::Failed), None), "{what}");
    }
    let world = woken(&mapped(), &json!({})).await;
    world.aws.tell_events(&arn(), events());
    world.aws.end(&arn(), Ended::Failed("E"));
    world.show(&arn());
    world.aws.forget_execution(&arn());
    world.wake("order").await;
    assert_eq!((phase(&world), status(&world).timeline), (Some(Phase::Failed), None), "deleted meanwhile");
}

#[tokio::test]
async fn without_the_definition_states_are_told_at_the_outermost_one() {
    let world = woken(&mapped(), &json!({})).await;
    world.aws.fail("DescribeStateMachine", "AccessDeniedException");
    ends(&world, Ended::Failed("E"), events()).await;
    let paths: Vec<String> = status(&world).timeline.unwrap().visits.into_iter().map(|visit| visit.path).collect();
    assert_eq!(paths, ["/States/Each", "/States/Each"]);
}

#[tokio::test]
async fn the_definition_of_a_version_is_read_once() {
    let world = woken(&mapped(), &json!({})).await;
    let described = world.aws.calls("DescribeStateMachine");
    ends(&world, Ended::Failed("E"), events()).await;
    world.add_run("second", &json!({}));
    world.wake("second").await;
    let second = world.run("second").status.unwrap().execution_arn.unwrap();
    world.aws.tell_events(&second, events());
    world.aws.end(&second, Ended::Failed("E"));
    world.show(&second);
    world.wake("second").await;
    assert!(world.run("second").status.unwrap().timeline.is_some());
    assert_eq!(world.aws.calls("DescribeStateMachine"), described + 1);
}

#[tokio::test]
async fn a_run_that_succeeded_tells_it_only_where_its_workflow_says_so() {
    for (workflow, told, calls) in [(json!({}), false, 0), (json!({"timeline": "Always"}), true, 1)] {
        let world = woken(&workflow, &json!({})).await;
        watched(&world);
        ends(&world, Ended::Well("{}"), long(400)).await;
        assert_eq!(phase(&world), Some(Phase::Succeeded));
        assert_eq!(status(&world).timeline.is_some(), told, "{workflow}");
        assert_eq!(world.aws.calls("GetExecutionHistory"), calls, "{workflow}");
        if let Some(timeline) = status(&world).timeline {
            assert!(serde_json::to_vec(&timeline).unwrap().len() <= 4096);
            assert_eq!(timeline.visits.len() + usize::try_from(timeline.omitted).unwrap(), 400);
        }
    }
}

#[tokio::test]
async fn a_run_that_was_stopped_tells_what_it_did() {
    for end in [Ended::Aborted, Ended::TimedOut] {
        let world = woken(&json!({}), &json!({})).await;
        ends(&world, end, long(1)).await;
        assert_eq!(status(&world).timeline.unwrap().visits.len(), 1, "{end:?}");
        assert_eq!(world.aws.calls("GetExecutionHistory"), 1, "{end:?}");
    }
}

#[tokio::test]
async fn each_page_of_a_long_history_is_read_once() {
    let world = woken(&json!({}), &json!({})).await;
    ends(&world, Ended::Failed("E"), long(12_499)).await;
    let timeline = status(&world).timeline.unwrap();
    assert!(serde_json::to_vec(&timeline).unwrap().len() <= 16 * 1024);
    assert_eq!(timeline.visits.len() + usize::try_from(timeline.omitted).unwrap(), 12_499);
    assert_eq!((timeline.observed_event_id, world.aws.calls("GetExecutionHistory")), (24_999, 25));
}

#[tokio::test]
async fn an_end_that_is_tried_again_tells_nothing_and_the_last_tells_all() {
    let world = woken(&mapped(), &json!({"retry": {"strategy": "Restart", "limit": 1}})).await;
    ends(&world, Ended::Failed("E"), events()).await;
    assert_eq!((phase(&world), status(&world).timeline), (Some(Phase::Pending), None));
}

#[tokio::test]
async fn a_redrive_takes_the_timeline_back_until_the_next_end() {
    let mut world = ended(&json!({}), Ended::Failed("E")).await;
    assert_eq!(status(&world).timeline, None, "an empty history tells nothing");
    world = woken(&mapped(), &json!({})).await;
    ends(&world, Ended::Failed("E"), events()).await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
    world.wake("order").await;
    assert_eq!((phase(&world), status(&world).timeline), (Some(Phase::Running), None));
    ends(&world, Ended::Failed("E"), events()).await;
    assert!(status(&world).timeline.is_some());
}

#[tokio::test]
async fn a_redrive_that_aws_does_not_make_leaves_the_timeline_told() {
    let world = woken(&mapped(), &json!({})).await;
    ends(&world, Ended::Failed("E"), events()).await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
    world.aws.fail_next("RedriveExecution", "ExecutionNotRedrivable");
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Failed));
    assert!(status(&world).timeline.is_some());
}

#[tokio::test]
async fn a_timeline_that_was_told_with_the_phase_is_not_read_again_with_the_output() {
    let world = woken(&mapped(), &json!({})).await;
    world.aws.tell_events(&arn(), events());
    world.aws.end(&arn(), Ended::Failed("E"));
    let shown = world.aws.execution(&arn()).unwrap();
    let listed = crate::aws::ListedExecution {
        arn: arn(),
        version_arn: shown.version_arn.clone(),
        status: shown.status,
        started_at: shown.started_at,
        stopped_at: shown.stopped_at,
        redrive_count: 0,
    };
    world.aws.use_up("DescribeExecution");
    world.ctx.tracker.saw(&arn(), crate::runs::Evidence::Listed(listed));
    world.wake("order").await;
    assert!(status(&world).timeline.is_some());
    world.ctx.tracker.found(shown);
    world.wake("order").await;
    let known = status(&world);
    assert_eq!((known.error.as_deref(), known.failed_state.as_deref()), (Some("E"), Some("Pack")));
    assert!(known.timeline.is_some());
    assert_eq!(world.aws.calls("GetExecutionHistory"), 1);
}

#[tokio::test]
async fn an_express_execution_has_no_history_to_tell_from() {
    let world = ready(&json!({"type": "Express", "timeline": "Always"})).await;
    watched(&world);
    world.add_run("order", &json!({}));
    world.wake("order").await;
    assert_eq!(world.aws.calls("GetExecutionHistory"), 0);
}
