//! The reference of every field, as a page, from the schemas that the API server checks by.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::api::v1alpha1::form;

/// The page of all kinds.
pub(super) fn page(definitions: &[CustomResourceDefinition]) -> String {
    let mut text = String::from(
        "# Reference\n\nWritten by `make crds` from the schemas by which the API server checks objects; `kubectl explain` shows the same\ntexts. Every kind is of the group `stepbound.dev`, version `v1alpha1`.\n",
    );
    for definition in definitions {
        kind(&mut text, definition);
    }
    text
}

fn kind(text: &mut String, definition: &CustomResourceDefinition) {
    let spec = &definition.spec;
    let short = spec.names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let scope = if spec.scope == "Namespaced" { "namespaced" } else { "of the whole cluster" };
    let schemas = spec.versions.iter().filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    for schema in schemas {
        let _ = write!(text, "\n## {}\n\n{scope}", spec.names.kind);
        if !short.is_empty() {
            let _ = write!(text, ", short name {short}");
        }
        let _ = writeln!(text, ". {}", schema.description.as_deref().unwrap_or_default());
        for part in ["spec", "status"] {
            let Some(fields) = property(schema, part) else { continue };
            let _ = writeln!(text, "\n### {} {part}\n", spec.names.kind);
            rules(text, fields);
            text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
            rows(text, fields, "");
        }
    }
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}

/// What a schema says beyond its fields, in the words with which the API server refuses.
fn rules(text: &mut String, schema: &JSONSchemaProps) {
    let messages: Vec<&String> =
        schema.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.as_ref()).collect();
    for message in &messages {
        let _ = writeln!(text, "- {message}");
    }
    if !messages.is_empty() {
        text.push('\n');
    }
}

fn rows(text: &mut String, schema: &JSONSchemaProps, path: &str) {
    let required: &[String] = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let needed = if required.contains(name) { ", required" } else { "" };
        let default = field.default.as_ref().map(|value| format!("`{}`", value.0)).unwrap_or_default();
        let (kind, meaning) = (type_of(field), meaning(field));
        let _ = writeln!(text, "| `{path}` | {kind}{needed} | {default} | {meaning} |");
        // Conditions are those of every Kubernetes object.
        if name != "conditions" {
            let (inner, mark) = items(field).map_or((field, ""), |inner| (inner, "[]"));
            rows(text, inner, &format!("{path}{mark}"));
        }
    }
}

fn items(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(inner) => Some(inner),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn type_of(field: &JSONSchemaProps) -> String {
    if let Some(inner) = items(field) {
        return format!("list of {}", type_of(inner));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &field.additional_properties {
        return format!("map of {}", type_of(values));
    }
    if let Some(values) = &field.enum_ {
        let values = values.iter().filter_map(|value| value.0.as_str()).map(|value| format!("`{value}`"));
        return values.collect::<Vec<_>>().join(", ");
    }
    match (field.format.as_deref(), field.type_.as_deref()) {
        (Some("date-time"), _) => "time".into(),
        (_, Some(kind)) => kind.into(),
        _ => "any JSON".into(),
    }
}

/// The description on one line, with the rules of the field itself.
fn meaning(field: &JSONSchemaProps) -> String {
    let mut words = field.description.clone().unwrap_or_default();
    for rule in field.x_kubernetes_validations.iter().flatten() {
        if let Some(message) = &rule.message {
            let _ = write!(words, " ({message})");
        }
    }
    let (of_text, who) = items(field).map_or((field, "Must"), |inner| (inner, "Each must"));
    if let Some(form) = of_text.pattern.as_deref().and_then(form) {
        let _ = write!(words, " {who} be {}, for example `{}`.", form.words, form.example);
    }
    words.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
