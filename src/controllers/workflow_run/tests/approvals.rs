//! Four eyes: what waits starts only as somebody else has approved it, whichever door it comes by.

use super::life::{add_workflow, arn, phase, status};
use super::*;
use crate::aws::fake::Ended;
use crate::controllers::stand_in::{Faked, with};
use crate::digest::sha256_hex;

const APPROVALS: &str = "/apis/stepbound.dev/v1alpha1/namespaces/shop/approvals";
const POLICY: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/system-stepbound-approvals";

fn careful(more: &Value) -> Value {
    with(json!({"approval": {"required": true, "timeout": "1h"}}), more)
}

/// With the chart's policies, a Workflow and a run of alice's that was woken once.
async fn waiting_with(workflow: &Value, rails: Option<&Value>, run: &Value) -> World<Faked> {
    let mut world = World::fake_with(|_| {}, rails).await;
    world.install_policies().await;
    add_workflow(&world, workflow);
    world.settle::<Workflow>("orders").await;
    add_run_of(&world, "order", "alice", run);
    world.wake("order").await;
    world
}

async fn waiting() -> World<Faked> {
    waiting_with(&careful(&json!({})), None, &json!({"input": {"a": 1}})).await
}

fn add_run_of(world: &World<Faked>, name: &str, requester: &str, spec: &Value) {
    world.add_run(name, spec);
    world.annotate::<WorkflowRun>(name, "stepbound.dev/requested-by", requester);
}

fn approval(world: &World<Faked>, name: &str) -> Option<Value> {
    world.object(&format!("{APPROVALS}/{name}"))
}

fn request(world: &World<Faked>) -> Value {
    approval(world, "order-1").unwrap()["spec"]["request"].clone()
}

fn decide(world: &World<Faked>, name: &str, by: &str, verdict: &str) {
    let digest = approval(world, name).unwrap()["spec"]["request"]["digest"].clone();
    let decision = json!({"verdict": verdict, "digest": digest, "by": by});
    world.change("approvals", name, &json!({"spec": {"decision": decision}}));
}

fn ready(world: &World<Faked>) -> (String, String) {
    says(&world.run("order"), "Ready")
}

fn nothing_started(world: &World<Faked>, what: &str) {
    let (known, (reason, message)) = (status(world), ready(world));
    assert!(world.aws.executions().is_empty(), "{what}: {reason} {message}");
    assert_eq!((world.aws.calls("StartExecution"), known.attempts.len()), (0, 0), "{what}: {reason} {message}");
}

#[tokio::test]
async fn a_run_waits_until_somebody_else_approves_and_starts_as_just_that() {
    let world = waiting().await;
    nothing_started(&world, "asked for");
    let (reason, message) = ready(&world);
    assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Pending), "WaitingForApproval"));
    assert!(
        message.contains("Workflow \"orders\"") && message.contains("alice") && message.contains("order-1"),
        "{message}"
    );
    let asked = request(&world);
    for (field, value) in [
        ("runName", json!("order")),
        ("runUID", json!("workflowruns-order")),
        ("attempt", json!(1)),
        ("requester", json!("alice")),
        ("input", json!("{\"a\":1}")),
        ("inputDigest", json!(sha256_hex(b"{\"a\":1}"))),
        ("targetARN", json!(format!("{MACHINE}:1"))),
        ("executionRoleARN", json!("arn:aws:iam::111122223333:role/run")),
        ("bindingUID", json!("trustbindings-orders")),
    ] {
        assert_eq!(asked[field], value, "{field}");
    }
    let owner = &approval(&world, "order-1").unwrap()["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["controller"]), (&json!("workflowruns-order"), &json!(true)));
    let calls = |world: &World<Faked>| {
        ["DescribeStateMachine", "DescribeExecution", "ListExecutions", "StartExecution"]
            .map(|name| world.aws.calls(name))
    };
    let (before, changes) = (calls(&world), world.aws.life.changes());
    for _ in 0..5 {
        world.wake("order").await;
    }
    assert_eq!(
        (calls(&world), world.aws.life.changes()),
        (before, changes),
        "what waits asks for nothing and writes nothing"
    );

    decide(&world, "order-1", "bob", "Approved");
    world.wake("order").await;
    let known = status(&world);
    assert_eq!((known.phase, known.approved_by.as_deref()), (Some(Phase::Running), Some("bob")));
    assert_eq!(known.requested_by.as_deref(), Some("alice"));
    let attempt = &known.attempts[0];
    assert_eq!((attempt.target_arn.clone(), attempt.approved_by.as_deref()), (format!("{MACHINE}:1"), Some("bob")));
    let told = world.events().into_iter().find(|(_, reason, _)| reason == "ApprovalGranted").unwrap();
    assert!(told.2.contains("bob") && told.2.contains("alice"), "{told:?}");
}

#[tokio::test]
async fn a_waiting_run_ends_without_a_start() {
    for (what, wanted, reason, word) in [
        ("denied", Phase::Failed, "ApprovalDenied", "bob"),
        ("expired", Phase::Failed, "ApprovalTimedOut", "Nobody"),
        ("approved and expired", Phase::Failed, "ApprovalTimedOut", "bob"),
        ("cancelled", Phase::Aborted, "Cancelled", "before it started"),
        ("too late", Phase::Failed, "StartDeadlineExceeded", "start deadline"),
    ] {
        let late = json!({"executionName": "once", "startDeadline": "2099-01-01T00:00:00Z"});
        let run = if what == "too late" { late } else { json!({}) };
        let world = waiting_with(&careful(&json!({})), None, &run).await;
        match what {
            "denied" => decide(&world, "order-1", "bob", "Denied"),
            "cancelled" => world.change("workflowruns", "order", &json!({"spec": {"cancel": {}}})),
            "too late" => world.change("workflowruns", "order", &json!({"spec": {"startDeadline": past()}})),
            _ => {
                expire(&world);
                if what.starts_with("approved") {
                    decide(&world, "order-1", "bob", "Approved");
                }
            }
        }
        world.wake("order").await;
        nothing_started(&world, what);
        let (found, message) = ready(&world);
        assert_eq!((phase(&world), found.as_str()), (Some(wanted), reason), "{what}: {message}");
        assert!(message.contains(word), "{what}: {message}");
        let left = approval(&world, "order-1").is_some();
        assert_eq!(
            left,
            matches!(what, "denied" | "approved and expired"),
            "{what}: what nobody decided is taken back"
        );
    }
    let world = waiting().await;
    world.delete::<WorkflowRun>("order");
    world.wake("order").await;
    assert!(world.is_gone::<WorkflowRun>("order") && world.aws.executions().is_empty(), "deleted");
}

/// Puts the end of the wait into the past, with the digest that belongs to it.
fn expire(world: &World<Faked>) {
    let mut asked = request(world);
    asked["expiresAt"] = past();
    let mut typed: crate::api::v1alpha1::ApprovalRequest = serde_json::from_value(asked).unwrap();
    typed.digest = crate::plan::approval::digest(&typed);
    world.change("approvals", "order-1", &json!({"spec": {"request": typed}}));
}

#[tokio::test]
async fn whatever_changes_while_it_waits_voids_it_and_is_asked_for_anew() {
    let aliases = json!({"aliases": [{"name": "live", "version": 1}]});
    let next = json!({"StartAt": "A", "Comment": "2", "States": {"A": {"Type": "Succeed"}}});
    for (what, word) in [
        ("input", "input"),
        ("definition", "would be started"),
        ("role", "would be started"),
        ("alias", "would be started"),
        ("binding", "TrustBinding"),
        ("definition in AWS", "another definition"),
        ("role in AWS", "another execution role"),
        ("policy", "admission policy"),
        ("deleted", "deleted"),
        ("digest", "digest"),
        ("decided by alice", "alice"),
    ] {
        let by_alias = what == "alias";
        let workflow = if by_alias { careful(&aliases) } else { careful(&json!({})) };
        let mut world = waiting_with(&workflow, None, &json!({"input": {"a": 1}})).await;
        decide(&world, "order-1", if what == "decided by alice" { "alice" } else { "bob" }, "Approved");
        let asked = request(&world);
        match what {
            "input" => world.change("workflowruns", "order", &json!({"spec": {"input": {"a": 2}}})),
            "definition" => world.change_spec::<Workflow>("orders", &json!({"definition": next})),
            "role" => {
                let role = "arn:aws:iam::111122223333:role/other";
                world.change_spec::<Workflow>("orders", &json!({"executionRoleARN": role}));
            }
            "alias" => {
                world.change_spec::<Workflow>("orders", &json!({"definition": next}));
                world.settle::<Workflow>("orders").await;
                world.change_spec::<Workflow>("orders", &json!({"aliases": [{"name": "live", "version": 2}]}));
            }
            "binding" => {
                world.change("trustbindings", "orders", &json!({"metadata": {"uid": "another"}}));
                world.forget_authorized().await;
            }
            "definition in AWS" => forge(&world, &asked, "definitionHash"),
            "role in AWS" => forge(&world, &asked, "executionRoleARN"),
            "policy" => {
                let policy = world.object(POLICY).unwrap();
                world.put_policy("validatingadmissionpolicies", "system-stepbound-approvals", &policy["spec"], 3);
            }
            "deleted" => drop(world.take_away(&format!("{APPROVALS}/order-1"))),
            "digest" => {
                world.change("approvals", "order-1", &json!({"spec": {"request": {"executionRoleARN": "admin"}}}));
            }
            _ => {}
        }
        world.settle::<Workflow>("orders").await;
        world.settle::<WorkflowRun>("order").await;
        nothing_started(&world, what);
        let (reason, message) = ready(&world);
        assert_eq!(reason, "WaitingForApproval", "{what}: {message}");
        let void = status(&world).approval.unwrap().void_before.unwrap();
        assert!(void.contains(word) && message.contains(&void), "{what}: {message}");
        assert!(world.reasons().contains(&"ApprovalVoid".to_owned()), "{what}");
        assert!(approval(&world, "order-1").unwrap()["spec"]["decision"].is_null(), "{what}: it is another one");
        // What is asked for now can be approved.
        decide(&world, "order-1", "bob", "Approved");
        world.settle::<WorkflowRun>("order").await;
        assert_eq!(phase(&world), Some(Phase::Running), "{what}: {:?}", ready(&world));
        assert_eq!(status(&world).attempts[0].target_arn, request(&world)["targetARN"].as_str().unwrap(), "{what}");
    }
}

/// As if the version that AWS has now had not been what was asked for.
fn forge(world: &World<Faked>, asked: &Value, field: &str) {
    let mut asked = asked.clone();
    asked[field] = json!("other");
    let mut typed: crate::api::v1alpha1::ApprovalRequest = serde_json::from_value(asked).unwrap();
    typed.digest = crate::plan::approval::digest(&typed);
    world.change("approvals", "order-1", &json!({"spec": {"request": typed}}));
    decide(world, "order-1", "bob", "Approved");
}

#[tokio::test]
async fn nothing_is_believed_without_the_policy_or_a_proven_requester() {
    let remove = |world: &World<Faked>| drop(world.take_away(POLICY));
    let weaken = |world: &World<Faked>| {
        let mut spec = world.object(POLICY).unwrap()["spec"].clone();
        spec["failurePolicy"] = json!("Ignore");
        world.put_policy("validatingadmissionpolicies", "system-stepbound-approvals", &spec, 2);
    };
    for (what, change) in [("removed", &remove as &dyn Fn(&World<Faked>)), ("weakened", &weaken)] {
        let mut world = waiting().await;
        decide(&world, "order-1", "bob", "Approved");
        let policy = world.object(POLICY).unwrap();
        change(&world);
        world.wake("order").await;
        nothing_started(&world, what);
        let (reason, message) = ready(&world);
        assert_eq!(
            (phase(&world), reason.as_str()),
            (Some(Phase::Pending), "ApprovalNotEnforced"),
            "{what}: {message}"
        );
        // What was decided then does not count once it is back.
        world.put_policy("validatingadmissionpolicies", "system-stepbound-approvals", &policy["spec"], 3);
        world.settle::<WorkflowRun>("order").await;
        nothing_started(&world, what);
        assert_eq!(ready(&world).0, "WaitingForApproval", "{what}");
    }
    // Nobody has stamped who asked.
    let mut world = World::fake().await;
    world.install_policies().await;
    add_workflow(&world, &careful(&json!({})));
    world.settle::<Workflow>("orders").await;
    world.add_run("order", &json!({}));
    world.settle::<WorkflowRun>("order").await;
    nothing_started(&world, "no stamp");
    let (reason, message) = ready(&world);
    assert_eq!((phase(&world), reason.as_str()), (Some(Phase::Pending), "RequesterUnknown"));
    assert!(message.contains("create another run") && approval(&world, "order-1").is_none(), "{message}");
    // The chart has installed nothing.
    let world = life::woken(&careful(&json!({})), &json!({})).await;
    nothing_started(&world, "no chart");
    assert_eq!(ready(&world).0, "ApprovalNotEnforced");
}

#[tokio::test]
async fn a_policy_that_is_new_is_waited_for() {
    let mut world = World::fake().await;
    world.install_policies().await;
    let now = json!({"metadata": {"creationTimestamp": Timestamp::now().to_string()}});
    let policy = with(world.object(POLICY).unwrap(), &now);
    world.put(POLICY, &policy);
    add_workflow(&world, &careful(&json!({})));
    world.settle::<Workflow>("orders").await;
    add_run_of(&world, "order", "alice", &json!({}));
    world.wake("order").await;
    let (reason, message) = ready(&world);
    assert_eq!((reason.as_str(), approval(&world, "order-1").is_none()), ("ApprovalNotEnforced", true), "{message}");
    assert!(message.contains("less than a minute"), "{message}");
}

#[tokio::test]
async fn a_guardrail_asks_too_and_an_alias_is_frozen_to_its_version() {
    let rails = json!({"requireApproval": true, "requireAlias": true});
    let aliases = json!({"aliases": [{"name": "live", "version": 1}]});
    let mut world = waiting_with(&aliases, Some(&rails), &json!({"retry": {"strategy": "Restart", "limit": 1}})).await;
    let message = ready(&world).1;
    assert!(message.contains("Guardrail \"limits\""), "{message}");
    assert_eq!(request(&world)["targetARN"], json!(format!("{MACHINE}:1")));
    decide(&world, "order-1", "bob", "Approved");
    world.wake("order").await;
    let attempt = status(&world).attempts[0].clone();
    assert_eq!((attempt.target_arn, attempt.alias_arn), (format!("{MACHINE}:1"), Some(format!("{MACHINE}:live"))));
    // spec.retry needs no other approval, and runs what was approved.
    world.aws.end(&arn(), Ended::Failed("E"));
    life::see(&world).await;
    world.settle::<WorkflowRun>("order").await;
    let known = status(&world);
    assert_eq!((known.phase, known.attempts.len()), (Some(Phase::Running), 2), "{:?}", ready(&world));
    assert_eq!(
        (known.attempts[1].target_arn.clone(), known.attempts[1].approved_by.clone()),
        (format!("{MACHINE}:1"), None)
    );
    assert!(approval(&world, "order-2").is_none());
}

#[tokio::test]
async fn what_is_no_version_waits_and_what_cannot_start_asks_nobody() {
    let rails = json!({"requireApproval": true});
    let world = waiting_with(&json!({"versions": {"publish": "Never"}}), Some(&rails), &json!({})).await;
    nothing_started(&world, "no version");
    assert_eq!((ready(&world).0.as_str(), approval(&world, "order-1")), ("ApprovalNeedsVersion", None));
    let schema = json!({"inputSchema": {"type": "object", "required": ["b"]}});
    let world = waiting_with(&careful(&schema), None, &json!({})).await;
    nothing_started(&world, "no fitting input");
    assert_eq!((ready(&world).0.as_str(), approval(&world, "order-1")), ("InputInvalid", None));
}

#[tokio::test]
async fn an_input_of_a_config_map_is_named_and_not_shown() {
    let mut world = World::fake().await;
    world.install_policies().await;
    add_workflow(&world, &careful(&json!({})));
    world.settle::<Workflow>("orders").await;
    world.add_config_map("inputs", &json!({"a": "{\"secret\": 1}"}), None);
    add_run_of(&world, "order", "alice", &json!({"inputFrom": {"configMapKeyRef": {"name": "inputs", "key": "a"}}}));
    world.wake("order").await;
    let asked = request(&world);
    assert_eq!((&asked["input"], &asked["inputFrom"]), (&Value::Null, &json!({"name": "inputs", "key": "a"})));
    decide(&world, "order-1", "bob", "Approved");
    world.add_config_map("inputs", &json!({"a": "{\"secret\": 2}"}), None);
    world.settle::<WorkflowRun>("order").await;
    nothing_started(&world, "another value");
    assert_eq!(status(&world).approval.unwrap().void_before.as_deref(), Some("the input was changed"));
}

#[tokio::test]
async fn a_redrive_by_hand_needs_an_approval_of_its_own() {
    for verdict in ["Approved", "Denied"] {
        let mut world = waiting().await;
        decide(&world, "order-1", "bob", "Approved");
        world.wake("order").await;
        world.aws.end(&arn(), Ended::Failed("E"));
        life::see(&world).await;
        assert_eq!(phase(&world), Some(Phase::Failed));
        // Carol asks; so she cannot approve, and alice may.
        world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive-requested-by", "carol");
        world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
        world.settle::<WorkflowRun>("order").await;
        assert_eq!((phase(&world), world.aws.calls("RedriveExecution")), (Some(Phase::Failed), 0), "{verdict}");
        let asked = approval(&world, "order-2").unwrap()["spec"]["request"].clone();
        assert_eq!((&asked["requester"], &asked["executionARN"]), (&json!("carol"), &json!(arn())));
        assert_eq!((&asked["attempt"], &asked["input"]), (&json!(2), &json!("{\"a\":1}")));
        let described = world.aws.calls("DescribeExecution");
        world.wake("order").await;
        assert_eq!(world.aws.calls("DescribeExecution"), described, "what waits asks for nothing");
        decide(&world, "order-2", "alice", verdict);
        world.settle::<WorkflowRun>("order").await;
        let (known, made) = (status(&world), world.aws.calls("RedriveExecution"));
        if verdict == "Approved" {
            assert_eq!((known.phase, made), (Some(Phase::Running), 1), "{:?}", ready(&world));
            assert_eq!(known.attempts[1].approved_by.as_deref(), Some("alice"));
            assert_eq!(known.attempts[1].requested_by.as_deref(), Some("carol"));
        } else {
            assert_eq!((known.phase, made, known.attempts.len()), (Some(Phase::Failed), 0, 1));
            let refused = world.events().into_iter().find(|(_, reason, _)| reason == "RedriveRefused").unwrap();
            assert!(refused.2.contains("alice has denied"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_redrive_of_nobody_known_is_refused() {
    let mut world = waiting().await;
    decide(&world, "order-1", "bob", "Approved");
    world.wake("order").await;
    world.aws.end(&arn(), Ended::Failed("E"));
    life::see(&world).await;
    world.annotate::<WorkflowRun>("order", "stepbound.dev/redrive", "1");
    world.settle::<WorkflowRun>("order").await;
    let refused = world.events().into_iter().find(|(_, reason, _)| reason == "RedriveRefused").unwrap();
    assert!(refused.2.contains("is not proven"), "{refused:?}");
    assert_eq!((world.aws.calls("RedriveExecution"), approval(&world, "order-2")), (0, None));
}

/// A process dies between recording a start and its answer.
#[tokio::test]
async fn a_recorded_start_is_resumed_only_with_its_approval() {
    for (what, resumed) in [("as it was", true), ("gone", false), ("never had one", false), ("policy gone", false)] {
        let mut world = waiting().await;
        decide(&world, "order-1", "bob", "Approved");
        world.aws.lose_answer("StartExecution");
        world.wake("order").await;
        world.aws.forget_execution(&arn());
        let mut attempt = serde_json::to_value(&status(&world).attempts[0]).unwrap();
        attempt["recordedAt"] = past();
        let mut known = json!({"phase": "Starting", "attempts": [attempt], "refusal": null});
        match what {
            "gone" => drop(world.take_away(&format!("{APPROVALS}/order-1"))),
            "never had one" => known["approval"] = Value::Null,
            "policy gone" => drop(world.take_away(POLICY)),
            _ => {}
        }
        world.change("workflowruns", "order", &json!({"status": known}));
        let starts = world.aws.calls("StartExecution");
        world.restart().await;
        world.settle::<WorkflowRun>("order").await;
        let started = world.aws.calls("StartExecution") - starts;
        assert_eq!(
            (started, phase(&world) == Some(Phase::Running)),
            (usize::from(resumed), resumed),
            "{what}: {:?}",
            ready(&world)
        );
    }
}

#[tokio::test]
async fn a_run_that_waits_for_an_approval_holds_up_no_other() {
    let rails = json!({"maxConcurrentRuns": 1, "maxStartsPerSecond": 10});
    let world = waiting_with(&careful(&json!({"maxConcurrentRuns": 1})), Some(&rails), &json!({})).await;
    add_run_of(&world, "second", "alice", &json!({}));
    world.wake("second").await;
    decide(&world, "second-1", "bob", "Approved");
    world.wake("second").await;
    assert_eq!(
        world.run("second").status.unwrap().phase,
        Some(Phase::Running),
        "{:?}",
        says(&world.run("second"), "Ready")
    );
    decide(&world, "order-1", "bob", "Approved");
    world.wake("order").await;
    assert_eq!(ready(&world).0, "Queued", "an approved run waits for its turn");
    assert_eq!(world.aws.executions().len(), 1);
}

#[tokio::test]
async fn one_that_is_needed_no_more_is_taken_back_and_the_run_starts() {
    let mut world = waiting().await;
    world.change_spec::<Workflow>("orders", &json!({"approval": {"required": false}}));
    world.settle::<Workflow>("orders").await;
    world.settle::<WorkflowRun>("order").await;
    assert_eq!((phase(&world), approval(&world, "order-1")), (Some(Phase::Running), None));
    assert_eq!(status(&world).approved_by, None);
}

/// The watch may show a run as it was before it asked.
#[tokio::test]
async fn a_run_as_it_was_before_it_asked_takes_nothing_away() {
    let mut world = World::fake().await;
    world.install_policies().await;
    add_workflow(&world, &careful(&json!({})));
    world.settle::<Workflow>("orders").await;
    add_run_of(&world, "order", "alice", &json!({}));
    let before = world.run("order");
    world.wake("order").await;
    decide(&world, "order-1", "bob", "Approved");
    let asked = approval(&world, "order-1");
    world.wake_with(before).await;
    assert_eq!(approval(&world, "order-1"), asked);
}
