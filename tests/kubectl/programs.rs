//! Hints name the program that says them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::api::Api;

#[test]
fn hints_of_the_plugin_name_the_plugin() {
    let api = Api::start();
    let broken = api.folder.path().join("broken.json");
    std::fs::write(&broken, r#"{"StartAt": "Nowhere", "States": {"A": {"Type": "Pass", "Next": "B"}}}"#).unwrap();
    let manifest = api.folder.path().join("workflow.yaml");
    std::fs::write(
        &manifest,
        "apiVersion: stepbound.dev/v1alpha1\nkind: Workflow\nmetadata: {name: a}\nspec: {trustBindingRef: 7}\n",
    )
    .unwrap();
    let template = api.folder.path().join("template.yaml");
    std::fs::write(&template, "{{ if }}\nStartAt: [\n").unwrap();
    let (broken, manifest, template) =
        (broken.to_str().unwrap(), manifest.to_str().unwrap(), template.to_str().unwrap());
    let mut said = String::new();
    for arguments in [
        &["lint", broken][..],
        &["lint", template],
        &["lint", "-o", "sarif", broken],
        &["lint", "--explain", "SB092"],
        &["lint", "--explain", "SB093"],
        &["lint", "--explain", "SB999"],
        &["graph", broken],
        &["graph", manifest],
        &["policy", "execution-role", broken],
        &["policy", "binding-role", manifest],
        &["trust", "lint", broken],
        &["trust", "render", manifest],
    ] {
        let ended = api.ends(arguments);
        writeln!(said, "{}{}", ended.out, ended.said).unwrap();
        for verb in ["graph", "lint", "policy", "trust"] {
            let other = format!("stepbound {verb}");
            assert!(!ended.out.contains(&other) && !ended.said.contains(&other), "{arguments:?}: {ended:?}");
        }
    }
    assert!(said.contains("help: kubectl sfn lint --explain SB"), "{said}");
    assert!(said.matches("`kubectl sfn lint").count() > 3, "{said}");
}

#[test]
fn the_policy_for_the_role_of_a_binding_is_the_same_as_yaml() {
    let api = Api::start();
    api.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding", "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/orders", "region": "eu-west-1"}}));
    let printed = |form: &str| {
        let ended = api.ends(&["policy", "binding-role", "binding/orders", "-o", form]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    };
    let (yaml, json) = (printed("yaml"), printed("json"));
    assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), serde_json::from_str::<Value>(&json).unwrap());
    assert!(yaml.contains("states:CreateStateMachine"), "{yaml}");
}
