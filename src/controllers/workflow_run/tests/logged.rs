//! Express executions whose ends are read from the log.

use super::life::{phase, ready, status, woken};
use super::*;
use crate::controllers::stand_in::Faked;
use crate::outcome::Class;
use crate::reason::Reason;
use crate::runs::{Evidence, MachineKey};

const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/shop:*";

fn from_logs() -> Value {
    json!({"type": "Express", "expressResults": "FromLogs",
        "logging": {"level": "All", "includeExecutionData": true, "logGroupARN": GROUP}})
}

/// Lets the tracker have found the end in the log.
fn logs(world: &World<Faked>, kind: &str, details: &Value) {
    world.show_logged_end(&status(world).execution_arn.unwrap(), kind, details);
}

#[tokio::test]
async fn a_run_waits_for_its_end_in_the_log_and_a_restart_loses_nothing() {
    let mut world = woken(&from_logs(), &json!({})).await;
    let begun = status(&world);
    assert_eq!((phase(&world), begun.log_group_arn.as_deref()), (Some(Phase::Running), Some(GROUP)));
    assert!(says(&world.run("order"), "Ready").1.contains(GROUP), "{:?}", says(&world.run("order"), "Ready"));
    world.restart().await;
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Running));
    logs(&world, "ExecutionSucceeded", &json!({"output": "{\"a\":1}"}));
    world.wake("order").await;
    let ended = status(&world);
    assert_eq!((phase(&world), ended.output), (Some(Phase::Succeeded), Some(json!({"a": 1}))));
    assert!(ended.finished_at.is_some() && ended.duration.is_some());
    assert_eq!(world.aws.calls("StartExecution"), 1);
    for call in ["DescribeExecution", "GetExecutionHistory", "ListExecutions", "StopExecution"] {
        assert_eq!(world.aws.calls(call), 0, "AWS answers {call} of no Express execution");
    }
}

#[tokio::test]
async fn a_bad_end_is_told_with_error_and_cause_and_is_not_redriven() {
    for (kind, expected) in [
        ("ExecutionFailed", Phase::Failed),
        ("ExecutionTimedOut", Phase::TimedOut),
        ("ExecutionAborted", Phase::Aborted),
    ] {
        let world = woken(&from_logs(), &json!({})).await;
        logs(&world, kind, &json!({"error": "Declined", "cause": "no money"}));
        world.wake("order").await;
        let ended = status(&world);
        assert_eq!(
            (phase(&world), ended.error.as_deref(), ended.cause.as_deref()),
            (Some(expected), Some("Declined"), Some("no money"))
        );
        assert!(ended.redrive.is_none_or(|redrive| !redrive.possible), "{kind}");
        world.change("workflowruns", "order", &json!({"metadata": {"annotations": {"stepbound.dev/redrive": "1"}}}));
        world.wake("order").await;
        assert!(
            world.events().iter().any(|(_, reason, note)| reason == "RedriveRefused" && note.contains("Express")),
            "{kind}"
        );
        assert_eq!(world.aws.calls("RedriveExecution"), 0);
    }
}

#[tokio::test]
async fn a_log_without_the_output_says_so_and_the_run_has_succeeded_all_the_same() {
    for (details, words) in [
        (json!({}), "includeExecutionData"),
        (json!({"outputDetails": {"truncated": true}}), "248 KB"),
        (json!({"output": "{not json"}), "no JSON"),
    ] {
        let world = woken(&from_logs(), &json!({})).await;
        logs(&world, "ExecutionSucceeded", &details);
        world.wake("order").await;
        assert_eq!((phase(&world), status(&world).output), (Some(Phase::Succeeded), None));
        let (reason, message) = says(&world.run("order"), "OutputStored");
        assert!(reason == "OutputNotLogged" && message.contains(words), "{reason} {message}");
    }
    let world = woken(&from_logs(), &json!({"output": {"store": "None"}})).await;
    logs(&world, "ExecutionSucceeded", &json!({}));
    world.wake("order").await;
    assert!(world.condition::<WorkflowRun>("order", "OutputStored").is_none(), "nobody wants it");
}

#[tokio::test]
async fn a_log_that_has_no_end_leaves_the_outcome_unknown() {
    let world = woken(&from_logs(), &json!({})).await;
    world.ctx.tracker.saw(&status(&world).execution_arn.unwrap(), Evidence::Missing);
    world.wake("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0), (Some(Phase::Failed), "OutcomeUnknown".into()));
    assert!(says(&world.run("order"), "Ready").1.contains(GROUP));
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_told_and_ends_nothing() {
    let world = woken(&from_logs(), &json!({})).await;
    let group = MachineKey { namespace: "shop".into(), binding: "orders".into(), arn: GROUP.into() };
    let failure = Failure::new(Class::Denied, Reason::AccessDenied, "not authorized to perform: logs:FilterLogEvents");
    world.ctx.tracker.was_refused(group.clone(), Some(failure));
    world.wake("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0), (Some(Phase::Running), "AccessDenied".into()));
    world.ctx.tracker.was_refused(group, None);
    logs(&world, "ExecutionSucceeded", &json!({"output": "1"}));
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Succeeded));
}

#[tokio::test]
async fn a_log_that_can_never_be_read_leaves_the_outcome_unknown_after_ten_minutes() {
    let world = woken(&from_logs(), &json!({})).await;
    let group = MachineKey { namespace: "shop".into(), binding: "orders".into(), arn: GROUP.into() };
    let failure = Failure::new(Class::Terminal, Reason::ValueNotAllowed, "It is no log group.");
    world.ctx.tracker.was_refused(group, Some(failure));
    world.wake("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0), (Some(Phase::Running), "ValueNotAllowed".into()));
    let long_ago = Timestamp::now() - jiff::SignedDuration::from_mins(11);
    world.change("workflowruns", "order", &json!({"status": {"startedAt": long_ago.to_string()}}));
    world.wake("order").await;
    let (reason, message) = says(&world.run("order"), "Ready");
    assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Failed), "OutcomeUnknown"));
    assert!(message.contains(GROUP) && message.contains("It is no log group."), "{message}");
}

/// AWS stops no Express execution, so what asks for it is told so, and a run that is deleted goes.
#[tokio::test]
async fn a_run_that_is_read_from_the_log_is_not_stopped() {
    let mut world = woken(&from_logs(), &json!({"timeout": "1ms"})).await;
    world.change_spec::<WorkflowRun>("order", &json!({"cancel": {"reason": "no"}}));
    for _ in 0..3 {
        world.wake("order").await;
    }
    assert_eq!((phase(&world), status(&world).stop), (Some(Phase::Running), None));
    assert!(says(&world.run("order"), "Ready").1.contains("AWS stops no Express execution"));
    world.delete::<WorkflowRun>("order");
    world.settle::<WorkflowRun>("order").await;
    assert!(world.is_gone::<WorkflowRun>("order"));
    assert_eq!(world.aws.calls("StopExecution"), 0);
}

/// What the Workflow logs to from now on is for runs that start from now on.
#[tokio::test]
async fn the_log_is_that_of_the_start_whatever_becomes_of_the_workflow() {
    let world = woken(&from_logs(), &json!({})).await;
    let elsewhere = GROUP.replace("shop", "elsewhere");
    world.change_spec::<Workflow>("orders", &json!({"logging": {"logGroupARN": elsewhere}}));
    world.wake("order").await;
    assert_eq!(status(&world).log_group_arn.as_deref(), Some(GROUP));
    world.remove::<Workflow>("orders");
    logs(&world, "ExecutionSucceeded", &json!({"output": "1"}));
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Succeeded));
}

#[tokio::test]
async fn a_synchronous_run_has_its_answer_and_needs_no_log() {
    let world = ready(&from_logs()).await;
    world.aws.sync_ends(crate::aws::fake::Ended::Well("{}"));
    world.add_run("order", &json!({"mode": "Sync"}));
    world.wake("order").await;
    assert_eq!((phase(&world), status(&world).log_group_arn), (Some(Phase::Succeeded), None));
}

#[tokio::test]
async fn a_process_that_dies_with_the_start_leaves_its_outcome_unknown() {
    let mut world = ready(&from_logs()).await;
    world.add_run("order", &json!({}));
    // The finalizer, the attempt, and then the start.
    world.aws.life.ends_with(3);
    assert!(world.wake_object::<WorkflowRun>("order").await.is_none());
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!(says(&world.run("order"), "Ready").0, "OutcomeUnknown");
    assert_eq!(world.aws.executions().len(), 1);
}
