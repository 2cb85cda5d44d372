//! The linter beside AWS: each definition that AWS ran or refused in a recording is decided as AWS decided it.
//!
//! The recordings are in the folder that `STEPBOUND_RECORDINGS` names, else in `recordings` of the corpus: files of JSON, each
//! an array of records that have a `definition`, or the `request` of `TestState`, and what AWS made of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/recorded.rs"]
mod recorded;

use std::collections::BTreeMap;

use serde_json::Value;
use stepbound::asl::lint::lint;
use stepbound::asl::{Circumstances, Finding, parse};

/// Refusals that say nothing about the definition: the beginning of the code and message, and what they are about.
const ABOUT_SOMETHING_ELSE: [(&str, &str); 8] = [
    ("StateMachineAlreadyExists", "another machine of this name is in the account"),
    ("MissingRequiredParameter", "the request changes nothing"),
    ("InvalidLoggingConfiguration", "a log group that is not in the account, or their number"),
    ("ValidationException Version description", "a field of the request"),
    ("ValidationException", "what a test of a state is told to pretend, or the name of the state"),
    ("ParamValidationError", "a field of the request, refused before AWS saw it"),
    ("InvalidDefinition TestState API does not support", "what a state can be tested as"),
    ("InvalidExecutionInput", "the input of an execution"),
];

/// A definition and what AWS made of it.
struct Decision {
    case: String,
    text: String,
    express: bool,
    is_refused: bool,
}

/// Nothing where AWS was not asked about a definition, or answered about something else.
fn decision(record: &Value) -> Option<Decision> {
    let request = &record["request"];
    let definition = match (&record["definition"], &request["definition"]) {
        (Value::Null, Value::Object(_)) => corpus::as_machine(request["definition"].clone()),
        (definition, _) => definition.clone(),
    };
    let is_refused = match (&record["error"], &record["answer"]["result"]) {
        (Value::Null, Value::String(result)) => result == "FAIL",
        (Value::Null, _) => false,
        (error, _) => {
            let error = format!("{} {}", error["code"].as_str()?, error["message"].as_str()?);
            if ABOUT_SOMETHING_ELSE.iter().any(|(beginning, _)| error.starts_with(beginning)) {
                return None;
            }
            true
        }
    };
    let text = match (&record["definitionText"], definition) {
        (Value::String(text), _) => text.clone(),
        (_, Value::Null | Value::String(_)) => return None,
        (_, definition) => recorded::filled_in(&definition).to_string(),
    };
    let kind = record["type"].as_str().or(request["type"].as_str());
    let case = record["case"].as_str()?.to_owned();
    Some(Decision { case, text, express: kind == Some("EXPRESS"), is_refused })
}

fn errors(decision: &Decision) -> Vec<String> {
    let circumstances = Circumstances { express: decision.express, placeholders: false, partition: None };
    match parse(&decision.text) {
        Err(error) => vec![error.to_string()],
        Ok(parsed) => {
            let errors = lint(parsed.root(), circumstances).into_iter().filter(Finding::is_error);
            errors.map(|error| format!("{} at {}: {}", error.code, error.path, error.message)).collect()
        }
    }
}

#[test]
fn each_definition_is_decided_as_aws_decided_it() {
    let Some(folder) = recorded::folder() else { return };
    let mut decisions = BTreeMap::new();
    for (name, text) in corpus::texts(&folder) {
        let records: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for decision in records.iter().filter_map(decision) {
            // Many executions are recorded of the same definition.
            decisions.insert((decision.text.clone(), decision.express, decision.is_refused), decision);
        }
    }
    let (mut right, mut wrong) = (0, Vec::new());
    for decision in decisions.values() {
        let errors = errors(decision);
        match (errors.is_empty() != decision.is_refused, decision.is_refused) {
            (true, _) => right += 1,
            (false, true) => wrong.push(format!("{} was refused by AWS", decision.case)),
            (false, false) => wrong.push(format!("{} ran on AWS: {}", decision.case, errors.join("; "))),
        }
    }
    println!("{right} of {} as AWS", decisions.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(right > 0, "no recordings in {}", folder.display());
}
