use serde_json::{Value, json};

use super::*;

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:express:shop_orders:e1:0f0e";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// An end as Step Functions writes it, five seconds after the start, with something changed.
fn logged(change: &Value) -> LogEvent {
    let mut event = json!({"id": "5", "type": "ExecutionSucceeded",
        "details": {"output": "{\"a\":1}", "outputDetails": {"truncated": false}},
        "redrive_count": "0", "previous_event_id": "4", "event_timestamp": at(5).as_millisecond().to_string(),
        "execution_arn": ARN});
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    LogEvent { timestamp: at(5), message: event.to_string() }
}

#[test]
fn an_end_is_read_with_all_that_the_log_has_of_it() {
    let failed = |kind: &str| json!({"type": kind, "details": {"error": "Declined", "cause": "no money"}});
    let whole = || LoggedOutput::Whole("{\"a\":1}".into());
    for (change, status, output, error) in [
        (json!({}), ExecutionStatus::Succeeded, whole(), None),
        (json!({"details": {}}), ExecutionStatus::Succeeded, LoggedOutput::Nothing, None),
        (
            json!({"details": {"outputDetails": {"truncated": true}}}),
            ExecutionStatus::Succeeded,
            LoggedOutput::Cut,
            None,
        ),
        (
            json!({"details": {"output": "{\"a", "outputDetails": {"truncated": true}}}),
            ExecutionStatus::Succeeded,
            LoggedOutput::Cut,
            None,
        ),
        (failed("ExecutionFailed"), ExecutionStatus::Failed, LoggedOutput::Nothing, Some("Declined")),
        (failed("ExecutionTimedOut"), ExecutionStatus::TimedOut, LoggedOutput::Nothing, Some("Declined")),
        (failed("ExecutionAborted"), ExecutionStatus::Aborted, LoggedOutput::Nothing, Some("Declined")),
    ] {
        let end = end(&logged(&change)).unwrap();
        assert_eq!((end.status, &end.output, end.error.as_deref()), (status, &output, error), "{change}");
        assert_eq!((end.execution_arn.as_str(), end.at), (ARN, at(5)), "{change}");
        let lacks = status == ExecutionStatus::Succeeded && output != whole();
        assert_eq!(no_output(&end).is_some(), lacks, "{change}");
    }
    let cut = end(&logged(&json!({"details": {"outputDetails": {"truncated": true}}}))).unwrap();
    assert!(no_output(&cut).unwrap().contains("248 KB"));
}

#[test]
fn what_is_no_end_of_that_form_tells_nothing() {
    for change in [
        json!({"type": "ExecutionStarted"}),
        json!({"type": "PassStateExited"}),
        json!({"type": 5}),
        json!({"execution_arn": null}),
        json!({"event_timestamp": "soon"}),
        json!({"event_timestamp": "99999999999999999999"}),
        json!({"details": "none"}),
    ] {
        assert_eq!(end(&logged(&change)), None, "{change}");
    }
    for message in ["", "{", "null", "[]", "ExecutionSucceeded"] {
        assert_eq!(end(&LogEvent { timestamp: at(5), message: message.into() }), None, "{message}");
    }
}

#[test]
fn an_end_before_the_start_or_after_now_is_nobodys() {
    let written = end(&logged(&json!({}))).unwrap();
    for (logged_at, started, now, holds) in [
        (at(5), at(0), at(9), true),
        (at(5), at(5), at(5), true),
        // The clocks of AWS's services are a second apart at most.
        (at(5), at(6), at(9), true),
        (at(5), at(7), at(9), false),
        (at(5), at(0), at(3), false),
        (at(-60), at(0), at(9), false),
        (at(60), at(0), at(9), false),
    ] {
        assert_eq!(is_of(&written, logged_at, started, now), holds, "{logged_at} {started} {now}");
    }
}

#[test]
fn an_output_is_not_printed_with_its_end() {
    let end = end(&logged(&json!({"details": {"output": "hunter2"}}))).unwrap();
    assert!(!format!("{end:?}").contains("hunter2"));
    assert!(!format!("{:?}", logged(&json!({"details": {"output": "hunter2"}}))).contains("hunter2"));
}

#[test]
fn an_end_is_waited_for_ten_minutes_from_the_start() {
    assert_eq!(gives_up_at(at(0)), at(600));
    assert_eq!(gives_up_at(Timestamp::MAX), Timestamp::MAX);
}

#[test]
fn an_event_of_a_history_is_read_with_its_data_only_where_that_was_asked_for() {
    let entered = json!({"id": "2", "previous_event_id": "1", "type": "MapIterationStarted",
        "details": {"name": "Each", "index": 3, "input": "{\"pin\":1}", "inputDetails": {"truncated": true},
            "resourceType": "sqs", "resource": "sendMessage", "error": "E", "cause": "c".repeat(300)}});
    let read = |with_data: bool| history_event(&logged(&entered), ARN, at(0), with_data).unwrap();
    let event = read(true);
    assert_eq!((event.id, event.previous_id, event.timestamp), (2, 1, at(5)));
    assert_eq!(
        (event.name.as_deref(), event.index, event.resource.as_deref()),
        (Some("Each"), Some(3), Some("sqs:sendMessage"))
    );
    assert_eq!((event.error.as_deref(), event.cause.map(|cause| cause.len())), (Some("E"), Some(256)));
    let data = event.data.unwrap();
    assert!(data.truncated && data.input.as_deref() == Some("{\"pin\":1}") && data.cause.unwrap().len() == 300);
    assert!(read(false).data.is_none());
}

#[test]
fn an_event_of_another_execution_or_from_before_it_or_without_a_number_is_no_part_of_a_history() {
    for (what, change, arn, started) in [
        ("another's", json!({}), "arn:aws:states:eu-west-1:111122223333:express:shop_orders:e1:0f0", at(0)),
        ("before the start", json!({}), ARN, at(10)),
        ("no id", json!({"id": null}), ARN, at(0)),
        ("id zero", json!({"id": "0"}), ARN, at(0)),
        ("an id that no execution reaches", json!({"id": i64::MAX.to_string()}), ARN, at(0)),
        ("no time", json!({"event_timestamp": null}), ARN, at(0)),
    ] {
        assert_eq!(history_event(&logged(&change), arn, started, false), None, "{what}");
    }
}

#[test]
fn a_pattern_names_one_execution_and_nothing_that_would_be_more() {
    assert_eq!(of_execution(ARN).unwrap(), format!(r#"{{ $.execution_arn = "{ARN}" }}"#));
    for bad in ["arn:*", "arn:\" || $.x = \"", "arn:{}", "arn: b"] {
        assert_eq!(of_execution(bad), None, "{bad}");
    }
    assert_eq!(group_name("arn:aws:logs:eu-west-1:1:log-group:/aws/vendedlogs/states/a:*"), "/aws/vendedlogs/states/a");
    assert_eq!(group_name("arn:aws:logs:eu-west-1:1:log-group:a"), "a");
}
