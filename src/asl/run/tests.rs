//! Runs of small machines, a table a type of state. What AWS does in the whole is compared in `tests/replay.rs`.

mod bounds;
mod maps;
mod tasks;

use serde_json::{Value, json};

use super::*;
use crate::asl::model::Machine;
use crate::asl::parse;

/// A run of a definition, its calls answered by a closure.
fn run_with(definition: &Value, start: Start, answer: impl FnMut(&Invoke) -> TaskAnswer) -> Played {
    let text = definition.to_string();
    let parsed = parse(&text).unwrap();
    let machine = Machine::of(parsed.root());
    play(&Program::of(&machine), start, answer)
}

fn run(definition: &Value, input: Value) -> Played {
    run_with(definition, Start::with_input(input), |_| TaskAnswer::Never)
}

/// A machine of one state, named `S`; what it leads to ends at once.
fn alone(state: Value) -> Value {
    let mut state = state;
    let targets = ["Next", "Default"].into_iter().filter_map(|key| state[key].as_str()).map(str::to_owned);
    let lists = ["Choices", "Catch"].into_iter().filter_map(|key| state[key].as_array()).flatten();
    let ways = lists.filter_map(|way| way["Next"].as_str()).map(str::to_owned);
    let targets: Vec<String> = targets.chain(ways).collect();
    if state.get("Next").is_none() && !matches!(state["Type"].as_str(), Some("Choice" | "Fail" | "Succeed")) {
        state["End"] = json!(true);
    }
    let mut machine = json!({"StartAt": "S", "States": {"S": state}});
    for target in targets {
        machine["States"][target] = json!({"Type": "Succeed"});
    }
    machine
}

fn failed(error: &str, cause: &str) -> Outcome {
    Outcome::Failed { error: Some(error.to_owned()), cause: Some(cause.to_owned()) }
}

fn told(state: &str, what: &str) -> String {
    format!("An error occurred while executing the state '{state}' (entered at the event id #2). {what}")
}

fn types(played: &Played) -> Vec<&str> {
    played.history.iter().map(|event| event.event_type.as_str()).collect()
}

/// The states that were entered, in order.
fn entered(played: &Played) -> Vec<&str> {
    let entries = played.history.iter().filter(|event| event.event_type.ends_with("StateEntered"));
    entries.filter_map(|event| event.detail("name")).collect()
}

#[test]
fn a_pass_shapes_its_input() {
    let input = json!({"a": {"b": 1}, "l": [1, 2]});
    for (state, output) in [
        (json!({}), input.clone()),
        (json!({"InputPath": "$.a"}), json!({"b": 1})),
        (json!({"InputPath": null}), json!({})),
        (json!({"OutputPath": "$.a.b"}), json!(1)),
        (json!({"OutputPath": null}), json!({})),
        (json!({"Result": {"x.$": "$"}}), json!({"x.$": "$"})),
        (json!({"Result": 7, "ResultPath": "$.r.s"}), json!({"a": {"b": 1}, "l": [1, 2], "r": {"s": 7}})),
        (json!({"Result": 7, "ResultPath": null}), input.clone()),
        (
            json!({"Parameters": {"c": "$.a", "p.$": "$.a.b", "f.$": "States.Format('{}-{}', $.l[0], 'x')", "n": [{"q.$": "$.l"}]}}),
            json!({"c": "$.a", "p": 1, "f": "1-x", "n": [{"q": [1, 2]}]}),
        ),
        (
            json!({"Parameters": {"m.$": "$$.StateMachine.Name", "s.$": "$$.State.Name"}}),
            json!({"m": "Machine", "s": "S"}),
        ),
        (
            json!({"QueryLanguage": "JSONata", "Output": {"s": "{% $sum($states.input.l) %}", "t": "{% x"}}),
            json!({"s": 3, "t": "{% x"}),
        ),
        (json!({"QueryLanguage": "JSONata", "Output": "{% $states.context.State.Name & '!' %}"}), json!("S!")),
    ] {
        let mut state = state;
        state["Type"] = json!("Pass");
        let played = run(&alone(state.clone()), input.clone());
        assert_eq!(played.outcome, Outcome::Succeeded(output), "{state}");
        assert_eq!(types(&played), ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]);
    }
}

#[test]
fn a_field_that_cannot_be_worked_out_fails_in_the_words_of_aws() {
    let input = json!({"a": 1});
    for (state, error, what) in [
        (
            json!({"Type": "Pass", "Parameters": {"x.$": "$.b"}}),
            "States.Runtime",
            "The JSONPath '$.b' specified for the field 'x.$' could not be found in the input '{\"a\":1}'",
        ),
        (
            json!({"Type": "Pass", "InputPath": "$.b.c"}),
            "States.Runtime",
            "Invalid path '$.b.c' : Missing property in path $['b']",
        ),
        (
            json!({"Type": "Pass", "Result": 1, "ResultPath": "$.a.b", "InputPath": "$.a", "OutputPath": "$.x"}),
            "States.Runtime",
            "Invalid path '$.x' : No results for path: $['x']",
        ),
        (
            json!({"Type": "Pass", "Parameters": {"x.$": "States.ArrayGetItem($.a, 0)"}}),
            "States.IntrinsicFailure",
            "The function 'States.ArrayGetItem($.a, 0)' had the following error: The array index is out of bounds",
        ),
        (
            json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"x": ["{% $nothing %}"]}}),
            "States.QueryEvaluationError",
            "The JSONata expression '$nothing' specified for the field 'Output/x[0]' returned nothing (undefined).",
        ),
        (
            json!({"Type": "Wait", "SecondsPath": "$.a.b"}),
            "States.Runtime",
            "The SecondsPath parameter does not reference an input value: $.a.b",
        ),
        (
            json!({"Type": "Choice", "Choices": [{"Variable": "$.b", "NumericEquals": 1, "Next": "T"}]}),
            "States.Runtime",
            "Invalid path '$.b': The choice state's condition path references an invalid value.",
        ),
        (
            json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": 2, "Next": "T"}]}),
            "States.Runtime",
            "Failed to transition out of the state. The state does not point to a next state.",
        ),
        (
            json!({"Type": "Map", "ItemsPath": "$.a", "ItemProcessor": alone(json!({"Type": "Pass"}))}),
            "States.Runtime",
            "Reference path \"$.a\" must point to array.",
        ),
    ] {
        let played = run(&alone(state.clone()), input.clone());
        assert_eq!(played.outcome, failed(error, &told("S", what)), "{state}");
    }
    let deep = run(&alone(json!({"Type": "Pass", "Result": 1, "ResultPath": "$.a.b"})), json!("x"));
    assert_eq!(
        deep.outcome,
        failed("States.ResultPathMatchFailure", &told("S", "Unable to apply Reference Path $.a.b to input \"x\""))
    );
}

#[test]
fn a_choice_takes_the_first_rule_that_holds() {
    let rule = |condition: Value, next: &str| {
        let mut rule = condition;
        rule["Next"] = json!(next);
        rule
    };
    let input = json!({"n": 5, "s": "log-1.txt", "t": "2026-01-01T00:00:00Z", "z": null});
    for (condition, holds) in [
        (json!({"Variable": "$.n", "NumericEquals": 5.0}), true),
        (json!({"Variable": "$.n", "StringEquals": "5"}), false),
        (json!({"Variable": "$.n", "NumericLessThanPath": "$.n"}), false),
        (json!({"Variable": "$.s", "StringMatches": "log-*.txt"}), true),
        (json!({"Variable": "$.t", "TimestampLessThan": "2026-01-01T01:00:00+00:30"}), true),
        (json!({"Variable": "$.t", "IsTimestamp": true}), true),
        (json!({"Variable": "$.z", "IsNull": true}), true),
        (json!({"Variable": "$.x", "IsPresent": false}), true),
        (json!({"Not": {"Variable": "$.n", "IsNumeric": true}}), false),
        (json!({"And": [{"Variable": "$.x", "IsPresent": true}, {"Variable": "$.x", "NumericEquals": 1}]}), false),
        (json!({"Or": [{"Variable": "$.n", "IsString": true}, {"Variable": "$.n", "NumericGreaterThan": 4}]}), true),
    ] {
        let choices = json!([rule(condition.clone(), "Yes")]);
        let state = json!({"Type": "Choice", "Choices": choices, "Default": "No"});
        let played = run(&alone(state), input.clone());
        assert_eq!(entered(&played), ["S", if holds { "Yes" } else { "No" }], "{condition}");
        assert_eq!(played.ways[0].1, if holds { Way::Choice(0) } else { Way::Default }, "{condition}");
    }
    let rules = json!([{"Condition": "{% $states.input.n > 9 %}", "Next": "T"},
        {"Condition": "{% $states.input.n > 3 %}", "Next": "U", "Output": "u", "Assign": {"v": 1}}]);
    let state = json!({"Type": "Choice", "QueryLanguage": "JSONata", "Choices": rules, "Output": "default"});
    assert_eq!(run(&alone(state.clone()), json!({"n": 5})).outcome, Outcome::Succeeded(json!("u")));
    let mut state = state;
    state["Default"] = json!("V");
    assert_eq!(run(&alone(state), json!({"n": 1})).outcome, Outcome::Succeeded(json!("default")));
}

#[test]
fn a_wait_takes_its_time_and_none_that_is_over() {
    for (state, seconds) in [
        (json!({"Seconds": 10}), 10),
        (json!({"SecondsPath": "$.s"}), 3),
        (json!({"Timestamp": "2026-01-01T00:01:00Z"}), 60),
        (json!({"TimestampPath": "$.past"}), 0),
        (json!({"QueryLanguage": "JSONata", "Seconds": "{% $states.input.s * 2 %}"}), 6),
        (json!({"QueryLanguage": "JSONata", "Timestamp": "{% $states.input.past %}"}), 0),
    ] {
        let mut state = state;
        state["Type"] = json!("Wait");
        let input = json!({"s": 3, "past": "2016-12-05T21:29:29.123456789Z"});
        let played = run(&alone(state.clone()), input.clone());
        assert_eq!(played.outcome, Outcome::Succeeded(input), "{state}");
        let (first, last) = (&played.history[0], played.history.last().unwrap());
        assert_eq!(last.timestamp.duration_since(first.timestamp).as_secs(), seconds, "{state}");
    }
}

#[test]
fn a_fail_says_with_what() {
    let input = json!({"e": "Broken", "c": {"deep": "cause"}});
    let fail = |fields: Value| {
        let mut state = fields;
        state["Type"] = json!("Fail");
        run(&alone(state), input.clone()).outcome
    };
    assert_eq!(fail(json!({"Error": "E", "Cause": "C"})), failed("E", "C"));
    assert_eq!(fail(json!({})), Outcome::Failed { error: None, cause: None });
    assert_eq!(
        fail(json!({"ErrorPath": "$.e", "CausePath": "States.Format('{}', $.c.deep)"})),
        failed("Broken", "cause")
    );
    assert_eq!(
        fail(json!({"QueryLanguage": "JSONata", "Error": "{% $states.input.e %}", "Cause": "C"})),
        failed("Broken", "C")
    );
}

#[test]
fn branches_run_at_the_same_time_and_see_the_variables_around_them() {
    let branch = |state: Value| alone(state);
    let machine = json!({"StartAt": "Set", "States": {
    "Set": {"Type": "Pass", "Assign": {"v": 1}, "Next": "Both"},
    "Both": {"Type": "Parallel", "ResultSelector": {"r.$": "$"}, "ResultPath": "$.out", "End": true, "Branches": [
        branch(json!({"Type": "Wait", "Seconds": 5, "Assign": {"own": 2}})),
        branch(json!({"Type": "Pass", "Parameters": {"v.$": "$v"}})),
    ]}}});
    let played = run(&machine, json!({"in": 0}));
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"in": 0, "out": {"r": [{"in": 0}, {"v": 1}]}})));
    let of = |kind: &str| played.history.iter().position(|event| event.event_type == kind).unwrap();
    assert!(of("PassStateExited") < of("WaitStateExited"), "{:?}", types(&played));
    assert!(
        of("ParallelStateStarted") < of("WaitStateEntered") && of("ParallelStateSucceeded") < of("ParallelStateExited")
    );
}

#[test]
fn a_branch_that_fails_stops_the_others_and_may_be_caught() {
    let broken = alone(json!({"Type": "Fail", "Error": "E", "Cause": "C"}));
    let slow = alone(json!({"Type": "Wait", "Seconds": 100}));
    let state = json!({"Type": "Parallel", "Branches": [slow, broken], "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}]});
    let played = run(&alone(state), json!({"in": 0}));
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"in": 0, "error": {"Error": "E", "Cause": "C"}})));
    let kinds = types(&played);
    let count = |kind: &str| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((count("ParallelStateStarted"), count("WaitStateAborted"), count("ParallelStateFailed")), (2, 2, 1));
    let (first, last) = (&played.history[0], played.history.last().unwrap());
    assert_eq!(last.timestamp.duration_since(first.timestamp).as_secs(), 1, "the wait holds up nobody");
}

#[test]
fn variables_are_read_as_they_were_when_a_state_was_entered() {
    let machine = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"x": 1, "y": 10}, "Next": "B"},
        "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"x": "{% $x + 1 %}", "y": "{% $x %}"}, "Output": "{% [$x, $y] %}", "Next": "C"},
        "C": {"Type": "Pass", "Parameters": {"before.$": "$", "x.$": "$x", "y.$": "$y"}, "End": true}}});
    let played = run(&machine, json!({}));
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"before": [1, 10], "x": 2, "y": 1})));
    let exit = played.history.iter().find(|event| event.event_type == "PassStateExited").unwrap();
    assert_eq!(exit.details["assignedVariables"], json!({"x": "1", "y": "10"}));
}

#[test]
fn an_event_is_told_as_the_api_tells_it() {
    let played = run(&alone(json!({"Type": "Pass", "Result": [1]})), json!({"a": 1}));
    let at = "2026-01-01T00:00:00Z";
    assert_eq!(
        played.history.iter().map(HistoryEvent::to_json).collect::<Value>(),
        json!([
            {"id": 1, "previousEventId": 0, "timestamp": at, "type": "ExecutionStarted", "executionStartedEventDetails":
                {"roleArn": "arn:aws:iam::123456789012:role/Machine", "input": "{\"a\":1}", "inputDetails": {"truncated": false}}},
            {"id": 2, "previousEventId": 0, "timestamp": at, "type": "PassStateEntered", "stateEnteredEventDetails":
                {"name": "S", "input": "{\"a\":1}", "inputDetails": {"truncated": false}}},
            {"id": 3, "previousEventId": 2, "timestamp": at, "type": "PassStateExited", "stateExitedEventDetails":
                {"name": "S", "output": "[1]", "outputDetails": {"truncated": false}}},
            {"id": 4, "previousEventId": 3, "timestamp": at, "type": "ExecutionSucceeded", "executionSucceededEventDetails":
                {"output": "[1]", "outputDetails": {"truncated": false}}},
        ])
    );
}
