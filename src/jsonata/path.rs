//! Paths: steps, what is bound on the way, predicates and groups.

use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::error::Error;
use super::tree::{Kind, Node, Stage};
use super::value::{Array, Evaluator, Frame, Res, Tuple, Val};

/// What a key of a group has so far.
struct Entry<'e> {
    pair: usize,
    item: Val<'e>,
    /// All items, from the second one on.
    items: Vec<Val<'e>>,
    tuples: Vec<Tuple<'e>>,
}

impl<'e> Evaluator<'e> {
    pub(super) fn path(
        &mut self,
        node: &'e Node,
        steps: &'e [Node],
        keeps_array: bool,
        input: &Val<'e>,
        frame: Frame,
    ) -> Res<'e> {
        let begins_with_variable = matches!(steps.first(), Some(Node { kind: Kind::Variable(_), .. }));
        let (input, done) = self.shortcut(steps, frame)?.unwrap_or((input.clone(), 0));
        let mut sequence = match &input {
            Val::Array(_) if done > 0 || !begins_with_variable => input.clone(),
            _ => Val::sequence(vec![input.clone()]),
        };
        let mut tuples: Option<Vec<Tuple<'e>>> = None;
        let mut is_tuple = false;
        for (number, step) in steps.iter().enumerate().skip(done) {
            is_tuple |= step.is_tuple;
            if number == 0 && step.is_cons {
                sequence = self.eval(step, &sequence, frame)?;
            } else if is_tuple {
                tuples = Some(self.tuple_step(step, &sequence, tuples, frame)?);
                continue;
            } else {
                sequence = self.path_step(step, &sequence, frame, number + 1 == steps.len())?;
            }
            if !is_tuple && sequence.items().is_empty() {
                break;
            }
        }
        let mut result = match tuples {
            Some(tuples) if node.is_tuple || node.group.is_some() => Val::Tuples(Rc::new(tuples)),
            Some(tuples) => Val::sequence(tuples.into_iter().map(|tuple| tuple.item).collect()),
            None => sequence,
        };
        if let (true, Val::Array(array)) = (keeps_array, &mut result) {
            if array.is_cons && !array.is_sequence {
                result = Array { is_sequence: true, keeps_one: true, ..Array::new(vec![result.clone()]) }.into();
            } else {
                self.charge(array.items.len())?;
                Rc::make_mut(array).keeps_one = true;
            }
        }
        match &node.group {
            Some(group) => self.group(group, &result, frame, node.at),
            None => Ok(result),
        }
    }

    /// `$states.input.a.b`: only the part of a variable that is meant becomes a value. What comes back is the object that
    /// the next step looks into, with the number of the steps that are done.
    fn shortcut(&mut self, steps: &'e [Node], frame: Frame) -> Result<Option<(Val<'e>, usize)>, Error> {
        let is_plain = |step: &Node| {
            step.stages.is_empty() && step.predicates.is_empty() && step.group.is_none() && !step.is_tuple
        };
        let [first, rest @ ..] = steps else { return Ok(None) };
        let Kind::Variable(name) = &first.kind else { return Ok(None) };
        if !is_plain(first) {
            return Ok(None);
        }
        let Some(mut json) = self.untouched(name, frame) else { return Ok(None) };
        let mut done = 1;
        for (number, step) in rest.iter().enumerate() {
            self.step()?;
            let (Kind::Name(name), true, Value::Object(fields)) = (&step.kind, is_plain(step), json) else { break };
            let inner = fields.get(&**name);
            let goes_on = matches!(inner, Some(Value::Object(_))) && number + 1 < rest.len();
            if goes_on {
                json = inner.unwrap_or(&Value::Null);
                done += 1;
                continue;
            }
            let only: Map<String, Value> = inner.map(|inner| (name.to_string(), inner.clone())).into_iter().collect();
            return Ok(Some((self.read_json(&Value::Object(only))?, done)));
        }
        Ok(None)
    }

    fn path_step(&mut self, step: &'e Node, input: &Val<'e>, frame: Frame, is_last: bool) -> Res<'e> {
        if let Kind::Sort(terms) = &step.kind {
            let mut sorted = self.sorted(terms, input, frame, step.at)?;
            for stage in &step.stages {
                if let Stage::Filter(predicate) = stage {
                    sorted = self.filter(predicate, &sorted, frame)?;
                }
            }
            return Ok(sorted);
        }
        let items = input.as_array().map_or(&[] as &[Val<'e>], |array| &array.items);
        let mut results = Vec::new();
        for item in items {
            let mut result = self.eval(step, item, frame)?;
            for stage in &step.stages {
                if let Stage::Filter(predicate) = stage {
                    result = self.filter(predicate, &result, frame)?;
                }
            }
            if !result.is_undefined() {
                results.push(result);
            }
        }
        if let (true, [Val::Array(only)]) = (is_last, results.as_slice())
            && !only.is_sequence
        {
            return Ok(results.remove(0));
        }
        let mut flat = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Val::Array(array) if !array.is_cons => {
                    self.grow_items(flat.len() + array.items.len())?;
                    flat.extend_from_slice(&array.items);
                }
                Val::Tuples(tuples) => {
                    self.grow_items(flat.len() + tuples.len())?;
                    flat.extend(tuples.iter().map(|tuple| tuple.item.clone()));
                }
                other => flat.push(other),
            }
        }
        Ok(Val::sequence(flat))
    }

    /// A frame in which what is bound to an item has its name.
    fn frame_of(&mut self, tuple: &Tuple<'e>, frame: Frame) -> Result<Frame, Error> {
        self.frame(frame, tuple.bound.clone())
    }

    fn tuple_step(
        &mut self,
        step: &'e Node,
        input: &Val<'e>,
        tuples: Option<Vec<Tuple<'e>>>,
        frame: Frame,
    ) -> Result<Vec<Tuple<'e>>, Error> {
        if let Kind::Sort(terms) = &step.kind {
            let sorted = if let Some(tuples) = tuples {
                self.sorted_tuples(terms, tuples, frame, step.at)?
            } else {
                let sorted = self.sorted(terms, input, frame, step.at)?;
                let index = step.index.as_deref();
                let tuple = |(number, item): (usize, &Val<'e>)| {
                    let bound = index.map(|name| (name, count(number))).into_iter().collect();
                    Tuple { item: item.clone(), bound }
                };
                sorted.items().iter().enumerate().map(tuple).collect()
            };
            return self.stages(&step.stages, sorted, frame);
        }
        let tuples = tuples.unwrap_or_else(|| {
            input.items().iter().map(|item| Tuple { item: item.clone(), bound: Vec::new() }).collect()
        });
        let mut results = Vec::new();
        for tuple in &tuples {
            let inner = self.frame_of(tuple, frame)?;
            match self.eval(step, &tuple.item, inner)? {
                Val::Undefined => {}
                Val::Tuples(found) => {
                    for other in found.iter() {
                        self.charge(1 + tuple.bound.len() + other.bound.len())?;
                        let mut merged = tuple.clone();
                        merged.item = other.item.clone();
                        other.bound.iter().for_each(|(name, value)| merged.set(name, value.clone()));
                        results.push(merged);
                    }
                }
                found => {
                    for (number, item) in found.items().iter().enumerate() {
                        self.charge(1 + tuple.bound.len())?;
                        results.push(self.tuple(step, tuple, item, number));
                    }
                }
            }
        }
        self.stages(&step.stages, results, frame)
    }

    /// What becomes of a tuple when its step gives this item.
    fn tuple(&self, step: &'e Node, tuple: &Tuple<'e>, item: &Val<'e>, number: usize) -> Tuple<'e> {
        let mut result = tuple.clone();
        match &step.focus {
            Some(focus) => result.set(focus, item.clone()),
            None => result.item = item.clone(),
        }
        if let Some(index) = &step.index {
            result.set(index, count(number));
        }
        if let Some(slot) = step.ancestor {
            let labels = self.labels;
            result.set(&labels[slot], tuple.item.clone());
        }
        result
    }

    fn stages(
        &mut self,
        stages: &'e [Stage],
        mut tuples: Vec<Tuple<'e>>,
        frame: Frame,
    ) -> Result<Vec<Tuple<'e>>, Error> {
        for stage in stages {
            match stage {
                Stage::Index(name) => {
                    self.charge(tuples.len())?;
                    tuples.iter_mut().enumerate().for_each(|(number, tuple)| tuple.set(name, count(number)));
                }
                Stage::Filter(predicate) => {
                    tuples = self.filter_tuples(predicate, &tuples, frame)?;
                }
            }
        }
        Ok(tuples)
    }

    fn filter_tuples(
        &mut self,
        predicate: &'e Node,
        tuples: &[Tuple<'e>],
        frame: Frame,
    ) -> Result<Vec<Tuple<'e>>, Error> {
        let total = tuples.len();
        if let Kind::Number(number) = predicate.kind {
            return Ok(place(number, total).and_then(|place| tuples.get(place)).cloned().into_iter().collect());
        }
        let mut kept = Vec::new();
        for (number, tuple) in tuples.iter().enumerate() {
            let inner = self.frame_of(tuple, frame)?;
            let times = self.times(predicate, &tuple.item, inner, number, total)?;
            kept.extend(std::iter::repeat_n(tuple, times).cloned());
        }
        Ok(kept)
    }

    /// What a predicate keeps: the item with its number, or those for which it holds.
    pub(super) fn filter(&mut self, predicate: &'e Node, input: &Val<'e>, frame: Frame) -> Res<'e> {
        if let Val::Tuples(tuples) = input {
            return Ok(Val::Tuples(Rc::new(self.filter_tuples(predicate, tuples, frame)?)));
        }
        // An undefined value is one item here too, which no predicate keeps but one that holds for nothing at all.
        let alone = [Val::Undefined];
        let items = if input.is_undefined() { &alone } else { input.items() };
        if let Kind::Number(number) = predicate.kind {
            return Ok(match place(number, items.len()).and_then(|place| items.get(place)) {
                None | Some(Val::Undefined) => Val::sequence(Vec::new()),
                Some(Val::Array(inner)) => Val::Array(inner.clone()),
                Some(item) => Val::sequence(vec![item.clone()]),
            });
        }
        let mut kept = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let times = self.times(predicate, item, frame, number, items.len())?;
            kept.extend(std::iter::repeat_n(item, times).cloned());
        }
        Ok(Val::sequence(kept))
    }

    /// How often a predicate keeps an item.
    fn times(
        &mut self,
        predicate: &'e Node,
        item: &Val<'e>,
        frame: Frame,
        number: usize,
        total: usize,
    ) -> Result<usize, Error> {
        let holds = self.eval(predicate, item, frame)?;
        let is_numeric = |value: &Val<'e>| matches!(value, Val::Num(number) if !number.is_nan());
        let numbers = match &holds {
            Val::Num(_) if is_numeric(&holds) => std::slice::from_ref(&holds),
            Val::Array(array) if array.items.iter().all(is_numeric) => &array.items,
            _ => return Ok(usize::from(self.is_true(&holds)?)),
        };
        self.charge(numbers.len())?;
        let mut times = 0;
        for value in numbers {
            if let Val::Num(index) = value {
                times += usize::from(place(Self::finite(*index)?, total) == Some(number));
            }
        }
        Ok(times)
    }

    /// `{key: value}`: items by their keys, then a value for those of each key.
    pub(super) fn group(&mut self, pairs: &'e [(Node, Node)], input: &Val<'e>, frame: Frame, at: usize) -> Res<'e> {
        let mut groups: IndexMap<Arc<str>, Entry<'e>> = IndexMap::new();
        if let Val::Tuples(tuples) = input {
            for tuple in tuples.iter() {
                let inner = self.frame_of(tuple, frame)?;
                for (number, (key, _)) in pairs.iter().enumerate() {
                    if let Some(key) = self.key(key, &tuple.item, inner, at)? {
                        self.entry(&mut groups, key, number, &Val::Undefined, at)?.tuples.push(tuple.clone());
                    }
                }
            }
        } else {
            let alone = [Val::Undefined];
            let items = if input.items().is_empty() { &alone } else { input.items() };
            for item in items {
                for (number, (key, _)) in pairs.iter().enumerate() {
                    if let Some(key) = self.key(key, item, frame, at)? {
                        self.entry(&mut groups, key, number, item, at)?;
                    }
                }
            }
        }
        // An object takes more room than an item.
        self.charge(8 + 4 * groups.len())?;
        let mut result = IndexMap::with_capacity(groups.len());
        for (key, entry) in groups {
            let pair = entry.pair;
            let (item, inner) = self.gathered(entry, frame)?;
            let value = self.eval(&pairs[pair].1, &item, inner)?;
            if !value.is_undefined() {
                result.insert(key, value);
            }
        }
        Ok(Val::object(result))
    }

    fn key(&mut self, key: &'e Node, item: &Val<'e>, frame: Frame, at: usize) -> Result<Option<Arc<str>>, Error> {
        match self.eval(key, item, frame)? {
            Val::Undefined => Ok(None),
            Val::Str(key) => Ok(Some(key)),
            other => {
                let shown = self.shown(&other)?;
                let message = format!("Key in object structure must evaluate to a string; got: {shown}");
                Err(Error::new("T1003", message).at(at))
            }
        }
    }

    /// The entry of a key, with this item in it.
    fn entry<'g>(
        &mut self,
        groups: &'g mut IndexMap<Arc<str>, Entry<'e>>,
        key: Arc<str>,
        pair: usize,
        item: &Val<'e>,
        at: usize,
    ) -> Result<&'g mut Entry<'e>, Error> {
        self.step()?;
        let entry = match groups.entry(key) {
            indexmap::map::Entry::Vacant(place) => {
                let entry = Entry { pair, item: item.clone(), items: Vec::new(), tuples: Vec::new() };
                return Ok(place.insert(entry));
            }
            indexmap::map::Entry::Occupied(place) if place.get().pair != pair => {
                let message = format!("Multiple key definitions evaluate to same key: {:?}", place.key());
                return Err(Error::new("D1009", message).at(at));
            }
            indexmap::map::Entry::Occupied(place) => place.into_mut(),
        };
        if !item.is_undefined() {
            if entry.items.is_empty() {
                self.charge(entry.item.items().len())?;
                entry.items.extend_from_slice(entry.item.items());
            }
            self.grow_items(item.items().len())?;
            entry.items.extend_from_slice(item.items());
        }
        Ok(entry)
    }

    /// The context item for the value of a key, and the frame with what was bound.
    fn gathered(&mut self, entry: Entry<'e>, frame: Frame) -> Result<(Val<'e>, Frame), Error> {
        let mut tuples = entry.tuples.into_iter();
        let Some(first) = tuples.next() else {
            let item = if entry.items.is_empty() { entry.item } else { Val::array(entry.items) };
            return Ok((item, frame));
        };
        if tuples.len() == 0 {
            let inner = self.frame_of(&first, frame)?;
            return Ok((first.item, inner));
        }
        let mut items = first.item.items().to_vec();
        let mut bound: Vec<(&'e str, Vec<Val<'e>>)> =
            first.bound.iter().map(|(name, value)| (*name, value.items().to_vec())).collect();
        for tuple in tuples {
            self.grow_items(tuple.item.items().len())?;
            items.extend_from_slice(tuple.item.items());
            for (name, value) in tuple.bound {
                self.grow_items(value.items().len())?;
                match bound.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, values)) => values.extend_from_slice(value.items()),
                    None => bound.push((name, value.items().to_vec())),
                }
            }
        }
        let bound = bound.into_iter().map(|(name, values)| (name, Val::array(values))).collect();
        Ok((Val::array(items), self.frame(frame, bound)?))
    }
}

impl<'e> Tuple<'e> {
    fn set(&mut self, name: &'e str, value: Val<'e>) {
        match self.bound.iter_mut().find(|(other, _)| *other == name) {
            Some(place) => place.1 = value,
            None => self.bound.push((name, value)),
        }
    }
}

fn count<'e>(number: usize) -> Val<'e> {
    #[allow(clippy::cast_precision_loss)] // Arrays are shorter than 2^53.
    Val::Num(number as f64)
}

/// The place that a number means among so many: rounded down, and from the end where it is negative.
fn place(number: f64, total: usize) -> Option<usize> {
    #[allow(clippy::cast_precision_loss)]
    let index = number.floor() + if number.floor() < 0.0 { total as f64 } else { 0.0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Not negative, and a cast saturates.
    (index >= 0.0).then_some(index as usize)
}
