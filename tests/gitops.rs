//! What is shipped for Argo CD, Flux and kustomize, tried with the libraries that they use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

fn binaries() -> PathBuf {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh")).output().unwrap();
    PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim())
}

/// The tool of that name that was built last.
fn tool(name: &str) -> PathBuf {
    let built = std::fs::read_dir(binaries()).unwrap().map(|entry| entry.unwrap());
    let named = built.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    named.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap().path()
}

/// What Argo CD's interpreter makes of an object with a script.
fn lua(mode: &str, script: &Path, object: &Value) -> Value {
    let mut child = Command::new(tool("gitops-verdict-"))
        .args([mode, script.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{mode} {}", script.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap()
}

/// Folders of kinds, as argo-cd's repository has them.
fn customizations() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(format!("{DEPLOY}/argocd/stepbound.dev")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

/// Empty tables are lists or objects to nobody in Lua.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(key, value)| (key.clone(), without_empty(value)));
            kept.filter(|(_, value)| *value != json!({}) && *value != json!([]))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(without_empty).collect(),
        // Lua has one kind of number.
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

#[test]
fn argo_cd_shows_the_health_that_the_test_data_says() {
    let mut tried = 0;
    for folder in customizations() {
        for case in yaml(&folder.join("health_test.yaml"))["tests"].as_array().unwrap() {
            let input = folder.join(case["inputPath"].as_str().unwrap());
            let health = lua("health", &folder.join("health.lua"), &yaml(&input));
            assert_eq!(health, case["healthStatus"], "{}", input.display());
            tried += 1;
        }
    }
    assert!(tried >= 40, "{tried}");
}

#[test]
fn argo_cd_offers_and_carries_out_the_actions_that_the_test_data_says() {
    let with_actions: Vec<PathBuf> =
        customizations().into_iter().map(|folder| folder.join("actions")).filter(|folder| folder.exists()).collect();
    assert_eq!(with_actions.len(), 2);
    for folder in with_actions {
        let tests = yaml(&folder.join("action_test.yaml"));
        for case in tests["discoveryTests"].as_array().unwrap() {
            let input = folder.join(case["inputPath"].as_str().unwrap());
            let offered = lua("actions", &folder.join("discovery.lua"), &yaml(&input));
            for wanted in case["result"].as_array().unwrap() {
                let name = wanted["name"].as_str().unwrap();
                assert_eq!(offered[name]["disabled"], wanted["disabled"], "{} {name}", input.display());
                assert!(folder.join(name).join("action.lua").exists(), "{name} has no script");
            }
            assert_eq!(offered.as_object().unwrap().len(), case["result"].as_array().unwrap().len());
        }
        for case in tests["actionTests"].as_array().unwrap() {
            let name = case["action"].as_str().unwrap();
            let input = yaml(&folder.join(case["inputPath"].as_str().unwrap()));
            let wanted = yaml(&folder.join(case["expectedOutputPath"].as_str().unwrap()));
            let result = lua("action", &folder.join(name).join("action.lua"), &input);
            if let Some(created) = wanted.as_array() {
                assert_eq!(result[0]["operation"], created[0]["k8sOperation"], "{name}");
                assert_eq!(result[0]["resource"], created[0]["unstructuredObj"], "{name}");
            } else {
                assert_eq!(without_empty(&result), without_empty(&wanted), "{name}");
            }
        }
    }
}

fn kustomize(folder: &str) -> Vec<Value> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map_or_else(binaries, PathBuf::from);
    let output = Command::new(assets.join("kubectl")).args(["kustomize", folder]).output().unwrap();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

#[test]
fn kustomize_rewrites_every_name_of_ours_with_prefix_and_hash() {
    let objects = kustomize(&format!("{DEPLOY}/kustomize/example"));
    let values = |object: &&Value| object["metadata"]["name"].as_str().unwrap().starts_with("blue-fulfil-values-");
    let values = objects.iter().find(values).unwrap()["metadata"]["name"].clone();
    let name = |kind: &str| {
        let found =
            objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] != values).unwrap();
        found["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let spec = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap()["spec"].clone();
    let map = name("ConfigMap");
    assert!(map.len() > "blue-fulfil-definition-".len(), "{map}");
    assert_eq!(spec("Workflow")["definitionFrom"]["configMapKeyRef"]["name"], map.as_str());
    assert_eq!(spec("Workflow")["substitutionsFrom"][0]["configMapRef"]["name"], values);
    assert_eq!(spec("TrustBinding")["serviceAccountName"], name("ServiceAccount").as_str());
    assert_eq!(spec("Workflow")["trustBindingRef"]["name"], name("TrustBinding").as_str());
    assert_eq!(spec("WorkflowRun")["workflowRef"]["name"], name("Workflow").as_str());
    let shipped = std::fs::read_to_string(format!("{DEPLOY}/kustomize/references.yaml")).unwrap();
    let copied = std::fs::read_to_string(format!("{DEPLOY}/kustomize/example/references.yaml")).unwrap();
    assert_eq!(shipped, copied, "the example shows what is shipped");
}

#[test]
fn the_base_of_kustomize_is_the_chart_with_every_definition() {
    let objects = kustomize(&format!("{DEPLOY}/kustomize/base"));
    let definitions: Vec<&Value> =
        objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect();
    assert_eq!(definitions.len(), stepbound::api::v1alpha1::custom_resource_definitions().unwrap().len());
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert_eq!(deployment["metadata"]["namespace"], "stepbound-system");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/render-manifests.sh");
    let rendered = Command::new(script).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let written = std::fs::read_to_string(format!("{DEPLOY}/kustomize/base/operator.yaml")).unwrap();
    assert_eq!(written, String::from_utf8(rendered.stdout).unwrap(), "run `make manifests`");
}

#[test]
fn what_is_shipped_for_flux_can_be_read_and_names_charts_of_ours() {
    let text = std::fs::read_to_string(format!("{DEPLOY}/flux/stepbound.yaml")).unwrap();
    let objects: Vec<Value> =
        serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect();
    let charts: Vec<&str> =
        objects.iter().filter_map(|object| object["spec"]["chart"]["spec"]["chart"].as_str()).collect();
    assert_eq!(charts, ["stepbound-crds", "stepbound"]);
    for chart in charts {
        let manifest = yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(chart).join("Chart.yaml"));
        let wanted = objects.iter().find(|object| object["spec"]["chart"]["spec"]["chart"] == chart).unwrap();
        let range = wanted["spec"]["chart"]["spec"]["version"].as_str().unwrap().trim_end_matches('x');
        assert!(manifest["version"].as_str().unwrap().starts_with(range), "{chart}");
    }
    yaml(Path::new(&format!("{DEPLOY}/flux/shop.yaml")));
}
