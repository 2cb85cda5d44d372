//! Refused trust policies, each written from a mistake that people report in public: the explanation names what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use serde_json::{Value, json};
use stepbound::iam::document::Document;
use stepbound::iam::trust::{Claims, Subject, Verdict, explain, holds};

const CORPUS: &str = include_str!("trust/refused.yaml");
const ROLE: &str = "arn:aws:iam::111122223333:role/shop-orders";

fn cases() -> Vec<Value> {
    serde_yaml::from_str(CORPUS).unwrap()
}

/// The case's policy: its statements, or one statement that is right but for what the case changes.
fn policy(case: &Value) -> Document {
    let statements = match &case["statements"] {
        Value::Null => {
            let mut one = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"},
                "Condition": {"StringEquals": {
                    "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:sub": "system:serviceaccount:shop:orders",
                    "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:aud": "sts.amazonaws.com"}}});
            one.as_object_mut().unwrap().extend(case["change"].as_object().cloned().unwrap_or_default());
            json!([one])
        }
        statements => statements.clone(),
    };
    Document::from_value(&json!({"Version": "2012-10-17", "Statement": statements})).unwrap()
}

fn claims(case: &Value) -> Claims {
    let mut claims = json!({"iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        "sub": "system:serviceaccount:shop:orders", "aud": ["sts.amazonaws.com"]});
    claims.as_object_mut().unwrap().extend(case["claims"].as_object().cloned().unwrap_or_default());
    serde_json::from_value(claims).unwrap()
}

fn named(subject: &Subject) -> String {
    match subject {
        Subject::Principal => "Principal".into(),
        Subject::Action => "Action".into(),
        Subject::Condition(_, key) => key.clone(),
    }
}

#[test]
fn forty_refused_trust_policies_are_each_explained_by_the_condition_that_failed() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let explanation = explain(&policy(case), &claims(case), ROLE, None);
        if let Some(number) = case["denied"].as_u64() {
            assert_eq!(explanation.verdict, Verdict::Denied(number.try_into().unwrap()), "{name}: {explanation:#?}");
            continue;
        }
        assert_eq!(explanation.verdict, Verdict::NotAllowed, "{name}: {explanation:#?}");
        let failures = explanation.failures();
        let found: Vec<String> = failures.iter().map(|check| named(&check.subject)).collect();
        let expected: Vec<String> = match &case["fails"] {
            Value::String(one) => vec![one.clone()],
            many => serde_json::from_value(many.clone()).unwrap(),
        };
        assert_eq!(found, expected, "{name}: {}", explanation.text());
        let why = case["why"].as_str().unwrap();
        assert!(explanation.text().contains(why), "{name}: {} does not say: {why}", explanation.text());
    }
    println!("{} refused trust policies, each explained by what failed", cases.len());
}

#[test]
fn no_two_cases_are_the_same() {
    let mut seen: Vec<(Value, Value)> = Vec::new();
    for case in cases() {
        let pair = (policy(&case).to_value(), case["claims"].clone());
        assert!(!seen.contains(&pair), "{}", case["name"]);
        seen.push(pair);
    }
}

/// The corpus is of refused policies: with the mistake mended each would be taken, so the test cannot pass by refusing all.
#[test]
fn the_policy_without_a_mistake_is_taken() {
    assert_eq!(explain(&policy(&json!({})), &claims(&json!({})), ROLE, None).verdict, Verdict::Allowed);
    assert_eq!(holds("StringEquals", &["a".into()], Some(&["a".into()])), Ok(true));
}
