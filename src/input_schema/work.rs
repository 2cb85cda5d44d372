//! What it would cost to hold an input against a schema, counted before it is done.
//!
//! Each place of the input is gone through once, with the subschemas that apply there and how often each does. How often is what
//! grows without bound: a subschema that applies another twice to what is within, which does the same, doubles it with every level
//! of the input. Counted is what is looked at where nothing is decided early, so it is more than a check takes, and never less.

use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::{Graph, Node};

/// Subschemas and levels of an input, one within the other: each takes room on the stack.
const MAX_NESTED: u32 = 250;
/// Bytes of a text that are looked at for the price of one value.
const BYTES_A_STEP: u64 = 256;
/// Bytes of a text that a pattern of one KiB goes through for the price of one value.
const MATCHED_A_STEP: u64 = 8;

/// The steps that it takes; `None` where they are more than `most`.
pub(super) fn measure(graph: &Graph, input: &Value, most: u64) -> Option<u64> {
    let mut walk = Walk { graph, left: most };
    walk.visit(At::Value(input), &[(0, 1, 0)])?;
    Some(most - walk.left)
}

/// What is looked at: a value, or the name of a property.
#[derive(Clone, Copy)]
enum At<'a> {
    Value(&'a Value),
    Name(&'a str),
}

/// A subschema, how often it applies, and how deep it is applied.
type Applied = (usize, u64, u32);

/// How often a subschema is applied to a value, how often it is gone through again to learn what it has looked at, and how deep.
#[derive(Clone, Copy, Default)]
struct Visits {
    times: u64,
    looks: u64,
    deep: u32,
}

fn add(open: &mut BTreeMap<usize, Visits>, rank: usize, more: Visits) {
    let known = open.entry(rank).or_default();
    known.times = known.times.saturating_add(more.times);
    known.looks = known.looks.saturating_add(more.looks);
    known.deep = known.deep.max(more.deep);
}

struct Walk<'a> {
    graph: &'a Graph,
    left: u64,
}

impl Walk<'_> {
    fn spend(&mut self, steps: u64) -> Option<()> {
        self.left = self.left.checked_sub(steps)?;
        Some(())
    }

    fn visit(&mut self, at: At<'_>, seeds: &[Applied]) -> Option<()> {
        if seeds.is_empty() {
            return Some(());
        }
        let applied = self.here(at, seeds)?;
        match at {
            At::Value(Value::Object(fields)) => {
                for (name, value) in fields {
                    let names = self.of(&applied, |node| node.names.iter().copied());
                    self.visit(At::Name(name), &names)?;
                    let patterns = applied.iter().flat_map(|(node, times, _)| {
                        self.graph.nodes[*node]
                            .by_pattern
                            .iter()
                            .map(|(cost, _)| matched(*cost, name).saturating_mul(*times))
                    });
                    let patterns = patterns.fold(0, u64::saturating_add);
                    self.spend(patterns)?;
                    let within = self.of(&applied, |node| property(node, name));
                    self.visit(At::Value(value), &within)?;
                }
            }
            At::Value(Value::Array(items)) => {
                let all = self.of(&applied, |node| node.items.iter().copied());
                let is_plain = applied.iter().all(|(node, ..)| self.graph.nodes[*node].first_items.is_empty());
                for (index, item) in items.iter().enumerate() {
                    if is_plain {
                        self.visit(At::Value(item), &all)?;
                    } else {
                        let mut within = self.of(&applied, |node| node.first_items.get(index).copied().into_iter());
                        within.extend_from_slice(&all);
                        self.visit(At::Value(item), &within)?;
                    }
                }
            }
            At::Value(_) | At::Name(_) => {}
        }
        Some(())
    }

    /// All that apply to the same value, each once with how often it applies.
    fn here(&mut self, at: At<'_>, seeds: &[Applied]) -> Option<Vec<Applied>> {
        let mut open: BTreeMap<usize, Visits> = BTreeMap::new();
        for (node, times, deep) in seeds {
            add(&mut open, self.graph.rank[*node], Visits { times: *times, looks: 0, deep: *deep });
        }
        let mut applied = Vec::with_capacity(open.len());
        while let Some((rank, visits)) = open.pop_first() {
            let index = self.graph.order[rank];
            let node = &self.graph.nodes[index];
            if visits.deep >= MAX_NESTED {
                return None;
            }
            let looks = visits.looks.saturating_add(visits.times.saturating_mul(node.looks));
            let times = visits.times.saturating_add(looks);
            self.spend(1)?;
            self.spend(look(node, at).saturating_mul(times))?;
            for part in &node.in_place {
                add(&mut open, self.graph.rank[*part], Visits { times, looks, deep: visits.deep + 1 });
            }
            applied.push((index, times, visits.deep));
        }
        Some(applied)
    }

    /// What the applied ones apply to something within.
    fn of<'n, I: Iterator<Item = usize> + 'n>(
        &'n self,
        applied: &[Applied],
        parts: impl Fn(&'n Node) -> I,
    ) -> Vec<Applied> {
        let mut within = Vec::new();
        for (node, times, deep) in applied {
            within.extend(parts(&self.graph.nodes[*node]).map(|part| (part, *times, deep + 1)));
        }
        within
    }
}

/// The subschemas that may apply to a property. Those of patterns are taken to match.
fn property<'n>(node: &'n Node, name: &str) -> impl Iterator<Item = usize> + use<'n> {
    let named = node.properties.get(name).copied();
    let others = named.is_none().then_some(&node.others).into_iter().flatten().copied();
    named.into_iter().chain(node.by_pattern.iter().map(|(_, part)| *part)).chain(others)
}

/// What one look costs.
fn look(node: &Node, at: At<'_>) -> u64 {
    let text = match at {
        At::Name(name) => name,
        At::Value(Value::String(text)) => text,
        At::Value(value) => return node.cost + if node.unique { size(value) } else { 0 },
    };
    node.cost + text.len() as u64 / BYTES_A_STEP + if node.pattern == 0 { 0 } else { matched(node.pattern, text) }
}

fn matched(cost: u64, text: &str) -> u64 {
    cost.saturating_mul(1 + text.len() as u64 / MATCHED_A_STEP)
}

/// The values in a value, and its texts.
fn size(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<u64>(),
        Value::Object(fields) => 1 + fields.values().map(size).sum::<u64>(),
        Value::String(text) => 1 + text.len() as u64 / BYTES_A_STEP,
        _ => 1,
    }
}
