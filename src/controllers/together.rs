//! All controllers at work on what is there, until they are told to end. The watches of these tests show what is there at first and
//! nothing that comes after.

use std::time::Duration;

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
