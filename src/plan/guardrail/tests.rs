use super::*;
use proptest::prelude::*;
use serde_json::json;

fn rule(spec: &Value) -> Vec<Rule> {
    let mut whole = json!({"namespaceSelector": {}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    vec![Rule { name: "shops".into(), spec: serde_json::from_value(whole).unwrap() }]
}

fn binding(role_arn: &str, region: &str) -> TrustBindingSpec {
    serde_json::from_value(json!({"serviceAccountName": "orders", "roleARN": role_arn, "region": region})).unwrap()
}

fn workflow(more: &Value) -> WorkflowSpec {
    let mut spec = json!({
        "trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/shop-exec", "definition": {},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_selector_selects_as_kubernetes_does() {
    let cases = [
        (json!({}), true),
        (json!({"matchLabels": {"team": "shop"}}), true),
        (json!({"matchLabels": {"team": "other"}}), false),
        (json!({"matchLabels": {"absent": ""}}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["x", "shop"]}]}), true),
        (json!({"matchExpressions": [{"key": "absent", "operator": "In", "values": [""]}]}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}), false),
        (json!({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["shop"]}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
        (json!({"matchExpressions": [{"key": "absent", "operator": "DoesNotExist"}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "Like"}]}), false),
    ];
    for (selector, expected) in cases {
        let read = serde_json::from_value(selector.clone()).unwrap();
        assert_eq!(selects(&read, &labels(&[("team", "shop")])), expected, "{selector}");
    }
}

#[test]
fn a_binding_is_held_to_accounts_regions_and_roles_and_told_which_guardrail_refused() {
    let role = "arn:aws:iam::111122223333:role/shop-orders";
    let check = |rules: Value| check_binding(&rule(&rules), "shop", &binding(role, "eu-west-1"));
    for allowed in [
        json!({}),
        json!({"allowedAccountIDs": ["111122223333"], "allowedRegions": ["eu-west-1"]}),
        json!({"allowedRoleARNs": ["arn:aws:iam::*:role/shop-*"]}),
    ] {
        assert_eq!(check(allowed.clone()), Ok(()), "{allowed}");
    }
    for (refused, word) in [
        (json!({"allowedAccountIDs": []}), "AWS account 111122223333"),
        (json!({"allowedAccountIDs": ["999988887777"]}), "is not among 999988887777"),
        (json!({"allowedRegions": ["us-east-1"]}), "region eu-west-1 is not among us-east-1"),
        (json!({"allowedRoleARNs": ["arn:aws:iam::111122223333:role/shop"]}), "matches none of"),
    ] {
        let failure = check(refused.clone()).unwrap_err();
        assert_eq!((failure.reason, failure.class), (REFUSED, Class::Terminal));
        assert!(failure.message.starts_with("Guardrail \"shops\" for namespace \"shop\": "), "{}", failure.message);
        assert!(failure.message.contains(word), "{refused}: {}", failure.message);
    }
}

#[test]
fn where_several_select_a_namespace_each_must_allow_and_the_narrowest_limit_holds() {
    let mut rules = rule(&json!({"allowedRegions": ["eu-west-1"], "maxConcurrentRuns": 9, "maxStartsPerSecond": 2}));
    rules.extend(rule(&json!({"allowedRegions": ["us-east-1"], "maxConcurrentRuns": 3})));
    rules[1].name = "all".into();
    let role = "arn:aws:iam::111122223333:role/shop-orders";
    assert!(check_binding(&rules, "shop", &binding(role, "eu-west-1")).unwrap_err().message.contains("\"all\""));
    assert!(check_binding(&rules, "shop", &binding(role, "us-east-1")).unwrap_err().message.contains("\"shops\""));
    let expected = Limits { concurrent: Some((3, "all".into())), per_second: Some((2, "shops".into())) };
    assert_eq!(limits(&rules), expected);
}

#[test]
fn a_forbidden_integration_is_found_however_deep_and_however_written() {
    let task =
        |resource: &str| json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": true}}});
    let inside = |kind: &str, inner: Value| json!({"StartAt": "M", "States": {"M/x": {"Type": kind, "End": true, "ItemProcessor": inner}}});
    let branch = |inner: Value| json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [{"States": {}}, inner]}}});
    let lambda = "arn:aws:lambda:eu-west-1:111122223333:function:f";
    let cases = [
        (task("arn:aws:states:::lambda:invoke.waitForTaskToken"), "lambda:invoke", Some("/States/T")),
        (task(lambda), "lambda:*", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:lambda:invoke"), "lambda:invoke", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:sfn:startExecution"), "states:startExecution", Some("/States/T")),
        (task("arn:aws-cn:states:::states:startExecution.sync:2"), "STATES:*", Some("/States/T")),
        (task("arn:aws:states:::http:invoke"), "http:*", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:s3:getObject"), "aws-sdk:*", Some("/States/T")),
        (task("arn:aws:states:eu-west-1:111122223333:activity:a"), "activity", Some("/States/T")),
        (
            branch(inside("Map", task(lambda))),
            "lambda:invoke",
            Some("/States/P/Branches/1/States/M~1x/ItemProcessor/States/T"),
        ),
        (
            json!({"States": {"M": {"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject"}}}}),
            "s3:*",
            Some("/States/M/ItemReader"),
        ),
        (task("arn:aws:states:::sqs:sendMessage"), "lambda:*", None),
        (json!({"States": {"A": {"Type": "Pass", "Result": {"Resource": lambda}}}}), "lambda:*", None),
    ];
    for (definition, pattern, place) in cases {
        let checked = check_workflow(
            &rule(&json!({"forbiddenIntegrations": [pattern]})),
            "shop",
            &workflow(&json!({})),
            &definition,
        );
        match place {
            Some(place) => {
                let message = checked.unwrap_err().message;
                assert!(message.contains(&format!("at {place} is forbidden by \"{pattern}\"")), "{message}");
            }
            None => assert_eq!(checked, Ok(()), "{definition}"),
        }
    }
}

#[test]
fn a_workflow_is_held_to_its_execution_role_alias_and_source() {
    let check = |rules: Value, spec: Value| check_workflow(&rule(&rules), "shop", &workflow(&spec), &json!({}));
    let aliased = json!({"aliases": [{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]});
    let mapped = json!({"definition": null, "definitionFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}});
    assert!(check(json!({"requireAlias": true}), json!({})).is_err());
    assert_eq!(check(json!({"requireAlias": true}), aliased), Ok(()));
    assert!(check(json!({"forbidDefinitionFrom": true}), mapped.clone()).is_err());
    assert_eq!(check(json!({}), mapped), Ok(()));
    assert!(check(json!({"allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/other"]}), json!({})).is_err());
    assert!(check(json!({"allowedAccountIDs": ["999988887777"]}), json!({})).is_err());
    assert_eq!(check(json!({"allowedExecutionRoleARNs": ["*-exec"]}), json!({})), Ok(()));
}

#[test]
fn a_run_that_needs_an_alias_starts_neither_a_version_nor_the_machine() {
    let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";
    let required = rule(&json!({"requireAlias": true}));
    assert!(check_target(&required, "shop", machine).is_err());
    assert!(check_target(&required, "shop", &format!("{machine}:12")).is_err());
    assert_eq!(check_target(&required, "shop", &format!("{machine}:live")), Ok(()));
    assert_eq!(check_target(&rule(&json!({})), "shop", machine), Ok(()));
}

proptest! {
    /// A pattern without `*` matches itself alone, and one made from a text by starring a part of it matches the text.
    #[test]
    fn patterns_match_what_they_were_made_of(text in "[a-z:/.+]{0,24}", from in 0usize..24, length in 0usize..24, other in "[a-z:/.+]{0,24}") {
        let (from, to) = (from.min(text.len()), (from + length).min(text.len()));
        let starred = format!("{}*{}", &text[..from], &text[to.max(from)..]);
        prop_assert!(matches(&starred, &text), "{starred} {text}");
        prop_assert_eq!(matches(&text, &other), text == other);
        prop_assert!(matches("*", &other));
    }
}
