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

fn workflow(more: &str, state: &str) -> Vec<(&'static str, String)> {
    let spec = format!(
        "spec:\n  trustBindingRef: {{name: orders}}\n  executionRoleARN: 'arn:aws-us-gov:iam::111122223333:role/exec'\n{more}  definition: {{StartAt: A, States: {{A: {{{state}, End: true}}}}}}\n"
    );
    let text =
        format!("apiVersion: stepbound.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: a, namespace: shop}}\n{spec}");
    told("<stdin>", &text).into_iter().map(|(code, _, message)| (code, message)).collect()
}

#[test]
fn what_aws_refuses_of_a_workflow_is_told_before_it_is_asked() {
    let task = "Type: Task, Resource: 'arn:aws-us-gov:states:::sns:publish', TimeoutSeconds: 9, Parameters: {Message: m, TopicArn: 'arn:aws-us-gov:sns:us-gov-west-1:111122223333:t'}";
    let own = format!("{task}, Credentials: {{RoleArn: 'arn:aws-us-gov:iam::111122223333:role/exec'}}");
    let group = |partition: &str, after: &str| {
        format!(
            "  logging: {{level: All, logGroupARN: 'arn:{partition}:logs:us-gov-west-1:111122223333:log-group:/aws/vendedlogs/states/a{after}'}}\n"
        )
    };
    let rollout = |interval: &str| {
        format!("  aliases: [{{name: live, rollout: {{strategy: Canary, percent: 10, interval: {interval}}}}}]\n")
    };
    let own_role = "  stepRoles: [{roleARN: 'arn:aws-us-gov:iam::111122223333:role/exec', states: [A]}]\n";
    for (more, state, expected) in [
        ("  tags: {team: shop}\n".to_owned(), task, None),
        ("  tags: {'a#b': shop}\n".to_owned(), task, Some(("SB094", "the sign \"#\""))),
        ("  tags: {team: 'a;b'}\n".to_owned(), task, Some(("SB094", "the value of tag team"))),
        (group("aws-us-gov", ":*"), task, None),
        (group("aws-us-gov", ":log-stream:b"), task, Some(("SB094", "names a log stream"))),
        (group("aws-cn", ":*"), task, Some(("SB099", "of partition aws-cn"))),
        (rollout("10m"), task, None),
        (rollout("0s"), task, Some(("SB098", "an interval of nothing"))),
        (own_role.to_owned(), task, Some(("SB104", "the execution role itself"))),
        (String::new(), own.as_str(), Some(("SB104", "the execution role itself"))),
        (String::new(), &task.replace("arn:aws-us-gov:sns", "arn:aws:sns"), Some(("SB099", "of partition aws,"))),
    ] {
        let found = workflow(&more, state);
        let is_told = |(code, said): (&str, &str)| found.len() == 1 && found[0].0 == code && found[0].1.contains(said);
        assert!(expected.map_or(found.is_empty(), is_told), "{more} {state}: {found:?}");
    }
}

#[test]
fn a_field_in_another_style_is_told_with_the_one_that_is_meant() {
    for (field, meant) in [
        ("max_concurrent_runs", Some("maxConcurrentRuns")),
        ("MaxConcurrentRuns", Some("maxConcurrentRuns")),
        ("max-starts-per-second", Some("maxStartsPerSecond")),
        ("requireAliases", Some("requireAlias")),
        ("requireStepRole", Some("requireStepRoles")),
        ("colour", None),
    ] {
        let text = format!(
            "apiVersion: stepbound.dev/v1alpha1\nkind: Guardrail\nmetadata: {{name: a}}\nspec: {{namespaceSelector: {{}}, {field}: 1}}\n"
        );
        let found = told("<stdin>", &text);
        assert!(found.len() == 1 && found[0].0 == "SB090", "{found:?}");
        let hint = meant.map(|meant| format!("; did you mean {meant}?"));
        assert_eq!(found[0].2.split_once("\" here").unwrap().1, hint.unwrap_or_default(), "{field}");
    }
}
