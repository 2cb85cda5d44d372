use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn approval(more: &serde_json::Value) -> Approval {
    let mut request = json!({"runName": "order", "runUID": "u", "attempt": 1, "requester": "ali\u{7}ce", "inputDigest": "1f",
        "targetARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3", "definitionHash": "aa",
        "executionRoleARN": "arn:aws:iam::111122223333:role/exec", "stepRoleARNs": ["arn:one", "arn:two\nDigest: false"],
        "bindingUID": "b", "policyRevision": "7,8", "expiresAt": "2026-01-02T00:00:00Z", "digest": "dd"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval",
        "metadata": {"name": "order-1", "creationTimestamp": "2026-01-01T00:55:00Z"}, "spec": {"request": request}}))
    .unwrap()
}

fn text(approval: &Approval, input: &Input, whole: bool) -> String {
    Text { approval, run: None, input, whole }.text("shop", now())
}

#[test]
fn all_that_is_decided_is_shown_and_nothing_of_it_is_obeyed_or_taken_for_our_own_words() {
    let input = Input::Is("{\"to\":\"a\u{9b}[2J\u{202e}b\",\"n\":1}".to_owned());
    assert_eq!(
        text(&approval(&json!({})), &input, false),
        "Approval:      order-1
Run:           order
Namespace:     shop
Asked by:      ali\u{fffd}ce
Asked:         2026-01-01T00:55:00Z (5m ago)
Open for:      23h, until 2026-01-02T00:00:00Z
Runs:          arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3
Runs as:       arn:aws:iam::111122223333:role/exec
Steps run as:  arn:one
               arn:two\u{fffd}Digest: false
Definition:    SHA-256 aa
Binding:       UID b
Digest:        dd

Input (25 bytes):
  {
    \"to\": \"a\\u009b[2J\\u202eb\",
    \"n\": 1
  }"
    );
    let redrive = approval(&json!({"attempt": 2, "executionARN": "arn:execution"}));
    let shown = text(&redrive, &input, false);
    assert!(
        shown.contains("Run:           order, attempt 2\n") && shown.contains("Redrives:      arn:execution\n"),
        "{shown}"
    );
}

#[test]
fn an_input_that_is_not_shown_says_why_and_which_it_is() {
    let unseen = text(&approval(&json!({})), &Input::Unseen("you may not\nNext: yes".into()), false);
    assert!(unseen.ends_with("\nInput: not shown, for you may not\n  Next: yes\n  SHA-256 1f"), "{unseen}");
    let other = text(&approval(&json!({})), &Input::Differs("it is another".into()), false);
    assert!(other.ends_with("\nInput: not shown, for it is another"), "{other}");
}

#[test]
fn a_long_input_is_cut_with_a_note_and_shown_whole_where_that_is_asked_for() {
    let lines: Vec<i32> = (0..100).collect();
    let many = Input::Is(json!(lines).to_string());
    let cut = text(&approval(&json!({})), &many, false);
    assert!(cut.ends_with("Show all: --whole-input") && cut.contains("60 of its 102 lines are shown"), "{cut}");
    assert!(!cut.contains("    99\n"), "{cut}");
    let whole = text(&approval(&json!({})), &many, true);
    assert!(whole.contains("    99\n") && !whole.contains("cut"), "{whole}");
    // One long line, which ends within a character of several bytes.
    let long = Input::Is(json!("注".repeat(9_000)).to_string());
    let cut = text(&approval(&json!({})), &long, false);
    assert!(cut.contains("1 of its 1 lines are shown, 23998 of 27002 bytes"), "{}", &cut[cut.len() - 200..]);
}
