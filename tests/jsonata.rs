//! How true our JSONata is: the share of the reference implementation's own test suite that it passes.
//!
//! The suite is not part of this repository. `STEPBOUND_JSONATA` names the folder `test/test-suite` of a copy of
//! <https://github.com/jsonata-js/jsonata>, with `groups` and `datasets` in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stepbound::jsonata::{Env, Expression, Limits};

/// Cases that are judged otherwise, by the beginning of their names, and why.
const REASONS: &[(&str, &str)] = &[
    ("function-eval/", "Step Functions leaves $eval out"),
    ("coalescing-operator/", "?? came with JSONata 2.1"),
    ("default-operator/", "?: came with JSONata 2.1"),
];

/// A case, with the name of its group and file.
struct Case {
    name: String,
    text: String,
    input: Option<Value>,
    variables: BTreeMap<String, Value>,
    content: Value,
}

#[derive(Default)]
struct Score {
    passed: usize,
    refused_with_another_code: usize,
    explained: BTreeMap<&'static str, Vec<String>>,
    missed: Vec<String>,
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Half of a pair of surrogates is no character: what reads definitions makes this one of it.
    let whole = ["\\ud800", "\\uD800"].iter().fold(text, |text, half| text.replace(half, "\u{fffd}"));
    serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn cases(suite: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for group in files(&suite.join("groups")) {
        let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        for file in files(&group).into_iter().filter(is_json) {
            let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let contents = match read(&file) {
                Value::Array(contents) => contents,
                other => vec![other],
            };
            for (number, content) in contents.into_iter().enumerate() {
                let text = match &content["expr"] {
                    Value::String(text) => text.clone(),
                    _ => fs::read_to_string(group.join(content["expr-file"].as_str().unwrap())).unwrap(),
                };
                let input = match content["dataset"].as_str() {
                    Some(dataset) => Some(read(&suite.join(format!("datasets/{dataset}.json")))),
                    None => content.get("data").cloned(),
                };
                let variables = content["bindings"].as_object().cloned().unwrap_or_default().into_iter().collect();
                let name = format!("{}/{}[{number}]", stem(&group), stem(&file));
                cases.push(Case { name, text, input, variables, content });
            }
        }
    }
    cases
}

/// The same, but for the last bits of a double.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= 1e-14 * left.abs().max(right.abs())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

/// Nothing where it passes; else what came out. True beside it for an error with another code.
fn judge(case: &Case) -> (Option<String>, bool) {
    // Two cases count ten million items, and some say how deep they may go.
    let depth = case.content["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or(3_000);
    let limits = Limits { steps: 60_000_000, depth, size: 11_000_000 };
    let mut env = Env { seed: 7, now: 1_500_000_000_000, limits };
    let code = case.content["code"].as_str().or(case.content["error"]["code"].as_str());
    let result = Expression::parse(&case.text)
        .and_then(|expression| expression.evaluate_on(case.input.as_ref(), &case.variables, &mut env));
    match (result, code) {
        (Err(error), Some(code)) => {
            let is_other = error.code != code;
            if is_other && std::env::var_os("STEPBOUND_JSONATA_CODES").is_some() {
                println!("{} {}: {code}, here {error}", case.name, case.text);
            }
            (None, is_other)
        }
        (Err(error), None) => (Some(error.to_string()), false),
        (Ok(value), Some(code)) => (Some(format!("{value:?} instead of the error {code}")), false),
        (Ok(value), None) => {
            let passes = match (&value, case.content.get("result")) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(_), None) => case.content["undefinedResult"] != true,
                (Some(value), Some(expected)) if case.content["unordered"] == true => {
                    let sorted = |value: &Value| {
                        let mut items: Vec<_> = value.as_array().unwrap().iter().map(Value::to_string).collect();
                        items.sort();
                        items
                    };
                    sorted(value) == sorted(expected)
                }
                (Some(value), Some(expected)) => same(value, expected),
            };
            (if passes { None } else { Some(format!("{value:?}")) }, false)
        }
    }
}

#[test]
fn the_reference_suite_is_passed_but_for_misses_that_have_a_reason() {
    let Some(suite) = std::env::var_os("STEPBOUND_JSONATA") else {
        println!("skipped: STEPBOUND_JSONATA does not name the folder test/test-suite of jsonata-js");
        return;
    };
    let cases = cases(Path::new(&suite));
    let mut score = Score::default();
    for case in &cases {
        match judge(case) {
            (None, other_code) => {
                score.passed += 1;
                score.refused_with_another_code += usize::from(other_code);
            }
            (Some(outcome), _) => {
                if let Some((_, reason)) = REASONS.iter().find(|(name, _)| case.name.starts_with(name)) {
                    score.explained.entry(reason).or_default().push(case.name.clone());
                    continue;
                }
                let want = case.content.get("result").map(Value::to_string).unwrap_or_default();
                let want: String = want.chars().take(160).collect();
                let got: String = outcome.chars().take(200).collect();
                score.missed.push(format!("{}\n    {}\n    gives {got}\n    wants {want}", case.name, case.text));
            }
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let share = 100.0 * score.passed as f64 / cases.len() as f64;
    println!("{} of {} cases pass ({share:.1} %)", score.passed, cases.len());
    println!("{} of them are refused with another code", score.refused_with_another_code);
    for (reason, names) in &score.explained {
        println!("{} miss: {reason}", names.len());
    }
    assert!(score.missed.is_empty(), "{} misses without a reason:\n{}", score.missed.len(), score.missed.join("\n"));
}
