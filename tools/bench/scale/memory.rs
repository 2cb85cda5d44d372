//! Memory with many objects, most of them runs that have ended.

use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use stepbound::api::v1alpha1::WorkflowRun;

use crate::support::workflow_run;
use crate::{Bench, CLIENTS, rounded};

pub fn run(bench: &mut Bench, full: bool) {
    let (workflows, runs) = if full { (10_000, 100_000) } else { (500, 5_000) };
    let tenant = bench.bed.tenant("bench-memory");
    tenant.apply(&tenant.binding("orders"));
    let operator = bench.operator(&tenant, "1000");
    bench.say(&format!("creates {workflows} workflows and {runs} runs that have ended"));
    bench.workflows(&tenant, &operator, workflows);
    let alone = operator.memory();
    bench.stop(&tenant, operator);
    let workflow_bytes = size(&tenant.kubectl(&["get", "sfn", "m-0", "-o", "json"]));
    let api = Api::<WorkflowRun>::namespaced(bench.client.clone(), &tenant.name);
    bench.runtime.block_on(futures::stream::iter(0..runs).for_each_concurrent(CLIENTS, |index| {
        let api = api.clone();
        async move {
            let run = finished(index);
            let name = run.name_any();
            let mut created = api.create(&PostParams::default(), &run).await.unwrap();
            created.status = run.status;
            api.replace_status(&name, &PostParams::default(), &created).await.unwrap();
            // An admission policy puts it on, and the operator has taken it off of a run that has ended.
            let off = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            api.patch(&name, &PatchParams::default(), &off).await.unwrap();
        }
    }));
    tenant.kubectl(&["get", "sfnrun", "f-0", "-o", "name"]);
    let run_bytes = size(&tenant.kubectl(&["get", "sfnrun", "f-0", "-o", "json"]));
    bench.say("the operator starts anew and reads them all");
    let operator = bench.operator(&tenant, "1000");
    let rest = if full { 180 } else { 30 };
    std::thread::sleep(Duration::from_secs(rest));
    let values = json!({
        "workflows": workflows, "runs that have ended": runs,
        "bytes of a workflow as JSON": workflow_bytes, "bytes of a run as JSON": run_bytes,
        "memory with the workflows alone": alone, "memory with all, after a start": operator.memory(),
        "etcd MB on disk": rounded(bench.bed.control_plane.etcd_size() as f64 / 1_048_576.0),
    });
    bench.stop(&tenant, operator);
    bench.result("memory", values);
}

fn size(json: &str) -> usize {
    serde_json::from_str::<serde_json::Value>(json).unwrap().to_string().len()
}

/// A run as it is after its end: with input, output, conditions and one attempt.
fn finished(index: usize) -> WorkflowRun {
    let mut object =
        workflow_run(&format!("f-{index}"), "m-0", &json!({"input": {"orderId": index, "text": "x".repeat(200)}}));
    let arn = format!("arn:aws:states:eu-west-1:000000000000:execution:bench-memory_m-0:{index:036}");
    let condition = |kind: &str, reason: &str| {
        json!({"type": kind, "status": "True", "reason": reason,
        "message": "The execution ended Succeeded.", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    object["status"] = json!({
        "observedGeneration": 1, "phase": "Succeeded", "executionARN": arn,
        "attempts": [{"number": 1, "executionName": format!("{index:036}"), "trustBindingName": "orders",
            "targetARN": "arn:aws:states:eu-west-1:000000000000:stateMachine:bench-memory_m-0:1",
            "inputDigest": "0".repeat(64), "recordedAt": "2026-01-01T00:00:00Z"}],
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z", "duration": "1m0s",
        "output": {"orderId": index, "text": "x".repeat(200)}, "outputDigest": "0".repeat(64), "outputBytes": 230,
        "consoleURL": stepbound::plan::run_result::console_url(&arn),
        "conditions": [condition("Started", "ExecutionStarted"), condition("Finished", "Succeeded"),
            condition("Complete", "Succeeded"), condition("Ready", "Succeeded")],
    });
    serde_json::from_value(object).unwrap()
}
