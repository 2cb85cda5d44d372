//! What written changes of a status count as. Each is counted where it is written, so a crash counts nothing twice.

use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;

use crate::api::v1alpha1::{Phase, RolloutPhase, WorkflowRun, WorkflowRunStatus, WorkflowStatus};
use crate::metrics::Metrics;
use crate::status::find;

/// Starts and ends of runs.
pub(super) fn run(
    object: &WorkflowRun,
    before: Option<&WorkflowRunStatus>,
    after: &WorkflowRunStatus,
    metrics: &Metrics,
) {
    let created = object.meta().creation_timestamp.as_ref().map(|time| time.0);
    if let (Some(started), None, Some(created)) =
        (&after.started_at, before.and_then(|status| status.started_at.as_ref()), created)
        && !after.adopted
    {
        metrics.run_started(between(created, started.0));
    }
    let phase = after.phase.unwrap_or_default();
    let was_over = before.and_then(|status| status.phase).unwrap_or_default().is_finished();
    if phase.is_finished() && !was_over {
        // Only an execution has an end of its own; a run that never started ends when its status says so.
        let ended = after.finished_at.as_ref().filter(|_| after.execution_arn.is_some() && phase != Phase::Dispatched);
        metrics.run_finished(phase.as_str(), ended.map(|ended| between(ended.0, Timestamp::now())));
    }
}

/// Rollouts that ended and changes of somebody else.
pub(super) fn workflow(before: Option<&WorkflowStatus>, after: &WorkflowStatus, metrics: &Metrics) {
    let old_aliases = before.map(|status| status.aliases.as_slice()).unwrap_or_default();
    for alias in &after.aliases {
        let old = old_aliases.iter().find(|old| old.name == alias.name).map(|old| old.phase);
        match (old, alias.phase) {
            (Some(RolloutPhase::RollingOut | RolloutPhase::Paused), RolloutPhase::Stable) => {
                metrics.rollout("complete");
            }
            (Some(old), RolloutPhase::RolledBack) if old != RolloutPhase::RolledBack => metrics.rollout("rolled_back"),
            _ => {}
        }
    }
    let reason = |status: &WorkflowStatus| find(&status.conditions, "Drifted").map(|one| one.reason.clone());
    let (old, new) = (before.and_then(reason), reason(after));
    if old != new {
        match new.as_deref() {
            Some("Corrected") => metrics.drift("corrected"),
            Some("ChangedInAWS") => metrics.drift("reported"),
            _ => {}
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(measure: impl Fn(&Metrics)) -> String {
        let metrics = Metrics::default();
        measure(&metrics);
        metrics.render().unwrap()
    }

    #[test]
    fn a_run_is_counted_when_it_starts_and_once_when_it_ends() {
        let object: WorkflowRun = serde_json::from_value(json!({
            "apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"workflowRef": {"name": "w"}},
        }))
        .unwrap();
        let status = |value| -> WorkflowRunStatus { serde_json::from_value(value).unwrap() };
        let running = status(json!({"phase": "Running", "startedAt": "2026-01-01T00:00:03Z"}));
        let ended = status(json!({"phase": "Failed", "startedAt": "2026-01-01T00:00:03Z",
            "finishedAt": "2026-01-01T00:00:09Z", "executionARN": "arn"}));
        let text = rendered(|metrics| {
            run(&object, None, &running, metrics);
            run(&object, Some(&running), &running, metrics);
            run(&object, Some(&running), &ended, metrics);
            run(&object, Some(&ended), &ended, metrics);
        });
        assert!(text.contains("stepbound_run_start_seconds_sum 3.0"), "{text}");
        assert!(text.contains("stepbound_run_start_seconds_count 1"), "{text}");
        assert!(text.contains(r#"stepbound_runs_finished_total{phase="Failed"} 1"#), "{text}");
        assert!(text.contains("stepbound_run_detection_seconds_count 1"), "{text}");
    }

    #[test]
    fn a_rollout_and_a_change_of_somebody_else_are_counted_when_they_turn() {
        let status = |phase: &str, drifted: &str| -> WorkflowStatus {
            serde_json::from_value(json!({
                "aliases": [{"name": "live", "ARN": "arn", "phase": phase, "routes": []}],
                "conditions": [{"type": "Drifted", "status": "False", "reason": drifted, "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }))
            .unwrap()
        };
        let text = rendered(|metrics| {
            workflow(Some(&status("RollingOut", "NoDrift")), &status("Stable", "Corrected"), metrics);
            workflow(Some(&status("Stable", "Corrected")), &status("RolledBack", "Corrected"), metrics);
        });
        for line in [
            r#"stepbound_rollouts_total{outcome="complete"} 1"#,
            r#"stepbound_rollouts_total{outcome="rolled_back"} 1"#,
            r#"stepbound_drift_total{handling="corrected"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
