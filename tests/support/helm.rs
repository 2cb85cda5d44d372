//! Charts as Helm renders them.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

pub fn helm_on(chart: &str, args: &[&str]) -> Result<String, String> {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh")).output().unwrap();
    let folder = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
    let output = Command::new(folder.join("helm")).args(args).arg(chart).env_remove("AWS_CA_BUNDLE").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub fn render(chart: &str, release: &str, sets: &[&str]) -> Vec<Value> {
    let mut args = vec!["template", release, "-n", "system"];
    args.extend(sets.iter().flat_map(|set| ["--set-json", set]));
    documents(&helm_on(chart, &args).unwrap())
}

pub fn documents(text: &str) -> Vec<Value> {
    let read = |document| Value::deserialize(document).unwrap();
    serde_yaml::Deserializer::from_str(text).map(read).filter(Value::is_object).collect()
}

/// Every rule, with the kind and name of the object that holds it.
pub fn rules(objects: &[Value]) -> Vec<(String, Value)> {
    let of = |object: &Value| -> Vec<(String, Value)> {
        let holder = format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        object["rules"].as_array().into_iter().flatten().map(|rule| (holder.clone(), rule.clone())).collect()
    };
    objects.iter().flat_map(of).collect()
}
