//! `stepbound lint` as people and CI run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "lint/inputs.rs"]
mod inputs;
#[path = "lint/integrations.rs"]
mod integrations;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use stepbound::asl::lint::{Severity, rules};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn lint_in(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stepbound"))
        .arg("lint")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A reader that refuses its arguments closes this early.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn lint(arguments: &[&str], input: &str) -> (i32, String) {
    let output = lint_in(Path::new(ROOT), arguments, input);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// The findings as `-o json` has them.
fn findings(arguments: &[&str], input: &str) -> Vec<Value> {
    let (_, text) = lint(&[&["-o", "json"], arguments].concat(), input);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    value["findings"].as_array().unwrap().clone()
}

fn codes(arguments: &[&str], input: &str) -> Vec<String> {
    findings(arguments, input).iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

const HEAD: &str = "apiVersion: stepbound.dev/v1alpha1
kind: Workflow
metadata: {name: fulfil, namespace: shop}
spec:
  trustBindingRef: {name: orders}
  executionRoleARN: arn:aws:iam::111122223333:role/shop-fulfil-exec
";

fn workflow(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

const WRONG: &str = "  definition:
    StartAt: Bill
    States:
      Bill:
        Type: Task
        Resource: arn:aws:states:::sqs:sendMessage.waitForTaskToken
        Parameters: {QueueUrl: q, MessageBody: {token.$: $$.Task.Token}}
        Catch: [{ErrorEquals: [States.ALL], Next: Ship}]
        Next: Charge
      Charge:
        Type: Pass
        Next: Shp
      Ship: {Type: Succeed}
";

#[test]
fn an_error_is_shown_with_its_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    std::fs::write(folder.path().join("deploy/fulfil.yaml"), workflow(WRONG)).unwrap();
    std::fs::write(folder.path().join("deploy/other.yaml"), "kind: Service\napiVersion: v1\n").unwrap();
    let output = lint_in(folder.path(), &["deploy/"], "");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = "deploy/fulfil.yaml:10:7: warning[SB041]: a token wait without TimeoutSeconds or HeartbeatSeconds can hang for a year
deploy/fulfil.yaml:18:15: error[SB012]: state \"Charge\" goes to \"Shp\", which does not exist; did you mean \"Ship\"?
   |
18 |         Next: Shp
   |               ^^^ no such state in this scope
   = Workflow shop/fulfil, at /States/Charge/Next
   = help: stepbound lint --explain SB012
2 files (1 of them passed over: nothing of ours), 1 error, 1 warning
";
    assert_eq!(text, expected);
}

#[test]
fn exit_codes_tell_findings_from_failure() {
    let good = workflow("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n");
    let doubtful = workflow("  definition: {StartAt: A, States: {A: {Type: Pass, Result: off, End: true}}}\n");
    assert_eq!(lint(&["-"], &good).0, 0);
    assert_eq!(lint(&["-"], &doubtful).0, 0);
    assert_eq!(lint(&["--strict", "-"], &doubtful).0, 1);
    assert_eq!(lint(&["-"], &workflow(WRONG)).0, 1);
    assert_eq!(lint(&["no/such/file.yaml"], "").0, 2);
    assert_eq!(lint(&["--ignore", "SB999", "-"], &good).0, 2);
    assert_eq!(lint(&[], "").0, 2);
}

#[test]
fn nothing_is_printed_in_ci_when_all_is_well_and_a_table_for_people() {
    let good = workflow("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n");
    assert_eq!(lint(&["--quiet", "-"], &good), (0, String::new()));
    let (code, text) = lint(&["-"], &good);
    assert_eq!(code, 0);
    assert_eq!(
        text,
        "FILE      DEFINITION             STATES\n<stdin>   Workflow shop/fulfil   1\n1 file, 0 errors, 0 warnings\n"
    );
    assert!(!lint(&["-"], &workflow(WRONG)).1.contains('\u{1b}'), "no colour outside of a terminal");
}

#[test]
fn a_definition_in_a_config_map_is_checked_at_its_lines() {
    let stream = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: machine-7f9c, namespace: shop}}\ndata:\n  fulfil.asl.json: |\n    {{\n      \"StartAt\": \"Ship\",\n      \"States\": {{\"Ship\": {{\"Type\": \"Pas\"}}}}\n    }}\n---\n{}",
        workflow("  definitionFrom: {configMapKeyRef: {name: machine-7f9c, key: fulfil.asl.json}}\n")
    );
    let found = findings(&["-"], &stream);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["code"], &found[0]["line"], &found[0]["column"]), (&"SB005".into(), &8.into(), &35.into()));
    assert_eq!(found[0]["subject"]["name"], "fulfil");
    let alone = workflow("  definitionFrom: {configMapKeyRef: {name: elsewhere, key: k}}\n");
    assert_eq!(codes(&["-"], &alone), ["SB092"]);
}

#[test]
fn substitutions_are_put_in_as_the_operator_does_it() {
    let definition = "  definition: {StartAt: A, States: {A: {Type: Task, Resource: '${Fn}', End: true}}}\n";
    assert_eq!(codes(&["-"], &workflow(definition)), ["SB024"]);
    let given =
        format!("  substitutions: {{Fn: arn:aws:lambda:eu-west-1:111122223333:function:f, Typo: x}}\n{definition}");
    assert_eq!(codes(&["-"], &workflow(&given)), ["SB011"]);
    let wrong = format!("  substitutions: {{Fn: charge}}\n{definition}");
    assert_eq!(codes(&["-"], &workflow(&wrong)), ["SB023"]);
    let from = format!("  substitutionsFrom: [{{configMapRef: {{name: values}}}}]\n{definition}");
    assert_eq!(codes(&["-"], &workflow(&from)), ["SB092"]);
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: values, namespace: shop}\ndata: {Fn: charge}\n";
    assert_eq!(codes(&["-"], &(workflow(&from) + map)), ["SB023"]);
}

#[test]
fn a_workflow_can_ask_not_to_be_told_and_a_flag_too() {
    let text = workflow(WRONG).replace("Next: Shp", "Next: Ship");
    assert_eq!(codes(&["-"], &text), ["SB041"]);
    assert!(codes(&["--ignore", "SB041", "-"], &text).is_empty());
    assert!(codes(&["--ignore", "SB041@/States/Bill,SB031", "-"], &text).is_empty());
    assert_eq!(codes(&["--ignore", "SB041@/States/Ship", "-"], &text), ["SB041"]);
    let annotated = |value: &str| {
        text.replace(
            "namespace: shop}",
            &format!("namespace: shop, annotations: {{stepbound.dev/lint-ignore: '{value}'}}}}"),
        )
    };
    assert!(codes(&["-"], &annotated("SB041@/States/Bill")).is_empty());
    assert_eq!(codes(&["-"], &annotated("SB999")), ["SB093", "SB041"]);
}

#[test]
fn manifests_are_held_against_their_schemas() {
    for (rest, expected) in [
        ("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n  typo: Express\n", "SB090"),
        ("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n  type: EXPRESS\n", "SB091"),
        ("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n  suspend: 'no'\n", "SB091"),
        ("  type: Express\n", "SB091"),
        (
            "  logging: {level: All, logGroupARN: 'arn:aws:logs:eu-west-1:111122223333:log-group:fulfil:*'}\n  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n",
            "SB013",
        ),
    ] {
        assert_eq!(codes(&["-"], &workflow(rest)), [expected], "{rest}");
    }
    let unknown = workflow("  definition: {}\n").replace("kind: Workflow", "kind: Workflo");
    assert_eq!(codes(&["-"], &unknown), ["SB091"]);
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: stepbound.dev/v1alpha1\n  kind: TrustBinding\n  metadata: {name: orders}\n  spec: {serviceAccountName: orders, region: eu-west-1}\n";
    let found = findings(&["-"], list);
    assert_eq!(found[0]["message"], "the field roleARN is missing");
    assert_eq!(found[0]["path"], "/spec");
}

#[test]
fn a_role_and_a_region_of_different_partitions_are_told_before_they_are_applied() {
    let binding = |role: &str, region: &str| {
        format!(
            "apiVersion: stepbound.dev/v1alpha1\nkind: TrustBinding\nmetadata: {{name: orders}}\nspec:\n  serviceAccountName: orders\n  roleARN: {role}\n  region: {region}\n"
        )
    };
    let (usual, china) = ("arn:aws:iam::111122223333:role/a", "arn:aws-cn:iam::111122223333:role/a");
    for (role, region) in [(usual, "eu-west-1"), (china, "cn-north-1"), (usual, "zz-north-1")] {
        assert!(codes(&["-"], &binding(role, region)).is_empty(), "{role} {region}");
    }
    for (role, region) in [(usual, "cn-north-1"), (china, "eu-west-1"), (usual, "eusc-de-east-1")] {
        let found = findings(&["-"], &binding(role, region));
        assert_eq!((found.len(), &found[0]["code"], &found[0]["path"]), (1, &json!("SB094"), &json!("/spec/region")));
        let message = found[0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("spec.region {region} is of partition")), "{message}");
    }
}

#[test]
fn an_express_workflow_is_held_to_what_express_can() {
    let definition = "  definition: {StartAt: A, States: {A: {Type: Task, Resource: 'arn:aws:states:::glue:startJobRun.sync', Parameters: {JobName: j}, End: true}}}\n";
    assert!(codes(&["-"], &workflow(definition)).is_empty());
    assert_eq!(codes(&["-"], &workflow(&format!("  type: Express\n{definition}"))), ["SB044"]);
    let bare = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": "j"}, "End": true}}}"#;
    assert!(codes(&["-"], bare).is_empty());
    assert_eq!(codes(&["--type", "express", "-"], bare), ["SB044"]);
}

#[test]
fn what_is_neither_manifest_nor_definition_is_passed_over_in_folders_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("chart.yaml", "{{- if .Values.x }}\na: [\n");
    write("values.yaml", "a: 1\n");
    write("machine.asl.json", r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#);
    let output = lint_in(folder.path(), &["."], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("machine.asl.json") && told.contains("3 files (2 of them passed over"), "{told}");
    let (_, counted) = run_in(folder.path(), &[".", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&counted).unwrap()["summary"]["passedOver"], 2);
    let output = lint_in(folder.path(), &["chart.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("helm template"));
}

/// Exit code and output in a folder.
fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = lint_in(folder, arguments, "");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let (code, text) = lint(&["-o", "sarif", "-"], &workflow(WRONG));
    assert_eq!(code, 1);
    let log: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &log["runs"][0];
    let described = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(run["tool"]["driver"]["name"], "stepbound");
    assert_eq!(described.len(), rules().count());
    for rule in described {
        assert!(rule["shortDescription"]["text"].is_string() && rule["help"]["text"].is_string());
        assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"));
        assert!(["error", "warning"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() == 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(described[index]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].is_string());
        let number = |field: &str| place["region"][field].as_u64().unwrap();
        assert!(number("startLine") >= 1 && number("startColumn") >= 1 && number("endColumn") > number("startColumn"));
    }
}

#[test]
fn a_code_is_explained_as_on_its_page() {
    for rule in rules() {
        let page = std::fs::read_to_string(Path::new(ROOT).join(rule.page())).unwrap_or_default();
        assert_eq!(page, rule.explain(), "{} is old or missing: run `make lint-docs`", rule.page());
    }
    let pages = std::fs::read_dir(Path::new(ROOT).join("docs/lint")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.filter(|name| name.to_string_lossy().starts_with("SB")).count();
    assert_eq!(pages, rules().count(), "a page of a rule that is no more");
    let list = std::fs::read_to_string(Path::new(ROOT).join("docs/lint/README.md")).unwrap();
    for rule in rules() {
        let line = format!("| [{0}]({0}.md) | {1} | {2} |", rule.code, rule.severity.name(), rule.title);
        assert!(list.contains(&line), "docs/lint/README.md lacks: {line}");
    }
    let (code, text) = lint(&["--explain", "sb012"], "");
    assert_eq!((code, text), (0, std::fs::read_to_string(Path::new(ROOT).join("docs/lint/SB012.md")).unwrap()));
    assert_eq!(lint(&["--explain"], "").1.lines().count(), rules().count());
    assert_eq!(lint(&["--explain", "SB999"], "").0, 2);
    assert!(rules().any(|rule| rule.severity == Severity::Warning));
}

#[test]
fn the_examples_of_this_project_are_clean() {
    // One of them shows a log group that a team has already.
    let (code, text) = lint(&["--strict", "--ignore", "SB013", "examples"], "");
    assert_eq!(code, 0, "{text}");
}
