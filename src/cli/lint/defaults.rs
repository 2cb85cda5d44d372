//! An object as the API server has it before it judges it: with the defaults of its schema, and without the nulls that the
//! schema does not allow, which are dropped (Kubernetes documentation, "Defaulting and Nullable").

use serde_json::{Map, Value};

/// True where the API server drops a null instead of judging it.
pub(super) fn is_dropped(value: &Value, schema: &Value) -> bool {
    value.is_null() && schema["nullable"] != true
}

/// The value with the defaults of its schema, at every depth.
pub(super) fn with_defaults(value: &Value, schema: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(object(fields, schema)),
        Value::Array(items) => items.iter().map(|item| with_defaults(item, &schema["items"])).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn object(fields: &Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object();
    let of = |key: &str| {
        let own = properties.and_then(|properties| properties.get(key));
        own.or(Some(&schema["additionalProperties"]).filter(|schema| schema.is_object()))
    };
    let mut full = Map::new();
    for (key, value) in fields {
        match of(key) {
            Some(schema) if is_dropped(value, schema) => {}
            Some(schema) => {
                full.insert(key.clone(), with_defaults(value, schema));
            }
            None => {
                full.insert(key.clone(), value.clone());
            }
        }
    }
    for (key, schema) in properties.into_iter().flatten() {
        if let Some(default) = schema.get("default").filter(|_| !full.contains_key(key)) {
            full.insert(key.clone(), with_defaults(default, schema));
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_stand_at_every_depth_and_nulls_that_are_not_allowed_are_dropped() {
        let schema = json!({"properties": {
            "a": {"default": {"b": 1}, "properties": {"b": {"default": 1}, "c": {"default": 2}}},
            "d": {"items": {"properties": {"e": {"default": true}}}},
            "f": {"nullable": true}, "g": {"default": "x"}, "h": {}}});
        let full = with_defaults(&json!({"d": [{}], "f": null, "g": null, "h": null, "i": null}), &schema);
        assert_eq!(full, json!({"a": {"b": 1, "c": 2}, "d": [{"e": true}], "f": null, "g": "x", "i": null}));
    }
}
