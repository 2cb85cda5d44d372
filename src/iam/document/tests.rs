use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: &serde_json::Value) -> Document {
    Document::from_value(value).unwrap()
}

#[test]
fn strings_and_lists_of_one_are_the_same() {
    let short = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
    let long =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]});
    assert_eq!(read(&short), read(&long));
}

#[test]
fn everything_that_was_read_is_written_again() {
    let value = json!({"Version": "2012-10-17", "Id": "x", "Statement": [
        {"Sid": "A", "Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "NotResource": "arn:aws:s3:::b"},
        {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/i"}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"i:aud": "sts.amazonaws.com", "i:sub": ["a", "b"]}}},
        {"Effect": "Allow", "NotPrincipal": "*", "Action": "s3:GetObject", "Resource": "*"},
    ]});
    assert_eq!(read(&value).to_value(), value);
    assert_eq!(Document::parse(&read(&value).pretty()).unwrap(), read(&value));
}

#[test]
fn what_iam_refuses_is_refused_with_its_place() {
    let statement =
        |more: &str| format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", {more}}}]}}"#);
    for (text, expected) in [
        ("{".to_owned(), "not JSON"),
        ("[]".into(), "policy: must be an object"),
        (r#"{"Version": "2020-01-01", "Statement": []}"#.into(), "use \"2012-10-17\""),
        (r#"{"Version": "2012-10-17"}"#.into(), "Statement: is missing"),
        (statement(r#""Resource": "*""#), "Statement 1: needs Action or NotAction"),
        (statement(r#""Action": "a:b", "NotAction": "c:d""#), "has both Action and NotAction"),
        (statement(r#""Action": 1"#), "Statement 1, Action: must hold strings alone"),
        (statement(r#""Action": "a:b", "Ressource": "*""#), "\"Ressource\" is no element"),
        (statement(r#""Action": "a:b", "Principal": {"Aws": "*"}"#), "\"Aws\" is no element"),
        (statement(r#""Action": "a:b", "Condition": {"Bool": true}"#), "Condition, Bool: must be an object"),
    ] {
        let error = Document::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn statements_of_the_same_resources_become_one_and_then_those_of_the_same_actions() {
    let document = Document::new(vec![
        Statement::allow(["s3:PutObject"], ["b"]),
        Statement::allow(["s3:GetObject"], ["a"]),
        Statement::allow(["s3:GetObject"], ["b"]),
        Statement::allow(["s3:PutObject"], ["a"]),
        Statement::allow(["iam:PassRole"], ["r"]).when("StringEquals", "iam:PassedToService", ["x"]),
        Statement::allow(["iam:PassRole"], ["r"]),
    ]);
    let smaller = document.minimised();
    assert_eq!(
        smaller.statements,
        [
            Statement::allow(["s3:GetObject", "s3:PutObject"], ["a", "b"]),
            Statement::allow(["iam:PassRole"], ["r"]).when("StringEquals", "iam:PassedToService", ["x"]),
            Statement::allow(["iam:PassRole"], ["r"]),
        ]
    );
}

#[test]
fn lists_of_what_is_not_meant_are_never_united() {
    let not = |action: &str| {
        let mut one = Statement::allow(["x"], ["*"]);
        one.actions = Matcher::IsNot(vec![action.into()]);
        one
    };
    assert_eq!(Document::new(vec![not("a:b"), not("c:d")]).minimised().statements.len(), 2);
}

#[test]
fn what_another_pattern_covers_goes() {
    let smaller =
        Document::new(vec![Statement::allow(["s3:Get*", "s3:GetObject", "S3:get*"], ["a*", "a", "ab*"])]).minimised();
    assert_eq!(smaller.statements[0].resources, Some(Matcher::Is(vec!["a*".into()])));
    assert_eq!(smaller.statements[0].actions.named().len(), 2, "the same pattern in another case is no cover");
}

#[test]
fn size_is_counted_without_white_space() {
    let document = Document::new(vec![Statement::allow(["s3:GetObject"], ["arn:aws:s3:::b/a key"])]);
    assert_eq!(document.size(), document.compact().len() - 1);
    assert!(document.pretty().len() > document.compact().len());
}

fn documents() -> impl Strategy<Value = Document> {
    let list = |items: &'static [&'static str]| {
        proptest::sample::subsequence(items, 1..=items.len())
            .prop_map(|chosen| chosen.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let statement = (list(&["s:A", "s:B", "s:*", "t:A"]), list(&["r1", "r2", "r*", "q"]), any::<bool>(), any::<bool>())
        .prop_map(|(actions, resources, deny, conditional)| {
            let mut one = Statement::allow(actions, resources);
            if deny {
                one.effect = Effect::Deny;
            }
            if conditional { one.when("StringEquals", "k", ["v"]) } else { one }
        });
    proptest::collection::vec(statement, 0..6).prop_map(Document::new)
}

fn allows(document: &Document, action: &str, resource: &str, condition_holds: bool) -> bool {
    let applying = document.statements.iter().filter(|one| {
        one.names_action(action) && one.names_resource(resource) && (one.conditions.is_empty() || condition_holds)
    });
    let effects: Vec<Effect> = applying.map(|one| one.effect).collect();
    effects.contains(&Effect::Allow) && !effects.contains(&Effect::Deny)
}

proptest! {
    #[test]
    fn a_minimised_document_decides_as_before_and_is_no_larger(document in documents()) {
        let smaller = document.clone().minimised();
        for action in ["s:A", "s:B", "s:C", "t:A"] {
            for resource in ["r1", "r2", "r3", "q"] {
                for holds in [false, true] {
                    prop_assert_eq!(
                        allows(&document, action, resource, holds), allows(&smaller, action, resource, holds),
                        "{} {}", action, resource
                    );
                }
            }
        }
        prop_assert!(smaller.size() <= document.size());
        prop_assert_eq!(smaller.clone().minimised(), smaller);
    }
}

#[test]
fn a_document_is_read_as_iams_api_answers_it() {
    let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"states.amazonaws.com"}}]}"#;
    let encode = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect::<String>()
    };
    let plain = Document::parse(text).unwrap();
    for encoded in [encode(text), format!("\"{}\"\n", encode(text)), encode(text).replace("%7B", "%7b")] {
        assert_eq!(Document::parse_file(&encoded).unwrap(), plain, "{encoded}");
        assert!(Document::parse(&encoded).is_err(), "what is sent on has to be JSON");
    }
    for written in [encode(text), text.to_owned()] {
        let value = serde_json::Value::String(written);
        assert_eq!(Document::from_value(&Document::unwrapped(&value)).unwrap(), plain);
    }
    assert!(Document::parse_file("%7Bnot").is_err() && Document::parse_file("\"text\"").is_err());
}

#[test]
fn a_function_of_cloud_formation_is_told_as_one() {
    let with = |part: &str, value: serde_json::Value| {
        let mut statement =
            serde_json::json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "a"}});
        statement[part] = value;
        Document::from_value(&serde_json::json!({"Statement": statement})).unwrap_err().to_string()
    };
    let function = serde_json::json!({"Fn::GetAtt": ["Role", "Arn"]});
    for (part, value, place) in [
        ("Principal", serde_json::json!({"AWS": function}), "Statement 1, Principal"),
        ("Principal", serde_json::json!({"AWS": [{"Fn::Sub": "x"}]}), "Statement 1, Principal"),
        ("Principal", function.clone(), "Statement 1, Principal"),
        ("Action", serde_json::json!({"Ref": "Action"}), "Statement 1, Action"),
        ("Resource", function.clone(), "Statement 1, Resource"),
        ("Condition", serde_json::json!({"StringEquals": {"a": function}}), "Statement 1, Condition, StringEquals"),
        ("Condition", serde_json::json!({"Fn::If": []}), "Statement 1, Condition"),
    ] {
        let told = with(part, value);
        assert!(told.starts_with(&format!("{place}: is a function of CloudFormation (")), "{told}");
    }
    let whole = Document::from_value(&serde_json::json!({"Fn::Transform": {}})).unwrap_err().to_string();
    assert!(whole.contains("policy: is a function of CloudFormation"), "{whole}");
}
