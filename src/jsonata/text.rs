//! `$string`: values as text.

use serde_json::Value;

use super::error::Error;
use super::number;
use super::value::{Evaluator, Val};

/// How much of a value a message shows.
const SHOWN: usize = 120;

impl<'e> Evaluator<'e> {
    /// The text of a value: a text itself, else its JSON. A function has none.
    pub(super) fn string(&mut self, value: &Val<'e>, is_pretty: bool) -> Result<String, Error> {
        match value {
            Val::Str(text) => {
                self.grow(text.len())?;
                Ok(text.to_string())
            }
            Val::Func(_) => Ok(String::new()),
            Val::Num(number) if !number.is_finite() => {
                Err(Error::new("D3001", "Attempting to invoke string function on Infinity or NaN"))
            }
            Val::Array(array) if array.is_outer => {
                let inner = array.items.first().cloned().unwrap_or(Val::Undefined);
                self.string(&inner, is_pretty)
            }
            other => {
                let mut text = String::new();
                self.write_json(other, is_pretty.then_some(0), &mut text)?;
                Ok(text)
            }
        }
    }

    fn write_json(&mut self, value: &Val<'e>, indent: Option<usize>, text: &mut String) -> Result<(), Error> {
        self.step()?;
        match value {
            Val::Undefined | Val::Null => text.push_str("null"),
            Val::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Val::Num(number) => text.push_str(&number::print(number::to_15_digits(Self::finite(*number)?))),
            Val::Str(piece) => self.write_text(piece, text)?,
            Val::Func(_) => text.push_str("\"\""),
            Val::Array(_) | Val::Tuples(_) if value.items().is_empty() => text.push_str("[]"),
            Val::Array(array) => {
                let inner = indent.map(|indent| indent + 2);
                text.push('[');
                for (number, item) in array.items.iter().enumerate() {
                    self.begin(number, inner, text)?;
                    self.write_json(item, inner, text)?;
                }
                self.begin(0, indent, text)?;
                text.push(']');
            }
            Val::Object(object) => {
                let inner = indent.map(|indent| indent + 2);
                text.push('{');
                let mut count = 0;
                for (key, item) in object.map.iter().filter(|(_, item)| !item.is_undefined()) {
                    self.begin(count, inner, text)?;
                    count += 1;
                    self.write_text(key, text)?;
                    text.push_str(if indent.is_some() { ": " } else { ":" });
                    self.write_json(item, inner, text)?;
                }
                if count > 0 {
                    self.begin(0, indent, text)?;
                }
                text.push('}');
            }
            Val::Tuples(tuples) => {
                let items = tuples.iter().map(|tuple| tuple.item.clone()).collect();
                self.write_json(&Val::array(items), indent, text)?;
            }
        }
        self.bound(text)
    }

    fn begin(&mut self, number: usize, indent: Option<usize>, text: &mut String) -> Result<(), Error> {
        if number > 0 {
            text.push(',');
        }
        if let Some(indent) = indent {
            self.charge(indent / 16)?;
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
        }
        Ok(())
    }

    fn write_text(&mut self, piece: &str, text: &mut String) -> Result<(), Error> {
        self.grow(piece.len())?;
        text.push_str(&Value::String(piece.to_owned()).to_string());
        Ok(())
    }

    fn bound(&mut self, text: &str) -> Result<(), Error> {
        // What was written was paid for piece by piece.
        if text.len() > self.size() { self.grow(text.len()) } else { Ok(()) }
    }

    /// A value in a message: its JSON, cut where it is long.
    pub(super) fn shown(&mut self, value: &Val<'e>) -> Result<String, Error> {
        let mut text = String::new();
        match value {
            Val::Num(number) if !number.is_finite() => text = number::print(*number),
            other => self.write_json(other, None, &mut text)?,
        }
        Ok(match text.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        })
    }
}
