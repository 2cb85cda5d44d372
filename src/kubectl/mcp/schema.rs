//! What a tool takes: the schema of its Workflow's input, with two arguments of our own.

use serde_json::{Map, Value, json};

use super::data::bounded;
use crate::api::v1alpha1::Workflow;
use crate::printable::is_printable;

/// Argument that makes a repeated call the same run.
pub(super) const KEY: &str = "stepbound_request_key";
/// Argument that says how long the call waits.
pub(super) const WAIT: &str = "stepbound_wait_seconds";
/// Argument that holds an input that is no object.
const INPUT: &str = "input";
/// Most characters of a title or description in a schema.
const MAX_NOTE: usize = 1024;

/// The schema of a tool's arguments, and how an input is read from them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arguments {
    /// What a client is told. It always describes an object.
    pub schema: Map<String, Value>,
    /// True where the input is the argument `input`, and not the arguments themselves.
    is_wrapped: bool,
    /// Our own arguments that the schema has no property for.
    own: Vec<&'static str>,
}

/// What was given with a call.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    pub input: Value,
    pub key: Option<String>,
    pub wait_seconds: Option<u64>,
}

impl Arguments {
    /// Of a Workflow: an open object where it has no schema, or one that cannot be shown.
    pub fn of(workflow: &Workflow) -> Self {
        let schema = workflow.spec.input_schema.as_ref().map(|schema| serde_json::from_str(schema.text()));
        let schema = match schema {
            Some(Ok(Value::Object(schema))) => shown(&Value::Object(schema)),
            _ => None,
        };
        let Some(Value::Object(mut schema)) = schema else {
            return Self::with_own(open(workflow.spec.input_schema.is_some()), false);
        };
        if takes_objects(&schema) {
            schema.insert("type".into(), json!("object"));
            return Self::with_own(schema, false);
        }
        // References within it are from its own root on.
        schema.entry("$id").or_insert_with(|| json!("urn:stepbound:input"));
        let wrapped = json!({"type": "object", "properties": {INPUT: schema}, "required": [INPUT], "additionalProperties": false});
        match wrapped {
            Value::Object(wrapped) => Self::with_own(wrapped, true),
            _ => Self::with_own(open(true), false),
        }
    }

    /// A property of the Workflow's own keeps its meaning.
    fn with_own(mut schema: Map<String, Value>, is_wrapped: bool) -> Self {
        let mut own = Vec::new();
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            for (name, meaning) in [(KEY, key_schema()), (WAIT, wait_schema())] {
                if !properties.contains_key(name) {
                    properties.insert(name.into(), meaning);
                    own.push(name);
                }
            }
        }
        Self { schema, is_wrapped, own }
    }

    /// Takes our own arguments out of a call, and the input that is left.
    pub fn read(&self, mut arguments: Map<String, Value>) -> Result<Given, String> {
        let mut take = |name: &'static str| if self.own.contains(&name) { arguments.remove(name) } else { None };
        let key = match take(KEY) {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if (1..=128).contains(&key.len()) => Some(key),
            Some(_) => return Err(format!("{KEY} is a text of 1 to 128 bytes")),
        };
        let wait_seconds = match take(WAIT) {
            None | Some(Value::Null) => None,
            Some(seconds) => Some(seconds.as_u64().ok_or_else(|| format!("{WAIT} is a number of seconds"))?),
        };
        let input = if self.is_wrapped {
            let input = arguments.remove(INPUT).ok_or_else(|| format!("the argument {INPUT} is missing"))?;
            if let Some(other) = arguments.keys().next() {
                return Err(format!("there is no argument {:?}; the input stands in {INPUT}", bounded(other, 80)));
            }
            input
        } else {
            Value::Object(arguments)
        };
        Ok(Given { input, key, wait_seconds })
    }
}

fn open(has_schema: bool) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    if has_schema {
        let note = "The input has a schema that is not shown here, and is checked by it.";
        schema.insert("description".into(), json!(note));
    }
    schema
}

fn key_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 128,
        "description": "A key of your own choice for this one request: calls with the same key are one run. Give one where a call may have to be repeated."})
}

fn wait_schema() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": super::wait::LONGEST.as_secs(),
        "description": "How many seconds to wait for the end of the run; 20 by default. Afterwards the run goes on."})
}

/// True where an object can fit, as far as the type says.
fn takes_objects(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        None => schema.get("properties").is_none_or(Value::is_object),
        Some(Value::Array(types)) => types.iter().any(|one| one == "object"),
        Some(one) => one == "object",
    }
}

/// The schema with notes that are bounded; nothing where something that is obeyed stands in a name, pattern or value of it.
fn shown(schema: &Value) -> Option<Value> {
    match schema {
        Value::String(text) => is_printable(text).then(|| schema.clone()),
        Value::Array(items) => items.iter().map(shown).collect::<Option<Vec<_>>>().map(Value::Array),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("description" | "title" | "$comment", Value::String(note)) => {
                    Some((name.clone(), Value::String(bounded(note, MAX_NOTE))))
                }
                _ => is_printable(name).then_some(()).and_then(|()| shown(value)).map(|value| (name.clone(), value)),
            };
            fields.iter().map(field).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(schema: &Value) -> Arguments {
        let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "ship"},
            "spec": {"trustBindingRef": {"name": "b"}, "executionRoleARN": "r"}});
        if !schema.is_null() {
            object["spec"]["inputSchema"] = schema.clone();
        }
        Arguments::of(&serde_json::from_value(object).unwrap())
    }

    fn read(schema: &Value, given: &Value) -> Result<Given, String> {
        arguments(schema).read(given.as_object().unwrap().clone())
    }

    #[test]
    fn the_arguments_are_the_input_with_a_key_and_a_wait_beside_it() {
        let schema = json!({"type": "object", "required": ["id"], "additionalProperties": false,
            "properties": {"id": {"$ref": "#/$defs/id"}}, "$defs": {"id": {"type": "string"}}});
        let told = arguments(&schema).schema;
        assert_eq!(
            (&told["required"], &told["$defs"], &told["type"]),
            (&schema["required"], &schema["$defs"], &json!("object"))
        );
        let names: Vec<&String> = told["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["id", KEY, WAIT]);
        let given = read(&schema, &json!({"id": "a", KEY: "k", WAIT: 5})).unwrap();
        assert_eq!(given, Given { input: json!({"id": "a"}), key: Some("k".into()), wait_seconds: Some(5) });
        assert_eq!(read(&Value::Null, &json!({"x": 1})).unwrap().input, json!({"x": 1}));
        for wrong in [json!({KEY: 1}), json!({KEY: ""}), json!({WAIT: "soon"}), json!({WAIT: -1})] {
            assert!(read(&Value::Null, &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_input_that_is_no_object_stands_in_an_argument_and_its_references_hold() {
        let schema = json!({"type": "array", "items": {"$ref": "#/$defs/id"}, "$defs": {"id": {"type": "string"}}});
        let told = arguments(&schema);
        assert_eq!(told.schema["properties"]["input"]["$id"], "urn:stepbound:input");
        assert!(jsonschema::is_valid(&Value::Object(told.schema.clone()), &json!({"input": ["a"], KEY: "k"})));
        assert!(!jsonschema::is_valid(&Value::Object(told.schema), &json!({"input": [1]})));
        assert_eq!(read(&schema, &json!({"input": ["a"]})).unwrap().input, json!(["a"]));
        assert!(read(&schema, &json!({})).unwrap_err().contains("input is missing"));
        assert!(read(&schema, &json!({"input": [], "id": 1})).unwrap_err().contains("no argument \"id\""));
    }

    #[test]
    fn a_workflows_own_argument_of_our_name_is_its_own() {
        let schema = json!({"type": "object", "properties": {KEY: {"type": "number"}}});
        assert_eq!(
            read(&schema, &json!({KEY: 5})).unwrap(),
            Given { input: json!({KEY: 5}), key: None, wait_seconds: None }
        );
    }

    #[test]
    fn a_schema_that_hides_text_is_not_shown_and_notes_in_it_are_bounded() {
        let hidden = json!({"type": "object", "properties": {"a\u{e0041}": {"type": "string"}}});
        let told = arguments(&hidden).schema;
        assert!(
            told["properties"].get("a\u{e0041}").is_none()
                && told["description"].as_str().unwrap().contains("not shown")
        );
        assert_eq!(arguments(&json!({"enum": ["a\u{202e}"]})).schema["type"], "object");
        let noted = json!({"description": format!("{}\u{202e}", "x".repeat(9000))});
        let note = arguments(&noted).schema["description"].as_str().unwrap().to_owned();
        assert_eq!(note.chars().count(), MAX_NOTE);
    }
}
