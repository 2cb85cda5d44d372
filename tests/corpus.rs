//! The linter on definitions that others have written, with a known verdict.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

#[path = "support/corpus.rs"]
mod corpus;

use serde_json::Value;
use stepbound::asl::lint::lint;
use stepbound::asl::model::Machine;
use stepbound::asl::{Circumstances, Finding, Parsed, parse};

fn errors(parsed: &Parsed) -> Vec<Finding> {
    let circumstances = Circumstances { placeholders: true, ..Circumstances::default() };
    lint(parsed.root(), circumstances).into_iter().filter(Finding::is_error).collect()
}

/// As the linter does: what does not parse is refused too.
fn verdict(text: &str) -> Result<(), String> {
    let parsed = parse(text).map_err(|error| error.to_string())?;
    let errors = errors(&parsed);
    if errors.is_empty() { Ok(()) } else { Err(format!("{errors:#?}")) }
}

#[test]
fn every_valid_definition_is_accepted_but_where_aws_refuses_it() {
    let Some(folder) = corpus::folder() else { return };
    let texts = corpus::texts(&folder.join("asl/asl-validator/valid"));
    assert!(texts.len() >= 62);
    for (name, text) in texts {
        match verdict(&text) {
            Ok(()) => assert!(!corpus::is_decided_otherwise(&name), "{name} is accepted after all"),
            Err(found) => assert!(corpus::is_decided_otherwise(&name), "{name}: {found}"),
        }
    }
}

#[test]
fn every_invalid_definition_is_refused_but_where_aws_accepts_it() {
    let Some(folder) = corpus::folder() else { return };
    let texts = corpus::texts(&folder.join("asl/asl-validator/invalid"));
    assert!(texts.len() >= 50);
    for (name, text) in texts {
        assert_eq!(verdict(&text).is_ok(), corpus::is_decided_otherwise(&name), "{name}");
    }
}

/// Definitions that tests run to see them refused, when they are created or at that state.
const MEANT_TO_FAIL: [(&str, &str); 7] = [
    ("base__invalid_der", "has no states"),
    ("scenarios__escape_sequences_illegal_intrinsic_function", "an escape that intrinsic functions do not have"),
    ("scenarios__escape_sequences_illegal_intrinsic_function_2", "an escape that intrinsic functions do not have"),
    ("scenarios__map_state_label_empty_fail", "an empty label"),
    ("scenarios__map_state_label_invalid_char_fail", "a label with braces"),
    ("scenarios__map_state_label_too_long_fail", "a label that is too long"),
    ("validation__invalid_downgrade_query_language", "JSONPath inside JSONata"),
];

/// Texts that the tests replace before they create the machine.
fn is_placeholder(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let upper = text.to_uppercase();
    // One puts the errors to catch into an empty list.
    upper.trim_matches('_') == "TBD"
        || text.contains("PLACEHOLDER%")
        || text == "$.FunctionName"
        || value.as_array().is_some_and(Vec::is_empty)
}

/// The corpus is written in JSON5: comments and commas after the last item go, outside of texts.
fn as_json(text: &str) -> String {
    let (mut out, mut chars, mut quoted) = (String::new(), text.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => out.extend([Some(c), chars.next()].into_iter().flatten()),
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '/' if !quoted && chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '}' | ']' if !quoted => {
                let kept = out.trim_end();
                let kept = kept.strip_suffix(',').unwrap_or(kept).len();
                out.truncate(kept);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[test]
fn what_is_meant_to_run_is_read_without_a_loss_and_found_well_but_for_its_placeholders() {
    let Some(folder) = corpus::folder() else { return };
    let texts = corpus::texts(&folder.join("asl/localstack"));
    assert!(texts.len() >= 150);
    let (mut placeholders, mut wrong) = (0, Vec::new());
    for (name, text) in texts {
        let value = parse(&as_json(&text)).unwrap_or_else(|error| panic!("{name}: {error}")).value;
        let printed = corpus::as_machine(value).to_string();
        let parsed = parse(&printed).unwrap();
        assert_eq!(parsed.value.to_string(), printed, "{name}: parse, print, parse is the same");
        let pretty = serde_json::to_string_pretty(&parsed.value).unwrap();
        assert_eq!(parse(&pretty).unwrap().value.to_string(), printed, "{name}");
        let states = Machine::of(parsed.root()).walk().len();
        let errors = errors(&parsed);
        if let Some((_, why)) = MEANT_TO_FAIL.iter().find(|(failing, _)| name == format!("{failing}.json5")) {
            assert!(!errors.is_empty(), "{name}: {why}");
            continue;
        }
        assert!(states > 0, "{name}");
        for error in errors {
            let value = parsed.root().pointer(&error.path).unwrap().value();
            let known = name == "assign__task_retry_reference_exception.json5" && error.path.contains("/Retry/");
            placeholders += usize::from(is_placeholder(value));
            if !is_placeholder(value) && !known {
                wrong.push((name.clone(), error));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(placeholders > 10);
}
