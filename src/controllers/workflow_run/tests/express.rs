//! Express executions: started once, and followed only in the call that waits for them.

use super::life::{phase, status, woken};
use super::*;
use crate::aws::fake::Ended;

fn express() -> Value {
    json!({"type": "Express"})
}

#[tokio::test]
async fn an_express_run_that_nobody_waits_for_is_handed_over() {
    let world = woken(&express(), &json!({})).await;
    assert_eq!((phase(&world), world.aws.executions().len()), (Some(Phase::Dispatched), 1));
    assert!(status(&world).execution_arn.unwrap().contains(":express:shop_orders:"));
    for _ in 0..3 {
        world.wake("order").await;
    }
    assert_eq!(world.aws.calls("StartExecution"), 1);
}

#[tokio::test]
async fn an_express_run_that_is_waited_for_ends_with_its_answer() {
    let cases = [
        (Ended::Well("{\"a\":1}"), Phase::Succeeded, Some(json!({"a": 1}))),
        (Ended::Failed("E"), Phase::Failed, None),
        (Ended::TimedOut, Phase::TimedOut, None),
    ];
    for (end, expected, output) in cases {
        let world = super::life::ready(&express()).await;
        world.aws.sync_ends(end);
        world.add_run("order", &json!({"mode": "Sync"}));
        world.wake("order").await;
        assert_eq!((phase(&world), status(&world).output), (Some(expected), output), "{end:?}");
        world.wake("order").await;
        assert_eq!(world.aws.calls("StartSyncExecution"), 1, "{end:?}");
    }
}

#[tokio::test]
async fn an_express_start_that_nobody_has_an_answer_of_is_never_repeated() {
    for (mode, operation) in [("Async", "StartExecution"), ("Sync", "StartSyncExecution")] {
        let mut world = super::life::ready(&express()).await;
        world.aws.lose_answer(operation);
        world.add_run("order", &json!({"mode": mode}));
        world.wake("order").await;
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(says(&world.run("order"), "Ready").0, "OutcomeUnknown", "{mode}");
        assert_eq!((phase(&world), world.aws.calls(operation)), (Some(Phase::Failed), 1), "{mode}");
    }
}

#[tokio::test]
async fn a_process_that_dies_with_an_express_start_leaves_its_outcome_unknown() {
    for mode in ["Async", "Sync"] {
        let mut world = super::life::ready(&express()).await;
        world.add_run("order", &json!({"mode": mode}));
        // The finalizer, the attempt, and then the start.
        world.aws.life.ends_with(3);
        assert!(world.wake_object::<WorkflowRun>("order").await.is_none(), "{mode}");
        assert_eq!(world.aws.executions().len(), 1, "{mode}");
        world.restart().await;
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(says(&world.run("order"), "Ready").0, "OutcomeUnknown", "{mode}");
        assert_eq!(world.aws.executions().len(), 1, "{mode}");
    }
}

#[tokio::test]
async fn a_synchronous_run_is_tried_again_under_another_name() {
    let mut world = super::life::ready(&express()).await;
    world.aws.sync_ends(Ended::Failed("E"));
    world.add_run("order", &json!({"mode": "Sync", "retry": {"strategy": "Restart", "limit": 1}}));
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), status(&world).attempts.len()), (Some(Phase::Failed), 2));
    let names: Vec<String> = status(&world).attempts.into_iter().map(|one| one.execution_name).collect();
    assert_eq!(names, ["workflowruns-order", "workflowruns-order-2"]);
    assert!(says(&world.run("order"), "Ready").1.contains("all 2 attempts of spec.retry are used up"));
}
