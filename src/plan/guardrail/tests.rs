use super::pattern::matches;
use super::*;
use crate::reason::Reason;
use proptest::prelude::*;
use serde_json::json;

fn rule(spec: &Value) -> Vec<Rule> {
    let mut whole = json!({"namespaceSelector": {}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    vec![Rule { name: "shops".into(), spec: serde_json::from_value(whole).unwrap() }]
}

fn binding(role_arn: &str, region: &str) -> TrustBindingSpec {
    serde_json::from_value(json!({"serviceAccountName": "orders", "roleARN": role_arn, "region": region})).unwrap()
}

fn workflow(more: &Value) -> WorkflowSpec {
    let mut spec = json!({
        "trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/shop-exec", "definition": {},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_selector_selects_as_kubernetes_does() {
    let cases = [
        (json!({}), true),
        (json!({"matchLabels": {"team": "shop"}}), true),
        (json!({"matchLabels": {"team": "other"}}), false),
        (json!({"matchLabels": {"absent": ""}}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["x", "shop"]}]}), true),
        (json!({"matchExpressions": [{"key": "absent", "operator": "In", "values": [""]}]}), false),
        (json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}), false),
        (json!({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["shop"]}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
        (json!({"matchExpressions": [{"key": "absent", "operator": "DoesNotExist"}]}), true),
        (json!({"matchExpressions": [{"key": "team", "operator": "Like"}]}), false),
    ];
    for (selector, expected) in cases {
        let read = serde_json::from_value(selector.clone()).unwrap();
        assert_eq!(selects(&read, &labels(&[("team", "shop")])), expected, "{selector}");
    }
}

#[test]
fn a_binding_is_held_to_accounts_regions_and_roles_and_told_which_guardrail_refused() {
    let role = "arn:aws:iam::111122223333:role/shop-orders";
    let check = |rules: Value| check_binding(&rule(&rules), "shop", &binding(role, "eu-west-1"));
    for allowed in [
        json!({}),
        json!({"allowedAccountIDs": ["111122223333"], "allowedRegions": ["eu-west-1"]}),
        json!({"allowedRoleARNs": ["arn:aws:iam::*:role/shop-*"]}),
    ] {
        assert_eq!(check(allowed.clone()), Ok(()), "{allowed}");
    }
    for (refused, word) in [
        (json!({"allowedAccountIDs": []}), "AWS account 111122223333"),
        (json!({"allowedAccountIDs": ["999988887777"]}), "is not among 999988887777"),
        (json!({"allowedRegions": ["us-east-1"]}), "region eu-west-1 is not among us-east-1"),
        (json!({"allowedRoleARNs": ["arn:aws:iam::111122223333:role/shop"]}), "matches none of"),
    ] {
        let failure = check(refused.clone()).unwrap_err();
        assert_eq!((failure.reason, failure.class), (Reason::RefusedByGuardrail, Class::Terminal));
        assert!(failure.message.starts_with("Guardrail \"shops\" for namespace \"shop\": "), "{}", failure.message);
        assert!(failure.message.contains(word), "{refused}: {}", failure.message);
    }
}

#[test]
fn where_several_select_a_namespace_each_must_allow_and_the_narrowest_limit_holds() {
    let mut rules = rule(&json!({"allowedRegions": ["eu-west-1"], "maxConcurrentRuns": 9, "maxStartsPerSecond": 2}));
    rules.extend(rule(&json!({"allowedRegions": ["us-east-1"], "maxConcurrentRuns": 3})));
    rules[1].name = "all".into();
    let role = "arn:aws:iam::111122223333:role/shop-orders";
    assert!(check_binding(&rules, "shop", &binding(role, "eu-west-1")).unwrap_err().message.contains("\"all\""));
    assert!(check_binding(&rules, "shop", &binding(role, "us-east-1")).unwrap_err().message.contains("\"shops\""));
    let expected = Limits { concurrent: Some((3, "all".into())), per_second: Some((2, "shops".into())) };
    assert_eq!(limits(&rules), expected);
}

#[test]
fn a_forbidden_integration_is_found_however_deep_and_however_written() {
    let task =
        |resource: &str| json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": true}}});
    let inside = |kind: &str, inner: Value| json!({"StartAt": "M", "States": {"M/x": {"Type": kind, "End": true, "ItemProcessor": inner}}});
    let branch = |inner: Value| json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [{"States": {}}, inner]}}});
    let lambda = "arn:aws:lambda:eu-west-1:111122223333:function:f";
    let cases = [
        (task("arn:aws:states:::lambda:invoke.waitForTaskToken"), "lambda:invoke", Some("/States/T")),
        (task(lambda), "lambda:*", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:lambda:invoke"), "lambda:invoke", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:sfn:startExecution"), "states:startExecution", Some("/States/T")),
        (task("arn:aws-cn:states:::states:startExecution.sync:2"), "STATES:*", Some("/States/T")),
        (task("arn:aws:states:::http:invoke"), "http:*", Some("/States/T")),
        (task("arn:aws:states:::aws-sdk:s3:getObject"), "aws-sdk:*", Some("/States/T")),
        (task("arn:aws:states:eu-west-1:111122223333:activity:a"), "activity", Some("/States/T")),
        (
            branch(inside("Map", task(lambda))),
            "lambda:invoke",
            Some("/States/P/Branches/1/States/M~1x/ItemProcessor/States/T"),
        ),
        (
            json!({"States": {"M": {"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject"}}}}),
            "s3:*",
            Some("/States/M/ItemReader"),
        ),
        (task("arn:aws:states:::sqs:sendMessage"), "lambda:*", None),
        (json!({"States": {"A": {"Type": "Pass", "Result": {"Resource": lambda}}}}), "lambda:*", None),
    ];
    for (definition, pattern, place) in cases {
        let rules = rule(&json!({"forbiddenIntegrations": [pattern]}));
        let checked = check_workflow(&rules, "shop", &workflow(&json!({})), "shop_w", Some(&definition));
        match place {
            Some(place) => {
                let message = checked.unwrap_err().message;
                assert!(message.contains(&format!("at {place} is forbidden by \"{pattern}\"")), "{message}");
            }
            None => assert_eq!(checked, Ok(()), "{definition}"),
        }
    }
}

#[test]
fn a_workflow_is_held_to_its_execution_role_alias_and_source() {
    let check = |rules: Value, spec: Value| {
        check_workflow(&rule(&rules), "shop", &workflow(&spec), "shop_fulfil", Some(&json!({})))
    };
    let aliased = json!({"aliases": [{"name": "live", "rollout": {"strategy": "AllAtOnce"}}]});
    let mapped = json!({"definition": null, "definitionFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}});
    assert!(check(json!({"requireAlias": true}), json!({})).is_err());
    assert_eq!(check(json!({"requireAlias": true}), aliased), Ok(()));
    assert!(check(json!({"forbidDefinitionFrom": true}), mapped.clone()).is_err());
    assert_eq!(check(json!({}), mapped), Ok(()));
    assert!(check(json!({"allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/other"]}), json!({})).is_err());
    assert!(check(json!({"allowedAccountIDs": ["999988887777"]}), json!({})).is_err());
    assert_eq!(check(json!({"allowedExecutionRoleARNs": ["*-exec"]}), json!({})), Ok(()));
    assert_eq!(check(json!({"allowedStateMachineNames": ["other", "shop_*"]}), json!({})), Ok(()));
    let message = check(json!({"allowedStateMachineNames": ["shop"]}), json!({})).unwrap_err().message;
    assert!(message.contains("the name shop_fulfil of the state machine matches none of shop."), "{message}");
}

#[test]
fn a_binding_needs_the_derived_session_policy_where_a_guardrail_says_so() {
    let rules = rule(&json!({"requireDerivedSessionPolicy": true}));
    let mut spec = binding("arn:aws:iam::111122223333:role/shop-orders", "eu-west-1");
    assert_eq!(check_binding(&rules, "shop", &spec), Ok(()));
    for other in [json!("None"), json!({"Version": "2012-10-17", "Statement": []}), json!("derived")] {
        spec.session_policy = serde_json::from_value(other.clone()).unwrap();
        assert!(check_binding(&rules, "shop", &spec).is_err(), "{other}");
        assert_eq!(check_binding(&rule(&json!({})), "shop", &spec), Ok(()), "{other}");
    }
}

fn task(fields: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"StartAt": "T", "States": {"T": state}})
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_a_forbidden_service_is_found_by_each_of_its_names() {
    let forbids = |pattern: &str, resource: &str| {
        let rules = rule(&json!({"forbiddenIntegrations": [pattern]}));
        let definition = task(&json!({"Resource": format!("arn:aws:states:::{resource}")}));
        check_workflow(&rules, "shop", &workflow(&json!({})), "w", Some(&definition)).is_err()
    };
    // By the prefix of the service's actions in IAM: every service of the SDK.
    for service in crate::integrations::sdk::services() {
        let operation = crate::integrations::sdk::operations_of(service).next().unwrap().name;
        let resource = format!("aws-sdk:{service}:{operation}");
        for prefix in crate::integrations::sdk::prefixes_of(service, operation) {
            for pattern in
                [prefix.clone(), format!("{prefix}:*"), format!("aws-sdk:{prefix}:*"), format!("aws-sdk:{prefix}")]
            {
                assert!(forbids(&pattern, &resource), "{pattern} {resource}");
            }
        }
        assert!(forbids(service, &resource) && forbids("aws-sdk", &resource), "{resource}");
        assert!(!forbids("nothing", &resource) && !forbids(&format!("{service}x"), &resource), "{resource}");
    }
    for (pattern, resource) in [
        ("bedrock", "aws-sdk:bedrockruntime:converse"),
        // By the names of calls that need the same right.
        ("lambda:invoke", "aws-sdk:lambda:invokeAsync"),
        ("lambda:invoke", "aws-sdk:lambda:invokeWithResponseStream"),
        ("aws-sdk:s3:putObject", "aws-sdk:s3:uploadPart"),
        ("bedrock:invokeModel", "aws-sdk:bedrockruntime:converse"),
        ("bedrockruntime:*", "bedrock:invokeModel"),
        ("elasticmapreduce", "aws-sdk:emr:runJobFlow"),
        ("emr:*", "elasticmapreduce:createCluster.sync"),
        ("states:startExecution", "aws-sdk:sfn:startExecution"),
        ("sfn:startExecution", "states:startExecution.sync:2"),
        ("sfn", "states:startExecution"),
        ("events", "aws-sdk:eventbridge:putEvents"),
        ("eventbridge:putEvents", "events:putEvents"),
        ("execute-api", "apigateway:invoke"),
        ("apigateway:invoke", "apigateway:invoke"),
        ("execute-api:*", "aws-sdk:apigatewaymanagementapi:postToConnection"),
        ("ecs:runTask", "ecs:runTask.waitForTaskToken"),
        ("glue:startJobRun", "glue:startJobRun.sync"),
        ("glue:startJobRun", "aws-sdk:glue:startJobRun"),
        ("mediaconvert", "mediaconvert:createJob.sync"),
        ("emrcontainers:*", "emr-containers:startJobRun"),
        ("emr-containers:*", "aws-sdk:emrcontainers:startJobRun"),
        ("emrserverless:startJobRun", "emr-serverless:startJobRun.sync"),
        ("emr-serverless", "aws-sdk:emrserverless:startJobRun"),
        ("logs:*", "aws-sdk:cloudwatchlogs:putLogEvents"),
        ("cognito-idp", "aws-sdk:cognitoidentityprovider:adminGetUser"),
        ("IAM:*", "aws-sdk:iam:createUser"),
    ] {
        assert!(forbids(pattern, resource), "{pattern} {resource}");
    }
    // One service is not another that shares its prefix in IAM, nor the SDK's call the optimised one.
    for (pattern, resource) in [
        ("bedrockagent:*", "bedrock:invokeModel"),
        ("bedrockruntime", "aws-sdk:bedrock:createGuardrail"),
        ("apigateway:createRestApi", "aws-sdk:apigateway:createStage"),
        ("lambda:invoke", "aws-sdk:lambda:getFunction"),
        ("apigatewayv2", "apigateway:invoke"),
        ("aws-sdk", "lambda:invoke"),
        ("aws-sdk:lambda:*", "lambda:invoke"),
        ("s3", "aws-sdk:s3tables:listTables"),
        ("glue:startJobRun", "glue:startCrawler"),
    ] {
        assert!(!forbids(pattern, resource), "{pattern} {resource}");
    }
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_every_account_that_a_definition_names_counts() {
    let role = |account: &str| format!("arn:aws:iam::{account}:role/other");
    let said = |definition: &Value| {
        let rules = rule(&json!({"allowedAccountIDs": ["111122223333"]}));
        check_workflow(&rules, "shop", &workflow(&json!({})), "w", Some(definition)).map_err(|failure| failure.message)
    };
    let inside = |inner: Value| json!({"States": {"P": {"Type": "Parallel", "Branches": [{"States": {"M": {"Type": "Map", "ItemProcessor": inner}}}]}}});
    let foreign = [
        json!({"Credentials": {"RoleArn": role("999988887777")}}),
        json!({"Credentials": {"RoleArn.$": "States.Format('arn:aws:iam::999988887777:role/{}', $.name)"}}),
        json!({"Resource": "arn:aws:lambda:eu-west-1:999988887777:function:f"}),
        json!({"Resource": "arn:aws:states:eu-west-1:999988887777:activity:a"}),
        json!({"Parameters": {"FunctionName": "arn:aws-cn:lambda:cn-north-1:999988887777:function:f"}}),
        json!({"Arguments": {"FunctionName": "999988887777:function:f"}}),
        json!({"Arguments": {"Input": {"deep": [{"er": "{% 'arn:aws:sns:eu-west-1:999988887777:t' %}"}]}}}),
        json!({"Parameters": {"TopicArn.$": "States.Format('arn:aws:sns:eu-west-1:999988887777:{}', $.t)"}}),
        json!({"Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/999988887777/q"}}),
        json!({"Parameters": {"QueueUrl": "https://eu-west-1.queue.amazonaws.com/999988887777/q"}}),
        json!({"Parameters": {"Bucket": "b", "ExpectedBucketOwner": "999988887777"}}),
        json!({"Arguments": {"CopySource": "b/k", "expectedSourceBucketOwner": "999988887777"}}),
        json!({"Parameters": {"CatalogId": "999988887777", "DatabaseName": "d"}}),
        json!({"Parameters": {"RegistryId": "999988887777"}}),
        json!({"Parameters": {"AccountId.$": "999988887777"}}),
        json!({"Type": "Pass", "Result": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}),
        json!({"Assign": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}),
        json!({"ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
            "Parameters": {"Bucket": "arn:aws:s3:eu-west-1:999988887777:accesspoint/p"}}}),
        json!({"ItemBatcher": {"BatchInput": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}}),
        json!({"Items": [{"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}]}),
        json!({"Choices": [{"Assign": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}]}),
        json!({"Choices": [{"Output": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}]}),
        json!({"Choices": [{"Output": {"Comment": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}]}),
        json!({"Catch": [{"Assign": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}]}),
        json!({"Catch": [{"Output": {"fn": "arn:aws:lambda:eu-west-1:999988887777:function:f"}}]}),
        json!({"Type": "Fail", "Cause": "arn:aws:lambda:eu-west-1:999988887777:function:f"}),
        json!({"Assign": {"keys": {"arn:aws:lambda:eu-west-1:999988887777:function:f": 1}}}),
        json!({"FieldOfLater": ["arn:aws:lambda:eu-west-1:999988887777:function:f"]}),
    ];
    for fields in foreign {
        for definition in [task(&fields), inside(task(&fields))] {
            let message = said(&definition).unwrap_err();
            assert!(message.contains("AWS account 999988887777 at /States/"), "{fields}: {message}");
        }
    }
    let open = [
        json!({"Credentials": {"RoleArn.$": "$.role"}}),
        json!({"Credentials": {"RoleArn": "{% $role %}"}}),
        json!({"Credentials": {"RoleArn": "{% 'arn:aws:iam::111122223333:role/x' ~> $f %}"}}),
        json!({"Credentials": {"RoleArn.$": "States.Format('arn:aws:iam::{}:role/x', $.account)"}}),
        json!({"Credentials": "{% $credentials %}"}),
    ];
    for fields in open {
        let message = said(&task(&fields)).unwrap_err();
        assert!(message.contains("at /States/T is known only when it runs"), "{fields}: {message}");
        assert!(message.contains("Write the role's ARN out"), "{message}");
    }
    let own = [
        json!({"Credentials": {"RoleArn": role("111122223333")}}),
        json!({"Credentials": {"RoleArn.$": "States.Format('arn:aws:iam::111122223333:role/{}', $.name)"}}),
        json!({"Parameters": {"Bucket": "arn:aws:s3:::bucket", "Policy": "arn:aws:iam::aws:policy/ReadOnlyAccess"}}),
        json!({"Parameters": {"Number": "999988887777", "Text": "barn: 999988887777", "Url": "https://a.example/999988887777/q"}}),
        json!({"Comment": "as arn:aws:iam::999988887777:role/x does", "Parameters": {"FunctionName.$": "$.fn"}}),
        json!({"Catch": [{"Comment": "as arn:aws:iam::999988887777:role/x does", "ErrorEquals": ["States.ALL"]}]}),
    ];
    for fields in own {
        assert_eq!(said(&task(&fields)), Ok(()), "{fields}");
    }
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_another_accounts_queue_counts_however_it_is_written() {
    let accounts =
        |state: &Value| -> Vec<String> { uses::uses(&task(state)).accounts.into_iter().map(|one| one.id).collect() };
    let sends = |field: &str, text: &str| json!({"Parameters": {field: text}});
    let anywhere = [
        "https://SQS.eu-west-1.amazonaws.com/999988887777/q",
        "https://eu-west-1.Queue.amazonaws.com/999988887777/q",
        "https://queue.amazonaws.com/999988887777/q",
        "https://sqs-FIPS.us-east-1.amazonaws.com/999988887777/q",
        "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/999988887777/q",
        "https://sqs.eu-west-1.amazonaws.com:443/999988887777/q",
        "https://sqs.eu-west-1.amazonaws.com//999988887777/q",
        "https://sqs.eu-west-1.amazonaws.com/x/../999988887777/q",
        "https:/sqs.eu-west-1.amazonaws.com/999988887777/q",
        "sqs.eu-west-1.amazonaws.com/999988887777/q",
        "//sqs.eu-west-1.amazonaws.com/999988887777/q",
        "{% 'https://sqs.eu-west-1.amazonaws.com/999988887777' & '/q' %}",
        "States.Format('https://sqs.{}.amazonaws.com/999988887777/{}', $.region, $.name)",
    ];
    for text in anywhere {
        for field in ["QueueUrl", "Url"] {
            assert_eq!(accounts(&sends(field, text)), ["999988887777"], "{field} {text}");
        }
    }
    let as_url = [
        "https://a.example/999988887777/q",
        "999988887777/q",
        "/999988887777/q",
        "//999988887777/q.fifo",
        "https://a.example/999988887777",
        "/x/999988887777/q",
    ];
    for text in as_url {
        for field in ["QueueUrl", "QueueUrl.$", "queueUrl"] {
            assert_eq!(accounts(&sends(field, text)), ["999988887777"], "{field} {text}");
        }
        assert_eq!(accounts(&sends("Url", text)), Vec::<String>::new(), "{text}");
    }
    let two = "https://sqs.eu-west-1.amazonaws.com/111122223333/../999988887777/q";
    assert_eq!(accounts(&sends("QueueUrl", two)), ["111122223333", "999988887777"]);
    let owner = sends("QueueOwnerAWSAccountId", "999988887777");
    assert_eq!(accounts(&owner), ["999988887777"]);
    let of_none = [
        ("QueueUrl", "202601010000"),
        ("QueueUrl", "orders-202601010000"),
        ("Number", "999988887777"),
        ("Key", "999988887777/2026/q"),
        ("Uri", "s3://bucket/202601010000/part"),
        ("Uri", "https://a.example/queue/202601010000/x"),
        ("Path", "/202601010000/a/b"),
        ("Path", "/202601010000/report"),
        ("Path", "/orders/202601010000"),
    ];
    for (field, text) in of_none {
        assert_eq!(accounts(&sends(field, text)), Vec::<String>::new(), "{field} {text}");
    }
    let numbered = "https://sqs.eu-west-1.amazonaws.com/111122223333/202601010000";
    assert_eq!(accounts(&sends("QueueUrl", numbered)), ["111122223333"], "the queue has digits for a name");
}

mod starts;

mod records {
    use std::time::Duration;

    use super::*;
    use jiff::Timestamp;

    fn of(integration: &str) -> RunsAs {
        runs_as(
            "arn:aws:iam::111122223333:role/e",
            &task(&json!({"Resource": format!("arn:aws:states:::{integration}")})),
            false,
        )
    }

    #[test]
    fn versions_that_run_as_the_same_share_a_record() {
        let mut records = Vec::new();
        remember_version(&mut records, 1, &of("lambda:invoke"));
        remember_version(&mut records, 2, &of("sqs:sendMessage"));
        remember_version(&mut records, 3, &of("lambda:invoke"));
        remember_machine(&mut records, &of("lambda:invoke"), Timestamp::UNIX_EPOCH, Duration::ZERO);
        assert_eq!(records.len(), 2);
        assert_eq!(of_version(&records, 1).unwrap().integrations, ["lambda:invoke"]);
        assert_eq!(of_version(&records, 2).unwrap().integrations, ["sqs:sendMessage"]);
        assert_eq!(of_machine(&records).unwrap().versions, [1, 3]);
        let before = records.clone();
        remember_machine(&mut records, &of("lambda:invoke"), Timestamp::MAX, Duration::ZERO);
        assert_eq!(records, before, "a status that says the same does not change");
        remember_machine(&mut records, &of("sqs:sendMessage"), Timestamp::MAX, Duration::ZERO);
        assert_eq!(of_machine(&records).unwrap().unversioned_since.as_ref().unwrap().0, Timestamp::MAX);
        settle_machine(&mut records, Timestamp::MAX);
        forget_machine(&mut records);
        assert!(of_machine(&records).is_none());
        for version in 1..=3 {
            forget_version(&mut records, version);
        }
        assert_eq!(records, []);
    }

    #[test]
    fn a_state_machine_that_is_updated_is_judged_by_what_it_was_and_by_what_it_becomes_until_aws_has_settled() {
        const SETTLE_TIME: Duration = Duration::from_secs(60);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let moving = |records: &[RunsAs], second: i64| -> Vec<String> {
            of_moving_machine(records, at(second)).flat_map(|record| record.integrations.clone()).collect()
        };
        let mut records = Vec::new();
        remember_machine(&mut records, &of("lambda:invoke"), at(0), SETTLE_TIME);
        assert_eq!(moving(&records, 1), [""; 0], "before there was none");
        update_machine(&mut records, &of("sqs:sendMessage"), at(10), SETTLE_TIME);
        assert_eq!(moving(&records, 1000), ["lambda:invoke", "sqs:sendMessage"], "nobody knows what came of it");
        assert!(settle_machine(&mut records, at(1000)).is_none() && of_machine(&records).is_none());
        let unanswered = records.clone();
        remember_machine(&mut records, &of("sqs:sendMessage"), at(2000), SETTLE_TIME);
        assert_eq!(of_machine(&records).unwrap().integrations, ["sqs:sendMessage"]);
        assert_eq!(moving(&records, 2059), ["lambda:invoke"], "it may have been made at the last moment");
        assert_eq!(settle_machine(&mut records, at(2050)), Some(Duration::from_secs(10)));
        assert_eq!(settle_machine(&mut records, at(2060)), None);
        assert_eq!((moving(&records, 2060), records.len()), (Vec::new(), 1));

        let mut set_back = unanswered;
        remember_machine(&mut set_back, &of("lambda:invoke"), at(2000), SETTLE_TIME);
        assert_eq!(moving(&set_back, 2001), ["sqs:sendMessage"], "the update may have been made, and undone");
        update_machine(&mut set_back, &of("sqs:sendMessage"), at(2002), SETTLE_TIME);
        update_machine(&mut set_back, &of("glue:startJobRun"), at(3000), SETTLE_TIME);
        assert_eq!(moving(&set_back, 5000), ["lambda:invoke", "sqs:sendMessage", "glue:startJobRun"]);
    }

    #[test]
    fn a_record_that_is_too_large_is_left_out_and_all_together_take_a_few_kilobytes() {
        let mut records = Vec::new();
        let states: serde_json::Map<String, Value> = (0..200)
            .map(|index| (index.to_string(), json!({"Resource": format!("arn:aws:states:::aws-sdk:s{index}:x")})))
            .collect();
        remember_version(&mut records, 1, &runs_as("r", &json!({"States": states}), false));
        remember_version(&mut records, 2, &of(&"x".repeat(300)));
        assert_eq!(records, []);
        for version in 1..=900 {
            remember_version(
                &mut records,
                version,
                &of(&format!("aws-sdk:a{}:b", "x".repeat(usize::try_from(version % 200).unwrap()))),
            );
        }
        let size = serde_json::to_string(&records).unwrap().len();
        assert!(size < 9_000, "{size}");
        assert!(of_version(&records, 900).is_some() && of_version(&records, 3).is_none(), "the newest are kept");
    }

    #[test]
    fn that_a_version_came_from_a_config_map_is_kept_however_large_its_record_is_and_however_many_follow() {
        let accounts: Vec<String> = (0..70).map(|n| format!("arn:aws:sns:eu-west-1:{n:012}:t")).collect();
        let large = runs_as("r", &task(&json!({"Result": accounts})), true);
        let (mut records, since) = (Vec::new(), Timestamp::UNIX_EPOCH);
        remember_version(&mut records, 1, &large);
        remember_version(&mut records, 2, &RunsAs { from_config_map: true, ..of("lambda:invoke") });
        remember_machine(&mut records, &large, since, Duration::ZERO);
        let before = records.clone();
        remember_machine(&mut records, &large, Timestamp::MAX, Duration::ZERO);
        assert_eq!(records, before, "a status that says the same does not change");
        update_machine(&mut records, &of("sqs:sendMessage"), since, Duration::ZERO);
        assert!(of_moving_machine(&records, since).any(|machine| machine.from_config_map), "while it is written");
        remember_machine(&mut records, &of("sqs:sendMessage"), since, Duration::ZERO);
        settle_machine(&mut records, since);
        assert!(!of_machine(&records).unwrap().from_config_map);
        for version in 3..=900 {
            let name = "x".repeat(usize::try_from(version % 200).unwrap());
            remember_version(&mut records, version, &of(&format!("aws-sdk:a{name}:b")));
        }
        for version in [1, 2] {
            let kept = of_version(&records, version).unwrap();
            assert!(kept.from_config_map && kept.omitted, "{version}");
            forget_version(&mut records, version);
            assert_eq!(of_version(&records, version), None);
        }
        assert!(of_version(&records, 900).is_some_and(|newest| !newest.omitted));
    }
}

proptest! {
    /// A pattern without `*` matches itself alone, and one made from a text by starring a part of it matches the text.
    #[test]
    fn patterns_match_what_they_were_made_of(text in "[a-z:/.+]{0,24}", from in 0usize..24, length in 0usize..24, other in "[a-z:/.+]{0,24}") {
        let (from, to) = (from.min(text.len()), (from + length).min(text.len()));
        let starred = format!("{}*{}", &text[..from], &text[to.max(from)..]);
        prop_assert!(matches(&starred, &text), "{starred} {text}");
        prop_assert_eq!(matches(&text, &other), text == other);
        prop_assert!(matches("*", &other));
    }
}
