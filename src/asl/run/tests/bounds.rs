//! A run ends, whatever its definition, its input and its answers are.

use proptest::prelude::*;

use super::*;
use crate::asl::lint::{Circumstances, Finding, lint};

fn bound(played: &Played) -> String {
    match &played.outcome {
        Outcome::Bounded(bound) => bound.to_string(),
        other => panic!("{other:?}"),
    }
}

fn looping(state: Value) -> Value {
    let mut state = state;
    state["Next"] = json!("A");
    json!({"StartAt": "A", "States": {"A": state}})
}

#[test]
fn a_standard_execution_has_25000_events_and_the_last_is_its_end() {
    let played = run(&looping(json!({"Type": "Pass"})), json!({}));
    assert_eq!(
        played.outcome,
        failed("States.Runtime", "The execution reached the maximum number of history events (25000).")
    );
    assert_eq!(played.history.len(), 25_000);
    assert_eq!(played.history.last().unwrap().id, 25_000);
}

#[test]
fn an_express_execution_ends_at_a_bound_of_ours() {
    let text = looping(json!({"Type": "Pass"})).to_string();
    let parsed = parse(&text).unwrap();
    let machine = Machine::of(parsed.root());
    let limits = Limits { events: 30_000, ..Limits::default() };
    let start = Start { limits, ..Start::with_input(json!({})) };
    let played = play(&Program::of(&machine).express(), start, |_| TaskAnswer::Never);
    assert_eq!(bound(&played), "the run has more than 30000 events");
}

#[test]
fn what_grows_is_bounded() {
    let deeper = run(&looping(json!({"Type": "Pass", "Parameters": {"in.$": "$"}})), json!({}));
    assert_eq!(bound(&deeper), "a payload is nested more than 200 levels deep");
    let larger = looping(json!({"Type": "Pass", "Parameters": {"a.$": "States.Array($, $)"}, "OutputPath": "$.a"}));
    let larger = run(&larger, json!("x"));
    assert!(
        matches!(&larger.outcome, Outcome::Failed { error: Some(error), .. } if error == "States.DataLimitExceeded")
    );
    let formatted = format!("States.Format('{}'{})", "{}".repeat(200), ", $".repeat(200));
    let formatted = run(&alone(json!({"Type": "Pass", "Parameters": {"a.$": formatted}})), json!("x".repeat(200_000)));
    assert!(matches!(formatted.outcome, Outcome::Failed { .. } | Outcome::Bounded(_)));
    let waits = run(&looping(json!({"Type": "Wait", "Seconds": 99_999_999})), json!({}));
    assert_eq!(bound(&waits), "the run takes more than 31622400 seconds");
    let silent = run(&alone(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke"})), json!({}));
    assert_eq!(bound(&silent), "the run takes more than 31622400 seconds");
    let endless = alone(
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% ($f := function($x) { $f($x + 1) }; $f(0)) %}"}),
    );
    assert!(bound(&run(&endless, json!({}))).contains("more steps than"));
    let busy = looping(json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $sum([1..20000]) %}"}));
    let limits = Limits { work: 1 << 30, ..Limits::default() };
    let busy = run_with(&busy, Start { limits, ..Start::with_input(json!({})) }, |_| TaskAnswer::Never);
    assert!(matches!(busy.outcome, Outcome::Bounded(_)), "{:?}", busy.outcome);
    let items: Vec<u32> = (0..30).collect();
    let inner = (0..5).fold(json!({"Type": "Wait", "Seconds": 1}), |inner, _| {
        json!({"Type": "Map", "ItemsPath": "$$.Execution.Input", "MaxConcurrency": 40, "ItemProcessor": alone(inner)})
    });
    let wide = run(&alone(inner), json!(items));
    assert!(matches!(wide.outcome, Outcome::Bounded(_) | Outcome::Failed { .. }), "{:?}", wide.outcome);
}

#[test]
fn a_definition_that_leads_nowhere_ends_there() {
    for (definition, why) in [
        (json!({"StartAt": "B", "States": {}}), "there is no state \"B\" where the definition leads to it"),
        (json!({"States": {}}), "a machine has no StartAt"),
        (json!([]), "a machine has no StartAt"),
        (json!({"StartAt": "A", "States": {"A": {"Type": "What"}}}), "state \"A\" has no type that there is"),
        (json!({"StartAt": "A", "States": {"A": 1}}), "state \"A\" has no type that there is"),
    ] {
        assert_eq!(bound(&run(&definition, json!({}))), why, "{definition}");
    }
}

#[test]
fn an_execution_can_be_stopped_and_runs_out_of_its_own_time() {
    let mut machine = alone(json!({"Type": "Wait", "Seconds": 100}));
    machine["TimeoutSeconds"] = json!(30);
    let played = run(&machine, json!({}));
    assert_eq!(played.outcome, Outcome::TimedOut { error: Some("States.Timeout".into()), cause: None });
    assert_eq!(types(&played).last(), Some(&"ExecutionTimedOut"));

    let text = machine.to_string();
    let parsed = parse(&text).unwrap();
    let machine = Machine::of(parsed.root());
    let program = Program::of(&machine);
    let (state, effects) = start(&program, Start::with_input(json!({})));
    assert!(matches!(effects.last(), Some(Effect::Sleep { .. })));
    let stop = Event::Stop { at: state.now(), error: Some("E".into()), cause: None };
    let (state, effects) = step(&program, state, stop);
    assert_eq!(state.outcome(), Some(&Outcome::Aborted { error: Some("E".into()), cause: None }));
    assert!(matches!(&effects[..], [Effect::Emit(event)] if event.event_type == "ExecutionAborted"));
    let (state, effects) = step(&program, state, Event::Time(jiff::Timestamp::MAX));
    assert!(effects.is_empty() && state.outcome().is_some(), "it stays as it is");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let machine = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Parameters":
        {"u.$": "States.UUID()", "r.$": "States.MathRandom(0, 1000000)"}}}});
    let of = |seed| run_with(&machine, Start { seed, ..Start::with_input(json!({})) }, |_| TaskAnswer::Never);
    assert_eq!(of(1).history, of(1).history);
    assert_ne!(of(1).outcome, of(2).outcome);
}

/// Values that a definition or an answer may hold.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..12).prop_map(Value::from),
        prop_oneof![Just(1.5), Just(-0.5), Just(1e300)].prop_map(Value::from),
        prop_oneof!["[a-c]{0,3}", Just("$.a".to_owned()), Just("2026-01-01T00:00:00Z".to_owned())]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("$"),
        Just("$.a"),
        Just("$.a.b"),
        Just("$.b[0]"),
        Just("$..a"),
        Just("$.b[*].c"),
        Just("$.b[?(@.a > 1)]"),
        Just("$$"),
        Just("$$.Map.Item.Value"),
        Just("$v"),
        Just("$.c[-1:]")
    ]
    .prop_map(str::to_owned)
}

fn expressions() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{% $states.input %}"),
        Just("{% $states.input.a + 1 %}"),
        Just("{% $v %}"),
        Just("{% [1..5] %}"),
        Just("{% $states.context.State.Name %}"),
        Just("{% $states.result %}"),
        Just("{% 1/0 %}"),
        Just("{% $map($states.input, function($x) { $x }) %}"),
        Just("{% true %}")
    ]
    .prop_map(str::to_owned)
}

fn calls() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("States.Array($, $.a)"),
        Just("States.Format('{}', $)"),
        Just("States.StringToJson($.a)"),
        Just("States.ArrayRange(0, 9, $.a)"),
        Just("States.MathAdd($.a, 1)"),
        Just("States.ArrayPartition($.b, 2)"),
        Just("States.JsonMerge($, $.a, false)"),
        Just("States.UUID()"),
        Just("States.Hash($.a, 'MD5')")
    ]
    .prop_map(str::to_owned)
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![Just("A"), Just("B"), Just("C")].prop_map(str::to_owned)
}

fn with(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Fields of data in JSONPath or JSONata.
fn data() -> impl Strategy<Value = (bool, Vec<(&'static str, Value)>)> {
    let json_path = (paths(), paths(), calls(), any::<u8>()).prop_map(|(path, other, call, which)| {
        let all = [
            ("InputPath", json!(path)),
            ("Parameters", json!({"x.$": other, "y.$": call, "z": [1]})),
            ("OutputPath", json!(other)),
            ("ResultPath", json!("$.a.b")),
            ("Assign", json!({"v.$": path})),
            ("ResultSelector", json!({"r.$": path})),
        ];
        (false, all.into_iter().enumerate().filter(|(at, _)| which & (1 << at) != 0).map(|(_, field)| field).collect())
    });
    let jsonata = (expressions(), expressions(), any::<u8>()).prop_map(|(one, other, which)| {
        let all = [
            ("Output", json!({"o": one, "l": [other]})),
            ("Assign", json!({"v": other})),
            ("Arguments", json!({"x": one})),
        ];
        (true, all.into_iter().enumerate().filter(|(at, _)| which & (1 << at) != 0).map(|(_, field)| field).collect())
    });
    prop_oneof![json_path, jsonata]
}

fn handling(next: &str, which: u8) -> Vec<(&'static str, Value)> {
    let retry = json!([{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "JitterStrategy": "FULL"}]);
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
    let mut fields = Vec::new();
    fields.extend((which & 1 != 0).then_some(("Retry", retry)));
    fields.extend((which & 2 != 0).then_some(("Catch", catch)));
    fields
}

fn states(depth: u32) -> BoxedStrategy<Value> {
    let ends = (names(), any::<bool>())
        .prop_map(|(next, ends)| if ends { ("End", json!(true)) } else { ("Next", json!(next)) })
        .boxed();
    let plain = (data(), ends.clone(), values(), 0u8..5, names()).prop_map(|((is_jsonata, mut fields), end, value, which, next)| {
        fields.retain(|(key, _)| !matches!(*key, "ResultSelector" | "Arguments"));
        match which {
            0 => fields.extend([("Type", json!("Succeed"))]),
            1 => fields.extend([("Type", json!("Wait")), ("Seconds", json!(1)), end]),
            2 => {
                let rules = if is_jsonata {
                    json!([{"Condition": "{% $states.input.a = 1 %}", "Next": next}])
                } else {
                    json!([{"Variable": "$.a", "NumericEquals": 1, "Next": next}, {"Variable": "$.b", "IsPresent": true, "Next": "B"}])
                };
                fields.extend([("Type", json!("Choice")), ("Choices", rules), ("Default", json!("C"))]);
            }
            3 => fields = vec![("Type", json!("Fail")), ("Error", json!("E"))],
            _ => fields.extend([("Type", json!("Pass")), end]),
        }
        if which == 4 && !is_jsonata && !fields.iter().any(|(key, _)| *key == "Parameters") {
            fields.push(("Result", value));
        }
        fields.retain(|(key, _)| which == 4 || !matches!(*key, "Parameters" | "ResultPath"));
        fields.retain(|(key, _)| which != 0 || *key != "Assign");
        fields.extend(is_jsonata.then_some(("QueryLanguage", json!("JSONata"))));
        with(fields)
    });
    let task = (data(), ends.clone(), names(), any::<u8>(), 0u8..4).prop_map(
        |((is_jsonata, mut fields), end, next, which, resource)| {
            let resource =
                ["lambda:invoke", "sqs:sendMessage.waitForTaskToken", "ecs:runTask.sync", "aws-sdk:s3:listBuckets"]
                    [usize::from(resource)];
            fields.extend([
                ("Type", json!("Task")),
                ("Resource", json!(format!("arn:aws:states:::{resource}"))),
                ("TimeoutSeconds", json!(9)),
                end,
            ]);
            fields.extend(handling(&next, which));
            fields.extend(is_jsonata.then_some(("QueryLanguage", json!("JSONata"))));
            with(fields)
        },
    );
    if depth == 0 {
        return prop_oneof![plain, task].boxed();
    }
    let parallel = (prop::collection::vec(machines(depth - 1), 0..3), ends.clone(), names(), any::<u8>()).prop_map(
        |(branches, end, next, which)| {
            let mut fields = vec![("Type", json!("Parallel")), ("Branches", json!(branches)), end];
            fields.extend(handling(&next, which));
            with(fields)
        },
    );
    let map = (machines(depth - 1), ends, paths(), names(), any::<u8>()).prop_map(|(inner, end, path, next, which)| {
        let mut inner = inner;
        if which & 4 != 0 {
            inner["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"});
        }
        let mut fields = vec![("Type", json!("Map")), ("ItemProcessor", inner), end];
        fields.extend((which & 8 != 0).then_some(("ItemsPath", json!(path))));
        fields.extend((which & 16 != 0).then_some(("ItemSelector", json!({"i.$": "$$.Map.Item", "a.$": "$"}))));
        fields.extend((which & 32 != 0).then_some(("MaxConcurrency", json!(2))));
        if which & 0x44 == 0x44 {
            fields.push(("ItemBatcher", json!({"MaxItemsPerBatch": 2})));
        }
        fields.extend(handling(&next, which));
        with(fields)
    });
    prop_oneof![3 => plain, 2 => task, 1 => parallel, 1 => map].boxed()
}

fn machines(depth: u32) -> BoxedStrategy<Value> {
    let state = states(depth);
    (state.clone(), state.clone(), state)
        .prop_map(|(a, b, c)| json!({"StartAt": "A", "States": {"A": a, "B": b, "C": c}}))
        .boxed()
}

fn answers() -> impl Strategy<Value = TaskAnswer> {
    prop_oneof![
        values().prop_map(|value| TaskAnswer::Now(vec![Answer::Submitted(json!({})), Answer::Succeeded(value)])),
        Just(Answer::Failed { error: Some("E".to_owned()), cause: None }.into()),
        Just(Answer::Failed { error: None, cause: None }.into()),
        Just(TaskAnswer::After(3.0, Answer::TimedOut { cause: None })),
        Just(TaskAnswer::Now(vec![Answer::Heartbeat, Answer::Heartbeat])),
        Just(TaskAnswer::Never),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whether AWS would take it or not; what the linter takes is among them.
    #[test]
    fn every_run_ends(definition in machines(2), input in values(), answers in prop::collection::vec(answers(), 1..5), seed: u64) {
        let limits = Limits { events: 1_500, bytes: 4 << 20, work: 64 << 20, seconds: 100_000, scopes: 500, depth: 60 };
        let start = Start { seed, limits, ..Start::with_input(input) };
        let mut at = 0;
        let played = run_with(&definition, start, |_| {
            at += 1;
            answers[at % answers.len()].clone()
        });
        let text = definition.to_string();
        let parsed = parse(&text).unwrap();
        let is_taken = !lint(parsed.root(), Circumstances::default()).iter().any(Finding::is_error);
        if is_taken && let Outcome::Bounded(bound) = &played.outcome {
            prop_assert!(bound.to_string().contains("more "), "{bound}: {definition}");
        }
        let ends = played.history.iter().filter(|event| event.execution == 0 && event.event_type.starts_with("Execution")).count();
        prop_assert_eq!(ends, if matches!(played.outcome, Outcome::Bounded(_)) { 1 } else { 2 });
        let ids: Vec<u64> = played.history.iter().filter(|event| event.execution == 0).map(|event| event.id).collect();
        prop_assert!(ids.iter().enumerate().all(|(at, id)| *id == at as u64 + 1 ), "ids are counted: {ids:?}");
        prop_assert!(played.history.iter().all(|event| event.previous_id < event.id));
    }
}
