//! What is taken as it is though it looks otherwise, and values that a call is certain to fail with.

use serde_json::{Value, json};

use super::*;

/// Code, path and message of what is found in a definition with this one state.
fn told(state: &Value) -> Vec<(&'static str, String, String)> {
    let definition = json!({"StartAt": "A", "States": {"A": state}});
    let found = findings(&definition.to_string(), Circumstances::default());
    assert!(found.iter().all(|finding| !finding.is_error()), "{found:?}");
    found.into_iter().map(|finding| (finding.code, finding.path, finding.message)).collect()
}

fn paths(state: &Value, code: &str) -> Vec<String> {
    let found = told(state);
    assert!(found.iter().all(|one| one.0 == code), "{found:?}");
    found.into_iter().map(|(_, path, _)| path.trim_start_matches("/States/A/").to_owned()).collect()
}

fn call(resource: &str, payload: &Value) -> Value {
    json!({"Type": "Task", "Resource": format!("arn:aws:states:::{resource}"), "Parameters": payload, "End": true})
}

#[test]
fn an_expression_in_jsonpath_is_told_to_be_a_text() {
    let expression = "{% $states.input.name %}";
    let pass = |field: &str| json!({"Type": "Pass", field: {"a": [{"b": expression}]}, "End": true});
    for field in ["Parameters", "Result", "Assign"] {
        assert_eq!(paths(&pass(field), "SB083"), [format!("{field}/a/0/b")]);
    }
    let fail = json!({"Type": "Fail", "Error": "E", "Cause": expression});
    assert_eq!(paths(&fail, "SB083"), ["Cause"]);
    let half = json!({"Type": "Pass", "Result": {"a": "{% half", "b": "%}"}, "End": true});
    assert_eq!(told(&half), [], "no more than a text that begins so");
    let own = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"a": expression}, "End": true});
    assert_eq!(told(&own), []);
}

#[test]
fn a_path_in_the_result_of_a_pass_is_told_to_be_handed_on_as_it_is() {
    let result = |result: Value| json!({"Type": "Pass", "Result": result, "End": true});
    let nested = result(json!({"a": {"who.$": "$.name"}, "b": [{"c.$": "States.UUID()"}, {"d.$": "$$.Execution.Id"}]}));
    assert_eq!(paths(&nested, "SB083"), ["Result/a/who.$", "Result/b/0/c.$", "Result/b/1/d.$"]);
    assert!(told(&nested)[0].2.contains("Parameters instead of Result"));
    for innocent in [json!({"price.$": 5}), json!({"price.$": "five"}), json!({"path": "$.name"})] {
        assert_eq!(told(&result(innocent)), []);
    }
}

#[test]
fn a_queue_by_its_arn_and_a_topic_by_its_name_are_told() {
    let arn = "arn:aws:sqs:eu-west-1:111122223333:q";
    let queue = |value: &Value| json!({"QueueUrl": value, "MessageBody": "m"});
    for resource in ["sqs:sendMessage", "aws-sdk:sqs:sendMessage"] {
        assert_eq!(paths(&call(resource, &queue(&json!(arn))), "SB084"), ["Parameters/QueueUrl"]);
        assert_eq!(told(&call(resource, &queue(&json!("https://sqs.eu-west-1.amazonaws.com/111122223333/q")))), []);
    }
    assert_eq!(told(&call("sqs:sendMessage", &json!({"QueueUrl.$": "$.arn", "MessageBody": "m"}))), []);
    let publish = |topic: &str| call("sns:publish", &json!({"TopicArn": topic, "Message": "m"}));
    assert_eq!(paths(&publish("orders"), "SB084"), ["Parameters/TopicArn"]);
    assert_eq!(told(&publish("arn:aws:sns:eu-west-1:111122223333:orders")), []);
    let start = |machine: &str| call("states:startExecution", &json!({"StateMachineArn": machine}));
    assert_eq!(paths(&start("$.machine"), "SB084"), ["Parameters/StateMachineArn"]);
    assert_eq!(told(&start("arn:aws:states:eu-west-1:111122223333:stateMachine:m")), []);
    let jsonata = json!({"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::sns:publish",
        "Arguments": {"TopicArn": "{% $states.input.topic %}", "Message": "m"}, "End": true});
    assert_eq!(told(&jsonata), []);
}

#[test]
fn what_is_no_attribute_value_of_dynamodb_is_told_with_what_to_write() {
    let get = |resource: &str, key: Value| call(resource, &json!({"TableName": "t", "Key": key}));
    for resource in ["dynamodb:getItem", "aws-sdk:dynamodb:getItem"] {
        for (value, instead) in [
            (json!("x"), r#"{"S": "x"}"#),
            (json!(7), r#"{"N": "7"}"#),
            (json!(true), r#"{"BOOL": true}"#),
            (json!(["x"]), r#"{"L": […]}"#),
            (json!({"name": "x"}), r#"{"M": {…}}"#),
        ] {
            let found = told(&get(resource, json!({"id": value})));
            assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, "SB084", "/States/A/Parameters/Key/id"));
            assert!(found[0].2.contains(instead), "{}", found[0].2);
        }
        for right in [
            json!({"id": {"S": "x"}}),
            json!({"id": {"S.$": "$.id"}}),
            json!({"id.$": "$.id"}),
            json!({"a": {"Bool": true}, "b": {"Nul": true}, "c": {"Ss": ["x"]}}),
            json!({"id": {}}),
        ] {
            assert_eq!(told(&get(resource, right)), []);
        }
    }
    let put = json!({"TableName": "t", "Item": {"id": {"S": "x"}, "n": 1}});
    assert_eq!(paths(&call("dynamodb:putItem", &put), "SB084"), ["Parameters/Item/n"]);
    let jsonata = |value: &str| {
        json!({"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::dynamodb:getItem",
            "Arguments": {"TableName": "t", "Key": {"id": value}}, "End": true})
    };
    assert_eq!(told(&jsonata("{% $states.input.key %}")), []);
    assert_eq!(paths(&jsonata("x"), "SB084"), ["Arguments/Key/id"]);
}

#[test]
fn a_method_in_small_letters_is_told() {
    let invoke = |method: &str| {
        call(
            "http:invoke",
            &json!({"ApiEndpoint": "https://api.example.com", "Method": method,
                "Authentication": {"ConnectionArn": "arn:aws:events:eu-west-1:111122223333:connection/c/1"}}),
        )
    };
    assert_eq!(paths(&invoke("get"), "SB084"), ["Parameters/Method"]);
    assert!(told(&invoke("Post"))[0].2.contains("write \"POST\""));
    assert_eq!(told(&invoke("GET")), []);
}

#[test]
fn a_value_that_a_template_puts_in_may_have_any_form() {
    let circumstances = Circumstances { placeholders: true, ..Circumstances::default() };
    for task in [
        call("sns:publish", &json!({"TopicArn": "${Topic}", "Message": "m"})),
        call("dynamodb:getItem", &json!({"TableName": "t", "Key": {"id": "${Key}"}})),
    ] {
        let definition = json!({"StartAt": "A", "States": {"A": task}}).to_string();
        assert_eq!(findings(&definition, circumstances), []);
    }
}

/// The names that a service has elsewhere lead to the one that it has here.
#[test]
fn a_service_by_another_of_its_names_is_told_with_its_own() {
    let message = |resource: &str| {
        let found = told(&call(resource, &json!({})));
        assert_eq!((found.len(), found[0].0), (1, "SB046"), "{found:?}");
        found[0].2.clone()
    };
    assert!(message("aws-sdk:logs:putLogEvents").contains("did you mean \"cloudwatchlogs\"?"));
    assert!(message("aws-sdk:states:startExecution").contains("did you mean \"sfn\"?"));
    assert!(message("stepfunctions:startExecution").contains("did you mean \"states\"?"));
    assert!(message("logs:putLogEvents").contains("arn:aws:states:::aws-sdk:cloudwatchlogs:<action>"));
    assert!(!message("weather:getForecast").contains("aws-sdk"), "no such call would be right");
}

/// A product may have several services, and an operation is that of one of them.
#[test]
fn an_operation_of_another_service_is_told_with_that_service() {
    let message = |resource: &str| {
        let definition = json!({"StartAt": "A", "States": {"A": call(resource, &json!({}))}});
        let found = findings(&definition.to_string(), Circumstances::default());
        assert_eq!((found.len(), found[0].code), (1, "SB080"), "{found:?}");
        found[0].message.clone()
    };
    for (resource, meant) in [
        ("sagemaker:invokeEndpoint", "sagemakerruntime:invokeEndpoint"),
        ("iot:publish", "iotdataplane:publish"),
        ("dynamodb:getShardIterator", "dynamodbstreams:getShardIterator"),
    ] {
        let text = message(&format!("aws-sdk:{resource}"));
        assert!(text.contains(&format!("did you mean arn:aws:states:::aws-sdk:{meant}?")), "{text}");
    }
    assert!(!message("aws-sdk:sagemaker:flyToTheMoon").contains("has it"));
}

/// What AWS answers to such a literal in a comparison is not on record, so it is a warning.
#[test]
fn a_comparison_with_what_is_no_time_is_told() {
    let found = |rule: Value| {
        let definition = json!({"StartAt": "A", "States": {"B": {"Type": "Succeed"},
            "A": {"Type": "Choice", "Choices": [rule], "Default": "B"}}});
        let found = findings(&definition.to_string(), Circumstances::default());
        assert!(found.iter().all(|one| !one.is_error()), "{found:?}");
        found.into_iter().map(|one| (one.code, one.path)).collect::<Vec<_>>()
    };
    for operator in ["Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"] {
        let operator = format!("Timestamp{operator}");
        for text in ["tomorrow", "2016-03-14", "2016-03-14t01:59:00z", "2016-13-14T01:59:00Z", "$.due"] {
            let path = format!("/States/A/Choices/0/{operator}");
            assert_eq!(found(json!({"Variable": "$.due", &operator: text, "Next": "B"})), [("SB085", path)], "{text}");
        }
        for text in ["2016-03-14T01:59:00Z", "2016-03-14T01:59:00.123+02:00"] {
            assert_eq!(found(json!({"Variable": "$.due", &operator: text, "Next": "B"})), []);
        }
        assert_eq!(found(json!({"Variable": "$.due", format!("{operator}Path"): "$.now", "Next": "B"})), []);
    }
    let inner = json!({"Not": {"Variable": "$.due", "TimestampEquals": "tomorrow"}, "Next": "B"});
    assert_eq!(found(inner), [("SB085", "/States/A/Choices/0/Not/TimestampEquals".to_owned())]);
    assert_eq!(found(json!({"Variable": "$.due", "StringEquals": "tomorrow", "Next": "B"})), []);
}
