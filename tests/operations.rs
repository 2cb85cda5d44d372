//! What the adapters call and what sessions may do are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;

use stepbound::iam::binding_role::OPERATIONS;

/// Actions that stand as text in the sources of a folder, but for unit tests.
fn called(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() || name.contains("tests") || name == "stand_in.rs" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for service in ["states", "iam", "sqs", "cloudwatch", "logs", "kms"] {
            for rest in product.split(&format!("\"{service}:")).skip(1) {
                let operation = rest.split('"').next().unwrap();
                let is_operation = operation.starts_with(|c: char| c.is_ascii_uppercase())
                    && operation.chars().all(|c| c.is_ascii_alphanumeric());
                if is_operation {
                    found.insert(format!("{service}:{operation}"));
                }
            }
        }
    }
    found
}

#[test]
fn every_operation_of_the_adapters_is_in_the_table() {
    let table: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.action).collect();
    let called = called("src/aws");
    assert!(called.len() >= 20, "the test sees the adapters: {called:?}");
    let missing: Vec<_> = called.iter().filter(|action| !table.contains(action.as_str())).collect();
    assert!(missing.is_empty(), "add these to OPERATIONS, or sessions may not call them: {missing:?}");
}
