//! Files that are no definition as AWS takes it: others' files, templates of other tools, and what is too deep.

use serde_json::json;

use super::{codes, findings, lint, run_in, workflow};

#[test]
fn a_file_that_is_named_does_not_pass_without_being_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    for (name, text, what) in [
        ("empty.json", "", "it is empty"),
        ("space.yaml", " \n", "it is empty"),
        ("comment.yaml", "# nothing yet\n---\n", "it holds no value"),
        ("list.json", "[]", "it holds a list"),
        ("object.json", "{}", "it holds an empty object"),
        ("text.yaml", "StartAt\n", "it holds a single value"),
        ("package.json", r#"{"name": "shop", "version": "1.0.0"}"#, "it holds an object with name, version;"),
        ("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "it holds Service of v1;"),
        (
            "other.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
            "it holds Workflow of argoproj.io/v1alpha1;",
        ),
        (
            "map.yaml",
            "apiVersion: v1\nkind: ConfigMap\ndata: {a: '{}'}\n",
            "where a Workflow that is given too names it",
        ),
        (
            "template.yaml",
            "Resources:\n  Machine: {Type: 'AWS::StepFunctions::StateMachine'}\n",
            "it holds a CloudFormation template",
        ),
        ("described.json", r#"{"stateMachineArn": "arn", "definition": "{}"}"#, "--query definition --output text"),
        ("items.yaml", "apiVersion: v1\nkind: List\nitems: []\n", "it holds List of v1"),
    ] {
        write(name, text);
        let (code, told) = run_in(folder.path(), &[name]);
        assert!(code == 1 && told.contains("error[SB097]") && told.contains(what), "{name}: {code} {told}");
        assert_eq!(run_in(folder.path(), &[name, "--ignore", "SB097"]).0, 0, "{name}");
        assert_eq!(lint(&["-"], text).0, 1, "{name} as standard input");
    }
    let (code, told) = run_in(folder.path(), &["."]);
    assert!(code == 1 && told.contains("none of its 13 files holds anything of ours"), "{code} {told}");
    std::fs::create_dir(folder.path().join("none")).unwrap();
    let (code, told) = run_in(folder.path(), &["none"]);
    assert!(code == 2 && told.contains("there is no .yaml, .yml or .json file in none"), "{code} {told}");

    // A name can say what a file should be.
    std::fs::create_dir(folder.path().join("machines")).unwrap();
    for text in ["", "# nothing yet\n", "{", "[]"] {
        write("machines/good.json", "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Succeed\"}}}");
        write("machines/other.asl.json", text);
        let (code, told) = run_in(folder.path(), &["machines"]);
        assert!(
            code == 1 && told.contains("other.asl.json:1:") && !told.contains("passed over"),
            "{text}: {code} {told}"
        );
    }

    write("machines/good.json", "[]");
    write("machines/other.asl.json", "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Succeed\"}}}");
    let (code, told) = run_in(folder.path(), &["machines"]);
    assert!(code == 0 && told.contains("2 files (1 of them passed over"), "{code} {told}");

    // What something of ours names is looked at, and so is a file with anything of ours in it.
    let machine = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: machine, namespace: shop}\ndata: {k: '{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Succeed\"}}}'}\n";
    write("map.yaml", machine);
    write("fulfil.yaml", &workflow("  definitionFrom: {configMapKeyRef: {name: machine, key: k}}\n"));
    assert_eq!(run_in(folder.path(), &["map.yaml", "fulfil.yaml"]).0, 0);
    write(
        "both.yaml",
        &format!(
            "apiVersion: v1\nkind: Service\n---\n{}",
            workflow("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n")
        ),
    );
    assert_eq!(run_in(folder.path(), &["both.yaml"]).0, 0);
}

#[test]
fn templates_of_other_tools_are_told_as_what_they_are() {
    let retried = |attempts: &str, next: &str| {
        format!(
            "{{\"StartAt\": \"A\", \"States\": {{\"A\": {{\"Type\": \"Task\", \"Resource\": \"${{Fn}}\", \"TimeoutSeconds\": 9,\n\"Retry\": [{{\"ErrorEquals\": [\"States.ALL\"], \"MaxAttempts\": {attempts}}}], {next}}}}}}}"
        )
    };
    for unquoted in ["${n}", "${ var.n }", "${n}0", "${jsonencode({a = \"}\"})}", "${a}${b}"] {
        let found = findings(&["-"], &retried(unquoted, "\"End\": true"));
        assert_eq!(found.len(), 1, "{unquoted}: {found:#?}");
        let place = "/States/A/Retry/0/MaxAttempts";
        assert_eq!(
            (&found[0]["code"], &found[0]["severity"], &found[0]["path"], &found[0]["line"]),
            (&json!("SB029"), &json!("warning"), &json!(place), &json!(2))
        );
        assert!(found[0]["message"].as_str().unwrap().starts_with(unquoted), "{found:#?}");
    }
    assert_eq!(codes(&["-"], &retried("${n}", "\"Next\": \"B\"")), ["SB029", "SB012"], "the rest is linted");
    let whole = |field: &str| format!("{{\"StartAt\": \"A\", \"States\": {{\"A\": {{\"Type\": \"Pass\", {field}}}}}}}");
    for field in
        ["\"End\": ${end}", "\"End\": true, \"Result\": ${result}", "\"End\": true, \"Parameters\": {\"a\": ${a}}"]
    {
        assert_eq!(codes(&["-"], &whole(field)), ["SB029"], "{field}");
    }
    for states in ["${states}", "{\"A\": ${state}}", "{\"A\": ${state}, \"B\": {\"Type\": \"Pass\", \"End\": true}}"] {
        assert_eq!(codes(&["-"], &format!("{{\"StartAt\": \"A\", \"States\": {states}}}")), ["SB029"], "{states}");
    }
    let inner = |kind: &str, fields: &str| {
        format!(
            "{{\"StartAt\": \"A\", \"States\": {{\"A\": {{\"Type\": \"{kind}\", {fields}}}, \"B\": {{\"Type\": \"Succeed\"}}}}}}"
        )
    };
    for (kind, fields) in [
        ("Choice", "\"Choices\": ${rules}"),
        ("Choice", "\"Choices\": [${rule}], \"Default\": \"B\""),
        ("Parallel", "\"Branches\": ${branches}, \"Next\": \"B\""),
        ("Parallel", "\"Branches\": [${branch}], \"Next\": \"B\""),
        ("Map", "\"ItemProcessor\": ${processor}, \"Next\": \"B\""),
        ("Map", "\"Iterator\": ${processor}, \"Next\": \"B\""),
        ("Task", "\"Resource\": ${arn}, \"TimeoutSeconds\": 9, \"Next\": \"B\""),
        ("Task", "\"Resource\": \"${arn}\", \"TimeoutSeconds\": ${n}, \"Next\": \"B\""),
        (
            "Task",
            "\"Resource\": \"${arn}\", \"Retry\": ${retry}, \"Catch\": [{\"ErrorEquals\": [\"States.ALL\"], \"Next\": \"B\"}], \"Next\": \"B\"",
        ),
        ("Task", "\"Resource\": \"${arn}\", \"Catch\": ${catch}, \"End\": true"),
        ("Task", "\"Resource\": \"arn:aws:states:::sqs:sendMessage\", \"Parameters\": ${parameters}, \"Next\": \"B\""),
        (
            "Task",
            "\"Resource\": \"arn:aws:states:::sqs:sendMessage\", \"Parameters\": {\"QueueUrl\": \"${q}\", \"MessageBody\": ${body}}, \"Next\": \"B\"",
        ),
        ("Wait", "\"Seconds\": ${n}, \"Next\": \"B\""),
        ("Pass", "\"Next\": ${next}"),
    ] {
        let text = inner(kind, fields);
        let found = codes(&["-"], &text);
        assert!(
            !found.is_empty() && found.iter().all(|code| code == "SB029"),
            "{kind} {fields}: {:#?}",
            findings(&["-"], &text)
        );
    }
    for (text, line) in [
        (whole("%{ if wait } \"Comment\": \"x\", %{ endif }\"End\": true"), 1),
        ("%{ if wait ~}\n{\"StartAt\": \"A\"}\n%{ endif }\n".to_owned(), 1),
        ("StartAt: A\nStates:\n%{ for name in names }\n  ${name}: {Type: Succeed}\n%{ endfor }\n".to_owned(), 3),
    ] {
        let found = findings(&["-"], &text);
        assert_eq!((&found[0]["code"], &found[0]["line"]), (&json!("SB025"), &json!(line)), "{found:#?}");
        assert!(found[0]["message"].as_str().unwrap().contains("directive of a Terraform template"), "{found:#?}");
    }
    let inside = retried("1", "\"End\": true").replace("${Fn}", "%{ if a }arn:aws:x%{ else }arn:aws:y%{ endif }");
    assert!(codes(&["-"], &inside).is_empty(), "{:?}", findings(&["-"], &inside));

    // Nobody puts a value into a Workflow but as text.
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: machine, namespace: shop}}\ndata:\n  k: |\n    {}\n---\n",
        whole("\"End\": ${end}")
    );
    let from = workflow("  definitionFrom: {configMapKeyRef: {name: machine, key: k}}\n");
    let found = findings(&["-"], &(map + &from));
    assert_eq!((found.len(), &found[0]["code"]), (1, &json!("SB025")), "{found:#?}");
    assert!(found[0]["message"].as_str().unwrap().contains("${end} stands outside of quotes"), "{found:#?}");
    let manifest = "{\"apiVersion\": \"stepbound.dev/v1alpha1\", \"kind\": \"Workflow\", \"metadata\": {\"name\": \"a\"}, \"spec\": {\"maxConcurrentRuns\": ${n}}}";
    assert_eq!(codes(&["-"], manifest), ["SB025"]);
}

#[test]
fn tags_of_cloud_formation_are_told_as_such_and_nothing_else_of_their_values() {
    for value in [
        "!GetAtt Charge.Arn",
        "!Sub 'arn:${AWS::Partition}:x'",
        "!Ref Charge",
        "!If [IsProd, a, b]",
        "!Join ['', [a, !Ref B]]",
    ] {
        let text = format!(
            "StartAt: A\nStates:\n  A:\n    Type: Task\n    Resource: {value}\n    TimeoutSeconds: 9\n    End: true\n"
        );
        let found = findings(&["-"], &text);
        let tag = value.split(' ').next().unwrap();
        assert!(found.iter().all(|one| one["code"] == "SB028" && one["severity"] == "warning"), "{value}: {found:#?}");
        assert_eq!((&found[0]["path"], &found[0]["line"]), (&json!("/States/A/Resource"), &json!(5)), "{value}");
        assert!(
            found[0]["message"].as_str().unwrap().starts_with(&format!("{tag} is resolved by CloudFormation")),
            "{found:#?}"
        );
        // In a manifest nobody resolves them: where what stands there is refused, this is why.
        let nested = text.replace('\n', "\n    ");
        let found = findings(&["-"], &workflow(&format!("  definition:\n    {}", nested.trim_end())));
        assert_eq!(found[0]["code"], "SB028", "{value}: {found:#?}");
        assert_eq!(found[0]["severity"], "error", "{value}: {found:#?}");
    }
    for field in [
        "Type: Wait, Seconds: !Ref Pause, Next: B",
        "Type: Pass, Next: !Ref Next",
        "Type: Choice, Default: B, Choices: [!Ref Rule]",
        "Type: Pass, Next: !If [IsProd, B, A]",
        "Type: Choice, Choices: !Ref Rules",
    ] {
        let text = format!("StartAt: A\nStates:\n  A: {{{field}}}\n  B: {{Type: Succeed}}\n");
        assert!(codes(&["-"], &text).iter().all(|code| code == "SB028"), "{field}: {:#?}", findings(&["-"], &text));
    }
    let role = workflow("  definition: {StartAt: A, States: {A: {Type: Succeed}}}\n")
        .replace("arn:aws:iam::111122223333:role/shop-fulfil-exec", "!GetAtt Role.Arn");
    let found = findings(&["-"], &role);
    assert_eq!(
        (found.len(), &found[0]["code"], &found[0]["severity"], &found[0]["path"]),
        (1, &json!("SB028"), &json!("error"), &json!("/spec/executionRoleARN")),
        "{found:#?}"
    );
    assert_eq!(
        codes(&["-"], "StartAt: A\nStates:\n  A: {Type: Pass, Result: !vault x, End: true}\n"),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_nested_deeper_than_is_read_is_told_and_not_refused() {
    let deep = |levels: usize| {
        let value = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        format!(
            "{{\"StartAt\": \"A\", \"States\": {{\"A\": {{\"Type\": \"Pass\", \"Result\": {value}, \"End\": true}}}}}}"
        )
    };
    assert!(codes(&["-"], &deep(100)).is_empty());
    for levels in [130, 5_000, 400_000] {
        let found = findings(&["-"], &deep(levels));
        assert_eq!(
            (found.len(), &found[0]["code"], &found[0]["severity"]),
            (1, &json!("SB009"), &json!("warning")),
            "{found:#?}"
        );
        assert_eq!(lint(&["-"], &deep(levels)).0, 0);
    }
    let message = findings(&["-"], &deep(130))[0]["message"].to_string();
    assert!(message.contains("127 levels") && message.contains("by the operator, from a ConfigMap too"), "{message}");
    let (open, close) = ("[".repeat(140), "]".repeat(140));
    let yaml = format!("StartAt: A\nStates:\n  A: {{Type: Pass, End: true, Result: {open}1{close}}}\n");
    assert_eq!(codes(&["-"], &yaml), ["SB009"]);
    // The operator reads no deeper either.
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: machine, namespace: shop}}\ndata:\n  k: |\n    {}\n---\n",
        deep(130)
    );
    let from = workflow("  definitionFrom: {configMapKeyRef: {name: machine, key: k}}\n");
    let found = findings(&["-"], &(map + &from));
    assert_eq!((found.len(), &found[0]["code"]), (1, &json!("SB025")));
    assert!(found[0]["message"].to_string().contains("the operator reads no deeper"), "{found:#?}");
    assert_eq!(codes(&["-"], &deep(130).replace("\"StartAt\"", "\"start\"")), ["SB025"], "this may be anything");
}

#[test]
fn what_is_not_utf8_is_told_with_how_to_convert_it_by_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let wide: Vec<u8> =
        "\u{feff}StartAt: A\nStates: {A: {Type: Succeed}}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(folder.path().join("wide.yaml"), &wide).unwrap();
    std::fs::write(folder.path().join("old.json"), b"{\"StartAt\": \"\xf6\"}").unwrap();
    for verb in
        [&["lint"][..], &["graph"], &["policy", "execution-role"], &["policy", "binding-role"], &["trust", "lint"]]
    {
        for (name, part) in [("wide.yaml", "iconv -f UTF-16 -t UTF-8"), ("old.json", "line 1 is not UTF-8 (byte 0xf6)")]
        {
            let ran = std::process::Command::new(env!("CARGO_BIN_EXE_stepbound"))
                .args([verb, &[name]].concat())
                .current_dir(folder.path())
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.code() == Some(2) && told.contains(part), "{verb:?} {name}: {told}");
        }
    }
    // In a folder what is not ours is passed over, and what is ours is told.
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("values.yaml"), b"a: \xf6\n").unwrap();
    std::fs::write(inner.join("machine.yaml"), "StartAt: A\nStates: {A: {Type: Succeed}}\n").unwrap();
    assert_eq!(run_in(folder.path(), &["inner"]).0, 0);
    std::fs::write(inner.join("wide.yaml"), &wide).unwrap();
    assert_eq!(run_in(folder.path(), &["inner"]).0, 2);
}

#[test]
fn what_cannot_be_read_as_yaml_is_told_in_words() {
    for (text, place, words) in [
        ("StartAt: A\nStates\n  A: {Type: Succeed}\n", ":2:1:", "has no colon"),
        ("StartAt: A\nStates:\n\tA: {Type: Succeed}\n", ":3:", "a tab stands here"),
    ] {
        let (code, told) = lint(&["-"], text);
        assert!(code == 1 && told.contains(place) && told.contains(words) && !told.contains("simple key"), "{told}");
    }
}
