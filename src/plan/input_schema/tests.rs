use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema(value: &Value) -> CompactJson {
    CompactJson::from(value)
}

fn of_size(name: &str, bytes: usize) -> CompactJson {
    schema(&json!({"title": name, "description": "x".repeat(bytes)}))
}

fn record(versions: &[i64], unversioned: bool, schema: Option<CompactJson>) -> KeptInputSchema {
    KeptInputSchema { versions: versions.to_vec(), unversioned, schema }
}

fn workflow(records: &[KeptInputSchema], aliases: &Value) -> Workflow {
    serde_json::from_value(
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "orders"},
        "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "r"},
        "status": {"stateMachineARN": MACHINE, "inputSchemas": records, "aliases": aliases}}),
    )
    .unwrap()
}

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:orders";

#[test]
fn a_version_keeps_its_schema_and_the_newest_takes_over_a_change() {
    let (a, b) = (schema(&json!({"title": "a"})), schema(&json!({"title": "b"})));
    let mut records = Vec::new();
    remember(&mut records, Of::Version(1), Some(&a), &[]);
    remember(&mut records, Of::Version(2), Some(&a), &[]);
    assert_eq!(records, [record(&[1, 2], false, Some(a.clone()))], "what is alike is kept once");
    remember(&mut records, Of::Version(2), Some(&b), &[]);
    remember(&mut records, Of::Machine, Some(&b), &[]);
    assert_eq!(records, [record(&[1], false, Some(a.clone())), record(&[2], true, Some(b.clone()))]);
    remember(&mut records, Of::Version(3), None, &[]);
    remember(&mut records, Of::Machine, None, &[]);
    assert_eq!(
        records,
        [record(&[1], false, Some(a.clone())), record(&[2], false, Some(b))],
        "a version may have none"
    );
    forget(&mut records, Of::Version(2));
    assert_eq!(records, [record(&[1], false, Some(a.clone()))]);
    let before = records.clone();
    remember(&mut records, Of::Version(1), Some(&a), &[]);
    assert_eq!(records, before, "what is known already changes nothing");
}

#[test]
fn where_schemas_are_too_large_together_the_oldest_goes_and_one_in_use_goes_last() {
    let mut records = Vec::new();
    for number in 1..=4 {
        remember(&mut records, Of::Version(number), Some(&of_size(&number.to_string(), 30_000)), &[1]);
    }
    remember(&mut records, Of::Version(5), Some(&of_size("5", 30_000)), &[1]);
    let kept: Vec<(Vec<i64>, bool)> = records.iter().map(|one| (one.versions.clone(), one.schema.is_some())).collect();
    assert_eq!(kept, [(vec![2], false), (vec![1], true), (vec![3], true), (vec![4], true), (vec![5], true)]);
    let workflow = workflow(&records, &json!([]));
    assert!(expected(&workflow, &format!("{MACHINE}:1")).is_ok());
    let refused = expected(&workflow, &format!("{MACHINE}:2")).unwrap_err();
    assert_eq!((refused.reason, refused.class), (Reason::InputSchemaUnknown, Class::Waiting));
    assert!(refused.message.contains(":2 that its status had no room to keep"), "{}", refused.message);
}

#[test]
fn an_input_has_to_fit_whatever_its_target_may_start() {
    let (a, b) = (schema(&json!({"title": "a"})), schema(&json!({"title": "b"})));
    let records = [record(&[1], false, Some(a.clone())), record(&[2, 3], true, Some(b.clone()))];
    let alias = |name: &str, routes: Value| json!({"name": name, "ARN": format!("{MACHINE}:{name}"), "phase": "Stable", "routes": routes});
    let route = |version: i64| json!({"version": version, "weight": 50});
    let aliases = json!([
        alias("old", json!([route(1)])),
        alias("moving", json!([route(1), route(3)])),
        alias("alike", json!([route(2), route(3)])),
        alias("untyped", json!([route(4)]))
    ]);
    let workflow = workflow(&records, &aliases);
    let found = |target: &str| {
        let found = expected(&workflow, target).map_err(|failure| failure.reason);
        found.map(|found| found.iter().map(|one| (one.version, one.schema.clone())).collect::<Vec<_>>())
    };
    for (target, schemas) in [
        (MACHINE.to_owned(), Ok(vec![(None, b.clone())])),
        (format!("{MACHINE}:1"), Ok(vec![(Some(1), a.clone())])),
        (format!("{MACHINE}:4"), Ok(vec![])),
        (format!("{MACHINE}:old"), Ok(vec![(Some(1), a.clone())])),
        (format!("{MACHINE}:moving"), Ok(vec![(Some(1), a), (Some(3), b.clone())])),
        (format!("{MACHINE}:alike"), Ok(vec![(Some(2), b)])),
        (format!("{MACHINE}:untyped"), Ok(vec![])),
        (format!("{MACHINE}:gone"), Err(Reason::AliasUnknown)),
        (MACHINE.replace("orders", "another"), Ok(vec![])),
    ] {
        assert_eq!(found(&target), schemas, "{target}");
    }
}

proptest! {
    /// Whatever is published and forgotten in whatever order.
    #[test]
    fn what_is_kept_stays_bounded_and_each_version_stands_once(
        steps in prop::collection::vec((1..9_i64, 0..6_usize, 1..32_000_usize, any::<bool>()), 1..40),
    ) {
        let mut records = Vec::new();
        for (number, name, bytes, forgets) in steps {
            if forgets {
                forget(&mut records, Of::Version(number));
                prop_assert!(!records.iter().any(|one| one.versions.contains(&number)));
            } else {
                let schema = of_size(&name.to_string(), bytes);
                remember(&mut records, Of::Version(number), Some(&schema), &[1, 2]);
                let last = records.iter().find(|one| one.versions.contains(&number)).unwrap();
                prop_assert_eq!(last.schema.as_ref(), Some(&schema), "the newest is kept");
            }
            prop_assert!(records.iter().map(size).sum::<usize>() <= MAX_KEPT);
            let mut all: Vec<i64> = records.iter().flat_map(|one| one.versions.clone()).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), count);
            prop_assert!(records.iter().filter(|one| one.schema.is_none()).count() <= 1);
        }
    }
}
