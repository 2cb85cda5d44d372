//! Following a path through data, as Jayway's implementation of JSONPath does, and putting a result where a path leads.

use std::cell::Cell;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::sight::Sight;
use super::value::size;
use crate::asl::grammar::jsonpath::{Query, Root, Segment, Step};

/// Values that are met on one path before it is given up: each step may lead from every value to every other below.
const MAX_MET: usize = 200_000;
/// Bytes of what a path leads to that count as a value that is met.
const BYTES: usize = 32;
/// Filters inside of filters.
const MAX_FILTERS: usize = 8;

/// Where a path leads. A path to one place gives the value there, any other a list of what it met.
///
/// # Errors
/// What Jayway says where it leads nowhere.
pub(super) fn follow(query: &Query, sight: Sight<'_>) -> Result<Value, String> {
    let root = match query.path.root {
        Root::Data => sight.data,
        Root::Context => sight.context(),
        Root::Variable => {
            sight.variable(&query.variable).ok_or_else(|| format!("No results for path: $['{}']", query.variable))?
        }
    };
    let met = Cell::new(0);
    let found = find(query, root, 0, &met);
    sight.work(met.get() as u64 * 32);
    found
}

/// As [`follow`], from this value. `filters` counts those that it is inside of, `met` what all of them have met.
fn find(query: &Query, root: &Value, filters: usize, met: &Cell<usize>) -> Result<Value, String> {
    let mut walk = Walk { met, filters, is_definite: true, root };
    let mut nodes = vec![root];
    let is_way = query.segments.iter().all(|segment| !segment.is_deep && is_one(&segment.step));
    for (at, segment) in query.segments.iter().enumerate() {
        let is_last = at + 1 == query.segments.len();
        match &segment.step {
            Step::Function(name, _) if is_last && !segment.is_deep => {
                return walk.function(name, &nodes);
            }
            Step::Function(name, _) => return Err(format!("the function {name}() can only end a path")),
            Step::Names(names) if names.len() > 1 && is_last && !segment.is_deep => {
                return Ok(walk.several(names, &nodes));
            }
            _ => nodes = walk.step(segment, nodes, is_way && !is_last, || printed(&query.segments[..=at]))?,
        }
    }
    walk.meet(nodes.iter().map(|node| size(node)).sum::<usize>() / BYTES)?;
    if !walk.is_definite {
        return Ok(Value::Array(nodes.into_iter().cloned().collect()));
    }
    match nodes.first() {
        Some(found) => Ok((*found).clone()),
        None => Err(format!("No results for path: {}", printed(&query.segments))),
    }
}

struct Walk<'a> {
    met: &'a Cell<usize>,
    filters: usize,
    is_definite: bool,
    root: &'a Value,
}

impl<'a> Walk<'a> {
    fn meet(&self, count: usize) -> Result<(), String> {
        self.met.set(self.met.get() + count);
        if self.met.get() > MAX_MET {
            return Err(format!("the path meets more than {MAX_MET} values"));
        }
        Ok(())
    }

    fn step(
        &mut self,
        segment: &Segment,
        nodes: Vec<&'a Value>,
        is_way: bool,
        printed: impl Fn() -> String,
    ) -> Result<Vec<&'a Value>, String> {
        let nodes = if segment.is_deep { self.below(&nodes)? } else { nodes };
        self.is_definite &= !segment.is_deep && is_one(&segment.step);
        let filter = match &segment.step {
            Step::Filter(text) if self.filters < MAX_FILTERS => Some(Filter::parse(text)?),
            Step::Filter(_) => return Err(format!("filters are nested more than {MAX_FILTERS} deep")),
            _ => None,
        };
        let mut found = Vec::new();
        for node in nodes {
            let before = found.len();
            self.one(&segment.step, filter.as_ref(), node, &mut found)?;
            self.meet(1 + found.len() - before)?;
            // As recorded: a path that may lead to several places meets nothing where a name on its way is missing.
            if found.len() == before && is_way {
                return Err(format!("Missing property in path {}", printed()));
            }
        }
        Ok(found)
    }

    fn one(
        &mut self,
        step: &Step,
        filter: Option<&Filter>,
        node: &'a Value,
        found: &mut Vec<&'a Value>,
    ) -> Result<(), String> {
        match (step, node) {
            (Step::Names(names), Value::Object(fields)) => {
                found.extend(names.iter().filter_map(|name| fields.get(name)));
            }
            (Step::All, Value::Object(fields)) => found.extend(fields.values()),
            (Step::All, Value::Array(items)) => found.extend(items),
            (Step::Indices(indices), Value::Array(items)) => {
                found.extend(indices.iter().filter_map(|index| items.get(place(*index, items.len())?)));
            }
            (Step::Slice(from, to), Value::Array(items)) => found.extend(&items[slice(*from, *to, items.len())]),
            (Step::Script(text), Value::Array(items)) => {
                let index = filter::script(text, items.len()).ok_or_else(|| format!("({text}) is no index"))?;
                found.extend(place(index, items.len()).and_then(|at| items.get(at)));
            }
            (Step::Filter(_), _) => {
                let Some(filter) = filter else { return Ok(()) };
                let candidates = match node {
                    Value::Array(items) => items.iter().collect::<Vec<_>>(),
                    other => vec![other],
                };
                let (root, filters, met) = (self.root, self.filters + 1, self.met);
                let find = |query: &Query, from: &Value| find(query, from, filters, met).ok();
                for candidate in candidates {
                    self.meet(1)?;
                    if filter.takes(candidate, root, &find) {
                        found.push(candidate);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Every value with all that is in it, each before what is in it.
    fn below(&mut self, nodes: &[&'a Value]) -> Result<Vec<&'a Value>, String> {
        let mut all = Vec::new();
        let mut open: Vec<&'a Value> = nodes.iter().rev().copied().collect();
        while let Some(value) = open.pop() {
            self.meet(1)?;
            all.push(value);
            match value {
                Value::Array(items) => open.extend(items.iter().rev()),
                Value::Object(fields) => open.extend(fields.values().rev()),
                _ => {}
            }
        }
        Ok(all)
    }

    /// `['a', 'b']` at the end of a path: the object with these fields only.
    fn several(&mut self, names: &[String], nodes: &[&'a Value]) -> Value {
        let pick = |node: &Value| {
            let fields = node.as_object();
            let picked = names.iter().filter_map(|name| Some((name.clone(), fields?.get(name)?.clone())));
            Value::Object(picked.collect())
        };
        match nodes {
            [node] if self.is_definite => pick(node),
            nodes => Value::Array(nodes.iter().map(|node| pick(node)).collect()),
        }
    }

    fn function(&mut self, name: &str, nodes: &[&'a Value]) -> Result<Value, String> {
        let values: Vec<&Value> = match nodes {
            [Value::Array(items)] if self.is_definite => items.iter().collect(),
            [one] if self.is_definite && name == "length" => {
                return Ok(match one {
                    Value::Object(fields) => json!(fields.len()),
                    Value::String(text) => json!(text.chars().count()),
                    _ => Value::Null,
                });
            }
            [Value::Object(fields)] if self.is_definite && name == "keys" => {
                return Ok(json!(fields.keys().collect::<Vec<_>>()));
            }
            nodes => nodes.to_vec(),
        };
        let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
        let sum: f64 = numbers.iter().sum();
        #[allow(clippy::cast_precision_loss)] // a payload holds fewer
        let count = numbers.len() as f64;
        let of_numbers =
            |value: f64| if numbers.is_empty() { Err("no numbers to aggregate".to_owned()) } else { Ok(json!(value)) };
        match name {
            "length" | "size" => Ok(json!(values.len())),
            "first" => Ok(values.first().map_or(Value::Null, |value| (*value).clone())),
            "last" => Ok(values.last().map_or(Value::Null, |value| (*value).clone())),
            "sum" => of_numbers(sum),
            "avg" => of_numbers(sum / count),
            "min" => of_numbers(numbers.iter().copied().fold(f64::INFINITY, f64::min)),
            "max" => of_numbers(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            "stddev" => {
                let mean = sum / count;
                of_numbers((numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt())
            }
            other => Err(format!("Function with name: {other} does not exist.")),
        }
    }
}

fn is_one(step: &Step) -> bool {
    match step {
        Step::Names(names) => names.len() == 1,
        Step::Indices(indices) => indices.len() == 1,
        Step::Script(_) => true,
        Step::All | Step::Slice(..) | Step::Filter(_) | Step::Function(..) => false,
    }
}

/// The item that an index is of, which counts from the end where it is negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(index).ok()
}

fn slice(from: Option<i64>, to: Option<i64>, length: usize) -> std::ops::Range<usize> {
    let bound = |index: i64| {
        let index = if index < 0 { index.saturating_add_unsigned(length as u64) } else { index };
        usize::try_from(index.max(0)).unwrap_or(length).min(length)
    };
    let (from, to) = (from.map_or(0, bound), to.map_or(length, bound));
    from..to.max(from)
}

/// As Jayway prints paths.
pub(super) fn printed(segments: &[Segment]) -> String {
    let mut path = "$".to_owned();
    for segment in segments {
        path.push_str(if segment.is_deep { ".." } else { "" });
        let _ = match &segment.step {
            Step::Names(names) => {
                write!(path, "[{}]", names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(","))
            }
            Step::All => write!(path, "[*]"),
            Step::Indices(indices) => {
                write!(path, "[{}]", indices.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
            }
            Step::Slice(from, to) => {
                let bound = |bound: &Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
                write!(path, "[{}:{}]", bound(from), bound(to))
            }
            Step::Filter(_) => write!(path, "[?]"),
            Step::Script(text) => write!(path, "[({text})]"),
            Step::Function(name, _) => write!(path, ".{name}()"),
        };
    }
    path
}

/// Puts a value where a Reference Path leads from another; what is missing on the way is made.
///
/// # Errors
/// The value that the path cannot go through.
pub(super) fn put<'v>(into: &'v mut Value, segments: &[Segment], value: Value) -> Result<(), &'v Value> {
    let Some((segment, rest)) = segments.split_first() else {
        *into = value;
        return Ok(());
    };
    let is_in = match (&segment.step, &*into) {
        (Step::Names(names), Value::Object(_)) => names.len() == 1,
        (Step::Indices(indices), Value::Array(items)) => {
            place(indices[0], items.len()).is_some_and(|at| at < items.len())
        }
        _ => false,
    };
    if !is_in {
        return Err(into);
    }
    match (&segment.step, into) {
        (Step::Names(names), Value::Object(fields)) => {
            let inner = fields.entry(names[0].clone()).or_insert(Value::Null);
            if !rest.is_empty() && !inner.is_object() && !inner.is_array() {
                *inner = Value::Object(Map::new());
            }
            put(inner, rest, value)
        }
        (Step::Indices(indices), Value::Array(items)) => {
            let at = place(indices[0], items.len()).unwrap_or_default();
            put(&mut items[at], rest, value)
        }
        (_, into) => Err(into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::grammar::jsonpath::query;

    fn find(query: &Query, root: &Value) -> Result<Value, String> {
        super::find(query, root, 0, &Cell::new(0))
    }

    #[test]
    fn a_path_leads_where_jayway_says() {
        let data = json!({"a": {"b": [1, 2, 3], "c": null}, "l": [{"n": 1, "t": "x"}, {"n": 5}, {"t": "y"}], "e": []});
        for (path, found) in [
            ("$", data.clone()),
            ("$.a.b", json!([1, 2, 3])),
            ("$['a']['b'][1]", json!(2)),
            ("$.a.b[-1]", json!(3)),
            ("$.a.b[0,2]", json!([1, 3])),
            ("$.a.b[1:]", json!([2, 3])),
            ("$.a.b[:-1]", json!([1, 2])),
            ("$.a.b[2:1]", json!([])),
            ("$.a.c", json!(null)),
            ("$.l[*].n", json!([1, 5])),
            ("$..n", json!([1, 5])),
            ("$.e[*]", json!([])),
            ("$.x.y[*].z", json!([])),
            ("$.l[?(@.n > 1)].n", json!([5])),
            ("$.l[?(@.t == 'x')]", json!([{"n": 1, "t": "x"}])),
            ("$.l[?(@.t)].t", json!(["x", "y"])),
            ("$.l[?(@.n == 1 || @.t == 'y')].t", json!(["x", "y"])),
            ("$.l[(@.length-1)].t", json!("y")),
            ("$.l.length()", json!(3)),
            ("$.a.b.max()", json!(3.0)),
            ("$.l[0]['n','t']", json!({"n": 1, "t": "x"})),
        ] {
            assert_eq!(find(&query(path).unwrap(), &data), Ok(found), "{path}");
        }
        for (path, message) in [
            ("$.x", "No results for path: $['x']"),
            ("$.a.b[7]", "No results for path: $['a']['b'][7]"),
            ("$.x.y", "Missing property in path $['x']"),
            ("$.a.c.d", "No results for path: $['a']['c']['d']"),
        ] {
            assert_eq!(find(&query(path).unwrap(), &data), Err(message.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_path_that_meets_too_much_is_given_up() {
        let data = (0..60).fold(json!(1), |inner, _| json!([inner]));
        let path = format!("${}", "..[*]".repeat(12));
        assert!(find(&query(&path).unwrap(), &data).unwrap_err().contains("more than"));
        let items: Value = (0..2_000).map(Value::from).collect();
        for filter in ["[?($ == 1)]", "[?($[?($[?(@ == 1)])])]", "[?($.length() == 1 || @ in $)]"] {
            let found = find(&query(&format!("${filter}")).unwrap(), &items);
            assert!(found.unwrap_err().contains("more than"), "{filter}");
        }
        let deep = format!("${}1{}", "[?(@".repeat(200), ")]".repeat(200));
        assert!(find(&query(&deep).unwrap(), &json!([1])).is_ok(), "filters end somewhere");
    }

    #[test]
    fn a_result_is_put_where_its_path_leads() {
        let put = |into: Value, path: &str| {
            let mut into = into;
            put(&mut into, &query(path).unwrap().segments, json!(7)).map_err(Clone::clone).map(|()| into.clone())
        };
        assert_eq!(put(json!(1), "$"), Ok(json!(7)));
        assert_eq!(put(json!({"a": 1}), "$.b.c"), Ok(json!({"a": 1, "b": {"c": 7}})));
        assert_eq!(put(json!({"a": "x"}), "$.a.c"), Ok(json!({"a": {"c": 7}})));
        assert_eq!(put(json!({"a": [1, 2]}), "$.a[1]"), Ok(json!({"a": [1, 7]})));
        assert_eq!(put(json!({"a": [1]}), "$.a[3]"), Err(json!([1])));
        assert_eq!(put(json!("x"), "$.a"), Err(json!("x")));
    }
}
