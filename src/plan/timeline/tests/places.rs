//! Which state each event is told to be of.

use super::*;

/// What each event is told to be of: state, pointer without what all have in common, iteration.
fn places(events: &Events, definition: &Value) -> Vec<String> {
    let mut reader = Reader::new(paths(definition));
    let tell = |event: &HistoryEvent| {
        reader.read([event]);
        let (event, _) = crate::plan::execution_history::told(event.clone(), reader.place());
        let iteration = event.iteration.map(|index| format!("#{index}")).unwrap_or_default();
        format!(
            "{} {} {}{iteration}",
            event.event_type,
            event.state.unwrap_or_default(),
            event.path.unwrap_or_default().replace("/States", "")
        )
    };
    events.0.iter().map(tell).collect()
}

#[test]
fn every_event_is_told_of_its_own_state_the_exit_of_one_and_the_end_of_an_iteration_too() {
    let pack = json!({"StartAt": "Pack", "States": {"Pack": {"Type": "Task", "End": true}}});
    let each = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": pack, "End": true}}});
    let outer = json!({"Type": "Map", "ItemProcessor": each, "Next": "Both"});
    let left = json!({"StartAt": "Left", "States": {"Left": {"Type": "Pass", "End": true}}});
    let definition = json!({"StartAt": "All", "States": {"All": outer, "Both": {"Type": "Parallel", "Branches": [left],
        "End": true}}});
    let mut events = Events::default();
    let iteration = |events: &mut Events, event_type: &str, name: &str, index: i32| {
        let last = i64::try_from(events.0.len()).unwrap();
        events.iteration(last, event_type, name, index);
    };
    events.add(0, "ExecutionStarted", "");
    events.add(0, "MapStateEntered", "All");
    events.next("MapStateStarted", "");
    iteration(&mut events, "MapIterationStarted", "All", 4);
    events.next("MapStateEntered", "Each");
    events.next("MapStateStarted", "");
    iteration(&mut events, "MapIterationStarted", "Each", 7);
    events.next("TaskStateEntered", "Pack");
    events.next("TaskScheduled", "");
    events.next("TaskStarted", "");
    events.next("TaskSucceeded", "");
    events.next("TaskStateExited", "Pack");
    iteration(&mut events, "MapIterationSucceeded", "Each", 7);
    events.next("MapStateSucceeded", "");
    events.next("MapStateExited", "Each");
    iteration(&mut events, "MapIterationSucceeded", "All", 4);
    events.next("MapStateSucceeded", "");
    events.next("MapStateExited", "All");
    events.next("ParallelStateEntered", "Both");
    events.next("ParallelStateStarted", "");
    events.next("PassStateEntered", "Left");
    events.next("PassStateExited", "Left");
    events.next("ParallelStateSucceeded", "");
    events.next("ParallelStateExited", "Both");
    events.next("ExecutionSucceeded", "");
    let told = places(&events, &definition);
    let each = "/All/ItemProcessor/Each";
    let pack = "/All/ItemProcessor/Each/ItemProcessor/Pack";
    let expected = [
        "ExecutionStarted  ".to_owned(),
        "MapStateEntered All /All".into(),
        "MapStateStarted All /All".into(),
        "MapIterationStarted All /All#4".into(),
        format!("MapStateEntered Each {each}#4"),
        format!("MapStateStarted Each {each}#4"),
        format!("MapIterationStarted Each {each}#7"),
        format!("TaskStateEntered Pack {pack}#7"),
        format!("TaskScheduled Pack {pack}#7"),
        format!("TaskStarted Pack {pack}#7"),
        format!("TaskSucceeded Pack {pack}#7"),
        format!("TaskStateExited Pack {pack}#7"),
        format!("MapIterationSucceeded Each {each}#7"),
        format!("MapStateSucceeded Each {each}#4"),
        format!("MapStateExited Each {each}#4"),
        "MapIterationSucceeded All /All#4".into(),
        "MapStateSucceeded All /All".into(),
        "MapStateExited All /All".into(),
        "ParallelStateEntered Both /Both".into(),
        "ParallelStateStarted Both /Both".into(),
        "PassStateEntered Left /Both/Branches/0/Left".into(),
        "PassStateExited Left /Both/Branches/0/Left".into(),
        "ParallelStateSucceeded Both /Both".into(),
        "ParallelStateExited Both /Both".into(),
        "ExecutionSucceeded  ".into(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_exit_names_its_state_where_the_entry_was_lost() {
    let mut events = Events::default();
    events.add(4, "TaskStateExited", "Charge");
    assert_eq!(places(&events, &json!({"States": {}})), ["TaskStateExited Charge "]);
}
