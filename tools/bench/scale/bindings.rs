//! What sessions cost where many bindings have a few Workflows each: calls of STS while all are created and run, after a
//! restart, and the time to the first session.

use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use stepbound::api::v1alpha1::{TrustBinding, Workflow, WorkflowRun};

use crate::support::processes::wait_until;
use crate::support::{Tenant, waiting, workflow_run};
use crate::{Bench, CLIENTS, is_ready, rounded};

const WORKFLOWS_EACH: usize = 10;
/// No session is asked for in so long a time: the burst is over.
const QUIET: Duration = Duration::from_secs(15);

pub fn run(bench: &mut Bench, full: bool) {
    let bindings = if full { 1_000 } else { std::env::var("BINDINGS").map_or(50, |count| count.parse().unwrap()) };
    let tenant = bench.bed.tenant("bench-bindings");
    bench.bed.front.play(&tenant.name, None);
    bench.say(&format!("creates {bindings} bindings of {WORKFLOWS_EACH} workflows each, and a run of every workflow"));
    create::<TrustBinding>(bench, &tenant, (0..bindings).map(|at| binding(&tenant, at)).collect());
    let tokens = tokens(bench);
    let began = Instant::now();
    let operator = bench.operator(&tenant, "1000");
    let first = first_session(bench, &tenant, began);
    let count = bindings * WORKFLOWS_EACH;
    create::<Workflow>(bench, &tenant, (0..count).map(|at| workflow(&tenant, at)).collect());
    let workflows = Api::<Workflow>::namespaced(bench.client.clone(), &tenant.name);
    until(bench, "workflows are ready", count, || {
        let listed = bench.runtime.block_on(workflows.list(&ListParams::default())).unwrap();
        listed.iter().filter(|workflow| is_ready(workflow)).count()
    });
    let (synced_after, synced) = (began.elapsed(), sessions(bench, &tenant, began));
    let runs = (0..count).map(|at| workflow_run(&format!("r-{at}"), &name(at), &json!({"input": {"seconds": 1.0}})));
    create::<WorkflowRun>(bench, &tenant, runs.collect());
    until(bench, "runs have started", count, || bench.bed.front.played_ends(&tenant.name).len());
    let (ran, memory) = (sessions(bench, &tenant, began), operator.memory());
    let minted = self::tokens(bench) - tokens;
    bench.stop(&tenant, operator);
    bench.say("the operator starts anew");
    let began = Instant::now();
    let operator = bench.operator(&tenant, "1000");
    let first_again = first_session(bench, &tenant, began);
    let mut last = (0, Instant::now());
    while last.1.elapsed() < QUIET {
        std::thread::sleep(Duration::from_millis(500));
        let now = sessions(bench, &tenant, began);
        last = if now == last.0 { last } else { (now, Instant::now()) };
    }
    let values = json!({
        "bindings": bindings, "workflows": count, "runs": count,
        "first session after the start, s": rounded(first),
        "all synced after, s": rounded(synced_after.as_secs_f64()),
        "STS calls until all are synced": synced, "STS calls until all have run": ran, "tokens minted until then": minted,
        "memory": memory,
        "restart: first session, s": rounded(first_again), "restart: STS calls of the burst": last.0,
        "restart: burst over after, s": rounded((last.1 - began).as_secs_f64()),
        "restart: memory": operator.memory(),
    });
    bench.stop(&tenant, operator);
    bench.result("bindings", values);
}

fn name(at: usize) -> String {
    format!("w-{}-{}", at / WORKFLOWS_EACH, at % WORKFLOWS_EACH)
}

fn binding(tenant: &Tenant, at: usize) -> serde_json::Value {
    let mut binding = tenant.binding("orders");
    binding["metadata"]["name"] = json!(format!("b-{at}"));
    binding
}

fn workflow(tenant: &Tenant, at: usize) -> serde_json::Value {
    let mut workflow = tenant.workflow(&name(at), &waiting(1));
    workflow["spec"]["trustBindingRef"]["name"] = json!(format!("b-{}", at / WORKFLOWS_EACH));
    workflow
}

fn create<K>(bench: &Bench, tenant: &Tenant, objects: Vec<serde_json::Value>)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let api = Api::<K>::namespaced(bench.client.clone(), &tenant.name);
    bench.runtime.block_on(futures::stream::iter(objects).for_each_concurrent(CLIENTS, |object| {
        let api = api.clone();
        async move {
            let object: K = serde_json::from_value(object).unwrap();
            drop(api.create(&PostParams::default(), &object).await.unwrap());
        }
    }));
}

fn until(bench: &Bench, what: &str, count: usize, mut have: impl FnMut() -> usize) {
    let mut said = Instant::now();
    wait_until(Duration::from_secs(1800), what, || {
        let now = have();
        if said.elapsed() > Duration::from_secs(20) {
            said = Instant::now();
            bench.say(&format!("{now} of {count} {what}"));
        }
        std::thread::sleep(Duration::from_millis(500));
        (now >= count).then_some(())
    });
}

/// Sessions that STS gave since a time.
fn sessions(bench: &Bench, tenant: &Tenant, since: Instant) -> usize {
    let assumed = |call: &&crate::support::front::Call| {
        call.operation == "AssumeRoleWithWebIdentity" && call.status == 200 && call.at >= since
    };
    bench.bed.front.calls_about(&tenant.name).iter().filter(assumed).count()
}

/// Seconds from a time to the first session.
fn first_session(bench: &Bench, tenant: &Tenant, since: Instant) -> f64 {
    wait_until(Duration::from_secs(120), "the first session", || {
        (sessions(bench, tenant, since) > 0).then(|| since.elapsed().as_secs_f64())
    })
}

/// Tokens of service accounts that the API server has given.
fn tokens(bench: &Bench) -> f64 {
    bench.bed.control_plane.writes("serviceaccounts")
}
