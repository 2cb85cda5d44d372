use super::*;

fn told(name: &str, text: &str) -> Vec<(&'static str, usize, String)> {
    let source = Source { name: name.into(), text: text.into(), folder: None };
    let found = check(&[source], &Options::default()).unwrap().findings;
    found.into_iter().map(|one| (one.finding.code, one.line, one.finding.message)).collect()
}

#[test]
fn a_definition_that_is_named_json_and_is_yaml_is_told() {
    let trailing = "{\"StartAt\": \"A\", \"States\": {\n\"A\": {\"Type\": \"Succeed\"},\n}}";
    let keys = "{StartAt: A, 'States': {A: {Type: Succeed}}}";
    let block = "StartAt: A\nStates: {A: {Type: Succeed}}\n";
    for (text, line) in [(trailing, 3), (keys, 1), (block, 1)] {
        for name in ["m.json", "m.asl.json"] {
            let found = told(name, text);
            assert!(found.len() == 1 && found[0].0 == "SB025" && found[0].1 == line, "{name} {text}: {found:?}");
        }
        for name in ["m.yaml", "m.asl.yaml", "<stdin>"] {
            assert_eq!(told(name, text), [], "{name} {text}");
        }
    }
    let valid = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
    assert_eq!(told("m.json", valid), []);
    let placeholder = valid.replace("\"Succeed\"", "\"Wait\", \"Seconds\": ${n}, \"End\": true");
    assert!(told("m.json", &placeholder).iter().all(|one| one.0 == "SB029"), "{:?}", told("m.json", &placeholder));
    // Whoever applies a manifest reads YAML, whatever the file is called.
    let manifest =
        "{apiVersion: stepbound.dev/v1alpha1, kind: Activity, metadata: {name: a}, spec: {trustBindingRef: {name: b}}}";
    assert!(told("a.json", manifest).iter().all(|one| one.0 != "SB025"), "{:?}", told("a.json", manifest));
}

#[test]
fn quotes_within_a_placeholder_are_told_as_what_ends_the_text() {
    let text = "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Task\",\n\"Resource\": \"${module.lambda[\"x\"].arn}\", \"End\": true}}}";
    let found = told("<stdin>", text);
    assert!(found.len() == 1 && found[0].2.contains("the quotes inside of ${ … }"), "{found:?}");
    let bare = told("<stdin>", "{StartAt: A, States: {A: ${state}, B: ]}}");
    assert!(bare.len() == 1 && !bare[0].2.contains("the quotes inside of"), "{bare:?}");
}

#[test]
fn a_value_with_one_mistake_is_told_once() {
    let binding = |length: &str| {
        told(
            "<stdin>",
            &format!(
                "apiVersion: stepbound.dev/v1alpha1\nkind: TrustBinding\nmetadata: {{name: a}}\nspec: {{serviceAccountName: a, roleARN: 'arn:aws:iam::111122223333:role/a', region: eu-west-1, sessionDuration: {length}}}\n"
            ),
        )
    };
    for (length, said) in [
        ("1d", "Write \"24h\""),
        ("1 hour", "Write \"1h\""),
        ("13h", "between 15m and 12h"),
        ("5m", "between 15m and 12h"),
    ] {
        let found = binding(length);
        assert!(found.len() == 1 && found[0].2.contains(said), "{length}: {found:?}");
    }
    let schedule = |text: &str| {
        told(
            "<stdin>",
            &format!(
                "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowSchedule\nmetadata: {{name: a}}\nspec: {{schedule: '{text}', runTemplate: {{spec: {{workflowRef: {{name: b}}}}}}}}\n"
            ),
        )
    };
    for (text, said) in [
        ("TZ=UTC 0 2 * * *", "use timeZone instead"),
        ("CRON_TZ=UTC 0 2 * * *", "use timeZone instead"),
        ("0 2 * *", "five fields"),
    ] {
        let found = schedule(text);
        assert!(found.len() == 1 && found[0].2.contains(said), "{text}: {found:?}");
    }
}
