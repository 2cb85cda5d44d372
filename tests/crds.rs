//! The definitions as they are installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde_json::Value;
use stepbound::api::v1alpha1::custom_resource_definitions;

fn schemas() -> Vec<(String, Value)> {
    let read = |crd: &_| {
        let value: Value = serde_json::to_value(crd).unwrap();
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        (name, value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    custom_resource_definitions().unwrap().iter().map(read).collect()
}

/// Calls back for every property of a schema, with its path.
fn visit(schema: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        see(&path, property);
        visit(property, &path, see);
    }
    if schema["items"].is_object() {
        visit(&schema["items"], &format!("{path}[]"), see);
    }
}

#[test]
fn the_generated_files_are_those_of_the_types() {
    for crd in custom_resource_definitions().unwrap() {
        let name = crd.metadata.name.clone().unwrap();
        let file = format!("{}/crds/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written, serde_yaml::to_string(&crd).unwrap(), "{file} is old: run `make crds`");
    }
}

/// What `has(field)` is asked of in rules and policies is true of a null that is kept.
#[test]
fn a_null_is_kept_in_free_json_alone() {
    const FREE: [(&str, &str); 3] = [
        ("workflowruns.stepbound.dev", ".spec.input"),
        ("workflowruns.stepbound.dev", ".status.output"),
        ("workflowschedules.stepbound.dev", ".spec.runTemplate.spec.input"),
    ];
    fn nullable(schema: &Value, path: &str, found: &mut Vec<String>) {
        if schema["nullable"] == true {
            found.push(path.to_owned());
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            nullable(property, &format!("{path}.{name}"), found);
        }
        for within in ["items", "additionalProperties"] {
            if schema[within].is_object() {
                nullable(&schema[within], &format!("{path}[]"), found);
            }
        }
    }
    for (name, schema) in schemas() {
        let mut found = Vec::new();
        nullable(&schema, "", &mut found);
        let free: Vec<&str> = FREE.iter().filter(|(of, _)| *of == name).map(|(_, path)| *path).collect();
        assert_eq!(found, free, "{name}");
    }
}

#[test]
fn every_field_is_described() {
    for (name, schema) in schemas() {
        visit(&schema["properties"]["spec"], "spec", &mut |path, property| {
            assert!(property["description"].is_string(), "{name} {path} has no description");
        });
        visit(&schema["properties"]["status"], "status", &mut |path, property| {
            assert!(
                property["description"].is_string() || path.contains("conditions"),
                "{name} {path} has no description"
            );
        });
    }
}

/// Requirement 1 of docs/security.md: account, binding, Workflow and run in one namespace; no namespace field.
/// Requirement 7 of docs/security.md: no STS endpoint in a resource; the flag is https unless in a test bed.
/// Requirements 1 and 7 of the identity design. A Guardrail selects namespaces by their labels: it belongs to none and
/// names nothing that acts.
#[test]
fn requirements_01_and_07_no_spec_can_name_another_namespace_or_an_endpoint() {
    for (name, schema) in schemas().into_iter().filter(|(name, _)| name != "guardrails.stepbound.dev") {
        visit(&schema["properties"]["spec"], "spec", &mut |path, _| {
            let field = path.rsplit('.').next().unwrap().to_lowercase();
            assert!(!field.contains("namespace") && !field.contains("endpoint"), "{name} {path}");
        });
    }
}

#[test]
fn a_new_object_does_not_count_as_current() {
    let with_status = |(_, schema): &(String, Value)| schema["properties"]["status"].is_object();
    for (name, schema) in schemas().into_iter().filter(with_status) {
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1, "{name}");
    }
}

/// A value such as `Off` is a boolean to kubectl where it stands without quotes.
#[test]
fn nothing_in_the_definitions_is_read_otherwise_by_kubectl() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crds")).unwrap() {
        let path = entry.unwrap().path();
        let parsed = stepbound::asl::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(parsed.ambiguous, [], "{}", path.display());
    }
}
