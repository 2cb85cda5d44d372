//! Maps, within an execution and distributed.

use super::*;

fn map(fields: Value, inner: Value) -> Value {
    let mut state = fields;
    state["Type"] = json!("Map");
    state["ItemProcessor"] = alone(inner);
    alone(state)
}

fn distributed(fields: Value, inner: Value) -> Value {
    let mut machine = map(fields, inner);
    machine["States"]["S"]["ItemProcessor"]["ProcessorConfig"] =
        json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    machine
}

#[test]
fn each_item_is_given_to_an_iteration() {
    let input = json!({"l": ["a", "b"], "x": 0});
    for (fields, results) in [
        (json!({"ItemsPath": "$.l"}), json!(["a", "b"])),
        (
            json!({"ItemsPath": "$.l", "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "x.$": "$.x"}}),
            json!([{"i": 0, "v": "a", "x": 0}, {"i": 1, "v": "b", "x": 0}]),
        ),
        (
            json!({"QueryLanguage": "JSONata", "Items": "{% $states.input.l %}", "ItemSelector": {"v": "{% $states.context.Map.Item.Value & $string($states.input.x) %}"}}),
            json!([{"v": "a0"}, {"v": "b0"}]),
        ),
        (json!({"QueryLanguage": "JSONata", "Items": [1, "{% 1 + 1 %}"]}), json!([1, 2])),
        (json!({"ItemsPath": "$.l[:0]"}), json!([])),
    ] {
        let played = run(&map(fields.clone(), json!({"Type": "Pass"})), input.clone());
        assert_eq!(played.outcome, Outcome::Succeeded(results), "{fields}");
    }
}

#[test]
fn iterations_run_at_once_up_to_their_number() {
    let most = |fields: Value| {
        let mut fields = fields;
        fields["ItemsPath"] = json!("$.l");
        let wait = json!({"Type": "Wait", "Seconds": 10});
        let items: Vec<u32> = (0..90).collect();
        let played = run(&map(fields, wait), json!({"l": items, "m": 3}));
        let (first, last) = (&played.history[0], played.history.last().unwrap());
        last.timestamp.duration_since(first.timestamp).as_secs() / 10
    };
    assert_eq!(most(json!({"MaxConcurrency": 1})), 90);
    assert_eq!(most(json!({"MaxConcurrencyPath": "$.m"})), 30);
    assert_eq!(most(json!({})), 3, "40 where no number is set");
}

#[test]
fn an_iteration_that_fails_stops_the_others() {
    let inner = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke"});
    let machine = map(json!({}), inner);
    let answer = |call: &Invoke| match call.path.iterations[..] {
        [1] => Answer::Failed { error: Some("E".into()), cause: Some("C".into()) }.into(),
        _ => TaskAnswer::Never,
    };
    let played = run_with(&machine, Start::with_input(json!([1, 2, 3])), answer);
    assert_eq!(played.outcome, failed("E", "C"));
    let kinds = types(&played);
    let count = |kind: &str| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((count("MapIterationFailed"), count("MapIterationAborted"), count("MapStateFailed")), (1, 2, 1));
}

#[test]
fn a_child_execution_has_a_history_of_its_own_and_sees_no_variable() {
    let mut machine = distributed(
        json!({"ItemsPath": "$.l", "MaxConcurrency": 2, "Label": "each"}),
        json!({"Type": "Pass", "Parameters": {"id.$": "$$.Execution.Id", "in.$": "$$.Execution.Input"}}),
    );
    let played = run(&machine, json!({"l": [1, 2]}));
    let Outcome::Succeeded(results) = &played.outcome else { panic!("{:?}", played.outcome) };
    assert_eq!(results[1]["in"], json!(2));
    assert!(
        results[0]["id"].as_str().unwrap().starts_with("arn:aws:states:us-east-1:123456789012:execution:Machine/each:")
    );
    let of = |execution: usize| {
        let own = played.history.iter().filter(|event| event.execution == execution);
        own.map(|event| (event.id, event.event_type.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(
        of(0).iter().map(|(_, kind)| *kind).collect::<Vec<_>>(),
        [
            "ExecutionStarted",
            "MapStateEntered",
            "MapStateStarted",
            "MapRunStarted",
            "MapRunSucceeded",
            "MapStateSucceeded",
            "MapStateExited",
            "ExecutionSucceeded"
        ]
    );
    assert_eq!(
        of(1),
        [(1, "ExecutionStarted"), (2, "PassStateEntered"), (3, "PassStateExited"), (4, "ExecutionSucceeded")]
    );
    machine["States"]["S"]["ItemProcessor"]["States"]["S"]["Parameters"] = json!({"v.$": "$v"});
    let start = Start { variables: [("v".to_owned(), json!(1))].into(), ..Start::with_input(json!({"l": [1]})) };
    let played = run_with(&machine, start, |_| TaskAnswer::Never);
    assert_eq!(
        played.outcome,
        failed("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
    );
}

#[test]
fn children_may_fail_within_the_tolerance() {
    let inner = json!({"Type": "Choice", "Choices": [{"Variable": "$", "NumericGreaterThan": 7, "Next": "Bad"}], "Default": "Good"});
    let run_of = |fields: Value| {
        let mut machine = distributed(fields, inner.clone());
        machine["States"]["S"]["ItemProcessor"]["States"]["Bad"] = json!({"Type": "Fail", "Error": "E"});
        run(&machine, json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).outcome
    };
    let good = Outcome::Succeeded(json!([1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(run_of(json!({"ToleratedFailureCount": 3})), good);
    assert_eq!(run_of(json!({"ToleratedFailurePercentage": 30})), good);
    for fields in [json!({}), json!({"ToleratedFailureCount": 2}), json!({"ToleratedFailurePercentage": 29.9})] {
        assert!(
            matches!(run_of(fields), Outcome::Failed { error: Some(error), .. } if error == "States.ExceedToleratedFailureThreshold")
        );
    }
}

#[test]
fn items_are_read_batched_and_their_results_written() {
    let fields = json!({
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 3},
            "Parameters": {"Bucket": "b", "Key.$": "$.key"}},
        "ItemSelector": {"row.$": "$$.Map.Item.Value.a"},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"key.$": "$.key"}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "out", "Prefix": "p"}}});
    let machine = distributed(fields, json!({"Type": "Pass"}));
    let played = run_with(&machine, Start::with_input(json!({"key": "k"})), |call| match call.purpose {
        Purpose::ItemReader => {
            assert_eq!(call.input, json!({"Bucket": "b", "Key": "k"}));
            Answer::Succeeded(json!("a,b\n1,x\n2,y\n3,z\n4,w\n")).into()
        }
        _ => Answer::Succeeded(Value::Null).into(),
    });
    let batch = |rows: &[&str]| json!({"Items": rows.iter().map(|row| json!({"row": row})).collect::<Vec<_>>(), "BatchInput": {"key": "k"}});
    assert_eq!(
        played.calls[1].input,
        json!({"Bucket": "out", "Prefix": "p", "Body": [batch(&["1", "2"]), batch(&["3"])]})
    );
    let Outcome::Succeeded(output) = &played.outcome else { panic!("{:?}", played.outcome) };
    assert_eq!(output["ResultWriterDetails"]["Bucket"], json!("out"));
    assert!(output["ResultWriterDetails"]["Key"].as_str().unwrap().ends_with("/manifest.json"));
    let refused = |call: &Invoke| {
        assert_eq!(call.purpose, Purpose::ItemReader);
        Answer::Failed { error: None, cause: Some("no such key".into()) }.into()
    };
    let played = run_with(&machine, Start::with_input(json!({"key": "k"})), refused);
    assert_eq!(played.outcome, failed("States.ItemReaderFailed", "no such key"));
    assert!(types(&played).contains(&"MapRunFailed"));
}
