//! From a document to JSON, its elements in the order of the IAM user guide.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Document, Matcher, Patterns, Principals, Statement};

impl Document {
    /// As JSON. A list of one is written as a string.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("Version".into(), self.version.clone().into());
        if let Some(id) = &self.id {
            fields.insert("Id".into(), id.clone().into());
        }
        fields.insert("Statement".into(), self.statements.iter().map(written).collect());
        Value::Object(fields)
    }

    /// On one line without white space: what counts against quotas, and what a session policy is.
    pub fn compact(&self) -> String {
        self.to_value().to_string()
    }

    /// Indented by two, ready to paste.
    pub fn pretty(&self) -> String {
        format!("{:#}", self.to_value())
    }
}

fn written(statement: &Statement) -> Value {
    let mut fields = Map::new();
    if let Some(sid) = &statement.sid {
        fields.insert("Sid".into(), sid.clone().into());
    }
    fields.insert("Effect".into(), statement.effect.text().into());
    if let Some(principal) = &statement.principal {
        let name = if matches!(principal, Matcher::Is(_)) { "Principal" } else { "NotPrincipal" };
        let value = match principal.named() {
            Principals::Everybody => "*".into(),
            Principals::Of(kinds) => by_key(kinds),
        };
        fields.insert(name.into(), value);
    }
    insert(&mut fields, "Action", "NotAction", &statement.actions);
    if let Some(resources) = &statement.resources {
        insert(&mut fields, "Resource", "NotResource", resources);
    }
    if !statement.conditions.is_empty() {
        let operators = statement.conditions.iter().map(|(operator, keys)| (operator.clone(), by_key(keys)));
        fields.insert("Condition".into(), Value::Object(operators.collect()));
    }
    Value::Object(fields)
}

fn insert(fields: &mut Map<String, Value>, is: &str, is_not: &str, patterns: &Patterns) {
    let name = if matches!(patterns, Matcher::Is(_)) { is } else { is_not };
    fields.insert(name.into(), list(patterns.named()));
}

fn by_key(lists: &BTreeMap<String, Vec<String>>) -> Value {
    Value::Object(lists.iter().map(|(key, values)| (key.clone(), list(values))).collect())
}

fn list(values: &[String]) -> Value {
    match values {
        [one] => one.clone().into(),
        many => many.to_vec().into(),
    }
}
