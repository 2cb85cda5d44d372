//! What follows when AWS refuses a start or redrive: it is asked for again after a pause that grows, or at once when what it
//! depends on has changed. The record is in the status, so neither a restart nor whatever wakes the run makes the pause shorter.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{Phase, Refusal, TrustBinding, Workflow, WorkflowRunStatus};
use crate::digest::sha256_hex;
use crate::outcome::Class;
use crate::status::{READY, find};

/// A refusal as it happened.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its class, which decides the pause.
    pub class: Class,
    /// Digest of what the start depends on, see [`seen`].
    pub seen: String,
    /// Since when it is possible that the execution was started all the same.
    pub unanswered_at: Option<Timestamp>,
    /// When it happened.
    pub now: Timestamp,
    /// From 0 to 1; spreads the pauses of runs that were refused together.
    pub jitter: f64,
    /// The pause where only a change is expected to help.
    pub longest: Duration,
}

/// Records a refusal and gives the pause. Where nothing of the attempt can run, the run is `Pending` again.
pub fn record(status: &mut WorkflowRunStatus, refused: Refused) -> Duration {
    let before = status.refusal.take();
    let known = before.as_ref().and_then(|one| one.unanswered_at.clone());
    let unanswered_at = known.or(refused.unanswered_at.map(Time));
    // What was changed deserves to be tried soon again: AWS takes a moment to know of a change.
    let times = before.filter(|one| one.seen == refused.seen).map_or(0, |one| one.times).saturating_add(1);
    let pause =
        refused.class.delay(u32::try_from(times).unwrap_or(u32::MAX), refused.jitter).unwrap_or(refused.longest);
    let next = refused.now.checked_add(SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX));
    if unanswered_at.is_none() && status.execution_arn.is_none() {
        status.phase = Some(Phase::Pending);
        // A further attempt is due again; what had led to it stands in the attempt before.
        let further = status.attempts.last().filter(|attempt| attempt.number > 1);
        status.retry_at = further.map(|attempt| attempt.recorded_at.clone());
    }
    let next_try_at = Time(next.unwrap_or(Timestamp::MAX));
    status.refusal = Some(Refusal { times, next_try_at, seen: refused.seen, unanswered_at });
    pause
}

/// How long it is until AWS may be asked again; `None` where it may be asked now.
pub fn pause_left(status: &WorkflowRunStatus, now: Timestamp) -> Option<Duration> {
    let next = status.refusal.as_ref()?.next_try_at.0;
    Duration::try_from(next.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// Digest of what a start depends on and somebody can change. What the operator merely counts there is left out.
pub fn seen(workflow: Option<&Workflow>, binding: Option<&TrustBinding>) -> String {
    let of_workflow = workflow.map(|workflow| {
        let status = workflow.status.clone().unwrap_or_default();
        let (ready, synced) = (find(&status.conditions, READY), find(&status.conditions, "Synced"));
        serde_json::json!([
            workflow.metadata.uid,
            workflow.metadata.generation,
            status.state_machine_arn,
            status.latest_version,
            ready.map(|one| (&one.reason, &one.last_transition_time)),
            synced.map(|one| (&one.reason, &one.last_transition_time)),
        ])
    });
    let of_binding = binding.map(|binding| {
        let ready = binding.status.as_ref().and_then(|status| find(&status.conditions, READY));
        serde_json::json!([
            binding.metadata.uid,
            binding.metadata.generation,
            ready.map(|one| (&one.reason, &one.last_transition_time)),
        ])
    });
    sha256_hex(serde_json::json!([of_workflow, of_binding]).to_string().as_bytes())[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn refused(class: Class, seen: &str, now: i64) -> Refused {
        Refused {
            class,
            seen: seen.into(),
            unanswered_at: None,
            now: at(now),
            jitter: 1.0,
            longest: Duration::from_secs(600),
        }
    }

    fn starting(number: u32) -> WorkflowRunStatus {
        serde_json::from_value(
            json!({"phase": "Starting", "attempts": [{"number": number, "executionName": "e", "targetARN": "t",
            "trustBindingName": "b", "inputDigest": "d", "recordedAt": "2026-01-01T00:00:00Z"}], "conditions": []}),
        )
        .unwrap()
    }

    #[test]
    fn pauses_grow_as_the_class_says_and_begin_anew_when_something_changed() {
        let mut status = starting(1);
        let pauses: Vec<u64> = ["a", "a", "a", "b", "b"]
            .iter()
            .map(|seen| record(&mut status, refused(Class::Waiting, seen, 1000)).as_secs())
            .collect();
        assert_eq!(pauses, [30, 60, 120, 30, 60]);
        assert_eq!(record(&mut status, refused(Class::Terminal, "b", 1000)).as_secs(), 600);
        assert_eq!(pause_left(&status, at(1001)), Some(Duration::from_secs(599)));
        assert_eq!(pause_left(&status, at(1600)), None);
        assert_eq!(pause_left(&WorkflowRunStatus::default(), at(0)), None);
    }

    #[test]
    fn what_was_refused_for_certain_is_as_if_it_had_not_been_asked_for() {
        let mut first = starting(1);
        record(&mut first, refused(Class::Denied, "a", 1000));
        assert!(first.is_refused() && first.awaits_start() && first.retry_at.is_none());
        let mut further = starting(2);
        record(&mut further, refused(Class::Denied, "a", 1000));
        assert!(further.is_refused() && !further.awaits_start(), "it keeps its place");
        assert_eq!(further.retry_at, Some(further.attempts[0].recorded_at.clone()));
    }

    #[test]
    fn what_may_have_been_started_stays_recorded_as_such_whatever_follows() {
        let mut status = starting(1);
        record(&mut status, Refused { unanswered_at: Some(at(1000)), ..refused(Class::Transient, "a", 1000) });
        record(&mut status, refused(Class::Denied, "b", 1001));
        assert_eq!(status.phase, Some(Phase::Starting));
        assert_eq!(status.refusal.as_ref().unwrap().unanswered_at, Some(Time(at(1000))));
        assert!(!status.is_refused());
        let mut redrive = starting(2);
        redrive.execution_arn = Some("arn".into());
        record(&mut redrive, refused(Class::Denied, "a", 1000));
        assert_eq!(redrive.phase, Some(Phase::Starting), "a redrive is recorded as under way until AWS shows it");
    }
}
