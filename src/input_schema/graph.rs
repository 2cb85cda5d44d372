//! The subschemas of a schema, and which applies which: to the same value, or to what is within it.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::found::Fault;
use super::patterns;

/// Most regular expressions of a schema.
const MAX_PATTERNS: u64 = 64;
/// Most subschemas that apply to one value, through references and combinations, each counted as often as it applies.
const MAX_APPLIED: u64 = 2_000;
/// Longest chain of subschemas that apply to one value, each through the one before.
const MAX_CHAIN: u32 = 32;

/// What a subschema looks at.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its own values, without those of subschemas: what one look with it costs.
    pub cost: u64,
    /// Subschemas that it applies to the same value.
    pub in_place: Vec<usize>,
    /// How often it applies them: twice where it has to know what they have looked at.
    pub times: u64,
    /// Of properties by their names.
    pub properties: HashMap<String, usize>,
    /// Of properties by a pattern, with what that costs.
    pub by_pattern: Vec<(u64, usize)>,
    /// Of all other properties.
    pub others: Vec<usize>,
    /// Of the names of properties.
    pub names: Vec<usize>,
    /// Of the first items of a list.
    pub first_items: Vec<usize>,
    /// Of items of a list.
    pub items: Vec<usize>,
    /// What its pattern costs.
    pub pattern: u64,
    /// Whether it compares all items of a list.
    pub unique: bool,
    has_alternatives: bool,
}

/// All subschemas; the first is the whole.
#[derive(Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    /// The place of each node in an order in which none stands before one that applies it to the same value.
    pub rank: Vec<usize>,
    /// The nodes in that order.
    pub order: Vec<usize>,
    patterns: u64,
}

impl Graph {
    /// # Errors
    /// References that lead out of the schema or in a circle, and what costs too much whatever the input is.
    pub fn of(schema: &Value) -> Result<Self, Fault> {
        let mut builder = Builder::new(schema);
        builder.node("", schema);
        builder.all()?;
        let order = order(&builder)?;
        let mut rank = vec![0; order.len()];
        for (place, node) in order.iter().enumerate() {
            rank[*node] = place;
        }
        Ok(Self { nodes: builder.nodes, rank, order, patterns: builder.patterns })
    }

    /// About how many bytes it takes, compiled.
    pub fn weight(&self) -> u32 {
        let patterns = usize::try_from(self.patterns).unwrap_or(usize::MAX);
        let bytes = self.nodes.len() * 1024 + patterns * 2 * (patterns::MAX_COMPILED + patterns::MAX_CACHE);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Whether some subschema need not fit.
    pub fn has_alternatives(&self) -> bool {
        self.nodes.iter().any(|node| node.has_alternatives)
    }
}

struct Builder<'a> {
    schema: &'a Value,
    nodes: Vec<Node>,
    pointers: Vec<String>,
    by_pointer: HashMap<String, usize>,
    anchors: HashMap<&'a str, usize>,
    open: Vec<(usize, &'a Value)>,
    references: Vec<(usize, &'a str)>,
    patterns: u64,
}

impl<'a> Builder<'a> {
    fn new(schema: &'a Value) -> Self {
        Self {
            schema,
            nodes: Vec::new(),
            pointers: Vec::new(),
            by_pointer: HashMap::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            references: Vec::new(),
            patterns: 0,
        }
    }

    fn node(&mut self, pointer: &str, value: &'a Value) -> usize {
        if let Some(known) = self.by_pointer.get(pointer) {
            return *known;
        }
        let index = self.nodes.len();
        self.nodes.push(Node::default());
        self.pointers.push(pointer.to_owned());
        self.by_pointer.insert(pointer.to_owned(), index);
        self.open.push((index, value));
        index
    }

    /// Anchors are known once all subschemas are, so references are followed last; what they lead to may have further ones.
    fn all(&mut self) -> Result<(), Fault> {
        loop {
            if let Some((index, value)) = self.open.pop() {
                self.read(index, value)?;
            } else if let Some((index, reference)) = self.references.pop() {
                let target = self.target(index, reference)?;
                self.nodes[index].in_place.push(target);
            } else {
                return Ok(());
            }
        }
    }

    fn read(&mut self, index: usize, value: &'a Value) -> Result<(), Fault> {
        let pointer = self.pointers[index].clone();
        self.nodes[index].times = 1;
        self.nodes[index].cost = 1;
        let Some(fields) = value.as_object() else { return Ok(()) };
        self.allowed(&pointer, fields)?;
        if let Some(anchor) = fields.get("$anchor").and_then(Value::as_str)
            && self.anchors.insert(anchor, index).is_some()
        {
            return Err(Fault::at(format!("{pointer}/$anchor"), "stands twice; an anchor has one place"));
        }
        for (keyword, value) in fields {
            let at = format!("{pointer}/{}", escaped(keyword));
            self.keyword(index, keyword, &at, value)?;
        }
        Ok(())
    }

    fn allowed(&self, pointer: &str, fields: &Map<String, Value>) -> Result<(), Fault> {
        for keyword in ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"] {
            if fields.contains_key(keyword) {
                let message = "is not taken: all references are $ref within the schema, such as #/$defs/order";
                return Err(Fault::at(format!("{pointer}/{keyword}"), message));
            }
        }
        for keyword in ["$id", "$schema"] {
            if !pointer.is_empty() && fields.get(keyword).is_some_and(Value::is_string) {
                return Err(Fault::at(format!("{pointer}/{keyword}"), "may stand at the top of the schema alone"));
            }
        }
        Ok(())
    }

    fn keyword(&mut self, index: usize, keyword: &str, at: &str, value: &'a Value) -> Result<(), Fault> {
        match keyword {
            "$ref" => {
                if let Some(reference) = value.as_str() {
                    self.references.push((index, reference));
                }
            }
            "allOf" | "anyOf" | "oneOf" => {
                let parts = self.list(at, value);
                self.nodes[index].in_place.extend(parts);
            }
            "not" | "if" | "then" | "else" => {
                let part = self.node(at, value);
                self.nodes[index].in_place.push(part);
            }
            "dependentSchemas" | "dependencies" => {
                let parts: Vec<usize> = self.map(at, value).into_iter().map(|(_, part)| part).collect();
                self.nodes[index].in_place.extend(parts);
            }
            "$defs" | "definitions" => {
                self.map(at, value);
            }
            "properties" => {
                let parts = self.map(at, value);
                self.nodes[index].properties.extend(parts.into_iter().map(|(name, part)| (name.to_owned(), part)));
            }
            "patternProperties" => {
                for (pattern, part) in self.map(at, value) {
                    let cost = self.pattern(&format!("{at}/{}", escaped(pattern)), pattern)?;
                    self.nodes[index].by_pattern.push((cost, part));
                }
            }
            "additionalProperties" | "unevaluatedProperties" => {
                let part = self.node(at, value);
                self.nodes[index].others.push(part);
            }
            "propertyNames" => {
                let part = self.node(at, value);
                self.nodes[index].names.push(part);
            }
            "prefixItems" => self.nodes[index].first_items = self.list(at, value),
            "items" if value.is_array() => {
                let parts = self.list(at, value);
                self.nodes[index].items.extend(parts);
            }
            "items" | "additionalItems" | "contains" | "unevaluatedItems" | "contentSchema" => {
                let part = self.node(at, value);
                self.nodes[index].items.push(part);
            }
            "pattern" => {
                if let Some(pattern) = value.as_str() {
                    self.nodes[index].pattern = self.pattern(at, pattern)?;
                }
            }
            "uniqueItems" => self.nodes[index].unique = value == true,
            _ => self.nodes[index].cost += values(value),
        }
        let node = &mut self.nodes[index];
        node.cost += 1;
        if keyword.starts_with("unevaluated") {
            node.times = 2;
        }
        node.has_alternatives |= matches!(keyword, "anyOf" | "oneOf" | "contains" | "not");
        Ok(())
    }

    fn list(&mut self, at: &str, value: &'a Value) -> Vec<usize> {
        let items = value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, item)| self.node(&format!("{at}/{index}"), item)).collect()
    }

    fn map(&mut self, at: &str, value: &'a Value) -> Vec<(&'a str, usize)> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, part)| (name.as_str(), self.node(&format!("{at}/{}", escaped(name)), part))).collect()
    }

    fn pattern(&mut self, at: &str, pattern: &str) -> Result<u64, Fault> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(Fault::at(at, format!("is one pattern too many; a schema has at most {MAX_PATTERNS}")));
        }
        patterns::cost(at, pattern)
    }

    /// What a reference leads to.
    fn target(&mut self, from: usize, reference: &str) -> Result<usize, Fault> {
        let wrong = |message: &str| Fault::at(format!("{}/$ref", self.pointers[from]), message);
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(wrong(
                "leads out of the schema, and nothing is fetched; put what it means into $defs and write #/$defs/NAME",
            ));
        };
        let decoded = percent_decode_str(fragment).decode_utf8();
        let Ok(pointer) = decoded else { return Err(wrong("is no reference: its text is not UTF-8")) };
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return self
                .anchors
                .get(&*pointer)
                .copied()
                .ok_or_else(|| wrong("names an $anchor that the schema does not have"));
        }
        let (mut value, mut canonical) = (self.schema, String::new());
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let inner = match value {
                Value::Object(fields) => fields.get(&part),
                Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            value = inner.ok_or_else(|| wrong("leads to nothing in the schema"))?;
            canonical = format!("{canonical}/{}", escaped(&part));
            if value.get("$id").is_some_and(Value::is_string) {
                return Err(wrong("leads through an $id, which may stand at the top of the schema alone"));
            }
        }
        if !value.is_object() && !value.is_boolean() {
            return Err(wrong("leads to what is no schema"));
        }
        Ok(self.node(&canonical, value))
    }
}

/// The values that a keyword is written with.
fn values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(fields) => 1 + fields.values().map(values).sum::<u64>(),
        _ => 1,
    }
}

/// A key in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The nodes in an order in which each stands before those that it applies to the same value.
fn order(builder: &Builder<'_>) -> Result<Vec<usize>, Fault> {
    let nodes = &builder.nodes;
    let mut after: Vec<usize> = Vec::with_capacity(nodes.len());
    // Of each that is done: how many apply with it, and how long the longest chain is.
    let mut done: Vec<Option<(u64, u32)>> = vec![None; nodes.len()];
    let mut entered = vec![false; nodes.len()];
    for start in 0..nodes.len() {
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            if done[node].is_some() {
                continue;
            }
            entered[node] = true;
            if let Some(part) = nodes[node].in_place.get(next).copied() {
                path.push((node, next + 1));
                if done[part].is_none() {
                    if entered[part] {
                        let message = "applies itself to the same value again, without end; let the reference stand below properties or items";
                        return Err(Fault::at(builder.pointers[part].clone(), message));
                    }
                    path.push((part, 0));
                }
                continue;
            }
            let parts = || nodes[node].in_place.iter().filter_map(|part| done[*part]);
            let applied =
                parts().fold(1_u64, |sum, (applied, _)| sum.saturating_add(applied.saturating_mul(nodes[node].times)));
            let chain = 1 + parts().map(|(_, chain)| chain).max().unwrap_or(0);
            if applied > MAX_APPLIED {
                let message = format!(
                    "applies more than {MAX_APPLIED} subschemas to one value; let fewer references and combinations stand in one another"
                );
                return Err(Fault::at(builder.pointers[node].clone(), message));
            }
            if chain > MAX_CHAIN {
                let message = format!(
                    "applies subschemas through more than {MAX_CHAIN} others to one value; nest references and combinations less"
                );
                return Err(Fault::at(builder.pointers[node].clone(), message));
            }
            done[node] = Some((applied, chain));
            after.push(node);
        }
    }
    after.reverse();
    Ok(after)
}
