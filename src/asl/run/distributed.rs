//! A distributed Map: each item, or batch of items, is a child execution with a history of its own.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::data;
use super::engine::{Beside, Details, Engine, details, payload};
use super::event::{Answer, Purpose, TaskId};
use super::failure::{Failure, Fault, ITEM_READER, RESULT_WRITER, THRESHOLD};
use super::map::{Item, Items};
use super::reader;
use super::sight::Sight;
use super::state::{Distributed, Execution, Parent, Scope, ScopeId};
use super::template;
use super::value::size;
use crate::asl::model::{ExecutionType, ItemBatcher, Kind, MapState, Pattern, QueryLanguage, State};
use crate::asl::position::Node;

const TOO_MANY_FAILED: &str = "The specified tolerated failure threshold was exceeded";

impl<'m> Engine<'_, 'm> {
    /// Begins a Map Run.
    pub(super) fn distribute(
        &mut self,
        scope: ScopeId,
        state: &'m State<'m>,
        map: &'m MapState<'m>,
        taken: &Value,
        items: Items,
    ) {
        let language = state.query_language;
        let tolerance = self.look(scope, taken, Beside::default(), |sight| tolerance(map, language, sight));
        let (tolerated_count, tolerated_percentage) = match tolerance {
            Ok(tolerance) => tolerance,
            Err(fault) => return self.fault(scope, fault),
        };
        let id = self.run.random.uuid();
        let label = map.label.and_then(Node::as_str).map_or_else(|| self.run.random.uuid(), str::to_owned);
        let arn = format!("{}/{label}:{id}", self.run.identity.machine.replace(":stateMachine:", ":mapRun:"));
        self.emit(scope, "MapRunStarted", details([("mapRunArn", json!(arn))]));
        let Some(iterations) = self.iterations(scope) else { return };
        iterations.run = Some(Distributed { arn, tolerated_count, tolerated_percentage, label });
        match map.item_reader {
            Some(_) => self.read(scope, map, language, taken),
            None => self.batched(scope, map, items),
        }
    }

    fn read(&mut self, scope: ScopeId, map: &'m MapState<'m>, language: QueryLanguage, taken: &Value) {
        let Some(item_reader) = map.item_reader else { return };
        let asked = self.look(scope, taken, Beside::default(), |sight| {
            let payload = item_reader.payload.map(|node| template::fill(node.value(), language, "ItemReader", sight));
            Ok((payload.transpose()?.unwrap_or_default(), reader::most(item_reader.config, language, sight)?))
        });
        let (payload, most) = match asked {
            Ok(asked) => asked,
            Err(fault) => return self.fault(scope, fault),
        };
        if most.is_some_and(|most| most < 0) {
            return self.run_failed(scope, Failure::new(ITEM_READER, "field MaxItems must be positive"));
        }
        let resource = item_reader.resource.map_or("", |resource| resource.text);
        let task = self.call(scope, Purpose::ItemReader, resource, Pattern::RequestResponse, payload, None);
        if let Some(iterations) = self.iterations(scope) {
            iterations.call = task;
        }
    }

    /// What the reader or the writer of a Map Run came to.
    pub(super) fn run_answered(&mut self, scope: ScopeId, task: TaskId, answer: Answer) {
        let Some(Kind::Map(map)) = self.state(scope).map(|state| &state.kind) else { return };
        let Some(iterations) = self.iterations(scope).filter(|iterations| iterations.call == Some(task)) else {
            return;
        };
        let is_read = iterations.total > 0 || !iterations.results.is_empty() || iterations.next > 0;
        let answer = match answer {
            Answer::Succeeded(value) => Ok(value),
            Answer::Failed { error, cause } => {
                let other = if is_read { RESULT_WRITER } else { ITEM_READER };
                Err(Failure { error: error.or_else(|| Some(other.to_owned())), cause, ..Failure::default() })
            }
            Answer::TimedOut { cause } => Err(Failure::new(super::failure::TIMEOUT, cause.unwrap_or_default())),
            Answer::Started { .. } | Answer::Submitted(_) | Answer::Heartbeat => return,
        };
        iterations.call = None;
        self.run.calls.remove(&task);
        match answer {
            Err(failure) => self.run_failed(scope, failure),
            Ok(_) if is_read => self.written(scope, map),
            Ok(value) => self.items_read(scope, map, value),
        }
    }

    fn items_read(&mut self, scope: ScopeId, map: &'m MapState<'m>, value: Value) {
        let Ok(taken) = self.taken(scope) else { return };
        let Some(language) = self.state(scope).map(|state| state.query_language) else { return };
        let config = map.item_reader.and_then(|reader| reader.config);
        let most = self.look(scope, &taken, Beside::default(), |sight| reader::most(config, language, sight));
        let items = most.map(|most| reader::items(config, most, value));
        match items {
            Err(fault) => self.fault(scope, fault),
            Ok(Err(cause)) => self.run_failed(scope, Failure::new(ITEM_READER, cause)),
            Ok(Ok(items)) => self.batched(scope, map, items),
        }
    }

    /// `ItemBatcher`: several items are given to one child.
    fn batched(&mut self, scope: ScopeId, map: &'m MapState<'m>, items: Items) {
        let Some(batcher) = map.item_batcher else { return self.iterate(scope, items) };
        let Items { values, mut keys } = items;
        let mut selected = Vec::new();
        for (slot, value) in values.into_iter().enumerate() {
            let item = Item { slot, value, key: keys.pop_front() };
            match self.selected(scope, map, item) {
                Ok((_, input)) => {
                    self.run.used.bytes += size(&input) as u64;
                    selected.push(input);
                }
                Err(fault) => return self.fault(scope, fault),
            }
            if self.run.used.bytes > self.run.limits.bytes {
                return self.bound(format!("the items of a Map hold more than {} bytes", self.run.limits.bytes));
            }
        }
        let Ok(taken) = self.taken(scope) else { return };
        let Some(language) = self.state(scope).map(|state| state.query_language) else { return };
        let made = self.look(scope, &taken, Beside::default(), |sight| batches(batcher, language, selected, sight));
        match made {
            Ok(made) => self.iterate(scope, Items::from(made)),
            Err(fault) => self.fault(scope, fault),
        }
    }

    /// Starts a child execution.
    pub(super) fn child(&mut self, scope: ScopeId, item: Item) -> Option<ScopeId> {
        let Some(Kind::Map(map)) = self.state(scope).map(|state| &state.kind) else { return None };
        let slot = item.slot;
        // Items of a batch have been selected before.
        let selected = if map.item_batcher.is_some() {
            Ok(item.value)
        } else {
            self.selected(scope, map, item).map(|(_, input)| input)
        };
        let input = match selected {
            Ok(input) => input,
            Err(fault) => {
                self.abort_inside(scope);
                self.fault(scope, fault);
                return None;
            }
        };
        let text = self.text(&input)?;
        let name = self.run.random.uuid();
        let label = self.iterations(scope)?.run.as_ref()?.label.clone();
        let machine_arn = self.run.identity.machine.replace(":stateMachine:", ":execution:");
        let own = self.run.scopes.get(&scope)?;
        let machine = *self.program.inside(own.machine, own.visit.as_ref()?.state).first()?;
        let is_express = map.processor.as_ref().and_then(|processor| processor.config?.execution_type)
            == Some(ExecutionType::Express);
        let execution = self.run.executions.len();
        let child = Scope {
            machine,
            execution,
            parent: Some(Parent { scope, slot, is_seen: false }),
            variables: BTreeMap::new(),
            variable_bytes: 0,
            item: None,
            iterations: [own.iterations.as_slice(), &[slot]].concat(),
            last_event: 0,
            visit: None,
        };
        let child = self.open(child)?;
        self.run.executions.push(Execution {
            input: input.clone(),
            arn: format!("{machine_arn}/{label}:{name}"),
            name,
            started: self.run.now,
            events: 0,
            scope: child,
            is_express,
        });
        let mut told = details([("roleArn", json!(self.run.identity.role))]);
        payload(&mut told, "input", text);
        self.emit_aside(child, "ExecutionStarted", told);
        self.begin_at(child, input);
        Some(child)
    }

    /// True, and the Map Run has failed, where more children failed than it tolerates.
    pub(super) fn is_beyond_tolerance(&mut self, scope: ScopeId) -> bool {
        let Some(iterations) = self.iterations(scope) else { return true };
        let Some(run) = &iterations.run else { return false };
        #[allow(clippy::cast_precision_loss)] // items are far fewer
        let (failed, total) = (iterations.failed as f64, iterations.total as f64);
        let is_beyond = match (run.tolerated_count, run.tolerated_percentage) {
            (None, None) => failed > 0.0,
            (count, percentage) => {
                count.is_some_and(|count| failed > count)
                    || percentage.is_some_and(|percentage| failed * 100.0 > percentage * total)
            }
        };
        if is_beyond {
            self.abort_inside(scope);
            self.run_failed(scope, Failure::new(THRESHOLD, TOO_MANY_FAILED));
        }
        is_beyond
    }

    fn run_failed(&mut self, scope: ScopeId, failure: Failure) {
        self.emit(scope, "MapRunFailed", super::leaving::error_details(&failure));
        self.failed(scope, failure);
    }

    /// All children have ended.
    pub(super) fn all_children(&mut self, scope: ScopeId) {
        let Some(Kind::Map(map)) = self.state(scope).map(|state| &state.kind) else { return };
        let Some(writer) = map.result_writer.filter(|writer| writer.resource.is_some()) else {
            return self.run_done(scope, map, None);
        };
        let Some(language) = self.state(scope).map(|state| state.query_language) else { return };
        let Ok(taken) = self.taken(scope) else { return };
        let to = self.look(scope, &taken, Beside::default(), |sight| {
            let filled = writer.payload.map(|node| template::fill(node.value(), language, "ResultWriter", sight));
            Ok(filled.transpose()?.unwrap_or_default())
        });
        let to = match to {
            Ok(to) => to,
            Err(fault) => return self.fault(scope, fault),
        };
        let Some(iterations) = self.iterations(scope) else { return };
        let results: Vec<Value> = iterations.results.values().cloned().collect();
        let mut input = to.as_object().cloned().unwrap_or_default();
        input.insert("Body".to_owned(), Value::Array(results));
        let resource = writer.resource.map_or("", |resource| resource.text);
        let task =
            self.call(scope, Purpose::ResultWriter, resource, Pattern::RequestResponse, Value::Object(input), None);
        if let Some(iterations) = self.iterations(scope) {
            iterations.call = task;
            // So that the answer is known for the writer's where there was no item.
            iterations.next = iterations.next.max(1);
        }
    }

    /// What was written is told in place of the results.
    fn written(&mut self, scope: ScopeId, map: &'m MapState<'m>) {
        let Some(language) = self.state(scope).map(|state| state.query_language) else { return };
        let Ok(taken) = self.taken(scope) else { return };
        let payload = map.result_writer.and_then(|writer| writer.payload);
        let to = self.look(scope, &taken, Beside::default(), |sight| {
            let filled = payload.map(|node| template::fill(node.value(), language, "ResultWriter", sight));
            Ok(filled.transpose()?.unwrap_or_default())
        });
        let Ok(to) = to else { return };
        let Some(run) = self.iterations(scope).and_then(|iterations| iterations.run.clone()) else { return };
        let id = run.arn.rsplit(':').next().unwrap_or_default();
        let prefix = to.get("Prefix").and_then(Value::as_str).map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let key = format!("{prefix}{id}/manifest.json");
        let told = json!({"MapRunArn": run.arn, "ResultWriterDetails": {"Bucket": to.get("Bucket"), "Key": key}});
        self.run_done(scope, map, Some(told));
    }

    fn run_done(&mut self, scope: ScopeId, map: &'m MapState<'m>, written: Option<Value>) {
        let Some(iterations) = self.iterations(scope) else { return };
        // The output of a child that failed within the tolerance is not among the results.
        let results: Vec<Value> = std::mem::take(&mut iterations.results).into_values().collect();
        let transformation = map.result_writer.and_then(|writer| writer.config?.get("Transformation")?.as_str());
        let result = match (written, transformation) {
            (Some(written), _) => written,
            (None, Some("FLATTEN")) => results.into_iter().flat_map(flattened).collect(),
            (None, _) => Value::Array(results),
        };
        self.emit(scope, "MapRunSucceeded", Details::new());
        self.emit_aside(scope, "MapStateSucceeded", Details::new());
        self.finish(scope, &result);
    }
}

fn flattened(result: Value) -> Vec<Value> {
    match result {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn tolerance(
    map: &MapState<'_>,
    language: QueryLanguage,
    sight: Sight<'_>,
) -> Result<(Option<f64>, Option<f64>), Fault> {
    let count = data::whole(map.tolerated_failure_count, language, "ToleratedFailureCount", sight)?;
    if count.is_some_and(|count| count < 0) {
        return Err(Fault::runtime("ToleratedFailureCount cannot be negative."));
    }
    let percentage = data::decimal(map.tolerated_failure_percentage, language, "ToleratedFailurePercentage", sight)?;
    if percentage.is_some_and(|percentage| !(0.0..=100.0).contains(&percentage)) {
        return Err(Fault::runtime("ToleratedFailurePercentage must be between 0 and 100."));
    }
    #[allow(clippy::cast_precision_loss)] // a count of items is far smaller
    Ok((count.map(|count| count as f64), percentage))
}

fn batches(
    batcher: ItemBatcher<'_>,
    language: QueryLanguage,
    items: Vec<Value>,
    sight: Sight<'_>,
) -> Result<Vec<Value>, Fault> {
    let limit =
        |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
    let most = limit(data::whole(batcher.max_items, language, "MaxItemsPerBatch", sight)?).unwrap_or(usize::MAX);
    let bytes =
        limit(data::whole(batcher.max_input_bytes, language, "MaxInputBytesPerBatch", sight)?).unwrap_or(262_144);
    let shared = batcher
        .batch_input
        .map(|node| template::fill(node.value(), language, "ItemBatcher/BatchInput", sight))
        .transpose()?;
    let mut made: Vec<(usize, Vec<Value>)> = Vec::new();
    for item in items {
        let own = item.to_string().len() + 1;
        match made.last_mut() {
            Some((used, batch)) if batch.len() < most && *used + own <= bytes => {
                *used += own;
                batch.push(item);
            }
            _ => made.push((own, vec![item])),
        }
    }
    let with_shared = |(_, items): (usize, Vec<Value>)| {
        let mut batch: VecDeque<(String, Value)> = VecDeque::from([("Items".to_owned(), Value::Array(items))]);
        batch.extend(shared.clone().map(|shared| ("BatchInput".to_owned(), shared)));
        Value::Object(batch.into_iter().collect::<Map<_, _>>())
    };
    Ok(made.into_iter().map(with_shared).collect())
}
