use serde_json::{Value, json};

use super::*;
use crate::asl::{Node, Places};

fn derive(definition: &Value, surroundings: &Surroundings) -> Derived {
    let places = Places::of(definition);
    super::derive(&Machine::of(Node::root(definition, &places)), surroundings)
}

fn here() -> Surroundings {
    Surroundings {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        name: Some("shop_fulfil".into()),
        execution_role_arn: Some("arn:aws:iam::111122223333:role/exec".into()),
        ..Surroundings::default()
    }
}

fn task(fields: &Value) -> Value {
    let mut state = json!({"Type": "Task", "End": true});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"StartAt": "A", "States": {"A": state}})
}

#[test]
fn nothing_unresolved_ever_becomes_a_star() {
    let dynamic = [
        ("lambda:invoke", json!({"FunctionName.$": "$.f"})),
        ("states:startExecution.sync:2", json!({"StateMachineArn.$": "$.m"})),
        ("sns:publish", json!({"TopicArn.$": "$.t"})),
        ("sqs:sendMessage", json!({"QueueUrl.$": "$.q"})),
        ("dynamodb:getItem", json!({"TableName.$": "$.t"})),
        ("events:putEvents", json!({"Entries": [{"EventBusName.$": "$.b"}]})),
        ("aws-sdk:s3:getObject", json!({"Bucket.$": "$.b", "Key": "k"})),
        ("aws-sdk:dynamodb:query", json!({"TableName.$": "$.t"})),
        ("sagemaker:createTrainingJob.sync", json!({"TrainingJobName.$": "$.n", "RoleArn.$": "$.r"})),
        ("glue:startJobRun.sync", json!({"JobName.$": "$.j"})),
    ];
    for (resource, parameters) in dynamic {
        let definition = task(&json!({"Resource": format!("arn:aws:states:::{resource}"), "Parameters": parameters}));
        let derived = derive(&definition, &here());
        assert!(!derived.is_complete(), "{resource}");
        assert!(derived.findings.iter().all(|one| one.message.contains("state \"A\"")), "{:?}", derived.findings);
        let stars = derived.needs.iter().filter(|need| need.resources.iter().any(|one| one == "*"));
        assert_eq!(stars.count(), 0, "{resource}: {:?}", derived.needs);
    }
}

#[test]
fn what_comes_from_the_input_can_be_given_from_outside() {
    let definition =
        task(&json!({"Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn.$": "$.topic"}}));
    let open = derive(&definition, &here());
    assert_eq!(
        open.findings[0].message,
        "state \"A\" takes its topic from the input ($.topic); give it with --resource A=ARN"
    );
    let topic = "arn:aws:sns:eu-west-1:111122223333:news".to_owned();
    let mut here = here();
    here.resources.insert("A".into(), vec![topic.clone(), "arn:aws:sqs:eu-west-1:111122223333:other".into()]);
    let closed = derive(&definition, &here);
    assert!(closed.is_complete());
    assert_eq!(closed.needs[0].resources, [topic]);
}

#[test]
fn a_role_of_another_account_is_assumed_and_must_trust_the_execution_role() {
    let role = "arn:aws:iam::444455556666:role/theirs";
    let definition = task(&json!({
        "Resource": "arn:aws:states:::dynamodb:getItem", "Credentials": {"RoleArn": role}, "Parameters": {"TableName": "t"}
    }));
    let derived = derive(&definition, &here());
    assert_eq!(derived.needs.len(), 1);
    assert_eq!(
        (derived.needs[0].actions[0].as_str(), derived.needs[0].resources[0].as_str()),
        ("sts:AssumeRole", role)
    );
    let target = &derived.targets[0];
    assert_eq!(target.needs[0].resources, ["arn:aws:dynamodb:eu-west-1:444455556666:table/t"]);
    assert_eq!(
        target.trust.as_ref().unwrap().to_value()["Statement"][0],
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/exec"}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil"}}})
    );
}

#[test]
fn states_inside_of_states_are_found_with_their_place() {
    let inner = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Task", "End": true, "Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t"}}}});
    let definition = json!({"StartAt": "P", "States": {
        "P": {"Type": "Parallel", "Branches": [inner("a"), inner("b/c")], "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": inner("d"), "End": true},
    }});
    let derived = derive(&definition, &here());
    let places: Vec<&str> = derived.needs.iter().map(|need| need.reason.path.as_str()).collect();
    assert_eq!(
        places,
        ["/States/P/Branches/0/States/a", "/States/P/Branches/1/States/b~1c", "/States/M/ItemProcessor/States/d"]
    );
    assert_eq!(derived.document().statements.len(), 1, "the same need is one statement");
}

#[test]
fn an_unknown_operation_is_a_finding_with_its_likely_action() {
    let definition =
        |resource: &str| task(&json!({"Resource": format!("arn:aws:states:::{resource}"), "Parameters": {}}));
    let told = |resource: &str| derive(&definition(resource), &here()).findings[0].message.clone();
    assert!(told("aws-sdk:cloudwatchlogs:getLogObject").contains("it is logs:GetLogObject; add it by hand"));
    assert!(told("aws-sdk:dynamodb:getItems").contains("did you mean \"getItem\"?"));
    assert!(told("lambda:start").contains("is no integration"));
    assert!(derive(&task(&json!({"Resource": "nonsense"})), &here()).findings[0].message.contains("correct it"));
}
