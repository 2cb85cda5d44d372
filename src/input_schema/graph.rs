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
/// Most subschemas that are compiled again for those that go through them again.
const MAX_LOOKED_AT: u64 = 20_000;
/// Most ways through conditions that the crate goes by themselves.
const MAX_WAYS: u64 = 64;
/// Longest chain of subschemas that apply to one value, each through the one before.
const MAX_CHAIN: u32 = 32;

/// What a subschema looks at.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its own values, without those of subschemas: what one look with it costs.
    pub cost: u64,
    /// Subschemas that it applies to the same value.
    pub in_place: Vec<usize>,
    /// How often it goes through them again to learn what they have looked at: for `unevaluatedProperties` and `unevaluatedItems`.
    pub looks: u64,
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
    /// All subschemas that stand in it.
    inline: Vec<usize>,
    /// Those of them that are compiled once more for each subschema that goes through it again.
    looked_at: Vec<usize>,
    /// How many ways there are through its conditions.
    ways: u64,
    is_unevaluated: bool,
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
        let order = order(&mut builder)?;
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
        self.nodes[index].cost = 1;
        let Some(fields) = value.as_object() else { return Ok(()) };
        Self::allowed(&pointer, fields)?;
        if let Some(anchor) = fields.get("$anchor").and_then(Value::as_str)
            && self.anchors.insert(anchor, index).is_some()
        {
            return Err(Fault::at(format!("{pointer}/$anchor"), "stands twice; an anchor has one place"));
        }
        for (keyword, value) in fields {
            let at = format!("{pointer}/{}", escaped(keyword));
            self.keyword(index, keyword, &at, value)?;
        }
        let node = &mut self.nodes[index];
        // References are not among them yet.
        node.looked_at = [&node.in_place[..], &node.others, &node.items].concat();
        let named = node.properties.values().copied().chain(node.by_pattern.iter().map(|(_, part)| *part));
        let rest = node.names.iter().chain(&node.first_items).copied();
        node.inline = node.looked_at.iter().copied().chain(named).chain(rest).collect();
        Ok(())
    }

    fn allowed(pointer: &str, fields: &Map<String, Value>) -> Result<(), Fault> {
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
        node.is_unevaluated |= keyword.starts_with("unevaluated");
        node.ways += match keyword {
            "if" => 2,
            "dependentSchemas" | "dependencies" => value.as_object().map_or(0, Map::len) as u64,
            _ => 0,
        };
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

/// What is known of a node once all that it applies to the same value is.
#[derive(Clone, Copy, Default)]
struct Done {
    /// How many subschemas apply with it, itself included.
    applied: u64,
    /// How many apply where it is gone through again.
    looked: u64,
    /// The longest chain.
    chain: u32,
    /// Ways through conditions.
    ways: u64,
    /// Subschemas that are compiled once more for each that goes through it again.
    compiled: u64,
    /// Whether one of these goes through others again itself.
    is_nested: bool,
}

/// The nodes in an order in which each stands before those that it applies to the same value.
fn order(builder: &mut Builder<'_>) -> Result<Vec<usize>, Fault> {
    let sizes = sizes(builder);
    let count = builder.nodes.len();
    let mut after: Vec<usize> = Vec::with_capacity(count);
    let mut done: Vec<Option<Done>> = vec![None; count];
    let mut entered = vec![false; count];
    let mut compiled = 0_u64;
    for start in 0..count {
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            if done[node].is_some() {
                continue;
            }
            entered[node] = true;
            if let Some(part) = builder.nodes[node].in_place.get(next).copied() {
                path.push((node, next + 1));
                if entered[part] && done[part].is_none() {
                    let message = "applies itself to the same value again, without end; let the reference stand below properties or items";
                    return Err(Fault::at(builder.pointers[part].clone(), message));
                }
                path.push((part, 0));
                continue;
            }
            let found = known(&builder.nodes[node], &done, &sizes);
            bounded(&builder.pointers[node], &found)?;
            let schema = &mut builder.nodes[node];
            if schema.is_unevaluated {
                schema.looks = looks(&found);
                compiled = compiled.saturating_add(found.compiled);
                again(&builder.pointers[node], &found, compiled)?;
            }
            done[node] = Some(found);
            after.push(node);
        }
    }
    after.reverse();
    Ok(after)
}

/// How many subschemas stand in each, itself included, and whether one of them goes through others again.
fn sizes(builder: &Builder<'_>) -> Vec<(u64, bool)> {
    let mut inside_out: Vec<usize> = (0..builder.nodes.len()).collect();
    inside_out.sort_by_key(|node| std::cmp::Reverse(builder.pointers[*node].len()));
    let mut sizes = vec![(1, false); inside_out.len()];
    for node in inside_out {
        let schema = &builder.nodes[node];
        let whole = (1, schema.is_unevaluated);
        sizes[node] = schema.inline.iter().fold(whole, |(size, again), part| {
            let (of_part, again_in_part) = sizes[*part];
            (size + of_part, again || again_in_part)
        });
    }
    sizes
}

fn known(node: &Node, done: &[Option<Done>], sizes: &[(u64, bool)]) -> Done {
    let own = Done { applied: 1, looked: 1, chain: 1, ways: node.ways, ..Done::default() };
    let looked_at = node.looked_at.iter().fold(own, |sum, part| Done {
        compiled: sum.compiled.saturating_add(sizes[*part].0),
        is_nested: sum.is_nested || sizes[*part].1,
        ..sum
    });
    let parts = node.in_place.iter().filter_map(|part| done[*part]);
    let whole = parts.fold(looked_at, |sum, part| Done {
        applied: sum.applied.saturating_add(part.applied),
        looked: sum.looked.saturating_add(part.applied).saturating_add(part.looked),
        chain: sum.chain.max(part.chain + 1),
        ways: sum.ways.saturating_add(part.ways),
        compiled: sum.compiled.saturating_add(part.compiled),
        is_nested: sum.is_nested || part.is_nested,
    });
    let again = if node.is_unevaluated { whole.looked.saturating_mul(looks(&whole)) } else { 0 };
    Done { applied: whole.applied.saturating_add(again), ..whole }
}

/// Each way through the conditions asks those on it anew.
fn looks(found: &Done) -> u64 {
    1 + found.ways.min(MAX_WAYS)
}

fn bounded(pointer: &str, found: &Done) -> Result<(), Fault> {
    if found.applied > MAX_APPLIED {
        let message = format!(
            "applies more than {MAX_APPLIED} subschemas to one value; let fewer references and combinations stand in one another"
        );
        return Err(Fault::at(pointer, message));
    }
    if found.chain > MAX_CHAIN {
        let message = format!(
            "applies subschemas through more than {MAX_CHAIN} others to one value; nest references and combinations less"
        );
        return Err(Fault::at(pointer, message));
    }
    Ok(())
}

/// What `unevaluatedProperties` and `unevaluatedItems` go through again is compiled again for them, with all that stands in it.
fn again(pointer: &str, found: &Done, compiled: u64) -> Result<(), Fault> {
    if found.is_nested {
        let message = "has an unevaluatedProperties or unevaluatedItems that goes through another one again; put that one's subschema into $defs and refer to it";
        return Err(Fault::at(pointer, message));
    }
    if compiled > MAX_LOOKED_AT {
        let message = format!(
            "has an unevaluatedProperties or unevaluatedItems with which more than {MAX_LOOKED_AT} subschemas are gone through again; put large parts into $defs and refer to them"
        );
        return Err(Fault::at(pointer, message));
    }
    Ok(())
}
