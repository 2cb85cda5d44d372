//! What waits where a Guardrail limits the runs of a namespace: whatever starts or goes on.

use super::*;

const STATUS_OF_ONE_THAT_FAILED: &str = r#"{"startedAt": "2026-01-01T00:00:00Z", "attempts": [{"number": 1,
    "executionName": "NAME", "targetARN": "MACHINE", "trustBindingName": "orders", "inputDigest": "DIGEST",
    "recordedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z", "error": "E"}]}"#;

fn takes_every_call(seen: &Seen) -> (u16, String) {
    let arn = MACHINE.replace(":stateMachine:", ":execution:") + ":any";
    let answer = match seen.operation() {
        "StartExecution" => json!({"executionArn": arn, "startDate": 1.0}),
        "RedriveExecution" => json!({"redriveDate": 3.0}),
        "DescribeExecution" => {
            json!({"executionArn": arn, "stateMachineArn": MACHINE, "status": "FAILED", "error": "E",
            "startDate": 1.0, "stopDate": 2.0, "redriveCount": 0, "redriveStatus": "REDRIVABLE"})
        }
        _ => json!({"events": []}),
    };
    (200, answer.to_string())
}

fn failed(name: &str, more: &Value) -> Value {
    let text = STATUS_OF_ONE_THAT_FAILED.replace("NAME", name).replace("MACHINE", MACHINE);
    let mut status: Value = serde_json::from_str(&text.replace("DIGEST", &sha256_hex(b"{}"))).unwrap();
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"status": status})
}

/// A run that has failed and is asked to go on.
fn asked_to_go_on(world: &World, name: &str) {
    world.add_run(name, &json!({}));
    world.change("workflowruns", name, &failed(name, &json!({"phase": "Failed", "executionARN": execution_arn()})));
    world.change("workflowruns", name, &json!({"metadata": {"annotations": {"stepbound.dev/redrive": "1"}}}));
}

#[tokio::test]
async fn a_redrive_waits_for_a_place_as_a_start_does() {
    let world = World::guarded("Standard", &json!({"maxConcurrentRuns": 1}), takes_every_call).await;
    world.add_run("first", &json!({}));
    world.wake("first").await;
    asked_to_go_on(&world, "order");
    world.wake("order").await;
    world.wake("order").await;
    assert_eq!((world.calls("StartExecution"), world.calls("RedriveExecution")), (1, 0));
    let waits = world.run("order").status.unwrap();
    assert_eq!((waits.phase, waits.last_handled.redrive), (Some(Phase::Failed), None), "its end stays told");
    let told = world.events().into_iter().find(|(_, reason, _)| reason == "RedriveQueued").unwrap();
    assert!(told.2.contains("Guardrail \"limits\""), "{told:?}");
    world.change("workflowruns", "first", &json!({"status": {"phase": "Failed"}}));
    world.wake("first").await;
    world.wake("order").await;
    assert_eq!(world.calls("RedriveExecution"), 1);
    world.add_run("fresh", &json!({}));
    world.wake("fresh").await;
    assert_eq!(world.calls("StartExecution"), 1, "one that goes on has a place");
    assert_eq!(says(&world.run("fresh"), "Ready").0, "Queued");
}

#[tokio::test]
async fn a_redrive_waits_for_a_place_of_its_workflow_too() {
    let world = World::new("Standard", takes_every_call).await;
    world.change("workflows", "orders", &json!({"spec": {"maxConcurrentRuns": 1}}));
    world.add_run("first", &json!({}));
    world.wake("first").await;
    world.wake("first").await;
    asked_to_go_on(&world, "order");
    world.wake("order").await;
    assert_eq!((world.calls("StartExecution"), world.calls("RedriveExecution")), (1, 0));
    assert_eq!(world.run("order").status.unwrap().phase, Some(Phase::Failed), "its end stays told");
    let told = world.events().into_iter().find(|(_, reason, _)| reason == "RedriveQueued").unwrap();
    assert!(told.2.starts_with("Position 1 of 1: Workflow \"orders\" has 1 runs under way and allows 1"), "{told:?}");
    world.change("workflowruns", "first", &json!({"status": {"phase": "Failed"}}));
    world.wake("first").await;
    world.wake("order").await;
    assert_eq!(world.calls("RedriveExecution"), 1);
}

#[tokio::test]
async fn restarts_and_redrives_keep_the_pace_of_starts() {
    let world = World::guarded("Standard", &json!({"maxStartsPerSecond": 1}), takes_every_call).await;
    for (strategy, names) in [("Restart", ["a", "b", "c"]), ("Redrive", ["d", "e", "f"])] {
        for name in names {
            world.add_run(name, &json!({"retry": {"strategy": strategy, "limit": 3}}));
            let waits = json!({"phase": "Pending", "retryAt": past(), "executionARN": execution_arn()});
            world.change("workflowruns", name, &failed(name, &waits));
            world.wake(name).await;
        }
    }
    asked_to_go_on(&world, "g");
    world.wake("g").await;
    assert_eq!(world.calls("StartExecution") + world.calls("RedriveExecution"), 1);
    let (reason, message) = says(&world.run("f"), "Ready");
    assert_eq!(reason, "Queued", "{message}");
}
