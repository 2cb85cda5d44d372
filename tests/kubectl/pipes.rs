//! What goes on to be told, into a pipe whose reader has seen enough.

use std::io::Read;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::{Api, Ended, ago};

/// What `head -n 1` shows of the verb, and how that ends although nothing more happens.
fn behind_head(api: &Api, arguments: &[&str]) -> Ended {
    let mut child = api.begin(arguments);
    let head = Command::new("head").args(["-n", "1"]).stdin(child.stdout.take().unwrap()).output().unwrap();
    let mut ended = Ended { code: code(&mut child, arguments), ..Ended::of(&head) };
    child.stderr.take().unwrap().read_to_string(&mut ended.said).unwrap();
    ended
}

fn code(child: &mut Child, arguments: &[&str]) -> i32 {
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status.code().unwrap_or(-1),
            None if begun.elapsed() < Duration::from_secs(60) => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill().unwrap();
                panic!("{arguments:?} goes on though nobody reads it");
            }
        }
    }
}

fn asked(api: &Api, method: &str) -> usize {
    api.asked().iter().filter(|one| one.starts_with(method) && one.contains("executionhistories")).count()
}

#[test]
fn a_watch_behind_head_ends_quietly_and_does_not_say_that_the_run_succeeded() {
    let api = Api::start();
    api.workflow("fulfil");
    let times = json!({"startedAt": ago(60), "finishedAt": ago(1), "error": "Broken"});
    let with = |phase: &str| {
        let mut status = times.clone();
        status["phase"] = json!(phase);
        status
    };
    api.run("order", &with("Running"));
    let ended = behind_head(&api, &["watch", "order"]);
    assert_eq!((ended.code, ended.said.as_str()), (6, ""), "{ended:?}");
    assert!(ended.out.ends_with(" order Running\n") && ended.out.lines().count() == 1, "{ended:?}");
    assert_eq!((asked(&api, "POST"), asked(&api, "DELETE")), (1, 1), "the wish to follow it is taken back");
    // Where its end is known, the code says it.
    api.run("order", &with("Failed"));
    let ended = behind_head(&api, &["watch", "order"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.said.starts_with("Broken\n"), "{ended:?}");
    assert_eq!(behind_head(&api, &["wait", "order"]).code, 1);

    for how in ["--watch", "--wait"] {
        let ended = behind_head(&api, &["run", "fulfil", "--name", "one", how]);
        assert_eq!((ended.code, ended.said.as_str()), (6, ""), "{how}: {ended:?}");
        assert_eq!(ended.out, "workflowrun.stepbound.dev/one created\n");
    }
    assert_eq!((asked(&api, "POST"), asked(&api, "DELETE")), (2, 2));
}

#[test]
fn a_wait_that_nobody_reads_any_more_ends() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    let mut child = api.begin(&["wait", "order"]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "while somebody reads it goes on");
    drop(child.stdout.take());
    assert_eq!(code(&mut child, &["wait", "order"]), 6);
}

#[test]
fn logs_behind_head_end_quietly_and_well() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    let event = |id: i64| json!({"id": id, "type": "PassStateEntered", "timestamp": "2026-01-01T08:59:32.000000Z", "state": "Pick"});
    let page = |number: i64| {
        api.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistoryPage",
            "metadata": {"name": format!("order-x7k2p-{number}"), "namespace": "shop"}, "spec": {"number": number, "events": [event(number)]}}));
    };
    let history = |pages: i64| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory",
            "metadata": {"name": "order-x7k2p", "namespace": "shop", "resourceVersion": "9"},
            "spec": {"workflowRunRef": {"name": "order"}}, "status": {"phase": "Reading", "pages": pages}})
    };
    page(1);
    api.world.lock().unwrap().news.insert("executionhistories".into(), vec![history(1)]);
    let ended = behind_head(&api, &["logs", "order", "--follow"]);
    assert_eq!((ended.code, ended.said.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.out.lines().count(), 1, "{ended:?}");
    assert_eq!((asked(&api, "POST"), asked(&api, "DELETE")), (1, 1), "the history is not left behind");
}

#[test]
fn the_status_of_a_rollout_behind_head_does_not_say_that_it_is_done() {
    let api = Api::start();
    api.workflow("fulfil");
    let rolling = |message: &str| {
        let mut workflow = api.world.lock().unwrap().objects[&("workflows".to_owned(), "fulfil".to_owned())].clone();
        workflow["spec"]["aliases"] =
            json!([{"name": "live", "rollout": {"strategy": "Canary", "percent": 10, "interval": "10m"}}]);
        // Without one a watch would begin anew.
        workflow["metadata"]["resourceVersion"] = json!("9");
        workflow["status"] = json!({"versions": [3, 4], "latestVersion": {"ARN": "arn", "number": 4}, "aliases": [{"name": "live",
            "ARN": "arn", "routes": [{"version": 3, "weight": 90}, {"version": 4, "weight": 10}], "phase": "RollingOut", "target": 4,
            "message": message}]});
        api.put(workflow);
    };
    rolling("Version 4 gets 10 %.");
    let ended = behind_head(&api, &["rollout", "status", "fulfil"]);
    assert_eq!((ended.code, ended.said.as_str()), (6, ""), "{ended:?}");
    assert!(ended.out.contains("Version 4 gets 10 %."), "{ended:?}");
}
