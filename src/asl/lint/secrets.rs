//! Secrets that stand in a definition: whoever may describe the state machine reads them.

use super::super::position::Node;
use super::Lint;

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
        if field.as_str().is_some_and(|text| is_literal(text) && token(text).is_none()) && names_secret(key) {
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
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().any(|name| plain.ends_with(name))
}

/// No path, call, expression, placeholder, or name of where a secret is kept.
fn is_literal(text: &str) -> bool {
    let elsewhere =
        text.starts_with('$') || text.starts_with("States.") || text.starts_with("{%") || text.contains("${");
    let named = text.starts_with("arn:") || text.starts_with("{{");
    text.len() >= 6 && !elsewhere && !named
}

fn token(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let of = |(beginning, length, what): &(&'static str, usize, &'static str)| {
        text.match_indices(beginning).find_map(|(at, _)| {
            let starts_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &text[at + beginning.len()..];
            let run =
                rest.bytes().take(*length).take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
            (starts_word && run.count() == *length).then_some(*what)
        })
    };
    TOKENS.iter().find_map(of)
}
