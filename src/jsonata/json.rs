//! The way from JSON and back, and what is asked of any value.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};

use super::error::Error;
use super::value::{Evaluator, MAX_NESTING, Res, Val, nested};

impl<'e> Evaluator<'e> {
    /// A number that is one: what overflows has no place in JSON.
    pub(super) fn finite(number: f64) -> Result<f64, Error> {
        if number.is_infinite() {
            return Err(Error::new("D1001", format!("Number out of range: {number}")));
        }
        Ok(number)
    }

    /// From JSON. A number is a double, as in the reference implementation.
    pub(super) fn read_json(&mut self, json: &Value) -> Res<'e> {
        self.read_json_at(json, 0)
    }

    fn read_json_at(&mut self, json: &Value, depth: u32) -> Res<'e> {
        self.charge(2)?;
        if depth > MAX_NESTING {
            return Err(nested());
        }
        Ok(match json {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Number(number) => Val::Num(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => {
                self.charge(text.len() / 32)?;
                Val::str(text.as_str())
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.read_json_at(item, depth + 1));
                Val::array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let mut map = IndexMap::with_capacity(fields.len());
                for (key, value) in fields {
                    map.insert(key.as_str().into(), self.read_json_at(value, depth + 1)?);
                }
                Val::object(map)
            }
        })
    }

    /// To JSON: fields that are undefined are left out, and functions are empty texts, as in the reference implementation.
    pub(super) fn write(&mut self, value: &Val<'e>) -> Result<Value, Error> {
        self.write_within(value, &mut 0)
    }

    /// What is shared in a value is written once for each place, so what is written is counted, about as it is printed.
    fn write_within(&mut self, value: &Val<'e>, written: &mut usize) -> Result<Value, Error> {
        self.step()?;
        *written += if let Val::Str(text) = value { 3 + text.len() } else { 2 };
        if *written > self.size() {
            return Err(Error::limit("the result becomes longer than it may"));
        }
        Ok(match value {
            Val::Undefined | Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(*value),
            Val::Num(number) => json_number(Self::finite(*number)?),
            Val::Str(text) => Value::String(text.to_string()),
            Val::Array(_) | Val::Tuples(_) => {
                let mut items = Vec::new();
                match value {
                    Val::Tuples(tuples) => {
                        for tuple in tuples.iter() {
                            items.push(self.write_within(&tuple.item, written)?);
                        }
                    }
                    other => {
                        for item in other.items() {
                            items.push(self.write_within(item, written)?);
                        }
                    }
                }
                Value::Array(items)
            }
            Val::Object(object) => {
                let mut map = Map::new();
                for (key, value) in object.map.iter().filter(|(_, value)| !value.is_undefined()) {
                    *written += 3 + key.len();
                    map.insert(key.to_string(), self.write_within(value, written)?);
                }
                Value::Object(map)
            }
            Val::Func(_) => Value::String(String::new()),
        })
    }

    /// Both the same, at any depth.
    pub(super) fn equal(&mut self, left: &Val<'e>, right: &Val<'e>) -> Result<bool, Error> {
        self.step()?;
        Ok(match (left, right) {
            (Val::Undefined, Val::Undefined) | (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            #[allow(clippy::float_cmp)] // Equal is what the language asks for.
            (Val::Num(left), Val::Num(right)) => left == right,
            (Val::Str(left), Val::Str(right)) => left == right,
            (Val::Array(left), Val::Array(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ok(true);
                }
                if left.items.len() != right.items.len() {
                    return Ok(false);
                }
                for (left, right) in left.items.iter().zip(&right.items) {
                    if !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Val::Object(left), Val::Object(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ok(true);
                }
                if left.map.len() != right.map.len() {
                    return Ok(false);
                }
                for (key, left) in &left.map {
                    let Some(right) = right.map.get(key) else { return Ok(false) };
                    if !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Val::Func(left), Val::Func(right)) => Rc::ptr_eq(left, right),
            _ => false,
        })
    }

    /// `$boolean`; nothing for an undefined value.
    pub(super) fn boolean(&mut self, value: &Val<'e>) -> Result<Option<bool>, Error> {
        self.step()?;
        Ok(Some(match value {
            Val::Undefined => return Ok(None),
            Val::Null | Val::Func(_) => false,
            Val::Bool(value) => *value,
            Val::Num(number) => !number.is_nan() && Self::finite(*number)? != 0.0,
            Val::Str(text) => !text.is_empty(),
            Val::Object(object) => !object.map.is_empty(),
            Val::Tuples(tuples) => !tuples.is_empty(),
            Val::Array(array) => {
                for item in &array.items {
                    if self.boolean(item)? == Some(true) {
                        return Ok(Some(true));
                    }
                }
                false
            }
        }))
    }

    pub(super) fn is_true(&mut self, value: &Val<'e>) -> Result<bool, Error> {
        Ok(self.boolean(value)?.unwrap_or(false))
    }

    /// `$append`: both behind each other.
    pub(super) fn append(&mut self, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        if left.is_undefined() {
            return Ok(right.clone());
        }
        if right.is_undefined() {
            return Ok(left.clone());
        }
        self.grow_items(left.items().len() + right.items().len())?;
        Ok(Val::array(left.items().iter().chain(right.items()).cloned().collect()))
    }

    /// The field of an object, or those of all objects in an array.
    pub(super) fn lookup(&mut self, input: &Val<'e>, key: &str) -> Res<'e> {
        match input {
            Val::Object(object) => Ok(object.map.get(key).cloned().unwrap_or(Val::Undefined)),
            Val::Array(array) => {
                let mut found = Vec::new();
                for item in &array.items {
                    self.step()?;
                    let field = self.lookup(item, key)?;
                    self.charge(field.items().len())?;
                    found.extend_from_slice(field.items());
                }
                Ok(Val::sequence(found))
            }
            _ => Ok(Val::Undefined),
        }
    }
}

/// An integer is printed as one.
fn json_number(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation)] // In this range a double without a fraction is an i64.
    if number.fract() == 0.0 && number.abs() < 9.0e18 {
        return Value::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
