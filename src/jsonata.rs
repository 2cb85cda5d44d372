//! JSONata as Step Functions evaluates it: version 2.0.6 without `$eval`, with the functions that AWS adds.
//!
//! No clock, no chance of its own, no input or output: the time and the seed come with the call. Whatever the expression
//! and its input, an evaluation ends, in bounded time and memory and without overflowing the stack: see [`Limits`].
//! docs/adr/0019-jsonata.md says why it is ours and how true it is.

mod apply;
mod check;
mod error;
mod eval;
mod functions;
mod json;
mod limits;
mod lower;
mod number;
mod order;
mod path;
mod pattern;
mod picture;
mod random;
mod regexes;
mod signature;
mod text;
mod tree;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::asl::grammar::jsonata;

pub use error::Error;
pub use limits::{Env, Limits};

/// An expression that is ready to be evaluated, any number of times.
#[derive(Debug)]
pub struct Expression {
    root: tree::Node,
    labels: Vec<Box<str>>,
}

impl Expression {
    /// Reads an expression, without the marks around it.
    ///
    /// # Errors
    /// Where it stops to be one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = jsonata::parse(text).map_err(|error| Error::syntax(error.at, error.message))?;
        let lowered = if parsed.height() > LOW {
            on_a_stack(STACK_OF_A_PART * (parsed.height() + 16), || lower::lower(&parsed))
        } else {
            lower::lower(&parsed)
        };
        lowered.map(|(root, labels)| Self { root, labels })
    }

    /// The value of the expression; nothing where it is undefined. Variables are named without their sign.
    ///
    /// # Errors
    /// What the reference implementation refuses, with its code and words, and whatever would take more than its share.
    pub fn evaluate(
        &self,
        input: &Value,
        variables: &BTreeMap<String, Value>,
        env: &mut Env,
    ) -> Result<Option<Value>, Error> {
        self.evaluate_on(Some(input), variables, env)
    }

    /// The same where there may be no input at all: `$` and `$$` are undefined then.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_on(
        &self,
        input: Option<&Value>,
        variables: &BTreeMap<String, Value>,
        env: &mut Env,
    ) -> Result<Option<Value>, Error> {
        self.evaluate_counted(input, variables, env, &mut 0)
    }

    /// The same, with the steps added that it took: for who evaluates much and wants all of it bounded.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_counted(
        &self,
        input: Option<&Value>,
        variables: &BTreeMap<String, Value>,
        env: &mut Env,
        taken: &mut u64,
    ) -> Result<Option<Value>, Error> {
        let mut trial = *env;
        let shallow = eval::run(&self.root, &self.labels, input, variables, &mut trial, SHALLOW, taken);
        let result = match shallow {
            Err(error) if error.is_depth() && env.limits.depth > SHALLOW => {
                trial = *env;
                self.evaluate_deep(input, variables, &mut trial, taken)
            }
            other => other,
        };
        env.seed = trial.seed;
        result
    }

    /// Deep recursion is rare, and a caller's stack may be small.
    fn evaluate_deep(
        &self,
        input: Option<&Value>,
        variables: &BTreeMap<String, Value>,
        env: &mut Env,
        taken: &mut u64,
    ) -> Result<Option<Value>, Error> {
        let depth = env.limits.depth.min(DEEPEST);
        on_a_stack(STACK_OF_A_LEVEL * (depth + 64), || {
            eval::run(&self.root, &self.labels, input, variables, env, depth, taken)
        })
    }
}

/// Does its work on a thread with a stack of so many bytes.
fn on_a_stack<T: Send>(stack: usize, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("jsonata".into()).stack_size(stack);
        match thread.spawn_scoped(scope, work).map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::limit("the evaluation broke off")),
            Err(error) => Err(Error::limit(&format!("no thread could be started for a deep recursion: {error}"))),
        }
    })
}

/// A tree of this height is made on any stack.
const LOW: usize = 16;
/// Bytes of stack that a part takes at most while the tree is made, in a build without optimisation.
const STACK_OF_A_PART: usize = 64 << 10;
/// So deep an evaluation fits on any stack.
const SHALLOW: usize = 30;
/// Whatever the limits say.
const DEEPEST: usize = 4_000;
/// Bytes of stack that a level takes at most, in a build without optimisation.
const STACK_OF_A_LEVEL: usize = 24 << 10;

#[cfg(test)]
mod tests;
