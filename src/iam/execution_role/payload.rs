//! What a state hands to the service: `Parameters` (JSONPath) or `Arguments` (JSONata), and what of it is known before
//! the state runs.

use serde_json::{Map, Value};

/// What is known of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field<'a> {
    /// It is written out.
    Known(&'a Value),
    /// It comes from the input: the path or expression.
    FromInput(String),
    /// It is not there.
    Absent,
}

impl Field<'_> {
    /// The text, where it is one that is written out.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Known(Value::String(text)) => Some(text.clone()),
            Self::Known(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// The payload of a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    whole: Option<&'a Value>,
    jsonata: bool,
}

impl<'a> Payload<'a> {
    /// That of a state, of its reader or of its writer.
    pub(super) fn of(fields: &'a Map<String, Value>, jsonata: bool) -> Self {
        let whole = fields.get(if jsonata { "Arguments" } else { "Parameters" });
        Self { whole, jsonata }
    }

    /// That which is written in a field of a state, `Credentials` for example.
    pub(super) fn in_field(fields: &'a Map<String, Value>, name: &str, jsonata: bool) -> Self {
        Self { whole: fields.get(name), jsonata }
    }

    /// The field at a path of names, as the service names them.
    pub(super) fn get(&self, path: &str) -> Field<'a> {
        let Some(mut value) = self.whole else { return Field::Absent };
        for name in path.split('.') {
            if let Some(expression) = self.expression(value) {
                return Field::FromInput(expression);
            }
            let Some(fields) = value.as_object() else { return Field::Absent };
            if let Some(found) = fields.get(name) {
                value = found;
            } else if let Some(Value::String(path)) = fields.get(&format!("{name}.$")).filter(|_| !self.jsonata) {
                return Field::FromInput(path.clone());
            } else {
                return Field::Absent;
            }
        }
        self.expression(value).map_or(Field::Known(value), Field::FromInput)
    }

    /// Items of a list: each a payload of its own.
    pub(super) fn items(&self, path: &str) -> Result<Vec<Payload<'a>>, String> {
        match self.get(path) {
            Field::Known(Value::Array(items)) => {
                Ok(items.iter().map(|item| Payload { whole: Some(item), jsonata: self.jsonata }).collect())
            }
            Field::FromInput(expression) => Err(expression),
            Field::Known(_) | Field::Absent => Ok(Vec::new()),
        }
    }

    /// The whole payload, where it comes from the input as one.
    pub(super) fn whole_from_input(&self) -> Option<String> {
        self.whole.and_then(|value| self.expression(value))
    }

    /// Names of the fields at the top, without `.$`.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let fields = self.whole.and_then(Value::as_object).into_iter().flatten();
        fields.map(|(name, _)| name.strip_suffix(".$").filter(|_| !self.jsonata).unwrap_or(name)).collect()
    }

    fn expression(&self, value: &Value) -> Option<String> {
        let text = value.as_str()?;
        (self.jsonata && text.starts_with("{%") && text.ends_with("%}")).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_out_is_told_from_what_comes_from_the_input() {
        let state = json!({"Parameters": {"Bucket": "b", "Key.$": "$.key", "Deep": {"Name": "n", "Id.$": "$.id"}}});
        let payload = Payload::of(state.as_object().unwrap(), false);
        assert_eq!(payload.get("Bucket").text().as_deref(), Some("b"));
        assert_eq!(payload.get("Key"), Field::FromInput("$.key".into()));
        assert_eq!(payload.get("Deep.Name").text().as_deref(), Some("n"));
        assert_eq!(payload.get("Deep.Id"), Field::FromInput("$.id".into()));
        assert!(payload.get("Nothing").is_absent() && payload.get("Bucket.Name").is_absent());
        assert_eq!(payload.names(), ["Bucket", "Key", "Deep"]);
    }

    #[test]
    fn expressions_are_found_in_arguments_at_any_depth() {
        let state = json!({"Arguments": {"Entries": [{"EventBusName": "{% $bus %}"}], "Whole": "{% $x %}"}});
        let payload = Payload::of(state.as_object().unwrap(), true);
        let items = payload.items("Entries").unwrap();
        assert_eq!(items[0].get("EventBusName"), Field::FromInput("{% $bus %}".into()));
        assert_eq!(payload.get("Whole.Part"), Field::FromInput("{% $x %}".into()));
        let whole = json!({"Arguments": "{% $all %}"});
        assert_eq!(Payload::of(whole.as_object().unwrap(), true).whole_from_input().as_deref(), Some("{% $all %}"));
    }
}
