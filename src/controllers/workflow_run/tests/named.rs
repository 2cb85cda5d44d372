//! Runs that give their executions a name, which may have been used before; and what may not run any more.

use jiff::SignedDuration;

use super::life::{add_workflow, arn, ended, phase, ready, see, status};
use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::{Faked, with};

fn once() -> String {
    MACHINE.replace(":stateMachine:", ":execution:") + ":once"
}

fn named(more: &Value) -> Value {
    with(json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"}), more)
}

fn reason(world: &World<Faked>) -> String {
    says(&world.run("order"), "Ready").0
}

#[tokio::test]
async fn an_execution_that_was_there_before_is_followed_or_left_alone() {
    // Input of the execution that is there, and by what it was started.
    let cases = [("{}", ":1", true), ("[]", ":1", false), ("{}", "", false)];
    for (input, target, followed) in cases {
        let mut world = ready(&json!({})).await;
        world.aws.start_by_hand(&format!("{MACHINE}{target}"), "once", input);
        world.add_run("order", &named(&json!({})));
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(
            (status(&world).adopted, status(&world).execution_arn.is_some()),
            (followed, followed),
            "{input} {target}"
        );
        if !followed {
            assert_eq!(reason(&world), "ExecutionNameTaken", "{input} {target}");
            continue;
        }
        world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}}));
        world.settle::<WorkflowRun>("order").await;
        assert!(says(&world.run("order"), "Ready").1.contains("not of this run"));
        world.aws.end(&once(), Ended::Failed("E"));
        see(&world).await;
        assert_eq!((phase(&world), world.aws.calls("StopExecution")), (Some(Phase::Failed), 0));
    }
}

#[tokio::test]
async fn a_name_is_one_run_s_at_a_time() {
    let world = ready(&json!({})).await;
    for name in ["order", "second"] {
        world.add_run(name, &named(&json!({})));
        world.wake(name).await;
    }
    assert_eq!((phase(&world), world.aws.executions().len()), (Some(Phase::Running), 1));
    assert!(!says(&world.run("second"), "Ready").0.is_empty());
    assert!(!world.run("second").status.unwrap().adopted);
}

#[tokio::test]
async fn what_may_have_been_started_under_a_name_is_stopped_only_where_it_is_the_run_s_own() {
    type Take = fn(&World<Faked>);
    let nothing: Take = |_| {};
    let gone: Take = |world| world.aws.forget_execution(&once());
    let others: Take = |world| {
        world.aws.forget_execution(&once());
        world.aws.start_by_hand(&format!("{MACHINE}:1"), "once", "[]");
    };
    // Whether it is stopped, and whether the run goes: now, and once nothing can land any more.
    let cases =
        [("its own", nothing, true, false), ("none yet", gone, false, false), ("another's", others, false, true)];
    for (what, take, stopped, goes) in cases {
        let mut world = ready(&json!({})).await;
        world.add_run("order", &named(&json!({})));
        world.aws.lose_answer("StartExecution");
        world.wake("order").await;
        take(&world);
        world.delete::<WorkflowRun>("order");
        world.wake("order").await;
        assert_eq!(
            (world.aws.calls("StopExecution") > 0, world.is_gone::<WorkflowRun>("order")),
            (stopped, goes),
            "{what}"
        );
        if goes {
            continue;
        }
        world.delete_at::<WorkflowRun>("order", Timestamp::now() - SignedDuration::from_mins(1));
        world.settle::<WorkflowRun>("order").await;
        assert!(world.is_gone::<WorkflowRun>("order"), "{what}");
    }
}

#[tokio::test]
async fn what_may_not_run_any_more_is_not_redriven() {
    let listed =
        |role: &str| json!({"spec": {"allowedExecutionRoleARNs": [format!("arn:aws:iam::111122223333:role/{role}")]}});
    for asked in [true, false] {
        let run = if asked { json!({}) } else { json!({"retry": {"strategy": "Redrive", "limit": 1}}) };
        let mut world = ended(&run, Ended::Failed("E")).await;
        world.change("trustbindings", "orders", &listed("other"));
        world.forget_authorized().await;
        if asked {
            world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
        }
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(world.aws.calls("RedriveExecution"), 0, "{asked}");
        assert_eq!(world.reasons().contains(&"RedriveRefused".to_owned()), asked, "{:?}", world.reasons());
        // A retry waits until it may; what was asked for has been answered.
        world.change("trustbindings", "orders", &listed("run"));
        world.forget_authorized().await;
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(world.aws.calls("RedriveExecution"), usize::from(!asked), "{asked}");
    }
}

#[tokio::test]
async fn a_redrive_waits_in_line_like_a_start() {
    let mut world = ready(&json!({"maxConcurrentRuns": 1})).await;
    world.add_run("order", &json!({}));
    world.wake("order").await;
    world.aws.end(&arn(), Ended::Failed("E"));
    see(&world).await;
    world.wake("order").await;
    world.add_run("second", &json!({}));
    world.wake("second").await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
    world.settle::<WorkflowRun>("order").await;
    assert!(world.reasons().contains(&"RedriveQueued".to_owned()), "{:?}", world.reasons());
    assert_eq!(
        (phase(&world), world.aws.calls("RedriveExecution")),
        (Some(Phase::Failed), 0),
        "it still tells how it ended"
    );
    let second = world.run("second").status.unwrap().execution_arn.unwrap();
    world.aws.end(&second, Ended::Well("{}"));
    world.show(&second);
    world.wake("second").await;
    world.wake("second").await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("RedriveExecution")), (Some(Phase::Running), 1));
}

#[tokio::test]
async fn starts_of_a_namespace_are_spread_over_time() {
    let mut world = World::fake_with(|_| {}, Some(&json!({"maxStartsPerSecond": 1}))).await;
    add_workflow(&world, &json!({}));
    world.settle::<Workflow>("orders").await;
    for name in ["order", "second"] {
        world.add_run(name, &json!({}));
        world.wake(name).await;
    }
    assert_eq!(phase(&world), Some(Phase::Running));
    let (reason, message) = says(&world.run("second"), "Ready");
    assert_eq!((reason.as_str(), message.contains("start 1 runs a second")), ("Queued", true), "{message}");
}
