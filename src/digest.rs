//! SHA-256 in hexadecimal.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The whole digest: 64 digits.
pub fn sha256_hex(data: &[u8]) -> String {
    short_hex(data, 32)
}

/// The first `bytes` bytes of the digest, two digits each.
pub fn short_hex(data: &[u8], bytes: usize) -> String {
    Sha256::digest(data).iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
