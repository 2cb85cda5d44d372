//! The manifest of a run from what the flags say: what somebody would have written by hand, and no defaults.

use serde_json::{Map, Value, json};

use crate::api::v1alpha1::{RunMode, is_label_value, is_qualified_name};

/// What the flags say.
#[derive(Debug, Default)]
pub(in crate::kubectl) struct Wanted<'a> {
    pub workflow: &'a str,
    pub alias: Option<&'a str>,
    pub version: Option<i64>,
    pub name: Option<&'a str>,
    pub generate_name: Option<&'a str>,
    pub labels: Map<String, Value>,
    pub mode: Option<RunMode>,
    pub timeout: Option<&'a str>,
    pub input: Option<Value>,
}

impl Wanted<'_> {
    pub fn object(self, namespace: &str) -> Value {
        let mut metadata = match (self.name, self.generate_name) {
            (Some(name), _) => json!({"name": name}),
            (None, Some(prefix)) => json!({"generateName": prefix}),
            (None, None) => json!({"generateName": format!("{}-", self.workflow)}),
        };
        metadata["namespace"] = json!(namespace);
        if !self.labels.is_empty() {
            metadata["labels"] = Value::Object(self.labels);
        }
        let mut reference = json!({"name": self.workflow});
        if let Some(alias) = self.alias {
            reference["alias"] = json!(alias);
        }
        if let Some(version) = self.version {
            reference["version"] = json!(version);
        }
        let mut spec = json!({"workflowRef": reference});
        let given = [
            ("input", self.input),
            ("mode", self.mode.map(|mode| json!(mode))),
            ("timeout", self.timeout.map(|timeout| json!(timeout))),
        ];
        for (field, value) in given {
            if let Some(value) = value {
                spec[field] = value;
            }
        }
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec})
    }
}

/// Labels as the flags have them.
pub(super) fn labels(given: &[String]) -> Result<Map<String, Value>, String> {
    let mut labels = Map::new();
    for label in given {
        let (key, value) =
            label.split_once('=').ok_or_else(|| format!("--labels {label:?} is no label; write key=value"))?;
        if !is_qualified_name(key) || !is_label_value(value) {
            return Err(format!(
                "--labels {label:?} is no label: keys and values have at most 63 letters, digits, -, _ and ., a key perhaps a domain and / before it"
            ));
        }
        labels.insert(key.to_owned(), json!(value));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::WorkflowRun;

    #[test]
    fn the_object_is_what_one_would_write_by_hand() {
        let bare = Wanted { workflow: "fulfil", ..Wanted::default() }.object("shop");
        assert_eq!(
            bare,
            json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"generateName": "fulfil-", "namespace": "shop"}, "spec": {"workflowRef": {"name": "fulfil"}}})
        );
        let full = Wanted {
            workflow: "fulfil",
            alias: Some("live"),
            name: Some("order"),
            labels: labels(&["team=a".into(), "example.com/tier=".into()]).unwrap(),
            mode: Some(RunMode::Sync),
            timeout: Some("2h"),
            input: Some(json!(null)),
            ..Wanted::default()
        };
        let full = full.object("shop");
        let spec =
            json!({"workflowRef": {"name": "fulfil", "alias": "live"}, "input": null, "mode": "Sync", "timeout": "2h"});
        let metadata = json!({"name": "order", "namespace": "shop", "labels": {"team": "a", "example.com/tier": ""}});
        assert_eq!((&full["spec"], &full["metadata"]), (&spec, &metadata));
        let typed: WorkflowRun = serde_json::from_value(full).unwrap();
        assert_eq!(typed.spec.input, Some(Value::Null), "null is an input");
        assert!(labels(&["team".into()]).is_err() && labels(&["a b=c".into()]).is_err());
    }
}
