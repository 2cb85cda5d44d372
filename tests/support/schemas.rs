//! JSON schemas of every kind that the API server knows, as kubeconform reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::TestBed;
use super::control_plane::{run, tool};
use super::processes::wait_until;

impl TestBed {
    /// Checks manifests against the schemas of this API server, and refuses fields that it does not know.
    pub fn kubeconform(&self, manifests: &str) -> Result<String, String> {
        let folder = self.schemas();
        let place = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", folder.display());
        let mut command = Command::new(tool(&self.binaries, "kubeconform"));
        run(command.args(["-strict", "-summary", "-schema-location", &place, "-"]), Some(manifests))
    }

    /// `ServiceMonitor` and `PrometheusRule`, as the Prometheus operator defines them; before the first check.
    pub fn install_definitions_of_prometheus(&self) {
        let folder = tool(&self.binaries, "prometheus-operator");
        self.control_plane.kubectl(&["apply", "--server-side", "-f", folder.to_str().unwrap()]);
        wait_until(Duration::from_secs(90), "the API server tells their schemas", || {
            let document = self.control_plane.kubectl(&["get", "--raw", "/openapi/v2"]);
            let told = |kind: &str| document.contains(&format!("com.coreos.monitoring.v1.{kind}\""));
            (told("ServiceMonitor") && told("PrometheusRule")).then_some(())
        });
    }

    fn schemas(&self) -> PathBuf {
        let folder = self.control_plane.folder.join("schemas");
        if !folder.exists() {
            std::fs::create_dir_all(&folder).unwrap();
            let document = self.control_plane.kubectl(&["get", "--raw", "/openapi/v2"]);
            write_schemas(&folder, &serde_json::from_str(&document).unwrap());
        }
        folder
    }
}

/// One file a kind, each with a reference into one file of all definitions.
fn write_schemas(folder: &Path, document: &Value) {
    let mut definitions: BTreeMap<String, Value> = serde_json::from_value(document["definitions"].clone()).unwrap();
    for (name, definition) in &mut definitions {
        make_strict(definition);
        // Written as a string of openapi, and a number or a string in JSON.
        if name.ends_with("intstr.IntOrString") {
            *definition = json!({"type": ["integer", "string"]});
        }
        if name.ends_with("resource.Quantity") {
            *definition = json!({"type": ["number", "string"]});
        }
    }
    for (name, definition) in &definitions {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let part = |key: &str| kind[key].as_str().unwrap().to_lowercase();
            let group = part("group");
            let group = group.split('.').next().unwrap();
            let suffix = if group.is_empty() { part("version") } else { format!("{group}-{}", part("version")) };
            let schema = json!({"$ref": format!("all.json#/definitions/{name}")});
            std::fs::write(folder.join(format!("{}-{suffix}.json", part("kind"))), schema.to_string()).unwrap();
        }
    }
    std::fs::write(folder.join("all.json"), json!({"definitions": definitions}).to_string()).unwrap();
}

/// Nothing but the properties that are named, at any depth.
fn make_strict(schema: &mut Value) {
    if schema["properties"].is_object() && schema["additionalProperties"].is_null() {
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        if !open {
            schema["additionalProperties"] = json!(false);
        }
    }
    match schema {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(make_strict);
        }
        Value::Array(items) => items.iter_mut().for_each(make_strict),
        _ => {}
    }
}
