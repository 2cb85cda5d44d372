//! `kubectl sfn` as a program: what it prints, how it ends, and what it asks for. What rights its verbs need is tried on a real
//! API server in tests/operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod api;
mod approvals;
mod completion;
mod job;
mod page;
mod pipes;
mod programs;
mod release;
mod terminal;
mod verbs;
mod waits;
mod wrong;

use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
