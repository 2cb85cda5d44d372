//! What the types of events mean for where an execution is and what it did. Two read histories by this: where an execution is
//! follows from its newest events, what it did from all of them.

/// States that have states inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Of states for each item.
    Map,
    /// Of branches.
    Parallel,
}

/// What an event means for where an execution is. The other types happen within a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A state is entered.
    Entered(Option<Container>),
    /// A state is left.
    Exited,
    /// An iteration of a Map begins.
    IterationStarted,
    /// An iteration of a Map has ended.
    IterationEnded,
    /// What is inside has ended; the container itself may be left, caught or tried again.
    InsideEnded(Container),
    /// Work of a state begins, perhaps again after a retry or redrive.
    Begins,
    /// The execution has ended.
    ExecutionEnded,
    /// Something within a state.
    Other,
}

/// What an event of this type means.
pub fn meaning(event_type: &str) -> Meaning {
    let container = if event_type.starts_with("Map") {
        Some(Container::Map)
    } else if event_type.starts_with("Parallel") {
        Some(Container::Parallel)
    } else {
        None
    };
    match (event_type, container) {
        ("MapIterationStarted", _) => Meaning::IterationStarted,
        ("MapIterationSucceeded" | "MapIterationFailed" | "MapIterationAborted", _) => Meaning::IterationEnded,
        ("ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" | "ExecutionTimedOut", _) => {
            Meaning::ExecutionEnded
        }
        (
            "MapStateSucceeded"
            | "MapStateFailed"
            | "MapStateAborted"
            | "ParallelStateSucceeded"
            | "ParallelStateFailed"
            | "ParallelStateAborted",
            Some(container),
        ) => Meaning::InsideEnded(container),
        _ if event_type.ends_with("StateEntered") => Meaning::Entered(container),
        _ if event_type.ends_with("StateExited") => Meaning::Exited,
        ("ExecutionStarted", _) => Meaning::Other,
        ("MapRunRedriven", _) => Meaning::Begins,
        _ if event_type.ends_with("Scheduled") || event_type.ends_with("Started") => Meaning::Begins,
        _ => Meaning::Other,
    }
}

/// True of events that report a failure of work, not of what contains it.
pub fn is_failure(event_type: &str) -> bool {
    let failed = event_type.ends_with("Failed") || event_type.ends_with("TimedOut");
    event_type == "FailStateEntered"
        || (failed && !reports_for_inside(event_type) && !event_type.starts_with("Execution"))
}

/// True of events by which a container reports the end of what is inside it.
pub fn reports_for_inside(event_type: &str) -> bool {
    matches!(
        event_type,
        "MapStateFailed"
            | "MapStateAborted"
            | "ParallelStateFailed"
            | "ParallelStateAborted"
            | "MapIterationFailed"
            | "MapIterationAborted"
    )
}
