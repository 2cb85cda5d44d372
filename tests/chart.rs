//! What the chart grants, as Helm renders it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

fn helm(args: &[&str]) -> Result<String, String> {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh")).output().unwrap();
    let folder = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/stepbound");
    let output = Command::new(folder.join("helm")).args(args).arg(chart).env_remove("AWS_CA_BUNDLE").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn render(sets: &[&str]) -> Vec<Value> {
    let mut args = vec!["template", "stepbound", "-n", "system"];
    args.extend(sets.iter().flat_map(|set| ["--set-json", set]));
    let text = helm(&args).unwrap();
    let read = |document| Value::deserialize(document).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(read).filter(Value::is_object).collect()
}

/// Every rule, with the kind and name of the object that holds it.
fn rules(objects: &[Value]) -> Vec<(String, Value)> {
    let of = |object: &Value| -> Vec<(String, Value)> {
        let holder = format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        object["rules"].as_array().into_iter().flatten().map(|rule| (holder.clone(), rule.clone())).collect()
    };
    objects.iter().flat_map(of).collect()
}

const VARIANTS: [&[&str]; 4] = [
    &[],
    &["operator.watchNamespaces=[\"a\",\"b\"]"],
    &["tokens.grants=[{\"namespace\":\"a\",\"serviceAccounts\":[\"orders\"]}]"],
    &["tokens.mode=\"ClusterWide\""],
];

/// Requirement 10 of the identity design.
#[test]
fn no_variant_grants_secrets_or_a_wildcard() {
    for variant in VARIANTS {
        for (holder, rule) in rules(&render(variant)) {
            let text = rule.to_string();
            assert!(!text.contains("secrets") && !text.contains('*'), "{holder}: {text}");
        }
    }
}

/// Requirement 9 of the identity design.
#[test]
fn tokens_are_granted_by_name_unless_the_installer_asks_for_all() {
    let token_rules = |variant: &[&str]| -> Vec<(String, Value)> {
        rules(&render(variant))
            .into_iter()
            .filter(|(_, rule)| rule.to_string().contains("serviceaccounts/token"))
            .collect()
    };
    assert!(token_rules(VARIANTS[0]).is_empty());
    let named = token_rules(VARIANTS[2]);
    assert_eq!(named.len(), 1);
    assert!(named[0].0.starts_with("Role/"));
    assert_eq!(named[0].1["resourceNames"], json!(["orders"]));
    assert!(token_rules(VARIANTS[3])[0].0.starts_with("ClusterRole/"));
}

#[test]
fn foreign_objects_are_read_only_in_watched_namespaces() {
    let everywhere = rules(&render(VARIANTS[0])).into_iter().filter(|(holder, _)| holder.starts_with("ClusterRole/"));
    assert!(everywhere.into_iter().any(|(_, rule)| rule.to_string().contains("configmaps")));
    let narrow = rules(&render(VARIANTS[1])).into_iter().filter(|(holder, _)| holder.starts_with("ClusterRole/"));
    assert!(narrow.into_iter().all(|(_, rule)| !rule.to_string().contains("configmaps")));
}

#[test]
fn the_chart_lints_and_refuses_values_that_do_nothing() {
    helm(&["lint", "--strict"]).unwrap();
    assert!(helm(&["template", "x", "--set", "operator.clusterId=typo"]).unwrap_err().contains("clusterId"));
    let shared = "tokens.grants=[{\"namespace\":\"a\",\"serviceAccounts\":[\"default\"]}]";
    assert!(helm(&["template", "x", "--set-json", shared]).is_err(), "the account `default` is shared");
}

/// Policies of the kind, as rendered for a server that has these groups.
fn policies(kind: &str, server: &str, sets: &[&str]) -> Vec<Value> {
    let mut args = vec!["template", "stepbound", "-n", "system", "--api-versions", server];
    args.extend(sets.iter().flat_map(|set| ["--set-json", set]));
    let text = helm(&args).unwrap();
    let read = |document| Value::deserialize(document).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(read).filter(|object: &Value| object["kind"] == kind).collect()
}

/// The server's name for policies that change objects.
const MUTATING: &str = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";

#[test]
fn policies_that_change_objects_are_rendered_only_for_servers_that_have_them() {
    assert!(policies("MutatingAdmissionPolicy", "v1", &[]).is_empty());
    assert!(!policies("MutatingAdmissionPolicy", MUTATING, &[]).is_empty());
    assert!(policies("MutatingAdmissionPolicy", MUTATING, &["admission.enabled=false"]).is_empty());
    let names = |sets: &[&str]| -> Vec<String> {
        let all = policies("MutatingAdmissionPolicy", MUTATING, sets);
        all.iter().map(|policy| policy["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&[]).contains(&"system-stepbound-finalizer".to_owned()));
    assert!(!names(&["admission.finalizer=false"]).contains(&"system-stepbound-finalizer".to_owned()));
}

#[test]
fn policies_hold_only_in_the_namespaces_that_the_release_watches() {
    for kind in ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"] {
        for policy in policies(kind, MUTATING, &["operator.watchNamespaces=[\"a\"]"]) {
            let selector = &policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"][0];
            assert_eq!(selector["values"], json!(["a"]), "{policy}");
        }
    }
}

/// Every argument that the chart passes is a flag of the program, with a value that it takes.
#[test]
fn the_deployment_starts_the_operator_with_flags_that_it_knows() {
    let sets: [&[&str]; 2] = [
        &[],
        &[
            "operator.watchNamespaces=[\"a\"]",
            "operator.foreignOwnerTags=[\"ManagedBy\"]",
            "operator.clusterID=\"prod\"",
            "operator.stsEndpointURL=\"https://sts.example\"",
        ],
    ];
    for set in sets {
        let objects = render(set);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        // Without a cluster it gets as far as looking for one, which is after every flag was read.
        let program = Command::new(env!("CARGO_BIN_EXE_stepbound")).args(arguments).env_clear().output().unwrap();
        let said = String::from_utf8_lossy(&program.stderr);
        assert!(said.contains("KUBECONFIG"), "{said}");
        assert!(container["env"].to_string().contains("MALLOC_ARENA_MAX"));
    }
}
