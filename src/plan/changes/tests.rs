use serde_json::json;

use super::*;
use crate::asl::{Parsed, as_it_is, parse_all};

fn definition(value: &Value) -> Definition {
    let parsed = if value.is_null() { Parsed::default() } else { parse_all(&value.to_string()).unwrap().remove(0) };
    as_it_is(parsed, &std::collections::BTreeMap::new(), &[])
}

fn here() -> Surroundings {
    Surroundings {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        ..Surroundings::default()
    }
}

fn between(before: &Value, after: &Value) -> Changes {
    let (before, after, here) = (definition(before), definition(after), here());
    let side = |definition| Side { definition, circumstances: Circumstances::default(), here: Some(&here) };
    changes(&side(&before), &side(&after))
}

fn told(changes: &[Change]) -> Vec<String> {
    let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    changes.iter().map(|one| format!("{}: {} {}", one.path, text(&one.before), text(&one.after))).collect()
}

#[test]
fn values_that_differ_are_told_by_path_with_what_they_were() {
    for (before, after, expected) in [
        (json!({"a": 1, "b": 2}), json!({"b": 2.0, "a": 1}), vec![]),
        (json!({"a": 1}), json!({"a": 2}), vec!["/a: 1 2"]),
        (json!({"a": 1}), json!({"b": 1}), vec!["/b: - 1", "/a: 1 -"]),
        (json!({"a": {"x/y": {"~": 1}}}), json!({"a": {"x/y": {"~": true}}}), vec!["/a/x~1y/~0: 1 true"]),
        (json!({"a": [1, 2, 3]}), json!({"a": [0, 1, 2, 3]}), vec!["/a/0: - 0"]),
        (json!({"a": [1, 2, 3]}), json!({"a": [1, 3]}), vec!["/a/1: 2 -"]),
        (json!([{"x": 1}, {"x": 2}]), json!([{"x": 1}, {"x": 3}]), vec!["/1/x: 2 3"]),
        (json!({"a": []}), json!({"a": {}}), vec!["/a: [] {}"]),
        (json!(1), json!(2), vec![": 1 2"]),
    ] {
        assert_eq!(told(&values(&before, &after)), expected, "{before} {after}");
    }
}

#[test]
fn states_are_added_gone_or_changed_where_their_own_fields_differ() {
    let before = json!({"StartAt": "Pick", "States": {
        "Pick": {"Type": "Map", "ItemProcessor": {"StartAt": "Pack", "States": {"Pack": {"Type": "Wait", "Seconds": 1, "End": true}}}, "Next": "Old"},
        "Old": {"Type": "Succeed"}}});
    let after = json!({"StartAt": "Pick", "States": {
        "Pick": {"Type": "Map", "ItemProcessor": {"StartAt": "Pack", "States": {"Pack": {"Type": "Wait", "Seconds": 2, "End": true}}}, "Next": "New"},
        "New": {"Type": "Succeed"}}});
    let all: Vec<(String, Became)> =
        between(&before, &after).states.into_iter().map(|state| (state.path, state.became)).collect();
    assert_eq!(
        all,
        [
            ("/States/Pick".to_owned(), Became::Changed),
            ("/States/Pick/ItemProcessor/States/Pack".to_owned(), Became::Changed),
            ("/States/New".to_owned(), Became::Added),
            ("/States/Old".to_owned(), Became::Gone),
        ]
    );
    // What differs inside is no change of the state around it.
    let inner = json!({"StartAt": "Pick", "States": {
        "Pick": {"Type": "Map", "ItemProcessor": {"StartAt": "Pack", "States": {"Pack": {"Type": "Wait", "Seconds": 9, "End": true}}}, "Next": "Old"},
        "Old": {"Type": "Succeed"}}});
    let names: Vec<String> = between(&before, &inner).states.into_iter().map(|state| state.name).collect();
    assert_eq!(names, ["Pack"]);
}

#[test]
fn findings_of_the_linter_come_and_go() {
    let good = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    let bad = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Gone"}}});
    let worse = between(&good, &bad);
    assert!(!worse.findings.is_empty() && worse.findings_gone.is_empty(), "{worse:?}");
    let better = between(&bad, &good);
    assert_eq!(
        (better.findings, better.findings_gone.len()),
        (vec![], worse.findings.len()),
        "the same findings go again"
    );
}

fn invoking(function: &str) -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function}, "End": true}}})
}

#[test]
fn permissions_are_those_that_the_role_will_need_or_no_longer_needs() {
    let arn = |name: &str| format!("arn:aws:lambda:eu-west-1:111122223333:function:{name}");
    let moved = between(&invoking(&arn("a")), &invoking(&arn("b"))).permissions.unwrap();
    let resources = |all: &[Missing]| all.iter().flat_map(|one| one.resources.clone()).collect::<Vec<_>>();
    assert!(resources(&moved.needed).contains(&arn("b")), "{moved:?}");
    assert!(resources(&moved.no_longer).contains(&arn("a")), "{moved:?}");
    assert!(!resources(&moved.needed).contains(&arn("a")), "{moved:?}");
    assert!(between(&invoking(&arn("a")), &invoking(&arn("a"))).permissions.unwrap().is_empty());
    // CloudFormation would put in what is known here, so these are the same.
    let template = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:a";
    assert!(between(&invoking(template), &invoking(&arn("a"))).permissions.unwrap().is_empty());

    let open = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName.$": "$.f"}, "End": true}}});
    assert_eq!(between(&invoking(&arn("a")), &open).permissions.unwrap().open.len(), 1);

    let one = definition(&invoking(&arn("a")));
    let side = Side { definition: &one, circumstances: Circumstances::default(), here: None };
    assert_eq!(changes(&side, &side).permissions, None, "where it lives is not known");
}

#[test]
fn all_is_new_beside_no_machine() {
    let after = invoking("arn:aws:lambda:eu-west-1:111122223333:function:a");
    let found = between(&Value::Null, &after);
    assert_eq!(found.states.len(), 1);
    assert_eq!(found.findings_gone, vec![]);
    assert!(!found.permissions.unwrap().needed.is_empty());
}
