//! What goes in and out: payload templates with their `.$` keys in JSONPath, expressions in JSONata, and what becomes of a
//! result.

use std::collections::HashSet;

use super::super::grammar::{intrinsic, jsonpath};
use super::super::model::{Data, Kind, QueryLanguage, State};
use super::super::position::Node;
use super::expressions::{self, States};
use super::report::{Lint, inside};
use super::values;

/// The payloads of a state.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let data = &state.data;
    let of_result = match &state.kind {
        Kind::Task(_) | Kind::Parallel(_) | Kind::Map(_) => States::Result,
        Kind::Pass(_) | Kind::Choice(_) | Kind::Wait(_) | Kind::Succeed | Kind::Fail(_) | Kind::Unknown => {
            States::InputOnly
        }
    };
    let mut payloads = vec![(data.assign, of_result)];
    match state.query_language {
        QueryLanguage::JsonPath => {
            payloads.extend([data.parameters, data.result_selector].map(|payload| (payload, States::InputOnly)));
        }
        QueryLanguage::Jsonata => payloads.extend([(data.arguments, States::InputOnly), (data.output, of_result)]),
    }
    payloads.extend(of_kind(state).into_iter().map(|payload| (payload, States::InputOnly)));
    for catcher in state.error_handling().1 {
        // In JSONPath there is no Output, which is told with the fields.
        let output = catcher.data.output.filter(|_| state.query_language == QueryLanguage::Jsonata);
        payloads.extend([catcher.data.assign, output].map(|payload| (payload, States::Error)));
    }
    for (payload, states) in payloads {
        if let Some(payload) = payload {
            value(lint, payload, state.query_language, states);
        }
    }
    if state.query_language == QueryLanguage::JsonPath {
        results(lint, state, data);
        match &state.kind {
            Kind::Pass(pass) => pass.result.into_iter().for_each(|result| constant(lint, result)),
            Kind::Fail(fail) => {
                [fail.error.value, fail.cause.value].into_iter().flatten().for_each(|node| text(lint, node));
            }
            _ => {}
        }
    }
}

/// A text in JSONPath that would be an expression in JSONata.
fn text<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    if node.as_str().is_some_and(|text| text.starts_with("{%") && text.ends_with("%}")) {
        let message = "{% … %} is an expression in JSONata alone; here, in JSONPath, it is a text like any other: set \"QueryLanguage\": \"JSONata\", or take the value from a path";
        lint.report("SB083", node, message);
    }
}

/// A value that is handed on as it is (specification, "Pass State": Result is the output of the state).
fn constant<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    text(lint, node);
    node.items().for_each(|item| constant(lint, item));
    for (key, field) in node.fields() {
        let is_dynamic = |text: &str| text.starts_with('$') || intrinsic::is_call(text);
        if key.ends_with(".$") && field.as_str().is_some_and(is_dynamic) {
            let message = format!(
                "Result is handed on as it is, with a key \"{key}\"; to take the value from a path write Parameters instead of Result"
            );
            lint.report_key("SB083", field, message);
        }
        constant(lint, field);
    }
}

/// The payloads that states of some types have alone.
fn of_kind<'a>(state: &State<'a>) -> Vec<Option<Node<'a>>> {
    match &state.kind {
        Kind::Task(task) => vec![task.credentials],
        Kind::Map(map) => vec![
            map.item_selector.filter(|_| state.data.parameters.is_none()),
            map.item_batcher.and_then(|batcher| batcher.batch_input),
            map.item_reader.and_then(|reader| reader.payload),
            map.result_writer.and_then(|writer| writer.payload),
            // As one expression it is looked at with the fields.
            map.items.filter(|items| !items.value().is_string()),
        ],
        Kind::Choice(choice) => choice.choices.iter().flat_map(|rule| [rule.data.assign, rule.data.output]).collect(),
        _ => Vec::new(),
    }
}

fn value<'a>(lint: &mut Lint<'a>, node: Node<'a>, language: QueryLanguage, states: States) {
    match (language, node.as_str()) {
        (QueryLanguage::Jsonata, Some(text)) => drop(expressions::check(lint, node, text, states)),
        (QueryLanguage::JsonPath, Some(_)) => text(lint, node),
        (_, None) => {}
    }
    for item in node.items() {
        value(lint, item, language, states);
    }
    if !node.value().is_object() {
        return;
    }
    let mut dynamic: HashSet<&str> = HashSet::new();
    for (key, field) in node.fields() {
        match key.strip_suffix(".$") {
            Some(name) => {
                dynamic.insert(name);
                match language {
                    QueryLanguage::JsonPath => dynamic_value(lint, field, key),
                    QueryLanguage::Jsonata => {
                        let message = format!(
                            "in JSONata \"{key}\" is a key like any other; drop the .$ and write an expression {{% … %}}"
                        );
                        lint.report_key("SB040", field, message);
                        value(lint, field, language, states);
                    }
                }
            }
            None => value(lint, field, language, states),
        }
    }
    if language == QueryLanguage::JsonPath && !dynamic.is_empty() {
        for (key, field) in node.fields().filter(|(key, _)| dynamic.contains(key)) {
            lint.report_key("SB039", field, format!("\"{key}\" and \"{key}.$\" give the same key; keep one"));
        }
    }
}

fn dynamic_value<'a>(lint: &mut Lint<'a>, field: Node<'a>, key: &str) {
    let Some(text) = field.as_str() else {
        let message = format!("\"{key}\" ends in .$, so its value must be a path or an intrinsic function, as text");
        return lint.report("SB038", field, message);
    };
    if lint.is_placeholder(text) {
        return;
    }
    if intrinsic::is_call(text) {
        return values::call(lint, field, text);
    }
    if let Err(error) = jsonpath::parse(text) {
        let span = inside(field, error.at);
        let message = format!(
            "\"{key}\" ends in .$, and \"{text}\" is neither a path nor an intrinsic function: {}",
            error.message
        );
        lint.report_at("SB034", field, span, message);
    }
}

/// A result that is put somewhere and then dropped.
fn results<'a>(lint: &mut Lint<'a>, state: &State<'a>, data: &Data<'a>) {
    let Some(result) = data.result_path else { return };
    if result.value().is_null() {
        if let Some(selector) = data.result_selector {
            let message = "ResultPath null drops the result, so ResultSelector shapes nothing; remove one of them";
            lint.report_key("SB070", selector, message);
        }
        return;
    }
    let Some(output) = data.output_path else { return };
    if output.value().is_null() {
        lint.report_key("SB070", result, "OutputPath null drops everything, so ResultPath puts the result nowhere");
        return;
    }
    let (Some(put), Some(kept)) = (result.as_str().and_then(steps), output.as_str().and_then(steps)) else { return };
    let related = put.iter().zip(&kept).all(|(put, kept)| put == kept);
    if !related {
        let (put, kept) = (result.as_str().unwrap_or_default(), output.as_str().unwrap_or_default());
        let message =
            format!("state \"{}\" puts its result at {put} and keeps {kept} alone, so the result is lost", state.name);
        lint.report_key("SB070", result, message);
    }
}

/// The names of a plain path such as `$.a.b`; nothing for another one.
fn steps(path: &str) -> Option<Vec<&str>> {
    let rest = path.strip_prefix('$')?;
    let plain = rest.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) && !rest.contains("..");
    (plain && (rest.is_empty() || rest.starts_with('.'))).then(|| rest.split('.').skip(1).collect())
}
