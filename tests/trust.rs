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

fn verdict(claims: &Value, principal: &str, conditions: &Value) -> (Verdict, String) {
    let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": principal}, "Condition": conditions});
    let policy = Document::from_value(&json!({"Version": "2012-10-17", "Statement": [statement]})).unwrap();
    let explanation = explain(&policy, &serde_json::from_value(claims.clone()).unwrap(), ROLE, None);
    (explanation.verdict, explanation.text())
}

/// IAM user guide, "IAM and AWS STS condition context keys", "Available keys for AWS OIDC federation".
#[test]
fn claims_that_aws_has_keys_for_are_read_by_provider() {
    let github = json!({"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/shop:ref:refs/heads/main",
        "aud": "sts.amazonaws.com", "actor": "mona", "actor_id": "12", "repository_id": "74", "repository_owner_id": "9",
        "environment": "prod", "ref": "refs/heads/main", "event_name": "push"});
    let provider = "token.actions.githubusercontent.com";
    let arn = format!("arn:aws:iam::111122223333:oidc-provider/{provider}");
    let key = |name: &str, value: &str| json!({"StringEquals": {format!("{provider}:{name}"): value}});
    for (name, value) in [
        ("actor", "mona"),
        ("repository_id", "74"),
        ("repository_owner_id", "9"),
        ("environment", "prod"),
        ("oaud", "sts.amazonaws.com"),
    ] {
        assert_eq!(verdict(&github, &arn, &key(name, value)).0, Verdict::Allowed, "{name}");
        assert_eq!(verdict(&github, &arn, &key(name, "other")).0, Verdict::NotAllowed, "{name}");
    }
    let (refused, text) = verdict(&github, &arn, &key("event_name", "push"));
    assert_eq!(refused, Verdict::NotAllowed);
    assert!(text.contains("IAM gives only") && text.contains("not event_name"), "{text}");
    let circle = json!({"iss": "https://oidc.circleci.com/org/o1", "sub": "org/o1/project/p/user/u", "aud": "o1", "oidc.circleci.com/project-id": "p"});
    let conditions = json!({"StringEquals": {"oidc.circleci.com/org/o1:oidc.circleci.com/project-id": "p"}});
    assert_eq!(
        verdict(&circle, "arn:aws:iam::111122223333:oidc-provider/oidc.circleci.com/org/o1", &conditions).0,
        Verdict::Allowed
    );
    let oracle = json!({"iss": "https://idcs-1a2b.identity.oraclecloud.com", "sub": "s", "aud": "a", "rpst_id": "ocid1.instance.1"});
    let conditions = json!({"StringEquals": {"idcs-1a2b.identity.oraclecloud.com:rpst_id": "ocid1.instance.1"}});
    assert_eq!(
        verdict(&oracle, "arn:aws:iam::111122223333:oidc-provider/idcs-1a2b.identity.oraclecloud.com", &conditions).0,
        Verdict::Allowed
    );
    // What one provider's tokens have a key for, another's do not.
    let own = json!({"iss": "https://i.example", "sub": "s", "aud": "a", "actor": "mona"});
    assert_eq!(
        verdict(
            &own,
            "arn:aws:iam::111122223333:oidc-provider/i.example",
            &json!({"StringEquals": {"i.example:actor": "mona"}})
        )
        .0,
        Verdict::NotAllowed
    );
}

#[test]
fn built_in_providers_are_principals_of_their_own_with_their_own_keys() {
    let google = json!({"iss": "https://accounts.google.com", "sub": "113", "aud": "my-aud", "azp": "113",
        "google": {"organization_number": 7}});
    let keys = |aud: &str, oaud: &str| json!({"StringEquals": {"accounts.google.com:aud": aud, "accounts.google.com:oaud": oaud, "accounts.google.com:sub": "113"}});
    assert_eq!(verdict(&google, "accounts.google.com", &keys("113", "my-aud")).0, Verdict::Allowed);
    let (refused, text) = verdict(&google, "accounts.google.com", &keys("my-aud", "my-aud"));
    assert_eq!(refused, Verdict::NotAllowed);
    assert!(
        text.contains("azp 113, which AWS compares instead of aud") && text.contains("accounts.google.com:oaud"),
        "{text}"
    );
    let (refused, text) = verdict(&google, "arn:aws:iam::111122223333:oidc-provider/accounts.google.com", &json!({}));
    assert_eq!(refused, Verdict::NotAllowed);
    assert!(text.contains("its principal is accounts.google.com without an ARN"), "{text}");
    let number = json!({"NumericEquals": {"accounts.google.com:google/organization_number": "7"}});
    assert_eq!(verdict(&google, "accounts.google.com", &number).0, Verdict::Depends);
    let amazon =
        json!({"iss": "https://www.amazon.com", "app_id": "amzn1.application.1", "user_id": "amzn1.account.A"});
    let app = json!({"StringEquals": {"www.amazon.com:app_id": "amzn1.application.1", "www.amazon.com:user_id": "amzn1.account.A"}});
    assert_eq!(verdict(&amazon, "www.amazon.com", &app).0, Verdict::Allowed);
    assert_eq!(verdict(&json!({"iss": "https://www.amazon.com"}), "www.amazon.com", &app).0, Verdict::Depends);
    let facebook = json!({"iss": "https://graph.facebook.com", "app_id": "1", "id": "2"});
    let app = json!({"StringEquals": {"graph.facebook.com:app_id": "1", "graph.facebook.com:id": "2"}});
    assert_eq!(verdict(&facebook, "graph.facebook.com", &app).0, Verdict::Allowed);
}

#[test]
fn an_operator_that_iam_does_not_have_fails_whatever_its_key() {
    let claims = claims(&json!({}));
    let policy = policy(&json!({"change": {"Condition": {"StringEqual": {"aws:RequestedRegion": "eu-west-1"}}}}));
    let explanation = explain(&policy, &claims, ROLE, None);
    assert_eq!(explanation.verdict, Verdict::NotAllowed);
    assert!(explanation.text().contains("did you mean StringEquals?"), "{}", explanation.text());
}

#[test]
fn a_condition_on_githubs_old_subject_is_told_with_the_line_of_the_new() {
    let token = json!({"iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com",
        "sub": "repo:octo-org@12/octo-repo@74:ref:refs/heads/main"});
    let arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    for (operator, old, new) in [
        (
            "StringEquals",
            "repo:octo-org/octo-repo:ref:refs/heads/main",
            "repo:octo-org@12/octo-repo@74:ref:refs/heads/main",
        ),
        ("StringLike", "repo:octo-org/octo-repo:*", "repo:octo-org@12/octo-repo@74:*"),
    ] {
        let key = "token.actions.githubusercontent.com:sub";
        let (refused, text) = verdict(&token, arn, &json!({operator: {key: old}}));
        assert_eq!(refused, Verdict::NotAllowed);
        let line = format!("put \"{key}\": \"{new}\"");
        assert!(text.contains("newer subject") && text.contains(&line), "{text}");
        assert_eq!(verdict(&token, arn, &json!({operator: {key: new}})).0, Verdict::Allowed);
    }
}
