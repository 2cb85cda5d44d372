//! Expressions of JSONata: their grammar, and what they read.
//!
//! Sources: states-language.net/spec.html, "Reserved \"states\" Variable with JSONata" and "JSONata Restrictions"; AWS's
//! own answers `INVALID_JSONATA_EXPRESSION` and `UNSUPPORTED_JSONATA_EXPRESSION`.

use super::super::grammar::jsonata::{self, Text, Uses};
use super::super::position::Node;
use super::report::{Lint, inside};

/// Which fields `$states` has at a place, beside `input` and `context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum States {
    /// None.
    InputOnly,
    /// `result`: in Output and Assign of a Task, Parallel or Map.
    Result,
    /// `errorOutput`: in Output and Assign of a catcher.
    Error,
}

/// A text of a state in JSONata: true when it is an expression, or was meant as one.
pub(super) fn check<'a>(lint: &mut Lint<'a>, node: Node<'a>, text: &'a str, states: States) -> bool {
    let (expression, start) = match jsonata::classify(text) {
        Text::Literal => return false,
        Text::HalfOpen => {
            let message =
                "an expression begins with {% and ends with %}, with nothing outside; here is one without the other";
            lint.report("SB037", node, message);
            return true;
        }
        Text::Expression(expression, start) => (expression, start),
    };
    match jsonata::parse(expression) {
        // What a template puts in may be any part of the expression.
        Err(_) if lint.is_placeholder(text) => {}
        Err(error) => {
            let span = inside(node, start + error.at);
            lint.report_at("SB036", node, span, format!("this is not JSONata: {}", error.message));
        }
        Ok(expression) => {
            let uses = Uses::of(&expression);
            reads(lint, node, start, &uses, states);
            lint.expressions.insert(node.id(), uses);
        }
    }
    true
}

fn reads<'a>(lint: &mut Lint<'a>, node: Node<'a>, start: usize, uses: &Uses<'a>, states: States) {
    for (at, name) in &uses.context {
        let message = match name.as_ref() {
            "$$" => "$$ would be the whole input, which expressions do not have here; write $states.input".to_owned(),
            "$" => {
                "$ would be the context item, which there is none of at the top level; write $states.input".to_owned()
            }
            name => format!(
                "\"{name}\" at the top level would be a field of the context item, which there is none of; write $states.input.{name}, or ${name} for a variable"
            ),
        };
        lint.report_at("SB076", node, inside(node, start + at), message);
    }
    for at in &uses.roots {
        let message = "$$ would be the whole input, which expressions do not have here; write $states.input";
        lint.report_at("SB078", node, inside(node, start + at), message);
    }
    for (at, name) in uses.calls.iter().filter(|(_, name)| !jsonata::is_function(name)) {
        let message = format!("there is no function ${name}; the call fails with States.QueryEvaluationError");
        lint.report_at("SB079", node, inside(node, start + at), message);
    }
    for (at, field) in &uses.states {
        let place = match (field.as_ref(), states) {
            ("input" | "context", _) | ("result", States::Result) | ("errorOutput", States::Error) => continue,
            ("result", _) => "it is in Output and Assign of a Task, Parallel or Map, and not in its catchers",
            ("errorOutput", _) => "it is in Output and Assign of a catcher alone",
            _ => "$states has input and context, and where there is one a result or an errorOutput",
        };
        let message = format!("$states.{field} does not exist here: {place}");
        lint.report_at("SB077", node, inside(node, start + at), message);
    }
}
