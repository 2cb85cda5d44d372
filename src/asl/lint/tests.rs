mod aws;
mod forms;

use super::super::parse;
use super::*;
use crate::asl::Span;

fn findings(text: &str, circumstances: Circumstances) -> Vec<Finding> {
    lint(parse(text).unwrap().root(), circumstances)
}

fn codes(text: &str) -> Vec<(&'static str, String)> {
    findings(text, Circumstances::default()).into_iter().map(|finding| (finding.code, finding.path)).collect()
}

#[test]
fn the_example_of_each_rule_breaks_it_and_no_error_rule_beside_it() {
    let mut wrong = Vec::new();
    for rule in rules().filter(|rule| rule.scope != Scope::Text && !rule.example.is_empty()) {
        let circumstances = Circumstances {
            express: rule.scope == Scope::Express,
            placeholders: rule.code == "SB028",
            ..Circumstances::default()
        };
        let found = findings(rule.example, circumstances);
        let others = found.iter().filter(|finding| finding.is_error() && finding.code != rule.code).count();
        if others > 0 || !found.iter().any(|finding| finding.code == rule.code) {
            wrong.push((rule.code, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn codes_are_in_use_once_and_well_formed() {
    let mut seen = std::collections::HashSet::new();
    for rule in rules() {
        assert!(seen.insert(rule.code), "{} stands twice", rule.code);
        assert!(rule.code.starts_with("SB") && rule.code.len() == 5, "{}", rule.code);
        assert!(
            !rule.title.is_empty() && !rule.label.is_empty() && rule.why.ends_with('.') && rule.fix.ends_with('.'),
            "{}",
            rule.code
        );
    }
}

#[test]
fn each_mistake_is_found_at_its_place() {
    let cases = [
        ("[]", "SB001", "/"),
        (r#"{"StartAt": "A"}"#, "SB002", "/"),
        (r#"{"States": {"Ship": {"Type": "Succeed"}}}"#, "SB003", "/"),
        (r#"{"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}}"#, "SB012", "/StartAt"),
        (r#"{"StartAt": "A", "States": {"A": {"Type": "Job"}}}"#, "SB005", "/States/A/Type"),
        (r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "End": true}}}"#, "SB007", "/States/A"),
        (
            r#"{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
                {"StartAt": "P", "States": {"Q": {"Type": "Succeed"}}}]}}}"#,
            "SB012",
            "/States/P/Branches/0/StartAt",
        ),
    ];
    for (text, code, path) in cases {
        assert_eq!(codes(text), [(code, path.to_owned())], "{text}");
    }
    let choice = r#"{"StartAt": "a/b", "States": {"a/b": {"Type": "Choice", "Default": "E", "Choices": [
        {"Variable": "$.x", "IsNull": true, "Next": "No"}]}, "E": {"Type": "Succeed"}}}"#;
    assert_eq!(codes(choice), [("SB012", "/States/a~1b/Choices/0/Next".to_owned())]);
}

#[test]
fn a_finding_points_at_its_text() {
    let text = "StartAt: Charge\nStates:\n  Charge:\n    Type: Pass\n    Next: Shp\n  Ship: {Type: Succeed}\n";
    let found = findings(text, Circumstances::default());
    let dangling = found.iter().find(|finding| finding.code == "SB012").unwrap();
    assert_eq!(&text[dangling.span.start..dangling.span.end], "Shp");
    assert_eq!(dangling.message, "state \"Charge\" goes to \"Shp\", which does not exist; did you mean \"Ship\"?");
    let expression =
        "QueryLanguage: JSONata\nStartAt: A\nStates:\n  A: {Type: Pass, Output: '{% 1 + ) %}', End: true}\n";
    let found = findings(expression, Circumstances::default());
    assert_eq!(expression[found[0].span.start..].chars().next(), Some(')'), "{found:?}");
}

#[test]
fn a_near_name_is_suggested_and_a_far_one_is_not() {
    let near = findings(r#"{"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}}"#, Circumstances::default());
    assert!(near[0].message.contains("did you mean \"Ship\"?"));
    let far = findings(r#"{"StartAt": "Other", "States": {"Ship": {"Type": "Succeed"}}}"#, Circumstances::default());
    assert!(!far[0].message.contains("did you mean"));
}

#[test]
fn deep_nesting_is_told_without_overflow() {
    let mut inner = serde_json::json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    for _ in 0..100 {
        inner =
            serde_json::json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": inner}}});
    }
    let places = super::super::Places::of(&inner);
    let found = lint(Node::root(&inner, &places), Circumstances::default());
    assert!(found.iter().any(|finding| finding.code == "SB009"), "{found:?}");
}

#[test]
fn a_placeholder_stands_for_any_value_in_a_template_alone() {
    let text = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Fn}", "TimeoutSeconds": "${T}", "End": true}}}"#;
    assert!(findings(text, Circumstances { placeholders: true, ..Circumstances::default() }).is_empty());
    assert_eq!(codes(text).len(), 2);
    let open = text.replace("${Fn}", "${Fn");
    assert_eq!(findings(&open, Circumstances { placeholders: true, ..Circumstances::default() })[0].code, "SB023");
}

#[test]
fn secrets_are_seen_and_names_of_secrets_are_not() {
    let with = |value: &str| {
        format!(r#"{{"StartAt": "A", "States": {{"A": {{"Type": "Pass", "Parameters": {value}, "End": true}}}}}}"#)
    };
    let fake = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
    assert_eq!(codes(&with(&format!(r#"{{"key": "{fake}"}}"#)))[0].0, "SB071");
    assert_eq!(codes(&with(r#"{"DbPassword": "hunter2hunter2"}"#))[0].0, "SB071");
    for innocent in [
        r#"{"password.$": "$.password"}"#,
        r#"{"secret": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db"}"#,
        r#"{"SecretId": "prod/db"}"#,
        r#"{"text": "AKIA is how keys begin"}"#,
    ] {
        assert_eq!(codes(&with(innocent)), [], "{innocent}");
    }
}

#[test]
fn variables_are_seen_inside_and_not_outside() {
    let text = r#"{"StartAt": "I", "States": {
        "I": {"Type": "Pass", "Assign": {"x": 1}, "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": {"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Parameters": {"x.$": "$x", "y.$": "$y"}, "Assign": {"y": 1}, "End": true}}}, "Next": "L"},
        "L": {"Type": "Pass", "Parameters": {"y.$": "$y"}, "End": true}}}"#;
    assert_eq!(codes(text), [("SB073", "/States/L/Parameters/y.$".to_owned())]);
}

#[test]
fn what_is_ignored_is_ignored_below_its_place_alone() {
    let ignore = Ignore::parse("sb041, SB012@/States/A").unwrap();
    let finding = |code, path: &str| Finding::new(code, path, "", Span::default());
    assert!(ignore.covers(&finding("SB041", "/States/B")));
    assert!(ignore.covers(&finding("SB012", "/States/A/Next")) && ignore.covers(&finding("SB012", "/States/A")));
    assert!(!ignore.covers(&finding("SB012", "/States/AB/Next")));
    assert!(!ignore.covers(&finding("SB014", "/States/A")));
    assert_eq!(Ignore::parse("SB999"), Err(UnknownCode("SB999".into())));
    assert_eq!(Ignore::parse("SB025"), Err(UnknownCode("SB025".into())));
}

/// What follows from a mistake is not told beside it.
#[test]
fn one_mistake_is_told_once_and_by_what_explains_it() {
    let machine = |first: &str| {
        format!(
            r#"{{"StartAt": "A", "States": {{"A": {first}, "Ship": {{"Type": "Succeed"}}, "Stop": {{"Type": "Fail", "Error": "E"}}}}}}"#
        )
    };
    let to_both = r#""Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Stop"}]"#;
    let task = |more: &str| machine(&format!(r#"{{"Type": "Task", {to_both}, {more}}}"#));
    let function = r#""Resource": "arn:aws:lambda:eu-west-1:111122223333:function:f""#;
    let choice = |rule: &str| machine(&format!(r#"{{"Type": "Choice", "Choices": [{rule}], "Default": "Stop"}}"#));
    for (text, code, path) in [
        (task(&format!(r#"{function}, "Next": "Shp""#)), "SB012", "/States/A/Next"),
        (task(&format!(r#"{function}, "next": "Ship""#)), "SB017", "/States/A/next"),
        (task(&format!(r#"{function}, "Nxt": "Ship""#)), "SB017", "/States/A/Nxt"),
        (task(function), "SB006", "/States/A"),
        (task(r#""Resourc": "r", "Next": "Ship""#), "SB017", "/States/A/Resourc"),
        (machine(r#"{"type": "Pass", "Next": "Ship"}"#), "SB005", "/States/A"),
        (machine(r#"{"Type": "Job", "Next": "Ship"}"#), "SB005", "/States/A/Type"),
        (machine(r#"{"Type": "Choice", "Choice": [], "Default": "Ship"}"#), "SB017", "/States/A/Choice"),
        (machine(r#"{"Type": "Choice", "Choices": [], "Default": "Ship"}"#), "SB008", "/States/A"),
        (choice(r#"{"Variabel": "$.a", "IsNull": true, "Next": "Ship"}"#), "SB021", "/States/A/Choices/0/Variabel"),
        (choice(r#"{"Variable": "$.a", "IsNul": true, "Next": "Ship"}"#), "SB030", "/States/A/Choices/0/IsNul"),
        (
            choice(r#"{"Variable": "$.a", "IsNull": true, "Foo": 1, "Next": "Ship"}"#),
            "SB030",
            "/States/A/Choices/0/Foo",
        ),
    ] {
        assert_eq!(codes(&text), [(code, path.to_owned())], "{text}");
    }
    let wait =
        |field: &str| format!(r#"{{"StartAt": "A", "States": {{"A": {{"Type": "Wait", {field}, "End": true}}}}}}"#);
    assert_eq!(codes(&wait(r#""seconds": 5"#)), [("SB017", "/States/A/seconds".to_owned())]);
    let catcher = task(&format!(r#"{function}, "Next": "Ship""#)).replace("ErrorEquals", "ErrorEqual");
    assert_eq!(codes(&catcher), [("SB017", "/States/A/Catch/0/ErrorEqual".to_owned())]);
    let rule = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Choice", "Default": "B", "Choices": [
        {"Variable": "$.a", "StringEquals": "x", "Next": "B"}]}, "B": {"Type": "Succeed"}}}"#;
    assert_eq!(codes(rule), [("SB018", "/States/A/Choices/0/Variable".to_owned())]);
    let call = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUr": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "MessageBody": "m"}, "End": true}}}"#;
    assert_eq!(codes(call), [("SB081", "/States/A/Parameters/QueueUr".to_owned())]);
    let whole = r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}}"#;
    for (right, wrong, code, path) in [
        ("\"StartAt\"", "\"startAt\"", "SB017", "/startAt"),
        ("\"StartAt\": \"A\"", "\"StartAt\": 1", "SB019", "/StartAt"),
        ("\"States\"", "\"states\"", "SB017", "/states"),
        ("\"Next\": \"B\"", "\"Next\": 1", "SB019", "/States/A/Next"),
        ("\"Next\": \"B\"", "\"Next\": \"b\"", "SB012", "/States/A/Next"),
        ("\"Next\": \"B\"", "\"Next\": \"Elsewhere\"", "SB012", "/States/A/Next"),
        ("\"Next\": \"B\"", "\"End\": \"true\"", "SB019", "/States/A/End"),
    ] {
        assert_eq!(codes(&whole.replace(right, wrong)), [(code, path.to_owned())], "{wrong}");
    }
    for (catch, code, path) in [
        (r#""Catch": {}"#, "SB019", "/States/A/Catch"),
        (r#""catch": [{"ErrorEquals": ["States.ALL"], "Next": "Stop"}]"#, "SB017", "/States/A/catch"),
        (r#""Catch": [{"ErrorEquals": ["States.ALL"]}]"#, "SB021", "/States/A/Catch/0"),
    ] {
        let text = machine(&format!(r#"{{"Type": "Task", {function}, "Next": "Ship", {catch}}}"#));
        assert_eq!(codes(&text), [(code, path.to_owned())], "{text}");
    }
    let and = choice(r#"{"and": [{"Variable": "$.a", "IsNull": true}], "Next": "Ship"}"#);
    assert_eq!(codes(&and), [("SB030", "/States/A/Choices/0/and".to_owned())]);
    assert_eq!(codes(&choice(r#"{"Next": "Ship"}"#)), [("SB021", "/States/A/Choices/0".to_owned())]);
    let no_way = choice(r#"{"Not": {"Variable": "$.a", "IsNull": true}}"#);
    assert_eq!(codes(&no_way), [("SB021", "/States/A/Choices/0".to_owned())], "Not is no Next");
    let language = r#"{"queryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% 1 %}", "End": true}}}"#;
    assert_eq!(codes(language), [("SB017", "/queryLanguage".to_owned())]);
    let other = language
        .replace("\"queryLanguage\": \"JSONata\", ", "")
        .replace("\"End\"", "\"Assign\": {\"x\": \"{% 2 %}\"}, \"End\"");
    assert_eq!(codes(&other), [("SB018", "/States/A/Output".to_owned())]);
    assert_eq!(codes(&choice("[]")), [("SB019", "/States/A/Choices/0".to_owned())]);
    let map = |config: &str| {
        format!(
            r#"{{"StartAt": "M", "States": {{"M": {{"Type": "Map", "Label": "m", "End": true, "ItemBatcher": {{"MaxItemsPerBatch": 2}},
            "ItemProcessor": {{{config}, "StartAt": "P", "States": {{"P": {{"Type": "Pass", "End": true}}}}}}}}}}}}"#
        )
    };
    let right = r#""ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}"#;
    assert_eq!(codes(&map(right)), []);
    for (right_part, wrong, code, path) in [
        ("ProcessorConfig", "processorConfig", "SB017", "/processorConfig"),
        ("\"Mode\"", "\"mode\"", "SB017", "/ProcessorConfig/mode"),
        ("ExecutionType", "executionType", "SB017", "/ProcessorConfig/executionType"),
        ("DISTRIBUTED", "Distributed", "SB019", "/ProcessorConfig/Mode"),
    ] {
        let found = codes(&map(&right.replace(right_part, wrong)));
        assert_eq!(found, [(code, format!("/States/M/ItemProcessor{path}"))], "{wrong}");
    }
    let batch = map(right).replace("MaxItemsPerBatch", "maxItemsPerBatch");
    assert_eq!(codes(&batch), [("SB017", "/States/M/ItemBatcher/maxItemsPerBatch".to_owned())]);
}
