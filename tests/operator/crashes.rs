//! What survives a kill, a lost answer and a stopped leader.

use crate::*;

/// Kills the operator and starts another at once.
fn restarted(tenant: &Tenant, operator: Process) -> Process {
    killed(tenant, operator);
    start(tenant)
}

/// Kills the operator. Its lease would take 15 s to expire each time; here it is given free instead.
pub(crate) fn killed(tenant: &Tenant, operator: Process) {
    operator.signal("KILL");
    drop(operator);
    tenant.bed.control_plane.kubectl(&["-n", &tenant.system, "delete", "lease", "stepbound", "--ignore-not-found"]);
}

/// The call of a start, once it has reached AWS; its status is 0 until AWS has applied it.
fn start_call(tenant: &Tenant, text: &str, applied: bool) {
    wait_until(Duration::from_secs(60), "the start reaches AWS", || {
        let calls = tenant.bed.front.calls_about(text);
        calls.iter().any(|call| call.operation == "StartExecution" && (!applied || call.status != 0)).then_some(())
    });
}

/// Starts a run and kills the operator at a point of the start that depends on the round: while the request is on its
/// way to AWS, while AWS's answer is on its way back, and between the answer and what is written of it.
fn killed_while_starting(tenant: &Tenant, operator: Process, round: u64) -> Process {
    let marker = marker(&tenant.name, round);
    let offset = Duration::from_millis(round / 3 * 4);
    let (fault, applied) = match round % 3 {
        0 => (Some(Fault::Delay(Duration::from_millis(400))), false),
        1 => (Some(Fault::DelayAnswer(Duration::from_millis(400))), true),
        _ => (None, true),
    };
    if let Some(fault) = fault {
        tenant.bed.front.inject_for("StartExecution", &marker, fault, 1);
    }
    tenant.apply(&workflow_run(&format!("run-{round}"), "fulfil", &json!({"input": {"round": marker}})));
    start_call(tenant, &marker, applied);
    std::thread::sleep(offset);
    restarted(tenant, operator)
}

/// Other tests share the front.
fn marker(tenant: &str, round: u64) -> String {
    format!("<{tenant} {round}>")
}

const ROUNDS: u64 = 21;

#[test]
fn a_standard_run_has_exactly_one_execution_however_often_the_operator_is_killed() {
    let (tenant, mut operator) = with_workflow("killed", 1);
    for round in 0..ROUNDS {
        operator = killed_while_starting(&tenant, operator, round);
    }
    for round in 0..ROUNDS {
        tenant.wait_for(&operator, &format!("sfnrun/run-{round}"), "Complete", "True", "Succeeded");
    }
    assert_eq!(executions(&tenant).len() as u64, ROUNDS);
}

#[test]
fn an_express_run_starts_at_most_once_however_often_the_operator_is_killed() {
    let (tenant, mut operator) = with_express("express-killed");
    for round in 0..ROUNDS {
        operator = killed_while_starting(&tenant, operator, round);
    }
    let mut unknown = 0;
    for round in 0..ROUNDS {
        let run = wait_until(Duration::from_secs(90), "the run is finished", || {
            let run = tenant.get(&format!("sfnrun/run-{round}"))?;
            matches!(run["status"]["phase"].as_str(), Some("Dispatched" | "Failed")).then_some(run)
        });
        unknown += u64::from(condition(&run, "Failed").is_some_and(|failed| failed["reason"] == "OutcomeUnknown"));
        let calls = tenant.bed.front.calls_about(&marker(&tenant.name, round));
        let starts = calls.iter().filter(|call| call.operation == "StartExecution").count();
        assert_eq!(starts, 1, "round {round}: {calls:?}");
    }
    assert!(unknown >= ROUNDS / 3, "a start whose answer nobody got is told as unknown: {unknown}");
}

#[test]
fn a_start_whose_answer_is_lost_is_not_done_twice() {
    let (tenant, operator) = with_workflow("lost-answer", 1);
    tenant.bed.front.inject_for("StartExecution", "lost-answer_fulfil", Fault::LoseAnswer, 2);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");
    assert_eq!(executions(&tenant).len(), 1);
}

#[test]
fn a_stopped_leader_that_wakes_after_its_lease_writes_and_starts_nothing() {
    let (tenant, first) = with_workflow("fenced", 0);
    // One run is stopped between AWS's answer and its record, the other has not been seen at all.
    tenant.bed.front.inject_for("StartExecution", "<under way>", Fault::DelayAnswer(Duration::from_secs(1)), 1);
    tenant.apply(&workflow_run("under-way", "fulfil", &json!({"input": {"mark": "<under way>"}})));
    start_call(&tenant, "<under way>", true);
    first.signal("STOP");
    let second = start(&tenant);
    tenant.apply(&workflow_run("unseen", "fulfil", &json!({})));
    let runs = ["sfnrun/under-way", "sfnrun/unseen"];
    let versions = || runs.map(|run| tenant.get(run).unwrap()["metadata"]["resourceVersion"].clone());
    for run in runs {
        tenant.wait_for(&second, run, "Complete", "True", "Succeeded");
    }
    let before = versions();
    first.signal("CONT");
    wait_until(Duration::from_secs(60), "the first ends", || (!first.is_running()).then_some(()));
    assert!(first.log_text().contains("the lease was lost"));
    assert_eq!(executions(&tenant).len(), 2);
    assert_eq!(versions(), before);
}
