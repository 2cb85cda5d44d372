//! Which fields each object has, in which language, and which exclude each other.
//!
//! Sources: states-language.net/spec.html; Step Functions developer guide, one page a state type.

use serde_json::Value;

use super::super::model::{Kind, Machine, QueryLanguage, State};
use super::super::position::Node;
use super::report::Lint;
use super::values;
use crate::similar;

const JSON_PATH: QueryLanguage = QueryLanguage::JsonPath;
const JSONATA: QueryLanguage = QueryLanguage::Jsonata;

/// The fields of one kind of object.
struct Shape {
    /// What it is called in a message.
    name: &'static str,
    /// In either language.
    both: &'static [&'static str],
    /// In JSONPath alone.
    json_path: &'static [&'static str],
    /// In JSONata alone.
    jsonata: &'static [&'static str],
    /// Without these it is not complete.
    needs: &'static [&'static str],
}

const MACHINE: Shape = Shape {
    name: "the definition",
    both: &["Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"],
    json_path: &[],
    jsonata: &[],
    needs: &[],
};
const INNER: Shape = Shape {
    name: "a machine inside a state",
    both: &["Comment", "StartAt", "States", "QueryLanguage", "ProcessorConfig"],
    json_path: &[],
    jsonata: &[],
    needs: &[],
};
const TASK: Shape = Shape {
    name: "a Task",
    both: &["Resource", "Credentials", "TimeoutSeconds", "HeartbeatSeconds", "Retry", "Catch", "Next", "End", "Assign"],
    json_path: &[
        "InputPath",
        "Parameters",
        "ResultSelector",
        "ResultPath",
        "OutputPath",
        "TimeoutSecondsPath",
        "HeartbeatSecondsPath",
    ],
    jsonata: &["Arguments", "Output"],
    needs: &[],
};
const PASS: Shape = Shape {
    name: "a Pass",
    both: &["Next", "End", "Assign"],
    json_path: &["InputPath", "Parameters", "Result", "ResultPath", "OutputPath"],
    jsonata: &["Output"],
    needs: &[],
};
const CHOICE: Shape = Shape {
    name: "a Choice",
    both: &["Choices", "Default", "Assign"],
    json_path: &["InputPath", "OutputPath"],
    jsonata: &["Output"],
    needs: &[],
};
const WAIT: Shape = Shape {
    name: "a Wait",
    both: &["Seconds", "Timestamp", "Next", "End", "Assign"],
    json_path: &["InputPath", "OutputPath", "SecondsPath", "TimestampPath"],
    jsonata: &["Output"],
    needs: &[],
};
const SUCCEED: Shape =
    Shape { name: "a Succeed", both: &[], json_path: &["InputPath", "OutputPath"], jsonata: &["Output"], needs: &[] };
const FAIL: Shape = Shape {
    name: "a Fail",
    both: &["Error", "Cause"],
    json_path: &["ErrorPath", "CausePath"],
    jsonata: &[],
    needs: &[],
};
const PARALLEL: Shape = Shape {
    name: "a Parallel",
    both: &["Branches", "Retry", "Catch", "Next", "End", "Assign"],
    json_path: &["InputPath", "Parameters", "ResultSelector", "ResultPath", "OutputPath"],
    jsonata: &["Arguments", "Output"],
    needs: &["Branches"],
};
const MAP: Shape = Shape {
    name: "a Map",
    both: &[
        "ItemProcessor",
        "Iterator",
        "ItemReader",
        "ItemBatcher",
        "ItemSelector",
        "ResultWriter",
        "MaxConcurrency",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
        "Label",
        "Retry",
        "Catch",
        "Next",
        "End",
        "Assign",
    ],
    json_path: &[
        "InputPath",
        "Parameters",
        "ItemsPath",
        "MaxConcurrencyPath",
        "ToleratedFailureCountPath",
        "ToleratedFailurePercentagePath",
        "ResultSelector",
        "ResultPath",
        "OutputPath",
    ],
    jsonata: &["Items", "Output"],
    needs: &[],
};
const RULE: Shape = Shape {
    name: "a rule of a Choice",
    both: &["Next", "Comment", "Assign"],
    json_path: &[],
    jsonata: &["Condition", "Output"],
    needs: &["Next"],
};
const RETRIER: Shape = Shape {
    name: "a retrier",
    both: &[
        "ErrorEquals",
        "IntervalSeconds",
        "MaxAttempts",
        "BackoffRate",
        "MaxDelaySeconds",
        "JitterStrategy",
        "Comment",
    ],
    json_path: &[],
    jsonata: &[],
    needs: &["ErrorEquals"],
};
const CATCHER: Shape = Shape {
    name: "a catcher",
    both: &["ErrorEquals", "Next", "Assign", "Comment"],
    json_path: &["ResultPath"],
    jsonata: &["Output"],
    needs: &["ErrorEquals", "Next"],
};
const PROCESSOR: Shape =
    Shape { name: "ProcessorConfig", both: &["Mode", "ExecutionType"], json_path: &[], jsonata: &[], needs: &[] };
const READER: Shape = Shape {
    name: "ItemReader",
    both: &["Resource", "ReaderConfig", "Comment"],
    json_path: &["Parameters"],
    jsonata: &["Arguments"],
    needs: &["Resource"],
};
const READER_CONFIG: Shape = Shape {
    name: "ReaderConfig",
    both: &[
        "InputType",
        "Transformation",
        "ManifestType",
        "CSVHeaderLocation",
        "CSVHeaders",
        "CSVDelimiter",
        "MaxItems",
        "ItemsPointer",
    ],
    json_path: &["MaxItemsPath"],
    jsonata: &[],
    needs: &[],
};
const BATCHER: Shape = Shape {
    name: "ItemBatcher",
    both: &["MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput", "Comment"],
    json_path: &["MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath"],
    jsonata: &[],
    needs: &[],
};
const WRITER: Shape = Shape {
    name: "ResultWriter",
    both: &["Resource", "WriterConfig", "Comment"],
    json_path: &["Parameters"],
    jsonata: &["Arguments"],
    needs: &[],
};
const WRITER_CONFIG: Shape =
    Shape { name: "WriterConfig", both: &["Transformation", "OutputType"], json_path: &[], jsonata: &[], needs: &[] };

/// Every state may have these.
const COMMON: [&str; 3] = ["Type", "Comment", "QueryLanguage"];

/// Two fields of which one object has one at most. Source: states-language.net/spec.html, "MUST NOT include both".
const EXCLUSIVE: [(&str, &str); 12] = [
    ("Seconds", "SecondsPath"),
    ("Timestamp", "TimestampPath"),
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
    ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    ("MaxItems", "MaxItemsPath"),
    ("MaxItemsPerBatch", "MaxItemsPerBatchPath"),
    ("MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"),
];

/// The fields of a machine, without its states.
pub(super) fn machine<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>, depth: usize) {
    let shape = if depth == 0 { &MACHINE } else { &INNER };
    object(lint, shape, machine.node, machine.query_language, &[]);
    match machine.node.get("QueryLanguage") {
        Some(language) if depth > 0 => {
            let message = format!(
                "a machine inside a state has no QueryLanguage; its states have that of the definition, {}, unless they set their own",
                machine.query_language.name()
            );
            lint.report_key("SB022", language, message);
        }
        _ => query_language(lint, machine.node),
    }
    if let Some(config) = machine.config {
        object(lint, &PROCESSOR, config.node, machine.query_language, &[]);
    }
}

/// The fields of a state, and of the objects that only states have.
pub(super) fn state<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>, state: &State<'a>) {
    let language = state.query_language;
    let shape = match &state.kind {
        Kind::Task(_) => &TASK,
        Kind::Pass(_) => &PASS,
        Kind::Choice(_) => &CHOICE,
        Kind::Wait(_) => &WAIT,
        Kind::Succeed => &SUCCEED,
        Kind::Fail(_) => &FAIL,
        Kind::Parallel(_) => &PARALLEL,
        Kind::Map(_) => &MAP,
        Kind::Unknown => return,
    };
    object(lint, shape, state.node, language, &COMMON);
    query_language(lint, state.node);
    let own = state.node.get("QueryLanguage").and_then(Node::as_str);
    if machine.query_language == JSONATA && own == Some(JSON_PATH.name()) {
        let message = "a machine in JSONata cannot have states in JSONPath; the other way round works";
        lint.report("SB022", state.node.get("QueryLanguage").unwrap_or(state.node), message);
    }
    let (retry, catch) = state.error_handling();
    for retrier in retry {
        object(lint, &RETRIER, retrier.node, language, &[]);
    }
    for catcher in catch {
        object(lint, &CATCHER, catcher.node, language, &[]);
    }
    match &state.kind {
        Kind::Choice(choice) => {
            for rule in &choice.choices {
                rule_fields(lint, rule.node, language);
            }
        }
        Kind::Wait(wait) => {
            let given = usize::from(wait.seconds.is_set()) + usize::from(wait.timestamp.is_set());
            let is_told = given == 0 && ["Seconds", "Timestamp"].iter().any(|field| is_misspelt(state.node, field));
            if given != 1 && !is_told {
                let message = format!(
                    "state \"{}\" needs exactly one of Seconds, SecondsPath, Timestamp, TimestampPath",
                    state.name
                );
                lint.report_key(if given == 0 { "SB021" } else { "SB020" }, state.node, message);
            }
        }
        Kind::Map(map) => {
            if map.processor.is_none() && !is_misspelt(state.node, "ItemProcessor") {
                let message = format!("state \"{}\" is a Map without an ItemProcessor", state.name);
                lint.report_key("SB021", state.node, message);
            }
            if let Some(reader) = map.item_reader {
                object(lint, &READER, reader.node, language, &[]);
                if let Some(config) = reader.config {
                    object(lint, &READER_CONFIG, config, language, &[]);
                }
            }
            if let Some(batcher) = map.item_batcher {
                object(lint, &BATCHER, batcher.node, language, &[]);
            }
            if let Some(writer) = map.result_writer {
                object(lint, &WRITER, writer.node, language, &[]);
                if let Some(config) = writer.config {
                    object(lint, &WRITER_CONFIG, config, language, &[]);
                }
            }
        }
        _ => {}
    }
}

/// A rule has fields of its own beside its comparison, which `choices` looks at.
fn rule_fields<'a>(lint: &mut Lint<'a>, node: Node<'a>, language: QueryLanguage) {
    if !node.value().is_object() {
        return lint.report("SB019", node, "a rule of a Choice must be an object");
    }
    // A comparison of JSONPath is told once, and not field by field.
    let compares = ["Variable", "And", "Or", "Not"].into_iter().find_map(|key| node.get(key));
    let comparison = compares.filter(|_| language == JSONATA && node.get("Condition").is_none());
    if let Some(field) = comparison {
        let message = "comparisons are of JSONPath, and this is JSONata; write Condition with an expression";
        lint.report_key("SB018", field, message);
    }
    let is_whole = language == JSONATA && comparison.is_none();
    let needs: &[&str] = if is_whole { &["Next", "Condition"] } else { RULE.needs };
    required(lint, RULE.name, needs, node);
    for (key, field) in node.fields() {
        if RULE.both.contains(&key) || (language == JSONATA && RULE.jsonata.contains(&key)) {
            values::check(lint, field, key, language);
        } else if language == JSON_PATH && RULE.jsonata.contains(&key) {
            wrong_language(lint, field, key, JSONATA);
        } else if is_whole {
            unknown(lint, &RULE, field, key);
        }
    }
}

fn query_language<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    let Some(language) = node.get("QueryLanguage") else { return };
    if !matches!(language.as_str(), Some("JSONPath" | "JSONata")) {
        lint.report("SB022", language, "QueryLanguage is JSONPath or JSONata");
    }
}

fn object<'a>(lint: &mut Lint<'a>, shape: &Shape, node: Node<'a>, language: QueryLanguage, common: &[&str]) {
    if !node.value().is_object() {
        return lint.report("SB019", node, format!("{} must be an object", shape.name));
    }
    required(lint, shape.name, shape.needs, node);
    let (own, other) = match language {
        JSON_PATH => (shape.json_path, shape.jsonata),
        JSONATA => (shape.jsonata, shape.json_path),
    };
    for (key, field) in node.fields() {
        if shape.both.contains(&key) || own.contains(&key) || common.contains(&key) {
            values::check(lint, field, key, language);
            exclusive(lint, node, field, key);
        } else if other.contains(&key) {
            wrong_language(lint, field, key, if language == JSONATA { JSON_PATH } else { JSONATA });
        } else {
            unknown(lint, shape, field, key);
        }
    }
}

/// The second field of a pair is the one that is pointed at.
fn exclusive<'a>(lint: &mut Lint<'a>, node: Node<'a>, field: Node<'a>, key: &str) {
    let Value::Object(fields) = node.value() else { return };
    for (first, second) in EXCLUSIVE {
        if key == second && fields.contains_key(first) {
            lint.report_key("SB020", field, format!("{first} and {second} exclude each other; keep one"));
        }
    }
}

fn required<'a>(lint: &mut Lint<'a>, name: &str, needs: &[&str], node: Node<'a>) {
    let Value::Object(fields) = node.value() else { return };
    for field in needs.iter().filter(|field| !fields.contains_key(**field) && !is_misspelt(node, field)) {
        lint.report("SB021", node, format!("{name} needs the field {field}"));
    }
}

/// True where a key of the object is this field in other letters: that is told of the key, and explains what is missing.
pub(super) fn is_misspelt(node: Node<'_>, field: &str) -> bool {
    misspelt(node, field).is_some()
}

/// The key that is this field in other letters.
pub(super) fn misspelt<'a>(node: Node<'a>, field: &str) -> Option<&'a str> {
    node.fields().map(|(key, _)| key).find(|key| *key != field && is_near(key, field))
}

/// Names that differ in case, in signs between words, or in a letter or two.
fn is_near(key: &str, field: &str) -> bool {
    plain(key).eq(plain(field)) || similar::is_near(key, field)
}

/// The letters and digits of a name, in lower case.
fn plain(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase)
}

fn wrong_language<'a>(lint: &mut Lint<'a>, field: Node<'a>, key: &str, language: QueryLanguage) {
    let instead = match key {
        "Parameters" => "; write Arguments",
        "Arguments" => "; write Parameters",
        "InputPath" | "ResultSelector" | "ResultPath" | "OutputPath" | "Result" => "; write Output",
        "Output" => "; write ResultSelector, ResultPath and OutputPath",
        "ItemsPath" => "; write Items",
        "Items" => "; write ItemsPath",
        _ if key.ends_with("Path") => "; write the field without Path, with an expression",
        _ => "",
    };
    let other = if language == JSONATA { JSON_PATH } else { JSONATA };
    let message = format!("{key} is a field of {}, and this is {}{instead}", language.name(), other.name());
    lint.report_key("SB018", field, message);
}

fn unknown<'a>(lint: &mut Lint<'a>, shape: &Shape, field: Node<'a>, key: &str) {
    let known = [shape.both, shape.json_path, shape.jsonata].concat();
    let ends = |known: &&&str| key.to_lowercase().ends_with(&known.to_lowercase());
    let near = known.iter().find(|known| is_near(key, known)).or_else(|| known.iter().find(ends));
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    lint.report_key("SB017", field, format!("{} has no field \"{key}\"{hint}", shape.name));
}
