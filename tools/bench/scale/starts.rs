//! Starts: how many a second, and from the answer to a creation until AWS has the start.

use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use stepbound::api::v1alpha1::WorkflowRun;

use crate::support::Tenant;
use crate::support::processes::wait_until;
use crate::{Bench, CLIENTS, cpu_since, quantiles, rounded, run as workflow_run};

const ALONE: usize = 60;

pub fn run(bench: &mut Bench, full: bool) {
    let count = if full { 6_000 } else { 1_500 };
    let tenant = bench.bed.tenant("bench-starts");
    bench.bed.front.play(&tenant.name, None);
    tenant.apply(&tenant.binding("orders"));
    let operator = bench.operator(&tenant, "1");
    bench.workflows(&tenant, &operator, 10);
    bench.say(&format!("{ALONE} runs one by one, then {count} at once"));
    let api = Api::<WorkflowRun>::namespaced(bench.client.clone(), &tenant.name);
    let mut alone = Vec::new();
    for index in 0..ALONE {
        let run = workflow_run(&format!("alone-{index}"), index % 10, 3600.0);
        let created = bench.runtime.block_on(api.create(&PostParams::default(), &run)).unwrap();
        let (answered, uid) = (Instant::now(), created.uid().unwrap());
        wait_until(Duration::from_secs(20), "the start", || started(bench, &uid));
        let arrived = started(bench, &uid).unwrap();
        alone.push(arrived.saturating_duration_since(answered).as_secs_f64() * 1000.0);
    }
    bench.bed.front.meter(&tenant.name);
    let writes = bench.bed.control_plane.writes("workflowruns");
    let cpu = bench.cpu(&operator);
    let runs = (0..count).map(|index| workflow_run(&format!("many-{index}"), index % 10, 3600.0)).collect();
    let began = Instant::now();
    let creating = bench.runtime.spawn(Bench::create(bench.client.clone(), tenant.name.clone(), runs));
    wait_until(Duration::from_secs(900), "every run has started", || {
        let started = bench.bed.front.played_ends(&tenant.name).len();
        std::thread::sleep(Duration::from_millis(200));
        (started >= count + ALONE).then_some(())
    });
    let took = began.elapsed().as_secs_f64();
    bench.runtime.block_on(creating).unwrap();
    // The record of the last start.
    std::thread::sleep(Duration::from_secs(3));
    let used = bench.cpu(&operator);
    let used = cpu_since(&used, &cpu);
    let writes = (bench.bed.control_plane.writes("workflowruns") - writes) / count as f64;
    let bound = bound_by_api_server(bench, &tenant, count / 4);
    let (median, worst, _) = quantiles(alone);
    let values = json!({
        "runs": count, "starts a second": rounded(count as f64 / took),
        "the same writes a second without operator and AWS, in runs": rounded(bound),
        "alone: creation answered to start, p50 ms": rounded(median),
        "alone: p99 ms": rounded(worst),
        "API-server writes a run until it runs, its creation among them": rounded(writes),
        "AWS calls": bench.calls(&tenant, began), "CPU s of each process": used, "memory": operator.memory(),
    });
    bench.stop(&tenant, operator);
    bench.result("starts", values);
}

/// How many runs a second the API server of this machine takes when the same three writes of each are all there is to do.
fn bound_by_api_server(bench: &Bench, started: &Tenant, count: usize) -> f64 {
    let started: Value = serde_json::from_str(&started.kubectl(&["get", "sfnrun", "many-0", "-o", "json"])).unwrap();
    let running = started["status"].clone();
    let mut starting = running.clone();
    for field in ["executionARN", "consoleURL", "startedAt"] {
        starting.as_object_mut().unwrap().remove(field);
    }
    let tenant = bench.bed.tenant("bench-writes");
    let api = Api::<WorkflowRun>::namespaced(bench.client.clone(), &tenant.name);
    let began = Instant::now();
    bench.runtime.block_on(futures::stream::iter(0..count).for_each_concurrent(2 * CLIENTS, |index| {
        let (api, statuses) = (api.clone(), [starting.clone(), running.clone()]);
        async move {
            let (name, parameters) = (format!("many-{index}"), PostParams::default());
            let mut run = api.create(&parameters, &workflow_run(&name, index % 10, 3600.0)).await.unwrap();
            for status in statuses {
                let body = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "status": status,
                    "metadata": {"name": name, "namespace": run.namespace(), "resourceVersion": run.resource_version()}});
                run = api.replace_subresource("status", &name, &parameters, &body).await.unwrap();
            }
        }
    }));
    count as f64 / began.elapsed().as_secs_f64()
}

fn started(bench: &Bench, uid: &str) -> Option<Instant> {
    let calls = bench.bed.front.calls_about(uid);
    calls.iter().find(|call| call.operation == "StartExecution").map(|call| call.at)
}
