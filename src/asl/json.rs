//! From JSON (RFC 8259) to a tree with the place of every value. `serde_json` keeps no places and takes the last of two
//! equal keys without a word; what it reads and refuses otherwise is the same here, which a property test holds.

use serde_json::{Map, Number, Value};

use super::parsed::{MAX_DEPTH, Parsed, too_deep};
use super::position::{Places, Span};

/// Why a text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) at: usize,
    pub(super) message: String,
    /// True where the text is JSON but for this, so that reading it as YAML would not help.
    pub(super) is_json: bool,
    pub(super) is_too_deep: bool,
}

/// Reads one value that fills the text.
///
/// # Errors
/// The first place that is not JSON, or where a key stands a second time.
pub(super) fn parse(text: &str) -> Result<Parsed, JsonError> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, places: Places::default(), unquoted: Vec::new() };
    // One value takes about 16 bytes of text in real definitions.
    reader.places.0.reserve(text.len() / 16);
    let value = reader.value(Span::default(), 0)?;
    reader.space();
    if reader.at < reader.bytes.len() {
        return Err(reader.error("unexpected text after the value"));
    }
    Ok(Parsed { value, places: reader.places, unquoted: reader.unquoted, ..Parsed::default() })
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    places: Places,
    unquoted: Vec<Span>,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> JsonError {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let begins = |mark: &str| rest.starts_with(mark.as_bytes());
        let meant = if begins("//") || begins("/*") {
            "JSON has no comments; remove this one, or put what it says into a field Comment"
        } else if begins("%{") {
            "%{ … } is a directive of a Terraform template; render the file first (templatefile) and lint what that gives"
        } else if begins("${") {
            "a placeholder without quotes cannot be read here; put the value in first (templatefile, DefinitionSubstitutions) and lint what that gives"
        } else {
            return JsonError { at: self.at, message: message.into(), is_json: false, is_too_deep: false };
        };
        // YAML would take a comment for a part of the next key.
        let is_json = self.text.trim_start().starts_with(['{', '/']);
        JsonError { at: self.at, message: meant.to_owned(), is_json, is_too_deep: false }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, key: Span, depth: usize) -> Result<Value, JsonError> {
        self.space();
        if depth >= MAX_DEPTH && matches!(self.peek(), Some(b'{' | b'[')) {
            let error = self.error(too_deep());
            return Err(JsonError { is_json: true, is_too_deep: true, ..error });
        }
        let index = self.places.open(key, self.at);
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b'$') if depth > 0 => self.placeholder()?,
            Some(_) => return Err(self.error("expected a value")),
            None => return Err(self.error("the text ends where a value is expected")),
        };
        self.places.close(index, self.at);
        Ok(value)
    }

    /// `${…}` without quotes, as templates have it where a number or a whole object will stand: its text, up to the brace that
    /// closes it and what else stands before the next value. Texts inside of it may have braces.
    fn placeholder(&mut self) -> Result<Value, JsonError> {
        let (start, mut open, mut quoted, mut escaped) = (self.at, 0_usize, false, false);
        if !self.text[start..].starts_with("${") {
            return Err(self.error("expected a value"));
        }
        let ends = |(_, byte): &(usize, u8)| {
            match byte {
                _ if escaped => {}
                b'"' => quoted = !quoted,
                b'{' if !quoted => open += 1,
                b'}' if !quoted && open > 0 => open -= 1,
                b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' => return !quoted && open == 0,
                _ => {}
            }
            escaped = quoted && !escaped && *byte == b'\\';
            false
        };
        let end = self.bytes.iter().copied().enumerate().skip(start).find(ends);
        let Some((end, _)) = end else { return Err(self.error("this placeholder is not closed")) };
        self.unquoted.push(Span::new(start, end));
        self.at = end;
        Ok(Value::String(self.text[start..end].to_owned()))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(Span::default(), depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.error("expected `,` or `]`")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut fields = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            let span = Span::new(start, self.at);
            if fields.contains_key(&key) {
                let message = format!("the key \"{key}\" stands here a second time");
                return Err(JsonError { at: start, message, is_json: true, is_too_deep: false });
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error("expected `:`"));
            }
            self.at += 1;
            let value = self.value(span, depth + 1)?;
            fields.insert(key, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                _ => return Err(self.error("expected `,` or `}`")),
            }
        }
    }

    /// The reader stands at the opening quote.
    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.at + 1;
        let length = self.bytes[start..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        self.at = start + length.unwrap_or(self.bytes.len() - start);
        let mut text = self.text[start..self.at].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(0..=0x1f) => {
                    return Err(self.error("a control character stands in a text; write it as an escape"));
                }
                Some(_) => {
                    let rest = &self.bytes[self.at..];
                    let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
                    let end = self.at + length.unwrap_or(rest.len());
                    text.push_str(&self.text[self.at..end]);
                    self.at = end;
                }
                None => return Err(self.error("the text ends inside a string")),
            }
        }
    }

    /// The reader stands at the backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let wrong = self.error("this escape is not one that JSON has");
        self.at += 2;
        Ok(match self.bytes.get(self.at - 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.four_digits().ok_or(wrong)?;
                let pair = (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u");
                let code = if pair {
                    self.at += 2;
                    let second = self.four_digits().filter(|second| (0xdc00..0xe000).contains(second));
                    let second = second.ok_or_else(|| self.error("half of a pair of surrogates stands alone"))?;
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.error("half of a pair of surrogates stands alone"))?
            }
            _ => return Err(wrong),
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        let length =
            self.bytes[start..].iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let end = start + length.unwrap_or(self.bytes.len() - start);
        let number = serde_json::from_str(&self.text[start..end]);
        let number = number.map_err(|_| self.error("this is not a number that JSON has, or it is too large"))?;
        self.at = end;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text that is JSON or nearly so.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\"",
            "\"\\u00e9\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"ü\\n\"",
            "\"\\x\"",
            "1",
            "-0",
            "01",
            "1.5e3",
            "1e999",
            "-",
            "18446744073709551616",
            "true",
            "null",
            "tru",
            " ",
            "\n",
            "\u{1}",
            "\"",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    /// What `serde_json` reads, but for repeated keys.
    fn expected(text: &str) -> Option<Value> {
        serde_json::from_str::<Value>(text).ok()
    }

    fn agree(text: &str) {
        match parse(text) {
            Ok(Parsed { value, places, .. }) => {
                assert_eq!(Some(&value), expected(text).as_ref(), "{text:?}");
                assert_eq!(places.0.len(), Places::of(&value).0.len());
                assert!(places.0.iter().zip(Places::of(&value).0).all(|(ours, theirs)| ours.after == theirs.after));
            }
            Err(error) if error.message.contains("second time") => {}
            Err(error) => assert_eq!(expected(text), None, "{text:?}: {error:?}"),
        }
    }

    #[test]
    fn nesting_is_bounded_where_serde_json_bounds_it() {
        for depth in 120..140 {
            agree(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        }
    }

    proptest! {
        #[test]
        fn the_same_is_read_and_refused_as_by_serde_json(text in nearly_json()) {
            agree(&text);
        }

        #[test]
        fn whatever_is_printed_is_read_again(text in "\\PC{0,40}", number in any::<f64>(), whole in any::<i64>()) {
            let value = serde_json::json!({ "text": text, "list": [number, whole, null, {text.clone(): [true]}] });
            agree(&value.to_string());
            agree(&serde_json::to_string_pretty(&value).unwrap());
        }
    }
}
