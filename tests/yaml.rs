//! YAML means to us what it means to kubectl: the same documents go through `sigs.k8s.io/yaml` and through our reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use stepbound::asl::{parse, same};

/// What kubectl's reader makes of each document.
fn by_kubectl(documents: &[String]) -> Vec<Result<Value, String>> {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh")).output().unwrap();
    let folder = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
    let reader = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = reader
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("yaml-to-json-"))
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let mut child = Command::new(newest.unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input: Vec<u8> = documents.iter().flat_map(|document| document.bytes().chain([0])).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    writer.join().unwrap();
    let read = |line: &str| match line.strip_prefix('!') {
        Some(error) => Err(error.to_owned()),
        None => Ok(serde_json::from_str(line).unwrap()),
    };
    let answers: Vec<_> = output.lines().map(read).collect();
    assert_eq!(answers.len(), documents.len());
    answers
}

/// Where we refuse what kubectl takes, on purpose.
fn refused_on_purpose(message: &str) -> bool {
    // kubectl takes the last of two keys and the first of two documents, without a word, and infinity as a key; dates and
    // binary values of an explicit type are no part of any definition.
    ["second time", "second document", "!!binary", "!!timestamp", "no value that JSON has"]
        .iter()
        .any(|reason| message.contains(reason))
}

/// `strict` also refuses a difference in what is an error. Without it, the two scanners may differ in what they refuse:
/// ours is of YAML 1.2, libyaml of 1.1.
fn compare(documents: &[String], strict: bool) -> usize {
    let mut both = 0;
    for (document, theirs) in documents.iter().zip(by_kubectl(documents)) {
        match (parse(document), theirs) {
            (Ok(ours), Ok(theirs)) => {
                assert!(same(&ours.value, &theirs), "{document:?}\nours:   {}\ntheirs: {theirs}", ours.value);
                both += 1;
            }
            (Err(error), Ok(theirs)) if !refused_on_purpose(&error.message) => {
                assert!(!strict, "{document:?}\nours:   {error}\ntheirs: {theirs}");
            }
            (Ok(ours), Err(theirs)) => assert!(!strict, "{document:?}\nours:   {}\ntheirs: {theirs}", ours.value),
            _ => {}
        }
    }
    both
}

const SCALARS: &str = "y Y yes Yes YES yEs n N no No NO true True TRUE tRue false on On ON oN off Off OFF null Null \
    NULL ~ 0 00 012 -012 +012 08 089 0o17 0O17 0x1F 0X1f 0xG 0b101 0B11 -0b101 0b2 1_000 _1 1__0 0_8 1e3 1E3 1e 1e+ \
    -1e-3 1.5 1. .5 . .. ._5 -.5 +.5 +1 -1 - + 1.2.3 12:30:45 190:20:30 2001-12-14 2001-12-14T21:59:43Z 20011214 \
    18446744073709551615 18446744073709551616 9223372036854775807 9223372036854775808 -9223372036854775808 \
    -9223372036854775809 +9223372036854775808 1e400 .inf -.inf +.Inf .nan .NaN .infx <<x = \
    arn:aws:x ${Name} $.a.b States.ALL 'quoted' \"yes\" '012' \"\\u00e9\" !!str%12 !!int%\"12\" !!float%12 !!bool%yes \
    !!bool%x !!int%1.5 !!null%~ !!null%x !Ref%x !custom%12 !%12 0.1 100000000000000000000000 1e21 1e20 123456789.123";

#[test]
fn every_nasty_scalar_is_what_kubectl_takes_it_for_as_value_and_as_key() {
    let scalars: Vec<String> = SCALARS.split_whitespace().map(|scalar| scalar.replace('%', " ")).collect();
    let values: Vec<String> = scalars.iter().map(|scalar| format!("a: {scalar}\nb: [{scalar}, x]\n")).collect();
    let keys: Vec<String> = scalars.iter().map(|scalar| format!("? {scalar}\n: x\n")).collect();
    assert!(compare(&values, true) > 80);
    assert!(compare(&keys, true) > 60);
}

#[test]
fn structures_are_what_kubectl_takes_them_for() {
    let documents = [
        "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: {q: 3, <<: *x}\n",
        "a: &x {p: 1}\nb: &z {p: 2, r: 3}\nc: {<<: [*x, *z], s: 4}\n",
        "a: {<<: 1}\n",
        "a: {<<: [1]}\n",
        "a: {\"<<\": {b: 1}}\n",
        "a: *nowhere\n",
        "a: &self [*self]\n",
        "- a\n-  - b\n   - c\n-\n",
        "a:\nb: ~\nc: ''\n",
        "a: |\n  line\n  # text\nb: >-\n  folded\n  text\n",
        "# only a comment\n",
        "",
        "{a: 1, b: [x, {c: d}]}",
        "{\"a\":1,\"b\":\"x\"}",
        "[a, b,]\n",
        "a: {x: 1,}\n",
        "? [a]\n: b\n",
        "? ~\n: b\n",
        "1.5: a\n1e6: b\n1e-7: c\n16777217.5: d\n",
        "a: 'it''s'\nb: \"tab\\tand\\x41\"\n",
        "a: [1\n",
        "a: b: c\n",
        "\ta: 1\n",
        "a:\n\t- 1\n",
        "a: @x\n",
        "a: `x\n",
        "a: %x\n",
        "--- \na: 1\n...\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\na: 2\n",
        "States:\n  Wait:\n    Type: Wait\n    Seconds: 1_0\n    End: yes\n",
        "é: ü\n\"\\ud83d\\ude00\": 1\n",
    ];
    let documents: Vec<String> = documents.iter().map(|document| (*document).to_owned()).collect();
    assert!(compare(&documents, false) > 15);
}

/// Trees of scalars in block and flow style.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        prop::sample::select(SCALARS.split_whitespace().filter(|text| !text.contains('%')).collect::<Vec<_>>())
            .prop_map(str::to_owned),
        // Text that ends with a colon, in a flow collection, is the one place where the two scanners read on differently.
        "[a-zA-Z0-9_.+:/$-]{0,7}[a-zA-Z0-9_.+/$-]",
        "'[a-z0-9 :#]{0,6}'",
        "[0-9]{1,20}",
        "[0-9]{0,4}[.][0-9]{0,4}(e[+-]?[0-9]{1,2})?",
    ];
    let tree = scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.into_iter().enumerate().map(|(at, (key, value))| format!("{key}{at}: {value}")).collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    });
    prop::collection::vec(tree, 1..5).prop_map(|lines| {
        let lines: Vec<String> = lines.into_iter().enumerate().map(|(at, value)| format!("key{at}: {value}")).collect();
        lines.join("\n")
    })
}

#[test]
fn any_document_is_what_kubectl_takes_it_for() {
    let mut runner = TestRunner::default();
    let documents: Vec<String> = (0..4000).map(|_| document().new_tree(&mut runner).unwrap().current()).collect();
    assert!(compare(&documents, false) > 2000);
}
