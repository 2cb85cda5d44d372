use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn approval(more: &Value) -> Approval {
    let input = r#"{"order":7}"#;
    let mut request = json!({"runName": "order", "runUID": "run", "attempt": 1, "requester": "alice", "input": input,
        "inputDigest": sha256_hex(input.as_bytes()), "targetARN": "arn:3", "definitionHash": "aa", "executionRoleARN": "arn:role",
        "bindingUID": "b", "policyRevision": "7,8", "expiresAt": "2026-01-02T00:00:00Z", "digest": ""});
    request.as_object_mut().unwrap().extend(more["request"].as_object().cloned().unwrap_or_default());
    let mut approval: Approval =
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval",
        "metadata": {"name": "order-1", "uid": "first", "resourceVersion": "9"}, "spec": {"request": request}}))
        .unwrap();
    if approval.spec.request.digest.is_empty() {
        approval.spec.request.digest = digest(&approval.spec.request);
    }
    if !more["decision"].is_null() {
        approval.spec.decision = Some(serde_json::from_value(more["decision"].clone()).unwrap());
    }
    approval
}

fn run(spec: &Value, status: &Value) -> WorkflowRun {
    let asked = json!({"name": "order-1", "uid": "first", "attempt": 1, "expiresAt": "2026-01-02T00:00:00Z"});
    let mut whole = json!({"phase": "Pending", "approval": asked, "lastHandled": {"redrive": "1"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "WaitingForApproval", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    let mut all = json!({"workflowRef": {"name": "fulfil"}, "input": {"order": 7}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": "order", "uid": "run", "annotations": {"stepbound.dev/redrive": "1"}}, "spec": all, "status": whole}))
    .unwrap()
}

#[test]
fn a_run_waits_for_an_approval_only_while_it_says_so_and_nothing_was_started_by_it() {
    let attempt = json!([{"number": 1, "executionName": "a", "targetARN": "arn", "trustBindingName": "b", "inputDigest": "d",
        "recordedAt": "2026-01-01T00:00:00Z"}]);
    let second = json!({"name": "order-2", "uid": "second", "attempt": 2, "expiresAt": "2026-01-02T00:00:00Z"});
    let nothing = json!({});
    for (spec, status, waits) in [
        (&nothing, json!({}), Some("order-1")),
        (&nothing, json!({"approval": null}), None),
        (&nothing, json!({"conditions": []}), None),
        (&nothing, json!({"attempts": attempt}), None),
        (&nothing, json!({"phase": "Failed"}), None),
        (&json!({"cancel": {"reason": ""}}), json!({}), None),
        // A redrive that somebody asked for.
        (
            &nothing,
            json!({"phase": "Failed", "attempts": attempt, "approval": second, "conditions": [], "lastHandled": {}}),
            Some("order-2"),
        ),
        (&nothing, json!({"phase": "Failed", "attempts": attempt, "approval": second, "conditions": []}), None),
    ] {
        assert_eq!(awaited(&run(spec, &status)).map(|asked| asked.name.as_str()), waits, "{spec} {status}");
    }
}

#[test]
fn what_stands_against_a_decision_is_told_before_it_is_made() {
    let open = approval(&json!({}));
    let plain = run(&json!({}), &json!({}));
    let said = |approval: &Approval, run: Option<&WorkflowRun>, user: &str| {
        barred(approval, run, user, now()).map(|against| (against.why, against.next.unwrap_or_default()))
    };
    assert_eq!(said(&open, Some(&plain), "bob"), None);
    assert_eq!(said(&open, None, "bob"), None, "who may not see the run may decide");
    let decided = approval(&json!({"decision": {"verdict": "Denied", "digest": "d", "by": "carol"}}));
    let expired = approval(&json!({"request": {"expiresAt": "2026-01-01T01:00:00Z"}}));
    let changed = approval(&json!({"request": {"digest": "another"}}));
    let mut leaving = open.clone();
    leaving.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    let cancelled = run(&json!({"cancel": {"reason": "no"}}), &json!({}));
    let ended = run(&json!({}), &json!({"phase": "Failed"}));
    let other = json!({"name": "order-1", "uid": "second", "attempt": 1, "expiresAt": "2026-01-02T00:00:00Z"});
    let asks_anew = run(&json!({}), &json!({"approval": other}));
    let mut of_another = plain.clone();
    of_another.metadata.uid = Some("other".into());
    for (approval, run, user, why, next) in [
        (&decided, &plain, "bob", "carol has denied it already", "get order"),
        (&leaving, &plain, "bob", "it is being deleted", "get order"),
        (&open, &of_another, "bob", "is another one by now", ""),
        (&open, &cancelled, "bob", "\"order\" was cancelled", "get order"),
        (&open, &ended, "bob", "\"order\" has ended", "get order"),
        (&open, &asks_anew, "bob", "\"order-1\" is void", "approve approval/order-1"),
        (&expired, &plain, "bob", "it expired at 2026-01-01T01:00:00Z", "retry order"),
        (&changed, &plain, "bob", "its digest is not that of what it asks", ""),
        (&open, &plain, "alice", "alice asked for the run and cannot decide it", ""),
        (&open, &plain, "system:serviceaccount:shop:bot", "runs are approved by people", ""),
    ] {
        let (said, hint) = said(approval, Some(run), user).unwrap_or_else(|| panic!("nothing instead of {why}"));
        assert!(said.contains(why), "{said}");
        assert_eq!(hint, next, "{why}");
    }
}

#[test]
fn an_input_is_shown_only_where_it_is_the_one_of_its_digest() {
    let plain = run(&json!({}), &json!({}));
    let is = Input::Is(r#"{"order":7}"#.to_owned());
    assert_eq!(of_request(&approval(&json!({})).spec.request, None), is);
    let long = |digest: &str| {
        let mut request = approval(&json!({"request": {"input": null}})).spec.request;
        if !digest.is_empty() {
            request.input_digest = digest.to_owned();
        }
        request
    };
    assert_eq!(of_request(&long(""), Some(&plain)), is);
    assert!(matches!(of_request(&long(""), None), Input::Unseen(why) if why.contains("you may not see")));
    assert!(matches!(of_request(&long("other"), Some(&plain)), Input::Differs(_)));
    let other = approval(&json!({"request": {"input": "{}"}}));
    assert!(matches!(of_request(&other.spec.request, Some(&plain)), Input::Differs(_)));
    let empty = serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}}}))
    .unwrap();
    assert_eq!(of_request(&long(&sha256_hex(b"{}")), Some(&empty)), Input::Is("{}".to_owned()));
}

#[test]
fn a_decision_is_of_just_the_object_and_digest_that_were_looked_at() {
    let open = approval(&json!({}));
    assert_eq!(
        decision(&open, Verdict::Approved, "bob"),
        json!({"metadata": {"uid": "first", "resourceVersion": "9"},
            "spec": {"decision": {"verdict": "Approved", "digest": open.spec.request.digest, "by": "bob"}}})
    );
}

#[test]
fn a_refusal_of_the_policy_is_told_in_its_words_with_the_way_out() {
    let of_policy = |said: &str| {
        let message = format!(
            "approvals.stepbound.dev \"order-1\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'a' denied request: {said}"
        );
        let status = json!({"status": "Failure", "code": 403, "reason": "Forbidden", "message": message, "details": {"name": "order-1"}});
        refused("approve Approval \"order-1\"", kube::Error::Api(serde_json::from_value(status).unwrap())).to_string()
    };
    for (said, way) in [
        (
            "alice asked for the run and cannot decide it; somebody else has to",
            ": let a colleague do it who may approve here",
        ),
        (
            "runs are approved by people, and x is a service account, a node or another part of the cluster",
            ". Ask with the",
        ),
        ("spec.decision.by is \"bob\", and you are carol: decide in your own name", ". Ask again"),
        ("user bob may act as x. Let somebody decide who may not, or take the right away", ""),
        ("no\u{1b}[2J\nNext: rm", ""),
    ] {
        let told = of_policy(said);
        let words = indented(said);
        assert!(told.starts_with(&format!("cannot approve Approval \"order-1\": {words}{way}")), "{told}");
        assert!(!told.contains("ValidatingAdmissionPolicy"), "{told}");
    }
    // The policy's own words are those of the chart.
    let policy = include_str!("../../../charts/stepbound/policies/approvals.yaml");
    for words in [
        "cannot decide it; somebody else has to",
        "runs are approved by people",
        "decide in your own name",
        "cannot be changed",
    ] {
        assert!(policy.contains(words) && !way_out(words).is_empty(), "{words}");
    }
}
