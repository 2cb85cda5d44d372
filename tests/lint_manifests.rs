//! `stepbound lint` on manifests: what the API server and the operator would refuse, with its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "support/linter.rs"]
mod linter;
#[path = "support/manifests.rs"]
mod manifests;

use std::collections::BTreeSet;

use linter::findings as lint;
use serde_json::{Value, json};
use stepbound::api::v1alpha1::custom_resource_definitions;

fn told(found: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.iter().map(|one| (text(&one["code"]), text(&one["path"]))).collect()
}

#[test]
fn every_manifest_that_is_refused_is_told_first_with_its_place_and_no_other() {
    let cases = manifests::cases();
    for case in &cases {
        let found: Vec<Value> =
            lint(&case.object.to_string()).into_iter().filter(|found| found["severity"] == "error").collect();
        let expected = match case.refused.as_deref() {
            None => Vec::new(),
            Some("api") => vec![("SB091".to_owned(), case.path.clone())],
            Some("operator") => vec![("SB094".to_owned(), case.path.clone())],
            Some(other) => panic!("{}: refused by {other}", case.name),
        };
        assert_eq!(told(&found), expected, "{}: {found:#?}", case.name);
    }
    println!("{} manifests decided as the API server and the operator do", cases.len());
}

/// Each rule of the definitions is broken by one of the cases, so that the API server is asked of each.
#[test]
fn every_rule_of_the_api_server_has_a_manifest_that_breaks_it() {
    let all: BTreeSet<String> = manifests::cases()
        .iter()
        .filter(|case| case.refused.as_deref() == Some("api"))
        .flat_map(|case| lint(&case.object.to_string()))
        .map(|found| found["message"].as_str().unwrap().to_owned())
        .collect();
    let mut rules = BTreeSet::new();
    for definition in custom_resource_definitions().unwrap() {
        let definition = serde_json::to_value(&definition).unwrap();
        messages(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut rules);
    }
    assert!(rules.len() > 20, "the test sees the schemas");
    let missing: Vec<&String> = rules.difference(&all).collect();
    assert!(missing.is_empty(), "no case breaks: {missing:#?}");
}

/// Messages of rules that hold when an object is created.
fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if !rule["rule"].as_str().unwrap().contains("oldSelf") {
            found.insert(rule["message"].as_str().unwrap().to_owned());
        }
    }
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(_, schema)| schema);
    for schema in properties.chain([&schema["items"], &schema["additionalProperties"]]).filter(|one| one.is_object()) {
        messages(schema, found);
    }
}

#[test]
fn what_is_left_out_and_what_is_null_is_as_the_api_server_takes_it() {
    let run = |spec: &Value| {
        let object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"generateName": "nightly-"}, "spec": spec});
        told(&lint(&object.to_string()))
    };
    assert_eq!(run(&json!({"workflowRef": {"name": "a"}, "mode": null, "timeout": null, "retry": null})), []);
    assert_eq!(run(&json!({"workflowRef": null})), [("SB091".into(), "/spec".into())]);
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"generateName": "n".repeat(48)},
        "spec": {"schedule": "@daily", "runTemplate": {"spec": {"workflowRef": {"name": "a"}}}}});
    assert_eq!(told(&lint(&schedule.to_string())).len(), 1, "five characters are put behind it");
    let nothing = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Guardrail", "metadata": {"name": "a"}});
    assert_eq!(told(&lint(&nothing.to_string())), [("SB091".into(), "/".into())]);
}

#[test]
fn what_only_the_objects_together_show_is_told_too() {
    let binding = "apiVersion: stepbound.dev/v1alpha1
kind: TrustBinding
metadata: {name: orders, namespace: shop}
spec:
  serviceAccountName: orders
  roleARN: arn:aws:iam::111122223333:role/orders
  region: eu-west-1
  allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/exec']
  allowedStateMachineNames: ['legacy-*']
---
";
    let workflow = |role: &str, more: &str| {
        format!(
            "apiVersion: stepbound.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: fulfil, namespace: shop}}\nspec:\n  trustBindingRef: {{name: orders}}\n  executionRoleARN: arn:aws:iam::{role}\n  definition: {{StartAt: A, States: {{A: {{Type: Succeed}}}}}}\n{more}---\n"
        )
    };
    let exec = "111122223333:role/exec";
    let one = |path: &str| vec![("SB094".to_owned(), path.to_owned())];
    assert_eq!(told(&lint(&format!("{binding}{}", workflow(exec, "  stateMachineName: legacy-fulfil\n")))), []);
    for (role, more, path) in [
        ("999988887777:role/exec", "", "/spec/executionRoleARN"),
        ("111122223333:role/other", "", "/spec/executionRoleARN"),
        (exec, "  stateMachineName: fulfil\n", "/spec/stateMachineName"),
        (exec, "  encryption: {kmsKeyID: 'arn:aws:kms:eu-west-1:999988887777:alias/x'}\n", ""),
    ] {
        let found = told(&lint(&format!("{binding}{}", workflow(role, more))));
        assert_eq!(found, if path.is_empty() { Vec::new() } else { one(path) }, "{role} {more}");
    }
    let run = "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {name: a, namespace: shop}\nspec: {workflowRef: {name: fulfil}, mode: Sync}\n";
    assert_eq!(told(&lint(&format!("{}{run}", workflow(exec, "")))), one("/spec/mode"));
    assert_eq!(told(&lint(&format!("{}{run}", workflow(exec, "  type: Express\n")))), []);
}

#[test]
fn an_input_that_is_a_text_of_json_is_doubted() {
    let run = |input: &str| {
        let text = format!(
            "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {{name: a}}\nspec:\n  workflowRef: {{name: b}}\n  input: {input}\n"
        );
        lint(&text)
    };
    let found = run("'{\"orderId\": 7}'");
    assert_eq!(told(&found), [("SB095".into(), "/spec/input".into())]);
    assert_eq!((&found[0]["severity"], &found[0]["line"]), (&json!("warning"), &json!(6)));
    assert_eq!(told(&run("'[1, 2]'")).len(), 1);
    for plain in ["{orderId: 7}", "'7'", "'true'", "'a text'", "null"] {
        assert_eq!(told(&run(plain)), [], "{plain}");
    }
    let schedule = "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowSchedule\nmetadata: {name: a}\nspec: {schedule: '@daily', runTemplate: {spec: {workflowRef: {name: b}, input: '{}'}}}\n";
    assert_eq!(told(&lint(schedule)), [("SB095".into(), "/spec/runTemplate/spec/input".into())]);
}

#[test]
fn a_length_of_time_that_means_nothing_is_doubted() {
    let object = |kind: &str, spec: Value| {
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec})
            .to_string()
    };
    let run =
        |timeout: &str| told(&lint(&object("WorkflowRun", json!({"workflowRef": {"name": "b"}, "timeout": timeout}))));
    let schedule = |text: &str, timeout: &str| {
        let template = json!({"spec": {"workflowRef": {"name": "b"}, "timeout": timeout}});
        told(&lint(&object("WorkflowSchedule", json!({"schedule": text, "runTemplate": template}))))
    };
    let doubt = |path: &str| ("SB098".to_owned(), path.to_owned());
    for nothing in ["0s", "0ms", "0h0m"] {
        assert_eq!(run(nothing), [doubt("/spec/timeout")], "{nothing}");
        assert_eq!(schedule("@daily", nothing), [doubt("/spec/runTemplate/spec/timeout")], "{nothing}");
    }
    assert_eq!(run("1ms"), []);
    for fast in ["@every 0s", "@every -5s", "@every 59s", "@every 1ms"] {
        assert_eq!(schedule(fast, "1m"), [doubt("/spec/schedule")], "{fast}");
    }
    for slow in ["@every 1m", "@every 90s", "* * * * *"] {
        assert_eq!(schedule(slow, "1m"), [], "{slow}");
    }
}

#[test]
fn a_definition_with_comments_is_told_that_json_has_none() {
    let found =
        lint("{\n  // where it begins\n  \"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Succeed\"}}\n}\n");
    assert_eq!((&found[0]["code"], &found[0]["line"]), (&json!("SB025"), &json!(2)), "{found:#?}");
    assert!(found[0]["message"].as_str().unwrap().contains("JSON has no comments"));
}

/// A binding of eu-west-1 and account 111122223333.
fn binding(more: &str) -> String {
    format!(
        "apiVersion: stepbound.dev/v1alpha1\nkind: TrustBinding\nmetadata: {{name: orders, namespace: shop}}\nspec:\n  serviceAccountName: orders\n  roleARN: arn:aws:iam::111122223333:role/orders\n  region: eu-west-1\n{more}---\n"
    )
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: stepbound.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{spec}---\n"
    )
}

fn workflow(more: &str) -> String {
    object(
        "Workflow",
        "fulfil",
        &format!(
            "  trustBindingRef: {{name: orders}}\n  executionRoleARN: arn:aws:iam::111122223333:role/exec\n  definition: {{StartAt: A, States: {{A: {{Type: Succeed}}}}}}\n{more}"
        ),
    )
}

#[test]
fn what_is_of_another_region_or_account_than_the_binding_is_doubted() {
    let queue = |host: &str| binding(&format!("  events: {{queueURL: 'https://{host}/111122223333/q'}}\n"));
    let roles = |account: &str| binding(&format!("  allowedExecutionRoleARNs: ['arn:aws:iam::{account}:role/exec']\n"));
    let group = |region: &str| {
        binding("")
            + &workflow(&format!(
                "  logging: {{level: All, logGroupARN: 'arn:aws:logs:{region}:111122223333:log-group:/aws/vendedlogs/states/a'}}\n"
            ))
    };
    let key = |region: &str| format!("  encryption: {{kmsKeyID: 'arn:aws:kms:{region}:111122223333:alias/x'}}\n");
    let keyed = |region: &str| binding("") + &workflow(&key(region));
    let activity = |region: &str| {
        binding("") + &object("Activity", "pick", &format!("  trustBindingRef: {{name: orders}}\n{}", key(region)))
    };
    for (text, path) in [
        (queue("sqs.us-east-1.amazonaws.com"), "/spec/events/queueURL"),
        (roles("999988887777"), "/spec/allowedExecutionRoleARNs/0"),
        (group("us-east-1"), "/spec/logging/logGroupARN"),
        (keyed("us-east-1"), "/spec/encryption/kmsKeyID"),
        (activity("us-east-1"), "/spec/encryption/kmsKeyID"),
    ] {
        let found = lint(&text);
        assert_eq!(told(&found), [("SB099".into(), path.into())], "{text}");
        assert_eq!(found[0]["severity"], "warning");
    }
    for text in [
        queue("sqs.eu-west-1.amazonaws.com"),
        queue("localhost:4566"),
        roles("111122223333"),
        group("eu-west-1"),
        keyed("eu-west-1"),
        activity("eu-west-1"),
        workflow(&key("us-east-1")),
    ] {
        assert_eq!(told(&lint(&text)), [], "{text}");
    }
}

#[test]
fn a_step_role_that_the_operator_would_refuse_is_told_with_its_place() {
    let listed = binding("  allowedStepRoleARNs: ['arn:aws:iam::111122223333:role/step']\n");
    let workflow = |roles: &str, fields: &str| {
        object(
            "Workflow",
            "fulfil",
            &format!(
                "  trustBindingRef: {{name: orders}}\n  executionRoleARN: arn:aws:iam::111122223333:role/exec\n  stepRoles: {roles}\n  definition:\n    StartAt: Each\n    States:\n      Each:\n        Type: Map\n        End: true\n        ItemProcessor:\n          StartAt: Charge\n          States:\n            Charge: {{Type: Task, Resource: 'arn:aws:states:::lambda:invoke', Parameters: {{FunctionName: f}}, End: true{fields}}}\n"
            ),
        )
    };
    let role =
        |name: &str, state: &str| format!("[{{roleARN: 'arn:aws:iam::111122223333:role/{name}', states: [{state}]}}]");
    let own = ", Credentials: {RoleArn: 'arn:aws:iam::111122223333:role/other'}";
    let deep = "/spec/definition/States/Each/ItemProcessor/States/Charge/Credentials";
    let state = "/spec/stepRoles/0/states/0";
    for (roles, fields, paths) in [
        (role("step", "Charge"), "", vec![]),
        (role("step", "/States/Each/ItemProcessor/States/Charge"), "", vec![]),
        (role("step", "Chrage"), "", vec![state]),
        (role("step", "Each"), "", vec![state]),
        (role("step", "Charge"), own, vec![state, deep]),
        (role("other", "Charge"), "", vec!["/spec/stepRoles/0/roleARN"]),
        ("[]".to_owned(), own, vec![deep]),
        ("[]".to_owned(), ", Credentials: {RoleArn.$: $.role}", vec![deep]),
        (
            "[{roleARN: 'arn:aws-cn:iam::111122223333:role/step', states: [Charge]}]".to_owned(),
            "",
            vec!["/spec/stepRoles/0/roleARN"; 2],
        ),
    ] {
        let mut found: Vec<String> = told(&lint(&(listed.clone() + &workflow(&roles, fields))))
            .into_iter()
            .map(|(code, path)| {
                assert_eq!(code, "SB094", "{roles} {fields}: {path}");
                path
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, paths, "{roles} {fields}");
    }
    let found = lint(&(listed + &workflow(&role("step", "Chrage"), "")));
    assert_eq!(found[0]["line"], 16, "the place of what was written: {found:?}");
}

/// The operator asks the same of an Activity as of a Workflow.
#[test]
fn an_activity_is_held_to_its_binding() {
    let activity = |more: &str| object("Activity", "pick", &format!("  trustBindingRef: {{name: orders}}\n{more}"));
    let named = binding("  allowedStateMachineNames: ['legacy-*']\n");
    assert_eq!(told(&lint(&format!("{named}{}", activity("  name: legacy-pick\n")))), []);
    assert_eq!(told(&lint(&format!("{named}{}", activity("  name: pick\n")))), [("SB094".into(), "/spec/name".into())]);
}

#[test]
fn an_alias_that_the_workflow_of_a_run_does_not_have_is_doubted() {
    let run = |alias: &str| object("WorkflowRun", "now", &format!("  workflowRef: {{name: fulfil, alias: {alias}}}\n"));
    let schedule = "  schedule: '@daily'\n  runTemplate: {spec: {workflowRef: {name: fulfil, alias: live}}}\n";
    let (with, without) = (workflow("  aliases: [{name: live, version: 1}]\n"), workflow(""));
    let doubt = |path: &str| vec![("SB100".to_owned(), path.to_owned())];
    assert_eq!(told(&lint(&(with.clone() + &run("live")))), []);
    assert_eq!(told(&lint(&(with.clone() + &run("Live")))), doubt("/spec/workflowRef/alias"));
    assert_eq!(told(&lint(&(without.clone() + &run("live")))), doubt("/spec/workflowRef/alias"));
    let path = "/spec/runTemplate/spec/workflowRef/alias";
    assert_eq!(told(&lint(&(without + &object("WorkflowSchedule", "daily", schedule)))), doubt(path));
    assert_eq!(told(&lint(&run("live"))), [], "the Workflow is not known");
}

#[test]
fn examples_of_an_input_schema_and_inputs_of_runs_are_held_against_it() {
    let schema = |more: &str| {
        workflow(&format!("  inputSchema: {{required: [id], properties: {{id: {{type: string}}}}{more}}}\n"))
    };
    assert_eq!(told(&lint(&schema(", examples: [{id: a}]"))), []);
    let found = lint(&schema(", examples: [{id: a}, {id: 5}]"));
    assert_eq!(told(&found), [("SB103".into(), "/spec/inputSchema/examples/1".into())]);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.ends_with("/id must be of type string (/properties/id/type)"), "{message}");
    let run = |more: &str| object("WorkflowRun", "now", &format!("  workflowRef: {{name: fulfil}}\n{more}"));
    assert_eq!(told(&lint(&(schema("") + &run("  input: {id: a}\n")))), []);
    let misfit = |path: &str| vec![("SB094".to_owned(), path.to_owned())];
    assert_eq!(told(&lint(&(schema("") + &run("  input: {id: 5}\n")))), misfit("/spec/input"));
    assert_eq!(told(&lint(&(schema("") + &run("")))), misfit("/"), "no input is {{}}");
    let pinned = object("WorkflowRun", "now", "  workflowRef: {name: fulfil, version: 1}\n  input: {id: 5}\n");
    assert_eq!(told(&lint(&(schema("") + &pinned))), [], "what a version was published with no file tells");
    let schedule = "  schedule: '@daily'\n  runTemplate: {spec: {workflowRef: {name: fulfil}, input: {id: 5}}}\n";
    let schedule = object("WorkflowSchedule", "daily", schedule);
    assert_eq!(told(&lint(&(schema("") + &schedule))), misfit("/spec/runTemplate/spec/input"));
}

#[test]
fn an_object_that_stands_twice_is_told_with_both_places() {
    let other = workflow("").replace("namespace: shop", "namespace: other");
    assert_eq!(told(&lint(&(workflow("") + &other))), []);
    let found = lint(&(workflow("") + &other + &workflow("")));
    assert_eq!(told(&found), [("SB101".into(), "/metadata/name".into())]);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("Workflow \"fulfil\" stands already at ") && message.contains(":3;"), "{message}");
    assert_eq!(found[0]["line"], 19);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: machine, namespace: shop}\ndata: {k: '{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Succeed\"}}}'}\n---\n";
    let from = "  trustBindingRef: {name: orders}\n  executionRoleARN: arn:aws:iam::111122223333:role/exec\n  definitionFrom: {configMapKeyRef: {name: machine, key: k}}\n";
    let from = object("Workflow", "fulfil", from);
    assert_eq!(told(&lint(&format!("{map}{from}{map}"))), [("SB101".into(), "/metadata/name".into())]);
    assert_eq!(told(&lint(&format!("{map}{}{map}", workflow("")))), [], "a ConfigMap that nobody reads");
}

/// Fields of a schema that are texts with a pattern, by their pointers.
fn with_patterns(schema: &Value, at: &str, found: &mut Vec<(String, String)>) {
    if let Some(pattern) = schema["pattern"].as_str() {
        found.push((at.to_owned(), pattern.to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        with_patterns(field, &format!("{at}/{name}"), found);
    }
    if schema["items"].is_object() {
        with_patterns(&schema["items"], &format!("{at}/0"), found);
    }
}

/// Puts a value at a pointer, with what it takes to be there.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for part in pointer.split('/').skip(1) {
        if part == "0" {
            *place = json!([null]);
            place = &mut place[0];
            continue;
        }
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part];
    }
    *place = value;
}

/// What is told of a manifest at a place, in one line.
fn told_at(object: &Value, pointer: &str) -> String {
    let of_place = |one: &Value| (one["path"] == pointer).then(|| one["message"].as_str().unwrap().to_owned());
    lint(&object.to_string()).iter().filter_map(of_place).collect::<Vec<_>>().join("\n")
}

/// Every field of every kind that has a pattern is told in words with an example, never by the pattern alone; and a number where a
/// length of time is wanted with its unit.
#[test]
fn what_does_not_fit_is_told_in_words_for_every_field() {
    let (mut fields, mut durations) = (0, 0);
    for definition in custom_resource_definitions().unwrap() {
        let spec = &serde_json::to_value(&definition).unwrap()["spec"];
        let kind = spec["names"]["kind"].as_str().unwrap();
        let mut all = Vec::new();
        let schema = &spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        with_patterns(schema, "/spec", &mut all);
        for (pointer, pattern) in all {
            let mut object = manifests::right(kind);
            // What people read may be any text, but for what a terminal or a model obeys.
            let wrong = if pattern.starts_with(r"^[^\x00") { "\u{7}" } else { "\u{e9} !" };
            put(&mut object, &pointer, json!(wrong));
            let told = told_at(&object, &pointer);
            let form = stepbound::api::v1alpha1::form(&pattern).unwrap();
            assert!(told.contains(form.words) && told.contains(form.example), "{kind} {pointer}: {told}");
            assert!(!told.contains(&pattern), "{kind} {pointer}: {told}");
            fields += 1;
            if pattern == stepbound::api::v1alpha1::DURATION_PATTERN {
                put(&mut object, &pointer, json!(90));
                let told = told_at(&object, &pointer);
                assert!(told.contains("write \"90s\" if these are seconds"), "{kind} {pointer}: {told}");
                assert_eq!(told.lines().count(), 1, "{kind} {pointer}: {told}");
                durations += 1;
            }
        }
    }
    println!("{fields} fields with a pattern, {durations} of them lengths of time");
    assert!(fields > 40 && durations >= 12, "{fields} {durations}");
}

#[test]
fn a_value_that_is_no_text_is_told_with_what_kubectl_reads() {
    let manifest = |metadata: &str, more: &str| {
        format!(
            "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {{{metadata}}}\nspec:\n  workflowRef: {{name: {more}}}\n"
        )
    };
    for (metadata, name, parts) in [
        (
            "name: a, namespace: n",
            "b",
            &["namespace is the boolean false", "put it in quotes: \"n\"", "kubectl reads YAML 1.1"][..],
        ),
        ("name: a, namespace: off", "b", &["put it in quotes: \"off\""]),
        ("name: yes", "b", &["name is the boolean true", "put it in quotes: \"yes\""]),
        ("name: 123", "b", &["name is the number 123, and a text is wanted; put it in quotes"]),
        ("name: a", "y", &["name is the boolean true", "put it in quotes: \"y\""]),
        ("name: a, labels: {on: 1}", "b", &["the value of true in labels is the number 1"]),
        (
            "name: a, annotations: {team: no}",
            "b",
            &["the value of team in annotations is the boolean false", ": \"no\""],
        ),
    ] {
        let found = lint(&manifest(metadata, name));
        let error = found.iter().find(|one| one["severity"] == "error").unwrap();
        let message = error["message"].as_str().unwrap();
        assert!(parts.iter().all(|part| message.contains(part)), "{metadata} {name}: {message}");
        let at_it = found.iter().filter(|one| one["path"] == error["path"]).count();
        assert_eq!(at_it, 1, "{metadata} {name}: {found:#?}");
    }
    assert_eq!(told(&lint(&manifest("name: 'no', namespace: \"123\"", "'y'"))), []);
}

#[test]
fn a_text_where_an_object_is_wanted_is_told_with_what_to_write() {
    let text = workflow("").replace("  definition: {", "  definition: |\n    {");
    assert!(text.contains("definition: |"), "{text}");
    let found = lint(&text);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("definition is a text") && message.contains("remove the |"), "{message}");
    assert!(message.contains("definitionFrom"), "{message}");
    let run = object("WorkflowRun", "a", "  workflowRef: fulfil\n");
    let found = lint(&run);
    assert!(found[0]["message"].as_str().unwrap().ends_with("write workflowRef: {name: fulfil}"), "{found:#?}");
}
