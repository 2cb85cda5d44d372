//! Reconciles of histories over AWS in memory.

use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::StateMachineType;
use crate::aws::{CreateStateMachine, EventPayload, HistoryEvent, MachineSettings, Tags};
use crate::controllers::stand_in::{Faked, MACHINE, World, with};

mod ends;
mod followed;
mod kept;
mod logged;
mod waiting;

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:shop_orders:order";
const EXPRESS: &str = "arn:aws:states:eu-west-1:111122223333:express:shop_orders:order:1";
const PAGES: &str = "/apis/stepbound.dev/v1alpha1/namespaces/shop/executionhistorypages/";
const DATA: &str = "/apis/stepbound.dev/v1alpha1/namespaces/shop/executiondatapages/";

/// Events from one id to another, each with an input of so many characters.
fn events(from: i64, to: i64, data: usize) -> Vec<HistoryEvent> {
    let event = |id| HistoryEvent {
        id,
        previous_id: id - 1,
        timestamp: Timestamp::from_second(id).unwrap(),
        event_type: if id == 1 { "ExecutionStarted" } else { "TaskStateEntered" }.into(),
        name: (id > 1).then(|| "Charge".to_owned()),
        data: (data > 0).then(|| Box::new(EventPayload { input: Some("x".repeat(data)), ..EventPayload::default() })),
        ..HistoryEvent::default()
    };
    (from..=to).map(event).collect()
}

/// The end of an execution.
fn end(id: i64) -> HistoryEvent {
    HistoryEvent { id, previous_id: id - 1, event_type: "ExecutionSucceeded".into(), ..HistoryEvent::default() }
}

/// An execution of these events, and the run `order` that it is of.
async fn with_run(phase: &str, events: Vec<HistoryEvent>) -> World<Faked> {
    let world = World::fake().await;
    let machine = CreateStateMachine {
        name: "shop_orders".into(),
        definition: "{}".into(),
        role_arn: "arn:aws:iam::111122223333:role/run".into(),
        machine_type: StateMachineType::Standard,
        settings: MachineSettings::default(),
        version_description: None,
        tags: Tags::new(),
    };
    world.aws.add_machine(MACHINE, &machine);
    assert_eq!(world.aws.start_by_hand(MACHINE, "order", "{}"), ARN);
    world.aws.tell_events(ARN, events);
    add_run(&world, &json!({"phase": phase, "executionARN": ARN}));
    world
}

fn add_run(world: &World<Faked>, status: &Value) {
    let attempt = json!({"number": 1, "executionName": "order", "targetARN": MACHINE, "trustBindingName": "orders",
        "inputDigest": "", "recordedAt": "2026-01-01T00:00:00Z"});
    let status = with(json!({"attempts": [attempt], "conditions": []}), status);
    let spec = json!({"workflowRef": {"name": "orders"}});
    world.add(
        "workflowruns",
        &json!({"kind": "WorkflowRun", "metadata": {"name": "order"}, "spec": spec, "status": status}),
    );
}

/// Asks for the history of the run.
fn ask(world: &World<Faked>, name: &str, spec: &Value) {
    let whole = with(json!({"workflowRunRef": {"name": "order"}}), spec);
    let metadata =
        json!({"name": name, "uid": format!("uid-{name}"), "creationTimestamp": Timestamp::now().to_string()});
    world.add("executionhistories", &json!({"kind": "ExecutionHistory", "metadata": metadata, "spec": whole}));
}

fn status(world: &World<Faked>, name: &str) -> ExecutionHistoryStatus {
    world.get::<ExecutionHistory>(name).status.unwrap_or_default()
}

fn says(world: &World<Faked>, name: &str) -> String {
    format!("{:?} {}", status(world, name).phase.unwrap(), world.says::<ExecutionHistory>(name, "Ready"))
}

/// Ids of the events that the pages of a history have, page by page.
fn ids(world: &World<Faked>, name: &str) -> Vec<Vec<i64>> {
    let of = |number: i64| Some(world.object(&format!("{PAGES}{name}-{number}"))?["spec"]["events"].clone());
    let ids = |events: Value| events.as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect();
    (1..).map_while(of).map(ids).collect()
}

/// Wakes it as if its time to look again, and to be told, had come.
async fn look_again(world: &mut World<Faked>, name: &str) {
    *world.ctx.histories.pace.lock() = plan::pace::Pace::default();
    let uid = format!("uid-{name}");
    if let Some(mut reading) = world.ctx.histories.take(&uid) {
        (reading.looked_at, reading.wrote_at) = (None, None);
        world.ctx.histories.give_back(&uid, reading);
    }
    if world.wake_object::<ExecutionHistory>(name).await.is_none() {
        world.restart().await;
    }
}

/// Wakes it until it is finished.
async fn finished(world: &mut World<Faked>, name: &str) {
    for _ in 0..20 {
        look_again(world, name).await;
        if is_finished(&world.get::<ExecutionHistory>(name)) {
            return;
        }
    }
    panic!("{}: {}", says(world, name), world.message::<ExecutionHistory>(name));
}

#[tokio::test]
async fn a_finished_run_is_read_onto_pages_without_data() {
    let mut world = with_run("Succeeded", [events(1, 3, 10), vec![end(4)]].concat()).await;
    ask(&world, "one", &json!({}));
    finished(&mut world, "one").await;
    assert_eq!(says(&world, "one"), "Complete True/HistoryRead");
    let found = status(&world, "one");
    assert_eq!((found.pages, found.events, found.omitted_bytes), (Some(1), Some(4), Some(0)));
    assert_eq!(found.execution_arn.as_deref(), Some(ARN));
    assert_eq!(found.timeline.unwrap().observed_event_id, 4);
    assert!(found.finished_at.is_some() && found.expires_at.is_some());
    assert_eq!(ids(&world, "one"), [[1, 2, 3, 4]]);
    let page = world.object(&format!("{PAGES}one-1")).unwrap();
    let owner = &page["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"], &owner["controller"]),
        (&json!("ExecutionHistory"), &json!("uid-one"), &json!(true))
    );
    assert!(world.object(&format!("{DATA}one-1")).is_none(), "nobody asked for data");
    assert!(!page.to_string().contains("xxxxxxxxxx"));
    // A second look changes nothing.
    let calls = world.aws.calls("GetExecutionHistory");
    world.wake_object::<ExecutionHistory>("one").await;
    assert_eq!(world.aws.calls("GetExecutionHistory"), calls);
}

#[tokio::test]
async fn data_is_on_pages_of_its_own_and_read_in_small_answers() {
    let mut world = with_run("Succeeded", [events(1, 60, 20_000), vec![end(61)]].concat()).await;
    ask(&world, "all", &json!({"includeData": true}));
    finished(&mut world, "all").await;
    assert_eq!(says(&world, "all"), "Complete True/HistoryRead");
    assert_eq!(status(&world, "all").pages, Some(3));
    assert_eq!(world.aws.calls("GetExecutionHistory"), 3, "25 events each");
    let mut told = 0;
    for number in 1..=3 {
        let page = world.object(&format!("{DATA}all-{number}")).unwrap();
        assert_eq!(page["spec"]["number"], number);
        told += page["spec"]["data"].as_array().unwrap().len();
    }
    assert_eq!(told, 60);
    assert_eq!(ids(&world, "all").concat(), (1..=61).collect::<Vec<_>>());
    assert!(!serde_json::to_string(&status(&world, "all")).unwrap().contains("xxx"));
}

#[tokio::test]
async fn once_no_more_data_is_kept_none_is_read() {
    let mut world = with_run("Succeeded", [events(1, 1000, 100_000), vec![end(1001)]].concat()).await;
    ask(&world, "all", &json!({"includeData": true}));
    finished(&mut world, "all").await;
    let found = status(&world, "all");
    assert_eq!(found.events, Some(1001));
    assert!(found.bytes.unwrap() <= 4 * 1024 * 1024 && found.omitted_bytes.unwrap() > 0);
    // Two answers with data fill it; then the rest is read from the front, a thousand at a time.
    assert_eq!(world.aws.calls("GetExecutionHistory"), 4);
    assert!(world.message::<ExecutionHistory>("all").contains("left out, for want of room"));
}

#[tokio::test]
async fn only_the_states_that_were_asked_for_are_on_pages() {
    let mut world = with_run("Succeeded", [events(1, 3, 0), vec![end(4)]].concat()).await;
    ask(&world, "none", &json!({"states": ["Ship"]}));
    finished(&mut world, "none").await;
    let found = status(&world, "none");
    assert_eq!((found.pages, found.events, found.timeline.unwrap().observed_event_id), (Some(0), Some(0), 4));
}
