//! What an input has to be, as JSON Schema 2020-12 says it: a schema that is checked and compiled once, and inputs that are held
//! against it.
//!
//! Anybody who may write a Workflow writes the schema, and anybody who may create runs writes the input, so both are taken for
//! hostile. The crate `jsonschema` decides what fits; before it is asked, a schema is refused whose shape could cost too much
//! (`graph`), and an input with which a schema would cost too much (`work`). Nothing here is bounded by time.

mod found;
mod graph;
mod patterns;
mod words;
mod work;

use jsonschema::{Draft, PatternOptions, Validator, draft202012};
use serde_json::Value;

use crate::nesting;
pub use found::{Fault, Miss, Misses};
use graph::Graph;

/// Largest schema, in bytes of JSON without white space.
pub const MAX_BYTES: usize = 32 * 1024;
/// Levels of objects and lists of a schema.
pub const MAX_DEPTH: usize = 64;
/// Subschemas applied to places of an input, and what each costs: the most that a check takes.
pub const MAX_WORK: u64 = 1_000_000;
/// Up to so much work all misses are listed. Each takes memory, so beyond it the first alone is told.
const MAX_LISTED_WORK: u64 = 50_000;
/// Misses that are told.
const MAX_MISSES: usize = 8;
/// The one dialect that is read.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema that was checked and compiled.
#[derive(Debug)]
pub struct InputSchema {
    validator: Validator,
    graph: Graph,
}

impl InputSchema {
    /// Checks and compiles a schema, given as JSON.
    ///
    /// # Errors
    /// The first fault.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_BYTES {
            return Err(Fault::at("", format!("has {} bytes as JSON; at most {MAX_BYTES} are taken", text.len())));
        }
        if nesting::depth(text) > MAX_DEPTH {
            return Err(Fault::at(
                "",
                format!("is nested more than {MAX_DEPTH} levels deep; give its parts names in $defs"),
            ));
        }
        let read = serde_json::from_str(text);
        let mut schema: Value = read.map_err(|error| Fault::at("", format!("is no JSON: {error}")))?;
        let Some(fields) = schema.as_object_mut() else {
            return Err(Fault::at("", "is no object; {} takes every input"));
        };
        // Names of the whole have no use, since all references are within: without them no document is at hand but this one.
        fields.remove("$id");
        if fields
            .get("$schema")
            .is_some_and(|dialect| dialect.as_str().map(|uri| uri.trim_end_matches('#')) != Some(DIALECT))
        {
            return Err(Fault::at(
                "/$schema",
                format!("names another dialect; only JSON Schema 2020-12 is read: {DIALECT}"),
            ));
        }
        draft202012::meta::validate(&schema).map_err(|error| words::fault(&error))?;
        let graph = Graph::of(&schema)?;
        let engine = PatternOptions::regex().size_limit(patterns::MAX_COMPILED).dfa_size_limit(patterns::MAX_CACHE);
        let options = draft202012::options().with_draft(Draft::Draft202012).offline().with_pattern_options(engine);
        let validator = options.build(&schema).map_err(|error| words::fault(&error))?;
        Ok(Self { validator, graph })
    }

    /// How many bytes it may take in memory, about: regular expressions keep what they have found out.
    pub fn weight(&self) -> u32 {
        self.graph.weight()
    }

    /// Holds an input against it.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, input: &Value) -> Result<(), Misses> {
        let Some(work) = work::measure(&self.graph, input, MAX_WORK) else {
            let expected = format!(
                "cannot be checked: with this schema it takes more than {MAX_WORK} steps, or is nested too deep. Let a smaller input, or a schema with fewer alternatives and simpler patterns, tell the same"
            );
            let miss = Miss { pointer: String::new(), expected, keyword: String::new() };
            return Err(Misses { first: vec![miss], more: Some(0) });
        };
        if self.validator.is_valid(input) {
            return Ok(());
        }
        Err(self.misses(input, work))
    }

    fn misses(&self, input: &Value, work: u64) -> Misses {
        if work <= MAX_LISTED_WORK {
            let mut errors = self.validator.iter_errors(input);
            let first = errors.by_ref().take(MAX_MISSES).map(|error| words::miss(&error)).collect();
            return Misses { first, more: Some(errors.count()) };
        }
        // Alternatives that fail are all listed within the one error.
        let first = (!self.graph.has_alternatives()).then(|| self.validator.validate(input).err()).flatten();
        let expected = "does not fit, and is too large to tell where; check a part of it".to_owned();
        let untold = || Miss { pointer: String::new(), expected, keyword: String::new() };
        Misses { first: vec![first.map_or_else(untold, |error| words::miss(&error))], more: None }
    }
}

/// The values of `examples` of a schema that do not fit it, each with its pointer into the schema.
pub fn unfit_examples(schema: &InputSchema, text: &Value) -> Vec<(String, Misses)> {
    let examples = text.get("examples").and_then(Value::as_array);
    let checked = examples.into_iter().flatten().enumerate();
    checked.filter_map(|(index, example)| Some((format!("/examples/{index}"), schema.check(example).err()?))).collect()
}

#[cfg(test)]
mod tests;
