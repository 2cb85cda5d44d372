//! Ends that were asked for, and how long what has ended ran.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::v1alpha1::StopIntent;
use crate::controllers::dereference::{ReadFor, config_map};

/// AWS with one execution, which a test has shown otherwise as it goes.
async fn with_execution(first: Value) -> (World, Arc<Mutex<Value>>) {
    let shown = Arc::new(Mutex::new(first));
    let described = shown.clone();
    let world = World::new("Standard", move |seen| match seen.operation() {
        "DescribeExecution" => (200, described.lock().to_string()),
        "RedriveExecution" => (200, json!({"redriveDate": 1.0}).to_string()),
        _ => (200, json!({"stopDate": 1.0, "events": []}).to_string()),
    })
    .await;
    (world, shown)
}

fn execution(status: &str, started: Timestamp, stopped: Option<Timestamp>, redrives: u32) -> Value {
    let seconds = |at: Timestamp| at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
    json!({"executionArn": execution_arn(), "stateMachineArn": MACHINE, "status": status, "redriveCount": redrives,
        "startDate": seconds(started), "stopDate": stopped.map(seconds), "redriveStatus": "REDRIVABLE"})
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_no_warning() {
    let ended = json!({"executionArn": "arn:aws:states:eu-west-1:111122223333:execution:shop_orders:workflowruns-order",
        "stateMachineArn": MACHINE, "status": "ABORTED", "startDate": 1.0, "stopDate": 2.0});
    let world = World::new("Standard", move |_| (200, ended.to_string())).await;
    world.add_run("order", &json!({"cancel": {}}));
    world.wake("order").await;
    assert_eq!(says(&world.run("order"), "Finished").0, "Cancelled");
    let stop = world.run("order").status.unwrap().stop.unwrap();
    assert_eq!((stop.intent, stop.requested_by), (StopIntent::Cancel, None), "nobody's word for who asked can be had");
    let events = world.events();
    assert!(events.iter().all(|(kind, _, _)| kind == "Normal"), "{events:?}");
}

#[tokio::test]
async fn a_running_run_that_is_cancelled_says_so_until_its_end_which_is_no_warning() {
    let started: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (world, aws) = with_execution(execution("RUNNING", started, None, 0)).await;
    world.add_run("order", &json!({}));
    world.change("workflowruns", "order", &running_of_alice());
    world.wake("order").await;
    assert_eq!(says(&world.run("order"), "Ready").0, "Running");
    world.change("workflowruns", "order", &json!({"spec": {"cancel": {"reason": "not needed"}}}));
    for _ in 0..2 {
        world.wake("order").await;
        let run = world.run("order");
        let (reason, message) = says(&run, "Ready");
        assert_eq!(reason, "Stopping", "{message}");
        assert!(message.contains("is being stopped: spec.cancel was set"), "{message}");
        assert_eq!(run.status.unwrap().phase, Some(Phase::Running), "AWS shows no end yet");
    }
    *aws.lock() = execution("ABORTED", started, Some(Timestamp::now()), 0);
    world.find("order").await;
    let run = world.run("order");
    assert_eq!((says(&run, "Finished").0.as_str(), run.status.unwrap().phase), ("Aborted", Some(Phase::Aborted)));
    let events = world.events();
    assert!(events.iter().any(|(_, reason, _)| reason == "Aborted"), "{events:?}");
    assert!(events.iter().all(|(kind, _, _)| kind == "Normal"), "{events:?}");
}

#[tokio::test]
async fn the_duration_of_a_redriven_run_is_the_time_in_which_something_ran() {
    let after = |at: Timestamp, seconds: u64| at + Duration::from_secs(seconds);
    let began = Timestamp::from_second(Timestamp::now().as_second() - 3600).unwrap();
    // Counted, and not counted by a release before it was.
    for counted in [json!(10_000), Value::Null] {
        let (world, aws) = with_execution(execution("FAILED", began, Some(after(began, 10)), 0)).await;
        about_to_call(&world, "redrive");
        let mut failed = world.run("order").status.unwrap();
        (failed.started_at, failed.finished_at) = (Some(Time(began)), Some(Time(after(began, 10))));
        failed.attempts[0].recorded_at = Time(began);
        failed.attempts[0].finished_at = Some(Time(after(began, 10)));
        let mut failed = serde_json::to_value(failed).unwrap();
        failed["ranMilliseconds"] = counted.clone();
        world.change("workflowruns", "order", &json!({"status": failed}));
        world.wake("order").await;
        let redriven = world.run("order").status.unwrap();
        assert_eq!((redriven.phase, redriven.attempts.len(), redriven.duration), (Some(Phase::Running), 2, None));
        let asked_at = redriven.attempts[1].recorded_at.0;
        *aws.lock() = execution("SUCCEEDED", began, Some(after(asked_at, 5)), 1);
        world.find("order").await;
        let status = world.run("order").status.unwrap();
        assert_eq!(status.phase, Some(Phase::Succeeded));
        assert_eq!(status.duration.as_deref(), Some("15s"), "{counted}: ten seconds, and five an hour later");
    }
}

#[tokio::test]
async fn an_output_map_of_others_is_not_told_as_the_runs_own() {
    let ended = json!({"executionArn": execution_arn(), "stateMachineArn": MACHINE, "status": "SUCCEEDED", "startDate": 1.0,
        "stopDate": 2.0, "output": "{\"a\":1}"});
    let own = json!({"output.json": "{\"a\":1}"});
    let forged = json!({"output.json": "{\"a\":2}"});
    let cases = [
        (None, "Stored"),
        (Some((&own, Some(("stepbound.dev", "order")))), "Stored"),
        (Some((&own, Some(("other.example", "order")))), "ConfigMapExists"),
        (Some((&own, Some(("stepbound.dev", "another")))), "ConfigMapExists"),
        (Some((&own, None)), "ConfigMapExists"),
        (Some((&forged, Some(("stepbound.dev", "order")))), "ConfigMapExists"),
    ];
    for (there, reason) in cases {
        let answer = ended.to_string();
        let world = World::new("Standard", move |_| (200, answer.clone())).await;
        if let Some((data, owner)) = there {
            world.add_config_map("order-output", data, owner);
        }
        world.add_run("order", &json!({"output": {"store": "ConfigMap"}}));
        world.change("workflowruns", "order", &running_of_alice());
        world.find("order").await;
        assert_eq!(says(&world.run("order"), "OutputStored").0, reason, "{there:?}");
    }
}

#[tokio::test]
async fn an_output_of_a_run_is_read_as_an_input_and_not_as_a_definition() {
    let maps = [
        ("first-output", "stepbound.dev", Some("ConfigMapIsOutput")),
        ("first-output", "other.example", None),
        ("another-output", "stepbound.dev", None),
        ("input", "stepbound.dev", None),
    ];
    for (name, group, refused) in maps {
        let world = World::new("Standard", |_| (200, "{}".into())).await;
        world.add_config_map(name, &json!({"output.json": "{}"}), Some((group, "first")));
        assert!(config_map(&world.ctx, "shop", name, ReadFor::Input).await.is_ok(), "{name} of {group}");
        let read = config_map(&world.ctx, "shop", name, ReadFor::Definition).await;
        assert_eq!(read.as_ref().err().map(|failure| failure.reason.as_str()), refused, "{name} of {group}");
        for word in ["\"first-output\"", "namespace \"shop\"", "WorkflowRun \"first\"", "Copy"] {
            assert!(read.as_ref().err().is_none_or(|failure| failure.message.contains(word)), "{word}: {read:?}");
        }
    }
}
