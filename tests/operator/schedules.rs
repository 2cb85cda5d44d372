//! Runs by the clock.

use crate::*;

const DAY: i64 = 86_400;

fn schedule(name: &str, more: &Value) -> Value {
    // Due once a year, so that only what a test does makes it due.
    let mut spec = json!({"schedule": "0 0 1 1 *", "runTemplate": {"spec": {"workflowRef": {"name": "fulfil"}}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": name}, "spec": spec})
}

/// Lets a schedule believe that the run of so many seconds ago was its last.
fn last_ran(tenant: &Tenant, name: &str, seconds_ago: i64) {
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
    let patch = json!({"status": {"lastScheduleTime": jiff::Timestamp::from_second(past.as_second()).unwrap()}});
    let resource = format!("workflowschedule/{name}");
    tenant.kubectl(&["patch", &resource, "--subresource=status", "--type=merge", "-p", &patch.to_string()]);
    // A change of status wakes nobody: in earnest the operator was away meanwhile.
    tenant.kubectl(&["annotate", &resource, &format!("stepbound.dev/reconcile-now={seconds_ago}"), "--overwrite"]);
}

fn runs_of(tenant: &Tenant, name: &str) -> Vec<Value> {
    let selector = format!("stepbound.dev/schedule={name}");
    let listed: Value =
        serde_json::from_str(&tenant.kubectl(&["get", "sfnrun", "-l", &selector, "-o", "json"])).unwrap();
    listed["items"].as_array().unwrap().clone()
}

fn phase(run: &Value) -> &str {
    run["status"]["phase"].as_str().unwrap_or("Pending")
}

/// Waits for as many runs of the schedule as fit.
fn wait_for_runs(tenant: &Tenant, name: &str, what: &str, fit: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    wait_until(Duration::from_secs(90), what, || {
        let runs = runs_of(tenant, name);
        fit(&runs).then_some(runs)
    })
}

#[test]
fn a_schedule_runs_each_minute_and_what_it_ran_goes_with_it() {
    let (tenant, operator) = with_workflow("minutely", 0);
    let mut every_minute = schedule("tick", &json!({"schedule": "* * * * *", "timeZone": "Asia/Kolkata"}));
    every_minute["spec"]["runTemplate"]["spec"]["input"] = json!({"by": "the clock"});
    every_minute["spec"]["runTemplate"]["metadata"] = json!({"labels": {"team": "shop"}});
    let applied = jiff::Timestamp::now().as_second();
    tenant.apply(&every_minute);
    tenant.wait_for(&operator, "sfncron/tick", "Ready", "True", "Scheduled");
    let due = (applied.div_euclid(60) + 1) * 60;
    let left = u64::try_from(due - jiff::Timestamp::now().as_second()).unwrap_or(0);
    std::thread::sleep(Duration::from_secs(left));
    let run = wait_for_runs(&tenant, "tick", "the run of the next minute", |runs| !runs.is_empty())[0].clone();
    let created: jiff::Timestamp = run["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    assert!((0..=5).contains(&(created.as_second() - due)), "due {due}, created {created}");
    assert_eq!(run["metadata"]["name"], format!("tick-{}", due / 60));
    assert_eq!(run["metadata"]["labels"]["team"], "shop");
    assert!(run["metadata"]["annotations"]["stepbound.dev/scheduled-at"].as_str().unwrap().ends_with("+05:30"));
    let uid = tenant.get("sfncron/tick").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(run["spec"]["executionName"], format!("{uid}-{}", due / 60));
    let name = format!("sfnrun/tick-{}", due / 60);
    let ended = tenant.wait_for(&operator, &name, "Complete", "True", "Succeeded");
    assert_eq!(ended["status"]["output"], json!({"by": "the clock"}));
    let known = wait_until(Duration::from_secs(60), "the success is known", || {
        let object = tenant.get("sfncron/tick")?;
        object["status"]["lastSuccessfulTime"].is_string().then_some(object)
    });
    assert_eq!(known["status"]["activeRuns"], 0);
    let last: jiff::Timestamp = known["status"]["lastScheduleTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(last.as_second(), due);
    tenant.kubectl(&["delete", "sfncron/tick", "--timeout=20s"]);
    wait_for_runs(&tenant, "tick", "its runs are gone", <[Value]>::is_empty);
}

#[test]
fn of_many_missed_times_one_is_made_up_for_and_its_minute_never_runs_twice() {
    let (tenant, operator) = with_workflow("missed", 0);
    tenant.apply(&schedule("daily", &json!({"schedule": "0 0 * * *"})));
    tenant.wait_for(&operator, "sfncron/daily", "Ready", "True", "Scheduled");
    assert_eq!(runs_of(&tenant, "daily").len(), 0, "nothing is due before the first time");
    last_ran(&tenant, "daily", 200 * DAY);
    let run = wait_for_runs(&tenant, "daily", "the latest missed run", |runs| !runs.is_empty())[0].clone();
    let name = run["metadata"]["name"].as_str().unwrap().to_owned();
    let resource = format!("sfnrun/{name}");
    let scheduled = jiff::Timestamp::now().as_second().div_euclid(DAY) * DAY;
    assert_eq!(name, format!("daily-{}", scheduled / 60));
    tenant.wait_for(&operator, &resource, "Complete", "True", "Succeeded");
    let told = tenant.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(told.contains("TooManyMissedTimes"), "{told}");
    // The run is deleted and the record of it lost: AWS knows the name of the execution, which is then found again.
    tenant.kubectl(&["delete", &resource, "--timeout=20s"]);
    last_ran(&tenant, "daily", 3 * DAY);
    wait_until(Duration::from_secs(90), "the run is there again", || {
        tenant.get(&resource).filter(|run| phase(run) == "Succeeded")
    });
    assert_eq!(executions(&tenant).len(), 1);
    assert_eq!(runs_of(&tenant, "daily").len(), 1);
}

#[test]
fn what_missed_its_deadline_is_told_and_not_run() {
    let (tenant, operator) = with_workflow("too-late", 0);
    // The first of January lies back more than ten minutes on most days of a year; a day is added for the others.
    tenant.apply(&schedule("yearly", &json!({"startingDeadlineSeconds": 600})));
    tenant.wait_for(&operator, "sfncron/yearly", "Ready", "True", "Scheduled");
    last_ran(&tenant, "yearly", 500 * DAY);
    let missed = wait_until(Duration::from_secs(60), "the miss is known", || {
        let object = tenant.get("sfncron/yearly")?;
        object["status"]["lastMissedTime"].is_string().then_some(object)
    });
    assert!(missed["status"]["lastMissedTime"].as_str().unwrap().contains("-01-01T00:00:00Z"), "{missed}");
    assert_eq!(runs_of(&tenant, "yearly").len(), 0);
    let told = tenant.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert_eq!(told.matches("MissSchedule").count(), 1, "{told}");
}

/// A run as the schedule would have created it earlier.
fn owned_run(tenant: &Tenant, schedule: &str, name: &str) -> Value {
    let uid = tenant.get(&format!("sfncron/{schedule}")).unwrap()["metadata"]["uid"].clone();
    let mut run = workflow_run(name, "fulfil", &json!({}));
    run["metadata"]["labels"] = json!({"stepbound.dev/schedule": schedule});
    run["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "name": schedule, "uid": uid, "controller": true,
    }]);
    run
}

#[test]
fn forbid_waits_for_the_active_run_and_replace_stops_it_first() {
    let (tenant, operator) = with_workflow("policies", 8);
    for (name, policy, reason, end) in
        [("forbid", "Forbid", "RunActive", "Succeeded"), ("replace", "Replace", "Replacing", "Aborted")]
    {
        let resource = format!("sfncron/{name}");
        tenant.apply(&schedule(name, &json!({"schedule": "0 0 * * *", "concurrencyPolicy": policy})));
        tenant.wait_for(&operator, &resource, "Ready", "True", "Scheduled");
        let older = format!("{name}-older");
        tenant.apply(&owned_run(&tenant, name, &older));
        wait_for_runs(&tenant, name, "the older run is under way", |runs| phase(&runs[0]) == "Running");
        last_ran(&tenant, name, 2 * DAY);
        wait_until(Duration::from_secs(60), "it is told that the due run waits", || {
            tenant.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).contains(reason).then_some(())
        });
        let both = wait_for_runs(&tenant, name, "the second run", |runs| runs.len() == 2);
        let old = both.iter().find(|run| run["metadata"]["name"] == older.as_str()).unwrap();
        let new = both.iter().find(|run| run["metadata"]["name"] != older.as_str()).unwrap();
        assert_eq!(phase(old), end);
        let second = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        let (ended, begun) = (second(&old["status"]["finishedAt"]), second(&new["metadata"]["creationTimestamp"]));
        assert!(begun >= ended, "never two at a time: {ended} {begun}");
        wait_until(Duration::from_secs(60), "nothing waits any more", || {
            condition(&tenant.get(&resource)?, "Waiting").is_none().then_some(())
        });
        tenant.kubectl(&["delete", &resource, "--timeout=20s"]);
    }
}

#[test]
fn history_beyond_the_limits_is_deleted_and_bad_schedules_are_refused_or_explained() {
    let (tenant, operator) = with_workflow("history", 0);
    tenant.apply(&schedule("kept", &json!({"successfulRunsHistoryLimit": 1, "failedRunsHistoryLimit": 0})));
    tenant.wait_for(&operator, "sfncron/kept", "Ready", "True", "Scheduled");
    for index in 0..3 {
        tenant.apply(&owned_run(&tenant, "kept", &format!("kept-{index}")));
    }
    let mut failing = owned_run(&tenant, "kept", "kept-failing");
    failing["spec"]["cancel"] = json!({"reason": "it never starts"});
    tenant.apply(&failing);
    let left = wait_for_runs(&tenant, "kept", "only one run is kept", |runs| {
        runs.len() == 1 && phase(&runs[0]) == "Succeeded"
    });
    assert_ne!(left[0]["metadata"]["name"], "kept-failing");
    assert!(tenant.get("sfncron/kept").unwrap()["status"]["lastSuccessfulTime"].is_string());
    let long = "n".repeat(53);
    for (name, more, said) in [
        ("zone-inside", json!({"schedule": "TZ=UTC * * * * *"}), "use timeZone instead"),
        (&*long, json!({}), "at most 52 characters"),
        ("shape", json!({"schedule": "every day"}), "spec.schedule"),
        ("policy", json!({"concurrencyPolicy": "Maybe"}), "concurrencyPolicy"),
    ] {
        let refused = tenant.try_apply(&schedule(name, &more)).unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
    let mut forged = schedule("forged", &json!({}));
    forged["spec"]["runTemplate"]["metadata"] = json!({"annotations": {"stepbound.dev/requested-by": "somebody"}});
    assert!(tenant.try_apply(&forged).unwrap_err().contains("must not start with stepbound.dev/"));
    for (name, more, reason) in [
        ("sunday", json!({"schedule": "0 0 * * 7"}), "ScheduleInvalid"),
        ("never", json!({"schedule": "0 0 31 2 *"}), "ScheduleNeverDue"),
        ("nowhere", json!({"timeZone": "Europe/Atlantis"}), "TimeZoneUnknown"),
        (
            "labelled",
            json!({"runTemplate": {"metadata": {"labels": {"team": "my team"}}, "spec": {"workflowRef": {"name": "w"}}}}),
            "RunTemplateInvalid",
        ),
    ] {
        tenant.apply(&schedule(name, &more));
        tenant.wait_for(&operator, &format!("sfncron/{name}"), "Stalled", "True", reason);
    }
    tenant.apply(&schedule("suspended", &json!({"suspend": true})));
    tenant.wait_for(&operator, "sfncron/suspended", "Ready", "True", "Suspended");
}
