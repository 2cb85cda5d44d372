//! Regular expressions of a schema: of those that are matched in linear time, and bounded in what they compile to.

use regex::{Error, RegexBuilder};

use super::found::Fault;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1024;
/// Largest program that one compiles to, in bytes.
pub(super) const MAX_COMPILED: usize = 64 * KIB;
/// What one may remember of what it has matched, in bytes.
pub(super) const MAX_CACHE: usize = 128 * KIB;
/// Deepest nesting of groups and repetitions.
const MAX_NESTED: u32 = 50;
const KIB: usize = 1024;

/// What a byte of text costs with it at the worst: the KiB that it compiles to.
///
/// # Errors
/// Why it is not taken.
pub(super) fn cost(pointer: &str, pattern: &str) -> Result<u64, Fault> {
    const LINEAR: &str =
        "is no regular expression that is matched in linear time; look-around and back references are not";
    if pattern.len() > MAX_LENGTH {
        return Err(Fault::at(pointer, format!("has {} bytes; a pattern has at most {MAX_LENGTH}", pattern.len())));
    }
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| Fault::at(pointer, LINEAR))?;
    let mut kib = 1;
    while kib * KIB <= MAX_COMPILED {
        match RegexBuilder::new(&translated).size_limit(kib * KIB).nest_limit(MAX_NESTED).build() {
            Ok(_) => return Ok(kib as u64),
            Err(Error::CompiledTooBig(_)) => kib *= 2,
            Err(_) => return Err(Fault::at(pointer, LINEAR)),
        }
    }
    let message =
        format!("compiles to more than {} KiB; let it repeat less, and bound lengths by maxLength", MAX_COMPILED / KIB);
    Err(Fault::at(pointer, message))
}
