//! From YAML to a tree, with the scalars of YAML 1.1 (see `scalar`), the place of every value and of what is doubtful.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as Range, StrInput, Tag};
use serde_json::{Map, Value};

use super::parsed::{Ambiguous, MAX_DEPTH, Parsed, SyntaxError, Tagged, too_deep};
use super::position::{Places, Span};
use super::scalar;
use super::yaml_errors::in_words;

/// What aliases may add to a document, in bytes of text and nodes together: a few lines of aliases of aliases could
/// otherwise fill the memory.
const MAX_EXPANSION: usize = 4 * 1024 * 1024;

/// Reads every document of a stream.
///
/// # Errors
/// The place of the first thing that is not YAML, or that JSON has no form for.
pub(super) fn parse_all(text: &str) -> Result<Vec<Parsed>, SyntaxError> {
    read(text, usize::MAX, None)
}

/// As [`parse_all`], with a text instead of what is nested too deep.
///
/// # Errors
/// As [`parse_all`].
pub(super) fn parse_cut(text: &str, instead: &str) -> Result<Vec<Parsed>, SyntaxError> {
    read(text, usize::MAX, Some(instead))
}

/// Reads one document.
///
/// # Errors
/// As [`parse_all`], and for a second document.
pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    Ok(read(text, 1, None)?.pop().unwrap_or_default())
}

fn read<'a>(text: &'a str, most: usize, instead: Option<&'a str>) -> Result<Vec<Parsed>, SyntaxError> {
    let mut builder = Builder {
        text,
        events: Parser::new_from_str(text),
        bytes: Bytes::of(text),
        anchors: HashMap::new(),
        expanded: 0,
        instead,
        ambiguous: Vec::new(),
        tagged: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        match builder.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(_), at) if documents.len() >= most => {
                return Err(error(at.start, "a second document begins here; keep one in a text"));
            }
            (Event::DocumentStart(_), _) => {
                let node = builder.next()?;
                let tree = builder.tree(node, 0)?;
                let mut places = Places::default();
                let value = tree.flatten(Span::default(), &mut places);
                let (ambiguous, tagged) = (std::mem::take(&mut builder.ambiguous), std::mem::take(&mut builder.tagged));
                documents.push(Parsed { value, places, ambiguous, tagged, unquoted: Vec::new() });
            }
            _ => {}
        }
    }
}

/// The scanner counts characters; places are told in bytes.
struct Bytes {
    /// Byte of each character; nothing where the two are the same.
    starts: Option<Vec<usize>>,
    length: usize,
}

impl Bytes {
    fn of(text: &str) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { starts, length: text.len() }
    }

    fn span(&self, range: Range) -> Span {
        Span::new(self.byte(range.start), self.byte(range.end))
    }

    fn byte(&self, marker: Marker) -> usize {
        let byte = |starts: &Vec<usize>| starts.get(marker.index()).copied().unwrap_or(self.length);
        self.starts.as_ref().map_or(marker.index(), byte).min(self.length)
    }
}

/// A value while it is built: merged keys may still change what is in it.
#[derive(Clone)]
struct Tree {
    at: Span,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Scalar(Value),
    Sequence(Vec<Tree>),
    Mapping(Fields),
}

#[derive(Clone)]
struct Field {
    key: String,
    at: Span,
    tree: Tree,
    /// The line where the key is written in this mapping; none when it came with a merge.
    line: Option<usize>,
}

#[derive(Clone, Default)]
struct Fields {
    list: Vec<Field>,
    /// Only of a mapping with many keys: among few, looking is faster than hashing.
    index: HashMap<String, usize>,
}

/// So many keys are looked through one by one.
const FEW: usize = 16;

impl Fields {
    fn find(&self, key: &str) -> Option<usize> {
        if self.list.len() <= FEW {
            return self.list.iter().position(|field| field.key == key);
        }
        self.index.get(key).copied()
    }

    /// A key that is there already keeps its place among the others.
    fn insert(&mut self, field: Field) {
        if let Some(place) = self.find(&field.key) {
            // What was written here stays so when a merge replaces its value: a second writing is still one.
            let line = field.line.or(self.list[place].line);
            self.list[place] = Field { line, ..field };
            return;
        }
        self.list.push(field);
        let new = match self.list.len() {
            count if count <= FEW => return,
            count if count == FEW + 1 => 0..count,
            count => count - 1..count,
        };
        for place in new {
            self.index.insert(self.list[place].key.clone(), place);
        }
    }
}

impl Tree {
    fn flatten(self, key: Span, places: &mut Places) -> Value {
        let index = places.open(key, self.at.start);
        let value = match self.content {
            Content::Scalar(value) => value,
            Content::Sequence(items) => {
                Value::Array(items.into_iter().map(|item| item.flatten(Span::default(), places)).collect())
            }
            Content::Mapping(fields) => {
                let mut map = Map::new();
                for Field { key, at, tree, .. } in fields.list {
                    let value = tree.flatten(at, places);
                    map.insert(key, value);
                }
                Value::Object(map)
            }
        };
        places.close(index, self.at.end);
        value
    }

    /// Levels of objects and lists.
    fn depth(&self) -> usize {
        match &self.content {
            Content::Scalar(_) => 0,
            Content::Sequence(items) => 1 + items.iter().map(Self::depth).max().unwrap_or_default(),
            Content::Mapping(fields) => {
                1 + fields.list.iter().map(|field| field.tree.depth()).max().unwrap_or_default()
            }
        }
    }

    /// Nodes and bytes of text.
    fn weight(&self) -> usize {
        match &self.content {
            Content::Scalar(Value::String(text)) => 1 + text.len(),
            Content::Scalar(_) => 1,
            Content::Sequence(items) => 1 + items.iter().map(Self::weight).sum::<usize>(),
            Content::Mapping(fields) => {
                1 + fields.list.iter().map(|field| field.key.len() + field.tree.weight()).sum::<usize>()
            }
        }
    }
}

/// What an alias stands for.
struct Anchored {
    tree: Tree,
    weight: usize,
    depth: usize,
}

struct Builder<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    bytes: Bytes,
    anchors: HashMap<usize, Anchored>,
    expanded: usize,
    /// The text that stands in the place of what is nested too deep, where that is left out.
    instead: Option<&'a str>,
    ambiguous: Vec<Ambiguous>,
    tagged: Vec<Tagged>,
}

/// Short forms of functions of CloudFormation (user guide, "Intrinsic function reference" and "Condition functions").
const CLOUD_FORMATION: [&str; 20] = [
    "And",
    "Base64",
    "Cidr",
    "Condition",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Ref",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
];

type Node<'a> = (Event<'a>, Range);

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Node<'a>, SyntaxError> {
        match self.events.next_event() {
            Some(Ok(node)) => Ok(node),
            Some(Err(error)) => Err(scan_error(self.text, &error)),
            None => Ok((Event::StreamEnd, Range::default())),
        }
    }

    fn tree(&mut self, (event, range): Node<'a>, depth: usize) -> Result<Tree, SyntaxError> {
        if depth >= MAX_DEPTH && matches!(event, Event::SequenceStart(..) | Event::MappingStart(..)) {
            return if self.instead.is_some() { self.left_out(range) } else { Err(deep(range.start)) };
        }
        let mut at = self.bytes.span(range);
        if let Event::Scalar(_, _, _, Some(tag))
        | Event::SequenceStart(_, Some(tag))
        | Event::MappingStart(_, Some(tag)) = &event
            && tag.handle == "!"
            && CLOUD_FORMATION.contains(&tag.suffix.as_str())
        {
            self.tagged.push(Tagged { tag: format!("!{}", tag.suffix), span: at });
        }
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, Content::Scalar(self.scalar(&text, style, tag.as_deref(), range)?))
            }
            Event::SequenceStart(anchor, _) => {
                let (items, end) = self.sequence(depth)?;
                at.end = end;
                (anchor, Content::Sequence(items))
            }
            Event::MappingStart(anchor, _) => {
                let (fields, end) = self.mapping(depth)?;
                at.end = end;
                (anchor, Content::Mapping(fields))
            }
            Event::Alias(anchor) => return self.alias(anchor, range, depth),
            _ => return Err(error(range.start, "a value is missing here")),
        };
        let tree = Tree { at, content };
        if anchor > 0 {
            let anchored = Anchored { weight: tree.weight(), depth: tree.depth(), tree: tree.clone() };
            self.anchors.insert(anchor, anchored);
        }
        Ok(tree)
    }

    /// Passes over the rest of a value that has begun.
    fn left_out(&mut self, range: Range) -> Result<Tree, SyntaxError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.next()?.0 {
                Event::SequenceStart(..) | Event::MappingStart(..) => open += 1,
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                Event::StreamEnd => break,
                _ => {}
            }
        }
        Ok(self.put_instead(range))
    }

    fn put_instead(&self, range: Range) -> Tree {
        let text = self.instead.unwrap_or_default().to_owned();
        Tree { at: self.bytes.span(range), content: Content::Scalar(Value::String(text)) }
    }

    fn alias(&mut self, anchor: usize, range: Range, depth: usize) -> Result<Tree, SyntaxError> {
        let Some(Anchored { tree, weight, depth: below }) = self.anchors.get(&anchor) else {
            return Err(error(range.start, "this alias stands for a value that contains it"));
        };
        if depth + below > MAX_DEPTH {
            return if self.instead.is_some() { Ok(self.put_instead(range)) } else { Err(deep(range.start)) };
        }
        self.expanded += weight;
        if self.expanded > MAX_EXPANSION {
            let message = "the aliases of this document stand for too much; write the values out";
            return Err(error(range.start, message));
        }
        Ok(tree.clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Tree>, usize), SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, range) => return Ok((items, self.bytes.byte(range.end))),
                node => items.push(self.tree(node, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Fields, usize), SyntaxError> {
        let mut fields = Fields::default();
        loop {
            let (event, range) = self.next()?;
            if event == Event::MappingEnd {
                return Ok((fields, self.bytes.byte(range.end)));
            }
            if is_merge(&event) {
                let node = self.next()?;
                let from = node.1.start;
                let merged = self.tree(node, depth + 1)?;
                merge(&mut fields, merged).ok_or_else(|| error(from, "<< takes a mapping or a list of mappings"))?;
                continue;
            }
            let key = self.key(event, range, depth)?;
            let first = fields.find(&key).and_then(|place| fields.list[place].line);
            if let Some(first) = first {
                let message = format!("the key \"{key}\" stands here a second time; the first is in line {first}");
                return Err(error(range.start, message));
            }
            let node = self.next()?;
            let tree = self.tree(node, depth + 1)?;
            fields.insert(Field { key, at: self.bytes.span(range), tree, line: Some(range.start.line()) });
        }
    }

    fn key(&mut self, event: Event<'a>, range: Range, depth: usize) -> Result<String, SyntaxError> {
        let plain = match &event {
            Event::Scalar(text, ScalarStyle::Plain, _, None) => Some(text.to_string()),
            _ => None,
        };
        let key = match self.tree((event, range), depth + 1)?.content {
            Content::Scalar(value) => scalar::key(&value, plain.as_deref()),
            _ => None,
        };
        key.ok_or_else(|| error(range.start, "a key must be text, a number or a boolean"))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        range: Range,
    ) -> Result<Value, SyntaxError> {
        let at = range.start;
        let not_json = || error(at, format!("\"{text}\" is no value that JSON has"));
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain {
                return Ok(Value::String(text.to_owned()));
            }
            if scalar::is_ambiguous(text) {
                let (line, column, span) = (at.line(), at.col() + 1, self.bytes.span(range));
                self.ambiguous.push(Ambiguous { line, column, text: text.to_owned(), span });
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
fn merge(fields: &mut Fields, merged: Tree) -> Option<()> {
    let mut extend = |more: Fields| {
        for field in more.list {
            fields.insert(Field { line: None, ..field });
        }
    };
    match merged.content {
        Content::Mapping(more) => extend(more),
        Content::Sequence(items) => {
            for item in items.into_iter().rev() {
                let Content::Mapping(more) = item.content else { return None };
                extend(more);
            }
        }
        Content::Scalar(_) => return None,
    }
    Some(())
}

fn deep(at: Marker) -> SyntaxError {
    SyntaxError { is_too_deep: true, ..error(at, too_deep()) }
}

fn error(at: Marker, message: impl Into<String>) -> SyntaxError {
    SyntaxError { line: at.line(), column: at.col() + 1, message: message.into(), is_too_deep: false }
}

fn scan_error(text: &str, found: &ScanError) -> SyntaxError {
    let at = found.marker();
    let (line, column, message) = in_words(text, at.line(), at.col() + 1, found.info());
    SyntaxError { line, column, message: message.into_owned(), is_too_deep: false }
}
