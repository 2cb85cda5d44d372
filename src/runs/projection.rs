//! What is kept in memory of runs that have ended: nothing, or as little as their deletion needs.

use kube::ResourceExt;
use kube::runtime::watcher::Event;

use crate::api::v1alpha1::{FINALIZER, WorkflowRun};
use crate::reason::Reason;

/// Condition that says where the output is, or that it is still to be read.
pub const OUTPUT_STORED: &str = "OutputStored";

/// True when nothing is left to do for a run, ever, unless somebody changes it: such a run is not held in memory at all.
/// A change of it comes by the watch as any other.
pub fn is_settled(run: &WorkflowRun) -> bool {
    let Some(status) = &run.status else { return false };
    let finished = status.phase.unwrap_or_default().is_finished();
    let held = run.finalizers().iter().any(|name| name == FINALIZER);
    let current = status.observed_generation == run.metadata.generation;
    let owes = owes_output(run) || awaits_right(run);
    finished && !held && current && !run.wants_redrive() && !owes && run.spec.ttl_after_finished.is_none()
}

/// What the watch shows, with a run that is settled as one that is gone.
pub fn without_settled(event: Event<WorkflowRun>) -> Option<Event<WorkflowRun>> {
    match event {
        Event::Apply(run) if is_settled(&run) => Some(Event::Delete(run)),
        Event::InitApply(run) if is_settled(&run) => None,
        other => Some(other),
    }
}

/// True when a run has ended and its output, or its error, has still to be read.
pub fn owes_output(run: &WorkflowRun) -> bool {
    let conditions = run.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|one| one.type_ == OUTPUT_STORED && one.status == "Unknown")
}

/// True when a run has ended and its output waits for the right to store it.
pub fn awaits_right(run: &WorkflowRun) -> bool {
    let conditions = run.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|one| one.type_ == OUTPUT_STORED && one.status == "False" && one.reason == Reason::Forbidden)
}

/// Drops what nobody reads of a run that has ended and waits for its time to live. A status must not be written from what
/// is left: the reconcile of a run that has ended reads it anew first.
pub fn forget_finished(run: &mut WorkflowRun) {
    let finished = run.status.as_ref().is_some_and(|status| status.phase.unwrap_or_default().is_finished());
    let held = run.finalizers().iter().any(|name| name == FINALIZER);
    if !finished || held || owes_output(run) || run.metadata.deletion_timestamp.is_some() {
        return;
    }
    run.spec.input = None;
    if let Some(status) = &mut run.status {
        status.output = None;
        status.cause = None;
        status.timeline = None;
        status.console_url = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::REDRIVE;
    use serde_json::json;

    fn run(more: &serde_json::Value) -> WorkflowRun {
        let mut object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "r", "namespace": "n", "generation": 1},
            "spec": {"workflowRef": {"name": "w"}, "input": {"a": 1}},
            "status": {"observedGeneration": 1, "phase": "Succeeded", "output": {"b": 2}, "conditions": []}});
        merge(&mut object, more);
        serde_json::from_value(object).unwrap()
    }

    fn merge(into: &mut serde_json::Value, from: &serde_json::Value) {
        for (key, value) in from.as_object().unwrap() {
            if value.is_object() && into[key].is_object() {
                merge(&mut into[key], value);
            } else {
                into[key] = value.clone();
            }
        }
    }

    fn owing() -> serde_json::Value {
        json!({"status": {"conditions": [{"type": OUTPUT_STORED, "status": "Unknown", "reason": "WaitingForQuota",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
    }

    #[test]
    fn a_run_is_dropped_only_when_nothing_is_left_to_do() {
        assert!(is_settled(&run(&json!({}))));
        let token = json!({"metadata": {"annotations": {REDRIVE: "1"}}, "status": {"lastHandled": {"redrive": "1"}}});
        assert!(is_settled(&run(&token)), "it was handled");
        for left in [
            json!({"status": {"phase": "Running"}}),
            json!({"metadata": {"generation": 2}}),
            json!({"metadata": {"finalizers": [FINALIZER]}}),
            json!({"metadata": {"annotations": {"stepbound.dev/redrive": "1"}}}),
            json!({"spec": {"ttlAfterFinished": "1h"}}),
            owing(),
            json!({"status": {"conditions": [{"type": OUTPUT_STORED, "status": "False", "reason": Reason::Forbidden, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        ] {
            assert!(!is_settled(&run(&left)), "{left}");
        }
    }

    #[test]
    fn payloads_are_forgotten_of_a_run_that_waits_for_its_time_to_live_and_of_no_other() {
        let mut waiting = run(&json!({"spec": {"ttlAfterFinished": "1h"}}));
        forget_finished(&mut waiting);
        assert_eq!((&waiting.spec.input, &waiting.status.as_ref().unwrap().output), (&None, &None));
        for kept in [json!({"status": {"phase": "Running"}}), json!({"metadata": {"finalizers": [FINALIZER]}}), owing()]
        {
            let (mut one, before) = (run(&kept), run(&kept));
            forget_finished(&mut one);
            assert_eq!(one, before, "{kept}");
        }
    }
}
