//! Names, labels and annotations, as the API server takes them of objects of every kind (Kubernetes documentation, "Object Names
//! and IDs", "Labels and Selectors", "Annotations").

use serde_json::Value;

use super::collect::finding;
use crate::asl::Node;
use crate::asl::lint::Finding;

/// Most that all annotations of an object may have together, in bytes.
const MOST_OF_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(object: Node<'_>, findings: &mut Vec<Finding>) {
    let mut wrong = |node: Node<'_>, message: String| findings.push(finding(object, node, "SB091", message));
    let at = |pointer: &str| object.pointer(pointer);
    match (at("/metadata/name"), at("/metadata/generateName")) {
        (None, None) => wrong(object, "metadata.name is missing".into()),
        (Some(name), _) => {
            if let Some(problem) = name_problem(name.value(), "") {
                wrong(name, problem);
            }
        }
        (None, Some(prefix)) => {
            if let Some(problem) = name_problem(prefix.value(), "x") {
                wrong(prefix, problem);
            }
        }
    }
    if let Some(namespace) = at("/metadata/namespace")
        && !namespace.as_str().is_some_and(|text| is_label(text) && text.len() <= 63)
    {
        wrong(
            namespace,
            "a namespace has at most 63 lower-case letters, digits and -, and none of - at its ends".into(),
        );
    }
    for (field, most) in [("labels", Some(63)), ("annotations", None)] {
        let entries = at(&format!("/metadata/{field}")).into_iter().flat_map(Node::fields);
        for (key, value) in entries {
            if !is_qualified(key) {
                wrong(
                    value,
                    format!(
                        "\"{key}\" is no key of {field}: a name of at most 63 letters, digits, - _ and ., with or without a domain and a slash before it"
                    ),
                );
            }
            match (value.as_str(), most) {
                (None, _) => wrong(value, format!("{field} are texts; put the value of {key} in quotes")),
                (Some(text), Some(most)) if !is_label_value(text, most) => {
                    wrong(
                        value,
                        format!(
                            "the value of label {key} has at most {most} letters, digits, - _ and ., the first and last of them a letter or digit"
                        ),
                    );
                }
                (Some(_), _) => {}
            }
        }
    }
    if let Some(annotations) = at("/metadata/annotations") {
        let size: usize = annotations.fields().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
        if size > MOST_OF_ANNOTATIONS {
            wrong(annotations, format!("the annotations have {size} bytes; at most {MOST_OF_ANNOTATIONS} are taken"));
        }
    }
}

/// A name as the API server would generate it: five characters after the prefix, which is cut to make room for them.
pub(super) fn generated(object: Node<'_>) -> Option<String> {
    let prefix = object.pointer("/metadata/generateName")?.as_str()?;
    Some(prefix.chars().take(58).chain("xxxxx".chars()).collect())
}

/// `after` stands for what is put behind a prefix.
fn name_problem(name: &Value, after: &str) -> Option<String> {
    let Some(text) = name.as_str() else { return Some("a name is a text; put it in quotes".into()) };
    let whole = format!("{text}{after}");
    let fits = whole.len() <= 253 && whole.split('.').all(is_label);
    (!fits).then(|| {
        format!("\"{text}\" is no name of an object: at most 253 lower-case letters, digits, - and ., each part between dots beginning and ending with a letter or digit")
    })
}

/// A label of a domain name, of any length.
fn is_label(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|byte| is_alphanumeric(byte) || *byte == b'-')
}

/// A value of a label, or the name in a key.
fn is_label_value(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= most
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_qualified(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    let is_domain = |text: &str| text.len() <= 253 && text.to_ascii_lowercase().split('.').all(is_label);
    domain.is_none_or(is_domain) && !name.is_empty() && is_label_value(name, 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::Places;
    use serde_json::json;

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
        ] {
            assert_eq!(paths(&metadata), [path], "{}", metadata.to_string().chars().take(80).collect::<String>());
        }
    }
}
