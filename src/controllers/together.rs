//! All controllers at work on what is there, until they are told to end. The watches of these tests show what is there at first and
//! nothing that comes after.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;

use super::run;
use super::stand_in::{Faked, World};
use crate::api::v1alpha1::{Activity, IdentityProvider, Phase, TrustBinding, Workflow, WorkflowSchedule};

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} takes too long");
}

async fn world() -> World<Faked> {
    let mut world = World::fake_with(|settings| settings.watch_namespaces = vec!["shop".into()], None).await;
    let binding = json!({"name": "orders"});
    let (role, template) = ("arn:aws:iam::111122223333:role/run", json!({"spec": {"workflowRef": {"name": "orders"}}}));
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    let specs = [
        (
            "workflows",
            "Workflow",
            json!({"trustBindingRef": binding, "executionRoleARN": role, "definition": definition}),
        ),
        ("activities", "Activity", json!({"trustBindingRef": binding})),
        (
            "workflowschedules",
            "WorkflowSchedule",
            json!({"schedule": "0 0 1 1 *", "suspend": true, "runTemplate": template}),
        ),
        (
            "identityproviders",
            "IdentityProvider",
            json!({"issuer": "https://other.example", "clientAuthentication": {"type": "ServiceAccountAssertion"}}),
        ),
    ];
    for (plural, kind, spec) in specs {
        world.add(plural, &json!({"kind": kind, "metadata": {"name": "orders"}, "spec": spec}));
    }
    // The run need not wait for a watch then.
    world.settle::<Workflow>("orders").await;
    world.add_run("order", &json!({}));
    world
}

#[tokio::test]
async fn the_controllers_take_up_what_is_there_and_end_when_they_are_told_to() {
    let world = world().await;
    let (stop, stopped) = watch::channel(false);
    let work = tokio::spawn(run(world.ctx.clone(), stopped));
    until("the binding", || world.says::<TrustBinding>("orders", "Ready") == "True/RoleAssumed").await;
    until("the activity", || world.says::<Activity>("orders", "Ready") == "True/Synced").await;
    until("the schedule", || world.says::<WorkflowSchedule>("orders", "Ready") == "True/Suspended").await;
    until("the provider", || world.says::<IdentityProvider>("orders", "Ready") == "False/IssuerNotAllowed").await;
    let phase = || world.run("order").status.unwrap_or_default().phase;
    until("the start", || phase() == Some(Phase::Running)).await;
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap().unwrap();
}

/// The log group is read as the binding, by the real tracker; events of other executions and a page without any change nothing.
#[tokio::test]
async fn the_end_of_an_express_run_is_found_in_its_log() {
    const GROUP: &str = "/aws/vendedlogs/states/shop";
    let mut world = World::fake_with(|settings| settings.watch_namespaces = vec!["shop".into()], None).await;
    let (role, group) =
        ("arn:aws:iam::111122223333:role/run", format!("arn:aws:logs:eu-west-1:111122223333:log-group:{GROUP}:*"));
    let spec = json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": role, "type": "Express",
        "definition": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "expressResults": "FromLogs",
        "logging": {"level": "All", "includeExecutionData": true, "logGroupARN": group}});
    world.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"}, "spec": spec}));
    world.settle::<Workflow>("orders").await;
    world.aws.make_log_group(GROUP);
    world.add_run("order", &json!({}));
    let (stop, stopped) = watch::channel(false);
    let work = tokio::spawn(run(world.ctx.clone(), stopped));
    let status = || world.run("order").status.unwrap_or_default();
    until("the start", || status().phase == Some(Phase::Running)).await;
    let arn = status().execution_arn.unwrap();
    let end = |arn: &str| {
        let at = Timestamp::now().as_millisecond().to_string();
        json!({"type": "ExecutionSucceeded", "details": {"output": "{\"a\":1}"}, "event_timestamp": at, "execution_arn": arn})
    };
    for _ in 0..7 {
        world.aws.log(GROUP, Timestamp::now(), &end(&format!("{arn}x")).to_string());
    }
    until("a look", || world.aws.calls("FilterLogEvents") > 3).await;
    assert_eq!(status().phase, Some(Phase::Running));
    world.aws.log(GROUP, Timestamp::now(), &end(&arn).to_string());
    // The watch of these tests shows nothing new, so whoever looks next takes the end in.
    until("the end", || world.ctx.tracker.evidence(&arn, 0).is_some() || status().phase == Some(Phase::Succeeded))
        .await;
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap().unwrap();
}
