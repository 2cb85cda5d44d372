//! Aliases: how a new version takes over, and how a bad one does not.

use crate::*;

/// An operator that takes AWS's routes for settled after a second.
fn impatient(tenant: &Tenant) -> Process {
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[("STEPBOUND_ALIAS_SETTLE_TIME", "1s")])
}

fn succeeding(comment: &str) -> Value {
    json!({"Comment": comment, "StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
}

fn failing() -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken", "Cause": "the new version is broken"}}})
}

/// A workflow whose alias follows by a canary of half the traffic.
fn canary(tenant: &Tenant, definition: &Value) -> Value {
    let mut workflow = tenant.workflow("fulfil", definition);
    workflow["spec"]["aliases"] = json!([{"name": "live", "rollout": {
        "strategy": "Canary", "percent": 50, "interval": "3s", "minExecutions": 4, "maxFailurePercent": 10}}]);
    workflow
}

fn alias(tenant: &Tenant) -> Value {
    tenant.get("sfn/fulfil").unwrap()["status"]["aliases"][0].clone()
}

fn wait_for_phase(tenant: &Tenant, phase: &str) -> Value {
    wait_until(Duration::from_secs(90), &format!("the alias is {phase}"), || {
        Some(alias(tenant)).filter(|alias| alias["phase"] == phase)
    })
}

/// Starts runs through the alias and waits for their ends; how many started on each version, as AWS lists them.
fn traffic(tenant: &Tenant, name: &str, runs: u32) -> (usize, usize) {
    for run in 0..runs {
        tenant.apply(&workflow_run(&format!("{name}-{run}"), "fulfil", &json!({})));
    }
    for run in 0..runs {
        wait_until(Duration::from_secs(90), "the run ends", || {
            let object = tenant.get(&format!("sfnrun/{name}-{run}"))?;
            condition(&object, "Finished").filter(|one| one["status"] == "True")
        });
    }
    let runs = tenant.kubectl(&["get", "sfnrun", "-o", "json"]);
    let runs: Value = serde_json::from_str(&runs).unwrap();
    let mut counts = (0, 0);
    for run in runs["items"].as_array().unwrap() {
        if run["metadata"]["name"].as_str().unwrap().starts_with(name) {
            assert_eq!(run["status"]["attempts"][0]["targetARN"], format!("{}:live", tenant.machine_arn("fulfil")));
            if run["status"]["phase"] == "Failed" { counts.1 += 1 } else { counts.0 += 1 }
        }
    }
    counts
}

#[test]
fn a_canary_that_goes_bad_is_rolled_back_by_itself() {
    let tenant = test_bed().tenant("canary-bad");
    let operator = impatient(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&canary(&tenant, &succeeding("1")));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_eq!(wait_for_phase(&tenant, "Stable")["routes"], json!([{"version": 1, "weight": 100}]));
    let before = traffic(&tenant, "before", 4);
    let routed = || tenant.bed.front.routed(&tenant.machine_arn("fulfil"));
    let routed_before = routed();
    tenant.apply(&canary(&tenant, &failing()));
    let rolling = wait_for_phase(&tenant, "RollingOut");
    assert_eq!(rolling["routes"], json!([{"version": 1, "weight": 50}, {"version": 2, "weight": 50}]));
    std::thread::sleep(Duration::from_secs(2));
    let during = traffic(&tenant, "during", 24);
    let routed_during = routed();
    let back = wait_for_phase(&tenant, "RolledBack");
    assert_eq!(back["routes"], json!([{"version": 1, "weight": 100}]));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "RolledBack");
    let after = traffic(&tenant, "after", 4);
    assert_eq!((before, after), ((4, 0), (4, 0)));
    let counts = [&routed_before, &routed_during, &routed()]
        .map(|counts| ["1", "2"].map(|version| counts.get(version).copied().unwrap_or_default()));
    println!("routed to version 1 and 2, summed up before, during and after the canary: {counts:?}");
    assert_eq!(counts[0], [4, 0]);
    assert_eq!(counts[1], [4 + during.0, during.1]);
    assert_eq!(counts[2], [8 + during.0, during.1], "after the rollback nothing goes to version 2");
    assert!(during.0 > 0 && during.1 > 0, "both versions were started: {during:?}");
    assert_eq!(tenant.get("sfn/fulfil").unwrap()["status"]["quarantined"], json!([2]));
    let told = tenant.kubectl(&["get", "events", "--field-selector=reason=RolledBack", "-o", "json"]);
    assert!(told.contains("fails more often than it may"), "{told}");
    tenant.apply(&canary(&tenant, &succeeding("3")));
    wait_for_phase(&tenant, "RollingOut");
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/promote=live/3"]);
    assert_eq!(wait_for_phase(&tenant, "Stable")["routes"], json!([{"version": 3, "weight": 100}]));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
}

#[test]
fn an_alarm_holds_a_rollout_back_and_rolls_back_one_that_is_under_way() {
    let tenant = test_bed().tenant("canary-alarm");
    let operator = impatient(&tenant);
    let gated = |definition: &Value, alarm: &str| {
        let mut workflow = canary(&tenant, definition);
        workflow["spec"]["aliases"][0]["rollout"]["alarms"] = json!([alarm]);
        workflow
    };
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&gated(&succeeding("1"), "canary-alarm-errors"));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    wait_for_phase(&tenant, "Stable");
    tenant.apply(&gated(&succeeding("2"), "canary-alarm-errors"));
    let held = wait_for_phase(&tenant, "Waiting");
    assert!(held["message"].as_str().unwrap().contains("\"canary-alarm-errors\" does not exist"), "{held}");
    assert_eq!(held["routes"], json!([{"version": 1, "weight": 100}]));
    tenant.bed.aws.set_alarm("canary-alarm-errors", "OK");
    assert_eq!(wait_for_phase(&tenant, "RollingOut")["target"], 2);
    tenant.bed.aws.set_alarm("canary-alarm-errors", "ALARM");
    let back = wait_for_phase(&tenant, "RolledBack");
    assert!(back["message"].as_str().unwrap().contains("\"canary-alarm-errors\" is in alarm"), "{back}");
    assert_eq!(back["routes"], json!([{"version": 1, "weight": 100}]));
    assert_eq!(tenant.get("sfn/fulfil").unwrap()["status"]["quarantined"], json!([2]));
    tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "RolledBack");
    // The role may read alarms of this tenant's names only.
    tenant.apply(&gated(&succeeding("3"), "of-somebody-else"));
    let unread = wait_for_phase(&tenant, "Waiting");
    assert!(unread["message"].as_str().unwrap().contains("cloudwatch:DescribeAlarms"), "{unread}");
    tenant.delete_all(&operator);
}

#[test]
fn a_canary_that_proves_itself_takes_over_across_a_restart_and_a_pause_holds_it() {
    let tenant = test_bed().tenant("canary-good");
    let operator = impatient(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&canary(&tenant, &succeeding("1")));
    wait_until(Duration::from_secs(60), "the alias", || {
        Some(alias(&tenant)).filter(|alias| alias["phase"] == "Stable")
    });
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/pause=live"]);
    tenant.apply(&canary(&tenant, &succeeding("2")));
    wait_for_phase(&tenant, "Paused");
    traffic(&tenant, "order", 24);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(alias(&tenant)["phase"], "Paused");
    crate::crashes::killed(&tenant, operator);
    let operator = impatient(&tenant);
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/pause-"]);
    assert_eq!(wait_for_phase(&tenant, "Stable")["routes"], json!([{"version": 2, "weight": 100}]));
    let mut pinned = canary(&tenant, &succeeding("2"));
    pinned["spec"]["aliases"] = json!([{"name": "pinned", "version": 1}]);
    tenant.apply(&pinned);
    wait_until(Duration::from_secs(60), "the pinned alias alone", || {
        let aliases = tenant.get("sfn/fulfil")?["status"]["aliases"].clone();
        (aliases.as_array()?.len() == 1 && aliases[0]["name"] == "pinned").then_some(())
    });
    tenant.apply(&workflow_run("pinned", "fulfil", &json!({})));
    let run = tenant.wait_for(&operator, "sfnrun/pinned", "Complete", "True", "Succeeded");
    assert_eq!(run["status"]["attempts"][0]["targetARN"], format!("{}:pinned", tenant.machine_arn("fulfil")));
    tenant.delete_all(&operator);
}
