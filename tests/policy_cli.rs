//! `stepbound policy` and `stepbound graph` as people run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use stepbound::graph::{History, Outcome};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");
const WORKFLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/2-workflow.yaml");

fn stepbound(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stepbound")).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(folder: &Path, name: &str, value: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_folder_gives_the_needs_of_its_workflow_with_their_reasons() {
    let ran = stepbound(&["policy", "execution-role", QUICKSTART]);
    let arn = "arn:aws:lambda:eu-west-1:000000000000:function:charge-card";
    assert_eq!(
        out(&ran),
        format!(
            "# Charge: Lambda, request-response\n  lambda:InvokeFunction  {arn}\n                         {arn}:*\n"
        ),
        "{}",
        err(&ran)
    );
    let ran = stepbound(&["policy", "execution-role", QUICKSTART, "-o", "json"]);
    let document: Value = serde_json::from_str(&out(&ran)).unwrap();
    assert_eq!(
        document,
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": [arn, format!("{arn}:*")]}]})
    );
    let ran = stepbound(&["policy", "execution-role", WORKFLOW, "--region", "us-east-1", "-o", "yaml"]);
    assert!(out(&ran).contains("Action: lambda:InvokeFunction"), "{}", out(&ran));
}

#[test]
fn what_is_not_known_is_asked_for() {
    let ran = stepbound(&["policy", "execution-role", WORKFLOW]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        err(&ran).contains("the region is not known; give it with --region, or give the file of its TrustBinding too"),
        "{}",
        err(&ran)
    );
    let folder = tempfile::tempdir().unwrap();
    let definition =
        file(folder.path(), "machine.json", &json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}));
    let ran = stepbound(&["policy", "execution-role", &definition, "--region", "eu-west-1"]);
    assert!(err(&ran).contains("the account is not known; give it with --account"), "{}", err(&ran));
    let ran =
        stepbound(&["policy", "execution-role", &definition, "--region", "eu-west-1", "--account", "111122223333"]);
    assert_eq!(out(&ran), "# nothing: no state calls anything\n", "{}", err(&ran));
    let activity = json!({"Type": "Task", "Resource": "arn:aws:states:eu-west-1:111122223333:activity:a", "End": true});
    let calling = file(folder.path(), "calling.json", &json!({"StartAt": "A", "States": {"A": activity}}));
    let ran = stepbound(&["policy", "execution-role", &calling, "--region", "eu-west-1", "--account", "111122223333"]);
    assert_eq!(out(&ran), "# nothing: what the states call needs no right of IAM\n", "{}", err(&ran));
    let ran = stepbound(&["policy", "execution-role", "/nowhere.yaml"]);
    assert!(err(&ran).contains("cannot read /nowhere.yaml"), "{}", err(&ran));
}

#[test]
fn findings_name_the_state_and_stay_out_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let notify = json!({"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn.$": "$.topic"}, "End": true});
    let definition = file(folder.path(), "machine.json", &json!({"StartAt": "Notify", "States": {"Notify": notify}}));
    let place = ["--region", "eu-west-1", "--account", "111122223333"];
    let ran = stepbound(&[&["policy", "execution-role", &definition, "-o", "json"], &place[..]].concat());
    let told = "# not resolvable: state \"Notify\" takes its topic from the input ($.topic); give it with --resource Notify=ARN\n";
    assert_eq!(err(&ran), told);
    assert_eq!(serde_json::from_str::<Value>(&out(&ran)).unwrap()["Statement"], json!([]));
    let given = ["--resource", "Notify=arn:aws:sns:eu-west-1:111122223333:news"];
    let ran = stepbound(&[&["policy", "execution-role", &definition], &place[..], &given].concat());
    assert!(out(&ran).contains("sns:Publish  arn:aws:sns:eu-west-1:111122223333:news") && err(&ran).is_empty());
}

#[test]
fn a_policy_is_compared_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let arn = "arn:aws:lambda:eu-west-1:000000000000:function:charge-card";
    let policy = |name: &str, statements: &Value| {
        file(folder.path(), name, &json!({"Version": "2012-10-17", "Statement": statements}))
    };
    let exact = policy(
        "exact.json",
        &json!([{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": [arn, format!("{arn}:*")]}]),
    );
    let ran = stepbound(&["policy", "execution-role", QUICKSTART, "--compare", &exact]);
    assert_eq!((out(&ran).as_str(), ran.status.code()), ("the policy is exactly what is needed\n", Some(0)));

    let other = policy(
        "other.json",
        &json!([
            {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn},
        ]),
    );
    let ran = stepbound(&["policy", "execution-role", QUICKSTART, "--compare", &other]);
    assert_eq!(ran.status.code(), Some(1));
    let told = out(&ran);
    assert!(told.contains("excess:  dynamodb:*  (statement 1)") && told.contains("no state uses dynamodb"), "{told}");
    assert!(told.contains("missing: lambda:InvokeFunction"), "{told}");
    assert!(told.contains(&format!("state Charge: Lambda, request-response on {arn}:*")), "{told}");

    let bare = file(folder.path(), "bare.json", &json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}));
    let ran = stepbound(&[
        "policy",
        "execution-role",
        &bare,
        "--region",
        "eu-west-1",
        "--account",
        "000000000000",
        "--compare",
        &other,
    ]);
    assert!(out(&ran).contains("excess:  unknown"), "{}", out(&ran));
}

#[test]
fn what_would_be_part_of_every_arn_is_checked_first() {
    let role = "arn:aws:iam::111122223333:role/r";
    let policy = |flags: &[&str]| stepbound(&[&["policy", "execution-role", QUICKSTART], flags].concat());
    let render = |role: &str| {
        stepbound(&["trust", "render", "--role-arn", role, "--issuer", "https://issuer.example", "--subject", "s"])
    };
    let explain = |role: &str| {
        stepbound(&["trust", "explain", "--policy", "p.json", "--token-claims", "c.json", "--role-arn", role])
    };
    for (ran, expected) in [
        (policy(&["--account", "1"]), "is not an account of AWS, which has 12 digits"),
        (policy(&["--region", "eu-west1"]), "is not a region of AWS; write for example eu-west-1"),
        (policy(&["--partition", "AWS"]), "a partition is written as aws"),
        (
            policy(&["--execution-role", "r"]),
            "is not the ARN of an IAM role; write for example arn:aws:iam::111122223333:role/orders",
        ),
        (policy(&["--region", "cn-north-1"]), "region cn-north-1 is of partition aws-cn, but the partition is aws"),
        (
            policy(&["--region", "eu-west-1", "--partition", "aws-cn"]),
            "region eu-west-1 is of partition aws, but the partition is aws-cn",
        ),
        (render("arn:aws:iam::1:role/r"), "is not the ARN of an IAM role"),
        (explain("arn:aws:iam::111122223333:user/r"), "is not the ARN of an IAM role"),
    ] {
        assert!(ran.status.code() == Some(2) && err(&ran).contains(expected), "{expected}: {ran:?}");
    }
    assert!(render(role).status.success(), "{:?}", render(role));
    // A region that AWS adds later.
    assert!(policy(&["--region", "zz-north-1"]).status.success(), "{:?}", policy(&["--region", "zz-north-1"]));
}

#[test]
fn one_policy_is_of_one_role() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = |name: &str, role: &str| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name, "namespace": "shop"}, "spec": {
            "trustBindingRef": {"name": "b"}, "executionRoleARN": format!("arn:aws:iam::111122223333:role/{role}"),
            "definition": {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish",
                "Parameters": {"TopicArn": format!("arn:aws:sns:eu-west-1:111122223333:{name}")}, "End": true}}}}})
    };
    for (name, role) in [("a", "one"), ("b", "one"), ("c", "two")] {
        file(folder.path(), &format!("{name}.json"), &workflow(name, role));
    }
    let place = folder.path().to_str().unwrap();
    let ran = stepbound(&["policy", "execution-role", place, "--region", "eu-west-1"]);
    assert!(err(&ran).contains("use 2 execution roles; choose one with --execution-role"), "{}", err(&ran));
    let role = "arn:aws:iam::111122223333:role/one";
    let ran = stepbound(&[
        "policy",
        "execution-role",
        place,
        "--region",
        "eu-west-1",
        "--execution-role",
        role,
        "-o",
        "json",
    ]);
    let document: Value = serde_json::from_str(&out(&ran)).unwrap();
    let topics = ["a", "b"].map(|name| format!("arn:aws:sns:eu-west-1:111122223333:{name}"));
    assert_eq!(document["Statement"][0]["Resource"], json!(topics), "of both Workflows, in one statement");
}

#[test]
fn a_graph_is_drawn_in_every_form() {
    let terminal = out(&stepbound(&["graph", WORKFLOW]));
    for name in ["Charge", "Large?", "Prepare", "Invoice", "Pick", "Pack", "Summary", "Refused", "any error"] {
        assert!(terminal.contains(name), "{name}\n{terminal}");
    }
    assert!(out(&stepbound(&["graph", WORKFLOW, "-o", "mermaid"])).starts_with("flowchart TD\n"));
    assert!(out(&stepbound(&["graph", WORKFLOW, "-o", "dot"])).starts_with("digraph \"Workflow shop/fulfil\""));
    let folder = tempfile::tempdir().unwrap();
    let drawing = folder.path().join("fulfil.svg");
    let events = json!({"events": [
        {"id": 1, "previousEventId": 0, "type": "ExecutionStarted"},
        {"id": 2, "previousEventId": 1, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Charge"}},
    ]});
    let history = file(folder.path(), "history.json", &events);
    let ran = stepbound(&["graph", WORKFLOW, "--output-file", drawing.to_str().unwrap(), "--history", &history]);
    assert!(ran.status.success(), "{}", err(&ran));
    let svg = std::fs::read_to_string(drawing).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"task running\""));
    let wrong = file(folder.path(), "wrong.json", &json!({"state": 1}));
    let ran = stepbound(&["graph", WORKFLOW, "--history", &wrong]);
    assert!(err(&ran).contains("has no list \"events\""), "{}", err(&ran));
}

#[test]
#[allow(clippy::print_stderr)]
fn recorded_histories_are_read() {
    let Some(corpus) = std::env::var_os("STEPBOUND_CORPUS") else {
        eprintln!("skipped: STEPBOUND_CORPUS is not set");
        return;
    };
    let mut read = 0;
    for entry in std::fs::read_dir(std::path::Path::new(&corpus).join("histories")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let events = case["events"].as_array().unwrap();
            let history = History::of(events);
            let over = events.iter().any(|event| event["type"] == "ExecutionSucceeded");
            let entered =
                events.iter().filter(|event| event["type"].as_str().unwrap().ends_with("StateEntered")).count();
            assert_eq!(history.states.values().map(|(_, times)| times).sum::<usize>(), entered, "{}", case["case"]);
            let open = history.states.values().any(|(outcome, _)| *outcome == Outcome::Running);
            assert!(!(over && open), "{}: {:?}", case["case"], history.states);
            read += 1;
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn a_template_is_drawn_and_its_policy_says_which_names_need_values_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let task = |resource: &str, parameters: Value, next: &str| {
        let mut state = json!({"Type": "Task", "Resource": resource, "Parameters": parameters, "Next": next});
        if next.is_empty() {
            state.as_object_mut().unwrap().remove("Next");
            state["End"] = json!(true);
        }
        state
    };
    let states = json!({
        "Pub": task("arn:aws:states:::sns:publish", json!({"TopicArn": "${TopicArn}", "Message": "hi"}), "Send"),
        "Send": task("arn:aws:states:::sqs:sendMessage", json!({"QueueUrl": "${QueueUrl}", "MessageBody": "hi"}), "Run"),
        "Run": task("${Function}", json!({}), "Put"),
        "Put": task("arn:aws:states:::dynamodb:putItem", json!({"TableName": "orders-${Stage}", "Item": {}}), "Known"),
        "Known": task("arn:aws:states:::dynamodb:getItem", json!({"TableName": "orders", "Key": {}}), "")});
    let template = file(folder.path(), "machine.json", &json!({"StartAt": "Pub", "States": states}));
    let drawn = stepbound(&["graph", &template]);
    assert!(out(&drawn).contains("sns:publish"), "{}", err(&drawn));
    let place = ["--region", "eu-west-1", "--account", "111122223333"];
    let ran = stepbound(&[&["policy", "execution-role", &template, "-o", "json"], &place[..]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    for (state, name) in [("Pub", "TopicArn"), ("Send", "QueueUrl"), ("Run", "Function"), ("Put", "Stage")] {
        let told = err(&ran);
        let line = told
            .lines()
            .find(|line| line.contains(&format!("state \"{state}\"")))
            .unwrap_or_else(|| panic!("{state}: {told}"));
        assert!(
            line.contains(&format!("${{{name}}}")) && line.ends_with(&format!("--substitution {name}=VALUE")),
            "{line}"
        );
    }
    assert!(!out(&ran).contains("${") && out(&ran).contains("table/orders\""), "{}", out(&ran));
    let values = ["--substitution", "TopicArn=arn:aws:sns:eu-west-1:111122223333:news", "--substitution", "Stage=prod"];
    let ran = stepbound(&[&["policy", "execution-role", &template], &place[..], &values].concat());
    let told = out(&ran);
    assert!(
        told.contains("111122223333:news") && told.contains("table/orders-prod") && !told.contains("TopicArn="),
        "{told}"
    );
}

#[test]
fn a_drawing_in_a_format_that_there_is_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let definition =
        file(folder.path(), "machine.json", &json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let refused = stepbound(&["graph", &definition, "--output-file", &at("x.png")]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("no drawing in the format .png") && err(&refused).contains(".svg"),
        "{}",
        err(&refused)
    );
    assert!(!folder.path().join("x.png").exists());
    for name in ["x.svg", "x.SVG", "x.dot", "x.txt", "drawing"] {
        assert_eq!(stepbound(&["graph", &definition, "--output-file", &at(name)]).status.code(), Some(0), "{name}");
    }
}

#[test]
fn what_other_tools_put_in_is_a_name_without_a_value_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let tagged = write(
        "machine.yaml",
        "StartAt: A\nStates:\n  A: {Type: Task, Resource: !GetAtt Charge.Arn, TimeoutSeconds: !Ref Limit, End: true}\n",
    );
    let unquoted = write(
        "machine.json",
        r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Charge.Arn}", "TimeoutSeconds": ${Limit}, "End": true}}}"#,
    );
    let place = ["--region", "eu-west-1", "--account", "111122223333"];
    let given = ["--substitution", "Charge.Arn=arn:aws:lambda:eu-west-1:111122223333:function:f"];
    for file in [&tagged, &unquoted] {
        let drawn = stepbound(&["graph", file]);
        assert!(drawn.status.success() && out(&drawn).contains('A'), "{file}: {}", err(&drawn));
        let ran = stepbound(&[&["policy", "execution-role", file], &place[..]].concat());
        assert!(
            ran.status.success() && out(&ran).contains("--substitution Charge.Arn=VALUE"),
            "{file}: {}{}",
            out(&ran),
            err(&ran)
        );
        let ran = stepbound(&[&["policy", "execution-role", file], &place[..], &given].concat());
        assert!(out(&ran).contains("function:f"), "{file}: {}{}", out(&ran), err(&ran));
        // A value that stands outside of texts is what it says.
        for (value, is_valid) in [("3", true), ("soon", false)] {
            let value = format!("Limit={value}");
            let values = ["--substitution", &value];
            let ran = stepbound(&[&["policy", "execution-role", file], &place[..], &given, &values].concat());
            assert_eq!(ran.status.success(), is_valid, "{file}, {value}: {}{}", out(&ran), err(&ran));
            let drawn = stepbound(&[&["graph", file], &given[..], &values].concat());
            let is_drawn_whole = !err(&drawn).contains("as far as it can be");
            assert!(drawn.status.success() && is_drawn_whole == is_valid, "{file}, {value}: {}", err(&drawn));
        }
    }
    let whole = write(
        "whole.json",
        r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": ${what}, "Retry": [${retry}], "Next": "B"}, "B": {"Type": "Pass", "End": true}}}"#,
    );
    let topic = r#"what={"TopicArn": "arn:aws:sns:eu-west-1:111122223333:news", "Message": "hi"}"#;
    let values = ["--substitution", topic, "--substitution", r#"retry={"ErrorEquals": ["States.ALL"]}"#];
    let ran = stepbound(&[&["policy", "execution-role", &whole], &place[..], &values].concat());
    assert!(out(&ran).contains("sns:Publish  arn:aws:sns:eu-west-1:111122223333:news"), "{}{}", out(&ran), err(&ran));
    // The same of the text in a ConfigMap.
    let text = std::fs::read_to_string(&unquoted).unwrap();
    let spec = json!({"executionRoleARN": "arn:aws:iam::111122223333:role/exec", "trustBindingRef": {"name": "b"},
        "definitionFrom": {"configMapKeyRef": {"name": "machines", "key": "asl"}},
        "substitutions": {"Charge.Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f", "Limit": "3"}});
    let workflow =
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": spec});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "machines"}, "data": {"asl": text}});
    let workflow = write("workflow.json", &json!({"kind": "List", "items": [workflow, map]}).to_string());
    let ran = stepbound(&["policy", "execution-role", &workflow, "--region", "eu-west-1"]);
    assert!(out(&ran).contains("function:f"), "{}{}", out(&ran), err(&ran));
}

#[test]
fn a_resource_is_given_for_a_state_that_there_is_and_is_an_arn() {
    let folder = tempfile::tempdir().unwrap();
    let notify = json!({"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn.$": "$.topic"}, "End": true});
    let definition = file(folder.path(), "machine.json", &json!({"StartAt": "a=b", "States": {"a=b": notify}}));
    let place = ["--region", "eu-west-1", "--account", "111122223333", "--resource"];
    let run = |given: &str| stepbound(&[&["policy", "execution-role", &definition], &place[..], &[given]].concat());
    let topic = "arn:aws:sns:eu-west-1:111122223333:news";
    let ran = run(&format!("a=b={topic}"));
    assert!(out(&ran).contains(&format!("sns:Publish  {topic}")), "{}{}", out(&ran), err(&ran));
    for (given, told) in [
        ("STATE=ARN", "must be STATE=ARN: the name of a state, and an ARN"),
        ("a=b=news", "must be STATE=ARN"),
        ("a=b=arn:aws:sns", "\"arn:aws:sns\" is no ARN"),
        (&format!("=b={topic}"), "which no definition given has"),
        (&format!("a=c={topic}"), "names the state \"a=c\", which no definition given has; did you mean \"a=b\"?"),
    ] {
        let ran = run(given);
        assert_eq!(ran.status.code(), Some(2), "{given}: {}", out(&ran));
        assert!(err(&ran).contains(told), "{given}: {}", err(&ran));
    }
}

/// The developer guide: "The API action will always be camel case".
#[test]
fn a_right_is_derived_of_nothing_that_lint_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:GetObject", "Parameters": {"Bucket": "b", "Key": "k"}, "End": true});
    let machine = file(folder.path(), "machine.json", &json!({"StartAt": "A", "States": {"A": state}}));
    let ran = stepbound(&["policy", "execution-role", &machine, "--account", "111122223333", "--region", "eu-west-1"]);
    assert!(!ran.status.success() && out(&ran).is_empty(), "{}", out(&ran));
    let linted = out(&stepbound(&["lint", &machine]));
    let said = "the action of \"s3:GetObject\" begins with a small letter; did you mean \"getObject\"?";
    assert!(err(&ran).contains(said) && linted.contains(said), "{}{linted}", err(&ran));
}

#[test]
fn what_is_wrong_with_a_definition_is_told_once_and_warnings_are_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let machine = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "nothing", "End": true}}});
    let path = file(folder.path(), "machine.json", &machine);
    // A value without a use is a warning.
    let flags = ["--account", "111122223333", "--region", "eu-west-1", "--substitution", "Nobody=x"];
    let told = err(&stepbound(&[&["policy", "execution-role", path.as_str()], &flags[..]].concat()));
    assert_eq!(told.matches("The definition is not valid").count(), 1, "{told}");
    assert!(!told.contains(".status.diagnostics") && !told.contains("(and"), "{told}");
}

/// CloudFormation's pseudo parameters are where the machine lives, which the flags say; what else it puts in stays open.
#[test]
fn pseudo_parameters_of_a_template_are_known_from_the_flags() {
    let folder = tempfile::tempdir().unwrap();
    let machine = |parameters: &Value, resource: &str| {
        let state = json!({"Type": "Task", "Resource": resource, "Parameters": parameters, "End": true});
        file(folder.path(), "machine.json", &json!({"StartAt": "A", "States": {"A": state}}))
    };
    let table = json!({"TableName": "t", "Key": {"a": {"S": "b"}}});
    let function = json!({"FunctionName": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:f"});
    let queue =
        json!({"QueueUrl": "https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/q", "MessageBody": "m"});
    let other = json!({"TopicArn": "arn:aws:sns:us-east-1:123456789012:${AWS::StackName}", "Message": "m"});
    for (parameters, resource, expected) in [
        (&table, "aws-sdk:dynamodb:getItem", "dynamodb:GetItem  arn:aws:dynamodb:us-east-1:123456789012:table/t"),
        (&function, "lambda:invoke", "lambda:InvokeFunction  arn:aws:lambda:us-east-1:123456789012:function:f"),
        (&queue, "sqs:sendMessage", "sqs:SendMessage  arn:aws:sqs:us-east-1:123456789012:q"),
        (&other, "sns:publish", "let the tool that this template is for put it in first"),
    ] {
        let path = machine(parameters, &format!("arn:${{AWS::Partition}}:states:::{resource}"));
        let ran = stepbound(&["policy", "execution-role", &path, "--account", "123456789012", "--region", "us-east-1"]);
        assert!(out(&ran).contains(expected), "{resource}: {}{}", out(&ran), err(&ran));
        let graph = stepbound(&["graph", &path]);
        assert!(graph.status.success() && !err(&graph).contains("not an ARN"), "{resource}: {}", err(&graph));
    }
    let path = machine(&function, "arn:${AWS::Partition}:states:::lambda:invoke");
    let flags = ["--account", "123456789012", "--region", "cn-north-1", "-o", "json"];
    let ran = stepbound(&[&["policy", "execution-role", path.as_str()], &flags[..]].concat());
    assert!(out(&ran).contains("arn:aws-cn:lambda:cn-north-1:123456789012:function:f"), "{}{}", out(&ran), err(&ran));
}

#[test]
fn what_holds_no_state_machine_is_told_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let none = folder.path().join("none");
    std::fs::create_dir(&none).unwrap();
    for (path, part) in [
        (write("empty.yaml", ""), "empty.yaml is empty; give a definition"),
        (write("plain.txt", "hello world\n"), "plain.txt holds a single value; give"),
        (
            write("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
            "map.yaml holds ConfigMap of v1; give",
        ),
        (none.to_str().unwrap().to_owned(), "has no .yaml, .yml or .json file; give"),
    ] {
        for verb in [&["graph"][..], &["policy", "execution-role"]] {
            let ran = stepbound(&[verb, &[path.as_str()]].concat());
            assert!(ran.status.code() == Some(2) && err(&ran).contains(part), "{verb:?} {path}: {}", err(&ran));
        }
    }
}
