//! `stepbound lint` as a process.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The findings of a text, as `-o json` has them.
pub fn findings(text: &str) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stepbound"))
        .args(["lint", "-o", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let report: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}
