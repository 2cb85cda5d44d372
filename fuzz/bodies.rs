//! What each fuzz target does with an input: whatever its bytes, the work ends, without a panic, and what it says is
//! consistent. `make fuzz` lets libFuzzer look for inputs; `tests/fuzz_corpus.rs` runs those that are kept.
#![allow(dead_code, reason = "each target uses one of them")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stepbound::asl::grammar::jsonata::{Text, classify};
use stepbound::asl::grammar::{GrammarError, intrinsic, jsonata as expression, jsonpath as path};
use stepbound::asl::lint::lint;
use stepbound::asl::model::Machine;
use stepbound::asl::run::{Answer, Limits, Program, Start, TaskAnswer, play};
use stepbound::asl::{Circumstances, Lines, Parsed, parse, parse_all, prepare, to_yaml};
use stepbound::graph::{Flow, dot, mermaid, svg, terminal};
use stepbound::iam::compare::{excess, missing};
use stepbound::iam::document::{Conditions, Document};
use stepbound::iam::execution_role::{Need, Reason, Surroundings, derive};
use stepbound::iam::trust::{Claims, TrustedToken, explain, lint_permissions, lint_service_trust, lint_trust, render};

const ROLE: &str = "arn:aws:iam::111122223333:role/orders";

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}

/// A definition is read, checked, drawn, and its execution role is derived.
pub fn definition(data: &[u8]) {
    let text = text(data);
    let Ok(parsed) = parse(text) else { return };
    let lines = Lines::of(text);
    for (express, placeholders) in [(false, true), (true, false)] {
        for finding in lint(parsed.root(), Circumstances { express, placeholders, partition: None }) {
            assert!(finding.path == "/" || parsed.root().pointer(&finding.path).is_some(), "{finding:?}");
            assert!(text.get(finding.span.start..finding.span.end).is_some(), "{finding:?}");
            let (line, column) = lines.position(finding.span.start);
            assert!(column <= lines.line(line).chars().count() + 1, "{finding:?}");
        }
    }
    let machine = Machine::of(parsed.root());
    let flow = Flow::of(&machine);
    let drawn = [
        dot(&flow, "fuzz", None),
        mermaid(&flow, None),
        svg(&flow, "fuzz", None).text,
        terminal(&flow, None, true).text,
    ];
    assert!(drawn.iter().all(|drawing| !drawing.is_empty()));
    let document = derive(&machine, &surroundings()).document();
    assert!(document.clone().minimised().size() <= document.size());
    reads_what_it_writes(&document);
    runs_to_an_end(&machine);
    // What is submitted is what was read.
    let values = BTreeMap::from([("Name".to_owned(), "\"value\\".to_owned())]);
    if let Ok(prepared) = prepare(text, &values) {
        assert_eq!(&parse(prepared.text()).expect("what is submitted is JSON").value, prepared.value());
    }
}

/// Whatever its calls come to.
fn runs_to_an_end(machine: &Machine<'_>) {
    let limits = Limits { events: 200, bytes: 1 << 20, work: 1 << 24, seconds: 1_000_000, scopes: 40, depth: 40 };
    let input = json!({"a": [1, {"b": "x"}], "items": [1, 2]});
    let start = Start { limits, ..Start::with_input(input) };
    let mut made = 0;
    let played = play(&Program::of(machine), start, |call| {
        made += 1;
        match made % 3 {
            0 => Answer::Failed { error: Some("E".into()), cause: None }.into(),
            1 => Answer::Succeeded(call.input.clone()).into(),
            _ => TaskAnswer::Never,
        }
    });
    assert!(played.history.len() as u64 <= limits.events && played.calls.len() <= played.history.len());
}

fn surroundings() -> Surroundings {
    Surroundings {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        name: Some("shop_orders".into()),
        execution_role_arn: Some(ROLE.into()),
        ..Surroundings::default()
    }
}

/// YAML is read as what it prints, in JSON and in YAML.
pub fn yaml(data: &[u8]) {
    let Ok(documents) = parse_all(text(data)) else { return };
    for Parsed { value, .. } in documents {
        let as_json = value.to_string();
        assert_eq!(parse(&as_json).expect("what is printed is JSON").value, value);
        let as_yaml = to_yaml(&value).expect("a value can be printed");
        let again = parse(&as_yaml).expect("what is printed is YAML");
        assert_eq!((again.value, again.ambiguous), (value, Vec::new()), "{as_yaml}");
    }
}

/// A policy is read, checked, explained, and reads as it prints.
pub fn trust(data: &[u8]) {
    let Ok(policy) = Document::parse(text(data)) else { return };
    reads_what_it_writes(&policy);
    drop([lint_trust(&policy), lint_service_trust(&policy), lint_permissions(&policy)]);
    let minimised = policy.clone().minimised();
    assert_eq!(minimised.clone().minimised(), minimised, "there is nothing left to take away");
    for claims in all_claims() {
        for session in [None, Some("shop")] {
            let before = explain(&policy, &claims, ROLE, session);
            let after = explain(&policy.clone().normalised(), &claims, ROLE, session);
            assert_eq!(before.verdict, after.verdict, "order means nothing");
            assert!(!before.text().is_empty() && !before.fix("it").is_empty());
            assert!(before.failures().len() <= before.statements.iter().map(|one| one.checks.len()).sum());
        }
    }
    let reason = Reason { state: "Read".into(), path: "/States/Read".into(), why: "S3".into() };
    let resources = vec!["arn:aws:s3:::shop/*".into()];
    let needs = [Need { actions: vec!["s3:GetObject".into()], resources, conditions: Conditions::new(), reason }];
    if missing(&needs, &policy).is_empty() {
        assert!(missing(&needs, &minimised).is_empty(), "what is minimised means the same");
    }
    drop(excess(&needs, &policy));
}

fn all_claims() -> [Claims; 2] {
    let read = |value: Value| serde_json::from_value(value).expect("these are claims");
    [
        read(
            json!({"iss": "https://oidc.example.com/id/1", "sub": "system:serviceaccount:shop:orders", "aud": ["sts.amazonaws.com"]}),
        ),
        read(
            json!({"iss": "https://login.example.com/", "sub": "client", "aud": "a", "azp": "b", "amr": ["pwd", "mfa"],
            "https://aws.amazon.com/tags": {"principal_tags": {"team": ["shop"]}, "transitive_tag_keys": ["team"]},
            "https://aws.amazon.com/source_identity": "someone"}),
        ),
    ]
}

fn reads_what_it_writes(document: &Document) {
    for printed in [document.compact(), document.pretty()] {
        assert_eq!(&Document::parse(&printed).expect("what is printed is a policy"), document, "{printed}");
    }
}

/// A token is taken apart: the text as it is, and the text as the claims of a token. What it claims is explained.
pub fn token(data: &[u8]) {
    let text = text(data);
    drop(Claims::of_token(text));
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": text}).to_string());
    let whole = format!("{header}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(data));
    let claims: Option<Claims> = serde_json::from_slice(data).ok();
    let read = Claims::of_token(&whole);
    assert_eq!(read.as_ref().map(|(_, claims)| claims), claims.as_ref(), "a token is read if its claims are");
    let Some((key_id, claims)) = read else { return };
    assert!(key_id.chars().count() <= 255);
    let trusted = TrustedToken {
        issuer: claims.iss.clone(),
        subject: claims.sub.clone(),
        audience: claims.aud.0.first().cloned().unwrap_or_default(),
        authorized_party: claims.azp.clone(),
    };
    let policy = render(ROLE, &[trusted]).policy;
    reads_what_it_writes(&policy);
    drop(explain(&policy, &claims, ROLE, None));
}

/// A path, and as it may be an intrinsic function, that too, is read to its end or to the place where it goes wrong.
pub fn jsonpath(data: &[u8]) {
    let text = text(data);
    has_its_place(text, path::parse(text).err());
    let call = intrinsic::parse(text);
    if call.is_ok() {
        assert!(intrinsic::is_call(text), "{text:?}");
    }
    has_its_place(text, call.err());
}

/// An expression is read to its end or to the place where it goes wrong, and what it names stands where it says.
pub fn jsonata(data: &[u8]) {
    let text = text(data);
    if let Text::Expression(inner, at) = classify(text) {
        assert_eq!(text.get(at..at + inner.len()), Some(inner));
    }
    match expression::parse(text) {
        Ok(expression) => {
            stands_in(text, &expression);
            let uses = expression::Uses::of(&expression);
            for (at, name) in uses.variables.iter().chain(&uses.calls) {
                let named = text.get(*at..).expect("a place is one of the text");
                assert!(named.strip_prefix('$').unwrap_or(named).starts_with(name), "{name:?} at {at}");
            }
            for (at, _) in uses.context.iter().chain(&uses.states) {
                assert!(text.is_char_boundary(*at));
            }
        }
        Err(error) => has_its_place(text, Some(error)),
    }
}

/// A part takes bytes of the text, and what is inside of it takes some of these.
fn stands_in(text: &str, expr: &expression::Expr<'_>) {
    assert!(text.get(expr.span.start..expr.span.end).is_some_and(|part| !part.is_empty()), "{expr:?}");
    expr.each_inside(&mut |inner| {
        assert!(expr.span.start <= inner.span.start && inner.span.end <= expr.span.end, "{inner:?} in {expr:?}");
        stands_in(text, inner);
    });
}

fn has_its_place(text: &str, error: Option<GrammarError>) {
    if let Some(error) = error {
        assert!(text.is_char_boundary(error.at) && !error.message.is_empty(), "{error:?}");
    }
}
