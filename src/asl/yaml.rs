//! From YAML to a tree, with the scalars of YAML 1.1 (see `scalar`) and the places of what is doubtful.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::{Map, Value};

use super::scalar;
use super::source::{Ambiguous, Parsed, SyntaxError};

/// Deeper nesting than any real definition has; it bounds the recursion, as `serde_json` does for JSON.
const MAX_DEPTH: usize = 128;
/// What aliases may add to a document, in bytes of text and nodes together: a few lines of aliases of aliases could
/// otherwise fill the memory.
const MAX_EXPANSION: usize = 4 * 1024 * 1024;

/// Reads one document.
///
/// # Errors
/// The place of the first thing that is not YAML, or that JSON has no form for.
pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let mut builder =
        Builder { events: Parser::new_from_str(text), anchors: HashMap::new(), expanded: 0, ambiguous: Vec::new() };
    let value = builder.stream()?;
    Ok(Parsed { value, ambiguous: builder.ambiguous })
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Value, usize)>,
    expanded: usize,
    ambiguous: Vec<Ambiguous>,
}

type Node<'a> = (Event<'a>, Marker);

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Node<'a>, SyntaxError> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(scan_error(&error)),
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    fn stream(&mut self) -> Result<Value, SyntaxError> {
        let mut document = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(document.unwrap_or(Value::Null)),
                (Event::DocumentStart(_), at) if document.is_some() => {
                    return Err(error(at, "a second document begins here; keep one in a text"));
                }
                (Event::DocumentStart(_), _) => {
                    let node = self.next()?;
                    document = Some(self.value(node, 0)?);
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, (event, at): Node<'a>, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(error(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref(), at)?),
            Event::SequenceStart(anchor, _) => (anchor, self.sequence(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping(depth)?),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(error(at, "a value is missing here")),
        };
        if anchor > 0 {
            let weight = weight(&value);
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, at: Marker) -> Result<Value, SyntaxError> {
        let Some((value, weight)) = self.anchors.get(&anchor) else {
            return Err(error(at, "this alias stands for a value that contains it"));
        };
        self.expanded += weight;
        if self.expanded > MAX_EXPANSION {
            return Err(error(at, "the aliases of this document stand for too much; write the values out"));
        }
        Ok(value.clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                node => items.push(self.value(node, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut fields = Map::new();
        let mut written: HashMap<String, Marker> = HashMap::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Object(fields));
            }
            if is_merge(&event) {
                let node = self.next()?;
                let from = node.1;
                let merged = self.value(node, depth + 1)?;
                merge(&mut fields, merged).ok_or_else(|| error(from, "<< takes a mapping or a list of mappings"))?;
                continue;
            }
            let plain = match &event {
                Event::Scalar(text, ScalarStyle::Plain, _, None) => Some(text.to_string()),
                _ => None,
            };
            let key = self.value((event, at), depth + 1)?;
            let key = scalar::key(&key, plain.as_deref())
                .ok_or_else(|| error(at, "a key must be text, a number or a boolean"))?;
            if let Some(first) = written.get(&key) {
                let message =
                    format!("the key \"{key}\" stands here a second time; the first is in line {}", first.line());
                return Err(error(at, message));
            }
            let node = self.next()?;
            let value = self.value(node, depth + 1)?;
            written.insert(key.clone(), at);
            fields.insert(key, value);
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Marker) -> Result<Value, SyntaxError> {
        let not_json = || error(at, format!("\"{text}\" is no value that JSON has"));
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain {
                return Ok(Value::String(text.to_owned()));
            }
            if scalar::is_ambiguous(text) {
                self.ambiguous.push(Ambiguous { line: at.line(), column: at.col() + 1, text: text.to_owned() });
            }
            return scalar::plain(text).map_err(|_| not_json());
        };
        if !tag.is_yaml_core_schema() {
            return Ok(Value::String(text.to_owned()));
        }
        let wrong = || error(at, format!("\"{text}\" is not a value of the type !!{}", tag.suffix));
        let plain = || scalar::plain(text).map_err(|_| not_json());
        match tag.suffix.as_str() {
            "str" => Ok(Value::String(text.to_owned())),
            "int" => {
                plain()?.as_number().filter(|number| !number.is_f64()).cloned().map(Value::Number).ok_or_else(wrong)
            }
            "float" => scalar::tagged_float(text).ok_or_else(wrong),
            "bool" => Some(plain()?).filter(Value::is_boolean).ok_or_else(wrong),
            "null" => Some(plain()?).filter(Value::is_null).ok_or_else(wrong),
            other => Err(error(at, format!("the type !!{other} has no form in JSON"))),
        }
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<")
}

/// Earlier mappings of a list win over later ones, and a merge over what stands before it, as kubectl has it.
fn merge(fields: &mut Map<String, Value>, merged: Value) -> Option<()> {
    match merged {
        Value::Object(more) => fields.extend(more),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                let Value::Object(more) = item else { return None };
                fields.extend(more);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Nodes and bytes of text of a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => 1 + fields.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>(),
        _ => 1,
    }
}

fn error(at: Marker, message: impl Into<String>) -> SyntaxError {
    SyntaxError { line: at.line(), column: at.col() + 1, message: message.into() }
}

fn scan_error(found: &ScanError) -> SyntaxError {
    error(*found.marker(), found.info())
}
