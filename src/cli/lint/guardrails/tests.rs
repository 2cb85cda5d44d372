use super::super::collect::{Options, check};
use super::super::input::Source;

/// Code and path of what is found in all of these files.
fn told(texts: &[&str]) -> Vec<(&'static str, String, String)> {
    let source = |(index, text): (usize, &&str)| Source {
        name: format!("{index}.yaml"),
        text: (*text).to_owned(),
        folder: None,
    };
    let sources: Vec<Source> = texts.iter().enumerate().map(source).collect();
    let found = check(&sources, &Options::default()).unwrap().findings;
    found.into_iter().map(|one| (one.finding.code, one.finding.path, one.finding.message)).collect()
}

fn paths(texts: &[&str]) -> Vec<String> {
    let found = told(texts);
    assert!(found.iter().all(|one| one.0 == "SB094"), "{found:?}");
    found.into_iter().map(|one| one.1).collect()
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: stepbound.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{spec}\n"
    )
}

fn guardrail(selector: &str, rule: &str) -> String {
    let whole = object("Guardrail", "shops", &format!("  namespaceSelector: {selector}\n  {rule}"));
    whole.replace(", namespace: shop", "")
}

fn workflow(more: &str, state: &str) -> String {
    object(
        "Workflow",
        "fulfil",
        &format!(
            "  trustBindingRef: {{name: orders}}\n  executionRoleARN: arn:aws:iam::111122223333:role/exec\n{more}  definition: {{StartAt: A, States: {{A: {{{state}, End: true}}}}}}"
        ),
    )
}

const TASK: &str = "Type: Task, Resource: 'arn:aws:states:::lambda:invoke', TimeoutSeconds: 9, Parameters: {FunctionName: 'arn:aws:lambda:eu-west-1:111122223333:function:f'}";
const BINDING: &str =
    "  serviceAccountName: orders\n  roleARN: arn:aws:iam::111122223333:role/orders\n  region: eu-west-1";

#[test]
fn what_a_guardrail_forbids_is_told_at_its_place_in_each_object_that_it_selects() {
    let (task, binding) = (workflow("", TASK), object("TrustBinding", "orders", BINDING));
    let own = format!("{TASK}, Credentials: {{RoleArn: 'arn:aws:iam::111122223333:role/step'}}");
    let foreign = TASK.replace(":111122223333:function", ":999988887777:function");
    let step = "  stepRoles: [{roleARN: 'arn:aws:iam::111122223333:role/step', states: [A]}]\n";
    let cases: [(&str, &str, &[&str]); 12] = [
        ("forbiddenIntegrations: [lambda]", &task, &["/States/A"]),
        ("forbiddenIntegrations: [sqs]", &task, &[]),
        ("requireStepRoles: true", &task, &["/States/A"]),
        ("allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/other']", &task, &["/spec/executionRoleARN"]),
        ("allowedExecutionRoleARNs: ['arn:aws:iam::111122223333:role/ex*']", &task, &[]),
        ("allowedAccountIDs: ['111122223333']", &task, &[]),
        ("allowedAccountIDs: ['999988887777']", &task, &["/spec/executionRoleARN", "/States/A"]),
        ("requireAlias: true", &task, &["/"]),
        ("allowedRegions: [us-east-1]", &binding, &["/spec/region"]),
        ("allowedRegions: [eu-west-1]", &binding, &[]),
        ("allowedRoleARNs: ['arn:aws:iam::111122223333:role/x']", &binding, &["/spec/roleARN"]),
        ("allowedAccountIDs: ['999988887777']", &binding, &["/spec/roleARN"]),
    ];
    for (rule, object, expected) in cases {
        let found = paths(&[&guardrail("{}", rule), object]);
        assert_eq!(found, expected, "{rule}");
    }
    let rule = guardrail("{}", "allowedStepRoleARNs: ['arn:aws:iam::111122223333:role/other']");
    assert_eq!(paths(&[&rule, &workflow(step, TASK)]), ["/spec/stepRoles/0/roleARN"], "told once");
    assert_eq!(paths(&[&rule, &workflow("", &own)]), ["/States/A"]);
    let rule = guardrail("{}", "requireStepRoles: true");
    assert_eq!(paths(&[&rule, &workflow(step, TASK)]), [""; 0]);
    let rule = guardrail("{}", "allowedAccountIDs: ['111122223333']");
    assert_eq!(paths(&[&rule, &workflow("", &foreign)]), ["/States/A"]);
    let message = &told(&[&rule, &workflow("", &foreign)])[0].2;
    assert!(message.starts_with("Guardrail \"shops\" for namespace \"shop\": AWS account 999988887777"), "{message}");
}

#[test]
fn what_a_placeholder_leaves_open_is_not_refused() {
    let rule = guardrail(
        "{}",
        "allowedStepRoleARNs: ['arn:aws:iam::111122223333:role/step']\n  forbiddenIntegrations: ['*lambda*']",
    );
    let open = "Type: Task, Resource: '${lambda}', TimeoutSeconds: 9, Credentials: {RoleArn: '${role}'}";
    let from = "  substitutionsFrom: [{configMapRef: {name: values}}]\n";
    let found = told(&[&rule, &workflow(from, open)]);
    assert!(found.iter().all(|one| one.0 != "SB094"), "{found:?}");
}

#[test]
fn a_guardrail_counts_where_its_selector_is_shown_to_match_and_nowhere_else() {
    let task = workflow("", TASK);
    let namespace =
        |labels: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n");
    let rule = |selector: &str| guardrail(selector, "forbiddenIntegrations: [lambda]");
    let of_name = |name: &str| rule(&format!("{{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}"));
    let of_team = rule("{matchLabels: {team: a}}");
    let opt_out = rule("{matchExpressions: [{key: exempt, operator: DoesNotExist}]}");
    let count = |texts: &[&str]| paths(texts).len();
    assert_eq!((count(&[&of_name("shop"), &task]), count(&[&of_name("other"), &task])), (1, 0));
    assert_eq!((count(&[&of_team, &task]), count(&[&opt_out, &task])), (0, 0), "labels are not known");
    let (a, b) = (namespace("team: a"), namespace("team: b, exempt: 'true'"));
    assert_eq!((count(&[&of_team, &task, &a]), count(&[&of_team, &task, &b])), (1, 0));
    assert_eq!((count(&[&opt_out, &task, &a]), count(&[&opt_out, &task, &b])), (1, 0));
    let anywhere = task.replace(", namespace: shop", "");
    assert_eq!((count(&[&rule("{}"), &anywhere]), count(&[&of_name("shop"), &anywhere])), (1, 0));
    assert!(!told(&[&rule("{}"), &anywhere])[0].2.contains("for namespace"));
}

#[test]
fn a_run_without_an_alias_is_told_where_a_guardrail_asks_for_one() {
    let rule = guardrail("{}", "requireAlias: true");
    let run = |more: &str| object("WorkflowRun", "now", &format!("  workflowRef: {{name: fulfil{more}}}"));
    let aliases = |aliases: &str| workflow(&format!("  aliases: [{aliases}]\n"), "Type: Pass");
    let one = aliases("{name: live, version: 1}");
    let two = aliases("{name: live, version: 1}, {name: next, version: 1}");
    assert_eq!(paths(&[&rule, &run("")]), [""; 0], "the Workflow is not known");
    assert_eq!(paths(&[&rule, &run(", version: 1")]), ["/spec/workflowRef/version"]);
    assert_eq!(paths(&[&rule, &run(""), &one]), [""; 0]);
    assert_eq!(paths(&[&rule, &run(""), &two]), ["/spec/workflowRef"]);
    assert_eq!(paths(&[&rule, &run(", alias: next"), &two]), [""; 0]);
}

#[test]
fn an_input_from_a_config_map_among_the_files_is_held_against_the_schema() {
    let typed = workflow("  inputSchema: {required: [id], properties: {id: {type: string}}}\n", "Type: Pass");
    let from = "inputFrom: {configMapKeyRef: {name: in, key: k}}";
    let run = object("WorkflowRun", "now", &format!("  workflowRef: {{name: fulfil}}\n  {from}"));
    let schedule = format!("  schedule: '@daily'\n  runTemplate: {{spec: {{workflowRef: {{name: fulfil}}, {from}}}}}");
    let schedule = object("WorkflowSchedule", "daily", &schedule);
    let map = |text: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: in, namespace: shop}}\ndata: {{k: '{text}'}}\n")
    };
    for (text, is_refused) in [(r#"{"id": "a"}"#, false), (r#"{"id": 5}"#, true), ("{}", true), ("id: a", true)] {
        let at = |path: &str| is_refused.then(|| path.to_owned()).into_iter().collect::<Vec<_>>();
        assert_eq!(paths(&[&typed, &run, &map(text)]), at("/spec/inputFrom/configMapKeyRef"), "{text}");
        let path = "/spec/runTemplate/spec/inputFrom/configMapKeyRef";
        assert_eq!(paths(&[&typed, &schedule, &map(text)]), at(path), "{text}");
    }
    assert_eq!(paths(&[&typed, &run]), [""; 0], "the ConfigMap is not known");
    let elsewhere = map("{}").replace("namespace: shop", "namespace: other");
    assert_eq!(told(&[&typed, &run, &elsewhere]).iter().filter(|one| one.0 != "SB097").count(), 0);
}
