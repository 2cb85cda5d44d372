//! Chaos: the operator is killed again and again, AWS throttles, fails, loses answers and shows late what it knows, and the
//! API server restarts. Every Standard run must end with exactly one execution for each attempt and the right result, every
//! Express run with at most one start, and nothing may be left over.
//!
//! `cargo test` runs it small; `make chaos` runs it at full size. It has a test bed of its own, which it may break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stepbound::api::v1alpha1::{Phase, WorkflowRun};
use support::front::Percent;
use support::processes::{Process, wait_until};
use support::{Tenant, condition, test_bed, waiting, workflow_run};

const PERCENT: Percent = Percent { throttled: 20.0, unavailable: 5.0, answers_lost: 2.0 };
const NAME: &str = "chaos";
/// Every so many kills the next operator has to wait for the lease to expire; otherwise it is given free.
const LEASE_EXPIRES_EVERY: usize = 25;

/// How much of it.
struct Size {
    runs: usize,
    kills: usize,
    restarts: usize,
    seed: u64,
    /// AWS shows a start, an end, a redrive and an update up to so late.
    lag: Duration,
}

impl Size {
    fn from_environment() -> Self {
        let number = |name: &str, default: u64| -> u64 {
            std::env::var(format!("STEPBOUND_CHAOS_{name}")).map_or(default, |text| text.parse().unwrap())
        };
        let count = |name: &str, default: u64| usize::try_from(number(name, default)).unwrap();
        Self {
            runs: count("RUNS", 60),
            kills: count("KILLS", 5),
            restarts: count("RESTARTS", 1),
            seed: number("SEED", 1),
            lag: Duration::from_secs(number("LAG_SECONDS", 2)),
        }
    }

    /// A run takes a share of the machine; a kill takes a few seconds.
    fn longest(&self) -> Duration {
        Duration::from_secs(u64::try_from(120 + self.runs / 2 + self.kills * 12 + self.restarts * 30).unwrap())
    }
}

/// What a run is made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Succeeds,
    Fails,
    Restarts,
    Redrives,
    Cancelled,
    Limited,
    Dispatched,
    Waited,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 20 {
            0..=8 => Self::Succeeds,
            9 => Self::Fails,
            10 | 11 => Self::Restarts,
            12 | 13 => Self::Redrives,
            14 => Self::Cancelled,
            15 => Self::Limited,
            16 | 17 => Self::Dispatched,
            _ => Self::Waited,
        }
    }

    fn run(self, number: usize) -> WorkflowRun {
        let retry =
            |strategy: &str| json!({"strategy": strategy, "limit": 1, "backoff": {"interval": "200ms", "factor": 1}});
        let input = json!({"number": number, "fail": matches!(self, Self::Fails | Self::Restarts | Self::Redrives)});
        let (workflow, more) = match self {
            Self::Succeeds | Self::Fails => ("work", json!({})),
            Self::Restarts => ("work", json!({"retry": retry("Restart")})),
            Self::Redrives => ("work", json!({"retry": retry("Redrive")})),
            Self::Cancelled => ("long", json!({})),
            Self::Limited => ("limited", json!({})),
            Self::Dispatched => ("express", json!({})),
            Self::Waited => ("express", json!({"mode": "Sync"})),
        };
        let mut spec = json!({"input": input});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(workflow_run(&format!("run-{number}"), workflow, &spec)).unwrap()
    }
}

fn operator(tenant: &Tenant) -> Process {
    // The faults are to bound it here, not the quotas.
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[("STEPBOUND_AWS_QUOTA_SHARE", "100")])
}

fn workflows(tenant: &Tenant) {
    let work = json!({"StartAt": "Choose", "States": {
        "Choose": {"Type": "Choice", "Choices": [{"Variable": "$.fail", "BooleanEquals": true, "Next": "No"}], "Default": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Done"}, "Done": {"Type": "Pass", "End": true},
        "No": {"Type": "Fail", "Error": "Chaos", "Cause": "as told"}}});
    tenant.apply(&tenant.workflow("work", &work));
    tenant.apply(&tenant.workflow("long", &waiting(3600)));
    let mut limited = tenant.workflow("limited", &work);
    limited["spec"]["maxConcurrentRuns"] = json!(2);
    tenant.apply(&limited);
    let mut express =
        tenant.workflow("express", &json!({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": true}}}));
    express["spec"]["type"] = json!("Express");
    tenant.apply(&express);
}

/// Creates the runs a few at a time, and cancels those that are to be cancelled, whatever the API server does meanwhile.
async fn create(client: Client, runs: usize, created: Arc<AtomicUsize>) {
    let api = Api::<WorkflowRun>::namespaced(client, NAME);
    for number in 0..runs {
        let run = Kind::of(number).run(number);
        loop {
            match api.create(&PostParams::default(), &run).await {
                Ok(_) => break,
                Err(kube::Error::Api(status)) if status.code == 409 => break,
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        }
        created.fetch_add(1, Ordering::Relaxed);
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    for number in (0..runs).filter(|number| Kind::of(*number) == Kind::Cancelled) {
        let patch = Patch::Merge(json!({"spec": {"cancel": {"reason": "chaos"}}}));
        while api.patch(&format!("run-{number}"), &PatchParams::default(), &patch).await.is_err() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

async fn listed(client: &Client) -> Option<Vec<WorkflowRun>> {
    let api = Api::<WorkflowRun>::namespaced(client.clone(), NAME);
    api.list(&ListParams::default()).await.ok().map(|list| list.items)
}

fn phase(run: &WorkflowRun) -> Phase {
    run.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

/// What was done to the operator.
#[derive(Default)]
struct Damage {
    kills: usize,
    restarts: usize,
    ended_by_itself: usize,
    out_of_order: Vec<String>,
}

/// Kills operators until as many kills and restarts were made as wanted; gives the one that is left.
fn break_things(tenant: &Tenant, size: &Size, created: &AtomicUsize) -> (Process, Damage) {
    let mut random = StdRng::seed_from_u64(size.seed);
    let mut damage = Damage::default();
    let mut current = operator(tenant);
    while damage.kills < size.kills || created.load(Ordering::Relaxed) < size.runs {
        std::thread::sleep(Duration::from_millis(random.random_range(200..3500)));
        let due = (damage.restarts + 1) * size.kills / (size.restarts + 1);
        if damage.restarts < size.restarts && damage.kills >= due {
            tenant.bed.control_plane.restart_api_server();
            damage.restarts += 1;
        }
        if damage.kills >= size.kills && current.is_running() {
            continue;
        }
        if current.is_running() {
            current.signal("KILL");
            damage.kills += 1;
        } else {
            damage.ended_by_itself += 1;
        }
        keep_strange_words(&current, &mut damage.out_of_order);
        drop(current);
        if damage.kills % LEASE_EXPIRES_EVERY != 0 {
            // Where it cannot be freed just now, the next operator waits for it to expire.
            let _ = tenant.bed.control_plane.try_kubectl(&["-n", &tenant.system, "delete", "lease", "--all"], None);
        }
        current = operator(tenant);
    }
    (current, damage)
}

/// A panic is told in the log.
fn keep_strange_words(operator: &Process, strange: &mut Vec<String>) {
    strange.extend(operator.log_text().lines().filter(|line| line.contains("panicked")).map(str::to_owned));
}

/// Starts that AWS applied, by the name of the execution.
fn applied_starts(tenant: &Tenant) -> HashMap<String, usize> {
    let mut starts = HashMap::new();
    for call in tenant.bed.front.calls_about(&tenant.machine_arn("express")) {
        if call.operation.starts_with("Start") && call.status == 200 {
            let body: Value = serde_json::from_str(&call.body).unwrap();
            *starts.entry(body["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    starts
}

/// Executions that AWS lists, by name: status and redrives.
fn executions(tenant: &Tenant) -> HashMap<String, (String, i64)> {
    let listed = ["work", "long", "limited"].map(|workflow| tenant.bed.front.executions(&tenant.machine_arn(workflow)));
    let one = |item: &Value| {
        let name = item["executionArn"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        (name, (item["status"].as_str().unwrap().to_owned(), item["redriveCount"].as_i64().unwrap()))
    };
    listed.iter().flatten().map(one).collect()
}

/// What is wrong with a run, if anything.
fn wrong(
    kind: Kind,
    number: usize,
    run: &WorkflowRun,
    executions: &HashMap<String, (String, i64)>,
    starts: &HashMap<String, usize>,
) -> Option<String> {
    let object = serde_json::to_value(run).unwrap();
    let status = &object["status"];
    let uid = run.uid().unwrap();
    let own: BTreeMap<&str, (&str, i64)> = executions
        .iter()
        .filter(|(name, _)| name.starts_with(&uid))
        .map(|(name, (status, redrives))| (name.strip_prefix(&uid).unwrap(), (status.as_str(), *redrives)))
        .collect();
    let attempts = status["attempts"].as_array().map_or(0, Vec::len);
    let reason = condition(&object, "Finished").map(|finished| finished["reason"].clone()).unwrap_or_default();
    let output = json!({"number": number, "fail": false});
    let right = match kind {
        Kind::Succeeds | Kind::Limited => {
            status["phase"] == "Succeeded"
                && status["output"] == output
                && attempts == 1
                && own == BTreeMap::from([("", ("SUCCEEDED", 0))])
        }
        Kind::Fails => {
            status["phase"] == "Failed"
                && status["error"] == "Chaos"
                && attempts == 1
                && own == BTreeMap::from([("", ("FAILED", 0))])
        }
        Kind::Restarts => {
            status["phase"] == "Failed"
                && attempts == 2
                && own == BTreeMap::from([("", ("FAILED", 0)), ("-2", ("FAILED", 0))])
        }
        Kind::Redrives => {
            status["phase"] == "Failed"
                && attempts == 2
                && status["redrive"]["count"] == 1
                && own == BTreeMap::from([("", ("FAILED", 1))])
        }
        Kind::Cancelled => {
            let never_started = reason == "Cancelled" && own.is_empty();
            status["phase"] == "Aborted" && (never_started || own == BTreeMap::from([("", ("ABORTED", 0))]))
        }
        Kind::Dispatched | Kind::Waited => {
            let started = starts.get(&uid).copied().unwrap_or(0);
            let known = match kind {
                Kind::Dispatched => status["phase"] == "Dispatched",
                _ => status["phase"] == "Succeeded" && status["output"] == output,
            };
            started <= 1 && ((known && started == 1) || (status["phase"] == "Failed" && reason == "OutcomeUnknown"))
        }
    };
    (!right).then(|| format!("{kind:?} run-{number}: executions {own:?}, starts {:?}, {status:#}", starts.get(&uid)))
}

#[test]
fn every_run_has_one_execution_an_attempt_and_the_right_result_whatever_breaks() {
    let size = Size::from_environment();
    let bed = test_bed();
    let tenant = bed.tenant(NAME);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(bed.control_plane.client());
    let first = operator(&tenant);
    tenant.apply(&tenant.binding("orders"));
    workflows(&tenant);
    for workflow in ["work", "long", "limited", "express"] {
        tenant.wait_for(&first, &format!("sfn/{workflow}"), "Ready", "True", "Synced");
    }
    first.signal("TERM");
    wait_until(Duration::from_secs(60), "the first operator ends", || (!first.is_running()).then_some(()));
    drop(first);

    let began = Instant::now();
    bed.front.disturb(NAME, PERCENT, size.seed);
    bed.front.lag(NAME, size.lag);
    let created = Arc::new(AtomicUsize::new(0));
    let creation = runtime.spawn(create(client.clone(), size.runs, created.clone()));
    let (operator, mut damage) = break_things(&tenant, &size, &created);
    runtime.block_on(creation).unwrap();
    let unfinished = Mutex::new(String::new());
    let deadline = began + size.longest();
    let runs = loop {
        let runs = runtime.block_on(listed(&client)).unwrap_or_default();
        // The phase never waits for output and error; what is owed is written later.
        let open: Vec<&WorkflowRun> =
            runs.iter().filter(|run| !phase(run).is_finished() || stepbound::runs::owes_output(run)).collect();
        *unfinished.lock().unwrap() = open.iter().take(3).map(|run| format!("{run:#?}")).collect::<Vec<_>>().join("\n");
        if open.is_empty() && runs.len() == size.runs {
            break runs;
        }
        assert!(Instant::now() < deadline, "{} runs have not ended:\n{}", open.len(), unfinished.lock().unwrap());
        std::thread::sleep(Duration::from_millis(500));
    };
    let took = began.elapsed();

    let (executions, starts) = (executions(&tenant), applied_starts(&tenant));
    let mut table: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for run in &runs {
        let number: usize = run.name_any().trim_start_matches("run-").parse().unwrap();
        let kind = Kind::of(number);
        *table.entry((kind, format!("{:?}", phase(run)))).or_default() += 1;
        mistakes.extend(wrong(kind, number, run, &executions, &starts));
    }
    keep_strange_words(&operator, &mut damage.out_of_order);
    let (calls, [throttled, failed, lost]) = bed.front.disturbed();
    println!("\n{} runs in {:.0} s; seed {}", runs.len(), took.as_secs_f64(), size.seed);
    println!(
        "operator killed {} times, ended by itself {} times; API server restarted {} times",
        damage.kills, damage.ended_by_itself, damage.restarts
    );
    println!("{calls} AWS calls: {throttled} throttled, {failed} answered 5xx, {lost} applied with the answer lost");
    println!("{:<12} {:<12} {:>6}", "RUN", "PHASE", "COUNT");
    for ((kind, phase), count) in &table {
        println!("{:<12} {phase:<12} {count:>6}", format!("{kind:?}"));
    }
    println!("executions in AWS {}, Express starts {}, wrong runs {}", executions.len(), starts.len(), mistakes.len());
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(damage.out_of_order.is_empty(), "{:?}", damage.out_of_order);
    assert!(damage.kills >= size.kills && damage.restarts >= size.restarts);
    nothing_is_left(&tenant, &operator, &runtime, &client);
    drop(operator);
    bed.stop();
}

/// No finalizer on what has ended, no execution that runs; and when everything is deleted, no machine.
fn nothing_is_left(tenant: &Tenant, operator: &Process, runtime: &tokio::runtime::Runtime, client: &Client) {
    wait_until(Duration::from_secs(60), "the finalizers have gone", || {
        let runs = runtime.block_on(listed(client))?;
        runs.iter().all(|run| run.finalizers().is_empty()).then_some(())
    });
    assert!(executions(tenant).values().all(|(status, _)| status != "RUNNING"), "an execution runs on");
    tenant.bed.front.calm(NAME);
    let api = Api::<WorkflowRun>::namespaced(client.clone(), NAME);
    runtime.block_on(api.delete_collection(&DeleteParams::background(), &ListParams::default())).unwrap();
    tenant.delete_all(operator);
    for workflow in ["work", "long", "limited", "express"] {
        let machine = json!({"stateMachineArn": tenant.machine_arn(workflow)});
        assert!(tenant.bed.aws.states("DescribeStateMachine", &machine).is_err(), "machine {workflow} is left");
    }
    println!("nothing is left: no finalizer, no running execution, no state machine");
}
