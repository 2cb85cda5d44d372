use serde_json::json;

use super::*;
use crate::api::v1alpha1::GuardrailSpec;

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_orders";
const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn workflow(spec: &Value) -> Workflow {
    let mut whole = json!({"trustBindingRef": {"name": "b"}, "executionRoleARN": "r"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let object =
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": whole});
    serde_json::from_value(object).unwrap()
}

fn rule(require_approval: bool) -> Rule {
    Rule { name: "careful".into(), spec: GuardrailSpec { require_approval, ..GuardrailSpec::default() } }
}

#[test]
fn a_workflow_or_a_guardrail_asks_and_neither_undoes_the_other() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let own = |required: bool| json!({"approval": {"required": required, "timeout": "2h"}});
    for (spec, rules, wanted) in [
        (json!({}), vec![], None),
        (own(false), vec![rule(false)], None),
        (own(true), vec![], Some(("Workflow \"w\"", hours(2)))),
        (own(false), vec![rule(false), rule(true)], Some(("Guardrail \"careful\"", hours(2)))),
        (json!({}), vec![rule(true)], Some(("Guardrail \"careful\"", hours(24)))),
        (json!({"approval": {"required": true, "timeout": "9999h"}}), vec![], Some(("Workflow \"w\"", hours(720)))),
    ] {
        let found = needed(Some(&workflow(&spec)), &rules);
        assert_eq!(found.as_ref().map(|needed| (needed.asked_by.as_str(), needed.timeout)), wanted, "{spec}");
    }
    assert_eq!(needed(None, &[]), None);
    assert!(needed(None, &[rule(true)]).is_some(), "a Guardrail holds without the Workflow");
}

#[test]
fn what_is_approved_is_always_a_version() {
    let alias = |routes: &[(i64, i64)]| -> AliasStatus {
        let routes: Vec<Value> =
            routes.iter().map(|(version, weight)| json!({"version": version, "weight": weight})).collect();
        serde_json::from_value(
            json!({"name": "live", "ARN": format!("{MACHINE}:live"), "routes": routes, "phase": "Stable"}),
        )
        .unwrap()
    };
    let live = format!("{MACHINE}:live");
    let frozen = |target: &str, aliases: &[AliasStatus]| version(target, aliases).map_err(|failure| failure.reason);
    assert_eq!(frozen(&format!("{MACHINE}:7"), &[]), Ok((format!("{MACHINE}:7"), None)));
    for (routes, number) in
        [(vec![(3, 100)], 3), (vec![(3, 90), (4, 10)], 3), (vec![(3, 10), (4, 90)], 4), (vec![(4, 50), (3, 50)], 4)]
    {
        assert_eq!(
            frozen(&live, &[alias(&routes)]),
            Ok((format!("{MACHINE}:{number}"), Some(live.clone()))),
            "{routes:?}"
        );
    }
    for (what, target, aliases) in [
        ("the machine", MACHINE, vec![]),
        ("an unknown alias", &live, vec![]),
        ("one without routes", &live, vec![alias(&[])]),
    ] {
        assert_eq!(frozen(target, &aliases), Err(Reason::ApprovalNeedsVersion), "{what}");
    }
}

fn known() -> Known {
    Known {
        requester: Some("alice".into()),
        input_digest: sha256_hex(b"{}"),
        target_arn: format!("{MACHINE}:3"),
        binding_uid: "binding".into(),
        policy_revision: "policy/1,binding/1".into(),
    }
}

fn described() -> Described {
    Described {
        definition_hash: sha256_hex(b"definition"),
        execution_role_arn: "arn:aws:iam::111122223333:role/run".into(),
        step_role_arns: vec!["arn:aws:iam::111122223333:role/step".into()],
    }
}

fn asked_for() -> ApprovalRequest {
    let asking = Asking {
        run_name: "order",
        run_uid: "uid",
        attempt: 1,
        execution_arn: None,
        input: Some("{}"),
        input_from: None,
    };
    request(asking, "alice".into(), &known(), described(), at(DAY))
}

#[test]
fn a_digest_is_of_every_field_and_of_no_order() {
    let request = asked_for();
    let value = serde_json::to_value(&request).unwrap();
    let turned: serde_json::Map<String, Value> = value.as_object().unwrap().clone().into_iter().rev().collect();
    let turned: ApprovalRequest = serde_json::from_value(Value::Object(turned)).unwrap();
    assert_eq!(digest(&turned), request.digest);
    let mut digests = std::collections::BTreeSet::from([request.digest.clone()]);
    let fields: Vec<String> = value.as_object().unwrap().keys().filter(|key| *key != "digest").cloned().collect();
    assert!(fields.len() >= 13, "{fields:?}");
    for field in &fields {
        let mut other = value.clone();
        other[field] = match &value[field] {
            Value::Number(_) => json!(2),
            Value::Array(_) => json!(["other"]),
            _ if field == "expiresAt" => json!("2030-01-01T00:00:00Z"),
            _ => json!("other"),
        };
        assert!(digests.insert(digest(&serde_json::from_value(other).unwrap())), "{field} is not in the digest");
    }
    // What anybody can compute with other tools: jq -cSj 'del(.digest)' | sha256sum.
    assert_eq!(request.digest, sha256_hex(in_order(without_digest(value)).to_string().as_bytes()));
}

fn without_digest(mut value: Value) -> Value {
    value.as_object_mut().unwrap().remove("digest");
    value
}

#[test]
fn a_large_input_and_one_from_elsewhere_are_not_shown() {
    let shown = |input: Option<&str>| {
        let asking = Asking { run_name: "o", run_uid: "u", attempt: 1, execution_arn: None, input, input_from: None };
        request(asking, "alice".into(), &known(), described(), at(DAY)).input
    };
    assert_eq!(shown(Some("{}")).as_deref(), Some("{}"));
    assert_eq!(shown(Some(&"x".repeat(SHOWN_INPUT + 1))), None);
    assert_eq!(shown(None), None);
    assert!(!format!("{:?}", asked_for()).contains("{}"), "an input is printed nowhere");
}

#[test]
fn any_change_voids_it_and_is_told() {
    let asked = asked_for();
    assert_eq!((changed(&asked, &known()), described_changed(&asked, &described())), (None, None));
    assert_eq!(changed(&asked, &Known { requester: None, ..known() }), None, "who asked was proven before");
    let other = || "other".to_owned();
    for (words, now) in [
        ("somebody else asks", Known { requester: Some(other()), ..known() }),
        ("input", Known { input_digest: other(), ..known() }),
        ("would be started", Known { target_arn: other(), ..known() }),
        ("TrustBinding", Known { binding_uid: other(), ..known() }),
        ("admission policy", Known { policy_revision: other(), ..known() }),
    ] {
        assert!(changed(&asked, &now).unwrap().contains(words), "{words}");
    }
    for (words, now) in [
        ("another definition", Described { definition_hash: other(), ..described() }),
        ("another execution role", Described { execution_role_arn: other(), ..described() }),
        ("other roles", Described { step_role_arns: Vec::new(), ..described() }),
    ] {
        assert!(described_changed(&asked, &now).unwrap().contains(words), "{words}");
    }
    let forged = ApprovalRequest { execution_role_arn: "admin".into(), ..asked };
    assert!(changed(&forged, &known()).unwrap().contains("digest"));
}

fn approval(decision: Option<(Verdict, &str, &str)>) -> Approval {
    let request = asked_for();
    let decision = decision.map(|(verdict, digest, by)| ApprovalDecision {
        verdict,
        digest: if digest.is_empty() { request.digest.clone() } else { digest.to_owned() },
        by: by.to_owned(),
    });
    let mut approval = Approval::new("order-1", crate::api::v1alpha1::ApprovalSpec { request, decision });
    approval.metadata.uid = Some("asked".into());
    approval
}

#[test]
fn a_decision_counts_before_it_expires_and_in_its_own_name() {
    use Verdict::{Approved, Denied};
    for (what, decision, second, wanted) in [
        ("nobody yet", None, DAY - 1, "waits"),
        ("nobody at all", None, DAY, "ApprovalTimedOut"),
        ("approved", Some((Approved, "", "bob")), DAY - 1, "bob"),
        ("approved too late", Some((Approved, "", "bob")), DAY, "ApprovalTimedOut"),
        ("denied", Some((Denied, "", "bob")), 0, "ApprovalDenied"),
        ("denied, and late", Some((Denied, "", "bob")), DAY, "ApprovalDenied"),
        ("another digest", Some((Approved, "other", "bob")), 0, "void"),
        ("by the requester", Some((Approved, "", "alice")), 0, "void"),
        ("by nobody", Some((Approved, "", "")), 0, "void"),
        ("by a service account", Some((Approved, "", "system:serviceaccount:shop:robot")), 0, "void"),
    ] {
        let found = match decided(&approval(decision), at(second)) {
            Decided::Waits => "waits".to_owned(),
            Decided::Approved(by) => by,
            Decided::Ends(reason, message) => {
                assert!(message.contains("Nothing was started"), "{message}");
                reason.as_str().to_owned()
            }
            Decided::Void(_) => "void".to_owned(),
        };
        assert_eq!(found, wanted, "{what}");
    }
}

#[test]
fn only_the_very_object_that_was_asked_for_counts() {
    let asked = RunApproval {
        name: "order-1".into(),
        uid: "asked".into(),
        attempt: 1,
        expires_at: Time(at(DAY)),
        void_before: None,
    };
    let right = approval(None);
    assert!(is_asked(&right, &asked, "uid"));
    assert!(!is_asked(&right, &asked, "another run"));
    assert!(!is_asked(&right, &RunApproval { uid: "before".into(), ..asked.clone() }, "uid"));
    assert!(!is_asked(&right, &RunApproval { attempt: 2, ..asked.clone() }, "uid"));
    let mut going = right;
    going.metadata.deletion_timestamp = Some(Time(at(1)));
    assert!(!is_asked(&going, &asked, "uid"));
}

#[test]
fn names_are_names_of_objects_and_keep_runs_apart() {
    let long = |end: &str| format!("{}{end}", "a.".repeat(120));
    assert_eq!(approval_name("order", "uid", 2), "order-2");
    let (one, other) = (approval_name(&long("b"), "one", 1), approval_name(&long("c"), "other", 1));
    assert_ne!(one, other);
    for name in [one, other, approval_name(&"x".repeat(253), "uid", i64::MAX)] {
        assert!(crate::api::v1alpha1::is_object_name(&name), "{name}");
    }
}

#[test]
fn it_expires_in_whole_seconds_after_the_wait() {
    let needed = Needed { asked_by: String::new(), timeout: Duration::from_secs(60) };
    assert_eq!(expiry(&needed, Timestamp::from_millisecond(1_500).unwrap()), at(61));
}

#[test]
fn a_decision_is_believed_only_while_the_policy_is_exactly_as_the_chart_has_it() {
    type Change = fn(&mut Guard);
    let none: [String; 0] = [];
    let installation = Installation { prefix: "p", operator: "system:serviceaccount:s:o", namespaces: &none };
    let guard = || {
        let mut specs = installed_by_the_chart(&installation).into_iter();
        let mut installed = |second: i64, revision: &str| {
            let (_, _, spec) = specs.next().unwrap();
            Some(Installed { changed_at: at(second), revision: revision.into(), spec })
        };
        Guard { policy: installed(100, "a/1"), binding: installed(90, "b/1") }
    };
    let right = enforced(&installation, &guard()).unwrap();
    assert_eq!((right.revision.as_str(), right.since), ("a/1,b/1", at(100)));
    assert!(!right.has_settled(at(159)) && right.has_settled(at(160)));
    let weakenings: [(&str, Change); 8] = [
        ("there is no ValidatingAdmissionPolicy ", |guard| guard.policy = None),
        ("there is no ValidatingAdmissionPolicyBinding ", |guard| guard.binding = None),
        ("not as the chart", |guard| guard.policy.as_mut().unwrap().spec["failurePolicy"] = json!("Ignore")),
        ("not as the chart", |guard| {
            guard.policy.as_mut().unwrap().spec["validations"].as_array_mut().unwrap().remove(6);
        }),
        ("not as the chart", |guard| {
            guard.policy.as_mut().unwrap().spec["matchConditions"] = json!([{"name": "n", "expression": "false"}]);
        }),
        ("not as the chart", |guard| {
            guard.policy.as_mut().unwrap().spec["matchConstraints"]["objectSelector"] =
                json!({"matchLabels": {"a": "b"}});
        }),
        ("not as the chart", |guard| guard.binding.as_mut().unwrap().spec["validationActions"] = json!(["Audit"])),
        ("not as the chart", |guard| {
            guard.binding.as_mut().unwrap().spec["matchResources"] = json!({"namespaceSelector": {}});
        }),
    ];
    for (words, change) in weakenings {
        let mut weaker = guard();
        change(&mut weaker);
        let why = enforced(&installation, &weaker).unwrap_err();
        assert!(why.contains(words), "{why}");
    }
    let other = Installation { operator: "system:serviceaccount:s:other", ..installation.clone() };
    assert!(enforced(&other, &guard()).is_err(), "a policy for another operator");
}
