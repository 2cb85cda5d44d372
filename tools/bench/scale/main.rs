//! `make bench`: what runs cost at scale, on the test bed with AWS's quotas metered. It prints a table, writes JSON and
//! judges nothing. Executions are played by the front, our model of AWS, so the numbers are of the operator and the API
//! server and say nothing of AWS itself.
//!
//! `SCENARIO` chooses: `starts`, `sync`, `detection`, `memory`, `bindings`, `histories`, `naive`, or several with commas; all by
//! default. `FULL=1` takes the published sizes (about two and a half hours), otherwise a quick look (about ten minutes). `OPEN`,
//! `MACHINES`, `MODE` (`poll` or `push`), `SECONDS` and `LAG` (seconds) choose a single detection instead of the list; `BINDINGS` and
//! `OBJECTS` say how many there are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
#![allow(
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod bindings;
mod detection;
mod histories;
mod memory;
mod naive;
mod starts;
#[path = "../../../tests/support/mod.rs"]
mod support;
mod sync;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use stepbound::api::v1alpha1::{Workflow, WorkflowRun};
use support::processes::{Process, wait_until};
use support::{Tenant, TestBed, test_bed};

/// Clients that create objects at once.
const CLIENTS: usize = 16;

pub struct Bench {
    pub bed: &'static TestBed,
    pub binary: PathBuf,
    pub client: Client,
    pub runtime: tokio::runtime::Runtime,
    began: Instant,
    rows: Vec<(String, Value)>,
}

fn main() {
    let bed = test_bed();
    let binary = PathBuf::from(std::env::var("STEPBOUND_BINARY").unwrap()).canonicalize().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(bed.control_plane.client());
    let mut bench = Bench { bed, binary, client, runtime, began: Instant::now(), rows: Vec::new() };
    let full = std::env::var("FULL").is_ok_and(|value| value == "1");
    let wanted = std::env::var("SCENARIO").unwrap_or_else(|_| "all".into());
    let wants = |name: &str| wanted == "all" || wanted.is_empty() || wanted.split(',').any(|one| one == name);
    println!("Executions are played by the test bed's front (a model of AWS with quotas of a large region metered).");
    if wants("naive") {
        naive::run(&mut bench);
    }
    if wants("starts") {
        starts::run(&mut bench, full);
    }
    if wants("sync") {
        sync::run(&mut bench, full);
    }
    if wants("memory") {
        memory::run(&mut bench, full);
    }
    if wants("bindings") {
        bindings::run(&mut bench, full);
    }
    if wants("histories") {
        histories::run(&mut bench, full);
    }
    if wants("detection") {
        detection::run(&mut bench, full);
    }
    bench.finish();
    bed.stop();
}

impl Bench {
    /// A line of what is going on.
    pub fn say(&self, what: &str) {
        println!("[{:>5.0} s] {what}", self.began.elapsed().as_secs_f64());
    }

    /// A result: printed at once, and again in the table at the end.
    pub fn result(&mut self, name: &str, values: Value) {
        self.say(&format!("{name}: {}", line(&values)));
        self.rows.push((name.to_owned(), values));
        self.write();
    }

    fn write(&self) {
        let path = std::env::var("BENCH_JSON").unwrap_or_else(|_| "target/bench.json".into());
        let rows: Vec<Value> =
            self.rows.iter().map(|(name, values)| json!({"scenario": name, "values": values})).collect();
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let text = serde_json::to_string_pretty(&json!({"cores": cores, "rows": rows})).unwrap();
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }

    fn finish(&self) {
        println!();
        for (name, values) in &self.rows {
            println!("{name}");
            for (key, value) in values.as_object().unwrap() {
                println!("    {key:<44} {}", plain(value));
            }
        }
    }

    pub fn operator(&self, tenant: &Tenant, share: &str) -> Process {
        let operator = tenant.operator(&self.binary, &[("STEPBOUND_AWS_QUOTA_SHARE", share), ("RUST_LOG", "warn")]);
        tenant.bed.control_plane.kubectl(&["-n", &tenant.system, "get", "deployment", "-o", "name"]);
        operator
    }

    /// Ends the operator and frees its lease.
    pub fn stop(&self, tenant: &Tenant, operator: Process) {
        operator.signal("KILL");
        drop(operator);
        self.bed.control_plane.kubectl(&["-n", &tenant.system, "delete", "lease", "stepbound", "--ignore-not-found"]);
    }

    /// Workflows that are ready; their executions are played.
    pub fn workflows(&self, tenant: &Tenant, operator: &Process, count: usize) {
        tenant.wait_for(operator, "tb/orders", "Ready", "True", "RoleAssumed");
        let api = Api::<Workflow>::namespaced(self.client.clone(), &tenant.name);
        let objects: Vec<Workflow> = (0..count)
            .map(|index| serde_json::from_value(tenant.workflow(&format!("m-{index}"), &support::waiting(1))).unwrap())
            .collect();
        self.runtime.block_on(futures::stream::iter(objects).for_each_concurrent(CLIENTS, |object| {
            let api = api.clone();
            async move { drop(api.create(&PostParams::default(), &object).await.unwrap()) }
        }));
        let mut said = Instant::now();
        wait_until(Duration::from_secs(1200), "every workflow is ready", || {
            let listed = self.runtime.block_on(api.list(&kube::api::ListParams::default())).unwrap();
            let ready = listed.iter().filter(|workflow| is_ready(workflow)).count();
            if said.elapsed() > Duration::from_secs(10) {
                said = Instant::now();
                self.say(&format!("{ready} of {count} workflows are ready"));
            }
            std::thread::sleep(Duration::from_millis(500));
            (ready >= count).then_some(())
        });
    }

    /// Creates runs by several clients at once.
    pub async fn create(client: Client, namespace: String, runs: Vec<WorkflowRun>) {
        let api = Api::<WorkflowRun>::namespaced(client, &namespace);
        futures::stream::iter(runs)
            .for_each_concurrent(CLIENTS, |run| {
                let api = api.clone();
                async move { drop(api.create(&PostParams::default(), &run).await.unwrap()) }
            })
            .await;
    }

    /// AWS calls about a tenant since a time, by API, with what was throttled.
    pub fn calls(&self, tenant: &Tenant, since: Instant) -> Value {
        let mut calls: BTreeMap<String, u64> = BTreeMap::new();
        for call in self.bed.front.calls_about(&tenant.name).iter().filter(|call| call.at >= since) {
            *calls.entry(call.operation.clone()).or_default() += 1;
            if call.status == 400 {
                *calls.entry(format!("{} refused", call.operation)).or_default() += 1;
            }
        }
        json!(calls)
    }

    /// Processor time of each process so far, of user and system, in seconds.
    pub fn cpu(&self, operator: &Process) -> BTreeMap<String, f64> {
        let (api_server, etcd) = self.bed.control_plane.cpu_seconds();
        let own = support::processes::cpu_seconds(std::process::id());
        [("operator", operator.cpu_seconds()), ("API server", api_server), ("etcd", etcd), ("bench with front", own)]
            .map(|(name, seconds)| (name.to_owned(), seconds))
            .into()
    }
}

/// Seconds that each process has used since.
pub fn cpu_since(now: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> Value {
    now.iter().map(|(name, seconds)| (name.clone(), rounded(seconds - before[name]))).collect()
}

fn is_ready(workflow: &Workflow) -> bool {
    let conditions = workflow.status.as_ref().map_or(&[][..], |status| &status.conditions);
    stepbound::status::is_true(conditions, "Ready")
}

/// A run of a played execution.
pub fn run(name: &str, workflow: usize, seconds: f64) -> WorkflowRun {
    let input = json!({"input": {"seconds": seconds}});
    serde_json::from_value(support::workflow_run(name, &format!("m-{workflow}"), &input)).unwrap()
}

/// Median and 99th of 100, and the worst; in the unit of the samples.
pub fn quantiles(mut samples: Vec<f64>) -> (f64, f64, f64) {
    if samples.is_empty() {
        return (f64::NAN, f64::NAN, f64::NAN);
    }
    samples.sort_by(f64::total_cmp);
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
    (at(0.5), at(0.99), at(1.0))
}

pub fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

fn line(values: &Value) -> String {
    let pairs = values.as_object().unwrap().iter().map(|(key, value)| format!("{key} {}", plain(value)));
    pairs.collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
