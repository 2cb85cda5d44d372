//! Definitions that were damaged: reading and checking them ends without a panic, and every finding has its place.
//! `fuzz/` does the same for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use proptest::prelude::*;
use serde_json::{Value, json};
use stepbound::asl::lint::lint;
use stepbound::asl::{Circumstances, Lines, parse};

/// A definition with something of everything.
fn whole() -> Value {
    json!({
        "Comment": "all of it", "StartAt": "Init", "TimeoutSeconds": 60, "States": {
            "Init": {"Type": "Pass", "Assign": {"total.$": "$.total", "n": 1}, "Result": {"a": [1, null]}, "ResultPath": "$.r", "Next": "Each"},
            "Each": {"Type": "Map", "ItemsPath": "$.items", "Label": "each", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a"]}, "Parameters": {"Bucket": "b", "Key.$": "$.k"}},
                "ItemBatcher": {"MaxItemsPerBatch": 2}, "ToleratedFailurePercentage": 5, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Call", "States": {
                "Call": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "QueryLanguage": "JSONata",
                    "Arguments": {"FunctionName": "f", "Payload": "{% ($x := $states.context.Task.Token; {'t': $x, 'ü': $map([1..3], function($v){ $v & '-' })}) %}"},
                    "HeartbeatSeconds": "{% 3 %}", "Retry": [{"ErrorEquals": ["States.ALL"], "JitterStrategy": "FULL"}],
                    "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Sorry"}], "End": true},
                "Sorry": {"Type": "Fail", "ErrorPath": "$.e", "Cause": "c"}}}, "Next": "Both"},
            "Both": {"Type": "Parallel", "Branches": [{"StartAt": "W", "States": {"W": {"Type": "Wait", "SecondsPath": "$.s", "End": true}}}], "Next": "Decide"},
            "Decide": {"Type": "Choice", "Choices": [
                {"And": [{"Variable": "$.a", "NumericEquals": 1}, {"Not": {"Variable": "$.b[0]", "StringMatches": "x*"}}], "Next": "Done"},
                {"Variable": "$total", "TimestampLessThanPath": "$.t", "Next": "Init"}], "Default": "Done"},
            "Done": {"Type": "Succeed", "OutputPath": "$.a['b'][?(@.c > 1)]"}
        }
    })
}

/// Ends, and points at what is there.
fn hold(text: &str) {
    let Ok(parsed) = parse(text) else { return };
    let lines = Lines::of(text);
    for (express, placeholders) in [(false, true), (true, false)] {
        for finding in lint(parsed.root(), Circumstances { express, placeholders, partition: None }) {
            assert!(finding.path == "/" || parsed.root().pointer(&finding.path).is_some(), "{finding:?} in {text}");
            assert!(text.get(finding.span.start..finding.span.end).is_some(), "{finding:?} in {text}");
            let (line, column) = lines.position(finding.span.start);
            assert!(column <= lines.line(line).chars().count() + 1, "{finding:?} in {text}");
        }
    }
    let printed = parsed.value.to_string();
    assert_eq!(parse(&printed).unwrap().value, parsed.value, "{text}");
}

/// Values that stand where others are expected.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
        "[$@.*\\[\\]()'\"{}%:?,ü a-c0-9-]{0,16}".prop_map(Value::from),
        "\\{%[$@.*\\[\\]()'\"/{}%:;=<>~?,ü a-c0-9-]{0,24}%\\}".prop_map(Value::from),
        "States\\.(Format|UUID|MathAdd|Array)\\([$.'\\\\{}, a-c0-9]{0,12}\\)?".prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
        Just(json!([{}])),
        Just(json!({"a": {"b.$": 1, "b": 2}})),
    ]
}

/// Replaces the value that is met after `steps` values.
fn replace(value: &mut Value, steps: &mut usize, by: &Value) {
    if *steps == 0 {
        *value = by.clone();
    }
    *steps = steps.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, steps, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, steps, by)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn values_of_the_wrong_kind_are_findings(places in prop::collection::vec((0usize..160, odd()), 1..4)) {
        let mut value = whole();
        for (place, by) in places {
            replace(&mut value, &mut { place }, &by);
        }
        hold(&value.to_string());
        hold(&serde_json::to_string_pretty(&value).unwrap());
        hold(&serde_yaml::to_string(&value).unwrap());
    }

    #[test]
    fn texts_with_pieces_cut_out_or_put_in_are_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9, "[\\[\\]{}:,\"'$%&*|> \n\\\\ü-]{0,3}"), 1..6),
        yaml in any::<bool>(),
    ) {
        let mut text = if yaml { serde_yaml::to_string(&whole()).unwrap() } else { whole().to_string() };
        for (at, length, piece) in cuts {
            let chars: Vec<char> = text.chars().collect();
            let from = at.index(chars.len() + 1);
            let to = (from + length).min(chars.len());
            text = chars[..from].iter().chain(&piece.chars().collect::<Vec<_>>()).chain(&chars[to..]).collect();
        }
        hold(&text);
    }
}

/// What fuzzing has found, and what covers most of the code, in `fuzz/corpus`.
#[test]
fn every_kept_input_goes_through_its_fuzz_target() {
    type Body = fn(&[u8]);
    let targets: [(&str, Body); 6] = [
        ("definition", bodies::definition),
        ("yaml", bodies::yaml),
        ("trust", bodies::trust),
        ("token", bodies::token),
        ("jsonpath", bodies::jsonpath),
        ("jsonata", bodies::jsonata),
    ];
    for (name, body) in targets {
        let folder = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(kept.len() >= 3, "{folder} holds what was found");
        for path in kept {
            let input = std::fs::read(&path).unwrap();
            assert!(std::panic::catch_unwind(|| body(&input)).is_ok(), "{}", path.display());
        }
    }
}
