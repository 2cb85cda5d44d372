//! The interpreter beside AWS: each recorded execution, decision and tested state is played again and comes to the same.
//!
//! The recordings are in the folder that `STEPBOUND_RECORDINGS` names, else in `recordings` of the corpus. What tasks
//! answered, and what a Map read, is taken from them; everything else is the interpreter's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "replay/histories.rs"]
mod histories;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "replay/single.rs"]
mod single;

use std::collections::BTreeMap;

use serde_json::Value;
use stepbound::asl::model::Machine;
use stepbound::asl::parse;
use stepbound::asl::run::{Identity, Outcome, Program, Start, TaskAnswer, play};

/// Reasons of the recordings that are not told the same, by file and case.
type Misses = Vec<(String, String)>;

/// The recordings of each file, by its name.
fn files() -> Option<BTreeMap<String, Vec<Value>>> {
    let folder = recorded::folder()?;
    let read = |text: &str| serde_json::from_str(text).expect("a recording is JSON");
    Some(
        corpus::texts(&folder)
            .iter()
            .map(|(name, text)| (name.trim_end_matches(".json").to_owned(), read(text)))
            .collect(),
    )
}

fn case(record: &Value) -> &str {
    record["case"].as_str().and_then(|case| case.rsplit("::").next()).unwrap_or_default()
}

/// A run of a recorded definition begins with the names that its recorder gave.
fn start(input: &Value, role: Option<&str>, kind: &str) -> Start {
    let arn = |kind: &str, name: &str| format!("arn:aws:states:us-east-1:111111111111:{kind}:{name}");
    let identity = Identity {
        name: "ExecArnPart_0idx".to_owned(),
        execution: arn(kind, "ArnPart_0idx:ExecArnPart_0idx"),
        machine_name: "ArnPart_0idx".to_owned(),
        machine: arn("stateMachine", "ArnPart_0idx"),
        role: role.unwrap_or("role").to_owned(),
        region: "us-east-1".to_owned(),
    };
    let at = "2026-03-01T00:00:00Z".parse().unwrap();
    Start { identity, at, ..Start::with_input(recorded::filled_in(input)) }
}

/// Prints the share by file and each miss; the share.
fn told(files: &[(String, usize, Misses)]) -> (usize, usize) {
    let (mut right, mut all) = (0, 0);
    for (file, count, misses) in files {
        println!("{file}: {} of {count}", count - misses.len());
        for (case, reason) in misses {
            println!("  {case}: {reason}");
        }
        right += count - misses.len();
        all += count;
    }
    (right, all)
}

#[test]
fn each_recorded_execution_is_played_again_with_the_same_events() {
    let Some(files) = files() else { return };
    let (mut played, mut plain) = (Vec::new(), (0, 0));
    for (name, records) in &files {
        let records: Vec<&Value> = records.iter().filter(|record| record["events"].is_array()).collect();
        let mut misses = Misses::new();
        for record in &records {
            let is_plain = !histories::calls_services(record);
            let result = histories::replay(record);
            plain.1 += usize::from(is_plain);
            plain.0 += usize::from(is_plain && result.is_ok());
            misses.extend(result.err().map(|reason| (case(record).to_owned(), reason)));
        }
        if !records.is_empty() {
            played.push((name.clone(), records.len(), misses));
        }
    }
    let (right, all) = told(&played);
    println!("{} of {} without a call of a service", plain.0, plain.1);
    println!("{right} of {all} replayed");
    assert!(all > 0, "no recordings");
    assert!(right * 100 >= all * 90 && plain.0 * 100 >= plain.1 * 97, "too few are as AWS");
}

#[test]
fn each_recorded_choice_is_taken_again() {
    let Some(files) = files() else { return };
    let records = files.get("choice").cloned().unwrap_or_default();
    let mut misses = Misses::new();
    for record in &records {
        let definition = recorded::filled_in(&record["definition"]).to_string();
        let parsed = parse(&definition).unwrap();
        let machine = Machine::of(parsed.root());
        let played = play(&Program::of(&machine), start(&record["input"], None, "execution"), |_| TaskAnswer::Never);
        match &played.outcome {
            Outcome::Succeeded(output) if recorded::is_as_recorded(&record["output"], output) => {}
            other => misses.push((
                case(record).to_owned(),
                format!("{} comes to {other:?} for {}", record["definition"]["States"]["CheckValues"], record["input"]),
            )),
        }
    }
    let (right, all) = told(&[("choice".to_owned(), records.len(), misses)]);
    println!("{right} of {all} choices");
    assert_eq!(right, all);
}

#[test]
fn each_recorded_state_comes_to_the_same_alone() {
    let Some(files) = files() else { return };
    let (mut refused, mut tested, mut misses) = (0, 0, Misses::new());
    for record in files.get("teststate").into_iter().flatten() {
        if record["error"].is_object() {
            refused += 1;
            continue;
        }
        tested += 1;
        misses.extend(single::compare(record).err().map(|reason| (case(record).to_owned(), reason)));
    }
    println!("{refused} requests were refused, most for what their mock says, which is no matter of a run");
    let (right, all) = told(&[("teststate".to_owned(), tested, misses)]);
    println!("{right} of {all} states");
    assert!(right * 100 >= all * 95);
}

#[test]
fn each_recorded_express_execution_comes_to_the_same() {
    let Some(files) = files() else { return };
    let records = files.get("express").cloned().unwrap_or_default();
    let mut misses = Misses::new();
    for record in &records {
        misses.extend(single::express(record).err().map(|reason| (case(record).to_owned(), reason)));
    }
    let (right, all) = told(&[("express".to_owned(), records.len(), misses)]);
    println!("{right} of {all} Express executions");
    assert!(right * 100 >= all * 85);
}
