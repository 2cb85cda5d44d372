//! A watch that shows a run as it was before: what is decided from it is decided again from what the API server has.

use super::*;

/// AWS with an execution that runs once it was redriven.
async fn redriven_once_asked() -> World {
    let redrives = Arc::new(Mutex::new(0));
    World::new("Standard", move |seen| {
        let mut redrives = redrives.lock();
        let answer = match seen.operation() {
            "RedriveExecution" => {
                *redrives += 1;
                json!({"redriveDate": 3.0})
            }
            "DescribeExecution" => {
                let status = if *redrives == 0 { "FAILED" } else { "RUNNING" };
                json!({"executionArn": execution_arn(), "stateMachineArn": MACHINE, "status": status, "startDate": 1.0,
                    "stopDate": (*redrives == 0).then_some(4.0), "redriveCount": *redrives, "redriveStatus": "REDRIVABLE"})
            }
            _ => json!({"events": []}),
        };
        (200, answer.to_string())
    })
    .await
}

fn attempts(world: &World) -> Vec<i64> {
    world.run("order").status.unwrap().attempts.iter().map(|one| one.number).collect()
}

#[tokio::test]
async fn one_token_makes_one_redrive_however_late_the_watch_is() {
    let world = redriven_once_asked().await;
    about_to_call(&world, "redrive");
    let shown = world.run("order");
    world.wake("order").await;
    for _ in 0..2 {
        world.wake_with(shown.clone()).await;
    }
    let status = world.run("order").status.unwrap();
    assert_eq!((world.calls("RedriveExecution"), attempts(&world)), (1, vec![1, 2]));
    assert_eq!((status.phase, status.last_handled.redrive.as_deref()), (Some(Phase::Running), Some("1")));
}

#[tokio::test]
async fn what_was_asked_for_since_the_watch_counts_before_a_redrive() {
    let cancelled = json!({"spec": {"cancel": {"reason": "enough"}}});
    let deleted = json!({"metadata": {"deletionTimestamp": past()}});
    for (since, refusals) in [(cancelled, 1), (deleted, 0)] {
        let world = redriven_once_asked().await;
        about_to_call(&world, "redrive");
        let shown = world.run("order");
        world.change("workflowruns", "order", &since);
        world.wake_with(shown).await;
        assert_eq!((world.calls("RedriveExecution"), attempts(&world)), (0, vec![1]), "{since}");
        let told = world.events().into_iter().filter(|(_, reason, _)| reason == "RedriveRefused");
        assert_eq!(told.count(), refusals, "{since}");
    }
}

#[tokio::test]
async fn a_redrive_is_refused_once_and_not_for_what_is_over() {
    let world = redriven_once_asked().await;
    world.add_run("order", &json!({}));
    world.change("workflowruns", "order", &running_of_alice());
    world.change("workflowruns", "order", &json!({"metadata": {"annotations": {"stepbound.dev/redrive": "1"}}}));
    let shown = world.run("order");
    world.change("workflowruns", "order", &json!({"status": {"phase": "Failed"}}));
    world.wake_with(shown.clone()).await;
    assert_eq!(world.calls("RedriveExecution"), 1, "it has failed meanwhile, and can go on");
    world.wake_with(shown).await;
    let told: Vec<_> = world.events().into_iter().filter(|(_, reason, _)| reason == "RedriveRefused").collect();
    assert_eq!((world.calls("RedriveExecution"), told), (1, vec![]));
}

#[tokio::test]
async fn a_run_that_goes_on_again_is_not_let_go_of_as_one_that_has_ended() {
    let world = redriven_once_asked().await;
    about_to_call(&world, "redrive");
    let a_minute_ago = (Timestamp::now() - jiff::SignedDuration::from_mins(1)).to_string();
    let ended = json!({"metadata": {"finalizers": ["stepbound.dev/finalizer"]},
        "spec": {"ttlAfterFinished": "1s"}, "status": {"finishedAt": a_minute_ago, "observedGeneration": 1, "lastHandled": {"redrive": "1"}}});
    world.change("workflowruns", "order", &ended);
    let shown = world.run("order");
    world.change("workflowruns", "order", &json!({"metadata": {"annotations": {"stepbound.dev/redrive": "2"}}}));
    world.wake("order").await;
    world.wake_with(shown).await;
    let run = world.run("order");
    assert_eq!(run.status.unwrap().phase, Some(Phase::Running));
    assert_eq!(run.metadata.finalizers.unwrap(), ["stepbound.dev/finalizer"]);
}

#[tokio::test]
async fn the_output_of_a_run_that_goes_on_again_has_not_expired() {
    let world = redriven_once_asked().await;
    about_to_call(&world, "redrive");
    let owed = json!([{"type": "OutputStored", "status": "False", "reason": "Forbidden", "message": "", "lastTransitionTime": past()}]);
    let status = json!({"conditions": owed, "lastHandled": {"redrive": "1"}});
    world.change("workflowruns", "order", &json!({"status": status}));
    let shown = world.run("order");
    world.change("workflowruns", "order", &json!({"metadata": {"annotations": {"stepbound.dev/redrive": "2"}}}));
    world.wake("order").await;
    world.wake_with(shown).await;
    assert_eq!(says(&world.run("order"), "OutputStored").0, "Forbidden");
}

/// The run sleeps after its start, and nobody tells it again of what it has seen then: `World::reconcile` holds every reconcile
/// of these tests to that.
#[tokio::test]
async fn what_is_asked_while_a_start_is_under_way_is_done_once_it_runs() {
    let asked = [
        ("cancelled", json!({"spec": {"cancel": {"reason": "enough"}}})),
        ("redriven", json!({"metadata": {"annotations": {"stepbound.dev/redrive": "now"}}})),
    ];
    for (what, patch) in asked {
        // The finalizer, the attempt, the start.
        for change in 1..=3 {
            let mut world = super::life::ready(&json!({})).await;
            world.add_run("order", &json!({}));
            world.aws.life.ends_with(change);
            assert!(world.wake_object::<WorkflowRun>("order").await.is_none(), "{what} at {change}");
            world.change("workflowruns", "order", &patch);
            world.restart().await;
            world.settle::<WorkflowRun>("order").await;
            let stopped = world.aws.calls("StopExecution") > 0;
            assert_eq!(stopped, what == "cancelled" && change > 1, "{what} at {change}");
        }
    }
}
