//! Runs from their start to their end, with AWS that follows its own rules.

use jiff::SignedDuration;

use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::{Faked, with};

/// The ARN of the execution of the run `order`.
pub(super) fn arn() -> String {
    MACHINE.replace(":stateMachine:", ":execution:") + ":workflowruns-order"
}

pub(super) fn add_workflow(world: &World<Faked>, spec: &Value) {
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    let role = "arn:aws:iam::111122223333:role/run";
    let whole =
        with(json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": role, "definition": definition}), spec);
    world.add("workflows", &json!({"kind": "Workflow", "metadata": {"name": "orders"}, "spec": whole}));
}

/// With a Workflow that is as its spec says.
pub(super) async fn ready(workflow: &Value) -> World<Faked> {
    let mut world = World::fake().await;
    add_workflow(&world, workflow);
    world.settle::<Workflow>("orders").await;
    world
}

/// With a run that was woken once.
pub(super) async fn woken(workflow: &Value, run: &Value) -> World<Faked> {
    let world = ready(workflow).await;
    world.add_run("order", run);
    world.wake("order").await;
    world
}

/// With a run whose execution has ended.
pub(super) async fn ended(run: &Value, ended: Ended) -> World<Faked> {
    let world = woken(&json!({}), run).await;
    world.aws.end(&arn(), ended);
    see(&world).await;
    world
}

/// Lets the run have what AWS describes.
pub(super) async fn see(world: &World<Faked>) {
    let arn = world.run("order").status.unwrap().execution_arn.unwrap();
    world.show(&arn);
    world.wake("order").await;
}

pub(super) fn status(world: &World<Faked>) -> WorkflowRunStatus {
    world.run("order").status.unwrap_or_default()
}

pub(super) fn phase(world: &World<Faked>) -> Option<Phase> {
    status(world).phase
}

fn reason(world: &World<Faked>) -> String {
    says(&world.run("order"), "Ready").0
}

#[tokio::test]
async fn a_run_starts_what_it_names() {
    let aliases = json!({"aliases": [{"name": "live", "version": 1}, {"name": "next", "version": 1}]});
    let default = json!({"aliases": [{"name": "live", "version": 1, "default": true}, {"name": "next", "version": 1}]});
    let cases = [
        ("the newest version", json!({}), json!({}), ":1"),
        ("a version", json!({}), json!({"version": 1}), ":1"),
        ("an alias", aliases.clone(), json!({"alias": "next"}), ":next"),
        ("the default alias", default, json!({}), ":live"),
        ("the newest version beside two aliases", aliases, json!({}), ":1"),
        ("the machine", json!({"versions": {"publish": "Never"}}), json!({}), ""),
    ];
    for (what, workflow, reference, target) in cases {
        let world = woken(&workflow, &json!({"workflowRef": reference})).await;
        let known = status(&world);
        assert_eq!((known.phase, known.execution_arn), (Some(Phase::Running), Some(arn())), "{what}");
        assert_eq!(known.attempts[0].target_arn, format!("{MACHINE}{target}"), "{what}");
        let started = world.aws.execution(&arn()).unwrap();
        let by_alias = target.strip_prefix(':').is_some_and(|name| name.parse::<i64>().is_err());
        assert_eq!(started.alias_arn.is_some(), by_alias, "{what}");
        assert_eq!(started.version_arn.is_some(), !target.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_waits_or_is_refused() {
    let map = |key: &str| json!({"inputFrom": {"configMapKeyRef": {"name": "inputs", "key": key}}});
    let redrive = json!({"retry": {"strategy": "Redrive", "limit": 1}});
    let restart = json!({"retry": {"strategy": "Restart", "limit": 1}});
    let (standard, express) = (json!({}), json!({"type": "Express"}));
    let cases = [
        ("no Workflow", &standard, json!({"workflowRef": {"name": "none"}}), "WorkflowNotFound"),
        ("no alias", &standard, json!({"workflowRef": {"alias": "none"}}), "AliasNotFound"),
        ("a version that is not there", &standard, json!({"workflowRef": {"version": 7}}), "NotFound"),
        (
            "no map",
            &standard,
            json!({"inputFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}),
            "ConfigMapNotFound",
        ),
        ("no key", &standard, map("none"), "ConfigMapKeyNotFound"),
        ("no JSON", &standard, map("text"), "InputInvalid"),
        ("too large", &standard, map("large"), "InputTooLarge"),
        ("two inputs", &standard, with(map("good"), &json!({"input": 1})), "InputAmbiguous"),
        ("synchronous", &standard, json!({"mode": "Sync"}), "ModeNotSupported"),
        ("Express redriven", &express, redrive, "RetryNotSupported"),
        ("Express restarted", &express, restart, "RetryNotSupported"),
        ("cancelled", &standard, json!({"cancel": {}}), "Cancelled"),
        (
            "too late",
            &standard,
            json!({"executionName": "late", "startDeadline": "2026-01-01T00:00:00Z"}),
            "StartDeadlineExceeded",
        ),
    ];
    for (what, workflow, run, told) in cases {
        let world = ready(workflow).await;
        let large = format!("\"{}\"", "x".repeat(262_144));
        world.add_config_map("inputs", &json!({"text": "{", "good": "{}", "large": large}), None);
        world.add_run("order", &run);
        world.wake("order").await;
        assert_eq!(reason(&world), told, "{what}: {:?}", says(&world.run("order"), "Ready"));
        assert!(world.aws.executions().is_empty(), "{what}");
    }
    let mut world = World::fake().await;
    add_workflow(&world, &json!({}));
    world.add_run("order", &json!({}));
    world.wake("order").await;
    assert_eq!(reason(&world), "WorkflowNotReady");
    world.settle::<Workflow>("orders").await;
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Running));
}

#[tokio::test]
async fn an_input_is_passed_on_as_it_is() {
    let world = ready(&json!({})).await;
    world.add_config_map("inputs", &json!({"good": "{\"a\": 1}"}), None);
    world.add_run("order", &json!({"inputFrom": {"configMapKeyRef": {"name": "inputs", "key": "good"}}}));
    world.wake("order").await;
    assert_eq!(world.aws.execution(&arn()).unwrap().input.as_deref(), Some("{\"a\": 1}"));
    let world = woken(&json!({}), &json!({"input": {"b": [1, null]}})).await;
    assert_eq!(world.aws.execution(&arn()).unwrap().input.as_deref(), Some("{\"b\":[1,null]}"));
    // An input that is changed afterwards changes nothing.
    world.change("workflowruns", "order", &json!({"spec": {"input": {"c": 1}}}));
    world.wake("order").await;
    assert_eq!(says(&world.run("order"), "InputChanged").0, "IgnoredAfterStart");
}

#[tokio::test]
async fn the_end_of_an_execution_is_the_end_of_its_run() {
    let cases = [
        (Ended::Well("{\"a\":1}"), Phase::Succeeded, "Succeeded", Some(json!({"a": 1})), None),
        (Ended::Failed("E"), Phase::Failed, "ExecutionFailed", None, Some("E")),
        (Ended::TimedOut, Phase::TimedOut, "TimedOut", None, None),
        (Ended::Aborted, Phase::Aborted, "Aborted", None, None),
    ];
    for (end, phase, told, output, error) in cases {
        let world = ended(&json!({}), end).await;
        let known = status(&world);
        assert_eq!((known.phase, reason(&world).as_str()), (Some(phase), told), "{end:?}");
        assert_eq!((known.output, known.error.as_deref()), (output, error), "{end:?}");
        assert!(known.finished_at.is_some() && known.duration.is_some(), "{end:?}");
        assert!(world.run("order").metadata.finalizers.unwrap_or_default().is_empty(), "{end:?}");
    }
}

#[tokio::test]
async fn a_run_that_failed_names_the_state() {
    let world = woken(&json!({}), &json!({})).await;
    let task = [
        ("ExecutionStarted", None),
        ("TaskStateEntered", Some("Pay")),
        ("TaskFailed", None),
        ("ExecutionFailed", None),
    ];
    world.aws.tell(&arn(), &task);
    world.aws.end(&arn(), Ended::Failed("E"));
    see(&world).await;
    assert_eq!(status(&world).failed_state.as_deref(), Some("Pay"));
    assert!(says(&world.run("order"), "Ready").1.contains("in state \"Pay\": E: because"));
    // What cannot be read is left out.
    let world = woken(&json!({}), &json!({})).await;
    world.aws.fail("GetExecutionHistory", "AccessDeniedException");
    world.aws.end(&arn(), Ended::Failed("E"));
    see(&world).await;
    assert_eq!((phase(&world), status(&world).failed_state), (Some(Phase::Failed), None));
}

#[tokio::test]
async fn a_watched_run_says_where_it_is() {
    let world = woken(&json!({}), &json!({})).await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/watch", "true");
    let map = "arn:aws:states:eu-west-1:111122223333:mapRun:shop_orders/Each:1";
    let events = [
        ("ExecutionStarted", None),
        ("MapStateEntered", Some("Each")),
        ("MapStateStarted", None),
        ("MapRunStarted", Some(map)),
    ];
    world.aws.tell(&arn(), &events);
    world.aws.set_map_run(map, 4, 10);
    world.wake("order").await;
    let known = status(&world);
    assert_eq!((known.current_states, known.progress_percent), (vec!["Each".to_owned()], Some(40)));
    assert_eq!(known.state.as_deref(), Some("Each (40 %)"));
    let looks = world.aws.calls("GetExecutionHistory");
    world.wake("order").await;
    assert_eq!(world.aws.calls("GetExecutionHistory"), looks, "not more often than that");
    world.annotate::<WorkflowRun>("order", "stepbound.dev/watch", "2026-01-01T00:00:00Z");
    world.wake("order").await;
    assert_eq!(status(&world).current_states, Vec::<String>::new(), "the watch is over");
}

#[tokio::test]
async fn a_run_is_stopped_when_it_is_cancelled_or_out_of_time() {
    for (run, cancel, phase_then, error) in [
        (json!({}), true, Phase::Aborted, "Stepbound.Cancelled"),
        (json!({"timeout": "1ms"}), false, Phase::TimedOut, "Stepbound.TimedOut"),
    ] {
        let world = woken(&json!({}), &run).await;
        if cancel {
            world.change("workflowruns", "order", &json!({"spec": {"cancel": {"reason": "enough"}}}));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        world.wake("order").await;
        assert_eq!(says(&world.run("order"), "Ready").0, "Stopping");
        assert_eq!(world.aws.execution(&arn()).unwrap().error.as_deref(), Some(error));
        see(&world).await;
        assert_eq!(phase(&world), Some(phase_then));
    }
    let own_key = json!({"encryption": {"kmsKeyID": "alias/orders"}});
    let world = woken(&own_key, &json!({})).await;
    world.change("workflowruns", "order", &json!({"spec": {"cancel": {"reason": "enough"}}}));
    world.wake("order").await;
    let stopped = world.aws.execution(&arn()).unwrap();
    assert_eq!(
        (stopped.stopped_at.is_some(), stopped.error),
        (true, None),
        "error and cause would need a right to the key"
    );
}

#[tokio::test]
async fn a_stop_that_is_refused_is_asked_for_again() {
    let mut world = woken(&json!({}), &json!({})).await;
    world.aws.fail_next("StopExecution", "AccessDeniedException");
    world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}}));
    world.wake("order").await;
    assert_eq!((reason(&world).as_str(), phase(&world)), ("AccessDenied", Some(Phase::Running)));
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert!(world.aws.execution(&arn()).unwrap().stopped_at.is_some());
}

#[tokio::test]
async fn a_run_that_is_deleted_stops_what_it_started_unless_it_is_to_be_left() {
    type Take = fn(&World<Faked>);
    type Case = (&'static str, Value, Take, (bool, bool, bool));
    let nothing: Take = |_| {};
    let held: Take = |world| {
        world.remove_account();
        world.aws.sessions.hold();
    };
    // Whether the run goes, its execution runs on, and that is told.
    let cases: [Case; 6] = [
        ("as usual", json!({}), nothing, (true, false, false)),
        ("left alone", json!({"deletionPolicy": "Orphan"}), nothing, (true, true, false)),
        ("no account", json!({}), |world| world.remove_account(), (true, true, true)),
        ("a session held", json!({}), held, (true, false, false)),
        (
            "no binding",
            json!({}),
            |world| world.remove::<crate::api::v1alpha1::TrustBinding>("orders"),
            (true, true, true),
        ),
        ("throttled", json!({}), |world| world.aws.fail("StopExecution", "ThrottlingException"), (false, true, false)),
    ];
    for (what, run, take, expected) in cases {
        let world = woken(&json!({}), &run).await;
        take(&world);
        world.forget_authorized().await;
        world.delete::<WorkflowRun>("order");
        world.wake("order").await;
        let runs = world.aws.execution(&arn()).unwrap().stopped_at.is_none();
        let told = world.reasons().contains(&"Orphaned".to_owned());
        assert_eq!((world.is_gone::<WorkflowRun>("order"), runs, told), expected, "{what}");
    }
}

#[tokio::test]
async fn what_may_have_been_started_is_stopped_once_it_is_seen() {
    // The answer was lost, or the process died: the execution may be there, and may come yet.
    let mut world = ready(&json!({})).await;
    world.add_run("order", &json!({}));
    world.aws.lose_answer("StartExecution");
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Starting));
    // It was repeated ever since it was recorded.
    let mut attempt = serde_json::to_value(&status(&world).attempts[0]).unwrap();
    attempt["recordedAt"] = json!("2026-01-01T00:00:00Z");
    world.change("workflowruns", "order", &json!({"status": {"attempts": [attempt]}}));
    world.delete::<WorkflowRun>("order");
    world.wake("order").await;
    assert!(world.aws.execution(&arn()).unwrap().stopped_at.is_some());
    assert!(!world.is_gone::<WorkflowRun>("order"), "it is stopped again, should it land later");
    world.delete_at::<WorkflowRun>("order", Timestamp::now() - SignedDuration::from_mins(1));
    world.settle::<WorkflowRun>("order").await;
    assert!(world.is_gone::<WorkflowRun>("order"));
}

#[tokio::test]
async fn a_finished_run_goes_when_its_time_has_passed() {
    for (ttl, gone) in [("1h", false), ("1ms", true)] {
        let mut world = ended(&json!({"ttlAfterFinished": ttl}), Ended::Well("{}")).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(world.names::<WorkflowRun>().is_empty(), gone, "{ttl}");
    }
    // What AWS refuses for a moment is asked for again.
    let mut world = ended(&json!({"ttlAfterFinished": "1ms"}), Ended::Well("{}")).await;
    world.refuse("DELETE", "/workflowruns/order", 500, 1);
    tokio::time::sleep(Duration::from_millis(3)).await;
    world.settle::<WorkflowRun>("order").await;
    assert!(world.names::<WorkflowRun>().is_empty());
}

#[tokio::test]
async fn an_output_is_stored_where_the_run_wants_it() {
    let long = Box::leak(format!("\"{}\"", "x".repeat(100)).into_boxed_str());
    for (store, in_status, in_map) in [("Status", true, false), ("None", false, false), ("ConfigMap", false, true)] {
        let world = ended(&json!({"output": {"store": store}}), Ended::Well(long)).await;
        assert_eq!(status(&world).output.is_some(), in_status, "{store}");
        let data = world.data_of("order-output");
        assert_eq!(data["output.json"] == *long, in_map, "{store}");
    }
}

#[tokio::test]
async fn an_output_that_may_not_be_stored_is_owed() {
    for (gone, told) in [(false, "Stored"), (true, "Expired")] {
        let world = woken(&json!({}), &json!({"output": {"store": "ConfigMap"}})).await;
        world.refuse("POST", "/configmaps", 403, 1);
        world.aws.end(&arn(), Ended::Well("{}"));
        see(&world).await;
        assert_eq!(says(&world.run("order"), "OutputStored").0, "Forbidden");
        assert_eq!(phase(&world), Some(Phase::Succeeded));
        if gone {
            world.aws.forget_execution(&arn());
        }
        world.wake("order").await;
        assert_eq!(says(&world.run("order"), "OutputStored").0, told);
    }
}

#[tokio::test]
async fn a_start_is_resumed_by_what_is_there() {
    // What became of the recorded start, and of the object since.
    let lost = async || {
        let world = ready(&json!({})).await;
        world.add_run("order", &json!({"input": {"a": 1}}));
        world.aws.lose_answer("StartExecution");
        world.wake("order").await;
        world
    };
    let mut world = lost().await;
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.executions().len()), (Some(Phase::Running), 1));
    // It has ended meanwhile: the name is taken by itself.
    let mut world = lost().await;
    world.aws.end(&arn(), Ended::Well("{}"));
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), status(&world).adopted), (Some(Phase::Running), false));
    see(&world).await;
    assert_eq!(phase(&world), Some(Phase::Succeeded));
    // With another input it is looked for and not started.
    let mut world = lost().await;
    world.change("workflowruns", "order", &json!({"spec": {"input": {"a": 2}}}));
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), world.aws.calls("StartExecution")), (Some(Phase::Running), 1));
    let mut world = lost().await;
    world.aws.forget_execution(&arn());
    let mut attempt = serde_json::to_value(&status(&world).attempts[0]).unwrap();
    attempt["recordedAt"] = past();
    world.change("workflowruns", "order", &json!({"spec": {"input": {"a": 2}}, "status": {"attempts": [attempt]}}));
    world.restart().await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((reason(&world).as_str(), world.aws.calls("StartExecution")), ("InputChanged", 1));
}

#[tokio::test]
async fn an_execution_that_aws_does_not_have_any_more_is_told() {
    let world = woken(&json!({}), &json!({})).await;
    world.aws.forget_execution(&arn());
    world.wake("order").await;
    assert_eq!(phase(&world), Some(Phase::Running), "absence proves nothing");
}

#[tokio::test]
async fn runs_wait_in_line_where_their_workflow_bounds_them() {
    let world = ready(&json!({"maxConcurrentRuns": 1})).await;
    for name in ["order", "second"] {
        world.add_run(name, &json!({}));
        world.wake(name).await;
    }
    assert_eq!(phase(&world), Some(Phase::Running));
    let (reason, message) = says(&world.run("second"), "Ready");
    assert_eq!(reason, "Queued");
    assert!(message.contains("Position 1 of 1") && message.contains("allows 1"), "{message}");
    world.aws.end(&arn(), Ended::Well("{}"));
    see(&world).await;
    world.wake("order").await;
    world.wake("second").await;
    assert_eq!(world.run("second").status.unwrap().phase, Some(Phase::Running));
}

#[tokio::test]
async fn a_guardrail_holds_starts_and_limits_them() {
    let rails = json!({"maxConcurrentRuns": 1});
    let mut world = World::fake_with(|_| {}, Some(&rails)).await;
    add_workflow(&world, &json!({}));
    world.settle::<Workflow>("orders").await;
    for name in ["order", "second"] {
        world.add_run(name, &json!({}));
        world.wake(name).await;
    }
    assert_eq!(phase(&world), Some(Phase::Running));
    assert_eq!(says(&world.run("second"), "Ready").0, "Queued");
    let rails = json!({"requireAlias": true});
    let mut world = World::fake_with(|_| {}, Some(&rails)).await;
    add_workflow(&world, &json!({"aliases": [{"name": "live", "version": 1}]}));
    world.settle::<Workflow>("orders").await;
    world.add_run("order", &json!({"workflowRef": {"version": 1}}));
    world.wake("order").await;
    assert_eq!(reason(&world), "RefusedByGuardrail");
    assert!(world.aws.executions().is_empty());
}
