use serde_json::json;

use super::*;
use crate::cli::lint::{Options, Source as Text, check};
use crate::kubectl::import::manifests::{Wishes, manifests};

struct Files(&'static [(&'static str, &'static str)]);

impl Folder for Files {
    fn text(&self, name: &str) -> Result<String, String> {
        let found = self.0.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("no {name}"))
    }
}

const DEFINITION: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": true}}}"#;

/// What becomes of a text: its manifests as objects, by kind, and what is said.
fn imported(text: &str, wishes: &Wishes) -> (Vec<Value>, String, String) {
    let files = Files(&[("a.asl.json", DEFINITION)]);
    let machines = read(text, &files).unwrap_or_else(|error| panic!("{error}"));
    let (mut texts, mut notes) = (Vec::new(), Vec::new());
    for machine in machines {
        let (text, more) = manifests(machine, wishes).unwrap();
        texts.push(text);
        notes.extend(more);
    }
    let text = texts.join("---\n");
    let objects = crate::asl::parse_all(&text).unwrap().into_iter().map(|parsed| parsed.value).collect();
    for note in &notes {
        assert!(text.contains(&format!("# {note}\n")), "what is said stands in the text too: {note}");
    }
    (objects, notes.join("\n"), text)
}

/// Errors of the linter, which has to take what was imported.
fn errors(text: &str) -> Vec<String> {
    let source = Text { name: "imported.yaml".into(), text: text.to_owned(), folder: None };
    let report = check(&[source], &Options::default()).unwrap();
    let errors = report.findings.iter().filter(|found| found.finding.is_error());
    errors.map(|found| format!("{}: {}", found.finding.code, found.finding.message)).collect()
}

fn described() -> Value {
    json!({
        "stateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:Orders_Fulfil", "name": "Orders_Fulfil",
        "status": "ACTIVE", "definition": DEFINITION, "roleArn": "arn:aws:iam::111122223333:role/exec", "type": "EXPRESS",
        "creationDate": "2025-01-01T00:00:00Z", "revisionId": "r", "description": "of a version",
        "loggingConfiguration": {"level": "ALL", "includeExecutionData": true, "destinations": [
            {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/o:*"}}]},
        "tracingConfiguration": {"enabled": true},
        "encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "alias/k", "kmsDataKeyReusePeriodSeconds": 300}})
}

#[test]
fn what_aws_describes_becomes_a_workflow_that_takes_it_over() {
    let (objects, notes, text) = imported(&described().to_string(), &Wishes::default());
    assert_eq!(errors(&text), Vec::<String>::new(), "{text}");
    let (binding, workflow) = (&objects[0], &objects[1]);
    assert_eq!(workflow["metadata"]["name"], "orders-fulfil");
    let spec = &workflow["spec"];
    assert_eq!(spec["stateMachineName"], "Orders_Fulfil");
    assert_eq!((&spec["type"], &spec["adoption"]), (&json!("Express"), &json!("IfUnowned")));
    assert_eq!(spec["executionRoleARN"], "arn:aws:iam::111122223333:role/exec");
    assert_eq!((&spec["logging"]["level"], &spec["logging"]["includeExecutionData"]), (&json!("All"), &json!(true)));
    assert_eq!((&spec["tracing"]["enabled"], &spec["encryption"]["kmsKeyID"]), (&json!(true), &json!("alias/k")));
    assert_eq!(spec["definition"]["StartAt"], "A");
    assert_eq!(binding["spec"]["region"], "eu-west-1");
    assert_eq!(binding["spec"]["allowedStateMachineNames"], json!(["Orders_Fulfil"]));
    assert!(
        notes.contains("description is not carried over: \"of a version\"") && notes.contains("tags are not in what"),
        "{notes}"
    );

    let wishes = Wishes { binding: Some("orders".into()), namespace: Some("shop".into()), ..Wishes::default() };
    let (objects, notes, _) = imported(&described().to_string(), &wishes);
    assert_eq!((objects.len(), &objects[0]["spec"]["trustBindingRef"]["name"]), (1, &json!("orders")));
    assert_eq!(objects[0]["metadata"]["namespace"], "shop");
    assert!(notes.contains("TrustBinding orders has to list the name"), "{notes}");
}

#[test]
fn a_state_machine_of_ack_becomes_a_workflow_that_asks_for_it() {
    let object = json!({"apiVersion": "sfn.services.k8s.aws/v1alpha1", "kind": "StateMachine",
        "metadata": {"name": "fulfil", "namespace": "shop"},
        "spec": {"name": "shop-fulfil", "definition": DEFINITION, "roleARN": "arn:aws:iam::111122223333:role/exec", "type": "STANDARD",
            "loggingConfiguration": {"level": "OFF"}, "publish": true,
            "tags": [{"key": "team", "value": "a"}, {"key": "services.k8s.aws/namespace", "value": "shop"}]},
        "status": {"ackResourceMetadata": {"arn": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-fulfil", "region": "eu-west-1"}}});
    let (objects, notes, text) = imported(&object.to_string(), &Wishes::default());
    assert_eq!(errors(&text), Vec::<String>::new(), "{text}");
    let workflow = &objects[1];
    assert_eq!(workflow["metadata"]["annotations"]["stepbound.dev/take-over-from"], "ack/shop");
    assert_eq!(workflow["spec"]["tags"], json!({"team": "a"}));
    assert_eq!((workflow["spec"].get("type"), workflow["spec"].get("logging")), (None, None));
    for part in ["publish is not carried over: true", "the tag services.k8s.aws/namespace", "deletion-policy=retain"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
}

const TEMPLATE: &str = r#"
Parameters:
  Stage: {Type: String, Default: prod}
  Key: {Type: String}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Fulfil:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: !Sub "${Stage}-fulfil"
      RoleArn: !GetAtt Role.Arn
      DefinitionString: !Sub |
        {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:${AWS::Partition}:states:::sqs:sendMessage",
          "Parameters": {"QueueUrl": "https://sqs.${AWS::Region}.amazonaws.com/${AWS::AccountId}/q", "MessageBody": "${Text}"}, "End": true}}}
      DefinitionSubstitutions:
        Text: hello
      Tags:
        - {Key: team, Value: a}
        - {Key: stage, Value: !Ref Stage}
  Small:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: small
      Role: arn:aws:iam::111122223333:role/exec
      DefinitionUri: a.asl.json
      AutoPublishAlias: live
      Type: EXPRESS
      Tracing: {Enabled: true}
      Events: {Hourly: {Type: Schedule}}
  Inline:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: A
        States:
          A: {Type: Task, Resource: !GetAtt Function.Arn, End: true}
"#;

#[test]
fn the_machines_of_a_template_become_workflows_with_what_is_left_to_do() {
    let wishes = Wishes { account: Some("111122223333".into()), region: Some("eu-west-1".into()), ..Wishes::default() };
    let (objects, notes, text) = imported(TEMPLATE, &wishes);
    let workflows: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Workflow").collect();
    assert_eq!(workflows.len(), 3, "{text}");
    let fulfil = &workflows[0]["spec"];
    let parameters = &fulfil["definition"]["States"]["A"]["Parameters"];
    assert_eq!(parameters["QueueUrl"], "https://sqs.eu-west-1.amazonaws.com/111122223333/q");
    assert_eq!(fulfil["definition"]["States"]["A"]["Resource"], "arn:aws:states:::sqs:sendMessage");
    assert_eq!(fulfil["substitutions"], json!({"Text": "hello"}));
    assert_eq!(fulfil["tags"], json!({"team": "a"}));
    assert!(notes.contains("spec.executionRoleARN is ${Role.Arn} there"), "{notes}");
    assert!(notes.contains("the tag stage is not carried over"), "{notes}");
    assert_eq!(
        (&fulfil["stateMachineName"], &workflows[0]["metadata"]["name"]),
        (&json!("prod-fulfil"), &json!("prod-fulfil"))
    );
    assert!(notes.contains("parameters of the template have their defaults here: Stage = prod"), "{notes}");
    let small = &workflows[1]["spec"];
    assert_eq!(small["aliases"], json!([{"name": "live", "default": true, "rollout": {"strategy": "AllAtOnce"}}]));
    assert_eq!((&small["type"], &small["stateMachineName"]), (&json!("Express"), &json!("small")));
    assert!(notes.contains("Events is not carried over"), "{notes}");
    assert_eq!(workflows[2]["spec"]["definition"]["States"]["A"]["Resource"], "${Function.Arn}");
    assert!(notes.contains("Function.Arn"), "{notes}");
    // All that the linter says is the one name that nobody knows a value for.
    let errors = errors(&text);
    assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("Function.Arn")), "{errors:#?}\n{text}");
}

#[test]
fn what_is_none_of_these_is_told_what_is_wanted() {
    for (text, part) in [
        ("{}", "there is no state machine in it; give what `aws stepfunctions describe-state-machine` prints"),
        (DEFINITION, "there is no state machine in it"),
        (r#"{"stateMachines": []}"#, "a list of state machines has no definitions"),
        (r#"{"stateMachineArn": "a", "definition": "{"}"#, "does not parse"),
        (
            r#"{"Resources": {"A": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {}}}}"#,
            "A has no definition",
        ),
        (
            r#"{"Resources": {"A": {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "s3://b/k"}}}}"#,
            "is in S3 (\"s3://b/k\"): fetch it",
        ),
        (
            r#"{"Resources": {"A": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": {"Fn::ImportValue": "x"}}}}}"#,
            "DefinitionString of A is Fn::ImportValue, which CloudFormation alone evaluates",
        ),
        ("a: [", "line "),
    ] {
        let error = read(text, &Files(&[])).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}
