//! Whatever goes wrong at whatever change, the end is the same: each scenario is played once undisturbed, and then once for each
//! change that it makes and each way in which that change can go wrong.

mod approvals;

use serde_json::{Value, json};

use super::runner::Managed;
use super::stand_in::{Faked, MACHINE, World, with};
use crate::api::v1alpha1::{Activity, Workflow, WorkflowRun, WorkflowSchedule};
use crate::aws::fake::Ended;

/// How one change goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// The process dies once it is made, in AWS or at the API server.
    Dies,
    /// AWS makes it, and its answer is lost.
    Lost,
    /// AWS refuses it for now.
    Refused(&'static str),
    /// The API server refuses a write: somebody else wrote first, or it is out of order.
    Unwritten(u16),
}

const WRONGS: [Wrong; 7] = [
    Wrong::Dies,
    Wrong::Lost,
    Wrong::Refused("ThrottlingException"),
    Wrong::Refused("ServiceUnavailable"),
    Wrong::Refused("AccessDeniedException"),
    Wrong::Unwritten(409),
    Wrong::Unwritten(500),
];

fn disturb(world: &World<Faked>, wrong: Wrong, change: usize) {
    match wrong {
        Wrong::Dies => world.aws.life.ends_with(change),
        Wrong::Lost => world.aws.disturb_change(change - 1, None),
        Wrong::Refused(code) => world.aws.disturb_change(change - 1, Some(code)),
        Wrong::Unwritten(code) => world.refuse_write(change - 1, code),
    }
}

/// Plays it, with something wrong at a change, and gives the end and the number of changes.
async fn play<K: Managed>(
    prepare: impl AsyncFn(&mut World<Faked>),
    then: impl AsyncFn(&mut World<Faked>),
    end: impl Fn(&World<Faked>) -> Value,
    wrong: Option<(Wrong, usize)>,
) -> (Value, usize) {
    let mut world = World::fake().await;
    prepare(&mut world).await;
    let before = world.aws.life.changes();
    if let Some((wrong, change)) = wrong {
        disturb(&world, wrong, change);
    }
    then(&mut world).await;
    let changes = world.aws.life.changes() - before;
    (end(&world), changes)
}

async fn converges<K: Managed>(
    what: &str,
    prepare: impl AsyncFn(&mut World<Faked>),
    then: impl AsyncFn(&mut World<Faked>),
    end: impl Fn(&World<Faked>) -> Value,
) {
    let (expected, changes) = play::<K>(&prepare, &then, &end, None).await;
    assert!(changes > 0, "{what} changes something");
    let mut different = Vec::new();
    for wrong in WRONGS {
        for change in 1..=changes {
            let (found, _) = play::<K>(&prepare, &then, &end, Some((wrong, change))).await;
            if found != expected {
                different.push(format!("{wrong:?} at change {change} of {changes}: {found}"));
            }
        }
    }
    assert!(different.is_empty(), "{what} ends as {expected}, but\n{}", different.join("\n"));
}

fn definition(comment: &str) -> Value {
    json!({"StartAt": "A", "Comment": comment, "States": {"A": {"Type": "Succeed"}}})
}

fn add_workflow(world: &World<Faked>, spec: &Value) {
    let whole = with(
        json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/run",
            "definition": definition("1")}),
        spec,
    );
    world.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"}, "spec": whole}));
}

/// What matters of a Workflow and of its machine.
fn machine(world: &World<Faked>) -> Value {
    if world.is_gone::<Workflow>("orders") {
        return json!({"gone": true, "machine": world.aws.has(MACHINE)});
    }
    let status = world.get::<Workflow>("orders").status.unwrap_or_default();
    let machine = world.aws.machine(MACHINE);
    json!({
        "ready": world.says::<Workflow>("orders", "Ready"),
        "message": world.message::<Workflow>("orders"),
        "definition": machine.map(|machine| machine.definition),
        "versions": world.aws.versions(MACHINE),
        "known": status.versions,
        "latest": status.latest_version.map(|latest| latest.number),
        "live": world.aws.routes(&format!("{MACHINE}:live")),
        "aliases": status.aliases.iter().map(|alias| (alias.name.clone(), alias.routes.clone())).collect::<Vec<_>>(),
        "tags": world.aws.tags(MACHINE),
        "keys": status.tag_keys,
        "runsAs": status.runs_as.len(),
    })
}

async fn settle_workflow(world: &mut World<Faked>) {
    world.settle::<Workflow>("orders").await;
}

#[tokio::test]
async fn a_workflow_is_made() {
    let live = json!({"tags": {"team": "shop"}, "aliases": [{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]});
    converges::<Workflow>("making", async |world| add_workflow(world, &live), settle_workflow, machine).await;
}

#[tokio::test]
async fn a_workflow_without_versions_is_made_and_changed() {
    let never = json!({"versions": {"publish": "Never"}});
    converges::<Workflow>(
        "making without versions",
        async |world| add_workflow(world, &never),
        async |world| {
            settle_workflow(world).await;
            world.change_spec::<Workflow>("orders", &json!({"definition": definition("2")}));
            settle_workflow(world).await;
        },
        machine,
    )
    .await;
}

#[tokio::test]
async fn a_workflow_is_changed_published_moved_and_pruned() {
    let live = json!({"versions": {"retain": 1}, "aliases": [{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]});
    converges::<Workflow>(
        "changing",
        async |world| {
            add_workflow(world, &live);
            settle_workflow(world).await;
        },
        async |world| {
            let spec = json!({"definition": definition("2"), "tags": {"team": "shop"}});
            world.change_spec::<Workflow>("orders", &spec);
            settle_workflow(world).await;
            // What is in use is remembered for an hour, or for as long as a process lives.
            world.restart().await;
            settle_workflow(world).await;
        },
        machine,
    )
    .await;
}

#[tokio::test]
async fn an_alias_is_dropped_and_another_made() {
    converges::<Workflow>(
        "dropping an alias",
        async |world| {
            add_workflow(world, &json!({"aliases": [{"name": "live", "version": 1}]}));
            settle_workflow(world).await;
        },
        async |world| {
            world.change_spec::<Workflow>("orders", &json!({"aliases": [{"name": "next", "version": 1}]}));
            settle_workflow(world).await;
        },
        machine,
    )
    .await;
}

#[tokio::test]
async fn a_workflow_is_deleted_or_let_go() {
    for policy in ["Delete", "Retain"] {
        converges::<Workflow>(
            policy,
            async |world| {
                add_workflow(world, &json!({"deletionPolicy": policy}));
                settle_workflow(world).await;
            },
            async |world| {
                world.delete::<Workflow>("orders");
                settle_workflow(world).await;
            },
            machine,
        )
        .await;
    }
}

#[tokio::test]
async fn an_activity_is_made_tagged_and_deleted() {
    let arn = "arn:aws:states:eu-west-1:111122223333:activity:shop_pack";
    let add = |world: &World<Faked>| {
        let spec = json!({"trustBindingRef": {"name": "orders"}, "tags": {"team": "shop"}});
        world.add("activities", &json!({"kind": "Activity", "metadata": {"name": "pack"}, "spec": spec}));
    };
    let end = |world: &World<Faked>| {
        let gone = world.is_gone::<Activity>("pack");
        let ready = if gone { String::new() } else { world.says::<Activity>("pack", "Ready") };
        json!({"gone": gone, "ready": ready, "there": world.aws.has(arn), "tags": world.aws.tags(arn)})
    };
    converges::<Activity>(
        "making an activity",
        async |world| add(world),
        async |world| {
            world.settle::<Activity>("pack").await;
            world.change_spec::<Activity>("pack", &json!({"tags": {"team": "other", "stage": "test"}}));
            world.settle::<Activity>("pack").await;
        },
        end,
    )
    .await;
    converges::<Activity>(
        "deleting an activity",
        async |world| {
            add(world);
            world.settle::<Activity>("pack").await;
        },
        async |world| {
            world.delete::<Activity>("pack");
            world.settle::<Activity>("pack").await;
        },
        end,
    )
    .await;
}

/// What matters of a run and of what it started.
fn executions(world: &World<Faked>) -> Value {
    let found = world.aws.executions().into_iter().map(|arn| {
        let execution = world.aws.execution(&arn).unwrap();
        json!({"arn": arn, "status": format!("{:?}", execution.status), "redrives": execution.redrive_count})
    });
    let executions: Vec<Value> = found.collect();
    if world.is_gone::<WorkflowRun>("order") {
        return json!({"gone": true, "executions": executions});
    }
    let status = world.run("order").status.unwrap_or_default();
    json!({"ready": world.says::<WorkflowRun>("order", "Ready"), "phase": status.phase, "arn": status.execution_arn,
        "attempts": status.attempts.len(), "adopted": status.adopted, "output": status.output, "executions": executions,
        "stored": world.data_of("order-output")})
}

async fn with_run(world: &mut World<Faked>, spec: &Value) {
    add_workflow(world, &json!({}));
    settle_workflow(world).await;
    world.add_run("order", spec);
}

async fn settle_run(world: &mut World<Faked>) {
    world.settle::<WorkflowRun>("order").await;
}

/// Ends the execution that the run is at, and lets it be seen.
async fn end_run(world: &mut World<Faked>, ended: Ended) {
    let Some(arn) = world.run("order").status.and_then(|status| status.execution_arn) else { return };
    world.aws.end(&arn, ended);
    for _ in 0..2 {
        world.show(&arn);
        settle_run(world).await;
    }
}

#[tokio::test]
async fn a_run_starts_once_and_ends() {
    let named = json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"});
    let mapped = json!({"output": {"store": "ConfigMap"}});
    for spec in [json!({}), named, mapped] {
        converges::<WorkflowRun>(
            "a run",
            async |world| with_run(world, &spec).await,
            async |world| {
                settle_run(world).await;
                end_run(world, Ended::Well("{\"a\": 1}")).await;
            },
            executions,
        )
        .await;
    }
}

#[tokio::test]
async fn a_run_is_cancelled_or_deleted() {
    converges::<WorkflowRun>(
        "cancelling",
        async |world| {
            with_run(world, &json!({})).await;
            settle_run(world).await;
        },
        async |world| {
            world.change("workflowruns", "order", &json!({"spec": {"cancel": {"reason": "enough"}}}));
            settle_run(world).await;
            let arn = world.run("order").status.unwrap().execution_arn.unwrap();
            for _ in 0..2 {
                world.show(&arn);
                settle_run(world).await;
            }
        },
        executions,
    )
    .await;
    converges::<WorkflowRun>(
        "deleting a run",
        async |world| {
            with_run(world, &json!({})).await;
            settle_run(world).await;
        },
        async |world| {
            world.delete::<WorkflowRun>("order");
            settle_run(world).await;
        },
        executions,
    )
    .await;
}

#[tokio::test]
async fn a_run_is_tried_again_by_restart_and_by_redrive() {
    for strategy in ["Restart", "Redrive"] {
        converges::<WorkflowRun>(
            strategy,
            async |world| {
                with_run(world, &json!({"retry": {"strategy": strategy, "limit": 1}})).await;
                settle_run(world).await;
            },
            async |world| {
                end_run(world, Ended::Failed("E")).await;
                end_run(world, Ended::Well("{}")).await;
            },
            executions,
        )
        .await;
    }
}

#[tokio::test]
async fn a_run_goes_on_when_somebody_asks() {
    converges::<WorkflowRun>(
        "a redrive that was asked for",
        async |world| {
            with_run(world, &json!({"output": {"store": "ConfigMap"}})).await;
            settle_run(world).await;
            end_run(world, Ended::Failed("E")).await;
        },
        async |world| {
            world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "once");
            settle_run(world).await;
            end_run(world, Ended::Well("{}")).await;
        },
        executions,
    )
    .await;
}

#[tokio::test]
async fn the_end_of_an_express_run_is_taken_from_the_log() {
    let group = "arn:aws:logs:eu-west-1:111122223333:log-group:shop:*";
    let logged = json!({"type": "Express", "expressResults": "FromLogs",
        "logging": {"level": "All", "includeExecutionData": true, "logGroupARN": group}});
    converges::<WorkflowRun>(
        "an end in a log",
        async |world| {
            add_workflow(world, &logged);
            settle_workflow(world).await;
            world.add_run("order", &json!({"output": {"store": "ConfigMap"}}));
            settle_run(world).await;
        },
        async |world| {
            let arn = world.run("order").status.unwrap().execution_arn.unwrap();
            for _ in 0..2 {
                world.show_logged_end(&arn, "ExecutionSucceeded", &json!({"output": "{\"a\": 1}"}));
                settle_run(world).await;
            }
        },
        |world| {
            let status = world.run("order").status.unwrap_or_default();
            json!({"ready": world.says::<WorkflowRun>("order", "Ready"), "phase": status.phase,
                "starts": world.aws.calls("StartExecution"), "output": world.data_of("order-output")})
        },
    )
    .await;
}

#[tokio::test]
async fn a_schedule_creates_the_run_of_each_minute_once() {
    converges::<WorkflowSchedule>(
        "a schedule",
        async |world| {
            let template = json!({"spec": {"workflowRef": {"name": "orders"}}});
            // Half a day from now on either side.
            let (now, utc) = (jiff::Timestamp::now(), jiff::tz::TimeZone::UTC);
            let (at, before) = (utc.to_datetime(now - jiff::SignedDuration::from_hours(12)), now - jiff::SignedDuration::from_hours(30));
            let spec = json!({"schedule": format!("{} {} * * *", at.minute(), at.hour()), "runTemplate": template});
            world.add("workflowschedules", &json!({"kind": "WorkflowSchedule", "metadata": {"name": "daily",
                "creationTimestamp": before.to_string()}, "spec": spec}));
        },
        async |world| {
            for _ in 0..3 {
                world.settle::<WorkflowSchedule>("daily").await;
            }
        },
        |world| {
            let status = world.get::<WorkflowSchedule>("daily").status.unwrap_or_default();
            json!({"runs": world.names::<WorkflowRun>(), "last": status.last_schedule_time, "active": status.active.len(),
                "ready": world.says::<WorkflowSchedule>("daily", "Ready")})
        },
    )
    .await;
}
