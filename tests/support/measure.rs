//! `make measure`: latencies of single objects, and what 1,000 idle workflows cost. It prints and never judges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use support::processes::{Process, wait_until};
use support::{Tenant, test_bed, waiting, workflow_run};

const WORKFLOWS: usize = 1000;
const SAMPLES: usize = 20;

fn main() {
    let bed = test_bed();
    let tenant = bed.tenant("measure");
    let here = std::env::current_exe().unwrap();
    let binary: PathBuf = here.parent().unwrap().parent().unwrap().join("stepbound");
    let operator = tenant.operator(&binary, &[]);
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

    let list: Vec<_> = (0..WORKFLOWS).map(|index| namespaced(&tenant, &format!("idle-{index}"))).collect();
    let began = Instant::now();
    bed.control_plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string());
    tenant.kubectl(&["wait", "--for=condition=Ready", "sfn", "--all", "--timeout=120s"]);
    println!("{WORKFLOWS} workflows applied and ready by one kubectl: {:.1} s", began.elapsed().as_secs_f64());
    let calls = bed.front.calls_about("").len();
    std::thread::sleep(Duration::from_secs(10));
    println!("AWS calls in 10 idle seconds: {}", bed.front.calls_about("").len() - calls);
    println!("memory of the operator (development build): {}", memory(&operator));
    drop(operator);
    bed.stop();
}

fn namespaced(tenant: &Tenant, name: &str) -> serde_json::Value {
    let mut workflow = tenant.workflow(name, &waiting(0));
    workflow["metadata"]["namespace"] = json!(tenant.name);
    workflow
}

fn print(what: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let (median, worst) = (samples[samples.len() / 2], samples[samples.len() - 1]);
    println!("{what}: median {} ms, worst {} ms of {}", median.as_millis(), worst.as_millis(), samples.len());
}

fn memory(operator: &Process) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).unwrap();
    let line = |name| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    format!("{}, {}", line("VmRSS"), line("VmHWM"))
}
