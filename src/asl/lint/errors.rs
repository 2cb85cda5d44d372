//! Retry and Catch: the first that names the error is taken.

use std::collections::HashSet;

use super::super::model::{Retrier, State};
use super::super::position::Node;
use super::report::Lint;

/// Names that begin with `States.` are AWS's own.
/// Source: developer guide, "Handling errors in Step Functions workflows".
const RESERVED: [&str; 17] = [
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];

/// The error handling of a state.
pub(super) fn check<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    let (retry, catch) = state.error_handling();
    order(lint, "retrier", &retry.iter().map(|one| one.error_equals).collect::<Vec<_>>());
    order(lint, "catcher", &catch.iter().map(|one| one.error_equals).collect::<Vec<_>>());
    for retrier in retry {
        delays(lint, retrier);
    }
}

/// `States.ALL` alone and last; nothing after what covers it already.
fn order<'a>(lint: &mut Lint<'a>, what: &str, handlers: &[Option<Node<'a>>]) {
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, handler) in handlers.iter().enumerate() {
        // One that is missing is told with the fields.
        let Some(node) = handler else { continue };
        let Some(names) = node.value().as_array() else {
            lint.report("SB019", *node, "ErrorEquals must be an array of error names");
            continue;
        };
        if names.is_empty() {
            lint.report("SB019", *node, "ErrorEquals must name at least one error");
        }
        for item in node.items() {
            let Some(name) = item.as_str() else {
                lint.report("SB019", item, "an error name must be text");
                continue;
            };
            if name == "States.ALL" && (names.len() > 1 || index + 1 < handlers.len()) {
                let message =
                    format!("States.ALL must stand alone and in the last {what}: those after it are never reached");
                lint.report("SB050", item, message);
            }
            one_name(lint, what, item, name, &seen);
        }
        seen.extend(names.iter().filter_map(|name| name.as_str()));
    }
}

fn one_name<'a>(lint: &mut Lint<'a>, what: &str, item: Node<'a>, name: &str, seen: &HashSet<&str>) {
    if seen.contains(name) {
        lint.report(
            "SB052",
            item,
            format!("an earlier {what} takes \"{name}\" already, so this one is never reached for it"),
        );
    } else if seen.contains("States.TaskFailed") && !name.starts_with("States.") {
        let message = format!(
            "an earlier {what} takes States.TaskFailed, which covers \"{name}\"; put the more specific one first"
        );
        lint.report("SB052", item, message);
    }
    let is_all = matches!(name, "State.ALL" | "States.All" | "States.*");
    let is_status = name.starts_with("States.Http.StatusCode.");
    if name.starts_with("States.") && !RESERVED.contains(&name) && !is_all && !is_status {
        let message =
            format!("\"{name}\" is no error that Step Functions has; names that begin with States. are its own");
        lint.report("SB053", item, message);
    }
    if is_all {
        lint.report(
            "SB053",
            item,
            format!("\"{name}\" matches an error of exactly this name; did you mean States.ALL?"),
        );
    }
    if name == "States.Runtime" || name == "States.DataLimitExceeded" && what == "retrier" {
        lint.report("SB051", item, format!("{name} comes again whatever is tried; {what}s of it do not help"));
    }
}

fn delays<'a>(lint: &mut Lint<'a>, retrier: &Retrier<'a>) {
    let number = |node: Option<Node<'a>>| node.and_then(|node| node.value().as_f64());
    if let (Some(most), Some(node)) = (number(retrier.max_delay_seconds), retrier.max_delay_seconds) {
        let interval = number(retrier.interval_seconds).unwrap_or(1.0);
        // A number that is out of range is told as such.
        if most <= interval && most >= 1.0 {
            lint.report("SB054", node, "MaxDelaySeconds must be greater than IntervalSeconds");
        }
    }
}
