//! Manifests of our kinds against the schemas that the API server has, as far as they need no cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::collect::finding;
use crate::api::v1alpha1::custom_resource_definitions;
use crate::asl::Node;
use crate::asl::lint::Finding;
use crate::iam::partition;
use crate::plan::workflow::log_group_warning;

/// The version of the API that this program has.
const VERSION: &str = "stepbound.dev/v1alpha1";

/// The schemas by kind.
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    pub(super) fn new() -> Result<Self, serde_json::Error> {
        let mut schemas = BTreeMap::new();
        for definition in custom_resource_definitions()? {
            let value = serde_json::to_value(&definition)?;
            let kind = value["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
            schemas.insert(kind, value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
        }
        Ok(Self(schemas))
    }

    /// What the API server would refuse or drop.
    pub(super) fn check(&self, object: Node<'_>, kind: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let version = object.get("apiVersion");
        if let Some(version) = version.filter(|version| version.as_str() != Some(VERSION)) {
            let message = format!("this program knows {VERSION}, not {}", version.as_str().unwrap_or_default());
            return vec![finding(object, version, "SB091", message)];
        }
        let Some(schema) = self.0.get(kind) else {
            let kinds = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("there is no kind \"{kind}\" in {VERSION}; there are {kinds}");
            return vec![finding(object, object.get("kind").unwrap_or(object), "SB091", message)];
        };
        if object.pointer("/metadata/name").is_none() && object.pointer("/metadata/generateName").is_none() {
            findings.push(finding(object, object, "SB091", "metadata.name is missing".into()));
        }
        for (field, node) in object.fields() {
            match field {
                "apiVersion" | "kind" | "metadata" | "status" => {}
                "spec" => Walk { object, findings: &mut findings }.value(node, &schema["properties"]["spec"], "spec"),
                _ => findings.push(unknown(object, node, field, &["apiVersion", "kind", "metadata", "spec"])),
            }
        }
        if kind == "Workflow" {
            workflow(object, &mut findings);
        }
        if kind == "TrustBinding" {
            findings.extend(trust_binding(object));
        }
        findings
    }
}

/// Rules of the schema that are written in CEL, where people stumble over them.
fn workflow(object: Node<'_>, findings: &mut Vec<Finding>) {
    if let Some(spec) = object.get("spec") {
        let (inline, from) = (spec.get("definition"), spec.get("definitionFrom"));
        if inline.is_some() == from.is_some() {
            let message = "exactly one of definition and definitionFrom is needed".to_owned();
            findings.push(finding(object, from.unwrap_or(spec), "SB091", message));
        }
    }
    let group = object.pointer("/spec/logging/logGroupARN");
    if let Some((node, message)) = group.and_then(|node| Some((node, log_group_warning(node.as_str()?)?))) {
        findings.push(finding(object, node, "SB013", message));
    }
    if let Some(name) =
        object.pointer("/metadata/name").filter(|name| name.as_str().is_some_and(|name| name.contains('.')))
    {
        let message = "a Workflow's name must not contain a dot: it becomes the state machine's name, and dots there break CloudWatch logging";
        findings.push(finding(object, name, "SB091", message.into()));
    }
}

/// What the operator refuses of a binding however the cluster is: both fields are immutable, so it is worth knowing before.
fn trust_binding(object: Node<'_>) -> Option<Finding> {
    let (role, region) = (object.pointer("/spec/roleARN")?, object.pointer("/spec/region")?);
    let problem = partition::agree(role.as_str()?, region.as_str()?).err()?;
    let message = format!(
        "{problem}; credentials of one partition are good for nothing in another, so name a role and a region of one"
    );
    Some(finding(object, region, "SB091", message))
}

fn unknown(object: Node<'_>, node: Node<'_>, field: &str, known: &[&str]) -> Finding {
    let near = known.iter().find(|known| {
        known.eq_ignore_ascii_case(field) || known.to_lowercase() == field.to_lowercase().trim_end_matches('s')
    });
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let mut finding = finding(object, node, "SB090", format!("there is no field \"{field}\" here{hint}"));
    finding.span = node.key_span();
    finding
}

struct Walk<'a, 'f> {
    object: Node<'a>,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Walk<'a, '_> {
    fn wrong(&mut self, node: Node<'a>, message: String) {
        self.findings.push(finding(self.object, node, "SB091", message));
    }

    fn value(&mut self, node: Node<'a>, schema: &Value, name: &str) {
        if node.value().is_null() && schema["nullable"] == true {
            return;
        }
        let form = schema["type"].as_str().unwrap_or_default();
        let has_form = match form {
            "object" => node.value().is_object(),
            "array" => node.value().is_array(),
            "string" => node.value().is_string(),
            "boolean" => node.value().is_boolean(),
            "integer" => node.value().is_i64() || node.value().is_u64(),
            "number" => node.value().is_number(),
            _ => true,
        };
        if !has_form && schema["x-kubernetes-int-or-string"] != true {
            let hint = if form == "string" && !node.value().is_object() && !node.value().is_array() {
                "; put it in quotes"
            } else {
                ""
            };
            return self.wrong(node, format!("{name} must be of the type {form}{hint}"));
        }
        self.bounds(node, schema, name);
        let item_schema = &schema["items"];
        if item_schema.is_object() {
            for item in node.items() {
                self.value(item, item_schema, name);
            }
        }
        if node.value().is_object() && schema["x-kubernetes-preserve-unknown-fields"] != true {
            self.fields(node, schema);
        }
    }

    fn fields(&mut self, node: Node<'a>, schema: &Value) {
        let properties = schema["properties"].as_object();
        let known: Vec<&str> = properties.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        for (key, field) in node.fields() {
            if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
                self.value(field, schema, key);
            } else if schema["additionalProperties"].is_object() {
                self.value(field, &schema["additionalProperties"], key);
            } else if schema["additionalProperties"] != true {
                self.findings.push(unknown(self.object, field, key, &known));
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if node.get(required).is_none() {
                self.wrong(node, format!("the field {required} is missing"));
            }
        }
    }

    fn bounds(&mut self, node: Node<'a>, schema: &Value, name: &str) {
        if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(node.value())) {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            return self.wrong(node, format!("{name} must be one of {}", words.join(", ")));
        }
        let out = |number: f64| {
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most)
        };
        if node.value().as_f64().is_some_and(out) {
            self.wrong(node, format!("{name} is out of range"));
        }
        if let Some(text) = node.as_str() {
            let length = text.chars().count() as u64;
            if schema["maxLength"].as_u64().is_some_and(|most| length > most)
                || schema["minLength"].as_u64().is_some_and(|least| length < least)
            {
                self.wrong(node, format!("{name} has {length} characters, which is too few or too many"));
            }
        }
    }
}
