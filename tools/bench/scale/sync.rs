//! What an object costs from its creation until it is as it was asked for: time, processor time of each process, writes to the
//! API server and calls of AWS. First Workflows until they are synced, then one run of each from its creation to its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use stepbound::api::v1alpha1::{Workflow, WorkflowRun};

use crate::support::processes::{Process, wait_until};
use crate::support::{Tenant, waiting};
use crate::{Bench, cpu_since, is_ready, rounded, run as workflow_run};

/// Clients that create objects at once, as many as in the comparison of controllers.
const CLIENTS: usize = 8;

pub fn run(bench: &mut Bench, _full: bool) {
    let count = std::env::var("OBJECTS").map_or(1_000, |count| count.parse().unwrap());
    let tenant = bench.bed.tenant("bench-sync");
    bench.bed.front.play(&tenant.name, None);
    tenant.apply(&tenant.binding("orders"));
    let operator = bench.operator(&tenant, "1000");
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    let workflows = of_workflows(bench, &tenant, &operator, count);
    let runs = of_runs(bench, &tenant, &operator, count);
    bench.stop(&tenant, operator);
    bench.result("sync: workflows", workflows);
    bench.result("sync: runs", runs);
}

fn of_workflows(bench: &Bench, tenant: &Tenant, operator: &Process, count: usize) -> Value {
    bench.say(&format!("creates {count} workflows by {CLIENTS} clients"));
    let object = |index: usize| {
        let mut object = tenant.workflow(&format!("m-{index}"), &waiting(1));
        object["spec"]["tags"] = json!({"team": "orders", "number": index.to_string()});
        serde_json::from_value::<Workflow>(object).unwrap()
    };
    let api = Api::<Workflow>::namespaced(bench.client.clone(), &tenant.name);
    let cost = Cost::begin(bench, operator, "workflows");
    let creating = (0..count).map(object).map(|object| (api.clone(), object));
    bench.runtime.block_on(futures::stream::iter(creating).for_each_concurrent(CLIENTS, |(api, object)| async move {
        drop(api.create(&PostParams::default(), &object).await.unwrap());
    }));
    // Listing all of them would cost the API server what is to be measured.
    wait_until(Duration::from_secs(600), "every machine is created", || {
        std::thread::sleep(Duration::from_millis(100));
        (bench.bed.front.answered("CreateStateMachine", &tenant.name) >= count).then_some(())
    });
    let ready = |list: Vec<Workflow>| list.iter().filter(|workflow| is_ready(workflow)).count() >= count;
    let took = cost
        .until(|| bench.runtime.block_on(api.list(&ListParams::default())).map(|list| list.items).is_ok_and(&ready));
    cost.end(bench, tenant, operator, "workflows", count, took)
}

fn of_runs(bench: &Bench, tenant: &Tenant, operator: &Process, count: usize) -> Value {
    bench.say(&format!("creates {count} runs by {CLIENTS} clients, which end after a second"));
    let api = Api::<WorkflowRun>::namespaced(bench.client.clone(), &tenant.name);
    let cost = Cost::begin(bench, operator, "workflowruns");
    let creating = (0..count).map(|index| (api.clone(), workflow_run(&format!("r-{index}"), index, 1.0)));
    bench.runtime.block_on(futures::stream::iter(creating).for_each_concurrent(CLIENTS, |(api, object)| async move {
        drop(api.create(&PostParams::default(), &object).await.unwrap());
    }));
    wait_until(Duration::from_secs(600), "every execution is started", || {
        std::thread::sleep(Duration::from_millis(100));
        (bench.bed.front.played_ends(&tenant.name).len() >= count).then_some(())
    });
    let ended = |run: &&WorkflowRun| run.status.as_ref().is_some_and(|status| status.finished_at.is_some());
    let all = |list: Vec<WorkflowRun>| list.iter().filter(ended).count() >= count;
    let took =
        cost.until(|| bench.runtime.block_on(api.list(&ListParams::default())).map(|list| list.items).is_ok_and(&all));
    cost.end(bench, tenant, operator, "workflowruns", count, took)
}

/// What was used up when something began.
struct Cost {
    began: Instant,
    cpu: BTreeMap<String, f64>,
    writes: f64,
}

impl Cost {
    fn begin(bench: &Bench, operator: &Process, resource: &str) -> Self {
        let (cpu, writes) = (bench.cpu(operator), bench.bed.control_plane.writes(resource));
        Self { began: Instant::now(), cpu, writes }
    }

    fn until(&self, done: impl Fn() -> bool) -> f64 {
        wait_until(Duration::from_secs(600), "all are as they were asked for", || {
            std::thread::sleep(Duration::from_secs(1));
            done().then(|| self.began.elapsed().as_secs_f64())
        })
    }

    fn end(
        &self,
        bench: &Bench,
        tenant: &Tenant,
        operator: &Process,
        resource: &str,
        count: usize,
        took: f64,
    ) -> Value {
        let each = |value: f64| rounded(value / count as f64);
        let used = cpu_since(&bench.cpu(operator), &self.cpu);
        json!({
            "objects": count, "s until all are as they were asked for": rounded(took),
            "writes to the API server an object, its creation among them": each(bench.bed.control_plane.writes(resource) - self.writes),
            "CPU s of each process": used, "AWS calls": bench.calls(tenant, self.began), "memory": operator.memory(),
        })
    }
}
