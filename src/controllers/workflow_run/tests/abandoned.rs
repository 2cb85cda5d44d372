//! Runs that are cancelled while nobody has AWS's answer to their start or redrive.

use super::life::{arn, ended, phase, ready, status};
use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::Faked;

/// Cancels the run as somebody would.
fn cancel(world: &World<Faked>) {
    world.change_spec::<WorkflowRun>("order", &json!({"cancel": {"reason": "enough"}}));
}

/// Half a minute later no call can land any more that was on its way when the cancel was seen.
fn nothing_can_land(world: &World<Faked>) {
    let mut stop = serde_json::to_value(status(world).stop).unwrap();
    stop["recordedAt"] = json!((Timestamp::now() - jiff::SignedDuration::from_mins(1)).to_string());
    world.change("workflowruns", "order", &json!({"status": {"stop": stop}}));
}

/// With a run whose start has no answer: what becomes of the call is said.
async fn unanswered(run: &Value, becomes: impl Fn(&World<Faked>)) -> World<Faked> {
    let world = ready(&json!({})).await;
    world.add_run("order", run);
    becomes(&world);
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Starting));
    world
}

#[tokio::test]
async fn what_runs_without_an_answer_is_stopped_at_once_and_not_started_again() {
    let named = json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"});
    for (run, arn) in [(json!({}), arn()), (named, MACHINE.replace(":stateMachine:", ":execution:") + ":once")] {
        let mut world = unanswered(&run, |world| world.aws.lose_answer("StartExecution")).await;
        cancel(&world);
        world.wake("order").await;
        assert!(world.aws.execution(&arn).unwrap().stopped_at.is_some(), "{run}");
        assert_eq!(says(&world.run("order"), "Ready").0, "Stopping", "{run}");
        world.show(&arn);
        world.settle::<WorkflowRun>("order").await;
        assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(Phase::Aborted), 1), "{run}");
    }
}

#[tokio::test]
async fn a_start_that_aws_never_got_is_not_made_after_the_cancel() {
    let mut world = unanswered(&json!({}), |world| world.aws.fail("StartExecution", "ServiceUnavailable")).await;
    world.aws.allow("StartExecution");
    cancel(&world);
    for _ in 0..3 {
        world.wake("order").await;
        assert_eq!(phase(&world), Some(Phase::Starting), "it may be on its way");
    }
    let (reason, message) = says(&world.run("order"), "Ready");
    assert!(reason == "Stopping" && message.contains("spec.cancel"), "{reason} {message}");
    nothing_can_land(&world);
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0), (Some(Phase::Aborted), "Cancelled".into()));
    assert_eq!((world.aws.executions().len(), world.aws.calls("StartExecution")), (0, 1));
}

#[tokio::test]
async fn a_start_that_lands_after_the_cancel_is_stopped() {
    let mut world = unanswered(&json!({}), |world| world.aws.fail("StartExecution", "ServiceUnavailable")).await;
    cancel(&world);
    world.wake("order").await;
    world.aws.start_by_hand(&format!("{MACHINE}:1"), "workflowruns-order", "{}");
    world.wake("order").await;
    world.show(&arn());
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(phase(&world), Some(Phase::Aborted));
    assert!(world.aws.execution(&arn()).unwrap().stopped_at.is_some());
}

#[tokio::test]
async fn a_stop_that_aws_does_not_answer_is_asked_for_again() {
    let mut world = unanswered(&json!({}), |world| world.aws.lose_answer("StartExecution")).await;
    world.aws.fail("StopExecution", "ServiceUnavailable");
    cancel(&world);
    world.wake("order").await;
    assert_eq!((phase(&world), status(&world).stop.is_some()), (Some(Phase::Starting), true), "who cancelled is told");
    nothing_can_land(&world);
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Starting), "nobody knows what runs");
    world.aws.allow("StopExecution");
    world.restart().await;
    world.wake("order").await;
    world.show(&arn());
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(Phase::Aborted), 1));
}

#[tokio::test]
async fn what_has_the_name_and_is_another_s_is_left_alone() {
    let named = json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"});
    let mut world = unanswered(&named, |world| world.aws.fail("StartExecution", "ServiceUnavailable")).await;
    let other = world.aws.start_by_hand(&format!("{MACHINE}:1"), "once", "[]");
    cancel(&world);
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0), (Some(Phase::Aborted), "Cancelled".into()));
    assert!(world.aws.execution(&other).unwrap().stopped_at.is_none());
}

#[tokio::test]
async fn a_redrive_without_an_answer_is_stopped_where_it_was_made_and_else_not_made() {
    for made in [true, false] {
        let mut world = ended(&json!({}), Ended::Failed("E")).await;
        if made {
            world.aws.lose_answer("RedriveExecution");
        } else {
            world.aws.fail("RedriveExecution", "ServiceUnavailable");
        }
        world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "once");
        world.wake("order").await;
        assert_eq!(phase(&world), Some(Phase::Starting), "{made}");
        world.aws.allow("RedriveExecution");
        cancel(&world);
        world.wake("order").await;
        if !made {
            assert_eq!(phase(&world), Some(Phase::Starting), "it may be on its way");
            nothing_can_land(&world);
        }
        world.settle::<WorkflowRun>("order").await;
        world.show(&arn());
        world.settle::<WorkflowRun>("order").await;
        let expected = if made { Phase::Aborted } else { Phase::Failed };
        assert_eq!((phase(&world), world.aws.calls("RedriveExecution")), (Some(expected), 1), "{made}");
        assert!(world.aws.execution(&arn()).unwrap().stopped_at.is_some(), "{made}");
    }
}

#[tokio::test]
async fn nothing_is_started_after_its_deadline_and_what_was_started_before_is_followed() {
    let in_time = Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    for lost in [true, false] {
        let run = json!({"executionName": "once", "startDeadline": in_time.to_string()});
        let mut world = unanswered(&run, |world| {
            if lost {
                world.aws.lose_answer("StartExecution");
            } else {
                world.aws.fail("StartExecution", "ServiceUnavailable");
            }
        })
        .await;
        world.aws.allow("StartExecution");
        let late = |minutes| (Timestamp::now() - jiff::SignedDuration::from_mins(minutes)).to_string();
        world.change("workflowruns", "order", &json!({"spec": {"startDeadline": late(1)}}));
        world.settle::<WorkflowRun>("order").await;
        let expected = if lost { Phase::Running } else { Phase::Starting };
        assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(expected), 1), "{lost}");
        if !lost {
            world.change("workflowruns", "order", &json!({"spec": {"startDeadline": late(6)}}));
            world.settle::<WorkflowRun>("order").await;
            assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(Phase::Failed), 1));
            assert_eq!(says(&world.run("order"), "Ready").0, "StartDeadlineExceeded");
        }
    }
}
