use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::{Iterations, Timeline, Visit, VisitResult};
use crate::aws::{HistoryEvent, MapRunCounts};

mod places;

/// Events that are numbered and timed as they are added: what each is linked to, its type, its state, and what else it tells.
#[derive(Default)]
struct Events(Vec<HistoryEvent>);

impl Events {
    fn add(&mut self, previous_id: i64, event_type: &str, name: &str) -> i64 {
        self.add_with(previous_id, event_type, name, |_| {})
    }

    fn add_with(
        &mut self,
        previous_id: i64,
        event_type: &str,
        name: &str,
        with: impl FnOnce(&mut HistoryEvent),
    ) -> i64 {
        let id = i64::try_from(self.0.len()).unwrap() + 1;
        let mut event = HistoryEvent {
            id,
            previous_id,
            timestamp: jiff::Timestamp::from_second(id).unwrap(),
            event_type: event_type.into(),
            name: (!name.is_empty()).then(|| name.into()),
            ..HistoryEvent::default()
        };
        with(&mut event);
        self.0.push(event);
        id
    }

    /// Linked to the last one.
    fn next(&mut self, event_type: &str, name: &str) -> i64 {
        self.add(i64::try_from(self.0.len()).unwrap(), event_type, name)
    }

    fn fails(&mut self, previous_id: i64, event_type: &str, error: &str) -> i64 {
        self.add_with(previous_id, event_type, "", |event| {
            (event.error, event.cause) = (Some(error.into()), Some(format!("{error} happened")));
        })
    }

    fn iteration(&mut self, previous_id: i64, event_type: &str, name: &str, index: i32) -> i64 {
        self.add_with(previous_id, event_type, name, |event| event.index = Some(index))
    }

    fn timeline(&self) -> Timeline {
        self.timeline_of(&json!({"States": {}}))
    }

    fn timeline_of(&self, definition: &Value) -> Timeline {
        let mut reader = Reader::new(paths(definition));
        reader.read(&self.0);
        reader.timeline()
    }
}

fn paths(definition: &Value) -> Arc<Paths> {
    let places = crate::asl::Places::of(definition);
    let root = crate::asl::Node::root(definition, &places);
    Arc::new(Paths::of(&crate::asl::model::Machine::of(root)))
}

fn told(timeline: &Timeline) -> Vec<String> {
    let visit = |visit: &Visit| {
        let error = visit.error.as_ref().map(|error| format!(" {error}")).unwrap_or_default();
        let retries = if visit.retries > 0 { format!(" x{}", visit.retries) } else { String::new() };
        let second = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime>| {
            time.as_ref().map(|time| time.0.as_second().to_string()).unwrap_or_default()
        };
        let (from, to) = (second(&visit.entered_at), second(&visit.exited_at));
        format!("{} {from}-{to} {:?}{error}{retries}", visit.state, visit.result)
    };
    timeline.visits.iter().map(visit).collect()
}

#[test]
fn states_are_told_from_entry_to_exit_in_their_order() {
    let mut events = Events::default();
    events.add(0, "ExecutionStarted", "");
    events.add(0, "PassStateEntered", "A");
    events.next("PassStateExited", "A");
    events.next("TaskStateEntered", "B");
    events.next("TaskScheduled", "");
    let timeline = events.timeline();
    assert_eq!(told(&timeline), ["A 2-3 Succeeded", "B 4- Running"]);
    assert_eq!((timeline.observed_event_id, timeline.omitted), (5, 0));
    assert_eq!(timeline.visits[1].path, "/States/B");
}

#[test]
fn work_that_is_tried_again_is_counted_and_what_succeeds_then_has_no_error() {
    let mut events = Events::default();
    events.add(0, "TaskStateEntered", "A");
    for _ in 0..2 {
        events.next("TaskScheduled", "");
        events.next("TaskStarted", "");
        events.fails(i64::try_from(events.0.len()).unwrap(), "TaskFailed", "E");
    }
    events.next("TaskScheduled", "");
    events.next("TaskSucceeded", "");
    events.next("TaskStateExited", "A");
    assert_eq!(told(&events.timeline()), ["A 1-10 Succeeded x2"]);
}

#[test]
fn an_error_that_a_catcher_took_is_caught() {
    let mut events = Events::default();
    events.add(0, "TaskStateEntered", "A");
    events.next("LambdaFunctionScheduled", "");
    events.fails(2, "LambdaFunctionFailed", "E");
    events.next("TaskStateExited", "A");
    events.next("PassStateEntered", "Mend");
    events.next("PassStateExited", "Mend");
    events.next("ExecutionSucceeded", "");
    let timeline = events.timeline();
    assert_eq!(told(&timeline), ["A 1-4 Caught E", "Mend 5-6 Succeeded"]);
    assert_eq!(timeline.visits[0].cause.as_deref(), Some("E happened"));
}

#[test]
fn a_failure_ends_what_is_around_it_and_aborts_what_is_beside_it() {
    let mut events = Events::default();
    events.add(0, "ParallelStateEntered", "Fork");
    events.next("ParallelStateStarted", "");
    events.add(2, "ParallelStateEntered", "Left");
    events.next("ParallelStateStarted", "");
    events.add(4, "TaskStateEntered", "Charge");
    events.add(2, "WaitStateEntered", "Right");
    events.add(5, "TaskScheduled", "");
    events.fails(7, "TaskFailed", "E");
    events.next("ParallelStateFailed", "");
    events.next("ParallelStateFailed", "");
    events.fails(10, "ExecutionFailed", "E");
    let definition = json!({"StartAt": "Fork", "States": {"Fork": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Right", "States": {"Right": {"Type": "Wait"}}},
        {"StartAt": "Left", "States": {"Left": {"Type": "Parallel", "Branches": [{"StartAt": "Charge", "States": {"Charge": {"Type": "Task"}}}]}}}]}}});
    let timeline = events.timeline_of(&definition);
    assert_eq!(
        told(&timeline),
        ["Fork 1-11 Failed E", "Left 3-10 Failed E", "Charge 5-9 Failed E", "Right 6-10 Aborted"]
    );
    let paths: Vec<&str> = timeline.visits.iter().map(|visit| visit.path.as_str()).collect();
    let charge = "/States/Fork/Branches/1/States/Left/Branches/0/States/Charge";
    assert_eq!(
        paths,
        ["/States/Fork", "/States/Fork/Branches/1/States/Left", charge, "/States/Fork/Branches/0/States/Right"]
    );
    for path in paths {
        assert!(definition.pointer(path).is_some(), "{path}");
    }
}

#[test]
fn a_parallel_that_is_caught_or_tried_again_goes_on() {
    let mut events = Events::default();
    events.add(0, "ParallelStateEntered", "Fork");
    events.next("ParallelStateStarted", "");
    events.next("TaskStateEntered", "A");
    events.fails(3, "TaskTimedOut", "States.Timeout");
    events.next("ParallelStateFailed", "");
    events.next("ParallelStateStarted", "");
    events.next("TaskStateEntered", "A");
    events.fails(7, "TaskFailed", "E");
    events.next("ParallelStateFailed", "");
    events.next("ParallelStateExited", "Fork");
    events.next("SucceedStateEntered", "Done");
    events.next("SucceedStateExited", "Done");
    events.next("ExecutionSucceeded", "");
    assert_eq!(
        told(&events.timeline()),
        ["Fork 1-10 Caught E x1", "A 3-5 TimedOut States.Timeout", "A 7-9 Failed E", "Done 11-12 Succeeded"]
    );
}

#[test]
fn an_execution_that_is_stopped_or_out_of_time_ends_what_is_open() {
    for (end, result) in [("ExecutionAborted", "Aborted"), ("ExecutionTimedOut", "TimedOut")] {
        let mut events = Events::default();
        events.add(0, "WaitStateEntered", "A");
        events.add(1, end, "");
        assert_eq!(told(&events.timeline()), [format!("A 1-2 {result}")]);
    }
}

#[test]
fn the_error_of_a_fail_state_is_that_of_the_end() {
    let mut events = Events::default();
    events.add(0, "FailStateEntered", "Refuse");
    events.fails(1, "ExecutionFailed", "NotAllowed");
    assert_eq!(told(&events.timeline()), ["Refuse 1-2 Failed NotAllowed"]);
}

#[test]
fn a_redrive_goes_on_with_the_same_visits() {
    let mut events = Events::default();
    events.add(0, "TaskStateEntered", "A");
    events.next("TaskScheduled", "");
    events.fails(2, "TaskFailed", "E");
    events.fails(3, "ExecutionFailed", "E");
    assert_eq!(told(&events.timeline()), ["A 1-4 Failed E"]);
    events.next("ExecutionRedriven", "");
    events.next("TaskScheduled", "");
    assert_eq!(told(&events.timeline()), ["A 1- Running x1"]);
    events.next("TaskSucceeded", "");
    events.next("TaskStateExited", "A");
    events.next("ExecutionSucceeded", "");
    assert_eq!(told(&events.timeline()), ["A 1-8 Succeeded x1"]);
}

/// A Map of so many iterations, of which the last few fail.
fn map_of(iterations: i32, failing: i32) -> Events {
    let mut events = Events::default();
    events.add(0, "MapStateEntered", "Each");
    let started = events.add_with(1, "MapStateStarted", "", |event| event.length = Some(iterations));
    for index in 0..iterations {
        let iteration = events.iteration(started, "MapIterationStarted", "Each", index);
        let entered = events.add(iteration, "TaskStateEntered", "Pack");
        if index < iterations - failing {
            let exited = events.add(entered, "TaskStateExited", "Pack");
            events.iteration(exited, "MapIterationSucceeded", "Each", index);
        } else {
            let failed = events.fails(entered, "TaskFailed", "E");
            events.iteration(failed, "MapIterationFailed", "Each", index);
        }
    }
    events
}

#[test]
fn of_a_thousand_iterations_those_that_failed_are_told_and_the_others_counted() {
    let mut events = map_of(1000, 3);
    events.next("MapStateFailed", "");
    events.fails(i64::try_from(events.0.len()).unwrap(), "ExecutionFailed", "E");
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor":
        {"StartAt": "Pack", "States": {"Pack": {"Type": "Task", "End": true}}}, "End": true}}});
    let timeline = events.timeline_of(&definition);
    assert_eq!((timeline.visits.len(), timeline.omitted), (100, 901));
    assert_eq!(timeline.visits[0].iterations, Some(Iterations { total: 1000, succeeded: 997, failed: 3, running: 0 }));
    assert_eq!(timeline.visits[0].result, VisitResult::Failed);
    let failed = |timeline: &Timeline| {
        let failed = timeline.visits.iter().filter(|visit| visit.result == VisitResult::Failed);
        failed.map(|visit| visit.path.clone()).collect::<Vec<_>>()
    };
    let pack = "/States/Each/ItemProcessor/States/Pack";
    assert_eq!(failed(&timeline), ["/States/Each", pack, pack, pack]);
    let small = fitted(timeline, 1000);
    assert_eq!(failed(&small), ["/States/Each", pack, pack, pack]);
    assert_eq!((small.visits.len(), small.omitted), (4, 997));
    let tiny = fitted(small, 400);
    assert_eq!((failed(&tiny), tiny.omitted), (vec!["/States/Each".to_owned()], 1000));
}

#[test]
fn where_the_definition_is_not_known_a_state_is_told_at_the_outermost_one_around_it() {
    let timeline = map_of(2, 1).timeline();
    let paths: Vec<(&str, &str)> =
        timeline.visits.iter().map(|visit| (visit.state.as_str(), visit.path.as_str())).collect();
    assert_eq!(paths, [("Each", "/States/Each"), ("Pack", "/States/Each"), ("Pack", "/States/Each")]);
}

#[test]
fn a_map_that_is_tried_again_counts_anew() {
    let mut events = map_of(3, 1);
    events.next("MapStateFailed", "");
    events.add_with(i64::try_from(events.0.len()).unwrap(), "MapStateStarted", "", |event| event.length = Some(3));
    events.iteration(i64::try_from(events.0.len()).unwrap(), "MapIterationStarted", "Each", 0);
    let timeline = events.timeline();
    assert_eq!(timeline.visits[0].iterations, Some(Iterations { total: 3, running: 1, ..Iterations::default() }));
    assert_eq!(timeline.visits[0].retries, 1);
}

#[test]
fn iterations_that_nothing_ends_end_with_their_map() {
    let mut events = Events::default();
    events.add(0, "MapStateEntered", "Each");
    events.add_with(1, "MapStateStarted", "", |event| event.length = Some(5));
    for index in 0..2 {
        events.iteration(2, "MapIterationStarted", "Each", index);
        events.next("TaskStateEntered", "Pack");
    }
    events.fails(4, "TaskFailed", "E");
    events.iteration(7, "MapIterationFailed", "Each", 0);
    events.iteration(7, "MapIterationAborted", "Each", 1);
    events.add(8, "MapStateFailed", "");
    events.fails(10, "ExecutionFailed", "E");
    let timeline = events.timeline();
    assert_eq!(told(&timeline), ["Each 1-11 Failed E", "Pack 4-8 Failed E", "Pack 6-9 Aborted"]);
    assert_eq!(timeline.visits[0].iterations, Some(Iterations { total: 5, failed: 2, ..Iterations::default() }));
}

#[test]
fn a_distributed_map_tells_what_its_map_run_counts() {
    let mut events = Events::default();
    events.add(0, "MapStateEntered", "Each");
    events.next("MapStateStarted", "");
    events.add_with(2, "MapRunStarted", "", |event| event.map_run_arn = Some("arn:run".into()));
    let mut reader = Reader::new(Arc::default());
    reader.read(&events.0);
    assert_eq!(reader.map_runs(), ["arn:run"]);
    reader.count("arn:other", MapRunCounts { total: 1, ..MapRunCounts::default() });
    reader.count("arn:run", MapRunCounts { succeeded: 7, failed: 2, running: 1, total: 12 });
    let counted = reader.timeline().visits[0].iterations;
    assert_eq!(counted, Some(Iterations { total: 12, succeeded: 7, failed: 2, running: 1 }));
}

#[test]
fn pages_that_come_later_or_twice_give_the_same() {
    let events = map_of(40, 2);
    let whole = events.timeline();
    for size in [1, 7, 100] {
        let mut reader = Reader::new(Arc::default());
        for page in events.0.chunks(size) {
            reader.read(page);
            reader.read(page);
        }
        assert_eq!(reader.timeline(), whole);
        assert_eq!(reader.observed(), whole.observed_event_id);
    }
}

#[test]
fn errors_and_causes_are_bounded() {
    let mut events = Events::default();
    events.add(0, "TaskStateEntered", "A");
    events.fails(1, "TaskFailed", &"é".repeat(1000));
    events.next("ExecutionFailed", "");
    let visit = events.timeline().visits.remove(0);
    let length = |text: Option<String>| text.unwrap().chars().count();
    assert_eq!((length(visit.error), length(visit.cause)), (256, 256));
}

#[test]
fn a_name_is_escaped_in_its_pointer() {
    let mut events = Events::default();
    events.add(0, "PassStateEntered", "a/b~c");
    let definition = json!({"States": {"a/b~c": {"Type": "Pass"}}});
    for timeline in [events.timeline_of(&definition), events.timeline()] {
        assert!(definition.pointer(&timeline.visits[0].path).is_some());
    }
}

const TYPES: [&str; 30] = [
    "ExecutionStarted",
    "ExecutionRedriven",
    "ExecutionFailed",
    "ExecutionSucceeded",
    "ExecutionAborted",
    "ExecutionTimedOut",
    "TaskStateEntered",
    "TaskStateExited",
    "TaskStateAborted",
    "TaskScheduled",
    "TaskStarted",
    "TaskFailed",
    "TaskTimedOut",
    "TaskSucceeded",
    "FailStateEntered",
    "EvaluationFailed",
    "MapStateEntered",
    "MapStateStarted",
    "MapStateSucceeded",
    "MapStateFailed",
    "MapStateAborted",
    "MapStateExited",
    "MapIterationStarted",
    "MapIterationSucceeded",
    "MapIterationFailed",
    "MapIterationAborted",
    "ParallelStateEntered",
    "ParallelStateStarted",
    "ParallelStateFailed",
    "ParallelStateExited",
];

fn events(most: usize) -> impl Strategy<Value = Vec<HistoryEvent>> {
    // Links of real histories lead to what is near; these lead anywhere, also forward.
    let event = (0..TYPES.len(), 0..40_i64, 0..4_usize, -1..3_i32);
    prop::collection::vec(event, 0..most).prop_map(|all| {
        let event = |(id, (kind, back, name, index)): (i64, (usize, i64, usize, i32))| HistoryEvent {
            id,
            previous_id: id - back + 2,
            event_type: TYPES[kind].into(),
            name: ["A", "B", "C"].get(name).map(|name| (*name).into()),
            index: Some(index),
            length: Some(index),
            error: (kind % 2 == 0).then(|| "E".into()),
            ..HistoryEvent::default()
        };
        (1..).zip(all).map(event).collect()
    })
}

proptest! {
    #[test]
    fn whatever_the_events_visits_and_counts_add_up(events in events(400), bytes in 0..20_000_usize) {
        let mut reader = Reader::new(Arc::default());
        reader.read(&events);
        let timeline = reader.timeline();
        let entered = events.iter().filter(|event| event.event_type.ends_with("StateEntered")).count();
        prop_assert!(timeline.visits.len() <= 100);
        prop_assert_eq!(timeline.visits.len() + usize::try_from(timeline.omitted).unwrap(), entered);
        for visit in &timeline.visits {
            if let Some(counts) = visit.iterations {
                prop_assert!(counts.succeeded >= 0 && counts.failed >= 0 && counts.running >= 0);
                prop_assert!(counts.succeeded + counts.failed + counts.running <= counts.total, "{:?}", counts);
            }
            prop_assert_eq!(visit.exited_at.is_none(), visit.result == VisitResult::Running);
        }
        let small = fitted(timeline.clone(), bytes);
        prop_assert_eq!(small.visits.len() + usize::try_from(small.omitted).unwrap(), entered);
        let size = serde_json::to_vec(&small).unwrap().len();
        prop_assert!(size <= bytes || small.visits.is_empty(), "{} of {}", size, bytes);
        if serde_json::to_vec(&timeline).unwrap().len() + 40 <= bytes {
            prop_assert_eq!(small, timeline);
        }
    }
}
