//! Whatever the text, reading and checking it ends, without a panic; what is read is printed and read again.
//!
//! `cargo +nightly fuzz run definition` (with cargo-fuzz installed), best begun from definitions that work:
//! `cargo +nightly fuzz run definition fuzz/corpus/definition "$STEPBOUND_CORPUS"/asl/asl-validator/valid`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepbound::asl::lint::lint;
use stepbound::asl::{Circumstances, parse};

fuzz_target!(|text: &str| {
    let Ok(parsed) = parse(text) else { return };
    for express in [false, true] {
        for finding in lint(parsed.root(), Circumstances { express, placeholders: express }) {
            assert!(parsed.root().pointer(&finding.path).is_some() || finding.path == "/", "{finding:?}");
            assert!(text.get(finding.span.start..finding.span.end).is_some(), "{finding:?}");
        }
    }
    let printed = parsed.value.to_string();
    assert_eq!(parse(&printed).expect("what is printed is JSON").value, parsed.value);
});
