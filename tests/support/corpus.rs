//! The third-party corpus of definitions, and where AWS decides otherwise than it says.

#![allow(dead_code)] // each of those who share it takes a part

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Definitions whose verdict in the corpus is not the one of AWS, with the reason.
pub const DECIDED_OTHERWISE: [(&str, &str); 6] = [
    (
        "valid-map-with-item-batcher-jsonata.json",
        "a state in JSONPath inside a definition in JSONata: AWS refuses it (CDK API reference, QueryLanguage: \"If JSONata is specified at the top level, JSONPath cannot be used in the state machine definition\")",
    ),
    (
        "valid-task-credentials.json",
        "credentials without a RoleArn: AWS answers \"The field 'RoleArn' is required but was missing\" (recorded); the resource is a task of SWF, which the specification has as an example and Step Functions does not call",
    ),
    (
        "valid-task-parameters.json",
        "a task of SWF, as above: a Task calls a function, an activity or an integration (developer guide, \"Task workflow state\")",
    ),
    ("valid-task-timeout-jsonata.json", "a task of SWF, as above"),
    (
        "invalid-json-surround-syntax-extra-spaces.json",
        "more than one space inside the marks of an expression: AWS wants no space outside of them and leaves inside to JSONata, which skips white space (developer guide, \"Transforming data with JSONata\")",
    ),
    ("invalid-jsonata-surround-syntax-no-spaces.json", "no space inside the marks of an expression: as before"),
];

/// Where the corpus is, if there is one here.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("STEPBOUND_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        #[allow(clippy::print_stderr)] // a test that is skipped says so
        {
            eprintln!("skipped: STEPBOUND_CORPUS does not name the corpus");
        }
    }
    folder
}

/// Names and texts of a folder of the corpus, by name.
pub fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the corpus has this folder")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension.to_string_lossy().starts_with("json")))
        .map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a definition is text"))
        })
        .collect();
    texts.sort();
    texts
}

/// True where AWS decides otherwise than the corpus says.
pub fn is_decided_otherwise(name: &str) -> bool {
    DECIDED_OTHERWISE.iter().any(|(other, _)| *other == name)
}

/// Some are states alone, for the API that tests one.
pub fn as_machine(value: Value) -> Value {
    if value.get("Type").is_none() || value.get("States").is_some() {
        return value;
    }
    let each = |field: &str| value[field].as_array().cloned().unwrap_or_default();
    let ways = [each("Catch"), each("Choices")].concat();
    let ways = ways.iter().chain([&value]).flat_map(|way| [way["Next"].as_str(), way["Default"].as_str()]);
    let targets: Vec<String> = ways.flatten().map(str::to_owned).collect();
    let mut machine = json!({"StartAt": "Tested", "States": {"Tested": value}});
    for target in targets {
        machine["States"][target] = json!({"Type": "Succeed"});
    }
    machine
}
