//! Further attempts: by `spec.retry`, and where somebody asks for a redrive.

use super::life::{arn, ended, phase, see, status, woken};
use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::Faked;

async fn ask(world: &mut World<Faked>, token: &str) {
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", token);
    world.settle::<WorkflowRun>("order").await;
}

fn told(world: &World<Faked>) -> String {
    let refused = world.events().into_iter().filter(|(_, reason, _)| reason == "RedriveRefused");
    refused.map(|(_, _, note)| note).next_back().unwrap_or_default()
}

#[tokio::test]
async fn a_run_that_failed_is_tried_again_as_its_spec_says() {
    let restart = |more: Value| crate::controllers::stand_in::with(json!({"strategy": "Restart", "limit": 1}), &more);
    let cases = [
        ("restarted", restart(json!({})), Ended::Failed("E"), true, ""),
        ("an error that is listed", restart(json!({"onErrors": ["E"]})), Ended::Failed("E"), true, ""),
        ("any error", restart(json!({"onErrors": ["States.ALL"]})), Ended::TimedOut, true, ""),
        ("an error that is not", restart(json!({"onErrors": ["F"]})), Ended::Failed("E"), false, "onErrors"),
        ("no more", restart(json!({"limit": 0})), Ended::Failed("E"), false, "used up"),
        ("stopped in AWS", restart(json!({})), Ended::Aborted, false, "somebody stopped"),
        ("redriven", json!({"strategy": "Redrive", "limit": 1}), Ended::Failed("E"), true, ""),
    ];
    for (what, retry, end, again, why) in cases {
        let mut world = ended(&json!({"retry": retry}), end).await;
        assert_eq!(phase(&world) == Some(Phase::Pending), again, "{what}");
        assert!(says(&world.run("order"), "Ready").1.contains(why), "{what}");
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(status(&world).attempts.len(), 1 + usize::from(again), "{what}");
        if again {
            assert_eq!(phase(&world), Some(Phase::Running), "{what}");
            let redriven = status(&world).execution_arn == Some(arn());
            assert_eq!(
                (world.aws.calls("RedriveExecution"), world.aws.executions().len()),
                if redriven { (1, 1) } else { (0, 2) }
            );
        }
    }
}

#[tokio::test]
async fn the_empty_value_asks_for_no_redrive() {
    let mut world = ended(&json!({}), Ended::Failed("E")).await;
    ask(&mut world, "").await;
    assert_eq!((phase(&world), status(&world).attempts.len()), (Some(Phase::Failed), 1));
    assert_eq!(status(&world).last_handled.redrive, None);
}

#[tokio::test]
async fn a_retry_waits_for_its_time_and_ends_when_it_is_cancelled() {
    let retry = json!({"strategy": "Restart", "limit": 1, "backoff": {"interval": "1h"}});
    let mut world = ended(&json!({"retry": retry}), Ended::Failed("E")).await;
    world.wake("order").await;
    assert_eq!((says(&world.run("order"), "Ready").0.as_str(), world.aws.executions().len()), ("RetryScheduled", 1));
    world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}}));
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.executions().len()), (Some(Phase::Aborted), 1));
}

#[tokio::test]
async fn a_restart_needs_the_input_that_was_recorded() {
    let retry = json!({"input": {"a": 1}, "retry": {"strategy": "Restart", "limit": 1}});
    let mut world = ended(&retry, Ended::Failed("E")).await;
    world.change("workflowruns", "order", &json!({"spec": {"input": {"a": 2}}}));
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(says(&world.run("order"), "Ready").0, "InputChanged");
    let mut world = ended(&retry, Ended::Failed("E")).await;
    world.change("workflowruns", "order", &json!({"spec": {"retry": null}}));
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(says(&world.run("order"), "Ready").0, "RetryMissing");
}

#[tokio::test]
async fn a_run_is_not_restarted_by_the_version_of_another_workflow_of_the_name() {
    let retry = json!({"retry": {"strategy": "Restart", "limit": 1}});
    for (created, told, executions) in
        [("2020-01-01T00:00:00Z", "Running", 2), ("2099-01-01T00:00:00Z", "WorkflowReplaced", 1)]
    {
        let mut world = ended(&retry, Ended::Failed("E")).await;
        world.change("workflows", "orders", &json!({"metadata": {"creationTimestamp": created}}));
        world.settle::<WorkflowRun>("order").await;
        let ready = says(&world.run("order"), "Ready");
        assert_eq!((ready.0.as_str(), world.aws.executions().len()), (told, executions), "{ready:?}");
    }
}

#[tokio::test]
async fn a_redrive_of_an_execution_that_has_gone_ends() {
    let retry = json!({"retry": {"strategy": "Redrive", "limit": 1}});
    let mut world = ended(&retry, Ended::Failed("E")).await;
    world.aws.forget_execution(&arn());
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(phase(&world), Some(Phase::Starting), "AWS may show it later: {:?}", says(&world.run("order"), "Ready"));
    let mut attempts = serde_json::to_value(status(&world).attempts).unwrap();
    attempts[1]["recordedAt"] = json!("2026-01-01T00:00:00Z");
    world.change("workflowruns", "order", &json!({"status": {"attempts": attempts}}));
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(
        (phase(&world), says(&world.run("order"), "Ready").0.as_str()),
        (Some(Phase::Failed), "ExecutionNotFound")
    );
}

#[tokio::test]
async fn a_run_that_failed_goes_on_when_somebody_asks_once_for_each_token() {
    let mut world = ended(&json!({}), Ended::Failed("E")).await;
    ask(&mut world, "1").await;
    assert_eq!((phase(&world), world.aws.execution(&arn()).unwrap().redrive_count), (Some(Phase::Running), 1));
    world.aws.end(&arn(), Ended::Failed("E"));
    see(&world).await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("RedriveExecution")), (Some(Phase::Failed), 1));
    ask(&mut world, "2").await;
    world.aws.end(&arn(), Ended::Well("{}"));
    see(&world).await;
    assert_eq!((phase(&world), status(&world).attempts.len()), (Some(Phase::Succeeded), 3));
}

#[tokio::test]
async fn a_redrive_that_cannot_be_is_answered_with_why() {
    let mut succeeded = ended(&json!({}), Ended::Well("{}")).await;
    ask(&mut succeeded, "1").await;
    assert!(told(&succeeded).contains("succeeded"), "{}", told(&succeeded));
    let mut running = woken(&json!({}), &json!({})).await;
    ask(&mut running, "1").await;
    assert!(told(&running).contains("has not ended"), "{}", told(&running));
    let mut express = woken(&json!({"type": "Express"}), &json!({})).await;
    ask(&mut express, "1").await;
    assert!(told(&express).contains("no Express execution"), "{}", told(&express));
    let mut cancelled = woken(&json!({}), &json!({"cancel": {}})).await;
    ask(&mut cancelled, "1").await;
    assert!(told(&cancelled).contains("No execution of this run was started"), "{}", told(&cancelled));
    for world in [succeeded, running, express, cancelled] {
        assert_eq!(
            (world.aws.calls("RedriveExecution"), status(&world).last_handled.redrive.as_deref()),
            (0, Some("1"))
        );
    }
}

#[tokio::test]
async fn a_redrive_that_aws_refuses_leaves_the_run_as_it_ended() {
    let mut world = ended(&json!({}), Ended::Failed("E")).await;
    world.aws.refuse_redrive(&arn(), "The execution history is too long");
    ask(&mut world, "1").await;
    assert_eq!(phase(&world), Some(Phase::Failed));
    let (_, message) = says(&world.run("order"), "Ready");
    assert!(message.contains("AWS did not redrive it: The execution history is too long"), "{message}");
    // It is known from then on, and nobody asks AWS again.
    ask(&mut world, "2").await;
    assert_eq!(world.aws.calls("RedriveExecution"), 1);
    assert!(told(&world).contains("too long"));
}

#[tokio::test]
async fn a_redrive_is_made_once_however_late_aws_shows_it() {
    let mut world = ended(&json!({}), Ended::Failed("E")).await;
    world.aws.lose_answer("RedriveExecution");
    world.aws.lag(3);
    ask(&mut world, "1").await;
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    let made = world.aws.execution(&arn()).unwrap().redrive_count;
    assert_eq!((phase(&world), made, status(&world).attempts.len()), (Some(Phase::Running), 1, 2));
}
