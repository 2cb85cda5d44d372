//! `make speed`: how long drawings take of definitions that are as large as AWS takes, and what they leave out.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};
use stepbound::asl::model::Machine;
use stepbound::asl::{MAX_DEFINITION_BYTES, parse};
use stepbound::graph::{Drawing, Flow, dot, mermaid, svg, terminal};

fn machine(states: impl Iterator<Item = (String, Value)>) -> Value {
    let states: Map<String, Value> = states.collect();
    let first = states.keys().next().cloned().unwrap_or_default();
    json!({"StartAt": first, "States": states})
}

/// Choices with six ways each that lead all over.
fn tangle(count: usize) -> Value {
    let name = move |index: usize| format!("c{}", index % count);
    let rules = move |index: usize| -> Vec<Value> {
        (1..6)
            .map(|way| json!({"Variable": "$.a", "NumericEquals": way, "Next": name(index * 7 + way * 131)}))
            .collect()
    };
    machine((0..count).map(move |index| {
        (name(index), json!({"Type": "Choice", "Choices": rules(index), "Default": name(index + 1)}))
    }))
}

fn chain(count: usize) -> Value {
    machine((0..count).map(move |index| {
        let state = if index + 1 == count {
            json!({"Type": "Succeed"})
        } else {
            json!({"Type": "Pass", "Next": format!("s{}", index + 1)})
        };
        (format!("s{index}"), state)
    }))
}

/// One Choice that leads everywhere.
fn fan(count: usize) -> Value {
    let rules: Vec<Value> =
        (0..count).map(|way| json!({"Variable": "$", "IsNull": true, "Next": format!("s{way}")})).collect();
    let first = ("c".to_owned(), json!({"Type": "Choice", "Choices": rules}));
    machine(std::iter::once(first).chain((0..count).map(|index| (format!("s{index}"), json!({"Type": "Succeed"})))))
}

/// Every state can fail into the first.
fn caught(count: usize) -> Value {
    machine((0..count).map(move |index| {
        let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "s0"}]);
        let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Catch": catch});
        let end = index + 1 == count;
        state[if end { "End" } else { "Next" }] = if end { json!(true) } else { json!(format!("s{}", index + 1)) };
        (format!("s{index}"), state)
    }))
}

/// Every Choice of one side leads to all of the other.
fn dense(count: usize) -> Value {
    let rules: Vec<Value> =
        (0..count).map(|way| json!({"Variable": "$.a", "NumericEquals": way, "Next": format!("t{way}")})).collect();
    let choices = (0..count).map(|index| {
        let next = if index + 1 == count { "t0".to_owned() } else { format!("c{}", index + 1) };
        (format!("c{index}"), json!({"Type": "Choice", "Choices": rules, "Default": next}))
    });
    machine(choices.chain((0..count).map(|index| (format!("t{index}"), json!({"Type": "Succeed"})))))
}

/// Choices of two sides, each of which leads to some of the other.
fn bipartite(count: usize) -> Value {
    let half = count / 2;
    machine((0..count).map(move |index| {
        let (own, other) = if index < half { ("a", "b") } else { ("b", "a") };
        let name = |way: usize| format!("{other}{}", (index * 7 + way * 131) % half);
        let rules: Vec<Value> =
            (1..4).map(|way| json!({"Variable": "$.a", "NumericEquals": way, "Next": name(way)})).collect();
        (format!("{own}{}", index % half), json!({"Type": "Choice", "Choices": rules, "Default": name(0)}))
    }))
}

/// A row of states whose names are as long as AWS takes.
fn long_names(count: usize) -> Value {
    let name = |index: usize| format!("{index:x>80}");
    machine((0..count).map(move |index| {
        let end = index + 1 == count;
        let (field, value) = if end { ("End", json!(true)) } else { ("Next", json!(name(index + 1))) };
        (name(index), json!({"Type": "Pass", field: value}))
    }))
}

/// Each Task fails into four others.
fn four_catches(count: usize) -> Value {
    let name = move |index: usize| format!("s{}", index % count);
    machine((0..count).map(move |index| {
        let catch: Vec<Value> = (1..5)
            .map(|way| json!({"ErrorEquals": [format!("E{way}")], "Next": name(index * 7 + way * 131)}))
            .collect();
        let state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Catch": catch, "Next": name(index + 1)});
        (name(index), state)
    }))
}

fn branches(count: usize) -> Value {
    let branches: Vec<Value> = (0..count).map(|_| chain(10)).collect();
    json!({"StartAt": "p", "States": {"p": {"Type": "Parallel", "Branches": branches, "End": true}}})
}

fn main() {
    let cases = [
        ("1,000 choices, six ways each", tangle(1_000)),
        ("2,000 choices, six ways each", tangle(2_000)),
        ("10,000 states in a row", chain(10_000)),
        ("25,000 states in a row", chain(25_000)),
        ("a choice with 12,000 ways", fan(12_000)),
        ("7,000 states that fail into one", caught(7_000)),
        ("2,300 branches of ten states", branches(2_300)),
        ("120 choices that lead to each of 120 states", dense(120)),
        ("900 states with long names", long_names(900)),
        ("2,000 tasks with four catches each", four_catches(2_000)),
        ("2,000 choices of two sides", bipartite(2_000)),
    ];
    for (name, definition) in cases {
        let text = definition.to_string();
        assert!(text.len() <= MAX_DEFINITION_BYTES, "{name}: {} bytes are more than AWS takes", text.len());
        let parsed = parse(&text).expect("it is JSON");
        println!("{name}, {} bytes", text.len());
        let drawn = |what: &str, draw: &dyn Fn(&Flow) -> Drawing| {
            let start = Instant::now();
            let flow = Flow::of(&Machine::of(parsed.root()));
            let drawing = draw(black_box(&flow));
            let time = start.elapsed().as_secs_f64() * 1_000.0;
            let note = drawing.note.map(|note| format!(" ({note})")).unwrap_or_default();
            println!("  {what:9} {time:7.0} ms, {:9} bytes{note}", drawing.text.len());
        };
        drawn("svg", &|flow| svg(flow, "x", None));
        drawn("terminal", &|flow| terminal(flow, None, false));
        drawn("mermaid", &|flow| Drawing { text: mermaid(flow, None), note: None });
        drawn("dot", &|flow| Drawing { text: dot(flow, "x", None), note: None });
    }
}
