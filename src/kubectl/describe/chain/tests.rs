use serde_json::json;

use super::*;

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn binding(conditions: &[Value]) -> TrustBinding {
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding",
        "metadata": {"name": "orders", "generation": 1},
        "spec": {"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/r", "region": "eu-west-1"},
        "status": {"observedGeneration": 1, "accountID": "111122223333", "conditions": conditions}}))
    .unwrap()
}

fn good_binding() -> TrustBinding {
    let good = ["Authorized", "TokenMinted", "RoleAssumed", "LeastPrivilege", "Ready"];
    binding(&good.map(|kind| condition(kind, "True", "Good", "It is.")))
}

fn workflow(conditions: &[Value]) -> Workflow {
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow",
        "metadata": {"name": "fulfil", "generation": 1},
        "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/x"},
        "status": {"observedGeneration": 1, "conditions": conditions,
            "stateMachineARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil"}}))
    .unwrap()
}

fn run(status: &Value) -> WorkflowRun {
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "order", "generation": 1},
        "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
    .unwrap()
}

fn there<K>(name: &str, object: K) -> (String, Shown<K>) {
    (name.to_owned(), Shown::There(Box::new(object)))
}

fn ready() -> Value {
    condition("Ready", "True", "Synced", "It is.")
}

/// Which links are wrong, and in which words.
fn wrong(objects: &Objects) -> Vec<(&'static str, Vec<String>)> {
    let chain = Chain::of(objects, "shop").0;
    chain.into_iter().filter(|link| link.state == State::Wrong).map(|link| (link.what, link.wrong)).collect()
}

#[test]
fn the_chain_goes_from_the_account_down_to_the_run() {
    let objects = Objects {
        binding: Some(there("orders", good_binding())),
        workflow: Some(there("fulfil", workflow(&[ready()]))),
        run: Some(run(&json!({"phase": "Succeeded", "observedGeneration": 1, "requestedBy": "alice"}))),
    };
    let chain = Chain::of(&objects, "shop");
    let links: Vec<&str> = chain.0.iter().map(|link| link.what).collect();
    assert_eq!(links, ["Account", "TrustBinding", "Role", "Session policy", "State machine", "Run"]);
    assert!(chain.0.iter().all(|link| link.state == State::Good), "{chain:#?}");
    let text = chain.text(false, usize::MAX);
    assert!(text.starts_with("✔ Account 111122223333, region eu-west-1\n└ ✔ TrustBinding shop/orders\n"), "{text}");
    assert!(text.contains("asked for by alice"), "{text}");
    assert_eq!(chain.view().len(), 6);
}

#[test]
fn what_is_wrong_stands_at_the_link_where_it_is_and_once() {
    let of_binding =
        |conditions: &[Value]| Objects { binding: Some(there("orders", binding(conditions))), ..Objects::default() };
    let refused = ("AccessDenied", "STS refuses.");
    for (conditions, what) in [
        (
            vec![
                condition("Authorized", "False", "ConsentMissing", "No consent."),
                condition("Ready", "False", "ConsentMissing", "No consent."),
            ],
            "TrustBinding",
        ),
        (
            vec![
                condition("TokenMinted", "True", "Minted", "It is."),
                condition("RoleAssumed", "False", refused.0, refused.1),
                condition("Ready", "False", refused.0, refused.1),
                condition("Stalled", "True", refused.0, refused.1),
            ],
            "Role",
        ),
        (vec![condition("Ready", "False", "PartitionMismatch", "Another partition.")], "Role"),
    ] {
        let found = wrong(&of_binding(&conditions));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].0, found[0].1.len()), (what, 1), "{found:?}");
    }
    let drifted = workflow(&[ready(), condition("Drifted", "True", "ChangedInAWS", "The definition was changed.")]);
    let objects = Objects { workflow: Some(there("fulfil", drifted)), ..Objects::default() };
    assert_eq!(
        wrong(&objects),
        [("State machine", vec!["Drifted is True: ChangedInAWS: The definition was changed.".to_owned()])]
    );
    let failed =
        run(&json!({"phase": "Failed", "failedState": "Pay", "error": "Declined", "cause": "no\u{1b}[2J funds"}));
    let objects = Objects { run: Some(failed), ..Objects::default() };
    assert_eq!(wrong(&objects)[0].1[0], "in state Pay: Declined: no\u{1b}[2J funds");
    let chain = Chain::of(&objects, "shop");
    assert!(!chain.text(false, usize::MAX).contains('\u{1b}'));
    assert_eq!(chain.next(&Named { kind: Kind::Run, name: "order".into() }).as_deref(), Some("logs order"));
}

#[test]
fn a_session_policy_wider_than_need_be_is_no_failure() {
    let mut one = good_binding();
    let status = one.status.as_mut().unwrap();
    status.conditions.retain(|condition| condition.type_ != "LeastPrivilege");
    status
        .conditions
        .push(serde_json::from_value(condition("LeastPrivilege", "False", "Findings", "1 finding.")).unwrap());
    status.findings =
        serde_json::from_value(json!([{"severity": "Warning", "code": "PassRoleTooBroad", "message": "List them."}]))
            .unwrap();
    let objects = Objects { binding: Some(there("orders", one)), ..Objects::default() };
    assert!(wrong(&objects).is_empty());
    assert!(Chain::of(&objects, "shop").text(false, usize::MAX).contains("! Warning PassRoleTooBroad: List them."));
}

#[test]
fn what_may_not_be_seen_is_said_to_be_so_and_what_is_missing_is_wrong() {
    let forbidden = "trustbindings is forbidden: User \"bob\" cannot get it".to_owned();
    let mut objects = Objects {
        binding: Some(("orders".into(), Shown::Hidden(forbidden))),
        workflow: Some(there("fulfil", workflow(&[ready()]))),
        run: None,
    };
    let text = Chain::of(&objects, "shop").text(false, usize::MAX);
    assert!(text.starts_with("✔ Account 111122223333, region eu-west-1\n"), "the machine's ARN tells it: {text}");
    assert!(
        text.contains("? TrustBinding shop/orders\n")
            && text.contains("! you may not see it: trustbindings is forbidden"),
        "{text}"
    );
    assert!(wrong(&objects).is_empty());
    objects.binding = Some(("orders".into(), Shown::Missing));
    assert_eq!(wrong(&objects), [("TrustBinding", vec!["there is no such object".to_owned()])]);
}

#[test]
fn nobody_has_looked_yet_is_no_failure() {
    let mut one = good_binding();
    one.status = None;
    let objects = Objects {
        binding: Some(there("orders", one)),
        run: Some(run(&json!({"observedGeneration": -1}))),
        ..Objects::default()
    };
    assert!(wrong(&objects).is_empty());
    let text = Chain::of(&objects, "shop").text(false, usize::MAX);
    assert!(text.contains("the operator has not looked at it yet") && text.contains("? Run shop/order\n"), "{text}");
}

#[test]
fn what_went_wrong_is_told_once_and_broken_between_words() {
    let failed = json!({"phase": "Failed", "observedGeneration": 1, "error": "OutOfBoxes", "cause": "no box of size L", "failedState": "Pack",
        "conditions": [condition("Failed", "True", "ExecutionFailed", "The execution failed in state Pack: OutOfBoxes: no box of size L.")]});
    let objects = Objects { run: Some(run(&failed)), ..Objects::default() };
    let chain = Chain::of(&objects, "shop");
    assert_eq!(chain.0[0].wrong, ["in state Pack: OutOfBoxes: no box of size L"]);
    let text = chain.text(false, 30);
    assert!(text.contains("  ! in state Pack: OutOfBoxes:\n    no box of size L\n"), "{text}");
    let not_again = condition(
        "Failed",
        "True",
        "ExecutionFailed",
        "OutOfBoxes. It is not tried again: spec.retry has had its attempts.",
    );
    let mut tried = failed.clone();
    tried["conditions"] = json!([not_again]);
    let objects = Objects { run: Some(run(&tried)), ..Objects::default() };
    assert_eq!(Chain::of(&objects, "shop").0[0].wrong.len(), 2);
}
