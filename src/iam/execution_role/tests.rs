use serde_json::{Value, json};

use super::*;
use crate::asl::{Node, Places};
use crate::integrations::{Operation, all_optimised, sdk};

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

/// Every operation, with nothing in its fields and with everything from the input: what is told and printed names no part of an
/// ARN as the service authorization reference writes it.
#[test]
fn nothing_that_is_told_has_a_placeholder_of_the_reference() {
    let parameters = |operation: &Operation, filled: bool| {
        let names = operation.parameters().filter(|_| filled);
        names.map(|one| (format!("{}.$", one.name), json!("$.x"))).collect::<serde_json::Map<_, _>>()
    };
    let optimised = all_optimised().map(|one| (format!("{}:{}", one.service, one.action), Vec::new()));
    let operations = sdk::services().flat_map(sdk::operations_of);
    let sdk = operations.flat_map(|one| {
        let resource = format!("aws-sdk:{}:{}", one.service, one.action());
        [false, true].map(|filled| (resource.clone(), vec![Value::Object(parameters(&one, filled))]))
    });
    for (resource, given) in optimised.chain(sdk) {
        let mut fields = json!({"Resource": format!("arn:aws:states:::{resource}")});
        if let Some(given) = given.first() {
            fields["Parameters"] = given.clone();
        }
        let derived = derive(&task(&fields), &here());
        let told = derived.findings.iter().map(|one| one.message.as_str());
        let needs = derived.needs.iter().flat_map(|need| need.resources.iter().map(String::as_str));
        for text in told.chain(needs) {
            assert!(!text.contains("${"), "{resource}: {text}");
        }
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
fn what_a_resource_is_taken_from_is_told_as_what_it_is() {
    let own = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";
    let told = |fields: &Value| derive(&task(fields), &here()).findings[0].message.clone();
    let start = |path: &str| {
        told(&json!({"Resource": "arn:aws:states:::states:startExecution", "Parameters": {"StateMachineArn.$": path}}))
    };
    let message = start("$$.StateMachine.Id");
    assert!(
        message.contains("from the context object ($$.StateMachine.Id), which is the state machine itself"),
        "{message}"
    );
    assert!(message.contains(&format!("--resource A={own}")), "{message}");
    for (path, from) in [
        ("$$.Execution.Input.machine", "from the context object ($$.Execution.Input.machine); give"),
        ("$machine", "from a variable ($machine); give"),
        ("$.machine", "from the input ($.machine); give"),
        ("States.Format('{}{}', $.a, $$.Execution.Name)", "from the context object and what else it names ("),
        ("States.Format('{}', $$.Execution.Name)", "from the context object ("),
    ] {
        assert!(start(path).contains(from), "{}", start(path));
    }
    let jsonata = |expression: &str| {
        told(&json!({"QueryLanguage": "JSONata", "Resource": "arn:aws:states:::sns:publish",
            "Arguments": {"TopicArn": expression, "Message": "m"}}))
    };
    assert!(jsonata("{% $states.context.Execution.Input.topic %}").contains("from the context object ("));
    assert!(jsonata("{% $states.input.topic %}").contains("from the input ("));
    let role = told(
        &json!({"Resource": "arn:aws:states:::sns:publish", "Credentials": {"RoleArn.$": "$$.Execution.Input.role"},
        "Parameters": {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t"}}),
    );
    assert!(role.contains("from the context object ($$.Execution.Input.role)"), "{role}");
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
            "Condition": {"StringLike": {"sts:ExternalId": ["arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil",
                "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:*"]}}})
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

/// What a call needs, and what it leaves open.
fn needs(resource: &str, parameters: &Value) -> (Vec<Need>, Vec<Finding>) {
    let resource = format!("arn:aws:states:::{resource}");
    let derived = derive(&task(&json!({"Resource": resource, "Parameters": parameters})), &here());
    (derived.needs, derived.findings)
}

/// IAM user guide, "Specifying special characters".
#[test]
fn a_sign_in_what_is_written_out_is_no_wildcard() {
    let resources = |resource: &str, parameters: Value| {
        let (needs, findings) = needs(resource, &parameters);
        assert!(findings.iter().all(|finding| !finding.missing), "{resource}: {findings:?}");
        needs.into_iter().flat_map(|need| need.resources).collect::<Vec<_>>()
    };
    let key = |key: &str| json!({"Bucket": "b", "Key": key});
    assert_eq!(resources("aws-sdk:s3:getObject", key("a*b?c")), ["arn:aws:s3:::b/a${*}b${?}c"]);
    assert_eq!(resources("aws-sdk:s3:getObject", key("*")), ["arn:aws:s3:::b/${*}"]);
    assert_eq!(resources("aws-sdk:s3:deleteObject", key("cost $5")), ["arn:aws:s3:::b/cost $5"]);
    assert_eq!(resources("aws-sdk:s3:deleteObject", key("a${b")), ["arn:aws:s3:::b/a${$}{b"]);
    let objects = json!({"Bucket": "b", "Delete": {"Objects": [{"Key": "x*"}]}});
    assert_eq!(resources("aws-sdk:s3:deleteObjects", objects), ["arn:aws:s3:::b/x${*}"]);
    let copy = json!({"Bucket": "b", "Key": "k", "CopySource": "from/a%2A%3Fb?versionId=1"});
    assert_eq!(resources("aws-sdk:s3:copyObject", copy)[0], "arn:aws:s3:::from/a${*}${?}b");
    let statement = json!({"Statement": "SELECT * FROM t WHERE id = ?"});
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/t";
    assert_eq!(resources("aws-sdk:dynamodb:executeStatement", statement), [table]);
    let parameter = json!({"Name": "/shop/*"});
    let arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/shop/${*}";
    assert_eq!(resources("aws-sdk:ssm:getParameter", parameter), [arn]);
    let latest = json!({"FunctionName": "f", "Qualifier": "$LATEST"});
    assert_eq!(
        resources("lambda:invoke", latest),
        ["arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST"],
        "a sign without a brace behind it has no meaning"
    );
    let of_input = json!({"Bucket": "b", "Key.$": "$.key"});
    assert_eq!(resources("aws-sdk:s3:getObject", of_input), ["arn:aws:s3:::b/*"], "which one is the input's to say");
    let (open, findings) = needs("aws-sdk:s3:getObject", &key("${Name}*"));
    assert!(open.is_empty() && findings[0].message.contains("${Name}, which has no value here"), "{findings:?}");
}

#[test]
fn what_waf_has_for_cloudfront_is_in_one_region() {
    for (scope, expected) in [
        ("CLOUDFRONT", "arn:aws:wafv2:us-east-1:111122223333:global/ipset/blocked/1"),
        ("REGIONAL", "arn:aws:wafv2:eu-west-1:111122223333:regional/ipset/blocked/1"),
    ] {
        for action in ["getIPSet", "updateIPSet"] {
            let fields = json!({"Scope": scope, "Name": "blocked", "Id": "1", "Addresses": [], "LockToken": "t"});
            let (needs, findings) = needs(&format!("aws-sdk:wafv2:{action}"), &fields);
            assert_eq!((needs[0].resources.as_slice(), findings.len()), ([expected.to_owned()].as_slice(), 0));
        }
    }
}

#[test]
fn what_is_named_by_its_arn_is_of_one_kind() {
    let states = |resource: &str| format!("arn:aws:states:eu-west-1:111122223333:{resource}");
    for (action, field, resource) in [
        ("describeExecution", "ExecutionArn", "execution:m:one"),
        ("describeExecution", "ExecutionArn", "express:m:one:two"),
        ("getExecutionHistory", "ExecutionArn", "execution:m:one"),
        ("stopExecution", "ExecutionArn", "execution:m:one"),
        ("listExecutions", "StateMachineArn", "stateMachine:m"),
        ("listExecutions", "MapRunArn", "mapRun:m/label:one"),
        ("updateStateMachineAlias", "StateMachineAliasArn", "stateMachine:m:live"),
    ] {
        let (needs, findings) = needs(&format!("aws-sdk:sfn:{action}"), &json!({field: states(resource)}));
        assert_eq!(findings, [], "{action} {resource}");
        assert_eq!(needs[0].resources, [states(resource)], "{action}");
    }
    // By a version or an alias, what is allowed is the machine.
    for action in ["describeStateMachine", "listExecutions", "startSyncExecution"] {
        for qualified in ["stateMachine:m:3", "stateMachine:m:live"] {
            let (needs, _) = needs(&format!("aws-sdk:sfn:{action}"), &json!({"StateMachineArn": states(qualified)}));
            assert_eq!(needs[0].resources, [states("stateMachine:m")], "{action} {qualified}");
        }
    }
    let (open, findings) = needs("aws-sdk:sfn:describeExecution", &json!({"ExecutionArn.$": "$.arn"}));
    assert!(open.is_empty() && findings.iter().any(|finding| finding.missing), "{findings:?}");
}

#[test]
fn a_list_may_name_some_by_arn_and_others_by_name() {
    for (resource, field, kind, format) in [
        ("ssm:getParameters", "Names", "ssm", "parameter/"),
        ("codebuild:batchGetProjects", "Names", "codebuild", "project/"),
        ("ecs:describeClusters", "Clusters", "ecs", "cluster/"),
    ] {
        let other = format!("arn:aws:{kind}:eu-west-1:999988887777:{format}shared");
        let (needs, _) = needs(&format!("aws-sdk:{resource}"), &json!({field: ["own", other.clone()]}));
        let own = format!("arn:aws:{kind}:eu-west-1:111122223333:{format}own");
        assert_eq!(needs[0].resources, [own, other], "{resource}");
    }
}

#[test]
fn secrets_that_are_read_together_are_each_to_be_read() {
    let whole = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:y-AbCdEf";
    let batch = |fields: &serde_json::Value| needs("aws-sdk:secretsmanager:batchGetSecretValue", fields);
    let of = |needs: &[Need], action: &str| {
        needs.iter().find(|need| need.actions.iter().any(|one| one == action)).map(|need| need.resources.clone())
    };
    let (needs, findings) = batch(&json!({"SecretIdList": ["x", whole]}));
    let named = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-??????";
    assert_eq!(of(&needs, "secretsmanager:GetSecretValue"), Some(vec![named.to_owned(), whole.to_owned()]));
    assert!(of(&needs, "secretsmanager:ListSecrets").is_none() && findings.is_empty(), "{findings:?}");
    let (needs, findings) = batch(&json!({"Filters": [{"Key": "name", "Values": ["shop"]}]}));
    assert_eq!(of(&needs, "secretsmanager:ListSecrets"), Some(vec!["*".to_owned()]));
    assert!(findings.iter().any(|finding| finding.missing), "{findings:?}");
}

#[test]
fn an_api_is_where_its_host_says() {
    for (host, expected) in [
        ("abc.execute-api.us-east-1.amazonaws.com", "us-east-1:111122223333:abc"),
        ("https://abc.execute-api.eu-west-1.amazonaws.com", "eu-west-1:111122223333:abc"),
        ("abc-vpce-0123.execute-api.us-east-2.amazonaws.com", "us-east-2:111122223333:abc"),
        ("abc.execute-api.amazonaws.com", "eu-west-1:111122223333:abc"),
    ] {
        let fields = json!({"ApiEndpoint": host, "Method": "GET", "Stage": "s", "Path": "/p", "AuthType": "IAM_ROLE"});
        let (needs, _) = needs("apigateway:invoke", &fields);
        assert_eq!(needs[0].resources, [format!("arn:aws:execute-api:{expected}/s/GET/p")], "{host}");
    }
}

#[test]
fn what_is_called_may_need_no_right() {
    let activity = task(&json!({"Resource": "arn:aws:states:eu-west-1:111122223333:activity:a"}));
    let open = task(&json!({"Resource": "arn:aws:states:::apigateway:invoke",
        "Parameters": {"ApiEndpoint": "abc.execute-api.eu-west-1.amazonaws.com", "Method": "GET", "AuthType": "NO_AUTH"}}));
    let pass = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    for (definition, calls) in [(activity, true), (open, true), (pass, false)] {
        let derived = derive(&definition, &here());
        assert_eq!((derived.calls, derived.needs.len(), derived.findings.len()), (calls, 0, 0));
    }
}

#[test]
fn a_flag_in_a_message_is_one_word_of_a_shell() {
    for (name, expected) in [
        ("A", "--resource A=ARN"),
        ("Tag it", "--resource 'Tag it=ARN'"),
        ("It's", "--resource 'It'\\''s=ARN'"),
        ("a;b", "--resource 'a;b=ARN'"),
    ] {
        for resource in
            ["aws-sdk:ec2:createTags", "aws-sdk:kms:decrypt", "sns:publish", "aws-sdk:organizations:tagResource"]
        {
            let state = json!({"Type": "Task", "End": true, "Resource": format!("arn:aws:states:::{resource}")});
            let derived = derive(&json!({"StartAt": name, "States": {name: state}}), &here());
            let told = &derived.findings[0].message;
            assert!(told.contains(expected), "{resource}: {told}");
        }
    }
}
