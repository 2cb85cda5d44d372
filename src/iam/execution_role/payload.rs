//! What a state hands to the service: `Parameters` (JSONPath) or `Arguments` (JSONata), and what of it is known before
//! the state runs.

use serde_json::{Map, Value};

use crate::iam::pattern;

/// What is known of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field<'a> {
    /// It is written out.
    Known(&'a Value),
    /// It is the key of an object.
    Named(&'a str),
    /// It is known only when the state runs: the path or expression that it comes from.
    FromInput(String),
    /// It is not there.
    Absent,
}

impl Field<'_> {
    /// The text, where it is one that is written out, as policies have it: no sign in it is a wildcard.
    pub(super) fn text(&self) -> Option<String> {
        self.raw().as_deref().map(policy_text)
    }

    /// The text as it is written, for what is read further: there `?` and `*` can have a meaning of their own.
    pub(super) fn raw(&self) -> Option<String> {
        match self {
            Self::Known(Value::String(text)) => Some(text.clone()),
            Self::Known(Value::Number(number)) => Some(number.to_string()),
            Self::Named(key) => Some((*key).to_owned()),
            _ => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// A text as policies have it. Log groups are named by ARNs that end in `:*` (CloudWatch Logs API reference, `LogGroup.arn`).
pub(super) fn policy_text(text: &str) -> String {
    match text.strip_suffix(":*").filter(|_| text.starts_with("arn:")) {
        Some(named) => pattern::literal(named) + ":*",
        None => pattern::literal(text),
    }
}

/// What a path or an expression takes its value from, with the expression.
pub(super) fn origin(expression: &str) -> String {
    let inner = expression.trim().strip_prefix("{%").map_or(expression, |inner| inner.trim_end_matches("%}")).trim();
    let is_jsonata = expression.trim().starts_with("{%");
    let rest = if is_jsonata { inner.replace("$states.context", "") } else { inner.replace("$$", "") };
    let (has_context, has_more) = (rest != inner, rest.contains('$'));
    let from = match (has_context, has_more) {
        (true, false) => "the context object",
        (true, true) => "the context object and what else it names",
        (false, _) if !is_jsonata && is_variable(inner) => "a variable",
        (false, _) => "the input",
    };
    format!("{from} ({expression})")
}

/// `$name`, which Assign has set.
fn is_variable(path: &str) -> bool {
    path.strip_prefix('$').is_some_and(|name| name.starts_with(|first: char| first.is_alphabetic() || first == '_'))
}

/// True where the ARN of the state machine itself is asked for, and nothing else.
pub(super) fn is_own_machine(expression: &str) -> bool {
    let inner = expression.trim().trim_start_matches("{%").trim_end_matches("%}").trim();
    matches!(inner, "$$.StateMachine.Id" | "$$['StateMachine']['Id']" | "$states.context.StateMachine.Id")
}

/// The payload of a state.
#[derive(Clone, Copy, Debug, PartialEq)]
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
            Field::Known(_) | Field::Named(_) | Field::Absent => Ok(Vec::new()),
        }
    }

    /// What a path of the table of integrations leads to, one for each item of the lists on the way: names with dots
    /// between them, two dots for any depth, `#` for the keys, `+` for two paths. Names have no case here.
    pub(super) fn values(&self, path: &str) -> Vec<Field<'a>> {
        let mut found = Vec::new();
        for path in path.split('+') {
            let steps: Vec<&str> = path.split('.').collect();
            if let Some(whole) = self.whole {
                self.collect(whole, &steps, &mut found);
            }
        }
        found
    }

    /// The objects of a name at any depth, each a payload of its own; of what comes from the input, the expression.
    pub(super) fn objects(&self, name: &str) -> Vec<Result<Payload<'a>, String>> {
        let mut found = Vec::new();
        if let Some(whole) = self.whole {
            self.gather(whole, name, &mut found);
        }
        found
    }

    fn gather(&self, value: &'a Value, wanted: &str, found: &mut Vec<Result<Payload<'a>, String>>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, wanted, found)),
            Value::Object(fields) => {
                for (key, inner) in fields {
                    let (name, is_path) = self.name(key);
                    match (name.eq_ignore_ascii_case(wanted), is_path || self.expression(inner).is_some()) {
                        (true, true) => found.push(Err(inner.as_str().unwrap_or_default().to_owned())),
                        (true, false) => found.push(Ok(Payload { whole: Some(inner), jsonata: self.jsonata })),
                        (false, true) => {}
                        (false, false) => self.gather(inner, wanted, found),
                    }
                }
            }
            _ => {}
        }
    }

    fn collect(&self, value: &'a Value, steps: &[&str], found: &mut Vec<Field<'a>>) {
        if let Some(expression) = self.expression(value) {
            return found.push(Field::FromInput(expression));
        }
        match (value, steps) {
            (Value::Array(items), _) => items.iter().for_each(|item| self.collect(item, steps, found)),
            (_, []) => found.push(Field::Known(value)),
            (Value::Object(fields), [step, rest @ ..]) => {
                for (key, inner) in fields {
                    let (name, is_path) = self.name(key);
                    let wanted = step.trim_end_matches('#');
                    match (is_path, name.eq_ignore_ascii_case(wanted)) {
                        (true, true) => found.push(Field::FromInput(inner.as_str().unwrap_or_default().to_owned())),
                        (false, true) if step.ends_with('#') => found.extend(keys(inner)),
                        (false, true) => self.collect(inner, rest, found),
                        (false, false) if step.is_empty() => {
                            let is_it = rest.first().is_some_and(|leaf| name.eq_ignore_ascii_case(leaf));
                            self.collect(inner, if is_it { &rest[1..] } else { steps }, found);
                        }
                        (true, false)
                            if step.is_empty() && rest.first().is_some_and(|leaf| name.eq_ignore_ascii_case(leaf)) =>
                        {
                            found.push(Field::FromInput(inner.as_str().unwrap_or_default().to_owned()));
                        }
                        (_, false) => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Every value at any depth that is no object, with the name of the field that has it or its list.
    pub(super) fn deep(&self) -> Vec<(&'a str, Field<'a>)> {
        let mut found = Vec::new();
        if let Some(whole) = self.whole {
            self.walk("", whole, &mut found);
        }
        found
    }

    fn walk(&self, name: &'a str, value: &'a Value, found: &mut Vec<(&'a str, Field<'a>)>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(name, item, found)),
            Value::Object(fields) => {
                for (key, inner) in fields {
                    match self.name(key) {
                        (name, true) => {
                            found.push((name, Field::FromInput(inner.as_str().unwrap_or_default().to_owned())));
                        }
                        (name, false) => self.walk(name, inner, found),
                    }
                }
            }
            _ => found.push((name, self.expression(value).map_or(Field::Known(value), Field::FromInput))),
        }
    }

    /// The name of a field, and whether its value is a path.
    fn name(&self, key: &'a str) -> (&'a str, bool) {
        match key.strip_suffix(".$").filter(|_| !self.jsonata) {
            Some(name) => (name, true),
            None => (key, false),
        }
    }

    /// The whole payload, where it comes from the input as one.
    pub(super) fn whole_from_input(&self) -> Option<String> {
        self.whole.and_then(|value| self.expression(value))
    }

    /// Names of the fields at the top, without `.$`.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let fields = self.whole.and_then(Value::as_object).into_iter().flatten();
        fields.map(|(key, _)| self.name(key).0).collect()
    }

    fn expression(&self, value: &Value) -> Option<String> {
        let text = value.as_str()?;
        (self.jsonata && text.starts_with("{%") && text.ends_with("%}")).then(|| text.to_owned())
    }
}

/// The keys of an object, as texts.
fn keys(value: &Value) -> impl Iterator<Item = Field<'_>> {
    value.as_object().into_iter().flat_map(Map::keys).map(|key| Field::Named(key))
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
    fn a_path_of_the_table_leads_through_lists_and_to_keys() {
        let state = json!({"Parameters": {"Items": [{"Put": {"TableName": "a"}}, {"Get": {"TableName.$": "$.t"}}],
            "RequestItems": {"b": [], "c": []}, "ids": ["i-1", "i-2"]}});
        let payload = Payload::of(state.as_object().unwrap(), false);
        let texts = |path: &str| payload.values(path).iter().map(Field::text).collect::<Vec<_>>();
        assert_eq!(texts("Items..TableName"), [Some("a".to_owned()), None]);
        assert_eq!(texts("RequestItems#"), [Some("b".to_owned()), Some("c".to_owned())]);
        assert_eq!(texts("Ids"), [Some("i-1".to_owned()), Some("i-2".to_owned())]);
        assert!(texts("Nothing").is_empty());
        assert_eq!(texts("ids+.TableName").len(), 4);
        let objects = payload.objects("Put");
        assert_eq!(objects[0].as_ref().unwrap().get("TableName").text().as_deref(), Some("a"));
        let open = json!({"Parameters": {"Image": {"S3Object.$": "$.o"}}});
        assert_eq!(Payload::of(open.as_object().unwrap(), false).objects("S3Object")[0], Err("$.o".to_owned()));
        let deep = payload.deep();
        assert_eq!(deep.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["TableName", "TableName", "ids", "ids"]);
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
