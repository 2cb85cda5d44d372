//! Secrets that stand in a definition: whoever may describe the state machine reads them.

use super::super::position::Node;
use super::report::Lint;

/// Beginnings of keys and tokens that are nothing else, with the fewest characters that follow.
const TOKENS: [(&str, usize, &str); 12] = [
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "a temporary AWS access key"),
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("github_pat_", 40, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("sk_live_", 20, "a Stripe key"),
    ("AIza", 35, "a Google API key"),
    ("npm_", 36, "an npm token"),
];

/// No token or key is shorter.
const SHORTEST: usize = 20;

/// Ends of names of fields whose literal values are secrets.
const NAMES: [&str; 9] =
    ["password", "passwd", "secret", "secretkey", "secretaccesskey", "apikey", "apitoken", "accesstoken", "privatekey"];

/// Texts of the whole definition.
pub(super) fn check<'a>(lint: &mut Lint<'a>, node: Node<'a>) {
    if let Some(what) = node.as_str().and_then(token) {
        let message = format!("this looks like {what}; keep it in Secrets Manager and read it where it is used");
        lint.report("SB071", node, message);
    }
    node.items().for_each(|item| check(lint, item));
    for (key, field) in node.fields() {
        if names_secret(key) && field.as_str().is_some_and(|text| is_literal(text) && token(text).is_none()) {
            let message = format!(
                "\"{key}\" has its value in the definition, where everybody who may describe the state machine reads it; keep it in Secrets Manager"
            );
            lint.report("SB071", field, message);
        }
        check(lint, field);
    }
}

fn names_secret(key: &str) -> bool {
    if key.len() > 64 {
        return false;
    }
    let from_end = || key.bytes().rev().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    NAMES.iter().any(|name| from_end().take(name.len()).eq(name.bytes().rev()))
}

/// No path, call, expression, placeholder, or name of where a secret is kept.
fn is_literal(text: &str) -> bool {
    let elsewhere =
        text.starts_with('$') || text.starts_with("States.") || text.starts_with("{%") || text.contains("${");
    let named = text.starts_with("arn:") || text.starts_with("{{");
    text.len() >= 6 && !elsewhere && !named
}

/// What a text has in it that is a secret. Every text of a definition is asked, so it is read once.
fn token(text: &str) -> Option<&'static str> {
    if text.len() < SHORTEST {
        return None;
    }
    let bytes = text.as_bytes();
    let mut in_word = false;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'-' && bytes[at..].starts_with(b"-----BEGIN ") && text[at..].contains("PRIVATE KEY-----") {
            return Some("a private key");
        }
        if !in_word && let Some(what) = token_at(&bytes[at..]) {
            return Some(what);
        }
        in_word = byte.is_ascii_alphanumeric();
    }
    None
}

/// The kind of token that a text begins with.
fn token_at(text: &[u8]) -> Option<&'static str> {
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    TOKENS.iter().find_map(|(beginning, length, what)| {
        // Most places differ in the first byte, which costs no call.
        let begins = text.first() == beginning.as_bytes().first() && text.starts_with(beginning.as_bytes());
        let rest = text.get(beginning.len()..).filter(|_| begins)?;
        (rest.iter().take(*length).take_while(|byte| is_sign(byte)).count() == *length).then_some(*what)
    })
}
