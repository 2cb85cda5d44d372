use serde_json::json;

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/shop-orders";

fn claims(more: &serde_json::Value) -> Claims {
    let mut all =
        json!({"iss": "https://i.example", "sub": "system:serviceaccount:shop:orders", "aud": ["sts.amazonaws.com"]});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn allow(conditions: &serde_json::Value) -> serde_json::Value {
    json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/i.example"}, "Condition": conditions})
}

fn read(statements: &[serde_json::Value], more: &serde_json::Value) -> Explanation {
    let policy = Document::from_value(&json!({"Version": "2012-10-17", "Statement": statements})).unwrap();
    explain(&policy, &claims(more), ROLE, None)
}

#[test]
fn the_statement_that_comes_closest_is_shown_as_the_experience_note_has_it() {
    let far = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}});
    let near = allow(&json!({"StringEquals": {
        "i.example:sub": "system:serviceaccount:shop:order", "i.example:aud": "sts.amazonaws.com"}}));
    let explanation = read(&[far, near], &json!({}));
    assert_eq!(explanation.verdict, Verdict::NotAllowed);
    assert_eq!(explanation.failures().len(), 1);
    assert_eq!(
        explanation.text(),
        "The role's trust policy requires (statement 2):\n                 i.example:sub StringEquals system:serviceaccount:shop:order   <- another service account; it is system:serviceaccount:shop:orders\n                 i.example:aud StringEquals sts.amazonaws.com   ok"
    );
}

#[test]
fn a_denial_outweighs_and_what_is_not_known_is_marked() {
    let open = allow(&json!({"StringEquals": {"i.example:sub": "system:serviceaccount:shop:orders"}}));
    let deny = |conditions: &serde_json::Value| {
        let mut statement = allow(conditions);
        statement["Effect"] = json!("Deny");
        statement
    };
    assert_eq!(read(std::slice::from_ref(&open), &json!({})).verdict, Verdict::Allowed);
    let denied = read(&[open.clone(), deny(&json!({"StringLike": {"i.example:sub": "*:orders"}}))], &json!({}));
    assert_eq!(denied.verdict, Verdict::Denied(2));
    assert!(denied.text().starts_with("The role's trust policy denies it (statement 2)"));
    let depends = read(&[open, deny(&json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))], &json!({}));
    assert_eq!(depends.verdict, Verdict::Depends);
    assert!(depends.text().contains("takes the token (statement 1)"), "{}", depends.text());
    assert!(depends.text().contains("denies it (statement 2)") && depends.text().contains("10.0.0.0/8   ? it"));
    assert_eq!(depends.decisive().map(|one| one.number), Some(2));
    let (open_too, no) = (
        allow(&json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        allow(&json!({"StringEquals": {"i.example:sub": "x"}})),
    );
    let denial = deny(&json!({"NotIpAddress": {"aws:SourceIp": "10.9.0.0/16"}}));
    let both = read(&[open_too, denial.clone(), denial.clone()], &json!({}));
    assert_eq!((both.text().matches("   ? ").count(), both.decisive().map(|one| one.number)), (3, Some(1)));
    let refused = read(&[no, denial], &json!({}));
    assert!(refused.verdict == Verdict::NotAllowed && !refused.text().contains("statement 2"), "{}", refused.text());
    let unknown = read(&[allow(&json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))], &json!({}));
    assert_eq!(unknown.verdict, Verdict::Depends);
    assert!(unknown.text().contains("? it depends on where"), "{}", unknown.text());
}

#[test]
fn an_authorized_party_is_what_the_audience_is_compared_with() {
    let policy = [allow(&json!({"StringEquals": {"i.example:aud": "sts.amazonaws.com"}}))];
    let explanation = read(&policy, &json!({"azp": "stepbound"}));
    assert!(
        explanation
            .text()
            .contains("azp stepbound, which AWS compares instead of aud; for aud itself there is i.example:oaud")
    );
    let policy = [allow(&json!({"StringEquals": {"i.example:aud": ["stepbound", "sts.amazonaws.com"]}}))];
    assert_eq!(read(&policy, &json!({"azp": "stepbound"})).verdict, Verdict::Allowed);
}

#[test]
fn session_tags_need_their_own_action_and_fill_variables() {
    let tags = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["shop"]}}});
    let mut policy = allow(&json!({"StringLike": {"i.example:sub": "system:serviceaccount:${aws:RequestTag/team}:*"}}));
    let refused = read(std::slice::from_ref(&policy), &tags);
    assert_eq!((refused.verdict, refused.action), (Verdict::NotAllowed, "sts:TagSession"));
    assert!(refused.text().contains("sts:TagSession has to be allowed as well"));
    policy["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    assert_eq!(read(std::slice::from_ref(&policy), &tags).verdict, Verdict::Allowed);
    assert_eq!(read(&[policy], &json!({})).verdict, Verdict::NotAllowed, "a variable without a value matches nothing");
}

/// Whatever the operator: with wildcards the rest of the value is compared as it is without.
#[test]
fn a_difference_of_case_alone_is_told() {
    for (operator, expected, told) in [
        ("StringEquals", "system:serviceaccount:Shop:orders", true),
        ("StringLike", "system:serviceaccount:Shop:*", true),
        ("StringLike", "system:serviceaccount:Other:*", false),
    ] {
        let text = read(&[allow(&json!({operator: {"i.example:sub": expected}}))], &json!({})).text();
        assert_eq!(text.contains("only the case differs"), told, "{text}");
    }
}

#[test]
fn a_policy_that_is_fine_or_empty_says_so() {
    let fine = read(&[allow(&json!({}))], &json!({}));
    assert!(fine.text().contains("no condition at all") && fine.fix("it").contains("service control policy"));
    assert!(read(&[], &json!({})).text().contains("no statement that allows"));
}
