use super::super::{Lines, parse};
use super::*;

const ORDERS: &str = r#"{
  "StartAt": "Each",
  "QueryLanguage": "JSONata",
  "TimeoutSeconds": 3600,
  "States": {
    "Each": {
      "Type": "Map",
      "Items": "{% $states.input.orders %}",
      "Label": "orders",
      "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"}, "Arguments": {"Bucket": "b", "Key": "k"}},
      "ItemBatcher": {"MaxItemsPerBatch": 10, "BatchInput": {"a": 1}},
      "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "Prefix": "p"}},
      "ToleratedFailurePercentage": 5,
      "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "Both",
        "States": {
          "Both": {
            "Type": "Parallel",
            "Branches": [
              {"StartAt": "Charge", "States": {"Charge": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Arguments": {"FunctionName": "charge"},
                "Credentials": {"RoleArn": "arn:aws:iam::111122223333:role/other"},
                "TimeoutSeconds": 60,
                "Retry": [{"ErrorEquals": ["States.ALL"], "JitterStrategy": "FULL", "MaxDelaySeconds": 9}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Sorry", "Output": "{% $states.errorOutput %}"}],
                "Surprise": [1, 2],
                "End": true
              }, "Sorry": {"Type": "Fail", "Error": "No", "Cause": "{% 'x' %}"}}},
              {"StartAt": "Wait", "States": {"Wait": {"QueryLanguage": "JSONPath", "Type": "Wait", "SecondsPath": "$.s", "Next": "Ok"}, "Ok": {"Type": "Succeed"}}}
            ],
            "End": true
          }
        }
      },
      "Next": "Decide"
    },
    "Decide": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "Done"}], "Default": "Done"},
    "Done": {"Type": "Pass", "Output": 1, "End": true}
  }
}"#;

#[test]
fn every_state_is_met_with_the_states_around_it() {
    let parsed = parse(ORDERS).unwrap();
    let machine = Machine::of(parsed.root());
    let met: Vec<String> =
        machine.walk().iter().map(|visit| [&visit.within[..], &[visit.state.name]].concat().join("/")).collect();
    assert_eq!(
        met,
        [
            "Each",
            "Each/Both",
            "Each/Both/Charge",
            "Each/Both/Sorry",
            "Each/Both/Wait",
            "Each/Both/Ok",
            "Decide",
            "Done"
        ]
    );
}

#[test]
fn a_task_shows_its_integration_pattern_payload_and_error_handling() {
    let parsed = parse(ORDERS).unwrap();
    let machine = Machine::of(parsed.root());
    let visits = machine.walk();
    let charge = visits.iter().find(|visit| visit.state.name == "Charge").unwrap().state;
    let Kind::Task(task) = &charge.kind else { panic!("a Task") };
    let resource = task.resource.unwrap();
    assert_eq!(resource.target, Target::Optimised { service: "lambda", action: "invoke" });
    assert_eq!(resource.pattern, Pattern::WaitForTaskToken);
    assert_eq!(charge.query_language, QueryLanguage::Jsonata);
    assert_eq!(charge.data.payload().unwrap().get("FunctionName").unwrap().as_str(), Some("charge"));
    assert_eq!(
        task.credentials.unwrap().get("RoleArn").unwrap().as_str(),
        Some("arn:aws:iam::111122223333:role/other")
    );
    assert!(task.timeout.is_set() && !task.heartbeat.is_set());
    assert_eq!(task.retry[0].jitter_strategy.unwrap().as_str(), Some("FULL"));
    assert_eq!(task.catch[0].next.unwrap().as_str(), Some("Sorry"));
    assert!(task.catch[0].data.output.is_some());
    let lines = Lines::of(ORDERS);
    let place = lines.position(task.resource_node.unwrap().span().start);
    assert_eq!(lines.line(place.0).find("\"arn:aws:states:::lambda").map(|at| at + 1), Some(place.1));
    assert_eq!(parsed.root().path_to(charge.node), "/States/Each/ItemProcessor/States/Both/Branches/0/States/Charge");
    assert_eq!(charge.node.get("Surprise").unwrap().value(), &serde_json::json!([1, 2]));
}

#[test]
fn a_map_shows_where_its_items_come_from_and_its_results_go() {
    let parsed = parse(ORDERS).unwrap();
    let machine = Machine::of(parsed.root());
    let Kind::Map(map) = &machine.state("Each").unwrap().kind else { panic!("a Map") };
    assert_eq!(map.mode(), Mode::Distributed);
    assert_eq!(map.processor.as_ref().unwrap().config.unwrap().execution_type, Some(ExecutionType::Express));
    assert_eq!(map.item_reader.unwrap().resource.unwrap().integration(), Some(("s3", "getObject")));
    assert_eq!(map.result_writer.unwrap().payload.unwrap().get("Prefix").unwrap().as_str(), Some("p"));
    assert!(map.item_batcher.unwrap().max_items.is_set());
    assert!(map.tolerated_failure_percentage.is_set() && !map.tolerated_failure_count.is_set());
    assert_eq!(map.label.unwrap().as_str(), Some("orders"));
}

#[test]
fn a_state_without_a_language_has_the_machines_and_not_the_one_of_the_state_around_it() {
    let text = r#"{"StartAt": "P", "States": {"P": {"Type": "Parallel", "QueryLanguage": "JSONata", "End": true,
        "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}]}}}"#;
    let parsed = parse(text).unwrap();
    let languages: Vec<_> = Machine::of(parsed.root()).walk().iter().map(|visit| visit.state.query_language).collect();
    assert_eq!(languages, [QueryLanguage::Jsonata, QueryLanguage::JsonPath]);
}

#[test]
fn what_is_printed_is_what_was_read_with_the_keys_in_their_order() {
    let parsed = parse(ORDERS).unwrap();
    let printed = parsed.value.to_string();
    assert_eq!(parse(&printed).unwrap().value, parsed.value);
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(squeezed(&printed), squeezed(ORDERS));
}

#[test]
fn what_is_no_definition_is_read_without_a_panic() {
    for text in
        ["null", "[]", "{\"States\": 1}", "{\"States\": {\"A\": null, \"B\": {\"Type\": \"Map\", \"Retry\": 1}}}"]
    {
        let parsed = parse(text).unwrap();
        let _ = Machine::of(parsed.root()).walk();
    }
}
