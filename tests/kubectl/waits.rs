//! What is told while a verb waits, and what is left when it is ended.

use serde_json::{Value, json};

use crate::api::{Api, Ended, ago, until};

fn histories(api: &Api, method: &str) -> usize {
    api.asked().iter().filter(|one| one.starts_with(method) && one.contains("executionhistories")).count()
}

fn not_ready(reason: &str, message: &str) -> Value {
    json!([{"type": "Ready", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}])
}

#[test]
fn no_history_is_left_behind_however_the_verb_is_ended() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    for verb in ["logs", "watch"] {
        for signal in ["-INT", "-TERM", "-HUP"] {
            let before = (histories(&api, "WATCH"), histories(&api, "DELETE"));
            let child = api.begin(&[verb, "order"]);
            until("it watches", || histories(&api, "WATCH") > before.0);
            let ended = Ended::by(child, signal);
            assert_eq!(ended.code, 6, "{verb} {signal}: {ended:?}");
            assert!(ended.said.contains("\nStopped waiting: "), "{verb} {signal}: {ended:?}");
            assert_eq!(histories(&api, "DELETE"), before.1 + 1, "{verb} {signal}");
        }
    }
    let failed = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory",
        "metadata": {"name": "order-x7k2p", "namespace": "shop", "resourceVersion": "9"},
        "spec": {"workflowRunRef": {"name": "order"}}, "status": {"phase": "Failed",
            "conditions": not_ready("HistoryNotSupported", "Express logs nothing.")}});
    api.world.lock().unwrap().news.insert("executionhistories".into(), vec![failed]);
    let before = histories(&api, "DELETE");
    let ended = api.ends(&["logs", "order"]);
    assert!(ended.code == 3 && ended.said.contains("HistoryNotSupported: Express logs nothing."), "{ended:?}");
    assert_eq!(histories(&api, "DELETE"), before + 1);
}

#[test]
fn why_a_run_waits_is_told_while_it_is_waited_for_and_at_the_end_of_the_waiting() {
    let api = Api::start();
    let waits = |phase: &str, reason: &str, message: &str| {
        api.run("order", &json!({"phase": phase, "conditions": not_ready(reason, message)}))
    };
    for verb in ["wait", "watch", "logs"] {
        let second = waits("Pending", "Queued", "It is third.");
        waits("Pending", "AliasNotFound", "There is no alias.");
        api.world.lock().unwrap().news.insert("workflowruns".into(), vec![second]);
        let ended = api.ends(&[verb, "order", "--timeout", "8s"]);
        assert_eq!(ended.code, 6, "{verb}: {ended:?}");
        let told =
            ["waits: AliasNotFound: There is no alias.\n", "WorkflowRun \"order\" waits: Queued: It is third.\n"];
        assert!(told.iter().all(|told| ended.said.matches(told).count() == 1), "{verb}: {ended:?}");
        let stopped =
            "Stopped waiting after 8s: WorkflowRun \"order\" still waits: Queued: It is third. See it again: ";
        assert!(ended.said.contains(stopped), "{verb}: {ended:?}");
    }
    // An Express run whose log may not be read runs, and is not seen to end.
    waits("Running", "AccessDenied", "The log may not be read.");
    let ended = api.ends(&["wait", "order", "--timeout", "5s"]);
    assert!(ended.said.contains("waits: AccessDenied: The log may not be read."), "{ended:?}");
}

#[test]
fn a_redrive_that_is_refused_is_told_as_such() {
    let api = Api::start();
    let status = json!({"phase": "Failed", "startedAt": ago(60), "finishedAt": ago(50), "executionARN": "arn",
        "redrive": {"count": 0, "possible": true}, "error": "Broken", "timeline": {"visits": [{"path": "/States/Pick",
            "state": "Pick", "result": "Failed", "enteredAt": "2026-01-01T00:00:01.000000Z",
            "exitedAt": "2026-01-01T00:00:02.000000Z"}]}});
    api.put(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "order.1", "namespace": "shop"},
        "involvedObject": {"name": "order"}, "reason": "RedriveRefused", "eventTime": ago(-60).replace('Z', ".000000Z"),
        "message": "Guardrail \"night\" refuses it. Create another run."}));
    for how in ["--wait", "--watch"] {
        api.run("order", &status);
        let child = api.begin(&["redrive", "order", how]);
        let asked = || {
            let world = api.world.lock().unwrap();
            world.objects[&("workflowruns".to_owned(), "order".to_owned())].clone()
        };
        let token = || asked()["metadata"]["annotations"]["stepbound.dev/redrive"].clone();
        until("it is asked for", || token().is_string());
        let mut refused = asked();
        refused["status"]["lastHandled"] = json!({"redrive": token()});
        {
            let mut world = api.world.lock().unwrap();
            world.objects.insert(("workflowruns".to_owned(), "order".to_owned()), refused.clone());
            world.later.insert("workflowruns".to_owned(), vec![refused]);
        }
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(ended.code, 3, "{how}: {ended:?}");
        assert_eq!(ended.out, "workflowrun.stepbound.dev/order is being redriven\n", "{how}");
        let told = "WorkflowRun \"order\" was not redriven, the operator refused: Guardrail \"night\" refuses it. Create another run: kubectl sfn retry order";
        assert!(ended.said.contains(told), "{how}: {ended:?}");
        api.world.lock().unwrap().later.clear();
    }
}

#[test]
fn what_was_cancelled_is_not_redriven() {
    let api = Api::start();
    let mut run = api.run(
        "order",
        &json!({"phase": "Aborted", "startedAt": ago(60), "finishedAt": ago(50), "executionARN": "arn",
            "redrive": {"count": 0, "possible": true}}),
    );
    run["spec"]["cancel"] = json!({"reason": "enough"});
    api.put(run);
    let ended = api.ends(&["redrive", "order", "-n", "shop"]);
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    let told = "spec.cancel is set and cannot be taken back. Create another run: kubectl sfn retry order -n shop";
    assert!(ended.said.contains(told), "{ended:?}");
    assert!(!api.asked().iter().any(|asked| asked.starts_with("PATCH")));
}

#[test]
fn a_rollout_that_is_held_says_how_to_let_it_go_on() {
    let api = Api::start();
    api.workflow("fulfil");
    {
        let mut world = api.world.lock().unwrap();
        let workflow = world.objects.get_mut(&("workflows".to_owned(), "fulfil".to_owned())).unwrap();
        workflow["metadata"]["resourceVersion"] = json!("9");
        workflow["spec"]["aliases"] =
            json!([{"name": "live", "rollout": {"strategy": "Canary", "percent": 10, "interval": "10m"}}]);
        workflow["status"] = json!({"versions": [3, 4], "latestVersion": {"ARN": "arn", "number": 4}, "aliases": [{"name": "live",
            "ARN": "arn", "routes": [{"version": 3, "weight": 90}, {"version": 4, "weight": 10}], "phase": "Paused", "target": 4}]});
    }
    let next = "Next: kubectl sfn rollout resume fulfil --alias live\n";
    let ended = api.ends(&["rollout", "status", "fulfil", "--timeout", "5s"]);
    assert!(ended.code == 6 && ended.said.starts_with(next), "{ended:?}");
    let stopped = "Stopped waiting after 5s: the rollout of workflow \"fulfil\" is paused. Let it go on: kubectl sfn rollout resume fulfil --alias live. See it again: ";
    assert!(ended.said.contains(stopped), "{ended:?}");
    let ended = api.ends(&["rollout", "status", "fulfil", "--watch=false"]);
    assert_eq!((ended.code, ended.said.as_str()), (0, next));
}
