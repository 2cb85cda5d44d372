//! `make measure`: latencies of single objects, and what 1,000 idle workflows cost. It prints and never judges.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use stepbound::api::v1alpha1::Workflow;
use stepbound::status::{READY, find};
use support::front::Call;
use support::processes::wait_until;
use support::{Tenant, test_bed, waiting, workflow_run};

const WORKFLOWS: usize = 1000;
const SAMPLES: usize = 20;
const CLIENTS: usize = 8;
/// How long the resting workflows are watched; `IDLE=3600` for the whole of an hour.
const IDLE_SECONDS: u64 = 30;

fn main() {
    let bed = test_bed();
    let tenant = bed.tenant("measure");
    let binary = PathBuf::from(std::env::var("STEPBOUND_BINARY").unwrap()).canonicalize().unwrap();
    let operator = tenant.operator(&binary, &[("STEPBOUND_AWS_QUOTA_SHARE", "100")]);
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");

    let ready: Vec<Duration> = (0..SAMPLES)
        .map(|index| {
            let name = format!("sample-{index}");
            tenant.apply(&tenant.workflow(&name, &waiting(0)));
            let applied = Instant::now();
            tenant.kubectl(&["wait", "--for=condition=Ready", &format!("sfn/{name}"), "--timeout=30s"]);
            applied.elapsed()
        })
        .collect();
    print("apply of a Workflow answered -> kubectl wait sees Ready", ready);
    let started: Vec<Duration> = (0..SAMPLES)
        .map(|index| {
            let marker = format!("<{index}>");
            let before = Instant::now();
            let run = workflow_run(&format!("run-{index}"), "sample-0", &json!({"input": {"marker": marker}}));
            tenant.apply(&run);
            wait_until(Duration::from_secs(30), "the start", || {
                bed.front.calls_about(&marker).first().map(|call| call.at - before)
            })
        })
        .collect();
    print("kubectl apply of a run begins -> AWS has started it", started);

    print("kubectl apply of a ConfigMap begins -> AWS has its definition", followed(&tenant));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(bed.control_plane.client());
    println!("memory of the operator at {SAMPLES} workflows: {}", operator.memory());
    let alone = runtime.block_on(many(&client, &tenant, "default", "alone", None));
    println!(
        "{WORKFLOWS} workflows created by {CLIENTS} clients where no operator looks: {:.2} s",
        alone.as_secs_f64()
    );
    let (cpu, calls) = (operator.cpu_seconds(), bed.front.calls_about("").len());
    let busy = runtime.block_on(many(&client, &tenant, &tenant.name, "busy", Some("Synced")));
    println!(
        "{WORKFLOWS} workflows created by {CLIENTS} clients and ready: {:.2} s, {:.1} times as long; {:.2} s of CPU, {:.2} AWS calls each",
        busy.as_secs_f64(),
        busy.as_secs_f64() / alone.as_secs_f64(),
        operator.cpu_seconds() - cpu,
        (bed.front.calls_about("").len() - calls) as f64 / WORKFLOWS as f64,
    );
    println!("memory of the operator: {}", operator.memory());
    let idle = std::env::var("IDLE").map_or(IDLE_SECONDS, |seconds| seconds.parse().unwrap());
    let (cpu, calls) = (operator.cpu_seconds(), bed.front.calls_about("").len());
    std::thread::sleep(Duration::from_secs(idle));
    let later = bed.front.calls_about("").split_off(calls);
    println!(
        "{idle} idle seconds: {} AWS calls, at most {} about one workflow, {:.2} s of CPU; memory {}",
        later.len(),
        most_about_one(&later),
        operator.cpu_seconds() - cpu,
        operator.memory()
    );
    drop(operator);
    bed.stop();
}

/// Changes the ConfigMap of a workflow's definition again and again; from each apply to the update in AWS.
fn followed(tenant: &Tenant) -> Vec<Duration> {
    let map = |marker: &str| {
        let definition = json!({"Comment": marker, "StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mapped"}, "data": {"asl": definition.to_string()}})
    };
    let mut workflow = tenant.workflow("mapped", &json!(null));
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "mapped", "key": "asl"}});
    tenant.apply(&map("first"));
    tenant.apply(&workflow);
    tenant.kubectl(&["wait", "--for=condition=Ready", "sfn/mapped", "--timeout=30s"]);
    let change = |index: usize| {
        let marker = format!("change-{index}-");
        let before = Instant::now();
        tenant.apply(&map(&marker));
        wait_until(Duration::from_secs(30), "the update", || {
            tenant.bed.front.calls_about(&marker).first().map(|call| call.at - before)
        })
    };
    (0..SAMPLES).map(change).collect()
}

/// The largest number of calls that name the same state machine.
fn most_about_one(calls: &[Call]) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for call in calls {
        let named = call.body.split("stateMachine:").nth(1).and_then(|rest| rest.split(['"', ':']).next());
        *counts.entry(named.unwrap_or_default()).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

/// Creates workflows by several clients at once; the time until the last was created or, where a reason is given, ready
/// for that reason.
async fn many(client: &Client, tenant: &Tenant, namespace: &str, name: &str, reason: Option<&str>) -> Duration {
    let api = Api::<Workflow>::namespaced(client.clone(), namespace);
    let objects: Vec<Workflow> = (0..WORKFLOWS)
        .map(|index| {
            let workflow = tenant.workflow(&format!("{name}-{index}"), &waiting(0));
            serde_json::from_value(workflow).unwrap()
        })
        .collect();
    let began = Instant::now();
    let ready = reason.map(|reason| {
        let (api, name, reason) = (api.clone(), format!("{name}-"), reason.to_owned());
        tokio::spawn(async move { wait_for_all(api, &name, &reason).await })
    });
    futures::stream::iter(objects)
        .for_each_concurrent(CLIENTS, |object| {
            let api = api.clone();
            async move {
                api.create(&PostParams::default(), &object).await.unwrap();
            }
        })
        .await;
    if let Some(ready) = ready {
        ready.await.unwrap();
    }
    began.elapsed()
}

async fn wait_for_all(api: Api<Workflow>, name: &str, reason: &str) {
    let mut ready = HashSet::new();
    let mut events = pin!(watcher(api, watcher::Config::default()).applied_objects());
    while ready.len() < WORKFLOWS {
        let object = events.next().await.unwrap().unwrap();
        let conditions = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let is_ready = find(conditions, READY).is_some_and(|one| one.status == "True" && one.reason == reason);
        if is_ready && object.name_any().starts_with(name) {
            ready.insert(object.name_any());
        }
    }
}

fn print(what: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let (median, worst) = (samples[samples.len() / 2], samples[samples.len() - 1]);
    println!("{what}: median {} ms, worst {} ms of {}", median.as_millis(), worst.as_millis(), samples.len());
}
