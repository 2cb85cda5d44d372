//! Reconciles of schedules.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::controllers::stand_in::{Faked, World, with};

#[test]
fn a_run_of_a_schedule_names_it_by_group_kind_and_uid_as_its_controller() {
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule",
        "metadata": {"name": "nightly", "namespace": "shop", "uid": "u-1"},
        "spec": {"schedule": "0 0 * * *", "runTemplate": {"spec": {"workflowRef": {"name": "orders"}}}}});
    let schedule: WorkflowSchedule = serde_json::from_value(schedule).unwrap();
    let own = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "name": "nightly", "uid": "u-1", "controller": true});
    let owned_by = |field: &str, value: Value| {
        let mut owner = own.clone();
        owner[field] = value;
        let run = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "nightly-1", "ownerReferences": [owner]}, "spec": {"workflowRef": {"name": "orders"}}});
        controls(&schedule, &serde_json::from_value::<WorkflowRun>(run).unwrap())
    };
    assert!(owned_by("name", json!("nightly")));
    assert!(owned_by("apiVersion", json!("stepbound.dev/v1")), "a version is another view of the same object");
    for version in ["other.example/v1", "v1", "Stepbound.dev/v1alpha1", "x.stepbound.dev/v1", "stepbound.dev"] {
        assert!(!owned_by("apiVersion", json!(version)), "{version}");
    }
    for (field, value) in [("kind", json!("Workflow")), ("uid", json!("u-2")), ("controller", json!(false))] {
        assert!(!owned_by(field, value), "{field}");
    }
}

/// A minute an hour ago, the same for all tests.
fn due() -> Timestamp {
    static DUE: std::sync::OnceLock<Timestamp> = std::sync::OnceLock::new();
    *DUE.get_or_init(|| Timestamp::from_second((Timestamp::now().as_second() / 60 - 60) * 60).unwrap())
}

/// That minute of each year.
fn cron(zone: &TimeZone) -> String {
    let at = zone.to_datetime(due());
    format!("{} {} {} {} *", at.minute(), at.hour(), at.day(), at.month())
}

fn run_of_today() -> String {
    format!("yearly-{}", due().as_second() / 60)
}

/// A schedule of one time in each year, from before this year's.
fn add(world: &World<Faked>, spec: &Value) {
    let base = json!({"schedule": cron(&TimeZone::UTC), "runTemplate": {"spec": {"workflowRef": {"name": "orders"}}}});
    let whole = with(base, spec);
    let before = due() - SignedDuration::from_hours(24);
    let metadata = json!({"name": "yearly", "creationTimestamp": before.to_string()});
    world.add("workflowschedules", &json!({"kind": "WorkflowSchedule", "metadata": metadata, "spec": whole}));
}

async fn looked_at(spec: &Value, prepare: impl FnOnce(&World<Faked>)) -> World<Faked> {
    let world = World::fake().await;
    add(&world, spec);
    prepare(&world);
    world.wake_object::<WorkflowSchedule>("yearly").await;
    world
}

/// A run of the schedule.
fn add_run(world: &World<Faked>, name: &str, status: &Value) {
    let owner = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "name": "yearly",
        "uid": "workflowschedules-yearly", "controller": true});
    let metadata = json!({"name": name, "labels": {SCHEDULE_LABEL: "yearly"}, "ownerReferences": [owner]});
    let spec = json!({"workflowRef": {"name": "orders"}});
    world.add("workflowruns", &json!({"kind": "WorkflowRun", "metadata": metadata, "spec": spec, "status": status}));
}

fn status(world: &World<Faked>) -> WorkflowScheduleStatus {
    world.get::<WorkflowSchedule>("yearly").status.unwrap()
}

#[tokio::test]
async fn the_run_that_is_due_is_created_once_as_its_template_says() {
    let template = json!({"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "n"}},
        "spec": {"workflowRef": {"name": "orders"}, "input": {"a": 1}}});
    let zone = cron::time_zone("Etc/GMT-1").unwrap();
    let spec = json!({"runTemplate": template, "timeZone": "Etc/GMT-1", "schedule": cron(&zone)});
    let mut world = looked_at(&spec, |_| {}).await;
    assert_eq!(world.says::<WorkflowSchedule>("yearly", "Ready"), "True/Scheduled");
    let run = world.run(&run_of_today());
    assert_eq!((run.labels()["team"].as_str(), run.labels()[SCHEDULE_LABEL].as_str()), ("shop", "yearly"));
    let local = due().display_with_offset(zone.to_offset(due())).to_string();
    assert!(local.ends_with("+01:00") && run.annotations()[SCHEDULED_AT] == local, "{local}");
    assert!(controls(&world.get::<WorkflowSchedule>("yearly"), &run));
    assert_eq!(run.spec.execution_name, Some(format!("workflowschedules-{}", run_of_today())));
    assert!(run.spec.start_deadline.is_some() && run.spec.input == Some(json!({"a": 1})));
    let known = status(&world);
    assert_eq!((known.active.len(), known.active_runs, known.next_schedule_time.is_some()), (1, Some(1), true));
    world.restart().await;
    world.settle::<WorkflowSchedule>("yearly").await;
    world.remove::<WorkflowRun>(&run_of_today());
    world.settle::<WorkflowSchedule>("yearly").await;
    assert!(world.names::<WorkflowRun>().is_empty(), "one that was deleted is not made again");
}

#[tokio::test]
async fn what_is_due_depends_on_the_spec_and_on_what_runs() {
    let running = json!({"phase": "Running"});
    let cases = [
        ("allowed", json!({}), Some(&running), "True/Scheduled", 2, false),
        ("forbidden", json!({"concurrencyPolicy": "Forbid"}), Some(&running), "True/Scheduled", 1, false),
        ("replaced", json!({"concurrencyPolicy": "Replace"}), Some(&running), "True/Scheduled", 1, true),
        ("nothing runs", json!({"concurrencyPolicy": "Forbid"}), None, "True/Scheduled", 1, false),
        ("suspended", json!({"suspend": true}), None, "True/Suspended", 0, false),
        ("too late", json!({"startingDeadlineSeconds": 10}), None, "True/Scheduled", 0, false),
        ("no times", json!({"schedule": "nonsense"}), None, "False/ScheduleInvalid", 0, false),
        ("never", json!({"schedule": "0 0 31 2 *"}), None, "False/ScheduleNeverDue", 0, false),
        ("no zone", json!({"timeZone": "Nowhere/Land"}), None, "False/TimeZoneUnknown", 0, false),
    ];
    for (what, spec, running, ready, runs, cancelled) in cases {
        let world = looked_at(&spec, |world| {
            if let Some(status) = running {
                add_run(world, "yearly-1", status);
            }
        })
        .await;
        assert_eq!(world.says::<WorkflowSchedule>("yearly", "Ready"), ready, "{what}");
        assert_eq!(world.names::<WorkflowRun>().len(), runs, "{what}: {:?}", world.names::<WorkflowRun>());
        let old = running.map(|_| world.run("yearly-1").spec.cancel);
        assert_eq!(old.flatten().is_some(), cancelled, "{what}");
        let waiting = match what {
            "forbidden" => "True/RunActive",
            "replaced" => "True/Replacing",
            _ => "",
        };
        assert_eq!(world.says::<WorkflowSchedule>("yearly", "Waiting"), waiting, "{what}");
        let missed = status(&world).last_missed_time.is_some();
        assert_eq!(missed, what == "too late", "{what}");
    }
}

#[tokio::test]
async fn a_run_that_waited_is_created_after_the_end_of_the_other_and_told_once() {
    let mut world = looked_at(&json!({"concurrencyPolicy": "Forbid"}), |world| {
        add_run(world, "yearly-1", &json!({"phase": "Running"}));
    })
    .await;
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!(world.reasons(), ["RunActive"]);
    world.change(
        "workflowruns",
        "yearly-1",
        &json!({"status": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:05:00Z"}}),
    );
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!(world.names::<WorkflowRun>(), ["yearly-1".to_owned(), run_of_today()]);
    assert_eq!(
        status(&world).last_successful_time.map(|time| time.0.to_string()).as_deref(),
        Some("2026-01-01T00:05:00Z")
    );
}

#[tokio::test]
async fn a_run_of_the_name_that_is_another_s_is_left_alone_and_the_time_is_missed() {
    let mut world = looked_at(&json!({}), |world| {
        let spec = json!({"workflowRef": {"name": "orders"}});
        world.add("workflowruns", &json!({"kind": "WorkflowRun", "metadata": {"name": run_of_today()}, "spec": spec}));
    })
    .await;
    assert_eq!(world.reasons(), ["RunNameTaken"]);
    assert!(status(&world).last_missed_time.is_some() && status(&world).active.is_empty());
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!(world.reasons(), ["RunNameTaken"]);
}

#[tokio::test]
async fn a_run_that_lost_its_label_is_still_known_by_its_name() {
    let mut world = looked_at(&json!({"concurrencyPolicy": "Forbid"}), |world| {
        add_run(world, "yearly-1", &json!({"phase": "Running"}));
    })
    .await;
    world.change("workflowruns", "yearly-1", &json!({"metadata": {"labels": {SCHEDULE_LABEL: "other"}}}));
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!((status(&world).active.len(), world.names::<WorkflowRun>().len()), (1, 1));
}

#[tokio::test]
async fn a_run_that_lost_owner_and_label_is_the_schedule_s_until_it_has_ended() {
    let mut world = looked_at(&json!({"concurrencyPolicy": "Forbid"}), |world| {
        add_run(world, "yearly-1", &json!({"phase": "Running"}));
    })
    .await;
    world.change(
        "workflowruns",
        "yearly-1",
        &json!({"metadata": {"labels": {SCHEDULE_LABEL: "other"}, "ownerReferences": []}}),
    );
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!((status(&world).active.len(), world.names::<WorkflowRun>().len()), (1, 1), "none runs beside it");
    world.change(
        "workflowruns",
        "yearly-1",
        &json!({"status": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:05:00Z"}}),
    );
    world.settle::<WorkflowSchedule>("yearly").await;
    assert_eq!(world.names::<WorkflowRun>(), ["yearly-1".to_owned(), run_of_today()]);
}

#[tokio::test]
async fn a_cancel_that_the_api_server_refuses_is_told_and_not_asked_for_at_once() {
    let world = looked_at(&json!({"concurrencyPolicy": "Replace"}), |world| {
        add_run(world, "yearly-1", &json!({"phase": "Running"}));
        world.refuse("PATCH", "/workflowruns/yearly-1", 422, 3);
    })
    .await;
    assert_eq!(world.says::<WorkflowSchedule>("yearly", "Ready"), "False/WriteRefused");
    assert_eq!(world.reasons(), ["WriteRefused"]);
    let refused = Failure::new(Class::Denied, Reason::WriteRefused, "");
    assert!(refused.class.delay(1, 0.0).is_some_and(|delay| delay >= Duration::from_secs(5)));
}

#[tokio::test]
async fn more_than_the_limits_of_history_is_forgotten_oldest_first() {
    let limits = json!({"successfulRunsHistoryLimit": 1, "failedRunsHistoryLimit": 0, "suspend": true});
    let world = looked_at(&limits, |world| {
        for (name, phase) in [("a", "Succeeded"), ("b", "Succeeded"), ("c", "Failed"), ("d", "Running")] {
            add_run(world, name, &json!({"phase": phase, "finishedAt": "2026-01-01T00:05:00Z"}));
        }
    })
    .await;
    assert_eq!(world.names::<WorkflowRun>(), ["b", "d"]);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_tried_again() {
    let cases = [
        ("POST", "/workflowruns", 403, "False/Forbidden"),
        ("GET", "/workflowruns", 500, "False/APIServerError"),
        ("DELETE", "/workflowruns/old", 500, "False/APIServerError"),
    ];
    for (method, path, code, ready) in cases {
        let mut world = looked_at(&json!({"successfulRunsHistoryLimit": 0}), |world| {
            add_run(world, "old", &json!({"phase": "Succeeded", "finishedAt": "2026-01-01T00:05:00Z"}));
            world.refuse(method, path, code, 1);
        })
        .await;
        assert_eq!(world.says::<WorkflowSchedule>("yearly", "Ready"), ready, "{method} {path}");
        world.settle::<WorkflowSchedule>("yearly").await;
        assert_eq!(world.says::<WorkflowSchedule>("yearly", "Ready"), "True/Scheduled", "{method} {path}");
        assert_eq!(world.names::<WorkflowRun>(), [run_of_today()], "{method} {path}");
    }
    // A run that is to be replaced went meanwhile, or somebody else cancelled it first.
    for (code, cancelled) in [(404, false), (422, true), (500, true)] {
        let mut world = looked_at(&json!({"concurrencyPolicy": "Replace"}), |world| {
            add_run(world, "yearly-1", &json!({"phase": "Running"}));
            world.refuse("PATCH", "/workflowruns/yearly-1", code, 1);
        })
        .await;
        assert!(world.run("yearly-1").spec.cancel.is_none(), "{code}");
        world.settle::<WorkflowSchedule>("yearly").await;
        assert!(world.run("yearly-1").spec.cancel.is_some() || !cancelled, "{code}");
    }
}

#[tokio::test]
async fn many_missed_times_are_told_and_one_run_made_up_for() {
    let minute = json!({"schedule": "* * * * *"});
    let world = World::fake().await;
    add(&world, &minute);
    let ago = (Timestamp::now() - SignedDuration::from_hours(5)).to_string();
    world.change("workflowschedules", "yearly", &json!({"metadata": {"creationTimestamp": ago}}));
    world.wake_object::<WorkflowSchedule>("yearly").await;
    assert_eq!(world.reasons(), ["TooManyMissedTimes"]);
    assert_eq!(world.names::<WorkflowRun>().len(), 1);
    world.delete::<WorkflowSchedule>("yearly");
    world.wake_object::<WorkflowSchedule>("yearly").await;
    assert!(world.is_gone::<WorkflowSchedule>("yearly"));
}
