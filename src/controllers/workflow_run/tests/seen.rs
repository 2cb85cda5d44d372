//! What the tracker has seen of an execution, and what its run makes of it.

use super::life::{arn, phase, ready, see, status, woken};
use super::*;
use crate::aws::fake::Ended;
use crate::aws::{Executions, ListedExecution};
use crate::controllers::stand_in::{Faked, caller};
use crate::outcome::Class;
use crate::runs::{Evidence, MachineKey};

/// Lets the run have what a list shows, which is no output and no error.
async fn list(world: &World<Faked>) {
    let listed: Vec<ListedExecution> = world.aws.aws.list_executions(&caller(), MACHINE, false).await.unwrap();
    world.ctx.tracker.saw(&arn(), Evidence::Listed(listed[0].clone()));
    world.wake("order").await;
}

async fn ended_unseen(run: &Value, end: Ended) -> World<Faked> {
    let world = woken(&json!({}), run).await;
    world.aws.end(&arn(), end);
    world
}

fn output_stored(world: &World<Faked>) -> String {
    says(&world.run("order"), "OutputStored").0
}

#[tokio::test]
async fn a_listed_end_is_told_with_its_output_where_the_quota_allows() {
    let world = ended_unseen(&json!({}), Ended::Well("{\"a\":1}")).await;
    list(&world).await;
    assert_eq!((phase(&world), status(&world).output), (Some(Phase::Succeeded), Some(json!({"a": 1}))));
}

#[tokio::test]
async fn a_listed_end_is_told_at_once_and_its_output_follows() {
    // Why the description is not had now.
    type Take = fn(&World<Faked>);
    let cases: [(&str, Take); 3] = [
        ("no quota", |world| world.aws.use_up("DescribeExecution")),
        ("throttled", |world| world.aws.fail("DescribeExecution", "ThrottlingException")),
        ("not shown yet", |world| world.aws.forget_execution(&arn())),
    ];
    for (what, take) in cases {
        let mut world = ended_unseen(&json!({}), Ended::Well("{\"a\":1}")).await;
        let ended = world.aws.execution(&arn()).unwrap();
        let listed = world.aws.aws.list_executions(&caller(), MACHINE, false).await.unwrap();
        take(&world);
        world.ctx.tracker.saw(&arn(), Evidence::Listed(listed[0].clone()));
        world.wake("order").await;
        assert_eq!(
            (phase(&world), output_stored(&world).as_str()),
            (Some(Phase::Succeeded), "WaitingForQuota"),
            "{what}"
        );
        world.aws.allow("DescribeExecution");
        world.restart().await;
        world.wake("order").await;
        assert_eq!(status(&world).output, None, "{what}: it is looked for again");
        world.ctx.tracker.found(ended);
        world.wake("order").await;
        assert_eq!((status(&world).output, output_stored(&world)), (Some(json!({"a": 1})), String::new()), "{what}");
    }
}

#[tokio::test]
async fn whether_a_run_is_tried_again_waits_for_the_error() {
    let world = ended_unseen(&json!({"retry": {"strategy": "Restart", "limit": 1}}), Ended::Failed("E")).await;
    world.aws.use_up("DescribeExecution");
    list(&world).await;
    assert_eq!(phase(&world), Some(Phase::Running), "a list tells no error");
    see(&world).await;
    assert_eq!(
        (phase(&world), says(&world.run("order"), "Ready").0.as_str()),
        (Some(Phase::Pending), "RetryScheduled")
    );
}

#[tokio::test]
async fn what_is_seen_and_is_no_end_changes_nothing() {
    let world = woken(&json!({}), &json!({})).await;
    list(&world).await;
    see(&world).await;
    assert_eq!(phase(&world), Some(Phase::Running));
    world.ctx.tracker.saw(&arn(), Evidence::Missing);
    world.wake("order").await;
    assert_eq!(
        (phase(&world), says(&world.run("order"), "Ready").0.as_str()),
        (Some(Phase::Running), "ExecutionNotFound")
    );
}

#[tokio::test]
async fn a_look_that_is_refused_is_told_until_it_is_allowed() {
    let world = woken(&json!({}), &json!({})).await;
    let machine = || MachineKey { namespace: "shop".into(), binding: "orders".into(), arn: MACHINE.into() };
    let failure = Failure::new(Class::Denied, crate::reason::Reason::AccessDenied, "no");
    world.ctx.tracker.was_refused(machine(), Some(failure));
    world.wake("order").await;
    assert_eq!((phase(&world), says(&world.run("order"), "Ready").0.as_str()), (Some(Phase::Running), "AccessDenied"));
    world.ctx.tracker.was_refused(machine(), None);
    world.wake("order").await;
    assert_eq!(says(&world.run("order"), "Ready").0, "Running");
}

#[tokio::test]
async fn a_run_that_is_over_is_followed_no_more() {
    let world = ready(&json!({})).await;
    world.add_run("order", &json!({}));
    assert!(waits_for_start(&world.run("order")));
    world.wake("order").await;
    assert!(!waits_for_start(&world.run("order")));
    world.aws.end(&arn(), Ended::Well("{}"));
    world.show(&arn());
    assert!(world.ctx.tracker.evidence(&arn(), 0).is_some());
    WorkflowRun::gone(&world.run("order"), &world.ctx);
    assert!(world.ctx.tracker.evidence(&arn(), 0).is_none());
}
