//! The states of a definition as the derivation sees them.

use serde_json::{Map, Value};

use crate::asl::model::{Kind, Machine, Mode, QueryLanguage, Resource};

/// A state that calls something, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// JSON pointer to it.
    pub(super) path: String,
    /// Its fields.
    pub(super) state: &'a Map<String, Value>,
    /// True when its payload is written in JSONata.
    pub(super) jsonata: bool,
    /// What it is.
    pub(super) calls: Calls<'a>,
}

/// What a state calls.
#[derive(Clone, Debug)]
pub(super) enum Calls<'a> {
    /// A Task: this resource.
    Resource(Resource<'a>),
    /// A Map whose items run as executions of their own.
    Items,
}

/// All states that call something, each before those inside it, in the order of the text.
pub(super) fn calling<'a>(machine: &Machine<'a>) -> Vec<Found<'a>> {
    let visits = machine.walk();
    let found = visits.iter().filter_map(|visit| {
        let state = visit.state;
        let calls = match &state.kind {
            Kind::Task(task) => Calls::Resource(task.resource.unwrap_or(Resource::parse(""))),
            Kind::Map(map) if map.mode() == Mode::Distributed => Calls::Items,
            _ => return None,
        };
        Some(Found {
            name: state.name,
            path: machine.node.path_to(state.node),
            state: state.node.value().as_object()?,
            jsonata: state.query_language == QueryLanguage::Jsonata,
            calls,
        })
    });
    found.collect()
}
