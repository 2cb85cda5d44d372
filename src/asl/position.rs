//! Where each value of a tree stands in its text, and a cursor over both.

use std::fmt::Write;

use serde_json::Value;

/// A range of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` to before `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// Where one value stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) value: Span,
    /// The key of the value, empty where it has none.
    pub(super) key: Span,
    /// Index of the first place that is not inside this value.
    pub(super) after: usize,
}

/// The places of all values of a tree, in the order of the tree: a value, then what is in it.
///
/// A tree of the same shape has the same places, so values may be replaced by others of their kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(pub(super) Vec<Place>);

impl Places {
    /// For a tree without a text: every place is at the beginning.
    pub fn of(value: &Value) -> Self {
        let mut places = Self::default();
        places.add(value);
        places
    }

    fn add(&mut self, value: &Value) {
        let index = self.open(Span::default(), 0);
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.add(field)),
            _ => {}
        }
        self.close(index, 0);
    }

    /// Begins a value; its index.
    pub(super) fn open(&mut self, key: Span, start: usize) -> usize {
        self.0.push(Place { value: Span::new(start, start), key, after: 0 });
        self.0.len() - 1
    }

    /// Ends the value of this index.
    pub(super) fn close(&mut self, index: usize, end: usize) {
        let after = self.0.len();
        let place = &mut self.0[index];
        place.value.end = end;
        place.after = after;
    }
}

/// A value of a tree with its place: a cursor that is as cheap to copy as two references.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    value: &'a Value,
    places: &'a Places,
    index: usize,
}

impl<'a> Node<'a> {
    /// The root of a tree with its places.
    pub fn root(value: &'a Value, places: &'a Places) -> Self {
        Self { value, places, index: 0 }
    }

    /// Another value of the same shape in this place.
    pub fn with_value<'b>(self, value: &'b Value) -> Node<'b>
    where
        'a: 'b,
    {
        Node { value, places: self.places, index: self.index }
    }

    /// The value.
    pub fn value(self) -> &'a Value {
        self.value
    }

    /// A number that no other value of the tree has.
    pub(super) fn id(self) -> usize {
        self.index
    }

    /// The value as text.
    pub fn as_str(self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The value of a key of an object.
    pub fn get(self, key: &str) -> Option<Self> {
        self.fields().find_map(|(name, node)| (name == key).then_some(node))
    }

    /// Keys and values of an object in the author's order; nothing for any other value.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self)> {
        let mut index = self.index + 1;
        self.value.as_object().into_iter().flatten().map(move |(key, value)| {
            let node = Self { value, places: self.places, index };
            index = node.place().map_or(index, |place| place.after);
            (key.as_str(), node)
        })
    }

    /// The values of an array; nothing for any other value.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let mut index = self.index + 1;
        self.value.as_array().into_iter().flatten().map(move |value| {
            let node = Self { value, places: self.places, index };
            index = node.place().map_or(index, |place| place.after);
            node
        })
    }

    /// The value that a JSON pointer (RFC 6901) leads to from here.
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            node = match node.value {
                // RFC 6901: digits, without a sign.
                Value::Array(_) if name.starts_with('+') => return None,
                Value::Array(_) => node.items().nth(name.parse().ok()?)?,
                _ => node.get(&name)?,
            };
        }
        Some(node)
    }

    /// The JSON pointer from here to a value inside; `/` for this value itself, as people write it.
    pub fn path_to(self, inner: Node<'_>) -> String {
        let mut path = String::new();
        let mut node = self;
        while node.index != inner.index {
            let holds = |child: &Self| {
                child.index == inner.index
                    || (child.index < inner.index && child.place().is_some_and(|place| inner.index < place.after))
            };
            let next = match node.value {
                Value::Array(_) => node.items().enumerate().find(|(_, child)| holds(child)).map(|(at, child)| {
                    let _ = write!(path, "/{at}");
                    child
                }),
                _ => node.fields().find(|(_, child)| holds(child)).map(|(key, child)| {
                    path.push('/');
                    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    child
                }),
            };
            match next {
                Some(child) => node = child,
                None => break,
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// The innermost value that this byte of the text belongs to, itself or by its key.
    pub fn find(self, byte: usize) -> Option<Self> {
        let holds = |node: &Self| {
            let (key, value) = (node.key_span(), node.span());
            (key.start.min(value.start)..value.end.max(value.start + 1)).contains(&byte)
        };
        let inner = match self.value {
            Value::Array(_) => self.items().find(holds),
            _ => self.fields().map(|(_, node)| node).find(holds),
        };
        match inner {
            Some(inner) => inner.find(byte).or(Some(inner)),
            None => holds(&self).then_some(self),
        }
    }

    /// The outermost value that begins at this byte of the text.
    pub(crate) fn starting_at(self, byte: usize) -> Option<Self> {
        if self.span().start == byte {
            return Some(self);
        }
        let mut inner = self.items().chain(self.fields().map(|(_, node)| node));
        inner.find_map(|node| node.starting_at(byte))
    }

    /// True where a part of the text is within this value.
    pub fn holds(self, span: Span) -> bool {
        let own = self.span();
        own.start <= span.start && span.end <= own.end
    }

    /// Where the value stands.
    pub fn span(self) -> Span {
        self.place().map(|place| place.value).unwrap_or_default()
    }

    /// Where its key stands; where the value stands if it has none.
    pub fn key_span(self) -> Span {
        self.place().filter(|place| place.key.end > 0).map_or_else(|| self.span(), |place| place.key)
    }

    /// What to point at when something is wrong with this value: itself where it is short, else its key or its beginning.
    pub fn mark(self) -> Span {
        let span = self.span();
        match self.value {
            Value::Array(_) | Value::Object(_) if self.place().is_some_and(|place| place.key.end > 0) => {
                self.key_span()
            }
            // A mapping of YAML without braces begins with its first key, whose first character may have several bytes.
            Value::Object(_) if self.first_key().start == span.start && self.first_key().end > 0 => self.first_key(),
            Value::Array(_) | Value::Object(_) => Span::new(span.start, span.end.min(span.start + 1)),
            _ => span,
        }
    }

    /// Where the first key of an object stands; nowhere where it has none.
    fn first_key(self) -> Span {
        self.fields().next().and_then(|(_, first)| first.place()).map(|place| place.key).unwrap_or_default()
    }

    pub(super) fn place(self) -> Option<&'a Place> {
        self.places.0.get(self.index)
    }
}

/// Lines of a text, to tell where a byte stands.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines.
    pub fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Line and column of a byte, each counted from 1, columns in characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts[line - 1];
        let before = self.text.get(start..byte.min(self.text.len())).unwrap_or_default();
        // The end of a line is no column of its own.
        (line, (before.chars().count() + 1).min(self.line(line).chars().count() + 1))
    }

    /// The text from a line and column on, each counted from 1.
    pub fn rest(&self, line: usize, column: usize) -> &'a str {
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(self.text.len());
        let rest = &self.text[start..];
        rest.char_indices().nth(column.saturating_sub(1)).map_or("", |(at, _)| &rest[at..])
    }

    /// The text of a line, counted from 1, without its end.
    pub fn line(&self, line: usize) -> &'a str {
        let Some(start) = line.checked_sub(1).and_then(|index| self.starts.get(index)) else { return "" };
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        self.text.get(*start..end).unwrap_or_default().trim_end_matches('\r')
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_pointer_leads_there_and_back_in_either_form() {
        for text in ["{\"a\": [1, {\"b/~\": \"ü\"}], \"c\": 2}", "a:\n- 1\n- \"b/~\": ü\nc: 2\n"] {
            let parsed = parse(text).unwrap();
            let node = parsed.root().pointer("/a/1/b~1~0").unwrap();
            assert_eq!(node.value(), "ü");
            assert!(parsed.root().pointer("/a/+1").is_none(), "an index has no sign");
            assert_eq!(parsed.root().path_to(node), "/a/1/b~1~0");
            assert_eq!(text[node.span().start..node.span().end].trim_matches('"'), "ü");
            let last = parsed.root().get("c").unwrap();
            assert_eq!(&text[last.span().start..last.span().end], "2");
            assert_eq!(text[last.key_span().start..last.key_span().end].trim_matches('"'), "c");
        }
    }

    #[test]
    fn a_mark_ends_where_a_character_ends() {
        for (text, marked) in [("τὸ ὄν: 1\n", "τὸ ὄν"), ("{\"τ\": 1}", "{"), ("- τ: 1\n", "-"), ("{}", "{")]
        {
            let span = parse(text).unwrap().root().mark();
            assert_eq!(text.get(span.start..span.end), Some(marked), "{text}");
        }
        let text = "- τ: 1\n";
        let parsed = parse(text).unwrap();
        let span = parsed.root().pointer("/0").unwrap().mark();
        assert_eq!(text.get(span.start..span.end), Some("τ"));
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let lines = Lines::of("ab\nüx\r\n");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(5), (2, 2));
        assert_eq!(lines.line(2), "üx");
        assert_eq!(lines.line(9), "");
        assert_eq!(Lines::of("---\r").position(4), (1, 4), "a place behind the end is at the end");
    }
}
