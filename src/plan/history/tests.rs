#![allow(clippy::print_stdout, clippy::print_stderr)] // what was found in the corpus, and that it was skipped

use std::collections::BTreeMap;

use super::*;
use serde_json::Value;

fn event(id: i64, previous_id: i64, event_type: &str, name: &str) -> HistoryEvent {
    HistoryEvent {
        id,
        previous_id,
        event_type: event_type.into(),
        name: (!name.is_empty()).then(|| name.into()),
        ..HistoryEvent::default()
    }
}

fn iteration(id: i64, previous_id: i64, event_type: &str, name: &str, index: i32) -> HistoryEvent {
    HistoryEvent { index: Some(index), ..event(id, previous_id, event_type, name) }
}

fn current(events: &[HistoryEvent]) -> Vec<String> {
    History::read(events).current_states()
}

#[test]
fn a_state_is_current_from_its_entry_to_its_exit() {
    let events = [
        event(1, 0, "ExecutionStarted", ""),
        event(2, 0, "PassStateEntered", "A"),
        event(3, 2, "PassStateExited", "A"),
        event(4, 3, "TaskStateEntered", "B"),
        event(5, 4, "TaskScheduled", ""),
        event(6, 5, "TaskFailed", ""),
    ];
    assert!(current(&events[..1]).is_empty());
    assert_eq!(current(&events[..2]), ["A"]);
    assert!(current(&events[..3]).is_empty());
    assert_eq!(current(&events), ["B"], "a failure may be retried or caught");
    let end = event(7, 6, "ExecutionFailed", "");
    let all: Vec<HistoryEvent> = events.into_iter().chain([end]).collect();
    assert!(current(&all).is_empty());
    assert_eq!(History::read(&all).failed_state(), Some("B"));
}

fn parallel() -> Vec<HistoryEvent> {
    vec![
        event(1, 0, "ExecutionStarted", ""),
        event(2, 0, "ParallelStateEntered", "Fork"),
        event(3, 2, "ParallelStateStarted", ""),
        event(4, 3, "TaskStateEntered", "Left"),
        event(5, 3, "WaitStateEntered", "Right"),
        event(6, 4, "TaskScheduled", ""),
    ]
}

#[test]
fn each_branch_has_its_own_current_state() {
    let mut events = parallel();
    assert_eq!(current(&events), ["Left", "Right"]);
    events.push(event(7, 5, "WaitStateExited", "Right"));
    assert_eq!(current(&events), ["Left"]);
    events.push(event(8, 7, "PassStateEntered", "After"));
    assert_eq!(current(&events), ["Left", "After"]);
}

#[test]
fn what_is_inside_a_container_that_failed_has_ended_with_it() {
    let mut events = parallel();
    events.push(event(7, 6, "TaskFailed", ""));
    events.push(event(8, 7, "ParallelStateFailed", ""));
    assert_eq!(current(&events), ["Fork"], "it may be caught or tried again");
    let mut caught = events.clone();
    caught.push(event(9, 8, "ParallelStateExited", "Fork"));
    caught.push(event(10, 9, "PassStateEntered", "Fallback"));
    assert_eq!(current(&caught), ["Fallback"]);
    events.push(event(9, 8, "ExecutionFailed", ""));
    assert_eq!(History::read(&events).failed_state(), Some("Left"), "the innermost, not the Parallel");
}

#[test]
fn the_innermost_state_is_named_also_where_the_end_is_linked_to_a_branch_that_ended_well() {
    let mut events = parallel();
    events.push(event(7, 6, "TaskFailed", ""));
    events.push(event(8, 5, "WaitStateExited", "Right"));
    events.push(event(9, 8, "ParallelStateFailed", ""));
    events.push(event(10, 9, "ExecutionFailed", ""));
    assert_eq!(History::read(&events).failed_state(), Some("Left"));
    // What was caught inside is not what failed.
    let mut caught = parallel();
    caught.push(event(7, 6, "TaskFailed", ""));
    caught.push(event(8, 7, "TaskStateExited", "Left"));
    caught.push(event(9, 8, "ParallelStateFailed", ""));
    caught.push(event(10, 9, "ExecutionFailed", ""));
    assert_eq!(History::read(&caught).failed_state(), Some("Fork"));
}

#[test]
fn a_container_that_is_tried_again_runs_inside_anew() {
    let mut events = parallel();
    events.push(event(7, 6, "TaskFailed", ""));
    events.push(event(8, 7, "ParallelStateFailed", ""));
    events.push(event(9, 8, "ParallelStateStarted", ""));
    events.push(event(10, 9, "TaskStateEntered", "Left"));
    assert_eq!(current(&events), ["Left"]);
}

#[test]
fn a_redriven_execution_is_where_its_work_goes_on() {
    let mut events = parallel();
    events.push(event(7, 6, "TaskFailed", ""));
    events.push(event(8, 7, "ParallelStateFailed", ""));
    events.push(event(9, 8, "ExecutionFailed", ""));
    events.push(event(10, 9, "ExecutionRedriven", ""));
    events.push(event(11, 7, "TaskScheduled", ""));
    assert_eq!(current(&events), ["Left"]);
    events.push(event(12, 11, "TaskFailed", ""));
    events.push(event(13, 12, "ExecutionFailed", ""));
    assert_eq!(History::read(&events).failed_state(), Some("Left"));
}

#[test]
fn an_iteration_ends_by_its_index_however_its_end_is_linked() {
    // As the service wrote it when one of two iterations failed.
    let mut events = vec![
        event(2, 0, "MapStateEntered", "Each"),
        event(3, 2, "MapStateStarted", ""),
        iteration(4, 3, "MapIterationStarted", "Each", 0),
        iteration(5, 3, "MapIterationStarted", "Each", 1),
        event(6, 4, "TaskStateEntered", "Work"),
        event(7, 5, "TaskStateEntered", "Work"),
        event(8, 6, "TaskTimedOut", ""),
        iteration(9, 8, "MapIterationFailed", "Each", 0),
    ];
    assert_eq!(current(&events), ["Work"], "the other one goes on");
    events.push(event(10, 8, "TaskStateAborted", ""));
    events.push(iteration(11, 8, "MapIterationAborted", "Each", 1));
    assert_eq!(current(&events), ["Each"]);
    events.push(event(12, 8, "MapStateFailed", ""));
    events.push(event(13, 12, "ExecutionFailed", ""));
    assert_eq!(History::read(&events).failed_state(), Some("Work"));
}

#[test]
fn a_map_run_is_told_while_the_execution_waits_for_it() {
    let mut run = event(4, 3, "MapRunStarted", "");
    run.map_run_arn = Some("arn:run".into());
    let mut events = vec![event(2, 0, "MapStateEntered", "Each"), event(3, 2, "MapStateStarted", ""), run];
    assert_eq!(History::read(&events).map_run(), Some("arn:run"));
    assert_eq!(current(&events), ["Each"]);
    events.push(event(5, 4, "MapRunFailed", ""));
    events.push(event(6, 5, "MapStateFailed", ""));
    events.push(event(7, 6, "ExecutionFailed", ""));
    let history = History::read(&events);
    assert_eq!((history.map_run(), history.failed_state()), (None, Some("Each")));
}

#[test]
fn older_pages_are_asked_for_only_while_they_would_tell_more() {
    let events = [
        event(900, 899, "TaskStateEntered", "Work"),
        event(901, 900, "TaskScheduled", ""),
        event(902, 901, "TaskStarted", ""),
    ];
    assert!(!History::read(&events).needs_older());
    assert!(History::read(&events[1..]).needs_older());
    assert!(!History::read(&[]).needs_older());
    assert!(!History::read(&[event(1, 0, "ExecutionStarted", "")]).needs_older());
    assert!(!History::read(&[event(5, 4, "PassStateExited", "A")]).needs_older());
    assert!(History::read(&[event(9, 8, "ExecutionFailed", "")]).needs_older());
}

#[test]
fn an_exit_whose_entry_was_not_read_ends_what_was_inside() {
    let events = [
        event(50, 40, "TaskStateEntered", "Inner"),
        event(51, 50, "TaskFailed", ""),
        event(52, 51, "ParallelStateFailed", ""),
        event(53, 52, "ParallelStateExited", "Fork"),
        event(54, 53, "WaitStateEntered", "Next"),
    ];
    assert_eq!(current(&events), ["Next"]);
}

#[test]
fn links_in_a_circle_end_the_walk() {
    let events = [event(3, 4, "TaskFailed", ""), event(4, 3, "ExecutionFailed", "")];
    let history = History::read(&events);
    assert_eq!((history.failed_state(), history.needs_older()), (None, true));
}

/// Recorded histories, where there are any: case and events, those alone whose ids the recording kept.
fn recorded() -> Vec<(String, Vec<HistoryEvent>)> {
    let Some(folder) = std::env::var_os("STEPBOUND_CORPUS") else {
        eprintln!("skipped: STEPBOUND_CORPUS is not set");
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(std::path::Path::new(&folder).join("histories")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let events: Option<Vec<HistoryEvent>> = case["events"].as_array().unwrap().iter().map(read).collect();
            if let Some(events) = events {
                found.push((case["case"].as_str().unwrap().to_owned(), events));
            }
        }
    }
    assert!(found.len() > 400, "{}", found.len());
    found
}

fn read(event: &Value) -> Option<HistoryEvent> {
    let details =
        event.as_object().unwrap().iter().find(|(key, value)| key.ends_with("EventDetails") && value.is_object());
    let detail = |field: &str| details.map_or(&Value::Null, |(_, value)| &value[field]);
    Some(HistoryEvent {
        id: event["id"].as_i64()?,
        previous_id: event["previousEventId"].as_i64()?,
        event_type: event["type"].as_str()?.to_owned(),
        name: detail("name").as_str().or(detail("state").as_str()).map(str::to_owned),
        index: detail("index").as_i64().map(|index| i32::try_from(index).unwrap()),
        map_run_arn: detail("mapRunArn").as_str().map(str::to_owned),
        ..HistoryEvent::default()
    })
}

/// How often each state was entered and not left, counted without looking at any link.
fn balance(events: &[HistoryEvent]) -> BTreeMap<&str, i64> {
    let mut balance = BTreeMap::new();
    for event in events {
        let change = match meaning(&event.event_type) {
            Meaning::Entered(_) => 1,
            Meaning::Exited => -1,
            _ => continue,
        };
        *balance.entry(event.name.as_deref().unwrap()).or_default() += change;
    }
    balance.retain(|_, count| *count != 0);
    balance
}

#[test]
fn at_every_moment_of_a_recorded_execution_without_failures_its_open_states_are_those_entered_and_not_left() {
    let (mut cases, mut moments) = (0, 0);
    for (case, events) in recorded() {
        let failed = |event: &HistoryEvent| is_failure(&event.event_type) || event.event_type.contains("Aborted");
        if events.iter().any(failed) || events.last().unwrap().event_type == "ExecutionFailed" {
            continue;
        }
        cases += 1;
        for upto in 1..events.len() {
            let history = History::read(&events[..upto]);
            let mut open = BTreeMap::new();
            for node in history.nodes.iter().filter(|node| node.open && node.is_state()) {
                *open.entry(node.name.as_str()).or_default() += 1;
            }
            assert_eq!(open, balance(&events[..upto]), "{case} up to {upto}");
            moments += 1;
        }
        let whole = History::read(&events);
        assert!(whole.current_states().is_empty() || !whole.has_ended(), "{case}");
        assert_eq!(whole.failed_state(), None, "{case}");
    }
    println!("{cases} recorded executions without failures, {moments} moments");
}

#[test]
fn the_failed_state_of_a_recorded_failure_was_entered_and_not_left_and_has_no_state_inside() {
    let mut cases = 0;
    for (case, events) in recorded() {
        if events.last().unwrap().event_type != "ExecutionFailed" {
            continue;
        }
        cases += 1;
        let history = History::read(&events);
        let name = history.failed_state().unwrap_or_else(|| panic!("{case}: none"));
        assert!(balance(&events).get(name).is_some_and(|open| *open > 0), "{case}: {name}");
        let last_entered = events.iter().rfind(|event| event.event_type.ends_with("StateEntered"));
        let sequential =
            !events.iter().any(|event| event.event_type.starts_with("Map") || event.event_type.starts_with("Parallel"));
        if sequential {
            assert_eq!(Some(name), last_entered.unwrap().name.as_deref(), "{case}");
        }
        assert!(history.current_states().is_empty());
    }
    println!("{cases} recorded failures");
}

#[test]
fn a_page_of_the_newest_events_tells_the_same_failed_state_or_asks_for_more() {
    for (case, events) in recorded() {
        let whole = History::read(&events);
        for from in 0..events.len() {
            let page = History::read(&events[from..]);
            let told = page.failed_state();
            assert!(told == whole.failed_state() || page.needs_older(), "{case} from {from}: {told:?}");
        }
    }
}

#[test]
fn every_recorded_event_that_names_a_state_is_told_of_just_that_state() {
    let mut named = 0;
    for (case, events) in recorded() {
        let mut reader = crate::plan::timeline::Reader::new(std::sync::Arc::default());
        for event in &events {
            reader.read([event]);
            let Some(name) = &event.name else { continue };
            let (told, _) = crate::plan::execution_history::told(event.clone(), reader.place());
            assert_eq!(told.state.as_ref(), Some(name), "{case}: {} {}", event.id, event.event_type);
            assert!(told.path.is_some(), "{case}: {} {}", event.id, event.event_type);
            named += 1;
        }
    }
    println!("{named} recorded events that name a state");
}
