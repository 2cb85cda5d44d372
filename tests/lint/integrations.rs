//! What a Task calls: whether it exists, in what pattern and with which fields.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stepbound::asl::lint::{Severity, lint};
use stepbound::asl::{Circumstances, Finding, Ignore, parse, prepare_with};
use stepbound::integrations::sdk::{operations_of, services};
use stepbound::integrations::{Parameter, all_optimised, date};

fn findings(state: Value) -> Vec<Finding> {
    findings_in(None, state)
}

fn findings_in(partition: Option<&'static str>, mut state: Value) -> Vec<Finding> {
    state["Type"] = json!("Task");
    state["End"] = json!(true);
    let text = json!({"StartAt": "A", "States": {"A": state}}).to_string();
    let circumstances = Circumstances { partition, ..Circumstances::default() };
    lint(parse(&text).unwrap().root(), circumstances)
}

/// Codes and messages of a call.
#[allow(clippy::needless_pass_by_value)]
fn told(resource: &str, parameters: Value) -> Vec<(&'static str, String)> {
    let resource = format!("arn:aws:states:::{resource}");
    let found = findings(json!({"Resource": resource, "Parameters": parameters, "TimeoutSeconds": 60}));
    found.into_iter().map(|finding| (finding.code, finding.message)).collect()
}

#[test]
fn an_action_that_a_known_service_does_not_have_is_an_error_with_the_day_of_the_table() {
    // Recorded: AWS refuses dynamodb:query, "The resource provided … is not recognized".
    let found = told("dynamodb:query", json!({"TableName": "t"}));
    assert_eq!(found.len(), 1);
    let (code, message) = &found[0];
    assert_eq!(*code, "SB080");
    assert!(message.contains("call its API with arn:aws:states:::aws-sdk:dynamodb:query"), "{message}");
    assert!(message.contains(date()) && message.contains("pass over SB080"), "{message}");
    assert!(date().len() == 10, "{}", date());
    let found = told("aws-sdk:s3:listObject", json!({"Bucket": "b"}));
    assert!(found[0].0 == "SB080" && found[0].1.contains("did you mean \"listObjects\"?"), "{found:?}");
    let finding = &findings(json!({"Resource": "arn:aws:states:::aws-sdk:s3:listObject"}))[0];
    assert_eq!(finding.severity, Severity::Error);
    assert!(Ignore::parse("SB080@/States/A").unwrap().covers(finding));
}

#[test]
fn a_service_that_the_table_does_not_have_may_be_new_and_is_a_warning() {
    for resource in ["ses:sendEmail", "aws-sdk:brandnew:makeThing", "aws-sdk:dynamodbb:getItem"] {
        let found = told(resource, json!({"Anything": 1}));
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), ["SB046"], "{resource}: {found:?}");
    }
    assert!(told("aws-sdk:dynamodbb:getItem", json!({}))[0].1.contains("did you mean \"dynamodb\"?"));
}

#[test]
fn patterns_are_those_of_the_action() {
    let code = |resource: &str| told(resource, json!({})).first().map(|one| one.0);
    let id = json!({"Id": "site:1"});
    assert_eq!(told("codebuild:stopBuild", id.clone()), []);
    assert_eq!(told("codebuild:stopBuild.sync", id)[0].0, "SB045");
    assert_eq!(code("lambda:invoke.sync"), Some("SB045"));
    assert_eq!(code("aws-sdk:glue:startJobRun.sync"), Some("SB045"));
    assert_eq!(told("glue:startJobRun.sync", json!({"JobName": "j"})), []);
    // In no documentation of AWS, and in no recording either.
    assert_eq!(told("glue:startJobRun.sync:2", json!({"JobName": "j"}))[0].0, "SB046");
    assert_eq!(
        told(
            "states:startExecution.sync:2",
            json!({"StateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:m"})
        ),
        []
    );
}

#[test]
fn an_integration_of_another_partition_is_refused_where_the_own_is_known() {
    let state = || json!({"Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn": "arn:aws-cn:sns:cn-north-1:111122223333:t", "Message": "m"}});
    assert_eq!(findings_in(Some("aws"), state()), []);
    assert_eq!(findings_in(None, state()), []);
    let found = findings_in(Some("aws-cn"), state());
    assert_eq!(found[0].code, "SB023");
    assert!(found[0].message.contains("write arn:aws-cn:states:::"), "{}", found[0].message);
}

#[test]
fn fields_that_a_call_does_not_have_are_told_and_those_that_it_lacks() {
    // The machine is created, and each execution fails: "The field \"TaskToken\" is not supported by Step Functions".
    let found = told(
        "lambda:invoke.waitForTaskToken",
        json!({"FunctionName": "charge", "Payload": {"a": 1}, "TaskToken.$": "$$.Task.Token"}),
    );
    assert!(
        found.iter().any(|(code, message)| *code == "SB081" && message.contains("no field \"TaskToken\"")),
        "{found:?}"
    );
    let found = told("aws-sdk:rds:startDBInstance", json!({"DBInstanceIdentifier": "shop"}));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "SB081" && found[0].1.contains("did you mean \"DbInstanceIdentifier\"?"), "{found:?}");
    // CreateStackRequest.Builder.templateURL, DbInstance.Builder.multiAZ (AWS SDK for Java 2).
    assert_eq!(
        told(
            "aws-sdk:cloudformation:createStack",
            json!({"StackName": "s", "TemplateURL": "https://a", "RoleARN": "r"})
        ),
        []
    );
    let found = told("aws-sdk:cloudformation:createStack", json!({"StackName": "s", "TemplateUrl": "https://a"}));
    assert!(found[0].0 == "SB081" && found[0].1.contains("did you mean \"TemplateURL\"?"), "{found:?}");
    let groups = json!({"AutoScalingGroupName": "g", "TargetGroupARNs": ["a"]});
    assert_eq!(told("aws-sdk:autoscaling:attachLoadBalancerTargetGroups", groups), []);
    let found = told("dynamodb:getItem", json!({"TableName": "t"}));
    assert!(found[0].0 == "SB082" && found[0].1.contains("needs Key too"), "{found:?}");
    assert_eq!(told("dynamodb:getItem", json!({"TableName": "t", "Key.$": "$.key"})), []);
    let whole = findings(
        json!({"QueryLanguage": "JSONata", "Resource": "arn:aws:states:::dynamodb:getItem", "Arguments": "{% $states.input %}"}),
    );
    assert_eq!(whole, [], "what comes from the input as a whole is not known");
}

#[test]
fn a_call_without_a_payload_lacks_each_field_that_it_needs() {
    for (resource, needed) in [
        ("sqs:sendMessage", "QueueUrl, MessageBody"),
        ("dynamodb:putItem", "TableName, Item"),
        ("aws-sdk:dynamodb:getItem", "TableName, Key"),
    ] {
        let resource = format!("arn:aws:states:::{resource}");
        for (language, payload) in [("JSONPath", "Parameters"), ("JSONata", "Arguments")] {
            let found = findings(json!({"QueryLanguage": language, "Resource": resource}));
            assert_eq!((found.len(), found[0].code, found[0].severity), (1, "SB082", Severity::Warning), "{found:?}");
            let message = format!("needs {needed}, and there are no {payload}");
            assert!(found[0].message.contains(&message), "{}", found[0].message);
        }
    }
    assert_eq!(findings(json!({"Resource": "arn:aws:states:::aws-sdk:ec2:describeInstances"})), []);
    let function = "arn:aws:lambda:eu-west-1:111122223333:function:f";
    assert!(findings(json!({"Resource": function})).iter().all(|one| one.code != "SB082"));
    let other = findings(json!({"Resource": "arn:aws:states:::sns:publish", "Arguments": {"Message": "m"}}));
    assert!(
        other.iter().all(|one| one.code != "SB082"),
        "it is told that Arguments are of the other language: {other:?}"
    );
}

/// Documented: aws-cdk, pull request 27635, has the answer of AWS to `cloudwatchlogs:CreateLogStream`, "The resource provided … is
/// not recognized"; developer guide, "The API action will always be camel case".
#[test]
fn the_action_of_a_call_of_the_sdk_is_in_camel_case() {
    let first = |resource: &str| told(resource, json!({})).into_iter().next().unwrap();
    for (resource, own) in [
        ("aws-sdk:s3:GetObject", "getObject"),
        ("aws-sdk:cloudwatchlogs:CreateLogStream", "createLogStream"),
        ("aws-sdk:dynamodb:PutItem", "putItem"),
        ("aws-sdk:dynamodb:PUTITEM", "putItem"),
        ("aws-sdk:rds:StartDBInstance", "startDBInstance"),
    ] {
        let (code, message) = first(resource);
        assert_eq!(code, "SB080", "{resource}: {message}");
        assert!(message.ends_with(&format!("did you mean \"{own}\"?")), "{message}");
    }
    for (resource, own) in [
        ("aws-sdk:cloudwatchlogs:createlogstream", "createLogStream"),
        ("aws-sdk:rds:startDbInstance", "startDBInstance"),
    ] {
        let (code, message) = first(resource);
        assert_eq!(code, "SB046", "{resource}: {message}");
        assert!(message.ends_with(&format!("did you mean \"{own}\"?")), "{message}");
    }
    let (code, message) = first("lambda:Invoke");
    assert_eq!(code, "SB080");
    assert!(message.contains("did you mean \"invoke\"?") && message.contains("aws-sdk:lambda:invoke"), "{message}");
    assert!(first("dynamodb:GETITEM").1.contains("did you mean \"getItem\"?"));
}

#[test]
fn what_reads_and_writes_for_a_map_is_told_in_a_task() {
    for action in ["getObject", "putObject", "listObjectsV2"] {
        let found = told(&format!("s3:{action}"), json!({"Bucket": "b", "Key": "k"}));
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), ["SB046"], "{found:?}");
        assert!(found[0].1.contains(&format!("write arn:aws:states:::aws-sdk:s3:{action}")), "{found:?}");
    }
    let map = json!({"StartAt": "A", "States": {"A": {"Type": "Map", "End": true,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "b", "Key": "k"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}}}});
    assert_eq!(lint(parse(&map.to_string()).unwrap().root(), Circumstances::default()), []);
}

#[test]
fn what_is_newer_than_the_table_is_delivered_when_its_workflow_passes_over_the_code() {
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::dynamodb:query", "Parameters": {"TableName": "t"}, "End": true});
    let text = json!({"StartAt": "A", "States": {"A": state}}).to_string();
    let prepare = |ignore: &str| {
        prepare_with(&text, &BTreeMap::new(), &[], Circumstances::default(), &Ignore::parse(ignore).unwrap())
    };
    assert!(prepare("").is_err());
    assert!(prepare("SB080").is_ok());
}

/// A call with its fields.
type Known = (String, Vec<Parameter>);

static CALLS: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let sdk = services()
        .flat_map(operations_of)
        .filter(|one| !one.was_not_supported())
        .map(|one| (format!("aws-sdk:{}:{}", one.service, one.action()), one.parameters().collect::<Vec<_>>()));
    // Those of S3 are for Maps.
    let optimised = all_optimised()
        .filter(|one| one.service != "s3")
        .map(|one| (format!("{}:{}", one.service, one.action), one.parameters()));
    // Each of the few made for Step Functions as often as a hundred operations of the SDK.
    let optimised: Vec<Known> = optimised.collect();
    sdk.chain(std::iter::repeat_n(optimised, 100).flatten()).collect()
});

/// Real calls with the fields that they need and some of the others, written out or taken from the input.
fn tasks() -> impl Strategy<Value = Vec<(usize, u64, bool)>> {
    prop::collection::vec((0..CALLS.len(), any::<u64>(), any::<bool>()), 1..8)
}

fn task((call, chosen, jsonata): (usize, u64, bool), next: &str) -> Value {
    let (resource, parameters) = &CALLS[call];
    let mut fields = Map::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let bit = chosen.rotate_right(u32::try_from(index % 64).unwrap());
        if !parameter.required && bit & 1 == 0 {
            continue;
        }
        let (key, value) = match (jsonata, bit & 2 == 0) {
            (true, true) => (parameter.name.to_owned(), json!("{% $states.input.x %}")),
            (false, true) => (format!("{}.$", parameter.name), json!("$.x")),
            (_, false) => (parameter.name.to_owned(), json!("x")),
        };
        fields.insert(key, value);
    }
    let (language, payload) = if jsonata { ("JSONata", "Arguments") } else { ("JSONPath", "Parameters") };
    json!({"Type": "Task", "QueryLanguage": language, "Resource": format!("arn:aws:states:::{resource}"), payload: fields, "Next": next})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What exists is never called unknown.
    #[test]
    fn real_operations_with_real_fields_are_known(tasks in tasks()) {
        let mut states = Map::new();
        let last = tasks.len();
        for (index, one) in tasks.into_iter().enumerate() {
            states.insert(format!("S{index}"), task(one, &format!("S{}", index + 1)));
        }
        states.insert(format!("S{last}"), json!({"Type": "Succeed"}));
        let text = json!({"StartAt": "S0", "States": states}).to_string();
        let parsed = parse(&text).unwrap();
        let about = ["SB023", "SB045", "SB046", "SB080", "SB081", "SB082"];
        let found = lint(parsed.root(), Circumstances::default());
        let found: Vec<String> =
            found.into_iter().filter(|one| about.contains(&one.code)).map(|one| format!("{} {}", one.path, one.message)).collect();
        prop_assert!(found.is_empty(), "{found:#?}\n{text}");
    }
}
