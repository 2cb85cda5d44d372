//! `stepbound graph` of what is not valid or nested deep.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn stepbound(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stepbound")).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(folder: &Path, name: &str, value: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Parallel states in each other.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({"StartAt": "L", "States": {"L": {"Type": "Pass", "End": true}}}), |inner, level| {
        let name = format!("P{level}");
        let mut states = serde_json::Map::new();
        states.insert(name.clone(), json!({"Type": "Parallel", "Branches": [inner], "End": true}));
        json!({"StartAt": name, "States": states})
    })
}

#[test]
fn what_is_not_valid_is_drawn_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let loose = file(
        folder.path(),
        "loose.json",
        &json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Gone"},
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": true, "Next": "Gone"}], "Default": "Lost"}}}),
    );
    for form in ["terminal", "svg", "mermaid", "dot"] {
        let ran = stepbound(&["graph", &loose, "-o", form]);
        let drawn = out(&ran);
        assert!(
            ran.status.success() && drawn.contains("Gone") && drawn.contains("Lost"),
            "{form}: {drawn}{}",
            err(&ran)
        );
        assert!(drawn.contains("no such state"), "{form}: {drawn}");
        assert!(err(&ran).contains("is drawn as far as it can be; `stepbound lint`"), "{}", err(&ran));
    }
    let empty = file(folder.path(), "empty.json", &json!({"StartAt": "A", "States": {}}));
    assert_eq!(stepbound(&["graph", &empty]).status.code(), Some(2), "nothing to draw");
}

#[test]
fn what_is_nested_deep_is_drawn_to_where_it_is_read_and_soon() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut files = Vec::new();
    for levels in [60, 400, 3000] {
        let text = (0..levels).fold("{\"StartAt\":\"L\",\"States\":{\"L\":{\"Type\":\"Succeed\"}}}".to_owned(), |inner, level| {
            format!("{{\"StartAt\":\"P{level}\",\"States\":{{\"P{level}\":{{\"Type\":\"Parallel\",\"Branches\":[{inner}],\"End\":true}}}}}}")
        });
        files.push(write(&format!("{levels}.json"), text));
    }
    files.push(write(
        "60.yaml",
        stepbound::asl::to_yaml(&nested(29)).unwrap().replace("Type: Pass", "Type: [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"),
    ));
    for (at, file) in files.iter().enumerate() {
        for form in ["terminal", "svg", "mermaid", "dot"] {
            let begun = std::time::Instant::now();
            let ran = stepbound(&["graph", file, "-o", form]);
            assert!(ran.status.success(), "{file} {form}: {}", err(&ran));
            assert!(
                out(&ran).contains('P') && err(&ran).contains("120 levels deep is not drawn"),
                "{at} {}",
                err(&ran)
            );
            assert!(!err(&ran).contains("stepbound lint"), "lint finds no error in it: {}", err(&ran));
            assert!(begun.elapsed().as_secs() < 5, "{file} {form}: {:?}", begun.elapsed());
        }
    }
    assert!(!err(&stepbound(&["graph", &file(folder.path(), "29.json", &nested(29))])).contains("levels deep"));
}
