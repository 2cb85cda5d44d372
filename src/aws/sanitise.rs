//! Makes AWS's messages fit for a status: the same failure gives the same text, and nothing secret is repeated.

use jiff::Timestamp;

use crate::printable::printable;

/// What stands for anything that was taken out.
const MASK: &str = "…";
/// Words longer than this are encoded messages, signatures or tokens, not words.
const LONGEST_WORD: usize = 80;

/// Takes out what differs from one answer to the next or must not be shown: request ids, times, tokens and encoded
/// authorization messages, and characters that are obeyed instead of being shown. ARNs and addresses stay, since they say what the message is about.
pub(crate) fn sanitised(message: &str) -> String {
    printable(&message.split_whitespace().map(masked).collect::<Vec<_>>().join(" "))
}

fn masked(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if is_time(bare) {
        return word.replace(bare, MASK);
    }
    let names_something = word.contains("arn:") || word.contains("://");
    word.split_inclusive(|c: char| !belongs_to_a_token(c))
        .map(|piece| {
            let part = piece.trim_end_matches(|c: char| !belongs_to_a_token(c));
            let volatile = is_token(part) || (!names_something && (is_id(part) || part.len() > LONGEST_WORD));
            if volatile { format!("{MASK}{}", &piece[part.len()..]) } else { piece.to_owned() }
        })
        .collect()
}

fn belongs_to_a_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.+/".contains(c)
}

/// Tokens begin with the encoded `{"`, wherever they were glued to.
fn is_token(part: &str) -> bool {
    part.find("eyJ").is_some_and(|start| part.len() - start > 20)
}

/// Request ids are UUIDs; STS tells times as seconds since 1970.
fn is_id(part: &str) -> bool {
    let part = part.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_uuid =
        part.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_epoch = matches!(part.len(), 10 | 13) && part.chars().all(|c| c.is_ascii_digit());
    is_uuid || is_epoch
}

/// `2026-01-02T03:04:05Z`, `20260102T030405Z` as in signatures, and `03:04:05`.
fn is_time(word: &str) -> bool {
    let digits = |text: &str, length| text.len() == length && text.chars().all(|c| c.is_ascii_digit());
    let is_compact = word.strip_suffix('Z').and_then(|word| word.split_once('T'));
    word.parse::<Timestamp>().is_ok()
        || is_compact.is_some_and(|(date, time)| digits(date, 8) && digits(time, 6))
        || (word.split(':').count() == 3 && word.split(':').all(|part| digits(part, 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn opaque_words_are_dropped_and_arns_stay() {
        let arn = format!("arn:aws:states:eu-west-1:111122223333:stateMachine:{}", "a".repeat(80));
        let message = sanitised(&format!("token {} on {arn}", "Ab0".repeat(40)));
        assert_eq!(message, format!("token … on {arn}"));
        let execution = "arn:aws:states:eu-west-1:111122223333:execution:m:6f6f3b7e-0f7a-4b6e-9d5c-0123456789ab";
        assert_eq!(sanitised(execution), execution);
    }

    #[test]
    fn nothing_in_a_message_is_obeyed() {
        assert_eq!(sanitised("no\u{1b}[2J\r\nNext: \u{9b}31m\u{202e}x"), "no\u{fffd}[2J Next: \u{fffd}31m\u{fffd}x");
    }

    #[test]
    fn what_a_reader_needs_stays() {
        for message in [
            "No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
            "User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/x",
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Missing 'Next' field at /States/A' (at most 1048576 bytes)",
            "account 111122223333",
        ] {
            assert_eq!(sanitised(message), message);
        }
    }

    #[test]
    fn times_of_every_form_are_dropped() {
        let at = |seconds: &str, stamp: &str, iso: &str| {
            sanitised(&format!(
                "Token expired: current date/time {seconds} must be before {seconds}. Signature expired: {stamp} is now earlier than {stamp} ({stamp} - 5 min.), at {iso}"
            ))
        };
        let first = at("1690000000", "20260102T030405Z", "2026-01-02T03:04:05Z");
        assert_eq!(first, at("1790000001", "20261112T131415Z", "2026-11-12T13:14:15.123Z"));
        assert!(first.starts_with("Token expired: current date/time …"), "{first}");
    }

    proptest! {
        /// Requirement 13: two request ids give the same text, wherever the id stands.
        #[test]
        fn two_request_ids_give_the_same_message(a in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", b in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", around in prop::sample::select(vec!["Request ID: ID)", "RequestId:ID;", "id=ID, host", "(ID)", "\"ID\"", "ID."])) {
            let message = |id: &str| sanitised(&format!("Rate exceeded {}", around.replace("ID", id)));
            prop_assert_eq!(message(&a), message(&b));
        }

        #[test]
        fn a_token_is_dropped_whatever_it_is_glued_to(before in "[ -~]{0,12}", after in "[ -~]{0,12}", payload in "[A-Za-z0-9_-]{8,200}") {
            let text = sanitised(&format!("{before}eyJhbGciOiJSUzI1NiJ9.{payload}.canarycanary{after}"));
            prop_assert!(!text.contains("canarycanary"), "{}", text);
        }
    }
}
