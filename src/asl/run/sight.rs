//! What paths and expressions of a state can see: its data, the context object, the variables.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;

use serde_json::Value;

use super::program::Expressions;
use super::random::Random;
use super::state::{ScopeId, State};
use super::value::size;

/// What a state can see.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    /// `$` of a path.
    pub(super) data: &'a Value,
    pub(super) scope: ScopeId,
    pub(super) state: &'a State,
    pub(super) shared: &'a Shared<'a>,
}

/// What is worked out once for all looks at a state.
pub(super) struct Shared<'a> {
    /// Name of the state.
    pub(super) name: &'a str,
    /// Its context tells how often it was tried again.
    pub(super) has_retries: bool,
    /// `$$.Map.Item` in place of the scope's.
    pub(super) item: Option<Value>,
    pub(super) random: RefCell<Random>,
    /// `$states.result` and `$states.errorOutput`.
    pub(super) result: Option<&'a Value>,
    pub(super) error: Option<&'a Value>,
    context: OnceCell<Value>,
    variables: OnceCell<BTreeMap<String, Value>>,
    pub(super) expressions: &'a Expressions,
    spent: Cell<usize>,
    /// What all of it took, see [`Limits::work`](super::event::Limits::work).
    work: Cell<u64>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(name: &'a str, has_retries: bool, random: Random, expressions: &'a Expressions) -> Self {
        Self {
            name,
            has_retries,
            item: None,
            random: RefCell::new(random),
            result: None,
            error: None,
            context: OnceCell::new(),
            variables: OnceCell::new(),
            expressions,
            spent: Cell::new(0),
            work: Cell::new(0),
        }
    }

    /// What is left of it: where random numbers go on, and how much work was done.
    pub(super) fn end(self) -> (Random, u64) {
        (self.random.into_inner(), self.work.get())
    }
}

impl<'a> Sight<'a> {
    /// The same, with other data.
    pub(super) fn with(self, data: &'a Value) -> Self {
        Self { data, ..self }
    }

    pub(super) fn context(self) -> &'a Value {
        self.shared.context.get_or_init(|| {
            let mut context = self.state.context(self.scope, self.shared.name, self.shared.has_retries);
            if let (Some(item), Some(fields)) = (&self.shared.item, context.as_object_mut()) {
                fields.insert("Map".to_owned(), serde_json::json!({"Item": item}));
            }
            context
        })
    }

    /// What an expression sees by name: the variables, and `$states`.
    pub(super) fn variables(self) -> &'a BTreeMap<String, Value> {
        self.shared.variables.get_or_init(|| {
            let mut states = serde_json::Map::new();
            states.insert("input".to_owned(), self.data.clone());
            states.insert("context".to_owned(), self.context().clone());
            states.extend(self.shared.result.map(|result| ("result".to_owned(), result.clone())));
            states.extend(self.shared.error.map(|error| ("errorOutput".to_owned(), error.clone())));
            let mut variables = self.state.variables(self.scope);
            variables.insert("states".to_owned(), Value::Object(states));
            variables
        })
    }

    pub(super) fn variable(self, name: &str) -> Option<&'a Value> {
        self.state.variable(self.scope, name)
    }
}

/// Bytes of values that may be put together while one field of a state is worked out; AWS refuses far less of a result.
const MAX_BYTES: usize = 16 << 20;

impl Sight<'_> {
    /// Counts a value that was put together.
    ///
    /// # Errors
    /// Once that is more than any result can have.
    pub(super) fn spend(self, value: &Value) -> Result<(), String> {
        self.spend_bytes(size(value))
    }

    /// Counts work that is done.
    pub(super) fn work(self, units: u64) {
        self.shared.work.set(self.shared.work.get().saturating_add(units));
    }

    pub(super) fn spend_bytes(self, bytes: usize) -> Result<(), String> {
        self.work(bytes as u64);
        let spent = self.shared.spent.get().saturating_add(bytes);
        self.shared.spent.set(spent);
        if spent > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes are put together for one field"));
        }
        Ok(())
    }
}
