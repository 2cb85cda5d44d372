//! From an execution's end, as soon as AWS shows it, to the phase of its run.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use rand::Rng;
use serde_json::json;
use stepbound::api::v1alpha1::WorkflowRun;

use crate::support::ministack::ACCOUNT;
use crate::support::processes::wait_until;
use crate::support::{REGION, Tenant};
use crate::{Bench, quantiles, rounded, run as workflow_run};

/// One measurement.
#[derive(Clone, Copy)]
struct Setting {
    open: usize,
    machines: usize,
    push: bool,
    /// Of the measurement; ends near its end are not counted, because they may not be told in time.
    seconds: f64,
    /// Each execution is shown up to so late.
    lag: f64,
}

/// When each run was seen in its last phase and with its output, by UID, in seconds of the epoch.
type Seen = Arc<Mutex<HashMap<String, (Option<f64>, Option<f64>)>>>;

pub fn run(bench: &mut Bench, full: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
    let mode = std::env::var("MODE").ok();
    let lag = number("LAG").unwrap_or(2.0);
    let one = |open, machines, push| {
        // Few ends need no long look; many need one that outlasts every sweep.
        let usual = match open {
            _ if !full => 90.0,
            0..=100 => 120.0,
            101..=1_000 => 300.0,
            _ => 600.0,
        };
        Setting { open, machines, push, seconds: number("SECONDS").unwrap_or(usual), lag }
    };
    let settings: Vec<Setting> = match (number("OPEN"), number("MACHINES")) {
        (Some(open), Some(machines)) => vec![one(open as usize, machines as usize, mode.as_deref() == Some("push"))],
        _ if full => [100, 1_000, 10_000]
            .into_iter()
            .flat_map(|open| [1, 50, 500].map(|machines| (open, machines)))
            // A machine has at least one.
            .filter(|(open, machines)| machines <= open)
            .flat_map(|(open, machines)| [one(open, machines, false), one(open, machines, true)])
            .collect(),
        _ => vec![one(100, 50, false), one(1_000, 50, false), one(1_000, 50, true)],
    };
    for (index, setting) in settings.into_iter().enumerate() {
        measure(bench, index, setting);
    }
}

fn measure(bench: &mut Bench, index: usize, setting: Setting) {
    let Setting { open, machines, push, seconds, lag } = setting;
    let kind = if push { "push" } else { "poll" };
    let name = format!("{kind}, {open} open over {machines} machines, shown up to {lag} s late");
    bench.say(&format!("begins: {name}; about {:.0} s", seconds + open as f64 / 60.0 + 60.0));
    let tenant = bench.bed.tenant(&format!("bench-{index}"));
    let queue = push.then(|| queue(bench, &tenant));
    bench.bed.front.play(&tenant.name, queue.as_deref());
    let mut binding = tenant.binding("orders");
    if let Some(queue) = &queue {
        binding["spec"]["events"] = json!({"queueURL": queue});
    }
    tenant.apply(&binding);
    let operator = bench.operator(&tenant, "1000");
    bench.workflows(&tenant, &operator, machines);

    // Ends are spread over a time that makes the rate of ends bearable for anyone's quota.
    let horizon = match open {
        0..=100 => 120.0,
        101..=1_000 => 600.0,
        _ => 2_000.0,
    };
    let seen: Seen = Arc::default();
    let watching = bench.runtime.spawn(watch(bench.client.clone(), tenant.name.clone(), seen.clone()));
    let warm_up = open as f64 / 80.0 + 20.0;
    let runs = (0..open)
        .map(|run| {
            let seconds = warm_up + rand::rng().random_range(0.0..horizon);
            workflow_run(&format!("r-{run}"), run % machines, seconds)
        })
        .collect();
    bench.runtime.block_on(Bench::create(bench.client.clone(), tenant.name.clone(), runs));
    wait_until(Duration::from_secs(900), "every run has started", || {
        let started = bench.bed.front.played_ends(&tenant.name).len();
        std::thread::sleep(Duration::from_secs(1));
        (started >= open).then_some(())
    });
    bench.say(&format!("{open} are open; the operator starts anew, with half of the quotas and empty buckets"));
    bench.stop(&tenant, operator);
    bench.bed.front.lag(&tenant.name, Duration::from_secs_f64(lag));
    let operator = bench.operator(&tenant, "0.5");
    wait_until(Duration::from_secs(60), "the operator looks", || {
        let calls = bench.bed.front.calls_about(&tenant.name);
        calls
            .last()
            .is_some_and(|call| call.operation == "DescribeExecution" || call.operation == "ListExecutions")
            .then_some(())
    });
    bench.bed.front.meter(&tenant.name);
    bench.bed.front.drain(&tenant.name);
    let (from, began, cpu) = (epoch(), Instant::now(), operator.cpu_seconds());
    let mut replaced = 0;
    let rate = open as f64 / horizon;
    while epoch() - from < seconds {
        std::thread::sleep(Duration::from_secs(2));
        let due = ((epoch() - from) * rate) as usize;
        let fresh: Vec<WorkflowRun> = (replaced..due)
            .map(|run| {
                let seconds = rand::rng().random_range(0.5 * horizon..1.5 * horizon);
                workflow_run(&format!("n-{run}"), run % machines, seconds)
            })
            .collect();
        replaced = due;
        bench.runtime.block_on(Bench::create(bench.client.clone(), tenant.name.clone(), fresh));
        if (epoch() - from) as u64 % 30 < 2 {
            let told = seen.lock().unwrap().values().filter(|(phase, _)| phase.is_some()).count();
            bench.say(&format!("{:.0} of {seconds:.0} s, {told} ends told", epoch() - from));
        }
    }
    let until = from + seconds - (seconds * 0.4).min(250.0);
    let (to, cpu) = (epoch(), operator.cpu_seconds() - cpu);
    watching.abort();
    let seen = seen.lock().unwrap().clone();
    let ends = bench.bed.front.played_ends(&tenant.name);
    let counted: Vec<_> = ends.iter().filter(|end| (from..until).contains(&end.shown)).collect();
    let told = |uid: &str| seen.get(uid).and_then(|(phase, _)| *phase);
    let missed = counted.iter().filter(|end| told(&end.name).is_none()).count();
    let latencies = counted.iter().map(|end| told(&end.name).unwrap_or(to) - end.shown).collect();
    let outputs = counted.iter().filter(|end| seen.get(&end.name).is_some_and(|(_, output)| output.is_some())).count();
    let (median, worst, most) = quantiles(latencies);
    let values = json!({
        "ends counted": counted.len(), "not told when measuring ended": missed,
        "p50 s": rounded(median), "p99 s": rounded(worst), "worst s": rounded(most),
        "outputs read": outputs, "seconds": rounded(to - from),
        "AWS calls": bench.calls(&tenant, began), "CPU s": rounded(cpu), "memory": operator.memory(),
    });
    bench.stop(&tenant, operator);
    bench.result(&name, values);
}

/// A queue of the tenant's own.
fn queue(bench: &Bench, tenant: &Tenant) -> String {
    let name = format!("{}-events", tenant.name);
    bench.bed.aws.queue(&name);
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}")
}

async fn watch(client: kube::Client, namespace: String, seen: Seen) {
    let api = Api::<WorkflowRun>::namespaced(client, &namespace);
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff().touched_objects());
    while let Some(event) = events.next().await {
        let Ok(run) = event else { continue };
        let (Some(status), Some(uid)) = (&run.status, run.uid()) else { continue };
        let now = epoch();
        let mut seen = seen.lock().unwrap();
        let one = seen.entry(uid).or_default();
        if status.phase.unwrap_or_default().is_finished() {
            one.0.get_or_insert(now);
        }
        if status.output_digest.is_some() {
            one.1.get_or_insert(now);
        }
    }
}

fn epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
