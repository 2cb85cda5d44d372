//! Input schemas: refused where they are none, and remembered with each version.

use super::*;

#[tokio::test]
async fn a_schema_that_is_none_is_told_with_its_place_and_changes_nothing_in_aws() {
    for (schema, pointer, told) in [
        (json!({"type": "strin"}), "/type", "names no type"),
        (
            json!({"properties": {"a": {"$ref": "https://acme.example/a"}}}),
            "/properties/a/$ref",
            "leads out of the schema",
        ),
        (json!({"description": "x".repeat(33_000)}), "", "at most 32768"),
        (json!({"$ref": "#"}), "", "applies itself"),
        (json!({"pattern": "(a{1000}){1000}"}), "/pattern", "compiles to more than"),
    ] {
        let mut world = World::fake().await;
        add(&world, &json!({"inputSchema": schema}));
        world.settle::<Workflow>("orders").await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "False/InputSchemaInvalid", "{schema}");
        assert_eq!(world.says::<Workflow>("orders", "Stalled"), "True/InputSchemaInvalid", "{schema}");
        assert_eq!(world.says::<Workflow>("orders", "DefinitionValid"), "True/Valid", "{schema}");
        let message = world.message::<Workflow>("orders");
        assert!(message.starts_with("spec.inputSchema is not taken: ") && message.contains(told), "{message}");
        let found = status(&world).diagnostics;
        assert_eq!(found[0].path, format!("/spec/inputSchema{pointer}"));
        assert!(world.aws.changes().is_empty());
        world.change("workflows", "orders", &json!({"spec": {"inputSchema": null}}));
        change(&mut world, &json!({"inputSchema": {"type": "object"}})).await;
        assert_eq!(world.says::<Workflow>("orders", "Ready"), "True/Synced");
        assert!(status(&world).diagnostics.is_empty());
    }
}

#[tokio::test]
async fn each_version_keeps_its_schema_until_it_is_pruned() {
    let schema = |name: &str| json!({"required": [name]});
    let mut world = made(&json!({"inputSchema": schema("1"), "versions": {"retain": 2}})).await;
    for number in ["2", "3", "4"] {
        change(&mut world, &json!({"inputSchema": schema(number), "definition": definition(number)})).await;
    }
    let kept = status(&world).input_schemas;
    let of: Vec<(Vec<i64>, String)> =
        kept.iter().map(|one| (one.versions.clone(), one.schema.as_ref().unwrap().text().to_owned())).collect();
    assert_eq!(of, [(vec![3], schema("3").to_string()), (vec![4], schema("4").to_string())]);
    world.restart().await;
    world.settle::<Workflow>("orders").await;
    assert_eq!(status(&world).input_schemas, kept, "a restart changes nothing");
}

#[tokio::test]
async fn a_crash_between_a_publication_and_its_record_keeps_the_schemas_apart() {
    let mut world = made(&json!({"inputSchema": {"required": ["1"]}})).await;
    world
        .change_spec::<Workflow>("orders", &json!({"inputSchema": {"required": ["2"]}, "definition": definition("2")}));
    world.aws.lose_answer("UpdateStateMachine");
    world.wake_object::<Workflow>("orders").await;
    world.restart().await;
    world.settle::<Workflow>("orders").await;
    let kept = status(&world).input_schemas;
    let of: Vec<Vec<i64>> = kept.iter().map(|one| one.versions.clone()).collect();
    assert_eq!(of, [vec![1], vec![2]]);
}
