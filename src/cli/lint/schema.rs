//! Manifests of our kinds against the schemas that the API server has, as far as they need no cluster.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use serde_json::Value;

use super::defaults::{is_dropped, with_defaults};
use super::finding::{finding, unknown};
use super::{metadata, rules, words};
use crate::api::v1alpha1::custom_resource_definitions;
use crate::asl::Node;
use crate::asl::lint::Finding;
use crate::plan::workflow::log_group_warning;

/// The version of the API that this program has.
const VERSION: &str = "stepbound.dev/v1alpha1";

/// The schemas by kind, and their patterns once they were used.
pub(super) struct Schemas {
    kinds: BTreeMap<String, Value>,
    patterns: RefCell<HashMap<String, Option<Regex>>>,
}

impl Schemas {
    pub(super) fn new() -> Result<Self, serde_json::Error> {
        let mut kinds = BTreeMap::new();
        for definition in custom_resource_definitions()? {
            let value = serde_json::to_value(&definition)?;
            let kind = value["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
            kinds.insert(kind, value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
        }
        Ok(Self { kinds, patterns: RefCell::default() })
    }

    /// What the API server would refuse or drop.
    pub(super) fn check(&self, object: Node<'_>, kind: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let version = object.get("apiVersion");
        if let Some(version) = version.filter(|version| version.as_str() != Some(VERSION)) {
            let message = format!("this program knows {VERSION}, not {}", version.as_str().unwrap_or_default());
            return vec![finding(object, version, "SB091", message)];
        }
        let Some(schema) = self.kinds.get(kind) else {
            let kinds = self.kinds.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("there is no kind \"{kind}\" in {VERSION}; there are {kinds}");
            return vec![finding(object, object.get("kind").unwrap_or(object), "SB091", message)];
        };
        metadata::check(object, &mut findings);
        let full = self.completed(object, kind);
        let mut walk = Walk { object, findings: &mut findings, schemas: self, unread: 0 };
        for (field, node) in object.fields() {
            match field {
                "apiVersion" | "kind" | "metadata" | "status" => {}
                "spec" => walk.value(node, &full["spec"], &schema["properties"]["spec"], "spec"),
                _ => walk.findings.push(unknown(object, node, field, &["apiVersion", "kind", "metadata", "spec"])),
            }
        }
        if full.get("spec").is_none() {
            walk.unread += 1;
            walk.wrong(object, "the field spec is missing".into());
        }
        if walk.unread == 0 {
            walk.rules(object, &full, schema);
        }
        if kind == "Workflow" {
            log_group(object, &mut findings);
        }
        findings
    }

    /// The object as the API server judges it: with the defaults of its kind, and a name where it would get one.
    pub(super) fn completed(&self, object: Node<'_>, kind: &str) -> Value {
        let schema = self.kinds.get(kind).unwrap_or(&Value::Null);
        let mut full = with_defaults(object.value(), schema);
        let given = object.pointer("/metadata/name").and_then(Node::as_str).map(str::to_owned);
        let name = given.or_else(|| metadata::generated(object)).unwrap_or_default();
        if full["metadata"].is_object() {
            full["metadata"]["name"] = name.into();
        }
        full
    }

    fn fits(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

/// What logs are written to, where people stumble.
fn log_group(object: Node<'_>, findings: &mut Vec<Finding>) {
    let group = object.pointer("/spec/logging/logGroupARN");
    if let Some((node, message)) = group.and_then(|node| Some((node, log_group_warning(node.as_str()?)?))) {
        findings.push(finding(object, node, "SB013", message));
    }
}

struct Walk<'a, 'f> {
    object: Node<'a>,
    findings: &'f mut Vec<Finding>,
    schemas: &'f Schemas,
    /// Values so far that have another type than theirs, and fields that are missing: no rule is asked of what they are in.
    unread: usize,
}

impl<'a> Walk<'a, '_> {
    fn wrong(&mut self, node: Node<'a>, message: String) {
        self.findings.push(finding(self.object, node, "SB091", message));
    }

    /// `full` is the value with its defaults.
    fn value(&mut self, node: Node<'a>, full: &Value, schema: &Value, name: &str) {
        let unread = self.unread;
        if node.value().is_null() && schema["nullable"] == true {
            return;
        }
        let form = schema["type"].as_str().unwrap_or_default();
        let has_form = match form {
            "object" => node.value().is_object(),
            "array" => node.value().is_array(),
            "string" => node.value().is_string(),
            "boolean" => node.value().is_boolean(),
            // 1.0 is an integer to the API server.
            "integer" => node.value().as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => node.value().is_number(),
            _ => true,
        };
        if !has_form && schema["x-kubernetes-int-or-string"] != true {
            self.unread += 1;
            return self.wrong(node, words::of_type(node.value(), schema, name));
        }
        self.bounds(node, schema, name);
        self.list(node, full, schema, name);
        let item_schema = &schema["items"];
        if item_schema.is_object() {
            for (index, item) in node.items().enumerate() {
                self.value(item, &full[index], item_schema, name);
            }
        }
        if node.value().is_object() && schema["x-kubernetes-preserve-unknown-fields"] != true {
            self.fields(node, full, schema);
        }
        if self.unread == unread {
            self.rules(node, full, schema);
        }
    }

    fn fields(&mut self, node: Node<'a>, full: &Value, schema: &Value) {
        let properties = schema["properties"].as_object();
        let known: Vec<&str> = properties.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        for (key, field) in node.fields() {
            let of_map = Some(&schema["additionalProperties"]).filter(|schema| schema.is_object());
            match properties.and_then(|properties| properties.get(key)).or(of_map) {
                Some(schema) if is_dropped(field.value(), schema) => {}
                Some(schema) => self.value(field, &full[key], schema, key),
                None if schema["additionalProperties"] == true => {}
                None => self.findings.push(unknown(self.object, field, key, &known)),
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if full.get(required).is_none() {
                self.unread += 1;
                self.wrong(node, format!("the field {required} is missing"));
            }
        }
    }

    fn bounds(&mut self, node: Node<'a>, schema: &Value, name: &str) {
        if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(node.value())) {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            return self.wrong(node, format!("{name} must be one of {}", words.join(", ")));
        }
        if let Some(message) = node.value().as_f64().and_then(|number| out_of_range(number, schema)) {
            self.wrong(node, format!("{name} {message}"));
        }
        if let Some(text) = node.as_str() {
            self.text(node, text, schema, name);
        }
        let count = match node.value() {
            Value::Array(items) => items.len() as u64,
            Value::Object(fields) => fields.len() as u64,
            _ => return,
        };
        let most = schema["maxItems"].as_u64().or(schema["maxProperties"].as_u64());
        if let Some(most) = most.filter(|most| count > *most) {
            self.wrong(node, format!("{name} has {count} entries; at most {most} are taken"));
        }
        if let Some(least) =
            schema["minItems"].as_u64().or(schema["minProperties"].as_u64()).filter(|least| count < *least)
        {
            self.wrong(node, format!("{name} has {count} entries; at least {least} must be there"));
        }
    }

    fn text(&mut self, node: Node<'a>, text: &str, schema: &Value, name: &str) {
        if let Some(message) = words::of_length(name, text.chars().count() as u64, schema) {
            return self.wrong(node, message);
        }
        if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !self.schemas.fits(pattern, text)) {
            return self.wrong(node, words::of_pattern(name, text, pattern));
        }
        if schema["format"] == "date-time" && !is_date_time(text) {
            let message =
                format!("{name} \"{text}\" is no time as RFC 3339 has it; write for example 2026-01-31T12:00:00Z");
            self.wrong(node, message);
        }
    }

    /// What must not stand twice in a list.
    fn list(&mut self, node: Node<'a>, full: &Value, schema: &Value, name: &str) {
        let kind = schema["x-kubernetes-list-type"].as_str().unwrap_or("atomic");
        if kind == "atomic" {
            return;
        }
        let keys: Vec<&str> =
            schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let own = |item: &Value| match kind {
            "map" => keys.iter().map(|key| item[*key].to_string()).collect::<Vec<_>>().join(" "),
            _ => item.to_string(),
        };
        let mut seen = Vec::new();
        for (index, item) in node.items().enumerate() {
            let key = own(&full[index]);
            if seen.contains(&key) {
                self.wrong(item, format!("{name} has {key} twice"));
            }
            seen.push(key);
        }
    }

    /// Rules that are written in CEL. One that speaks of the form of a value says what to write, so it stands in place of what the
    /// schema says of it; others speak of how values go together.
    fn rules(&mut self, node: Node<'a>, full: &Value, schema: &Value) {
        let formal = self.findings.len();
        for validation in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let cel = validation["rule"].as_str().unwrap_or_default();
            let broken = rules::rule(cel).and_then(|rule| (rule.broken)(full));
            let Some(pointer) = broken.filter(|_| !rules::is_of_changes(cel)) else { continue };
            let message = validation["message"].as_str().unwrap_or("a rule of the API server is broken");
            if let Some(value) = node.pointer(&pointer).filter(|_| rules::is_of_form(cel)) {
                let path = self.object.path_to(value);
                let is_of_form = |one: &Finding| one.code == "SB091" && one.path == path;
                if let Some(one) = self.findings[..formal].iter_mut().find(|one| is_of_form(one)) {
                    message.clone_into(&mut one.message);
                    continue;
                }
            }
            self.wrong(nearest(node, &pointer), message.to_owned());
        }
    }
}

/// The value at a pointer, or the innermost on the way there: what is missing has no place of its own.
fn nearest<'a>(node: Node<'a>, pointer: &str) -> Node<'a> {
    let mut pointer = pointer;
    loop {
        match node.pointer(pointer) {
            Some(found) => return found,
            None => pointer = pointer.rsplit_once('/').map_or("", |(outer, _)| outer),
        }
        if pointer.is_empty() {
            return node;
        }
    }
}

fn out_of_range(number: f64, schema: &Value) -> Option<String> {
    let (of_format, least, most) = (schema["format"].as_str(), schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let (least, most) = match of_format {
        Some("int32") => (least.or(Some(f64::from(i32::MIN))), most.or(Some(f64::from(i32::MAX)))),
        _ => (least, most),
    };
    if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
        return None;
    }
    Some(match (least, most) {
        (Some(least), Some(most)) => format!("is out of range: {least} to {most} are taken"),
        (Some(least), None) => format!("is out of range: at least {least} is taken"),
        (None, Some(most)) => format!("is out of range: at most {most} is taken"),
        (None, None) => return None,
    })
}

/// RFC 3339, with the letter between date and time that the API server asks for.
fn is_date_time(text: &str) -> bool {
    text.get(10..11).is_some_and(|letter| letter.eq_ignore_ascii_case("t")) && text.parse::<jiff::Timestamp>().is_ok()
}
