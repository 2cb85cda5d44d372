use serde_json::json;

use super::*;

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>&'";

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn drawn() -> Drawn {
    Drawn { drawing: "<svg><style>.a{fill:red}</style></svg>".into(), notes: vec![HOSTILE.into()] }
}

/// A failed run whose every text is hostile.
fn run() -> WorkflowRun {
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": "order", "uid": "u-1"},
        "spec": {"workflowRef": {"name": "fulfil", "alias": HOSTILE}, "input": {HOSTILE: 1}, "cancel": {"reason": HOSTILE}},
        "status": {"phase": "Failed", "requestedBy": HOSTILE, "sessionName": HOSTILE, "failedState": HOSTILE, "error": HOSTILE,
            "cause": HOSTILE, "output": {"a": HOSTILE}, "consoleURL": format!("javascript:{HOSTILE}"), "executionARN": HOSTILE,
            "attempts": [{"number": 1, "executionName": HOSTILE, "targetARN": HOSTILE, "trustBindingName": "b", "inputDigest": "d",
                "recordedAt": "2026-01-01T00:00:00Z", "error": HOSTILE}],
            "conditions": [{"type": "Failed", "status": "True", "reason": "R", "message": HOSTILE, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "timeline": {"omitted": 3, "visits": [
                {"path": HOSTILE, "state": HOSTILE, "enteredAt": "2026-01-01T00:00:00.000000Z", "exitedAt": "2026-01-01T00:00:05.000000Z",
                    "result": "Failed", "error": HOSTILE, "cause": HOSTILE, "retries": 2},
                {"path": "/States/B", "state": "B", "enteredAt": "2026-01-01T00:00:05.000000Z", "exitedAt": "2026-01-01T00:00:10.000000Z", "result": "Succeeded",
                    "iterations": {"total": 4, "succeeded": 3, "failed": 1, "running": 0}}]}}}))
    .unwrap()
}

#[test]
fn every_value_is_escaped_and_nothing_can_run_or_load() {
    let text = page(&run(), HOSTILE, &drawn(), true, now()).unwrap();
    for bad in
        ["<script", "<img", "onerror=alert(1)>", "href=", "src=x onerror=alert(1)>", "http://", "https://", "url("]
    {
        let escaped = text.replace("&lt;", "").replace("&#60;", "");
        assert!(!text.contains(bad), "{bad}: {escaped}");
    }
    assert!(text.matches("alert(1)").count() > 15, "the values are there");
    // A value cannot end the attribute of the policy or the title.
    assert_eq!(
        (text.matches("<meta ").count(), text.matches("</title>").count(), text.matches("<style>").count()),
        (4, 1, 2)
    );
}

#[test]
fn nothing_in_it_is_obeyed_or_turns_text_about() {
    let hostile = json!({"phase": "Failed", "error": "a\u{1b}[2J", "cause": "b\u{9b}31m\u{202e}c\u{200b}", "output": {"a": "\u{9b}\u{2066}"}});
    let mut run = run();
    run.status = Some(serde_json::from_value(hostile).unwrap());
    let text = page(&run, "shop", &drawn(), true, now()).unwrap();
    assert!(crate::printable::is_printable(&text) && text.contains("b\u{fffd}31m\u{fffd}c\u{fffd}"), "{text}");
}

#[test]
fn only_the_styles_of_the_file_hold() {
    let text = page(&run(), "shop", &drawn(), true, now()).unwrap();
    let hash = |style: &str| format!("sha256-{}", STANDARD.encode(Sha256::digest(style.as_bytes())));
    let policy = text.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let policy = policy.replace("&#39;", "'");
    assert!(policy.starts_with("default-src 'none'; style-src '") && !policy.contains("unsafe"), "{policy}");
    for style in text.split("<style>").skip(1).map(|rest| rest.split("</style>").next().unwrap()) {
        assert!(policy.contains(&hash(style)), "{policy}");
    }
    // An attribute would need another policy.
    assert!(!text.contains("style=\""), "{text}");
}

#[test]
fn the_file_says_who_what_when_and_how_it_ended() {
    let text = page(&run(), "shop", &drawn(), true, now()).unwrap();
    for part in [
        "<h1>Run shop/order <span class=\"phase bad\">Failed</span></h1>",
        "Asked for by",
        "STS session",
        "3 of 4 succeeded, 1 failed, 0 running",
        "<rect class=\"bad\" x=\"0.0\" width=\"500.0\" height=\"14\"/>",
        "<rect class=\"good\" x=\"500.0\" width=\"500.0\" height=\"14\"/>",
        "3 visits are left out",
        "<h2>Input</h2>",
        "<h2>Output</h2>",
        "2026-01-01T01:00:00Z",
        "object u-1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let without = page(&run(), "shop", &drawn(), false, now()).unwrap();
    assert!(!without.contains("<h2>Input</h2>") && !without.contains("<h2>Output</h2>"));
    let mut bare = run();
    bare.status = None;
    let bare = page(&bare, "shop", &Drawn::none("Nothing is drawn.".into()), true, now()).unwrap();
    assert!(
        bare.contains("No timeline is kept") && bare.contains("Nothing is drawn.") && !bare.contains("What went wrong")
    );
}

#[test]
fn bars_can_be_seen_however_short_and_stay_on_their_line() {
    let time = |second: i64| Some(Timestamp::from_second(second).unwrap());
    for (from, to, expected) in [
        (time(0), time(10), ("0.0", "1000.0")),
        (time(10), time(10), ("996.0", "4.0")),
        (time(5), None, ("500.0", "4.0")),
        (time(5), time(99), ("500.0", "500.0")),
    ] {
        let bar = bar(time(0), time(10), from, to).unwrap();
        assert_eq!((bar.0.as_str(), bar.1.as_str()), expected);
    }
    assert_eq!(bar(time(0), time(0), time(0), time(0)).unwrap().0, "0.0");
    assert_eq!(bar(None, None, None, None), None);
}
