//! Histories: what a long one with its data costs the operator, and what following some costs the API server while many
//! other runs end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::processes::{Process, wait_until};
use crate::support::{Tenant, workflow_run};
use crate::{Bench, rounded, run as played_run};

/// How long memory is watched before anything is asked for, and after.
const REST: Duration = Duration::from_secs(20);

pub fn run(bench: &mut Bench, full: bool) {
    long(bench);
    followed(bench, full);
}

/// A history of 25,000 events, the most that AWS keeps, each with an input or output of 1 KiB.
fn long(bench: &mut Bench) {
    let tenant = bench.bed.tenant("bench-history");
    tenant.apply(&tenant.binding("orders"));
    let operator = bench.operator(&tenant, "1000");
    bench.workflows(&tenant, &operator, 1);
    tenant.apply(&workflow_run("long", "m-0", &json!({"input": {}})));
    let ended = tenant.wait_for(&operator, "sfnrun/long", "Complete", "True", "Succeeded");
    let arn = ended["status"]["executionARN"].as_str().unwrap().to_owned();
    bench.bed.front.tell_history(&arn, many_events(25_000));
    std::thread::sleep(REST);
    let rest = operator.resident();
    bench.say(&format!("at rest {rest:.1} MB; asks for 25,000 events with data"));
    let (began, mut highest) = (Instant::now(), rest);
    tenant.apply(&history("whole", "long", &json!({"includeData": true})));
    let told = wait_until(Duration::from_secs(600), "the history is read", || {
        highest = highest.max(operator.resident());
        tenant.get("sfnhist/whole").filter(|history| history["status"]["phase"] == "Complete")
    });
    let took = began.elapsed();
    let (mut largest, mut all) = (0, 0);
    for kind in ["executionhistorypages", "executiondatapages"] {
        let pages: Value = serde_json::from_str(&tenant.kubectl(&["get", kind, "-o", "json"])).unwrap();
        for page in pages["items"].as_array().unwrap() {
            let size = page["spec"].to_string().len();
            largest = largest.max(size);
            all += size;
        }
    }
    std::thread::sleep(REST);
    let values = json!({
        "events on pages": told["status"]["events"], "pages": told["status"]["pages"],
        "bytes of all pages": all, "bytes of the largest page": largest,
        "bytes that were left out": told["status"]["omittedBytes"],
        "read in, s": rounded(took.as_secs_f64()),
        "calls of GetExecutionHistory": bench.calls(&tenant, began)["GetExecutionHistory"],
        "memory at rest, MB": rounded(rest), "highest while it was read, MB": rounded(highest),
        "more than at rest, MB": rounded(highest - rest), "after, MB": rounded(operator.resident()),
    });
    bench.stop(&tenant, operator);
    bench.result("a history of 25,000 events with data", values);
}

/// Runs that end while as many others go from state to state, first unobserved, then each followed by somebody.
fn followed(bench: &mut Bench, full: bool) {
    const RUNNING: usize = 50;
    let ending = if full { 10_000 } else { 1_000 };
    let tenant = bench.bed.tenant("bench-followed");
    tenant.apply(&tenant.binding("orders"));
    let operator = bench.operator(&tenant, "1000");
    bench.workflows(&tenant, &operator, 1);
    bench.bed.front.play(&format!("{}_m-0", tenant.name), None);
    // A definition needs an end, which an input without `stop` never comes to.
    let again = json!({"Type": "Choice", "Default": "Wait", "Choices": [
        {"Variable": "$.stop", "IsPresent": true, "Next": "Done"}]});
    let endless = json!({"StartAt": "Wait", "States": {
        "Wait": {"Type": "Wait", "Seconds": 2, "Next": "Again"}, "Again": again, "Done": {"Type": "Succeed"}}});
    tenant.apply(&tenant.workflow("endless", &endless));
    tenant.wait_for(&operator, "sfn/endless", "Ready", "True", "Synced");
    for (name, follow) in [("unobserved", false), ("followed", true)] {
        let running: Vec<String> = (0..RUNNING).map(|index| format!("endless-{name}-{index}")).collect();
        for run in &running {
            tenant.apply(&workflow_run(run, "endless", &json!({"input": {}})));
        }
        for run in &running {
            tenant.wait_for(&operator, &format!("sfnrun/{run}"), "Started", "True", "ExecutionStarted");
            if follow {
                tenant.apply(&history(run, run, &json!({"follow": true})));
            }
        }
        let values = while_runs_end(bench, &tenant, &operator, name, ending);
        bench.result(&format!("{ending} runs end beside {RUNNING} that run {name}"), values);
        for run in &running {
            tenant.kubectl(&["delete", "sfnrun", run, "--wait=false"]);
        }
    }
    bench.stop(&tenant, operator);
}

fn while_runs_end(bench: &Bench, tenant: &Tenant, operator: &Process, name: &str, count: usize) -> Value {
    const KINDS: [&str; 3] = ["workflowruns", "executionhistories", "executionhistorypages"];
    let plane = &bench.bed.control_plane;
    let before = KINDS.map(|kind| plane.writes(kind));
    let (size, cpu, began) = (plane.etcd_size(), bench.cpu(operator), Instant::now());
    bench.say(&format!("{count} runs end, {name}"));
    let runs = (0..count).map(|index| played_run(&format!("ends-{name}-{index}"), 0, 1.0)).collect();
    bench.runtime.block_on(Bench::create(bench.client.clone(), tenant.name.clone(), runs));
    wait_until(Duration::from_secs(1800), "every run has ended", || {
        let listed = tenant.kubectl(&["get", "sfnrun", "--field-selector=status.phase=Succeeded", "-o", "name"]);
        std::thread::sleep(Duration::from_secs(2));
        (listed.lines().filter(|line| line.contains(&format!("/ends-{name}-"))).count() >= count).then_some(())
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut values = json!({
        "took, s": rounded(seconds),
        "etcd grew by, MB": rounded((plane.etcd_size() - size) as f64 / 1_048_576.0),
        "CPU s of each process": crate::cpu_since(&bench.cpu(operator), &cpu),
        "AWS calls": bench.calls(tenant, began), "memory": operator.memory(),
    });
    for (kind, before) in KINDS.iter().zip(before) {
        values[format!("writes of {kind} a second")] = rounded((plane.writes(kind) - before) / seconds);
    }
    values
}

fn history(name: &str, run: &str, more: &Value) -> Value {
    let mut spec = json!({"workflowRunRef": {"name": run}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "metadata": {"name": name}, "spec": spec})
}

/// A history as AWS tells it: a state is entered and left again and again.
fn many_events(count: usize) -> Vec<Value> {
    let data = json!({"text": "x".repeat(1_000)}).to_string();
    let event = |index: usize, kind: &str, details: Value| {
        let mut event = json!({"id": index + 1, "previousEventId": index, "type": kind,
            "timestamp": 1_767_225_600.0 + index as f64});
        event.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
        event
    };
    let middle = (1..count - 1).map(|index| match index % 2 {
        1 => event(index, "PassStateEntered", json!({"stateEnteredEventDetails": {"name": "Done", "input": data}})),
        _ => event(index, "PassStateExited", json!({"stateExitedEventDetails": {"name": "Done", "output": data}})),
    });
    let first = event(0, "ExecutionStarted", json!({"executionStartedEventDetails": {"input": "{}"}}));
    let last = event(count - 1, "ExecutionSucceeded", json!({"executionSucceededEventDetails": {"output": data}}));
    std::iter::once(first).chain(middle).chain([last]).collect()
}
