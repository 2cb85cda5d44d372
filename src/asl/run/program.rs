//! A definition made ready to be run: its machines in one list, each with where it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::asl::grammar::jsonata::{Text, classify};
use crate::asl::model::{Machine, State};
use crate::jsonata::{Error, Expression};

/// Expressions by their text, read once.
pub(super) type Expressions = HashMap<String, Result<Expression, Error>>;

/// A definition that is run, as often as one likes.
#[derive(Clone, Debug)]
pub struct Program<'m> {
    pub(super) machines: Vec<Inner<'m>>,
    pub(super) is_express: bool,
    pub(super) expressions: Arc<Expressions>,
    answered: BTreeSet<String>,
}

/// A machine of the definition: the whole, a branch, a processor.
#[derive(Clone, Debug)]
pub(super) struct Inner<'m> {
    pub(super) machine: &'m Machine<'m>,
    /// Place of each state by its name.
    names: HashMap<&'m str, usize>,
    /// The machines inside a state, by the state's place.
    inside: HashMap<usize, Vec<usize>>,
    /// JSON pointer of the machine; empty for the whole.
    pointer: String,
}

impl<'m> Program<'m> {
    /// Reads a definition. Nothing of it is checked; a run ends where it leads nowhere.
    pub fn of(machine: &'m Machine<'m>) -> Self {
        let mut expressions = HashMap::new();
        read(machine.node.value(), &mut expressions);
        let expressions = Arc::new(expressions);
        let mut program = Self { machines: Vec::new(), is_express: false, expressions, answered: BTreeSet::new() };
        program.add(machine, machine);
        program
    }

    /// As an Express workflow.
    #[must_use]
    pub fn express(mut self) -> Self {
        self.is_express = true;
        self
    }

    /// The Maps and Parallels at these JSON pointers are not run: the driver gives their result, as it does for a Task.
    #[must_use]
    pub fn answered(mut self, pointers: impl IntoIterator<Item = String>) -> Self {
        self.answered.extend(pointers);
        self
    }

    /// A machine's states may nest 64 deep, so this does too.
    fn add(&mut self, root: &Machine<'m>, machine: &'m Machine<'m>) -> usize {
        let at = self.machines.len();
        let names = machine.states.iter().enumerate().map(|(at, state)| (state.name, at)).collect();
        let pointer = root.node.path_to(machine.node);
        let pointer = if pointer == "/" { String::new() } else { pointer };
        self.machines.push(Inner { machine, names, inside: HashMap::new(), pointer });
        for (place, state) in machine.states.iter().enumerate() {
            let inside: Vec<usize> = state.machines().iter().map(|inner| self.add(root, inner)).collect();
            if !inside.is_empty() {
                self.machines[at].inside.insert(place, inside);
            }
        }
        at
    }

    pub(super) fn find(&self, machine: usize, name: &str) -> Option<usize> {
        self.machines[machine].names.get(name).copied()
    }

    pub(super) fn state(&self, machine: usize, state: usize) -> &'m State<'m> {
        &self.machines[machine].machine.states[state]
    }

    pub(super) fn inside(&self, machine: usize, state: usize) -> &[usize] {
        self.machines[machine].inside.get(&state).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn pointer(&self, machine: usize, state: usize) -> String {
        let name = self.state(machine, state).name.replace('~', "~0").replace('/', "~1");
        format!("{}/States/{name}", self.machines[machine].pointer)
    }

    pub(super) fn is_answered(&self, machine: usize, state: usize) -> bool {
        !self.answered.is_empty() && self.answered.contains(&self.pointer(machine, state))
    }
}

/// What is read of a text bounds how deep it nests.
fn read(value: &Value, expressions: &mut Expressions) {
    match value {
        Value::String(text) => {
            if let Text::Expression(expression, _) = classify(text) {
                let expression = expression.trim();
                expressions.entry(expression.to_owned()).or_insert_with(|| Expression::parse(expression));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| read(item, expressions)),
        Value::Object(fields) => fields.values().for_each(|field| read(field, expressions)),
        _ => {}
    }
}
