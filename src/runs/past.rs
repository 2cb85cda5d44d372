//! How long executions took before this process began. The first listing of the runs shows those that have ended, so nothing
//! has to be stored or asked for: a machine's ends are expected after a restart as they were before it.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::ResourceExt;

use super::durations::REMEMBERED;
use super::machine::FAR_PAST;
use super::{MachineKey, seconds};
use crate::api::v1alpha1::WorkflowRun;
use crate::plan::run::machine_of_execution;

/// The latest ends of each machine, with how long the executions took.
#[derive(Debug, Default)]
pub struct Past {
    ends: HashMap<MachineKey, Vec<(Timestamp, f64)>>,
}

impl Past {
    /// Learns from a run, where it has ended lately. One that was tried again spent time at rest, which tells nothing.
    pub fn see(&mut self, run: &WorkflowRun, now: Timestamp) {
        let Some(status) = run.status.as_ref().filter(|status| status.phase.unwrap_or_default().is_finished()) else {
            return;
        };
        let (Some(arn), Some(started), Some(ended)) = (&status.execution_arn, &status.started_at, &status.finished_at)
        else {
            return;
        };
        let [attempt] = &status.attempts[..] else { return };
        if !arn.contains(":execution:") || seconds(ended.0, now) >= FAR_PAST {
            return;
        }
        let key = MachineKey {
            namespace: run.namespace().unwrap_or_default(),
            binding: attempt.trust_binding_name.clone(),
            arn: machine_of_execution(arn),
        };
        let ends = self.ends.entry(key).or_default();
        ends.push((ended.0, seconds(started.0, ended.0)));
        if ends.len() >= 2 * REMEMBERED {
            keep_latest(ends);
        }
    }

    /// What was learned of each machine, the oldest first.
    pub fn learned(self) -> impl Iterator<Item = (MachineKey, Vec<f64>)> {
        self.ends.into_iter().map(|(key, mut ends)| {
            keep_latest(&mut ends);
            (key, ends.into_iter().map(|(_, seconds)| seconds).collect())
        })
    }
}

fn keep_latest(ends: &mut Vec<(Timestamp, f64)>) {
    ends.sort_by_key(|(ended, _)| *ended);
    ends.drain(..ends.len().saturating_sub(REMEMBERED));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(more: &[(&str, Value)]) -> WorkflowRun {
        let mut status = json!({"phase": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z",
            "executionARN": "arn:aws:states:eu-west-1:111122223333:execution:shop_fulfil:r",
            "attempts": [{"number": 1, "executionName": "r", "targetARN": "arn", "trustBindingName": "orders",
                "inputDigest": "", "recordedAt": "2026-01-01T00:00:00Z"}]});
        for (key, value) in more {
            status[*key] = value.clone();
        }
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "r", "namespace": "shop"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": status}))
        .unwrap()
    }

    #[test]
    fn the_latest_runs_of_a_machine_tell_how_long_it_takes_and_others_tell_nothing() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let mut past = Past::default();
        for second in 0..200 {
            past.see(
                &run(&[("finishedAt", json!(format!("2026-01-01T00:{:02}:{:02}Z", second / 60 + 1, second % 60)))]),
                now,
            );
        }
        let attempt = |number| {
            json!({"number": number, "executionName": "r", "targetARN": "arn", "trustBindingName": "orders",
            "inputDigest": "", "recordedAt": "2026-01-01T00:00:00Z"})
        };
        for other in [
            [("phase", json!("Running"))],
            [("attempts", json!([attempt(1), attempt(2)]))],
            [("executionARN", json!("arn:aws:states:eu-west-1:111122223333:express:shop_fulfil:r:id"))],
            [("finishedAt", json!("2025-12-31T00:00:00Z"))],
        ] {
            past.see(&run(&other), now);
        }
        let learned: Vec<_> = past.learned().collect();
        let [(key, durations)] = &learned[..] else { panic!("{learned:?}") };
        let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";
        assert_eq!((key.namespace.as_str(), key.binding.as_str(), key.arn.as_str()), ("shop", "orders", machine));
        assert_eq!(durations.len(), REMEMBERED);
        let ends = [durations[0], durations[REMEMBERED - 1]].map(|seconds| seconds.round().to_string());
        assert_eq!(ends, ["196", "259"]);
    }
}
