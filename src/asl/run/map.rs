//! Map: one machine runs for each item, within the execution.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::data;
use super::engine::{Beside, Details, Engine, details};
use super::failure::{Failure, Fault};
use super::query;
use super::sight::Sight;
use super::state::{Iterations, Parent, Phase, Scope, ScopeId};
use super::template;
use crate::asl::model::{Kind, MapState, Mode, QueryLanguage, State};
use crate::asl::position::Node;

/// Iterations that AWS runs at the same time where a Map sets no number.
const INLINE: usize = 40;
/// Child executions that are run at the same time here: their order is the same for more.
const DISTRIBUTED: usize = 1_000;

/// The items of a Map, and their keys where they are fields of an object.
pub(super) struct Items {
    pub(super) values: VecDeque<Value>,
    pub(super) keys: VecDeque<String>,
}

impl From<Vec<Value>> for Items {
    fn from(values: Vec<Value>) -> Self {
        Self { values: values.into(), keys: VecDeque::new() }
    }
}

impl<'m> Engine<'_, 'm> {
    pub(super) fn map(&mut self, scope: ScopeId, state: &'m State<'m>, map: &'m MapState<'m>) {
        let is_distributed = map.mode() == Mode::Distributed;
        let (taken, most, items) = match self.begun(scope, state, map) {
            Ok(begun) => begun,
            Err(fault) => return self.fault(scope, fault),
        };
        let limit = if is_distributed { DISTRIBUTED } else { INLINE };
        let most = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0);
        let iterations =
            Iterations { most_at_once: most.map_or(limit, |most| most.min(limit)), ..Iterations::default() };
        self.emit(scope, "MapStateStarted", details([("length", json!(items.values.len()))]));
        let Some(visit) = self.visit(scope) else { return };
        visit.phase = Phase::Iterations(Box::new(iterations));
        if is_distributed {
            self.distribute(scope, state, map, &taken, items);
        } else {
            self.iterate(scope, items);
        }
    }

    /// What a Map begins with: its own input, how many iterations may run at once, the items.
    pub(super) fn begun(
        &mut self,
        scope: ScopeId,
        state: &'m State<'m>,
        map: &MapState<'m>,
    ) -> Result<(Value, Option<i64>, Items), Fault> {
        let (language, is_distributed) = (state.query_language, map.mode() == Mode::Distributed);
        let taken = self.taken(scope)?;
        let (most, items) = self.look(scope, &taken, Beside::default(), |sight| {
            let most = data::whole(map.max_concurrency, language, "MaxConcurrency", sight)?;
            let is_read = map.item_reader.is_some();
            let items = if is_read { Items::from(Vec::new()) } else { items(map, language, is_distributed, sight)? };
            Ok((most, items))
        })?;
        Ok((taken, most, items))
    }

    pub(super) fn iterations(&mut self, scope: ScopeId) -> Option<&mut Iterations> {
        match &mut self.visit(scope)?.phase {
            Phase::Iterations(iterations) => Some(iterations),
            _ => None,
        }
    }

    /// Begins with these items.
    pub(super) fn iterate(&mut self, scope: ScopeId, items: Items) {
        let Some(iterations) = self.iterations(scope) else { return };
        iterations.total = items.values.len();
        iterations.items = items.values;
        iterations.keys = items.keys;
        let last = self.run.scopes.get(&scope).map_or(0, |scope| scope.last_event);
        self.more(scope, last);
    }

    /// Starts as many iterations as may run; with none left, the Map is done.
    fn more(&mut self, scope: ScopeId, previous: u64) {
        loop {
            let Some(iterations) = self.iterations(scope) else { return };
            if iterations.open.len() >= iterations.most_at_once {
                return;
            }
            let Some(item) = iterations.items.pop_front() else { break };
            let (slot, key) = (iterations.next, iterations.keys.pop_front());
            let is_inline = iterations.run.is_none();
            iterations.next += 1;
            let item = Item { slot, value: item, key };
            let started = if is_inline { self.iteration(scope, item, previous) } else { self.child(scope, item) };
            let Some(started) = started else { return };
            let Some(iterations) = self.iterations(scope) else { return };
            iterations.open.insert(slot, started);
        }
        let Some(iterations) = self.iterations(scope) else { return };
        if iterations.open.is_empty() {
            self.all_iterations(scope);
        }
    }

    fn iteration(&mut self, scope: ScopeId, item: Item, previous: u64) -> Option<ScopeId> {
        let Some(Kind::Map(map)) = self.state(scope).map(|state| &state.kind) else { return None };
        let slot = item.slot;
        let (told, input) = match self.selected(scope, map, item) {
            Ok(selected) => selected,
            Err(fault) => {
                self.abort_inside(scope);
                self.fault(scope, fault);
                return None;
            }
        };
        let name = self.state(scope)?.name;
        let own = self.run.scopes.get(&scope)?;
        let machine = *self.program.inside(own.machine, own.visit.as_ref()?.state).first()?;
        let iteration = Scope {
            machine,
            execution: own.execution,
            parent: Some(Parent { scope, slot, is_seen: true }),
            variables: BTreeMap::new(),
            variable_bytes: 0,
            item: Some(told),
            iterations: [own.iterations.as_slice(), &[slot]].concat(),
            last_event: previous,
            visit: None,
        };
        let iteration = self.open(iteration)?;
        self.emit(iteration, "MapIterationStarted", details([("name", json!(name)), ("index", json!(slot))]));
        self.begin_at(iteration, input);
        Some(iteration)
    }

    /// What an iteration is told of its item, and what it is given.
    pub(super) fn selected(&mut self, scope: ScopeId, map: &MapState<'m>, item: Item) -> Result<(Value, Value), Fault> {
        let Item { slot, value, key } = item;
        let mut told = Map::from_iter([("Index".to_owned(), json!(slot)), ("Value".to_owned(), value.clone())]);
        told.extend(key.map(|key| ("Key".to_owned(), json!(key))));
        let told = Value::Object(told);
        let Some(selector) = map.item_selector else { return Ok((told, value)) };
        let taken = self.taken(scope)?;
        let language = self.state(scope).map(|state| state.query_language).unwrap_or_default();
        let beside = Beside { item: Some(&told), ..Beside::default() };
        let input =
            self.look(scope, &taken, beside, |sight| template::fill(selector.value(), language, "ItemSelector", sight));
        Ok((told.clone(), input?))
    }

    /// An iteration has ended.
    pub(super) fn iteration_ended(&mut self, parent: Parent, child: ScopeId, result: Result<Value, Failure>) {
        let scope = parent.scope;
        let previous = self.run.scopes.get(&scope).map_or(0, |scope| scope.last_event);
        let Some(iterations) = self.iterations(scope) else { return };
        if iterations.open.get(&parent.slot) != Some(&child) {
            return;
        }
        iterations.open.remove(&parent.slot);
        match result {
            Ok(output) => {
                iterations.results.insert(parent.slot, output);
            }
            Err(failure) if iterations.run.is_none() => {
                self.abort_inside(scope);
                return self.failed(scope, failure);
            }
            Err(_) => {
                iterations.failed += 1;
                if self.is_beyond_tolerance(scope) {
                    return;
                }
            }
        }
        self.more(scope, previous);
    }

    fn all_iterations(&mut self, scope: ScopeId) {
        let Some(iterations) = self.iterations(scope) else { return };
        if iterations.run.is_some() {
            return self.all_children(scope);
        }
        let results = std::mem::take(&mut iterations.results).into_values().collect();
        self.emit_aside(scope, "MapStateSucceeded", Details::new());
        self.finish(scope, &Value::Array(results));
    }
}

/// One item of a Map.
pub(super) struct Item {
    pub(super) slot: usize,
    pub(super) value: Value,
    pub(super) key: Option<String>,
}

fn items(map: &MapState<'_>, language: QueryLanguage, is_distributed: bool, sight: Sight<'_>) -> Result<Items, Fault> {
    let value = match language {
        QueryLanguage::JsonPath => match map.items_path.and_then(Node::as_str) {
            Some(path) => template::path(path, sight)?,
            None => sight.data.clone(),
        },
        QueryLanguage::Jsonata => match map.items {
            Some(items) => template::fill(items.value(), language, "Items", sight)?,
            None => sight.data.clone(),
        },
    };
    match value {
        Value::Array(values) => Ok(Items::from(values)),
        Value::Object(fields) if is_distributed => {
            let (keys, values) = fields.into_iter().unzip();
            Ok(Items { values, keys })
        }
        other => Err(no_items(map, language, &other)),
    }
}

fn no_items(map: &MapState<'_>, language: QueryLanguage, value: &Value) -> Fault {
    match (language, map.items, map.items_path.and_then(Node::as_str)) {
        (QueryLanguage::Jsonata, Some(items), _) => query::unexpected(items.value(), "Items", "array", value),
        (QueryLanguage::Jsonata, None, _) => {
            Fault::Query(format!("Map state input must be an array but was: {value}"), None)
        }
        (QueryLanguage::JsonPath, _, path) => {
            // As recorded, of a path into the context object too.
            let path = path.unwrap_or("$").replacen("$$", "$", 1);
            Fault::Runtime(format!("Reference path \"{path}\" must point to array."))
        }
    }
}
