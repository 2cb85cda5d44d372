//! Replicas that share the work.

use std::time::Instant;

use crate::support::processes::free_port;
use crate::*;

/// Namespaces of different shards of two: the first is in shard 0, the second in shard 1.
const NAMESPACES: [&str; 2] = ["shard-c", "shard-a"];

/// Two namespaces with one installation of the operator, in the first one's system namespace.
fn two_tenants() -> [Tenant; 2] {
    let tenants = NAMESPACES.map(|name| test_bed().tenant_without_operator(name));
    tenants[0].install_for(&NAMESPACES, &json!({"shards": 2}));
    tenants
}

fn replica(tenant: &Tenant, namespaces: &[&str], shards: &str) -> Process {
    let binary = Path::new(env!("CARGO_BIN_EXE_stepbound"));
    tenant.operator_for(namespaces, free_port(), binary, &[("STEPBOUND_SHARDS", shards)])
}

/// Who holds a lease.
pub(crate) fn holder(tenant: &Tenant, lease: &str) -> Option<String> {
    let command = ["-n", &tenant.system, "get", "lease", lease, "-o", "jsonpath={.spec.holderIdentity}"];
    let holder = tenant.bed.control_plane.try_kubectl(&command, None).ok()?;
    (!holder.is_empty()).then_some(holder)
}

/// Waits until both shards are held, by one replica or by two.
fn held_by(tenant: &Tenant, replicas: usize) -> [String; 2] {
    wait_until(Duration::from_secs(45), &format!("{replicas} replicas hold both shards"), || {
        let holders = [holder(tenant, "stepbound-2-0")?, holder(tenant, "stepbound-2-1")?];
        ((holders[0] == holders[1]) == (replicas == 1)).then_some(holders)
    })
}

fn starts(tenant: &Tenant) -> usize {
    count(tenant, "StartExecution")
}

#[test]
fn two_replicas_share_two_shards_and_a_killed_ones_runs_move_within_the_lease_time() {
    const RUNS: usize = 5;
    let tenants = two_tenants();
    let first = replica(&tenants[0], &NAMESPACES, "2");
    held_by(&tenants[0], 1);
    let second = replica(&tenants[0], &NAMESPACES, "2");
    let holders = held_by(&tenants[0], 2);
    // Which process is whose is in its log.
    let (survivor, killed) = if first.log_text().contains(&holders[0]) { (first, second) } else { (second, first) };
    assert!(killed.log_text().contains(&holders[1]));
    for (tenant, operator) in tenants.iter().zip([&survivor, &killed]) {
        tenant.apply(&tenant.binding("orders"));
        tenant.apply(&tenant.workflow("fulfil", &waiting(25)));
        tenant.wait_for(operator, "sfn/fulfil", "Ready", "True", "Synced");
        for run in 0..RUNS {
            tenant.apply(&workflow_run(&format!("run-{run}"), "fulfil", &json!({})));
        }
        for run in 0..RUNS {
            tenant.wait_for(operator, &format!("sfnrun/run-{run}"), "Started", "True", "ExecutionStarted");
        }
    }
    let died = Instant::now();
    killed.signal("KILL");
    tenants[1].apply(&workflow_run("after", "fulfil", &json!({})));
    tenants[1].wait_for(&survivor, "sfnrun/after", "Started", "True", "ExecutionStarted");
    let moved = died.elapsed();
    println!("the runs of the killed replica moved in {moved:?}");
    assert!(moved > Duration::from_secs(8), "the lease was waited for: {moved:?}");
    assert!(moved < Duration::from_secs(20), "{moved:?}");
    for (tenant, runs) in tenants.iter().zip([RUNS, RUNS + 1]) {
        let names = (0..RUNS).map(|run| format!("run-{run}")).chain((runs > RUNS).then(|| "after".to_owned()));
        for name in names {
            tenant.wait_for(&survivor, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded");
        }
        assert_eq!((starts(tenant), executions(tenant).len()), (runs, runs), "none was started twice");
    }
    assert_eq!(holder(&tenants[0], "stepbound-2-0"), holder(&tenants[0], "stepbound-2-1"));
    // A clean end gives both shards free at once.
    let third = replica(&tenants[0], &NAMESPACES, "2");
    survivor.signal("TERM");
    let ended = Instant::now();
    tenants[1].apply(&workflow_run("handed-over", "fulfil", &json!({})));
    tenants[1].wait_for(&third, "sfnrun/handed-over", "Started", "True", "ExecutionStarted");
    println!("a replica that ended handed over in {:?}", ended.elapsed());
    assert!(ended.elapsed() < Duration::from_secs(12), "{:?}", ended.elapsed());
}

#[test]
fn another_number_of_shards_begins_only_when_nobody_of_the_old_one_is_left() {
    let tenant = test_bed().tenant_without_operator("reshard");
    tenant.install_for(&["reshard"], &json!({"shards": 2}));
    let old = replica(&tenant, &["reshard"], "1");
    tenant.apply(&tenant.binding("orders"));
    tenant.wait_for(&old, "tb/orders", "Ready", "True", "RoleAssumed");
    let new = replica(&tenant, &["reshard"], "2");
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(holder(&tenant, "stepbound-2-0").or(holder(&tenant, "stepbound-2-1")), None, "the old holder lives");
    old.signal("TERM");
    let ended = Instant::now();
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&new, "sfn/fulfil", "Ready", "True", "Synced");
    println!("two shards after one that was given up: {:?}", ended.elapsed());
    assert_eq!(holder(&tenant, "stepbound").as_deref(), Some("2-shards"));
    let back = replica(&tenant, &["reshard"], "1");
    std::thread::sleep(Duration::from_secs(8));
    assert!(!back.log_text().contains("\"leads\""), "a replica of two shards lives");
    new.signal("KILL");
    let died = Instant::now();
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&back, "sfnrun/order", "Complete", "True", "Succeeded");
    println!("one shard after two that were killed: {:?}", died.elapsed());
    assert!(died.elapsed() > Duration::from_secs(8), "the lease was waited for");
    assert_eq!(starts(&tenant), 1);
}
