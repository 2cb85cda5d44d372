//! Names, labels and annotations, as the API server takes them of objects of every kind (Kubernetes documentation, "Object Names
//! and IDs", "Labels and Selectors", "Annotations").

use super::finding::{finding, unknown};
use super::words::no_text;
use crate::api::v1alpha1::{is_annotation_key, is_label_value, is_object_name, is_qualified_name};
use crate::asl::Node;
use crate::asl::lint::Finding;

/// Most that all annotations of an object may have together, in bytes.
const MOST_OF_ANNOTATIONS: usize = 256 * 1024;

/// Fields that the metadata of any object has.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

pub(super) fn check(object: Node<'_>, findings: &mut Vec<Finding>) {
    let mut check = Check { object, findings };
    if let Some(metadata) = object.get("metadata") {
        if !metadata.value().is_object() {
            return check.wrong(metadata, "metadata is an object with a name".into());
        }
        for (field, node) in metadata.fields().filter(|(field, _)| !FIELDS.contains(field)) {
            check.findings.push(unknown(object, node, field, &FIELDS));
        }
    }
    check.names();
    check.labels();
    check.annotations();
    check.finalizers();
    check.owners();
}

struct Check<'a, 'f> {
    object: Node<'a>,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Check<'a, '_> {
    fn wrong(&mut self, node: Node<'a>, message: String) {
        self.findings.push(finding(self.object, node, "SB091", message));
    }

    /// A field of the metadata; a null is as good as none.
    fn field(&self, name: &str) -> Option<Node<'a>> {
        self.object.get("metadata")?.get(name).filter(|node| !node.value().is_null())
    }

    fn names(&mut self) {
        match (self.field("name"), self.field("generateName")) {
            (None, None) => self.wrong(self.object, "metadata.name is missing".into()),
            (Some(name), _) => self.name(name, ""),
            (None, Some(prefix)) => self.name(prefix, "x"),
        }
        let is_namespace = |text: &str| text.len() <= 63 && !text.contains('.') && is_object_name(text);
        let Some(namespace) = self.field("namespace") else { return };
        match namespace.as_str() {
            None => self.wrong(namespace, no_text("namespace", namespace.value())),
            Some(text) if !is_namespace(text) => self.wrong(
                namespace,
                format!(
                    "\"{text}\" is no namespace: at most 63 lower-case letters, digits and -, and none of - at its ends"
                ),
            ),
            Some(_) => {}
        }
    }

    /// `after` stands for what is put behind a prefix.
    fn name(&mut self, node: Node<'a>, after: &str) {
        let Some(text) = node.as_str() else { return self.wrong(node, no_text("name", node.value())) };
        if !is_object_name(&format!("{text}{after}")) {
            self.wrong(node, format!("\"{text}\" is no name of an object: at most 253 lower-case letters, digits, - and ., each part between dots beginning and ending with a letter or digit"));
        }
    }

    /// Keys and values of labels or annotations, as far as they are texts.
    fn texts(&mut self, field: &str) -> Vec<(&'a str, Node<'a>, &'a str)> {
        let Some(map) = self.field(field) else { return Vec::new() };
        if !map.value().is_object() {
            self.wrong(map, format!("{field} are keys with a text each"));
        }
        let mut texts = Vec::new();
        for (key, node) in map.fields().filter(|(_, node)| !node.value().is_null()) {
            match node.as_str() {
                Some(text) => texts.push((key, node, text)),
                None => self.wrong(node, no_text(&format!("the value of {key} in {field}"), node.value())),
            }
        }
        texts
    }

    fn labels(&mut self) {
        for (key, node, text) in self.texts("labels") {
            if !is_qualified_name(key) {
                self.wrong(node, no_key(key, "labels", " in small letters"));
            } else if !is_label_value(text) {
                self.wrong(node, format!("the value of label {key} has at most 63 letters, digits, - _ and ., the first and last of them a letter or digit"));
            }
        }
    }

    fn annotations(&mut self) {
        let texts = self.texts("annotations");
        for (key, node, _) in &texts {
            if !is_annotation_key(key) {
                self.wrong(*node, no_key(key, "annotations", ""));
            }
        }
        let size: usize = texts.iter().map(|(key, _, text)| key.len() + text.len()).sum();
        if let Some(map) = self.field("annotations").filter(|_| size > MOST_OF_ANNOTATIONS) {
            self.wrong(map, format!("the annotations have {size} bytes; at most {MOST_OF_ANNOTATIONS} are taken"));
        }
    }

    fn finalizers(&mut self) {
        let Some(list) = self.field("finalizers") else { return };
        if !list.value().is_array() {
            self.wrong(list, "finalizers are a list of texts".into());
        }
        for item in list.items() {
            if !item.as_str().is_some_and(is_qualified_name) {
                self.wrong(item, "a finalizer is a name of at most 63 letters, digits, - _ and ., with or without a domain in small letters and a slash before it".into());
            }
        }
        let has = |name: &str| list.items().any(|item| item.as_str() == Some(name));
        if has("orphan") && has("foregroundDeletion") {
            self.wrong(list, "the finalizers orphan and foregroundDeletion exclude each other".into());
        }
    }

    fn owners(&mut self) {
        let Some(list) = self.field("ownerReferences") else { return };
        if !list.value().is_array() {
            self.wrong(list, "ownerReferences are a list of objects".into());
        }
        for owner in list.items() {
            let has = |field: &&str| owner.get(field).and_then(Node::as_str).is_some_and(|text| !text.is_empty());
            if let Some(missing) = ["apiVersion", "kind", "name", "uid"].iter().find(|field| !has(field)) {
                self.wrong(owner, format!("an owner has apiVersion, kind, name and uid; {missing} is missing"));
            }
        }
        let mut controllers =
            list.items().filter(|owner| owner.get("controller").is_some_and(|is| *is.value() == true));
        if let Some(second) = controllers.nth(1) {
            self.wrong(second, "only one of the owners can be the controller".into());
        }
    }
}

fn no_key(key: &str, field: &str, case: &str) -> String {
    format!(
        "\"{key}\" is no key of {field}: a name of at most 63 letters, digits, - _ and ., with or without a domain{case} and a slash before it"
    )
}

/// A name as the API server would generate it: five characters after the prefix, which is cut to make room for them.
pub(super) fn generated(object: Node<'_>) -> Option<String> {
    let prefix = object.pointer("/metadata/generateName")?.as_str()?;
    Some(prefix.chars().take(58).chain("xxxxx".chars()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::Places;
    use serde_json::{Value, json};

    fn paths(metadata: &Value) -> Vec<String> {
        let object = json!({"metadata": metadata});
        let places = Places::of(&object);
        let mut findings = Vec::new();
        check(Node::root(&object, &places), &mut findings);
        findings.into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn what_the_api_server_takes_as_metadata_is_taken_and_the_rest_is_told_with_its_place() {
        let good = json!({"name": "a.b-c", "namespace": "shop", "labels": {"a": "", "x.y/b_c": "D-1.e"}, "annotations": {"X/y": "anything {}"}});
        assert_eq!(paths(&good), Vec::<String>::new());
        assert_eq!(paths(&json!({"generateName": "nightly-"})), Vec::<String>::new());
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", "controller": true});
        let more = json!({"name": "a", "labels": null, "creationTimestamp": null, "finalizers": ["a.example/b", "orphan"], "ownerReferences": [owner]});
        assert_eq!(paths(&more), Vec::<String>::new());
        for (metadata, path) in [
            (json!({}), "/"),
            (json!({"name": "Nightly"}), "/metadata/name"),
            (json!({"name": "a_b"}), "/metadata/name"),
            (json!({"name": "a."}), "/metadata/name"),
            (json!({"name": "a".repeat(254)}), "/metadata/name"),
            (json!({"name": 1}), "/metadata/name"),
            (json!({"generateName": "-x"}), "/metadata/generateName"),
            (json!({"name": "a", "namespace": "a.b"}), "/metadata/namespace"),
            (json!({"name": "a", "labels": {"a": true}}), "/metadata/labels/a"),
            (json!({"name": "a", "labels": {"a": "-"}}), "/metadata/labels/a"),
            (json!({"name": "a", "labels": {"a b": ""}}), "/metadata/labels/a b"),
            (json!({"name": "a", "annotations": {"a/b/c": ""}}), "/metadata/annotations/a~1b~1c"),
            (json!({"name": "a", "annotations": {"a": "x".repeat(300_000)}}), "/metadata/annotations"),
            (json!({"name": "a", "labels": {"X.y/a": ""}}), "/metadata/labels/X.y~1a"),
            (json!({"name": "a", "labels": ["a"]}), "/metadata/labels"),
            (json!({"name": "a", "label": {}}), "/metadata/label"),
            (json!({"name": "a", "finalizers": ["my finalizer"]}), "/metadata/finalizers/0"),
            (json!({"name": "a", "finalizers": "a.example/b"}), "/metadata/finalizers"),
            (json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}), "/metadata/finalizers"),
            (
                json!({"name": "a", "ownerReferences": [{"kind": "ConfigMap", "name": "b", "uid": "c"}]}),
                "/metadata/ownerReferences/0",
            ),
            (json!({"name": "a", "ownerReferences": [owner, owner]}), "/metadata/ownerReferences/1"),
            (json!("a"), "/metadata"),
        ] {
            assert_eq!(paths(&metadata), [path], "{}", metadata.to_string().chars().take(80).collect::<String>());
        }
    }
}
